//! The checks on a message that a client sends, each with the code that upstream servers give, in
//! the order in which they give it.

use litemq_domain::limits::{
    BODY_BYTES_MAX, MESSAGE_GROUP_BYTES_MAX, PROPERTIES_BYTES_MAX, USER_PROPERTIES_MAX,
};
use litemq_domain::{Error, ErrorCode, LiteTopicName, Result, Timestamp};
use litemq_protocol::v2;
use v2::{Encoding, Message, MessageType, SystemProperties};

use super::limits::{
    BORN_HOST_BYTES_MAX, DELIVERY_DELAY_MAX, MESSAGE_ID_BYTES_MAX, TRACE_CONTEXT_BYTES_MAX,
    TRANSACTION_RECOVERY_MAX,
};
use super::reserved::is_reserved;
use super::wiretime::{read_duration, read_timestamp};
use crate::broker::{NewMessage, StoredMessage};

/// A message that passed all checks but the one of its type.
#[derive(Debug)]
pub(super) struct Checked {
    message_type: MessageType,
    lite_topic: Option<LiteTopicName>,
    message: StoredMessage,
}

/// Checks one message; its parts are moved, not copied.
pub(super) fn check(message: Message, now: Timestamp) -> Result<Checked> {
    let mut system = message.system_properties.unwrap_or_default();
    check_body(message.body.len())?;
    check_user_properties(&message.user_properties)?;
    check_labels(&system)?;
    check_properties_size(&message.user_properties, &system)?;
    check_message_id(&system.message_id)?;
    check_transaction(&system)?;
    check_delivery_time(&system, now)?;
    check_message_group(&system)?;
    check_trace_and_encoding(&system)?;
    let declared_lite = system.message_type() == MessageType::Lite;
    let lite_topic = match given(system.lite_topic.as_deref()) {
        None if !declared_lite => None,
        name => Some(LiteTopicName::new(name.unwrap_or_default())?),
    };
    if !is_fit_for_logs(&system.born_host, BORN_HOST_BYTES_MAX) {
        system.born_host.clear();
    }
    Ok(Checked {
        message_type: message_type(&system),
        lite_topic,
        message: StoredMessage {
            message_id: system.message_id,
            tag: system.tag.filter(|tag| !tag.is_empty()),
            keys: system.keys,
            user_properties: message.user_properties,
            body_encoding: system.body_encoding,
            born_at_ms: system.born_timestamp.as_ref().map_or(now.0, |at| read_timestamp(at).0),
            born_host: system.born_host,
            trace_context: system.trace_context,
            body: message.body,
            dead_letter: None,
        },
    })
}

impl Checked {
    /// The message for a parent of lite topics, if it is of that type and no other.
    pub(super) fn into_lite(self) -> Result<NewMessage> {
        match (self.message_type, self.lite_topic) {
            (MessageType::Lite, Some(lite_topic)) => {
                Ok(NewMessage { lite_topic, message: self.message })
            }
            (message_type, _) => Err(Error::new(
                ErrorCode::MessageTypeConflict,
                format!(
                    "the topic takes LITE messages, this one is {}; give it a lite topic, and no \
                     message group, delivery time, priority or transaction",
                    message_type.as_str_name()
                ),
            )),
        }
    }
}

/// The type by what a message carries. What it says of itself counts for transactions only.
fn message_type(system: &SystemProperties) -> MessageType {
    match system {
        s if s.message_type() == MessageType::Transaction => MessageType::Transaction,
        s if s.delivery_timestamp.is_some() => MessageType::Delay,
        s if given(s.message_group.as_deref()).is_some() => MessageType::Fifo,
        s if s.priority.is_some() => MessageType::Priority,
        s if given(s.lite_topic.as_deref()).is_some() => MessageType::Lite,
        _ => MessageType::Normal,
    }
}

fn check_body(bytes: usize) -> Result<()> {
    if bytes == 0 {
        return refused(ErrorCode::BodyEmpty, "the body is empty");
    }
    if bytes > BODY_BYTES_MAX {
        return refused(
            ErrorCode::BodyTooLarge,
            format!("the body has {bytes} bytes; at most {BODY_BYTES_MAX} are allowed"),
        );
    }
    Ok(())
}

type UserProperties = std::collections::BTreeMap<String, String>;

fn check_user_properties(properties: &UserProperties) -> Result<()> {
    if properties.len() > USER_PROPERTIES_MAX {
        return refused(
            ErrorCode::PropertiesTooLarge,
            format!(
                "the message has {} user properties; at most {USER_PROPERTIES_MAX} are allowed",
                properties.len()
            ),
        );
    }
    for (key, value) in properties {
        if is_reserved(key) {
            return refused(
                ErrorCode::PropertyKeyIllegal,
                format!("user property '{key}' is reserved for the system; choose another key"),
            );
        }
        if has_control(key) || has_control(value) {
            return refused(
                ErrorCode::PropertyKeyIllegal,
                format!("user property '{}' has control characters", key.escape_debug()),
            );
        }
    }
    Ok(())
}

