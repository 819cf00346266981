//! Lite topics that come to the end of their lives, and what keeps them.
//!
//! A lite topic that expires is filed in an index by second; a tick looks at what has come up. One that
//! is due and protected is in no place of the index: the event that ends its protection files it.

use super::Shard;
use super::background::no_lite_topic;
use super::inspect::LiteView;
use crate::effects::{Effects, Event};
use crate::error::{Error, ErrorCode, Result};
use crate::group::GroupId;
use crate::lifetime::{LifetimeChange, LiteTopicRoom, OwnLifetime, Protection};
use crate::limits::{EXPIRIES_PER_TICK, EXPIRY_PAUSE};
use crate::lite::{NONE, Slot, SlotState};
use crate::names::LiteTopicName;
use crate::time::{Second, Timestamp};
use crate::topic::TopicId;

impl Shard {
    /// Creates a lite topic ahead of its first message; again is fine, also when a message has
    /// created it, unless it has another time to live of its own by now. What it is then.
    ///
    /// # Errors
    /// [`ErrorCode::LiteTopicQuotaExceeded`], or [`ErrorCode::AlreadyExists`].
    pub fn create_lite(
        &mut self,
        now: Timestamp,
        topic: TopicId,
        name: &LiteTopicName,
        own: OwnLifetime,
        room: &dyn LiteTopicRoom,
        fx: &mut Effects,
    ) -> Result<LiteView> {
        match self.find_lite(topic, name) {
            None => drop(self.make_live(now, topic, name, own, room, fx)?),
            Some((index, _)) => {
                if own.ttl.is_some_and(|ttl| self.lifetimes.own(index).ttl != Some(ttl)) {
                    return Err(Error::new(
                        ErrorCode::AlreadyExists,
                        format!(
                            "lite topic '{name}' exists with another time to live; change that"
                        ),
                    ));
                }
            }
        }
        self.describe(now, topic, name).ok_or_else(|| no_lite_topic(name))
    }

    /// Changes how long a lite topic lives, one change after another. What it is then: if it is due, it
    /// will not be there much longer.
    ///
    /// # Errors
    /// [`ErrorCode::LiteTopicNotFound`].
    pub fn change_lifetime(
        &mut self,
        now: Timestamp,
        topic: TopicId,
        name: &LiteTopicName,
        changes: &[LifetimeChange],
        fx: &mut Effects,
    ) -> Result<LiteView> {
        let (index, _) = self.find_lite(topic, name).ok_or_else(|| no_lite_topic(name))?;
        let before = self.lifetimes.own(index);
        let own = changes.iter().fold(before, |own, change| own.after(*change));
        self.lifetimes.set_own(index, own);
        self.save_slot(index, fx);
        self.file(index);
        self.describe(now, topic, name).ok_or_else(|| no_lite_topic(name))
    }

    /// Removes what is due and not protected, a bounded part of it; then there is a pause.
    pub(super) fn expire(&mut self, now: Timestamp, fx: &mut Effects) {
        let farewells_before = fx.farewells.len();
        let mut looked_at = 0;
        while let Some(index) = self.lifetimes.pop_due(now) {
            looked_at += 1;
            if looked_at + fx.farewells.len() - farewells_before >= EXPIRIES_PER_TICK {
                self.lifetimes.not_before = now + EXPIRY_PAUSE;
            }
            let Some(slot) = self.lites.get_mut(index) else { continue };
            slot.filed_at = Second::NONE;
            let Some(slot) = self.lites.get(index) else { continue };
            match self.due_at(index, slot) {
                None => {}
                Some(due) if due > now => self.file_at(index, due),
                Some(_) if self.protection(slot).is_some() => {}
                Some(_) => self.remove_slot(index, Event::LiteTopicExpired, fx),
            }
        }
    }

