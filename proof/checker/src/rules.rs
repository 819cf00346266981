//! Judges a history. One pass per (group, lite topic) is enough, because each message has an id of
//! its own and each lite topic is one ordered queue.
//!
//! Clients see a hand-out only as "between the request and the arrival", so every rule assumes the
//! moment that is kindest to the broker: what is reported did happen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::history::{
    Delivered, Event, Group, Moment, SendResult, Sent, Settle, SettleResult, Settled,
};

/// Clocks are read in whole milliseconds, and a restart reads the wall clock anew.
const CLOCK_SLACK: Duration = Duration::from_millis(50);

/// A broken promise.
#[derive(Debug)]
pub struct Violation {
    pub rule: Rule,
    pub what: String,
    /// Everything that is known of the messages concerned.
    pub story: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// I1: what was answered OK is delivered to each group, and comes again until it is acked.
    NothingLost,
    /// I2: what is delivered was sent and not refused, and it is stored once,
    /// however often it was repeated without an answer.
    NothingInvented,
    /// I3: it comes back bit for bit.
    NothingDamaged,
    /// I4: an offset of a lite topic names one message for ever; a producer's order is kept.
    OffsetsStay,
    /// I5: in an ordered group nothing is handed out before all that precedes it.
    OneAfterAnother,
    /// I6: nobody else gets a message during its lease; attempts grow.
    OneOwner,
    /// I7: what was acked OK does not come again.
    SettledStays,
    /// I8: nobody gets a lite topic that it is not subscribed to.
    OnlySubscribed,
}

/// Every violation in a history that has come to its end: all that is owed is settled.
pub fn check(events: &[Event], groups: &[Group]) -> Vec<Violation> {
    let mut checker = Checker::new(events);
    checker.sends();
    checker.producers();
    for delivered in checker.delivered.clone() {
        checker.delivery(delivered);
    }
    for group in groups {
        checker.losses(&group.name);
        if group.ordered {
            checker.hand_over(&group.name);
        }
    }
    checker.owners();
    checker.violations
}

/// A message in the eyes of a group.
type Spot<'a> = (&'a str, &'a str, u64);

struct Checker<'a> {
    events: &'a [Event],
    sent: BTreeMap<&'a str, Vec<&'a Sent>>,
    delivered: Vec<&'a Delivered>,
    settled: BTreeMap<Spot<'a>, Vec<&'a Settled>>,
    subscribed: BTreeMap<&'a str, &'a BTreeSet<String>>,
    left: BTreeMap<&'a str, Moment>,
    names: BTreeMap<(&'a str, u64), &'a str>,
    offsets: BTreeMap<&'a str, u64>,
    violations: Vec<Violation>,
}

impl<'a> Checker<'a> {
    fn new(events: &'a [Event]) -> Self {
        let mut checker = Self {
            events,
            sent: BTreeMap::new(),
            delivered: Vec::new(),
            settled: BTreeMap::new(),
            subscribed: BTreeMap::new(),
            left: BTreeMap::new(),
            names: BTreeMap::new(),
            offsets: BTreeMap::new(),
            violations: Vec::new(),
        };
        for event in events {
            match event {
                Event::Sent(sent) => checker.sent.entry(&sent.id).or_default().push(sent),
                Event::Delivered(delivered) => checker.delivered.push(delivered),
                Event::Settled(settled) => {
                    let spot = (&*settled.group, &*settled.lite, settled.offset);
                    checker.settled.entry(spot).or_default().push(settled);
                }
                Event::Subscribed { client, lites, .. } => {
                    checker.subscribed.insert(client, lites);
                }
                Event::Left { client, at } => {
                    checker.left.insert(client, *at);
                }
                Event::Killed { .. } => {}
            }
        }
        checker.delivered.sort_by_key(|delivered| delivered.at);
        checker
    }

    /// The offsets that sends were answered.
    fn sends(&mut self) {
        let sends: Vec<&Sent> = self.sent.values().flatten().copied().collect();
        for sent in sends {
            if let SendResult::Stored(offset) = sent.result {
                self.name(&sent.lite, offset, &sent.id);
                self.offsets.insert(&sent.id, offset);
            }
        }
    }

    fn producers(&mut self) {
        let mut lines: BTreeMap<(usize, &str), BTreeMap<u64, u64>> = BTreeMap::new();
        for sent in self.sent.values().flatten() {
            if let SendResult::Stored(offset) = sent.result {
                let line = lines.entry((sent.producer, &sent.lite)).or_default();
                line.entry(sent.sequence).or_insert(offset);
            }
        }
        for ((producer, lite), line) in lines {
            let line: Vec<(u64, u64)> = line.into_iter().collect();
            for pair in line.windows(2) {
                let &[(sequence, offset), (next, next_offset)] = pair else { continue };
                if next_offset <= offset {
                    let what = format!(
                        "producer {producer} sent {sequence} before {next}, but they are {lite}@{offset} and {next_offset}"
                    );
                    self.report(Rule::OffsetsStay, what, lite, &[offset, next_offset]);
                }
            }
        }
    }

