//! A checkpoint and the log behind it are the whole state, whatever happened meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::folder::{crash, open, small};
use crate::support::{NOW, World, bodies, text, until};

const LITE_TOPICS: usize = 6;
const MESSAGES: usize = 150;

fn name(n: usize) -> String {
    format!("lite-{n}")
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_and_what_followed_is_the_whole_state() {
    let (store, world) = World::memory().await;
    world.subscribe("c", &["a", "b"]).await;
    for n in 0..4 {
        world.send("a", &n.to_string()).await;
    }
    world.send("gone", "1").await;
    let held = world.receive("c", NOW).await;
    world.ack(&held[0]).await.unwrap();
    world.broker.checkpoint().await.unwrap();
    world.ack(&held[1]).await.unwrap();
    world.send("b", "1").await;
    world.broker.delete_lite("orders", "gone").await.unwrap();
    world.broker.checkpoint().await.unwrap();
    world.ack(&held[3]).await.unwrap();

    let (_, after) = World::after_crash(&store).await;
    assert_eq!(after.stored("a").await, ["0", "1", "2", "3"]);
    assert_eq!(after.subscriptions("c").await, ["a", "b"]);
    let listed = after.broker.list_lite("orders", "", None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|info| info.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let of_b = after.receive("c", NOW).await;
    assert_eq!(bodies(&of_b), ["1"], "of b");
    // Its lease would end about when the other one does.
    after.ack(&of_b[0]).await.unwrap();
    let again = after.receive("c", Duration::from_secs(40)).await;
    assert_eq!((bodies(&again), again[0].attempt), (vec!["2".to_owned()], 2));
    assert_eq!(after.send("a", "4").await.offset, 4);
}

#[tokio::test(start_paused = true)]
async fn an_idle_broker_that_is_closed_is_opened_with_everything() {
    let (store, world) = World::memory().await;
    world.subscribe("c", &["a"]).await;
    world.send("a", "1").await;
    world.broker.close().await.unwrap();
    assert!(world.try_send("a", "2").await.is_err());
    let (_, after) = World::after_crash(&store).await;
    assert_eq!(bodies(&after.receive("c", NOW).await), ["1"]);
}

/// Receives and settles until told to stop; what was settled. Fails some on the way.
async fn consume(world: World, id: String, is_over: Arc<AtomicBool>) -> BTreeSet<String> {
    let mut settled = BTreeSet::new();
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) {
        for delivery in world.receive(&id, Duration::from_millis(20)).await {
            count += 1;
            if count % 7 == 0 {
                world.nack(&delivery).await;
            } else if world.ack(&delivery).await.is_ok() {
                let key = format!("{}/{}", delivery.lite_topic, text(&delivery.message));
                assert!(settled.insert(key), "settled twice");
            }
        }
    }
    settled
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_under_traffic_and_a_crash_keep_what_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &small()).await;
    let world = World::open(store.clone()).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let names: Vec<String> = (0..LITE_TOPICS).map(name).collect();
    let named: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut consumers = Vec::new();
    for id in ["c1", "c2"] {
        world.subscribe(id, &named).await;
        consumers.push(tokio::spawn(consume(world.clone(), id.to_owned(), is_over.clone())));
    }
    let producers: Vec<_> = (0..LITE_TOPICS)
        .map(|lite| {
            let world = world.clone();
            tokio::spawn(async move {
                for n in 0..MESSAGES {
                    let body = format!("{n}-{}", "x".repeat(2000));
                    until(|| async { world.try_send(&name(lite), &body).await.is_ok() }).await;
                }
            })
        })
        .collect();
    let mut checkpoints = 0;
    while producers.iter().any(|producer| !producer.is_finished()) || checkpoints < 3 {
        world.broker.checkpoint().await.unwrap();
        checkpoints += 1;
    }
    for producer in producers {
        producer.await.unwrap();
    }
    is_over.store(true, Ordering::Relaxed);
    let mut settled = BTreeSet::new();
    for consumer in consumers {
        for key in consumer.await.unwrap() {
            assert!(settled.insert(key), "settled by both");
        }
    }
    assert!(!settled.is_empty());

    let after = crash(world, store, folder.path()).await;
    let mut left = BTreeMap::new();
    for lite in 0..LITE_TOPICS {
        let stored = after.stored(&name(lite)).await;
        assert_eq!(stored.len(), MESSAGES);
        for body in stored {
            let key = format!("{}/{body}", name(lite));
            if !settled.contains(&key) {
                left.insert(key, ());
            }
        }
    }
    while !left.is_empty() {
        let received = after.receive("c1", Duration::from_secs(10)).await;
        assert!(!received.is_empty(), "{} messages do not come", left.len());
        for delivery in received {
            let key = format!("{}/{}", delivery.lite_topic, text(&delivery.message));
            assert!(left.remove(&key).is_some(), "{} was settled", delivery.lite_topic);
            after.ack(&delivery).await.unwrap();
        }
    }
    assert!(after.receive("c1", NOW).await.is_empty());
    assert_eq!(after.subscriptions("c2").await.len(), LITE_TOPICS);
}
