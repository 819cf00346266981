//! A shard with a clock, its durable records, and the names of a script.

mod show;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use std::sync::Arc;

use litemq_domain::{
    Burial, Claim, ClaimOutcome, ClientId, ClientKey, DurationMs, Effects, Error, ErrorCode, Event,
    Farewell, Group, GroupId, GroupName, GroupOptions, Handle, Invariant, LifetimeChange,
    LiteTopicName, Milestones, OwnLifetime, Place, Record, Resend, Send, Shard, ShardConfig,
    StartAt, Subscribe, Subscribing, Timestamp, Topic, TopicId, TopicName, TopicOptions, TopicType,
    UserKey, Violation, Wake,
};

use super::account::Account;
use super::replay::Replay;
use super::room::Room;
use super::step::{Change, Step, Which, Who, number};
use show::{done, refused, show_life, shown, words};

pub(crate) const TOPIC: TopicId = TopicId(1);
pub(crate) const DEAD: TopicId = TopicId(2);
/// More than any group's number in its first life.
const GROUPS_MAX: u32 = 1 << 24;
pub(crate) const CONFIG: ShardConfig = ShardConfig { number: 1, hash_key: [7; 16] };

/// Everything a script can touch.
pub(crate) struct World {
    pub(crate) shard: Shard,
    pub(crate) now: Timestamp,
    pub(crate) topics: BTreeMap<TopicId, Arc<Topic>>,
    pub(crate) groups: BTreeMap<String, Arc<Group>>,
    pub(crate) replay: Replay,
    /// Names of messages by where they are stored.
    pub(crate) stored: BTreeMap<(u32, u32, u64), String>,
    pub(crate) burials: Vec<Burial>,
    pub(crate) offline: BTreeSet<ClientKey>,
    /// What is told of each step, while somebody wants to know.
    pub(crate) told: Option<Vec<String>>,
    handles: BTreeMap<(String, String), Vec<Handle>>,
    /// How often a group of a name was created.
    group_lives: BTreeMap<String, u32>,
    /// Since when nothing becomes durable.
    held: Option<Held>,
    milestones: Milestones,
    /// What happened, as far as it is not undone by a crash; `None` once things happen beside it.
    pub(crate) account: Option<Account>,
    /// A group that was not ordered is now.
    became_ordered: bool,
    clients: BTreeMap<ClientKey, String>,
    woke: Vec<Wake>,
    told_farewell: Vec<Farewell>,
    events: Vec<Event>,
    room: Room,
}

/// A moment of the past that a crash leads back to.
struct Held {
    log: usize,
    stored: BTreeMap<(u32, u32, u64), String>,
    handles: BTreeMap<(String, String), Vec<Handle>>,
    account: Option<Account>,
}

/// Effects that tell what happens.
fn traced() -> Effects {
    Effects { is_traced: true, ..Effects::default() }
}

impl World {
    pub(crate) fn new() -> Self {
        let mut world = Self {
            shard: Shard::new(CONFIG),
            now: Timestamp(1_000_000),
            topics: BTreeMap::new(),
            groups: BTreeMap::new(),
            replay: Replay::default(),
            stored: BTreeMap::new(),
            burials: Vec::new(),
            offline: BTreeSet::new(),
            told: None,
            handles: BTreeMap::new(),
            group_lives: BTreeMap::new(),
            held: None,
            milestones: Milestones::default(),
            account: Some(Account::default()),
            became_ordered: false,
            clients: BTreeMap::new(),
            woke: Vec::new(),
            told_farewell: Vec::new(),
            events: Vec::new(),
            room: Room::default(),
        };
        for (id, name, topic_type) in
            [(TOPIC, "t", TopicType::Lite), (DEAD, "%DLQ%g", TopicType::DeadLetter)]
        {
            let name = TopicName::any(name).unwrap();
            let topic = Topic {
                id,
                name,
                topic_type,
                options: TopicOptions::default(),
                created_at: world.now,
            };
            let topic = Arc::new(topic);
            world.topics.insert(id, Arc::clone(&topic));
            world.shard.set_topic(topic);
        }
        world.set_group("g", GroupOptions::default(), TOPIC);
        world.recount();
        world
    }

