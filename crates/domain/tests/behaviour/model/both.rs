//! A shard and its plain model, and what every operation means for them.

mod comparing;
mod ending;
mod letters;
mod living;
mod settling;
mod subscribing;

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use litemq_domain::DurationMs;

use super::goals::{Goal, Goals};
use super::op::{CLIENTS, GROUPS, LITES, Mode, OF_DEAD_LETTERS, Op, Pair, Rules, Sequence};
use super::reference::{Reference, SentBefore};
use super::witness::Witness;
use crate::script::step::{Resets, Step, Which, Who};
use crate::script::world::World;

/// Rules of the group that consumes dead letters.
const LAST_RULES: Rules = Rules {
    ordered: true,
    attempts: 17,
    quota: None,
    mode: Mode::Shared,
    resets: Resets { on_takeover: false, on_unsubscribe: false },
    rate: None,
};

/// The shard, its model, and what clients see of it.
pub(crate) struct Both {
    pub(crate) world: World,
    pub(crate) model: Reference,
    pub(crate) witness: Witness,
    pub(crate) goals: Goals,
    /// The last receive with an id of each client of a group, which it could repeat.
    pub(super) receives: BTreeMap<Pair, (u64, Op)>,
    /// The model and the witness when things last became durable, while they no longer do.
    held: Option<(Reference, Witness)>,
    named: u64,
}

impl Both {
    pub(crate) fn new(sequence: &Sequence, tells: bool) -> Self {
        let mut world = World::new();
        world.told = tells.then(Vec::new);
        let mut model = Reference::default();
        model.now = world.now;
        let witness = Witness::new(world.now);
        let mut both = Self {
            world,
            model,
            witness,
            goals: Goals::default(),
            receives: BTreeMap::new(),
            held: None,
            named: 0,
        };
        for (group, rules) in sequence.rules.into_iter().chain([LAST_RULES]).enumerate() {
            both.set_rules(GROUPS[group], rules, true);
        }
        both.sample();
        both.witness.subscriptions(&both.model);
        both
    }

    /// Does an operation to both, and compares them.
    pub(crate) fn apply(&mut self, op: &Op) {
        match op {
            Op::Send { lite, count } => {
                (0..*count).for_each(|_| self.send_with(LITES[*lite], None));
            }
            Op::SendAgain(nth) => self.send_again(*nth),
            Op::Subscribe(pair, lites) => self.add(*pair, lites, None),
            Op::SubscribeFrom(pair, lites, start) => self.add(*pair, lites, Some(*start)),
            Op::Unsubscribe(pair, lites) => self.unsubscribe(*pair, lites),
            Op::Replace(pair, lites) => self.replace(*pair, lites),
            Op::Leave(pair) => {
                self.world.apply(&Step::Leave(who(*pair)));
                self.unsubscribe_all(*pair);
                self.forget_receive_of_nobody(*pair);
            }
            Op::Move { group, lite, start } => {
                self.move_group(GROUPS[*group], lite.map(|lite| LITES[lite]), *start);
            }
            Op::Expel(pair, lite) => self.expel(*pair, lite.map(|lite| LITES[lite])),
            Op::Claim { pair, repeatable, .. } => {
                let id = if *repeatable { self.next_id() } else { 0 };
                if *repeatable {
                    self.receives.insert(*pair, (id, op.clone()));
                }
                self.claim(op, id, false);
            }
            Op::Repeat(pair) => {
                if let Some((id, op)) = self.receives.get(pair).cloned() {
                    self.claim(&op, id, true);
                }
            }
            Op::Ack(nth) => self.ack(*nth),
            Op::Hide(nth, seconds) => self.change(*nth, *seconds, false),
            Op::Suspend(nth, seconds) => self.change(*nth, *seconds, true),
            Op::GiveBack(nth) => self.give_back(*nth),
            Op::BeginBurial(nth) => self.begin_burial(*nth),
            Op::Bury(nth) => self.bury(*nth),
            Op::BurialFailed(nth) => {
                if let Some(buried) = self.buried(*nth) {
                    self.world.apply(&Step::BurialFailed(buried.clone()));
                    self.model.burial_failed(&buried.group, &buried.message);
                }
            }
            Op::Doubt(client) => {
                self.world.apply(&Step::Doubt(CLIENTS[*client].to_owned()));
                self.model.doubt(CLIENTS[*client]);
            }
            Op::Gone(client, renewed_only) => {
                let (client, renewed_only) = (CLIENTS[*client].to_owned(), *renewed_only);
                self.witness.left(self.world.now, &client);
                self.model.gone(&client, renewed_only);
                self.world.apply(&Step::Gone { client, renewed_only });
            }
            Op::Connected(client, connected) => {
                self.world.apply(&Step::Connected(CLIENTS[*client].to_owned(), *connected));
                self.model.set_connected(CLIENTS[*client], *connected);
            }
            Op::Wait(seconds) => {
                let span = DurationMs::from_secs(*seconds);
                self.world.apply(&Step::Wait(span));
                let (expiries, renewals) = self.model.wait(span);
                self.goals.add_some(Goal::LeaseExpiry, expiries);
                self.goals.add_some(Goal::Renewal, renewals);
                self.expire();
            }
            Op::Jump(seconds) => {
                let span = DurationMs::from_secs(*seconds);
                self.world.apply(&Step::Jump(span));
                self.model.jump(span);
            }
            Op::Tick => {
                self.world.apply(&Step::Tick);
                self.model.tick();
                self.expire();
            }
            Op::Work => {
                self.world.apply(&Step::Work { all: false });
            }
            Op::SendFirst { lite, ttl } => self.send_with(LITES[*lite], Some(*ttl)),
            Op::Options(options) => self.set_options(*options),
            Op::Room(max) => {
                self.model.room = *max;
                self.world.apply(&Step::Room(*max));
            }
            Op::Create { lite, ttl } => self.create(LITES[*lite], *ttl),
            Op::Lifetime(lite, change) => self.change_lifetime(LITES[*lite], *change),
            Op::Remove(lite) => self.remove(LITES[*lite]),
            Op::RemoveGroup { group, by_restart } => self.remove_group(GROUPS[*group], *by_restart),
            Op::Trim(lite, first) => self.trim(LITES[*lite], *first),
            Op::Resend { lite, from, count } => self.resend(LITES[*lite], *from, *count),
            Op::RemoveLetters(lite) => self.remove_letters(LITES[*lite]),
            Op::TrimLetters(lite, first) => self.trim_letters(LITES[*lite], *first),
            Op::Rules { group, rules, at_once } => {
                self.durable();
                self.set_rules(GROUPS[*group], *rules, *at_once);
            }
            Op::Count => {
                let counts = self.world.shard.counts(self.world.now);
                let uncounted = self.model.uncounted(CLIENTS.len());
                self.witness.counted(self.world.now, &counts, uncounted);
            }
            Op::Hold => {
                if self.held.is_none() {
                    self.world.apply(&Step::Hold);
                    self.held = Some((self.model.clone(), self.witness.clone()));
                }
            }
            Op::Durable => self.durable(),
            Op::Crash { from_snapshot } => self.crash(*from_snapshot),
            Op::Restart { from_snapshot } => {
                self.durable();
                self.note_restart(*from_snapshot);
                self.world.apply(&Step::Restart { from_snapshot: *from_snapshot });
                self.model.restart(*from_snapshot);
            }
        }
        self.witness.subscriptions(&self.model);
        self.compare_positions();
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.named += 1;
        self.named
    }

