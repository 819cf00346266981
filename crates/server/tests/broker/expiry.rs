//! Lite topics that come to the end of their lives, and who hears of it.

use std::sync::Arc;
use std::time::Duration;

use litemq_domain::limits::EXPIRY_GRACE;
use litemq_domain::{DurationMs, ErrorCode, PINNED, Protection, Timestamp};
use litemq_server::broker::SyncAction::{CompleteAdd, PartialAdd};
use litemq_server::broker::{
    BrokerOptions, Edge, LifetimeOrder, NewMessage, Notice, TTL_PROPERTY, TopicChange,
};
use litemq_storage::{MemoryStore, ShardStore};
use tokio::time::sleep;

use crate::support::{GROUP, NOW, TOPIC, World, bodies, broker, code, group, lite, message};

const MINUTE: DurationMs = DurationMs::from_secs(60);
/// How late a removal may be.
const SLACK: Duration = Duration::from_secs(5);

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

async fn change(world: &World, change: TopicChange) {
    world.broker.update_topic(TOPIC, change).await.unwrap();
}

fn ttl(ttl: DurationMs) -> TopicChange {
    TopicChange { ttl: Some(Some(ttl)), ..TopicChange::default() }
}

async fn listed(world: &World) -> Vec<String> {
    let listed = world.broker.list_lite(TOPIC, "", None, 1000).await.unwrap();
    listed.into_iter().map(|info| info.name.to_string()).collect()
}

/// A broker whose system has this time of day.
async fn at(store: Arc<dyn ShardStore>, wall_time: u64) -> World {
    let edge = Edge::Given { wall_time: Timestamp(wall_time), hash_key: [7; 16] };
    let options = BrokerOptions { edge, ..BrokerOptions::default() };
    let broker = broker(store, options).await;
    match (broker.topic(TOPIC), broker.group(GROUP)) {
        (Ok(topic), Ok(group)) => World { broker, topic, group },
        _ => World::of(broker, group(GROUP)).await,
    }
}

