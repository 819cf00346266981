//! What a shard and the catalog write down: each kind of record, and each option at least once.

use bytes::Bytes;
use litemq_domain::access::{
    AccessCounters, Action, Actions, Effect, Policy, PolicyId, Secret, User, UserId, UserKind,
};
use litemq_domain::persisted::{
    Counters, access_counters_key, access_counters_value, counters_key, counters_value, group_key,
    group_value, policy_key, policy_value, quotas_key, quotas_value, time_key, time_value,
    topic_key, topic_value, user_key, user_value,
};
use litemq_domain::{
    Claim, ClientId, ClientKey, DurationMs, Effects, GroupId, Handle, LifetimeChange,
    LiteTopicName, OwnLifetime, Quotas, Record, Resend, Send, Shard, StartAt, Subscribe,
    Subscribing, TopicId, UserKey, UserName,
};
use litemq_server::broker::StoredMessage;
use litemq_storage::Op;
use prost::Message as _;
use std::num::NonZeroU64;

use crate::broker;
use crate::persisted::{CONFIG, NOW, groups, topics};
use crate::records::{Entry, Owner, Unlimited};

const TOPIC: TopicId = TopicId(1);
const DEAD_LETTERS: TopicId = TopicId(2);
const CLIENTS: [u64; 2] = [77, 5];

/// A shard at work, with its records.
struct Work {
    shard: Shard,
    fx: Effects,
}

/// What a shard has written down at some moments of its life.
pub(super) fn stages() -> Vec<(&'static str, Vec<Entry>)> {
    let mut work = Work::begin();
    let mut stages = Vec::new();
    work.send();
    stages.push(("sent", work.written()));
    work.subscribe();
    stages.push(("subscribed", work.written()));
    let claimed = work.claim();
    stages.push(("claimed", work.written()));
    work.settle(&claimed);
    stages.push(("settled", work.written()));
    work.change_lifetimes();
    stages.push(("lifetimes", work.written()));
    work.move_positions();
    stages.push(("moved", work.written()));
    work.resend_letters();
    stages.push(("resent", work.written()));
    work.shard.remove_lite(TOPIC, &name("c"), &mut work.fx).unwrap();
    stages.push(("removed", work.written()));
    stages.push(("checkpoint", work.checkpoint()));
    stages
}

/// The catalog: what is fixed, topics and groups with every option, users and what they may do.
pub(super) fn catalog() -> Vec<Entry> {
    let mut entries = identity();
    let mut put = |key: Vec<u8>, value: Vec<u8>| {
        entries.push(Entry::Put(Owner::Catalog, key.into(), value.into()));
    };
    topics().iter().for_each(|topic| put(topic_key(topic.id), topic_value(topic)));
    groups().iter().for_each(|group| put(group_key(group.id), group_value(group)));
    put(counters_key(), counters_value(Counters { next_topic: 3, next_group: 5 }));
    put(time_key(), time_value(NOW));
    let quotas = Quotas { lite_topics_max: Some(1000), subscriptions_max: Some(2000) };
    put(quotas_key(), quotas_value(quotas));
    users().iter().for_each(|user| put(user_key(user.id), user_value(user)));
    policies().iter().for_each(|policy| put(policy_key(policy.id), policy_value(policy)));
    let counters = AccessCounters { next_user: 3, next_policy: 4 };
    put(access_counters_key(), access_counters_value(counters));
    entries
}

/// What the first start fixes.
pub(super) fn identity() -> Vec<Entry> {
    let ops = broker::identity().into_iter().filter_map(|op| match op {
        Op::Put { key, value, .. } => Some(Entry::Put(Owner::Catalog, key, value)),
        _ => None,
    });
    ops.collect()
}

fn users() -> Vec<User> {
    let user = |id, name: &str, kind, enabled| User {
        id: UserId(id),
        name: UserName::new(name).unwrap(),
        secret: Secret::new("a-secret-of-users").unwrap(),
        kind,
        enabled,
        created_at: NOW,
    };
    vec![user(1, "root", UserKind::Super, true), user(2, "tenant-a", UserKind::Normal, false)]
}

fn policies() -> Vec<Policy> {
    let all = [Action::Publish, Action::Subscribe, Action::Manage];
    [
        (Effect::Allow, &all[..], "lite:orders/tenant-a-*", None),
        (Effect::Allow, &all[1..2], "group:workers", Some("2001:db8::/32")),
        (Effect::Deny, &all[..1], "topic:orders", Some("10.0.0.0/8")),
    ]
    .into_iter()
    .zip(1..)
    .map(|((effect, actions, resource, source), id)| Policy {
        id: PolicyId(id),
        user: UserId(2),
        effect,
        actions: Actions::new(actions).unwrap(),
        resource: resource.parse().unwrap(),
        source: source.map(|source| source.parse().unwrap()),
        created_at: NOW,
    })
    .collect()
}

impl Work {
    fn begin() -> Self {
        let mut shard = Shard::new(CONFIG);
        topics().into_iter().for_each(|topic| shard.set_topic(topic));
        groups().into_iter().for_each(|group| shard.set_group(group));
        Self { shard, fx: Effects::default() }
    }

    fn written(&self) -> Vec<Entry> {
        entries(&self.fx.records)
    }

    /// All that is, as a checkpoint has it.
    fn checkpoint(&self) -> Vec<Entry> {
        let mut pieces = Vec::new();
        let mut next = Some(0);
        while let Some(from) = next {
            next = self.shard.snapshot(from, 100, &mut |key, value| {
                pieces.push(Record::Put { key, value });
            });
        }
        entries(&pieces)
    }

