//! Handing messages out.

use std::collections::BTreeSet;

use super::Shard;
use crate::client::ClientKey;
use crate::delivery::run::{HandOutLimits, Lease};
use crate::effects::{Burial, Effects, Place};
use crate::error::Result;
use crate::group::{Group, GroupId};
use crate::limits::{AUTO_RENEW_MAX, AUTO_RENEW_STEP};
use crate::names::LiteTopicName;
use crate::subscription::{LastReceive, Subscriber};
use crate::time::{DurationMs, Timestamp};
use crate::topic::TopicId;
use crate::trace::{Attempt, What};

/// A client asks for messages.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// Who.
    pub client: ClientKey,
    /// For which group.
    pub group: GroupId,
    /// At most so many messages.
    pub messages_max: usize,
    /// At most so many of one lite topic; at least one.
    pub per_lite_topic_max: usize,
    /// How long nobody else gets them; ignored with `auto_renew`.
    pub invisible: DurationMs,
    /// The lease is renewed while the client is connected.
    pub auto_renew: bool,
    /// Keyed hash of the id of this receive, the same when the client repeats one whose answer it
    /// did not get; 0 is none.
    pub attempt_id: u64,
}

/// A message handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Where it is stored.
    pub place: Place,
    /// The lite topic's name.
    pub lite_topic: LiteTopicName,
    /// Which hand-out, for its handle.
    pub epoch: u32,
    /// How often it was handed out, from 1.
    pub attempt: u16,
    /// When others may get it.
    pub visible_at: Timestamp,
}

/// What a claim gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ClaimOutcome {
    /// The messages, in order for each lite topic.
    pub messages: Vec<Claimed>,
    /// Whether there may be more for this client now.
    pub more: bool,
}

/// Where it stands what is ready for a client.
#[derive(Debug, Clone, Copy)]
pub(super) enum List {
    /// In the list of this subscriber.
    Of(u32),
    /// In the list of a wildcard group.
    OfAll(TopicId, GroupId),
}

impl Shard {
    /// Hands out what is ready for a client, oldest ready lite topic first.
    pub fn claim(
        &mut self,
        now: Timestamp,
        claim: Claim,
        fx: &mut Effects,
    ) -> Result<ClaimOutcome> {
        let group = std::sync::Arc::clone(self.group(claim.group)?);
        let mut outcome = ClaimOutcome::default();
        let Some(list) = self.list_of(claim.client, &group) else { return Ok(outcome) };
        if let Some(repeated) = self.repeat_claim(now, list, claim, &group, fx) {
            outcome.messages = repeated;
            outcome.more = true;
            return Ok(outcome);
        }
        let burials_before = fx.burials.len();
        let mut visited = Vec::new();
        while outcome.messages.len() + (fx.burials.len() - burials_before) < claim.messages_max
            && let Some(slot) = self.take_ready(list)
        {
            visited.extend(self.claim_slot(now, slot, claim, &group, &mut outcome.messages, fx));
        }
        if claim.attempt_id != 0 && !outcome.messages.is_empty() {
            let (attempt_id, cursors) = (claim.attempt_id, visited.clone());
            if let Some(last) = self.last_receive_mut(list, claim.client) {
                *last = LastReceive { attempt_id, cursors };
            }
        }
        // Only now, so that no lite topic comes up twice in one claim.
        for cursor in visited {
            self.refresh(now, cursor, fx);
        }
        outcome.more = match list {
            List::Of(subscriber) => {
                self.subscriptions.get(subscriber).is_some_and(Subscriber::has_ready)
            }
            List::OfAll(topic, group) => self.wildcards.has_ready(topic, group),
        };
        Ok(outcome)
    }

    /// What a receive of this attempt id was given before and its client may still have, and nothing
    /// that is new. Asked of every shard first, so that a repeat is not filled with what is ready in
    /// one before another comes to what it was given.
    pub fn claim_again(
        &mut self,
        now: Timestamp,
        claim: Claim,
        fx: &mut Effects,
    ) -> Result<ClaimOutcome> {
        let group = std::sync::Arc::clone(self.group(claim.group)?);
        let again = self
            .list_of(claim.client, &group)
            .and_then(|list| self.repeat_claim(now, list, claim, &group, fx));
        Ok(ClaimOutcome { messages: again.unwrap_or_default(), more: true })
    }

