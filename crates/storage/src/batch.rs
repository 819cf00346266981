//! What a caller asks to make durable: an atomic, ordered list of operations.

use bytes::Bytes;

/// A shard's number. Stable for the life of a data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u16);

/// One life of one channel. The caller numbers slots densely and reuses them; each reuse has a
/// higher generation, so records of an earlier life are never seen by a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelRef {
    /// The shard that owns the channel.
    pub shard: ShardId,
    /// Dense number of the channel within its shard.
    pub slot: u32,
    /// Which life of the slot.
    pub generation: u32,
}

/// One operation. Keys and values are opaque; a later `Put` or `Delete` of a key replaces the
/// earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Adds a record to a channel. Offsets of a channel are dense and ascending, from 0.
    Append {
        /// The channel.
        channel: ChannelRef,
        /// Its offset in the channel.
        offset: u64,
        /// When it was accepted, milliseconds since the Unix epoch.
        at_ms: u64,
        /// Opaque to the store, handed back on recovery without reading the payload.
        tag: u64,
        /// The record, at most [`crate::PAYLOAD_BYTES_MAX`] bytes.
        payload: Bytes,
    },
    /// Ends a channel's life: its records are unreachable from here on.
    Drop {
        /// The channel.
        channel: ChannelRef,
    },
    /// Sets `key` of `shard` to `value`.
    Put {
        /// The owner of the key.
        shard: ShardId,
        /// At most [`crate::KEY_BYTES_MAX`] bytes.
        key: Bytes,
        /// The value.
        value: Bytes,
    },
    /// Removes `key` of `shard`; removing a key that is not there is fine.
    Delete {
        /// The owner of the key.
        shard: ShardId,
        /// The key.
        key: Bytes,
    },
}

/// Operations that become durable together or not at all, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The operations.
    pub ops: Vec<Op>,
}
