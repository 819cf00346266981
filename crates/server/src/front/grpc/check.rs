//! The checks on a message that a client sends, each with the code that upstream servers give, in
//! the order in which they give it.

use litemq_domain::limits::MESSAGE_GROUP_BYTES_MAX;
use litemq_domain::{Error, ErrorCode, LiteTopicName, Result, Timestamp};
use litemq_protocol::v2;
use v2::{Encoding, Message, MessageType, SystemProperties};

use super::limits::{BORN_HOST_BYTES_MAX, DELIVERY_DELAY_MAX, TRANSACTION_RECOVERY_MAX};
use super::wiretime::{read_duration, read_timestamp};
use crate::broker::{NewMessage, StoredMessage};
use crate::front::content::{Content, has_control, is_fit_for_logs};

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
    Content {
        body_bytes: message.body.len(),
        user_properties: &message.user_properties,
        tag: given(system.tag.as_deref()),
        keys: &system.keys,
        message_id: &system.message_id,
        trace_context: system.trace_context.as_deref(),
    }
    .check()?;
    check_transaction(&system)?;
    check_delivery_time(&system, now)?;
    check_message_group(&system)?;
    check_encoding(&system)?;
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
            resent: None,
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

fn check_encoding(system: &SystemProperties) -> Result<()> {
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

fn refused<T>(code: ErrorCode, message: impl Into<String>) -> Result<T> {
    Err(Error::new(code, message))
}

#[cfg(test)]
mod tests;
