//! Damaged, missing and foreign files of the log engine, and the lives of files.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

#[path = "../common/mod.rs"]
mod common;
mod compacted;
mod files;
mod folder;
mod lives;
mod named;
mod rot;
