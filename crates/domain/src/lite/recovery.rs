//! The tables over recovered lite topics. With millions of them a start is mostly this, so each name is
//! looked at in the order in which it is stored, and no table grows while it is filled.

use std::collections::BTreeMap;

use hashbrown::hash_table::Entry;

use super::name_order::NameOrder;
use super::{LiteTable, Slot, SlotState, TABLE_PARTS, hash, name_of, part_of};
use crate::limits::SLOTS_MAX;
use crate::topic::TopicId;

/// Bytes of a name that are compared as one number.
const HEAD_BYTES: usize = size_of::<u64>();

impl LiteTable {
    /// Changes the key before anything is findable.
    pub(crate) fn set_hash_key(&mut self, hash_key: [u8; 16]) {
        self.hash_key = hash_key;
    }

    /// Sets a slot as it was recovered, keeping its chains; [`Self::finish_recovery`] makes it
    /// findable. `None` when the shard is full.
    pub(crate) fn recover(&mut self, index: u32, slot: Slot, name: &[u8]) -> Option<()> {
        let place = self.place_mut(index)?;
        let (first_cursor, first_link) = (place.first_cursor, place.first_link);
        let old = std::mem::replace(place, Slot { first_cursor, first_link, ..slot });
        if old.state != SlotState::Free {
            self.names.remove(old.name);
        }
        if slot.state != SlotState::Free {
            let name = self.names.insert(name)?;
            self.slots.get_mut(index)?.name = name;
        }
        Some(())
    }

    /// A slot in any state, made if need be. `None` when the shard has no such slot.
    pub(crate) fn place_mut(&mut self, index: u32) -> Option<&mut Slot> {
        if index >= SLOTS_MAX {
            return None;
        }
        self.slots.grow_to(index);
        self.slots.get_mut(index)
    }

    /// Builds the tables over what was recovered. `None` when two slots have one name.
    pub(crate) fn finish_recovery(&mut self) -> Option<()> {
        let mut by_topic: BTreeMap<TopicId, Vec<u32>> = BTreeMap::new();
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get(index) else { continue };
            if slot.state == SlotState::Free {
                if slot.generation < u32::MAX {
                    self.slots.release(index);
                }
                continue;
            }
            by_topic.entry(slot.topic).or_default().push(index);
            if slot.state == SlotState::Live {
                *self.live.entry(slot.topic).or_default() += 1;
            }
        }
        self.index_names()?;
        for (topic, slots) in by_topic {
            let sorted = self.sort_by_name(&slots);
            self.by_topic.insert(topic, NameOrder::from_sorted(&sorted));
        }
        Some(())
    }

    /// Makes all slots findable by name. `None` when two have one name.
    fn index_names(&mut self) -> Option<()> {
        let Self { slots, names, by_name, hash_key, .. } = self;
        let used = || slots.iter().filter(|(_, slot)| slot.state != SlotState::Free);
        let hash_of = |slot: &Slot| hash(hash_key, slot.topic, names.get(slot.name));
        let each = used().count() / TABLE_PARTS;
        by_name.iter_mut().for_each(|part| part.reserve(each, |_| 0));
        for (index, slot) in used() {
            let (hash, name) = (hash_of(slot), names.get(slot.name));
            let is_same = |other: &u32| super::is_named(slots, names, *other, slot.topic, name);
            let rehash = |other: &u32| slots.get(*other).map_or(0, hash_of);
            match by_name.get_mut(part_of(hash))?.entry(hash, is_same, rehash) {
                Entry::Occupied(_) => return None,
                Entry::Vacant(place) => place.insert(index),
            };
        }
        Some(())
    }

    /// Slots of one topic in the order of their names. Names of one application begin alike, so the
    /// first bytes behind that are what tells them apart.
    fn sort_by_name(&self, found: &[u32]) -> Vec<u32> {
        let name = |slot: u32| name_of(&self.slots, &self.names, slot);
        let first = found.first().map_or(&[][..], |slot| name(*slot));
        let common = found.iter().fold(first.len(), |common, slot| {
            let pairs = first.iter().zip(name(*slot)).take(common);
            pairs.take_while(|(a, b)| a == b).count()
        });
        let head = |slot: u32| head_of(name(slot).get(common..).unwrap_or_default());
        let mut sorted: Vec<(u64, u32)> = found.iter().map(|slot| (head(*slot), *slot)).collect();
        sorted.sort_unstable_by(|(head_a, a), (head_b, b)| {
            head_a.cmp(head_b).then_with(|| name(*a).cmp(name(*b)))
        });
        sorted.into_iter().map(|(_, slot)| slot).collect()
    }
}

/// The first bytes as a number that sorts like them. A name that ends within them sorts with those that
/// go on with zeros, which no name has.
fn head_of(name: &[u8]) -> u64 {
    let mut head = [0; HEAD_BYTES];
    head.iter_mut().zip(name).for_each(|(place, byte)| *place = *byte);
    u64::from_be_bytes(head)
}
