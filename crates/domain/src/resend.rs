//! Answers a re-sent message with the offset of the first.

use std::collections::VecDeque;

use crate::table::NumberMap;

use crate::limits::RESEND_WINDOW_MESSAGES;

/// One message's identity: slot, generation, and the keyed hash of its client message id.
type Identity = (u32, u32, u64);

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
}
