//! Lite topics of a shard: one slot each, found by name in constant time and listed in order.

mod audit;
mod name_arena;
mod name_order;
mod recovery;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::Hasher;

use hashbrown::HashTable;
use siphasher::sip::SipHasher13;

use crate::arena::Arena;
use crate::limits::SLOTS_MAX;
use crate::names::LiteTopicName;
use crate::time::{Second, Timestamp};
use crate::topic::TopicId;
use name_arena::{NameArena, NameRef};
use name_order::NameOrder;

/// No element of a chain.
pub(crate) const NONE: u32 = u32::MAX;
/// The name table is split so that one part growing stalls nobody for long.
const TABLE_PARTS: usize = 256;

/// What a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum SlotState {
    /// Nothing.
    #[default]
    Free,
    /// A name that somebody subscribed to and nobody sent to yet: not a lite topic.
    Named,
    /// A lite topic.
    Live,
}

/// One lite topic. 64 bytes with its place in the arena; everything an idle one costs beside its
/// name, its table entries and its cursors.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) next_offset: u64,
    /// Oldest offset known to be stored.
    pub(crate) first_offset: u64,
    /// When the last message was stored; when it was created, if none was.
    pub(crate) last_send_at: Timestamp,
    pub(crate) created_at: Second,
    /// When a group last was handed something of it or settled something.
    pub(crate) last_read_at: Second,
    /// Its place in the index of what expires.
    pub(crate) filed_at: Second,
    pub(crate) topic: TopicId,
    pub(crate) generation: u32,
    pub(crate) name: NameRef,
    pub(crate) first_cursor: u32,
    pub(crate) first_link: u32,
    pub(crate) state: SlotState,
}

impl Slot {
    /// Whether it is a name that nobody is subscribed to and that never became a lite topic.
    pub(crate) fn is_unused_name(&self) -> bool {
        self.state == SlotState::Named && self.first_link == NONE
    }
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            next_offset: 0,
            first_offset: 0,
            last_send_at: Timestamp(0),
            created_at: Second::NONE,
            last_read_at: Second::NONE,
            filed_at: Second::NONE,
            topic: TopicId(u32::MAX),
            generation: 0,
            name: NameRef::default(),
            first_cursor: NONE,
            first_link: NONE,
            state: SlotState::Free,
        }
    }
}

/// All lite topics of one shard. Invariant: a slot that is not free is in `by_name` and in the
/// order of its topic, and nothing else is.
#[derive(Debug)]
pub(crate) struct LiteTable {
    slots: Arena<Slot>,
    names: NameArena,
    by_name: Vec<HashTable<u32>>,
    by_topic: BTreeMap<TopicId, NameOrder>,
    live: BTreeMap<TopicId, u64>,
    hash_key: [u8; 16],
}

