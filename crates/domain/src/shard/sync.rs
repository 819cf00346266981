//! Subscriptions of clients to lite topics of this shard.

use std::collections::BTreeSet;

use super::Shard;
use crate::client::ClientKey;
use crate::effects::{Effects, Record};
use crate::error::{Error, ErrorCode, Result};
use crate::group::GroupId;
use crate::lite::SlotState;
use crate::names::{ClientId, LiteTopicName};
use crate::persisted::{self, Key};
use crate::time::Timestamp;
use crate::topic::TopicId;

/// How a client's set changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SyncOutcome {
    /// Lite topics added.
    pub added: u64,
    /// Lite topics removed.
    pub removed: u64,
}

impl Shard {
    /// Adds lite topics to a client's set. Names that it has already change nothing; a name that
    /// nobody sent to yet is remembered and becomes effective with the first message. An error
    /// changes nothing.
    pub fn subscribe(
        &mut self,
        now: Timestamp,
        client: &ClientId,
        key: ClientKey,
        group: GroupId,
        names: &[LiteTopicName],
        fx: &mut Effects,
    ) -> Result<SyncOutcome> {
        let topic = self.check_subscribable(group, names)?;
        let subscriber = self.subscriptions.find_or_add(client, key, group);
        let mut added = 0;
        for name in names {
            if let Some(slot) = self.find_or_name(now, topic, name, fx) {
                added += u64::from(self.add_pair(now, subscriber, slot, fx));
            }
        }
        self.subscriptions.remove_if_empty(subscriber);
        Ok(SyncOutcome { added, removed: 0 })
    }

    /// Removes lite topics from a client's set; unknown names are fine.
    pub fn unsubscribe(
        &mut self,
        key: ClientKey,
        group: GroupId,
        names: &[LiteTopicName],
        fx: &mut Effects,
    ) -> SyncOutcome {
        let Ok(topic) = self.group(group).map(|group| group.topic) else {
            return SyncOutcome::default();
        };
        let Some(subscriber) = self.subscriptions.find(key, group) else {
            return SyncOutcome::default();
        };
        let slots: Vec<u32> =
            names.iter().filter_map(|name| self.lites.find(topic, name)).collect();
        let removed = self.remove_pairs(subscriber, slots, fx);
        SyncOutcome { added: 0, removed }
    }

    /// Makes a client's set exactly these names. An error changes nothing.
    pub fn replace_subscriptions(
        &mut self,
        now: Timestamp,
        client: &ClientId,
        key: ClientKey,
        group: GroupId,
        names: &[LiteTopicName],
        fx: &mut Effects,
    ) -> Result<SyncOutcome> {
        let topic = self.check_subscribable(group, names)?;
        let wanted: BTreeSet<u32> =
            names.iter().filter_map(|name| self.lites.find(topic, name)).collect();
        let removed = match self.subscriptions.find(key, group) {
            None => 0,
            Some(subscriber) => {
                let dropped = self.slots_of(subscriber, |slot| !wanted.contains(&slot));
                self.remove_pairs(subscriber, dropped, fx)
            }
        };
        let added = self.subscribe(now, client, key, group, names, fx)?.added;
        Ok(SyncOutcome { added, removed })
    }

    /// How many of these names, repeats aside, a client does not have yet.
    pub fn count_new(&self, key: ClientKey, group: GroupId, names: &[LiteTopicName]) -> u64 {
        let Ok(topic) = self.group(group).map(|group| group.topic) else { return 0 };
        let subscriber =
            self.subscriptions.find(key, group).and_then(|found| self.subscriptions.get(found));
        let has = |name: &LiteTopicName| {
            let slot = self.lites.find(topic, name);
            slot.is_some_and(|slot| subscriber.is_some_and(|found| found.slots.contains_key(&slot)))
        };
        names.iter().filter(|name| !has(name)).collect::<BTreeSet<_>>().len() as u64
    }

