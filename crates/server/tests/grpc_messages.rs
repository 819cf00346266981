//! A message's way through the door: sent, received, settled.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a helper that cannot go on fails its test"
)]

mod grpc_support;

use std::time::Duration;

use bytes::Bytes;
use grpc_support::*;
use litemq_domain::{GroupName, GroupOptions, TopicName};
use litemq_protocol::v2;
use litemq_server::broker::{NewGroup, Wanted};
use v2::{Code, LiteSubscriptionAction};

const JAVA: &str = "JAVA";
const PYTHON: &str = "PYTHON";

#[tokio::test]
async fn a_message_sent_before_the_subscription_is_received_and_acked_once() {
    let door = Door::open().await;
    let client = door.client("c1", JAVA).await;
    let sent = client.send(vec![message("s1", "hello")]).await;
    assert_eq!(sent.status.unwrap().code(), Code::Ok);
    assert_eq!(sent.entries.len(), 1);
    assert_eq!(sent.entries[0].message_id, "s1-hello");
    assert_eq!(sent.entries[0].offset, 0);

    client.subscribe(UNORDERED, &["s1"]).await;
    let received = client.receive(UNORDERED, 32, 5).await;
    assert_eq!(received.parts, "smt");
    assert_eq!(received.status.code(), Code::Ok);
    assert_eq!(received.bodies(), [b"hello"]);
    let message = &received.messages[0];
    assert_eq!(message.topic.as_ref().unwrap().name, TOPIC);
    assert_eq!((lite_topic(message), attempt(message)), ("s1", 1));

    for time in ["first", "again"] {
        let acked = client.ack(UNORDERED, message).await;
        assert_eq!(acked.status.unwrap().code(), Code::Ok, "{time}");
        assert_eq!(acked.entries[0].receipt_handle, handle(message));
    }
    let empty = client.receive(UNORDERED, 32, 0).await;
    assert_eq!((empty.parts.as_str(), empty.status.code()), ("st", Code::MessageNotFound));
}

#[tokio::test]
async fn a_trace_names_the_clients_that_sent_received_and_acked_and_where_they_were() {
    let door = Door::open().await;
    let (producer, consumer) =
        (door.client("producer", JAVA).await, door.client("consumer", PYTHON).await);
    producer.send(vec![message("s1", "hello")]).await;
    consumer.subscribe(UNORDERED, &["s1"]).await;
    let received = consumer.receive(UNORDERED, 1, 5).await;
    consumer.ack(UNORDERED, &received.messages[0]).await;
    let wanted = Wanted::Id("s1-hello".to_owned());
    let trace = door.broker.trace(TOPIC, Some("s1"), &wanted, None).await.unwrap();
    let events = trace.messages[0].events.iter();
    let by: Vec<String> = events.map(|event| format!("{:?}", event.who)).collect();
    let names = ["producer", "consumer", "consumer"];
    assert_eq!(by.len(), names.len(), "{trace:?}");
    for (by, name) in by.iter().zip(names) {
        assert!(by.contains(name) && by.contains("127.0.0.1"), "{by} is {name}");
    }
}

#[tokio::test]
async fn a_parked_receive_is_answered_by_the_send_it_waits_for() {
    let door = Door::open().await;
    let client = door.client("c1", JAVA).await;
    client.subscribe(UNORDERED, &["s1"]).await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.receive(UNORDERED, 1, 20).await }
    });
    door.client("p1", JAVA).await.send(vec![message("s1", "late")]).await;
    let received = soon(waiting).await.unwrap();
    assert_eq!(received.bodies(), [b"late"]);
}

#[tokio::test]
async fn a_send_is_answered_only_when_it_is_durable() {
    let door = Door::open().await;
    let client = door.client("c1", JAVA).await;
    client.send(vec![message("s1", "first")]).await;
    door.store.hold_syncs();
    let sending = tokio::spawn({
        let client = client.clone();
        async move { client.send(vec![message("s1", "second")]).await }
    });
    // Later calls of the same connection are answered while it waits.
    for _ in 0..20 {
        let heartbeat = client.request(v2::HeartbeatRequest::default());
        client.grpc.clone().heartbeat(heartbeat).await.unwrap();
    }
    assert!(!sending.is_finished());
    door.store.release_syncs();
    assert_eq!(soon(sending).await.unwrap().status.unwrap().code(), Code::Ok);
}

