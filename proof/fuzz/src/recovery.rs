//! A broker started over any records: it refuses with the reason, or serves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use litemq_domain::{ClientId, DurationMs, Group, LiteTopicName, TagFilter, Topic};
use litemq_protocol::v2::messaging_service_server::MessagingService;
use litemq_server::access::Caller;
use litemq_server::broker::{
    NewMessage, Receipt, ReceiveRequest, StoredMessage, SyncAction, WhoKey,
};
use litemq_storage::{Batch, ChannelRef, MemoryStore, Op, ShardId, ShardStore};

use crate::Target;
use crate::broker::{CATALOG, World, open, quiet, run};
use crate::records::{Entry, Owner, parse};

/// This target.
pub const TARGET: Target = Target { name: "recovery", heap_mib_max: 128, check };

const NAMES_MAX: usize = 20;
const TOPICS_MAX: usize = 4;

fn check(bytes: &[u8]) {
    let store = MemoryStore::new();
    for op in ops(&parse(bytes)) {
        // A store holds no records that it would not have taken.
        drop(store.submit(Batch { ops: vec![op] }));
    }
    run(async {
        match open(Arc::new(store.reopen())).await {
            Ok(world) => serve(&world).await,
            Err(error) => {
                let told = error.to_string();
                assert!(!told.is_empty() && !told.chars().any(char::is_control), "{told:?}");
            }
        }
    });
}

/// The records as a store takes them; offsets count up.
fn ops(entries: &[Entry]) -> Vec<Op> {
    let mut next: BTreeMap<ChannelRef, u64> = BTreeMap::new();
    let shard = |owner: &Owner| match owner {
        Owner::Catalog => CATALOG,
        Owner::Shard(number) => ShardId(*number),
    };
    let op = |entry: &Entry| match entry {
        Entry::Put(owner, key, value) => {
            Op::Put { shard: shard(owner), key: key.clone(), value: value.clone() }
        }
        Entry::Delete(owner, key) => Op::Delete { shard: shard(owner), key: key.clone() },
        Entry::Append(owner, slot, generation, payload) => {
            let channel = ChannelRef { shard: shard(owner), slot: *slot, generation: *generation };
            let next = next.entry(channel).or_default();
            let offset = std::mem::replace(next, *next + 1);
            let at_ms = 1_700_000_000_000 + offset;
            Op::Append { channel, offset, at_ms, tag: offset + 1, payload: payload.clone() }
        }
    };
    entries.iter().map(op).collect()
}

async fn serve(world: &World<impl MessagingService>) {
    let groups = world.broker.groups();
    for topic in world.broker.topics().into_iter().take(TOPICS_MAX) {
        let listed = world.broker.list_lite(topic.name.as_str(), "", None, NAMES_MAX).await;
        let mut names: Vec<LiteTopicName> =
            listed.into_iter().flatten().map(|info| info.name).collect();
        names.push(LiteTopicName::new("another").unwrap());
        send(world, &topic, &names).await;
        for group in groups.iter().filter(|group| group.topic == topic.id).take(4) {
            receive(world, group, &names).await;
        }
    }
    drop(world.broker.backlogs().await);
    let written = world.broker.checkpoint().await;
    quiet().await;
    // Messages of a lite topic that no record knows: the store refuses others in their place.
    let ready = world.broker.readiness();
    assert_eq!(written.is_ok(), ready.is_ok(), "{written:?}, {ready:?}");
}

async fn send(world: &World<impl MessagingService>, topic: &Arc<Topic>, names: &[LiteTopicName]) {
    for name in names {
        drop(world.broker.peek(topic.name.as_str(), name.as_str(), None, 10).await);
        let message = StoredMessage {
            message_id: "id".to_owned(),
            body: bytes::Bytes::from_static(b"body"),
            ..StoredMessage::default()
        };
        let new = NewMessage { lite_topic: name.clone(), message };
        for sent in world.broker.send(topic, vec![new]).await {
            drop(sent);
        }
    }
}

async fn receive(
    world: &World<impl MessagingService>,
    group: &Arc<Group>,
    names: &[LiteTopicName],
) {
    let client = ClientId::new("client").unwrap();
    let action = SyncAction::PartialAdd;
    drop(world.broker.sync_subscription(&client, group, action, names.to_vec()).await);
    let request = ReceiveRequest {
        client,
        caller: Caller::internal(),
        group: Arc::clone(group),
        messages_max: 32,
        per_lite_topic_max: 4,
        filter: TagFilter::All,
        invisible: DurationMs::from_secs(30),
        auto_renew: true,
        attempt_id: "attempt".to_owned(),
        wait: Duration::from_secs(1),
    };
    let Ok(mut deliveries) = world.broker.receive(request).await else { return };
    while let Some(delivery) = deliveries.take_next() {
        let receipt = Receipt {
            handle: &delivery.receipt_handle,
            lite_topic: Some(delivery.lite_topic.as_str()),
            by: WhoKey::default(),
        };
        world.broker.ack(group, receipt).await.expect("what was just handed out can be settled");
    }
}
