//! A client's key: its id as a keyed hash, small enough to stand in every lease.

use std::num::NonZeroU64;

use crate::names::ClientId;

/// Keyed hash of a client id. The server hashes ids with its own key, so that two clients do not
/// share one by accident or on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ClientKey(pub u64);

/// Keyed hash of the name of the user whose client it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserKey(pub NonZeroU64);

/// A client that subscribes.
#[derive(Debug, Clone, Copy)]
pub struct Subscribing<'a> {
    /// Its id.
    pub client: &'a ClientId,
    /// Its key.
    pub key: ClientKey,
    /// Whose it is; nobody's while authentication is off.
    pub user: Option<UserKey>,
}