#[tokio::test]
async fn a_message_sent_again_is_stored_once_and_answered_with_its_first_offset() {
    let door = Door::open().await;
    let client = door.client("c1", JAVA).await;
    for _ in 0..2 {
        let sent = client.send(vec![message("s1", "once")]).await;
        assert_eq!(sent.status.unwrap().code(), Code::Ok);
        assert_eq!(sent.entries[0].offset, 0);
    }
    client.subscribe(UNORDERED, &["s1"]).await;
    assert_eq!(client.receive(UNORDERED, 32, 5).await.bodies(), [b"once"]);
}

#[tokio::test]
async fn one_request_may_carry_messages_of_several_lite_topics() {
    let door = Door::open().await;
    let client = door.client("c1", JAVA).await;
    let sent = client.send(vec![message("a", "1"), message("b", "2"), message("a", "3")]).await;
    assert_eq!(sent.status.unwrap().code(), Code::Ok);
    let offsets: Vec<_> = sent.entries.iter().map(|entry| entry.offset).collect();
    assert_eq!(offsets, [0, 0, 1]);
}

#[tokio::test]
async fn one_bad_message_refuses_the_whole_request() {
    let door = Door::open().await;
    let client = door.client("c1", JAVA).await;
    let sent = client.send(vec![message("a", "1"), message("a/b", "2")]).await;
    assert_eq!(sent.status.unwrap().code(), Code::IllegalLiteTopic);
    assert!(sent.entries.is_empty());
    client.subscribe(UNORDERED, &["a"]).await;
    assert_eq!(client.receive(UNORDERED, 1, 0).await.status.code(), Code::MessageNotFound);
}

#[tokio::test]
async fn a_body_of_4_mib_passes_both_ways_and_one_more_byte_is_refused() {
    let door = Door::open().await;
    let client = door.client("c1", JAVA).await;
    let body = Bytes::from(vec![7; 4 << 20]);
    let sent = client.send(vec![message_of("big", body.clone())]).await;
    assert_eq!(sent.status.unwrap().code(), Code::Ok);
    client.subscribe(UNORDERED, &["big"]).await;
    assert_eq!(client.receive(UNORDERED, 1, 5).await.messages[0].body, body);

    let sent = client.send(vec![message_of("big", vec![7; (4 << 20) + 1].into())]).await;
    assert_eq!(sent.status.unwrap().code(), Code::MessageBodyTooLarge);

    let sent = client.send(vec![message_of("big", vec![7; 9 << 20].into())]).await;
    assert_eq!(sent.status.unwrap().code(), Code::MessageBodyTooLarge);

    let messages = vec![message_of("big", vec![7; 20 << 20].into())];
    let request = client.request(v2::SendMessageRequest { messages });
    let refused = client.grpc.clone().send_message(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::OutOfRange, "{refused:?}");
    assert!(refused.message().contains("at most"), "{refused:?}");
}

#[tokio::test]
async fn a_batch_of_one_lite_topic_goes_to_clients_that_keep_its_order_only() {
    let door = Door::open().await;
    let client = door.client("p", JAVA).await;
    for lite in ["a", "b"] {
        client.send(vec![message(lite, "1"), message(lite, "2")]).await;
    }
    let python = door.client("python", PYTHON).await;
    python.subscribe(ORDERED, &["a"]).await;
    assert_eq!(python.receive(ORDERED, 32, 5).await.bodies(), [b"1"]);
    let java = door.client("java", JAVA).await;
    java.subscribe(ORDERED, &["b"]).await;
    assert_eq!(java.receive(ORDERED, 32, 5).await.bodies(), [b"1", b"2"]);
}

