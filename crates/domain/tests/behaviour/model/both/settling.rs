//! Acks, changes of the invisible duration, and dead letters.

use litemq_checker::history::{Settle, SettleResult};
use litemq_domain::DurationMs;

use super::{Both, DEAD_PREFIX, lite_of};
use crate::model::goals::Goal;
use crate::model::op::OF_DEAD_LETTERS;
use crate::model::reference::{Found, Held};
use crate::script::step::{Step, Which};

impl Both {
    pub(super) fn ack(&mut self, nth: usize) {
        let Some(held) = self.handle(nth) else { return };
        let found = self.model.find(&held);
        let is_behind =
            found == Found::Open && self.model.committed(&held.group, &held.lite) < held.offset;
        if is_behind {
            self.goals.reach(Goal::AckBehindGap);
        }
        let is_done = self.settle(&Step::Ack(which(&held)), &held, &found);
        self.model.ack(&held);
        self.witness.settled(self.world.now, &held, Settle::Ack, is_done);
    }

    pub(super) fn change(&mut self, nth: usize, seconds: u64, suspend: bool) {
        let Some(held) = self.handle(nth) else { return };
        let invisible = DurationMs::from_secs(seconds);
        let found = self.model.find(&held);
        let step = Step::Change { which: which(&held), invisible, suspend };
        self.settle(&step, &held, &found);
        if found != Found::Open {
            return;
        }
        let span = std::time::Duration::from_millis(invisible.0);
        let now = self.world.now;
        if suspend {
            let (how, done) = (Settle::Suspend(span), SettleResult::Done);
            for (offset, attempt) in self.model.hand_out_of(&held) {
                let spot = (&*held.group, &*held.lite, offset as u64);
                self.witness.settled_at(now, spot, attempt, how, done.clone());
            }
            self.model.suspend(&held, invisible);
            self.goals.reach(Goal::Suspension);
        } else {
            self.model.hide(&held, invisible);
            self.witness.settled(now, &held, Settle::Nack(span), true);
        }
    }

    /// An answer broke off at this message: it goes back, and what follows it.
    pub(super) fn give_back(&mut self, nth: usize) {
        let Some(first) = self.handle(nth) else { return };
        if self.witness.has_arrived(&first) {
            return;
        }
        let all = self.model.handles.iter().filter(|held| {
            held.is_known
                && (held.claim, &held.lite) == (first.claim, &first.lite)
                && held.offset >= first.offset
        });
        for held in all.cloned().collect::<Vec<Held>>() {
            let found = self.model.find(&held);
            self.world.apply(&Step::GiveBack(which(&held)));
            if found == Found::Open {
                self.model.give_back(&held);
                self.witness.not_delivered(&held);
                self.goals.reach(Goal::GivenBack);
            }
        }
    }

    pub(super) fn begin_burial(&mut self, nth: usize) {
        let Some(held) = self.handle(nth) else { return };
        let found = self.model.find(&held);
        self.settle(&Step::BeginBurial(which(&held)), &held, &found);
        if found == Found::Open {
            self.model.begin_burial(&held);
            let spot = (&*held.group, &*held.lite, held.offset as u64);
            let (how, result) = (Settle::DeadLetter, SettleResult::Unknown);
            self.witness.settled_at(self.world.now, spot, held.attempt, how, result);
        }
    }

    /// Whether it was done.
    pub(super) fn settle(&mut self, step: &Step, held: &Held, found: &Found) -> bool {
        let shown = self.world.apply(step);
        if *found == Found::Stale {
            assert_eq!(shown, "!ReceiptHandleInvalid", "{held:?}");
            self.goals.reach(Goal::StaleHandle);
            return false;
        }
        assert!(!shown.starts_with('!'), "{held:?} is {found:?}: {shown}");
        true
    }

    pub(super) fn bury(&mut self, nth: usize) {
        let Some(buried) = self.buried(nth) else { return };
        let copy = self.next_message();
        let step = Step::Bury { which: buried.clone(), copy: Some(copy.clone()) };
        assert_eq!(self.world.apply(&step), "ok");
        let Some((lite, offset, attempts)) = self.model.bury(&buried.group, &buried.message) else {
            return; // settled or gone meanwhile
        };
        let now = self.world.now;
        let dead = lite_of(OF_DEAD_LETTERS, lite.trim_start_matches(DEAD_PREFIX));
        let copied = self.model.send(&dead, &copy);
        self.witness.sent(now, &dead, (&copy, self.named), copied as u64);
        let (how, result) = (Settle::DeadLetter, SettleResult::Done);
        let spot = (&*buried.group, &*lite, offset as u64);
        self.witness.settled_at(now, spot, attempts, how, result);
        self.goals.reach(Goal::DeadLetter);
    }

    /// A recent handle.
    pub(super) fn handle(&self, nth: usize) -> Option<Held> {
        self.model.handles.iter().rev().filter(|held| held.is_known).nth(nth).cloned()
    }

    /// A message being buried.
    pub(super) fn buried(&self, nth: usize) -> Option<Which> {
        let burial = self.world.burials.get(nth)?;
        let group = self.world.group_name(burial.group);
        Some(Which { message: self.world.name_of(burial.place), group, nth: None })
    }
}

pub(super) fn which(held: &Held) -> Which {
    Which { message: held.message.clone(), group: held.group.clone(), nth: Some(held.nth) }
}
