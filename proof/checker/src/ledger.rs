//! A history in the order its rules look at it.
//!
//! Clients see a hand-out only as "between the request and the arrival", so whatever cannot be told
//! is left undecided here, and rules pass over it: what is reported did happen.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{
    Delivered, Event, Group, Moment, Moved, Removed, SendResult, Sent, Settle, SettleResult,
    Settled, TakenOver,
};
use crate::rules::{Rule, Violation};

/// Which life of a lite topic: how many removals surely came before.
pub type Life = usize;

/// Which era of a group in a lite topic: how often it surely was moved before.
pub type Era = usize;

/// A message in the eyes of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot<'a> {
    pub group: &'a str,
    pub lite: &'a str,
    pub life: Life,
    pub era: Era,
    pub offset: u64,
}

/// Hand-outs by group, lite topic, offset and attempt, in the order of time.
type HandOuts<'a> = BTreeMap<(&'a str, &'a str, u64, u32), Vec<&'a Delivered>>;

/// A client's subscriptions, in the order of time.
type Sets<'a> = Vec<(Moment, &'a BTreeSet<String>)>;

/// What happened, by message, client and lite topic.
#[derive(Debug)]
pub struct Ledger<'a> {
    pub(crate) events: &'a [Event],
    pub(crate) groups: &'a [Group],
    /// Every try to send a message, by its id.
    pub(crate) sent: BTreeMap<&'a str, Vec<&'a Sent>>,
    /// In the order of arrival.
    pub(crate) delivered: Vec<&'a Delivered>,
    /// Where it is known of which life they are.
    pub(crate) settled: BTreeMap<Spot<'a>, Vec<&'a Settled>>,
    pub(crate) subscribed: BTreeMap<&'a str, Sets<'a>>,
    left: BTreeMap<&'a str, BTreeSet<Moment>>,
    /// Those that may have taken effect, in the order of time.
    removed: BTreeMap<&'a str, Vec<&'a Removed>>,
    trimmed: BTreeMap<&'a str, Vec<(Moment, u64)>>,
    /// By group and lite topic, those that may have taken effect, in the order of time.
    moved: BTreeMap<(&'a str, &'a str), Vec<&'a Moved>>,
    taken_over: BTreeMap<(&'a str, &'a str), Vec<&'a TakenOver>>,
}

impl<'a> Ledger<'a> {
    /// Sorts a history in.
    pub fn new(events: &'a [Event], groups: &'a [Group]) -> Self {
        let mut ledger = Self {
            events,
            groups,
            sent: BTreeMap::new(),
            delivered: Vec::new(),
            settled: BTreeMap::new(),
            subscribed: BTreeMap::new(),
            left: BTreeMap::new(),
            removed: BTreeMap::new(),
            trimmed: BTreeMap::new(),
            moved: BTreeMap::new(),
            taken_over: BTreeMap::new(),
        };
        for event in events {
            ledger.sort_in(event);
        }
        ledger.delivered.sort_by_key(|delivered| delivered.at);
        for removed in ledger.removed.values_mut() {
            removed.sort_by_key(|removed| removed.asked_at);
        }
        for moved in ledger.moved.values_mut() {
            moved.sort_by_key(|moved| moved.asked_at);
        }
        for sets in ledger.subscribed.values_mut() {
            sets.sort_by_key(|(at, _)| *at);
        }
        // Only now it is known which lives there are.
        let mut hand_outs: HandOuts<'_> = BTreeMap::new();
        for delivered in &ledger.delivered {
            let Delivered { group, lite, offset, attempt, .. } = delivered;
            hand_outs.entry((group, lite, *offset, *attempt)).or_default().push(delivered);
        }
        for event in events {
            if let Event::Settled(settled) = event
                && let Some(spot) = ledger.spot_of_settled(settled, &hand_outs)
            {
                ledger.settled.entry(spot).or_default().push(settled);
            }
        }
        ledger
    }

    fn sort_in(&mut self, event: &'a Event) {
        match event {
            Event::Sent(sent) => self.sent.entry(&sent.id).or_default().push(sent),
            Event::Delivered(delivered) => self.delivered.push(delivered),
            Event::Subscribed { client, lites, at } => {
                self.subscribed.entry(client).or_default().push((*at, lites));
            }
            Event::Left { client, at } => {
                self.left.entry(client).or_default().insert(*at);
            }
            Event::Removed(removed) => {
                if !matches!(removed.result, SettleResult::Refused(_)) {
                    self.removed.entry(&removed.lite).or_default().push(removed);
                }
            }
            Event::Moved(moved) => {
                if !matches!(moved.result, SettleResult::Refused(_)) {
                    self.moved.entry((&moved.group, &moved.lite)).or_default().push(moved);
                }
            }
            Event::TakenOver(taken) => {
                if !matches!(taken.result, SettleResult::Refused(_)) {
                    self.taken_over.entry((&taken.group, &taken.lite)).or_default().push(taken);
                }
            }
            Event::Trimmed { lite, below, at } => {
                self.trimmed.entry(lite).or_default().push((*at, *below));
            }
            Event::Settled(_)
            | Event::Created { .. }
            | Event::Killed { .. }
            | Event::Calm { .. }
            | Event::AtRest { .. }
            | Event::Counted(_)
            | Event::Sampled(_) => {}
        }
    }

