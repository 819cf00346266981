//! Topics and groups: made once, numbered once, gone for good.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;

use litemq_domain::{DurationMs, ErrorCode, TopicId, TopicName, TopicOptions};
use litemq_server::broker::{GroupChange, NewTopic, TopicChange};

use crate::support::{GROUP, NOW, TOPIC, World, code, group, message, quiet};

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

fn topic(name: &str) -> NewTopic {
    NewTopic { name: TopicName::new(name).unwrap(), options: TopicOptions::default() }
}

#[tokio::test(start_paused = true)]
async fn creating_the_same_again_is_fine_and_something_else_is_refused() {
    let (store, world) = World::memory().await;
    let again = world.broker.create_topic(topic(TOPIC)).await.unwrap();
    assert_eq!(again.id, world.topic.id);
    let options = TopicOptions { ttl: Some(DurationMs::from_hours(1)), ..TopicOptions::default() };
    let other = NewTopic { options, ..topic(TOPIC) };
    assert_eq!(code(world.broker.create_topic(other.clone()).await), ErrorCode::AlreadyExists);
    let mut changed = group(GROUP);
    assert_eq!(world.broker.create_group(changed.clone()).await.unwrap().id, world.group.id);
    changed.options.max_attempts = 3;
    assert_eq!(code(world.broker.create_group(changed).await), ErrorCode::AlreadyExists);
    let (_, after) = World::after_crash(&store).await;
    assert_eq!((after.topic.id, after.group.id), (world.topic.id, world.group.id));
    assert_eq!(code(after.broker.create_topic(other).await), ErrorCode::AlreadyExists);
}

