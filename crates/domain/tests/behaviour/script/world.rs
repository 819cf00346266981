//! A shard with a clock, its durable records, and the names of a script.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use litemq_domain::{
    Burial, Claim, ClaimOutcome, ClientId, ClientKey, DurationMs, Effects, Error, Group, GroupId,
    GroupName, Handle, LiteTopicName, LiteView, Place, Record, Send, Shard, ShardConfig, Timestamp,
    Topic, TopicId, TopicName, TopicType, Wake,
};

use super::replay::Replay;
use super::step::{MODE, Step, Which, Who, number};

pub(crate) const TOPIC: TopicId = TopicId(1);
pub(crate) const DEAD: TopicId = TopicId(2);
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
    handles: BTreeMap<(String, String), Vec<Handle>>,
    clients: BTreeMap<ClientKey, String>,
    woke: Vec<Wake>,
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
            handles: BTreeMap::new(),
            clients: BTreeMap::new(),
            woke: Vec::new(),
        };
        for (id, name, topic_type) in
            [(TOPIC, "t", TopicType::Lite), (DEAD, "%DLQ%g", TopicType::DeadLetter)]
        {
            let name = TopicName::any(name).unwrap();
            let topic = Topic { id, name, topic_type, ttl: None, created_at: world.now };
            let topic = Arc::new(topic);
            world.topics.insert(id, Arc::clone(&topic));
            world.shard.set_topic(topic);
        }
        world.set_group("g", true, 17, TOPIC);
        world
    }

    /// Does a step; what it shows.
    pub(crate) fn apply(&mut self, step: &Step) -> String {
        if let Step::Woke = step {
            return self.show_wakes();
        }
        let mut fx = Effects::default();
        let shown = self.act(step, &mut fx);
        self.keep(fx);
        self.replay.snapshot_piece(&self.shard);
        shown
    }

    fn act(&mut self, step: &Step, fx: &mut Effects) -> String {
        let now = self.now;
        match step {
            Step::Group { name, ordered, attempts, of_dead_letters } => {
                let topic = if *of_dead_letters { DEAD } else { TOPIC };
                self.set_group(name, *ordered, *attempts, topic);
                done()
            }
            Step::Send { lite, messages, id } => self.send(lite, messages, *id, fx),
            Step::Subscribe(who, lites) => {
                let (client, key, group) = self.who(who);
                shown(self.shard.subscribe(now, &client, key, group, &names(lites), fx), |synced| {
                    format!("+{}", synced.added)
                })
            }
            Step::Unsubscribe(who, lites) => {
                let (_, key, group) = self.who(who);
                let synced = self.shard.unsubscribe(key, group, &names(lites), fx);
                format!("-{}", synced.removed)
            }
            Step::Replace(who, lites) => {
                let (client, key, group) = self.who(who);
                let lites = names(lites);
                shown(
                    self.shard.replace_subscriptions(now, &client, key, group, &lites, fx),
                    |synced| format!("+{} -{}", synced.added, synced.removed),
                )
            }
            Step::Leave(who) => {
                let (_, key, group) = self.who(who);
                format!("-{}", self.shard.unsubscribe_all(key, group, fx).removed)
            }
            Step::CountNew(who, lites) => {
                let (_, key, group) = self.who(who);
                self.shard.count_new(key, group, &names(lites)).to_string()
            }
            Step::Claim { who, invisible, max, each, attempt_id } => {
                match self.claim(who, *invisible, *max, *each, *attempt_id, fx) {
                    Ok(outcome) => self.show_claim(&outcome),
                    Err(error) => refused(&error),
                }
            }
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
                shown(self.shard.begin_burial(&handle), |burial| {
                    let text = if burial.is_some() { done() } else { "settled".to_owned() };
                    self.burials.extend(burial);
                    text
                })
            }
            Step::Burials => self.show_burials(),
            Step::Bury(which) => {
                let burial = self.take_burial(which);
                let payload = self.name_of(burial.place).into_bytes().into();
                shown(self.shard.bury(now, &burial, payload, fx), |()| done())
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
                self.shard.remove_group(self.group(group));
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
            Step::Show(lite) => match self.shard.describe(now, TOPIC, &name(lite)) {
                Some(view) => self.show_view(&view),
                None => ".".to_owned(),
            },
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
            Step::Restart => {
                self.shard = self.replay.recover(self);
                self.burials.clear();
                done()
            }
        }
    }

    fn send(&mut self, lite: &str, messages: &[String], id: u64, fx: &mut Effects) -> String {
        let mut texts = Vec::new();
        for message in messages {
            let send = Send {
                topic: TOPIC,
                lite_topic: name(lite),
                tag: id,
                payload: message.clone().into(),
            };
            texts.push(shown(self.shard.send(self.now, send, fx), |sent| {
                let again = if sent.repeated { "again " } else { "" };
                format!("{again}{}", sent.offset)
            }));
        }
        words(texts.into_iter())
    }

    pub(crate) fn claim(
        &mut self,
        who: &Who,
        invisible: Option<DurationMs>,
        max: usize,
        each: usize,
        attempt_id: u64,
        fx: &mut Effects,
    ) -> Result<ClaimOutcome, Error> {
        let (_, client, group) = self.who(who);
        let claim = Claim {
            client,
            group,
            messages_max: max,
            per_lite_topic_max: each,
            invisible: invisible.unwrap_or_default(),
            auto_renew: invisible.is_none(),
            attempt_id,
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
        self.replay.log.extend(fx.records);
        self.burials.extend(fx.burials);
        self.woke = fx.wakes;
    }

    pub(crate) fn set_group(&mut self, text: &str, ordered: bool, attempts: u16, topic: TopicId) {
        let group = Arc::new(Group {
            id: GroupId(number(text) as u32),
            name: GroupName::new(text).unwrap(),
            topic,
            dead_letter_topic: DEAD,
            ordered,
            mode: MODE,
            client_quota: None,
            max_attempts: attempts,
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
        self.groups.get(group).map_or(GroupId(number(group) as u32), |group| group.id)
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

    fn show_claim(&self, outcome: &ClaimOutcome) -> String {
        let text = words(outcome.messages.iter().map(|claimed| {
            let message = self.name_of(claimed.place);
            format!("{}:{message}{}", claimed.lite_topic, attempt(claimed.attempt))
        }));
        if outcome.more { format!("{text} ...") } else { text }
    }

    fn show_burials(&self) -> String {
        words(self.burials.iter().map(|burial| {
            let group = self.group_name(burial.group);
            let message = self.name_of(burial.place);
            format!("{message}@{group}{}", attempt(burial.attempts))
        }))
    }

    fn show_wakes(&self) -> String {
        words(self.woke.iter().map(|wake| {
            let client = self.clients.get(&wake.client).cloned().unwrap_or_default();
            format!("{client}@{}", self.group_name(wake.group))
        }))
    }

    fn show_view(&self, view: &LiteView) -> String {
        let groups = view.groups.iter().map(|group| {
            let name = self.group_name(group.group);
            let subscribers: Vec<&str> = group.subscribers.iter().map(ClientId::as_str).collect();
            format!(
                "{name}={}/{}/{}({})",
                group.committed,
                group.in_flight,
                group.ready,
                subscribers.join(",")
            )
        });
        let range = format!("{}..{}", view.first_offset, view.next_offset);
        words(std::iter::once(range).chain(groups))
    }
}

pub(crate) fn client_key(client: &str) -> ClientKey {
    ClientKey(number(client))
}

pub(crate) fn name(text: &str) -> LiteTopicName {
    LiteTopicName::new(text).unwrap()
}

fn names(texts: &[String]) -> Vec<LiteTopicName> {
    texts.iter().map(|text| name(text)).collect()
}

fn attempt(attempt: u16) -> String {
    if attempt == 1 { String::new() } else { format!("#{attempt}") }
}

fn words(texts: impl Iterator<Item = String>) -> String {
    let texts: Vec<String> = texts.collect();
    if texts.is_empty() { ".".to_owned() } else { texts.join(" ") }
}

fn shown<T>(result: Result<T, Error>, show: impl FnOnce(T) -> String) -> String {
    match result {
        Ok(value) => show(value),
        Err(error) => refused(&error),
    }
}

fn refused(error: &Error) -> String {
    format!("!{:?}", error.code)
}

fn done() -> String {
    "ok".to_owned()
}
