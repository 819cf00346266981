//! A message as it is stored, sent and handed out.

use std::collections::BTreeMap;

use bytes::Bytes;
use litemq_domain::limits::{TTL_MAX, TTL_STEP};
use litemq_domain::{DurationMs, Error, ErrorCode, LiteTopicName, Result, Timestamp, check_ttl};

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
    /// The dead letter that this was sent again from.
    #[prost(message, optional, tag = "11")]
    pub resent: Option<ResentFrom>,
}

/// User property of the first message of a lite topic: the lite topic's own time to live, a whole
/// number of minutes, or -1 for ever.
pub const TTL_PROPERTY: &str = "litemq.ttl";

impl StoredMessage {
    /// The time to live that the message asks for its lite topic, if it makes it; the inner `None` is
    /// for ever.
    ///
    /// # Errors
    /// [`ErrorCode::PropertyKeyIllegal`] when it is none.
    pub fn own_ttl(&self) -> Result<Option<Option<DurationMs>>> {
        let Some(text) = self.user_properties.get(TTL_PROPERTY) else { return Ok(None) };
        let refused = || {
            let (given, most) = (text.escape_debug(), TTL_MAX.0 / TTL_STEP.0);
            Error::new(
                ErrorCode::PropertyKeyIllegal,
                format!(
                    "user property '{TTL_PROPERTY}' is '{given}'; give minutes, 1 to {most}, or -1 \
                     for ever"
                ),
            )
        };
        let minutes: i64 = text.parse().map_err(|_| refused())?;
        let ttl = match u64::try_from(minutes) {
            Ok(minutes) => Some(DurationMs(minutes.saturating_mul(TTL_STEP.0))),
            Err(_) if minutes == -1 => None,
            Err(_) => return Err(refused()),
        };
        check_ttl(ttl).map_err(|_| refused())?;
        Ok(Some(ttl))
    }
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
    /// When it was stored there, milliseconds since the Unix epoch.
    #[prost(uint64, tag = "5")]
    pub stored_at_ms: u64,
    /// Why it is a dead letter.
    #[prost(enumeration = "DeadLetterReason", tag = "6")]
    pub reason: i32,
    /// What it was there: a dead letter of another group, if that keeps dead letters.
    #[prost(message, optional, boxed, tag = "7")]
    pub before: Option<Box<DeadLetterOrigin>>,
}

/// Why a message is a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum DeadLetterReason {
    /// Not known.
    Unknown = 0,
    /// Its delivery attempts were used up.
    AttemptsUsedUp = 1,
    /// Its client gave it up.
    GivenUpByClient = 2,
}

/// The dead letter that a message was sent again from.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ResentFrom {
    /// The parent topic of the dead letter; its lite topic there has the same name.
    #[prost(string, tag = "1")]
    pub topic: String,
    /// The offset there.
    #[prost(uint64, tag = "2")]
    pub offset: u64,
    /// How often it was sent again, from 1.
    #[prost(uint32, tag = "3")]
    pub times: u32,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn with_ttl(text: &str) -> StoredMessage {
        let user_properties = [(TTL_PROPERTY.to_owned(), text.to_owned())].into();
        StoredMessage { user_properties, ..StoredMessage::default() }
    }

    #[test]
    fn a_message_asks_for_a_time_to_live_in_whole_minutes() {
        assert_eq!(StoredMessage::default().own_ttl(), Ok(None));
        assert_eq!(with_ttl("-1").own_ttl(), Ok(Some(None)));
        assert_eq!(with_ttl("30").own_ttl(), Ok(Some(Some(DurationMs::from_secs(1800)))));
        assert_eq!(with_ttl("43200").own_ttl(), Ok(Some(Some(DurationMs::from_hours(720)))));
        let far = i64::MAX.to_string();
        for text in ["", "0", "-2", "43201", "1.5", "30m", " 30", "never", "\n", &far] {
            let error = with_ttl(text).own_ttl().unwrap_err();
            assert_eq!(error.code, ErrorCode::PropertyKeyIllegal, "{text}");
            assert!(error.message.contains("1 to 43200, or -1"), "{error}");
            assert!(!error.message.chars().any(char::is_control), "{error:?}");
        }
    }
}
