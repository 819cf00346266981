//! The default engine: one append-only log in segments for all shards of a process.
//!
//! - `committer` turns what callers queue into frames, one write and one sync each.
//! - `index` finds records: sixteen bytes a channel, entries of the open segments, index files of
//!   sealed ones. The log is the truth; everything else is made from it.
//! - `housekeeper` prepares and recycles segment files and seals full ones, beside the commits;
//!   `compaction` writes those again that are mostly of no use.
//! - `checkpoint` bounds how much of the log `recovery` has to replay.

mod blocking;
mod breath;
mod checkpoint;
mod codec;
mod committer;
mod compaction;
mod engine;
mod entries;
mod files;
mod format;
mod heads;
mod housekeeper;
mod index;
mod layout;
mod meta;
mod options;
mod queue;
mod reader;
mod record;
mod recovery;
mod replay;
mod rewriting;
mod scan;
mod sealed;
mod sealing;
mod snapshot;
mod span;
mod store;
mod survey;

pub use options::LogOptions;
pub use store::{Drive, LogStore};
