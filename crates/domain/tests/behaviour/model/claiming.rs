//! Claims: what a shard hands out, and what the plain model says to it.

use std::collections::BTreeSet;

use litemq_domain::{ClaimOutcome, DurationMs};

use super::both::{Both, lite_of, who};
use super::goals::Goal;
use super::op::{LITES, Mode, OF_DEAD_LETTERS, Op};
use super::reference::Given;
use super::witness::Handing;
use crate::script::step::{Step, Who};
use crate::script::world::{DEAD, TOPIC, name};

/// The lease of what is renewed, as far as it is certain.
const RENEWAL: DurationMs = DurationMs::from_secs(60);

/// One claim.
struct Asked {
    who: Who,
    invisible: Option<DurationMs>,
    max: usize,
    each: usize,
    /// Of the receive; 0 is none.
    id: u64,
}

impl Both {
    /// Does a claim; `is_repeat` when its receive was asked for before.
    pub(super) fn claim(&mut self, op: &Op, id: u64, is_repeat: bool) {
        let Op::Claim { pair, seconds, max, each, .. } = op else { return };
        let asked = Asked {
            who: who(*pair),
            invisible: seconds.map(DurationMs::from_secs),
            max: *max,
            each: *each,
            id,
        };
        let burials_before = self.world.burials.len();
        let step = Step::Claim {
            who: asked.who.clone(),
            invisible: asked.invisible,
            max: asked.max,
            each: asked.each,
            attempt_id: id,
        };
        let outcome = self.world.apply_claim(&step).unwrap();
        self.model.claims += 1;
        let all = self.sort(&asked.who.group, &outcome, burials_before);
        if is_repeat && self.is_repeated(&asked, &all) {
            return;
        }
        self.check_claim(&asked, &all);
        let given = all.into_iter().filter(|(_, given)| !given.messages.is_empty());
        let lites: BTreeSet<String> = given.map(|(lite, _)| lite).collect();
        if id != 0 && !lites.is_empty() {
            let key = (asked.who.client, asked.who.group);
            self.model.last_receive.insert(key, (id, lites));
        }
    }

    /// What a claim gave of each lite topic: those with messages first, in their order.
    fn sort(
        &mut self,
        group: &str,
        outcome: &ClaimOutcome,
        burials_before: usize,
    ) -> Vec<(String, Given)> {
        let mut names: Vec<&str> = Vec::new();
        for claimed in &outcome.messages {
            let lite = claimed.lite_topic.as_str();
            if names.last() != Some(&lite) {
                assert!(!names.contains(&lite), "{lite} came up twice in one claim");
                names.push(lite);
            }
        }
        for lite in LITES {
            if !names.contains(&lite) {
                names.push(lite);
            }
        }
        let burials = &self.world.burials[burials_before..];
        let given = |lite: &str| Given {
            messages: outcome
                .messages
                .iter()
                .filter(|claimed| claimed.lite_topic.as_str() == lite)
                .map(|claimed| (claimed.place.offset as usize, claimed.attempt))
                .collect(),
            exhausted: burials
                .iter()
                .filter(|burial| self.slot_of(group, lite) == Some(burial.place.slot))
                .map(|burial| burial.place.offset as usize)
                .collect(),
        };
        names.into_iter().map(|lite| (lite_of(group, lite), given(lite))).collect()
    }

    fn slot_of(&self, group: &str, lite: &str) -> Option<u32> {
        let topic = if group == OF_DEAD_LETTERS { DEAD } else { TOPIC };
        let view = self.world.shard.describe(self.world.now, topic, &name(lite));
        view.map(|view| view.slot)
    }

    /// Whether this was the answer of the first receive again. It must be when that is remembered
    /// and something of it is left.
    fn is_repeated(&mut self, asked: &Asked, all: &[(String, Given)]) -> bool {
        let (client, group) = (asked.who.client.as_str(), asked.who.group.as_str());
        let lites = LITES.map(|lite| lite_of(group, lite));
        let own =
            lites.map(|lite| (lite.clone(), self.model.own((client, group), &lite, asked.id)));
        let key = (client.to_owned(), group.to_owned());
        let remembered = self.model.last_receive.get(&key).filter(|(id, _)| *id == asked.id);
        let left: usize = own
            .iter()
            .filter(|(lite, _)| remembered.is_some_and(|(_, lites)| lites.contains(lite)))
            .map(|(_, own)| own.len())
            .sum();
        let is_own = |lite: &String, given: &Given| {
            let own = own.iter().find(|(name, _)| name == lite);
            let own = own.map_or(&[][..], |(_, own)| own);
            given.exhausted.is_empty() && own.starts_with(&given.messages)
        };
        let came: usize = all.iter().map(|(_, given)| given.messages.len()).sum();
        let is_again = came > 0 && all.iter().all(|(lite, given)| is_own(lite, given));
        if left > 0 && asked.max > 0 {
            assert!(is_again, "a repeated receive gave {all:?}, its own are {own:?}");
            assert_eq!(came, left.min(asked.max), "a repeated receive gave {all:?} of {own:?}");
        }
        if !is_again {
            return false;
        }
        for (lite, given) in all.iter().filter(|(_, given)| !given.messages.is_empty()) {
            self.note_given(asked, lite, given, true);
        }
        self.goals.reach(Goal::RepeatedReceive);
        true
    }

