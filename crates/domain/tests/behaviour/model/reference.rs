//! Delivery as it is meant, with vectors and maps: nothing is fast here, and nothing is clever.

mod lifetime;
mod time;

use std::collections::{BTreeMap, BTreeSet};

use litemq_domain::{DurationMs, StartAt, Timestamp, TopicOptions};

use super::op::{LITES, Mode, OF_DEAD_LETTERS, Rules};

const RENEWAL: DurationMs = DurationMs::from_secs(60);
const RENEWED_FOR: DurationMs = DurationMs::from_hours(3);
const RESTART_GRACE: DurationMs = DurationMs::from_secs(30);
const RETRY_BURIAL: DurationMs = DurationMs::from_secs(10);
const NANOS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * NANOS;

/// A message as one group sees it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Delivery {
    pub(crate) settled: bool,
    pub(crate) burying: bool,
    pub(crate) attempts: u16,
    keep_attempt: bool,
    /// Which claim gave it last; 0 is none.
    pub(crate) claim: u64,
    pub(crate) client: String,
    /// Which receive it was given to, for a repeat of it; 0 is none.
    receive: u64,
    /// It becomes visible at some moment from the first to the second; a restart may make these
    /// differ.
    visible: (Timestamp, Timestamp),
    /// The end of its renewal, while it is known to be renewed.
    renewed_until: Option<Timestamp>,
    /// The same, while it may still be renewed.
    remembered_until: Option<Timestamp>,
    /// Its lease ran out in a while without ticks.
    is_late: bool,
    /// It was renewed once.
    confirmed: bool,
}

impl Delivery {
    pub(crate) fn is_certain(&self, now: Timestamp) -> bool {
        (self.visible.0 <= now) == (self.visible.1 <= now)
    }

    pub(crate) fn is_in_flight(&self, now: Timestamp) -> bool {
        !self.settled && self.attempts > 0 && (self.burying || self.visible.1 > now)
    }

    fn is_held_by(&self, claim: u64) -> bool {
        !self.settled && !self.burying && self.claim == claim
    }

    fn end_lease(&mut self, visible_at: Timestamp) {
        self.visible = (visible_at, visible_at);
        self.renewed_until = None;
        self.remembered_until = None;
    }
}

/// One life of a lite topic.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lite {
    pub(crate) messages: Vec<String>,
    pub(crate) first: usize,
    /// Or when it was created ahead.
    last_send: Timestamp,
    last_read: Option<Timestamp>,
    own_ttl: Option<Option<DurationMs>>,
    kept_until: Timestamp,
}

/// A send that may be repeated.
#[derive(Debug, Clone)]
pub(crate) struct SentBefore {
    pub(crate) lite: String,
    pub(crate) message: String,
    pub(crate) offset: usize,
    pub(crate) id: u64,
    /// A shard that started from a snapshot may not know the id.
    pub(crate) is_known: bool,
}

/// What a claim gave of one lite topic.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    /// Offset and attempt.
    pub(crate) messages: Vec<(usize, u16)>,
    /// Offsets of messages to bury.
    pub(crate) exhausted: Vec<usize>,
}

/// A handle: which claim gave which message of which life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) group: String,
    pub(crate) lite: String,
    pub(crate) message: String,
    pub(crate) offset: usize,
    pub(crate) claim: u64,
    pub(crate) attempt: u16,
    /// Which of the message's handles, from 1.
    pub(crate) nth: usize,
    /// Its client got it.
    pub(crate) is_known: bool,
    /// Which life of the group.
    group_life: u32,
}

