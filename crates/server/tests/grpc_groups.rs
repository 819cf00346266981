//! Groups of every mode through the door: who gets what, from where on, and what a nack is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a helper that cannot go on fails its test"
)]

mod grpc_support;

use std::num::NonZeroU32;

use grpc_support::*;
use litemq_domain::{GroupName, GroupOptions, NamePrefix, SubscriptionMode, TopicName};
use litemq_protocol::v2;
use litemq_server::broker::NewGroup;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use v2::offset_option::{OffsetType, Policy};
use v2::settings::PubSub;
use v2::{ClientType, Code, LiteSubscriptionAction, OffsetOption, TelemetryCommand};

const JAVA: &str = "JAVA";

async fn with_group(door: &Door, name: &str, options: GroupOptions) {
    let (name, bind) = (GroupName::new(name).unwrap(), TopicName::new(TOPIC).unwrap());
    door.broker.create_group(NewGroup { name, bind, options }).await.unwrap();
}

fn of_mode(mode: SubscriptionMode) -> GroupOptions {
    GroupOptions { mode, ..GroupOptions::default() }
}

/// Subscribes with an offset option.
async fn subscribe_from(client: &Client, group: &str, lite: &str, from: OffsetType) -> v2::Status {
    let request = client.request(v2::SyncLiteSubscriptionRequest {
        action: LiteSubscriptionAction::PartialAdd.into(),
        topic: Some(resource(TOPIC)),
        group: Some(resource(group)),
        lite_topic_set: vec![lite.to_owned()],
        offset_option: Some(OffsetOption { offset_type: Some(from) }),
        ..v2::SyncLiteSubscriptionRequest::default()
    });
    client.grpc.clone().sync_lite_subscription(request).await.unwrap().into_inner().status.unwrap()
}

/// Says what the client is, as its SDK does at its start; the stream stays open with what comes back.
async fn say(
    client: &Client,
    client_type: ClientType,
    group: &str,
) -> (mpsc::Sender<TelemetryCommand>, tonic::Streaming<TelemetryCommand>) {
    let (say, said) = mpsc::channel(8);
    let request = client.request(ReceiverStream::new(said));
    let mut heard = client.grpc.clone().telemetry(request).await.unwrap().into_inner();
    let subscription =
        v2::Subscription { group: Some(resource(group)), ..v2::Subscription::default() };
    say.send(settings(client_type, PubSub::Subscription(subscription))).await.unwrap();
    let answer = soon(heard.message()).await.unwrap().unwrap();
    assert_eq!(answer.status.unwrap().code(), Code::Ok);
    (say, heard)
}

async fn beat(client: &Client, client_type: ClientType, group: &str) {
    let beat =
        v2::HeartbeatRequest { group: Some(resource(group)), client_type: client_type.into() };
    let answer = client.grpc.clone().heartbeat(client.request(beat)).await.unwrap();
    assert_eq!(answer.into_inner().status.unwrap().code(), Code::Ok);
}

/// As every SDK of lite consumers changes an invisible duration.
async fn suspend(client: &Client, group: &str, message: &v2::Message, nanos: i32) {
    suspend_for(client, group, message, prost_types::Duration { seconds: 0, nanos }).await;
}

async fn suspend_for(
    client: &Client,
    group: &str,
    message: &v2::Message,
    span: prost_types::Duration,
) {
    let request = client.request(v2::ChangeInvisibleDurationRequest {
        group: Some(resource(group)),
        topic: Some(resource(TOPIC)),
        receipt_handle: handle(message).to_owned(),
        invisible_duration: Some(span),
        message_id: "any".to_owned(),
        lite_topic: Some(lite_topic(message).to_owned()),
        suspend: Some(true),
    });
    let changed = client.grpc.clone().change_invisible_duration(request).await.unwrap();
    assert_eq!(changed.into_inner().status.unwrap().code(), Code::Ok);
}

fn simple(group: &str, batch: i32) -> v2::ReceiveMessageRequest {
    v2::ReceiveMessageRequest {
        auto_renew: false,
        invisible_duration: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        ..receive_request(group, batch, 5)
    }
}

