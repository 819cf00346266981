//! What the clients of a sequence see, as a history.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use litemq_checker::Ledger;
use litemq_checker::history::{
    Count, Counted, Delivered, Event, Group, Moment, Moved, Removed, Sampled, SendResult, Sent,
    Settle, SettleResult, Settled, TakenOver,
};
use litemq_checker::rules::{Violation, check, everything_comes, nothing_lost, one_after_another};
use litemq_domain::{DurationMs, ShardCounts, Timestamp};

use super::both::DEAD_PREFIX;
use super::op::{CLIENTS, GROUPS, OF_DEAD_LETTERS};
use super::reference::{Held, Reference};

/// Every lease has ended by then.
pub(crate) const CALM_BOUND: DurationMs = DurationMs::from_hours(13);

/// A message handed out, as its client knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handing<'a> {
    pub(crate) group: &'a str,
    pub(crate) client: &'a str,
    pub(crate) lite: &'a str,
    pub(crate) offset: u64,
    pub(crate) attempt: u16,
    pub(crate) lease: DurationMs,
    pub(crate) id: &'a str,
    /// Which claim.
    pub(crate) claim: u64,
}

/// Notes what clients see. Each event has a moment of its own, a nanosecond after the one before.
#[derive(Debug, Clone)]
pub(crate) struct Witness {
    events: Vec<Event>,
    start: Timestamp,
    noted: u64,
    sets: BTreeMap<String, BTreeSet<String>>,
    /// Claims that gave again what earlier ones gave, of which an answer had arrived: those, and first
    /// the one that arrived. After a restart a repeat may give what two claims gave.
    repeats: BTreeMap<u64, Vec<u64>>,
    /// Groups that have always been ordered.
    ordered: BTreeMap<String, bool>,
}

impl Witness {
    pub(crate) fn new(start: Timestamp) -> Self {
        Self {
            events: Vec::new(),
            start,
            noted: 0,
            sets: BTreeMap::new(),
            repeats: BTreeMap::new(),
            ordered: BTreeMap::new(),
        }
    }

    fn moment(&mut self, now: Timestamp) -> Moment {
        self.noted += 1;
        Duration::from_millis(now.since(self.start).0) + Duration::from_nanos(self.noted)
    }

    /// A message, the one with this number of all that were sent.
    pub(crate) fn sent(
        &mut self,
        now: Timestamp,
        lite: &str,
        (id, sequence): (&str, u64),
        offset: u64,
    ) {
        let at = self.moment(now);
        self.events.push(Event::Sent(Sent {
            id: id.to_owned(),
            producer: 0,
            lite: lite.to_owned(),
            sequence,
            asked_at: at,
            answered_at: at,
            result: SendResult::Stored(offset),
        }));
    }

    /// Messages of one answer.
    pub(crate) fn delivered(&mut self, now: Timestamp, of: Handing<'_>) {
        let at = self.moment(now);
        self.events.push(Event::Delivered(Delivered {
            group: of.group.to_owned(),
            client: format!("{}@{}", of.client, of.group),
            receive: self.answer_of(of.claim),
            asked_at: at,
            at,
            lite: of.lite.to_owned(),
            offset: of.offset,
            id: of.id.to_owned(),
            attempt: u32::from(of.attempt),
            lease: Duration::from_millis(of.lease.0),
            damage: None,
        }));
    }

