//! Subscriptions of clients to lite topics of this shard.

use std::collections::BTreeSet;

use super::Shard;
use crate::client::ClientKey;
use crate::effects::{Effects, Record};
use crate::error::{Error, ErrorCode, Result};
use crate::group::GroupId;
use crate::lite::{NONE, SlotState};
use crate::names::{ClientId, LiteTopicName};
use crate::persisted::{self, Key};
use crate::time::Timestamp;

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
    /// nobody sent to yet is remembered and becomes effective with the first message.
    pub fn subscribe(
        &mut self,
        now: Timestamp,
        client: &ClientId,
        key: ClientKey,
        group: GroupId,
        names: &[LiteTopicName],
        fx: &mut Effects,
    ) -> Result<SyncOutcome> {
        let topic = self.group(group)?.topic;
        let subscriber = self.subscriptions.find_or_add(client, key, group);
        let mut added = 0;
        for name in names {
            let slot = match self.lites.find(topic, name) {
                Some(slot) => slot,
                None => {
                    let slot =
                        self.lites.insert(topic, name, SlotState::Named, now).ok_or_else(|| {
                            Error::new(
                                ErrorCode::LiteSubscriptionQuotaExceeded,
                                "this shard has no number left for another lite topic",
                            )
                        })?;
                    self.save_slot(slot, fx);
                    slot
                }
            };
            added += u64::from(self.add_pair(now, subscriber, slot, fx));
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

    /// Makes a client's set exactly these names.
    pub fn replace_subscriptions(
        &mut self,
        now: Timestamp,
        client: &ClientId,
        key: ClientKey,
        group: GroupId,
        names: &[LiteTopicName],
        fx: &mut Effects,
    ) -> Result<SyncOutcome> {
        let topic = self.group(group)?.topic;
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

    /// How many of these names a client does not have yet.
    pub fn count_new(&self, key: ClientKey, group: GroupId, names: &[LiteTopicName]) -> u64 {
        let Ok(topic) = self.group(group).map(|group| group.topic) else { return 0 };
        let subscriber =
            self.subscriptions.find(key, group).and_then(|found| self.subscriptions.get(found));
        let has = |name: &LiteTopicName| {
            let slot = self.lites.find(topic, name);
            slot.is_some_and(|slot| subscriber.is_some_and(|found| found.slots.contains_key(&slot)))
        };
        names.iter().filter(|name| !has(name)).count() as u64
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
        self.offer(now, slot_index, group, fx);
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

    /// Removes a pair, and with the last one a name that never became a lite topic.
    pub(super) fn remove_pair(
        &mut self,
        subscriber: u32,
        slot_index: u32,
        fx: &mut Effects,
    ) -> bool {
        let Some(slot) = self.lites.get_mut(slot_index) else { return false };
        let Some(first) = self.subscriptions.remove(subscriber, slot_index, slot.first_link) else {
            return false;
        };
        slot.first_link = first;
        let unused = first == NONE && slot.state == SlotState::Named;
        if let Some(found) = self.subscriptions.get(subscriber) {
            fx.records.push(Record::Delete {
                key: Key::Subscription { slot: slot_index, group: found.group, client: found.key },
            });
        }
        if unused {
            self.lites.remove(slot_index);
            self.save_slot(slot_index, fx);
        }
        true
    }
}
