//! Hostile clients against the real binary: whatever they do, the broker lives, its memory stays below
//! the published bound, and an honest client beside them hardly notices.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::let_underscore_must_use,
    reason = "a run that cannot go on has failed"
)]

mod attacks;
mod honest;
mod http;
mod latency;
mod letters;
mod run;
mod server;
mod settings;
mod wire;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use clap::builder::PossibleValuesParser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::attacks::ATTACKS;
use crate::run::{Failure, Figures};

/// Attacks the broker beside an honest client.
#[derive(Debug, Parser)]
struct Arguments {
    /// The binary under test.
    #[arg(long, default_value = "target/release/litemq")]
    binary: PathBuf,
    /// Repeats what the attackers draw, not how they interleave.
    #[arg(long)]
    seed: Option<u64>,
    /// How often all attacks are run, each time with another seed.
    #[arg(long, default_value_t = 1)]
    cycles: u64,
    /// Only this attack; may be given several times.
    #[arg(long, value_parser = PossibleValuesParser::new(ATTACKS.iter().map(|attack| attack.name)))]
    attack: Vec<String>,
    /// Does not judge latency, and spares the time to measure the calm: what must fail by something else
    /// cannot fail by a busy machine.
    #[arg(long)]
    untimed: bool,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let Arguments { binary, seed, cycles, attack, untimed } = Arguments::parse();
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = seed.unwrap_or(u64::try_from(clock.as_millis()).unwrap());
    println!("seed {seed}, {cycles} cycles");
    raise_descriptors();
    let started = Instant::now();
    for cycle in 0..cycles {
        let folder = scratch();
        match run::run(&binary, folder.path(), &attack, seed + cycle, !untimed).await {
            Ok(figures) => print_figures(&figures, started),
            Err(failure) => {
                print_failure(&failure, seed + cycle, folder);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn print_figures(figures: &Figures, started: Instant) {
    println!(
        "figures: attacks={} acts={} honest_messages={} calm_p99_ms={:.1} worst_p99_ms={:.1} \
         worst_p99_ratio={:.2} worst_resident_mib={} resident_bound_mib={} worst_share_of_terms_percent={} seconds={}",
        figures.attacks,
        figures.acts,
        figures.honest_messages,
        figures.calm_p99.as_secs_f64() * 1e3,
        figures.worst_p99.as_secs_f64() * 1e3,
        figures.worst_ratio,
        figures.worst_resident >> 20,
        settings::resident_bytes_max() >> 20,
        figures.worst_share,
        started.elapsed().as_secs()
    );
}

fn print_failure(failure: &Failure, seed: u64, folder: tempfile::TempDir) {
    let folder = folder.keep();
    let name = failure.attack.unwrap_or("at the end");
    println!("{name}: {}\nthe log is kept in {}", failure.what, folder.display());
    let only = failure.attack.map(|name| format!(" --attack {name}")).unwrap_or_default();
    println!("replay: ./prove hostile --seed {seed} --cycles 1{only}");
}

/// In memory where there is such a place: this level is about clients, and a disk that others use
/// would be measured with them.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.unwrap()
}

/// Thousands of connections are thousands of files, here and in the broker.
fn raise_descriptors() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}