#[tokio::test(start_paused = true)]
async fn concurrent_creations_make_one_topic_each_with_a_number_of_its_own() {
    let (_, world) = World::memory().await;
    let made: Vec<_> = (0..30)
        .map(|n| {
            let broker = world.broker.clone();
            let new = topic(&format!("t{}", n % 10));
            tokio::spawn(async move { broker.create_topic(new).await.unwrap().id })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for made in made {
        ids.insert(made.await.unwrap());
    }
    assert_eq!(ids.len(), 10);
    assert_eq!(world.broker.topics().len(), 12, "with the first one and its group's dead letters");
}

#[tokio::test(start_paused = true)]
async fn what_is_in_use_is_not_deleted() {
    let (_, world) = World::memory().await;
    assert_eq!(code(world.broker.delete_topic(TOPIC).await), ErrorCode::InUse);
    assert_eq!(code(world.broker.delete_topic("%DLQ%workers").await), ErrorCode::InUse);
    assert_eq!(code(world.broker.delete_topic("unknown").await), ErrorCode::TopicNotFound);
    assert_eq!(code(world.broker.delete_group("unknown").await), ErrorCode::ConsumerGroupNotFound);
    world.broker.delete_group(GROUP).await.unwrap();
    world.broker.delete_topic(TOPIC).await.unwrap();
    assert!(world.broker.topics().is_empty() && world.broker.groups().is_empty());
}

#[tokio::test(start_paused = true)]
async fn numbers_are_never_used_again() {
    let (store, world) = World::memory().await;
    let mut used = BTreeSet::from([world.topic.id, world.group.dead_letter_topic]);
    let first = world.broker.create_topic(topic("t")).await.unwrap().id;
    assert!(used.insert(first));
    world.broker.delete_topic("t").await.unwrap();
    assert!(used.insert(world.broker.create_topic(topic("t")).await.unwrap().id));
    world.broker.delete_topic("t").await.unwrap();
    world.broker.checkpoint().await.unwrap();
    let (_, after) = World::after_crash(&store).await;
    assert!(used.insert(after.broker.create_topic(topic("t")).await.unwrap().id));
    after.broker.delete_group(GROUP).await.unwrap();
    let remade = after.broker.create_group(group(GROUP)).await.unwrap();
    assert!(remade.id > world.group.id);
    assert!(used.insert(remade.dead_letter_topic));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_group_leaves_nothing_to_one_of_the_same_name() {
    let (store, world) = World::memory().await;
    world.subscribe("c", &["a"]).await;
    world.send("a", "1").await;
    let held = world.receive("c", NOW).await;
    world.broker.delete_group(GROUP).await.unwrap();
    assert_eq!(code(world.ack(&held[0]).await), ErrorCode::ReceiptHandleInvalid);
    let gone = world.try_receive(world.request("c", NOW)).await;
    assert_eq!(code(gone), ErrorCode::ConsumerGroupNotFound);
    let world = world.with_group(group(GROUP)).await;
    assert_eq!(code(world.ack(&held[0]).await), ErrorCode::ReceiptHandleInvalid);
    assert!(world.receive("c", NOW).await.is_empty(), "nobody is subscribed");
    world.subscribe("c", &["a"]).await;
    assert_eq!(world.receive("c", NOW).await[0].attempt, 1, "from the oldest message on");
    let (_, after) = World::after_crash(&store).await;
    let info = after.broker.describe_lite(TOPIC, "a").await.unwrap();
    assert_eq!(info.groups.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_large_topic_is_removed_in_steps_and_stays_removed_after_a_crash_in_between() {
    const COUNT: usize = 8_000;
    let (store, world) = World::memory().await;
    let large = world.broker.create_topic(topic("large")).await.unwrap();
    let large = World { topic: large, ..world.clone() };
    for part in (0..COUNT).collect::<Vec<_>>().chunks(1000) {
        let messages = part.iter().map(|n| message(&format!("l{n}"), "", "x")).collect();
        for sent in large.broker.send(&large.topic, messages).await {
            sent.unwrap();
        }
    }
    assert_eq!(world.broker.lite_count(&large.topic), COUNT as u64);
    world.send("kept", "1").await;
    store.hold_syncs();
    let broker = world.broker.clone();
    let deleted = tokio::spawn(async move { broker.delete_topic("large").await });
    quiet().await;
    let durable = litemq_storage::ShardStore::durable(&*store).borrow().durable.0;
    // The deletion and a few of its steps are durable.
    store.sync(litemq_storage::Lsn(durable + 1));
    deleted.await.unwrap().unwrap();
    quiet().await;
    store.sync(litemq_storage::Lsn(durable + 4));
    quiet().await;
    let (half, after) = World::after_crash(&store).await;
    assert_eq!(code(after.broker.list_lite("large", "", None, 10).await), ErrorCode::TopicNotFound);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (_, again) = World::after_crash(&half).await;
    let made = again.broker.create_topic(topic("large")).await.unwrap();
    assert!(made.id > large.topic.id && made.id > TopicId(0));
    assert_eq!(again.broker.lite_count(&made), 0);
    assert!(again.broker.list_lite("large", "", None, 10).await.unwrap().is_empty());
    assert_eq!(again.stored("kept").await, ["1"]);

    store.release_syncs();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(code(large.try_send("l1", "2").await), ErrorCode::TopicNotFound);
}

#[tokio::test(start_paused = true)]
async fn the_count_of_lite_topics_outlives_changes_of_their_topic() {
    let (store, world) = World::memory().await;
    for name in ["a", "b", "c"] {
        world.send(name, "1").await;
    }
    let day = DurationMs::from_hours(24);
    let change = TopicChange { ttl: Some(Some(day)), ..TopicChange::default() };
    let changed = world.broker.update_topic(TOPIC, change).await.unwrap();
    world.broker.delete_lite(TOPIC, "a").await.unwrap();
    assert_eq!(world.broker.lite_count(&changed), 2);
    let info = world.broker.describe_lite(TOPIC, "b").await.unwrap();
    assert_eq!(info.expires_at, info.last_send_at.map(|at| at + day));
    let after = crate::support::broker(
        std::sync::Arc::new(store.reopen()),
        litemq_server::broker::BrokerOptions::default(),
    );
    let after = after.await;
    let topic = after.topic(TOPIC).unwrap();
    assert_eq!((topic.options.ttl, after.lite_count(&topic)), (Some(day), 2));
}

#[tokio::test(start_paused = true)]
async fn a_group_that_gives_up_its_order_hands_out_what_waited() {
    let (_, world) = World::memory().await;
    world.subscribe("c", &["a"]).await;
    world.send("a", "0").await;
    world.send("a", "1").await;
    let one = litemq_server::broker::ReceiveRequest { messages_max: 1, ..world.request("c", NOW) };
    assert_eq!(world.try_receive(one).await.unwrap().len(), 1);
    let parked = world.park("c", Duration::from_secs(20)).await;
    assert!(!parked.is_finished());
    let change = GroupChange { ordered: Some(false), ..GroupChange::default() };
    world.broker.update_group(GROUP, change).await.unwrap();
    assert_eq!(crate::support::bodies(&parked.await.unwrap()), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn a_group_with_dead_letters_is_deleted_only_after_them() {
    let (store, world) = World::memory().await;
    world.subscribe("c", &["a"]).await;
    world.send("a", "1").await;
    let held = world.receive("c", NOW).await;
    world.broker.dead_letter(&world.group, crate::support::receipt(&held[0])).await.unwrap();
    assert_eq!(code(world.broker.delete_group(GROUP).await), ErrorCode::InUse);
    let (_, after) = World::after_crash(&store).await;
    assert_eq!(code(after.broker.delete_group(GROUP).await), ErrorCode::InUse);
    after.broker.delete_lite("%DLQ%workers", "a").await.unwrap();
    after.broker.delete_group(GROUP).await.unwrap();
    assert_eq!(code(after.broker.topic("%DLQ%workers")), ErrorCode::TopicNotFound);
}

/// Threads of their own, and names that all of them want.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn lite_topics_made_listed_described_and_deleted_at_once_never_wait_for_each_other() {
    const NAMES: u32 = 20;
    let (_, world) = World::memory().await;
    world.subscribe("c1", &["l0", "l1"]).await;
    let each = |work: fn(World, String) -> Work| {
        let world = world.clone();
        tokio::spawn(async move {
            for n in 0..10 * NAMES {
                work(world.clone(), format!("l{}", n % NAMES)).await;
            }
        })
    };
    let workers = [
        each(|world, name| {
            Box::pin(async move {
                world.send(&name, "m").await;
            })
        }),
        each(|world, name| {
            Box::pin(async move {
                world.send(&name, "m").await;
            })
        }),
        each(|world, name| {
            Box::pin(async move {
                if let Err(error) = world.broker.delete_lite(TOPIC, &name).await {
                    assert_eq!(error.code, ErrorCode::LiteTopicNotFound);
                }
            })
        }),
        each(|world, name| {
            Box::pin(async move {
                if let Err(error) = world.broker.describe_lite(TOPIC, &name).await {
                    assert_eq!(error.code, ErrorCode::LiteTopicNotFound);
                }
            })
        }),
        each(|world, name| {
            Box::pin(async move {
                let listed = world.broker.list_lite(TOPIC, "l", None, 1000).await.unwrap();
                assert!(listed.len() <= NAMES as usize, "{name}: {}", listed.len());
            })
        }),
    ];
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(world.broker.audit().await.unwrap(), []);
    for lite in world.broker.list_lite(TOPIC, "", None, 1000).await.unwrap() {
        world.broker.delete_lite(TOPIC, lite.name.as_str()).await.unwrap();
    }
    assert_eq!(world.broker.quotas().lite_topics, 0);
}
