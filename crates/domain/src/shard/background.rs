//! Removing lite topics, topics and groups; what is large goes piece by piece.

use super::Shard;
use crate::effects::{Effects, Event, Place, Record};
use crate::error::{Error, ErrorCode, Result};
use crate::group::GroupId;
use crate::lifetime::OwnLifetime;
use crate::limits::SWEEP_SLOTS_PER_STEP;
use crate::lite::{NONE, Slot, SlotState};
use crate::names::LiteTopicName;
use crate::persisted::Key;
use crate::time::Timestamp;
use crate::topic::TopicId;
use crate::trace::{End, What};

/// Work on many slots, done [`SWEEP_SLOTS_PER_STEP`] at a time.
#[derive(Debug)]
pub(super) enum Work {
    /// Remove all lite topics and names of a topic.
    RemoveTopic { topic: TopicId },
    /// Remove all positions and subscriptions of a group, from this slot on.
    RemoveGroup { group: GroupId, slot: u32 },
    /// Remove names that nobody is subscribed to, from this slot on.
    DropUnusedNames { slot: u32 },
    /// Offer what a changed rule has made deliverable, and count what is left, from this slot on.
    RefreshGroup { group: GroupId, slot: u32 },
    /// File lite topics of a topic by its changed options, from this slot on.
    FileTopic { topic: TopicId, slot: u32 },
}

impl Shard {
    /// Removes a lite topic with its messages, positions and subscriptions, whose clients are to be
    /// told.
    ///
    /// # Errors
    /// [`ErrorCode::LiteTopicNotFound`].
    pub fn remove_lite(
        &mut self,
        topic: TopicId,
        name: &LiteTopicName,
        fx: &mut Effects,
    ) -> Result<()> {
        let (index, _) = self.find_lite(topic, name).ok_or_else(|| no_lite_topic(name))?;
        self.remove_slot(index, Event::LiteTopicRemoved, fx);
        Ok(())
    }

    /// The topic was deleted: its lite topics go, over the next [`Self::step`]s.
    pub fn remove_topic(&mut self, topic: TopicId) {
        self.topics.remove(&topic);
        self.work.push_back(Work::RemoveTopic { topic });
    }

    /// The group was deleted: its positions and subscriptions go, over the next [`Self::step`]s.
    pub fn remove_group(&mut self, group: GroupId) {
        if let Some(removed) = self.groups.remove(&group) {
            self.wildcards.remove(removed.topic, group);
            self.bound.remove(&(removed.topic, group));
        }
        self.work.push_back(Work::RemoveGroup { group, slot: 0 });
    }

    /// Whether [`Self::step`] has something to do.
    pub fn has_work(&self) -> bool {
        !self.work.is_empty()
    }

    /// Does a bounded piece of the work that is left.
    pub fn step(&mut self, now: Timestamp, fx: &mut Effects) {
        match self.work.pop_front() {
            None => {}
            Some(Work::RemoveTopic { topic }) => {
                for slot in self.lites.some_of(topic, SWEEP_SLOTS_PER_STEP) {
                    self.remove_slot(slot, Event::LiteTopicRemoved, fx);
                }
                if self.lites.named_of(topic) > 0 {
                    self.work.push_front(Work::RemoveTopic { topic });
                }
            }
            Some(Work::RemoveGroup { group, slot }) => {
                let next =
                    self.each_slot(slot, |shard, slot| shard.remove_group_of(slot, group, fx));
                if let Some(slot) = next {
                    self.work.push_front(Work::RemoveGroup { group, slot });
                }
            }
            Some(Work::DropUnusedNames { slot }) => {
                let next = self.each_slot(slot, |shard, slot| {
                    if shard.lites.get(slot).is_some_and(Slot::is_unused_name) {
                        shard.set_first_link(slot, NONE, fx);
                    }
                });
                if let Some(slot) = next {
                    self.work.push_front(Work::DropUnusedNames { slot });
                }
            }
            Some(Work::RefreshGroup { group, slot }) => {
                let next = self.each_slot(slot, |shard, slot| {
                    shard.refresh_group_of(now, slot, group, fx);
                });
                if let Some(slot) = next {
                    self.work.push_front(Work::RefreshGroup { group, slot });
                }
            }
            Some(Work::FileTopic { topic, slot }) => {
                let next = self.each_slot(slot, |shard, slot| {
                    if shard.lites.get(slot).is_some_and(|found| found.topic == topic) {
                        shard.file(slot);
                    }
                });
                if let Some(slot) = next {
                    self.work.push_front(Work::FileTopic { topic, slot });
                }
            }
        }
    }

