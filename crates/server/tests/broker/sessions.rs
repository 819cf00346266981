//! Clients that are there, go away, come back, or fall silent.

use std::sync::Arc;
use std::time::Duration;

use litemq_server::broker::{ConnectionId, ReceiveRequest, TelemetryStream};
use tokio::time::Instant;

use crate::support::{NOW, World, bodies, client, group, quiet};

const MINUTE: Duration = Duration::from_secs(60);
const HOME: ConnectionId = ConnectionId(1);
const BACK: ConnectionId = ConnectionId(2);

/// A push consumer `c1` that holds a message under a renewed lease, and `c2`, which waits for it.
async fn held_by_a_push_consumer() -> (World, TelemetryStream) {
    let (_, world) = World::memory().await;
    tokio::spawn(Arc::clone(&world.broker).watch_sessions());
    let stream = world.telemetry("c1");
    world.broker.sessions().seen(&client("c1"), None, Some(HOME)).unwrap();
    world.subscribe("c1", &["a"]).await;
    world.subscribe("c2", &["a"]).await;
    world.send("a", "1").await;
    let request = ReceiveRequest { auto_renew: true, ..world.request("c1", NOW) };
    assert_eq!(bodies(&world.try_receive(request).await.unwrap()), ["1"]);
    (world, stream)
}

#[tokio::test(start_paused = true)]
async fn leases_of_a_connected_client_are_renewed_for_three_hours() {
    let (world, _stream) = held_by_a_push_consumer().await;
    let before = Instant::now();
    while before.elapsed() < 179 * MINUTE {
        assert!(world.receive("c2", MINUTE).await.is_empty(), "after {:?}", before.elapsed());
    }
    let received = world.receive("c2", 2 * MINUTE).await;
    let received = if received.is_empty() { world.receive("c2", MINUTE).await } else { received };
    assert_eq!(received[0].attempt, 2);
    let held = before.elapsed();
    assert!(held >= 179 * MINUTE && held <= 181 * MINUTE, "{held:?}");
}

