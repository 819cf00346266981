//! A shard: the lite topics that hash to it, with their positions, leases and subscriptions.
//!
//! Every method that changes something takes `now` and adds what must become durable, and who must
//! be woken, to the caller's [`Effects`]. A reply may leave only when those records, and all before
//! them, are durable; so a message is never handed out before it is durable, and a repeat that
//! changes nothing is not confirmed before the first is durable.

mod audit;
mod background;
mod claim;
mod expiry;
mod inspect;
mod lagging;
mod letters;
mod milestones;
mod recovery;
mod reset;
mod send;
mod settle;
mod snapshot;
mod sync;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::client::ClientKey;
use crate::dead_letters::ResentLetters;
use crate::delivery::cursor::{Cursor, Cursors};
use crate::delivery::pace::Paces;
use crate::delivery::run::{Entry, EntryState, Run};
use crate::effects::{Effects, Place, Record, Wake};
use crate::error::{Error, ErrorCode, Result};
use crate::group::{Group, GroupId};
use crate::lag::Lags;
use crate::lifetime::Lifetimes;
use crate::limits::{AUTO_RENEW_STEP, TICK_CURSORS_MAX};
use crate::lite::{LiteTable, NONE, Slot};
use crate::names::{LiteTopicName, NamePrefix};
use crate::persisted::{self, Key};
use crate::resend::ResendWindow;
use crate::subscription::{LastReceive, Subscriptions};
use crate::table::NumberMap;
use crate::time::{Second, Timestamp};
use crate::topic::{Topic, TopicId};
use crate::trace::{Attempt, What};
use crate::wildcard::Wildcards;

pub(crate) use audit::Findings;
pub use audit::{Invariant, Violation};
pub use claim::{Claim, ClaimOutcome, Claimed};
pub use inspect::{GroupView, LiteView, ShardCounts, SubscriberView};
pub use lagging::{GroupLag, LiteLag};
pub use letters::{Letters, Resend, Resent};
pub use milestones::Milestones;
pub use recovery::ShardRecovery;
pub use reset::{Consumed, StartAt};
pub use send::{Send, SendOutcome};
pub use sync::{Subscribe, SyncOutcome};

use background::Work;

/// What a shard must know of its surroundings.
#[derive(Debug, Clone, Copy)]
pub struct ShardConfig {
    /// The shard's number, for receipt handles.
    pub number: u16,
    /// Key of the hashes of names.
    pub hash_key: [u8; 16],
}

/// One shard. The only writer of everything in it.
#[derive(Debug)]
pub struct Shard {
    number: u16,
    lites: LiteTable,
    cursors: Cursors,
    /// What groups have left to settle.
    lags: Lags,
    subscriptions: Subscriptions,
    resends: ResendWindow,
    /// Slots with dead letters of which some were sent again.
    resent: BTreeMap<u32, ResentLetters>,
    /// Cursors by the moment at which something of theirs becomes visible.
    timers: BTreeSet<(Timestamp, u32)>,
    /// When lite topics expire.
    lifetimes: Lifetimes,
    /// Cursors with a run whose `clients` has this client.
    held_by: NumberMap<ClientKey, BTreeSet<u32>>,
    topics: BTreeMap<TopicId, Arc<Topic>>,
    groups: BTreeMap<GroupId, Arc<Group>>,
    /// Each group with its topic.
    bound: BTreeSet<(TopicId, GroupId)>,
    work: VecDeque<Work>,
    wildcards: Wildcards,
    paces: Paces,
    /// What clients of wildcard groups were given last, while they hold something.
    last_receives: BTreeMap<(ClientKey, GroupId), LastReceive>,
}

impl Shard {
    /// An empty shard.
    pub fn new(config: ShardConfig) -> Self {
        Self {
            number: config.number,
            lites: LiteTable::new(config.hash_key),
            cursors: Cursors::default(),
            lags: Lags::default(),
            subscriptions: Subscriptions::default(),
            resends: ResendWindow::default(),
            resent: BTreeMap::new(),
            timers: BTreeSet::new(),
            lifetimes: Lifetimes::default(),
            held_by: NumberMap::default(),
            topics: BTreeMap::new(),
            groups: BTreeMap::new(),
            bound: BTreeSet::new(),
            work: VecDeque::new(),
            wildcards: Wildcards::default(),
            paces: Paces::default(),
            last_receives: BTreeMap::new(),
        }
    }