    /// What one delivery shows by itself.
    fn delivery(&mut self, delivered: &'a Delivered) {
        let Delivered { group, client, lite, offset, id, .. } = delivered;
        let spot = format!("{group} was handed {lite}@{offset} ({id})");
        self.name(lite, *offset, id);
        let sends = self.sent.get(&**id).cloned().unwrap_or_default();
        let possible = sends.iter().any(|sent| {
            sent.lite == *lite
                && sent.asked_at <= delivered.at
                && !matches!(sent.result, SendResult::Refused(_))
        });
        if !possible {
            let what = format!("{spot}, which nobody had sent there with success");
            self.report(Rule::NothingInvented, what, lite, &[*offset]);
        }
        let first = *self.offsets.entry(id).or_insert(*offset);
        if first != *offset {
            let what = format!("{spot}, which was stored at {first} before");
            self.report(Rule::NothingInvented, what, lite, &[first, *offset]);
        }
        if let Some(damage) = &delivered.damage {
            let what = format!("{spot} damaged: {damage}");
            self.report(Rule::NothingDamaged, what, lite, &[*offset]);
        }
        if !self.subscribed.get(&**client).is_some_and(|lites| lites.contains(lite)) {
            let what = format!("{spot} as {client}, which is not subscribed to it");
            self.report(Rule::OnlySubscribed, what, lite, &[*offset]);
        }
        let acks = self.settled.get(&(&**group, &**lite, *offset)).into_iter().flatten();
        let acked = acks.filter(|settled| is_acked(settled)).map(|ack| ack.answered_at).min();
        if acked.is_some_and(|acked| acked < delivered.asked_at) {
            let what = format!("{spot} again, after its ack was answered OK");
            self.report(Rule::SettledStays, what, lite, &[*offset]);
        }
    }

    /// What was answered OK and did not reach a group, or was never acked there.
    fn losses(&mut self, group: &str) {
        let of_group = self.delivered.iter().filter(|delivered| delivered.group == group);
        let arrived: BTreeSet<(&str, u64, &str)> = of_group
            .map(|delivered| (&*delivered.lite, delivered.offset, &*delivered.id))
            .collect();
        let sends: Vec<&Sent> = self.sent.values().flatten().copied().collect();
        for sent in sends {
            let SendResult::Stored(offset) = sent.result else { continue };
            let acks = self.settled.get(&(group, &*sent.lite, offset)).into_iter().flatten();
            let what = if !arrived.contains(&(&sent.lite, offset, &sent.id)) {
                format!("{group} never got {} of {}@{offset}", sent.id, sent.lite)
            } else if !acks.copied().any(is_acked) {
                format!("{group} could never ack {}@{offset} ({})", sent.lite, sent.id)
            } else {
                continue;
            };
            self.report(Rule::NothingLost, what, &sent.lite, &[offset]);
        }
    }

    /// Everything before a delivered message must be acked by then, or be with it in the same
    /// answer, before it.
    fn hand_over(&mut self, group: &str) {
        let mut lines: BTreeMap<&str, Vec<&Delivered>> = BTreeMap::new();
        for delivered in self.delivered.iter().filter(|delivered| delivered.group == group) {
            lines.entry(&delivered.lite).or_default().push(delivered);
        }
        for (lite, line) in lines {
            // From when on an ack may have settled an offset.
            let mut acks: BTreeMap<u64, Moment> = BTreeMap::new();
            let of_line = self.settled.range((group, lite, 0)..=(group, lite, u64::MAX));
            for (spot, settles) in of_line {
                let tries = settles.iter().filter(|settled| {
                    settled.how == Settle::Ack
                        && !matches!(settled.result, SettleResult::Refused(_))
                });
                acks.extend(tries.map(|ack| ack.asked_at).min().map(|at| (spot.2, at)));
            }
            let mut with: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
            let mut first_open = 0;
            for delivered in line {
                let is_acked = |n: &u64| acks.get(n).is_some_and(|at| *at <= delivered.at);
                while is_acked(&first_open) {
                    first_open += 1;
                }
                let same_answer = with.entry(delivered.receive).or_default();
                let passed = (first_open..delivered.offset)
                    .find(|n| !is_acked(n) && !same_answer.contains(n));
                same_answer.insert(delivered.offset);
                if let Some(passed) = passed {
                    let offset = delivered.offset;
                    let what =
                        format!("{group} was handed {lite}@{offset} while {passed} was open");
                    self.report(Rule::OneAfterAnother, what, lite, &[passed, offset]);
                }
            }
        }
    }

