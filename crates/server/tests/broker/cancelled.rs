//! Callers that go away in the middle.

use std::time::Duration;

use litemq_domain::{ErrorCode, TopicName, TopicOptions};
use litemq_server::broker::{NewTopic, SyncAction};

use crate::support::{NOW, World, bodies, client, code, group, quiet, receipt};

const LONG: Duration = Duration::from_secs(20);

#[tokio::test(start_paused = true)]
async fn a_receive_that_ends_while_it_waits_takes_nothing() {
    let (_, world) = World::memory().await;
    world.subscribe("c", &["a"]).await;
    let gone = world.park("c", LONG).await;
    let stays = world.park("c", LONG).await;
    gone.abort();
    quiet().await;
    assert_eq!(world.broker.parked_receives(), 1);
    world.send("a", "1").await;
    let received = stays.await.unwrap();
    assert_eq!((bodies(&received), received[0].attempt), (vec!["1".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn a_receive_that_ends_while_it_claims_gives_everything_back() {
    let (store, world) = World::memory().await;
    world.subscribe("c", &["a", "b"]).await;
    world.send("a", "1").await;
    world.send("b", "2").await;
    store.hold_syncs();
    let gone = world.park("c", LONG).await;
    gone.abort();
    quiet().await;
    store.release_syncs();
    let mut received = world.receive("c", LONG).await;
    received.extend(world.receive("c", NOW).await);
    let mut found = bodies(&received);
    found.sort();
    assert_eq!(found, ["1", "2"]);
    assert!(received.iter().all(|delivery| delivery.attempt == 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_taken_out_of_an_answer_goes_back() {
    let (_, world) = World::memory().await;
    world.subscribe("c", &["a"]).await;
    for n in 0..4 {
        world.send("a", &n.to_string()).await;
    }
    let mut deliveries = world.broker.receive(world.request("c", NOW)).await.unwrap();
    let first = deliveries.take_next().unwrap();
    drop(deliveries);
    world.ack(&first).await.unwrap();
    let rest = world.receive("c", LONG).await;
    assert_eq!(bodies(&rest), ["1", "2", "3"]);
    assert!(rest.iter().all(|delivery| delivery.attempt == 1));
}

#[tokio::test(start_paused = true)]
async fn a_topic_whose_creator_went_away_is_there_whole_and_its_number_is_its_own() {
    let (store, world) = World::memory().await;
    let new = |name: &str| NewTopic {
        name: TopicName::new(name).unwrap(),
        options: TopicOptions::default(),
    };
    store.hold_syncs();
    let gone = world.broker.create_topic(new("first"));
    assert!(tokio::time::timeout(LONG, gone).await.is_err());
    store.release_syncs();
    quiet().await;
    let first = world.broker.topic("first").expect("it was begun and has come to its end").id;
    let second = world.broker.create_topic(new("second")).await.unwrap().id;
    assert_ne!(first, second);
    let (_, after) = World::after_crash(&store).await;
    assert_eq!(after.broker.topic("first").unwrap().id, first);
    assert_eq!(after.broker.topic("second").unwrap().id, second);
}

#[tokio::test(start_paused = true)]
async fn a_topic_whose_deletion_was_begun_takes_no_messages_that_would_be_lost() {
    let (store, world) = World::memory().await;
    let name = TopicName::new("short-lived").unwrap();
    let topic = world
        .broker
        .create_topic(NewTopic { name, options: TopicOptions::default() })
        .await
        .unwrap();
    let short = World { topic, ..world.clone() };
    store.hold_syncs();
    let gone = world.broker.delete_topic("short-lived");
    assert!(tokio::time::timeout(LONG, gone).await.is_err());
    store.release_syncs();
    quiet().await;
    assert_eq!(code(short.try_send("a", "1").await), ErrorCode::TopicNotFound);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_change_whose_caller_went_away_is_counted_exactly() {
    let (store, world) = World::memory().await;
    let mut new = group("narrow");
    new.options.client_quota = Some(4);
    let world = world.with_group(new).await;
    for name in ["a", "b", "c", "d", "e"] {
        world.send(name, name).await;
    }
    store.hold_syncs();
    let gone = world.sync("c1", SyncAction::PartialAdd, &["a", "b", "c"]);
    assert!(tokio::time::timeout(LONG, gone).await.is_err());
    store.release_syncs();
    quiet().await;
    assert_eq!(world.subscriptions("c1").await, ["a", "b", "c"]);
    let over = world.sync("c1", SyncAction::PartialAdd, &["d", "e"]).await;
    assert_eq!(code(over), ErrorCode::LiteSubscriptionQuotaExceeded);
    world.subscribe("c1", &["d"]).await;
    assert_eq!(world.subscriptions("c1").await, ["a", "b", "c", "d"]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_whose_client_went_away_is_moved_all_the_same() {
    let (store, world) = World::memory().await;
    world.subscribe("c", &["a"]).await;
    world.send("a", "1").await;
    world.send("a", "2").await;
    let held = world.receive("c", NOW).await;
    store.hold_syncs();
    let gone = world.broker.dead_letter(&world.group, receipt(&held[0]));
    assert!(tokio::time::timeout(Duration::from_secs(3), gone).await.is_err());
    store.release_syncs();
    quiet().await;
    let letters = world.broker.peek("%DLQ%workers", "a", None, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    world.ack(&held[1]).await.unwrap();
    let info = world.broker.describe_lite("orders", "a").await.unwrap();
    assert_eq!(info.groups[0].committed_offset, 2, "nothing is held back");
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_whose_caller_went_away_is_complete() {
    let (store, world) = World::memory().await;
    world.subscribe("c1", &["a"]).await;
    world.subscribe("c2", &["a"]).await;
    world.send("a", "1").await;
    assert_eq!(world.receive("c1", NOW).await.len(), 1);
    store.hold_syncs();
    let c1 = client("c1");
    let gone = world.broker.terminate(&c1);
    assert!(tokio::time::timeout(Duration::from_secs(3), gone).await.is_err());
    store.release_syncs();
    assert_eq!(bodies(&world.receive("c2", LONG).await), ["1"]);
    assert!(world.subscriptions("c1").await.is_empty());
}