/// What a handle points at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Settled,
    Open,
    Stale,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Reference {
    pub(crate) now: Timestamp,
    pub(crate) lites: BTreeMap<String, Lite>,
    pub(crate) rules: BTreeMap<String, Rules>,
    /// Of the topic.
    pub(crate) options: TopicOptions,
    /// Lite topics that may be alive, dead letters aside.
    pub(crate) room: Option<u64>,
    nothing_expires_before: Timestamp,
    pub(crate) subscriptions: BTreeSet<(String, String, String)>,
    pub(crate) handles: Vec<Held>,
    pub(crate) sends: Vec<SentBefore>,
    pub(crate) claims: u64,
    /// How often each group was removed.
    pub(crate) group_lives: BTreeMap<String, u32>,
    /// The last receive of each client of a group that was given something, and of which lite
    /// topics, unless it may be forgotten.
    pub(crate) last_receive: BTreeMap<(String, String), (u64, BTreeSet<String>)>,
    /// Letters of each lite topic of the dead letters that were sent again.
    pub(crate) resent: BTreeMap<String, BTreeSet<usize>>,
    /// Lite topics that were removed once.
    pub(crate) removed: BTreeSet<String>,
    /// Time has passed without a tick.
    pub(crate) is_unticked: bool,
    offline: BTreeSet<String>,
    /// Up to when, in nanoseconds, what was handed out of a lite topic to a group would have come evenly.
    even_until: BTreeMap<(String, String), u64>,
    /// Until when a lite topic may wait for a rate that was another.
    pub(crate) is_rate_in_doubt_until: Timestamp,
    deliveries: BTreeMap<(String, String), Vec<Delivery>>,
}

impl Reference {
    /// Stores a message; its offset.
    pub(crate) fn send(&mut self, lite: &str, message: &str) -> usize {
        self.create(lite, None);
        let now = self.now;
        let life = self.lites.entry(lite.to_owned()).or_default();
        life.messages.push(message.to_owned());
        life.last_send = now;
        life.messages.len() - 1
    }

    /// Whether a message is where it was stored.
    pub(crate) fn is_stored(&self, lite: &str, offset: usize, message: &str) -> bool {
        let life = self.lites.get(lite);
        life.is_some_and(|life| life.messages.get(offset).is_some_and(|found| found == message))
    }

    /// All messages of a lite topic as a group sees them.
    pub(crate) fn deliveries(&mut self, group: &str, lite: &str) -> &mut Vec<Delivery> {
        let (count, first) =
            self.lites.get(lite).map_or((0, 0), |lite| (lite.messages.len(), lite.first));
        let all = self.deliveries.entry((group.to_owned(), lite.to_owned())).or_default();
        all.resize(count, Delivery::default());
        for gone in &mut all[..first] {
            gone.settled = true;
        }
        all
    }

    /// Whether a client may be handed a lite topic.
    pub(crate) fn is_subscribed(&self, client: &str, group: &str, lite: &str) -> bool {
        match self.rules.get(group).map(|rules| rules.mode) {
            Some(mode @ Mode::Wildcard(_)) => mode.shares(lite),
            _ => {
                let key = (client.to_owned(), group.to_owned(), lite.to_owned());
                self.subscriptions.contains(&key)
            }
        }
    }

    /// All that a client may be handed.
    pub(crate) fn set_of(&self, client: &str, group: &str) -> BTreeSet<String> {
        let all = LITES.map(|lite| super::both::lite_of(group, lite)).into_iter();
        all.filter(|lite| self.is_subscribed(client, group, lite)).collect()
    }

    /// Pairs of client and lite topic that no shard counts.
    pub(crate) fn uncounted(&self, clients: usize) -> u64 {
        let groups = self.rules.iter().filter(|(name, _)| *name != OF_DEAD_LETTERS);
        let shared = groups.map(|(_, rules)| LITES.iter().filter(|lite| rules.mode.shares(lite)));
        shared.map(|lites| lites.count() as u64).sum::<u64>() * clients as u64
    }

    /// Who has a lite topic of an exclusive group, other than this client.
    pub(crate) fn other_owner(&self, client: &str, group: &str, lite: &str) -> Option<String> {
        if self.rules[group].mode != Mode::Exclusive {
            return None;
        }
        let mut pairs = self.subscriptions.iter();
        let found = pairs.find(|(of, by, name)| of != client && by == group && name == lite);
        found.map(|(owner, _, _)| owner.clone())
    }

