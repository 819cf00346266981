//! Subscriptions of clients to lite topics of this shard.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Shard, StartAt};
use crate::client::{ClientKey, Subscribing};
use crate::effects::{Effects, Farewell, Record};
use crate::error::{Error, ErrorCode, Result};
use crate::group::{Group, GroupId};
use crate::lite::{NONE, SlotState};
use crate::names::LiteTopicName;
use crate::persisted::{self, Key};
use crate::time::Timestamp;
use crate::topic::TopicId;

/// What a client adds to its set of lite topics.
#[derive(Debug, Clone, Copy)]
pub struct Subscribe<'a> {
    /// Who adds.
    pub who: Subscribing<'a>,
    /// For which group.
    pub group: GroupId,
    /// The lite topics.
    pub names: &'a [LiteTopicName],
    /// Where the group goes on, for each name; where there is none it stays where it is.
    pub starts: &'a [StartAt],
    /// In an exclusive group, whether lite topics of other clients are taken from them. If not, they
    /// are left out.
    pub takes_over: bool,
}

/// How a client's set changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SyncOutcome {
    /// Lite topics added.
    pub added: u64,
    /// Lite topics removed.
    pub removed: u64,
}

impl Shard {
    /// Adds lite topics to a client's set. Names that it has already change nothing but where the
    /// group goes on; a name that nobody sent to yet is remembered and becomes effective with the
    /// first message. An error changes nothing.
    pub fn subscribe(
        &mut self,
        now: Timestamp,
        request: Subscribe<'_>,
        fx: &mut Effects,
    ) -> Result<SyncOutcome> {
        let group = self.check_subscribable(request.group, request.names)?;
        let subscriber = self.subscriptions.find_or_add(request.who, request.group);
        let mut added = 0;
        for (at, name) in request.names.iter().enumerate() {
            let Some(slot) = self.find_or_name(now, group.topic, name, fx) else { continue };
            let owner = self.other_owner(slot, subscriber, &group);
            if owner.is_some() && !request.takes_over {
                self.say_farewell(subscriber, slot, false, fx);
                continue;
            }
            let mut moved = None;
            if let Some(owner) = owner {
                moved = self.take_over(now, slot, owner, &group, fx);
            }
            if let Some(start) = request.starts.get(at) {
                moved = self.move_group(slot, group.id, *start, fx).or(moved);
            }
            added += u64::from(self.add_pair(subscriber, slot, fx));
            if let Some(owner) = owner {
                self.remove_pair(owner, slot, fx);
                self.subscriptions.remove_if_empty(owner);
            }
            self.count_lag(now, slot, group.id);
            match moved {
                Some(cursor) => self.refresh(now, cursor, fx),
                None if self.is_deliverable_to(now, slot, group.id) => {
                    self.mark_ready(subscriber, slot, fx);
                }
                None => {}
            }
        }
        self.subscriptions.remove_if_empty(subscriber);
        Ok(SyncOutcome { added, removed: 0 })
    }

    /// Removes lite topics from a client's set; unknown names are fine.
    pub fn unsubscribe(
        &mut self,
        now: Timestamp,
        key: ClientKey,
        group: GroupId,
        names: &[LiteTopicName],
        fx: &mut Effects,
    ) -> SyncOutcome {
        let (Ok(group), Some(subscriber)) =
            (self.group(group).cloned(), self.subscriptions.find(key, group))
        else {
            return SyncOutcome::default();
        };
        let mut removed = 0;
        for slot in
            names.iter().filter_map(|name| self.lites.find(group.topic, name)).collect::<Vec<_>>()
        {
            let is_removed = self.remove_pair(subscriber, slot, fx);
            removed += u64::from(is_removed);
            if is_removed
                && group.options.reset_on_unsubscribe
                && let Some(cursor) = self.move_group(slot, group.id, StartAt::Oldest, fx)
            {
                self.refresh(now, cursor, fx);
            }
        }
        self.subscriptions.remove_if_empty(subscriber);
        SyncOutcome { added: 0, removed }
    }

