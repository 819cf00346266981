//! How far groups are: what is left, how old it is, how long it took.

use std::time::Duration;

use litemq_domain::{GroupOptions, NamePrefix, SubscriptionMode, TagFilter};
use litemq_server::broker::{BrokerOptions, GroupStats, NewGroup, TopBy};
use litemq_server::observe::Snapshot;
use litemq_storage::MemoryStore;

use crate::support::{GROUP, NOW, World, broker, client, group, message, quiet};

async fn stats(world: &World, by: TopBy) -> GroupStats {
    world.broker.group_stats(world.group.name.as_str(), by, 20).await.unwrap()
}

fn names(stats: &GroupStats) -> Vec<&str> {
    stats.top.iter().map(|lite| lite.name.as_str()).collect()
}

/// A lite topic for each letter, the first the oldest, with as many messages as it has in the order.
async fn with_three() -> (std::sync::Arc<MemoryStore>, World) {
    let (store, world) = World::memory().await;
    world.subscribe("c", &["a", "b", "c"]).await;
    for (lite, count) in [("a", 1), ("b", 2), ("c", 3)] {
        for n in 0..count {
            world.send(lite, &n.to_string()).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    (store, world)
}

#[tokio::test(start_paused = true)]
async fn lite_topics_with_the_most_left_and_with_the_oldest_are_told() {
    let (_, world) = with_three().await;
    let by_lag = stats(&world, TopBy::Lag).await;
    assert_eq!(names(&by_lag), ["c", "b", "a"]);
    let backlog = by_lag.backlog;
    assert_eq!((backlog.lag, backlog.in_flight, backlog.lite_topics, by_lag.clients), (6, 0, 3, 1));
    assert_eq!(names(&stats(&world, TopBy::Age).await), ["a", "b", "c"]);
    let received = world.receive("c", NOW).await;
    for delivery in received.iter().filter(|delivery| delivery.lite_topic.as_str() != "b") {
        world.ack(delivery).await.unwrap();
    }
    let left = stats(&world, TopBy::Age).await;
    assert_eq!((left.backlog.lag, left.backlog.in_flight, left.backlog.ready()), (2, 2, 0));
    assert_eq!(names(&left), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn ages_are_those_of_the_stored_messages_also_after_a_restart_and_acks() {
    let (store, world) = with_three().await;
    for acked in ["b", "c"] {
        let mut request = world.request("c", NOW);
        request.per_lite_topic_max = 1;
        for delivery in world.try_receive(request).await.unwrap() {
            if delivery.lite_topic.as_str() == acked {
                world.ack(&delivery).await.unwrap();
            }
        }
        tokio::time::sleep(Duration::from_secs(31)).await;
    }
    let (_, after) = World::after_crash(&store).await;
    for world in [&world, &after] {
        let told = stats(world, TopBy::Age).await;
        assert_eq!(names(&told), ["a", "b", "c"]);
        for lite in &told.top {
            let stored = world.peek(lite.name.as_str()).await.unwrap();
            let oldest = stored.iter().find(|peeked| peeked.offset == lite.oldest_offset).unwrap();
            assert_eq!(lite.oldest_at, Some(oldest.stored_at), "{lite:?}");
        }
        assert_eq!(told.backlog.oldest_at, told.top[0].oldest_at);
        let backlogs = world.broker.backlogs().await.unwrap();
        assert_eq!(backlogs[0].1, told.backlog);
        let described = world.broker.describe_lite("orders", "b").await.unwrap();
        assert_eq!(described.groups[0].oldest_at, told.top[1].oldest_at);
    }
}

#[tokio::test(start_paused = true)]
async fn the_most_left_is_found_among_more_lite_topics_than_a_shard_looks_at_at_once() {
    let options = BrokerOptions { shards: 1, ..BrokerOptions::default() };
    let all = SubscriptionMode::Wildcard(NamePrefix::new("").unwrap());
    let options_of_group = GroupOptions { mode: all, ..GroupOptions::default() };
    let new = NewGroup { options: options_of_group, ..group(GROUP) };
    let world =
        World::of(broker(std::sync::Arc::new(MemoryStore::new()), options).await, new).await;
    let mut messages: Vec<_> =
        (0..2500).map(|n| message(&format!("l{n}"), &format!("m{n}"), "m")).collect();
    for (nth, lite) in ["l2400", "l2400", "l1100", "l7", "l7", "l7"].iter().enumerate() {
        messages.push(message(lite, &format!("more{nth}"), "m"));
    }
    let sent = world.broker.send(&world.topic, messages).await;
    assert!(sent.iter().all(Result::is_ok));
    let told = stats(&world, TopBy::Lag).await;
    assert_eq!((told.backlog.lag, told.backlog.lite_topics), (2506, 2500));
    assert_eq!(names(&told)[..3], ["l7", "l2400", "l1100"]);
    assert_eq!(told.top.len(), 20);
}

/// O4 of the known faults.
#[tokio::test(start_paused = true)]
async fn deleted_lite_topics_are_gone_from_every_figure() {
    let (_, world) = with_three().await;
    world.broker.delete_lite("orders", "c").await.unwrap();
    world.broker.delete_lite("orders", "a").await.unwrap();
    let told = stats(&world, TopBy::Lag).await;
    assert_eq!((told.backlog.lag, told.backlog.lite_topics), (2, 1));
    assert_eq!(names(&told), ["b"]);
    world.broker.delete_lite("orders", "b").await.unwrap();
    let told = stats(&world, TopBy::Age).await;
    assert_eq!((told.backlog, told.top.len()), (Default::default(), 0));
    assert_eq!(world.broker.backlogs().await.unwrap()[0].1, Default::default());
}

/// O6 of the known faults.
#[tokio::test(start_paused = true)]
async fn a_client_is_told_of_with_what_it_has_for_that_group_only() {
    let (_, world) = World::memory().await;
    let other = world.with_group(group("others")).await;
    world.subscribe("c", &["a", "b"]).await;
    other.subscribe("d", &["a"]).await;
    let told = world.broker.group_client(GROUP, &client("c")).await.unwrap();
    let names: Vec<_> = told.names.iter().map(|name| name.as_str()).collect();
    assert_eq!((told.lite_topics, names), (2, vec!["a", "b"]));
    for (group, id) in [("others", "c"), (GROUP, "d"), (GROUP, "nobody")] {
        let told = world.broker.group_client(group, &client(id)).await.unwrap();
        assert_eq!(told, Default::default(), "{id} of {group}");
    }
}

#[tokio::test(start_paused = true)]
async fn delivery_and_processing_take_the_time_they_take() {
    let (_, world) = World::memory().await;
    world.subscribe("c", &["a"]).await;
    world.send("a", "m").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let first = world.receive("c", NOW).await;
    tokio::time::sleep(Duration::from_secs(40)).await;
    let again = world.receive("c", NOW).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    world.ack(&again[0]).await.unwrap();
    world.ack(&again[0]).await.unwrap();
    assert_eq!(first.len(), 1);
    let text = world.broker.metrics().render(&Snapshot::default()).unwrap();
    for (name, sum) in [("delivery", "2.0"), ("processing", "5.0")] {
        let labels = "{topic=\"orders\",consumer_group=\"workers\"}";
        for line in [
            format!("litemq_{name}_latency_seconds_sum{labels} {sum}"),
            format!("litemq_{name}_latency_seconds_count{labels} 1"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in:\n{text}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_the_filter_leaves_out_is_settled_and_counts_as_neither_given_nor_processed()
{
    let (_, world) = World::memory().await;
    world.subscribe("c", &["a"]).await;
    world.send("a", "m").await;
    let mut request = world.request("c", NOW);
    request.filter = TagFilter::AnyOf(vec!["other".to_owned()]);
    assert!(world.try_receive(request).await.unwrap().is_empty());
    quiet().await;
    assert_eq!(stats(&world, TopBy::Lag).await.backlog.lag, 0);
    let text = world.broker.metrics().render(&Snapshot::default()).unwrap();
    let counts: Vec<_> =
        text.lines().filter(|line| line.contains("latency_seconds_count")).collect();
    assert!(!counts.is_empty() && counts.iter().all(|line| line.ends_with(" 0")), "{counts:?}");
}