    /// One step over the slots from `first` on; where the next step starts.
    fn each_slot(&mut self, first: u32, mut visit: impl FnMut(&mut Self, u32)) -> Option<u32> {
        let end = first.saturating_add(SWEEP_SLOTS_PER_STEP as u32).min(self.lites.slots_len());
        for slot in first..end {
            visit(self, slot);
        }
        (end < self.lites.slots_len()).then_some(end)
    }

    fn refresh_group_of(&mut self, now: Timestamp, slot: u32, group: GroupId, fx: &mut Effects) {
        let Some(first) = self.lites.get(slot).map(|slot| slot.first_cursor) else { return };
        match self.cursors.find(first, group) {
            Some(cursor) => self.refresh(now, cursor, fx),
            None => {
                self.count_lag(now, slot, group);
                self.offer(now, slot, group, fx);
            }
        }
    }

    fn remove_group_of(&mut self, slot_index: u32, group: GroupId, fx: &mut Effects) {
        let Some(first) = self.lites.get(slot_index).map(|slot| slot.first_cursor) else { return };
        if let Some(cursor) = self.cursors.find(first, group) {
            self.remove_cursor(cursor, fx);
        }
        self.remove_links(slot_index, Some(group), fx);
        self.lags.remove(group, slot_index);
        self.file_if_free(slot_index);
    }

    /// Ends the subscriptions of a group to a slot, or all.
    fn remove_links(&mut self, slot_index: u32, group: Option<GroupId>, fx: &mut Effects) {
        let Some(first) = self.lites.get(slot_index).map(|slot| slot.first_link) else { return };
        let (first, removed) = self.subscriptions.remove_of_group(slot_index, first, group);
        for (group, client) in removed {
            let key = Key::Subscription { slot: slot_index, group, client };
            fx.records.push(Record::Delete { key });
        }
        self.set_first_link(slot_index, first, fx);
    }

    /// Removes everything of a slot, subscriptions too. `event` tells of the end of a lite topic.
    pub(super) fn remove_slot(
        &mut self,
        index: u32,
        event: fn(TopicId) -> Event,
        fx: &mut Effects,
    ) {
        self.unfile(index);
        // A group that is still to be swept may have been counted here and consume it no more.
        let swept = self.work.iter().filter_map(|work| match work {
            Work::RefreshGroup { group, .. } | Work::RemoveGroup { group, .. } => Some(*group),
            _ => None,
        });
        let swept: Vec<GroupId> = swept.collect();
        for group in self.consumers(index).into_iter().chain(swept) {
            self.lags.remove(group, index);
        }
        let first_link = self.lites.get(index).map_or(NONE, |slot| slot.first_link);
        for subscriber in self.subscriptions.chain(first_link) {
            self.say_farewell(subscriber, index, true, fx);
        }
        self.remove_links(index, None, fx);
        // A mere name has gone with its last subscriber.
        let Some(slot) = self.lites.get(index) else { return };
        let (generation, first_cursor) = (slot.generation, slot.first_cursor);
        self.wildcards.forget_slot(slot.topic, index);
        if slot.state == SlotState::Live {
            let event = event(slot.topic);
            fx.events.push(event);
            let name_hash = self.lites.name_hash(slot.topic, self.lites.name_bytes(slot));
            let end = End { topic: slot.topic, name_hash };
            let place = Place { slot: index, generation, offset: 0 };
            fx.note(
                place,
                match event {
                    Event::LiteTopicExpired(_) => What::Expired(end),
                    _ => What::Removed(end),
                },
            );
        }
        let cursors: Vec<u32> = self.cursors.chain(first_cursor).map(|(index, _)| index).collect();
        for cursor in cursors {
            self.remove_cursor(cursor, fx);
        }
        self.forget_resent(index, fx);
        self.unfile(index);
        self.lifetimes.set_own(index, OwnLifetime::default());
        self.lites.remove(index);
        fx.records.push(Record::Drop { slot: index, generation });
        self.save_slot(index, fx);
    }
}

/// What a name gets that nobody sent to.
pub(super) fn no_lite_topic(name: &LiteTopicName) -> Error {
    Error::new(
        ErrorCode::LiteTopicNotFound,
        format!("there is no lite topic '{name}'; it is created by the first message"),
    )
}