impl LiteTable {
    /// An empty table; `hash_key` keeps names chosen by others from colliding on purpose.
    pub(crate) fn new(hash_key: [u8; 16]) -> Self {
        Self {
            slots: Arena::default(),
            names: NameArena::default(),
            by_name: (0..TABLE_PARTS).map(|_| HashTable::new()).collect(),
            by_topic: BTreeMap::new(),
            live: BTreeMap::new(),
            hash_key,
        }
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&Slot> {
        self.slots.get(slot).filter(|found| found.state != SlotState::Free)
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Slot> {
        self.slots.get_mut(slot).filter(|found| found.state != SlotState::Free)
    }

    /// The slot in this life only.
    pub(crate) fn get_life(&self, slot: u32, generation: u32) -> Option<&Slot> {
        self.get(slot).filter(|found| found.generation == generation)
    }

    /// Slots that exist, free ones included.
    pub(crate) fn slots_len(&self) -> u32 {
        self.slots.len()
    }

    /// Also free slots, for snapshots: their generation must outlive them.
    pub(crate) fn get_any(&self, slot: u32) -> Option<&Slot> {
        self.slots.get(slot)
    }

    /// Lite topics of a topic.
    pub(crate) fn live_of(&self, topic: TopicId) -> u64 {
        self.live.get(&topic).copied().unwrap_or(0)
    }

    /// Names of a topic, lite topics or not.
    pub(crate) fn named_of(&self, topic: TopicId) -> usize {
        self.by_topic.get(&topic).map_or(0, NameOrder::len)
    }

    /// Topics that have names here.
    pub(crate) fn topics(&self) -> impl Iterator<Item = TopicId> {
        self.by_topic.keys().copied()
    }

    pub(crate) fn name(&self, slot: u32) -> Option<LiteTopicName> {
        let name = self.names.get(self.get(slot)?.name);
        std::str::from_utf8(name).ok().map(LiteTopicName::trusted)
    }

    pub(crate) fn name_bytes(&self, slot: &Slot) -> &[u8] {
        self.names.get(slot.name)
    }

    /// Keyed hash of a name below its topic, the same as long as the shard exists.
    pub(crate) fn name_hash(&self, topic: TopicId, name: &[u8]) -> u64 {
        hash(&self.hash_key, topic, name)
    }

    pub(crate) fn find(&self, topic: TopicId, name: &LiteTopicName) -> Option<u32> {
        let name = name.as_str().as_bytes();
        let hash = hash(&self.hash_key, topic, name);
        let (slots, names) = (&self.slots, &self.names);
        self.by_name
            .get(part_of(hash))?
            .find(hash, |slot| is_named(slots, names, *slot, topic, name))
            .copied()
    }

    /// Whether so many names more can be kept.
    pub(crate) fn has_room(&self, names: usize) -> bool {
        self.slots.room(SLOTS_MAX) >= names
    }

    /// A slot for a name that has none. `None` when the shard is full.
    pub(crate) fn insert(
        &mut self,
        topic: TopicId,
        name: &LiteTopicName,
        state: SlotState,
        now: Timestamp,
    ) -> Option<u32> {
        if !self.has_room(1) {
            return None;
        }
        let place = self.names.insert(name.as_str().as_bytes())?;
        let index = self.slots.reserve();
        let generation = self.slots.get(index)?.generation;
        *self.slots.get_mut(index)? = Slot {
            topic,
            generation,
            name: place,
            state,
            created_at: Second::of(now),
            last_send_at: now,
            ..Slot::default()
        };
        if state == SlotState::Live {
            *self.live.entry(topic).or_default() += 1;
        }
        self.index_name(index);
        let (slots, names) = (&self.slots, &self.names);
        self.by_topic
            .entry(topic)
            .or_default()
            .insert(index, |other| compare(slots, names, other, name.as_str().as_bytes()));
        Some(index)
    }

    /// The name becomes a lite topic.
    pub(crate) fn make_live(&mut self, slot: u32, now: Timestamp) {
        let Some(found) = self.get_mut(slot) else { return };
        if found.state == SlotState::Live {
            return;
        }
        found.state = SlotState::Live;
        found.created_at = Second::of(now);
        found.last_send_at = now;
        let topic = found.topic;
        *self.live.entry(topic).or_default() += 1;
    }

    /// Ends this life of the slot; the next one has another generation. A slot whose generations
    /// are used up is never used again.
    pub(crate) fn remove(&mut self, index: u32) -> Option<Slot> {
        let slot = self.get(index)?.clone();
        let name = self.names.get(slot.name);
        let hash = hash(&self.hash_key, slot.topic, name);
        if let Some(part) = self.by_name.get_mut(part_of(hash))
            && let Ok(entry) = part.find_entry(hash, |other| *other == index)
        {
            entry.remove();
        }
        let (slots, names) = (&self.slots, &self.names);
        if let Some(order) = self.by_topic.get_mut(&slot.topic) {
            order.remove(|other| compare(slots, names, other, name));
            if order.len() == 0 {
                self.by_topic.remove(&slot.topic);
            }
        }
        if slot.state == SlotState::Live {
            self.count_live_down(slot.topic);
        }
        self.names.remove(slot.name);
        let next_generation = slot.generation.checked_add(1);
        if let Some(place) = self.slots.get_mut(index) {
            *place =
                Slot { generation: next_generation.unwrap_or(slot.generation), ..Slot::default() };
        }
        if next_generation.is_some() {
            self.slots.release(index);
        }
        Some(slot)
    }

    /// Lite topics of a topic by name: after `after`, with this prefix, at most `max`.
    pub(crate) fn list(
        &self,
        topic: TopicId,
        prefix: &str,
        after: Option<&str>,
        max: usize,
    ) -> Vec<u32> {
        let from: Vec<u8> = match after {
            // The smallest name greater than `after`.
            Some(after) if after >= prefix => [after.as_bytes(), &[0]].concat(),
            _ => prefix.as_bytes().to_vec(),
        };
        let (slots, names) = (&self.slots, &self.names);
        let Some(order) = self.by_topic.get(&topic) else { return Vec::new() };
        order
            .iter_from(|other| compare(slots, names, other, &from))
            .take_while(|slot| name_of(slots, names, *slot).starts_with(prefix.as_bytes()))
            .filter(|slot| slots.get(*slot).is_some_and(|slot| slot.state == SlotState::Live))
            .take(max)
            .collect()
    }

    /// Some slots of a topic, at most `max`.
    pub(crate) fn some_of(&self, topic: TopicId, max: usize) -> Vec<u32> {
        self.by_topic.get(&topic).map(|order| order.last(max)).unwrap_or_default()
    }

    fn count_live_down(&mut self, topic: TopicId) {
        if let Some(live) = self.live.get_mut(&topic) {
            *live = live.saturating_sub(1);
            if *live == 0 {
                self.live.remove(&topic);
            }
        }
    }

    fn index_name(&mut self, index: u32) {
        let (slots, names, key) = (&self.slots, &self.names, &self.hash_key);
        let hash_of = |slot: &u32| match slots.get(*slot) {
            Some(slot) => hash(key, slot.topic, names.get(slot.name)),
            None => 0,
        };
        let hash = hash_of(&index);
        if let Some(part) = self.by_name.get_mut(part_of(hash)) {
            part.insert_unique(hash, index, hash_of);
        }
    }
}

fn hash(key: &[u8; 16], topic: TopicId, name: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_key(key);
    hasher.write_u32(topic.0);
    hasher.write(name);
    hasher.finish()
}

fn part_of(hash: u64) -> usize {
    // The table itself uses the low bits and the top seven.
    (hash >> 32) as usize % TABLE_PARTS
}

fn name_of<'a>(slots: &Arena<Slot>, names: &'a NameArena, slot: u32) -> &'a [u8] {
    slots.get(slot).map_or(&[], |slot| names.get(slot.name))
}

fn is_named(
    slots: &Arena<Slot>,
    names: &NameArena,
    slot: u32,
    topic: TopicId,
    name: &[u8],
) -> bool {
    slots.get(slot).is_some_and(|slot| slot.topic == topic && names.get(slot.name) == name)
}

fn compare(slots: &Arena<Slot>, names: &NameArena, slot: u32, name: &[u8]) -> Ordering {
    name_of(slots, names, slot).cmp(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lite_topic_costs_64_bytes_beside_its_name() {
        assert!(size_of::<Slot>() <= 64, "{}", size_of::<Slot>());
    }

    #[test]
    fn a_slot_beyond_the_limit_is_refused() {
        let mut table = LiteTable::new([0; 16]);
        assert!(table.has_room(SLOTS_MAX as usize));
        assert!(!table.has_room(SLOTS_MAX as usize + 1));
        assert!(table.place_mut(SLOTS_MAX).is_none());
        assert_eq!(table.slots_len(), 0);
    }
}