    /// Messages that were given before, each with the claim that gave it then. That answer did not
    /// reach its client, or it came twice: that is seen when the client did something with it.
    pub(crate) fn delivered_again(&mut self, now: Timestamp, all: &[(Handing<'_>, u64)]) {
        let has_arrived = |(of, before): &(Handing<'_>, u64)| {
            let first = self.delivery(of.group, of.id, *before);
            first.filter(|first| self.is_answer_used(*first)).map(|_| self.answer_of(*before))
        };
        let arrived = all.iter().find_map(has_arrived);
        if let (Some(arrived), Some((of, _))) = (arrived, all.first()) {
            let others = all.iter().flat_map(|(_, before)| self.answers_of(*before));
            let answers = std::iter::once(arrived).chain(others).collect();
            self.repeats.insert(of.claim, answers);
        }
        let at = self.moment(now);
        for (of, before) in all {
            match (self.delivery(of.group, of.id, *before), arrived) {
                (Some(first), Some(_)) => {
                    if let Some(Event::Delivered(delivered)) = self.events.get_mut(first) {
                        delivered.lease = at + Duration::from_millis(of.lease.0) - delivered.at;
                    }
                }
                (Some(first), None) => {
                    self.events.remove(first);
                    self.delivered(now, *of);
                }
                (None, _) => self.delivered(now, *of),
            }
        }
    }

    /// The answer with this message did not reach its client.
    pub(crate) fn not_delivered(&mut self, held: &Held) {
        if let Some(delivery) = self.delivery(&held.group, &held.message, held.claim) {
            self.events.remove(delivery);
        }
    }

    /// Whether its client has done something with the answer of this message.
    pub(crate) fn has_arrived(&self, held: &Held) -> bool {
        let delivery = self.delivery(&held.group, &held.message, held.claim);
        delivery.is_some_and(|delivery| self.is_answer_used(delivery))
    }

    fn answer_of(&self, claim: u64) -> u64 {
        self.answers_of(claim)[0]
    }

    fn answers_of(&self, claim: u64) -> Vec<u64> {
        self.repeats.get(&claim).cloned().unwrap_or_else(|| vec![claim])
    }

    /// Where it is noted that a claim gave a message.
    fn delivery(&self, group: &str, id: &str, claim: u64) -> Option<usize> {
        let answers = self.answers_of(claim);
        self.events.iter().rposition(|event| match event {
            Event::Delivered(found) => {
                (&*found.group, &*found.id) == (group, id) && answers.contains(&found.receive)
            }
            _ => false,
        })
    }

    /// Whether something of the answer with this delivery was settled.
    fn is_answer_used(&self, delivery: usize) -> bool {
        let Event::Delivered(Delivered { group, receive, .. }) = &self.events[delivery] else {
            return false;
        };
        let spots: BTreeSet<(&str, u64)> = self
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Delivered(found) if found.receive == *receive => {
                    Some((&*found.lite, found.offset))
                }
                _ => None,
            })
            .collect();
        self.events[delivery..].iter().any(|event| match event {
            Event::Settled(settled) => {
                settled.group == *group
                    && spots.contains(&(&*settled.lite, settled.offset))
                    && !matches!(settled.result, SettleResult::Refused(_))
            }
            _ => false,
        })
    }

    pub(crate) fn settled(&mut self, now: Timestamp, held: &Held, how: Settle, is_done: bool) {
        let result = match is_done {
            true => SettleResult::Done,
            false => SettleResult::Refused("stale".to_owned()),
        };
        let spot = (&*held.group, &*held.lite, held.offset as u64);
        self.settled_at(now, spot, held.attempt, how, result);
    }

    pub(crate) fn settled_at(
        &mut self,
        now: Timestamp,
        (group, lite, offset): (&str, &str, u64),
        attempt: u16,
        how: Settle,
        result: SettleResult,
    ) {
        let at = self.moment(now);
        self.events.push(Event::Settled(Settled {
            group: group.to_owned(),
            lite: lite.to_owned(),
            offset,
            attempt: u32::from(attempt),
            how,
            asked_at: at,
            answered_at: at,
            result,
        }));
    }

    pub(crate) fn left(&mut self, now: Timestamp, client: &str) {
        for group in GROUPS {
            self.left_group(now, client, group);
        }
    }

    /// What a client of a group holds may be another's from here on.
    pub(crate) fn left_group(&mut self, now: Timestamp, client: &str, group: &str) {
        let (client, at) = (format!("{client}@{group}"), self.moment(now));
        self.events.push(Event::Left { client, at });
    }

    pub(crate) fn killed(&mut self, now: Timestamp) {
        let at = self.moment(now);
        self.events.push(Event::Killed { at });
    }

    pub(crate) fn created(&mut self, now: Timestamp, lite: &str) {
        let (lite, at) = (lite.to_owned(), self.moment(now));
        self.events.push(Event::Created { lite, at });
    }

    pub(crate) fn removed(&mut self, now: Timestamp, lite: &str) {
        let (lite, at) = (lite.to_owned(), self.moment(now));
        let result = SettleResult::Done;
        self.events.push(Event::Removed(Removed { lite, asked_at: at, answered_at: at, result }));
    }

    /// A group goes on at another place.
    pub(crate) fn moved(&mut self, now: Timestamp, group: &str, lite: &str, to: usize) {
        let (group, lite, at) = (group.to_owned(), lite.to_owned(), self.moment(now));
        let (to, result) = (to as u64, SettleResult::Done);
        let moved = Moved { group, lite, to, asked_at: at, answered_at: at, result };
        self.events.push(Event::Moved(moved));
    }

    pub(crate) fn taken_over(&mut self, now: Timestamp, client: &str, group: &str, lite: &str) {
        let client = format!("{client}@{group}");
        let (group, lite, at) = (group.to_owned(), lite.to_owned(), self.moment(now));
        let result = SettleResult::Done;
        let taken = TakenOver { group, client, lite, asked_at: at, answered_at: at, result };
        self.events.push(Event::TakenOver(taken));
    }

