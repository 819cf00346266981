//! When something is done to the broker: after so much of its load, so that no clock decides.

use litemq_checker::Dice;
use litemq_clients::recorder::Progress;

use crate::trial::Trial;

/// A few sends in any case, so that each cycle is one under load.
const SENDS_MIN: u64 = 30;

/// After so many of these since the broker started.
#[derive(Debug)]
pub(crate) enum Moment {
    Sends(u64),
    Deliveries(u64),
    Acks(u64),
}

impl Moment {
    /// After at most `most` of them.
    pub(crate) fn any(dice: &mut Dice, most: usize) -> Self {
        let count = dice.within(50..most) as u64;
        match dice.below(3) {
            0 => Self::Sends(count),
            1 => Self::Deliveries(count),
            _ => Self::Acks(count),
        }
    }

    pub(crate) async fn wait(&self, trial: &Trial) -> Result<(), String> {
        let before = trial.progress();
        trial.until(&format!("{self:?}"), |now| self.is_due(&before, now)).await
    }

    fn is_due(&self, before: &Progress, now: &Progress) -> bool {
        now.sends_stored - before.sends_stored >= SENDS_MIN
            && match self {
                Self::Sends(count) => now.sends_stored - before.sends_stored >= *count,
                Self::Deliveries(count) => now.deliveries - before.deliveries >= *count,
                Self::Acks(count) => now.acks - before.acks >= *count,
            }
    }
}
