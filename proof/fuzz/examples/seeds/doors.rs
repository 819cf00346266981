//! Seeds of the doors: a request of each call as an SDK sends it, and configurations.

use std::collections::BTreeMap;

use bytes::{BufMut as _, Bytes, BytesMut};
use litemq_fuzz::broker::{GROUPS, TOPIC, resource};
use litemq_fuzz::content::{Field, Piece, encode};
use litemq_fuzz::requests::{CALLS, Call};
use litemq_protocol::v2;
use prost::Message;
use v2::settings::PubSub;
use v2::telemetry_command::Command;

use crate::keep;

pub(crate) fn make() {
    requests();
    telemetry();
    configurations();
    contents();
    for (name, length) in [("short", 40), ("middle", 300), ("long", 1200)] {
        for (step, target) in [(5_u8, "calls"), (3, "http")] {
            let bytes: Vec<u8> = (0..length).map(|at| (at as u8).wrapping_mul(step)).collect();
            keep(target, name, &bytes);
        }
    }
    let paths = b"\x01\x06\x01a\x00\x00{\"body\":\"hello\"}\x01limit=10";
    keep("http", "message", paths);
}

/// Messages at and beyond each limit.
fn contents() {
    let text = "x".repeat(250);
    let messages: [(&str, &[Piece<'_>]); 16] = [
        ("usual", &[(Field::Tag, "t", 1), (Field::Key, "k", 1), (Field::Property, "a=b", 1)]),
        ("lite-topic-64", &[(Field::LiteTopic, "abcd", 16)]),
        ("lite-topic-65", &[(Field::LiteTopic, "abcde", 13)]),
        ("lite-topic-slash", &[(Field::LiteTopic, "a/b", 1)]),
        ("body-empty", &[(Field::Body, "", 0)]),
        ("body-most", &[(Field::LargeBody, "", 128)]),
        ("body-beyond", &[(Field::LargeBody, "", 129)]),
        ("properties-128", &[(Field::Properties, "", 128)]),
        ("properties-129", &[(Field::Properties, "", 129)]),
        ("property-16k", &[(Field::Property, &format!("a={}", "y".repeat(128)), 127)]),
        ("property-beyond", &[(Field::Property, &format!("a={text}"), 66)]),
        ("property-reserved", &[(Field::Property, "KEYS=1", 1)]),
        ("tag-bar", &[(Field::Tag, "a|b", 1)]),
        ("id-256", &[(Field::MessageId, "abcd", 64)]),
        ("trace-beyond", &[(Field::TraceContext, &text, 17)]),
        ("gzip", &[(Field::Gzip, "", 0), (Field::BornHost, "host", 64)]),
    ];
    for (name, pieces) in messages {
        keep("content", name, &encode(pieces));
    }
}

fn request(call: Call, name: &str, message: &impl Message) {
    request_bytes(call, name, &message.encode_to_vec());
}

fn request_bytes(call: Call, name: &str, body: &[u8]) {
    let first = CALLS.iter().position(|other| *other == call).unwrap() as u8;
    keep("requests", name, &[&[first, 0], body].concat());
}

fn requests() {
    let (topic, group) = (resource(TOPIC), resource(GROUPS[0]));
    let endpoints = v2::Endpoints {
        scheme: v2::AddressScheme::DomainName.into(),
        addresses: vec![v2::Address { host: "localhost".to_owned(), port: 8081 }],
    };
    let route = v2::QueryRouteRequest { topic: topic.clone(), endpoints: Some(endpoints.clone()) };
    request(Call::QueryRoute, "query-route", &route);
    let beat = v2::HeartbeatRequest { group: group.clone(), ..Default::default() };
    request(Call::Heartbeat, "heartbeat", &beat);
    request(Call::Send, "send", &v2::SendMessageRequest { messages: vec![message("a", "m1")] });
    let batch = vec![message("a", "m1"), message("b", "m2"), message("a", "m1")];
    request(Call::Send, "send-batch", &v2::SendMessageRequest { messages: batch });
    let assignment = v2::QueryAssignmentRequest {
        topic: topic.clone(),
        group: group.clone(),
        endpoints: Some(endpoints),
    };
    request(Call::QueryAssignment, "query-assignment", &assignment);
    let receive = v2::ReceiveMessageRequest {
        group: group.clone(),
        message_queue: Some(v2::MessageQueue { topic: topic.clone(), ..Default::default() }),
        filter_expression: Some(v2::FilterExpression {
            r#type: v2::FilterType::Tag.into(),
            expression: "a||b".to_owned(),
        }),
        batch_size: 16,
        invisible_duration: Some(span(30)),
        long_polling_timeout: Some(span(20)),
        attempt_id: Some("attempt".to_owned()),
        ..Default::default()
    };
    request(Call::Receive, "receive", &receive);
    let handle = "AQAAAAEAAAACAAAAAAAAAAAAAAAAAQAAAAEAAAGLz-VoAAECAwQFBgcI".to_owned();
    let entry = v2::AckMessageEntry {
        message_id: "m1".to_owned(),
        receipt_handle: handle.clone(),
        lite_topic: Some("a".to_owned()),
    };
    let ack =
        v2::AckMessageRequest { group: group.clone(), topic: topic.clone(), entries: vec![entry] };
    request(Call::Ack, "ack", &ack);
    let dead_letter = v2::ForwardMessageToDeadLetterQueueRequest {
        group: group.clone(),
        topic: topic.clone(),
        receipt_handle: handle.clone(),
        message_id: "m1".to_owned(),
        ..Default::default()
    };
    request(Call::DeadLetter, "dead-letter", &dead_letter);
    let change = v2::ChangeInvisibleDurationRequest {
        group: group.clone(),
        topic: topic.clone(),
        receipt_handle: handle,
        invisible_duration: Some(span(5)),
        ..Default::default()
    };
    request(Call::ChangeInvisible, "change-invisible", &change);
    let sync = v2::SyncLiteSubscriptionRequest {
        action: v2::LiteSubscriptionAction::CompleteAdd.into(),
        topic,
        group: group.clone(),
        lite_topic_set: vec!["a".to_owned(), "b".to_owned()],
        offset_option: Some(v2::OffsetOption {
            offset_type: Some(v2::offset_option::OffsetType::TailN(1)),
        }),
        ..Default::default()
    };
    request(Call::Sync, "sync", &sync);
    request(Call::Terminate, "terminate", &v2::NotifyClientTerminationRequest { group });
}

fn message(lite_topic: &str, id: &str) -> v2::Message {
    v2::Message {
        topic: resource(TOPIC),
        user_properties: BTreeMap::from([("tenant".to_owned(), "42".to_owned())]),
        system_properties: Some(v2::SystemProperties {
            tag: Some("t".to_owned()),
            keys: vec!["k".to_owned()],
            message_id: id.to_owned(),
            message_type: v2::MessageType::Lite.into(),
            born_timestamp: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 1 }),
            born_host: "host".to_owned(),
            trace_context: Some("trace".to_owned()),
            lite_topic: Some(lite_topic.to_owned()),
            ..Default::default()
        }),
        body: Bytes::from_static(b"hello"),
    }
}