#[tokio::test]
async fn an_ordered_lite_topic_waits_for_its_ack() {
    let door = Door::open().await;
    let client = door.client("python", PYTHON).await;
    client.send(vec![message("a", "1"), message("a", "2")]).await;
    client.subscribe(ORDERED, &["a"]).await;
    let first = client.receive(ORDERED, 32, 5).await;
    assert_eq!(first.bodies(), [b"1"]);
    assert_eq!(client.receive(ORDERED, 32, 0).await.status.code(), Code::MessageNotFound);
    client.ack(ORDERED, &first.messages[0]).await;
    assert_eq!(client.receive(ORDERED, 32, 5).await.bodies(), [b"2"]);
}

#[tokio::test]
async fn a_handle_that_is_no_good_is_final_for_acks_and_fine_for_dead_letters() {
    let door = Door::open().await;
    let client = door.client("c1", JAVA).await;
    for garbage in ["", "nonsense", &"x".repeat(5000)] {
        let acked = client.ack_handle(UNORDERED, garbage, None).await;
        assert_eq!(acked.status.unwrap().code(), Code::InvalidReceiptHandle);
        assert_eq!(acked.entries[0].status.as_ref().unwrap().code(), Code::InvalidReceiptHandle);
    }
    let acked = client.ack_handle("no-such-group", "nonsense", None).await;
    assert_eq!(acked.status.unwrap().code(), Code::InvalidReceiptHandle);
    let forward = client.request(v2::ForwardMessageToDeadLetterQueueRequest {
        group: Some(resource(UNORDERED)),
        topic: Some(resource(TOPIC)),
        receipt_handle: "nonsense".to_owned(),
        ..Default::default()
    });
    let forwarded =
        client.grpc.clone().forward_message_to_dead_letter_queue(forward).await.unwrap();
    assert_eq!(forwarded.into_inner().status.unwrap().code(), Code::Ok);
}

#[tokio::test]
async fn an_ack_with_the_wrong_lite_topic_is_refused_and_without_one_is_fine() {
    let door = Door::open().await;
    let client = door.client("c1", JAVA).await;
    client.send(vec![message("a", "1")]).await;
    client.subscribe(UNORDERED, &["a"]).await;
    let received = client.receive(UNORDERED, 1, 5).await;
    let handle = handle(&received.messages[0]);
    let wrong = client.ack_handle(UNORDERED, handle, Some("b")).await;
    assert_eq!(wrong.status.unwrap().code(), Code::InvalidReceiptHandle);
    let acked = client.ack_handle(UNORDERED, handle, Some("")).await;
    assert_eq!(acked.status.unwrap().code(), Code::Ok);
}

#[tokio::test]
async fn a_message_made_visible_at_once_comes_again_and_the_answer_has_a_handle() {
    let door = Door::open().await;
    let client = door.client("c1", JAVA).await;
    client.send(vec![message("a", "1")]).await;
    client.subscribe(UNORDERED, &["a"]).await;
    let received = client.receive(UNORDERED, 1, 5).await;
    let change = |receipt_handle: &str, seconds| {
        client.request(v2::ChangeInvisibleDurationRequest {
            group: Some(resource(UNORDERED)),
            topic: Some(resource(TOPIC)),
            receipt_handle: receipt_handle.to_owned(),
            invisible_duration: Some(prost_types::Duration { seconds, nanos: 0 }),
            ..Default::default()
        })
    };
    let mut grpc = client.grpc.clone();
    let refused = change("nonsense", 0);
    let refused = grpc.change_invisible_duration(refused).await.unwrap().into_inner();
    assert_eq!(refused.status.unwrap().code(), Code::InvalidReceiptHandle);
    assert_eq!(refused.receipt_handle, "nonsense");
    let refused = change(handle(&received.messages[0]), 13 * 3600);
    let refused = grpc.change_invisible_duration(refused).await.unwrap().into_inner();
    assert_eq!(refused.status.unwrap().code(), Code::IllegalInvisibleTime);

    let changed = change(handle(&received.messages[0]), 0);
    let changed = grpc.change_invisible_duration(changed).await.unwrap().into_inner();
    assert_eq!(changed.status.unwrap().code(), Code::Ok);
    assert!(!changed.receipt_handle.is_empty());
    assert_eq!(client.receive(UNORDERED, 1, 5).await.bodies(), [b"1"]);
}

