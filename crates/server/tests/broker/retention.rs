//! Messages that were removed by age: who was behind goes on with the first that is left.

use std::time::Duration;

use litemq_domain::What;
use litemq_server::broker::Wanted;
use litemq_storage::ShardStore;

use crate::folder::{crash, open, small};
use crate::support::{NOW, World, bodies, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_and_peeks_behind_go_on_with_the_first_message_that_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &small()).await;
    let world = World::open(store.clone()).await;
    world.subscribe("c", &["a", "old"]).await;
    world.send("old", "0").await;
    let body = "x".repeat(32 << 10);
    for n in 0..100 {
        // The next segment may be on its way.
        until(|| async { world.try_send("a", &format!("{n}-{body}")).await.is_ok() }).await;
    }
    // A message in flight, one that failed, and the rest waiting.
    let mut held = world.receive("c", NOW).await;
    held.extend(world.receive("c", NOW).await);
    let held: Vec<_> = held.into_iter().filter(|d| d.lite_topic.as_str() == "a").collect();
    world.ack(&held[0]).await.unwrap();
    for delivery in &held[1..] {
        world.nack(delivery).await;
    }

    world.broker.checkpoint().await.unwrap();
    let first_left = || async { world.peek("a").await.unwrap().first().map_or(0, |m| m.offset) };
    until(|| async {
        store.retain_after(u64::MAX).unwrap();
        first_left().await > held.len() as u64
    })
    .await;
    let first = first_left().await;
    let peeked = world.broker.peek("orders", "a", Some(1), 3).await.unwrap();
    assert_eq!(peeked[0].offset, first, "from an offset that is gone");

    let received = world.receive("c", Duration::from_secs(10)).await;
    assert_eq!(received[0].offset, first);
    assert_eq!(received[0].attempt, 1);
    for delivery in &received {
        world.ack(delivery).await.unwrap();
    }
    world.ack(&held[1]).await.expect("what is gone is settled");
    let info = world.broker.describe_lite("orders", "a").await.unwrap();
    assert_eq!(info.first_offset, first);
    assert_eq!(info.groups[0].committed_offset, first + received.len() as u64);

    let wanted = Wanted::Id(format!("a/0-{body}"));
    let traced = world.broker.trace("orders", Some("a"), &wanted, None).await.unwrap();
    let last = traced.messages[0].events.last().map(|event| event.what);
    assert!(matches!(last, Some(What::PastRetention(_))), "{last:?}");

    let after = crash(world, store, folder.path()).await;
    assert_eq!(after.peek("a").await.unwrap()[0].offset, first);
    until(|| async { after.try_send("a", "last").await.is_ok() }).await;
    let rest = after.receive("c", Duration::from_secs(10)).await;
    assert_eq!(rest[0].offset, first + received.len() as u64);
    assert_eq!(after.peek("a").await.unwrap().last().unwrap().offset, 100);
}

#[tokio::test(start_paused = true)]
async fn a_lite_topic_of_which_nothing_is_left_takes_and_delivers_again() {
    let (store, world) = World::memory().await;
    world.subscribe("c", &["a"]).await;
    for n in 0..3 {
        world.send("a", &n.to_string()).await;
    }
    let held = world.receive("c", NOW).await;
    store.retain_after(u64::MAX).unwrap();
    world.nack(&held[0]).await;
    assert!(world.receive("c", Duration::from_secs(1)).await.is_empty());
    assert!(world.stored("a").await.is_empty());
    assert_eq!(world.send("a", "3").await.offset, 3);
    assert_eq!(bodies(&world.receive("c", NOW).await), ["3"]);
    let (_, after) = World::after_crash(&store).await;
    assert_eq!(after.send("a", "4").await.offset, 4);
}
