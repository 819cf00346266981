//! A shard from its records.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::background::Work;
use super::{Shard, ShardConfig};
use crate::client::{ClientKey, Subscribing, UserKey};
use crate::delivery::cursor::Cursor;
use crate::delivery::run::Run;
use crate::effects::Effects;
use crate::group::{Group, GroupId};
use crate::limits::{EXPIRY_GRACE, OFFSET_MAX, RESTART_GRACE};
use crate::lite::{Slot, SlotState};
use crate::names::ClientId;
use crate::persisted::{self, Key, Malformed};
use crate::subscription::LastReceive;
use crate::table::NumberMap;
use crate::time::{Second, Timestamp};
use crate::topic::Topic;

/// A shard being recovered. Records come in the order in which they became durable, possibly on
/// top of a snapshot that contains some of them already; the last record of a key decides.
#[derive(Debug)]
pub struct ShardRecovery {
    shard: Shard,
    subscriptions: NumberMap<(u32, GroupId, ClientKey), (ClientId, Option<UserKey>)>,
}

impl ShardRecovery {
    /// Starts from nothing.
    pub fn new(config: ShardConfig) -> Self {
        Self { shard: Shard::new(config), subscriptions: NumberMap::default() }
    }

    /// Says which shard this is, when that became known only from other records.
    pub fn configure(&mut self, config: ShardConfig) {
        self.shard.number = config.number;
        self.shard.lites.set_hash_key(config.hash_key);
    }

    /// The newest message's time, for a clock that does not go back over a restart.
    pub fn newest_send_at(&self) -> Timestamp {
        let lites = &self.shard.lites;
        let slots = (0..lites.slots_len()).filter_map(|slot| lites.get(slot));
        slots.map(|slot| slot.last_send_at).max().unwrap_or_default()
    }

