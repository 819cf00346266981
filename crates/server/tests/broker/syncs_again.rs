//! Full syncs that change nothing: answered without asking a shard, until anything has changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use litemq_domain::{ErrorCode, GroupOptions, SubscriptionMode};
use litemq_server::broker::SyncAction::{CompleteAdd, CompleteRemove, PartialAdd, PartialRemove};
use litemq_server::broker::limits::FULL_SYNC_RACE_WINDOW;
use litemq_server::broker::{GroupChange, NewGroup};
use litemq_storage::MemoryStore;

use crate::support::{GROUP, TOPIC, World, client, code, group, quiet};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

async fn world() -> (Arc<MemoryStore>, World) {
    let (store, world) = World::memory().await;
    for name in NAMES {
        world.send(name, name).await;
    }
    (store, world)
}

/// Syncs while a shard has something that is not durable, and tells whether the answer came all the
/// same: every full sync that asks the shards waits for it.
async fn is_recognised(store: &MemoryStore, world: &World, id: &str, names: &[&str]) -> bool {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let body = NUMBER.fetch_add(1, Ordering::Relaxed).to_string();
    store.hold_syncs();
    let other = world.clone();
    let send = tokio::spawn(async move { other.send("elsewhere", &body).await });
    quiet().await;
    let (world, id) = (world.clone(), id.to_owned());
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let again = tokio::spawn(async move {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        world.sync(&id, CompleteAdd, &names).await
    });
    quiet().await;
    let at_once = again.is_finished();
    store.release_syncs();
    send.await.unwrap();
    again.await.unwrap().unwrap();
    at_once
}

#[tokio::test(start_paused = true)]
async fn a_full_sync_that_changes_nothing_asks_no_shard() {
    let (store, world) = world().await;
    assert!(!is_recognised(&store, &world, "c", &["a", "b", "new"]).await, "the first one");
    for names in [["a", "b", "new"], ["new", "a", "b"]] {
        assert!(is_recognised(&store, &world, "c", &names).await, "{names:?}");
    }
    assert!(!is_recognised(&store, &world, "c", &["a", "a", "b", "new"]).await, "a repeated name");
    assert!(!is_recognised(&store, &world, "another", &["a", "b", "new"]).await);
    assert_eq!(world.subscriptions("c").await, ["a", "b"], "as far as they have messages");
}

