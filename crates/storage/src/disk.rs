//! The few file operations the log engine needs. Every access to a data folder goes through
//! [`Disk`], so that a test can fail, tear and lose what a real disk can.

#[cfg(any(test, feature = "testing"))]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "for tests: it may panic")]
mod fault;
mod real;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

#[cfg(any(test, feature = "testing"))]
pub use fault::{Call, Failure, FaultDisk, Survival};
pub use real::RealDisk;

/// A place for files. What is not synced may be lost or half there after a crash: file contents
/// until [`DiskFile::sync_data`], names until [`Disk::sync_dir`] of their folder.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Makes a folder and its parents; fine when it is there.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// The names in a folder, in any order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Makes an empty file, or empties the one that is there.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file that is there, for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name, replacing what had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder survive a crash.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Bytes that may still be written to the file system of `dir`.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
    /// Takes the exclusive lock of a file, making the file if needed; `None` when it is taken.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>>;
    /// A number that nothing else has, for a file to be known by.
    fn draw_identity(&self) -> io::Result<[u8; 16]> {
        let mut identity = [0; 16];
        getrandom::fill(&mut identity).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(identity)
    }
}

/// An open file. Offsets are explicit, so a handle can be shared.
pub trait DiskFile: fmt::Debug + Send + Sync + 'static {
    /// Length in bytes.
    fn len_bytes(&self) -> io::Result<u64>;
    /// Fills `buffer` from `at`; fewer bytes only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;
    /// The same without waiting for a device: `None` when not all of it is in memory.
    fn read_cached_at(&self, buffer: &mut [u8], at: u64) -> io::Result<Option<usize>>;
    /// Writes all of `bytes` at `at`.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Reserves space for `bytes` bytes, so that filling them cannot run out of it.
    fn allocate(&self, bytes: u64) -> io::Result<()>;
    /// Cuts the file off behind its first `bytes` bytes. It may survive a crash from now on.
    fn shrink(&self, bytes: u64) -> io::Result<()>;
    /// Makes what was written survive a crash.
    fn sync_data(&self) -> io::Result<()>;
}

/// A held lock; dropping it lets go.
pub trait DiskLock: fmt::Debug + Send + Sync {}
