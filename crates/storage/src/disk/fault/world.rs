//! The state of the disk: what a process sees, and what would be found after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::plan::{Call, Failure, Plan};

/// What a device writes whole or not at all, unless it is torn.
pub(super) const SECTOR_BYTES: usize = 512;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Dir,
    File(usize),
}

/// A file.
#[derive(Debug, Clone, Default)]
pub(super) struct Inode {
    pub(super) live: Arc<Vec<u8>>,
    pub(super) durable: Arc<Vec<u8>>,
    /// Sectors of `live` that were written since the last sync.
    pub(super) dirty: BTreeSet<usize>,
}

/// Names of one folder that now stand for something else, or nothing, all at once.
#[derive(Debug, Clone)]
pub(super) struct NameChange {
    pub(super) names: Vec<(PathBuf, Option<Entry>)>,
}

impl NameChange {
    pub(super) fn dir(&self) -> Option<&Path> {
        self.names.first().and_then(|(path, _)| path.parent())
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct World {
    pub(super) names: BTreeMap<PathBuf, Entry>,
    pub(super) durable_names: BTreeMap<PathBuf, Entry>,
    pub(super) pending_names: Vec<NameChange>,
    pub(super) inodes: Vec<Inode>,
    pub(super) locks: BTreeSet<PathBuf>,
    pub(super) identities: u128,
    pub(super) acts: u64,
    pub(super) crash_at: Option<u64>,
    pub(super) full_at: Option<u64>,
    pub(super) capacity: Option<u64>,
    pub(super) is_cold: bool,
    pub(super) plan: Plan,
    /// The disk before each act since this was asked for.
    pub(super) moments: Option<Vec<World>>,
    pub(super) is_off: bool,
}

impl World {
    /// Counts an operation. An error when it has to fail, before it had any effect.
    fn begin(&mut self, call: Call) -> io::Result<()> {
        match self.count(call)? {
            Some(failure) => Err(failure.error()),
            None => Ok(()),
        }
    }

    fn count(&mut self, call: Call) -> io::Result<Option<Failure>> {
        if self.is_off {
            return Err(io::Error::other("the machine is off"));
        }
        if call.changes() {
            self.keep_moment();
            self.acts += 1;
            self.is_off = self.crash_at == Some(self.acts);
            if self.full_at == Some(self.acts) {
                self.capacity = Some(self.used_bytes());
            }
        }
        Ok(self.plan.take(call))
    }

    fn end(&self) -> io::Result<()> {
        if self.is_off { Err(io::Error::other("the machine went off")) } else { Ok(()) }
    }

    fn keep_moment(&mut self) {
        if let Some(mut moments) = self.moments.take() {
            moments.push(self.clone());
            self.moments = Some(moments);
        }
    }

    /// What another process of the same machine finds.
    pub(super) fn after_kill(&self) -> Self {
        Self {
            names: self.names.clone(),
            durable_names: self.durable_names.clone(),
            pending_names: self.pending_names.clone(),
            inodes: self.inodes.clone(),
            identities: self.identities,
            ..Self::default()
        }
    }

    pub(super) fn draw_identity(&mut self) -> u128 {
        self.identities += 1;
        self.identities
    }

    pub(super) fn create_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.begin(Call::CreateDir)?;
        let missing: Vec<PathBuf> = dir
            .ancestors()
            .filter(|dir| dir.parent().is_some() && !self.names.contains_key(*dir))
            .map(Path::to_path_buf)
            .collect();
        for dir in missing.into_iter().rev() {
            self.change_names(vec![(dir, Some(Entry::Dir))]);
        }
        self.end()
    }

    pub(super) fn list(&mut self, dir: &Path) -> io::Result<Vec<String>> {
        self.begin(Call::List)?;
        if !self.has_dir(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = self.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect())
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<usize> {
        self.begin(Call::Create)?;
        if !path.parent().is_some_and(|dir| self.has_dir(dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inode = match self.file(path) {
            Ok(inode) => {
                self.inodes[inode].live = Arc::default();
                self.inodes[inode].dirty.clear();
                inode
            }
            Err(_) => {
                self.inodes.push(Inode::default());
                let inode = self.inodes.len() - 1;
                self.change_names(vec![(path.to_path_buf(), Some(Entry::File(inode)))]);
                inode
            }
        };
        self.end()?;
        Ok(inode)
    }

    pub(super) fn open(&mut self, path: &Path) -> io::Result<usize> {
        self.begin(Call::Open)?;
        self.file(path)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.begin(Call::Rename)?;
        let inode = self.file(from)?;
        let moved = (to.to_path_buf(), Some(Entry::File(inode)));
        self.change_names(vec![(from.to_path_buf(), None), moved]);
        self.end()
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.begin(Call::Remove)?;
        self.file(path)?;
        self.change_names(vec![(path.to_path_buf(), None)]);
        self.end()
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.begin(Call::SyncDir)?;
        self.end()?;
        if !self.has_dir(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let changes = std::mem::take(&mut self.pending_names);
        let (synced, pending): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|change| change.dir() == Some(dir));
        self.pending_names = pending;
        synced.iter().for_each(|change| change.apply(&mut self.durable_names));
        Ok(())
    }

    pub(super) fn free_bytes(&mut self) -> io::Result<u64> {
        self.begin(Call::FreeBytes)?;
        Ok(self.free())
    }

    pub(super) fn lock(&mut self, path: &Path) -> io::Result<bool> {
        self.begin(Call::Lock)?;
        Ok(self.locks.insert(path.to_path_buf()))
    }

    pub(super) fn len_bytes(&mut self, inode: usize) -> io::Result<u64> {
        self.begin(Call::Length)?;
        Ok(self.inodes[inode].live.len() as u64)
    }

    pub(super) fn read_at(
        &mut self,
        inode: usize,
        buffer: &mut [u8],
        at: u64,
    ) -> io::Result<usize> {
        let part = match self.count(Call::Read)? {
            None => 256,
            Some(Failure::Short(part)) => usize::from(part),
            Some(failure) => return Err(failure.error()),
        };
        let live = &self.inodes[inode].live;
        let from = live.len().min(at as usize);
        let whole = buffer.len().min(live.len() - from);
        let count = whole * part / 256;
        buffer[..count].copy_from_slice(&live[from..from + count]);
        Ok(count)
    }

    pub(super) fn write_at(&mut self, inode: usize, bytes: &[u8], at: u64) -> io::Result<()> {
        let failure = self.count(Call::Write)?;
        // A write that fails may have come half way.
        let written = if failure.is_some() { bytes.len() / 2 } else { bytes.len() };
        let (start, end) = (at as usize, at as usize + written);
        self.grow(inode, end)?;
        let file = &mut self.inodes[inode];
        Arc::make_mut(&mut file.live)[start..end].copy_from_slice(&bytes[..written]);
        file.dirty.extend(start / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES));
        match failure {
            Some(failure) => Err(failure.error()),
            None => self.end(),
        }
    }

    pub(super) fn allocate(&mut self, inode: usize, bytes: u64) -> io::Result<()> {
        self.begin(Call::Allocate)?;
        let before = self.inodes[inode].live.len();
        self.grow(inode, bytes as usize)?;
        let sectors = before / SECTOR_BYTES..(bytes as usize).div_ceil(SECTOR_BYTES);
        self.inodes[inode].dirty.extend(sectors);
        self.end()
    }

    /// At once, as nothing says that it will not be.
    pub(super) fn shrink(&mut self, inode: usize, bytes: u64) -> io::Result<()> {
        self.begin(Call::Shrink)?;
        let Inode { live, durable, dirty } = &mut self.inodes[inode];
        Arc::make_mut(live).truncate(bytes as usize);
        Arc::make_mut(durable).truncate(bytes as usize);
        dirty.retain(|sector| ((sector * SECTOR_BYTES) as u64) < bytes);
        self.end()
    }

    pub(super) fn sync_data(&mut self, inode: usize) -> io::Result<()> {
        if let Some(failure) = self.count(Call::Sync)? {
            // The system calls the pages clean all the same.
            self.inodes[inode].dirty.clear();
            return Err(failure.error());
        }
        self.end()?;
        let Inode { live, durable, dirty } = &mut self.inodes[inode];
        if !dirty.is_empty() || live.len() != durable.len() {
            let durable = Arc::make_mut(durable);
            durable.resize(live.len(), 0);
            for sector in std::mem::take(dirty) {
                let start = sector * SECTOR_BYTES;
                let end = (start + SECTOR_BYTES).min(live.len());
                durable[start..end].copy_from_slice(&live[start..end]);
            }
        }
        Ok(())
    }

    pub(super) fn damage(&mut self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let inode = self.file(path).unwrap();
        let file = &mut self.inodes[inode];
        change(Arc::make_mut(&mut file.live));
        file.durable = Arc::clone(&file.live);
        file.dirty.clear();
    }

    pub(super) fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        self.file(path).ok().map(|inode| self.inodes[inode].live.to_vec())
    }

    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let files = self.names.iter().filter(|(_, entry)| matches!(entry, Entry::File(_)));
        files.map(|(path, _)| path.clone()).collect()
    }

    pub(super) fn used_bytes(&self) -> u64 {
        let bytes_of = |entry: &Entry| match entry {
            Entry::File(inode) => self.inodes[*inode].live.len() as u64,
            Entry::Dir => 0,
        };
        self.names.values().map(bytes_of).sum()
    }

    fn free(&self) -> u64 {
        self.capacity.map_or(u64::MAX / 2, |capacity| capacity.saturating_sub(self.used_bytes()))
    }

    fn has_dir(&self, dir: &Path) -> bool {
        dir.parent().is_none() || self.names.get(dir) == Some(&Entry::Dir)
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.names.get(path) {
            Some(Entry::File(inode)) => Ok(*inode),
            Some(Entry::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn change_names(&mut self, names: Vec<(PathBuf, Option<Entry>)>) {
        let change = NameChange { names };
        change.apply(&mut self.names);
        self.pending_names.push(change);
    }

    fn grow(&mut self, inode: usize, bytes: usize) -> io::Result<()> {
        let more = bytes.saturating_sub(self.inodes[inode].live.len());
        if more as u64 > self.free() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if more > 0 {
            Arc::make_mut(&mut self.inodes[inode].live).resize(bytes, 0);
        }
        Ok(())
    }
}
