//! Who is subscribed to what, who owns it, and where groups go on.

use std::collections::BTreeSet;

use litemq_domain::{DurationMs, StartAt};

use super::{Both, lite_of, names, subscription, who};
use crate::model::goals::Goal;
use crate::model::op::{GROUPS, LITES, Mode, Pair, Rules};
use crate::script::step::{Step, Who};

impl Both {
    /// A client adds lite topics to its set, and perhaps moves its group in them.
    pub(super) fn add(&mut self, pair: Pair, lites: &[usize], start: Option<StartAt>) {
        let Who { client, group } = who(pair);
        let mut wanted = self.model.subscriptions.clone();
        wanted.extend(lites.iter().map(|lite| subscription(pair, *lite)));
        let count = count_of(&wanted, pair);
        let has = count_of(&self.model.subscriptions, pair);
        let step = Step::Subscribe(who(pair), names(lites), start);
        let shown = self.world.apply(&step);
        // A quota that was lowered holds for what is added.
        if self.is_refused(&group, &shown, count, count > has) {
            return;
        }
        let mut farewells = Vec::new();
        for lite in lites.iter().map(|lite| lite_of(&group, LITES[*lite])) {
            if let Some(owner) = self.model.other_owner(&client, &group, &lite) {
                farewells.push(format!("{owner}@{group}:{}", bare(&lite)));
                self.take_over((&owner, &client), &group, &lite);
            }
            self.model.subscriptions.insert((client.clone(), group.clone(), lite.clone()));
            if let Some(start) = start {
                self.note_move(&group, &lite, start);
            }
        }
        self.check_farewells(&step, &farewells);
        self.witness.subscriptions(&self.model);
        self.witness_count(pair, count > has);
    }

    /// A client says what its whole set is.
    pub(super) fn replace(&mut self, pair: Pair, lites: &[usize]) {
        let Who { client, group } = who(pair);
        let named: BTreeSet<usize> = lites.iter().copied().collect();
        let step = Step::Replace(who(pair), names(lites));
        let shown = self.world.apply(&step);
        if self.is_refused(&group, &shown, named.len(), true) {
            return;
        }
        let mut farewells = Vec::new();
        let mut wanted = BTreeSet::new();
        for lite in lites.iter().map(|lite| lite_of(&group, LITES[*lite])) {
            if self.model.other_owner(&client, &group, &lite).is_some() {
                farewells.push(format!("{client}@{group}:{}?", bare(&lite)));
                self.goals.reach(Goal::LeftToOwner);
            } else {
                wanted.insert((client.clone(), group.clone(), lite));
            }
        }
        // What is dropped goes first, and perhaps that is all.
        self.drop_subscriptions(pair, |pair| !wanted.contains(pair));
        self.forget_receive_of_nobody(pair);
        self.model.subscriptions.extend(wanted);
        self.check_farewells(&step, &farewells);
        self.witness.subscriptions(&self.model);
        self.witness_count(pair, true);
    }

    pub(super) fn unsubscribe(&mut self, pair: Pair, lites: &[usize]) {
        let Who { group, .. } = who(pair);
        self.world.apply(&Step::Unsubscribe(who(pair), names(lites)));
        for lite in lites {
            let removed = self.drop_subscriptions(pair, |own| *own == subscription(pair, *lite));
            if !removed.is_empty() && self.model.rules[&group].resets.on_unsubscribe {
                self.note_move(&group, &lite_of(&group, LITES[*lite]), StartAt::Oldest);
            }
        }
        self.forget_receive_of_nobody(pair);
    }

    pub(super) fn unsubscribe_all(&mut self, pair: Pair) {
        self.drop_subscriptions(pair, |_| true);
    }

    /// Ends subscriptions of a client; the lite topics.
    fn drop_subscriptions(
        &mut self,
        pair: Pair,
        is_meant: impl Fn(&(String, String, String)) -> bool,
    ) -> Vec<String> {
        let Who { client, group } = who(pair);
        let is_own = |of: &(String, String, String)| (&of.0, &of.1) == (&client, &group);
        let dropped = |of: &(String, String, String)| is_own(of) && is_meant(of);
        let lites: Vec<_> = self
            .model
            .subscriptions
            .iter()
            .filter(|of| dropped(of))
            .map(|of| of.2.clone())
            .collect();
        self.model.subscriptions.retain(|of| !dropped(of));
        for lite in &lites {
            self.model.end_renewals(&client, &group, lite);
        }
        lites
    }

    pub(super) fn expel(&mut self, pair: Pair, lite: Option<&str>) {
        let Who { client, group } = who(pair);
        let shown = self.world.apply(&Step::Expel(who(pair), lite.map(str::to_owned)));
        let is_meant = |name: &str| lite.is_none_or(|lite| lite_of(&group, lite) == name);
        let expelled = self.drop_subscriptions(pair, |of| is_meant(&of.2));
        assert_eq!(shown, format!("-{}", expelled.len()), "expel {client}@{group}");
        if !expelled.is_empty() {
            self.goals.reach(Goal::Expelled);
            self.witness.left_group(self.world.now, &client, &group);
        }
        for lite in &expelled {
            self.model.release(&client, &group, lite);
        }
        self.forget_receive_of_nobody(pair);
    }