    fn send(&mut self) {
        for (ordinal, lite_topic) in ["a", "b", "c"].into_iter().cycle().take(8).enumerate() {
            let payload = stored(ordinal);
            let (lite_topic, tag) = (name(lite_topic), ordinal as u64);
            let send = Send { topic: TOPIC, lite_topic, tag, payload, ttl: None };
            self.shard.send(NOW, send, &Unlimited, &mut self.fx).unwrap();
        }
    }

    /// In each group whose clients subscribe; in the exclusive one the second takes over.
    fn subscribe(&mut self) {
        let names = ["a", "b", "c"].map(name);
        for (client, group) in [(77, 1), (5, 2), (77, 3), (5, 3)] {
            let id = ClientId::new(&format!("client-{client}")).unwrap();
            let subscribe = Subscribe {
                who: Subscribing {
                    client: &id,
                    key: ClientKey(client),
                    user: NonZeroU64::new(client).map(UserKey),
                },
                group: GroupId(group),
                names: &names,
                starts: &[],
                takes_over: true,
            };
            self.shard.subscribe(NOW, subscribe, &mut self.fx).unwrap();
        }
    }

    fn claim(&mut self) -> Vec<Handle> {
        let mut handles = Vec::new();
        for (client, group) in [(CLIENTS[0], 1), (CLIENTS[1], 2), (CLIENTS[1], 3), (CLIENTS[0], 4)]
        {
            let group = GroupId(group);
            let claim = Claim {
                client: ClientKey(client),
                group,
                messages_max: 6,
                per_lite_topic_max: 3,
                invisible: DurationMs::from_secs(30),
                auto_renew: group.0 == 1,
                attempt_id: 9,
            };
            let claimed = self.shard.claim(NOW, claim, &mut self.fx).unwrap().messages;
            assert!(!claimed.is_empty(), "{group:?} was given nothing");
            handles.extend(claimed.iter().map(|claimed| Handle {
                shard: CONFIG.number,
                place: claimed.place,
                group,
                epoch: claimed.epoch,
                visible_at: claimed.visible_at,
            }));
        }
        handles
    }

    /// Every second: what was behind the others stays a gap.
    fn settle(&mut self, handles: &[Handle]) {
        for handle in handles.iter().skip(1).step_by(2) {
            self.shard.ack(NOW, handle, &mut self.fx).unwrap();
        }
    }

    fn change_lifetimes(&mut self) {
        let fx = &mut self.fx;
        let own = OwnLifetime { ttl: Some(Some(DurationMs::from_secs(60))), ..Default::default() };
        self.shard.create_lite(NOW, TOPIC, &name("ahead"), own, &Unlimited, fx).unwrap();
        let later = NOW + DurationMs::from_secs(600);
        for (lite_topic, change) in [
            ("a", LifetimeChange::Pin),
            ("b", LifetimeChange::Extend(later)),
            ("c", LifetimeChange::Ttl(Some(None))),
        ] {
            let lite_topic = name(lite_topic);
            self.shard.change_lifetime(NOW, TOPIC, &lite_topic, &[change], fx).unwrap();
        }
    }

    /// Two dead letters of `a`, of which one is sent there again.
    fn resend_letters(&mut self) {
        for ordinal in 0..2 {
            let (payload, lite_topic, tag) = (stored(ordinal), name("a"), 100 + ordinal as u64);
            let send = Send { topic: DEAD_LETTERS, lite_topic, tag, payload, ttl: None };
            self.shard.send(NOW, send, &Unlimited, &mut self.fx).unwrap();
        }
        let letters = self.shard.letters(DEAD_LETTERS, &name("a")).unwrap();
        let resend = Resend {
            topic: DEAD_LETTERS,
            lite_topic: name("a"),
            generation: letters.generation,
            to: TOPIC,
            letters: vec![(1, stored(1))],
        };
        self.shard.resend(NOW, resend, &Unlimited, &mut self.fx).unwrap();
    }

    fn move_positions(&mut self) {
        for (group, start) in [(1, StartAt::Oldest), (2, StartAt::Tail(1)), (3, StartAt::Offset(1))]
        {
            let group = GroupId(group);
            let places = ["a", "b"].map(|lite| self.shard.to_consume(group, &name(lite)).unwrap());
            let moves = places.map(|place| (place, start));
            self.shard.move_positions(NOW, group, &moves, &mut self.fx).unwrap();
        }
    }
}

fn name(text: &str) -> LiteTopicName {
    LiteTopicName::new(text).unwrap()
}

fn stored(ordinal: usize) -> Bytes {
    let message = StoredMessage {
        message_id: format!("m{ordinal}"),
        tag: Some("t".to_owned()),
        body: Bytes::from_static(b"body"),
        ..StoredMessage::default()
    };
    message.encode_to_vec().into()
}

fn entries(records: &[Record]) -> Vec<Entry> {
    let owner = Owner::Shard(0);
    let entry = |record: &Record| match record {
        Record::Append { slot, generation, payload, .. } => {
            Some(Entry::Append(owner, *slot, *generation, payload.clone()))
        }
        Record::Put { key, value } => {
            Some(Entry::Put(owner, key.encode().into(), value.clone().into()))
        }
        Record::Delete { key } => Some(Entry::Delete(owner, key.encode().into())),
        Record::Drop { .. } => None,
    };
    records.iter().filter_map(entry).collect()
}
