//! Records of a shard: a shard is recovered from any of them, or a record is refused; the shard then
//! serves like any other, and what it writes down is what it is.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::Bytes;
use litemq_domain::persisted::{
    CatalogRecord, Key, access_counters_key, access_counters_value, counters_key, counters_value,
    group_key, group_value, identity_key, identity_value, policy_key, policy_value, quotas_key,
    quotas_value, time_key, time_value, topic_key, topic_value, user_key, user_value,
};
use litemq_domain::{
    Backoff, Claim, ClientId, ClientKey, DurationMs, Effects, Group, GroupId, GroupName,
    GroupOptions, Handle, LiteTopicName, NamePrefix, Send, Shard, ShardConfig, ShardRecovery,
    Subscribe, Subscribing, SubscriptionMode, Timestamp, Topic, TopicId, TopicName, TopicOptions,
    TopicType,
};

use crate::Target;
use crate::records::{Entry, Unlimited, parse};

/// This target.
pub const TARGET: Target = Target { name: "persisted", heap_mib_max: 64, check };

/// The time at which a shard is recovered.
pub const NOW: Timestamp = Timestamp(1_700_000_000_000);
/// The shard's configuration.
pub const CONFIG: ShardConfig = ShardConfig { number: 3, hash_key: [7; 16] };

const CLIENT: ClientKey = ClientKey(77);
const ROUNDS: usize = 3;
const SLOTS_PER_PIECE: u32 = 7;

fn check(bytes: &[u8]) {
    let entries = parse(bytes);
    let mut recovery = ShardRecovery::new(CONFIG);
    let mut next_offset: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    for entry in &entries {
        match entry {
            Entry::Put(_, key, value) => {
                check_catalog(key, value);
                check_key(key);
                told(recovery.put(key, value).err());
            }
            Entry::Delete(_, key) => told(recovery.delete(key).err()),
            Entry::Append(_, slot, generation, payload) => {
                let next = next_offset.entry((*slot, *generation)).or_default();
                let at = Timestamp(NOW.0 + payload.len() as u64);
                recovery.appended(*slot, *generation, *next, at, payload.len() as u64);
                *next += 1;
            }
        }
    }
    assert!(recovery.newest_send_at() >= Timestamp(0));
    let mut shard = match recovery.finish(NOW, topics(), groups()) {
        Ok(shard) => shard,
        Err(malformed) => return told(Some(malformed)),
    };
    audit(&shard, NOW);
    check_snapshot(&shard);
    serve(&mut shard);
    check_snapshot(&shard);
}

/// Nothing is wrong with the shard.
fn audit(shard: &Shard, now: Timestamp) {
    let violations = shard.audit(now);
    assert!(violations.is_empty(), "{violations:#?}");
}

fn told(refused: Option<litemq_domain::persisted::Malformed>) {
    if let Some(malformed) = refused {
        assert!(!malformed.0.is_empty());
    }
}

fn check_key(bytes: &[u8]) {
    if let Ok(key) = Key::decode(bytes) {
        assert_eq!(key.encode(), bytes, "{key:?}");
    }
}

/// What can be read can be written, and reads the same again.
fn check_catalog(key: &[u8], value: &[u8]) {
    let Ok(record) = CatalogRecord::decode(key, value) else { return };
    let (key, value) = match &record {
        CatalogRecord::Topic(topic) => (topic_key(topic.id), topic_value(topic)),
        CatalogRecord::Group(group) => (group_key(group.id), group_value(group)),
        CatalogRecord::Counters(counters) => (counters_key(), counters_value(*counters)),
        CatalogRecord::Identity(identity) => (identity_key(), identity_value(*identity)),
        CatalogRecord::Time(at) => (time_key(), time_value(*at)),
        CatalogRecord::Quotas(quotas) => (quotas_key(), quotas_value(*quotas)),
        CatalogRecord::User(user) => (user_key(user.id), user_value(user)),
        CatalogRecord::Policy(policy) => (policy_key(policy.id), policy_value(policy)),
        CatalogRecord::AccessCounters(counters) => {
            (access_counters_key(), access_counters_value(*counters))
        }
    };
    assert_eq!(CatalogRecord::decode(&key, &value), Ok(record));
}

fn snapshot(shard: &Shard) -> Vec<(Key, Vec<u8>)> {
    let mut pieces = Vec::new();
    let mut next = Some(0);
    while let Some(from) = next {
        next = shard.snapshot(from, SLOTS_PER_PIECE, &mut |key, value| pieces.push((key, value)));
    }
    pieces
}

/// What is written, whatever the order within a slot.
fn sorted(shard: &Shard) -> Vec<(Key, Vec<u8>)> {
    let mut pieces = snapshot(shard);
    pieces.sort();
    pieces
}

/// A shard recovered from what a shard writes down writes the same down.
fn check_snapshot(shard: &Shard) {
    let first = recovered(&snapshot(shard));
    assert_eq!(sorted(&recovered(&snapshot(&first))), sorted(&first));
}

fn recovered(pieces: &[(Key, Vec<u8>)]) -> Shard {
    let mut recovery = ShardRecovery::new(CONFIG);
    for (key, value) in pieces {
        recovery.put(&key.encode(), value).expect("a shard reads what it wrote");
    }
    recovery.finish(NOW, topics(), groups()).expect("what a shard wrote fits together")
}