    /// The shard's number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// A topic was created or changed.
    pub fn set_topic(&mut self, topic: Arc<Topic>) {
        let before = self.topics.insert(topic.id, Arc::clone(&topic));
        if before.is_some_and(|before| !before.options.expires_like(&topic.options)) {
            self.file_topic(topic.id);
        }
    }

    /// A group was created or changed.
    pub fn set_group(&mut self, group: Arc<Group>) {
        self.bound.insert((group.topic, group.id));
        let before = self.groups.insert(group.id, Arc::clone(&group));
        let before = before.as_ref().map(|before| &before.options);
        let mut is_to_refresh = before.is_some_and(|of| of.ordered != group.options.ordered);
        if before.is_none_or(|before| before.mode != group.options.mode) {
            is_to_refresh |= before.is_some_and(|of| of.wildcard().is_some());
            is_to_refresh |= self.set_wildcard(&group);
        }
        if is_to_refresh {
            self.work.push_back(Work::RefreshGroup { group: group.id, slot: 0 });
        }
        if before.is_some_and(|before| before.mode != group.options.mode) {
            // What waited for it to be read may no longer be its own.
            self.file_topic(group.topic);
        }
    }

    /// Files all lite topics of a topic anew, over the next [`Self::step`]s.
    fn file_topic(&mut self, topic: TopicId) {
        let is_same =
            |work: &Work| matches!(work, Work::FileTopic { topic: of, .. } if *of == topic);
        self.work.retain(|work| !is_same(work));
        self.work.push_back(Work::FileTopic { topic, slot: 0 });
    }

    /// Whether the group is a wildcard group; what is ready for it is to be found then.
    fn set_wildcard(&mut self, group: &Group) -> bool {
        match group.options.wildcard() {
            Some(prefix) => self.wildcards.set(group.topic, group.id, prefix),
            None => self.wildcards.remove(group.topic, group.id),
        }
        group.options.wildcard().is_some()
    }

    /// Who is woken when something is ready for this client of a group.
    pub fn wake_of(&self, client: ClientKey, group: GroupId) -> Wake {
        let is_wildcard =
            self.groups.get(&group).is_some_and(|group| group.options.wildcard().is_some());
        Wake { client: (!is_wildcard).then_some(client), group }
    }