    /// Does a step; what it shows.
    pub(crate) fn apply(&mut self, step: &Step) -> String {
        match step {
            Step::Woke => return self.show_wakes(),
            Step::Farewells => return self.show_farewells(),
            Step::Events => return self.show_events(),
            _ => {}
        }
        let mut fx = traced();
        let shown = self.act(step, &mut fx);
        self.end_step(step, fx, &shown);
        shown
    }

    /// Does a step that is a claim; what it gave.
    pub(crate) fn apply_claim(&mut self, step: &Step) -> Result<ClaimOutcome, Error> {
        let mut fx = traced();
        let outcome = self.claim(step, &mut fx);
        let shown = match &outcome {
            Ok(outcome) if self.told.is_some() => {
                self.keep(std::mem::take(&mut fx));
                self.show_claim(outcome)
            }
            Ok(_) => String::new(),
            Err(error) => refused(error),
        };
        self.end_step(step, fx, &shown);
        outcome
    }

    fn end_step(&mut self, step: &Step, fx: Effects, shown: &str) {
        self.keep(fx);
        self.replay.snapshot_piece(&self.shard, self.held.is_none());
        if let Some(told) = &mut self.told {
            told.push(format!("{step} -> {shown}"));
        }
        self.audit(step);
    }

    pub(crate) fn violations_of(&self, shard: &Shard) -> Vec<Violation> {
        let mut violations = shard.audit(self.now);
        if self.became_ordered {
            violations.retain(|found| found.invariant != Invariant::OneAfterAnother);
        }
        violations
    }

    /// Holds the shard against its invariants.
    fn audit(&mut self, step: &Step) {
        self.room.check(&self.shard.counts(self.now));
        let mut violations = self.violations_of(&self.shard);
        let milestones = self.shard.milestones();
        violations.extend(self.milestones.check_later(&milestones));
        self.milestones = milestones;
        assert!(violations.is_empty(), "after {step}: {violations:#?}");
        if let Some(account) = &self.account {
            let topics: Vec<TopicId> = self.topics.keys().copied().collect();
            account.check(&self.shard, self.now, &topics);
        }
    }