    /// A lite topic goes to another client: what is held of it is nobody's.
    pub(crate) fn end_leases(&mut self, group: &str, lite: &str) {
        let now = self.now;
        for delivery in self.deliveries(group, lite).iter_mut().filter(|found| !found.settled) {
            if delivery.attempts > 0 {
                delivery.end_lease(delivery.visible.0.min(now));
                (delivery.claim, delivery.receive) = (0, 0);
            }
        }
    }

    /// What a client holds is renewed no more.
    pub(crate) fn end_renewals(&mut self, client: &str, group: &str, lite: &str) {
        for delivery in self.deliveries(group, lite).iter_mut() {
            if delivery.client == client && !delivery.settled && !delivery.burying {
                (delivery.renewed_until, delivery.remembered_until) = (None, None);
            }
        }
    }

    /// What a client holds goes back.
    pub(crate) fn release(&mut self, client: &str, group: &str, lite: &str) {
        let now = self.now;
        for delivery in self.deliveries(group, lite).iter_mut() {
            if delivery.client == client && !delivery.settled && !delivery.burying {
                delivery.end_lease(delivery.visible.0.min(now));
            }
        }
    }

    /// A group goes on at another place; which.
    pub(crate) fn move_group(&mut self, group: &str, lite: &str, start: StartAt) -> Option<usize> {
        let life = self.lites.get(lite)?;
        let (first, next) = (life.first as u64, life.messages.len() as u64);
        let place = match start {
            StartAt::Oldest => first,
            StartAt::Newest => next,
            StartAt::Offset(offset) | StartAt::InLife { offset, .. } => offset,
            StartAt::Tail(count) => next.saturating_sub(count),
        };
        let place = place.clamp(first, next) as usize;
        for (offset, delivery) in self.deliveries(group, lite).iter_mut().enumerate() {
            *delivery = Delivery { settled: offset < place, ..Delivery::default() };
        }
        Some(place)
    }

    /// How many messages of a lite topic the rate of a group allows now.
    pub(crate) fn allowed(&self, group: &str, lite: &str) -> usize {
        let Some(rate) = self.rules[group].rate else { return usize::MAX };
        let now = self.now.0 * NANOS;
        let key = (group.to_owned(), lite.to_owned());
        let ahead = self.even_until.get(&key).map_or(0, |until| until.saturating_sub(now));
        ((SECOND - ahead.min(SECOND)) / SECOND.div_ceil(u64::from(rate))) as usize
    }

    pub(crate) fn note_rate(&mut self, group: &str, lite: &str, count: usize) {
        let Some(rate) = self.rules[group].rate else { return };
        let now = self.now.0 * NANOS;
        let until = self.even_until.entry((group.to_owned(), lite.to_owned())).or_default();
        *until = now.max(*until) + SECOND.div_ceil(u64::from(rate)) * count as u64;
    }

    pub(crate) fn committed(&mut self, group: &str, lite: &str) -> usize {
        let all = self.deliveries(group, lite);
        all.iter().position(|delivery| !delivery.settled).unwrap_or(all.len())
    }

    /// What a claim for up to `max` messages gives of a lite topic. `is_visible` decides where the
    /// time does not.
    pub(crate) fn hand_out(
        &mut self,
        group: &str,
        lite: &str,
        max: usize,
        is_visible: impl Fn(usize) -> bool,
    ) -> Given {
        let (now, rules) = (self.now, self.rules[group]);
        let committed = self.committed(group, lite);
        let window = committed + if rules.ordered { 32 } else { 256 };
        let mut given = Given::default();
        for (offset, delivery) in self.deliveries(group, lite).iter().enumerate().take(window) {
            if delivery.settled {
                continue;
            }
            if given.messages.len() == max {
                break;
            }
            let visible = match delivery.is_certain(now) {
                true => delivery.visible.1 <= now,
                false => is_visible(offset),
            };
            let mut passes = false;
            if visible && !delivery.burying {
                let attempt = delivery.attempts + u16::from(!delivery.keep_attempt);
                passes = delivery.attempts == 0 || attempt <= rules.attempts;
                if passes {
                    given.messages.push((offset, attempt));
                } else {
                    given.exhausted.push(offset);
                }
            }
            if rules.ordered && !passes {
                break;
            }
        }
        given
    }

