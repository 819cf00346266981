//! Settling messages: ack, change of the invisible duration, dead letters, retention.

use std::sync::Arc;

use bytes::Bytes;

use super::{Send, Shard};
use crate::delivery::run::{Entry, EntryState};
use crate::effects::{Burial, Effects, Event, Place};
use crate::error::{Error, ErrorCode, Result};
use crate::group::GroupId;
use crate::handle::Handle;
use crate::lifetime::LiteTopicRoom;
use crate::limits::INVISIBLE_MIN;
use crate::time::{DurationMs, Timestamp};
use crate::trace::{Attempt, What};

/// What a handle points at.
enum Found {
    /// The message is settled already.
    Settled,
    /// Its cursor, and its place in the run.
    Open { cursor: u32, at: usize },
}

impl Shard {
    /// Settles a message. Again is fine; a handle of an earlier hand-out is refused. A lease that
    /// has run out is still good while nobody else was handed the message.
    pub fn ack(&mut self, now: Timestamp, handle: &Handle, fx: &mut Effects) -> Result<()> {
        let Found::Open { cursor, at } = self.find(handle)? else { return Ok(()) };
        let entry = self.cursors.run(cursor).and_then(|run| run.entries.get(at));
        if let Some(took) = entry.and_then(|entry| entry.since_given(now)) {
            fx.events.push(Event::Processed { group: handle.group, took });
        }
        self.settle_given(now, handle, (cursor, at), fx);
        Ok(())
    }

    /// Settles a message that its client does not want and was not given; no harm if that fails.
    pub fn pass_over(&mut self, now: Timestamp, handle: &Handle, fx: &mut Effects) {
        if let Ok(Found::Open { cursor, at }) = self.find(handle) {
            self.settle_given(now, handle, (cursor, at), fx);
        }
    }