    /// The list that a client claims from, if it has one.
    pub(super) fn list_of(&self, client: ClientKey, group: &Group) -> Option<List> {
        match group.options.wildcard() {
            Some(_) => Some(List::OfAll(group.topic, group.id)),
            None => self.subscriptions.find(client, group.id).map(List::Of),
        }
    }

    fn take_ready(&mut self, list: List) -> Option<u32> {
        match list {
            List::Of(subscriber) => self.subscriptions.take_ready(subscriber),
            List::OfAll(topic, group) => self.wildcards.take_ready(topic, group),
        }
    }

    pub(super) fn last_receive(&self, list: List, client: ClientKey) -> Option<&LastReceive> {
        match list {
            List::Of(subscriber) => {
                self.subscriptions.get(subscriber).map(|found| &found.last_receive)
            }
            List::OfAll(_, group) => self.last_receives.get(&(client, group)),
        }
    }

    pub(super) fn last_receive_mut(
        &mut self,
        list: List,
        client: ClientKey,
    ) -> Option<&mut LastReceive> {
        match list {
            List::Of(subscriber) => {
                self.subscriptions.get_mut(subscriber).map(|found| &mut found.last_receive)
            }
            List::OfAll(_, group) => Some(self.last_receives.entry((client, group)).or_default()),
        }
    }

    /// Whether what is ready of a slot is for who claims from this list.
    fn is_listed_by(&self, list: List, slot_index: u32, group: &Group) -> bool {
        match list {
            List::Of(subscriber) => self
                .subscriptions
                .get(subscriber)
                .is_some_and(|found| found.slots.contains_key(&slot_index)),
            List::OfAll(..) => {
                self.lites.get(slot_index).is_some_and(|slot| self.is_shared_by(slot, group))
            }
        }
    }

    /// What the same receive was given before, if it was given something that is still its own, of
    /// what the client is still subscribed to.
    fn repeat_claim(
        &mut self,
        now: Timestamp,
        list: List,
        claim: Claim,
        group: &Group,
        fx: &mut Effects,
    ) -> Option<Vec<Claimed>> {
        let last = self.last_receive(list, claim.client)?;
        if claim.attempt_id == 0 || last.attempt_id != claim.attempt_id {
            return None;
        }
        let own = |index: &&u32| {
            self.cursors.get(**index).is_some_and(|cursor| {
                cursor.group == claim.group && self.is_listed_by(list, cursor.slot, group)
            })
        };
        let indexes: Vec<u32> = last.cursors.iter().filter(own).copied().collect();
        let mut messages = Vec::new();
        for index in indexes {
            let Some(cursor) = self.cursors.get(index) else { continue };
            let (slot, generation, committed) = (cursor.slot, cursor.generation, cursor.committed);
            let epoch = cursor.epoch.wrapping_add(1);
            let lease = lease(now, claim, epoch);
            let left = claim.messages_max.saturating_sub(messages.len());
            let Some(run) = self.cursors.run_mut(index) else { continue };
            let given = run.repeat(lease, group.options.ordered, left);
            let Some(lite_topic) = self.lites.name(slot).filter(|_| !given.is_empty()) else {
                continue;
            };
            for (at, attempt) in given {
                let place = Place { slot, generation, offset: committed + at as u64 };
                fx.note(place, delivered(claim, attempt, lease));
                let (lite_topic, visible_at) = (lite_topic.clone(), lease.visible_at);
                messages.push(Claimed { place, lite_topic, epoch, attempt, visible_at });
            }
            if let Some(cursor) = self.cursors.get_mut(index) {
                cursor.epoch = epoch;
            }
            self.note_read(now, slot);
            self.save_cursor(index, fx);
            self.refresh(now, index, fx);
        }
        (!messages.is_empty()).then_some(messages)
    }

