//! Topics and groups as everybody reads them. Changes go through [`super::admin`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use litemq_domain::{
    Error, ErrorCode, Event, Group, GroupId, RateMeter, Result, Timestamp, Topic, TopicId,
};

use super::lite_topics::LiteTopics;
use crate::observe::{GroupMetrics, Metrics, TopicMetrics};

/// A topic with what is counted for it.
#[derive(Debug)]
pub(super) struct TopicEntry {
    pub(super) topic: Arc<Topic>,
    pub(super) metrics: TopicMetrics,
    /// Measures the sends; shared by all versions of the topic.
    meter: Arc<AtomicU64>,
}

/// A group with what is counted for it.
#[derive(Debug)]
pub(super) struct GroupEntry {
    pub(super) group: Arc<Group>,
    pub(super) metrics: GroupMetrics,
}

/// All topics and groups.
#[derive(Debug)]
pub(super) struct Catalog {
    metrics: Arc<Metrics>,
    entries: RwLock<Entries>,
    lite_topics: LiteTopics,
}

#[derive(Debug, Default)]
struct Entries {
    topics: BTreeMap<TopicId, Arc<TopicEntry>>,
    topics_by_name: BTreeMap<String, TopicId>,
    groups: BTreeMap<GroupId, Arc<GroupEntry>>,
    groups_by_name: BTreeMap<String, GroupId>,
}

