//! What some sequence of a run must have come to.

use std::fmt;

/// How often each goal was reached.
#[derive(Debug, Clone, Default)]
pub(crate) struct Goals([u64; ALL.len()]);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    Redelivery,
    TakeOver,
    LeaseExpiry,
    Renewal,
    Suspension,
    RepeatedReceive,
    RepeatedSend,
    GivenBack,
    AttemptsUsedUp,
    DeadLetter,
    DeadLetterConsumed,
    StaleHandle,
    RemovalAndNextLife,
    GroupRemoved,
    QuotaRefusal,
    Trim,
    RestartWithLeases,
    RestartFromSnapshot,
    AnswersLostInCrash,
    AckBehindGap,
    OwnerChange,
    LeftToOwner,
    Move,
    Expelled,
    SharedWithoutSubscribing,
    RateReached,
    Expiry,
    CreatedAhead,
    CreationRefused,
    LetterResent,
    LetterAskedForAgain,
}

const ALL: [(Goal, &str); 31] = [
    (Goal::Redelivery, "redeliveries"),
    (Goal::TakeOver, "take_overs"),
    (Goal::LeaseExpiry, "expiries"),
    (Goal::Renewal, "renewals"),
    (Goal::Suspension, "suspensions"),
    (Goal::RepeatedReceive, "repeated_receives"),
    (Goal::RepeatedSend, "repeated_sends"),
    (Goal::GivenBack, "given_back"),
    (Goal::AttemptsUsedUp, "attempts_used_up"),
    (Goal::DeadLetter, "dead_letters"),
    (Goal::DeadLetterConsumed, "dead_letters_consumed"),
    (Goal::StaleHandle, "stale_handles"),
    (Goal::RemovalAndNextLife, "next_lives"),
    (Goal::GroupRemoved, "groups_removed"),
    (Goal::QuotaRefusal, "quota_refusals"),
    (Goal::Trim, "trims"),
    (Goal::RestartWithLeases, "restarts_with_leases"),
    (Goal::RestartFromSnapshot, "restarts_from_snapshot"),
    (Goal::AnswersLostInCrash, "crashes_with_loss"),
    (Goal::AckBehindGap, "acks_behind_gap"),
    (Goal::OwnerChange, "owner_changes"),
    (Goal::LeftToOwner, "left_to_owners"),
    (Goal::Move, "moves"),
    (Goal::Expelled, "expelled"),
    (Goal::SharedWithoutSubscribing, "shared"),
    (Goal::RateReached, "rates_reached"),
    (Goal::Expiry, "expired_lite_topics"),
    (Goal::CreatedAhead, "created_ahead"),
    (Goal::CreationRefused, "creations_refused"),
    (Goal::LetterResent, "letters_resent"),
    (Goal::LetterAskedForAgain, "letters_asked_for_again"),
];

impl Goals {
    pub(crate) fn reach(&mut self, goal: Goal) {
        self.0[goal as usize] += 1;
    }

    pub(crate) fn add_some(&mut self, goal: Goal, times: u64) {
        self.0[goal as usize] += times;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (all, more) in self.0.iter_mut().zip(other.0) {
            *all += more;
        }
    }

    /// Those that were never reached.
    pub(crate) fn missed(&self) -> Vec<&'static str> {
        ALL.iter().filter(|(goal, _)| self.0[*goal as usize] == 0).map(|(_, name)| *name).collect()
    }
}

impl fmt::Display for Goals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (goal, name) in ALL {
            write!(f, " {name}={}", self.0[goal as usize])?;
        }
        Ok(())
    }
}
