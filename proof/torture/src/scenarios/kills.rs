//! `kill -9` under load, and now and then once more during recovery.

use super::moment::Moment;
use crate::broker::Life;
use crate::tally::Tally;
use crate::trial::{JUDGED_EVERY, Orders, Trial};

const GOALS: &[&str] = &[
    "kills",
    "kills_in_recovery",
    "sends_unknown",
    "acks_unknown",
    "redeliveries",
    "checkpoints",
    "sealed_segments",
];

/// Sends, deliveries or acks in a cycle.
const MOST: usize = 1200;

pub(crate) async fn run(orders: &Orders) -> Result<Tally, String> {
    let mut trial = Trial::prepare("kills", orders, None)?;
    let tortured = torture(&mut trial).await;
    trial.judge(tortured, GOALS).await
}

async fn torture(trial: &mut Trial) -> Result<(), String> {
    trial.broker.start(&Life::default()).await?;
    trial.invite_sdks().await?;
    trial.broker.kill()?;
    for cycle in 0..trial.orders.cycles {
        let life = Life::any(&mut trial.dice);
        trial.broker.start(&life).await?;
        trial.load();
        let moment = Moment::any(&mut trial.dice, MOST);
        moment.wait(trial).await.map_err(|error| format!("cycle {cycle}: {error}"))?;
        trial.broker.kill()?;
        trial.note_kill();
        trial.tally.add("kills", 1);
        trial.say(&format!("cycle {cycle}, killed after {moment:?}"));
        if cycle % JUDGED_EVERY == 0 {
            trial.judge_so_far()?;
        }
        if trial.dice.percent(30) {
            let life = Life::any(&mut trial.dice);
            trial.broker.start_recovery(&life).await?;
            trial.broker.kill()?;
            trial.tally.add("kills_in_recovery", 1);
        }
    }
    Ok(())
}
