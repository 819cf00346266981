//! Waiting for messages: nobody waits too long, and nobody is woken for nothing.

use std::time::Duration;

use litemq_domain::limits::RECEIVE_MESSAGES_MAX;
use litemq_domain::{DurationMs, ErrorCode, TagFilter};
use litemq_server::broker::limits::CLAIM_WAIT_MAX;
use litemq_server::broker::{BrokerOptions, Delivery, ReceiveRequest};
use tokio::time::Instant;

use crate::stingy::StingyStore;
use crate::support::{GROUP, NOW, World, bodies, broker, code, group, message, quiet};

const LONG: Duration = Duration::from_secs(20);

#[tokio::test(start_paused = true)]
async fn a_send_wakes_a_waiting_receive_at_once() {
    let (_, world) = World::memory().await;
    world.subscribe("c", &["a"]).await;
    let parked = world.park("c", LONG).await;
    let before = Instant::now();
    world.send("a", "1").await;
    assert_eq!(bodies(&parked.await.unwrap()), ["1"]);
    assert!(before.elapsed() < Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn a_nack_of_another_client_wakes_a_waiting_receive() {
    let (_, world) = World::memory().await;
    world.subscribe("c1", &["a"]).await;
    world.subscribe("c2", &["a"]).await;
    world.send("a", "1").await;
    let held = world.receive("c1", NOW).await;
    let parked = world.park("c2", LONG).await;
    assert!(!parked.is_finished());
    world.nack(&held[0]).await;
    let again = parked.await.unwrap();
    assert_eq!((bodies(&again), again[0].attempt), (vec!["1".to_owned()], 2));
}

#[tokio::test(start_paused = true)]
async fn a_repeated_receive_gets_the_answer_that_was_lost_from_every_shard() {
    let (_, world) = World::memory().await;
    let lites: Vec<String> = (0..8).map(|n| format!("lite-{n}")).collect();
    let lites: Vec<&str> = lites.iter().map(String::as_str).collect();
    world.subscribe("c", &lites).await;
    for lite in &lites {
        world.send(lite, lite).await;
    }
    let request = |attempt_id: &str| ReceiveRequest {
        attempt_id: attempt_id.to_owned(),
        auto_renew: true,
        ..world.request("c", NOW)
    };
    let sorted = |deliveries: &[Delivery]| {
        let mut found = bodies(deliveries);
        found.sort_unstable();
        found
    };
    let lost = world.try_receive(request("r1")).await.unwrap();
    assert_eq!(sorted(&lost), lites);
    for _ in 0..2 {
        let again = world.try_receive(request("r1")).await.unwrap();
        assert_eq!(sorted(&again), lites);
        assert!(again.iter().all(|delivery| delivery.attempt == 1));
    }
    assert!(world.try_receive(request("r2")).await.unwrap().is_empty(), "they are still leased");
}

#[tokio::test(start_paused = true)]
async fn a_receive_for_a_group_that_is_deleted_is_told_so() {
    let (_, world) = World::memory().await;
    world.subscribe("c", &["a"]).await;
    let parked = {
        let broker = std::sync::Arc::clone(&world.broker);
        let request = world.request("c", LONG);
        tokio::spawn(async move { broker.receive(request).await.map(drop) })
    };
    quiet().await;
    world.broker.delete_group(GROUP).await.unwrap();
    let before = Instant::now();
    assert_eq!(parked.await.unwrap().unwrap_err().code, ErrorCode::ConsumerGroupNotFound);
    assert!(before.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_ends_wakes_a_waiting_receive_when_it_does() {
    let (_, world) = World::memory().await;
    world.subscribe("c1", &["a"]).await;
    world.subscribe("c2", &["a"]).await;
    world.send("a", "1").await;
    let before = Instant::now();
    assert_eq!(world.receive("c1", NOW).await.len(), 1);
    let parked = world.park("c2", Duration::from_secs(40)).await;
    let again = parked.await.unwrap();
    assert_eq!(again[0].attempt, 2);
    let passed = before.elapsed();
    assert!((30_000..30_100).contains(&passed.as_millis()), "{passed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_to_messages_wakes_a_waiting_receive() {
    let (_, world) = World::memory().await;
    world.send("a", "1").await;
    let parked = world.park("c", LONG).await;
    world.subscribe("c", &["a"]).await;
    assert_eq!(bodies(&parked.await.unwrap()), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn an_ack_wakes_a_receive_that_waits_for_what_is_behind() {
    let (_, world) = World::memory().await;
    world.subscribe("c", &["a"]).await;
    for n in 0..=RECEIVE_MESSAGES_MAX {
        world.send("a", &n.to_string()).await;
    }
    let held = world.receive("c", NOW).await;
    assert_eq!(held.len(), RECEIVE_MESSAGES_MAX);
    let parked = world.park("c", LONG).await;
    for delivery in &held {
        assert!(!parked.is_finished(), "nothing passes what is not settled");
        world.ack(delivery).await.unwrap();
    }
    assert_eq!(bodies(&parked.await.unwrap()), [RECEIVE_MESSAGES_MAX.to_string()]);
}

#[tokio::test(start_paused = true)]
async fn without_messages_a_receive_is_answered_at_its_deadline() {
    let (_, world) = World::memory().await;
    world.subscribe("c", &["a"]).await;
    let before = Instant::now();
    assert!(world.receive("c", LONG).await.is_empty());
    assert!((20_000..20_010).contains(&before.elapsed().as_millis()), "{:?}", before.elapsed());
    assert_eq!(world.broker.parked_receives(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stop_answers_all_waiting_receives_and_lets_none_wait() {
    let (_, world) = World::memory().await;
    let mut parked = Vec::new();
    for n in 0..100 {
        parked.push(world.park(&format!("c{n}"), LONG).await);
    }
    assert_eq!(world.broker.parked_receives(), 100);
    let before = Instant::now();
    world.broker.begin_shutdown();
    for parked in parked {
        assert!(parked.await.unwrap().is_empty());
    }
    assert!(world.receive("late", LONG).await.is_empty());
    assert!(before.elapsed() < Duration::from_millis(10));
    assert!(world.broker.readiness().unwrap_err().contains("stopping"));
}

#[tokio::test(start_paused = true)]
async fn many_receives_of_one_client_take_turns() {
    let (_, world) = World::memory().await;
    let names: Vec<String> = (0..40).map(|n| format!("l{n}")).collect();
    world.subscribe("c", &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut parked = Vec::new();
    for _ in 0..40 {
        let request = ReceiveRequest { messages_max: 1, ..world.request("c", LONG) };
        let world = world.clone();
        parked.push(tokio::spawn(async move { world.try_receive(request).await.unwrap() }));
    }
    quiet().await;
    let before = Instant::now();
    // In one call, so that fewer wake-ups than messages come.
    let messages = names.iter().map(|name| message(name, name, name)).collect();
    for sent in world.broker.send(&world.topic, messages).await {
        sent.unwrap();
    }
    let mut received = Vec::new();
    for parked in parked {
        received.extend(bodies(&parked.await.unwrap()));
    }
    received.sort();
    let mut names = names;
    names.sort();
    assert_eq!(received, names, "each message in exactly one receive");
    assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn clients_that_share_a_group_get_each_message_once() {
    let (_, world) = World::memory().await;
    let names: Vec<String> = (0..50).map(|n| format!("l{n}")).collect();
    let named: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut waiting = Vec::new();
    for id in ["c1", "c2"] {
        world.subscribe(id, &named).await;
        let world = world.clone();
        waiting.push(tokio::spawn(async move {
            let mut received = Vec::new();
            loop {
                let request =
                    ReceiveRequest { messages_max: 1, ..world.request(id, Duration::from_secs(5)) };
                let deliveries = world.try_receive(request).await.unwrap();
                if deliveries.is_empty() {
                    return received;
                }
                received.extend(bodies(&deliveries));
                for delivery in &deliveries {
                    world.ack(delivery).await.unwrap();
                }
            }
        }));
    }
    for name in &names {
        world.send(name, name).await;
    }
    let mut received = Vec::new();
    for client in waiting {
        received.extend(client.await.unwrap());
    }
    received.sort();
    let mut names = names;
    names.sort();
    assert_eq!(received, names);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_lite_topics_with_one_message_each_all_arrive() {
    let (_, world) = World::memory().await;
    let names: Vec<String> = (0..1000).map(|n| format!("l{n:04}")).collect();
    world.subscribe("c", &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for name in &names {
        world.send(name, name).await;
    }
    let before = Instant::now();
    let mut received = Vec::new();
    while received.len() < names.len() {
        let deliveries = world.receive("c", LONG).await;
        assert!(!deliveries.is_empty(), "stuck after {}", received.len());
        received.extend(bodies(&deliveries));
    }
    received.sort();
    assert_eq!(received, names);
    assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stalled_store_keeps_no_receive_beyond_its_bound_and_what_it_claimed_goes_back() {
    let (store, world) = World::memory().await;
    world.subscribe("c", &["a"]).await;
    world.send("a", "1").await;
    store.hold_syncs();
    let before = Instant::now();
    let wait = Duration::from_secs(5);
    assert!(world.receive("c", wait).await.is_empty());
    assert!(before.elapsed() <= wait + CLAIM_WAIT_MAX + Duration::from_millis(10));
    assert!(before.elapsed() >= wait, "{:?}", before.elapsed());
    store.release_syncs();
    let received = world.receive("c", Duration::from_secs(1)).await;
    assert_eq!(bodies(&received), ["1"]);
    assert_eq!(received[0].attempt, 1, "it never reached anybody");
}

#[tokio::test(start_paused = true)]
async fn messages_the_filter_does_not_want_are_settled_and_the_receive_waits_on() {
    let (_, world) = World::memory().await;
    world.subscribe("c", &["a"]).await;
    let tagged = |n: usize, tag: &str| {
        let mut new = message("a", &format!("m{n}"), tag);
        new.message.tag = Some(tag.to_owned());
        new
    };
    for n in 0..100 {
        world.send_message(tagged(n, "other")).await.unwrap();
    }
    let filter = TagFilter::parse("wanted").unwrap();
    let request = ReceiveRequest { filter, ..world.request("c", LONG) };
    let waiting = {
        let world = world.clone();
        tokio::spawn(async move { world.try_receive(request).await.unwrap() })
    };
    quiet().await;
    assert!(!waiting.is_finished());
    let info = world.broker.describe_lite("orders", "a").await.unwrap();
    assert_eq!(info.groups[0].committed_offset, 100);
    world.send_message(tagged(100, "wanted")).await.unwrap();
    assert_eq!(bodies(&waiting.await.unwrap()), ["wanted"]);
}

#[tokio::test(start_paused = true)]
async fn order_is_kept_and_a_limit_for_each_lite_topic_too() {
    let (_, world) = World::memory().await;
    let world = world.with_group(group("in-order")).await;
    assert_ne!(world.group.name.as_str(), GROUP);
    world.subscribe("c", &["a"]).await;
    for n in 0..5 {
        world.send("a", &n.to_string()).await;
    }
    let request = ReceiveRequest {
        per_lite_topic_max: 2,
        invisible: DurationMs::from_secs(10),
        ..world.request("c", NOW)
    };
    let held = world.try_receive(request.clone()).await.unwrap();
    assert_eq!(bodies(&held), ["0", "1"]);
    world.ack(&held[1]).await.unwrap();
    assert!(world.receive("c", NOW).await.is_empty(), "0 is not settled");
    let again = world.receive("c", Duration::from_secs(12)).await;
    assert_eq!(bodies(&again), ["0", "2", "3", "4"], "1 is settled, and 2 to 4 follow 0");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_read_is_told_and_does_not_keep_others_back() {
    let store = StingyStore::new();
    let options = BrokerOptions { shards: 1, ..BrokerOptions::default() };
    drop(broker(store.clone(), options).await);
    let world = World::open(store.clone()).await;
    world.subscribe("c", &["bad", "good"]).await;
    world.send("bad", "1").await;
    world.send("good", "2").await;
    store.damage(0);
    let request = |attempt_id: &str| ReceiveRequest {
        messages_max: 1,
        attempt_id: attempt_id.to_owned(),
        ..world.request("c", LONG)
    };
    let told = world.try_receive(request("first")).await;
    assert_eq!(code(told), ErrorCode::StorageDamaged);
    assert_eq!(store.vain_reads(), 1, "once a lease");
    assert_eq!(bodies(&world.try_receive(request("second")).await.unwrap()), ["2"]);
}

#[tokio::test(start_paused = true)]
async fn a_receive_that_is_repeated_after_its_answer_was_lost_gets_the_same_again() {
    let (store, world) = World::memory().await;
    world.subscribe("c", &["a", "b"]).await;
    world.send("a", "1").await;
    world.send("b", "2").await;
    let request = || ReceiveRequest { attempt_id: "once".to_owned(), ..world.request("c", NOW) };
    let lost = world.try_receive(request()).await.unwrap();
    assert_eq!(lost.len(), 2, "one answer from all shards");
    let again = world.try_receive(request()).await.unwrap();
    let sorted = |deliveries: &[Delivery]| {
        let mut found = bodies(deliveries);
        found.sort();
        found
    };
    assert_eq!(sorted(&again), ["1", "2"]);
    assert!(again.iter().all(|delivery| delivery.attempt == 1));
    assert!(world.ack(&lost[0]).await.is_err(), "the lost answer's handles are stale");
    let (_, after) = World::after_crash(&store).await;
    let request = ReceiveRequest { attempt_id: "once".to_owned(), ..after.request("c", NOW) };
    assert_eq!(sorted(&after.try_receive(request).await.unwrap()), ["1", "2"]);
}
