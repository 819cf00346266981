//! Seeds of the doors: a request of each call as an SDK sends it, and configurations.

use std::collections::BTreeMap;

use crate::broker::{GROUPS, TOPIC, resource};
use crate::content::{Field, Piece, encode};
use crate::requests::{CALLS, Call};
use bytes::{BufMut as _, Bytes, BytesMut};
use litemq_protocol::v2;
use prost::Message;
use v2::offset_option::{OffsetType, Policy};
use v2::settings::PubSub;
use v2::telemetry_command::Command;

use super::Seeds;

pub(super) fn make(seeds: &mut Seeds) {
    requests(seeds);
    telemetry(seeds);
    configurations(seeds);
    contents(seeds);
    for (name, length) in [("short", 40), ("middle", 300), ("long", 1200)] {
        let bytes: Vec<u8> = (0..length).map(|at| (at as u8).wrapping_mul(5)).collect();
        seeds.keep("calls", name, &bytes);
    }
    http(seeds);
}

/// Messages at and beyond each limit.
fn contents(seeds: &mut Seeds) {
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
        seeds.keep("content", name, &encode(pieces));
    }
}

fn request(seeds: &mut Seeds, call: Call, name: &str, message: &impl Message) {
    request_bytes(seeds, call, name, &message.encode_to_vec());
}

fn request_bytes(seeds: &mut Seeds, call: Call, name: &str, body: &[u8]) {
    let first = CALLS.iter().position(|other| *other == call).unwrap() as u8;
    seeds.keep("requests", name, &[&[first, 0], body].concat());
}

fn requests(seeds: &mut Seeds) {
    let (topic, group) = (resource(TOPIC), resource(GROUPS[0]));
    let endpoints = v2::Endpoints {
        scheme: v2::AddressScheme::DomainName.into(),
        addresses: vec![v2::Address { host: "localhost".to_owned(), port: 8081 }],
    };
    let route = v2::QueryRouteRequest { topic: topic.clone(), endpoints: Some(endpoints.clone()) };
    request(seeds, Call::QueryRoute, "query-route", &route);
    let beat = v2::HeartbeatRequest { group: group.clone(), ..Default::default() };
    request(seeds, Call::Heartbeat, "heartbeat", &beat);
    request(
        seeds,
        Call::Send,
        "send",
        &v2::SendMessageRequest { messages: vec![message("a", "m1")] },
    );
    let batch = vec![message("a", "m1"), message("b", "m2"), message("a", "m1")];
    request(seeds, Call::Send, "send-batch", &v2::SendMessageRequest { messages: batch });
    let mut short_lived = message("a", "m1");
    short_lived.user_properties.insert("litemq.ttl".to_owned(), "5".to_owned());
    request(seeds, Call::Send, "send-ttl", &v2::SendMessageRequest { messages: vec![short_lived] });
    let assignment = v2::QueryAssignmentRequest {
        topic: topic.clone(),
        group: group.clone(),
        endpoints: Some(endpoints),
    };
    request(seeds, Call::QueryAssignment, "query-assignment", &assignment);
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
    request(seeds, Call::Receive, "receive", &receive);
    let handle = "AQAAAAEAAAACAAAAAAAAAAAAAAAAAQAAAAEAAAGLz-VoAAECAwQFBgcI".to_owned();
    let entry = v2::AckMessageEntry {
        message_id: "m1".to_owned(),
        receipt_handle: handle.clone(),
        lite_topic: Some("a".to_owned()),
    };
    let ack =
        v2::AckMessageRequest { group: group.clone(), topic: topic.clone(), entries: vec![entry] };
    request(seeds, Call::Ack, "ack", &ack);
    let dead_letter = v2::ForwardMessageToDeadLetterQueueRequest {
        group: group.clone(),
        topic: topic.clone(),
        receipt_handle: handle.clone(),
        message_id: "m1".to_owned(),
        ..Default::default()
    };
    request(seeds, Call::DeadLetter, "dead-letter", &dead_letter);
    let change = v2::ChangeInvisibleDurationRequest {
        group: group.clone(),
        topic: topic.clone(),
        receipt_handle: handle,
        invisible_duration: Some(span(5)),
        ..Default::default()
    };
    request(seeds, Call::ChangeInvisible, "change-invisible", &change);
    let suspend = v2::ChangeInvisibleDurationRequest { suspend: Some(true), ..change.clone() };
    request(seeds, Call::ChangeInvisible, "suspend", &suspend);
    let sync = v2::SyncLiteSubscriptionRequest {
        action: v2::LiteSubscriptionAction::CompleteAdd.into(),
        topic,
        group: group.clone(),
        lite_topic_set: vec!["a".to_owned(), "b".to_owned()],
        ..Default::default()
    };
    request(seeds, Call::Sync, "sync", &sync);
    syncs(seeds, &sync);
    not_served(seeds);
    request(seeds, Call::Terminate, "terminate", &v2::NotifyClientTerminationRequest { group });
}