    /// A record has this value.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Malformed> {
        match Key::decode(key)? {
            // Slots are numbered as they come: a number far ahead would cost memory for all before.
            Key::Channel { slot } | Key::Cursor { slot, .. }
                if slot > self.shard.lites.slots_len() =>
            {
                return Err(GAP);
            }
            Key::Channel { slot } => {
                let (found, name, own) = persisted::channel::decode(value)?;
                self.shard.lites.recover(slot, found, name).ok_or(TOO_MANY)?;
                self.shard.lifetimes.set_own(slot, own);
            }
            Key::Cursor { slot, group } => {
                let (cursor, run, last_read_at) = persisted::cursor::decode(value)?;
                let generation = cursor.generation;
                self.put_cursor(Cursor { slot, group, ..cursor }, run).ok_or(TOO_MANY)?;
                self.read(slot, generation, last_read_at);
            }
            Key::Subscription { slot, group, client } => {
                let whose = persisted::subscription::decode(value)?;
                self.subscriptions.insert((slot, group, client), whose);
            }
            Key::Resends { .. } => {
                for (identity, offset) in persisted::resends::decode(value)? {
                    self.shard.resends.restore(identity, offset);
                }
            }
            Key::ResentLetters { slot } => {
                self.shard.resent.insert(slot, persisted::resent::decode(value)?);
            }
        }
        Ok(())
    }

    /// A record is gone.
    pub fn delete(&mut self, key: &[u8]) -> Result<(), Malformed> {
        match Key::decode(key)? {
            // A slot's record is never deleted, and these are in no log.
            Key::Channel { .. } | Key::Resends { .. } => {}
            Key::Cursor { slot, group } => {
                let first = self.shard.lites.get_any(slot).map(|slot| slot.first_cursor);
                if let Some(cursor) = first.and_then(|first| self.shard.cursors.find(first, group))
                {
                    self.shard.forget_recovered(cursor);
                }
            }
            Key::Subscription { slot, group, client } => {
                self.subscriptions.remove(&(slot, group, client));
            }
            Key::ResentLetters { slot } => {
                self.shard.resent.remove(&slot);
            }
        }
        Ok(())
    }

    /// A message is stored.
    pub fn appended(&mut self, slot: u32, generation: u32, offset: u64, at: Timestamp, tag: u64) {
        let Some(found) = self.shard.lites.get_mut(slot) else { return };
        if found.generation != generation || offset >= OFFSET_MAX {
            return;
        }
        found.next_offset = found.next_offset.max(offset.saturating_add(1));
        found.last_send_at = found.last_send_at.max(at);
        if tag != 0 {
            self.shard.resends.remember((slot, generation, tag), offset);
        }
    }

    /// Whether the records of each lite topic fit together, for the groups that exist.
    fn check(&self, all: &[Arc<Group>]) -> Result<(), Malformed> {
        let groups: BTreeSet<GroupId> = all.iter().map(|group| group.id).collect();
        let shard = &self.shard;
        for slot in (0..shard.lites.slots_len()).filter_map(|slot| shard.lites.get(slot)) {
            if slot.state == SlotState::Named && slot.next_offset > 0 {
                return Err(NO_LITE_TOPIC);
            }
            for (index, cursor) in shard.cursors.chain(slot.first_cursor) {
                let is_present =
                    cursor.generation == slot.generation && groups.contains(&cursor.group);
                let run = shard.cursors.run(index);
                let fits = slot.state == SlotState::Live
                    && shard.is_in_place(cursor, run)
                    && is_of(cursor, run);
                if is_present && !fits {
                    return Err(OUT_OF_PLACE);
                }
            }
        }
        for (slot, letters) in &shard.resent {
            let slot = shard.lites.get_life(*slot, letters.generation);
            if slot.is_some_and(|slot| !letters.is_sound(slot.next_offset)) {
                return Err(NO_LETTERS);
            }
        }
        match self.has_two_owners(all) {
            true => Err(TWO_OWNERS),
            false => Ok(()),
        }
    }

    /// A group becomes exclusive while nobody is subscribed, and a lite topic of it changes hands in
    /// one batch.
    fn has_two_owners(&self, groups: &[Arc<Group>]) -> bool {
        let exclusive = groups.iter().filter(|group| group.options.is_exclusive());
        let exclusive: BTreeSet<GroupId> = exclusive.map(|group| group.id).collect();
        let pairs = self.subscriptions.keys().map(|(slot, group, _)| (*slot, *group));
        let is_owned = |slot| self.shard.lites.get(slot).is_some();
        let mut owned: Vec<_> =
            pairs.filter(|(slot, group)| exclusive.contains(group) && is_owned(*slot)).collect();
        owned.sort_unstable();
        owned.windows(2).any(|two| matches!(two, [a, b] if a == b))
    }

    /// The shard, with the topics and groups that exist. Leases go on: those that are renewed get
    /// at least [`RESTART_GRACE`] for their clients to come back. Nothing expires for
    /// [`EXPIRY_GRACE`].
    ///
    /// # Errors
    /// What does not fit together: such a shard would hand out what is not there.
    pub fn finish(
        mut self,
        now: Timestamp,
        topics: impl IntoIterator<Item = Arc<Topic>>,
        groups: impl IntoIterator<Item = Arc<Group>>,
    ) -> Result<Shard, Malformed> {
        let groups: Vec<_> = groups.into_iter().collect();
        self.check(&groups)?;
        self.shard.lites.finish_recovery().ok_or(TWINS)?;
        self.shard.topics = topics.into_iter().map(|topic| (topic.id, topic)).collect();
        self.shard.groups = groups.into_iter().map(|group| (group.id, group)).collect();
        for group in self.shard.groups.values().cloned().collect::<Vec<_>>() {
            self.shard.set_wildcard(&group);
        }
        let bound = self.shard.groups.values().map(|group| (group.topic, group.id));
        self.shard.bound = bound.collect();
        self.drop_stale_cursors();
        self.drop_stale_letters();
        self.link_subscriptions();
        self.find_unused_names();
        let mut shard = self.shard;
        let gone: Vec<_> =
            shard.lites.topics().filter(|topic| !shard.topics.contains_key(topic)).collect();
        shard.work.extend(gone.into_iter().map(|topic| Work::RemoveTopic { topic }));
        shard.resume(now);
        shard.file_all(now + EXPIRY_GRACE);
        Ok(shard)
    }

    /// A position of a life of a slot remembers when something of it was read.
    fn read(&mut self, slot: u32, generation: u32, at: Second) {
        let found = self.shard.lites.get_mut(slot).filter(|slot| slot.generation == generation);
        if let Some(found) = found {
            found.last_read_at = found.last_read_at.max(at);
        }
    }

    fn put_cursor(&mut self, cursor: Cursor, run: Option<Run>) -> Option<()> {
        let cursors = &mut self.shard.cursors;
        let slot = self.shard.lites.place_mut(cursor.slot)?;
        let index = match cursors.find(slot.first_cursor, cursor.group) {
            Some(index) => {
                cursors.end_run(index);
                index
            }
            None => {
                let index = cursors.insert(Cursor { next: slot.first_cursor, ..cursor });
                slot.first_cursor = index;
                index
            }
        };
        if let Some(place) = cursors.get_mut(index) {
            *place = Cursor { next: place.next, ..cursor };
        }
        if let Some(run) = run
            && let Some(place) = cursors.run_or_start(index)
        {
            *place = run;
        }
        Some(())
    }

    fn drop_stale_cursors(&mut self) {
        let shard = &mut self.shard;
        for slot_index in 0..shard.lites.slots_len() {
            let Some(slot) = shard.lites.get_any(slot_index) else { continue };
            let (first, generation, state) = (slot.first_cursor, slot.generation, slot.state);
            let chain: Vec<u32> = shard.cursors.chain(first).map(|(index, _)| index).collect();
            for index in chain {
                let Some(cursor) = shard.cursors.get(index) else { continue };
                let stale = cursor.generation != generation
                    || state == SlotState::Free
                    || !shard.groups.contains_key(&cursor.group);
                if stale {
                    shard.forget_recovered(index);
                }
            }
        }
    }

    fn drop_stale_letters(&mut self) {
        let Shard { resent, lites, .. } = &mut self.shard;
        resent.retain(|slot, letters| {
            let life = lites.get_life(*slot, letters.generation);
            life.inspect(|slot| letters.forget_below(slot.first_offset)).is_some()
        });
    }

    /// Names whose subscribers went with a deleted group, as far as that had come. They go with the
    /// shard's work, which has records: a name that went from memory only would come back beside its
    /// next life.
    fn find_unused_names(&mut self) {
        let lites = &self.shard.lites;
        let mut slots = (0..lites.slots_len()).filter_map(|slot| lites.get(slot));
        if slots.any(Slot::is_unused_name) {
            self.shard.work.push_back(Work::DropUnusedNames { slot: 0 });
        }
    }

    fn link_subscriptions(&mut self) {
        let mut pairs: Vec<_> = std::mem::take(&mut self.subscriptions).into_iter().collect();
        pairs.sort_unstable_by_key(|(key, _)| *key);
        let shard = &mut self.shard;
        for ((slot_index, group, key), (client, user)) in pairs {
            if !shard.groups.contains_key(&group) {
                continue;
            }
            let Some(slot) = shard.lites.get_mut(slot_index) else { continue };
            let subscriber =
                shard.subscriptions.find_or_add(Subscribing { client: &client, key, user }, group);
            if let Some(first) = shard.subscriptions.add(subscriber, slot_index, slot.first_link) {
                slot.first_link = first;
            }
        }
    }
}