    /// Takes back messages that did not reach the client; their attempts do not count.
    pub fn give_back(
        &mut self,
        now: Timestamp,
        group: GroupId,
        messages: &[(Place, u32)],
        fx: &mut Effects,
    ) {
        let mut changed = BTreeSet::new();
        for (place, epoch) in messages {
            let Some((cursor, at)) = self.open_entry(group, *place) else { continue };
            let Some(run) = self.cursors.run_mut(cursor) else { continue };
            let Some(entry) = run.held(at, *epoch) else { continue };
            entry.visible_at = now;
            entry.renew_until = Timestamp(0);
            entry.keep_attempt = true;
            fx.note(*place, What::GivenBack(Attempt { group, number: entry.attempt }));
            changed.insert(cursor);
        }
        for cursor in changed {
            self.save_cursor(cursor, fx);
            self.refresh(now, cursor, fx);
        }
    }

    /// Hands out what is ready of one lite topic; its cursor, to be refreshed.
    fn claim_slot(
        &mut self,
        now: Timestamp,
        slot_index: u32,
        claim: Claim,
        group: &Group,
        messages: &mut Vec<Claimed>,
        fx: &mut Effects,
    ) -> Option<u32> {
        let slot = self.lites.get(slot_index)?;
        if !self.is_deliverable(now, slot, group) {
            return None;
        }
        let (generation, next_offset) = (slot.generation, slot.next_offset);
        let lite_topic = self.lites.name(slot_index)?;
        let index = self.cursor_or_start(slot_index, group.id)?;
        let cursor = self.cursors.get(index)?;
        let (committed, epoch) = (cursor.committed, cursor.epoch.wrapping_add(1));
        let lease = lease(now, claim, epoch);
        let wanted =
            claim.per_lite_topic_max.max(1).min(claim.messages_max.saturating_sub(messages.len()));
        let messages_max = match group.options.consume_rate {
            Some(rate) => self.paces.room(index, now, rate, wanted),
            None => wanted,
        };
        if let (0, Some(rate)) = (messages_max, group.options.consume_rate) {
            // The rate was lowered since it was last handed out: it waits from now on.
            self.paces.handed_out(index, now, rate, 0);
            return Some(index);
        }
        let limits = HandOutLimits {
            ordered: group.options.ordered,
            messages_max,
            run_max: group.run_max(),
            max_attempts: group.options.max_attempts,
            stored: next_offset.saturating_sub(committed),
        };
        let out = self.cursors.run_or_start(index)?.hand_out(now, lease, limits);
        let place =
            |at: usize| Place { slot: slot_index, generation, offset: committed + at as u64 };
        for (at, attempt) in &out.given {
            fx.note(place(*at), delivered(claim, *attempt, lease));
            messages.push(Claimed {
                place: place(*at),
                lite_topic: lite_topic.clone(),
                epoch,
                attempt: *attempt,
                visible_at: lease.visible_at,
            });
        }
        for (at, attempts) in out.exhausted {
            fx.note(place(at), What::UsedUp(Attempt { group: group.id, number: attempts }));
            fx.burials.push(Burial { place: place(at), group: group.id, attempts });
        }
        if let Some(rate) = group.options.consume_rate {
            self.paces.handed_out(index, now, rate, out.given.len());
        }
        if !out.given.is_empty() {
            self.note_read(now, slot_index);
            self.cursors.get_mut(index)?.epoch = epoch;
            self.hold(index, claim.client);
            self.save_cursor(index, fx);
        }
        Some(index)
    }

    /// Notes that a client was given something of a cursor's run.
    fn hold(&mut self, index: u32, client: ClientKey) {
        let Some(run) = self.cursors.run_mut(index) else { return };
        for left in run.add_client(client) {
            self.forget_holder(index, left);
        }
        self.held_by.entry(client).or_default().insert(index);
    }
}

fn lease(now: Timestamp, claim: Claim, epoch: u32) -> Lease {
    let (invisible, renew_until) = if claim.auto_renew {
        (AUTO_RENEW_STEP, now + AUTO_RENEW_MAX)
    } else {
        (claim.invisible, Timestamp(0))
    };
    let Claim { client, attempt_id, .. } = claim;
    Lease { client, epoch, given_at: now, visible_at: now + invisible, renew_until, attempt_id }
}

fn delivered(claim: Claim, attempt: u16, lease: Lease) -> What {
    let Claim { group, auto_renew: renewed, .. } = claim;
    What::Delivered { group, attempt, until: lease.visible_at, renewed }
}
