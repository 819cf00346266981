//! How much the broker may hold: exact under concurrency, over changes and restarts.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use litemq_domain::{ErrorCode, QuotaProfile};
use litemq_server::broker::SyncAction::{CompleteAdd, PartialAdd, PartialRemove};
use litemq_server::broker::{QuotaChange, TopicChange};
use litemq_storage::MemoryStore;

use crate::support::{TOPIC, World, code, group, lite, message};

async fn with_max(lite_topics: Option<u64>, pairs: Option<u64>) -> (Arc<MemoryStore>, World) {
    let (store, world) = World::memory().await;
    set(&world, lite_topics, pairs).await;
    (store, world)
}

async fn set(world: &World, lite_topics_max: Option<u64>, subscriptions_max: Option<u64>) {
    let change = QuotaChange {
        lite_topics_max: Some(lite_topics_max),
        subscriptions_max: Some(subscriptions_max),
    };
    world.broker.set_quotas(change).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn lite_topics_are_never_more_than_their_quota_however_many_come_at_once() {
    let (store, world) = with_max(Some(10), None).await;
    let sends: Vec<_> = (0..50)
        .map(|n| {
            let world = world.clone();
            tokio::spawn(async move { world.try_send(&format!("l{n}"), "1").await })
        })
        .collect();
    let mut refused = 0;
    for send in sends {
        match send.await.unwrap() {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.code, ErrorCode::LiteTopicQuotaExceeded);
                refused += 1;
            }
        }
    }
    assert_eq!((refused, world.broker.quotas().lite_topics), (40, 10));
    let listed = world.broker.list_lite(TOPIC, "", None, 1000).await.unwrap();
    assert_eq!(listed.len(), 10);
    let known = listed[0].name.as_str();
    world.send(known, "2").await;
    let (_, again) = World::after_crash(&store).await;
    assert_eq!(again.broker.quotas().quotas.lite_topics_max, Some(10), "it is kept");
    assert_eq!(again.broker.quotas().lite_topics, 10, "and counted anew");
    assert_eq!(code(again.try_send("new", "1").await), ErrorCode::LiteTopicQuotaExceeded);
    let ahead = again.broker.create_lite(TOPIC, &lite("new"), None).await;
    assert_eq!(code(ahead), ErrorCode::LiteTopicQuotaExceeded);
    again.broker.delete_lite(TOPIC, known).await.unwrap();
    again.send("new", "1").await;
}

