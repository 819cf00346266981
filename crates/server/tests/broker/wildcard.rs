//! Wildcard groups: who is there, who is woken, and what is left when all have gone.

use std::time::Duration;

use litemq_domain::{ErrorCode, GroupOptions, NamePrefix, SubscriptionMode};
use litemq_server::broker::SyncAction::{CompleteAdd, CompleteRemove, PartialAdd, PartialRemove};
use litemq_server::broker::{GroupChange, NewGroup};
use tokio::task::JoinHandle;

use crate::support::{GROUP, NOW, World, bodies, client, code, group, quiet};

const MINUTE: Duration = Duration::from_secs(60);

fn wildcard(prefix: &str) -> NewGroup {
    let mode = SubscriptionMode::Wildcard(NamePrefix::new(prefix).unwrap());
    let options = GroupOptions { mode, ..GroupOptions::default() };
    NewGroup { options, ..group("pods") }
}

async fn world() -> World {
    World::memory().await.1.with_group(wildcard("")).await
}

impl World {
    async fn clients(&self) -> u64 {
        let told = self.broker.backlogs().await.unwrap();
        told.iter().find(|(group, ..)| group.id == self.group.id).unwrap().2
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_message_to_a_new_name_reaches_a_waiting_pod_at_once() {
    let world = world().await;
    let waiting = world.park("p1", MINUTE).await;
    let started = tokio::time::Instant::now();
    world.send("new", "m1").await;
    assert_eq!(bodies(&waiting.await.unwrap()), ["m1"]);
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_shown_as_connected_while_it_is_and_a_client_of_another_group_is_not() {
    let world = world().await;
    world.receive("p1", NOW).await;
    let other = world.with_group(group(GROUP)).await;
    other.subscribe("c", &["a"]).await;
    let shown = async |id: &str| {
        let told = world.broker.group_client("pods", &client(id)).await.unwrap();
        (told.connected, told.lite_topics)
    };
    assert_eq!((shown("p1").await, shown("c").await), ((true, 0), (false, 0)));
    let listed = world.broker.list_group_clients("pods", None, 10).unwrap();
    let ids: Vec<_> =
        listed.iter().map(|listed| (listed.client.as_str(), listed.connected)).collect();
    assert_eq!(ids, [("p1", true)]);
    world.broker.terminate(&client("p1")).await.unwrap();
    assert_eq!(shown("p1").await, (false, 0));
    assert!(world.broker.list_group_clients("pods", None, 10).unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_message_wakes_one_of_a_thousand_waiting_pods() {
    let world = world().await;
    let mut waiting = Vec::new();
    for n in 0..1000 {
        let (world, id) = (world.clone(), format!("p{n}"));
        waiting.push(tokio::spawn(async move { world.receive(&id, MINUTE).await }));
    }
    quiet().await;
    world.send("a", "m1").await;
    quiet().await;
    let served = waiting.iter().filter(|waiting| waiting.is_finished()).count();
    assert_eq!(served, 1);
    for n in 0..5 {
        world.send(&format!("b{n}"), "m").await;
    }
    quiet().await;
    let served = waiting.iter().filter(|waiting| waiting.is_finished()).count();
    assert!((2..=6).contains(&served), "{served} pods were served");
    let mut given = 0;
    for waiting in waiting.into_iter().filter(JoinHandle::is_finished) {
        given += waiting.await.unwrap().len();
    }
    assert_eq!(given, 6, "each message once");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_dies_with_the_wake_up_passes_it_on() {
    let world = world().await;
    let mut waiting = Vec::new();
    for n in 0..20 {
        waiting.push(world.park(&format!("p{n}"), MINUTE).await);
    }
    for round in 0..10 {
        // Whoever has waited longest is woken, and never gets to look.
        world.send(&format!("l{round}"), "m").await;
        if let Some(next) = waiting.iter().find(|waiting| !waiting.is_finished()) {
            next.abort();
        }
        quiet().await;
    }
    let mut given = 0;
    for waiting in waiting {
        waiting.abort();
        given += waiting.await.map_or(0, |given| given.len());
    }
    assert!(given > 0, "others were woken in their place");
    // What was claimed for those that died went back.
    while given < 10 {
        let more = world.receive("last", NOW).await.len();
        assert!(more > 0, "{given} of 10 came");
        given += more;
    }
}

#[tokio::test(start_paused = true)]
async fn no_lite_topic_can_be_taken_from_a_pod_and_the_refusal_says_what_can_be_done() {
    let world = world().await;
    world.send("a", "m1").await;
    assert_eq!(bodies(&world.receive("p1", NOW).await), ["m1"]);
    for name in [None, Some("a")] {
        let refused = world.broker.expel(&client("p1"), "pods", name).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::BadRequest);
        assert!(refused.message.contains("disable its user"), "{refused}");
    }
    assert_eq!(world.clients().await, 1);
}

#[tokio::test(start_paused = true)]
async fn more_than_one_answer_holds_wakes_the_next_pod() {
    let world = world().await;
    let mut waiting = Vec::new();
    for n in 0..4 {
        waiting.push(world.park(&format!("p{n}"), MINUTE).await);
    }
    let messages =
        (0..100).map(|n| crate::support::message(&format!("l{n}"), &format!("{n}"), "m"));
    let sent = world.broker.send(&world.topic, messages.collect()).await;
    assert!(sent.iter().all(Result::is_ok));
    let mut given = 0;
    for waiting in waiting {
        given += waiting.await.unwrap().len();
    }
    assert_eq!(given, 100);
}

#[tokio::test(start_paused = true)]
async fn pods_share_lite_topics_and_those_of_one_that_is_gone_go_to_others() {
    let world = world().await;
    let watching = tokio::spawn(world.broker.clone().watch_sessions());
    world.send("a", "m1").await;
    let held = world.receive("p1", NOW).await;
    assert_eq!(bodies(&held), ["m1"]);
    let waiting = world.park("p2", MINUTE).await;
    world.send("b", "n1").await;
    assert_eq!(bodies(&waiting.await.unwrap()), ["n1"]);
    let waiting = world.park("p2", MINUTE).await;
    world.broker.terminate(&client("p1")).await.unwrap();
    let again = waiting.await.unwrap();
    assert_eq!((bodies(&again), again[0].attempt), (vec!["m1".to_owned()], 2));
    watching.abort();
}

#[tokio::test(start_paused = true)]
async fn pods_are_there_from_their_first_receive_or_sync_on_and_gone_when_they_leave_or_fall_silent()
 {
    let world = world().await;
    let watching = tokio::spawn(world.broker.clone().watch_sessions());
    assert_eq!(world.clients().await, 0);
    world.receive("p1", NOW).await;
    world.sync("p2", CompleteAdd, &[]).await.unwrap();
    world.sync("p3", CompleteAdd, &["whatever", "it", "names"]).await.unwrap();
    world.sync("p4", PartialAdd, &[]).await.unwrap();
    world.broker.join(&client("p5"), &world.group);
    assert_eq!(world.clients().await, 5);
    world.broker.terminate(&client("p1")).await.unwrap();
    world.sync("p2", CompleteRemove, &[]).await.unwrap();
    world.sync("p3", PartialRemove, &["whatever"]).await.unwrap();
    assert_eq!(world.clients().await, 3);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(world.clients().await, 0, "they were silent for long");
    assert_eq!(world.broker.sessions().count(), 0);
    assert_eq!(world.broker.audit().await.unwrap(), []);
    world.send("a", "m1").await;
    assert_eq!(bodies(&world.receive("p2", NOW).await), ["m1"]);
    assert_eq!(world.clients().await, 1);
    watching.abort();
}

#[tokio::test(start_paused = true)]
async fn a_pod_cannot_subscribe_to_names_and_is_told_so() {
    let world = world().await;
    world.send("a", "m1").await;
    let refused = world.sync("p1", PartialAdd, &["a"]).await;
    assert_eq!(code(refused), ErrorCode::BadRequest);
    assert_eq!(world.clients().await, 0, "a refusal changes nothing");
    assert_eq!(bodies(&world.receive("p1", NOW).await), ["m1"]);
}

#[tokio::test(start_paused = true)]
async fn a_pattern_takes_its_names_and_can_be_changed_when_nobody_is_there() {
    let (_, world) = World::memory().await;
    let world = world.with_group(wildcard("s-")).await;
    for name in ["s-1", "t-1", "s"] {
        world.send(name, name).await;
    }
    assert_eq!(bodies(&world.receive("p1", NOW).await), ["s-1"]);
    let change = || GroupChange {
        mode: Some(SubscriptionMode::Wildcard(NamePrefix::new("t").unwrap())),
        ..GroupChange::default()
    };
    assert_eq!(code(world.broker.update_group("pods", change()).await), ErrorCode::InUse);
    world.broker.terminate(&client("p1")).await.unwrap();
    let group = world.broker.update_group("pods", change()).await.unwrap();
    let world = World { group, ..world };
    quiet().await;
    assert_eq!(bodies(&world.receive("p1", NOW).await), ["t-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_group_made_after_the_messages_and_one_after_a_restart_are_offered_everything() {
    let (store, world) = World::memory().await;
    for n in 0..40 {
        world.send(&format!("l{n}"), "m").await;
    }
    let world = world.with_group(wildcard("")).await;
    quiet().await;
    assert_eq!(world.receive("p1", NOW).await.len(), 32);
    let (_, after) = World::after_crash(&store).await;
    let after = World { group: after.broker.group("pods").unwrap(), ..after };
    let waiting = after.receive("p2", MINUTE).await;
    assert_eq!(waiting.len(), 8, "the leases of the first go on");
    assert!(after.receive("p2", NOW).await.is_empty());
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(after.receive("p2", MINUTE).await.len(), 32);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_receive_of_a_pod_gets_the_same_again() {
    let world = world().await;
    // In every shard there is something that was given and something new.
    for n in 0..64 {
        world.send(&format!("l{n}"), "m").await;
    }
    let mut request = world.request("p1", NOW);
    request.attempt_id = "try-1".to_owned();
    request.messages_max = 3;
    let first = world.try_receive(request.clone()).await.unwrap();
    let offsets = |given: &[litemq_server::broker::Delivery]| -> Vec<_> {
        given.iter().map(|delivery| (delivery.lite_topic.clone(), delivery.attempt)).collect()
    };
    assert_eq!(first.len(), 3);
    let mut one = offsets(&first);
    one.sort();
    for _ in 0..3 {
        let again = world.try_receive(request.clone()).await.unwrap();
        let mut two = offsets(&again);
        two.sort();
        assert_eq!(one, two);
    }
    let others = world.receive("p2", NOW).await.len() + world.receive("p2", NOW).await.len();
    assert_eq!(others, 61);
}

#[tokio::test(start_paused = true)]
async fn pods_that_wait_for_a_group_that_is_deleted_are_told() {
    let world = world().await;
    let waiting: Vec<_> = (0..5)
        .map(|n| {
            let world = world.clone();
            let id = format!("p{n}");
            tokio::spawn(async move { world.try_receive(world.request(&id, MINUTE)).await })
        })
        .collect();
    quiet().await;
    world.broker.delete_group("pods").await.unwrap();
    for waiting in waiting {
        assert_eq!(code(waiting.await.unwrap()), ErrorCode::ConsumerGroupNotFound);
    }
    world.broker.create_group(wildcard("")).await.unwrap();
    assert!(world.broker.group(GROUP).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_slow_lite_topic_does_not_hold_up_the_others() {
    let world = world().await;
    for n in 0..3 {
        world.send("slow", &format!("{n}")).await;
    }
    let held = world.receive("p1", NOW).await;
    assert_eq!(held.len(), 3);
    for n in 0..50 {
        world.send(&format!("fast{n}"), "m").await;
        let given = world.receive("p1", NOW).await;
        assert_eq!(given.len(), 1, "a full batch in flight holds nothing else back");
        world.ack(&given[0]).await.unwrap();
    }
}