    fn act(&mut self, step: &Step, fx: &mut Effects) -> String {
        let now = self.now;
        match step {
            Step::Group { name, ordered, attempts, of_dead_letters, quota, mode, resets, rate } => {
                let topic = if *of_dead_letters { DEAD } else { TOPIC };
                let options = GroupOptions {
                    ordered: *ordered,
                    client_quota: *quota,
                    max_attempts: *attempts,
                    mode: mode.clone(),
                    reset_on_takeover: resets.on_takeover,
                    reset_on_unsubscribe: resets.on_unsubscribe,
                    consume_rate: *rate,
                    ..GroupOptions::default()
                };
                self.set_group(name, options, topic);
                done()
            }
            Step::Send { lite, messages, id, ttl } => self.send(lite, messages, (*id, *ttl), fx),
            Step::Options(options) => {
                let topic = Topic { options: *options, ..Topic::clone(&self.topics[&TOPIC]) };
                let topic = Arc::new(topic);
                self.topics.insert(TOPIC, Arc::clone(&topic));
                self.shard.set_topic(topic);
                done()
            }
            Step::Room(max) => {
                self.room.max.set(*max);
                done()
            }
            Step::Create { lite, ttl } => {
                let own = OwnLifetime { ttl: *ttl, ..OwnLifetime::default() };
                let room = &self.room;
                let created = self.shard.create_lite(now, TOPIC, &name(lite), own, room, fx);
                shown(created, |_| done())
            }
            Step::Lifetime(lite, change) => {
                let change = match change {
                    Change::Extend(span) => LifetimeChange::Extend(now + *span),
                    Change::Pin => LifetimeChange::Pin,
                    Change::Unpin => LifetimeChange::Unpin,
                    Change::Ttl(ttl) => LifetimeChange::Ttl(*ttl),
                };
                let changed = self.shard.change_lifetime(now, TOPIC, &name(lite), &[change], fx);
                shown(changed, |_| done())
            }
            Step::Life(lite) => match self.shard.describe(now, TOPIC, &name(lite)) {
                Some(view) => show_life(now, &view),
                None => ".".to_owned(),
            },
            Step::Subscribe(who, lites, start) => {
                let (client, key, group) = self.who(who);
                let lites = names(lites);
                let room =
                    self.check_quota(who, |shard, has| has + shard.count_new(key, group, &lites));
                let starts = vec![start.unwrap_or(StartAt::Oldest); lites.len()];
                let request = Subscribe {
                    who: subscribing(&client, key),
                    group,
                    names: &lites,
                    starts: if start.is_some() { &starts } else { &[] },
                    takes_over: true,
                };
                self.milestones.forget_positions(group);
                let synced = room.and_then(|()| self.shard.subscribe(now, request, fx));
                shown(synced, |synced| format!("+{}", synced.added))
            }
            Step::Unsubscribe(who, lites) => {
                let (_, key, group) = self.who(who);
                self.milestones.forget_positions(group);
                let synced = self.shard.unsubscribe(now, key, group, &names(lites), fx);
                format!("-{}", synced.removed)
            }
            Step::Replace(who, lites) => {
                let (client, key, group) = self.who(who);
                let lites = names(lites);
                let distinct = lites.iter().collect::<BTreeSet<_>>().len() as u64;
                let room = self.check_quota(who, |_, _| distinct);
                let synced = room.and_then(|()| {
                    self.shard.replace_subscriptions(
                        now,
                        subscribing(&client, key),
                        group,
                        &lites,
                        fx,
                    )
                });
                shown(synced, |synced| format!("+{} -{}", synced.added, synced.removed))
            }
            Step::Leave(who) => {
                let (_, key, group) = self.who(who);
                format!("-{}", self.shard.unsubscribe_all(key, group, fx).removed)
            }
            Step::CountNew(who, lites) => {
                let (_, key, group) = self.who(who);
                self.shard.count_new(key, group, &names(lites)).to_string()
            }
            Step::Claim { .. } => match self.claim(step, fx) {
                Ok(outcome) => self.show_claim(&outcome),
                Err(error) => refused(&error),
            },
            Step::Ack(which) => {
                let handle = self.handle(which);
                shown(self.shard.ack(now, &handle, fx), |()| done())
            }
            Step::Change { which, invisible, suspend } => {
                let handle = self.handle(which);
                let changed = self.shard.change_invisible(now, &handle, *invisible, *suspend, fx);
                shown(changed, |_| done())
            }
            Step::GiveBack(which) => {
                let handle = self.handle(which);
                self.shard.give_back(now, handle.group, &[(handle.place, handle.epoch)], fx);
                done()
            }
            Step::Wait(span) => self.wait(*span, fx),
            Step::Jump(span) => {
                self.now = now + *span;
                done()
            }
            Step::Tick => self.tick(fx),
            Step::Doubt(client) => {
                self.shard.doubt_client(client_key(client), fx);
                done()
            }
            Step::Connected(client, connected) => {
                let key = client_key(client);
                if *connected {
                    self.offline.remove(&key);
                } else {
                    self.offline.insert(key);
                }
                done()
            }
            Step::Gone { client, renewed_only } => {
                self.shard.release_client(now, client_key(client), *renewed_only, fx);
                done()
            }
            Step::BeginBurial(which) => {
                let handle = self.handle(which);
                shown(self.shard.begin_burial(now, &handle, fx), |burial| {
                    let text = if burial.is_some() { done() } else { "settled".to_owned() };
                    self.burials.extend(burial);
                    text
                })
            }
            Step::Burials => self.show_burials(),
            Step::Bury { which, copy } => {
                let burial = self.take_burial(which);
                let payload = copy.clone().unwrap_or_else(|| self.name_of(burial.place)).into();
                shown(self.shard.bury(now, &burial, payload, &self.room, fx), |_| done())
            }
            Step::BurialFailed(which) => {
                let burial = self.take_burial(which);
                self.shard.burial_failed(now, &burial, fx);
                done()
            }
            Step::Remove(lite) => {
                shown(self.shard.remove_lite(TOPIC, &name(lite), fx), |()| done())
            }
            Step::RemoveTopic => {
                self.topics.remove(&TOPIC);
                self.shard.remove_topic(TOPIC);
                done()
            }
            Step::RemoveGroup(group) => {
                let id = self.group(group);
                self.shard.remove_group(id);
                self.groups.remove(group);
                done()
            }
            Step::Work { all } => {
                self.shard.step(now, fx);
                while *all && self.shard.has_work() {
                    self.shard.step(now, fx);
                }
                if self.shard.has_work() { "more".to_owned() } else { done() }
            }
            Step::Trim(lite, first) => {
                if let Some(view) = self.shard.describe(now, TOPIC, &name(lite)) {
                    self.shard.trimmed(now, view.slot, view.generation, *first, fx);
                }
                done()
            }
            Step::Move { group, lite, start } => {
                let group = self.group(group);
                self.milestones.forget_positions(group);
                shown(self.move_group(group, lite.as_deref(), *start, fx), |moved| {
                    moved.to_string()
                })
            }
            Step::Expel(who, lite) => {
                let (_, key, group) = self.who(who);
                let lite = lite.as_deref().map(name);
                format!("-{}", self.shard.expel(now, key, group, lite.as_ref(), fx))
            }
            Step::Farewells => self.show_farewells(),
            Step::Letters(lite) => self.show_letters(lite),
            Step::Resend { lite, offsets, copy } => self.resend(lite, offsets, copy.as_deref(), fx),
            Step::RemoveLetters(lite) => {
                shown(self.shard.remove_lite(DEAD, &name(lite), fx), |()| done())
            }
            Step::TrimLetters(lite, first) => {
                if let Some(view) = self.shard.describe(now, DEAD, &name(lite)) {
                    self.shard.trimmed(now, view.slot, view.generation, *first, fx);
                }
                done()
            }
            Step::Show(lite) => match self.shard.describe(now, TOPIC, &name(lite)) {
                Some(view) => self.show_view(&view),
                None => ".".to_owned(),
            },
            Step::Lag(group) => self.show_lag(group),
            Step::Ages(group) => self.show_ages(group),
            Step::Most(group) => self.show_most(group),
            Step::List { prefix, after, max } => {
                let found = self.shard.list(now, TOPIC, prefix, after.as_deref(), *max);
                words(found.iter().map(|view| view.name.to_string()))
            }
            Step::Names => {
                let counts = self.shard.counts(now);
                words(
                    counts.lite_topics.iter().map(|(topic, count)| format!("{}:{count}", topic.0)),
                )
            }
            Step::Pairs => self.shard.counts(now).subscriptions.to_string(),
            Step::Woke => self.show_wakes(),
            Step::Events => self.show_events(),
            Step::Restart { from_snapshot } => {
                self.restart(*from_snapshot);
                done()
            }
            Step::Hold => {
                let (stored, handles) = (self.stored.clone(), self.handles.clone());
                let (log, account) = (self.replay.log.len(), self.account.clone());
                self.held = Some(Held { log, stored, handles, account });
                done()
            }
            Step::Durable => {
                self.held = None;
                done()
            }
            Step::Crash { from_snapshot } => {
                if let Some(held) = self.held.take() {
                    self.replay.lose_from(held.log);
                    (self.stored, self.handles) = (held.stored, held.handles);
                    self.account = held.account;
                    self.milestones = Milestones::default();
                }
                self.restart(*from_snapshot);
                done()
            }
        }
    }

