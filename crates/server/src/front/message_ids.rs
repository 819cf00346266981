//! Ids of messages that are made here.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU32, Ordering};

use litemq_domain::Timestamp;

/// Makes ids for messages that come without one: version 1 of RocketMQ's form, `01`, 6 random bytes
/// of this process, 2 bytes process id, 4 bytes seconds since 2021, 4 bytes counter, in hex.
#[derive(Debug)]
pub(super) struct MessageIds {
    process: u64,
    next: AtomicU32,
}

impl MessageIds {
    pub(super) fn new() -> Self {
        // Each `RandomState` has fresh keys from the operating system.
        let random = RandomState::new().hash_one(std::process::id());
        let process = (random & 0xffff_ffff_ffff) << 16 | u64::from(std::process::id() & 0xffff);
        Self { process, next: AtomicU32::new(0) }
    }

    pub(super) fn next(&self, now: Timestamp) -> String {
        const EPOCH_2021_SECS: u64 = 1_609_459_200;
        let secs = (now.0 / 1000).saturating_sub(EPOCH_2021_SECS) & 0xffff_ffff;
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        format!("01{:016X}{secs:08X}{count:08X}", self.process)
    }
}
