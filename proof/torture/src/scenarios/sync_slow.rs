//! A disk that takes its time: everything goes on, only slower.

use litemq_clients::recorder::Progress;

use crate::broker::Life;
use crate::strace::{self, Injection};
use crate::tally::Tally;
use crate::trial::{Orders, Trial};

const GOALS: &[&str] = &["slow_syncs", "checkpoints"];
/// Syncs of this many milliseconds, in one life each.
const DELAYS_MS: [u64; 3] = [20, 80, 200];

pub(crate) async fn run(orders: &Orders) -> Result<Tally, String> {
    let mut trial = Trial::prepare("sync-slow", orders, None)?;
    let tortured = torture(&mut trial).await;
    trial.judge(tortured, GOALS).await
}

async fn torture(trial: &mut Trial) -> Result<(), String> {
    let log = trial.folder().join("strace.log");
    trial.broker.start(&Life::default()).await?;
    trial.broker.kill()?;
    for _ in 0..trial.orders.rounds() {
        for delay_ms in DELAYS_MS {
            std::fs::write(&log, "").map_err(|error| error.to_string())?;
            let what = format!("delay_enter={}", delay_ms * 1000);
            let wrapper = strace::wrapper(&log, &Injection { call: "fdatasync", what });
            let life = Life { writes_checkpoints: true, wrapper, ..Life::default() };
            trial.broker.start(&life).await?;
            trial.load();
            let refused = |now: Progress| now.sends_refused + now.sends_put_off;
            let before = refused(trial.progress());
            trial.sends(4000 / delay_ms).await?;
            if refused(trial.progress()) > before {
                return Err(format!("sends were refused with syncs of {delay_ms} ms"));
            }
            trial.broker.kill()?;
            trial.note_kill();
            trial.tally.add("slow_syncs", strace::injected(&log).len() as u64);
            trial.say(&format!("syncs took {delay_ms} ms longer"));
        }
    }
    Ok(())
}
