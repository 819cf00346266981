//! How many lite topics there are, and how many there may be, over all shards.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use litemq_domain::{Error, ErrorCode, LiteTopicRoom, Result, Topic, TopicId, TopicType};

/// Counts lite topics. One lock over both bounds, so that what is refused by one takes nothing of the
/// other; only making and removing a lite topic comes here, not a send to one that exists.
#[derive(Debug, Default)]
pub(super) struct LiteTopics {
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    of: BTreeMap<TopicId, OfTopic>,
    /// Of all topics but dead letters.
    all: u64,
    /// Most of them; `None` is no limit.
    all_max: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct OfTopic {
    topic_type: TopicType,
    count: u64,
}

impl LiteTopics {
    /// A topic exists, if it did not before.
    pub(super) fn add_topic(&self, topic: &Topic) {
        let none = OfTopic { topic_type: topic.topic_type, count: 0 };
        self.lock().of.entry(topic.id).or_insert(none);
    }

    /// A topic was deleted: the room of all its lite topics is free at once.
    pub(super) fn remove_topic(&self, topic: TopicId) {
        let mut counted = self.lock();
        if let Some(OfTopic { topic_type: TopicType::Lite, count }) = counted.of.remove(&topic) {
            counted.all -= count;
        }
    }

    /// Counts lite topics that were recovered, however many there may be.
    pub(super) fn recover(&self, topic: TopicId, count: u64) {
        self.lock().add(topic, count);
    }

    /// A lite topic of this topic is gone.
    pub(super) fn give_back(&self, topic: TopicId) {
        let mut counted = self.lock();
        let Some(of) = counted.of.get_mut(&topic) else { return };
        of.count = of.count.saturating_sub(1);
        if of.topic_type == TopicType::Lite {
            counted.all = counted.all.saturating_sub(1);
        }
    }

    /// Lite topics of a topic.
    pub(super) fn count(&self, topic: TopicId) -> u64 {
        self.lock().of.get(&topic).map_or(0, |of| of.count)
    }

    /// Lite topics of all topics but dead letters, and most of them.
    pub(super) fn all(&self) -> (u64, Option<u64>) {
        let counted = self.lock();
        (counted.all, counted.all_max)
    }

    /// Changes how many there may be; those that are there stay.
    pub(super) fn set_all_max(&self, all_max: Option<u64>) {
        self.lock().all_max = all_max;
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    fn add(&mut self, topic: TopicId, count: u64) {
        let Some(of) = self.of.get_mut(&topic) else { return };
        of.count += count;
        if of.topic_type == TopicType::Lite {
            self.all += count;
        }
    }
}

impl LiteTopicRoom for LiteTopics {
    fn take(&self, topic: &Topic) -> Result<()> {
        let mut counted = self.lock();
        let Some(of) = counted.of.get(&topic.id) else {
            return Err(Error::new(ErrorCode::TopicNotFound, "the topic was deleted"));
        };
        // A dead letter is never refused.
        if topic.topic_type == TopicType::Lite {
            if let Some(max) = topic.options.lite_topic_quota.filter(|max| of.count >= *max) {
                return Err(full(&format!("topic '{}' may have", topic.name), max));
            }
            if let Some(max) = counted.all_max.filter(|max| counted.all >= *max) {
                return Err(full("this broker may have", max));
            }
        }
        counted.add(topic.id, 1);
        Ok(())
    }
}

fn full(who: &str, max: u64) -> Error {
    Error::new(
        ErrorCode::LiteTopicQuotaExceeded,
        format!("{who} {max} lite topics; remove some, let some expire, or raise the quota"),
    )
}

#[cfg(test)]
mod tests {
    use litemq_domain::{Timestamp, TopicName, TopicOptions};

    use super::*;

    fn topic(id: u32, topic_type: TopicType, lite_topic_quota: Option<u64>) -> Topic {
        Topic {
            id: TopicId(id),
            name: TopicName::any(&format!("t{id}")).unwrap(),
            topic_type,
            options: TopicOptions { lite_topic_quota, ..TopicOptions::default() },
            created_at: Timestamp(0),
        }
    }

    #[test]
    fn what_one_bound_refuses_takes_nothing_of_the_other() {
        let lite_topics = LiteTopics::default();
        let (small, large) = (topic(1, TopicType::Lite, Some(1)), topic(2, TopicType::Lite, None));
        lite_topics.add_topic(&small);
        lite_topics.add_topic(&large);
        lite_topics.set_all_max(Some(3));
        assert!(lite_topics.take(&small).is_ok());
        for _ in 0..5 {
            let error = lite_topics.take(&small).unwrap_err();
            assert_eq!(error.code, ErrorCode::LiteTopicQuotaExceeded);
        }
        assert!(lite_topics.take(&large).is_ok() && lite_topics.take(&large).is_ok());
        assert!(lite_topics.take(&large).unwrap_err().message.contains("this broker may have 3"));
        assert_eq!(lite_topics.all(), (3, Some(3)));
        lite_topics.give_back(small.id);
        assert!(lite_topics.take(&large).is_ok());
        lite_topics.remove_topic(large.id);
        assert_eq!((lite_topics.all().0, lite_topics.count(small.id)), (0, 0));
        assert_eq!(lite_topics.take(&large).unwrap_err().code, ErrorCode::TopicNotFound);
    }

    #[test]
    fn threads_that_take_at_once_get_no_more_than_there_is() {
        let lite_topics = LiteTopics::default();
        let topic = topic(1, TopicType::Lite, Some(1000));
        lite_topics.add_topic(&topic);
        let taken: usize = std::thread::scope(|scope| {
            let take = || (0..500).filter(|_| lite_topics.take(&topic).is_ok()).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((taken, lite_topics.count(topic.id)), (1000, 1000));
    }

    #[test]
    fn dead_letters_have_room_and_are_not_counted_with_the_others() {
        let lite_topics = LiteTopics::default();
        let letters = topic(1, TopicType::DeadLetter, None);
        lite_topics.add_topic(&letters);
        lite_topics.set_all_max(Some(1));
        assert!(lite_topics.take(&letters).is_ok() && lite_topics.take(&letters).is_ok());
        assert_eq!((lite_topics.count(letters.id), lite_topics.all().0), (2, 0));
    }
}
