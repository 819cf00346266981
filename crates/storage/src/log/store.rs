//! The engine behind the seam.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::watch;

use crate::disk::{Disk, RealDisk};
use crate::{
    Batch, BoxFuture, ChannelRef, CheckpointWriter, Durability, KEY_BYTES_MAX, Lsn, Op,
    PAYLOAD_BYTES_MAX, ReadLimit, ReadPage, Recovered, SLOTS_MAX, ShardStore, StateSink,
    StoreError, StoreUsage,
};

use super::blocking::off_thread;
use super::checkpoint::Writer;
use super::committer::{self, Step};
use super::engine::Engine;
use super::files::{Access, corrupt, io_error, read_error, read_full};
use super::format::SegmentHeader;
use super::housekeeper::{self, Chore, Chores};
use super::layout::{LOG, Layout, number_of};
use super::meta::{self, Meta};
use super::options::LogOptions;
use super::reader::{self, PageFault};
use super::record;
use super::recovery;
use super::survey;

/// Who makes a [`LogStore`] move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drive {
    /// A thread for commits and one for the work beside them.
    Threads,
    /// The caller, step by step: the same steps in the same order give the same files.
    Steps,
}

/// A data folder on the local disk. See [`ShardStore`] for the contract.
///
/// Dropping the store without `close` is what a crash is: what was not durable is lost.
pub struct LogStore {
    engine: Arc<Engine>,
    drive: Drive,
    is_recovered: AtomicBool,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for LogStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogStore")
            .field("dir", &self.engine.layout.root)
            .field("durable", &self.engine.watermark.borrow().durable)
            .finish_non_exhaustive()
    }
}

impl LogStore {
    /// Opens a data folder, or makes a new one where there is nothing. Blocking, and much of the
    /// work is left to `recover`.
    ///
    /// [`StoreError::Locked`] when another process has it; [`StoreError::UnknownFormat`] when
    /// another version wrote it; [`StoreError::Corrupt`] when META is damaged or lost.
    pub fn open(dir: impl AsRef<Path>, options: LogOptions) -> Result<Self, StoreError> {
        Self::open_on(Arc::new(RealDisk), dir.as_ref(), options, Drive::Threads)
    }

