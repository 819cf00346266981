//! Power cuts: the file system of the data folder stops, and what was not synced never was.

use super::moment::Moment;
use crate::broker::Life;
use crate::tally::Tally;
use crate::tool;
use crate::trial::{JUDGED_EVERY, Orders, Trial};
use crate::volume::FileSystem;

const GOALS: &[&str] = &[
    "power_cuts",
    "power_cuts_in_recovery",
    "power_cuts_under_way",
    "sends_unknown",
    "redeliveries",
    "checkpoints",
    "sealed_segments",
];

/// Sends, deliveries or acks in a cycle.
const MOST: usize = 1200;
/// Large ones, so that a segment is full every second or so: its name must survive as well, and a file
/// system writes names out by itself every few seconds.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Two thirds of the cuts are on ext4, the others on another file system where there is one.
pub(crate) async fn run(orders: &Orders) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let others = orders.cycles / 3;
    for (kind, cycles) in [(FileSystem::Ext4, orders.cycles - others), (FileSystem::Xfs, others)] {
        if let Some(missing) = kind.missing() {
            println!("no power cuts on {}: {missing}", kind.name());
            tally.add("skipped", 1);
            if tool::is_ci() {
                return Err(missing);
            }
        } else if cycles > 0 {
            let mut orders = orders.clone();
            if kind != FileSystem::Ext4 {
                orders.sdks.clear();
            }
            let mut trial = Trial::prepare("power", &orders, Some(kind))?;
            trial.body_bytes_max = BODY_BYTES_MAX;
            let tortured = torture(&mut trial, kind, cycles).await;
            tally.absorb(trial.judge(tortured, &[]).await?);
        }
    }
    tally.reached(GOALS, orders.cycles)?;
    Ok(tally)
}

async fn torture(trial: &mut Trial, kind: FileSystem, cycles: u64) -> Result<(), String> {
    // The broker may see that its disk is gone before it is killed.
    trial.may_fail = true;
    trial.volume.as_mut().unwrap().prove()?;
    trial.say(&format!("{}: an unsynced file is gone after a cut", kind.name()));
    trial.broker.start(&Life::default()).await?;
    trial.invite_sdks().await?;
    cut(trial)?;
    for cycle in 0..cycles {
        let life = Life::any(&mut trial.dice);
        trial.broker.start(&life).await?;
        trial.load();
        let moment = Moment::any(&mut trial.dice, MOST);
        moment.wait(trial).await.map_err(|error| format!("cycle {cycle}: {error}"))?;
        let before = trial.progress();
        cut(trial)?;
        trial.note_kill();
        trial.say(&format!("cycle {cycle}, power cut after {moment:?}"));
        trial.tally.add(&format!("power_cuts_{}", kind.name()), 1);
        if trial.progress().sends_unknown > before.sends_unknown {
            trial.tally.add("power_cuts_under_way", 1);
        }
        if cycle % JUDGED_EVERY == 0 {
            trial.judge_so_far()?;
        }
        if trial.dice.percent(30) {
            let life = Life::any(&mut trial.dice);
            trial.broker.start_recovery(&life).await?;
            cut(trial)?;
            trial.tally.add("power_cuts_in_recovery", 1);
        }
    }
    Ok(())
}

/// The disk first, so that the broker has a moment to make its last mistakes.
fn cut(trial: &mut Trial) -> Result<(), String> {
    let volume = trial.volume.as_mut().expect("a volume");
    volume.cut()?;
    trial.broker.end();
    volume.restore()?;
    trial.tally.add("power_cuts", 1);
    Ok(())
}