    fn send(
        &mut self,
        lite: &str,
        messages: &[String],
        (tag, ttl): (u64, Option<Option<DurationMs>>),
        fx: &mut Effects,
    ) -> String {
        let mut texts = Vec::new();
        for message in messages {
            let send = Send {
                topic: TOPIC,
                lite_topic: name(lite),
                tag,
                payload: message.clone().into(),
                ttl,
            };
            texts.push(shown(self.shard.send(self.now, send, &self.room, fx), |sent| {
                let again = if sent.repeated { "again " } else { "" };
                format!("{again}{}", sent.offset)
            }));
        }
        words(texts.into_iter())
    }

    /// As the broker does: in parts, between which others could be served.
    fn move_group(
        &mut self,
        group: GroupId,
        lite: Option<&str>,
        start: StartAt,
        fx: &mut Effects,
    ) -> Result<u64, Error> {
        if let Some(lite) = lite {
            let place = self.shard.to_consume(group, &name(lite))?;
            return self.shard.move_positions(self.now, group, &[(place, start)], fx);
        }
        let (mut moved, mut next) = (0, Some(0));
        while let Some(first) = next {
            let (consumed, after) = self.shard.consumed_by(group, first);
            let moves: Vec<_> = consumed.into_iter().map(|place| (place, start)).collect();
            moved += self.shard.move_positions(self.now, group, &moves, fx)?;
            next = after;
        }
        Ok(moved)
    }