impl Catalog {
    /// An empty catalog.
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, entries: RwLock::default(), lite_topics: LiteTopics::default() }
    }

    /// The topic of this name.
    pub(super) fn topic(&self, name: &str) -> Result<Arc<Topic>> {
        let entries = self.read();
        let id = entries.topics_by_name.get(name);
        let found = id.and_then(|id| entries.topics.get(id));
        found.map(|entry| Arc::clone(&entry.topic)).ok_or_else(|| {
            Error::new(
                ErrorCode::TopicNotFound,
                format!("there is no topic '{}'; create it first", name.escape_debug()),
            )
        })
    }

    /// The topic of this number.
    pub(super) fn topic_by_id(&self, id: TopicId) -> Option<Arc<Topic>> {
        self.topic_entry(id).map(|entry| Arc::clone(&entry.topic))
    }

    pub(super) fn topic_entry(&self, id: TopicId) -> Option<Arc<TopicEntry>> {
        self.read().topics.get(&id).cloned()
    }

    /// All topics, by name.
    pub(super) fn topics(&self) -> Vec<Arc<Topic>> {
        let entries = self.read();
        let found = entries.topics_by_name.values().filter_map(|id| entries.topics.get(id));
        found.map(|entry| Arc::clone(&entry.topic)).collect()
    }

    /// The group of this name.
    pub(super) fn group(&self, name: &str) -> Result<Arc<Group>> {
        let entries = self.read();
        let id = entries.groups_by_name.get(name);
        let found = id.and_then(|id| entries.groups.get(id));
        found.map(|entry| Arc::clone(&entry.group)).ok_or_else(|| {
            Error::new(
                ErrorCode::ConsumerGroupNotFound,
                format!("there is no consumer group '{}'; create it first", name.escape_debug()),
            )
        })
    }

    /// The group of this number.
    pub(super) fn group_by_id(&self, id: GroupId) -> Option<Arc<Group>> {
        self.group_entry(id).map(|entry| Arc::clone(&entry.group))
    }

    pub(super) fn group_entry(&self, id: GroupId) -> Option<Arc<GroupEntry>> {
        self.read().groups.get(&id).cloned()
    }

    /// All groups, by name.
    pub(super) fn groups(&self) -> Vec<Arc<Group>> {
        let entries = self.read();
        let found = entries.groups_by_name.values().filter_map(|id| entries.groups.get(id));
        found.map(|entry| Arc::clone(&entry.group)).collect()
    }

    /// Publishes a new or changed topic.
    pub(super) fn put_topic(&self, topic: Arc<Topic>) {
        let metrics = self.metrics.topic(&topic.name);
        let mut entries = self.write();
        let before = entries.topics.get(&topic.id);
        let meter = before.map(|entry| Arc::clone(&entry.meter)).unwrap_or_default();
        self.lite_topics.add_topic(&topic);
        entries.topics_by_name.insert(topic.name.to_string(), topic.id);
        let entry = TopicEntry { topic, metrics, meter };
        entries.topics.insert(entry.topic.id, Arc::new(entry));
    }

    /// Takes a deleted topic out.
    pub(super) fn remove_topic(&self, topic: &Topic) {
        let mut entries = self.write();
        entries.topics.remove(&topic.id);
        entries.topics_by_name.remove(topic.name.as_str());
        self.lite_topics.remove_topic(topic.id);
        self.metrics.forget_topic(&topic.name);
    }

    /// Publishes a new or changed group; its topic is there already.
    pub(super) fn put_group(&self, group: Arc<Group>) {
        let mut entries = self.write();
        let Some(topic) = entries.topics.get(&group.topic) else { return };
        let metrics = self.metrics.group(&topic.topic.name, &group.name);
        entries.groups_by_name.insert(group.name.to_string(), group.id);
        entries.groups.insert(group.id, Arc::new(GroupEntry { group, metrics }));
    }

    /// Takes a deleted group out.
    pub(super) fn remove_group(&self, group: &Group) {
        let mut entries = self.write();
        entries.groups.remove(&group.id);
        entries.groups_by_name.remove(group.name.as_str());
        if let Some(topic) = entries.topics.get(&group.topic) {
            self.metrics.forget_group(&topic.topic.name, &group.name);
        }
    }

    /// How many lite topics there are and may be.
    pub(super) fn lite_topics(&self) -> &LiteTopics {
        &self.lite_topics
    }

    /// Counts what happened. A lite topic that was made has its room already.
    pub(super) fn count(&self, event: Event) {
        let topic = match event {
            Event::Processed { group, took } => {
                if let Some(entry) = self.group_entry(group) {
                    entry.metrics.processed(took);
                }
                return;
            }
            Event::LiteTopicCreated(topic)
            | Event::LiteTopicRemoved(topic)
            | Event::LiteTopicExpired(topic) => topic,
        };
        if !matches!(event, Event::LiteTopicCreated(_)) {
            self.lite_topics.give_back(topic);
        }
        let Some(entry) = self.topic_entry(topic) else { return };
        match event {
            Event::LiteTopicCreated(_) => entry.metrics.lite_topic_created(),
            Event::LiteTopicRemoved(_) => entry.metrics.lite_topic_removed(),
            Event::LiteTopicExpired(_) => entry.metrics.lite_topic_expired(),
            Event::Processed { .. } => {}
        }
    }

    /// A message with a body of so many bytes became a dead letter.
    pub(super) fn dead_lettered(&self, group: GroupId, body_bytes: u64) {
        let Some(entry) = self.group_entry(group) else { return };
        entry.metrics.dead_letter();
        if let Some(kept) = self.topic_entry(entry.group.dead_letter_topic) {
            kept.metrics.message_in(body_bytes);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TopicEntry {
    /// Lets one message more pass, if the topic's rate allows.
    ///
    /// # Errors
    /// [`ErrorCode::Overloaded`].
    pub(super) fn admit(&self, now: Timestamp) -> Result<()> {
        let Some(rate) = self.topic.options.send_rate else { return Ok(()) };
        let after = |bits| {
            let meter = RateMeter::from_bits(bits);
            (meter.room(now, rate, 1) > 0).then(|| meter.after(now, rate, 1).to_bits())
        };
        let passed = self.meter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, after);
        passed.map(drop).map_err(|bits| {
            let wait = RateMeter::from_bits(bits).wait(now, rate);
            let name = &self.topic.name;
            Error::new(
                ErrorCode::Overloaded,
                format!("topic '{name}' takes {rate} messages a second; try again in {wait}"),
            )
        })
    }
}
