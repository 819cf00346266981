//! Pauses longer than a lease: of the broker, of SDK processes, of a consumer that acks afterwards.

use std::time::Duration;

use rustix::process::{Signal, kill_process};

use crate::broker::Life;
use crate::latecomer::Latecomer;
use crate::tally::Tally;
use crate::trial::{Orders, Trial};
use crate::work::{self, LEASE};

/// Whether a late ack finds its message with somebody else, and is refused, is chance: it is told, and no goal.
const GOALS: &[&str] = &["broker_pauses", "late_acks_taken", "redeliveries"];
/// A pause: the lease, and some.
const PAUSE: Duration = Duration::from_secs(12);
/// The load before and after a pause.
const SENDS: u64 = 400;

pub(crate) async fn run(orders: &Orders) -> Result<Tally, String> {
    let mut trial = Trial::prepare("pause", orders, None)?;
    let tortured = torture(&mut trial).await;
    trial.judge(tortured, GOALS).await
}

async fn torture(trial: &mut Trial) -> Result<(), String> {
    trial.broker.start(&Life::default()).await?;
    trial.load();
    trial.invite_sdks().await?;
    for round in 0..trial.orders.rounds().div_ceil(2) {
        trial.sends(SENDS).await?;
        // An answer that was on the way when the pause began, and handles that are old behind it.
        let early = latecomer(trial, round, "early").await;
        pause_broker(trial).await;
        ack_late(trial, early).await;
        trial.sends(SENDS).await?;
        // A consumer that sleeps while the broker does not: somebody else takes over.
        let asleep = latecomer(trial, round, "asleep").await;
        pause_sdks(trial).await?;
        ack_late(trial, asleep).await;
        trial.say(&format!("round {round}: paused for {PAUSE:?}"));
    }
    trial.sends(SENDS).await
}

async fn latecomer(trial: &Trial, round: u64, name: &str) -> Latecomer {
    let group = &trial.groups()[usize::try_from(round).unwrap() % trial.groups().len()].name;
    let to = (trial.broker.address(), &trial.recorder);
    let name = format!("{name}-{round}");
    Latecomer::take(&name, group, work::LITE_TOPICS, trial.letters(), LEASE, to).await
}

async fn ack_late(trial: &mut Trial, latecomer: Latecomer) {
    let held = latecomer.held();
    let (taken, refused) = latecomer.ack_late().await;
    trial.say(&format!("of {held} acks with old handles {taken} were taken, {refused} refused"));
    trial.tally.add("late_acks_taken", taken);
    trial.tally.add("late_acks_refused", refused);
}

async fn pause_broker(trial: &mut Trial) {
    trial.broker.signal(Signal::STOP);
    tokio::time::sleep(PAUSE).await;
    trial.broker.signal(Signal::CONT);
    trial.tally.add("broker_pauses", 1);
}

async fn pause_sdks(trial: &mut Trial) -> Result<(), String> {
    let ids = trial.guests.as_ref().map(|guests| guests.ids()).unwrap_or_default();
    let signal = |signal: Signal| {
        ids.iter()
            .try_for_each(|id| kill_process(*id, signal))
            .map_err(|error| format!("an SDK has ended: {error}"))
    };
    signal(Signal::STOP)?;
    tokio::time::sleep(PAUSE).await;
    signal(Signal::CONT)?;
    trial.tally.add("sdk_pauses", ids.len() as u64);
    Ok(())
}
