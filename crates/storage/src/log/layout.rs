//! Names of files in a data folder.

use std::path::{Path, PathBuf};

/// Extension of files that are being written; removed when found at start.
pub(super) const UNFINISHED: &str = "new";
/// Extension of log files that wait for another life.
pub(super) const RETIRED: &str = "old";
/// Extension of segments.
pub(super) const LOG: &str = "log";
/// Extension of segment indexes.
pub(super) const INDEX: &str = "idx";
/// Extension of checkpoints.
pub(super) const CHECKPOINT: &str = "ckpt";

/// The paths of a data folder.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) root: PathBuf,
    pub(super) log_dir: PathBuf,
    pub(super) index_dir: PathBuf,
    pub(super) checkpoint_dir: PathBuf,
}

impl Layout {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
            log_dir: root.join("log"),
            index_dir: root.join("idx"),
            checkpoint_dir: root.join("ckpt"),
        }
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.root.join("LOCK")
    }

    pub(super) fn meta(&self) -> PathBuf {
        self.root.join("META")
    }

    pub(super) fn segment(&self, number: u32) -> PathBuf {
        numbered(&self.log_dir, number, LOG)
    }

    pub(super) fn index(&self, number: u32) -> PathBuf {
        numbered(&self.index_dir, number, INDEX)
    }

    pub(super) fn checkpoint(&self, number: u32) -> PathBuf {
        numbered(&self.checkpoint_dir, number, CHECKPOINT)
    }
}

/// The name a file has until it is complete.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    path.with_extension(UNFINISHED)
}

/// The file of this number and kind in `dir`.
pub(super) fn numbered(dir: &Path, number: u32, extension: &str) -> PathBuf {
    dir.join(format!("{number:08}.{extension}"))
}

/// The number in a name made by [`numbered`] with this extension.
pub(super) fn number_of(name: &str, extension: &str) -> Option<u32> {
    let (number, found) = name.split_once('.')?;
    let well_formed = found == extension && number.len() >= 8;
    number.parse().ok().filter(|_| well_formed)
}
