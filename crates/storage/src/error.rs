//! What can go wrong, by what the caller must do.

use std::path::PathBuf;

/// Why the store could not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk is too full for records; delete or wait for retention, then try again.
    #[error("no space left for records in the data folder: {0}")]
    NoSpace(String),
    /// Too many bytes wait for a sync; try again shortly.
    #[error("too many bytes wait for the disk")]
    Overloaded,
    /// A write or sync failed. Final for this process: stop, look at the disk, start again.
    #[error("the store has stopped after a failed write: {0}")]
    Failed(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// A file holds bytes that were not written by the store: restore it or accept the loss.
    #[error("damaged file {path} at byte {position}: {what}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// What does not fit.
        what: String,
    },
    /// Another process has the data folder open.
    #[error("the data folder {0} is in use by another process")]
    Locked(PathBuf),
    /// The data folder was written by another version; it was not touched.
    #[error("the data folder {path} has format {found}, this version reads {supported}")]
    UnknownFormat {
        /// The folder.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What can be read.
        supported: String,
    },
    /// The caller broke the contract (a key too long, a payload too large, an offset twice).
    #[error("invalid use of the store: {0}")]
    Invalid(String),
    /// What a record says cannot be understood: it was written by another version, or is damaged.
    #[error("a stored record cannot be read: {0}")]
    Unreadable(String),
    /// Reading failed; the same call may succeed later.
    #[error("cannot use {path}: {message}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's words.
        message: String,
    },
}