    /// Makes a client's set exactly these names, but for those that other clients of an exclusive
    /// group have. An error changes nothing.
    pub fn replace_subscriptions(
        &mut self,
        now: Timestamp,
        who: Subscribing<'_>,
        group: GroupId,
        names: &[LiteTopicName],
        fx: &mut Effects,
    ) -> Result<SyncOutcome> {
        let topic = self.check_subscribable(group, names)?.topic;
        let wanted: BTreeSet<u32> =
            names.iter().filter_map(|name| self.lites.find(topic, name)).collect();
        let removed = match self.subscriptions.find(who.key, group) {
            None => 0,
            Some(subscriber) => {
                let dropped = self.slots_of(subscriber, |slot| !wanted.contains(&slot));
                self.remove_pairs(subscriber, dropped, fx)
            }
        };
        let request = Subscribe { who, group, names, starts: &[], takes_over: false };
        let added = self.subscribe(now, request, fx)?.added;
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

    /// Takes a lite topic, or all, from a client that did not ask for that and is told; how many. What
    /// it holds of them goes back. It may subscribe again.
    pub fn expel(
        &mut self,
        now: Timestamp,
        key: ClientKey,
        group: GroupId,
        name: Option<&LiteTopicName>,
        fx: &mut Effects,
    ) -> u64 {
        let (Ok(topic), Some(subscriber)) =
            (self.group(group).map(|group| group.topic), self.subscriptions.find(key, group))
        else {
            return 0;
        };
        let named = name.map(|name| self.lites.find(topic, name));
        let slots = self.slots_of(subscriber, |slot| named.is_none_or(|named| named == Some(slot)));
        for slot in &slots {
            self.say_farewell(subscriber, *slot, true, fx);
        }
        let expelled = self.remove_pairs(subscriber, slots.clone(), fx);
        for slot in slots {
            if let Some(cursor) = self.cursor_of(slot, group) {
                self.release_from(now, cursor, key, false, fx);
            }
        }
        expelled
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

    /// The group, if these names can be subscribed to.
    fn check_subscribable(&self, group: GroupId, names: &[LiteTopicName]) -> Result<Arc<Group>> {
        let group = self.group(group)?;
        self.topic(group.topic)?;
        if let Some(prefix) = group.options.wildcard() {
            return Err(Error::new(
                ErrorCode::BadRequest,
                format!(
                    "all clients of consumer group '{}' share the lite topics '{prefix}' of its \
                     topic; they do not subscribe",
                    group.name
                ),
            ));
        }
        if self.lites.has_room(names.len()) {
            return Ok(Arc::clone(group));
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

    /// Who else has a lite topic of an exclusive group.
    fn other_owner(&self, slot: u32, subscriber: u32, group: &Group) -> Option<u32> {
        if !group.options.is_exclusive() {
            return None;
        }
        let owners = self.subscriptions.of_group(self.lites.get(slot)?.first_link, group.id);
        owners.into_iter().find(|owner| *owner != subscriber)
    }

    /// A lite topic of an exclusive group goes to another client: from now on who has it gets nothing
    /// of it, and what it holds is ready for the other. The cursor, to be refreshed.
    fn take_over(
        &mut self,
        now: Timestamp,
        slot: u32,
        owner: u32,
        group: &Group,
        fx: &mut Effects,
    ) -> Option<u32> {
        self.say_farewell(owner, slot, true, fx);
        if group.options.reset_on_takeover {
            return self.move_group(slot, group.id, StartAt::Oldest, fx);
        }
        self.end_leases(now, slot, group.id, fx)
    }

    pub(super) fn say_farewell(
        &self,
        subscriber: u32,
        slot_index: u32,
        ended: bool,
        fx: &mut Effects,
    ) {
        let Some(found) = self.subscriptions.get(subscriber) else { return };
        let (Some(slot), Some(lite_topic)) =
            (self.lites.get(slot_index), self.lites.name(slot_index))
        else {
            return;
        };
        let (client, group, topic) = (found.key, found.group, slot.topic);
        fx.farewells.push(Farewell { client, group, topic, lite_topic, ended });
    }

    fn add_pair(&mut self, subscriber: u32, slot_index: u32, fx: &mut Effects) -> bool {
        let Some(slot) = self.lites.get_mut(slot_index) else { return false };
        let Some(first) = self.subscriptions.add(subscriber, slot_index, slot.first_link) else {
            return false;
        };
        slot.first_link = first;
        let Some(found) = self.subscriptions.get(subscriber) else { return false };
        let group = found.group;
        fx.records.push(Record::Put {
            key: Key::Subscription { slot: slot_index, group, client: found.key },
            value: persisted::subscription::encode(&found.client, found.user),
        });
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
        if let Some((key, group)) =
            self.subscriptions.get(subscriber).map(|found| (found.key, found.group))
        {
            self.end_renewals(slot_index, group, key, fx);
            self.end_lag(slot_index, group);
        }
        true
    }

    /// Who is not subscribed any more has time to settle what it holds, but no longer than it asked
    /// for.
    fn end_renewals(
        &mut self,
        slot_index: u32,
        group: GroupId,
        client: ClientKey,
        fx: &mut Effects,
    ) {
        let Some(cursor) = self.cursor_of(slot_index, group) else { return };
        if self.cursors.run_mut(cursor).is_some_and(|run| run.end_renewals(client)) {
            self.save_cursor(cursor, fx);
        }
    }

    fn cursor_of(&self, slot_index: u32, group: GroupId) -> Option<u32> {
        self.cursors.find(self.lites.get(slot_index)?.first_cursor, group)
    }

    /// After pairs were removed. A name that nobody is subscribed to, and that never became a lite
    /// topic, goes.
    pub(super) fn set_first_link(&mut self, slot_index: u32, first: u32, fx: &mut Effects) {
        let Some(slot) = self.lites.get_mut(slot_index) else { return };
        slot.first_link = first;
        if slot.is_unused_name() {
            self.lites.remove(slot_index);
            self.save_slot(slot_index, fx);
        } else if first == NONE {
            self.file_if_free(slot_index);
        }
    }
}
