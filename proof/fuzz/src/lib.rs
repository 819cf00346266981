//! Every decoder of LiteMQ, and what lies behind it, on bytes that nobody made.
//!
//! A target is a function of bytes that ends, or panics because a promise is broken. The programs
//! in `fuzz_targets` let a fuzzer choose the bytes; the test `kept` runs those that were kept.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a broken promise ends the run"
)]

pub mod authorization;
pub mod broker;
pub mod calls;
pub mod checkpoint;
pub mod config;
pub mod content;
pub mod damage;
pub mod folder;
pub mod handle;
pub mod http;
pub mod index;
pub mod meta;
pub mod names;
pub mod persisted;
pub mod records;
pub mod recovery;
pub mod requests;
pub mod reseal;
pub mod seeds;
pub mod segment;

use std::alloc::System;
use std::sync::Once;

use cap::Cap;

/// The heap, which can be given a bound: a length that is believed before it is checked ends the
/// run instead of the machine's memory.
#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);
static TELLING: Once = Once::new();

/// Something that takes bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folders.
    pub name: &'static str,
    /// Heap that one input may take, MiB.
    pub heap_mib_max: usize,
    /// What is done with the bytes.
    pub check: fn(&[u8]),
}

impl Target {
    /// Runs one input within the bound of the heap.
    pub fn run(&self, bytes: &[u8]) {
        TELLING.call_once(tell_without_bound);
        let bound = HEAP.allocated() + (self.heap_mib_max << 20);
        HEAP.set_limit(bound).expect("more than is in use");
        (self.check)(bytes);
        HEAP.set_limit(usize::MAX).expect("no bound");
    }
}

/// A panic is told with all it takes: reading the names of functions is not the input's doing.
fn tell_without_bound() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        HEAP.set_limit(usize::MAX).unwrap_or_default();
        tell(panic);
    }));
}

/// All targets.
pub const TARGETS: [Target; 14] = [
    requests::TARGET,
    content::TARGET,
    calls::TARGET,
    handle::TARGET,
    authorization::TARGET,
    names::TARGET,
    segment::TARGET,
    index::TARGET,
    checkpoint::TARGET,
    meta::TARGET,
    persisted::TARGET,
    recovery::TARGET,
    config::TARGET,
    http::TARGET,
];
