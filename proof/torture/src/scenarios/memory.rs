//! A ceiling on memory. Above what the settings allow, the broker refuses or slows, and lives; a ceiling
//! below that kills it, and nothing that was acknowledged is lost.

use std::time::Duration;

use crate::broker::Life;
use crate::cgroup::{self, Ceiling};
use crate::tally::Tally;
use crate::trial::{Orders, Trial};

const GOALS: &[&str] = &["rounds_below_a_ceiling", "kills_for_memory"];
/// What the settings below come to, with room for the load's connections and the tables.
const CEILING_BYTES: u64 = 160 << 20;
/// Too little for anything.
const CRAMPED_BYTES: u64 = 12 << 20;
const BUDGET: [(&str, &str); 2] =
    [("LITEMQ_LIMITS_IN_FLIGHT_BYTES_MAX", "8MiB"), ("LITEMQ_STORAGE_UNSYNCED_BYTES_MAX", "5MiB")];
/// Producers with messages of megabytes want several times the budget.
const PRODUCERS: usize = 24;
const BODY_BYTES_MAX: usize = 4 << 20;
const SENDS: u64 = 800;
/// How long a cramped broker may live.
const CRAMPED_MAX: Duration = Duration::from_secs(20);

pub(crate) fn missing() -> Option<String> {
    cgroup::missing()
}

pub(crate) async fn run(orders: &Orders) -> Result<Tally, String> {
    let ceiling = Ceiling::set(CEILING_BYTES)?;
    let mut trial = Trial::prepare("memory", orders, None)?;
    trial.body_bytes_max = BODY_BYTES_MAX;
    trial.producers = PRODUCERS;
    let tortured = torture(&mut trial, &ceiling).await;
    trial.judge(tortured, GOALS).await
}

async fn torture(trial: &mut Trial, ceiling: &Ceiling) -> Result<(), String> {
    let environment = BUDGET.map(|(name, value)| (name.to_owned(), value.into())).to_vec();
    let wrapper = ceiling.wrapper();
    let life = Life { writes_checkpoints: true, wrapper, environment };
    for round in 0..trial.orders.rounds() {
        ceiling.change(CEILING_BYTES)?;
        trial.broker.start(&life).await?;
        trial.load();
        trial.sends(SENDS).await?;
        trial.tally.add("rounds_below_a_ceiling", 1);
        trial.say(&format!("round {round}: lives below a ceiling of {} MiB", CEILING_BYTES >> 20));
        // What is in use cannot be taken away, so it is taken from the next life.
        trial.broker.kill()?;
        ceiling.change(CRAMPED_BYTES)?;
        let started = trial.broker.start(&life).await;
        let ended = match started {
            Ok(()) => trial.broker.ends_within(CRAMPED_MAX).await.is_some(),
            Err(_) => true,
        };
        trial.broker.end();
        trial.note_kill();
        trial.tally.add("kills_for_memory", u64::from(ended));
    }
    trial.tally.add("sends_refused", trial.progress().sends_refused);
    trial.tally.add("sends_put_off", trial.progress().sends_put_off);
    Ok(())
}
