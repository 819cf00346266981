//! How a sequence ends: everything owed comes, and nothing is left.

use litemq_checker::history::{Settle, SettleResult};
use litemq_domain::{DurationMs, Effects};

use super::{Both, lite_of};
use crate::model::goals::Goals;
use crate::model::op::{CLIENTS, GROUPS, LITES, Mode, OF_DEAD_LETTERS, Op, Rules};
use crate::model::witness::{CALM_BOUND, Handing};
use crate::script::step::Step;
use crate::script::world::{DEAD, TOPIC, name};
use crate::script::{Handed, check_recovered};

/// The lease of what a drain hands out, and settles at once.
const DRAIN_LEASE: DurationMs = DurationMs::from_secs(10);

impl Both {
    /// Ends a sequence: a restart changes nothing, everything owed comes, nothing stays behind, and
    /// what clients saw breaks no rule.
    pub(crate) fn end(mut self) -> Goals {
        self.durable();
        self.world.apply(&Step::Work { all: true });
        self.keep_all();
        let counts = self.world.shard.counts(self.world.now);
        let uncounted = self.model.uncounted(CLIENTS.len());
        self.witness.counted(self.world.now, &counts, uncounted);
        for (group, name) in GROUPS.into_iter().enumerate() {
            if name != OF_DEAD_LETTERS {
                let Rules { mode, .. } = self.model.rules[name];
                // Every group is owed everything in the end.
                let mode =
                    if matches!(mode, Mode::Wildcard(_)) { Mode::Wildcard("") } else { mode };
                let rules = Rules { quota: None, mode, ..self.model.rules[name] };
                self.set_rules(name, rules, true);
            }
            self.apply(&Op::Subscribe((0, group), (0..LITES.len()).collect()));
        }
        self.witness.calm(self.world.now);
        for client in CLIENTS {
            self.witness.left(self.world.now, client);
        }
        self.drain();
        self.tear_down();
        let violations = self.witness.judge();
        assert!(violations.is_empty(), "what clients saw: {violations:#?}");
        self.goals
    }

    pub(super) fn drain(&mut self) {
        let mut handed = Vec::new();
        self.world.account = None;
        check_recovered(&mut self.world, "at the end", &mut |what| handed.push(what));
        let now = self.world.now + CALM_BOUND;
        for what in handed {
            match what {
                Handed::Settled { client, group, claimed, message } => {
                    let (group, client) = (self.world.group_name(group), self.world.client(client));
                    let lite = lite_of(&group, claimed.lite_topic.as_str());
                    let offset = claimed.place.offset;
                    let (attempt, lease) = (claimed.attempt, DRAIN_LEASE);
                    self.model.claims += 1;
                    self.witness.delivered(
                        now,
                        Handing {
                            group: &group,
                            client: &client,
                            lite: &lite,
                            offset,
                            attempt,
                            lease,
                            id: &message,
                            claim: self.model.claims,
                        },
                    );
                    let (how, result) = (Settle::Ack, SettleResult::Done);
                    self.witness.settled_at(now, (&group, &lite, offset), attempt, how, result);
                }
                Handed::Buried { burial, lite, copy, offset } => {
                    let group = self.world.group_name(burial.group);
                    let spot = (&*group, &*lite_of(&group, &lite), burial.place.offset);
                    let (how, result) = (Settle::DeadLetter, SettleResult::Done);
                    self.witness.settled_at(now, spot, burial.attempts, how, result);
                    let copy = (&*copy, self.next_id());
                    self.witness.sent(now, &lite_of(OF_DEAD_LETTERS, &lite), copy, offset);
                }
            }
        }
        self.world.now = now;
    }

    /// Everything goes, and nothing is left of it.
    pub(super) fn tear_down(&mut self) {
        for group in GROUPS {
            self.world.apply(&Step::RemoveGroup(group.to_owned()));
        }
        self.world.apply(&Step::Work { all: true });
        let mut fx = Effects::default();
        for (topic, lite) in [TOPIC, DEAD].into_iter().flat_map(|of| LITES.map(|lite| (of, lite))) {
            let lite = name(lite);
            let was_there = self.world.shard.describe(self.world.now, topic, &lite).is_some();
            let removed = self.world.shard.remove_lite(topic, &lite, &mut fx);
            assert_eq!(removed.is_ok(), was_there, "{lite}");
        }
        self.sample();
    }

    pub(super) fn sample(&mut self) {
        let now = self.world.now;
        let counts = self.world.shard.counts(now);
        let lite_topics = counts.lite_topics.iter().map(|(_, count)| count).sum();
        let in_flight = counts.lags.iter().map(|lag| lag.in_flight).sum();
        let timers = u64::from(self.world.shard.next_deadline().is_some());
        for (resource, amount) in [
            ("lite topics", lite_topics),
            ("names", counts.lite_topics.len() as u64),
            ("subscriptions", counts.subscriptions),
            ("messages in flight", in_flight),
            ("timers", timers),
        ] {
            self.witness.sampled(now, resource, amount);
        }
    }
}