/// Whether every hand-out of a run is one of its position.
fn is_of(cursor: &Cursor, run: Option<&Run>) -> bool {
    let is_made = |epoch: u32| cursor.epoch.wrapping_sub(epoch) < u32::MAX / 2;
    run.is_none_or(|run| run.entries.iter().all(|entry| is_made(entry.epoch)))
}

const OUT_OF_PLACE: Malformed = Malformed("a position does not fit what is stored");
const NO_LETTERS: Malformed = Malformed("dead letters that are not stored were sent again");
const NO_LITE_TOPIC: Malformed = Malformed("messages of a name that is no lite topic");
const TWO_OWNERS: Malformed = Malformed("a lite topic of an exclusive group has two owners");
const TWINS: Malformed = Malformed("two lite topics have one name");
const GAP: Malformed = Malformed("a lite topic's number leaves a gap");
const TOO_MANY: Malformed = Malformed("more lite topics than a shard can hold");

impl Shard {
    fn forget_recovered(&mut self, cursor: u32) {
        // Only memory: the record is deleted, or stale by its generation or group and goes with
        // the next checkpoint.
        let mut unused = Effects::default();
        self.remove_cursor(cursor, &mut unused);
    }

    /// Takes up leases and readiness where the records left them.
    fn resume(&mut self, now: Timestamp) {
        let mut fx = Effects::default();
        let grace = now + RESTART_GRACE;
        for slot_index in 0..self.lites.slots_len() {
            let Some(slot) = self.lites.get(slot_index) else { continue };
            let chain: Vec<u32> =
                self.cursors.chain(slot.first_cursor).map(|(index, _)| index).collect();
            for index in chain {
                if let Some(run) = self.cursors.run_mut(index) {
                    run.resume(now, grace);
                    run.clients = run.holders();
                    for client in &run.clients {
                        self.held_by.entry(*client).or_default().insert(index);
                    }
                    self.resume_receives(index);
                    self.refresh(now, index, &mut fx);
                }
            }
            self.count_lags(now, slot_index);
            self.offer_to_all(now, slot_index, &mut fx);
        }
    }

