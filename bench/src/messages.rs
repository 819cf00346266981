//! Names and messages of the load.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use litemq_protocol::v2;
use v2::{Message, MessageType, Resource, SendMessageRequest, SystemProperties};

/// The parent topic of all workloads.
pub(crate) const TOPIC: &str = "bench";

/// Makes messages with ids of their own, shaped like those of the SDKs.
#[derive(Debug)]
pub(crate) struct Messages {
    run: u64,
    next: AtomicU64,
    template: Message,
}

impl Messages {
    /// With a body of so many bytes, unless another is given.
    pub(crate) fn new(body_bytes: usize) -> Self {
        let run = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let template = Message {
            topic: Some(resource(TOPIC)),
            system_properties: Some(SystemProperties {
                message_type: MessageType::Lite.into(),
                born_host: "bench".to_owned(),
                ..SystemProperties::default()
            }),
            body: Bytes::from(vec![b'x'; body_bytes]),
            ..Message::default()
        };
        Self { run: run as u64, next: AtomicU64::new(0), template }
    }

    /// A message to a lite topic.
    pub(crate) fn to(&self, lite_topic: usize) -> Message {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut message = self.template.clone();
        if let Some(system) = message.system_properties.as_mut() {
            system.message_id = format!("01{:016X}{number:016X}", self.run);
            system.lite_topic = Some(lite_name(lite_topic));
        }
        message
    }

    /// A request of one message.
    pub(crate) fn request_to(&self, lite_topic: usize) -> SendMessageRequest {
        SendMessageRequest { messages: vec![self.to(lite_topic)] }
    }
}

/// The name of a lite topic.
pub(crate) fn lite_name(number: usize) -> String {
    format!("session-{number:09}")
}

/// A resource without namespace.
pub(crate) fn resource(name: &str) -> Resource {
    Resource { name: name.to_owned(), ..Resource::default() }
}