#[tokio::test(start_paused = true)]
async fn a_lite_topic_goes_within_seconds_of_its_time_and_gives_everything_back() {
    let (_, world) = World::memory().await;
    change(&world, ttl(MINUTE)).await;
    world.subscribe("c", &["a", "b"]).await;
    world.send("a", "1").await;
    let stream = world.telemetry("c");
    sleep(secs(50)).await;
    world.send("b", "1").await;
    sleep(secs(9)).await;
    assert_eq!(listed(&world).await, ["a", "b"]);
    sleep(secs(1) + SLACK).await;
    assert_eq!(listed(&world).await, ["b"]);
    assert_eq!(world.broker.lite_count(&world.topic), 1);
    assert_eq!(world.broker.subscription_count(), 1);
    assert_eq!(stream.next_notice().await, Notice::Unsubscribed(lite("a")));
    assert_eq!(world.broker.sessions().notices(), (1, 0));
    let metrics = world.broker.metrics().render(&Default::default()).unwrap();
    for line in [
        "litemq_lite_topics_created_total{topic=\"orders\"} 2",
        "litemq_lite_topics_expired_total{topic=\"orders\"} 1",
        "litemq_lite_topics_removed_total{topic=\"orders\"} 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_ignores_the_notice_has_the_next_life_with_its_next_full_sync() {
    let (_, world) = World::memory().await;
    change(&world, ttl(MINUTE)).await;
    world.subscribe("c", &["a"]).await;
    world.send("a", "old").await;
    sleep(secs(60) + SLACK).await;
    assert!(listed(&world).await.is_empty());
    world.sync("c", CompleteAdd, &["a"]).await.unwrap();
    assert!(listed(&world).await.is_empty(), "a mere name is no lite topic");
    world.send("a", "new").await;
    assert_eq!(bodies(&world.receive("c", NOW).await), ["new"]);
}

#[tokio::test(start_paused = true)]
async fn a_removal_by_hand_ends_subscriptions_and_tells_their_clients() {
    let (_, world) = World::memory().await;
    let other = world.with_group(group("others")).await;
    world.subscribe("c", &["a", "b"]).await;
    other.subscribe("d", &["a"]).await;
    world.send("a", "1").await;
    let streams = ["c", "d"].map(|id| world.telemetry(id));
    world.broker.delete_lite(TOPIC, "a").await.unwrap();
    assert_eq!(world.broker.subscription_count(), 1);
    for stream in streams {
        assert_eq!(stream.next_notice().await, Notice::Unsubscribed(lite("a")));
    }
    world.send("a", "2").await;
    assert!(world.receive("c", NOW).await.is_empty());
    // What was added just before the removal is not kept in a full sync without it.
    world.sync("c", CompleteAdd, &["b"]).await.unwrap();
    assert!(world.receive("c", NOW).await.is_empty());
    assert_eq!(world.broker.subscription_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_does_not_become_durable_is_told_to_nobody() {
    let (store, world) = World::memory().await;
    world.subscribe("c", &["a"]).await;
    world.send("a", "1").await;
    let stream = world.telemetry("c");
    store.hold_syncs();
    let (broker, told) = (Arc::clone(&world.broker), stream.next_notice());
    let removal = tokio::spawn(async move { broker.delete_lite(TOPIC, "a").await });
    assert!(tokio::time::timeout(secs(10), told).await.is_err());
    store.release_syncs();
    removal.await.unwrap().unwrap();
    assert_eq!(stream.next_notice().await, Notice::Unsubscribed(lite("a")));
}

#[tokio::test(start_paused = true)]
async fn time_that_passed_while_the_broker_was_down_counts_after_a_grace() {
    let store = Arc::new(MemoryStore::new());
    let start = 1_700_000_000_000;
    let world = at(Arc::clone(&store) as _, start).await;
    change(&world, ttl(MINUTE)).await;
    world.send("a", "1").await;
    let later = at(Arc::new(store.reopen()), start + 3_600_000).await;
    let grace = Duration::from_millis(EXPIRY_GRACE.0);
    sleep(grace - secs(1)).await;
    assert_eq!(listed(&later).await, ["a"], "clients have time to come back");
    sleep(secs(1) + SLACK).await;
    assert!(listed(&later).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_system_clock_that_went_back_removes_nothing_early_and_nothing_late() {
    let store = Arc::new(MemoryStore::new());
    let start = 1_700_000_000_000;
    let world = at(Arc::clone(&store) as _, start).await;
    change(&world, ttl(MINUTE)).await;
    world.send("a", "1").await;
    let back = at(Arc::new(store.reopen()), start - 3_600_000).await;
    sleep(secs(59)).await;
    assert_eq!(listed(&back).await, ["a"]);
    sleep(secs(1) + SLACK).await;
    assert!(listed(&back).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn options_hold_for_lite_topics_that_are_there() {
    let (_, world) = World::memory().await;
    world.subscribe("c", &["a", "b"]).await;
    for name in ["a", "b", "x"] {
        world.send(name, "1").await;
    }
    let options = TopicChange { keep_undelivered: Some(true), ..ttl(MINUTE) };
    change(&world, options).await;
    sleep(secs(60) + SLACK).await;
    assert_eq!(listed(&world).await, ["a", "b", "x"]);
    let info = world.broker.describe_lite(TOPIC, "a").await.unwrap();
    assert_eq!(info.protection, Some(Protection::Undelivered));
    for delivery in world.receive("c", NOW).await {
        world.ack(&delivery).await.unwrap();
    }
    sleep(SLACK).await;
    assert_eq!(listed(&world).await, ["x"], "what was settled goes");
    change(&world, TopicChange { keep_undelivered: Some(false), ..TopicChange::default() }).await;
    sleep(SLACK).await;
    assert!(listed(&world).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_first_message_may_give_its_lite_topic_a_time_to_live() {
    let (_, world) = World::memory().await;
    let with = |name: &str, ttl: &str| {
        let mut new = message(name, &format!("{name}/{ttl}"), "1");
        new.message.user_properties.insert(TTL_PROPERTY.to_owned(), ttl.to_owned());
        new
    };
    for wrong in ["0", "soon", "43201"] {
        let refused = world.send_message(with("a", wrong)).await;
        assert_eq!(code(refused), ErrorCode::PropertyKeyIllegal, "{wrong}");
    }
    assert!(listed(&world).await.is_empty(), "nothing was stored");
    world.send_message(with("a", "2")).await.unwrap();
    world.send_message(with("a", "-1")).await.unwrap();
    world.send("b", "1").await;
    let info = world.broker.describe_lite(TOPIC, "a").await.unwrap();
    assert_eq!((info.ttl, info.own.ttl), (Some(DurationMs::from_secs(120)), Some(info.ttl)));
    sleep(secs(120) + SLACK).await;
    assert_eq!(listed(&world).await, ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_lite_topic_is_created_ahead_extended_and_pinned() {
    let (_, world) = World::memory().await;
    change(&world, ttl(MINUTE)).await;
    let broker = &world.broker;
    let made = broker.create_lite(TOPIC, &lite("a"), None).await.unwrap();
    assert_eq!((made.next_offset, made.last_send_at), (0, None));
    assert_eq!(made.expires_at.map(|at| at.since(made.created_at) >= MINUTE), Some(true));
    broker.create_lite(TOPIC, &lite("b"), None).await.unwrap();
    let extended = [LifetimeOrder::Extend(DurationMs::from_secs(600))];
    let info = broker.change_lifetime(TOPIC, "a", &extended).await.unwrap();
    assert!(info.own.keep_until > broker.now());
    sleep(secs(60) + SLACK).await;
    assert_eq!(listed(&world).await, ["a"]);
    let pinned = broker.change_lifetime(TOPIC, "a", &[LifetimeOrder::Pin]).await.unwrap();
    assert_eq!((pinned.own.keep_until, pinned.expires_at), (PINNED, None));
    sleep(secs(3600)).await;
    assert_eq!(listed(&world).await, ["a"]);
    broker.change_lifetime(TOPIC, "a", &[LifetimeOrder::Unpin]).await.unwrap();
    sleep(SLACK).await;
    assert!(listed(&world).await.is_empty());
    let gone = broker.change_lifetime(TOPIC, "a", &[LifetimeOrder::Pin]).await;
    assert_eq!(code(gone), ErrorCode::LiteTopicNotFound);
    let long = [LifetimeOrder::Extend(DurationMs::from_hours(721))];
    assert_eq!(code(broker.change_lifetime(TOPIC, "a", &long).await), ErrorCode::BadRequest);
    let letters = broker.create_lite("%DLQ%workers", &lite("a"), None).await;
    assert_eq!(code(letters), ErrorCode::BadRequest);
}

#[tokio::test(start_paused = true)]
async fn a_server_may_allow_fewer_times_to_live() {
    let options = BrokerOptions {
        ttl_min: DurationMs::from_secs(30 * 60),
        ttl_max: DurationMs::from_hours(12),
        ..BrokerOptions::default()
    };
    let store = Arc::new(MemoryStore::new());
    let world = World::of(broker(store, options).await, group(GROUP)).await;
    let update = |minutes| world.broker.update_topic(TOPIC, ttl(DurationMs(minutes * MINUTE.0)));
    for (minutes, fits) in [(29, false), (30, true), (720, true), (721, false)] {
        assert_eq!(update(minutes).await.is_ok(), fits, "{minutes}");
    }
    let never = TopicChange { ttl: Some(None), ..TopicChange::default() };
    world.broker.update_topic(TOPIC, never).await.unwrap();
    let own = world.broker.create_lite(TOPIC, &lite("a"), Some(Some(MINUTE))).await;
    assert_eq!(code(own), ErrorCode::BadRequest);
    let mut first = message("a", "a/1", "1");
    first.message.user_properties.insert(TTL_PROPERTY.to_owned(), "29".to_owned());
    assert_eq!(code(world.send_message(first).await), ErrorCode::PropertyKeyIllegal);
}

#[tokio::test(start_paused = true)]
async fn many_that_are_due_at_once_go_while_requests_are_served() {
    let (_, world) = World::memory().await;
    change(&world, ttl(MINUTE)).await;
    let count: u64 = 5000;
    let new = |n: u64| message(&format!("l{n}"), &format!("m{n}"), "1");
    let messages: Vec<NewMessage> = (0..count).map(new).collect();
    for sent in world.broker.send(&world.topic, messages).await {
        sent.unwrap();
    }
    world.sync("c", PartialAdd, &["l1"]).await.unwrap();
    // All are due, and no tick was yet.
    tokio::time::advance(secs(61)).await;
    let mut served = 0;
    while world.broker.lite_count(&world.topic) > served {
        world.send(&format!("fresh{served}"), "1").await;
        served += 1;
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(served < count, "nothing expires while requests come");
    }
    assert!(served > 1, "all went in one go");
    assert!(world.broker.audit().await.unwrap().is_empty());
}