    /// Whether a lease has run out in a while without ticks, so that nobody knows whether it is
    /// renewed, and nothing is handed out.
    pub(crate) fn is_due(&mut self, group: &str, lite: &str) -> bool {
        self.deliveries(group, lite).iter().any(|delivery| delivery.is_late && !delivery.settled)
    }

    /// What a repeated receive gives of a lite topic again, if it is remembered: offsets and
    /// attempts.
    pub(crate) fn own(&mut self, who: (&str, &str), lite: &str, receive: u64) -> Vec<(usize, u16)> {
        let (client, group) = who;
        if !self.is_subscribed(client, group, lite) {
            return Vec::new();
        }
        let ordered = self.rules[group].ordered;
        let mut own = Vec::new();
        for (offset, delivery) in self.deliveries(group, lite).iter().enumerate() {
            let is_same = !delivery.burying
                && delivery.attempts > 0
                && delivery.receive == receive
                && delivery.client == client;
            match delivery.settled {
                true => {}
                false if is_same => own.push((offset, delivery.attempts)),
                false if ordered => break,
                false => {}
            }
        }
        own
    }

    /// Notes what a claim gave.
    pub(crate) fn give(
        &mut self,
        (client, group): (&str, &str),
        lite: &str,
        invisible: Option<DurationMs>,
        receive: u64,
        given: &Given,
    ) {
        let group_life = self.group_life(group);
        let (now, claim) = (self.now, self.claims);
        let visible_at = now + invisible.unwrap_or(RENEWAL);
        let renewed_until = invisible.is_none().then_some(now + RENEWED_FOR);
        for (offset, attempt) in &given.messages {
            let message = self.lites[lite].messages[*offset].clone();
            let nth = 1 + self
                .handles
                .iter()
                .filter(|held| held.message == message && held.group == group)
                .count();
            self.deliveries(group, lite)[*offset] = Delivery {
                attempts: *attempt,
                claim,
                client: client.to_owned(),
                receive,
                visible: (visible_at, visible_at),
                renewed_until,
                remembered_until: renewed_until,
                ..Delivery::default()
            };
            let (group, lite) = (group.to_owned(), lite.to_owned());
            let (offset, attempt) = (*offset, *attempt);
            self.handles.push(Held {
                group,
                lite,
                message,
                offset,
                claim,
                attempt,
                nth,
                is_known: true,
                group_life,
            });
        }
        if !given.messages.is_empty() {
            self.note_read(lite);
        }
        for offset in &given.exhausted {
            self.deliveries(group, lite)[*offset].burying = true;
        }
    }

    pub(crate) fn group_life(&self, group: &str) -> u32 {
        self.group_lives.get(group).copied().unwrap_or(0)
    }

    pub(crate) fn find(&mut self, held: &Held) -> Found {
        if self.group_life(&held.group) != held.group_life {
            return Found::Stale;
        }
        if !self.is_stored(&held.lite, held.offset, &held.message) {
            return Found::Stale;
        }
        let delivery = &self.deliveries(&held.group, &held.lite)[held.offset];
        if delivery.settled {
            Found::Settled
        } else if delivery.is_held_by(held.claim) {
            Found::Open
        } else {
            Found::Stale
        }
    }

    fn held(&mut self, held: &Held) -> Option<&mut Delivery> {
        match self.find(held) {
            Found::Open => self.deliveries(&held.group, &held.lite).get_mut(held.offset),
            _ => None,
        }
    }

    pub(crate) fn ack(&mut self, held: &Held) {
        if let Some(delivery) = self.held(held) {
            delivery.settled = true;
            self.note_read(&held.lite);
        }
    }