    fn resend(
        &mut self,
        lite: &str,
        offsets: &[u64],
        copy: Option<&str>,
        fx: &mut Effects,
    ) -> String {
        let lite_topic = name(lite);
        let found = self.shard.letters(DEAD, &lite_topic);
        let (slot, generation) = found.map_or((0, 0), |found| (found.slot, found.generation));
        let message = |offset: &u64| match copy {
            Some(copy) => format!("{copy}-{offset}"),
            None => self.stored.get(&(slot, generation, *offset)).cloned().unwrap_or_default(),
        };
        let letters = offsets.iter().map(|offset| (*offset, message(offset).into())).collect();
        let resend = Resend { topic: DEAD, lite_topic, generation, to: TOPIC, letters };
        shown(self.shard.resend(self.now, resend, &self.room, fx), |resent| {
            let sent = resent.sent.iter().map(|(letter, offset)| format!("{letter}:{offset}"));
            let before = resent.before.iter().map(|letter| format!("again={letter}"));
            words(sent.chain(before))
        })
    }

    fn restart(&mut self, from_snapshot: bool) {
        let from_snapshot =
            if from_snapshot { self.replay.recover_from_snapshot(self) } else { None };
        self.shard = from_snapshot.unwrap_or_else(|| self.replay.recover(self));
        self.burials.clear();
        self.recount();
    }

    pub(crate) fn recount(&mut self) {
        let counts = self.shard.counts(self.now);
        self.room.recount(&counts, self.topics.values().map(|topic| &**topic));
    }

    /// As the broker does before it adds subscriptions; `wanted` is what the client would have.
    fn check_quota(&mut self, who: &Who, wanted: impl Fn(&Shard, u64) -> u64) -> Result<(), Error> {
        let (_, key, id) = self.who(who);
        let quota = self.groups.get(&who.group).and_then(|group| group.options.client_quota);
        let all = self.shard.subscribers();
        let own = all.iter().find(|found| (found.key, found.group) == (key, id));
        let has = own.map_or(0, |found| found.lite_topics);
        match quota {
            Some(quota) if wanted(&self.shard, has) > u64::from(quota) => {
                Err(Error::new(ErrorCode::LiteSubscriptionQuotaExceeded, "above the quota"))
            }
            _ => Ok(()),
        }
    }

    fn claim(&mut self, step: &Step, fx: &mut Effects) -> Result<ClaimOutcome, Error> {
        let Step::Claim { who, invisible, max, each, attempt_id } = step else {
            panic!("{step} is no claim");
        };
        let (_, client, group) = self.who(who);
        let claim = Claim {
            client,
            group,
            messages_max: *max,
            per_lite_topic_max: *each,
            invisible: invisible.unwrap_or_default(),
            auto_renew: invisible.is_none(),
            attempt_id: *attempt_id,
        };
        let outcome = self.shard.claim(self.now, claim, fx)?;
        for claimed in &outcome.messages {
            let handle = Handle {
                shard: self.shard.number(),
                place: claimed.place,
                group,
                epoch: claimed.epoch,
                visible_at: claimed.visible_at,
            };
            let key = (self.name_of(claimed.place), who.group.clone());
            self.handles.entry(key).or_default().push(handle);
        }
        Ok(outcome)
    }