    /// When [`Self::tick`] has something to do, possibly in the past; `None` while nothing is leased,
    /// nothing waits for its rate and nothing expires.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let lease = self.timers.first().map(|(at, _)| *at);
        let others = [self.paces.next_due(), self.lifetimes.next_deadline()];
        lease.into_iter().chain(others.into_iter().flatten()).min()
    }

    /// Handles what has become due: leases of connected clients are renewed within their bound,
    /// others end and their messages are ready again; lite topics that waited for their rate are ready
    /// again; lite topics expire. Until then nobody is handed a message whose lease has run out. At
    /// most [`TICK_CURSORS_MAX`] positions of each kind and [`crate::limits::EXPIRIES_PER_TICK`] lite
    /// topics a call; what is left is due still, the latter after a pause.
    pub fn tick(
        &mut self,
        now: Timestamp,
        is_connected: &dyn Fn(ClientKey) -> bool,
        fx: &mut Effects,
    ) {
        self.look_at_paces(now, fx);
        self.end_or_renew_leases(now, is_connected, fx);
        self.expire(now, fx);
    }

    fn look_at_paces(&mut self, now: Timestamp, fx: &mut Effects) {
        for _ in 0..TICK_CURSORS_MAX {
            match self.paces.look(now) {
                Some(Some(cursor)) => self.refresh(now, cursor, fx),
                Some(None) => {}
                None => return,
            }
        }
    }

    fn end_or_renew_leases(
        &mut self,
        now: Timestamp,
        is_connected: &dyn Fn(ClientKey) -> bool,
        fx: &mut Effects,
    ) {
        for _ in 0..TICK_CURSORS_MAX {
            let Some((due, cursor)) = self.timers.first().copied().filter(|(at, _)| *at <= now)
            else {
                return;
            };
            self.timers.pop_first();
            if let Some(run) = self.cursors.run_mut(cursor) {
                run.timer = Timestamp(0);
                if run.renew(now, AUTO_RENEW_STEP, is_connected) {
                    self.save_cursor(cursor, fx);
                }
            }
            // What was visible before this timer was set has been told.
            let has_ended = |entry: &Entry| {
                entry.state == EntryState::Leased && (due..=now).contains(&entry.visible_at)
            };
            self.note_run(cursor, has_ended, What::Visible, fx);
            self.refresh(now, cursor, fx);
        }
    }

    /// A connection of a client broke: what the client was given in the last minute may not have
    /// reached it, so it is not renewed without end. What was renewed before goes on.
    pub fn doubt_client(&mut self, client: ClientKey, fx: &mut Effects) {
        let held: Vec<u32> = self.held_by.get(&client).into_iter().flatten().copied().collect();
        for cursor in held {
            if self.cursors.run_mut(cursor).is_some_and(|run| run.doubt_client(client)) {
                self.save_cursor(cursor, fx);
            }
        }
    }

    /// A client is gone or says goodbye: what it holds is visible now. `renewed_only` leaves leases
    /// whose duration the client chose itself.
    pub fn release_client(
        &mut self,
        now: Timestamp,
        client: ClientKey,
        renewed_only: bool,
        fx: &mut Effects,
    ) {
        let held: Vec<u32> = self.held_by.get(&client).into_iter().flatten().copied().collect();
        for cursor in held {
            self.release_from(now, cursor, client, renewed_only, fx);
        }
    }

    /// What a client holds of one position goes back.
    fn release_from(
        &mut self,
        now: Timestamp,
        cursor: u32,
        client: ClientKey,
        renewed_only: bool,
        fx: &mut Effects,
    ) {
        let is_its = |entry: &Entry| entry.is_leased_to(client, now, renewed_only);
        self.note_run(cursor, is_its, What::Released, fx);
        let released = self
            .cursors
            .run_mut(cursor)
            .is_some_and(|run| run.release_client(client, now, renewed_only));
        if released {
            self.save_cursor(cursor, fx);
            self.refresh(now, cursor, fx);
        }
    }

    fn group(&self, id: GroupId) -> Result<&Arc<Group>> {
        self.groups.get(&id).ok_or_else(|| {
            Error::new(ErrorCode::ConsumerGroupNotFound, "the consumer group was deleted")
        })
    }

    fn topic(&self, id: TopicId) -> Result<&Arc<Topic>> {
        self.topics
            .get(&id)
            .ok_or_else(|| Error::new(ErrorCode::TopicNotFound, "the topic was deleted"))
    }

    /// Whether a group could be handed something of this slot now.
    fn is_deliverable(&self, now: Timestamp, slot: &Slot, group: &Group) -> bool {
        let Some(index) = self.cursors.find(slot.first_cursor, group.id) else {
            return slot.next_offset > slot.first_offset;
        };
        if self.paces.is_waiting(index) {
            return false;
        }
        let Some(cursor) = self.cursors.get(index) else { return false };
        let stored = slot.next_offset.saturating_sub(cursor.committed);
        match self.cursors.run(index) {
            Some(run) => run.is_deliverable(now, group.options.ordered, group.run_max(), stored),
            None => stored > 0,
        }
    }

    /// Puts a slot on the ready lists of the group's subscribers if it is deliverable.
    fn offer(&mut self, now: Timestamp, slot_index: u32, group: GroupId, fx: &mut Effects) {
        let Some(slot) = self.lites.get(slot_index) else { return };
        let Some(rules) = self.groups.get(&group) else { return };
        if !self.is_deliverable(now, slot, rules) {
            return;
        }
        if rules.options.wildcard().is_some() {
            if self.is_shared_by(slot, rules) {
                let topic = rules.topic;
                fx.wakes.extend(self.wildcards.mark_ready(topic, group, slot_index));
            }
            return;
        }
        for subscriber in self.subscriptions.of_group(slot.first_link, group) {
            self.mark_ready(subscriber, slot_index, fx);
        }
    }

    /// Offers a slot to each group that somebody is subscribed for, and to those that share it.
    fn offer_to_all(&mut self, now: Timestamp, slot_index: u32, fx: &mut Effects) {
        let Some(slot) = self.lites.get(slot_index) else { return };
        let mut deliverable = None;
        for (group, subscriber) in self.subscriptions.by_group(slot.first_link) {
            if deliverable.is_none_or(|(last, _)| last != group) {
                deliverable = Some((group, self.is_deliverable_to(now, slot_index, group)));
            }
            if deliverable == Some((group, true)) {
                self.mark_ready(subscriber, slot_index, fx);
            }
        }
        for group in self.shared_by(slot_index) {
            self.offer(now, slot_index, group, fx);
        }
    }

    /// Whether all clients of a group share the lite topic.
    fn is_shared_by(&self, slot: &Slot, group: &Group) -> bool {
        let is_named = |prefix: &NamePrefix| prefix.matches(self.lites.name_bytes(slot));
        slot.topic == group.topic && group.options.wildcard().is_some_and(is_named)
    }

    /// The wildcard groups that share a lite topic.
    fn shared_by(&self, slot_index: u32) -> Vec<GroupId> {
        let Some(slot) = self.lites.get(slot_index) else { return Vec::new() };
        self.wildcards.sharing(slot.topic, self.lites.name_bytes(slot)).collect()
    }

    fn is_deliverable_to(&self, now: Timestamp, slot: u32, group: GroupId) -> bool {
        let (Some(slot), Some(rules)) = (self.lites.get(slot), self.groups.get(&group)) else {
            return false;
        };
        self.is_deliverable(now, slot, rules)
    }

    fn mark_ready(&mut self, subscriber: u32, slot: u32, fx: &mut Effects) {
        fx.wakes.extend(self.subscriptions.mark_ready(subscriber, slot));
    }

    /// After any change of a cursor: counts what is left, sets its timer and offers its lite topic,
    /// which may have waited for this group to expire.
    fn refresh(&mut self, now: Timestamp, index: u32, fx: &mut Effects) {
        let Some(cursor) = self.cursors.get(index) else { return };
        let (slot, group) = (cursor.slot, cursor.group);
        self.file_if_free(slot);
        self.count_lag(now, slot, group);
        if let Some(run) = self.cursors.run_mut(index) {
            if run.is_due(now) {
                return; // `tick` comes here again
            }
            let next = run.next_visible_at(now).unwrap_or(Timestamp(0));
            let before = std::mem::replace(&mut run.timer, next);
            if before != next {
                self.timers.remove(&(before, index));
                if next > Timestamp(0) {
                    self.timers.insert((next, index));
                }
            }
        }
        self.offer(now, slot, group, fx);
    }

    /// Moves a cursor over what is settled; an ended run leaves no trace.
    fn advance(&mut self, index: u32) {
        if let Some(ended) = self.cursors.advance(index) {
            self.forget_run(index, &ended);
        }
    }

    fn forget_run(&mut self, index: u32, run: &Run) {
        self.timers.remove(&(run.timer, index));
        for client in &run.clients {
            self.forget_holder(index, *client);
        }
    }

    fn forget_holder(&mut self, index: u32, client: ClientKey) {
        if let Some(held) = self.held_by.get_mut(&client) {
            held.remove(&index);
            if held.is_empty() {
                self.held_by.remove(&client);
                self.forget_receives(client);
            }
        }
    }

    /// A client of wildcard groups holds nothing that it could be given again.
    fn forget_receives(&mut self, client: ClientKey) {
        let of_client = (client, GroupId(0))..=(client, GroupId(u32::MAX));
        while let Some((key, _)) = self.last_receives.range(of_client.clone()).next() {
            let key = *key;
            self.last_receives.remove(&key);
        }
    }

    fn save_cursor(&self, index: u32, fx: &mut Effects) {
        let Some(cursor) = self.cursors.get(index) else { return };
        debug_assert!(self.is_in_place(cursor, self.cursors.run(index)), "{cursor:?}");
        fx.records.push(Record::Put {
            key: Key::Cursor { slot: cursor.slot, group: cursor.group },
            value: persisted::cursor::encode(cursor, self.cursors.run(index), self.read_at(cursor)),
        });
    }

    /// When something of a position's lite topic was last read.
    fn read_at(&self, cursor: &Cursor) -> Second {
        self.lites.get(cursor.slot).map_or(Second::NONE, |slot| slot.last_read_at)
    }

    /// Whether a position is one of the present life of its lite topic, inside what is stored, and
    /// its run starts with a message that is open.
    fn is_in_place(&self, cursor: &Cursor, run: Option<&Run>) -> bool {
        let open = run.map_or(0, |run| run.entries.len() as u64);
        let is_open =
            |run: &Run| run.entries.front().is_some_and(|first| first.state != EntryState::Acked);
        run.is_none_or(is_open)
            && self.lites.get_life(cursor.slot, cursor.generation).is_some_and(|slot| {
                slot.first_offset <= cursor.committed
                    && cursor.committed.saturating_add(open) <= slot.next_offset
            })
    }

    fn save_slot(&self, index: u32, fx: &mut Effects) {
        let Some(slot) = self.lites.get_any(index) else { return };
        fx.records.push(Record::Put {
            key: Key::Channel { slot: index },
            value: self.channel_value(index, slot),
        });
    }

    fn channel_value(&self, index: u32, slot: &Slot) -> Vec<u8> {
        let name = self.lites.name_bytes(slot);
        persisted::channel::encode(slot, name, &self.lifetimes.own(index))
    }

    /// The cursor of a group in a slot, started at the oldest message if there is none.
    fn cursor_or_start(&mut self, slot_index: u32, group: GroupId) -> Option<u32> {
        let slot = self.lites.get_mut(slot_index)?;
        if let Some(found) = self.cursors.find(slot.first_cursor, group) {
            return Some(found);
        }
        let index = self.cursors.insert(Cursor {
            committed: slot.first_offset,
            group,
            slot: slot_index,
            generation: slot.generation,
            epoch: 0,
            run: NONE,
            next: slot.first_cursor,
        });
        slot.first_cursor = index;
        Some(index)
    }

    /// Forgets a cursor, its run and its record.
    fn remove_cursor(&mut self, index: u32, fx: &mut Effects) {
        let Some(slot) = self.cursors.get(index).map(|cursor| cursor.slot) else { return };
        self.unlink_cursor(slot, index);
        let Some((cursor, run)) = self.cursors.remove(index) else { return };
        self.lags.remove(cursor.group, slot);
        if let Some(run) = run {
            self.forget_run(index, &run);
        }
        self.paces.forget(index);
        fx.records
            .push(Record::Delete { key: Key::Cursor { slot: cursor.slot, group: cursor.group } });
    }

    /// Takes a cursor out of its slot's chain, whatever the state of the slot.
    fn unlink_cursor(&mut self, slot: u32, index: u32) {
        let Some(next) = self.cursors.get(index).map(|cursor| cursor.next) else { return };
        let Some(slot) = self.lites.place_mut(slot) else { return };
        if slot.first_cursor == index {
            slot.first_cursor = next;
            return;
        }
        let before = self
            .cursors
            .chain(slot.first_cursor)
            .find(|(_, other)| other.next == index)
            .map(|(before, _)| before);
        if let Some(before) = before.and_then(|before| self.cursors.get_mut(before)) {
            before.next = next;
        }
    }

    /// Keyed hash of a lite topic's name below its topic: what is left of it in the account of what
    /// happened when it is gone.
    pub fn name_hash(&self, topic: TopicId, name: &LiteTopicName) -> u64 {
        self.lites.name_hash(topic, name.as_str().as_bytes())
    }

    /// Tells what happens to some messages of a run.
    fn note_run(
        &self,
        index: u32,
        is_wanted: impl Fn(&Entry) -> bool,
        what: impl Fn(Attempt) -> What,
        fx: &mut Effects,
    ) {
        if !fx.is_traced {
            return;
        }
        let (Some(cursor), Some(run)) = (self.cursors.get(index), self.cursors.run(index)) else {
            return;
        };
        let Cursor { slot, generation, committed, group, .. } = *cursor;
        let entries = run.entries.iter().zip(committed..);
        for (entry, offset) in entries.filter(|(entry, _)| is_wanted(entry)) {
            let attempt = Attempt { group, number: entry.attempt };
            fx.note(Place { slot, generation, offset }, what(attempt));
        }
    }

    /// The hand-out of a message of a run.
    fn attempt_of(&self, index: u32, at: usize) -> Attempt {
        let group = self.cursors.get(index).map_or(GroupId(0), |cursor| cursor.group);
        let entry = self.cursors.run(index).and_then(|run| run.entries.get(at));
        Attempt { group, number: entry.map_or(0, |entry| entry.attempt) }
    }

    fn find_lite(&self, topic: TopicId, name: &LiteTopicName) -> Option<(u32, &Slot)> {
        let index = self.lites.find(topic, name)?;
        let slot = self.lites.get(index)?;
        (slot.state == crate::lite::SlotState::Live).then_some((index, slot))
    }
}