/// Each action, and each place to start at.
fn syncs(seeds: &mut Seeds, sync: &v2::SyncLiteSubscriptionRequest) {
    use v2::LiteSubscriptionAction as Action;
    for (name, action) in [
        ("sync-add", Action::PartialAdd),
        ("sync-remove", Action::PartialRemove),
        ("sync-remove-all", Action::CompleteRemove),
    ] {
        let sync = v2::SyncLiteSubscriptionRequest { action: action.into(), ..sync.clone() };
        request(seeds, Call::Sync, name, &sync);
    }
    let policy = |policy: Policy| OffsetType::Policy(policy.into());
    for (name, start) in [
        ("sync-last", policy(Policy::Last)),
        ("sync-min", policy(Policy::Min)),
        ("sync-max", policy(Policy::Max)),
        ("sync-offset", OffsetType::Offset(1)),
        ("sync-tail", OffsetType::TailN(1)),
        ("sync-time", OffsetType::Timestamp(1_700_000_000_000)),
    ] {
        let offset_option = Some(v2::OffsetOption { offset_type: Some(start) });
        let sync = v2::SyncLiteSubscriptionRequest { offset_option, ..sync.clone() };
        request(seeds, Call::Sync, name, &sync);
    }
}

/// Calls that are part of the protocol and answered with that they are not served.
fn not_served(seeds: &mut Seeds) {
    let (topic, group) = (resource(TOPIC), resource(GROUPS[0]));
    let queue = Some(v2::MessageQueue { topic: topic.clone(), ..Default::default() });
    let end = v2::EndTransactionRequest { topic: topic.clone(), ..Default::default() };
    request(seeds, Call::EndTransaction, "end-transaction", &end);
    let recall = v2::RecallMessageRequest { topic, recall_handle: "handle".to_owned() };
    request(seeds, Call::Recall, "recall", &recall);
    let pull = v2::PullMessageRequest {
        group: group.clone(),
        message_queue: queue.clone(),
        ..Default::default()
    };
    request(seeds, Call::Pull, "pull", &pull);
    let update =
        v2::UpdateOffsetRequest { group: group.clone(), message_queue: queue.clone(), offset: 1 };
    request(seeds, Call::UpdateOffset, "update-offset", &update);
    let get = v2::GetOffsetRequest { group, message_queue: queue.clone() };
    request(seeds, Call::GetOffset, "get-offset", &get);
    let query = v2::QueryOffsetRequest { message_queue: queue, ..Default::default() };
    request(seeds, Call::QueryOffset, "query-offset", &query);
}

