//! The wall clock jumps by an hour, each way, while the broker runs and between its lives. Only the
//! broker sees it: libfaketime shifts the clock of one process.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::broker::Life;
use crate::tally::Tally;
use crate::trial::{Orders, Trial};
use crate::work::LEASE;

const GOALS: &[&str] = &["clock_jumps", "starts_in_the_past"];
/// Where packages put it.
const LIBRARIES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/local/lib/faketime/libfaketimeMT.so.1",
];
const HOUR_S: i64 = 3600;
/// How far the clock of the broker may be off.
const SEEN_WITHIN_S: i64 = 30;
/// The load after each jump. It must flow at the usual speed.
const SENDS: u64 = 300;
const SENDS_WITHIN: Duration = Duration::from_secs(15);

pub(crate) fn missing() -> Option<String> {
    library().is_none().then(|| "libfaketime not found".to_owned())
}

pub(crate) async fn run(orders: &Orders) -> Result<Tally, String> {
    let mut trial = Trial::prepare("clock", orders, None)?;
    let tortured = torture(&mut trial).await;
    trial.judge(tortured, GOALS).await
}

async fn torture(trial: &mut Trial) -> Result<(), String> {
    let shift = trial.folder().join("shift");
    let life = life(&shift);
    for round in 0..trial.orders.rounds() {
        // The first life is an hour ahead of those that follow: their clock is behind their newest
        // message. No life starts ahead of the one before; for leases that would be an hour.
        set(&shift, if round == 0 { HOUR_S } else { 0 })?;
        trial.broker.start(&life).await?;
        trial.load();
        if round > 0 {
            trial.tally.add("starts_in_the_past", 1);
        }
        flows(trial, "the start").await?;
        let mut jumps = [2 * HOUR_S, HOUR_S, 0, -HOUR_S];
        if trial.dice.percent(50) {
            jumps.reverse();
        }
        for jump in jumps {
            set(&shift, jump)?;
            flows(trial, &format!("a jump to {jump} s")).await?;
            trial.tally.add("clock_jumps", 1);
        }
        prove(trial, jumps[jumps.len() - 1]).await?;
        trial.broker.kill()?;
        trial.note_kill();
        trial.say(&format!("round {round}: the clock jumped by an hour, each way"));
    }
    set(&shift, -HOUR_S)?;
    trial.broker.start(&life).await?;
    trial.tally.add("starts_in_the_past", 1);
    flows(trial, "a start an hour ago").await
}

/// Shows that the broker saw a jump: its log tells the time.
async fn prove(trial: &Trial, jump: i64) -> Result<(), String> {
    let logged = || trial.broker.logged("wrote a checkpoint");
    let before = logged().len();
    while logged().len() == before {
        trial.sends(1).await?;
    }
    let line = logged().pop().unwrap_or_default();
    let seconds = line.split('.').next().unwrap_or_default();
    let told = humantime::parse_rfc3339_weak(seconds).map_err(|error| error.to_string())?;
    let told = told.duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let shift = told.as_secs().cast_signed() - now.as_secs().cast_signed();
    if (shift - jump).abs() < SEEN_WITHIN_S {
        return Ok(());
    }
    Err(format!("the clock of the broker is {shift} s off after a jump to {jump} s"))
}

/// The load goes on; what waits for a lease may wait for that.
async fn flows(trial: &Trial, after: &str) -> Result<(), String> {
    let flowing = trial.sends(SENDS);
    let flowed = tokio::time::timeout(SENDS_WITHIN + LEASE, flowing).await;
    flowed.unwrap_or_else(|_| Err(format!("{SENDS} sends took too long after {after}")))
}

fn life(shift: &Path) -> Life {
    let environment = [
        ("LD_PRELOAD", library().unwrap_or_default().into_os_string()),
        ("FAKETIME_TIMESTAMP_FILE", shift.into()),
        ("FAKETIME_NO_CACHE", "1".into()),
        // What a jump of the wall clock leaves alone.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
    Life { writes_checkpoints: true, environment, ..Life::default() }
}

fn set(shift: &Path, seconds: i64) -> Result<(), String> {
    // In one step, so that nobody reads half of it.
    let fresh = shift.with_extension("new");
    let written = std::fs::write(&fresh, format!("{seconds:+}\n"));
    written.and_then(|()| std::fs::rename(&fresh, shift)).map_err(|error| error.to_string())
}

fn library() -> Option<PathBuf> {
    LIBRARIES.iter().map(PathBuf::from).find(|library| library.is_file())
}
