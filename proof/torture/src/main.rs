//! The release binary is killed, cut off its disk, paused and starved again and again under load, and
//! a checker reads what its clients saw. Nothing of the broker is mocked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a run that cannot go on has failed"
)]

mod broker;
mod cgroup;
mod folder;
mod guests;
mod latecomer;
mod scenarios;
mod strace;
mod tally;
mod tool;
mod trial;
mod volume;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::scenarios::Scenario;
use crate::tally::Tally;
use crate::trial::Orders;

/// All that there are.
const SDKS: &str = "java,python,go,node";

/// Tortures the broker and checks what its clients saw.
#[derive(Debug, Parser)]
struct Arguments {
    /// What is done to it.
    #[arg(value_enum, default_value_t = Scenario::All)]
    scenario: Scenario,
    /// The binary under test.
    #[arg(long, default_value = "target/release/litemq")]
    binary: PathBuf,
    /// Repeats the decisions of a run, not how its tasks interleave.
    #[arg(long)]
    seed: Option<u64>,
    /// Kills and power cuts; rounds of other scenarios take longer, and there is one for ten of them.
    #[arg(long, default_value_t = tally::CYCLES_FOR_GOALS)]
    cycles: u64,
    /// Official SDKs that are connected throughout some of the scenarios.
    #[arg(long, value_delimiter = ',', default_value = SDKS)]
    sdks: Vec<String>,
    /// No SDKs.
    #[arg(long, conflicts_with = "sdks")]
    no_sdks: bool,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = arguments.seed.unwrap_or(u64::try_from(clock.as_millis()).unwrap());
    println!("seed {seed}, {} cycles", arguments.cycles);
    folder::remove_left_overs();
    let said = if arguments.no_sdks {
        " --no-sdks".to_owned()
    } else if arguments.sdks.join(",") == SDKS {
        String::new()
    } else {
        format!(" --sdks {}", arguments.sdks.join(","))
    };
    let sdks = if arguments.no_sdks || !arguments.scenario.has_guests() {
        Vec::new()
    } else {
        arguments.sdks
    };
    let sdks = match guests::install(&sdks) {
        Ok(sdks) => sdks,
        Err(error) => {
            println!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let orders = Orders {
        seed,
        cycles: arguments.cycles,
        binary: std::path::absolute(arguments.binary).unwrap(),
        sdks,
    };
    let mut interrupt = signal(SignalKind::interrupt()).unwrap();
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    tokio::select! {
        biased;
        // What a trial has started, mounted and set ends with it.
        _ = interrupt.recv() => ExitCode::FAILURE,
        _ = terminate.recv() => ExitCode::FAILURE,
        code = run(arguments.scenario, &orders, &said) => code,
    }
}

/// Runs a scenario or all; `said` are the arguments that a replay needs besides.
async fn run(scenario: Scenario, orders: &Orders, said: &str) -> ExitCode {
    let mut total = Tally::default();
    let mut failed = Vec::new();
    for scenario in scenario.each() {
        println!("\n{}", scenario.name());
        if let Some(missing) = scenario.missing() {
            println!("{} is skipped: {missing}", scenario.name());
            total.add("skipped", 1);
            if tool::is_ci() {
                failed.push(scenario);
            }
            continue;
        }
        match Box::pin(scenario.run(orders)).await {
            Ok(tally) => total.absorb(tally),
            Err(failure) => {
                println!("{} has failed: {failure}", scenario.name());
                failed.push(scenario);
            }
        }
    }
    println!("figures: {total}");
    for scenario in &failed {
        let Orders { seed, cycles, .. } = orders;
        let name = scenario.name();
        println!("replay: ./prove torture {name} --seed {seed} --cycles {cycles}{said}");
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
