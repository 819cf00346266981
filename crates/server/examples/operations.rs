//! Sends, receives and acks in process, for counting instructions: `bench/instructions` runs it.
//!
//! `operations ROUNDS BATCH`: in each round a message is sent to each of some lite topics, all are
//! received, and all are acknowledged, so many at a time. Whole calls of the protocol without the
//! network, over the log in a folder of its own. What is counted is what the one thread does that
//! serves the calls, inside of the function of each phase.

#![allow(clippy::expect_used, reason = "a tool for people")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use litemq_domain::{GroupName, GroupOptions, TopicName, TopicOptions};
use litemq_protocol::v2;
use litemq_server::broker::{Broker, BrokerOptions, NewGroup, NewTopic};
use litemq_server::front::grpc;
use litemq_server::front::stop::stop_switch;
use litemq_server::observe::Metrics;
use litemq_storage::{LogOptions, LogStore};
use tokio::runtime::{Builder, Runtime};
use tonic::Request;
use tonic::metadata::MetadataValue;
use v2::messaging_service_server::MessagingService;
use v2::receive_message_response::Content;

const TOPIC: &str = "bench";
const GROUP: &str = "consumers";
const LITE_TOPICS: usize = 96;
const BODY_BYTES: usize = 256;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|number| number.parse().expect("a number"));
    let (rounds, batch) = (arguments.next().unwrap_or(10), arguments.next().unwrap_or(1));
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let door = runtime.block_on(open(folder.path()));
    for round in 0..rounds {
        send_all(&runtime, &door, round);
        let received = receive_all(&runtime, &door, batch);
        ack_all(&runtime, &door, received);
    }
}

/// A door with a topic and a group whose client is subscribed.
async fn open(folder: &Path) -> impl MessagingService + use<> {
    let store = LogStore::open(folder, LogOptions::default()).expect("a store");
    let metrics = Arc::new(Metrics::new());
    let options = BrokerOptions { shards: 1, ..BrokerOptions::default() };
    let broker = Broker::open(Arc::new(store), options, Arc::clone(&metrics)).await;
    let broker = broker.expect("a broker");
    let name = TopicName::new(TOPIC).expect("a name");
    let topic = NewTopic { name: name.clone(), options: TopicOptions::default() };
    broker.create_topic(topic).await.expect("a topic");
    let group = NewGroup {
        name: GroupName::new(GROUP).expect("a name"),
        bind: name,
        options: GroupOptions::default(),
    };
    broker.create_group(group).await.expect("a group");
    let door = grpc::calls(broker, metrics, None, stop_switch().1);
    subscribe(&door).await;
    door
}

#[inline(never)]
fn send_all(runtime: &Runtime, door: &impl MessagingService, round: usize) {
    for lite_topic in 0..LITE_TOPICS {
        runtime.block_on(send(door, round, lite_topic));
    }
}

#[inline(never)]
fn receive_all(
    runtime: &Runtime,
    door: &impl MessagingService,
    batch: usize,
) -> Vec<Vec<v2::Message>> {
    let (mut received, mut count) = (Vec::new(), 0);
    while count < LITE_TOPICS {
        let messages = runtime.block_on(receive(door, batch));
        count += messages.len();
        received.push(messages);
    }
    received
}

#[inline(never)]
fn ack_all(runtime: &Runtime, door: &impl MessagingService, received: Vec<Vec<v2::Message>>) {
    for messages in received {
        runtime.block_on(ack(door, messages));
    }
}

async fn subscribe(door: &impl MessagingService) {
    let sync = v2::SyncLiteSubscriptionRequest {
        action: v2::LiteSubscriptionAction::CompleteAdd.into(),
        topic: Some(resource(TOPIC)),
        group: Some(resource(GROUP)),
        lite_topic_set: (0..LITE_TOPICS).map(lite_name).collect(),
        ..v2::SyncLiteSubscriptionRequest::default()
    };
    let answer = door.sync_lite_subscription(call(sync)).await.expect("an answer").into_inner();
    expect_ok(answer.status);
}

async fn send(door: &impl MessagingService, round: usize, lite_topic: usize) {
    let message = v2::Message {
        topic: Some(resource(TOPIC)),
        system_properties: Some(v2::SystemProperties {
            message_id: format!("01{round:016X}{lite_topic:016X}"),
            message_type: v2::MessageType::Lite.into(),
            born_host: "bench".to_owned(),
            lite_topic: Some(lite_name(lite_topic)),
            ..v2::SystemProperties::default()
        }),
        body: vec![b'x'; BODY_BYTES].into(),
        ..v2::Message::default()
    };
    let request = call(v2::SendMessageRequest { messages: vec![message] });
    expect_ok(door.send_message(request).await.expect("an answer").into_inner().status);
}

async fn receive(door: &impl MessagingService, batch: usize) -> Vec<v2::Message> {
    let request = v2::ReceiveMessageRequest {
        group: Some(resource(GROUP)),
        message_queue: Some(v2::MessageQueue {
            topic: Some(resource(TOPIC)),
            ..v2::MessageQueue::default()
        }),
        batch_size: i32::try_from(batch).expect("a batch"),
        invisible_duration: Duration::from_secs(600).try_into().ok(),
        long_polling_timeout: Duration::from_secs(20).try_into().ok(),
        ..v2::ReceiveMessageRequest::default()
    };
    let answer = door.receive_message(call(request)).await.expect("an answer").into_inner();
    let mut answer = std::pin::pin!(answer);
    let mut messages = Vec::new();
    while let Some(part) = answer.next().await {
        match part.expect("a part").content {
            Some(Content::Message(message)) => messages.push(message),
            Some(Content::Status(status)) => expect_ok(Some(status)),
            _ => {}
        }
    }
    messages
}

async fn ack(door: &impl MessagingService, messages: Vec<v2::Message>) {
    let entry = |message: v2::Message| {
        let system = message.system_properties.unwrap_or_default();
        v2::AckMessageEntry {
            receipt_handle: system.receipt_handle().to_owned(),
            lite_topic: system.lite_topic,
            message_id: system.message_id,
        }
    };
    let request = call(v2::AckMessageRequest {
        group: Some(resource(GROUP)),
        topic: Some(resource(TOPIC)),
        entries: messages.into_iter().map(entry).collect(),
    });
    expect_ok(door.ack_message(request).await.expect("an answer").into_inner().status);
}

fn call<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("x-mq-client-id", MetadataValue::from_static("bench"));
    request.metadata_mut().insert("x-mq-language", MetadataValue::from_static("JAVA"));
    request
}

fn expect_ok(status: Option<v2::Status>) {
    let status = status.expect("a status");
    assert!(status.code() == v2::Code::Ok, "{}", status.message);
}

fn lite_name(number: usize) -> String {
    format!("session-{number:09}")
}

fn resource(name: &str) -> v2::Resource {
    v2::Resource { name: name.to_owned(), ..v2::Resource::default() }
}
