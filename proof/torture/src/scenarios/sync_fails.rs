//! A write or sync that fails: the broker stops with a clear error, acknowledges nothing after it, and the
//! next start has everything that was acknowledged.
//!
//! The power is cut after each failure, so that what was only in memory is not taken for stored.

use std::time::Duration;

use litemq_checker::history::{Event, SendResult};

use crate::broker::Life;
use crate::strace::{self, Injected, Injection};
use crate::tally::Tally;
use crate::trial::{Orders, Trial};
use crate::volume::FileSystem;

const GOALS: &[&str] = &["failed_syncs", "failed_writes", "stops_after_a_failure"];
/// Failures in a round.
const FAILURES: u64 = 4;
/// How long a broker may take to end after a failure.
const END_MAX: Duration = Duration::from_secs(10);
/// Without a failure after so many sends, a life ends.
const SENDS_MAX: u64 = 1500;

pub(crate) fn missing() -> Option<String> {
    strace::missing().or_else(|| FileSystem::Ext4.missing())
}

pub(crate) async fn run(orders: &Orders) -> Result<Tally, String> {
    let mut trial = Trial::prepare("sync-fails", orders, Some(FileSystem::Ext4))?;
    trial.may_fail = true;
    let tortured = torture(&mut trial).await;
    trial.judge(tortured, GOALS).await
}

async fn torture(trial: &mut Trial) -> Result<(), String> {
    trial.broker.start(&Life::default()).await?;
    trial.load();
    trial.sends(100).await?;
    trial.broker.kill()?;
    for failure in 0..trial.orders.rounds() * FAILURES {
        let injection = any(trial, failure);
        let told = format!("failure {failure}, {} {}", injection.call, injection.what);
        fail(trial, &injection).await.map_err(|error| format!("{told}: {error}"))?;
        trial.note_kill();
        let volume = trial.volume.as_mut().expect("a volume");
        volume.cut()?;
        volume.restore()?;
        trial.say(&told);
        trial.broker.start(&Life::default()).await?;
        trial.sends(50).await?;
        trial.broker.kill()?;
    }
    Ok(())
}

/// The two most telling ones in each round, and any others.
fn any(trial: &mut Trial, failure: u64) -> Injection {
    let dice = &mut trial.dice;
    let (call, error) = match failure % FAILURES {
        // Certainly one of the log, and from then on.
        0 => {
            let what = format!("error=EIO:when={}+", dice.within(30..150));
            return Injection { call: "fdatasync", what };
        }
        1 => ("pwrite64", *dice.one_of(&["EIO", "ENOSPC"])),
        _ => *dice.one_of(&[
            ("fdatasync", "EIO"),
            ("fdatasync", "ENOSPC"),
            ("pwrite64", "EIO"),
            ("fsync", "EIO"),
            ("rename", "EIO"),
        ]),
    };
    let nth = if dice.percent(30) { dice.within(1..12) } else { dice.within(12..250) };
    // Once, or from then on.
    let for_ever = if dice.percent(50) { "+" } else { "" };
    Injection { call, what: format!("error={error}:when={nth}{for_ever}") }
}

async fn fail(trial: &mut Trial, injection: &Injection) -> Result<(), String> {
    let log = trial.folder().join("strace.log");
    std::fs::write(&log, "").map_err(|error| error.to_string())?;
    let wrapper = strace::wrapper(&log, injection);
    let life = Life { writes_checkpoints: true, wrapper, ..Life::default() };
    let started = trial.broker.start(&life).await;
    // A failure can come before it is ready.
    let lived = match started {
        Ok(()) => trial.sends(SENDS_MAX).await,
        Err(error) => Err(error),
    };
    let injected = strace::injected(&log);
    count(trial, injection, &injected);
    let Some(fatal) = injected.iter().find(|injected| injected.is_committer) else {
        // What is done beside the log is tried again, or keeps the broker from starting.
        let ended = trial.broker.end();
        return match (lived, injected.is_empty(), ended) {
            (Err(error), true, _) => Err(format!("without a failure: {error}")),
            (Err(_), false, Some(status)) if status.success() => {
                Err("it ended as if nothing had happened".to_owned())
            }
            _ => Ok(()),
        };
    };
    let Some(status) = trial.broker.ends_within(END_MAX).await else {
        return Err(format!("the broker goes on after {}", fatal.line));
    };
    if status.success() {
        return Err(format!("the broker ended as if nothing had happened after {}", fatal.line));
    }
    if !trial.broker.logged_in_this_life("the log store stops") {
        return Err("the broker does not say why it ended".to_owned());
    }
    trial.tally.add("stops_after_a_failure", 1);
    nothing_acknowledged_after(trial, fatal)
}

fn count(trial: &mut Trial, injection: &Injection, injected: &[Injected]) {
    let name = match injection.call {
        "pwrite64" => "failed_writes",
        "rename" => "failed_renames",
        _ => "failed_syncs",
    };
    trial.tally.add(name, injected.len() as u64);
}

/// A send that was asked for after the failure cannot have become durable.
fn nothing_acknowledged_after(trial: &Trial, fatal: &Injected) -> Result<(), String> {
    let ago = strace::now().saturating_sub(fatal.at);
    let failed_at = trial.recorder.now().saturating_sub(ago);
    let events = trial.recorder.events();
    let late = events.iter().find(|event| match event {
        Event::Sent(sent) => {
            sent.asked_at > failed_at && matches!(sent.result, SendResult::Stored(_))
        }
        _ => false,
    });
    late.map_or(Ok(()), |late| Err(format!("acknowledged after {}: {late}", fatal.line)))
}
