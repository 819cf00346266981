//! The state of the disk and what a crash leaves of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// What a device writes whole or not at all, unless it is torn.
const SECTOR_BYTES: usize = 512;

/// What survives of that which was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// None of it.
    Nothing,
    /// All of it.
    Everything,
    /// The sectors and names up to some point, the last sector torn.
    Prefix(u64),
    /// Any of the sectors, some torn, and names up to some point.
    Some(u64),
}

/// What is being done, for the faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Write,
    Sync,
    Other,
}

#[derive(Debug, Clone, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors of `live` that were written since the last sync.
    dirty: BTreeSet<usize>,
}

/// A name that now means this file, or nothing.
#[derive(Debug, Clone)]
struct NameChange {
    names: Vec<(PathBuf, Option<usize>)>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct World {
    pub(super) names: BTreeMap<PathBuf, usize>,
    pub(super) locks: BTreeSet<PathBuf>,
    pub(super) acts: u64,
    pub(super) crash_at: Option<u64>,
    pub(super) fail_sync: Option<u64>,
    pub(super) fail_write: Option<u64>,
    pub(super) capacity: Option<u64>,
    pub(super) is_cold: bool,
    is_off: bool,
    identities: u128,
    inodes: Vec<Inode>,
    dirs: BTreeSet<PathBuf>,
    durable_names: BTreeMap<PathBuf, usize>,
    pending_names: Vec<NameChange>,
}

impl World {
    /// Counts a changing operation; whether the machine goes off with it.
    pub(super) fn act(&mut self, act: Act) -> io::Result<bool> {
        if self.is_off {
            return Err(io::Error::other("the machine is off"));
        }
        self.acts += 1;
        self.is_off = self.crash_at == Some(self.acts);
        let due = match act {
            Act::Write => &mut self.fail_write,
            Act::Sync => &mut self.fail_sync,
            Act::Other => return Ok(self.is_off),
        };
        if let Some(count) = due {
            *count -= 1;
            if *count == 0 {
                *due = None;
                return Err(io::Error::other("input/output error"));
            }
        }
        Ok(self.is_off)
    }

    fn end_act(is_off: bool) -> io::Result<()> {
        if is_off { Err(io::Error::other("the machine went off")) } else { Ok(()) }
    }

    pub(super) fn draw_identity(&mut self) -> u128 {
        self.identities += 1;
        self.identities
    }

    pub(super) fn create_dir(&mut self, dir: &Path) -> io::Result<()> {
        let is_off = self.act(Act::Other)?;
        self.dirs.extend(dir.ancestors().map(Path::to_path_buf));
        Self::end_act(is_off)
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        if !self.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = self.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect())
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<usize> {
        let is_off = self.act(Act::Other)?;
        self.inodes.push(Inode::default());
        let inode = self.inodes.len() - 1;
        self.change_names(vec![(path.to_path_buf(), Some(inode))]);
        Self::end_act(is_off)?;
        Ok(inode)
    }

    pub(super) fn open(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let is_off = self.act(Act::Other)?;
        let inode = self.open(from)?;
        self.change_names(vec![(from.to_path_buf(), None), (to.to_path_buf(), Some(inode))]);
        Self::end_act(is_off)
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let is_off = self.act(Act::Other)?;
        self.open(path)?;
        self.change_names(vec![(path.to_path_buf(), None)]);
        Self::end_act(is_off)
    }

    fn change_names(&mut self, names: Vec<(PathBuf, Option<usize>)>) {
        let change = NameChange { names };
        change.apply(&mut self.names);
        self.pending_names.push(change);
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        Self::end_act(self.act(Act::Other)?)?;
        let in_dir =
            |change: &NameChange| change.names.iter().any(|(path, _)| path.parent() == Some(dir));
        let (synced, pending) =
            std::mem::take(&mut self.pending_names).into_iter().partition(in_dir);
        self.pending_names = pending;
        let synced: Vec<NameChange> = synced;
        synced.iter().for_each(|change| change.apply(&mut self.durable_names));
        Ok(())
    }

    pub(super) fn free_bytes(&self) -> u64 {
        let used: usize = self.names.values().map(|inode| self.inodes[*inode].live.len()).sum();
        self.capacity.map_or(u64::MAX / 2, |capacity| capacity.saturating_sub(used as u64))
    }

    pub(super) fn len_bytes(&self, inode: usize) -> io::Result<u64> {
        Ok(self.inodes[inode].live.len() as u64)
    }

    pub(super) fn read_at(&self, inode: usize, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        if self.is_off {
            return Err(io::Error::other("the machine is off"));
        }
        let live = &self.inodes[inode].live;
        let from = live.len().min(at as usize);
        let count = buffer.len().min(live.len() - from);
        buffer[..count].copy_from_slice(&live[from..from + count]);
        Ok(count)
    }

