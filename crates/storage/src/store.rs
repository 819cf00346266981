//! The seam: what a storage engine promises.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use tokio::sync::watch;

use crate::{Batch, ChannelRef, ShardId, StoreError};

/// A boxed future, so that engines can be chosen at run time.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Position of a batch in the order of all batches of a store; the first batch has 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Lsn(pub u64);

/// How far the store has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durability {
    /// Every batch up to and including this one survives a crash.
    pub durable: Lsn,
    /// Set once, when a write or a sync failed: nothing above `durable` will ever become durable.
    pub failed: Option<StoreError>,
}

/// How much one read may return. The first record is returned whatever its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimit {
    /// Most records.
    pub records_max: usize,
    /// Most payload bytes.
    pub bytes_max: usize,
}

/// A record read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its offset in the channel.
    pub offset: u64,
    /// When it was accepted, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The tag it was appended with.
    pub tag: u64,
    /// The payload it was appended with.
    pub payload: Bytes,
}

/// The answer of a read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadPage {
    /// Records in ascending, contiguous order.
    pub records: Vec<StoredRecord>,
    /// The oldest offset still stored, when the requested one is gone by retention; the records
    /// then start there. When none is stored any more, the offset the next record will have.
    pub first_retained: Option<u64>,
}

/// Receives the recovered state, in the order in which it was made durable. The state of one key
/// is what its last `put` or `delete` says; records arrive in ascending order per channel, may
/// repeat what a recovered value already contains, and may be of lives that later ended.
///
/// Only records since the last checkpoint arrive: a caller that wants to know more about a channel
/// after a restart (its next offset, say) keeps that in a value.
pub trait StateSink {
    /// A key has this value.
    fn put(&mut self, shard: ShardId, key: &[u8], value: &[u8]) -> Result<(), StoreError>;
    /// A key is gone.
    fn delete(&mut self, shard: ShardId, key: &[u8]) -> Result<(), StoreError>;
    /// A record of a channel is stored.
    fn appended(&mut self, channel: ChannelRef, offset: u64, at_ms: u64, tag: u64);
    /// A life of a channel has ended.
    fn dropped(&mut self, channel: ChannelRef);
}

/// What recovery did, for the log line at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovered {
    /// The last durable batch.
    pub durable: Lsn,
    /// Bytes of log replayed after the checkpoint.
    pub replayed_bytes: u64,
    /// Bytes of an unfinished write that were cut from the end.
    pub torn_bytes: u64,
}

/// Space and backlog, for metrics and admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreUsage {
    /// Bytes of files on disk, spares included.
    pub disk_bytes: u64,
    /// Bytes accepted and not yet durable.
    pub unsynced_bytes: u64,
    /// Syncs done since the store was opened.
    pub syncs: u64,
    /// Log bytes written since the store was opened, those that its recovery replayed among them; 0
    /// where nothing is on a disk.
    pub log_bytes: u64,
    /// Log bytes written since the last finished checkpoint.
    pub log_bytes_since_checkpoint: u64,
    /// Bytes of disk given back by compaction since the store was opened.
    pub compacted_bytes: u64,
    /// Two more checkpoints, or one, would let the engine give back more bytes of disk than the
    /// checkpoints take.
    pub wants_checkpoint: bool,
}

/// A snapshot of the callers' state being written. Dropping it without `finish` discards it.
pub trait CheckpointWriter: Send {
    /// Adds one key with its present value. Blocking; call it off the async threads.
    fn put(&mut self, shard: ShardId, key: &[u8], value: &[u8]) -> Result<(), StoreError>;
    /// Publishes the snapshot once every batch submitted before this call is durable (and, it may
    /// be, some submitted while it runs). From then on recovery starts here. An error leaves the
    /// checkpoint before it in force.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<(), StoreError>>;
}

/// Durable, ordered records and state of the shards of one process.
///
/// - The caller decides: it assigns offsets, slots and generations, and is the only writer of a
///   shard. The store makes batches durable in the order of the `submit` calls and reads back.
/// - A batch is atomic: after a crash all of its operations are there or none, and none without
///   all batches before it.
/// - After one failed write or sync nothing more becomes durable: `submit` answers
///   [`StoreError::Failed`] and [`Durability::failed`] is set. Only a new process may go on.
/// - `recover` is called once, before the first `submit`.
pub trait ShardStore: Send + Sync + fmt::Debug + 'static {
    /// Whether records may be appended now: [`StoreError::NoSpace`] when the disk is too full,
    /// [`StoreError::Overloaded`] when too much waits for a sync. After `Ok` a prompt `submit` of
    /// up to [`PAYLOAD_BYTES_MAX`] payload bytes does not fail for either reason.
    fn admit_append(&self) -> Result<(), StoreError>;

    /// Accepts a batch without waiting. Batches without appends are accepted on a full disk as
    /// long as the reserve lasts.
    fn submit(&self, batch: Batch) -> Result<Lsn, StoreError>;

    /// The durable watermark.
    fn durable(&self) -> watch::Receiver<Durability>;

    /// Reads records of one life of a channel from offset `from` on. Records above the watermark
    /// may be missing from the answer. A record whose checksum does not match is
    /// [`StoreError::Corrupt`], never returned and never skipped.
    fn read(
        &self,
        channel: ChannelRef,
        from: u64,
        limit: ReadLimit,
    ) -> BoxFuture<'_, Result<ReadPage, StoreError>>;

    /// Streams the state into `sink`.
    fn recover(&self, sink: &mut dyn StateSink) -> Result<Recovered, StoreError>;

    /// Starts a snapshot. Every effect of batches submitted before this call must be contained in
    /// what the caller then puts; effects of later batches may be (they are replayed on top).
    fn begin_checkpoint(&self) -> Result<Box<dyn CheckpointWriter>, StoreError>;

    /// Removes records accepted before this time, as far as whole files allow.
    fn retain_after(&self, at_ms: u64) -> Result<(), StoreError>;

    /// Space and backlog.
    fn usage(&self) -> StoreUsage;

    /// Makes everything submitted durable, then refuses all further calls.
    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// Channels of a shard: slots are numbers below this.
pub const SLOTS_MAX: u32 = 1 << 28;
/// Longest key, bytes.
pub const KEY_BYTES_MAX: usize = 1024;
/// Longest record payload, bytes: a 4 MiB body and its properties.
pub const PAYLOAD_BYTES_MAX: usize = (4 << 20) + (64 << 10);