#[tokio::test(start_paused = true)]
async fn a_quota_of_one_parent_leaves_others_their_room() {
    let (_, world) = with_max(Some(3), None).await;
    let quota = TopicChange { lite_topic_quota: Some(Some(1)), ..TopicChange::default() };
    world.broker.update_topic(TOPIC, quota).await.unwrap();
    world.send("a", "1").await;
    assert_eq!(code(world.try_send("b", "1").await), ErrorCode::LiteTopicQuotaExceeded);
    let raised = TopicChange { lite_topic_quota: Some(None), ..TopicChange::default() };
    world.broker.update_topic(TOPIC, raised).await.unwrap();
    world.send("b", "1").await;
    assert_eq!(world.broker.quotas().lite_topics, 2);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_topic_gives_its_room_back_at_once() {
    let (_, world) = with_max(Some(1), None).await;
    world.send("a", "1").await;
    world.broker.delete_group(world.group.name.as_str()).await.unwrap();
    world.broker.delete_topic(TOPIC).await.unwrap();
    assert_eq!(world.broker.quotas().lite_topics, 0);
    let again = World::of(Arc::clone(&world.broker), group("again")).await;
    again.send("b", "1").await;
}

#[tokio::test(start_paused = true)]
async fn dead_letters_have_neither_quota_nor_rate() {
    let (_, world) = with_max(Some(1), None).await;
    world.subscribe("c", &["a"]).await;
    world.send("a", "1").await;
    let delivery = world.receive("c", Duration::ZERO).await.remove(0);
    let receipt = crate::support::receipt(&delivery);
    world.broker.dead_letter(&world.group, receipt).await.unwrap();
    let letters = world.broker.topic("%DLQ%workers").unwrap();
    assert_eq!((world.broker.lite_count(&letters), world.broker.quotas().lite_topics), (1, 1));
    for change in [
        TopicChange { lite_topic_quota: Some(Some(5)), ..TopicChange::default() },
        TopicChange { send_rate: Some(NonZeroU32::new(1)), ..TopicChange::default() },
    ] {
        let refused = world.broker.update_topic("%DLQ%workers", change).await;
        assert_eq!(code(refused), ErrorCode::BadRequest);
    }
}

#[tokio::test(start_paused = true)]
async fn subscriptions_of_all_clients_are_never_more_than_their_quota() {
    let (store, world) = with_max(None, Some(10)).await;
    let adds: Vec<_> = (0..40)
        .map(|n| {
            let world = world.clone();
            let (id, name) = (format!("c{}", n % 8), format!("l{n}"));
            tokio::spawn(async move { world.sync(&id, PartialAdd, &[&name]).await })
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
    assert_eq!((refused, world.broker.subscription_count()), (30, 10));
    let (_, again) = World::after_crash(&store).await;
    assert_eq!(again.broker.subscription_count(), 10);
    let refused = again.sync("new", PartialAdd, &["x"]).await;
    assert_eq!(code(refused), ErrorCode::LiteSubscriptionQuotaExceeded);
}

#[tokio::test(start_paused = true)]
async fn at_the_limit_repeats_are_free_removals_pass_and_a_set_can_be_replaced() {
    let (_, world) = with_max(None, Some(3)).await;
    world.sync("c", PartialAdd, &["a", "b", "c"]).await.unwrap();
    world.sync("c", PartialAdd, &["c", "a", "b"]).await.unwrap();
    world.sync("c", CompleteAdd, &["a", "b", "c"]).await.unwrap();
    let over = world.sync("c", CompleteAdd, &["d", "e", "f", "g"]).await;
    assert_eq!(code(over), ErrorCode::LiteSubscriptionQuotaExceeded);
    world.send("a", "1").await;
    assert_eq!(world.subscriptions("c").await, ["a"], "the old set is kept whole");
    world.sync("c", CompleteAdd, &["a", "e", "f"]).await.unwrap();
    assert_eq!(world.broker.subscription_count(), 3);
    world.sync("c", PartialRemove, &["e"]).await.unwrap();
    world.sync("d", PartialAdd, &["a"]).await.unwrap();
    set(&world, None, Some(1)).await;
    world.sync("c", PartialAdd, &["a", "f"]).await.unwrap();
    world.sync("c", PartialRemove, &["f"]).await.unwrap();
    let refused = world.sync("c", PartialAdd, &["f"]).await;
    assert_eq!(code(refused), ErrorCode::LiteSubscriptionQuotaExceeded);
    world.broker.terminate(&crate::support::client("c")).await.unwrap();
    assert_eq!(world.broker.subscription_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn subscriptions_that_others_end_make_room() {
    let (_, world) = with_max(None, Some(2)).await;
    world.sync("c", PartialAdd, &["a", "b"]).await.unwrap();
    world.send("a", "1").await;
    world.broker.delete_lite(TOPIC, "a").await.unwrap();
    world.sync("d", PartialAdd, &["x"]).await.unwrap();
    assert_eq!(world.broker.subscription_count(), 2);
    let other = world.with_group(group("others")).await;
    world.broker.terminate(&crate::support::client("c")).await.unwrap();
    other.sync("e", PartialAdd, &["x"]).await.unwrap();
    world.broker.delete_group("others").await.unwrap();
    assert_eq!(world.broker.subscription_count(), 1);
    world.sync("e", PartialAdd, &["x"]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_topic_with_a_send_rate_refuses_what_is_above_and_stores_none_of_it() {
    let (_, world) = World::memory().await;
    let rate = TopicChange { send_rate: Some(NonZeroU32::new(5)), ..TopicChange::default() };
    world.broker.update_topic(TOPIC, rate).await.unwrap();
    let new = |n: usize| message(&format!("l{}", n % 3), &format!("m{n}"), "1");
    let sent = world.broker.send(&world.topic, (0..8).map(new).collect()).await;
    let passed = sent.iter().filter(|sent| sent.is_ok()).count();
    assert_eq!(passed, 5);
    for refused in sent.into_iter().filter(|sent| sent.is_err()) {
        assert_eq!(code(refused), ErrorCode::Overloaded);
    }
    let mut stored = 0;
    for name in ["l0", "l1", "l2"] {
        stored += world.stored(name).await.len();
    }
    assert_eq!(stored, 5);
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.send("l0", "later").await;
    assert_eq!(code(world.try_send("l0", "too soon").await), ErrorCode::Overloaded);
    let off = TopicChange { send_rate: Some(None), ..TopicChange::default() };
    world.broker.update_topic(TOPIC, off).await.unwrap();
    world.send("l0", "at once").await;
}

#[tokio::test(start_paused = true)]
async fn a_profile_sets_both_quotas() {
    let (_, world) = World::memory().await;
    let quotas = QuotaProfile::find("standard-s2-2k").unwrap().quotas();
    let now = world.broker.set_quotas(QuotaChange::to(quotas)).await.unwrap();
    assert_eq!(now.quotas.lite_topics_max, Some(150_000));
    assert_eq!(now.quotas.subscriptions_max, Some(150_000));
}
