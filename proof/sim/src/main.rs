//! The whole server and its clients in one process under a seed: simulated time, network and disk.
//!
//! - `plan` throws the dice for a world before it begins; `scenarios` say between what.
//! - `world` has the hosts, `server` what runs on one of them, `network` and `store` what they run on.
//! - `weather` brings faults, `course` leads from load through calm to a verdict.
//! - `trace` is what two worlds of one seed have in common, line by line.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a run that cannot go on has failed"
)]

mod campaign;
mod course;
mod errands;
mod goals;
mod network;
mod notes;
mod plan;
mod scenarios;
mod server;
mod store;
mod trace;
mod weather;
mod world;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Parser, ValueEnum};

use campaign::Order;

/// The whole server and its clients under a seed.
#[derive(Debug, Parser)]
struct Arguments {
    #[arg(value_enum, default_value_t = Command::Run)]
    command: Command,
    /// The seed of the first world; each next one has the next.
    #[arg(long)]
    seed: Option<u64>,
    /// Worlds.
    #[arg(long, default_value_t = 300)]
    cycles: u64,
    /// One kind of world; all kinds in turn without it.
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(scenarios::ALL.iter().map(|scenario| scenario.name)))]
    scenario: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Command {
    /// Runs worlds until one fails.
    Run,
    /// Lives each world twice; both must be the same.
    Meta,
    /// Prints all that happens in one world.
    Show,
}

fn main() -> ExitCode {
    let Arguments { command, seed, cycles, scenario } = Arguments::parse();
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = seed.unwrap_or(u64::try_from(clock.as_millis()).unwrap());
    let scenario =
        scenario.and_then(|name| scenarios::ALL.iter().find(|scenario| scenario.name == name));
    println!("seed {seed}, {cycles} worlds");
    world::watch_panics();
    let order = Order { seed, cycles, scenario };
    let passed = match command {
        Command::Run => campaign::run(order),
        Command::Meta => campaign::meta(order),
        Command::Show => campaign::show(order),
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
