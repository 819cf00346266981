//! Messages whose attempts are used up, or that a client gives up.

use std::time::Duration;

use litemq_domain::ErrorCode;
use litemq_server::broker::Peeked;
use litemq_storage::StoreError;

use crate::support::{NOW, World, bodies, code, group, quiet, receipt, text};

const DLQ: &str = "%DLQ%fragile";

/// A group that tries a message twice.
async fn fragile() -> (std::sync::Arc<litemq_storage::MemoryStore>, World) {
    let (store, world) = World::memory().await;
    let mut new = group("fragile");
    new.options.max_attempts = 2;
    let world = world.with_group(new).await;
    world.subscribe("c", &["a"]).await;
    (store, world)
}

async fn letters(world: &World) -> Vec<Peeked> {
    match world.broker.peek(DLQ, "a", None, 100).await {
        Ok(letters) => letters,
        Err(error) => {
            assert_eq!(error.code, ErrorCode::LiteTopicNotFound);
            Vec::new()
        }
    }
}

async fn committed(world: &World) -> u64 {
    let info = world.broker.describe_lite("orders", "a").await.unwrap();
    let group = info.groups.iter().find(|found| found.group == world.group.name).unwrap();
    group.committed_offset
}

/// Receives and fails everything that comes, until nothing comes within `wait`.
async fn fail_all(world: &World, wait: Duration) {
    loop {
        let received = world.receive("c", wait).await;
        if received.is_empty() {
            return;
        }
        for delivery in &received {
            world.nack(delivery).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn used_up_messages_end_in_the_dead_letters_in_order_with_their_origin() {
    let (_, world) = fragile().await;
    for n in 0..5 {
        world.send("a", &n.to_string()).await;
    }
    fail_all(&world, Duration::from_secs(1)).await;
    let letters = letters(&world).await;
    assert_eq!(letters.len(), 5);
    for (n, letter) in letters.iter().enumerate() {
        assert_eq!(text(&letter.message), n.to_string());
        let origin = letter.message.dead_letter.as_ref().unwrap();
        assert_eq!(origin.topic, "orders");
        assert_eq!(origin.message_id, format!("a/{n}"));
        assert_eq!(origin.offset, n as u64);
        assert_eq!(origin.attempts, 2);
    }
    assert_eq!(committed(&world).await, 5);
    assert!(world.receive("c", NOW).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_group_without_order_keeps_the_order_of_dead_letters_too() {
    let (_, world) = World::memory().await;
    let mut new = group("fragile");
    (new.options.max_attempts, new.options.ordered) = (2, false);
    let world = world.with_group(new).await;
    world.subscribe("c", &["a"]).await;
    for n in 0..20 {
        world.send("a", &n.to_string()).await;
    }
    fail_all(&world, Duration::from_secs(1)).await;
    let found: Vec<String> =
        letters(&world).await.iter().map(|letter| text(&letter.message)).collect();
    assert_eq!(found, (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(committed(&world).await, 20);
}

#[tokio::test(start_paused = true)]
async fn a_message_given_up_by_its_client_moves_once() {
    let (_, world) = fragile().await;
    world.send("a", "0").await;
    world.send("a", "1").await;
    let held = world.receive("c", NOW).await;
    for _ in 0..3 {
        world.broker.dead_letter(&world.group, receipt(&held[0])).await.unwrap();
    }
    assert_eq!(letters(&world).await.len(), 1);
    assert_eq!(letters(&world).await[0].message.dead_letter.as_ref().unwrap().attempts, 1);
    assert_eq!(committed(&world).await, 1);
    world.ack(&held[1]).await.unwrap();
    world.broker.dead_letter(&world.group, receipt(&held[1])).await.expect("it is settled");
    assert_eq!(letters(&world).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_moment_of_a_dead_letter_neither_loses_nor_doubles_it() {
    // How many batches become durable before the crash.
    for durable in 0..4 {
        let (store, world) = fragile().await;
        world.send("a", "0").await;
        world.send("a", "1").await;
        let held = world.receive("c", NOW).await;
        let base = litemq_storage::ShardStore::durable(&*store).borrow().durable.0;
        store.hold_syncs();
        let mover = world.clone();
        let moved =
            tokio::spawn(
                async move { mover.broker.dead_letter(&mover.group, receipt(&held[0])).await },
            );
        for step in 1..=durable {
            quiet().await;
            store.sync(litemq_storage::Lsn(base + step));
        }
        quiet().await;
        let is_moved = moved.is_finished();
        let (_, after) = World::after_crash(&store).await;
        let mut new = group("fragile");
        new.options.max_attempts = 2;
        let after = after.with_group(new).await;
        fail_all(&after, Duration::from_secs(45)).await;
        let found: Vec<String> =
            letters(&after).await.iter().map(|letter| text(&letter.message)).collect();
        assert_eq!(found, ["0", "1"], "crash after {durable}, moved: {is_moved}");
        assert_eq!(committed(&after).await, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn on_a_full_disk_a_dead_letter_waits_and_is_not_handed_out_again() {
    let (store, world) = fragile().await;
    world.send("a", "0").await;
    world.send("a", "1").await;
    store.set_admission(Err(StoreError::NoSpace("full".into())));
    fail_all(&world, Duration::from_secs(25)).await;
    assert!(letters(&world).await.is_empty());
    assert_eq!(committed(&world).await, 0, "nothing is given up");
    store.set_admission(Ok(()));
    fail_all(&world, Duration::from_secs(25)).await;
    let attempts: Vec<u32> = letters(&world)
        .await
        .iter()
        .map(|letter| letter.message.dead_letter.as_ref().unwrap().attempts)
        .collect();
    assert_eq!(attempts, [2, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_forward_on_a_full_disk_says_so_and_the_message_comes_back() {
    let (store, world) = fragile().await;
    world.send("a", "0").await;
    let held = world.receive("c", NOW).await;
    store.set_admission(Err(StoreError::NoSpace("full".into())));
    let refused = world.broker.dead_letter(&world.group, receipt(&held[0])).await;
    assert_eq!(code(refused), ErrorCode::StorageFull);
    store.set_admission(Ok(()));
    let again = world.receive("c", Duration::from_secs(20)).await;
    assert_eq!(bodies(&again), ["0"]);
    world.broker.dead_letter(&world.group, receipt(&again[0])).await.unwrap();
    assert_eq!(letters(&world).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_not_durable_yet_is_never_given_up() {
    let (store, world) = World::memory().await;
    let mut new = group("fragile");
    new.options.max_attempts = 1;
    let world = world.with_group(new).await;
    world.subscribe("c", &["a"]).await;
    store.hold_syncs();
    let sender = world.clone();
    let sent = tokio::spawn(async move { sender.try_send("a", "0").await });
    // Claimed, given up by the receive, and its lease has ended: all before the message is durable.
    assert!(world.receive("c", NOW).await.is_empty());
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert!(world.receive("c", NOW).await.is_empty());
    store.release_syncs();
    sent.await.unwrap().unwrap();
    fail_all(&world, Duration::from_secs(45)).await;
    assert_eq!(letters(&world).await.len(), 1, "it is in the dead letters, not lost");
}
