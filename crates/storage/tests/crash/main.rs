//! The log engine on a disk that crashes, fails and fills up at every operation of a workload.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod case;
#[path = "../common/mod.rs"]
mod common;
mod crashes;
mod failures;
mod full;
mod named;
