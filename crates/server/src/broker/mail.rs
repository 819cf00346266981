//! What is told to clients on their Telemetry streams, unasked. A courtesy: who has no stream, or does
//! not read, is not told, and nothing waits for it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use litemq_domain::LiteTopicName;
use tokio::sync::Notify;

use super::limits::{NOTICE_BYTES, NOTICES_MAX};
use super::pool::{Pool, Taken};

/// Something that a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// It is no longer subscribed to this lite topic.
    Unsubscribed(LiteTopicName),
    /// It is asked something, under this number.
    Asked(u64),
}

/// The notices that wait for a client to read them. Costs nothing while there are none.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    notices: VecDeque<(Notice, Taken)>,
    /// What the newest stream's address may have of the unread answers of all.
    bytes: Option<Arc<Pool>>,
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
    /// Puts a notice in, if somebody reads and there is room; whether it was.
    pub(super) fn put(&self, notice: Notice) -> bool {
        let mut waiting = self.lock();
        if waiting.stream == 0 || waiting.notices.len() >= NOTICES_MAX {
            return false;
        }
        let Some(taken) = waiting.bytes.as_ref().and_then(|bytes| bytes.try_take(NOTICE_BYTES))
        else {
            return false;
        };
        waiting.notices.push_back((notice, taken));
        drop(waiting);
        self.changed.notify_waiters();
        true
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    /// Reads for a stream; what waits counts in this pool.
    pub(super) fn open(mailbox: Arc<Mailbox>, bytes: Arc<Pool>) -> Self {
        let stream = {
            let mut waiting = mailbox.lock();
            waiting.opened += 1;
            waiting.stream = waiting.opened;
            waiting.bytes = Some(bytes);
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
        let is_newest = waiting.stream == self.stream;
        if is_newest { waiting.notices.pop_front().map(|(notice, _)| notice) } else { None }
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

    fn open(mailbox: &Arc<Mailbox>) -> Reader {
        Reader::open(Arc::clone(mailbox), Pool::new(1 << 20))
    }

    fn notice(text: &str) -> Notice {
        Notice::Unsubscribed(LiteTopicName::new(text).unwrap())
    }

    #[tokio::test]
    async fn notices_come_in_order_to_the_newest_stream_and_only_while_there_is_one() {
        let mailbox = Arc::new(Mailbox::default());
        assert!(!mailbox.put(notice("a")), "nobody reads");
        let old = open(&mailbox);
        assert!(mailbox.put(notice("b")));
        let new = open(&mailbox);
        assert!(mailbox.put(notice("c")));
        assert_eq!(old.take(), None);
        drop(old);
        assert_eq!((new.next().await, new.next().await), (notice("b"), notice("c")));
        drop(new);
        assert!(!mailbox.put(notice("d")));
    }

    #[test]
    fn notices_count_among_the_unread_answers_until_they_are_read_or_nobody_will() {
        let (mailbox, pool) = (Arc::new(Mailbox::default()), Pool::new(3 * NOTICE_BYTES));
        let reader = Reader::open(Arc::clone(&mailbox), Arc::clone(&pool));
        let told = ["a", "b", "c", "d"].map(|text| mailbox.put(notice(text)));
        assert_eq!(told, [true, true, true, false], "no room for one more");
        assert_eq!(reader.take(), Some(notice("a")));
        assert_eq!(pool.used(), 2 * NOTICE_BYTES);
        drop(reader);
        assert_eq!(pool.used(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_waits_is_woken() {
        let mailbox = Arc::new(Mailbox::default());
        let reader = open(&mailbox);
        let (read, put) = tokio::join!(reader.next(), async { mailbox.put(notice("a")) });
        assert_eq!((read, put), (notice("a"), true));
    }

    #[test]
    fn a_client_that_does_not_read_is_told_no_more() {
        let mailbox = Arc::new(Mailbox::default());
        let reader = open(&mailbox);
        let told = (0..2 * NOTICES_MAX).filter(|_| mailbox.put(notice("a"))).count();
        assert_eq!(told, NOTICES_MAX);
        assert!(reader.take().is_some() && mailbox.put(notice("b")));
    }
}
