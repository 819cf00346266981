//! Topics and groups as everybody reads them. Changes go through [`super::admin`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use litemq_domain::{Error, ErrorCode, Group, GroupId, Result, Topic, TopicId};

use crate::observe::{GroupMetrics, Metrics, TopicMetrics};

/// A topic with what is counted for it.
#[derive(Debug)]
pub(super) struct TopicEntry {
    pub(super) topic: Arc<Topic>,
    pub(super) metrics: TopicMetrics,
    /// Shared by all versions of the topic.
    lite_topics: Arc<AtomicU64>,
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
        Self { metrics, entries: RwLock::default() }
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
        let lite_topics = before.map(|entry| Arc::clone(&entry.lite_topics)).unwrap_or_default();
        entries.topics_by_name.insert(topic.name.to_string(), topic.id);
        let entry = TopicEntry { topic, metrics, lite_topics };
        entries.topics.insert(entry.topic.id, Arc::new(entry));
    }

    /// Takes a deleted topic out.
    pub(super) fn remove_topic(&self, topic: &Topic) {
        let mut entries = self.write();
        entries.topics.remove(&topic.id);
        entries.topics_by_name.remove(topic.name.as_str());
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

    /// Lite topics of a topic.
    pub(super) fn lite_count(&self, topic: TopicId) -> u64 {
        self.topic_entry(topic).map_or(0, |entry| entry.count())
    }

    /// Counts lite topics that were recovered.
    pub(super) fn add_lite_topics(&self, topic: TopicId, count: u64) {
        if let Some(entry) = self.topic_entry(topic) {
            entry.lite_topics.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// A first message made a lite topic.
    pub(super) fn lite_topic_created(&self, topic: TopicId) {
        if let Some(entry) = self.topic_entry(topic) {
            entry.lite_topics.fetch_add(1, Ordering::Relaxed);
            entry.metrics.lite_topic_created();
        }
    }

    /// A lite topic was removed.
    pub(super) fn lite_topic_removed(&self, topic: TopicId) {
        if let Some(entry) = self.topic_entry(topic) {
            entry.lite_topics.fetch_sub(1, Ordering::Relaxed);
            entry.metrics.lite_topics_removed(1);
        }
    }

    /// A message became a dead letter.
    pub(super) fn dead_lettered(&self, group: GroupId) {
        if let Some(entry) = self.group_entry(group) {
            entry.metrics.dead_letter();
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
    fn count(&self) -> u64 {
        self.lite_topics.load(Ordering::Relaxed)
    }
}
