//! The invariants of the table of lite topics.

use std::collections::{BTreeMap, BTreeSet};

use super::{LiteTable, NameOrder, SlotState, name_of};
use crate::shard::{Findings, Invariant};
use crate::topic::TopicId;

impl LiteTable {
    pub(crate) fn audit(&self, findings: &mut Findings) {
        self.names_found(findings);
        self.free_slots_come_back(findings);
        self.counts_exact(findings);
    }

    fn names_found(&self, findings: &mut Findings) {
        let mut used = 0;
        for (index, slot) in self.slots.iter() {
            let is_used = slot.state != SlotState::Free;
            used += usize::from(is_used);
            let found = self.name(index).and_then(|name| self.find(slot.topic, &name));
            findings.expect(Invariant::NamesFound, found == is_used.then_some(index), || {
                format!("slot {index} is found as {found:?}: {slot:?}")
            });
            let is_in_range = slot.first_offset <= slot.next_offset
                && (slot.state == SlotState::Live || slot.next_offset == 0);
            findings.expect(Invariant::PositionsInPlace, is_in_range, || {
                format!("slot {index} has offsets out of range: {slot:?}")
            });
        }
        let by_name: usize = self.by_name.iter().map(hashbrown::HashTable::len).sum();
        let listed: usize = self.by_topic.values().map(NameOrder::len).sum();
        findings.expect(Invariant::NamesFound, (by_name, listed) == (used, used), || {
            format!("{used} slots in use, {by_name} found by name, {listed} listed")
        });
        for (topic, order) in &self.by_topic {
            let slots: Vec<u32> = order.iter_from(|_| std::cmp::Ordering::Greater).collect();
            let names = || slots.iter().map(|slot| name_of(&self.slots, &self.names, *slot));
            let is_sorted = names().zip(names().skip(1)).all(|(name, next)| name < next);
            let is_own = |slot: &u32| self.get(*slot).is_some_and(|slot| slot.topic == *topic);
            let holds = !slots.is_empty() && is_sorted && slots.iter().all(is_own);
            findings.expect(Invariant::NamesFound, holds, || {
                format!("the names of {topic:?} are not in order: {slots:?}")
            });
        }
    }

    fn free_slots_come_back(&self, findings: &mut Findings) {
        let is_free =
            |index: u32| self.slots.get(index).is_some_and(|slot| slot.state == SlotState::Free);
        let free: BTreeSet<u32> = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.state == SlotState::Free && slot.generation < u32::MAX)
            .map(|(index, _)| index)
            .collect();
        let kept: Vec<u32> = self.slots.free().collect();
        let holds = kept.len() == free.len() && kept.iter().all(|index| is_free(*index));
        findings.expect(Invariant::NamesFound, holds, || {
            format!("free are {free:?}, to be had again {kept:?}")
        });
    }

    fn counts_exact(&self, findings: &mut Findings) {
        let mut live: BTreeMap<TopicId, u64> = BTreeMap::new();
        for (_, slot) in self.slots.iter().filter(|(_, slot)| slot.state == SlotState::Live) {
            *live.entry(slot.topic).or_default() += 1;
        }
        findings.expect(Invariant::CountsExact, live == self.live, || {
            format!("there are {live:?} lite topics, counted are {:?}", self.live)
        });
    }
}
