//! What is told to clients on their Telemetry streams, unasked. A courtesy: who has no stream, or does
//! not read, is not told, and nothing waits for it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use litemq_domain::LiteTopicName;
use tokio::sync::Notify;

use super::limits::NOTICES_MAX;

/// Something that a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// It is no longer subscribed to this lite topic.
    Unsubscribed(LiteTopicName),
}

/// The notices that wait for a client to read them. Costs nothing while there are none.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    notices: VecDeque<Notice>,
    /// The number of the newest stream while it is open; 0 is none.
    stream: u64,
    /// Streams opened so far.
    opened: u64,
}

/// The right to read a client's notices, until a newer stream takes it over.
#[derive(Debug)]
pub(super) struct Reader {
    mailbox: Arc<Mailbox>,
    stream: u64,
}

impl Mailbox {
    /// Puts a notice in, if somebody reads; whether it was.
    pub(super) fn put(&self, notice: Notice) -> bool {
        let mut waiting = self.lock();
        if waiting.stream == 0 || waiting.notices.len() >= NOTICES_MAX {
            return false;
        }
        waiting.notices.push_back(notice);
        drop(waiting);
        self.changed.notify_waiters();
        true
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    pub(super) fn open(mailbox: Arc<Mailbox>) -> Self {
        let stream = {
            let mut waiting = mailbox.lock();
            waiting.opened += 1;
            waiting.stream = waiting.opened;
            waiting.opened
        };
        Self { mailbox, stream }
    }

    /// Waits for the next notice; for ever once there is a newer stream. Nothing is lost when the
    /// wait is given up.
    pub(super) async fn next(&self) -> Notice {
        loop {
            let changed = self.mailbox.changed.notified();
            tokio::pin!(changed);
            // From here on no notice passes unseen.
            changed.as_mut().enable();
            if let Some(notice) = self.take() {
                return notice;
            }
            changed.await;
        }
    }

    fn take(&self) -> Option<Notice> {
        let mut waiting = self.mailbox.lock();
        if waiting.stream == self.stream { waiting.notices.pop_front() } else { None }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut waiting = self.mailbox.lock();
        if waiting.stream == self.stream {
            // Whoever comes next starts with its own.
            *waiting = Waiting { opened: waiting.opened, ..Waiting::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(text: &str) -> Notice {
        Notice::Unsubscribed(LiteTopicName::new(text).unwrap())
    }

    #[tokio::test]
    async fn notices_come_in_order_to_the_newest_stream_and_only_while_there_is_one() {
        let mailbox = Arc::new(Mailbox::default());
        assert!(!mailbox.put(notice("a")), "nobody reads");
        let old = Reader::open(Arc::clone(&mailbox));
        assert!(mailbox.put(notice("b")));
        let new = Reader::open(Arc::clone(&mailbox));
        assert!(mailbox.put(notice("c")));
        assert_eq!(old.take(), None);
        drop(old);
        assert_eq!((new.next().await, new.next().await), (notice("b"), notice("c")));
        drop(new);
        assert!(!mailbox.put(notice("d")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_waits_is_woken() {
        let mailbox = Arc::new(Mailbox::default());
        let reader = Reader::open(Arc::clone(&mailbox));
        let (read, put) = tokio::join!(reader.next(), async { mailbox.put(notice("a")) });
        assert_eq!((read, put), (notice("a"), true));
    }

    #[test]
    fn a_client_that_does_not_read_is_told_no_more() {
        let mailbox = Arc::new(Mailbox::default());
        let reader = Reader::open(Arc::clone(&mailbox));
        let told = (0..2 * NOTICES_MAX).filter(|_| mailbox.put(notice("a"))).count();
        assert_eq!(told, NOTICES_MAX);
        assert!(reader.take().is_some() && mailbox.put(notice("b")));
    }
}
