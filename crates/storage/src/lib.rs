//! Durable, ordered records of channels, and the small state beside them.
//!
//! Knows shards, channels, offsets and opaque keys and values. Never knows topics, groups or
//! messages: payloads, keys and values are bytes here.

mod batch;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
pub mod disk;
mod error;
mod log;
mod memory;
mod store;

pub use batch::{Batch, ChannelRef, Op, ShardId};
pub use error::StoreError;
pub use log::{Drive, LogOptions, LogStore};
pub use memory::MemoryStore;
pub use store::{
    BoxFuture, CheckpointWriter, Durability, KEY_BYTES_MAX, Lsn, PAYLOAD_BYTES_MAX, ReadLimit,
    ReadPage, Recovered, SLOTS_MAX, ShardStore, StateSink, StoreUsage, StoredRecord,
};
