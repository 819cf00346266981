//! Looking at a shard without changing it.

use super::{GroupLag, Shard};
use crate::client::{ClientKey, UserKey};
use crate::dead_letters::ResentLetters;
use crate::effects::Place;
use crate::group::GroupId;
use crate::lifetime::{OwnLifetime, Protection};
use crate::limits::LIST_NAMES_MAX;
use crate::lite::Slot;
use crate::names::{ClientId, LiteTopicName};
use crate::time::{DurationMs, Timestamp};
use crate::topic::TopicId;

/// A client that is subscribed for a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriberView {
    /// Its id.
    pub client: ClientId,
    /// Its key.
    pub key: ClientKey,
    /// Whose it is; nobody's while authentication is off.
    pub user: Option<UserKey>,
    /// The group.
    pub group: GroupId,
    /// To how many lite topics of this shard.
    pub lite_topics: u64,
}

/// A lite topic as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiteView {
    /// Its name.
    pub name: LiteTopicName,
    /// Its slot.
    pub slot: u32,
    /// Its life.
    pub generation: u32,
    /// Oldest offset known to be stored.
    pub first_offset: u64,
    /// Offset of the next message.
    pub next_offset: u64,
    /// When it was created, to the second.
    pub created_at: Timestamp,
    /// When the last message was stored.
    pub last_send_at: Option<Timestamp>,
    /// When a group last was handed something or settled something, to the second.
    pub last_read_at: Option<Timestamp>,
    /// The time to live in force; `None` is for ever.
    pub ttl: Option<DurationMs>,
    /// What it has of its own.
    pub own: OwnLifetime,
    /// When it expires, if nothing happens; `None` is never. It is removed within seconds after.
    pub expires_at: Option<Timestamp>,
    /// What keeps it although it may be due.
    pub protection: Option<Protection>,
    /// Dead letters that were sent again.
    pub resent: u64,
    /// Each group with a position or a subscriber, and each wildcard group that shares it.
    pub groups: Vec<GroupView>,
}

/// A group's view of a lite topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView {
    /// The group.
    pub group: GroupId,
    /// Everything below is settled.
    pub committed: u64,
    /// Handed out, not settled, not visible.
    pub in_flight: u64,
    /// Not settled and not in flight.
    pub ready: u64,
    /// Who is subscribed, sorted.
    pub subscribers: Vec<ClientId>,
}

/// How much is in a shard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShardCounts {
    /// Lite topics of each topic.
    pub lite_topics: Vec<(TopicId, u64)>,
    /// Pairs of client and lite topic.
    pub subscriptions: u64,
    /// What each group has left to settle; without those that have nothing left.
    pub lags: Vec<GroupLag>,
}

impl Shard {
    /// A lite topic.
    pub fn describe(
        &self,
        now: Timestamp,
        topic: TopicId,
        name: &LiteTopicName,
    ) -> Option<LiteView> {
        let (index, slot) = self.find_lite(topic, name)?;
        self.view(now, index, slot)
    }

    /// The name of the lite topic that a place is in; none when that life of it is over.
    pub fn name_of(&self, place: Place) -> Option<LiteTopicName> {
        self.lites.get_life(place.slot, place.generation)?;
        self.lites.name(place.slot)
    }

    /// The lite topic that a message is in, if that life of it has not ended.
    pub fn lite_topic_at(&self, place: Place) -> Option<(TopicId, LiteTopicName)> {
        let slot = self.lites.get_life(place.slot, place.generation)?;
        Some((slot.topic, self.lites.name(place.slot)?))
    }

    /// Lite topics of a topic by name: after `after`, with this prefix, at most `max` (bounded by
    /// [`LIST_NAMES_MAX`]).
    pub fn list(
        &self,
        now: Timestamp,
        topic: TopicId,
        prefix: &str,
        after: Option<&str>,
        max: usize,
    ) -> Vec<LiteView> {
        self.lites
            .list(topic, prefix, after, max.min(LIST_NAMES_MAX))
            .into_iter()
            .filter_map(|index| self.view(now, index, self.lites.get(index)?))
            .collect()
    }