    pub(crate) fn hide(&mut self, held: &Held, span: DurationMs) {
        let visible_at = self.now + span;
        if let Some(delivery) = self.held(held) {
            delivery.end_lease(visible_at);
            delivery.receive = 0;
        }
    }

    pub(crate) fn suspend(&mut self, held: &Held, span: DurationMs) {
        let visible_at = self.now + span;
        if self.held(held).is_none() {
            return;
        }
        for delivery in self.deliveries(&held.group, &held.lite) {
            if delivery.is_held_by(held.claim) {
                delivery.end_lease(visible_at);
                delivery.keep_attempt = true;
                delivery.receive = 0;
            }
        }
    }

    /// What is open of the same hand-out, with attempts.
    pub(crate) fn hand_out_of(&mut self, held: &Held) -> Vec<(usize, u16)> {
        let all = self.deliveries(&held.group, &held.lite).iter().enumerate();
        all.filter(|(_, delivery)| delivery.is_held_by(held.claim))
            .map(|(offset, delivery)| (offset, delivery.attempts))
            .collect()
    }

    pub(crate) fn give_back(&mut self, held: &Held) {
        let now = self.now;
        if let Some(delivery) = self.held(held) {
            delivery.end_lease(now);
            delivery.keep_attempt = true;
        }
        for known in self.handles.iter_mut().filter(|known| *known == held) {
            known.is_known = false;
        }
    }

    pub(crate) fn begin_burial(&mut self, held: &Held) {
        if let Some(delivery) = self.held(held) {
            delivery.burying = true;
        }
    }

    /// Where a message is.
    fn place_of(&self, message: &str) -> Option<(String, usize)> {
        self.lites.iter().find_map(|(name, lite)| {
            let offset = lite.messages.iter().position(|found| found == message)?;
            Some((name.clone(), offset))
        })
    }

    /// The message being buried for a group, if it is still there.
    fn burying(&mut self, group: &str, message: &str) -> Option<&mut Delivery> {
        let (lite, offset) = self.place_of(message)?;
        let delivery = self.deliveries(group, &lite).get_mut(offset)?;
        (delivery.burying && !delivery.settled).then_some(delivery)
    }

    /// A message is with the dead letters: its lite topic, offset and attempts, if it still waited
    /// for that.
    pub(crate) fn bury(&mut self, group: &str, message: &str) -> Option<(String, usize, u16)> {
        let (lite, offset) = self.place_of(message)?;
        let delivery = self.burying(group, message)?;
        delivery.settled = true;
        let attempts = delivery.attempts;
        self.note_read(&lite);
        Some((lite, offset, attempts))
    }

    pub(crate) fn burial_failed(&mut self, group: &str, message: &str) {
        let visible_at = self.now + RETRY_BURIAL;
        if let Some(delivery) = self.burying(group, message) {
            delivery.burying = false;
            delivery.end_lease(visible_at);
        }
    }

    pub(crate) fn remove(&mut self, lite: &str) {
        self.removed.insert(lite.to_owned());
        self.lites.remove(lite);
        self.resent.remove(lite);
        self.deliveries.retain(|(_, of), _| of != lite);
        self.even_until.retain(|(_, of), _| of != lite);
        self.subscriptions.retain(|(_, _, of)| of != lite);
    }

    pub(crate) fn remove_group(&mut self, group: &str) {
        self.deliveries.retain(|(of, _), _| of != group);
        self.even_until.retain(|(of, _), _| of != group);
        self.subscriptions.retain(|(_, of, _)| of != group);
        self.last_receive.retain(|(_, of), _| of != group);
        *self.group_lives.entry(group.to_owned()).or_default() += 1;
    }

    /// Retention; the first message left, if that takes something.
    pub(crate) fn trim(&mut self, lite: &str, first: usize) -> Option<usize> {
        let life = self.lites.get_mut(lite)?;
        let first = first.min(life.messages.len());
        if first <= life.first {
            return None;
        }
        life.first = first;
        if let Some(resent) = self.resent.get_mut(lite) {
            resent.retain(|letter| *letter >= first);
        }
        Some(first)
    }
}