/// Lists, subscribes, sends, claims and settles, over some time.
fn serve(shard: &mut Shard) {
    let mut fx = Effects::default();
    let client = ClientId::new("client").unwrap();
    let mut now = NOW;
    for _ in 0..ROUNDS {
        for topic in topics() {
            for view in shard.list(now, topic.id, "", None, 1000) {
                assert!(LiteTopicName::new(view.name.as_str()).is_ok(), "{:?}", view.name);
                serve_lite(shard, now, topic.id, &view.name, &mut fx);
            }
        }
        for group in groups() {
            let names: Vec<LiteTopicName> =
                shard.list(now, group.topic, "", None, 1000).into_iter().map(|v| v.name).collect();
            let subscribe = Subscribe {
                who: Subscribing { client: &client, key: CLIENT, user: None },
                group: group.id,
                names: &names,
                starts: &[],
                takes_over: true,
            };
            let is_given = group.options.wildcard().is_some();
            if shard.subscribe(now, subscribe, &mut fx).is_ok() || is_given {
                claim_all(shard, now, group.id, &mut fx);
            }
        }
        shard.tick(now, &|client| client == CLIENT, &mut fx);
        while shard.has_work() {
            shard.step(now, &mut fx);
        }
        audit(shard, now);
        now = now + DurationMs::from_secs(61);
    }
    shard.doubt_client(CLIENT, &mut fx);
    shard.release_client(now, CLIENT, false, &mut fx);
    for found in shard.subscribers() {
        shard.unsubscribe_all(found.key, found.group, &mut fx);
    }
}

fn serve_lite(
    shard: &mut Shard,
    now: Timestamp,
    topic: TopicId,
    name: &LiteTopicName,
    fx: &mut Effects,
) {
    let before = shard.describe(now, topic, name);
    let payload = Bytes::from_static(b"more");
    let send = Send { topic, lite_topic: name.clone(), tag: 0, payload, ttl: None };
    let sent = shard.send(now, send, &Unlimited, fx);
    if let (Some(before), Ok(sent)) = (before, sent) {
        assert_eq!(sent.offset, before.next_offset);
    }
}

fn claim_all(shard: &mut Shard, now: Timestamp, group: GroupId, fx: &mut Effects) {
    let claim = Claim {
        client: CLIENT,
        group,
        messages_max: 5,
        per_lite_topic_max: 2,
        invisible: DurationMs::from_secs(10),
        auto_renew: false,
        attempt_id: 0,
    };
    let Ok(outcome) = shard.claim(now, claim, fx) else { return };
    for (ordinal, claimed) in outcome.messages.iter().enumerate() {
        assert!(claimed.attempt >= 1);
        let handle = Handle {
            shard: CONFIG.number,
            place: claimed.place,
            group,
            epoch: claimed.epoch,
            visible_at: claimed.visible_at,
        };
        match ordinal % 3 {
            0 => shard.ack(now, &handle, fx).expect("what was just handed out can be settled"),
            1 => {
                let span = DurationMs(5);
                shard.change_invisible(now, &handle, span, false, fx).expect("it is held");
            }
            _ => shard.give_back(now, group, &[(claimed.place, claimed.epoch)], fx),
        }
    }
}

/// The parent and its dead letters.
pub fn topics() -> Vec<Arc<Topic>> {
    let topic = |id, name: &str, topic_type, options| {
        Arc::new(Topic {
            id: TopicId(id),
            name: TopicName::any(name).unwrap(),
            topic_type,
            options,
            created_at: NOW,
        })
    };
    let options = TopicOptions {
        ttl: Some(DurationMs::from_secs(120)),
        counts_reads: true,
        keep_subscribed: true,
        lite_topic_quota: Some(1000),
        send_rate: NonZeroU32::new(1000),
        ..TopicOptions::default()
    };
    let dead_letters = TopicOptions { keep_undelivered: true, ..TopicOptions::default() };
    vec![
        topic(1, "orders", TopicType::Lite, options),
        topic(2, "%DLQ%workers", TopicType::DeadLetter, dead_letters),
    ]
}

/// A group with order, one without, one of which each lite topic has one client, and one that shares
/// all of them.
pub fn groups() -> Vec<Arc<Group>> {
    let group = |id, name: &str, options| {
        Arc::new(Group {
            id: GroupId(id),
            name: GroupName::new(name).unwrap(),
            topic: TopicId(1),
            dead_letter_topic: TopicId(2),
            options: GroupOptions { max_attempts: 3, ..options },
            created_at: NOW,
        })
    };
    let usual = GroupOptions::default();
    let exclusive = GroupOptions {
        mode: SubscriptionMode::Exclusive,
        reset_on_takeover: true,
        reset_on_unsubscribe: true,
        client_quota: None,
        backoff: Backoff::Listed(vec![DurationMs(5), DurationMs::from_secs(1)]),
        ..usual.clone()
    };
    let sharing = GroupOptions {
        mode: SubscriptionMode::Wildcard(NamePrefix::new("a").unwrap()),
        consume_rate: NonZeroU32::new(1000),
        simple_suspend: true,
        ..usual.clone()
    };
    vec![
        group(1, "ordered", usual.clone()),
        group(2, "workers", GroupOptions { ordered: false, ..usual }),
        group(3, "exclusive", exclusive),
        group(4, "sharing", sharing),
    ]
}
