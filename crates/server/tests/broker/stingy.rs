//! A store that takes batches and reads slots only when it is told to.

use std::sync::{Arc, Mutex};

use litemq_storage::{
    Batch, BoxFuture, ChannelRef, CheckpointWriter, Durability, Lsn, MemoryStore, ReadLimit,
    ReadPage, Recovered, ShardStore, StateSink, StoreError, StoreUsage,
};
use tokio::sync::watch;

/// A store in memory that refuses batches with what it was told, as one does whose reserve is used
/// up.
#[derive(Debug)]
pub(crate) struct StingyStore {
    pub(crate) memory: MemoryStore,
    refusal: Mutex<Option<StoreError>>,
    /// A slot that cannot be read, and how often that was tried.
    unreadable: Mutex<(Option<u32>, usize)>,
}

impl StingyStore {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            memory: MemoryStore::new(),
            refusal: Mutex::default(),
            unreadable: Mutex::default(),
        })
    }

    /// From now on this slot cannot be read.
    pub(crate) fn damage(&self, slot: u32) {
        self.unreadable.lock().unwrap().0 = Some(slot);
    }

    /// How often that was tried.
    pub(crate) fn vain_reads(&self) -> usize {
        self.unreadable.lock().unwrap().1
    }

    pub(crate) fn refuse(&self, refusal: Option<StoreError>) {
        *self.refusal.lock().unwrap() = refusal;
    }
}

impl ShardStore for StingyStore {
    fn admit_append(&self) -> Result<(), StoreError> {
        self.memory.admit_append()
    }
    fn submit(&self, batch: Batch) -> Result<Lsn, StoreError> {
        match &*self.refusal.lock().unwrap() {
            Some(refusal) => Err(refusal.clone()),
            None => self.memory.submit(batch),
        }
    }
    fn durable(&self) -> watch::Receiver<Durability> {
        self.memory.durable()
    }
    fn read(
        &self,
        channel: ChannelRef,
        from: u64,
        limit: ReadLimit,
    ) -> BoxFuture<'_, Result<ReadPage, StoreError>> {
        let mut unreadable = self.unreadable.lock().unwrap();
        if unreadable.0 == Some(channel.slot) {
            unreadable.1 += 1;
            let (path, position) = ("test".into(), from);
            let error = StoreError::Corrupt { path, position, what: "test".to_owned() };
            return Box::pin(std::future::ready(Err(error)));
        }
        self.memory.read(channel, from, limit)
    }
    fn recover(&self, sink: &mut dyn StateSink) -> Result<Recovered, StoreError> {
        self.memory.recover(sink)
    }
    fn begin_checkpoint(&self) -> Result<Box<dyn CheckpointWriter>, StoreError> {
        self.memory.begin_checkpoint()
    }
    fn retain_after(&self, at_ms: u64) -> Result<(), StoreError> {
        self.memory.retain_after(at_ms)
    }
    fn usage(&self) -> StoreUsage {
        self.memory.usage()
    }
    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.memory.close()
    }
}