#[tokio::test]
async fn a_forwarded_message_is_gone_from_its_lite_topic() {
    let door = Door::open().await;
    let client = door.client("c1", JAVA).await;
    client.send(vec![message("a", "1"), message("a", "2")]).await;
    client.subscribe(ORDERED, &["a"]).await;
    let received = client.receive(ORDERED, 1, 5).await;
    for time in ["first", "again"] {
        let forward = client.request(v2::ForwardMessageToDeadLetterQueueRequest {
            group: Some(resource(ORDERED)),
            topic: Some(resource(TOPIC)),
            receipt_handle: handle(&received.messages[0]).to_owned(),
            lite_topic: Some("a".to_owned()),
            ..Default::default()
        });
        let forwarded =
            client.grpc.clone().forward_message_to_dead_letter_queue(forward).await.unwrap();
        assert_eq!(forwarded.into_inner().status.unwrap().code(), Code::Ok, "{time}");
    }
    assert_eq!(client.receive(ORDERED, 1, 5).await.bodies(), [b"2"]);
}

#[tokio::test]
async fn a_terminated_client_gives_its_messages_to_the_next() {
    let door = Door::open().await;
    let first = door.client("c1", JAVA).await;
    let second = door.client("c2", JAVA).await;
    first.send(vec![message("a", "1")]).await;
    first.subscribe(ORDERED, &["a"]).await;
    assert_eq!(first.receive(ORDERED, 1, 5).await.bodies(), [b"1"]);
    second.subscribe(ORDERED, &["a"]).await;
    assert_eq!(second.receive(ORDERED, 1, 0).await.status.code(), Code::MessageNotFound);
    let goodbye = first.request(v2::NotifyClientTerminationRequest { group: None });
    let goodbye = first.grpc.clone().notify_client_termination(goodbye).await.unwrap();
    assert_eq!(goodbye.into_inner().status.unwrap().code(), Code::Ok);
    assert_eq!(second.receive(ORDERED, 1, 5).await.bodies(), [b"1"]);
}

#[tokio::test]
async fn messages_that_a_leaving_client_did_not_read_go_to_the_next_at_their_first_attempt() {
    let door = Door::open().await;
    let first = door.client("c1", JAVA).await;
    for number in 1..=8 {
        let mut message = message_of("big", vec![number; 1 << 20].into());
        message.system_properties.as_mut().unwrap().message_id = number.to_string();
        first.send(vec![message]).await;
    }
    first.subscribe(UNORDERED, &["big"]).await;
    let request = first.request(receive_request(UNORDERED, 8, 5));
    let mut parts = first.grpc.clone().receive_message(request).await.unwrap().into_inner();
    parts.message().await.unwrap().unwrap();
    // By now the window of the stream is filled, which holds two messages.
    drop(parts);

    let second = door.client("c2", JAVA).await;
    second.subscribe(UNORDERED, &["big"]).await;
    let received = second.receive(UNORDERED, 8, 5).await;
    let numbers: Vec<u8> = received.messages.iter().map(|message| message.body[0]).collect();
    assert!(numbers.ends_with(&[5, 6, 7, 8]), "{numbers:?}");
    assert!(received.messages.iter().all(|message| attempt(message) == 1));
}

#[tokio::test]
async fn a_stop_answers_parked_receives_as_empty_polls() {
    let door = Door::open().await;
    let client = door.client("c1", JAVA).await;
    client.subscribe(UNORDERED, &["a"]).await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.receive(UNORDERED, 1, 20).await }
    });
    // A later call of the same connection was answered: the poll is on its way.
    client.receive(UNORDERED, 1, 0).await;
    soon(door.stop()).await;
    let received = soon(waiting).await.unwrap();
    assert_eq!((received.parts.as_str(), received.status.code()), ("st", Code::MessageNotFound));
}

