//! What a disk is asked to do, counted, and which of it fails.

use std::collections::BTreeMap;
use std::io;

/// A kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "named after the operations of the disk")]
pub enum Call {
    CreateDir,
    List,
    Create,
    Open,
    Rename,
    Remove,
    SyncDir,
    FreeBytes,
    Lock,
    Length,
    Read,
    Write,
    Allocate,
    Shrink,
    Sync,
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::CreateDir,
        Self::List,
        Self::Create,
        Self::Open,
        Self::Rename,
        Self::Remove,
        Self::SyncDir,
        Self::FreeBytes,
        Self::Lock,
        Self::Length,
        Self::Read,
        Self::Write,
        Self::Allocate,
        Self::Shrink,
        Self::Sync,
    ];

    /// Whether it changes what is on the disk, or what survives a crash.
    pub fn changes(self) -> bool {
        !matches!(self, Self::List | Self::Open | Self::FreeBytes | Self::Length | Self::Read)
    }
}

/// How an operation fails. A failed write has come half way; what a failed sync should have made
/// durable never will be, though it can still be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The device reports an error.
    Error,
    /// No space is left.
    NoSpace,
    /// A read ends after so many 256ths of its bytes and reports no error, as if the file ended
    /// there. Other operations take it for [`Failure::Error`].
    Short(u8),
}

impl Failure {
    pub(super) fn error(self) -> io::Error {
        match self {
            Self::NoSpace => io::ErrorKind::StorageFull.into(),
            Self::Error | Self::Short(_) => io::Error::other("input/output error"),
        }
    }
}

/// Operations counted, and those that are to fail.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    counts: BTreeMap<Call, u64>,
    due: Vec<(Call, u64, Failure)>,
}

impl Plan {
    pub(super) fn count(&self, call: Call) -> u64 {
        self.counts.get(&call).copied().unwrap_or(0)
    }

    /// The `nth` operation of this kind from now on fails, counted from 1.
    pub(super) fn fail(&mut self, call: Call, nth: u64, failure: Failure) {
        self.due.push((call, self.count(call) + nth, failure));
    }

    pub(super) fn is_done(&self) -> bool {
        self.due.is_empty()
    }

    /// Counts an operation; how it fails, if it is to.
    pub(super) fn take(&mut self, call: Call) -> Option<Failure> {
        let count = self.counts.entry(call).or_default();
        *count += 1;
        let at = self.due.iter().position(|(due, nth, _)| (*due, *nth) == (call, *count))?;
        Some(self.due.swap_remove(at).2)
    }
}
