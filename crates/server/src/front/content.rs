//! What a message may hold, whichever door it comes through: RocketMQ's rules for body, properties,
//! tag, keys and id, in the order in which upstream servers check them.

use std::collections::BTreeMap;

use litemq_domain::limits::{BODY_BYTES_MAX, PROPERTIES_BYTES_MAX, USER_PROPERTIES_MAX};
use litemq_domain::{Error, ErrorCode, Result};

use super::reserved::is_reserved;

/// A message id, bytes; the official SDKs make 34.
const MESSAGE_ID_BYTES_MAX: usize = 255;
/// A trace context, bytes.
const TRACE_CONTEXT_BYTES_MAX: usize = 4096;

/// The parts of a message that every type of message has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content<'a> {
    pub(super) body_bytes: usize,
    pub(super) user_properties: &'a BTreeMap<String, String>,
    pub(super) tag: Option<&'a str>,
    pub(super) keys: &'a [String],
    pub(super) message_id: &'a str,
    pub(super) trace_context: Option<&'a str>,
}

impl Content<'_> {
    /// The first rule that is broken.
    pub(super) fn check(&self) -> Result<()> {
        check_body(self.body_bytes)?;
        check_user_properties(self.user_properties)?;
        check_labels(self.tag, self.keys)?;
        check_properties_bytes(self)?;
        check_message_id(self.message_id)?;
        check_trace_context(self.trace_context)
    }
}

/// Whether a text could break a line of a log.
pub(super) fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// Whether a text can be logged as it is.
pub(super) fn is_fit_for_logs(text: &str, bytes_max: usize) -> bool {
    text.len() <= bytes_max && !has_control(text)
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

fn check_user_properties(properties: &BTreeMap<String, String>) -> Result<()> {
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

fn check_labels(tag: Option<&str>, keys: &[String]) -> Result<()> {
    if let Some(tag) = tag
        && (tag.trim().is_empty() || tag.contains('|') || has_control(tag))
    {
        return refused(
            ErrorCode::TagIllegal,
            "the tag is blank, or has a '|' or control characters",
        );
    }
    for key in keys.iter().filter(|key| !key.is_empty()) {
        if key.trim().is_empty() || has_control(key) {
            return refused(
                ErrorCode::MessageKeyIllegal,
                "a key is blank or has control characters",
            );
        }
    }
    Ok(())
}

fn check_properties_bytes(content: &Content<'_>) -> Result<()> {
    let properties = content.user_properties.iter();
    let user: usize = properties.map(|(key, value)| key.len() + value.len()).sum();
    let keys: usize = content.keys.iter().map(String::len).sum();
    let bytes = user + keys + content.tag.map_or(0, str::len);
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

fn check_trace_context(trace: Option<&str>) -> Result<()> {
    if trace.is_none_or(|trace| trace.len() <= TRACE_CONTEXT_BYTES_MAX) {
        return Ok(());
    }
    refused(
        ErrorCode::PropertiesTooLarge,
        format!("the trace context has more than {TRACE_CONTEXT_BYTES_MAX} bytes"),
    )
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

fn refused<T>(code: ErrorCode, message: impl Into<String>) -> Result<T> {
    Err(Error::new(code, message))
}
