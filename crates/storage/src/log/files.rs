//! A bounded number of open files for readers, and reads that may refuse to wait.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::StoreError;
use crate::disk::{Disk, DiskFile};

use super::layout::Layout;

/// Files of old segments and indexes kept open at most.
const OPEN_FILES_MAX: usize = 256;

/// Whether a read may wait for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Only what is in memory.
    Cached,
    /// Whatever it takes.
    Waiting,
}

/// Why bytes could not be read.
#[derive(Debug)]
pub(super) enum ReadFault {
    /// Not in memory, and the caller did not want to wait.
    WouldWait,
    /// The system refused.
    Io(io::Error),
    /// The bytes are not what was written.
    Damaged(&'static str),
}

impl From<io::Error> for ReadFault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads up to `buffer.len()` bytes; fewer only at the end of the file.
pub(super) fn read_some(
    file: &dyn DiskFile,
    buffer: &mut [u8],
    at: u64,
    access: Access,
) -> Result<usize, ReadFault> {
    match access {
        Access::Waiting => Ok(read_waiting(file, buffer, at)?),
        Access::Cached => file.read_cached_at(buffer, at)?.ok_or(ReadFault::WouldWait),
    }
}

/// Reads up to `buffer.len()` bytes; fewer only at the end of the file. An error says where.
pub(super) fn read_waiting(file: &dyn DiskFile, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    file.read_at(buffer, at)
        .map_err(|error| io::Error::new(error.kind(), format!("reading at byte {at}: {error}")))
}

/// Fills `buffer`.
pub(super) fn read_full(
    file: &dyn DiskFile,
    buffer: &mut [u8],
    at: u64,
    access: Access,
) -> Result<(), ReadFault> {
    let wanted = buffer.len();
    match read_some(file, buffer, at, access)? {
        count if count == wanted => Ok(()),
        _ => Err(ReadFault::Damaged("the file is too short")),
    }
}

/// An [`StoreError::Io`] about a file.
pub(super) fn io_error(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Io { path: path.to_path_buf(), message: error.to_string() }
}

/// A [`StoreError::Corrupt`] about a file.
pub(super) fn corrupt(path: &Path, position: u64, what: impl Into<String>) -> StoreError {
    StoreError::Corrupt { path: path.to_path_buf(), position, what: what.into() }
}

/// What bytes that could not be read from a file mean to the caller of the store.
pub(super) fn read_error(path: &Path, position: u64, fault: ReadFault) -> StoreError {
    match fault {
        ReadFault::Io(error) => io_error(path, &error),
        ReadFault::Damaged(what) => corrupt(path, position, what),
        ReadFault::WouldWait => corrupt(path, position, "it cannot be read"),
    }
}

/// Which file of the data folder: a segment or its index, and how often this process has compacted
/// it, so that who still looks for what was there before never opens the new file for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum FileKey {
    Segment(u32, Life),
    Index(u32, Life),
}

/// How often a segment was compacted since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Life(pub(super) u32);

impl FileKey {
    pub(super) fn path(self, layout: &Layout) -> PathBuf {
        match self {
            Self::Segment(number, _) => layout.segment(number),
            Self::Index(number, _) => layout.index(number),
        }
    }
}

/// Files opened on demand; the one not used for longest is closed first.
#[derive(Debug)]
pub(super) struct OpenFiles {
    disk: Arc<dyn Disk>,
    layout: Layout,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    files: HashMap<FileKey, Used>,
    uses: u64,
}

#[derive(Debug)]
struct Used {
    file: Arc<dyn DiskFile>,
    last_use: u64,
}

impl OpenFiles {
    pub(super) fn new(disk: Arc<dyn Disk>, layout: Layout) -> Self {
        Self { disk, layout, open: Mutex::default() }
    }

    pub(super) fn get(&self, key: FileKey) -> io::Result<Arc<dyn DiskFile>> {
        {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.uses += 1;
            let uses = open.uses;
            if let Some(used) = open.files.get_mut(&key) {
                used.last_use = uses;
                return Ok(Arc::clone(&used.file));
            }
        }
        let file = self.disk.open(&key.path(&self.layout))?;
        self.keep(key, Arc::clone(&file));
        Ok(file)
    }

    /// Takes over a file that is open already.
    pub(super) fn keep(&self, key: FileKey, file: Arc<dyn DiskFile>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.uses += 1;
        if open.files.len() >= OPEN_FILES_MAX {
            let oldest =
                open.files.iter().min_by_key(|(_, used)| used.last_use).map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                open.files.remove(&oldest);
            }
        }
        let last_use = open.uses;
        open.files.insert(key, Used { file, last_use });
    }

    pub(super) fn forget(&self, key: FileKey) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).files.remove(&key);
    }
}
