//! The broker is killed again and again under load, and a checker reads what its clients saw.
//!
//! `LITEMQ_TORTURE_SEED` repeats the decisions of a run (not how its tasks interleave);
//! `LITEMQ_TORTURE_CYCLES` makes it longer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a run that cannot go on has failed"
)]
#![allow(unreachable_pub, reason = "modules of a test")]

mod broker;
mod checker;
mod client;
mod dice;
mod history;
mod letter;
mod run;
mod verdicts;
mod workload;

use std::time::{SystemTime, UNIX_EPOCH};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_under_load_lose_nothing_acknowledged_and_keep_order_and_acks() {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = variable("LITEMQ_TORTURE_SEED").unwrap_or(clock.as_millis() as u64);
    let cycles = variable("LITEMQ_TORTURE_CYCLES").unwrap_or(20);
    println!("seed {seed}, {cycles} cycles");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().to_owned();
    // A run that panics leaves its folder behind as well.
    let run = tokio::spawn(run::torture(seed, cycles, path.clone())).await;
    match run {
        Ok(Ok(summary)) => println!("{summary:#?}"),
        Ok(Err(failure)) => {
            drop(folder.keep());
            panic!("seed {seed}: {failure}\nthe data is kept in {}", path.display());
        }
        Err(panicked) => {
            drop(folder.keep());
            panic!("seed {seed}: {panicked}\nthe data is kept in {}", path.display());
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect(name))
}