#[tokio::test(start_paused = true)]
async fn a_second_after_the_last_connection_closed_others_get_the_message() {
    let (world, _stream) = held_by_a_push_consumer().await;
    world.broker.sessions().seen(&client("c1"), None, Some(BACK)).unwrap();
    for _ in 0..2 {
        assert!(world.receive("c2", MINUTE).await.is_empty());
    }
    world.broker.sessions().connection_closed(BACK);
    assert!(world.receive("c2", MINUTE / 2).await.is_empty(), "one connection is left");
    let closed = Instant::now();
    world.broker.sessions().connection_closed(HOME);
    let received = world.receive("c2", MINUTE / 2).await;
    assert_eq!(received[0].attempt, 2);
    let passed = closed.elapsed().as_millis();
    assert!((1000..1500).contains(&passed), "{passed} ms");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_back_within_a_second_keeps_its_leases() {
    let (world, _stream) = held_by_a_push_consumer().await;
    // Until after the first renewal, when it is sure that the client has the message.
    for _ in 0..2 {
        assert!(world.receive("c2", MINUTE).await.is_empty());
    }
    world.broker.sessions().connection_closed(HOME);
    tokio::time::sleep(Duration::from_millis(900)).await;
    world.broker.sessions().seen(&client("c1"), None, Some(BACK)).unwrap();
    for _ in 0..5 {
        assert!(world.receive("c2", MINUTE).await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_handed_out_just_before_a_connection_broke_is_not_renewed() {
    let (world, _stream) = held_by_a_push_consumer().await;
    let taken = Instant::now();
    world.broker.sessions().seen(&client("c1"), None, Some(BACK)).unwrap();
    world.broker.sessions().connection_closed(HOME);
    assert!(world.receive("c2", MINUTE / 2).await.is_empty(), "its lease runs its time");
    let received = world.receive("c2", MINUTE).await;
    assert_eq!(received[0].attempt, 2);
    assert_eq!(taken.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_lease_whose_duration_the_client_chose_outlives_its_connections() {
    let (_, world) = World::memory().await;
    tokio::spawn(Arc::clone(&world.broker).watch_sessions());
    world.broker.sessions().seen(&client("c1"), None, Some(HOME)).unwrap();
    world.subscribe("c1", &["a"]).await;
    world.subscribe("c2", &["a"]).await;
    world.send("a", "1").await;
    let taken = Instant::now();
    let held = world.receive("c1", NOW).await;
    world.broker.sessions().connection_closed(HOME);
    assert_eq!(bodies(&world.receive("c2", MINUTE).await), ["1"]);
    assert_eq!(taken.elapsed().as_secs(), 30);
    assert_eq!(held.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_gives_everything_back_at_once_to_others() {
    let (world, _stream) = held_by_a_push_consumer().await;
    world.subscribe("c1", &["b"]).await;
    world.subscribe("c2", &["b"]).await;
    world.send("b", "2").await;
    // A receive of the client itself that is still open must not take it again.
    assert_eq!(world.receive("c1", NOW).await.len(), 1);
    let own = world.park("c1", MINUTE / 3).await;
    world.broker.terminate(&client("c1")).await.unwrap();
    let mut received = bodies(&world.receive("c2", NOW).await);
    received.extend(bodies(&world.receive("c2", NOW).await));
    received.sort();
    assert_eq!(received, ["1", "2"]);
    assert!(own.await.unwrap().is_empty());
    assert!(world.subscriptions("c1").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_ends_the_subscriptions_of_a_client_for_every_group_and_for_none() {
    let (_, world) = World::memory().await;
    let others = world.with_group(group("others")).await;
    let idle = world.with_group(group("idle")).await;
    for world in [&world, &others] {
        world.subscribe("c1", &["a", "b"]).await;
        world.subscribe("c2", &["a"]).await;
    }
    idle.broker.join(&client("c1"), &idle.group);
    world.send("a", "m1").await;
    world.broker.terminate(&client("c1")).await.unwrap();
    world.broker.terminate(&client("nobody")).await.unwrap();
    for world in [&world, &others] {
        assert_eq!(world.subscriptions("c1").await, Vec::<String>::new());
        assert_eq!(world.subscriptions("c2").await, ["a"]);
    }
    assert_eq!(world.broker.quotas().subscriptions, 2);
    assert_eq!(world.broker.audit().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_silent_clients_subscriptions_end_after_90_seconds() {
    let (store, world) = World::memory().await;
    tokio::spawn(Arc::clone(&world.broker).watch_sessions());
    world.send("a", "1").await;
    for id in ["silent", "calls", "streams"] {
        world.broker.sessions().seen(&client(id), None, None).unwrap();
        world.subscribe(id, &["a"]).await;
    }
    let _stream = world.telemetry("streams");
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.broker.sessions().seen(&client("calls"), None, None).unwrap();
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(world.subscriptions("silent").await, ["a"]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(world.subscriptions("silent").await.is_empty());
    assert_eq!(world.subscriptions("calls").await, ["a"]);
    assert_eq!(world.subscriptions("streams").await, ["a"]);
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert!(world.subscriptions("calls").await.is_empty());
    assert_eq!(world.subscriptions("streams").await, ["a"]);
    let (_, after) = World::after_crash(&store).await;
    assert!(after.subscriptions("silent").await.is_empty(), "durably");
    assert_eq!(after.subscriptions("streams").await, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_client_known_only_from_the_log_has_90_seconds_to_come_back() {
    let (store, world) = World::memory().await;
    world.send("a", "1").await;
    world.subscribe("back", &["a"]).await;
    world.subscribe("gone", &["a"]).await;
    let (_, after) = World::after_crash(&store).await;
    tokio::spawn(Arc::clone(&after.broker).watch_sessions());
    tokio::time::sleep(Duration::from_secs(80)).await;
    after.broker.sessions().seen(&client("back"), None, None).unwrap();
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(after.subscriptions("back").await, ["a"]);
    assert!(after.subscriptions("gone").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_could_not_be_ended_is_ended_later() {
    let (store, world) = World::memory().await;
    tokio::spawn(Arc::clone(&world.broker).watch_sessions());
    world.send("a", "1").await;
    world.subscribe("silent", &["a"]).await;
    store.hold_syncs();
    tokio::time::sleep(2 * MINUTE).await;
    store.release_syncs();
    quiet().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(world.subscriptions("silent").await.is_empty());
}