    fn next_message(&mut self) -> String {
        format!("m{}", self.next_id())
    }

    /// `ttl` is the lite topic's own, if the message makes it.
    fn send_with(&mut self, lite: &str, ttl: Option<Option<DurationMs>>) {
        let message = self.next_message();
        let id = self.named;
        let is_new = !self.model.lites.contains_key(lite);
        let messages = vec![message.clone()];
        let shown = self.world.apply(&Step::Send { lite: lite.to_owned(), messages, id, ttl });
        if is_new && !self.model.has_room() {
            assert_eq!(shown, "!LiteTopicQuotaExceeded", "send {message} to {lite}");
            self.goals.reach(Goal::CreationRefused);
            return;
        }
        self.model.create(lite, ttl);
        let offset = self.model.send(lite, &message);
        assert_eq!(shown, offset.to_string(), "send {message} to {lite}");
        if is_new && self.model.removed.contains(lite) {
            self.goals.reach(Goal::RemovalAndNextLife);
        }
        self.witness.sent(self.world.now, lite, (&message, id), offset as u64);
        let lite = lite.to_owned();
        self.model.sends.push(SentBefore { lite, message, offset, id, is_known: true });
    }

    /// A client repeats a send under its id.
    fn send_again(&mut self, nth: usize) {
        let Some(sent) = self.model.sends.iter().rev().nth(nth).cloned() else { return };
        let SentBefore { lite, message, offset, id, is_known } = sent;
        let is_stored = self.model.is_stored(&lite, offset, &message);
        if !is_stored || !is_known {
            return;
        }
        let messages = vec![message.clone()];
        let shown = self.world.apply(&Step::Send { lite: lite.clone(), messages, id, ttl: None });
        assert_eq!(shown, format!("again {offset}"), "send {message} to {lite} again");
        self.witness.sent(self.world.now, &lite, (&message, id), offset as u64);
        self.goals.reach(Goal::RepeatedSend);
    }

