//! The log engine without its threads: a task makes its steps, each after the time a device takes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use litemq_checker::Dice;
use litemq_storage::{
    Batch, BoxFuture, ChannelRef, CheckpointWriter, Durability, LogStore, Lsn, ReadLimit, ReadPage,
    Recovered, ShardStore, StateSink, StoreError, StoreUsage,
};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

/// Pause between two pieces of the work beside the commits.
const CHORE_PAUSE: Duration = Duration::from_millis(20);

/// How long a sync takes at least and at most, milliseconds. Shared by all lives of a server.
#[derive(Debug)]
pub(crate) struct SyncTimes(Mutex<(u64, u64)>);

impl SyncTimes {
    pub(crate) fn new(least_ms: u64, most_ms: u64) -> Self {
        Self(Mutex::new((least_ms, most_ms)))
    }

    pub(crate) fn set(&self, least_ms: u64, most_ms: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (least_ms, most_ms);
    }

    fn throw(&self, dice: &mut Dice) -> Duration {
        let (least, most) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_millis(least + dice.draw() % (most - least + 1))
    }
}

/// A store that moves with simulated time.
#[derive(Debug)]
pub(crate) struct SteppedStore {
    log: LogStore,
    submitted: Notify,
    /// Segments compacted in all lives of the server.
    compacted: Arc<AtomicU64>,
}

impl SteppedStore {
    pub(crate) fn new(log: LogStore, compacted: Arc<AtomicU64>) -> Self {
        Self { log, submitted: Notify::new(), compacted }
    }

    /// Commits what is submitted, for ever.
    pub(crate) async fn commit(self: Arc<Self>, times: Arc<SyncTimes>, mut dice: Dice) {
        loop {
            self.submitted.notified().await;
            sleep(times.throw(&mut dice)).await;
            while self.log.step_commit() {
                sleep(times.throw(&mut dice)).await;
            }
        }
    }

    /// Seals, recycles and prepares segments, for ever.
    pub(crate) async fn do_chores(self: Arc<Self>) {
        loop {
            sleep(CHORE_PAUSE).await;
            let before = self.log.usage().compacted_bytes;
            self.log.step_chore();
            let is_compacted = self.log.usage().compacted_bytes > before;
            self.compacted.fetch_add(u64::from(is_compacted), Ordering::Relaxed);
        }
    }
}

impl ShardStore for SteppedStore {
    fn admit_append(&self) -> Result<(), StoreError> {
        self.log.admit_append()
    }

    fn submit(&self, batch: Batch) -> Result<Lsn, StoreError> {
        let submitted = self.log.submit(batch);
        self.submitted.notify_one();
        submitted
    }

    fn durable(&self) -> watch::Receiver<Durability> {
        self.log.durable()
    }

    fn read(
        &self,
        channel: ChannelRef,
        from: u64,
        limit: ReadLimit,
    ) -> BoxFuture<'_, Result<ReadPage, StoreError>> {
        self.log.read(channel, from, limit)
    }

    fn recover(&self, sink: &mut dyn StateSink) -> Result<Recovered, StoreError> {
        self.log.recover(sink)
    }

    fn begin_checkpoint(&self) -> Result<Box<dyn CheckpointWriter>, StoreError> {
        self.log.begin_checkpoint()
    }

    fn retain_after(&self, at_ms: u64) -> Result<(), StoreError> {
        self.log.retain_after(at_ms)
    }

    fn usage(&self) -> StoreUsage {
        self.log.usage()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.log.close()
    }
}