    /// The life of a lite topic in which something happened between two moments, if that can be
    /// told. A removal without an answer may take effect at any time after it was asked for.
    pub(crate) fn life(&self, lite: &str, from: Moment, to: Option<Moment>) -> Option<Life> {
        let Some(removed) = self.removed.get(lite) else { return Some(0) };
        let (mut surely, mut perhaps) = (0, 0);
        for removed in removed {
            let is_done = removed.result == SettleResult::Done;
            surely += usize::from(is_done && removed.answered_at < from);
            perhaps += usize::from(to.is_none_or(|to| removed.asked_at <= to));
        }
        (surely == perhaps).then_some(surely)
    }

    /// The era of a group in a lite topic in which something happened between two moments, if that can
    /// be told.
    pub(crate) fn era(&self, group: &str, lite: &str, from: Moment, to: Moment) -> Option<Era> {
        let Some(moved) = self.moved.get(&(group, lite)) else { return Some(0) };
        let is_before =
            |moved: &&&Moved| moved.result == SettleResult::Done && moved.answered_at < from;
        let surely = moved.iter().filter(is_before).count();
        let perhaps = moved.iter().filter(|moved| moved.asked_at <= to).count();
        (surely == perhaps).then_some(surely)
    }

    /// The era that goes on at the end, and the offset at which it starts in a life of the lite topic;
    /// `None` when that cannot be told.
    pub(crate) fn last_era(&self, group: &str, lite: &str, life: Life) -> Option<(Era, u64)> {
        let moved = self.moved.get(&(group, lite)).map_or(&[][..], Vec::as_slice);
        let all_done = moved.iter().all(|moved| moved.result == SettleResult::Done);
        let start = self.start_of(group, lite, life, moved.len())?;
        all_done.then_some((moved.len(), start))
    }

    /// The offset at which an era starts in a life of the lite topic, if that can be told.
    pub(crate) fn start_of(&self, group: &str, lite: &str, life: Life, era: Era) -> Option<u64> {
        let Some(moved) = era.checked_sub(1).and_then(|at| self.moved.get(&(group, lite))?.get(at))
        else {
            return Some(0);
        };
        let of = self.life(lite, moved.asked_at, Some(moved.answered_at))?;
        Some(if of == life { moved.to } else { 0 })
    }

    /// When what was handed out after a moment may end by a take-over.
    pub(crate) fn taken_after(&self, group: &str, lite: &str, from: Moment) -> Option<Moment> {
        let taken = self.taken_over.get(&(group, lite)).into_iter().flatten();
        let possible = taken
            .filter(|taken| taken.answered_at >= from || taken.result == SettleResult::Unknown);
        possible.map(|taken| taken.asked_at.max(from)).min()
    }

