//! Answers a re-sent message with the offset of the first.

use std::collections::VecDeque;

use crate::table::NumberMap;

use crate::limits::RESEND_WINDOW_MESSAGES;

/// One message's identity: slot, generation, and the keyed hash of its client message id.
pub(crate) type Identity = (u32, u32, u64);

/// The identities of the last sends of a shard. SDKs repeat a send that timed out at once, under
/// the same message id; within the window that repeat stores nothing.
#[derive(Debug, Default)]
pub(crate) struct ResendWindow {
    offsets: NumberMap<Identity, u64>,
    oldest: VecDeque<Identity>,
}

impl ResendWindow {
    pub(crate) fn find(&self, identity: Identity) -> Option<u64> {
        self.offsets.get(&identity).copied()
    }

    /// How many identities there are, and how many places they take.
    pub(crate) fn kept(&self) -> (usize, usize) {
        (self.offsets.len(), self.oldest.len())
    }

    pub(crate) fn remember(&mut self, identity: Identity, offset: u64) {
        if self.offsets.insert(identity, offset).is_none() {
            self.oldest.push_back(identity);
        }
        if self.oldest.len() > RESEND_WINDOW_MESSAGES
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.offsets.remove(&oldest);
        }
    }

    /// Puts back what was sent before all that is remembered.
    pub(crate) fn restore(&mut self, identity: Identity, offset: u64) {
        if self.oldest.len() < RESEND_WINDOW_MESSAGES && self.find(identity).is_none() {
            self.offsets.insert(identity, offset);
            self.oldest.push_front(identity);
        }
    }

    /// What is remembered behind so many newer ones. The newest come first: sends in between two
    /// looks at it repeat some and hide none.
    pub(crate) fn older_than(&self, newer: usize) -> impl Iterator<Item = (Identity, u64)> + '_ {
        let found = |identity: &Identity| self.find(*identity).map(|offset| (*identity, offset));
        self.oldest.iter().rev().skip(newer).filter_map(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_holds_the_last_sends_and_no_more() {
        let mut window = ResendWindow::default();
        for n in 0..=RESEND_WINDOW_MESSAGES as u64 {
            window.remember((1, 0, n + 1), n);
        }
        assert_eq!(window.find((1, 0, 1)), None);
        assert_eq!(window.find((1, 0, 2)), Some(1));
        assert_eq!(window.oldest.len(), window.offsets.len());
    }

    #[test]
    fn a_window_that_is_put_back_holds_the_newest_in_their_order() {
        let mut window = ResendWindow::default();
        window.remember((1, 0, 3), 30);
        for (tag, offset) in [(3, 30), (2, 20), (1, 10)] {
            window.restore((1, 0, tag), offset);
        }
        window.remember((1, 0, 4), 40);
        let tags: Vec<u64> = window.older_than(0).map(|((_, _, tag), _)| tag).collect();
        assert_eq!(tags, [4, 3, 2, 1]);
        for n in 5..=RESEND_WINDOW_MESSAGES as u64 + 1 {
            window.remember((1, 0, n), n);
        }
        window.restore((1, 0, 1), 10);
        assert_eq!((window.find((1, 0, 1)), window.find((1, 0, 2))), (None, Some(20)));
    }
}
