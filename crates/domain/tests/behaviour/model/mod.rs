//! Random operations on a shard and on a plain model of it: they agree on every message handed out,
//! every refusal and every position, and a restart at the end changes nothing.

mod op;
mod reference;

use litemq_domain::{DurationMs, Effects};
use op::{CLIENTS, GROUPS, LITES, Op, Pair};
use proptest::prelude::*;
use reference::{Found, Given, Held, Reference, Rules};

use crate::script::check_restarts;
use crate::script::step::{Step, Which, Who};
use crate::script::world::{TOPIC, World, name};

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_shard_delivers_as_the_plain_model_does(ops in op::ops()) {
        let mut pair = Both::new();
        for op in &ops {
            pair.apply(op);
            pair.compare_positions();
        }
        check_restarts(pair.world, "at the end");
    }
}

/// The shard and its model.
struct Both {
    world: World,
    model: Reference,
    sent: usize,
}

impl Both {
    fn new() -> Self {
        let world = World::new();
        let mut model = Reference::default();
        model.now = world.now;
        let mut both = Self { world, model, sent: 0 };
        both.set_rules(0, true, 3);
        both.set_rules(1, false, 2);
        both
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Send(lite, count) => self.send(LITES[*lite], *count),
            Op::Subscribe(pair, lites) => {
                self.world.apply(&Step::Subscribe(who(*pair), names(lites)));
                self.subscribe(*pair, lites);
            }
            Op::Unsubscribe(pair, lites) => {
                self.world.apply(&Step::Unsubscribe(who(*pair), names(lites)));
                let Who { client, group } = who(*pair);
                for lite in names(lites) {
                    self.model.subscriptions.remove(&(client.clone(), group.clone(), lite));
                }
            }
            Op::Replace(pair, lites) => {
                self.world.apply(&Step::Replace(who(*pair), names(lites)));
                self.unsubscribe_all(*pair);
                self.subscribe(*pair, lites);
            }
            Op::Leave(pair) => {
                self.world.apply(&Step::Leave(who(*pair)));
                self.unsubscribe_all(*pair);
            }
            Op::Claim { pair, seconds, max, each } => {
                self.claim(who(*pair), seconds.map(DurationMs::from_secs), *max, *each);
            }
            Op::Ack(handle) => {
                self.settle(*handle, Step::Ack, |model, held| model.ack(held));
            }
            Op::Hide(handle, seconds) => self.change(*handle, *seconds, false),
            Op::Suspend(handle, seconds) => self.change(*handle, *seconds, true),
            Op::GiveBack(handle) => {
                if let Some(held) = self.handle(*handle) {
                    self.world.apply(&Step::GiveBack(which(&held)));
                    self.model.give_back(&held);
                }
            }
            Op::BeginBurial(handle) => {
                self.settle(*handle, Step::BeginBurial, |model, held| model.begin_burial(held));
            }
            Op::Bury(nth) => self.bury(*nth),
            Op::BurialFailed(nth) => {
                if let Some(buried) = self.buried(*nth) {
                    self.world.apply(&Step::BurialFailed(buried.clone()));
                    self.model.burial_failed(&buried.group, &buried.message);
                }
            }
            Op::Gone(client, renewed_only) => {
                let (client, renewed_only) = (CLIENTS[*client].to_owned(), *renewed_only);
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
                self.model.wait(span);
            }
            Op::Remove(lite) => {
                let shown = self.world.apply(&Step::Remove(LITES[*lite].to_owned()));
                let was_there = self.model.lites.contains_key(LITES[*lite]);
                assert_eq!(shown == "ok", was_there, "{shown}");
                self.model.remove(LITES[*lite]);
            }
            Op::Trim(lite, first) => {
                self.world.apply(&Step::Trim(LITES[*lite].to_owned(), *first));
                self.model.trim(LITES[*lite], *first as usize);
            }
            Op::Rules { group, ordered, attempts } => self.set_rules(*group, *ordered, *attempts),
            Op::Restart => {
                self.world.apply(&Step::Restart);
                self.model.restart();
            }
        }
    }

    fn send(&mut self, lite: &str, count: usize) {
        for _ in 0..count {
            self.sent += 1;
            let message = format!("m{}", self.sent);
            let offset = self.model.lites.get(lite).map_or(0, |lite| lite.messages.len());
            self.model.send(lite, &message);
            let send = Step::Send { lite: lite.to_owned(), messages: vec![message], id: 0 };
            assert_eq!(self.world.apply(&send), offset.to_string());
        }
    }

    fn subscribe(&mut self, pair: Pair, lites: &[usize]) {
        let Who { client, group } = who(pair);
        let added = names(lites).into_iter().map(|lite| (client.clone(), group.clone(), lite));
        self.model.subscriptions.extend(added);
    }

    fn unsubscribe_all(&mut self, pair: Pair) {
        let Who { client, group } = who(pair);
        self.model.subscriptions.retain(|(of, by, _)| (of, by) != (&client, &group));
    }

    fn claim(&mut self, who: Who, invisible: Option<DurationMs>, max: usize, each: usize) {
        let burials_before = self.world.burials.len();
        let mut fx = Effects::default();
        let outcome = self.world.claim(&who, invisible, max, each, 0, &mut fx).unwrap();
        self.world.keep(fx);
        self.model.claims += 1;
        let burials = self.world.burials[burials_before..].to_vec();
        let total = outcome.messages.len() + burials.len();
        let mut came = 0;
        let mut seen = Vec::new();
        for claimed in &outcome.messages {
            let lite = claimed.lite_topic.to_string();
            if seen.last() != Some(&lite) {
                assert!(!seen.contains(&lite), "{lite} came up twice in one claim");
                seen.push(lite);
            }
        }
        for lite in LITES {
            if !seen.iter().any(|found| found == lite) {
                seen.push(lite.to_owned());
            }
        }
        for lite in seen {
            let given = Given {
                messages: outcome
                    .messages
                    .iter()
                    .filter(|claimed| claimed.lite_topic.as_str() == lite)
                    .map(|claimed| (claimed.place.offset as usize, claimed.attempt))
                    .collect(),
                exhausted: burials
                    .iter()
                    .filter(|burial| self.lite_of(burial.place.slot) == Some(lite.as_str()))
                    .map(|burial| burial.place.offset as usize)
                    .collect(),
            };
            let key = (who.client.clone(), who.group.clone(), lite.clone());
            // Where only burials came, nobody knows after how many messages.
            let left = if given.messages.is_empty() { usize::MAX } else { max - came };
            let budget = each.max(1).min(left);
            if given == Given::default() {
                let must = self.model.hand_out(&who.group, &lite, budget, |_| false);
                let excused = total >= max || !self.model.subscriptions.contains(&key);
                assert!(excused || must == given, "{lite} was not handed out: {must:?}");
                continue;
            }
            assert!(self.model.subscriptions.contains(&key), "{who:?} never asked for {lite}");
            let came_out = |offset: usize| {
                given.messages.iter().any(|(found, _)| *found == offset)
                    || given.exhausted.contains(&offset)
            };
            let wanted = self.model.hand_out(&who.group, &lite, budget, came_out);
            assert_eq!(given, wanted, "handed out of {lite}");
            came += given.messages.len();
            self.model.give(&who.client, &who.group, &lite, invisible, &given);
        }
    }

    fn lite_of(&self, slot: u32) -> Option<&'static str> {
        LITES.into_iter().find(|lite| {
            let view = self.world.shard.describe(self.world.now, TOPIC, &name(lite));
            view.is_some_and(|view| view.slot == slot)
        })
    }

    fn settle(
        &mut self,
        handle: usize,
        step: impl Fn(Which) -> Step,
        apply: impl Fn(&mut Reference, &Held),
    ) {
        let Some(held) = self.handle(handle) else { return };
        let shown = self.world.apply(&step(which(&held)));
        match self.model.find(&held) {
            Found::Stale => assert_eq!(shown, "!ReceiptHandleInvalid", "{held:?}"),
            Found::Settled | Found::Open => assert!(!shown.starts_with('!'), "{held:?}: {shown}"),
        }
        apply(&mut self.model, &held);
    }

    fn change(&mut self, handle: usize, seconds: u64, suspend: bool) {
        let invisible = DurationMs::from_secs(seconds);
        let step = |which| Step::Change { which, invisible, suspend };
        self.settle(handle, step, |model, held| {
            if suspend {
                model.suspend(held, invisible);
            } else {
                model.hide(held, invisible);
            }
        });
    }

    fn bury(&mut self, nth: usize) {
        let Some(buried) = self.buried(nth) else { return };
        assert_eq!(self.world.apply(&Step::Bury(buried.clone())), "ok");
        if let Some(delivery) = self.model.burying(&buried.group, &buried.message) {
            delivery.settled = true;
        }
    }

    fn set_rules(&mut self, group: usize, ordered: bool, attempts: u16) {
        let name = GROUPS[group].to_owned();
        self.model.rules.insert(name.clone(), Rules { ordered, attempts });
        let of_dead_letters = false;
        self.world.apply(&Step::Group { name, ordered, attempts, of_dead_letters });
        self.world.apply(&Step::Work { all: true });
    }

    /// A recent handle.
    fn handle(&self, nth: usize) -> Option<Held> {
        self.model.handles.iter().rev().nth(nth).cloned()
    }

    /// A message being buried.
    fn buried(&self, nth: usize) -> Option<Which> {
        let burial = self.world.burials.get(nth)?;
        let group = self.world.group_name(burial.group);
        Some(Which { message: self.world.name_of(burial.place), group, nth: None })
    }

    fn compare_positions(&mut self) {
        let now = self.world.now;
        for lite in LITES {
            let Some(view) = self.world.shard.describe(now, TOPIC, &name(lite)) else {
                assert!(!self.model.lites.contains_key(lite), "{lite} is lost");
                continue;
            };
            let life = &self.model.lites[lite];
            let range = (life.first as u64, life.messages.len() as u64);
            assert_eq!((view.first_offset, view.next_offset), range, "{lite}");
            for group in &view.groups {
                let text = self.world.group_name(group.group);
                assert_eq!(group.committed, self.model.committed(&text, lite) as u64, "{lite}");
                let all = self.model.deliveries(&text, lite);
                let open = all.iter().filter(|delivery| !delivery.settled).count() as u64;
                assert_eq!(group.in_flight + group.ready, open, "{lite} for {text}");
                if all.iter().all(|delivery| delivery.is_certain(now)) {
                    let flying = all.iter().filter(|found| found.is_in_flight(now)).count();
                    assert_eq!(group.in_flight, flying as u64, "in flight of {lite} for {text}");
                }
            }
        }
    }
}

fn who((client, group): Pair) -> Who {
    Who { client: CLIENTS[client].to_owned(), group: GROUPS[group].to_owned() }
}

fn which(held: &Held) -> Which {
    Which { message: held.message.clone(), group: held.group.clone(), nth: Some(held.nth) }
}

fn names(lites: &[usize]) -> Vec<String> {
    lites.iter().map(|lite| LITES[*lite].to_owned()).collect()
}