/// A request to each path, among them such that change what the others find.
fn http(seeds: &mut Seeds) {
    let topic = "/api/v1/topics/orders";
    let list = |path: &str| format!("GET /api/v1/{path}");
    for (name, requests) in [
        ("index", vec!["GET /".to_owned(), "GET /metrics".to_owned()]),
        ("health", vec!["GET /healthz".to_owned(), "GET /readyz".to_owned()]),
        ("openapi", vec![list("openapi.json")]),
        (
            "topics",
            vec![
                "POST /api/v1/topics\n{\"name\":\"more\",\"ttl\":\"30m\",\
                 \"counts_reads\":true,\"keep_undelivered\":true,\"keep_subscribed\":true,\
                 \"lite_topic_quota\":10,\"send_rate\":100}"
                    .to_owned(),
                list("topics"),
                list("topics/more"),
                "PATCH /api/v1/topics/more\n{\"ttl\":\"never\",\"lite_topic_quota\":-1}".to_owned(),
                "DELETE /api/v1/topics/more".to_owned(),
            ],
        ),
        (
            "groups",
            vec![
                "POST /api/v1/groups\n{\"name\":\"g\",\"bind\":\"orders\",\"mode\":\"WILDCARD\",\
                 \"pattern\":\"a*\",\"consume_rate\":200,\"backoff\":\"1s*2..10m\"}"
                    .to_owned(),
                list("groups"),
                list("groups/g"),
                "PATCH /api/v1/groups/g\n{\"mode\":\"EXCLUSIVE\",\"reset_on_takeover\":true,\
                 \"reset_on_unsubscribe\":true,\"simple_suspend\":true,\"backoff\":\"1s, 5s\"}"
                    .to_owned(),
                "DELETE /api/v1/groups/g".to_owned(),
            ],
        ),
        (
            "positions",
            vec![
                format!("POST {topic}/lite/a/messages\n{{\"body\":\"hello\"}}"),
                "POST /api/v1/groups/ordered/reset\n{\"lite_topic\":\"a\",\"offset\":1}".to_owned(),
                "POST /api/v1/groups/ordered/reset\n{\"time\":\"2026-01-02T03:04:05Z\"}".to_owned(),
                "DELETE /api/v1/groups/ordered/clients/one?lite_topic=a".to_owned(),
            ],
        ),
        (
            "lite",
            vec![
                format!("POST {topic}/lite\n{{\"name\":\"a\",\"ttl\":\"5m\"}}"),
                format!("GET {topic}/lite?prefix=a&limit=10"),
                format!("PATCH {topic}/lite/a\n{{\"extend\":\"1h\",\"pinned\":true}}"),
                format!("GET {topic}/lite/a"),
                format!("DELETE {topic}/lite/a"),
            ],
        ),
        (
            "messages",
            vec![
                format!("POST {topic}/lite/a/messages\n{{\"body\":\"hello\",\"tag\":\"t\"}}"),
                format!("GET {topic}/lite/a/messages?limit=10&from=0"),
            ],
        ),
        (
            "quotas",
            vec![
                "PATCH /api/v1/quotas\n{\"lite_topics_max\":5,\"subscriptions_max\":-1}".to_owned(),
                list("quotas"),
                list("quotas/profiles"),
                "POST /api/v1/quotas/profiles/serverless-5k".to_owned(),
            ],
        ),
        (
            "users",
            vec![
                "POST /api/v1/users\n{\"name\":\"u\",\"secret\":\"a-long-secret\"}".to_owned(),
                list("users"),
                list("users/u"),
                "PATCH /api/v1/users/u\n{\"enabled\":false}".to_owned(),
                "POST /api/v1/users/u/secret\n{}".to_owned(),
                "DELETE /api/v1/users/u".to_owned(),
            ],
        ),
        (
            "policies",
            vec![
                "POST /api/v1/users\n{\"name\":\"u\"}".to_owned(),
                "POST /api/v1/policies\n{\"user\":\"u\",\"effect\":\"allow\",\"actions\":\
                 [\"publish\"],\"resource\":\"lite:orders/a*\",\"source\":\"10.0.0.0/8\"}"
                    .to_owned(),
                list("policies?user=u"),
                "POST /api/v1/policies/test\n{\"user\":\"u\",\"action\":\"publish\",\
                 \"resource\":\"lite:orders/ab\"}"
                    .to_owned(),
                "DELETE /api/v1/policies/0".to_owned(),
            ],
        ),
        (
            "consumption",
            vec![
                list("groups/ordered/stats?top=5&by=age"),
                list("groups/ordered/clients?limit=1"),
                list("groups/ordered/clients/one"),
                list("groups/ordered/dead-letters?prefix=a&limit=10"),
                list("topics/orders/trace?id=m1"),
            ],
        ),
        (
            "absent",
            vec![
                list("groups/ordered/dead-letters/a?order=newest&limit=1"),
                "POST /api/v1/groups/ordered/dead-letters/a/resend\n{\"offsets\":[0]}".to_owned(),
                list("topics/orders/lite/a/trace?id=m1"),
            ],
        ),
    ] {
        seeds.keep("http", name, requests.join("\0").as_bytes());
    }
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

fn telemetry(seeds: &mut Seeds) {
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
        request_bytes(seeds, Call::Telemetry, name, &[frame.as_ref(), frame.as_ref()].concat());
    }
}

fn configurations(seeds: &mut Seeds) {
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
        seeds.keep("config", name, text.as_bytes());
    }
}

fn span(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}
