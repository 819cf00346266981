//! What must hold in every history, each rule a function of its own.
//!
//! One pass per (group, lite topic) is enough, because each message has an id of its own and each
//! lite topic is one ordered queue. Rules assume the moment that is kindest to the broker.

mod bounds;
mod hand_over;
mod messages;

pub use bounds::{counts_exact, everything_comes, resources_return};
pub use hand_over::{one_after_another, one_owner, only_subscribed, settled_stays};
pub use messages::{
    nothing_damaged, nothing_invented, nothing_lost, offsets_stay, removed_stays_removed,
};

use crate::history::{Event, Group};
use crate::ledger::Ledger;

/// A broken promise.
#[derive(Debug)]
pub struct Violation {
    pub rule: Rule,
    pub what: String,
    /// Everything that is known of the messages concerned.
    pub story: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// I1: what was answered OK is delivered to each group, and comes again until it is settled, unless
    /// the group was moved past it.
    NothingLost,
    /// I2: what is delivered was sent and not refused, and it is stored once,
    /// however often it was repeated without an answer.
    NothingInvented,
    /// I3: it comes back bit for bit.
    NothingDamaged,
    /// I4: an offset names one message for ever in a life of a lite topic; a producer's order is
    /// kept.
    OffsetsStay,
    /// I5: in an ordered group nothing is handed out before all that precedes it.
    OneAfterAnother,
    /// I6: nobody else gets a message during its lease; attempts grow.
    OneOwner,
    /// I7: what was settled OK does not come again.
    SettledStays,
    /// I8: nobody gets a lite topic that it is not subscribed to, or settles what was taken from it.
    OnlySubscribed,
    /// I9: what the broker counts is what there is, and never above its limit.
    CountsExact,
    /// I10: what was removed with an answer of OK never comes again, in no later life either.
    RemovedStaysRemoved,
    /// I11: when faults have ended, everything owed comes within a bound, and what is sent then at once.
    EverythingComes,
    /// I12: what is bounded returns to its starting level.
    ResourcesReturn,
}

/// A rule: what breaks it in a history.
pub type Check = for<'a> fn(&Ledger<'a>) -> Vec<Violation>;

/// All of them, in order.
pub const ALL: [(Rule, Check); 12] = [
    (Rule::NothingLost, nothing_lost),
    (Rule::NothingInvented, nothing_invented),
    (Rule::NothingDamaged, nothing_damaged),
    (Rule::OffsetsStay, offsets_stay),
    (Rule::OneAfterAnother, one_after_another),
    (Rule::OneOwner, one_owner),
    (Rule::SettledStays, settled_stays),
    (Rule::OnlySubscribed, only_subscribed),
    (Rule::CountsExact, counts_exact),
    (Rule::RemovedStaysRemoved, removed_stays_removed),
    (Rule::EverythingComes, everything_comes),
    (Rule::ResourcesReturn, resources_return),
];

/// Every violation in a history that has come to its end: all that is owed is settled. `groups` are
/// those that exist at its end, and were there from its start.
pub fn check(events: &[Event], groups: &[Group]) -> Vec<Violation> {
    let ledger = Ledger::new(events, groups);
    ALL.iter().flat_map(|(_, rule)| rule(&ledger)).collect()
}
