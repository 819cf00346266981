//! Every engine against the same suite.

#![allow(clippy::expect_used, reason = "tests")]

use std::sync::Arc;

use litemq_storage::conformance::{Fixture, OpenWith};
use litemq_storage::{LogOptions, LogStore, MemoryStore, ShardStore};

fn memory() -> impl Fixture {
    let mut present: Option<Arc<MemoryStore>> = None;
    OpenWith(move || -> Arc<dyn ShardStore> {
        let next = match &present {
            Some(before) => Arc::new(before.reopen()),
            None => Arc::new(MemoryStore::new()),
        };
        present = Some(Arc::clone(&next));
        next
    })
}

fn log(segment_bytes: u64) -> impl Fixture {
    let dir = tempfile::tempdir().expect("a scratch folder");
    OpenWith(move || -> Arc<dyn ShardStore> {
        let options = LogOptions {
            segment_bytes,
            reserve_bytes: segment_bytes / 4,
            free_bytes_min: 0,
            ..LogOptions::default()
        };
        Arc::new(LogStore::open(dir.path(), options).expect("the log opens"))
    })
}

litemq_storage::conformance!(memory, super::memory());
litemq_storage::conformance!(log_of_one_segment, super::log(24 << 20));
litemq_storage::conformance!(log_of_many_segments, super::log(5 << 20));
