//! What became of each message: the account by which losses and repeats are told.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::stamp::Stamp;

/// The server has said that it holds it.
const SENT: u8 = 1;
/// It was in a reader's hand.
const DELIVERED: u8 = 2;
/// The server has said that it will not come again.
const SETTLED: u8 = 4;

/// One account for each channel.
#[derive(Debug)]
pub(crate) struct Ledger(Vec<Mutex<Account>>);

/// What is wrong, and what is not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
    /// Held by the server and never delivered.
    pub(crate) missing: u64,
    /// Delivered again after the server had said that it would not be, or although the reader had
    /// asked for what comes after it.
    pub(crate) repeated: u64,
    /// Delivered again before it was acked, as acks promise.
    pub(crate) redelivered: u64,
    /// Delivered for the first time after one with a higher number.
    pub(crate) reordered: u64,
}

/// How a delivery stands in the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    First,
    /// Of a message that was not settled.
    Again,
    /// Of one that was.
    Repeated,
}

#[derive(Debug, Default)]
struct Account {
    marks: Vec<u8>,
    highest: Option<usize>,
    repeated: u64,
    redelivered: u64,
    reordered: u64,
}

impl Ledger {
    pub(crate) fn new(channels: usize) -> Self {
        Self((0..channels).map(|_| Mutex::default()).collect())
    }

    /// The server holds it.
    pub(crate) fn sent(&self, stamp: Stamp) {
        self.with(stamp, |account| account.mark(stamp.number, SENT));
    }

    /// It is in a reader's hand.
    pub(crate) fn delivered(&self, stamp: Stamp) -> Arrival {
        self.with(stamp, |account| account.deliver(stamp.number)).unwrap_or(Arrival::Again)
    }

    /// Its ack was good, or the reader goes on behind it. That says nothing of a delivery that came
    /// before: an ack of what another reader acked meanwhile is good too.
    pub(crate) fn settled(&self, stamp: Stamp) {
        self.with(stamp, |account| account.mark(stamp.number, SETTLED));
    }

    /// As it stands.
    pub(crate) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for account in &self.0 {
            let account = lock(account);
            tally.missing +=
                account.marks.iter().filter(|mark| **mark & (SENT | DELIVERED) == SENT).count()
                    as u64;
            tally.repeated += account.repeated;
            tally.redelivered += account.redelivered;
            tally.reordered += account.reordered;
        }
        tally
    }

    fn with<T>(&self, stamp: Stamp, change: impl FnOnce(&mut Account) -> T) -> Option<T> {
        self.0.get(stamp.channel).map(|account| change(&mut lock(account)))
    }
}

impl Account {
    /// Adds a mark; the result are those that were there before.
    fn mark(&mut self, number: usize, mark: u8) -> u8 {
        if self.marks.len() <= number {
            self.marks.resize(number + 1, 0);
        }
        let Some(marks) = self.marks.get_mut(number) else { return 0 };
        let before = *marks;
        *marks |= mark;
        before
    }

    fn deliver(&mut self, number: usize) -> Arrival {
        let before = self.mark(number, DELIVERED);
        if before & SETTLED != 0 {
            self.repeated += 1;
            return Arrival::Repeated;
        }
        if before & DELIVERED != 0 {
            self.redelivered += 1;
            return Arrival::Again;
        }
        self.reordered += u64::from(self.highest.is_some_and(|highest| highest > number));
        self.highest = self.highest.max(Some(number));
        Arrival::First
    }
}

fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn stamp(number: usize) -> Stamp {
        Stamp { channel: 0, number, due: Instant::now() }
    }

    #[test]
    fn what_is_held_and_never_delivered_is_missing_and_a_refused_message_is_not() {
        let ledger = Ledger::new(1);
        ledger.sent(stamp(1));
        ledger.sent(stamp(2));
        ledger.delivered(stamp(2));
        assert_eq!(ledger.tally(), Tally { missing: 1, ..Tally::default() });
    }

    #[test]
    fn a_message_that_comes_again_is_repeated_only_if_it_was_settled() {
        let ledger = Ledger::new(1);
        assert_eq!(ledger.delivered(stamp(0)), Arrival::First);
        assert_eq!(ledger.delivered(stamp(0)), Arrival::Again);
        ledger.settled(stamp(0));
        assert_eq!(ledger.delivered(stamp(0)), Arrival::Repeated);
        assert_eq!(ledger.tally(), Tally { redelivered: 1, repeated: 1, ..Tally::default() });
    }

    #[test]
    fn what_comes_first_after_a_higher_number_is_reordered_and_a_redelivery_is_not() {
        let ledger = Ledger::new(1);
        for number in [0, 2, 1, 0, 3] {
            ledger.delivered(stamp(number));
        }
        assert_eq!(ledger.tally(), Tally { redelivered: 1, reordered: 1, ..Tally::default() });
    }
}