    /// Ends all subscriptions of a client for a group.
    pub fn unsubscribe_all(
        &mut self,
        key: ClientKey,
        group: GroupId,
        fx: &mut Effects,
    ) -> SyncOutcome {
        let Some(subscriber) = self.subscriptions.find(key, group) else {
            return SyncOutcome::default();
        };
        let slots = self.slots_of(subscriber, |_| true);
        let removed = self.remove_pairs(subscriber, slots, fx);
        SyncOutcome { added: 0, removed }
    }

    /// The topic of the group, if these names can be subscribed to.
    fn check_subscribable(&self, group: GroupId, names: &[LiteTopicName]) -> Result<TopicId> {
        let topic = self.group(group)?.topic;
        self.topic(topic)?;
        if self.lites.has_room(names.len()) {
            return Ok(topic);
        }
        Err(Error::new(
            ErrorCode::LiteSubscriptionQuotaExceeded,
            "this shard has no room for the names of more lite topics",
        ))
    }

    fn find_or_name(
        &mut self,
        now: Timestamp,
        topic: TopicId,
        name: &LiteTopicName,
        fx: &mut Effects,
    ) -> Option<u32> {
        if let Some(slot) = self.lites.find(topic, name) {
            return Some(slot);
        }
        let slot = self.lites.insert(topic, name, SlotState::Named, now)?;
        self.save_slot(slot, fx);
        Some(slot)
    }

    fn slots_of(&self, subscriber: u32, wanted: impl Fn(u32) -> bool) -> Vec<u32> {
        let Some(found) = self.subscriptions.get(subscriber) else { return Vec::new() };
        let mut slots: Vec<u32> =
            found.slots.keys().copied().filter(|slot| wanted(*slot)).collect();
        slots.sort_unstable();
        slots
    }

    fn add_pair(
        &mut self,
        now: Timestamp,
        subscriber: u32,
        slot_index: u32,
        fx: &mut Effects,
    ) -> bool {
        let Some(slot) = self.lites.get_mut(slot_index) else { return false };
        let Some(first) = self.subscriptions.add(subscriber, slot_index, slot.first_link) else {
            return false;
        };
        slot.first_link = first;
        let Some(found) = self.subscriptions.get(subscriber) else { return false };
        let group = found.group;
        fx.records.push(Record::Put {
            key: Key::Subscription { slot: slot_index, group, client: found.key },
            value: persisted::subscription::encode(&found.client),
        });
        if self.is_deliverable_to(now, slot_index, group) {
            self.mark_ready(subscriber, slot_index, fx);
        }
        true
    }

    fn remove_pairs(&mut self, subscriber: u32, slots: Vec<u32>, fx: &mut Effects) -> u64 {
        let mut removed = 0;
        for slot in slots {
            removed += u64::from(self.remove_pair(subscriber, slot, fx));
        }
        self.subscriptions.remove_if_empty(subscriber);
        removed
    }

    fn remove_pair(&mut self, subscriber: u32, slot_index: u32, fx: &mut Effects) -> bool {
        let Some(slot) = self.lites.get(slot_index) else { return false };
        let Some(first) = self.subscriptions.remove(subscriber, slot_index, slot.first_link) else {
            return false;
        };
        if let Some(found) = self.subscriptions.get(subscriber) {
            fx.records.push(Record::Delete {
                key: Key::Subscription { slot: slot_index, group: found.group, client: found.key },
            });
        }
        self.set_first_link(slot_index, first, fx);
        true
    }

    /// After pairs were removed. A name that nobody is subscribed to, and that never became a lite
    /// topic, goes.
    pub(super) fn set_first_link(&mut self, slot_index: u32, first: u32, fx: &mut Effects) {
        let Some(slot) = self.lites.get_mut(slot_index) else { return };
        slot.first_link = first;
        if slot.is_unused_name() {
            self.lites.remove(slot_index);
            self.save_slot(slot_index, fx);
        }
    }
}
