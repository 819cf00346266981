//! The in-flight run of one (group, lite topic): what was handed out and is not settled.
//!
//! The rules of delivery are here and nowhere else. Entry `i` of a run is the message at the
//! cursor's committed offset plus `i`.

use std::collections::VecDeque;

use crate::client::ClientKey;
use crate::time::{DurationMs, Timestamp};

/// How a message of a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryState {
    /// Handed out; visible again from `visible_at` on.
    Leased,
    /// Settled; never handed out again.
    Acked,
    /// Being copied to the dead letters; held back until that is done.
    DeadLettering,
}

/// One message of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) state: EntryState,
    /// The next hand-out does not count as another attempt.
    pub(crate) keep_attempt: bool,
    /// Hand-outs so far, from 1.
    pub(crate) attempt: u16,
    /// Which hand-out of the cursor it was given in; older handles are stale.
    pub(crate) epoch: u32,
    pub(crate) client: ClientKey,
    pub(crate) visible_at: Timestamp,
    /// Until when the lease is renewed while its client is connected; 0 is never.
    pub(crate) renew_until: Timestamp,
    /// The client was connected when the lease was first renewed, so it has the message. Until
    /// then the answer may have been lost on the way.
    pub(crate) is_confirmed: bool,
    /// When it was last handed out: the lower half of the time, good for a lease of 49 days; 0 is
    /// unknown, before a restart. Not kept in its record.
    pub(crate) given_at: u32,
    /// Keyed hash of the receive that it was given to; 0 is none.
    pub(crate) attempt_id: u64,
}

impl Entry {
    fn is_visible(&self, now: Timestamp) -> bool {
        self.state == EntryState::Leased && self.visible_at <= now
    }

    /// Whether it was given in this epoch and is not settled.
    pub(crate) fn is_held_in(&self, epoch: u32) -> bool {
        self.state == EntryState::Leased && self.epoch == epoch
    }

    /// Whether this client has a lease of it. `renewed_only` leaves out one with a duration that the
    /// client asked for.
    pub(crate) fn is_leased_to(
        &self,
        client: ClientKey,
        now: Timestamp,
        renewed_only: bool,
    ) -> bool {
        self.state == EntryState::Leased
            && self.client == client
            && (self.visible_at > now || self.renew_until > now)
            && (!renewed_only || self.renew_until > Timestamp(0))
    }

    /// How long ago it was handed out, if known.
    pub(crate) fn since_given(&self, now: Timestamp) -> Option<DurationMs> {
        let passed = lower_half(now).wrapping_sub(self.given_at);
        (self.given_at != 0).then_some(DurationMs(u64::from(passed)))
    }

    fn is_renewable_in_doubt(&self) -> bool {
        self.state == EntryState::Leased && self.renew_until > Timestamp(0) && !self.is_confirmed
    }
}

/// Who gets messages, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    pub(crate) client: ClientKey,
    pub(crate) epoch: u32,
    pub(crate) given_at: Timestamp,
    pub(crate) visible_at: Timestamp,
    pub(crate) renew_until: Timestamp,
    pub(crate) attempt_id: u64,
}

/// The bounds of one hand-out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HandOutLimits {
    pub(crate) ordered: bool,
    pub(crate) messages_max: usize,
    pub(crate) run_max: usize,
    pub(crate) max_attempts: u16,
    /// Messages stored from the committed offset on.
    pub(crate) stored: u64,
}

/// What a hand-out gave, as places in the run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct HandOut {
    /// Place and attempt of each message given.
    pub(crate) given: Vec<(usize, u16)>,
    /// Place and attempts of each message whose attempts are used up; it is now being
    /// dead-lettered.
    pub(crate) exhausted: Vec<(usize, u16)>,
}

/// What was handed out and is not settled. Never empty while it exists, and its first entry is
/// never acked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    pub(crate) entries: VecDeque<Entry>,
    /// Everybody who holds something of it, and at times some who did; no more than entries.
    pub(crate) clients: Vec<ClientKey>,
    /// The moment this run is registered for in the shard's timer; 0 is none.
    pub(crate) timer: Timestamp,
}

impl Run {
    /// Gives messages to a client: first what became visible again, then new ones.
    ///
    /// Ordered: nothing passes a message that is leased, so a message is only given when all
    /// before it are settled or given with it.
    pub(crate) fn hand_out(
        &mut self,
        now: Timestamp,
        lease: Lease,
        limits: HandOutLimits,
    ) -> HandOut {
        let mut out = HandOut::default();
        for (place, entry) in self.entries.iter_mut().enumerate() {
            if entry.state == EntryState::Acked {
                continue;
            }
            if out.given.len() == limits.messages_max {
                return out;
            }
            if entry.is_visible(now) {
                let attempt = entry.attempt.saturating_add(u16::from(!entry.keep_attempt));
                if attempt <= limits.max_attempts {
                    *entry = given(lease, attempt);
                    out.given.push((place, attempt));
                    continue;
                }
                entry.state = EntryState::DeadLettering;
                out.exhausted.push((place, entry.attempt));
            }
            if limits.ordered {
                return out;
            }
        }
        while out.given.len() < limits.messages_max
            && self.entries.len() < limits.run_max
            && (self.entries.len() as u64) < limits.stored
        {
            out.given.push((self.entries.len(), 1));
            self.entries.push_back(given(lease, 1));
        }
        out
    }

