//! Which messages may be stored: RocketMQ's rules for body, tag, keys, properties and id.

use litemq_domain::limits::{BODY_BYTES_MAX, PROPERTIES_BYTES_MAX, USER_PROPERTIES_MAX};
use litemq_domain::{Error, ErrorCode, Result};

use crate::broker::StoredMessage;

/// A message id, bytes; the official SDKs make 34.
const MESSAGE_ID_BYTES_MAX: usize = 255;

/// Checks a message that did not come through an SDK.
pub(super) fn check_message(message: &StoredMessage) -> Result<()> {
    let body_bytes = message.body.len();
    if body_bytes == 0 {
        return Err(Error::new(ErrorCode::BodyEmpty, "the body is empty"));
    }
    if body_bytes > BODY_BYTES_MAX {
        return Err(Error::new(
            ErrorCode::BodyTooLarge,
            format!("the body has {body_bytes} bytes; at most {BODY_BYTES_MAX} are allowed"),
        ));
    }
    let properties = &message.user_properties;
    if properties.len() > USER_PROPERTIES_MAX {
        return Err(Error::new(
            ErrorCode::PropertiesTooLarge,
            format!(
                "there are {} properties; at most {USER_PROPERTIES_MAX} are allowed",
                properties.len()
            ),
        ));
    }
    for (key, value) in properties {
        if key.trim().is_empty() || has_control(key) || has_control(value) {
            return Err(Error::new(
                ErrorCode::PropertyKeyIllegal,
                format!(
                    "property '{}' is blank or has a control character in it",
                    key.escape_debug()
                ),
            ));
        }
    }
    let tag_illegal = |tag: &String| tag.trim().is_empty() || tag.contains('|') || has_control(tag);
    if message.tag.as_ref().is_some_and(tag_illegal) {
        return Err(Error::new(
            ErrorCode::TagIllegal,
            "the tag is blank or has '|' or a control character in it",
        ));
    }
    if message.keys.iter().any(|key| key.trim().is_empty() || has_control(key)) {
        return Err(Error::new(
            ErrorCode::MessageKeyIllegal,
            "a key is blank or has a control character in it",
        ));
    }
    let texts = properties.iter().flat_map(|(key, value)| [key, value]);
    let texts = texts.chain(&message.tag).chain(&message.keys);
    let bytes: usize = texts.map(String::len).sum();
    if bytes > PROPERTIES_BYTES_MAX {
        return Err(Error::new(
            ErrorCode::PropertiesTooLarge,
            format!(
                "properties, tag and keys have {bytes} bytes together; at most \
                 {PROPERTIES_BYTES_MAX} are allowed"
            ),
        ));
    }
    let id = &message.message_id;
    if id.trim().is_empty() || id.len() > MESSAGE_ID_BYTES_MAX || has_control(id) {
        return Err(Error::new(
            ErrorCode::MessageIdIllegal,
            format!("the message id must have 1 to {MESSAGE_ID_BYTES_MAX} visible bytes"),
        ));
    }
    Ok(())
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}