    /// A group goes on at another place of a lite topic, or of all that it consumes.
    pub(super) fn move_group(&mut self, group: &str, lite: Option<&str>, start: StartAt) {
        let (name, of) = (group.to_owned(), lite.map(str::to_owned));
        let step = Step::Move { group: name, lite: of, start };
        let consumed: Vec<&str> = match lite {
            Some(lite) => vec![lite],
            None => LITES.into_iter().filter(|lite| self.is_consumed(group, lite)).collect(),
        };
        let shown = self.world.apply(&step);
        if shown.starts_with('!') {
            let lite = lite.unwrap_or_else(|| panic!("{step}: {shown}"));
            assert_eq!(shown, "!LiteTopicNotFound", "{step}");
            assert!(!self.model.lites.contains_key(lite), "{step}: {shown}");
            return;
        }
        for lite in consumed {
            self.note_move(group, lite, start);
        }
    }

    /// Whether a shard shows a group for a lite topic.
    fn is_consumed(&self, group: &str, lite: &str) -> bool {
        use crate::script::world::{TOPIC, name};
        let id = self.world.group(group);
        let view = self.world.shard.describe(self.world.now, TOPIC, &name(lite));
        view.is_some_and(|view| view.groups.iter().any(|found| found.group == id))
    }

    fn note_move(&mut self, group: &str, lite: &str, start: StartAt) {
        if let Some(place) = self.model.move_group(group, lite, start) {
            self.witness.moved(self.world.now, group, lite, place);
            self.goals.reach(Goal::Move);
        }
    }

    fn take_over(&mut self, (owner, taker): (&str, &str), group: &str, lite: &str) {
        self.witness.taken_over(self.world.now, taker, group, lite);
        self.model.subscriptions.remove(&(owner.to_owned(), group.to_owned(), lite.to_owned()));
        let of_group = GROUPS.iter().position(|found| *found == group).unwrap();
        let of_owner = crate::model::op::CLIENTS.iter().position(|found| *found == owner).unwrap();
        self.forget_receive_of_nobody((of_owner, of_group));
        if self.model.rules[group].resets.on_takeover {
            self.note_move(group, lite, StartAt::Oldest);
        } else {
            self.model.end_leases(group, lite);
        }
        self.goals.reach(Goal::OwnerChange);
    }

    /// Whether a change was refused, as it should be then.
    fn is_refused(&mut self, group: &str, shown: &str, count: usize, adds: bool) -> bool {
        let Rules { quota, mode, .. } = self.model.rules[group];
        if matches!(mode, Mode::Wildcard(_)) {
            assert!(shown.starts_with('!'), "who shares cannot subscribe: {shown}");
            return true;
        }
        if adds && quota.is_some_and(|quota| count > quota as usize) {
            assert_eq!(shown, "!LiteSubscriptionQuotaExceeded");
            self.goals.reach(Goal::QuotaRefusal);
            return true;
        }
        if shown.starts_with('!') {
            assert!(!adds, "{shown}");
            return true; // nothing to add, above the quota already
        }
        false
    }

    fn check_farewells(&mut self, step: &Step, expected: &[String]) {
        let told = self.world.apply(&Step::Farewells);
        let expected = if expected.is_empty() { ".".to_owned() } else { expected.join(" ") };
        assert_eq!(told, expected, "farewells of {step}");
    }

    fn witness_count(&mut self, pair: Pair, adds: bool) {
        let Who { client, group } = who(pair);
        if let Some(quota) = self.model.rules[&group].quota.filter(|_| adds) {
            let count = count_of(&self.model.subscriptions, pair) as u64;
            let client = format!("{client}@{group}");
            self.witness.counted_of(self.world.now, &client, count, u64::from(quota));
        }
    }

    /// The mode of a group that somebody is subscribed for stays; a rate that changes is in doubt for
    /// as long as it may still be waited for.
    pub(super) fn rules_that_hold(&mut self, group: &str, rules: Rules) -> Rules {
        let Some(before) = self.model.rules.get(group).copied() else { return rules };
        if before.rate != rules.rate {
            self.model.is_rate_in_doubt_until = self.model.now + DurationMs::from_secs(1);
        }
        if before.mode == rules.mode {
            return rules;
        }
        if self.model.subscriptions.iter().any(|(_, by, _)| by == group) {
            let on_takeover = rules.resets.on_takeover && before.mode == Mode::Exclusive;
            let resets = crate::script::step::Resets { on_takeover, ..rules.resets };
            return Rules { mode: before.mode, resets, ..rules };
        }
        // Who shared is remembered in another place than who subscribed.
        self.model.last_receive.retain(|(_, of), _| of != group);
        rules
    }
}

fn count_of(subscriptions: &BTreeSet<(String, String, String)>, pair: Pair) -> usize {
    let Who { client, group } = who(pair);
    subscriptions.iter().filter(|(of, by, _)| (of, by) == (&client, &group)).count()
}

/// The name without its topic.
fn bare(lite: &str) -> &str {
    lite.trim_start_matches(super::DEAD_PREFIX)
}
