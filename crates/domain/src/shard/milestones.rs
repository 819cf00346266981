//! How far a shard has come, for seeing that it never goes back.

use std::collections::BTreeMap;

use super::Shard;
use super::audit::{Invariant, Violation};
use crate::group::GroupId;

/// Lives, offsets and positions of a shard at one moment. Two of them are compared; a restart lies
/// between them or not, as long as what the earlier one saw was durable.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Milestones {
    slots: BTreeMap<u32, Life>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Life {
    generation: u32,
    /// Oldest offset, and the next.
    offsets: (u64, u64),
    /// Committed offset and number of hand-outs of each group.
    positions: BTreeMap<GroupId, (u64, u32)>,
}

impl Shard {
    /// How far this shard has come. Cost: a walk over all slots and positions.
    pub fn milestones(&self) -> Milestones {
        let slots = (0..self.lites.slots_len()).filter_map(|index| {
            let slot = self.lites.get_any(index)?;
            let positions = self
                .cursors
                .chain(slot.first_cursor)
                .map(|(_, cursor)| (cursor.group, (cursor.committed, cursor.epoch)));
            let life = Life {
                generation: slot.generation,
                offsets: (slot.first_offset, slot.next_offset),
                positions: positions.collect(),
            };
            Some((index, life))
        });
        Milestones { slots: slots.collect() }
    }
}

impl Milestones {
    /// Lets the positions of a group go back: they were moved on demand.
    pub fn forget_positions(&mut self, of: GroupId) {
        for life in self.slots.values_mut() {
            if let Some((committed, _)) = life.positions.get_mut(&of) {
                *committed = 0;
            }
        }
    }

    /// What has gone back from here to a later moment.
    pub fn check_later(&self, later: &Self) -> Vec<Violation> {
        let gone_back = self.slots.iter().filter(|(slot, before)| {
            !later.slots.get(slot).is_some_and(|after| before.comes_before(after))
        });
        let tell = |(slot, before): (&u32, &Life)| Violation {
            invariant: Invariant::NothingWentBack,
            what: format!("slot {slot} went from {before:?} to {:?}", later.slots.get(slot)),
        };
        gone_back.map(tell).collect()
    }
}

impl Life {
    fn comes_before(&self, after: &Self) -> bool {
        if self.generation != after.generation {
            return self.generation < after.generation;
        }
        let kept = self.positions.iter().all(|(group, (committed, epoch))| {
            let after = after.positions.get(group);
            after.is_none_or(|after| *committed <= after.0 && *epoch <= after.1)
        });
        kept && self.offsets.0 <= after.offsets.0 && self.offsets.1 <= after.offsets.1
    }
}