#[tokio::test]
async fn a_full_sync_replaces_the_set_and_the_quota_is_exact() {
    let door = Door::open().await;
    let client = door.client("c1", JAVA).await;
    let names: Vec<String> = (0..101).map(|i| format!("n{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let full = LiteSubscriptionAction::CompleteAdd;
    let status = client.sync(full, UNORDERED, &names).await;
    assert_eq!(status.code(), Code::LiteSubscriptionQuotaExceeded);
    let status = client.sync(full, UNORDERED, &names[..100]).await;
    assert_eq!(status.code(), Code::Ok);
    let one_more = client.sync(LiteSubscriptionAction::PartialAdd, UNORDERED, &["x"]).await;
    assert_eq!(one_more.code(), Code::LiteSubscriptionQuotaExceeded);
    assert_eq!(client.sync(full, UNORDERED, &[]).await.code(), Code::Ok);
    client.subscribe(UNORDERED, &["x"]).await;
}

#[tokio::test]
async fn receives_end_before_the_deadline_of_the_call() {
    let door = Door::open().await;
    let client = door.client("c1", JAVA).await;
    client.subscribe(UNORDERED, &["a"]).await;
    let mut request = client.request(receive_request(UNORDERED, 1, 20));
    request.set_timeout(Duration::from_millis(1200));
    let mut parts = client.grpc.clone().receive_message(request).await.unwrap().into_inner();
    let mut count = 0;
    while parts.message().await.unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 2);
}

#[tokio::test]
async fn dead_letters_are_consumed_by_a_group_that_is_bound_to_them() {
    let door = Door::open().await;
    let client = door.client("c1", JAVA).await;
    let dlq = format!("%DLQ%{UNORDERED}");
    client.send(vec![message("s1", "bad")]).await;
    client.subscribe(UNORDERED, &["s1"]).await;
    let received = client.receive(UNORDERED, 1, 5).await;
    let request = client.request(v2::ForwardMessageToDeadLetterQueueRequest {
        group: Some(resource(UNORDERED)),
        topic: Some(resource(TOPIC)),
        receipt_handle: handle(&received.messages[0]).to_owned(),
        message_id: "s1-bad".to_owned(),
        delivery_attempt: 1,
        max_delivery_attempts: 16,
        ..v2::ForwardMessageToDeadLetterQueueRequest::default()
    });
    let forwarded = client.grpc.clone().forward_message_to_dead_letter_queue(request).await;
    assert_eq!(forwarded.unwrap().into_inner().status.unwrap().code(), Code::Ok);

    let group = NewGroup {
        name: GroupName::new("undertaker").unwrap(),
        bind: TopicName::to_consume(&dlq).unwrap(),
        options: GroupOptions::default(),
    };
    door.broker.create_group(group).await.unwrap();
    let request = client.request(v2::SyncLiteSubscriptionRequest {
        action: LiteSubscriptionAction::PartialAdd.into(),
        topic: Some(resource(&dlq)),
        group: Some(resource("undertaker")),
        lite_topic_set: vec!["s1".to_owned()],
        ..v2::SyncLiteSubscriptionRequest::default()
    });
    let synced = client.grpc.clone().sync_lite_subscription(request).await.unwrap().into_inner();
    assert_eq!(synced.status.unwrap().code(), Code::Ok);
    let mut receive = receive_request("undertaker", 1, 5);
    receive.message_queue.as_mut().unwrap().topic = Some(resource(&dlq));
    let letters = client.receive_as(receive).await;
    assert_eq!(letters.bodies(), [b"bad"]);
    let system = letters.messages[0].system_properties.as_ref().unwrap();
    let origin = system.dead_letter_queue.as_ref().unwrap();
    assert_eq!((origin.topic.as_str(), origin.message_id.as_str()), (TOPIC, "s1-bad"));
    assert_eq!(lite_topic(&letters.messages[0]), "s1");
}

#[tokio::test]
async fn what_a_sender_gives_for_tracing_reaches_every_consumer() {
    let door = Door::open().await;
    let client = door.client("c1", JAVA).await;
    let mut traced = message("s1", "traced");
    let context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned();
    traced.system_properties.as_mut().unwrap().trace_context = Some(context.clone());
    client.send(vec![traced]).await;
    for group in [ORDERED, UNORDERED] {
        client.subscribe(group, &["s1"]).await;
        let received = client.receive(group, 1, 5).await;
        let system = received.messages[0].system_properties.as_ref().unwrap();
        assert_eq!(system.trace_context.as_ref(), Some(&context));
    }
}