    fn check_claim(&mut self, asked: &Asked, all: &[(String, Given)]) {
        let Who { client, group } = &asked.who;
        let gave = |given: &Given| given.messages.len() + given.exhausted.len();
        let total: usize = all.iter().map(|(_, given)| gave(given)).sum();
        let is_late = self.world.shard.has_work();
        let mut came = 0;
        for (lite, given) in all {
            let is_subscribed = self.model.is_subscribed(client, group, lite);
            // Where only burials came, nobody knows after how many messages.
            let left = if given.messages.is_empty() { usize::MAX } else { asked.max - came };
            let allowed = self.model.allowed(group, lite);
            let budget = asked.each.max(1).min(left).min(allowed);
            let waits = self.model.now < self.model.is_rate_in_doubt_until;
            if *given == Given::default() {
                let must = match budget {
                    // Whether attempts are used up is not looked at either.
                    0 => Given::default(),
                    _ => self.model.hand_out(group, lite, budget, |_| false),
                };
                if allowed == 0 && is_subscribed {
                    self.goals.reach(Goal::RateReached);
                }
                let excused = total >= asked.max
                    || !is_subscribed
                    || is_late
                    || self.model.is_unticked
                    || waits;
                assert!(excused || must == *given, "{lite} was not handed out: {must:?}");
                continue;
            }
            assert!(is_subscribed, "{:?} never asked for {lite}", asked.who);
            assert!(!self.model.is_due(group, lite), "{lite} was handed out before its tick");
            let came_out = |offset: usize| {
                given.messages.iter().any(|(found, _)| *found == offset)
                    || given.exhausted.contains(&offset)
            };
            let wanted = self.model.hand_out(group, lite, budget, came_out);
            assert_eq!(*given, wanted, "handed out of {lite}");
            came += given.messages.len();
            self.model.note_rate(group, lite, given.messages.len());
            self.note_given(asked, lite, given, false);
        }
    }

    fn note_given(&mut self, asked: &Asked, lite: &str, given: &Given, is_again: bool) {
        let (client, group) = (asked.who.client.as_str(), asked.who.group.as_str());
        let lease = asked.invisible.unwrap_or(RENEWAL);
        let claim = self.model.claims;
        let messages = self.model.lites[lite].messages.clone();
        let deliveries = self.model.deliveries(group, lite);
        let handing = |(at, attempt): &(usize, u16)| {
            let (id, offset, attempt) = (messages[*at].as_str(), *at as u64, *attempt);
            let of = Handing { group, client, lite, offset, attempt, lease, id, claim };
            (of, deliveries[*at].claim)
        };
        let all: Vec<_> = given.messages.iter().map(handing).collect();
        if is_again {
            self.witness.delivered_again(self.world.now, &all);
        } else {
            all.into_iter().for_each(|(of, _)| self.witness.delivered(self.world.now, of));
        }
        for (offset, _) in &given.messages {
            let before = self.model.deliveries(group, lite)[*offset].clone();
            if before.attempts > 0 && !is_again {
                self.goals.reach(Goal::Redelivery);
                if before.client != client {
                    self.goals.reach(Goal::TakeOver);
                }
            }
            if group == OF_DEAD_LETTERS {
                self.goals.reach(Goal::DeadLetterConsumed);
            }
            if matches!(self.model.rules[group].mode, Mode::Wildcard(_)) {
                self.goals.reach(Goal::SharedWithoutSubscribing);
            }
        }
        for _ in &given.exhausted {
            self.goals.reach(Goal::AttemptsUsedUp);
        }
        let who = (client, group);
        self.model.give(who, lite, asked.invisible, asked.id, given);
    }
}
