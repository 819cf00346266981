//! A client's key: its id as a keyed hash, small enough to stand in every lease.

/// Keyed hash of a client id. The server hashes ids with its own key, so that two clients do not
/// share one by accident or on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ClientKey(pub u64);
