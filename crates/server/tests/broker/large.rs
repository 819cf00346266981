//! Messages as large as they may be.

use std::time::Duration;

use bytes::Bytes;
use litemq_domain::limits::BODY_BYTES_MAX;
use litemq_server::broker::limits::{PAYLOAD_BYTES_MAX, RECEIVE_BYTES_MAX};
use litemq_server::broker::{Delivery, NewMessage};

use crate::folder::{open, small};
use crate::support::{GROUP, NOW, World, message};

const FIT: usize = RECEIVE_BYTES_MAX / BODY_BYTES_MAX;

/// A message whose body has a byte of its own.
fn largest(n: u8) -> NewMessage {
    let mut new = message("a", &format!("m{n}"), "");
    new.message.body = Bytes::from(vec![n; BODY_BYTES_MAX]);
    new
}

fn check(deliveries: &[Delivery], from: usize) {
    for (delivery, n) in deliveries.iter().zip(from..) {
        assert_eq!(delivery.offset, n as u64);
        assert_eq!(delivery.attempt, 1);
        assert_eq!(delivery.message.body.len(), BODY_BYTES_MAX);
        assert!(delivery.message.body.iter().all(|byte| usize::from(*byte) == n));
    }
}

async fn send_and_receive(world: World) {
    world.subscribe("c", &["a"]).await;
    let messages = (0..6).map(largest).collect();
    for sent in world.broker.send(&world.topic, messages).await {
        sent.unwrap();
    }
    let peeked = world.peek("a").await.unwrap();
    assert!(!peeked.is_empty() && peeked.len() <= FIT, "{}", peeked.len());
    assert_eq!(peeked[0].message.body.len(), BODY_BYTES_MAX);

    let first = world.receive("c", NOW).await;
    assert!((FIT - 1..=FIT).contains(&first.len()), "{}", first.len());
    check(&first, 0);
    let rest = world.receive("c", Duration::from_millis(50)).await;
    assert!(rest.is_empty(), "what was given back stays behind what is in flight");
    for delivery in &first {
        world.ack(delivery).await.unwrap();
    }
    let rest = world.receive("c", Duration::from_secs(10)).await;
    assert_eq!(first.len() + rest.len(), 6);
    check(&rest, first.len());
}

#[tokio::test(start_paused = true)]
async fn the_bound_on_bytes_of_a_receive_gives_the_rest_back_in_memory() {
    let (_, world) = World::memory().await;
    send_and_receive(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bound_on_bytes_of_a_receive_gives_the_rest_back_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let options = litemq_storage::LogOptions { segment_bytes: 32 << 20, ..small() };
    let world = World::open(open(folder.path(), &options).await).await;
    send_and_receive(world).await;
}

#[tokio::test(start_paused = true)]
async fn bytes_in_flight_are_bounded_and_free_again_when_durable() {
    let store = std::sync::Arc::new(litemq_storage::MemoryStore::new());
    let options = litemq_server::broker::BrokerOptions {
        in_flight_bytes_max: 2 * (BODY_BYTES_MAX as u64 + 1024),
        ..litemq_server::broker::BrokerOptions::default()
    };
    drop(World::open(store.clone()).await);
    let store = std::sync::Arc::new(store.reopen());
    let broker = crate::support::broker(store.clone(), options).await;
    let topic = broker.topic("orders").unwrap();
    store.hold_syncs();
    let sending = {
        let (broker, topic) = (broker.clone(), topic.clone());
        tokio::spawn(async move { broker.send(&topic, (0..4).map(largest).collect()).await })
    };
    let started = tokio::time::Instant::now();
    crate::support::quiet().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    store.release_syncs();
    let sent = sending.await.unwrap();
    assert!(sent[0].is_ok() && sent[1].is_ok());
    for refused in &sent[2..] {
        let error = refused.as_ref().unwrap_err();
        assert_eq!(error.code, litemq_domain::ErrorCode::Overloaded);
    }
    assert!(started.elapsed() < Duration::from_secs(3), "one wait for all");
    assert!(broker.send(&topic, vec![largest(9)]).await[0].is_ok());
}

/// Time is paused: it jumps ahead as soon as nothing but time can happen.
#[tokio::test(start_paused = true)]
async fn answers_that_nobody_reads_hold_the_next_ones_back_until_they_are_gone() {
    let store = std::sync::Arc::new(litemq_storage::MemoryStore::new());
    drop(World::open(store.clone()).await);
    let options = litemq_server::broker::BrokerOptions {
        answer_bytes_max: PAYLOAD_BYTES_MAX + BODY_BYTES_MAX,
        ..litemq_server::broker::BrokerOptions::default()
    };
    let store = std::sync::Arc::new(store.reopen());
    let broker = crate::support::broker(store, options).await;
    let (topic, group) = (broker.topic("orders").unwrap(), broker.group(GROUP).unwrap());
    let world = World { broker, topic, group };
    for (client, lite_topic, n) in [("slow", "a", 0), ("next", "b", 1)] {
        world.subscribe(client, &[lite_topic]).await;
        let lite_topic = crate::support::lite(lite_topic);
        world.send_message(NewMessage { lite_topic, ..largest(n) }).await.unwrap();
    }
    let unread = world.broker.receive(world.request("slow", Duration::ZERO)).await.unwrap();
    assert_eq!(unread.len(), 1);
    let started = tokio::time::Instant::now();
    assert!(world.receive("next", Duration::from_secs(3)).await.is_empty());
    assert_eq!(started.elapsed(), Duration::from_secs(3), "it waits, and claims nothing");
    let waiting = world.park("next", Duration::from_secs(60)).await;
    drop(unread);
    assert_eq!(waiting.await.unwrap().len(), 1);
}
