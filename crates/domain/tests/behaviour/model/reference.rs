//! Delivery as it is meant, with vectors and maps: nothing is fast here, and nothing is clever.

use std::collections::{BTreeMap, BTreeSet};

use litemq_domain::{DurationMs, Timestamp};

const RENEWAL: DurationMs = DurationMs::from_secs(60);
const RENEWED_FOR: DurationMs = DurationMs::from_hours(3);
const RESTART_GRACE: DurationMs = DurationMs::from_secs(30);
const RETRY_BURIAL: DurationMs = DurationMs::from_secs(10);

/// How a group delivers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) ordered: bool,
    pub(crate) attempts: u16,
}

/// A message as one group sees it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Delivery {
    pub(crate) settled: bool,
    pub(crate) burying: bool,
    pub(crate) attempts: u16,
    keep_attempt: bool,
    /// Which claim gave it last; 0 is none.
    claim: u64,
    client: String,
    /// It becomes visible at some moment from the first to the second; a restart may make these
    /// differ.
    visible: (Timestamp, Timestamp),
    /// The end of its renewal, while it is known to be renewed.
    renewed_until: Option<Timestamp>,
    /// The same, while it may still be renewed.
    remembered_until: Option<Timestamp>,
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
#[derive(Debug, Default)]
pub(crate) struct Lite {
    pub(crate) messages: Vec<String>,
    pub(crate) first: usize,
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
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) group: String,
    pub(crate) lite: String,
    pub(crate) message: String,
    pub(crate) offset: usize,
    pub(crate) claim: u64,
    /// Which of the message's handles, from 1.
    pub(crate) nth: usize,
}

/// What a handle points at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Settled,
    Open,
    Stale,
}

#[derive(Debug, Default)]
pub(crate) struct Reference {
    pub(crate) now: Timestamp,
    pub(crate) lites: BTreeMap<String, Lite>,
    pub(crate) rules: BTreeMap<String, Rules>,
    pub(crate) subscriptions: BTreeSet<(String, String, String)>,
    pub(crate) handles: Vec<Held>,
    pub(crate) claims: u64,
    offline: BTreeSet<String>,
    deliveries: BTreeMap<(String, String), Vec<Delivery>>,
}

impl Reference {
    pub(crate) fn send(&mut self, lite: &str, message: &str) {
        self.lites.entry(lite.to_owned()).or_default().messages.push(message.to_owned());
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

    /// Notes what a claim gave.
    pub(crate) fn give(
        &mut self,
        client: &str,
        group: &str,
        lite: &str,
        invisible: Option<DurationMs>,
        given: &Given,
    ) {
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
                visible: (visible_at, visible_at),
                renewed_until,
                remembered_until: renewed_until,
                ..Delivery::default()
            };
            let (group, lite) = (group.to_owned(), lite.to_owned());
            self.handles.push(Held { group, lite, message, offset: *offset, claim, nth });
        }
        for offset in &given.exhausted {
            self.deliveries(group, lite)[*offset].burying = true;
        }
    }

    pub(crate) fn find(&mut self, held: &Held) -> Found {
        let life = self.lites.get(&held.lite);
        if life.is_none_or(|life| life.messages.get(held.offset) != Some(&held.message)) {
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
        }
    }

    pub(crate) fn hide(&mut self, held: &Held, span: DurationMs) {
        let visible_at = self.now + span;
        if let Some(delivery) = self.held(held) {
            delivery.end_lease(visible_at);
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
            }
        }
    }

    pub(crate) fn give_back(&mut self, held: &Held) {
        let now = self.now;
        if let Some(delivery) = self.held(held) {
            delivery.end_lease(now);
            delivery.keep_attempt = true;
        }
    }

    pub(crate) fn begin_burial(&mut self, held: &Held) {
        if let Some(delivery) = self.held(held) {
            delivery.burying = true;
        }
    }

    /// The message being buried for a group, if it is still there.
    pub(crate) fn burying(&mut self, group: &str, message: &str) -> Option<&mut Delivery> {
        let (lite, offset) = self.lites.iter().find_map(|(name, lite)| {
            let offset = lite.messages.iter().position(|found| found == message)?;
            Some((name.clone(), offset))
        })?;
        let delivery = self.deliveries(group, &lite).get_mut(offset)?;
        (delivery.burying && !delivery.settled).then_some(delivery)
    }

    pub(crate) fn burial_failed(&mut self, group: &str, message: &str) {
        let visible_at = self.now + RETRY_BURIAL;
        if let Some(delivery) = self.burying(group, message) {
            delivery.burying = false;
            delivery.end_lease(visible_at);
        }
    }

    pub(crate) fn gone(&mut self, client: &str, renewed_only: bool) {
        let now = self.now;
        for delivery in self.deliveries.values_mut().flatten() {
            let renewed = delivery.remembered_until.is_some();
            if delivery.client == client && !delivery.burying && (renewed || !renewed_only) {
                delivery.end_lease(delivery.visible.0.min(now));
            }
        }
    }

    pub(crate) fn set_connected(&mut self, client: &str, connected: bool) {
        if connected {
            self.offline.remove(client);
        } else {
            self.offline.insert(client.to_owned());
        }
    }

    pub(crate) fn wait(&mut self, span: DurationMs) {
        self.now = self.now + span;
        for delivery in self.deliveries.values_mut().flatten() {
            let is_connected = !self.offline.contains(&delivery.client);
            while delivery.visible.1 <= self.now
                && !delivery.burying
                && let Some(bound) = delivery.renewed_until
            {
                if !is_connected || bound <= delivery.visible.1 {
                    delivery.end_lease(delivery.visible.1);
                } else {
                    let visible_at = (delivery.visible.1 + RENEWAL).min(bound);
                    delivery.visible = (visible_at, visible_at);
                    delivery.confirmed = true;
                }
            }
        }
    }

    pub(crate) fn remove(&mut self, lite: &str) {
        self.lites.remove(lite);
        self.deliveries.retain(|(_, of), _| of != lite);
    }

    pub(crate) fn trim(&mut self, lite: &str, first: usize) {
        if let Some(lite) = self.lites.get_mut(lite) {
            lite.first = lite.first.max(first.min(lite.messages.len()));
        }
    }

    /// After a restart a lease that was renewed holds for a while, and at most to the end of its
    /// renewal; how long depends on what was written when. One that was not ends at its time.
    pub(crate) fn restart(&mut self) {
        let grace = self.now + RESTART_GRACE;
        for delivery in self.deliveries.values_mut().flatten().filter(|found| !found.settled) {
            delivery.burying = false;
            if !delivery.confirmed && delivery.remembered_until.is_some() {
                delivery.end_lease(delivery.visible.1);
            }
            if let Some(bound) = delivery.remembered_until.filter(|bound| *bound > self.now) {
                let certain = match delivery.renewed_until {
                    Some(_) => grace,
                    None => grace.min(delivery.visible.0),
                };
                delivery.visible = (certain.min(bound), bound);
                delivery.renewed_until = None;
            }
        }
    }
}
