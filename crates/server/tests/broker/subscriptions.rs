//! Sets of lite topics: exact quotas, repeats, full syncs and the race between them.

use std::time::Duration;

use litemq_domain::ErrorCode;
use litemq_server::broker::GroupChange;
use litemq_server::broker::SyncAction::{CompleteAdd, CompleteRemove, PartialAdd, PartialRemove};
use litemq_server::broker::limits::FULL_SYNC_RACE_WINDOW;

use crate::support::{World, code, group};

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// A group with this quota; all names have a message, so that they are listed.
async fn world(quota: u32) -> World {
    let (_, world) = World::memory().await;
    for name in NAMES {
        world.send(name, name).await;
    }
    let mut new = group("narrow");
    new.options.client_quota = Some(quota);
    world.with_group(new).await
}

#[tokio::test(start_paused = true)]
async fn the_quota_is_exact_under_concurrent_adds() {
    let world = world(4).await;
    let adds: Vec<_> = NAMES
        .into_iter()
        .map(|name| {
            let world = world.clone();
            tokio::spawn(async move { world.sync("c", PartialAdd, &[name]).await })
        })
        .collect();
    let mut refused = 0;
    for add in adds {
        match add.await.unwrap() {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error.code, ErrorCode::LiteSubscriptionQuotaExceeded);
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 4);
    assert_eq!(world.subscriptions("c").await.len(), 4);
    world.sync("another", PartialAdd, &NAMES[..4]).await.expect("each client has its own");
}

#[tokio::test(start_paused = true)]
async fn a_refused_change_leaves_the_old_set() {
    let world = world(3).await;
    world.sync("c", CompleteAdd, &["a", "b"]).await.unwrap();
    for (action, names) in [(PartialAdd, &NAMES[1..4]), (CompleteAdd, &NAMES[4..8])] {
        let refused = world.sync("c", action, names).await;
        assert_eq!(code(refused), ErrorCode::LiteSubscriptionQuotaExceeded);
        assert_eq!(world.subscriptions("c").await, ["a", "b"]);
    }
    world.subscribe("c", &["c"]).await;
}

#[tokio::test(start_paused = true)]
async fn repeats_are_free_at_the_limit() {
    let world = world(3).await;
    world.sync("c", CompleteAdd, &["a", "b", "c"]).await.unwrap();
    for _ in 0..3 {
        world.sync("c", PartialAdd, &["c", "b"]).await.unwrap();
        world.sync("c", PartialAdd, &["a", "a", "b", "b", "c", "c"]).await.unwrap();
        world.sync("c", CompleteAdd, &["a", "b", "c"]).await.unwrap();
    }
    assert_eq!(
        code(world.sync("c", PartialAdd, &["d"]).await),
        ErrorCode::LiteSubscriptionQuotaExceeded
    );
    world.sync("c", PartialRemove, &["a", "unknown"]).await.unwrap();
    world.sync("c", PartialRemove, &["a"]).await.unwrap();
    world.subscribe("c", &["d"]).await;
    assert_eq!(
        code(world.sync("c", PartialAdd, &["e"]).await),
        ErrorCode::LiteSubscriptionQuotaExceeded
    );
}

#[tokio::test(start_paused = true)]
async fn removals_pass_whatever_the_quota_says_now() {
    let world = world(6).await;
    world.subscribe("c", &NAMES[..6]).await;
    let change = GroupChange { client_quota: Some(Some(1)), ..GroupChange::default() };
    let group = world.broker.update_group("narrow", change).await.unwrap();
    let world = World { group, ..world };
    world.sync("c", PartialRemove, &["a"]).await.unwrap();
    assert_eq!(world.subscriptions("c").await.len(), 5, "what was allowed stays");
    assert!(world.sync("c", PartialAdd, &["a"]).await.is_err());
    world.sync("c", CompleteRemove, &[]).await.unwrap();
    assert!(world.subscriptions("c").await.is_empty());
    world.subscribe("c", &["h"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_sync_replaces_the_set() {
    let world = world(8).await;
    world.sync("c", CompleteAdd, &["a", "b", "c"]).await.unwrap();
    world.sync("c", CompleteAdd, &["c", "d"]).await.unwrap();
    assert_eq!(world.subscriptions("c").await, ["c", "d"]);
    world.sync("c", CompleteAdd, &[]).await.unwrap();
    assert!(world.subscriptions("c").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_late_full_sync_does_not_take_away_what_was_just_added() {
    let world = world(8).await;
    world.subscribe("c", &["a", "b"]).await;
    world.sync("c", PartialRemove, &["b"]).await.unwrap();
    world.sync("c", CompleteAdd, &["c"]).await.unwrap();
    assert_eq!(world.subscriptions("c").await, ["a", "c"], "a name removed by name is gone");
    tokio::time::sleep(FULL_SYNC_RACE_WINDOW + Duration::from_millis(1)).await;
    world.sync("c", CompleteAdd, &["c"]).await.unwrap();
    assert_eq!(world.subscriptions("c").await, ["c"], "the next full sync is right again");
}

#[tokio::test(start_paused = true)]
async fn quotas_and_sets_survive_a_crash() {
    let (store, world) = World::memory().await;
    let mut new = group("narrow");
    new.options.client_quota = Some(2);
    let world = world.with_group(new.clone()).await;
    for name in NAMES {
        world.send(name, name).await;
    }
    world.subscribe("c", &["a", "b"]).await;
    let (_, after) = World::after_crash(&store).await;
    let after = after.with_group(new).await;
    assert_eq!(after.subscriptions("c").await, ["a", "b"]);
    assert_eq!(
        code(after.sync("c", PartialAdd, &["d"]).await),
        ErrorCode::LiteSubscriptionQuotaExceeded
    );
    after.sync("c", PartialAdd, &["a"]).await.unwrap();
    after.sync("c", PartialRemove, &["a"]).await.unwrap();
    after.sync("c", PartialAdd, &["d"]).await.unwrap();
}