    pub(crate) fn trimmed(&mut self, now: Timestamp, lite: &str, below: u64) {
        let (lite, at) = (lite.to_owned(), self.moment(now));
        self.events.push(Event::Trimmed { lite, below, at });
    }

    /// What the clients of all groups are subscribed to now.
    pub(crate) fn subscriptions(&mut self, model: &Reference) {
        for group in GROUPS {
            for client in CLIENTS {
                let lites = model.set_of(client, group);
                let client = format!("{client}@{group}");
                if self.sets.get(&client).is_none_or(|before| *before != lites) {
                    let at = self.moment(model.now);
                    self.sets.insert(client.clone(), lites.clone());
                    self.events.push(Event::Subscribed { client, lites, at });
                }
            }
        }
    }

    /// A group's rules; what is known of it from before its creation is forgotten.
    pub(crate) fn group(&mut self, group: &str, ordered: bool) {
        *self.ordered.entry(group.to_owned()).or_insert(true) &= ordered;
    }

    /// The group was removed: nothing is owed to it, and a later one of its name starts anew.
    pub(crate) fn group_removed(&mut self, group: &str) {
        self.ordered.remove(group);
        self.events.retain(|event| match event {
            Event::Delivered(delivered) => delivered.group != group,
            Event::Settled(settled) => settled.group != group,
            Event::Moved(moved) => moved.group != group,
            Event::TakenOver(taken) => taken.group != group,
            _ => true,
        });
    }

    /// `uncounted` are the lite topics that clients share without subscribing.
    pub(crate) fn counted(&mut self, now: Timestamp, counts: &ShardCounts, uncounted: u64) {
        let lite_topics = counts.lite_topics.iter().map(|(_, count)| count).sum();
        for (what, told) in [
            (Count::LiteTopics, lite_topics),
            (Count::Subscriptions, counts.subscriptions + uncounted),
        ] {
            let at = self.moment(now);
            self.events.push(Event::Counted(Counted { what, told, limit: None, at }));
        }
    }

    /// What one client of a group was just allowed to have.
    pub(crate) fn counted_of(&mut self, now: Timestamp, client: &str, told: u64, limit: u64) {
        let (what, at) = (Count::SubscriptionsOf(client.to_owned()), self.moment(now));
        let limit = Some(limit);
        self.events.push(Event::Counted(Counted { what, told, limit, at }));
    }

    pub(crate) fn calm(&mut self, now: Timestamp) {
        let at = self.moment(now);
        let within = Duration::from_millis(CALM_BOUND.0) + Duration::from_secs(1);
        self.events.push(Event::Calm { at, within });
    }

    pub(crate) fn sampled(&mut self, now: Timestamp, resource: &str, amount: u64) {
        let (resource, at) = (resource.to_owned(), self.moment(now));
        self.events.push(Event::Sampled(Sampled { resource, amount, slack: 0, at }));
    }

    /// Back to what was seen when this other witness was asked, but for what is not the broker's.
    pub(crate) fn forget_since(&mut self, earlier: Self) {
        let clients_own = |event: &Event| matches!(event, Event::Left { .. });
        let meanwhile = self.events.drain(..).filter(clients_own);
        let meanwhile: Vec<Event> =
            meanwhile.filter(|event| !is_among(event, &earlier.events)).collect();
        let noted = self.noted;
        *self = Self { noted, ..earlier };
        self.events.extend(meanwhile);
    }

    /// What breaks a rule. A message is owed to the groups of its topic.
    pub(crate) fn judge(self) -> Vec<Violation> {
        let mut violations = check(&self.events, &[]);
        for of_dead_letters in [false, true] {
            let is_of = |group: &str| (group == OF_DEAD_LETTERS) == of_dead_letters;
            let groups = self.ordered.iter().filter(|(name, _)| is_of(name));
            let groups: Vec<Group> = groups
                .map(|(name, ordered)| Group { name: name.clone(), ordered: *ordered })
                .collect();
            let concerns = |event: &&Event| match event {
                Event::Sent(sent) => sent.lite.starts_with(DEAD_PREFIX) == of_dead_letters,
                _ => true,
            };
            let events: Vec<Event> = self.events.iter().filter(concerns).cloned().collect();
            let ledger = Ledger::new(&events, &groups);
            for rule in [nothing_lost, one_after_another, everything_comes] {
                violations.extend(rule(&ledger));
            }
        }
        violations
    }
}

fn is_among(event: &Event, events: &[Event]) -> bool {
    events.last().is_some_and(|last| event.at() <= last.at())
}
