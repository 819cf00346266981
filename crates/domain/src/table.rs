//! Hash maps whose order is the same in every run.

/// A map keyed by our own numbers or by keyed hashes. The seed is fixed: nobody outside chooses
/// the keys, and two runs with the same input behave the same.
pub(crate) type NumberMap<K, V> = hashbrown::HashMap<K, V, foldhash::fast::FixedState>;
