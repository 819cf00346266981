//! Room for lite topics, as a broker counts it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use litemq_domain::{
    Error, ErrorCode, Event, LiteTopicRoom, Result, ShardCounts, Topic, TopicId, TopicType,
};

/// Counts lite topics; dead letters always have room.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// Lite topics of all topics.
    pub(crate) max: Cell<Option<u64>>,
    live: RefCell<BTreeMap<TopicId, (TopicType, u64)>>,
}

impl Room {
    /// Hears what happened.
    pub(crate) fn hear(&self, events: &[Event]) {
        for event in events {
            if let Event::LiteTopicRemoved(topic) | Event::LiteTopicExpired(topic) = event
                && let Some((_, count)) = self.live.borrow_mut().get_mut(topic)
            {
                *count -= 1;
            }
        }
    }

    /// Counts anew, after a start.
    pub(crate) fn recount<'a>(
        &self,
        counts: &ShardCounts,
        topics: impl Iterator<Item = &'a Topic>,
    ) {
        let of = |topic: &Topic| {
            counts.lite_topics.iter().find(|(of, _)| *of == topic.id).map_or(0, |(_, count)| *count)
        };
        *self.live.borrow_mut() =
            topics.map(|topic| (topic.id, (topic.topic_type, of(topic)))).collect();
    }

    /// What is counted is what there is.
    pub(crate) fn check(&self, counts: &ShardCounts) {
        for (topic, (_, count)) in self.live.borrow().iter() {
            let found = counts.lite_topics.iter().find(|(of, _)| of == topic);
            assert_eq!(found.map_or(0, |(_, count)| *count), *count, "lite topics of {topic:?}");
        }
    }
}

impl LiteTopicRoom for Room {
    fn take(&self, topic: &Topic) -> Result<()> {
        let mut live = self.live.borrow_mut();
        let of = |id| live.get(&id).map_or(0, |(_, count)| *count);
        let all: u64 = live
            .values()
            .filter(|(topic_type, _)| *topic_type == TopicType::Lite)
            .map(|(_, count)| count)
            .sum();
        let is_full = topic.options.lite_topic_quota.is_some_and(|max| of(topic.id) >= max)
            || self.max.get().is_some_and(|max| all >= max);
        if topic.topic_type == TopicType::Lite && is_full {
            return Err(Error::new(ErrorCode::LiteTopicQuotaExceeded, "there is no room"));
        }
        live.entry(topic.id).or_insert((topic.topic_type, 0)).1 += 1;
        Ok(())
    }
}