    /// Whether its moment in the shard's timer has come. Until the shard has dealt with that,
    /// nobody knows whether a lease that has run out is renewed.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.timer > Timestamp(0) && self.timer <= now
    }

    /// Whether a hand-out would give something or find used-up attempts.
    pub(crate) fn is_deliverable(
        &self,
        now: Timestamp,
        ordered: bool,
        run_max: usize,
        stored: u64,
    ) -> bool {
        if self.is_due(now) {
            return false;
        }
        let more = (self.entries.len() as u64) < stored && self.entries.len() < run_max;
        let mut open = self.entries.iter().filter(|entry| entry.state != EntryState::Acked);
        if ordered {
            return open.next().map_or(more, |first| first.is_visible(now));
        }
        more || open.any(|entry| entry.is_visible(now))
    }

    /// When the next lease runs out. With order that matters for a message behind a leased one
    /// too: its own lease may be one that is renewed.
    pub(crate) fn next_visible_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.entries
            .iter()
            .filter(|entry| entry.state == EntryState::Leased && entry.visible_at > now)
            .map(|entry| entry.visible_at)
            .min()
    }

    /// The entry at `place`, if it was given in this epoch and is not settled.
    pub(crate) fn held(&mut self, place: usize, epoch: u32) -> Option<&mut Entry> {
        self.entries.get_mut(place).filter(|entry| entry.is_held_in(epoch))
    }

    /// Makes everything given in this epoch visible at one moment, attempts unchanged.
    pub(crate) fn suspend(&mut self, epoch: u32, visible_at: Timestamp) {
        for entry in &mut self.entries {
            if entry.is_held_in(epoch) {
                entry.visible_at = visible_at;
                entry.renew_until = Timestamp(0);
                entry.keep_attempt = true;
                entry.attempt_id = 0;
            }
        }
    }

    /// Drops settled entries from the front; how many.
    pub(crate) fn advance(&mut self) -> u64 {
        let mut settled = 0;
        while self.entries.front().is_some_and(|entry| entry.state == EntryState::Acked) {
            self.entries.pop_front();
            settled += 1;
        }
        settled
    }

    /// Extends leases that have run out and whose clients are connected, within their bound. A
    /// lease that is not extended has ended, even if its client comes back. Returns whether that,
    /// or a first renewal, is to be kept: later renewals are not, a restart gives them some grace.
    pub(crate) fn renew(
        &mut self,
        now: Timestamp,
        step: DurationMs,
        is_connected: &dyn Fn(ClientKey) -> bool,
    ) -> bool {
        let mut is_to_keep = false;
        for entry in &mut self.entries {
            if !entry.is_visible(now) {
                continue;
            }
            if entry.renew_until > now && is_connected(entry.client) {
                entry.visible_at = (now + step).min(entry.renew_until);
                is_to_keep |= !std::mem::replace(&mut entry.is_confirmed, true);
            } else if entry.renew_until > Timestamp(0) {
                entry.renew_until = Timestamp(0);
                is_to_keep = true;
            }
        }
        is_to_keep
    }

    /// What this client was given may have been lost on the way: leases that were not renewed yet
    /// will not be, and end at their time. Whether there were any.
    pub(crate) fn doubt_client(&mut self, client: ClientKey) -> bool {
        let mut doubted = false;
        for entry in &mut self.entries {
            if entry.client == client && entry.is_renewable_in_doubt() {
                entry.renew_until = Timestamp(0);
                doubted = true;
            }
        }
        doubted
    }

    /// Gives a client again what it was given in answer to the same receive, attempts unchanged:
    /// the answer was lost on the way. Places and attempts.
    ///
    /// Ordered: only what comes before everything that others were given meanwhile.
    pub(crate) fn repeat(
        &mut self,
        lease: Lease,
        ordered: bool,
        messages_max: usize,
    ) -> Vec<(usize, u16)> {
        let is_same = |entry: &Entry| {
            entry.state == EntryState::Leased
                && entry.client == lease.client
                && entry.attempt_id == lease.attempt_id
        };
        let entries = self.entries.iter_mut().enumerate();
        entries
            .filter(|(_, entry)| entry.state != EntryState::Acked)
            .take_while(|(_, entry)| !ordered || is_same(entry))
            .filter(|(_, entry)| is_same(entry))
            .take(messages_max)
            .map(|(place, entry)| {
                *entry = given(lease, entry.attempt);
                (place, entry.attempt)
            })
            .collect()
    }

    /// What this client holds is renewed no more: it ends at its time. Whether there was any.
    pub(crate) fn end_renewals(&mut self, client: ClientKey) -> bool {
        let mut ended = false;
        for entry in &mut self.entries {
            let is_its = entry.state == EntryState::Leased && entry.client == client;
            if is_its && entry.renew_until > Timestamp(0) {
                entry.renew_until = Timestamp(0);
                ended = true;
            }
        }
        ended
    }

    /// Ends this client's leases, renewal included; whether there were any. `renewed_only` leaves leases
    /// that the client asked for with a duration of its own.
    pub(crate) fn release_client(
        &mut self,
        client: ClientKey,
        now: Timestamp,
        renewed_only: bool,
    ) -> bool {
        let mut released = false;
        for entry in &mut self.entries {
            if entry.is_leased_to(client, now, renewed_only) {
                entry.visible_at = entry.visible_at.min(now);
                entry.renew_until = Timestamp(0);
                released = true;
            }
        }
        released
    }

    /// Ends every lease: the messages are anybody's, and every handle given before `epoch` is stale.
    /// What is settled stays so.
    pub(crate) fn end_leases(&mut self, now: Timestamp, epoch: u32) {
        for entry in self.entries.iter_mut().filter(|entry| entry.state != EntryState::Acked) {
            entry.epoch = epoch;
            entry.visible_at = entry.visible_at.min(now);
            entry.renew_until = Timestamp(0);
            entry.attempt_id = 0;
        }
    }

    /// After a restart: leases that were renewed before last at least until `grace`, so that their
    /// clients can come back. Others end at their time: their messages may not have reached anybody.
    pub(crate) fn resume(&mut self, now: Timestamp, grace: Timestamp) {
        for entry in &mut self.entries {
            if entry.is_renewable_in_doubt() {
                entry.renew_until = Timestamp(0);
            } else if entry.state == EntryState::Leased && entry.renew_until > now {
                entry.visible_at = entry.visible_at.max(grace).min(entry.renew_until);
            }
        }
    }

    /// Notes that a client was given something. Returns clients that hold nothing any more and are
    /// forgotten, so that the list stays bounded however many come and go.
    pub(crate) fn add_client(&mut self, client: ClientKey) -> Vec<ClientKey> {
        if self.clients.contains(&client) {
            return Vec::new();
        }
        self.clients.push(client);
        if self.clients.len() <= self.entries.len() {
            return Vec::new();
        }
        let holders = self.holders();
        let (kept, left) = std::mem::take(&mut self.clients)
            .into_iter()
            .partition(|client| holders.binary_search(client).is_ok());
        self.clients = kept;
        left
    }

    /// Each receive that something is leased to: its client, its id, and the end of the lease.
    pub(crate) fn receives(&self) -> Vec<(ClientKey, u64, Timestamp)> {
        let leased = self.entries.iter().filter(|entry| entry.state == EntryState::Leased);
        let mut receives: Vec<_> = leased
            .filter(|entry| entry.attempt_id != 0)
            .map(|entry| (entry.client, entry.attempt_id, entry.visible_at))
            .collect();
        receives.sort_unstable();
        receives.dedup_by_key(|(client, attempt_id, _)| (*client, *attempt_id));
        receives
    }

    /// The end of the lease of what this receive was given.
    pub(crate) fn given_at(&self, client: ClientKey, attempt_id: u64) -> Option<Timestamp> {
        let mut receives = self.receives().into_iter();
        receives.find(|found| (found.0, found.1) == (client, attempt_id)).map(|found| found.2)
    }

    /// Clients that hold something here, sorted; who was given a message that is being dead-lettered
    /// holds it again when that fails.
    pub(crate) fn holders(&self) -> Vec<ClientKey> {
        let mut holders: Vec<ClientKey> = self
            .entries
            .iter()
            .filter(|entry| entry.state != EntryState::Acked)
            .map(|entry| entry.client)
            .collect();
        holders.sort_unstable();
        holders.dedup();
        holders
    }

    /// Messages handed out, not settled and not visible.
    pub(crate) fn in_flight(&self, now: Timestamp) -> u64 {
        self.entries
            .iter()
            .filter(|entry| entry.state != EntryState::Acked && !entry.is_visible(now))
            .count() as u64
    }

    /// Messages settled behind the first unsettled one.
    pub(crate) fn settled(&self) -> u64 {
        self.entries.iter().filter(|entry| entry.state == EntryState::Acked).count() as u64
    }
}

fn given(lease: Lease, attempt: u16) -> Entry {
    Entry {
        state: EntryState::Leased,
        keep_attempt: false,
        attempt,
        epoch: lease.epoch,
        client: lease.client,
        visible_at: lease.visible_at,
        renew_until: lease.renew_until,
        is_confirmed: false,
        given_at: lower_half(lease.given_at),
        attempt_id: lease.attempt_id,
    }
}

/// The lower half of a moment, never 0.
fn lower_half(at: Timestamp) -> u32 {
    ((at.0 & u64::from(u32::MAX)) as u32).max(1)
}