#[tokio::test]
async fn every_offset_option_starts_where_the_protocol_says() {
    let door = Door::open().await;
    let client = door.client("c", JAVA).await;
    for body in ["m0", "m1", "m2", "m3"] {
        client.send(vec![message("s", body)]).await;
    }
    let policy = |policy: Policy| OffsetType::Policy(policy.into());
    for (n, (from, first)) in [
        (policy(Policy::Min), "m0"),
        (policy(Policy::Last), "m0"),
        (policy(Policy::Max), "new"),
        (OffsetType::Offset(2), "m2"),
        (OffsetType::Offset(i64::MAX), "new"),
        (OffsetType::TailN(1), "m3"),
        (OffsetType::TailN(100), "m0"),
        (OffsetType::Timestamp(0), "m0"),
        (OffsetType::Timestamp(i64::MAX), "new"),
    ]
    .into_iter()
    .enumerate()
    {
        let group = format!("from-{n}");
        with_group(&door, &group, GroupOptions::default()).await;
        assert_eq!(subscribe_from(&client, &group, "s", from).await.code(), Code::Ok, "{from:?}");
        if first == "new" {
            assert!(client.receive(&group, 1, 0).await.messages.is_empty(), "{from:?}");
        } else {
            let received = client.receive(&group, 1, 5).await;
            assert_eq!(received.bodies(), [first.as_bytes()], "{from:?}");
        }
    }
}

#[tokio::test]
async fn an_offset_that_cannot_be_is_refused_and_nothing_is_subscribed_or_moved() {
    let door = Door::open().await;
    let client = door.client("c", JAVA).await;
    client.send(vec![message("s", "m0"), message("s", "m1")]).await;
    for from in [
        OffsetType::Offset(-1),
        OffsetType::TailN(-1),
        OffsetType::Timestamp(-1),
        OffsetType::Policy(9),
    ] {
        let status = subscribe_from(&client, ORDERED, "s", from).await;
        assert_eq!(status.code(), Code::BadRequest, "{from:?}");
        assert!(client.receive(ORDERED, 1, 0).await.messages.is_empty(), "{from:?}");
    }
    client.subscribe(ORDERED, &["s"]).await;
    assert_eq!(client.receive(ORDERED, 1, 5).await.bodies(), [b"m0"]);
}

#[tokio::test]
async fn an_exclusive_lite_topic_goes_to_the_newest_subscriber_and_no_full_sync_takes_it_back() {
    let door = Door::open().await;
    with_group(&door, "owners", of_mode(SubscriptionMode::Exclusive)).await;
    let (old, new) = (door.client("old", JAVA).await, door.client("new", JAVA).await);
    old.subscribe("owners", &["s"]).await;
    old.send(vec![message("s", "m0")]).await;
    let held = old.receive("owners", 1, 5).await;
    assert_eq!(held.bodies(), [b"m0"]);
    new.subscribe("owners", &["s"]).await;
    let taken = new.receive("owners", 1, 5).await;
    assert_eq!((taken.bodies(), attempt(&taken.messages[0])), (vec![&b"m0"[..]], 2));
    let stale = old.ack("owners", &held.messages[0]).await;
    assert_eq!(stale.status.unwrap().code(), Code::InvalidReceiptHandle);
    let synced = old.sync(LiteSubscriptionAction::CompleteAdd, "owners", &["s"]).await;
    assert_eq!(synced.code(), Code::Ok);
    new.ack("owners", &taken.messages[0]).await;
    old.send(vec![message("s", "m1")]).await;
    assert!(old.receive("owners", 1, 0).await.messages.is_empty());
    assert_eq!(new.receive("owners", 1, 5).await.bodies(), [b"m1"]);
}