fn telemetry() {
    let publishing =
        v2::Publishing { topics: resource(TOPIC).into_iter().collect(), ..Default::default() };
    let subscription = v2::Subscription {
        group: resource(GROUPS[0]),
        subscriptions: vec![v2::SubscriptionEntry { topic: resource(TOPIC), expression: None }],
        ..Default::default()
    };
    for (name, client_type, pub_sub) in [
        ("producer", v2::ClientType::Producer, PubSub::Publishing(publishing)),
        ("consumer", v2::ClientType::LitePushConsumer, PubSub::Subscription(subscription)),
    ] {
        let settings = v2::Settings {
            client_type: Some(client_type.into()),
            user_agent: Some(v2::Ua {
                language: v2::Language::Java.into(),
                version: "5.2.0".to_owned(),
                ..Default::default()
            }),
            client_properties: BTreeMap::from([("zone".to_owned(), "a".to_owned())]),
            pub_sub: Some(pub_sub),
            ..Default::default()
        };
        let command =
            v2::TelemetryCommand { status: None, command: Some(Command::Settings(settings)) };
        let body = command.encode_to_vec();
        let mut frame = BytesMut::new();
        frame.put_u8(0);
        frame.put_u32(body.len() as u32);
        frame.extend_from_slice(&body);
        request_bytes(Call::Telemetry, name, &[frame.as_ref(), frame.as_ref()].concat());
    }
}

fn configurations() {
    for (name, text) in [
        ("empty", ""),
        (
            "whole",
            "data = \"/var/lib/litemq\"\nlisten = \"0.0.0.0:8081\"\nadvertise = \"mq.example:8081\"\n\
             shards = 4\n[log]\nformat = \"json\"\nlevel = \"info\"\n[storage]\nretention = \"72h\"\n\
             segment_size = \"128MiB\"\n[[topics]]\nname = \"orders\"\nttl = \"30m\"\n[[groups]]\n\
             name = \"workers\"\nbind = \"orders\"\nordered = true\n",
        ),
        ("wrong", "shards = 65\nlisten = 3\nnothing = \"x\"\n[storage]\nretention = \"-1s\"\n"),
        ("environment", "shards = 2\n----\nLITEMQ_SHARDS=3\nLITEMQ_LISTEN=[::1]:1\nLITEMQ_X=1\n"),
        ("broken", "a = [\n"),
    ] {
        keep("config", name, text.as_bytes());
    }
}

fn span(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}
