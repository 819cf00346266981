//! The seeds of every target, made from real code: what shards and brokers write down, what SDKs ask for.
//!
//! They are kept in `corpus`, as the fuzzer wants files. A test compares the files with what is made here,
//! so that no seed outlives its format, and looks that every kind of record and every call has one.

mod doors;
mod files;
mod shards;
mod state;

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Seeds by target and name.
#[derive(Debug, Default)]
pub struct Seeds(BTreeMap<(&'static str, String), Vec<u8>>);

impl Seeds {
    /// All seeds of all targets.
    pub fn all() -> Self {
        let mut seeds = Self::default();
        files::make(&mut seeds);
        state::make(&mut seeds);
        doors::make(&mut seeds);
        seeds
    }

    /// Each seed: its target, its name, its bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str, &[u8])> {
        self.0.iter().map(|((target, name), bytes)| (*target, name.as_str(), bytes.as_slice()))
    }

    /// Keeps a seed of a target under the name of what it is.
    fn keep(&mut self, target: &'static str, name: &str, bytes: &[u8]) {
        let before = self.0.insert((target, name.to_owned()), bytes.to_vec());
        assert!(before.is_none(), "two seeds of {target} are named {name}");
    }
}

/// Where the seeds of a target are kept.
pub fn kept_dir(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// Whether a file of that folder was found by the fuzzer, which names it by a hash.
pub fn is_found(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}