#[tokio::test]
async fn a_simple_consumers_suspend_is_a_nack_of_one_message_and_counts_as_an_attempt() {
    let door = Door::open().await;
    let options = GroupOptions { max_attempts: 2, ..GroupOptions::default() };
    with_group(&door, "simple", options).await;
    let client = door.client("c", JAVA).await;
    let _open = say(&client, ClientType::LiteSimpleConsumer, "simple").await;
    client.subscribe("simple", &["s"]).await;
    client.send(vec![message("s", "poison"), message("s", "m1")]).await;
    for expected in 1..=2 {
        let received = client.receive_as(simple("simple", 1)).await;
        assert_eq!(received.bodies(), [b"poison"]);
        assert_eq!(attempt(&received.messages[0]), expected);
        suspend(&client, "simple", &received.messages[0], 0).await;
    }
    let received = client.receive_as(simple("simple", 1)).await;
    assert_eq!(received.bodies(), [b"m1"], "the poison is with the dead letters");
    let dead = door.broker.peek("%DLQ%simple", "s", None, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
}

#[tokio::test]
async fn a_nack_of_a_simple_consumer_leaves_the_other_messages_of_its_batch_with_it() {
    let door = Door::open().await;
    let client = door.client("c", JAVA).await;
    beat(&client, ClientType::LiteSimpleConsumer, UNORDERED).await;
    client.subscribe(UNORDERED, &["s"]).await;
    client.send(vec![message("s", "m0"), message("s", "m1")]).await;
    let received = client.receive_as(simple(UNORDERED, 2)).await;
    assert_eq!(received.bodies(), [b"m0", b"m1"], "several of one lite topic");
    suspend(&client, UNORDERED, &received.messages[0], 0).await;
    let again = client.receive_as(simple(UNORDERED, 2)).await;
    assert_eq!((again.bodies(), attempt(&again.messages[0])), (vec![&b"m0"[..]], 2));
    let acked = client.ack(UNORDERED, &received.messages[1]).await;
    assert_eq!(acked.status.unwrap().code(), Code::Ok);
}

#[tokio::test]
async fn a_push_consumers_suspend_takes_the_rest_of_the_lite_topic_and_counts_nothing() {
    let door = Door::open().await;
    let options = GroupOptions { max_attempts: 1, ..GroupOptions::default() };
    with_group(&door, "push", options).await;
    let client = door.client("c", JAVA).await;
    let _open = say(&client, ClientType::LitePushConsumer, "push").await;
    client.subscribe("push", &["s", "t"]).await;
    client.send(vec![message("s", "m0"), message("s", "m1"), message("s", "m2")]).await;
    for _ in 0..5 {
        let received = client.receive("push", 3, 5).await;
        assert_eq!(received.bodies(), [b"m0", b"m1", b"m2"], "in order");
        assert!(received.messages.iter().all(|message| attempt(message) == 1));
        suspend(&client, "push", &received.messages[0], 1_000_000).await;
    }
    let received = client.receive("push", 3, 5).await;
    let long = prost_types::Duration { seconds: i64::MAX, nanos: 0 };
    suspend_for(&client, "push", &received.messages[0], long).await;
    client.send(vec![message("t", "other")]).await;
    assert_eq!(client.receive("push", 3, 5).await.bodies(), [b"other"], "the others go on");
}

#[tokio::test]
async fn a_group_may_say_that_a_simple_consumers_suspend_is_one() {
    let door = Door::open().await;
    let options = GroupOptions { simple_suspend: true, max_attempts: 1, ..GroupOptions::default() };
    with_group(&door, "suspending", options).await;
    let client = door.client("c", JAVA).await;
    let _open = say(&client, ClientType::LiteSimpleConsumer, "suspending").await;
    client.subscribe("suspending", &["s"]).await;
    client.send(vec![message("s", "m0"), message("s", "m1")]).await;
    for _ in 0..3 {
        let received = client.receive_as(simple("suspending", 2)).await;
        assert_eq!(received.bodies(), [b"m0", b"m1"]);
        assert_eq!(attempt(&received.messages[0]), 1);
        suspend(&client, "suspending", &received.messages[0], 0).await;
    }
}

#[tokio::test]
async fn a_lite_simple_consumer_is_served_in_every_call() {
    let door = Door::open().await;
    let client = door.client("c", JAVA).await;
    beat(&client, ClientType::LiteSimpleConsumer, ORDERED).await;
    let _open = say(&client, ClientType::LiteSimpleConsumer, ORDERED).await;
    client.subscribe(ORDERED, &["s"]).await;
    let synced = client.sync(LiteSubscriptionAction::CompleteAdd, ORDERED, &["s"]).await;
    assert_eq!(synced.code(), Code::Ok);
    client.send(vec![message("s", "m0")]).await;
    let received = client.receive_as(simple(ORDERED, 1)).await;
    assert_eq!(received.bodies(), [b"m0"]);
    let acked = client.ack(ORDERED, &received.messages[0]).await;
    assert_eq!(acked.status.unwrap().code(), Code::Ok);
}

#[tokio::test]
async fn clients_of_a_wildcard_group_are_there_from_their_settings_heartbeat_or_receive_on() {
    let door = Door::open().await;
    let prefix = NamePrefix::new("s-").unwrap();
    with_group(&door, "pods", of_mode(SubscriptionMode::Wildcard(prefix))).await;
    let clients = || async {
        let told = door.broker.backlogs().await.unwrap();
        told.iter().find(|(group, ..)| group.name.as_str() == "pods").unwrap().2
    };
    let (a, b, c) =
        (door.client("a", JAVA).await, door.client("b", JAVA).await, door.client("c", JAVA).await);
    let _open = say(&a, ClientType::LitePushConsumer, "pods").await;
    assert_eq!(clients().await, 1);
    beat(&b, ClientType::LiteSimpleConsumer, "pods").await;
    beat(&b, ClientType::Producer, "pods").await;
    assert_eq!(clients().await, 2);
    assert!(c.receive("pods", 1, 0).await.messages.is_empty());
    assert_eq!(clients().await, 3);

    let waiting = tokio::spawn({
        let a = a.clone();
        async move { a.receive("pods", 1, 20).await }
    });
    b.send(vec![message("s-1", "m0"), message("t-1", "n0")]).await;
    let received = soon(waiting).await.unwrap();
    assert_eq!((received.bodies(), lite_topic(&received.messages[0])), (vec![&b"m0"[..]], "s-1"));

    let refused = a.sync(LiteSubscriptionAction::PartialAdd, "pods", &["s-1"]).await;
    assert_eq!(refused.code(), Code::BadRequest);
    assert!(refused.message.contains("share"), "{refused:?}");
    for action in [LiteSubscriptionAction::CompleteAdd, LiteSubscriptionAction::PartialRemove] {
        assert_eq!(a.sync(action, "pods", &["s-9"]).await.code(), Code::Ok, "{action:?}");
    }
    for client in [&a, &b, &c] {
        let request = client.request(v2::NotifyClientTerminationRequest::default());
        client.grpc.clone().notify_client_termination(request).await.unwrap();
    }
    assert_eq!(clients().await, 0);
}

#[tokio::test]
async fn a_group_with_a_rate_gets_no_more_of_a_lite_topic_and_all_of_others() {
    let door = Door::open().await;
    let options = GroupOptions {
        ordered: false,
        consume_rate: NonZeroU32::new(2),
        ..GroupOptions::default()
    };
    with_group(&door, "slow", options).await;
    let client = door.client("c", JAVA).await;
    client.subscribe("slow", &["s", "t"]).await;
    for body in ["m0", "m1", "m2"] {
        client.send(vec![message("s", body)]).await;
    }
    let first = client.receive("slow", 32, 5).await;
    assert_eq!(first.bodies(), [b"m0", b"m1"]);
    client.send(vec![message("t", "n0")]).await;
    assert_eq!(client.receive("slow", 32, 5).await.bodies(), [b"n0"]);
    // An empty answer would come at its end.
    assert_eq!(soon(client.receive("slow", 32, 20)).await.bodies(), [b"m2"]);
}