fn check_labels(system: &SystemProperties) -> Result<()> {
    if let Some(tag) = given(system.tag.as_deref())
        && (tag.trim().is_empty() || tag.contains('|') || has_control(tag))
    {
        return refused(
            ErrorCode::TagIllegal,
            "the tag is blank, or has a '|' or control characters",
        );
    }
    let keys = system.keys.iter().map(String::as_str);
    for key in keys.filter(|key| !key.is_empty()) {
        if key.trim().is_empty() || has_control(key) {
            return refused(
                ErrorCode::MessageKeyIllegal,
                "a key is blank or has control characters",
            );
        }
    }
    Ok(())
}

fn check_properties_size(properties: &UserProperties, system: &SystemProperties) -> Result<()> {
    let user: usize = properties.iter().map(|(key, value)| key.len() + value.len()).sum();
    let keys: usize = system.keys.iter().map(String::len).sum();
    let bytes = user + keys + system.tag.as_ref().map_or(0, String::len);
    if bytes > PROPERTIES_BYTES_MAX {
        return refused(
            ErrorCode::PropertiesTooLarge,
            format!(
                "user properties, tag and keys have {bytes} bytes together; at most \
                 {PROPERTIES_BYTES_MAX} are allowed"
            ),
        );
    }
    Ok(())
}

fn check_message_id(id: &str) -> Result<()> {
    if id.trim().is_empty() || !is_fit_for_logs(id, MESSAGE_ID_BYTES_MAX) {
        return refused(
            ErrorCode::MessageIdIllegal,
            format!("the message id must have 1 to {MESSAGE_ID_BYTES_MAX} visible bytes"),
        );
    }
    Ok(())
}

fn check_transaction(system: &SystemProperties) -> Result<()> {
    let recovery = system.orphaned_transaction_recovery_duration.as_ref();
    let too_late = |span| {
        read_duration(span)
            .is_none_or(|span| u128::from(span.0) > TRANSACTION_RECOVERY_MAX.as_millis())
    };
    if recovery.is_some_and(too_late) {
        return refused(
            ErrorCode::BadRequest,
            format!(
                "the recovery duration of the transaction is not 0 to {} s",
                TRANSACTION_RECOVERY_MAX.as_secs()
            ),
        );
    }
    Ok(())
}

fn check_delivery_time(system: &SystemProperties, now: Timestamp) -> Result<()> {
    let delay = system.delivery_timestamp.as_ref().map(|at| read_timestamp(at).since(now));
    if delay.is_some_and(|delay| u128::from(delay.0) > DELIVERY_DELAY_MAX.as_millis()) {
        return refused(
            ErrorCode::DeliveryTimeIllegal,
            format!("the delivery time is more than {} s ahead", DELIVERY_DELAY_MAX.as_secs()),
        );
    }
    Ok(())
}

fn check_message_group(system: &SystemProperties) -> Result<()> {
    if let Some(group) = given(system.message_group.as_deref())
        && (group.trim().is_empty() || group.len() >= MESSAGE_GROUP_BYTES_MAX || has_control(group))
    {
        return refused(
            ErrorCode::MessageGroupIllegal,
            format!(
                "the message group is blank, has control characters, or has {MESSAGE_GROUP_BYTES_MAX} \
                 bytes or more"
            ),
        );
    }
    Ok(())
}

fn check_trace_and_encoding(system: &SystemProperties) -> Result<()> {
    if system.trace_context.as_ref().is_some_and(|trace| trace.len() > TRACE_CONTEXT_BYTES_MAX) {
        return refused(
            ErrorCode::PropertiesTooLarge,
            format!("the trace context has more than {TRACE_CONTEXT_BYTES_MAX} bytes"),
        );
    }
    if Encoding::try_from(system.body_encoding).is_err() {
        return refused(
            ErrorCode::MessageCorrupted,
            format!("the body encoding {} is unknown", system.body_encoding),
        );
    }
    Ok(())
}

/// An optional text; SDKs send an empty one for none.
fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

fn is_fit_for_logs(text: &str, bytes_max: usize) -> bool {
    text.len() <= bytes_max && !has_control(text)
}

fn refused<T>(code: ErrorCode, message: impl Into<String>) -> Result<T> {
    Err(Error::new(code, message))
}

#[cfg(test)]
mod tests;