    /// Time passes as in a running server: what becomes due on the way is dealt with.
    pub(crate) fn wait(&mut self, span: DurationMs, fx: &mut Effects) -> String {
        let end = self.now + span;
        while let Some(due) = self.shard.next_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.tick(fx);
        }
        self.now = end;
        done()
    }

    fn tick(&mut self, fx: &mut Effects) -> String {
        let offline = &self.offline;
        self.shard.tick(self.now, &|client| !offline.contains(&client), fx);
        done()
    }

    /// Makes effects durable.
    pub(crate) fn keep(&mut self, fx: Effects) {
        for record in &fx.records {
            if let Record::Append { slot, generation, offset, payload, .. } = record {
                let message = String::from_utf8(payload.to_vec()).unwrap();
                self.stored.insert((*slot, *generation, *offset), message);
            }
        }
        if let Some(account) = &mut self.account {
            account.add(&fx.happened);
        }
        self.replay.log.extend(fx.records);
        self.burials.extend(fx.burials);
        self.woke = fx.wakes;
        self.told_farewell = fx.farewells;
        self.room.hear(&fx.events);
        self.events = fx.events;
    }

    pub(crate) fn set_group(&mut self, text: &str, options: GroupOptions, topic: TopicId) {
        match self.groups.get(text) {
            Some(group) => self.became_ordered |= options.ordered && !group.options.ordered,
            None => *self.group_lives.entry(text.to_owned()).or_default() += 1,
        }
        let group = Arc::new(Group {
            id: self.group(text),
            name: GroupName::new(text).unwrap(),
            topic,
            dead_letter_topic: DEAD,
            options,
            created_at: self.now,
        });
        self.groups.insert(text.to_owned(), Arc::clone(&group));
        self.shard.set_group(group);
    }

    pub(crate) fn who(&mut self, who: &Who) -> (ClientId, ClientKey, GroupId) {
        let key = client_key(&who.client);
        self.clients.insert(key, who.client.clone());
        (ClientId::new(&who.client).unwrap(), key, self.group(&who.group))
    }

    pub(crate) fn group(&self, group: &str) -> GroupId {
        // A number is never used again.
        let lives = self.group_lives.get(group).copied().unwrap_or(1);
        GroupId(number(group) as u32 + GROUPS_MAX * (lives - 1))
    }

    pub(crate) fn group_name(&self, id: GroupId) -> String {
        let found = self.groups.values().find(|group| group.id == id);
        found.map_or_else(|| format!("?{}", id.0), |group| group.name.to_string())
    }

    /// The message stored at a place; nothing else is ever handed out.
    pub(crate) fn name_of(&self, place: Place) -> String {
        let key = (place.slot, place.generation, place.offset);
        self.stored.get(&key).unwrap_or_else(|| panic!("nothing is stored at {place:?}")).clone()
    }

    pub(crate) fn client(&self, key: ClientKey) -> String {
        self.clients[&key].clone()
    }

    pub(crate) fn has_snapshot(&self) -> bool {
        self.replay.has_snapshot()
    }

    /// The name in a slot of some shard, of whichever topic.
    pub(crate) fn lite_of(&self, shard: &Shard, slot: u32) -> String {
        let all =
            self.topics.keys().flat_map(|topic| shard.list(self.now, *topic, "", None, usize::MAX));
        all.into_iter().find(|view| view.slot == slot).unwrap().name.to_string()
    }

    pub(crate) fn handle(&self, which: &Which) -> Handle {
        let all = &self.handles[&(which.message.clone(), which.group.clone())];
        match which.nth {
            Some(nth) => all[nth - 1],
            None => *all.last().unwrap(),
        }
    }

    fn take_burial(&mut self, which: &Which) -> Burial {
        let group = self.group(&which.group);
        let at = self
            .burials
            .iter()
            .position(|burial| burial.group == group && self.name_of(burial.place) == which.message)
            .unwrap_or_else(|| panic!("{which:?} is not being buried"));
        self.burials.remove(at)
    }
}

pub(crate) fn client_key(client: &str) -> ClientKey {
    ClientKey(number(client))
}

pub(crate) fn name(text: &str) -> LiteTopicName {
    LiteTopicName::new(text).unwrap()
}

/// Each client has a user of its own.
fn subscribing(client: &ClientId, key: ClientKey) -> Subscribing<'_> {
    Subscribing { client, key, user: NonZeroU64::new(!key.0).map(UserKey) }
}

fn names(texts: &[String]) -> Vec<LiteTopicName> {
    texts.iter().map(|text| name(text)).collect()
}
