//! Seeds of records: what a real shard and a real broker write down.

use std::num::NonZeroU64;

use bytes::Bytes;
use litemq_domain::persisted::{
    Counters, counters_key, counters_value, group_key, group_value, topic_key, topic_value,
};
use litemq_domain::{
    Claim, ClientId, ClientKey, DurationMs, Effects, GroupId, Handle, LiteTopicName, Record, Send,
    Shard, Subscribe, Subscribing, TopicId, UserKey,
};
use litemq_fuzz::broker;
use litemq_fuzz::persisted::{CONFIG, NOW, groups, topics};
use litemq_fuzz::records::{Entry, Owner, Unlimited, encode};
use litemq_fuzz::reseal::{Kind, reseal};
use litemq_server::broker::StoredMessage;
use prost::Message as _;

use crate::keep;

const CLIENTS: [u64; 2] = [77, 5];

pub(crate) fn make() {
    let owner = Owner::Shard(0);
    for (name, steps) in [("sent", 1), ("subscribed", 2), ("claimed", 3), ("settled", 4)] {
        let entries = entries(&history(steps), owner);
        keep("persisted", name, &encode(&entries));
        let mut all = catalog();
        all.extend(entries);
        keep("recovery", name, &encode(&all));
    }
    keep("recovery", "catalog", &encode(&catalog()));
    keep("persisted", "catalog", &encode(&catalog()));
    keep("recovery", "identity", &encode(&identity()));
    handles();
    authorizations();
    names();
    // Not seeds: the checksums stand where those who make them right again look for them.
    for (kind, extension) in
        [(Kind::Meta, ""), (Kind::Segment, "log"), (Kind::Index, "idx"), (Kind::Checkpoint, "ckpt")]
    {
        for path in litemq_fuzz::folder::files(extension) {
            let before = litemq_fuzz::folder::disk().contents(&path).unwrap();
            let mut after = before.clone();
            reseal(kind, &mut after);
            assert!(after == before, "{}", path.display());
        }
    }
}

/// What a shard writes down: messages, then subscriptions, then leases, then acks and a removal.
fn history(steps: usize) -> Vec<Record> {
    let mut shard = Shard::new(CONFIG);
    topics().into_iter().for_each(|topic| shard.set_topic(topic));
    groups().into_iter().for_each(|group| shard.set_group(group));
    let mut fx = Effects::default();
    let names: Vec<_> = ["a", "b", "c"].map(|name| LiteTopicName::new(name).unwrap()).into();
    for (ordinal, name) in names.iter().cycle().take(8).enumerate() {
        let payload = stored(ordinal);
        let (lite_topic, tag) = (name.clone(), ordinal as u64);
        let send = Send { topic: TopicId(1), lite_topic, tag, payload, ttl: None };
        shard.send(NOW, send, &Unlimited, &mut fx).unwrap();
    }
    for (client, group) in CLIENTS.into_iter().zip([1, 2]).filter(|_| steps > 1) {
        let id = ClientId::new(&format!("client-{client}")).unwrap();
        let key = ClientKey(client);
        let user = NonZeroU64::new(client).map(UserKey);
        let (who, group) = (Subscribing { client: &id, key, user }, GroupId(group));
        let subscribe = Subscribe { who, group, names: &names, starts: &[], takes_over: true };
        shard.subscribe(NOW, subscribe, &mut fx).unwrap();
        if steps > 2 {
            settle(&mut shard, key, group, steps, &mut fx);
        }
    }
    if steps > 3 {
        shard.remove_lite(TopicId(1), &names[2], &mut fx).unwrap();
    }
    fx.records
}

fn settle(shard: &mut Shard, client: ClientKey, group: GroupId, steps: usize, fx: &mut Effects) {
    let claim = Claim {
        client,
        group,
        messages_max: 6,
        per_lite_topic_max: 3,
        invisible: DurationMs::from_secs(30),
        auto_renew: group.0 == 1,
        attempt_id: 9,
    };
    let claimed = shard.claim(NOW, claim, fx).unwrap();
    for claimed in claimed.messages.iter().skip(1).step_by(2).filter(|_| steps > 3) {
        let handle = Handle {
            shard: CONFIG.number,
            place: claimed.place,
            group,
            epoch: claimed.epoch,
            visible_at: claimed.visible_at,
        };
        shard.ack(NOW, &handle, fx).unwrap();
    }
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

fn entries(records: &[Record], owner: Owner) -> Vec<Entry> {
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

fn identity() -> Vec<Entry> {
    let ops = broker::identity().into_iter().filter_map(|op| match op {
        litemq_storage::Op::Put { key, value, .. } => Some(Entry::Put(Owner::Catalog, key, value)),
        _ => None,
    });
    ops.collect()
}

fn catalog() -> Vec<Entry> {
    let mut entries = identity();
    let mut put = |key: Vec<u8>, value: Vec<u8>| {
        entries.push(Entry::Put(Owner::Catalog, key.into(), value.into()));
    };
    topics().iter().for_each(|topic| put(topic_key(topic.id), topic_value(topic)));
    groups().iter().for_each(|group| put(group_key(group.id), group_value(group)));
    put(counters_key(), counters_value(Counters { next_topic: 3, next_group: 3 }));
    entries
}

fn handles() {
    let place = litemq_domain::Place { slot: 1, generation: 0, offset: 2 };
    let handle = Handle { shard: 0, place, group: GroupId(1), epoch: 1, visible_at: NOW };
    keep("handle", "valid", &handle.encode(b"0123456789abcdef"));
    keep("handle", "forged", &[handle.encode(&[0; 16]), vec![1; 40]].concat());
    keep("handle", "fields", &[7; 90]);
}

/// A date, a region and two numbers, then the header, which is the rest.
fn authorizations() {
    let hex = "0123456789abcdef0123456789abcdef01234567";
    for (name, header) in [
        (
            "java",
            format!(
                "MQv2-HMAC-SHA1 Credential=tenant-a, SignedHeaders=x-mq-date-time, Signature={hex}"
            ),
        ),
        (
            "go",
            format!(
                "MQv2-HMAC-SHA1 Credential=tenant-a//Rocketmq, SignedHeaders=x-mq-date-time, Signature={hex}"
            ),
        ),
        (
            "empty",
            format!("MQv2-HMAC-SHA1 Credential=, SignedHeaders=x-mq-date-time, Signature={hex}"),
        ),
        ("basic", "Basic dGVuYW50LWE6c2VjcmV0LW9mLWI=".to_owned()),
    ] {
        keep("authorization", name, header.as_bytes());
    }
}

fn names() {
    for (name, text) in [
        ("lite", "session-42_A"),
        ("longest-lite", &"a".repeat(64)),
        ("too-long", &"a".repeat(128)),
        ("reserved", "%RETRY%workers"),
        ("dead-letters", "%DLQ%workers"),
        ("system-group", "CID_RMQ_SYS_x"),
        ("unicode", "caf\u{e9}\u{202e}"),
        ("control", "a\nb"),
        ("filter", "a||b || c"),
    ] {
        keep("names", name, text.as_bytes());
    }
    keep("names", "pairs", b"ab\0a\x01\x01bb\x01\x01a\x01\x01ab\x02\x03\x01\x02");
}
