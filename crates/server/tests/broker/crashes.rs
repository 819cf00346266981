//! Each kind of change, and a crash at each moment of it: afterwards it is there whole or not at all, once
//! it was answered it is there, and nothing that was answered before is different.

use std::fmt::Write as _;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use litemq_domain::access::{Action, Actions, Effect, PolicyId, Secret, UserKind};
use litemq_domain::{
    Backoff, DurationMs, ErrorCode, GroupName, GroupOptions, NamePrefix, SubscriptionMode,
    TopicName, TopicOptions, UserName,
};
use litemq_server::broker::SyncAction::PartialAdd;
use litemq_server::broker::{
    Broker, BrokerOptions, Delivery, GroupChange, LifetimeOrder, NewGroup, NewPolicy, NewTopic,
    NewUser, QuotaChange, ReceiveRequest, Start, TopicChange, UserChange,
};
use litemq_storage::{Lsn, MemoryStore, ShardStore};

use crate::support::{
    GROUP, NOW, TOPIC, World, bodies, broker, client, code, group, lite, quiet, receipt,
};

/// Far more than any change needs.
const BATCHES_MAX: usize = 50;

/// A change, to be made on a broker that the changes before it were made on.
type Change = (&'static str, fn(World) -> BoxFuture<'static, ()>);

macro_rules! changes {
    ($($name:literal: |$world:ident| $change:expr),* $(,)?) => {
        [$(($name, |$world: World| async move { done($change) }.boxed())),*]
    };
}

