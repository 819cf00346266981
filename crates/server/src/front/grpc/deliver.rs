//! The answer of a receive: status, messages, delivery timestamp, end.

use std::pin::Pin;
use std::task::{Context, Poll};

use litemq_domain::{DurationMs, LiteTopicName, Timestamp};
use litemq_protocol::v2;
use md5::{Digest as _, Md5};
use tokio_stream::Stream;
use tonic::Status;
use v2::receive_message_response::Content;
use v2::{
    DeadLetterQueue, Digest, DigestType, Encoding, Message, MessageType, ReceiveMessageResponse,
    Resource, SystemProperties,
};

use super::call::Call;
use super::reply;
use super::resource::{client_name, namespace_of};
use super::wiretime::{duration, timestamp};
use crate::broker::{Deliveries, Delivery, Peeked, StoredMessage};

/// Parts of an answer, made when the client can take them: a message leaves its [`Deliveries`] only
/// when it is about to be written, and the rest goes back if the client is gone by then.
#[derive(Debug)]
pub(super) struct Answer {
    status: Option<v2::Status>,
    deliveries: Option<Deliveries>,
    topic: Resource,
    namespace: String,
    delivered_at: Option<Timestamp>,
}

impl Answer {
    /// Messages of a topic, named as the client names it.
    pub(super) fn of(call: &Call, deliveries: Deliveries, topic: Resource, now: Timestamp) -> Self {
        let status = if deliveries.is_empty() { no_message() } else { reply::ok() };
        Self {
            deliveries: Some(deliveries),
            namespace: namespace_of(call, &topic).to_owned(),
            topic,
            ..Self::none(status, now)
        }
    }

    /// No message, and why.
    pub(super) fn none(status: v2::Status, now: Timestamp) -> Self {
        Self {
            status: Some(status),
            deliveries: None,
            topic: Resource::default(),
            namespace: String::new(),
            delivered_at: Some(now),
        }
    }

    fn next_part(&mut self) -> Option<Content> {
        if let Some(status) = self.status.take() {
            return Some(Content::Status(status));
        }
        if let Some(delivery) = self.deliveries.as_mut().and_then(Deliveries::take_next) {
            return Some(Content::Message(wire_message(
                delivery,
                self.topic.clone(),
                &self.namespace,
            )));
        }
        self.delivered_at.take().map(|at| Content::DeliveryTimestamp(timestamp(at)))
    }
}

impl Stream for Answer {
    type Item = Result<ReceiveMessageResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let part = self.next_part();
        Poll::Ready(part.map(|content| Ok(ReceiveMessageResponse { content: Some(content) })))
    }
}

/// The status of an empty poll.
pub(super) fn no_message() -> v2::Status {
    reply::status(v2::Code::MessageNotFound, "no new message")
}

/// A delivered message. Node throws a batch away in which one has no digest, so each has one.
fn wire_message(delivery: Delivery, topic: Resource, namespace: &str) -> Message {
    let stored = delivery.message;
    let dead_letter_queue = stored.dead_letter.as_ref().map(|origin| DeadLetterQueue {
        topic: client_name(namespace, &origin.topic).to_owned(),
        message_id: origin.message_id.clone(),
    });
    Message {
        system_properties: Some(SystemProperties {
            body_digest: Some(digest(&stored.body)),
            body_encoding: encoding(&stored).into(),
            tag: stored.tag,
            keys: stored.keys,
            message_id: stored.message_id,
            message_type: MessageType::Lite.into(),
            born_timestamp: Some(timestamp(Timestamp(stored.born_at_ms))),
            born_host: stored.born_host,
            store_timestamp: Some(timestamp(delivery.stored_at)),
            receipt_handle: Some(delivery.receipt_handle),
            queue_id: 0,
            queue_offset: Some(i64::try_from(delivery.offset).unwrap_or(i64::MAX)),
            invisible_duration: Some(duration(delivery.invisible)),
            delivery_attempt: Some(i32::try_from(delivery.attempt.max(1)).unwrap_or(i32::MAX)),
            trace_context: stored.trace_context,
            dead_letter_queue,
            lite_topic: Some(delivery.lite_topic.as_str().to_owned()),
            ..SystemProperties::default()
        }),
        topic: Some(topic),
        user_properties: stored.user_properties,
        body: stored.body,
    }
}

/// A message that is shown and not delivered: nothing of it can be settled.
pub(super) fn shown_message(
    lite_topic: LiteTopicName,
    found: Peeked,
    topic: Resource,
    namespace: &str,
) -> Message {
    let delivery = Delivery {
        lite_topic,
        offset: found.offset,
        stored_at: found.stored_at,
        attempt: 1,
        invisible: DurationMs(0),
        receipt_handle: String::new(),
        message: found.message,
    };
    let mut message = wire_message(delivery, topic, namespace);
    if let Some(system) = &mut message.system_properties {
        system.receipt_handle = None;
        system.invisible_duration = None;
        system.delivery_attempt = None;
    }
    message
}