    /// How much is here. Cost follows the numbers of topics and of groups.
    pub fn counts(&self, now: Timestamp) -> ShardCounts {
        ShardCounts {
            lite_topics: self
                .lites
                .topics()
                .map(|topic| (topic, self.lites.live_of(topic)))
                .collect(),
            subscriptions: self.subscriptions.pairs(),
            lags: self.all_lags(now),
        }
    }

    /// How many lite topics a client is subscribed to for a group, and the names of some: at most
    /// [`LIST_NAMES_MAX`].
    pub fn subscribed_to(&self, client: ClientKey, group: GroupId) -> (u64, Vec<LiteTopicName>) {
        let found = self.subscriptions.find(client, group);
        let Some(found) = found.and_then(|found| self.subscriptions.get(found)) else {
            return (0, Vec::new());
        };
        let some = found.slots.keys().take(LIST_NAMES_MAX);
        (found.slots.len() as u64, some.filter_map(|slot| self.lites.name(*slot)).collect())
    }

    /// Who is subscribed for which group, with how many lite topics.
    pub fn subscribers(&self) -> Vec<SubscriberView> {
        self.subscriptions
            .all()
            .map(|(_, found)| SubscriberView {
                client: found.client.clone(),
                key: found.key,
                user: found.user,
                group: found.group,
                lite_topics: found.slots.len() as u64,
            })
            .collect()
    }

    fn view(&self, now: Timestamp, index: u32, slot: &Slot) -> Option<LiteView> {
        let own = self.lifetimes.own(index);
        Some(LiteView {
            name: self.lites.name(index)?,
            slot: index,
            generation: slot.generation,
            first_offset: slot.first_offset,
            next_offset: slot.next_offset,
            created_at: slot.created_at.start(),
            last_send_at: (slot.next_offset > 0).then_some(slot.last_send_at),
            last_read_at: slot.last_read_at.given(),
            ttl: self.topics.get(&slot.topic).and_then(|topic| own.ttl(&topic.options)),
            own,
            expires_at: self.due_at(index, slot),
            protection: self.protection(slot),
            resent: self.resent.get(&index).map_or(0, ResentLetters::count),
            groups: self.group_views(now, slot),
        })
    }

    fn group_views(&self, now: Timestamp, slot: &Slot) -> Vec<GroupView> {
        let mut views = std::collections::BTreeMap::<GroupId, GroupView>::new();
        let fresh = |group| GroupView {
            group,
            committed: slot.first_offset,
            in_flight: 0,
            ready: slot.next_offset.saturating_sub(slot.first_offset),
            subscribers: Vec::new(),
        };
        for (index, cursor) in self.cursors.chain(slot.first_cursor) {
            let view = views.entry(cursor.group).or_insert_with(|| fresh(cursor.group));
            let (in_flight, settled) =
                self.cursors.run(index).map_or((0, 0), |run| (run.in_flight(now), run.settled()));
            view.committed = cursor.committed;
            view.in_flight = in_flight;
            let open = slot.next_offset.saturating_sub(cursor.committed);
            view.ready = open.saturating_sub(in_flight + settled);
        }
        for subscriber in self.subscriptions.chain(slot.first_link) {
            if let Some(found) = self.subscriptions.get(subscriber) {
                let view = views.entry(found.group).or_insert_with(|| fresh(found.group));
                view.subscribers.push(found.client.clone());
            }
        }
        for group in self.wildcards.sharing(slot.topic, self.lites.name_bytes(slot)) {
            views.entry(group).or_insert_with(|| fresh(group));
        }
        let mut views: Vec<GroupView> = views.into_values().collect();
        for view in &mut views {
            view.subscribers.sort_unstable();
        }
        views
    }
}
