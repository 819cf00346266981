//! The load generator of LiteMQ.
//!
//! A workload of LiteMQ alone starts the server it measures, on a folder of its own, and prints a table
//! with what is needed to judge it: the machine, its load, and the disk's own speed. The others are one
//! round at a server that is already there, for `bench/run`, and print JSON.

mod args;
mod client;
mod disk;
mod echo;
mod http;
mod latency;
mod machine;
mod messages;
mod process;
mod report;
mod server;
mod systems;
mod workload;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;

use args::{Cli, Command, Common, DiskArgs};
use latency::LatencySummary;
use report::Report;

// As the server has, so that echo and generator are as fast as they can be.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A bench run ends at the first thing that goes wrong; the message is for people.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "error: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<()> {
    let report: Report = match cli.command {
        Command::EchoServer(args) => return echo::serve(args.listen).await,
        Command::Drive(args) => return print_json(&workload::drive::run(&args).await?),
        Command::Deliver(args) => return print_json(&workload::deliver::run(&args, None).await?),
        Command::Redeliver(args) => return print_json(&workload::redeliver::run(&args).await?),
        Command::Handover(args) => return print_json(&workload::handover::run(&args).await?),
        Command::Stream(args) => return print_json(&workload::stream::run(&args).await?),
        Command::Subscriptions(args) => {
            return print_json(&workload::subscriptions::run(&args).await?);
        }
        Command::Disk(args) => return print_json(&disk_speeds(&cli.common, &args).await?),
        Command::Send(args) => workload::send::run(&cli.common, &args).await?,
        Command::Cycle(args) => workload::cycle::run(&cli.common, &args).await?,
        Command::Idle(args) => workload::idle::run(&cli.common, &args).await?,
        Command::Expire(args) => workload::expire::run(&cli.common, &args).await?,
    };
    writeln!(std::io::stdout(), "{}", report.to_markdown())?;
    if let Some(path) = &cli.common.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(())
}

/// The bare loop of `pwrite` and `fdatasync`, by size of the writes.
async fn disk_speeds(common: &Common, args: &DiskArgs) -> Result<Vec<(usize, LatencySummary)>> {
    let folder = common.folder.clone().unwrap_or_else(std::env::temp_dir);
    let mut speeds = Vec::new();
    for &bytes in &args.write_bytes {
        speeds.push((bytes, disk::sync_latency_of(&folder, bytes).await?));
    }
    Ok(speeds)
}

fn print_json(found: &impl Serialize) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{}", serde_json::to_string(found)?)?)
}