fn encoding(stored: &StoredMessage) -> Encoding {
    match Encoding::try_from(stored.body_encoding) {
        Ok(Encoding::Gzip) => Encoding::Gzip,
        _ => Encoding::Identity,
    }
}

fn digest(body: &[u8]) -> Digest {
    Digest { r#type: DigestType::Md5.into(), checksum: upper_hex(&Md5::digest(body)) }
}

fn upper_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| match nibble {
        0..=9 => char::from(b'0' + nibble),
        _ => char::from(b'A' + (nibble - 10)),
    };
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;

    use super::*;
    use crate::broker::DeadLetterOrigin;

    fn delivery() -> Delivery {
        Delivery {
            lite_topic: LiteTopicName::new("session-42").unwrap(),
            offset: 7,
            stored_at: Timestamp(2_000),
            attempt: 1,
            invisible: DurationMs::from_secs(60),
            receipt_handle: "handle".to_owned(),
            message: StoredMessage {
                message_id: "01A".to_owned(),
                tag: Some("t".to_owned()),
                keys: vec!["k".to_owned()],
                user_properties: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
                body_encoding: 0,
                born_at_ms: 1_000,
                born_host: "host".to_owned(),
                trace_context: Some("trace".to_owned()),
                body: Bytes::from_static(b"hello"),
                dead_letter: None,
                resent: None,
            },
        }
    }

    fn delivered(delivery: Delivery) -> (Message, SystemProperties) {
        let topic = Resource { name: "orders".to_owned(), ..Resource::default() };
        let message = wire_message(delivery, topic, "ns");
        let system = message.system_properties.clone().unwrap();
        (message, system)
    }

    #[test]
    fn a_delivered_message_has_every_field_that_an_sdk_reads() {
        let (message, system) = delivered(delivery());
        assert_eq!(message.topic.unwrap().name, "orders");
        assert_eq!(message.body, "hello");
        assert_eq!(message.user_properties["a"], "b");
        assert_eq!(system.message_id, "01A");
        assert_eq!(system.receipt_handle(), "handle");
        assert_eq!(system.lite_topic(), "session-42");
        assert_eq!(system.delivery_attempt(), 1);
        assert_eq!(system.queue_id, 0);
        assert_eq!(system.queue_offset(), 7);
        assert_eq!(system.invisible_duration.unwrap().seconds, 60);
        assert_eq!(system.born_timestamp.unwrap().seconds, 1);
        assert_eq!(system.store_timestamp.unwrap().seconds, 2);
        assert_eq!(system.body_encoding(), Encoding::Identity);
        assert_eq!(system.message_type(), MessageType::Lite);
        assert_eq!((system.tag(), system.keys.len()), ("t", 1));
        assert_eq!(system.trace_context(), "trace");
    }

    #[test]
    fn the_digest_is_md5_in_upper_case_hex() {
        let (_, system) = delivered(delivery());
        let digest = system.body_digest.unwrap();
        assert_eq!(digest.r#type(), DigestType::Md5);
        assert_eq!(digest.checksum, "5D41402ABC4B2A76B9719D911017C592");
    }

    #[test]
    fn the_body_is_shared_with_the_store() {
        let delivery = delivery();
        let stored = delivery.message.body.as_ptr();
        assert_eq!(delivered(delivery).0.body.as_ptr(), stored);
    }

    #[test]
    fn a_dead_letter_tells_where_it_came_from() {
        let mut delivery = delivery();
        delivery.message.dead_letter = Some(DeadLetterOrigin {
            topic: "ns%orders".to_owned(),
            message_id: "01B".to_owned(),
            offset: 3,
            attempts: 17,
            ..DeadLetterOrigin::default()
        });
        let origin = delivered(delivery).1.dead_letter_queue.unwrap();
        assert_eq!((origin.topic.as_str(), origin.message_id.as_str()), ("orders", "01B"));
    }

    #[test]
    fn an_empty_answer_is_a_status_and_a_timestamp() {
        let mut answer = Answer::none(no_message(), Timestamp(1));
        let Some(Content::Status(status)) = answer.next_part() else { panic!("no status") };
        assert_eq!(status.code(), v2::Code::MessageNotFound);
        assert!(matches!(answer.next_part(), Some(Content::DeliveryTimestamp(_))));
        assert_eq!(answer.next_part(), None);
    }
}
