//! Exclusive groups: take-overs, who is told of them, and counts that stay exact.

use std::time::Duration;

use litemq_domain::{ErrorCode, GroupOptions, SubscriptionMode};
use litemq_server::broker::GroupChange;
use litemq_server::broker::NewGroup;
use litemq_server::broker::SyncAction::{CompleteAdd, PartialAdd, PartialRemove};
use litemq_storage::MemoryStore;
use std::sync::Arc;

use crate::support::{NOW, World, bodies, client, code, group, quiet};

const MINUTE: Duration = Duration::from_secs(60);

fn exclusive(quota: Option<u32>) -> NewGroup {
    let options = GroupOptions {
        mode: SubscriptionMode::Exclusive,
        client_quota: quota,
        ..GroupOptions::default()
    };
    NewGroup { options, ..group("owners") }
}

async fn world() -> (Arc<MemoryStore>, World) {
    let (store, world) = World::memory().await;
    (store, world.with_group(exclusive(Some(2))).await)
}

#[tokio::test(start_paused = true)]
async fn the_new_owner_gets_at_once_what_the_old_one_held_and_the_old_handle_is_stale() {
    let (_, world) = world().await;
    world.subscribe("c1", &["a"]).await;
    world.send("a", "m1").await;
    let held = world.receive("c1", NOW).await;
    let waiting = world.park("c2", MINUTE).await;
    world.subscribe("c2", &["a"]).await;
    let taken = waiting.await.unwrap();
    assert_eq!(bodies(&taken), ["m1"]);
    assert_eq!(taken[0].attempt, 2);
    assert_eq!(code(world.ack(&held[0]).await), ErrorCode::ReceiptHandleInvalid);
    world.ack(&taken[0]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn exactly_one_consumes_after_a_take_over_even_if_the_old_owner_never_hears_of_it() {
    let (_, world) = world().await;
    world.subscribe("c1", &["a"]).await;
    let old = world.park("c1", MINUTE).await;
    world.subscribe("c2", &["a"]).await;
    for n in 0..3 {
        // What an SDK does that ignores the notice.
        world.sync("c1", CompleteAdd, &["a"]).await.unwrap();
        world.send("a", &format!("m{n}")).await;
        let given = world.receive("c2", NOW).await;
        assert_eq!(bodies(&given), [format!("m{n}")]);
        world.ack(&given[0]).await.unwrap();
    }
    assert!(old.await.unwrap().is_empty());
    assert_eq!(world.subscriptions("c2").await, ["a"]);
    assert!(world.subscriptions("c1").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_take_over_frees_the_quota_of_the_old_owner_exactly() {
    let (_, world) = world().await;
    for name in ["a", "b", "c", "d"] {
        world.send(name, name).await;
    }
    world.subscribe("c1", &["a", "b"]).await;
    assert_eq!(
        code(world.sync("c1", PartialAdd, &["c"]).await),
        ErrorCode::LiteSubscriptionQuotaExceeded
    );
    world.subscribe("c2", &["a"]).await;
    world.subscribe("c1", &["c"]).await;
    assert_eq!(
        code(world.sync("c1", PartialAdd, &["d"]).await),
        ErrorCode::LiteSubscriptionQuotaExceeded
    );
    assert_eq!(world.subscriptions("c1").await, ["b", "c"]);
    // Names of others do not count, and are not taken.
    world.sync("c2", CompleteAdd, &["a", "b"]).await.unwrap();
    world.subscribe("c2", &["d"]).await;
    assert_eq!(world.subscriptions("c2").await, ["a", "d"]);
}

#[tokio::test(start_paused = true)]
async fn clients_that_take_from_each_other_all_the_time_leave_exact_counts() {
    let (store, world) = World::memory().await;
    let names: Vec<String> = (0..6).map(|n| format!("l{n}")).collect();
    for name in &names {
        world.send(name, name).await;
    }
    let world = world.with_group(exclusive(Some(6))).await;
    let storms: Vec<_> = (0..8)
        .map(|n: usize| {
            let (world, names) = (world.clone(), names.clone());
            tokio::spawn(async move {
                let id = format!("c{n}");
                for round in 0..20 {
                    let some = [names[(n + round) % 6].as_str(), names[round % 6].as_str()];
                    world.sync(&id, PartialAdd, &some).await.unwrap();
                    world.sync(&id, CompleteAdd, &some[..1]).await.unwrap();
                    world.sync(&id, PartialRemove, &some[1..]).await.unwrap();
                }
            })
        })
        .collect();
    for storm in storms {
        storm.await.unwrap();
    }
    assert_eq!(world.broker.audit().await.unwrap(), []);
    // Whoever has so many can have so many more, and not one beyond.
    for n in 0..8 {
        let id = format!("c{n}");
        let has = world.subscriptions(&id).await.len();
        let free: Vec<String> = (has..6).map(|n| format!("{id}-{n}")).collect();
        let free: Vec<&str> = free.iter().map(String::as_str).collect();
        world.subscribe(&id, &free).await;
        let beyond = world.sync(&id, PartialAdd, &["beyond"]).await;
        assert_eq!(code(beyond), ErrorCode::LiteSubscriptionQuotaExceeded, "{id} had {has}");
    }
    let (_, after) = World::after_crash(&store).await;
    assert_eq!(after.broker.audit().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn owners_are_the_same_after_a_crash() {
    let (store, world) = world().await;
    world.send("a", "m1").await;
    world.subscribe("c1", &["a", "b"]).await;
    world.subscribe("c2", &["a"]).await;
    let (_, after) = World::after_crash(&store).await;
    let after = World { group: after.broker.group("owners").unwrap(), ..after };
    after.sync("c1", CompleteAdd, &["a", "b"]).await.unwrap();
    assert!(after.receive("c1", NOW).await.is_empty());
    assert_eq!(bodies(&after.receive("c2", NOW).await), ["m1"]);
    assert_eq!(
        code(after.sync("c2", PartialAdd, &["x", "y"]).await),
        ErrorCode::LiteSubscriptionQuotaExceeded,
        "it has one of two"
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_sync_that_was_on_its_way_does_not_bring_back_what_was_taken_and_given_up() {
    let (_, world) = world().await;
    world.send("a", "m1").await;
    world.subscribe("c1", &["a"]).await;
    world.subscribe("c2", &["a"]).await;
    world.sync("c2", PartialRemove, &["a"]).await.unwrap();
    world.sync("c1", CompleteAdd, &[]).await.unwrap();
    assert!(world.subscriptions("c1").await.is_empty(), "it was told, and named it no more");
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_says_goodbye_or_is_silent_for_long_owns_nothing() {
    let (_, world) = world().await;
    let watching = tokio::spawn(world.broker.clone().watch_sessions());
    world.send("a", "m1").await;
    world.subscribe("c1", &["a"]).await;
    world.broker.terminate(&client("c1")).await.unwrap();
    world.sync("c2", CompleteAdd, &["a"]).await.unwrap();
    assert_eq!(world.subscriptions("c2").await, ["a"]);
    tokio::time::sleep(Duration::from_secs(100)).await;
    world.sync("c3", CompleteAdd, &["a"]).await.unwrap();
    assert_eq!(world.subscriptions("c3").await, ["a"]);
    watching.abort();
}

#[tokio::test(start_paused = true)]
async fn a_client_is_expelled_from_a_lite_topic_or_from_all() {
    let (_, world) = world().await;
    for name in ["a", "b"] {
        world.send(name, name).await;
    }
    world.subscribe("c1", &["a", "b"]).await;
    let one = client("c1");
    let expelled = |name| world.broker.expel(&one, "owners", name);
    assert_eq!(expelled(Some("unknown")).await.unwrap(), 0);
    assert_eq!(expelled(Some("a")).await.unwrap(), 1);
    assert_eq!(world.subscriptions("c1").await, ["b"]);
    world.sync("c1", CompleteAdd, &["b"]).await.unwrap();
    assert_eq!(world.subscriptions("c1").await, ["b"], "told, it named the other no more");
    assert_eq!(expelled(None).await.unwrap(), 1);
    assert_eq!(expelled(None).await.unwrap(), 0);
    assert_eq!(
        code(world.broker.expel(&one, "nobody", None).await),
        ErrorCode::ConsumerGroupNotFound
    );
    assert_eq!(code(expelled(Some("a/b")).await), ErrorCode::LiteTopicIllegal);
    world.subscribe("c1", &["a", "b"]).await;
}

#[tokio::test(start_paused = true)]
async fn the_mode_of_a_group_is_changed_only_while_nobody_is_subscribed() {
    let (_, world) = world().await;
    let shared = || GroupChange { mode: Some(SubscriptionMode::Shared), ..GroupChange::default() };
    world.subscribe("c1", &["a"]).await;
    let refused = world.broker.update_group("owners", shared()).await;
    assert_eq!(code(refused), ErrorCode::InUse);
    let same = GroupChange {
        mode: Some(SubscriptionMode::Exclusive),
        reset_on_takeover: Some(true),
        ..GroupChange::default()
    };
    world.broker.update_group("owners", same).await.unwrap();
    world.sync("c1", PartialRemove, &["a"]).await.unwrap();
    assert_eq!(
        code(world.broker.update_group("owners", shared()).await),
        ErrorCode::BadRequest,
        "the option is for exclusive groups"
    );
    let change = GroupChange { reset_on_takeover: Some(false), ..shared() };
    world.broker.update_group("owners", change).await.unwrap();
    world.subscribe("c1", &["a"]).await;
    world.subscribe("c2", &["a"]).await;
    world.send("a", "m1").await;
    quiet().await;
    assert_eq!(world.subscriptions("c1").await, ["a"]);
    assert_eq!(world.subscriptions("c2").await, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn changes_of_mode_and_subscriptions_at_one_time_never_leave_two_owners() {
    let (_, world) = World::memory().await;
    let world = world.with_group(group("owners")).await;
    let mut tasks = Vec::new();
    for n in 0..6 {
        let world = world.clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..30 {
                let id = format!("c{n}");
                world.sync(&id, PartialAdd, &["a"]).await.unwrap();
                tokio::task::yield_now().await;
                world.sync(&id, PartialRemove, &["a"]).await.unwrap();
            }
        }));
    }
    let changes = tokio::spawn({
        let world = world.clone();
        async move {
            let mut changed = 0;
            for n in 0..300 {
                let mode =
                    if n % 2 == 0 { SubscriptionMode::Exclusive } else { SubscriptionMode::Shared };
                let change = GroupChange { mode: Some(mode), ..GroupChange::default() };
                let outcome = world.broker.update_group("owners", change).await;
                changed += u32::from(outcome.is_ok());
                assert_eq!(world.broker.audit().await.unwrap(), []);
            }
            changed
        }
    });
    for task in tasks {
        task.await.unwrap();
    }
    assert!(changes.await.unwrap() > 0);
}