#[tokio::test(start_paused = true)]
async fn whatever_has_changed_a_set_the_next_full_sync_mends_it() {
    type Change = for<'w> fn(&'w World) -> BoxFuture<'w, ()>;
    let changes: [(&str, Change); 8] = [
        ("a name more", |world| world.subscribe("c", &["d"]).boxed()),
        ("a name less", |world| {
            async { world.sync("c", PartialRemove, &["a"]).await.unwrap() }.boxed()
        }),
        ("as many others", |world| {
            async {
                world.subscribe("c", &["d"]).await;
                world.sync("c", PartialRemove, &["a"]).await.unwrap();
            }
            .boxed()
        }),
        ("another full sync", |world| {
            async { world.sync("c", CompleteAdd, &["a", "c"]).await.unwrap() }.boxed()
        }),
        ("all removed", |world| {
            async { world.sync("c", CompleteRemove, &[]).await.unwrap() }.boxed()
        }),
        ("expelled", |world| {
            async {
                assert_eq!(world.broker.expel(&client("c"), GROUP, Some("a")).await.unwrap(), 1);
            }
            .boxed()
        }),
        ("said goodbye", |world| {
            async { world.broker.terminate(&client("c")).await.unwrap() }.boxed()
        }),
        ("the lite topic was removed", |world| {
            async {
                world.broker.delete_lite(TOPIC, "a").await.unwrap();
                world.send("a", "a again").await;
            }
            .boxed()
        }),
    ];
    for (what, change) in changes {
        let (store, world) = world().await;
        world.sync("c", CompleteAdd, &["a", "b"]).await.unwrap();
        assert!(is_recognised(&store, &world, "c", &["a", "b"]).await, "{what}");
        change(&world).await;
        tokio::time::sleep(FULL_SYNC_RACE_WINDOW).await;
        assert!(!is_recognised(&store, &world, "c", &["a", "b"]).await, "{what}");
        assert_eq!(world.subscriptions("c").await, ["a", "b"], "{what}");
        assert!(is_recognised(&store, &world, "c", &["a", "b"]).await, "{what}");
        assert_eq!(world.broker.audit().await.unwrap(), [], "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_ends_the_recognition() {
    let (store, world) = world().await;
    world.sync("c", CompleteAdd, &["a", "b"]).await.unwrap();
    let (store, after) = World::after_crash(&store).await;
    assert!(!is_recognised(&store, &after, "c", &["a", "b"]).await);
    assert!(is_recognised(&store, &after, "c", &["a", "b"]).await);
}

#[tokio::test(start_paused = true)]
async fn names_that_come_and_go_one_by_one_are_followed() {
    let (store, world) = world().await;
    world.sync("c", CompleteAdd, &["a"]).await.unwrap();
    world.subscribe("c", &["b"]).await;
    world.subscribe("c", &["b"]).await;
    world.sync("c", PartialRemove, &["d"]).await.unwrap();
    assert!(is_recognised(&store, &world, "c", &["a", "b"]).await);
    world.sync("c", PartialRemove, &["a"]).await.unwrap();
    assert!(is_recognised(&store, &world, "c", &["b"]).await);
    world.subscribe("c", &["b", "c"]).await;
    assert!(!is_recognised(&store, &world, "c", &["b", "c"]).await, "one of two was new");
    assert!(is_recognised(&store, &world, "c", &["b", "c"]).await);
    // A full sync from before the last add; the name stays, and is known to.
    world.subscribe("c", &["d"]).await;
    assert!(!is_recognised(&store, &world, "c", &["b", "c"]).await);
    assert!(is_recognised(&store, &world, "c", &["b", "c", "d"]).await);
    assert_eq!(world.subscriptions("c").await, ["b", "c", "d"]);
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_lost_a_lite_topic_is_not_recognised_by_what_it_had() {
    let (store, world) = world().await;
    let options = GroupOptions { mode: SubscriptionMode::Exclusive, ..GroupOptions::default() };
    let world = world.with_group(NewGroup { options, ..group("owners") }).await;
    world.sync("c1", CompleteAdd, &["a", "b"]).await.unwrap();
    world.sync("c2", PartialAdd, &["a"]).await.unwrap();
    for _ in 0..2 {
        assert!(!is_recognised(&store, &world, "c1", &["a", "b"]).await, "it has only b");
        assert_eq!(world.subscriptions("c1").await, ["b"]);
    }
    assert!(!is_recognised(&store, &world, "c1", &["b"]).await);
    assert!(is_recognised(&store, &world, "c1", &["b"]).await);
    world.sync("c2", PartialRemove, &["a"]).await.unwrap();
    assert!(!is_recognised(&store, &world, "c1", &["a", "b"]).await);
    assert_eq!(world.subscriptions("c1").await, ["a", "b"], "it was free");
}

#[tokio::test(start_paused = true)]
async fn a_loss_that_is_not_durable_yet_is_waited_for() {
    let (store, world) = world().await;
    world.sync("c", CompleteAdd, &["a", "b"]).await.unwrap();
    store.hold_syncs();
    let broker = Arc::clone(&world.broker);
    let removal = tokio::spawn(async move { broker.delete_lite(TOPIC, "a").await });
    quiet().await;
    let other = world.clone();
    let rest = tokio::spawn(async move { other.sync("c", CompleteAdd, &["b"]).await });
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(!rest.is_finished(), "a crash could bring it back");
    store.release_syncs();
    removal.await.unwrap().unwrap();
    rest.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_was_lowered_refuses_a_full_sync_that_changes_nothing() {
    let (_, world) = world().await;
    world.sync("c", CompleteAdd, &["a", "b"]).await.unwrap();
    world.sync("c", CompleteAdd, &["a", "b"]).await.unwrap();
    let change = GroupChange { client_quota: Some(Some(1)), ..GroupChange::default() };
    let group = world.broker.update_group(GROUP, change).await.unwrap();
    let world = World { group, ..world };
    let refused = world.sync("c", CompleteAdd, &["a", "b"]).await;
    assert_eq!(code(refused), ErrorCode::LiteSubscriptionQuotaExceeded);
    assert_eq!(world.subscriptions("c").await, ["a", "b"], "what it has stays");
}