/// All that is kept of lite topics, those who consume them, and those who may.
#[rustfmt::skip]
fn changes() -> [Change; 28] {
    changes! {
        "a topic with options": |world| world.broker.create_topic(new_topic()).await.unwrap(),
        "other options of a topic": |world| {
            let change = TopicChange {
                ttl: Some(Some(DurationMs::from_secs(600))),
                keep_subscribed: Some(true),
                lite_topic_quota: Some(Some(1000)),
                ..TopicChange::default()
            };
            world.broker.update_topic(TOPIC, change).await.unwrap()
        },
        "an exclusive group": |world| world.broker.create_group(owners()).await.unwrap(),
        "a wildcard group": |world| {
            let mode = SubscriptionMode::Wildcard(NamePrefix::new("a").unwrap());
            let options = GroupOptions { mode, ..GroupOptions::default() };
            world.broker.create_group(NewGroup { options, ..group("sharing") }).await.unwrap()
        },
        "other options of a group": |world| {
            let change = GroupChange {
                max_attempts: Some(2),
                consume_rate: Some(std::num::NonZeroU32::new(100)),
                simple_suspend: Some(true),
                backoff: Some(Backoff::Listed(vec![DurationMs(1)])),
                ..GroupChange::default()
            };
            world.broker.update_group(GROUP, change).await.unwrap()
        },
        "quotas": |world| {
            let change = QuotaChange {
                lite_topics_max: Some(Some(100)),
                subscriptions_max: Some(Some(200)),
            };
            world.broker.set_quotas(change).await.unwrap()
        },
        "a lite topic with a time to live": |world| {
            let ttl = Some(Some(DurationMs::from_secs(300)));
            world.broker.create_lite(TOPIC, &lite("ahead"), ttl).await.unwrap()
        },
        "another time to live": |world| live(&world, LifetimeOrder::Ttl(Some(None))).await,
        "a longer life": |world| live(&world, LifetimeOrder::Extend(DurationMs::from_secs(900))).await,
        "a pin": |world| live(&world, LifetimeOrder::Pin).await,
        "no pin": |world| live(&world, LifetimeOrder::Unpin).await,
        "first message": |world| world.send("a", "0").await,
        "second message": |world| world.send("a", "1").await,
        "a subscription": |world| world.subscribe("c1", &["a"]).await,
        "a lease": |world| world.receive("c1", NOW).await,
        "a position that an administrator set": |world| {
            world.broker.reset_group(GROUP, Some("a"), Start::Offset(1)).await.unwrap()
        },
        "a subscription that starts elsewhere": |world| {
            let (group, names) = (Arc::clone(&world.group), vec![lite("a")]);
            world.broker.subscribe_from(&client("c2"), &group, names, Start::Oldest).await.unwrap()
        },
        "another lease": |world| held(&world).await,
        "a dead letter": |world| {
            let held = held(&world).await;
            world.broker.dead_letter(&world.group, receipt(&held[0])).await.unwrap()
        },
        "an owner": |world| own(&world, "c1").await,
        "another owner": |world| own(&world, "c2").await,
        "an owner that is expelled": |world| {
            world.broker.expel(&client("c2"), "owners", None).await.unwrap()
        },
        "a user": |world| world.broker.create_user(new_user()).await.unwrap(),
        "a policy": |world| world.broker.create_policy(new_policy()).await.unwrap(),
        "a user that is disabled": |world| {
            let change = UserChange { enabled: Some(false), ..UserChange::default() };
            world.broker.update_user("tenant", change).await.unwrap()
        },
        "a policy that is deleted": |world| world.broker.delete_policy(PolicyId(0)).await.unwrap(),
        "a user that is deleted": |world| world.broker.delete_user("tenant").await.unwrap(),
        "a lite topic that is removed": |world| world.broker.delete_lite(TOPIC, "a").await.unwrap(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_is_there_whole_or_not_at_all_after_a_crash_at_any_moment_of_it() {
    let (store, world) = World::memory().await;
    let mut crashes = 0;
    for (name, change) in changes() {
        let before = view(&world.broker).await;
        let left = crash_everywhere(&store, change(world.clone())).await;
        let after = view(&world.broker).await;
        assert_ne!(before, after, "{name}: nothing shows it");
        for (is_answered, left) in left {
            let broker = broker(left, BrokerOptions::default()).await;
            let found = view(&broker).await;
            let is_allowed = found == after || !is_answered && found == before;
            assert!(is_allowed, "{name}, answered: {is_answered}\n{found}\ninstead of\n{after}");
            crashes += 1;
        }
        world.broker.checkpoint().await.unwrap();
        let broker = broker(Arc::new(store.reopen()), BrokerOptions::default()).await;
        let found = view(&broker).await;
        assert_eq!(found, after, "{name}, in a checkpoint");
    }
    assert!(crashes >= 2 * changes().len(), "{crashes} crashes");
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_at_any_moment_of_a_take_over_there_is_one_owner_and_the_other_is_stale() {
    let (store, world) = World::memory().await;
    let world = world.with_group(owners()).await;
    world.send("a", "0").await;
    world.subscribe("c1", &["a"]).await;
    let held = world.receive("c1", NOW).await;
    let taking = world.clone();
    let take_over = async move { taking.subscribe("c2", &["a"]).await };
    let mut owners_seen = Vec::new();
    for (is_answered, left) in crash_everywhere(&store, take_over.boxed()).await {
        let broker = broker(left, BrokerOptions::default()).await;
        let group = broker.group("owners").unwrap();
        let after = World { broker, group, ..world.clone() };
        let owners = [after.subscriptions("c1").await, after.subscriptions("c2").await];
        let is_taken = owners[0].is_empty();
        assert_ne!(is_taken, owners[1].is_empty(), "one owner: {owners:?}");
        assert!(is_taken || !is_answered, "answered, and not there");
        if is_taken {
            assert_eq!(bodies(&after.receive("c2", NOW).await), ["0"]);
            assert_eq!(code(after.ack(&held[0]).await), ErrorCode::ReceiptHandleInvalid);
        } else {
            assert!(after.receive("c2", NOW).await.is_empty());
            after.ack(&held[0]).await.unwrap();
        }
        owners_seen.push(is_taken);
    }
    assert!(owners_seen.contains(&false) && owners_seen.contains(&true), "{owners_seen:?}");
}

/// What crashes leave while a change is made, before and after each batch of it that becomes durable, and
/// whether it was answered by then.
async fn crash_everywhere(
    store: &Arc<MemoryStore>,
    change: BoxFuture<'static, ()>,
) -> Vec<(bool, Arc<MemoryStore>)> {
    store.hold_syncs();
    let changing = tokio::spawn(change);
    let mut left = Vec::new();
    loop {
        quiet().await;
        let is_answered = changing.is_finished();
        left.push((is_answered, Arc::new(store.reopen())));
        assert!(left.len() < BATCHES_MAX, "it does not come to its end");
        if is_answered {
            break;
        }
        let durable = store.durable().borrow().durable.0;
        store.sync(Lsn(durable + 1));
    }
    changing.await.unwrap();
    store.release_syncs();
    quiet().await;
    left
}

/// Everything that shall outlive a crash, as people may read it.
async fn view(broker: &Broker) -> String {
    let mut view = format!("{:?}\n", broker.quotas());
    for account in broker.access().directory().accounts() {
        writeln!(view, "{:?} {:?}", account.user, account.policies).unwrap();
    }
    for group in broker.groups() {
        writeln!(view, "{} {:?}", group.name, group.options).unwrap();
    }
    for topic in broker.topics() {
        writeln!(view, "{} {:?}", topic.name, topic.options).unwrap();
        for info in broker.list_lite(topic.name.as_str(), "", None, 1000).await.unwrap() {
            let (offsets, own) = ((info.first_offset, info.next_offset), info.own);
            writeln!(view, "  {} {offsets:?} {:?} {own:?}", info.name, info.ttl).unwrap();
            for group in info.groups {
                writeln!(view, "    {group:?}").unwrap();
            }
        }
    }
    view
}

fn done<T>(_: T) {}

/// What the second client holds; the same again when it is asked for again.
async fn held(world: &World) -> Vec<Delivery> {
    let attempt_id = "the only one".to_owned();
    let request = ReceiveRequest { attempt_id, ..world.request("c2", NOW) };
    world.try_receive(request).await.unwrap()
}

async fn live(world: &World, order: LifetimeOrder) {
    world.broker.change_lifetime(TOPIC, "ahead", &[order]).await.unwrap();
}

async fn own(world: &World, id: &str) {
    let group = world.broker.group("owners").unwrap();
    let world = World { group, ..world.clone() };
    world.sync(id, PartialAdd, &["a"]).await.unwrap();
}

fn new_topic() -> NewTopic {
    let options = TopicOptions {
        ttl: Some(DurationMs::from_secs(60)),
        counts_reads: true,
        keep_undelivered: true,
        send_rate: std::num::NonZeroU32::new(5),
        ..TopicOptions::default()
    };
    NewTopic { name: TopicName::new("another").unwrap(), options }
}

fn owners() -> NewGroup {
    let options = GroupOptions {
        mode: SubscriptionMode::Exclusive,
        reset_on_takeover: true,
        reset_on_unsubscribe: true,
        client_quota: Some(7),
        ..GroupOptions::default()
    };
    NewGroup { name: GroupName::new("owners").unwrap(), options, ..group(GROUP) }
}

fn new_user() -> NewUser {
    NewUser {
        name: UserName::new("tenant").unwrap(),
        secret: Secret::new("secret-of-tenant").unwrap(),
        kind: UserKind::Normal,
        enabled: true,
    }
}

fn new_policy() -> NewPolicy {
    NewPolicy {
        user: UserName::new("tenant").unwrap(),
        effect: Effect::Deny,
        actions: Actions::new(&[Action::Publish]).unwrap(),
        resource: "lite:orders/a*".parse().unwrap(),
        source: Some("10.0.0.0/8".parse().unwrap()),
    }
}
