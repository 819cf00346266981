//! A message as it is stored, sent and handed out.

use std::collections::BTreeMap;

use bytes::Bytes;
use litemq_domain::{DurationMs, LiteTopicName, Timestamp};

/// What the log keeps of a message. A protobuf, so that fields can be added; a record without a
/// field reads as its default.
#[derive(Clone, PartialEq, prost::Message)]
pub struct StoredMessage {
    /// The id that the client gave it.
    #[prost(string, tag = "1")]
    pub message_id: String,
    /// Its tag.
    #[prost(string, optional, tag = "2")]
    pub tag: Option<String>,
    /// Its keys.
    #[prost(string, repeated, tag = "3")]
    pub keys: Vec<String>,
    /// The user's properties.
    #[prost(btree_map = "string, string", tag = "4")]
    pub user_properties: BTreeMap<String, String>,
    /// How the client encoded the body (`Encoding` of the protocol); never decoded here.
    #[prost(int32, tag = "5")]
    pub body_encoding: i32,
    /// When the client made it, milliseconds since the Unix epoch, by the client's clock.
    #[prost(uint64, tag = "6")]
    pub born_at_ms: u64,
    /// Where the client made it.
    #[prost(string, tag = "7")]
    pub born_host: String,
    /// Carried for tracing, opaque.
    #[prost(string, optional, tag = "8")]
    pub trace_context: Option<String>,
    /// The body as sent.
    #[prost(bytes = "bytes", tag = "9")]
    pub body: Bytes,
    /// Where a dead letter came from.
    #[prost(message, optional, tag = "10")]
    pub dead_letter: Option<DeadLetterOrigin>,
}

/// Where a dead letter came from. Its lite topic there has the name of its lite topic here.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DeadLetterOrigin {
    /// The parent topic.
    #[prost(string, tag = "1")]
    pub topic: String,
    /// The message id there.
    #[prost(string, tag = "2")]
    pub message_id: String,
    /// The offset there.
    #[prost(uint64, tag = "3")]
    pub offset: u64,
    /// Delivery attempts that were made.
    #[prost(uint32, tag = "4")]
    pub attempts: u32,
}

/// A message to send.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMessage {
    /// Where to.
    pub lite_topic: LiteTopicName,
    /// What.
    pub message: StoredMessage,
}

/// A durable send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Its offset in the lite topic.
    pub offset: u64,
    /// Whether the same client message id was stored before; the offset is the earlier one's.
    pub repeated: bool,
}

/// A message handed to a consumer.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The lite topic it is from.
    pub lite_topic: LiteTopicName,
    /// Its offset there.
    pub offset: u64,
    /// When it was stored.
    pub stored_at: Timestamp,
    /// Which hand-out of the message this is, from 1.
    pub attempt: u32,
    /// How long nobody else gets it.
    pub invisible: DurationMs,
    /// What settles it.
    pub receipt_handle: String,
    /// The message.
    pub message: StoredMessage,
}

/// A message looked at without consuming it.
#[derive(Debug, Clone, PartialEq)]
pub struct Peeked {
    /// Its offset in the lite topic.
    pub offset: u64,
    /// When it was stored.
    pub stored_at: Timestamp,
    /// The message.
    pub message: StoredMessage,
}
