//! A disk in memory that fails, tears and loses what a real one can.
//!
//! File contents and names are kept twice: as a process sees them, and as they would be found
//! after a crash. A sync moves the one to the other; [`FaultDisk::crash`] decides what of the
//! rest survives.

mod plan;
mod survival;
mod world;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile, DiskLock};
use world::World;

pub use plan::{Call, Failure};
pub use survival::Survival;

/// The disk. Clones are the same disk.
#[derive(Clone, Default)]
pub struct FaultDisk {
    world: Arc<Mutex<World>>,
}

impl fmt::Debug for FaultDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultDisk").field("acts", &self.acts()).finish_non_exhaustive()
    }
}

impl FaultDisk {
    /// An empty disk without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many operations changed something so far, or tried to.
    pub fn acts(&self) -> u64 {
        self.world().acts
    }

    /// How many operations of this kind there were so far.
    pub fn calls(&self, call: Call) -> u64 {
        self.world().plan.count(call)
    }

    /// The machine goes off at the `act`th changing operation, counted from 1: it takes effect as
    /// far as it would without a sync, then everything fails.
    pub fn crash_at(&self, act: u64) {
        self.world().crash_at = Some(act);
    }

    /// The `nth` operation of this kind from now on fails, counted from 1.
    pub fn fail(&self, call: Call, nth: u64, failure: Failure) {
        self.world().plan.fail(call, nth, failure);
    }

    /// Whether every operation that was to fail has failed.
    pub fn has_failed(&self) -> bool {
        self.world().plan.is_done()
    }

    /// The `count`th sync of a file from now on fails; what it should have made durable never
    /// will be, though it can still be read.
    pub fn fail_sync(&self, count: u64) {
        self.fail(Call::Sync, count, Failure::Error);
    }

    /// The `count`th write from now on fails half way.
    pub fn fail_write(&self, count: u64) {
        self.fail(Call::Write, count, Failure::Error);
    }

    /// From the `act`th changing operation on, counted from 1, no more space is left than was used
    /// before it.
    pub fn full_at(&self, act: u64) {
        self.world().full_at = Some(act);
    }

    /// Bytes of all files.
    pub fn used_bytes(&self) -> u64 {
        self.world().used_bytes()
    }

    /// How many bytes of files fit; `None` is no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.world().capacity = bytes;
    }

    /// Whether reads that must not wait find nothing in memory.
    pub fn set_cold(&self, is_cold: bool) {
        self.world().is_cold = is_cold;
    }

    /// The disk another process finds after a crash at this moment.
    pub fn crash(&self, survival: Survival) -> Self {
        let world = self.world().after_crash(survival);
        Self { world: Arc::new(Mutex::new(world)) }
    }

    /// The disk another process of this machine finds after this one has ended: with all that was
    /// written, synced or not.
    pub fn kill(&self) -> Self {
        let world = self.world().after_kill();
        Self { world: Arc::new(Mutex::new(world)) }
    }

    /// Whether everything is synced, so that every crash leaves the same.
    pub fn is_settled(&self) -> bool {
        self.world().is_settled()
    }

    /// Keeps a copy of the disk before each changing operation from now on.
    pub fn keep_moments(&self) {
        self.world().moments = Some(Vec::new());
    }

    /// The copies kept so far, in order; no more are kept.
    pub fn take_moments(&self) -> Vec<Self> {
        let moments = self.world().moments.take().unwrap_or_default();
        moments.into_iter().map(|world| Self { world: Arc::new(Mutex::new(world)) }).collect()
    }

    /// All files, in order of their names.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.world().paths()
    }

    /// Changes the contents of a file behind everybody's back.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        self.world().damage(path, change);
    }

    /// The contents of a file.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        self.world().contents(path)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for FaultDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.world().create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.world().list(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let inode = self.world().create(path)?;
        Ok(Arc::new(FaultFile { disk: self.clone(), inode }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let inode = self.world().open(path)?;
        Ok(Arc::new(FaultFile { disk: self.clone(), inode }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.world().rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.world().remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.world().sync_dir(dir)
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        self.world().free_bytes()
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        if !self.world().lock(path)? {
            return Ok(None);
        }
        Ok(Some(Box::new(FaultLock { disk: self.clone(), path: path.to_path_buf() })))
    }

    /// Counts, so that the same acts leave the same bytes.
    fn draw_identity(&self) -> io::Result<[u8; 16]> {
        Ok(self.world().draw_identity().to_le_bytes())
    }
}

#[derive(Debug)]
struct FaultFile {
    disk: FaultDisk,
    inode: usize,
}

impl DiskFile for FaultFile {
    fn len_bytes(&self) -> io::Result<u64> {
        self.disk.world().len_bytes(self.inode)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.disk.world().read_at(self.inode, buffer, at)
    }

    fn read_cached_at(&self, buffer: &mut [u8], at: u64) -> io::Result<Option<usize>> {
        let mut world = self.disk.world();
        if world.is_cold {
            return Ok(None);
        }
        let count = world.read_at(self.inode, buffer, at)?;
        Ok((count == buffer.len()).then_some(count))
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.disk.world().write_at(self.inode, bytes, at)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.disk.world().allocate(self.inode, bytes)
    }

    fn shrink(&self, bytes: u64) -> io::Result<()> {
        self.disk.world().shrink(self.inode, bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.world().sync_data(self.inode)
    }
}

#[derive(Debug)]
struct FaultLock {
    disk: FaultDisk,
    path: PathBuf,
}

impl DiskLock for FaultLock {}

impl Drop for FaultLock {
    fn drop(&mut self) {
        self.disk.world().locks.remove(&self.path);
    }
}