    /// Files a lite topic by its present lifetime, wherever it was filed before.
    pub(super) fn file(&mut self, index: u32) {
        self.unfile(index);
        let Some(slot) = self.lites.get(index) else { return };
        if let Some(due) = self.due_at(index, slot) {
            self.file_at(index, due);
        }
    }

    /// Files a lite topic that was due and protected, if it is protected no more.
    pub(super) fn file_if_free(&mut self, index: u32) {
        let Some(slot) = self.lites.get(index) else { return };
        if slot.filed_at != Second::NONE {
            return;
        }
        if let Some(due) = self.due_at(index, slot)
            && self.protection(slot).is_none()
        {
            self.file_at(index, due);
        }
    }

    pub(super) fn unfile(&mut self, index: u32) {
        let Some(slot) = self.lites.get_mut(index) else { return };
        let filed_at = std::mem::take(&mut slot.filed_at);
        if filed_at != Second::NONE {
            self.lifetimes.filed.remove(&(filed_at, index));
        }
    }

    fn file_at(&mut self, index: u32, due: Timestamp) {
        let Some(at) = Second::not_before(due) else { return };
        let Some(slot) = self.lites.get_mut(index) else { return };
        slot.filed_at = at;
        self.lifetimes.filed.insert((at, index));
    }

    /// Files all lite topics at once, after a start. Nothing expires before `not_before`.
    pub(super) fn file_all(&mut self, not_before: Timestamp) {
        let mut filed = Vec::new();
        for index in 0..self.lites.slots_len() {
            let Some(slot) = self.lites.get(index) else { continue };
            let due = self.due_at(index, slot).and_then(Second::not_before);
            let Some(slot) = self.lites.get_mut(index) else { continue };
            slot.filed_at = due.unwrap_or(Second::NONE);
            filed.extend(due.map(|at| (at, index)));
        }
        filed.sort_unstable();
        // From what is sorted, a set is built without a search.
        self.lifetimes.filed = filed.into_iter().collect();
        self.lifetimes.not_before = not_before;
    }

    /// When a lite topic expires, if nothing happens and nothing protects it; `None` is never.
    pub(super) fn due_at(&self, index: u32, slot: &Slot) -> Option<Timestamp> {
        if slot.state != SlotState::Live {
            return None;
        }
        let options = &self.topics.get(&slot.topic)?.options;
        let mut active_at = slot.last_send_at;
        if options.counts_reads && slot.last_read_at != Second::NONE {
            active_at = active_at.max(slot.last_read_at.end());
        }
        self.lifetimes.own(index).end(options, active_at)
    }

    /// What keeps a lite topic although it is due.
    pub(super) fn protection(&self, slot: &Slot) -> Option<Protection> {
        let options = &self.topics.get(&slot.topic)?.options;
        if options.keep_subscribed && slot.first_link != NONE {
            return Some(Protection::Subscribed);
        }
        if options.keep_undelivered && !self.is_settled_by_all(slot) {
            return Some(Protection::Undelivered);
        }
        None
    }

    /// Whether each group of its topic that may be handed it has settled everything.
    fn is_settled_by_all(&self, slot: &Slot) -> bool {
        let (topic, name) = (slot.topic, self.lites.name_bytes(slot));
        let mut groups = self.bound.range((topic, GroupId(0))..=(topic, GroupId(u32::MAX)));
        groups.all(|(_, group)| {
            if !self.groups.get(group).is_some_and(|group| group.options.mode.covers(name)) {
                return true;
            }
            let position = self.cursors.find(slot.first_cursor, *group);
            let position = position.and_then(|position| self.cursors.get(position));
            position.map_or(slot.first_offset, |found| found.committed) == slot.next_offset
        })
    }

    /// A group was handed something of a lite topic, or settled something.
    pub(super) fn note_read(&mut self, now: Timestamp, index: u32) {
        if let Some(slot) = self.lites.get_mut(index) {
            slot.last_read_at = slot.last_read_at.max(Second::of(now));
        }
    }
}