    /// A client that repeats its last receive after a restart finds what it was given. Of several
    /// receives the one with the latest leases was the last.
    fn resume_receives(&mut self, index: u32) {
        let group = self.cursors.get(index).and_then(|cursor| self.groups.get(&cursor.group));
        let Some(group) = group.cloned() else { return };
        let Some(run) = self.cursors.run(index) else { return };
        for (client, attempt_id, at) in run.receives() {
            let Some(list) = self.list_of(client, &group) else { continue };
            let last_at = self.last_receive(list, client).and_then(|last| {
                self.cursors.run(*last.cursors.first()?)?.given_at(client, last.attempt_id)
            });
            let Some(last) = self.last_receive_mut(list, client) else { continue };
            if last.attempt_id == attempt_id {
                last.cursors.push(index);
            } else if last_at.is_none_or(|last_at| last_at < at) {
                *last = LastReceive { attempt_id, cursors: vec![index] };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::run::{Entry, EntryState};
    use crate::group::{GroupOptions, SubscriptionMode};
    use crate::lifetime::OwnLifetime;
    use crate::names::GroupName;
    use crate::topic::TopicId;

    const GROUP: GroupId = GroupId(1);

    fn recovery() -> ShardRecovery {
        ShardRecovery::new(ShardConfig { number: 0, hash_key: [7; 16] })
    }

    fn put_slot(recovery: &mut ShardRecovery, index: u32, name: &str, state: SlotState) {
        let next_offset = if state == SlotState::Live { 3 } else { 0 };
        let slot = Slot { state, next_offset, topic: TopicId(1), ..Slot::default() };
        let value = persisted::channel::encode(&slot, name.as_bytes(), &OwnLifetime::default());
        recovery.put(&Key::Channel { slot: index }.encode(), &value).unwrap();
    }

    fn put_position(recovery: &mut ShardRecovery, committed: u64, run: Option<&Run>) {
        let cursor = Cursor { committed, epoch: 5, ..Cursor::default() };
        let value = persisted::cursor::encode(&cursor, run, Second::NONE);
        recovery.put(&Key::Cursor { slot: 0, group: GROUP }.encode(), &value).unwrap();
    }

    fn run(state: EntryState, epoch: u32) -> Run {
        let entry = Entry {
            state,
            keep_attempt: false,
            attempt: 1,
            epoch,
            client: ClientKey(1),
            visible_at: Timestamp(1),
            renew_until: Timestamp(0),
            is_confirmed: false,
            given_at: 0,
            attempt_id: 0,
        };
        Run { entries: [entry].into(), ..Run::default() }
    }

    fn check(recovery: &ShardRecovery) -> Result<(), Malformed> {
        recovery.check(&[group(GroupOptions::default())])
    }

    fn group(options: GroupOptions) -> Arc<Group> {
        Arc::new(Group {
            id: GROUP,
            name: GroupName::new("workers").unwrap(),
            topic: TopicId(1),
            dead_letter_topic: TopicId(2),
            options,
            created_at: Timestamp(0),
        })
    }

    #[test]
    fn a_slot_far_ahead_is_refused_before_it_costs_memory() {
        let mut recovery = recovery();
        put_slot(&mut recovery, 0, "a", SlotState::Live);
        let free = persisted::channel::encode(&Slot::default(), b"", &OwnLifetime::default());
        for slot in [2, 1 << 27] {
            assert_eq!(recovery.put(&Key::Channel { slot }.encode(), &free), Err(GAP));
        }
        assert_eq!(recovery.put(&Key::Channel { slot: 1 }.encode(), &free), Ok(()));
    }

    #[test]
    fn positions_that_do_not_fit_what_is_stored_are_refused() {
        let leased = run(EntryState::Leased, 5);
        for (committed, run, fits) in [
            (0, None, true),
            (3, None, true),
            (2, Some(leased.clone()), true),
            (4, None, false),
            (3, Some(leased), false),
            (0, Some(run(EntryState::Acked, 5)), false),
            (0, Some(run(EntryState::Leased, 6)), false),
        ] {
            let mut recovery = recovery();
            put_slot(&mut recovery, 0, "a", SlotState::Live);
            put_position(&mut recovery, committed, run.as_ref());
            assert_eq!(check(&recovery).is_ok(), fits, "{committed}, {run:?}");
            assert_eq!(recovery.check(&[]), Ok(()), "the position of a deleted group goes");
        }
    }

    #[test]
    fn two_owners_of_a_lite_topic_are_refused_in_an_exclusive_group() {
        let mut recovery = recovery();
        put_slot(&mut recovery, 0, "a", SlotState::Live);
        put_slot(&mut recovery, 1, "b", SlotState::Live);
        let mut own = |slot, client| {
            let value = persisted::subscription::encode(&ClientId::new("c").unwrap(), None);
            let key = Key::Subscription { slot, group: GROUP, client: ClientKey(client) };
            recovery.put(&key.encode(), &value).unwrap();
            let exclusive =
                GroupOptions { mode: SubscriptionMode::Exclusive, ..GroupOptions::default() };
            (recovery.check(&[group(GroupOptions::default())]), recovery.check(&[group(exclusive)]))
        };
        assert_eq!(own(0, 1), (Ok(()), Ok(())));
        assert_eq!(own(1, 2), (Ok(()), Ok(())));
        assert_eq!(own(0, 2), (Ok(()), Err(TWO_OWNERS)));
    }

    #[test]
    fn two_lite_topics_of_one_name_and_messages_of_a_mere_name_are_refused() {
        for (other, found) in [("b", None), ("a", Some(TWINS))] {
            let mut twins = recovery();
            put_slot(&mut twins, 0, "a", SlotState::Live);
            put_slot(&mut twins, 1, other, SlotState::Named);
            assert_eq!(twins.finish(Timestamp(1), [], []).err(), found);
        }

        let mut name = recovery();
        put_slot(&mut name, 0, "a", SlotState::Named);
        assert_eq!(check(&name), Ok(()));
        put_position(&mut name, 0, None);
        assert_eq!(check(&name), Err(OUT_OF_PLACE));
        name.appended(0, 0, 0, Timestamp(1), 0);
        assert_eq!(check(&name), Err(NO_LITE_TOPIC));
    }
}