    /// Leases of one message that overlap, and attempts that do not grow.
    fn owners(&mut self) {
        let mut spots: BTreeMap<Spot<'a>, Vec<&'a Delivered>> = BTreeMap::new();
        for delivered in &self.delivered {
            let spot = (&*delivered.group, &*delivered.lite, delivered.offset);
            spots.entry(spot).or_default().push(delivered);
        }
        for ((group, lite, offset), hand_outs) in spots {
            let settles = self.settled.get(&(group, lite, offset)).cloned().unwrap_or_default();
            let backwards = hand_outs.iter().find(|later| {
                hand_outs
                    .iter()
                    .any(|earlier| earlier.at < later.asked_at && earlier.attempt >= later.attempt)
            });
            if let Some(later) = backwards {
                let what =
                    format!("{group}: attempt {} of {lite}@{offset} was not new", later.attempt);
                self.report(Rule::OneOwner, what, lite, &[offset]);
            }
            let mut by_attempt = hand_outs;
            by_attempt.sort_by_key(|delivered| (delivered.attempt, delivered.at));
            for pair in by_attempt.windows(2) {
                let &[first, second] = pair else { continue };
                let free = self.earliest_end(first, &settles);
                if second.at + CLOCK_SLACK < free || second.attempt == first.attempt {
                    let what = format!(
                        "{group}: {} was handed {lite}@{offset} as attempt {} while {} had it as attempt {}",
                        second.client, second.attempt, first.client, first.attempt
                    );
                    self.report(Rule::OneOwner, what, lite, &[offset]);
                }
            }
        }
    }

    /// When others may get a message again at the earliest.
    fn earliest_end(&self, delivered: &Delivered, settles: &[&Settled]) -> Moment {
        let mut end = delivered.asked_at + delivered.lease;
        for settled in settles.iter().filter(|settled| settled.attempt == delivered.attempt) {
            match (settled.how, &settled.result) {
                (Settle::Nack(span), SettleResult::Done) => end = settled.asked_at + span,
                (Settle::Nack(span), SettleResult::Unknown) => {
                    end = end.min(settled.asked_at + span)
                }
                _ => {}
            }
        }
        self.left.get(&*delivered.client).map_or(end, |left| end.min(*left))
    }

    fn name(&mut self, lite: &'a str, offset: u64, id: &'a str) {
        let first = *self.names.entry((lite, offset)).or_insert(id);
        if first != id {
            let what = format!("{lite}@{offset} is {first} and {id}");
            self.report(Rule::OffsetsStay, what, lite, &[offset]);
        }
    }

    fn report(&mut self, rule: Rule, what: String, lite: &str, offsets: &[u64]) {
        let story = story(self.events, lite, offsets);
        self.violations.push(Violation { rule, what, story });
    }
}

fn is_acked(settled: &Settled) -> bool {
    settled.how == Settle::Ack && settled.result == SettleResult::Done
}

/// What happened to these offsets of a lite topic, and the kills meanwhile.
fn story(events: &[Event], lite: &str, offsets: &[u64]) -> Vec<String> {
    let ids: BTreeSet<&str> = events
        .iter()
        .filter_map(|event| match event {
            Event::Delivered(d) if d.lite == lite && offsets.contains(&d.offset) => Some(&*d.id),
            Event::Sent(Sent { result: SendResult::Stored(offset), id, lite: to, .. })
                if to == lite && offsets.contains(offset) =>
            {
                Some(&**id)
            }
            _ => None,
        })
        .collect();
    let concerns = |event: &Event| match event {
        Event::Sent(sent) => ids.contains(&*sent.id),
        Event::Delivered(delivered) => ids.contains(&*delivered.id),
        Event::Settled(settled) => settled.lite == lite && offsets.contains(&settled.offset),
        _ => false,
    };
    let mut told: Vec<&Event> = events.iter().filter(|event| concerns(event)).collect();
    let span = told.iter().map(|event| event.at());
    if let (Some(first), Some(last)) = (span.clone().min(), span.max()) {
        told.extend(events.iter().filter(|event| {
            matches!(event, Event::Killed { .. }) && (first..=last).contains(&event.at())
        }));
    }
    told.sort_by_key(|event| event.at());
    told.into_iter().map(ToString::to_string).collect()
}