    /// What another client had taken over by a moment, and the client has not asked for again since, as far
    /// as it could take effect `until` another moment.
    pub(crate) fn lost_by(
        &self,
        client: &str,
        (group, lite): (&str, &str),
        by: Moment,
        until: Moment,
    ) -> Option<&'a TakenOver> {
        let taken = self.taken_over.get(&(group, lite))?;
        let asks_again = |from: Moment| {
            let is_own = |own: &&TakenOver| own.client == client && own.asked_at <= until;
            let is_late =
                |own: &TakenOver| own.answered_at >= from || own.result == SettleResult::Unknown;
            let sets = self.subscribed.get(client).into_iter().flatten();
            taken.iter().copied().filter(is_own).any(is_late)
                || sets
                    .into_iter()
                    .any(|(at, lites)| (from..=until).contains(at) && lites.contains(lite))
        };
        let is_lost = |other: &&TakenOver| {
            other.client != client
                && other.result == SettleResult::Done
                && other.answered_at < by
                && !asks_again(other.asked_at)
        };
        taken.iter().copied().find(is_lost)
    }

    /// A take-over that came between a hand-out and a moment: it made the handle stale.
    pub(crate) fn taken_between(&self, given: &Delivered, by: Moment) -> Option<&'a TakenOver> {
        let taken = self.taken_over.get(&(&*given.group, &*given.lite))?;
        let is_between = |other: &&TakenOver| {
            other.client != given.client
                && other.result == SettleResult::Done
                && given.at < other.asked_at
                && other.answered_at < by
        };
        taken.iter().copied().find(is_between)
    }

    pub(crate) fn era_of_delivered(&self, delivered: &Delivered) -> Option<Era> {
        self.era(&delivered.group, &delivered.lite, delivered.asked_at, delivered.at)
    }

    pub(crate) fn life_of_sent(&self, sent: &Sent) -> Option<Life> {
        let to = (sent.result != SendResult::Unknown).then_some(sent.answered_at);
        self.life(&sent.lite, sent.asked_at, to)
    }

    /// The life of a delivered message is that of its send; where that cannot be told, it is the one
    /// that goes on at its hand-over.
    pub(crate) fn life_of_delivered(&self, delivered: &Delivered) -> Option<Life> {
        let sends = self.sent.get(&*delivered.id).into_iter().flatten();
        let mut possible = sends.filter(|sent| {
            sent.lite == delivered.lite && !matches!(sent.result, SendResult::Refused(_))
        });
        possible
            .next()
            .and_then(|sent| self.life_of_sent(sent))
            .or_else(|| self.life(&delivered.lite, delivered.asked_at, Some(delivered.at)))
    }

    pub(crate) fn spot_of_delivered(&self, delivered: &'a Delivered) -> Option<Spot<'a>> {
        let Delivered { group, lite, offset, .. } = delivered;
        let life = self.life_of_delivered(delivered)?;
        let era = self.era_of_delivered(delivered)?;
        Some(Spot { group, lite, life, era, offset: *offset })
    }

    /// What is settled was handed out before, and is of the same life.
    fn spot_of_settled(&self, settled: &'a Settled, hand_outs: &HandOuts<'a>) -> Option<Spot<'a>> {
        let Settled { group, lite, offset, attempt, asked_at, .. } = settled;
        let given = hand_outs.get(&(group, lite, *offset, *attempt)).into_iter().flatten();
        let given = given.take_while(|delivered| delivered.at <= *asked_at).last();
        let life = given
            .and_then(|delivered| self.life_of_delivered(delivered))
            .or_else(|| self.life(lite, *asked_at, Some(settled.answered_at)))?;
        let era = match given {
            Some(delivered) => self.era_of_delivered(delivered)?,
            None => self.era(group, lite, *asked_at, settled.answered_at)?,
        };
        Some(Spot { group, lite, life, era, offset: *offset })
    }

    pub(crate) fn settles(&self, spot: Spot<'a>) -> &[&'a Settled] {
        self.settled.get(&spot).map_or(&[], Vec::as_slice)
    }

    /// When a message was first known to be settled.
    pub(crate) fn settled_at(&self, spot: Spot<'a>) -> Option<Moment> {
        let done = self.settles(spot).iter().filter(|settled| is_final(settled));
        done.map(|settled| settled.answered_at).min()
    }

    /// From when on a message may be settled, whatever the answer was.
    pub(crate) fn may_be_settled_at(&self, spot: Spot<'a>) -> Option<Moment> {
        let possible = self.settles(spot).iter().filter(|settled| is_perhaps_final(settled));
        possible.map(|settled| settled.asked_at).min()
    }

    /// The deliveries of a message to a group, by group and id, that may be of any life.
    pub(crate) fn arrivals(&self) -> BTreeMap<(&'a str, &'a str), Vec<&'a Delivered>> {
        let mut arrivals: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for delivered in &self.delivered {
            arrivals.entry((&*delivered.group, &*delivered.id)).or_default().push(*delivered);
        }
        arrivals
    }

    /// Whether this may be a delivery from this spot.
    pub(crate) fn may_be_from(&self, delivered: &Delivered, spot: Spot<'a>) -> bool {
        delivered.lite == spot.lite
            && delivered.offset == spot.offset
            && self.life_of_delivered(delivered).is_none_or(|life| life == spot.life)
            && self.era_of_delivered(delivered).is_none_or(|era| era == spot.era)
    }

    /// What is owed to a group of a message that is kept: where it stands at the end. `None` when a move
    /// has taken the group past it, or may have.
    pub(crate) fn owed(
        &self,
        group: &'a str,
        lite: &'a str,
        life: Life,
        offset: u64,
    ) -> Option<Spot<'a>> {
        let (era, start) = self.last_era(group, lite, life)?;
        (offset >= start).then_some(Spot { group, lite, life, era, offset })
    }

    /// Whether a message was handed out at a moment of which nobody knows whether a move came before.
    pub(crate) fn is_undecided(&self, arrivals: &[&Delivered]) -> bool {
        arrivals.iter().any(|delivered| self.era_of_delivered(delivered).is_none())
    }

    /// Whether a removal may have ended this life.
    pub(crate) fn has_ended(&self, lite: &str, life: Life) -> bool {
        self.removed.get(lite).is_some_and(|removed| removed.len() > life)
    }

    /// The removals of a lite topic that may have taken effect.
    pub(crate) fn removals(&self, lite: &str) -> &[&'a Removed] {
        self.removed.get(lite).map_or(&[], Vec::as_slice)
    }

    /// Whether retention may have taken this message.
    pub(crate) fn is_trimmed(&self, lite: &str, life: Life, offset: u64) -> bool {
        let trims = self.trimmed.get(lite).into_iter().flatten();
        trims
            .filter(|(_, below)| offset < *below)
            .any(|(at, _)| self.life(lite, *at, Some(*at)).is_none_or(|of| of == life))
    }

    /// What was answered OK, is of a life that still goes on, and may not be gone by retention:
    /// each message with its life and offset.
    pub(crate) fn kept(&self) -> impl Iterator<Item = (&'a Sent, Life, u64)> {
        self.sent.values().flatten().filter_map(|sent| {
            let SendResult::Stored(offset) = sent.result else { return None };
            let life = self.life_of_sent(sent)?;
            let is_kept =
                !self.has_ended(&sent.lite, life) && !self.is_trimmed(&sent.lite, life, offset);
            is_kept.then_some((*sent, life, offset))
        })
    }

    /// Whether a client may be given a lite topic at some moment from the first to the second.
    pub(crate) fn is_subscribed(&self, client: &str, lite: &str, from: Moment, to: Moment) -> bool {
        let Some(sets) = self.subscribed.get(client) else { return false };
        let in_force = sets.partition_point(|(at, _)| *at <= from).saturating_sub(1);
        let possible = sets.iter().skip(in_force).take_while(|(at, _)| *at <= to);
        possible.into_iter().any(|(_, lites)| lites.contains(lite))
    }

    /// When a client first began to leave after it had asked for something.
    pub(crate) fn left_after(&self, client: &str, asked_at: Moment) -> Option<Moment> {
        self.left.get(client)?.range(asked_at..).next().copied()
    }

    pub(crate) fn violation(
        &self,
        rule: Rule,
        what: String,
        lite: &str,
        offsets: &[u64],
    ) -> Violation {
        Violation { rule, what, story: self.story(lite, offsets) }
    }

    /// What happened to these offsets of a lite topic, and to all of it meanwhile.
    fn story(&self, lite: &str, offsets: &[u64]) -> Vec<String> {
        let ids: BTreeSet<&str> =
            self.events
                .iter()
                .filter_map(|event| match event {
                    Event::Delivered(d) if d.lite == lite && offsets.contains(&d.offset) => {
                        Some(&*d.id)
                    }
                    Event::Sent(Sent {
                        result: SendResult::Stored(offset), id, lite: to, ..
                    }) if to == lite && offsets.contains(offset) => Some(&**id),
                    _ => None,
                })
                .collect();
        let concerns = |event: &Event| match event {
            Event::Sent(sent) => ids.contains(&*sent.id),
            Event::Delivered(delivered) => ids.contains(&*delivered.id),
            Event::Settled(settled) => settled.lite == lite && offsets.contains(&settled.offset),
            _ => false,
        };
        let meanwhile = |event: &Event| match event {
            Event::Killed { .. } | Event::Calm { .. } | Event::AtRest { .. } => true,
            Event::Removed(removed) => removed.lite == lite,
            Event::Moved(moved) => moved.lite == lite,
            Event::TakenOver(taken) => taken.lite == lite,
            Event::Trimmed { lite: of, .. } => of == lite,
            _ => false,
        };
        let mut told: Vec<&Event> = self.events.iter().filter(|event| concerns(event)).collect();
        let span = told.iter().map(|event| event.at());
        if let (Some(first), Some(last)) = (span.clone().min(), span.max()) {
            told.extend(
                self.events
                    .iter()
                    .filter(|event| meanwhile(event) && (first..=last).contains(&event.at())),
            );
        }
        told.sort_by_key(|event| event.at());
        told.into_iter().map(ToString::to_string).collect()
    }
}

/// Settled for good, unless an answer that never came was a refusal.
pub(crate) fn is_perhaps_final(settled: &Settled) -> bool {
    matches!(settled.how, Settle::Ack | Settle::DeadLetter)
        && !matches!(settled.result, SettleResult::Refused(_))
}

/// Settled for good: it never comes again.
pub(crate) fn is_final(settled: &Settled) -> bool {
    matches!(settled.how, Settle::Ack | Settle::DeadLetter) && settled.result == SettleResult::Done
}