    /// Whether a handle is of the lite topic of this name.
    pub fn check_name(&self, handle: &Handle, name: &str) -> Result<()> {
        let Some(slot) = self.lites.get_life(handle.place.slot, handle.place.generation) else {
            return Ok(()); // the handle itself is refused
        };
        if self.lites.name_bytes(slot) == name.as_bytes() {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::ReceiptHandleInvalid,
            "the receipt handle belongs to another lite topic",
        ))
    }

    /// Makes a message visible to others after `invisible` from now. With `suspend` that holds for
    /// everything of its hand-out that is not settled, and the attempts do not count.
    pub fn change_invisible(
        &mut self,
        now: Timestamp,
        handle: &Handle,
        invisible: DurationMs,
        suspend: bool,
        fx: &mut Effects,
    ) -> Result<Handle> {
        let Found::Open { cursor, at } = self.find(handle)? else { return Ok(*handle) };
        let visible_at = now + invisible;
        if suspend {
            let is_of_it = |entry: &Entry| entry.is_held_in(handle.epoch);
            self.note_run(cursor, is_of_it, |attempt| What::Suspended(attempt, visible_at), fx);
        } else {
            fx.note(handle.place, What::Delayed(self.attempt_of(cursor, at), visible_at));
        }
        if let Some(run) = self.cursors.run_mut(cursor) {
            if suspend {
                run.suspend(handle.epoch, visible_at);
            } else if let Some(entry) = run.held(at, handle.epoch) {
                entry.visible_at = visible_at;
                entry.renew_until = Timestamp(0);
                // Its receive was answered: a late repeat does not bring it back early.
                entry.attempt_id = 0;
            }
        }
        self.save_cursor(cursor, fx);
        self.refresh(now, cursor, fx);
        Ok(Handle { visible_at, ..*handle })
    }

    /// Starts to dead-letter a message: it is held back until [`Self::bury`] or
    /// [`Self::burial_failed`]. `None` when it is settled already.
    pub fn begin_burial(
        &mut self,
        now: Timestamp,
        handle: &Handle,
        fx: &mut Effects,
    ) -> Result<Option<Burial>> {
        let Found::Open { cursor, at } = self.find(handle)? else { return Ok(None) };
        let run = self.cursors.run_mut(cursor);
        let Some(entry) = run.and_then(|run| run.held(at, handle.epoch)) else {
            return Err(stale());
        };
        entry.state = EntryState::DeadLettering;
        let attempts = entry.attempt;
        let attempt = Attempt { group: handle.group, number: attempts };
        fx.note(handle.place, What::GivenUp(attempt));
        self.count_lag(now, handle.place.slot, handle.group);
        Ok(Some(Burial { place: handle.place, group: handle.group, attempts }))
    }

    /// Stores the copy of a message with the group's dead letters and settles the message, at once.
    /// A message that is settled or gone by now needs no copy; whether it did. After an error the message is still
    /// held back: call [`Self::burial_failed`].
    pub fn bury(
        &mut self,
        now: Timestamp,
        burial: &Burial,
        payload: Bytes,
        room: &dyn LiteTopicRoom,
        fx: &mut Effects,
    ) -> Result<bool> {
        let group = Arc::clone(self.group(burial.group)?);
        let Some((cursor, at)) = self.dead_lettering(burial) else { return Ok(false) };
        let Some(lite_topic) = self.lites.name(burial.place.slot) else { return Ok(false) };
        let topic = group.dead_letter_topic;
        let send = Send { topic, lite_topic, tag: 0, payload, ttl: None };
        let letter = self.send(now, send, room, fx)?.offset;
        fx.note(burial.place, What::DeadLettered(self.attempt_of(cursor, at), letter));
        self.settle(now, cursor, at, fx);
        Ok(true)
    }

    /// The copy could not be made: the message is visible again after a while and tried again.
    pub fn burial_failed(&mut self, now: Timestamp, burial: &Burial, fx: &mut Effects) {
        let Some((cursor, at)) = self.dead_lettering(burial) else { return };
        let Some(run) = self.cursors.run_mut(cursor) else { return };
        let Some(entry) = run.entries.get_mut(at) else { return };
        entry.state = EntryState::Leased;
        entry.visible_at = now + INVISIBLE_MIN;
        entry.renew_until = Timestamp(0);
        self.save_cursor(cursor, fx);
        self.refresh(now, cursor, fx);
    }

    /// Messages of a slot below `first` are gone by retention: positions move past them.
    pub fn trimmed(
        &mut self,
        now: Timestamp,
        slot_index: u32,
        generation: u32,
        first: u64,
        fx: &mut Effects,
    ) {
        let Some(slot) = self.lites.get_mut(slot_index) else { return };
        if slot.generation != generation || first <= slot.first_offset {
            return;
        }
        slot.first_offset = first.min(slot.next_offset);
        let (first, first_cursor) = (slot.first_offset, slot.first_cursor);
        let life = Place { slot: slot_index, generation, offset: 0 };
        fx.note(life, What::PastRetention(first));
        self.save_slot(slot_index, fx);
        self.forget_resent_below(slot_index, first);
        let behind: Vec<u32> = self
            .cursors
            .chain(first_cursor)
            .filter(|(_, cursor)| cursor.committed < first)
            .map(|(index, _)| index)
            .collect();
        for index in behind {
            let Some(cursor) = self.cursors.get(index) else { continue };
            let gone = first - cursor.committed;
            if let Some(run) = self.cursors.run_mut(index) {
                let gone = usize::try_from(gone).unwrap_or(usize::MAX);
                for entry in run.entries.iter_mut().take(gone) {
                    entry.state = EntryState::Acked;
                }
            }
            self.advance(index);
            if let Some(cursor) = self.cursors.get_mut(index) {
                cursor.committed = cursor.committed.max(first);
            }
            self.save_cursor(index, fx);
            self.refresh(now, index, fx);
        }
        self.count_lags(now, slot_index);
        // Also a group without a position has nothing left to read now.
        self.file_if_free(slot_index);
    }

    fn settle_given(
        &mut self,
        now: Timestamp,
        handle: &Handle,
        (cursor, at): (u32, usize),
        fx: &mut Effects,
    ) {
        fx.note(handle.place, What::Settled(self.attempt_of(cursor, at)));
        self.settle(now, cursor, at, fx);
    }

    fn settle(&mut self, now: Timestamp, cursor: u32, at: usize, fx: &mut Effects) {
        if let Some(slot) = self.cursors.get(cursor).map(|cursor| cursor.slot) {
            self.note_read(now, slot);
        }
        if let Some(entry) = self.cursors.run_mut(cursor).and_then(|run| run.entries.get_mut(at)) {
            entry.state = EntryState::Acked;
        }
        self.advance(cursor);
        self.save_cursor(cursor, fx);
        self.refresh(now, cursor, fx);
    }

    /// The cursor and place of a message that was handed out and is not settled.
    pub(super) fn open_entry(&self, group: GroupId, place: Place) -> Option<(u32, usize)> {
        let slot = self.lites.get_life(place.slot, place.generation)?;
        let index = self.cursors.find(slot.first_cursor, group)?;
        let at = place.offset.checked_sub(self.cursors.get(index)?.committed)?;
        let at = usize::try_from(at).ok()?;
        let entry = self.cursors.run(index)?.entries.get(at)?;
        (entry.state != EntryState::Acked).then_some((index, at))
    }

    fn dead_lettering(&self, burial: &Burial) -> Option<(u32, usize)> {
        let (cursor, at) = self.open_entry(burial.group, burial.place)?;
        let entry = self.cursors.run(cursor)?.entries.get(at)?;
        (entry.state == EntryState::DeadLettering).then_some((cursor, at))
    }

    fn find(&mut self, handle: &Handle) -> Result<Found> {
        let place = handle.place;
        let Some(slot) = self.lites.get_life(place.slot, place.generation) else {
            return Err(Error::new(
                ErrorCode::ReceiptHandleInvalid,
                "the lite topic of this receipt handle was removed",
            ));
        };
        let cursor = self.cursors.find(slot.first_cursor, handle.group).ok_or_else(stale)?;
        let committed = self.cursors.get(cursor).map_or(0, |cursor| cursor.committed);
        let Some(at) = place.offset.checked_sub(committed) else { return Ok(Found::Settled) };
        let at = usize::try_from(at).map_err(|_| stale())?;
        let run = self.cursors.run_mut(cursor).ok_or_else(stale)?;
        if run.entries.get(at).is_some_and(|entry| entry.state == EntryState::Acked) {
            return Ok(Found::Settled);
        }
        run.held(at, handle.epoch).ok_or_else(stale)?;
        Ok(Found::Open { cursor, at })
    }
}

fn stale() -> Error {
    Error::new(
        ErrorCode::ReceiptHandleInvalid,
        "the receipt handle is stale: the message was handed out again or is being dead-lettered",
    )
}
