//! Requests as bytes: honest ones by the protocol's types, and protobuf fields written by hand for
//! what no library would write.

use litemq_protocol::v2;
use prost::Message as _;
use v2::settings::PubSub;
use v2::{LiteSubscriptionAction, Message, MessageType, Resource, SystemProperties};

/// The parent topic of everything.
pub(crate) const TOPIC: &str = "orders";
/// The group of the honest client.
pub(crate) const HONEST: &str = "honest";
/// A group of attackers with the usual quota.
pub(crate) const CROWD: &str = "crowd";
/// A group of attackers whose clients may subscribe to any number of lite topics.
pub(crate) const WIDE: &str = "wide";
/// The lite topic of large messages that [`greedy`] groups are subscribed to.
pub(crate) const BIG: &str = "big";
/// Groups that each get every large message.
pub(crate) const GREEDY_GROUPS: usize = 36;

pub(crate) fn greedy(n: usize) -> String {
    format!("greedy-{n}")
}

pub(crate) fn resource(name: &str) -> Resource {
    Resource { name: name.to_owned(), ..Resource::default() }
}

pub(crate) fn message(lite_topic: &str, id: &str, body: Vec<u8>) -> Message {
    Message {
        topic: Some(resource(TOPIC)),
        system_properties: Some(SystemProperties {
            message_id: id.to_owned(),
            message_type: MessageType::Lite.into(),
            lite_topic: Some(lite_topic.to_owned()),
            ..SystemProperties::default()
        }),
        body: body.into(),
        ..Message::default()
    }
}

pub(crate) fn send(messages: Vec<Message>) -> Vec<u8> {
    v2::SendMessageRequest { messages }.encode_to_vec()
}

pub(crate) fn receive_request(group: &str, wait_s: i64) -> v2::ReceiveMessageRequest {
    v2::ReceiveMessageRequest {
        group: Some(resource(group)),
        message_queue: Some(v2::MessageQueue {
            topic: Some(resource(TOPIC)),
            ..v2::MessageQueue::default()
        }),
        batch_size: 32,
        auto_renew: true,
        long_polling_timeout: Some(prost_types::Duration { seconds: wait_s, nanos: 0 }),
        ..v2::ReceiveMessageRequest::default()
    }
}

pub(crate) fn receive(group: &str, wait_s: i64) -> Vec<u8> {
    receive_request(group, wait_s).encode_to_vec()
}

pub(crate) fn sync_request(
    group: &str,
    action: LiteSubscriptionAction,
    names: Vec<String>,
) -> v2::SyncLiteSubscriptionRequest {
    v2::SyncLiteSubscriptionRequest {
        action: action.into(),
        topic: Some(resource(TOPIC)),
        group: Some(resource(group)),
        lite_topic_set: names,
        ..v2::SyncLiteSubscriptionRequest::default()
    }
}

pub(crate) fn ack_request(group: &str, handles: Vec<String>) -> v2::AckMessageRequest {
    let entry = |receipt_handle| v2::AckMessageEntry { receipt_handle, ..Default::default() };
    v2::AckMessageRequest {
        group: Some(resource(group)),
        topic: Some(resource(TOPIC)),
        entries: handles.into_iter().map(entry).collect(),
    }
}

/// A producer's settings with so many topics: small on the wire, large in memory.
pub(crate) fn settings(topics: usize) -> v2::TelemetryCommand {
    let publishing =
        v2::Publishing { topics: vec![resource("t"); topics], ..v2::Publishing::default() };
    let settings = v2::Settings {
        client_type: Some(v2::ClientType::Producer.into()),
        pub_sub: Some(PubSub::Publishing(publishing)),
        ..v2::Settings::default()
    };
    v2::TelemetryCommand {
        command: Some(v2::telemetry_command::Command::Settings(settings)),
        ..v2::TelemetryCommand::default()
    }
}

/// A length-delimited field.
pub(crate) fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 8);
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut out);
    prost::encoding::encode_varint(content.len() as u64, &mut out);
    out.extend(content);
    out
}

/// A field inside a field inside a field.
pub(crate) fn nested(number: u32, depth: usize) -> Vec<u8> {
    (0..depth).fold(Vec::new(), |inside, _| field(number, &inside))
}