    /// The same on a given disk, moved by threads or by the caller.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        mut options: LogOptions,
        drive: Drive,
    ) -> Result<Self, StoreError> {
        options.validate()?;
        let layout = Layout::new(dir);
        disk.create_dir(dir).map_err(|error| io_error(dir, &error))?;
        let lock = disk.lock(&layout.lock()).map_err(|error| io_error(&layout.lock(), &error))?;
        let lock = lock.ok_or_else(|| StoreError::Locked(dir.to_path_buf()))?;
        let known = meta::read(disk.as_ref(), &layout)?;
        let database = match &known {
            Some(meta) => meta.database,
            None => disk.draw_identity().map_err(|error| io_error(dir, &error))?,
        };
        if let Some(meta) = &known {
            options.segment_bytes = meta.segment_bytes;
        }
        let engine =
            Arc::new(Engine::new(disk, layout, options, database, lock, drive == Drive::Threads));
        if known.is_none() {
            create(&engine)?;
        }
        Ok(Self { engine, drive, is_recovered: AtomicBool::new(false), threads: Mutex::default() })
    }

    /// Commits what waits as one frame; whether there was any. For [`Drive::Steps`].
    pub fn step_commit(&self) -> bool {
        committer::step(&self.engine) == Step::Committed
    }

    /// Does one piece of the work beside the commits; whether there was any that could be done.
    /// For [`Drive::Steps`].
    pub fn step_chore(&self) -> bool {
        housekeeper::step(&self.engine) == Chore::Done
    }

    #[cfg(test)]
    pub(super) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    fn start_threads(&self) -> io::Result<()> {
        // In the order in which `close` joins them.
        self.start_thread("litemq-commit", committer::run)?;
        self.start_thread("litemq-store", housekeeper::run)
    }

    fn start_thread(&self, name: &str, job: fn(&Engine)) -> io::Result<()> {
        let engine = Arc::clone(&self.engine);
        let thread = thread::Builder::new().name(name.into()).spawn(move || job(&engine))?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    fn take_threads(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Makes the first segment, then META: a folder with META has a log, and a path that survives.
fn create(engine: &Engine) -> Result<(), StoreError> {
    let layout = &engine.layout;
    let path = layout.meta();
    let io = |error: io::Error| io_error(&path, &error);
    let remains = survey::has_remains(engine.disk.as_ref(), layout).map_err(io)?;
    if remains || first_segment_is_used(engine)? {
        return Err(corrupt(&path, 0, "the file is missing, but there is data"));
    }
    for dir in [&layout.log_dir, &layout.index_dir, &layout.checkpoint_dir] {
        engine.disk.create_dir(dir).map_err(io)?;
    }
    engine.disk.sync_dir(&layout.root).map_err(io)?;
    sync_path(engine).map_err(io)?;
    let spare = housekeeper::prepare(engine, &mut Chores::default(), 1);
    spare.map_err(|error| match error.kind() {
        io::ErrorKind::StorageFull => StoreError::NoSpace(error.to_string()),
        _ => io_error(&layout.segment(1), &error),
    })?;
    let meta = Meta { database: engine.database, segment_bytes: engine.options.segment_bytes };
    meta::create(engine.disk.as_ref(), layout, &meta).map_err(io)
}

/// Makes the name of the data folder survive, and those of the folders it is in.
fn sync_path(engine: &Engine) -> io::Result<()> {
    for folder in engine.layout.root.ancestors().skip(1) {
        // A relative path begins in the present folder.
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        match engine.disk.sync_dir(folder) {
            // What may not be read was not made here either.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            outcome => outcome?,
        }
    }
    Ok(())
}

/// Whether a first segment without META holds frames, that is, META was lost.
fn first_segment_is_used(engine: &Engine) -> Result<bool, StoreError> {
    let names = match engine.disk.list(&engine.layout.log_dir) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(io_error(&engine.layout.log_dir, &error)),
    };
    if !names.iter().any(|name| number_of(name, LOG) == Some(1)) {
        return Ok(false);
    }
    let path = engine.layout.segment(1);
    let mut block = vec![0; super::format::BLOCK_BYTES];
    let file = engine.disk.open(&path).map_err(|error| io_error(&path, &error))?;
    read_full(file.as_ref(), &mut block, 0, Access::Waiting)
        .map_err(|fault| read_error(&path, 0, fault))?;
    match SegmentHeader::decode(&block) {
        Ok(header) => Ok(survey::first_frame(engine, &header)?.is_some()),
        Err(_) => Ok(true),
    }
}

fn check(batch: &Batch) -> Result<(), StoreError> {
    let invalid = |what: &str| Err(StoreError::Invalid(what.to_owned()));
    for op in &batch.ops {
        match op {
            Op::Append { channel, .. } | Op::Drop { channel } if channel.slot >= SLOTS_MAX => {
                return invalid("a slot's number is too large");
            }
            Op::Append { payload, .. } if payload.len() > PAYLOAD_BYTES_MAX => {
                return invalid("a payload is too large");
            }
            Op::Put { key, .. } | Op::Delete { key, .. } if key.len() > KEY_BYTES_MAX => {
                return invalid("a key is too long");
            }
            Op::Put { value, .. } if value.len() > PAYLOAD_BYTES_MAX => {
                return invalid("a value is too large");
            }
            Op::Append { .. } | Op::Drop { .. } | Op::Put { .. } | Op::Delete { .. } => {}
        }
    }
    Ok(())
}

impl ShardStore for LogStore {
    fn admit_append(&self) -> Result<(), StoreError> {
        let options = &self.engine.options;
        self.engine.queue().admit(options.unsynced_bytes_max, options.reserve_bytes)
    }

    fn submit(&self, batch: Batch) -> Result<Lsn, StoreError> {
        check(&batch)?;
        let batch_bytes = batch.ops.iter().map(record::encoded_bytes).sum();
        let mut queue = self.engine.queue();
        let lsn = queue.push(&batch, batch_bytes, self.engine.options.unsynced_bytes_max)?;
        let is_idle = queue.is_idle;
        drop(queue);
        if is_idle {
            self.engine.queue_changed().notify_all();
        }
        Ok(Lsn(lsn))
    }

    fn durable(&self) -> watch::Receiver<Durability> {
        self.engine.watermark.subscribe()
    }

    fn read(
        &self,
        channel: ChannelRef,
        from: u64,
        limit: ReadLimit,
    ) -> BoxFuture<'_, Result<ReadPage, StoreError>> {
        if *self.engine.is_closed.borrow() {
            return Box::pin(std::future::ready(Err(StoreError::Closed)));
        }
        let answer = match reader::read_page(&self.engine, channel, from, limit, Access::Cached) {
            Ok(page) => Ok(page),
            Err(PageFault::Store(error)) => Err(error),
            Err(PageFault::WouldWait | PageFault::Moved) => {
                let engine = Arc::clone(&self.engine);
                return Box::pin(off_thread(&self.engine, move || {
                    reader::read_page(&engine, channel, from, limit, Access::Waiting).map_err(
                        |fault| match fault {
                            PageFault::Store(error) => error,
                            PageFault::WouldWait | PageFault::Moved => StoreError::Io {
                                path: engine.layout.log_dir.clone(),
                                message: "the read did not come to an end".into(),
                            },
                        },
                    )
                }));
            }
        };
        Box::pin(std::future::ready(answer))
    }

    fn recover(&self, sink: &mut dyn StateSink) -> Result<Recovered, StoreError> {
        if self.is_recovered.swap(true, Ordering::AcqRel) {
            return Err(StoreError::Invalid("recover was called before".into()));
        }
        let recovered = recovery::recover(&self.engine, sink)?;
        if self.drive == Drive::Threads {
            self.start_threads().map_err(|error| StoreError::Failed(error.to_string()))?;
        }
        tracing::info!(
            durable = recovered.durable.0,
            replayed_bytes = recovered.replayed_bytes,
            torn_bytes = recovered.torn_bytes,
            "the log is open"
        );
        Ok(recovered)
    }

    fn begin_checkpoint(&self) -> Result<Box<dyn CheckpointWriter>, StoreError> {
        Ok(Box::new(Writer::begin(&self.engine)?))
    }

    fn retain_after(&self, at_ms: u64) -> Result<(), StoreError> {
        self.engine.queue().is_open()?;
        housekeeper::retain_after(&self.engine, at_ms);
        Ok(())
    }

    fn usage(&self) -> StoreUsage {
        let counters = &self.engine.counters;
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let log_bytes = load(&counters.log_bytes);
        StoreUsage {
            disk_bytes: load(&counters.segment_bytes)
                + load(&counters.index_bytes)
                + load(&counters.checkpoint_bytes),
            unsynced_bytes: self.engine.queue().unsynced_bytes(),
            syncs: load(&counters.syncs),
            log_bytes,
            log_bytes_since_checkpoint: log_bytes
                .saturating_sub(load(&self.engine.checkpoints.log_bytes)),
            compacted_bytes: load(&counters.compacted_bytes),
            wants_checkpoint: counters.wants_checkpoint.load(Ordering::Relaxed),
        }
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.engine.queue().close();
        self.engine.queue_changed().notify_all();
        let threads = self.take_threads();
        Box::pin(async move {
            if threads.is_empty() {
                while committer::step(&self.engine) == Step::Committed {}
                committer::finish(&self.engine);
            }
            let engine = Arc::clone(&self.engine);
            off_thread(&self.engine, move || {
                // The committer ends by itself once all is written; only then the other.
                for thread in threads {
                    if thread.join().is_err() {
                        engine.fail("a storage thread ended early".into());
                    }
                    engine.stop();
                }
                engine.unlock();
                Ok(())
            })
            .await?;
            match self.engine.watermark.borrow().failed.clone() {
                Some(failed) => Err(failed),
                None => Ok(()),
            }
        })
    }
}

impl Drop for LogStore {
    fn drop(&mut self) {
        self.engine.stop();
        for thread in self.take_threads() {
            if thread.join().is_err() {
                tracing::error!("a storage thread ended early");
            }
        }
        self.engine.unlock();
    }
}
