//! The broker is killed again and again under load, and a checker reads what its clients saw.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a run that cannot go on has failed"
)]

mod broker;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;

/// Kills the broker under load and checks what its clients saw.
#[derive(Debug, Parser)]
struct Arguments {
    /// The binary under test.
    #[arg(long, default_value = "target/release/litemq")]
    binary: PathBuf,
    /// Repeats the decisions of a run, not how its tasks interleave.
    #[arg(long)]
    seed: Option<u64>,
    /// Kills.
    #[arg(long, default_value_t = 20)]
    cycles: u64,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let Arguments { binary, seed, cycles } = Arguments::parse();
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = seed.unwrap_or(u64::try_from(clock.as_millis()).unwrap());
    println!("seed {seed}, {cycles} cycles");
    let folder = tempfile::tempdir().unwrap().keep();
    match run::torture(seed, cycles, &binary, &folder).await {
        Ok(summary) => {
            println!("{summary:#?}");
            std::fs::remove_dir_all(folder).unwrap();
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("seed {seed}: {failure}\nthe data is kept in {}", folder.display());
            ExitCode::FAILURE
        }
    }
}
