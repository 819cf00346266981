//! What a crash leaves of that which was not synced.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::world::{Entry, Inode, NameChange, SECTOR_BYTES, World};

/// What survives of that which was not synced. Numbers are seeds; the same seed decides the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// None of it.
    Nothing,
    /// All of it.
    Everything,
    /// The sectors and names up to some point, the last sector torn.
    Prefix(u64),
    /// Any of the sectors, some torn, and the names of each folder up to some point.
    Some(u64),
    /// All but the last sector of each file, which is torn.
    TornEnd(u64),
    /// All names and lengths, but no contents: where files grew they hold zeros, elsewhere what
    /// was there before.
    Zeros,
    /// All names and lengths, but no contents: where files grew they hold what other files once
    /// held, elsewhere what was there before.
    Stale(u64),
}

impl World {
    /// What another machine finds on the disk after this one went off.
    pub(super) fn after_crash(&self, survival: Survival) -> Self {
        let mut dice = Dice::of(survival);
        let names = self.names_after_crash(&mut dice);
        let inodes: Vec<Inode> =
            self.inodes.iter().map(|file| file.after_crash(&mut dice, &self.inodes)).collect();
        Self {
            durable_names: names.clone(),
            names,
            inodes,
            identities: self.identities,
            ..Self::default()
        }
    }

    fn names_after_crash(&self, dice: &mut Dice) -> BTreeMap<PathBuf, Entry> {
        let mut names = self.durable_names.clone();
        let mut kept_of_dir = BTreeMap::new();
        let kept = dice.kept(self.pending_names.len());
        for (ordinal, change) in self.pending_names.iter().enumerate() {
            let survives = match dice.survival {
                Survival::Some(_) => {
                    let dir = change.dir();
                    let pending = self.pending_names.iter().filter(|other| other.dir() == dir);
                    let left = kept_of_dir.entry(dir).or_insert_with(|| dice.kept(pending.count()));
                    let survives = *left > 0;
                    *left = left.saturating_sub(1);
                    survives
                }
                _ => ordinal < kept,
            };
            if survives {
                change.apply(&mut names);
            }
        }
        // A name is found through its folders only.
        let is_reachable = |path: &PathBuf, names: &BTreeMap<PathBuf, Entry>| {
            path.ancestors()
                .skip(1)
                .filter(|dir| dir.parent().is_some())
                .all(|dir| names.contains_key(dir))
        };
        let lost: Vec<PathBuf> =
            names.keys().filter(|path| !is_reachable(path, &names)).cloned().collect();
        names.retain(|path, _| !lost.contains(path));
        names
    }

    /// Whether a crash now would leave the same, whatever survives.
    pub(super) fn is_settled(&self) -> bool {
        self.pending_names.is_empty() && self.inodes.iter().all(Inode::is_settled)
    }
}

impl NameChange {
    pub(super) fn apply(&self, names: &mut BTreeMap<PathBuf, Entry>) {
        for (path, entry) in &self.names {
            match entry {
                Some(entry) => names.insert(path.clone(), *entry),
                None => names.remove(path),
            };
        }
    }
}

impl Inode {
    pub(super) fn is_settled(&self) -> bool {
        self.dirty.is_empty() && self.live.len() == self.durable.len()
    }

    fn after_crash(&self, dice: &mut Dice, others: &[Self]) -> Self {
        if self.is_settled() {
            let found = Arc::clone(&self.durable);
            return Self { live: Arc::clone(&found), durable: found, dirty: BTreeSet::new() };
        }
        let mut found = self.durable.to_vec();
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
        if dice.keeps_length(prefix == self.dirty.len()) {
            let grown_from = found.len();
            found.resize(self.live.len(), 0);
            if let Survival::Stale(_) = dice.survival {
                let other = &others[dice.below(others.len())].live;
                for (at, byte) in found.iter_mut().enumerate().skip(grown_from) {
                    *byte = other.get(at).copied().unwrap_or(0xA5);
                }
            }
        }
        let found = Arc::new(found);
        Self { live: Arc::clone(&found), durable: found, dirty: BTreeSet::new() }
    }
}

/// Decides what survives.
struct Dice {
    survival: Survival,
    state: u64,
}

impl Dice {
    fn of(survival: Survival) -> Self {
        let seed = match survival {
            Survival::Nothing | Survival::Everything | Survival::Zeros => 0,
            Survival::Prefix(seed)
            | Survival::Some(seed)
            | Survival::TornEnd(seed)
            | Survival::Stale(seed) => seed,
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
            Survival::Everything | Survival::Zeros | Survival::Stale(_) => count,
            Survival::TornEnd(_) => count,
            Survival::Prefix(_) | Survival::Some(_) => self.below(count + 1),
        }
    }

    /// How many bytes of a sector survive, given how many whole ones do.
    fn bytes_of_sector(&mut self, ordinal: usize, prefix: usize) -> usize {
        match self.survival {
            Survival::Zeros | Survival::Stale(_) => 0,
            Survival::Prefix(_) if ordinal == prefix => self.below(SECTOR_BYTES),
            Survival::TornEnd(_) if ordinal + 1 == prefix => self.below(SECTOR_BYTES),
            Survival::Nothing
            | Survival::Everything
            | Survival::Prefix(_)
            | Survival::TornEnd(_) => {
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

    /// Whether a file has the length it was given, and not the one its surviving sectors need.
    fn keeps_length(&mut self, is_whole: bool) -> bool {
        match self.survival {
            Survival::Nothing => false,
            Survival::Everything | Survival::TornEnd(_) | Survival::Zeros | Survival::Stale(_) => {
                true
            }
            Survival::Prefix(_) => is_whole,
            Survival::Some(_) => self.below(2) == 0,
        }
    }
}
