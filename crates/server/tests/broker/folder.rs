//! Data folders on disk, with small segments.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use litemq_storage::disk::{Disk, DiskFile, DiskLock, RealDisk};
use litemq_storage::{Drive, LogOptions, LogStore, StoreError};

use crate::support::World;

/// Opens a data folder; one that a broker has just let go of may still be locked for a moment.
pub(crate) async fn open(dir: &Path, options: &LogOptions) -> Arc<LogStore> {
    open_on(Arc::new(RealDisk), dir, options).await
}

pub(crate) async fn open_on(
    disk: Arc<dyn Disk>,
    dir: &Path,
    options: &LogOptions,
) -> Arc<LogStore> {
    let started = std::time::Instant::now();
    loop {
        match LogStore::open_on(Arc::clone(&disk), dir, options.clone(), Drive::Threads) {
            Ok(store) => return Arc::new(store),
            Err(StoreError::Locked(_)) if started.elapsed().as_secs() < 60 => {
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Lets go of everything without closing, as a crash does, and opens again.
pub(crate) async fn crash(world: World, store: Arc<LogStore>, dir: &Path) -> World {
    drop((world, store));
    World::open(open(dir, &small()).await).await
}

/// Segments of 1 MiB.
pub(crate) fn small() -> LogOptions {
    LogOptions {
        segment_bytes: 1 << 20,
        reserve_bytes: 256 << 10,
        free_bytes_min: 0,
        ..LogOptions::default()
    }
}

/// The real disk, whose free space a test sets.
#[derive(Debug)]
pub(crate) struct NarrowDisk {
    real: RealDisk,
    free_bytes: AtomicU64,
}

impl NarrowDisk {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { real: RealDisk, free_bytes: AtomicU64::new(1 << 40) })
    }

    pub(crate) fn set_free(&self, bytes: u64) {
        self.free_bytes.store(bytes, Ordering::Relaxed);
    }
}

impl Disk for NarrowDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.real.create_dir(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.real.list(dir)
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.real.create(path)
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.real.open(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.real.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.real.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.real.sync_dir(dir)
    }
    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.free_bytes.load(Ordering::Relaxed))
    }
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        self.real.lock(path)
    }
}
