//! A full disk stops what fills it and nothing else, and is over when space returns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use litemq_domain::{DurationMs, ErrorCode};
use litemq_server::broker::SyncAction;
use litemq_storage::{LogOptions, StoreError};

use crate::folder::{NarrowDisk, open_on, small};
use crate::stingy::StingyStore;
use crate::support::{NOW, World, bodies, code, quiet, receipt, until};

const LONG: Duration = Duration::from_secs(20);

fn no_space() -> StoreError {
    StoreError::NoSpace("test".to_owned())
}

#[tokio::test(start_paused = true)]
async fn sends_are_refused_and_everything_else_goes_on() {
    let (store, world) = World::memory().await;
    world.subscribe("c", &["a"]).await;
    for n in 0..3 {
        world.send("a", &n.to_string()).await;
    }
    store.set_admission(Err(no_space()));
    assert_eq!(code(world.try_send("a", "3").await), ErrorCode::StorageFull);
    assert_eq!(code(world.try_send("new", "1").await), ErrorCode::StorageFull);
    let held = world.receive("c", NOW).await;
    assert_eq!(bodies(&held), ["0", "1", "2"]);
    world.ack(&held[0]).await.unwrap();
    let changed =
        world.broker.change_invisible(&world.group, receipt(&held[1]), DurationMs(0), false);
    changed.await.unwrap();
    assert_eq!(world.receive("c", NOW).await[0].attempt, 2);
    world.sync("c", SyncAction::CompleteAdd, &["a", "b"]).await.unwrap();
    assert_eq!(world.stored("a").await.len(), 3);
    assert!(world.broker.readiness().is_ok());
    store.set_admission(Ok(()));
    assert_eq!(world.send("a", "3").await.offset, 3);
    assert_eq!(code(world.peek("new").await), ErrorCode::LiteTopicNotFound);
}

