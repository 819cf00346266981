//! What the threads of a log store share.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};

use tokio::sync::watch;

use crate::disk::{Disk, DiskLock};
use crate::{Durability, Lsn, StoreError};

use super::committer::Committer;
use super::files::OpenFiles;
use super::format::Uuid;
use super::housekeeper::Chores;
use super::index::{Index, Segment};
use super::layout::Layout;
use super::options::LogOptions;
use super::queue::Queue;

/// One open data folder.
///
/// Locks are taken in this order, and never across a write or a sync: committer, chores,
/// removed, queue, index. (Committer and chores are the two threads' own state and are held while they work.)
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) layout: Layout,
    pub(super) options: LogOptions,
    pub(super) database: Uuid,
    /// Whether threads move the store, and not its owner step by step.
    pub(super) is_threaded: bool,
    pub(super) files: OpenFiles,
    pub(super) watermark: watch::Sender<Durability>,
    /// Set when the last frame is written after `close`.
    pub(super) is_closed: watch::Sender<bool>,
    pub(super) counters: Counters,
    pub(super) checkpoints: CheckpointState,
    queue: Mutex<Queue>,
    queue_changed: Condvar,
    index: RwLock<Index>,
    committer: Mutex<Option<Committer>>,
    chores: Mutex<Chores>,
    /// Segments out of sight whose files still have their names, oldest first.
    removed: Mutex<VecDeque<Arc<Segment>>>,
    chore_call: Mutex<bool>,
    chore_called: Condvar,
    is_stopping: AtomicBool,
    lock: Mutex<Option<Box<dyn DiskLock>>>,
}

/// Numbers for metrics.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) syncs: AtomicU64,
    pub(super) log_bytes: AtomicU64,
    pub(super) segment_bytes: AtomicU64,
    pub(super) index_bytes: AtomicU64,
    pub(super) checkpoint_bytes: AtomicU64,
    /// Lives that ended, as far as they had records.
    pub(super) ended_lives: AtomicU64,
    pub(super) compacted_bytes: AtomicU64,
    pub(super) wants_checkpoint: AtomicBool,
}

/// The newest finished checkpoint.
#[derive(Debug, Default)]
pub(super) struct CheckpointState {
    pub(super) is_being_written: AtomicBool,
    pub(super) number: AtomicU32,
    /// The newest that is not known to be damaged; 0 is none.
    pub(super) good: AtomicU32,
    /// Recovery reads the log from this segment on.
    pub(super) replay_from: AtomicU32,
    /// And from this one if the newest is damaged; 0 when there is no other.
    pub(super) replay_from_before: AtomicU32,
    /// Log bytes that were written when it began.
    pub(super) log_bytes: AtomicU64,
}

impl CheckpointState {
    /// Segments before this one are read by no recovery.
    pub(super) fn covered_from(&self) -> u32 {
        let newest = self.replay_from.load(Ordering::Acquire);
        match self.replay_from_before.load(Ordering::Acquire) {
            0 => newest,
            before => newest.min(before),
        }
    }

    /// The same, where a damaged checkpoint must not make the log unreadable.
    pub(super) fn covered_twice_from(&self) -> u32 {
        let newest = self.replay_from.load(Ordering::Acquire);
        newest.min(self.replay_from_before.load(Ordering::Acquire))
    }
}

impl Engine {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        layout: Layout,
        options: LogOptions,
        database: Uuid,
        lock: Box<dyn DiskLock>,
        is_threaded: bool,
    ) -> Self {
        Self {
            files: OpenFiles::new(Arc::clone(&disk), layout.clone()),
            queue: Mutex::new(Queue::new(options.segment_bytes)),
            disk,
            layout,
            options,
            database,
            is_threaded,
            watermark: watch::Sender::new(Durability { durable: Lsn(0), failed: None }),
            is_closed: watch::Sender::new(false),
            counters: Counters::default(),
            checkpoints: CheckpointState::default(),
            queue_changed: Condvar::new(),
            index: RwLock::default(),
            committer: Mutex::default(),
            chores: Mutex::default(),
            removed: Mutex::default(),
            chore_call: Mutex::default(),
            chore_called: Condvar::new(),
            is_stopping: AtomicBool::new(false),
            lock: Mutex::new(Some(lock)),
        }
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }

    pub(super) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn committer(&self) -> MutexGuard<'_, Option<Committer>> {
        lock(&self.committer)
    }

    pub(super) fn chores(&self) -> MutexGuard<'_, Chores> {
        lock(&self.chores)
    }

    pub(super) fn removed(&self) -> MutexGuard<'_, VecDeque<Arc<Segment>>> {
        lock(&self.removed)
    }

    pub(super) fn queue_changed(&self) -> &Condvar {
        &self.queue_changed
    }

    /// Tells the housekeeper that there may be something to do.
    pub(super) fn call_housekeeper(&self) {
        *lock(&self.chore_call) = true;
        self.chore_called.notify_one();
    }

    /// Waits until there may be something to do, or for the time.
    pub(super) fn wait_for_call(&self, timeout: std::time::Duration) {
        let mut call = lock(&self.chore_call);
        if !*call && !self.is_stopping() {
            let (guard, _) = self
                .chore_called
                .wait_timeout(call, timeout)
                .unwrap_or_else(PoisonError::into_inner);
            call = guard;
        }
        *call = false;
    }

    /// A write or a sync failed: from here on nothing becomes durable.
    pub(super) fn fail(&self, message: String) {
        tracing::error!(message, "the log store stops: what was accepted may not be on the disk");
        self.queue().fail(&message);
        self.watermark.send_modify(|state| state.failed = Some(StoreError::Failed(message)));
        self.queue_changed.notify_all();
        self.call_housekeeper();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Ends both threads after what they are doing.
    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        drop(self.queue());
        self.queue_changed.notify_all();
        self.call_housekeeper();
    }

    /// Lets another process have the data folder.
    pub(super) fn unlock(&self) {
        lock(&self.lock).take();
    }

    /// Does something that must not happen once another process may have the data folder.
    pub(super) fn while_locked<R>(
        &self,
        action: impl FnOnce() -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let held = lock(&self.lock);
        if held.is_none() { Err(StoreError::Closed) } else { action() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