    pub(super) fn write_at(&mut self, inode: usize, bytes: &[u8], at: u64) -> io::Result<()> {
        let outcome = self.act(Act::Write);
        // A write that fails may have come half way.
        let written = if outcome.is_err() { bytes.len() / 2 } else { bytes.len() };
        if self.is_off && outcome.is_err() {
            return outcome.map(|_| ());
        }
        let (start, end) = (at as usize, at as usize + written);
        self.grow(inode, end)?;
        let file = &mut self.inodes[inode];
        file.live[start..end].copy_from_slice(&bytes[..written]);
        file.dirty.extend(start / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES));
        Self::end_act(outcome?)
    }

    pub(super) fn allocate(&mut self, inode: usize, bytes: u64) -> io::Result<()> {
        let is_off = self.act(Act::Other)?;
        let before = self.inodes[inode].live.len();
        self.grow(inode, bytes as usize)?;
        let sectors = before / SECTOR_BYTES..(bytes as usize).div_ceil(SECTOR_BYTES);
        self.inodes[inode].dirty.extend(sectors);
        Self::end_act(is_off)
    }

    fn grow(&mut self, inode: usize, bytes: usize) -> io::Result<()> {
        let more = bytes.saturating_sub(self.inodes[inode].live.len());
        if more as u64 > self.free_bytes() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if more > 0 {
            self.inodes[inode].live.resize(bytes, 0);
        }
        Ok(())
    }

    pub(super) fn sync_data(&mut self, inode: usize) -> io::Result<()> {
        let outcome = self.act(Act::Sync);
        let file = &mut self.inodes[inode];
        match outcome {
            Ok(false) => {
                file.durable.resize(file.live.len(), 0);
                for sector in std::mem::take(&mut file.dirty) {
                    let start = sector * SECTOR_BYTES;
                    let end = (start + SECTOR_BYTES).min(file.live.len());
                    file.durable[start..end].copy_from_slice(&file.live[start..end]);
                }
                Ok(())
            }
            Ok(true) => Self::end_act(true),
            Err(error) => {
                // The system calls the pages clean all the same.
                file.dirty.clear();
                Err(error)
            }
        }
    }

    pub(super) fn damage(&mut self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let inode = self.names[path];
        let file = &mut self.inodes[inode];
        change(&mut file.live);
        file.durable.clone_from(&file.live);
        file.dirty.clear();
    }

    pub(super) fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        self.names.get(path).map(|inode| self.inodes[*inode].live.clone())
    }

    pub(super) fn after_crash(&self, survival: Survival) -> Self {
        let mut dice = Dice::of(survival);
        let mut names = self.durable_names.clone();
        let kept = dice.kept(self.pending_names.len());
        self.pending_names.iter().take(kept).for_each(|change| change.apply(&mut names));
        let inodes: Vec<Inode> =
            self.inodes.iter().map(|file| file.after_crash(&mut dice)).collect();
        Self {
            durable_names: names.clone(),
            names,
            inodes,
            dirs: self.dirs.clone(),
            identities: self.identities,
            ..Self::default()
        }
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        for (path, inode) in &self.names {
            match inode {
                Some(inode) => names.insert(path.clone(), *inode),
                None => names.remove(path),
            };
        }
    }
}

impl Inode {
    fn after_crash(&self, dice: &mut Dice) -> Self {
        let mut found = self.durable.clone();
        let prefix = dice.kept(self.dirty.len());
        for (ordinal, sector) in self.dirty.iter().enumerate() {
            let start = sector * SECTOR_BYTES;
            let end = (start + SECTOR_BYTES).min(self.live.len());
            let keep = dice.bytes_of_sector(ordinal, prefix).min(end.saturating_sub(start));
            if keep > 0 {
                if found.len() < end {
                    found.resize(end, 0);
                }
                found[start..start + keep].copy_from_slice(&self.live[start..start + keep]);
            }
        }
        Self { live: found.clone(), durable: found, dirty: BTreeSet::new() }
    }
}

/// Decides what survives; the same seed decides the same.
struct Dice {
    survival: Survival,
    state: u64,
}

impl Dice {
    fn of(survival: Survival) -> Self {
        let seed = match survival {
            Survival::Nothing | Survival::Everything => 0,
            Survival::Prefix(seed) | Survival::Some(seed) => seed,
        };
        Self { survival, state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1 }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state % bound as u64) as usize
    }

    /// How many of `count` changes in a row survive.
    fn kept(&mut self, count: usize) -> usize {
        match self.survival {
            Survival::Nothing => 0,
            Survival::Everything => count,
            Survival::Prefix(_) | Survival::Some(_) => self.below(count + 1),
        }
    }

    /// How many bytes of a sector survive, given how many whole ones do.
    fn bytes_of_sector(&mut self, ordinal: usize, prefix: usize) -> usize {
        match self.survival {
            Survival::Prefix(_) if ordinal == prefix => self.below(SECTOR_BYTES),
            Survival::Nothing | Survival::Everything | Survival::Prefix(_) => {
                if ordinal < prefix {
                    SECTOR_BYTES
                } else {
                    0
                }
            }
            Survival::Some(_) => match self.below(4) {
                0 => self.below(SECTOR_BYTES),
                1 => 0,
                _ => SECTOR_BYTES,
            },
        }
    }
}
