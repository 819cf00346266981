//! Groups moved to other places of their lite topics, by clients and by people.

use std::ops::Range;
use std::time::Duration;

use litemq_domain::{ErrorCode, Result, Timestamp};
use litemq_server::broker::{Delivery, Start, SyncAction};

use crate::support::{GROUP, NOW, World, bodies, client, code, lite};

impl World {
    async fn subscribe_from(&self, id: &str, names: &[&str], start: Start) -> Result<()> {
        let names = names.iter().map(|name| lite(name)).collect();
        self.broker.subscribe_from(&client(id), &self.group, names, start).await
    }

    /// Messages a second apart; the moment of the first.
    async fn send_some(&self, name: &str, numbers: Range<u64>) -> Timestamp {
        let first = self.broker.now();
        for n in numbers {
            self.send(name, &format!("{name}{n}")).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        first
    }

    async fn take(&self, id: &str) -> Vec<Delivery> {
        let given = self.receive(id, NOW).await;
        for delivery in &given {
            self.ack(delivery).await.unwrap();
        }
        given
    }
}

fn later(at: Timestamp, ms: u64) -> Start {
    Start::Time(Timestamp(at.0 + ms))
}

#[tokio::test(start_paused = true)]
async fn a_subscription_starts_at_the_first_message_since_a_moment() {
    let (_, world) = World::memory().await;
    let first = world.send_some("a", 0..40).await;
    for (n, (ms, expected)) in
        [(0, 0), (1, 1), (1000, 1), (17_500, 18), (39_000, 39), (39_001, 40), (1 << 50, 40)]
            .into_iter()
            .enumerate()
    {
        let world = world.with_group(crate::support::group(&format!("g{n}"))).await;
        world.subscribe_from("c", &["a"], later(first, ms)).await.unwrap();
        let info = world.broker.describe_lite("orders", "a").await.unwrap();
        let own = info.groups.iter().find(|found| found.group == world.group.name);
        assert_eq!(own.unwrap().committed_offset, expected, "{ms} ms");
    }
    world.subscribe_from("c", &["a"], Start::Time(Timestamp(0))).await.unwrap();
    assert_eq!(world.receive("c", NOW).await[0].offset, 0);
}

#[tokio::test(start_paused = true)]
async fn each_lite_topic_of_a_request_starts_at_its_own_message_of_that_moment() {
    let (_, world) = World::memory().await;
    world.send_some("a", 0..5).await;
    let middle = world.send_some("b", 0..5).await;
    world.send_some("a", 5..7).await;
    let names = ["a", "b", "nothing-yet"];
    world.subscribe_from("c", &names, later(middle, 2000)).await.unwrap();
    let mut given = bodies(&world.take("c").await);
    given.sort();
    assert_eq!(given, ["a5", "a6", "b2", "b3", "b4"]);
    world.send("nothing-yet", "first").await;
    assert_eq!(bodies(&world.take("c").await), ["first"]);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_refused_for_its_quota_moves_nothing() {
    let (_, world) = World::memory().await;
    let mut narrow = crate::support::group("narrow");
    narrow.options.client_quota = Some(1);
    let world = world.with_group(narrow).await;
    world.send_some("a", 0..3).await;
    world.subscribe("c", &["a"]).await;
    assert_eq!(world.take("c").await.len(), 3);
    let refused = world.subscribe_from("c", &["a", "b"], Start::Oldest).await;
    assert_eq!(code(refused), ErrorCode::LiteSubscriptionQuotaExceeded);
    assert!(world.take("c").await.is_empty());
    world.subscribe_from("c", &["a"], Start::Tail(1)).await.unwrap();
    assert_eq!(bodies(&world.take("c").await), ["a2"]);
}

#[tokio::test(start_paused = true)]
async fn a_full_sync_continues_where_the_group_is() {
    let (_, world) = World::memory().await;
    world.send_some("a", 0..3).await;
    world.subscribe_from("c", &["a"], Start::Newest).await.unwrap();
    world.sync("c", SyncAction::CompleteAdd, &["a"]).await.unwrap();
    assert!(world.take("c").await.is_empty());
    world.send("a", "new").await;
    assert_eq!(bodies(&world.take("c").await), ["new"]);
}

#[tokio::test(start_paused = true)]
async fn a_group_is_moved_in_one_lite_topic_or_in_all_it_consumes_by_offset_and_by_time() {
    let (store, world) = World::memory().await;
    let first = world.send_some("a", 0..4).await;
    world.send_some("b", 0..4).await;
    world.send_some("c", 0..4).await;
    world.subscribe("c1", &["a", "b"]).await;
    assert_eq!(world.take("c1").await.len(), 8);
    let reset = |name, start| world.broker.reset_group(GROUP, name, start);
    assert_eq!(reset(Some("a"), Start::Offset(3)).await.unwrap(), 1);
    assert_eq!(bodies(&world.take("c1").await), ["a3"]);
    assert_eq!(reset(None, later(first, 3000)).await.unwrap(), 2, "nobody consumes the third");
    assert_eq!(world.take("c1").await.len(), 5);
    assert_eq!(reset(None, Start::Tail(1)).await.unwrap(), 2);
    let held = world.receive("c1", NOW).await;
    assert_eq!(held.len(), 2);
    assert_eq!(reset(None, Start::Oldest).await.unwrap(), 2);
    assert_eq!(code(world.ack(&held[0]).await), ErrorCode::ReceiptHandleInvalid);
    let (_, after) = World::after_crash(&store).await;
    assert_eq!(after.take("c1").await.len(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_reset_of_what_is_not_there_says_so_and_changes_nothing() {
    let (_, world) = World::memory().await;
    world.subscribe("c1", &["a"]).await;
    for (group, name, expected) in [
        ("unknown", None, ErrorCode::ConsumerGroupNotFound),
        (GROUP, Some("a"), ErrorCode::LiteTopicNotFound),
        (GROUP, Some("a/b"), ErrorCode::LiteTopicIllegal),
    ] {
        let outcome = world.broker.reset_group(group, name, Start::Newest).await;
        assert_eq!(code(outcome), expected);
    }
    assert_eq!(world.broker.reset_group(GROUP, None, Start::Newest).await.unwrap(), 0);
    world.send("a", "m").await;
    assert_eq!(bodies(&world.take("c1").await), ["m"]);
}

#[tokio::test(start_paused = true)]
async fn a_group_with_many_lite_topics_is_moved_in_parts() {
    let (_, world) = World::memory().await;
    let names: Vec<String> = (0..1500).map(|n| format!("l{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for name in &names {
        world.send(name, "m").await;
    }
    world.subscribe("c1", &names).await;
    let moved = world.broker.reset_group(GROUP, None, Start::Newest).await.unwrap();
    assert_eq!(moved, 1500);
    assert!(world.take("c1").await.is_empty());
    let moved = world.broker.reset_group(GROUP, None, Start::Oldest).await.unwrap();
    assert_eq!(moved, 1500);
    assert_eq!(world.take("c1").await.len(), 32);
}