    fn remove(&mut self, lite: &str) {
        let shown = self.world.apply(&Step::Remove(lite.to_owned()));
        let was_there = self.model.lites.contains_key(lite);
        assert_eq!(shown == "ok", was_there, "{shown}");
        if was_there {
            self.forget(lite);
        }
    }

    /// A lite topic went, with the subscriptions to it.
    pub(super) fn forget(&mut self, lite: &str) {
        self.model.remove(lite);
        for pair in (0..CLIENTS.len()).flat_map(|of| (0..GROUPS.len()).map(move |by| (of, by))) {
            self.forget_receive_of_nobody(pair);
        }
        self.witness.removed(self.world.now, lite);
    }

    /// A group goes, and another comes under its name.
    fn remove_group(&mut self, group: &str, by_restart: bool) {
        self.durable();
        let being_buried: Vec<Which> =
            (0..).map_while(|nth| self.buried(nth)).filter(|of| of.group == group).collect();
        self.world.apply(&Step::RemoveGroup(group.to_owned()));
        for which in being_buried {
            let shown = self.world.apply(&Step::Bury { which, copy: None });
            assert_eq!(shown, "!ConsumerGroupNotFound");
        }
        if by_restart {
            self.world.apply(&Step::Restart { from_snapshot: false });
            self.model.restart(false);
        } else {
            self.world.apply(&Step::Work { all: true });
        }
        self.model.remove_group(group);
        self.witness.group_removed(group);
        self.goals.reach(Goal::GroupRemoved);
        self.set_rules(group, self.model.rules[group], true);
    }

    fn trim(&mut self, lite: &str, first: u64) {
        self.world.apply(&Step::Trim(lite.to_owned(), first));
        if let Some(below) = self.model.trim(lite, first as usize) {
            self.witness.trimmed(self.world.now, lite, below as u64);
            self.goals.reach(Goal::Trim);
        }
    }

    /// `at_once` also does what the change asks of the background.
    fn set_rules(&mut self, group: &str, rules: Rules, at_once: bool) {
        let rules = self.rules_that_hold(group, rules);
        let Rules { ordered, attempts, quota, mode, resets, rate } = rules;
        self.model.rules.insert(group.to_owned(), rules);
        self.witness.group(group, ordered);
        let of_dead_letters = group == OF_DEAD_LETTERS;
        let name = group.to_owned();
        let (mode, rate) = (mode.of_group(), rate.and_then(NonZeroU32::new));
        let group =
            Step::Group { name, ordered, attempts, of_dead_letters, quota, mode, resets, rate };
        self.world.apply(&group);
        if at_once {
            self.world.apply(&Step::Work { all: true });
        }
    }

    fn durable(&mut self) {
        if self.held.take().is_some() {
            self.world.apply(&Step::Durable);
        }
    }

    /// What is not durable, and was therefore never answered, is as if it had not been.
    fn crash(&mut self, from_snapshot: bool) {
        self.note_restart(from_snapshot);
        self.witness.killed(self.world.now);
        self.world.apply(&Step::Crash { from_snapshot });
        if let Some((mut model, witness)) = self.held.take() {
            model.catch_up(&self.model);
            self.model = model;
            self.witness.forget_since(witness);
            self.witness.killed(self.world.now);
            self.goals.reach(Goal::AnswersLostInCrash);
        }
        self.model.restart(from_snapshot);
    }

    fn note_restart(&mut self, from_snapshot: bool) {
        if self.world.shard.next_deadline().is_some() {
            self.goals.reach(Goal::RestartWithLeases);
        }
        if from_snapshot && self.world.has_snapshot() {
            self.goals.reach(Goal::RestartFromSnapshot);
        }
    }

    /// A shard forgets the last receive of a client without subscriptions.
    pub(super) fn forget_receive_of_nobody(&mut self, pair: Pair) {
        let Who { client, group } = who(pair);
        let mut own = self.model.subscriptions.iter();
        if !own.any(|(of, by, _)| (of, by) == (&client, &group)) {
            self.model.last_receive.remove(&(client, group));
        }
    }
}

pub(super) fn who((client, group): Pair) -> Who {
    Who { client: CLIENTS[client].to_owned(), group: GROUPS[group].to_owned() }
}

fn names(lites: &[usize]) -> Vec<String> {
    lites.iter().map(|lite| LITES[*lite].to_owned()).collect()
}

fn subscription(pair: Pair, lite: usize) -> (String, String, String) {
    let Who { client, group } = who(pair);
    let lite = lite_of(&group, LITES[lite]);
    (client, group, lite)
}

/// Marks a lite topic of the dead letters.
pub(super) const DEAD_PREFIX: &str = "dead/";

/// The name of a lite topic that a group consumes, with its topic.
pub(super) fn lite_of(group: &str, lite: &str) -> String {
    if group == OF_DEAD_LETTERS { format!("{DEAD_PREFIX}{lite}") } else { lite.to_owned() }
}
