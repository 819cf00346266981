//! Nothing is answered, seen or handed out before it is durable.

use std::time::Duration;

use litemq_domain::{DurationMs, ErrorCode, TopicName, TopicOptions};
use litemq_server::broker::{NewTopic, SyncAction};
use litemq_storage::{Lsn, ShardStore};

use crate::support::{NOW, World, bodies, client, code, quiet, receipt};

/// Longer than any wait of a test, shorter than the invisible duration.
const LONG: Duration = Duration::from_secs(20);

#[tokio::test(start_paused = true)]
async fn no_request_is_answered_before_its_sync_and_all_are_after_it() {
    let (store, world) = World::memory().await;
    world.subscribe("c", &["a", "b", "d", "e"]).await;
    for lite in ["a", "b", "d", "e"] {
        world.send(lite, "1").await;
    }
    let mut held = world.receive("c", NOW).await;
    held.extend(world.receive("c", NOW).await);
    held.sort_by(|a, b| a.lite_topic.cmp(&b.lite_topic));
    let [acked, nacked, forwarded, _] = <[_; 4]>::try_from(held).unwrap();
    store.hold_syncs();
    let start = |n: u8| {
        let world = world.clone();
        let (acked, nacked, forwarded) = (acked.clone(), nacked.clone(), forwarded.clone());
        tokio::spawn(async move {
            let (broker, group) = (&world.broker, &world.group);
            match n {
                0 => world.try_send("new", "1").await.map(drop),
                1 => world.ack(&acked).await,
                2 => {
                    let invisible = DurationMs::from_secs(40);
                    let changed =
                        broker.change_invisible(group, receipt(&nacked), invisible, false);
                    changed.await.map(drop)
                }
                3 => broker.dead_letter(group, receipt(&forwarded)).await,
                4 => world.sync("c", SyncAction::PartialAdd, &["f"]).await,
                5 => broker.delete_lite("orders", "e").await,
                6 => {
                    let name = TopicName::new("another").unwrap();
                    broker
                        .create_topic(NewTopic { name, options: TopicOptions::default() })
                        .await
                        .map(drop)
                }
                7 => broker.describe_lite("orders", "a").await.map(drop),
                _ => broker.delete_lite("%DLQ%workers", "d").await,
            }
        })
    };
    let waiting: Vec<_> = (0..8).map(start).collect();
    tokio::time::sleep(LONG).await;
    let answered: Vec<_> = waiting.iter().map(|task| task.is_finished()).collect();
    assert_eq!(answered, [false; 8]);
    store.release_syncs();
    for task in waiting {
        task.await.unwrap().unwrap();
    }
    start(8).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_is_handed_out_only_when_its_lease_is_durable() {
    let (store, world) = World::memory().await;
    world.subscribe("c", &["a"]).await;
    let parked = world.park("c", LONG).await;
    store.hold_syncs();
    let sender = world.clone();
    let sent = tokio::spawn(async move { sender.send("a", "1").await });
    quiet().await;
    let first = store.durable().borrow().durable.0 + 1;
    store.sync(Lsn(first));
    quiet().await;
    assert!(sent.is_finished(), "the message is durable");
    assert!(!parked.is_finished(), "its lease is not");
    store.release_syncs();
    assert_eq!(bodies(&parked.await.unwrap()), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn answers_come_batch_by_batch_in_order() {
    let (store, world) = World::memory().await;
    world.send("a", "0").await;
    let durable = store.durable().borrow().durable.0;
    store.hold_syncs();
    let mut sends = Vec::new();
    for n in 1..=4 {
        let world = world.clone();
        sends.push(tokio::spawn(async move { world.send("a", &n.to_string()).await.offset }));
        quiet().await;
    }
    for n in 1..=4 {
        store.sync(Lsn(durable + n));
        quiet().await;
        let answered = sends.iter().filter(|send| send.is_finished()).count();
        assert_eq!(answered as u64, n);
    }
    for (send, offset) in sends.into_iter().zip(1..) {
        assert_eq!(send.await.unwrap(), offset);
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeat_is_not_confirmed_before_the_first_is_durable() {
    let (store, world) = World::memory().await;
    store.hold_syncs();
    let send = || {
        let world = world.clone();
        tokio::spawn(async move { world.send("a", "1").await })
    };
    let (first, again) = (send(), send());
    tokio::time::sleep(LONG).await;
    assert!(!first.is_finished() && !again.is_finished());
    store.release_syncs();
    let (first, again) = (first.await.unwrap(), again.await.unwrap());
    assert_eq!((first.offset, first.repeated), (0, false));
    assert_eq!((again.offset, again.repeated), (0, true));
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_sync_everybody_is_told_at_once_and_from_then_on() {
    let (store, world) = World::memory().await;
    world.subscribe("c", &["a"]).await;
    world.send("a", "1").await;
    let held = world.receive("c", NOW).await;
    let idle = {
        let world = world.clone();
        tokio::spawn(async move { world.try_receive(world.request("idle", LONG)).await })
    };
    store.hold_syncs();
    let (sender, acker, maker) = (world.clone(), world.clone(), world.clone());
    let first = held[0].clone();
    let sent = tokio::spawn(async move { sender.try_send("a", "2").await });
    let acked = tokio::spawn(async move { acker.ack(&first).await });
    let made = tokio::spawn(async move {
        let name = TopicName::new("another").unwrap();
        maker.broker.create_topic(NewTopic { name, options: TopicOptions::default() }).await
    });
    quiet().await;
    let before = tokio::time::Instant::now();
    store.fail("the disk is gone");
    assert!(world.broker.failed().await.to_string().contains("the disk is gone"));
    assert_eq!(code(sent.await.unwrap()), ErrorCode::StorageFailed);
    assert_eq!(code(acked.await.unwrap()), ErrorCode::StorageFailed);
    assert_eq!(code(made.await.unwrap()), ErrorCode::StorageFailed);
    assert_eq!(code(idle.await.unwrap()), ErrorCode::StorageFailed);
    assert!(before.elapsed() < Duration::from_secs(1), "nobody waited");

    assert!(world.broker.readiness().unwrap_err().contains("the disk is gone"));
    assert_eq!(code(world.try_send("a", "3").await), ErrorCode::StorageFailed);
    assert_eq!(code(world.ack(&held[0]).await), ErrorCode::StorageFailed);
    assert_eq!(code(world.try_receive(world.request("c", LONG)).await), ErrorCode::StorageFailed);
    let synced = world.sync("c", SyncAction::PartialAdd, &["b"]).await;
    assert_eq!(code(synced), ErrorCode::StorageFailed);
    assert_eq!(code(world.peek("a").await), ErrorCode::StorageFailed);
    assert_eq!(code(world.broker.terminate(&client("c")).await), ErrorCode::StorageFailed);
    assert_eq!(code(world.broker.checkpoint().await), ErrorCode::StorageFailed);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_durable_is_not_there_after_a_crash() {
    let (store, world) = World::memory().await;
    world.subscribe("c", &["a"]).await;
    world.send("a", "1").await;
    let held = world.receive("c", NOW).await;
    store.hold_syncs();
    let (sender, acker, adder) = (world.clone(), world.clone(), world.clone());
    let lost = [
        tokio::spawn(async move { sender.try_send("b", "2").await.map(drop) }),
        tokio::spawn(async move { acker.ack(&held[0]).await }),
        tokio::spawn(async move { adder.sync("c", SyncAction::PartialAdd, &["d"]).await }),
    ];
    quiet().await;

    let (_, after) = World::after_crash(&store).await;
    assert_eq!(code(after.peek("b").await), ErrorCode::LiteTopicNotFound);
    after.send("d", "3").await;
    assert_eq!(after.subscriptions("c").await, ["a"]);
    let again = after.receive("c", Duration::from_secs(40)).await;
    assert_eq!(bodies(&again), ["1"], "the ack was not durable");
    assert_eq!(again[0].attempt, 2);
    lost.into_iter().for_each(|task| task.abort());
}

#[tokio::test(start_paused = true)]
async fn everything_answered_is_there_after_a_crash() {
    let (store, world) = World::memory().await;
    world.subscribe("c", &["a", "b"]).await;
    for n in 0..3 {
        world.send("a", &n.to_string()).await;
    }
    let held = world.receive("c", NOW).await;
    world.ack(&held[0]).await.unwrap();
    world.ack(&held[2]).await.unwrap();

    let (_, after) = World::after_crash(&store).await;
    assert_eq!(after.stored("a").await, ["0", "1", "2"]);
    after.ack(&held[2]).await.expect("settled stays settled");
    assert!(after.receive("c", Duration::from_secs(20)).await.is_empty(), "the lease goes on");
    let again = after.receive("c", Duration::from_secs(20)).await;
    assert_eq!(bodies(&again), ["1"], "what was acked behind the gap does not come back");
    assert_eq!(again[0].attempt, 2);
    after.ack(&again[0]).await.unwrap();
    let info = after.broker.describe_lite("orders", "a").await.unwrap();
    assert_eq!(info.groups[0].committed_offset, 3);
}