#[tokio::test(start_paused = true)]
async fn a_busy_disk_refuses_with_a_code_that_says_try_again() {
    let (store, world) = World::memory().await;
    store.set_admission(Err(StoreError::Overloaded));
    assert_eq!(code(world.try_send("a", "1").await), ErrorCode::Overloaded);
    store.set_admission(Ok(()));
    assert_eq!(world.send("a", "1").await.offset, 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_store_does_not_take_is_kept_and_nothing_passes_it() {
    for refusal in [no_space(), StoreError::Overloaded] {
        let store = StingyStore::new();
        let world = World::open(store.clone()).await;
        world.subscribe("c", &["a"]).await;
        for n in 0..3 {
            world.send("a", &n.to_string()).await;
        }
        let held = world.receive("c", NOW).await;
        let abandoned = world.broker.receive(world.request("c", NOW)).await.unwrap();
        store.refuse(Some(refusal.clone()));
        let (acker, first) = (world.clone(), held[0].clone());
        let acked = tokio::spawn(async move { acker.ack(&first).await });
        quiet().await;
        drop(abandoned);
        let expected = match &refusal {
            StoreError::Overloaded => ErrorCode::Overloaded,
            _ => ErrorCode::StorageFull,
        };
        assert_eq!(code(world.ack(&held[1]).await), expected);
        assert_eq!(code(world.try_send("a", "3").await), expected);
        assert_eq!(code(world.peek("a").await), expected);
        assert_eq!(code(world.broker.checkpoint().await), expected);
        let gone = world.broker.dead_letter(&world.group, receipt(&held[2])).await;
        assert_eq!(code(gone), expected);
        // Leases that end meanwhile are dealt with afterwards.
        tokio::time::sleep(2 * LONG).await;
        assert!(!acked.is_finished(), "not answered before it is durable");
        assert!(world.broker.readiness().is_ok(), "it will go on");

        store.refuse(None);
        acked.await.unwrap().unwrap();
        assert_eq!(world.send("a", "3").await.offset, 3);
        let again = world.receive("c", LONG).await;
        assert_eq!(bodies(&again), ["1", "2", "3"]);
        for delivery in &again {
            world.ack(delivery).await.unwrap();
        }
        world.broker.checkpoint().await.unwrap();
        let (_, after) = World::after_crash(&store.memory).await;
        assert_eq!(after.stored("a").await.len(), 4);
        let info = after.broker.describe_lite("orders", "a").await.unwrap();
        assert_eq!(info.groups[0].committed_offset, 4);
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_the_store_calls_invalid_ends_the_broker_and_everybody_knows() {
    let store = StingyStore::new();
    let world = World::open(store.clone()).await;
    store.refuse(Some(StoreError::Invalid("test".to_owned())));
    let sent = world.try_send("a", "1").await;
    assert_eq!(code(sent), ErrorCode::Internal);
    assert!(matches!(world.broker.failed().await, StoreError::Invalid(_)));
    assert!(world.broker.readiness().is_err());
    assert!(world.try_receive(world.request("c", LONG)).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_disk_that_is_really_full_consumers_go_on_and_sends_return_with_the_space() {
    let folder = tempfile::tempdir().unwrap();
    let disk = NarrowDisk::new();
    let store = open_on(disk.clone(), folder.path(), &small()).await;
    let world = World::open(store).await;
    world.subscribe("c", &["a"]).await;
    disk.set_free(0);
    let body = "x".repeat(16 << 10);
    let mut stored = 0;
    loop {
        match world.try_send("a", &format!("{stored}-{body}")).await {
            Ok(sent) => {
                assert_eq!(sent.offset, stored);
                stored += 1;
            }
            Err(error) if error.code == ErrorCode::StorageFull => break,
            // The next segment may be on its way.
            Err(error) => assert_eq!(error.code, ErrorCode::Overloaded, "{error}"),
        }
        assert!(stored < 1000, "the disk is never full");
    }
    assert!(stored > 10);
    for _ in 0..2 {
        let held = world.receive("c", Duration::from_secs(10)).await;
        for delivery in &held {
            world.ack(delivery).await.unwrap();
        }
    }
    world.subscribe("c", &["b"]).await;
    assert_eq!(world.peek("a").await.unwrap().len() as u64, stored);
    assert_eq!(code(world.try_send("a", &body).await), ErrorCode::StorageFull);
    disk.set_free(1 << 40);
    until(|| async { world.try_send("a", &body).await.is_ok() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_even_the_reserve_is_used_up_requests_wait_for_space_and_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let disk = NarrowDisk::new();
    let options = LogOptions { segment_bytes: 64 << 10, reserve_bytes: 16 << 10, ..small() };
    let store = open_on(disk.clone(), folder.path(), &options).await;
    let world = World::open(store.clone()).await;
    world.subscribe("c", &["a"]).await;
    world.send("a", "1").await;
    disk.set_free(0);
    let is_over = Arc::new(AtomicBool::new(false));
    let (busy, over) = (world.clone(), is_over.clone());
    let changes = tokio::spawn(async move {
        // Each change is a batch.
        for n in 0.. {
            let action = [SyncAction::PartialAdd, SyncAction::PartialRemove][n % 2];
            match busy.sync("c", action, &["b"]).await {
                Ok(()) if over.load(Ordering::Relaxed) => return,
                Ok(()) => {}
                Err(error) => assert_eq!(error.code, ErrorCode::StorageFull, "{error}"),
            }
        }
    });
    // A look that comes together with the change that is held up waits with it; the next is refused.
    let is_refused = |lite| {
        let look = world.broker.describe_lite("orders", lite);
        let look = tokio::time::timeout(Duration::from_secs(1), look);
        async move {
            look.await
                .is_ok_and(|looked| looked.is_err_and(|error| error.code == ErrorCode::StorageFull))
        }
    };
    until(|| async { is_refused("a").await || is_refused("b").await }).await;
    assert!(world.broker.readiness().is_ok());
    disk.set_free(1 << 40);
    is_over.store(true, Ordering::Relaxed);
    changes.await.unwrap();
    until(|| async { world.try_send("a", "2").await.is_ok() }).await;
    assert_eq!(world.stored("a").await, ["1", "2"]);
    until(|| async { world.sync("c", SyncAction::CompleteAdd, &["a"]).await.is_ok() }).await;
    let received = world.receive("c", LONG).await;
    assert_eq!(bodies(&received), ["1", "2"]);
    drop(store);
}
