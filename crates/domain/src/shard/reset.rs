//! Moving a group to another place of a lite topic, and lite topics to another owner.

use super::Shard;
use super::background::no_lite_topic;
use crate::delivery::run::{Entry, EntryState};
use crate::effects::{Effects, Place};
use crate::error::Result;
use crate::group::GroupId;
use crate::limits::SWEEP_SLOTS_PER_STEP;
use crate::lite::{Slot, SlotState};
use crate::names::LiteTopicName;
use crate::time::Timestamp;
use crate::trace::What;

/// Where a group goes on in a lite topic. Beyond what is stored it is the nearest place that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// At the oldest message.
    Oldest,
    /// Behind the newest message.
    Newest,
    /// At this offset.
    Offset(u64),
    /// At the newest messages, so many.
    Tail(u64),
    /// At this offset in this life of the lite topic; another life is left alone.
    InLife {
        /// The life.
        generation: u32,
        /// The offset.
        offset: u64,
    },
}

/// A lite topic that a group consumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consumed {
    /// Its slot.
    pub slot: u32,
    /// Its life.
    pub generation: u32,
    /// Oldest offset known to be stored.
    pub first_offset: u64,
    /// Offset of the next message.
    pub next_offset: u64,
}

impl Shard {
    /// Lite topics in which a group has a position or a subscriber, or that it shares, of the next
    /// [`SWEEP_SLOTS_PER_STEP`] slots from `first` on; and where the next part starts.
    pub fn consumed_by(&self, group: GroupId, first: u32) -> (Vec<Consumed>, Option<u32>) {
        let end = first.saturating_add(SWEEP_SLOTS_PER_STEP as u32).min(self.lites.slots_len());
        let consumed = (first..end).filter_map(|slot| self.consumed(slot, group)).collect();
        (consumed, (end < self.lites.slots_len()).then_some(end))
    }

    /// A lite topic of this name, whether the group has consumed it or not.
    pub fn to_consume(&self, group: GroupId, name: &LiteTopicName) -> Result<Consumed> {
        let group = self.group(group)?;
        let (slot, found) = self.find_lite(group.topic, name).ok_or_else(|| no_lite_topic(name))?;
        Ok(place_of(slot, found))
    }

    /// Moves a group to other places of these lite topics, whatever is in flight; how many positions
    /// moved. A lite topic that has ended since it was found is left alone, and so is what has its
    /// slot now.
    pub fn move_positions(
        &mut self,
        now: Timestamp,
        group: GroupId,
        moves: &[(Consumed, StartAt)],
        fx: &mut Effects,
    ) -> Result<u64> {
        self.group(group)?;
        let mut moved = 0;
        for (place, start) in moves {
            let found = self.lites.get(place.slot);
            if found.is_none_or(|slot| slot.generation != place.generation) {
                continue;
            }
            if let Some(cursor) = self.move_group(place.slot, group, *start, fx) {
                moved += 1;
                self.refresh(now, cursor, fx);
            }
        }
        Ok(moved)
    }

    fn consumed(&self, index: u32, group: GroupId) -> Option<Consumed> {
        let slot = self.lites.get(index).filter(|slot| slot.state == SlotState::Live)?;
        let is_consumed = self.cursors.find(slot.first_cursor, group).is_some()
            || !self.subscriptions.of_group(slot.first_link, group).is_empty()
            || self.groups.get(&group).is_some_and(|group| self.is_shared_by(slot, group));
        is_consumed.then(|| place_of(index, slot))
    }

    /// Moves a group to another place of a lite topic, whatever is in flight: that is as if it had
    /// never been handed out, and its handles are of no use. A group without a position in it gets
    /// one if it is not to start at the oldest message anyway. The cursor, to be refreshed.
    pub(super) fn move_group(
        &mut self,
        slot_index: u32,
        group: GroupId,
        start: StartAt,
        fx: &mut Effects,
    ) -> Option<u32> {
        let slot = self.lites.get(slot_index).filter(|slot| slot.state == SlotState::Live)?;
        let (first, next) = (slot.first_offset, slot.next_offset);
        let offset = match start {
            StartAt::Oldest => first,
            StartAt::Newest => next,
            StartAt::Offset(offset) => offset.clamp(first, next),
            StartAt::Tail(count) => next.saturating_sub(count).max(first),
            StartAt::InLife { generation, offset } if generation == slot.generation => {
                offset.clamp(first, next)
            }
            StartAt::InLife { .. } => return None,
        };
        let has_position = self.cursors.find(slot.first_cursor, group).is_some();
        if !has_position && offset == first {
            return None;
        }
        let index = self.cursor_or_start(slot_index, group)?;
        if let Some(run) = self.cursors.end_run(index) {
            self.forget_run(index, &run);
        }
        let cursor = self.cursors.get_mut(index)?;
        cursor.committed = offset;
        cursor.epoch = cursor.epoch.wrapping_add(1);
        let life = Place { slot: slot_index, generation: cursor.generation, offset: 0 };
        fx.note(life, What::Moved(group, offset));
        self.save_cursor(index, fx);
        Some(index)
    }

    /// What a group has in flight of a lite topic is nobody's any more, and all handles are stale
    /// from here on. The cursor, to be refreshed.
    pub(super) fn end_leases(
        &mut self,
        now: Timestamp,
        slot_index: u32,
        group: GroupId,
        fx: &mut Effects,
    ) -> Option<u32> {
        let slot = self.lites.get(slot_index)?;
        let index = self.cursors.find(slot.first_cursor, group)?;
        let cursor = self.cursors.get_mut(index)?;
        cursor.epoch = cursor.epoch.wrapping_add(1);
        let epoch = cursor.epoch;
        let is_held = |entry: &Entry| entry.state == EntryState::Leased && entry.visible_at > now;
        self.note_run(index, is_held, What::Released, fx);
        if let Some(run) = self.cursors.run_mut(index) {
            run.end_leases(now, epoch);
        }
        self.save_cursor(index, fx);
        Some(index)
    }
}

fn place_of(index: u32, slot: &Slot) -> Consumed {
    Consumed {
        slot: index,
        generation: slot.generation,
        first_offset: slot.first_offset,
        next_offset: slot.next_offset,
    }
}
