//! Parent topics.

use crate::error::{Error, ErrorCode, Result};
use crate::limits::{TTL_MAX, TTL_MIN};
use crate::names::TopicName;
use crate::time::{DurationMs, Timestamp};

/// A topic's number. Never reused, so that nothing of a deleted topic can touch a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(pub u32);

/// What kind of messages a topic takes; fixed at creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TopicType {
    /// The parent of lite topics.
    Lite,
    /// The dead letters of a group: a parent that only the broker writes to.
    DeadLetter,
}

/// A parent topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its number.
    pub id: TopicId,
    /// Its name.
    pub name: TopicName,
    /// What it takes.
    pub topic_type: TopicType,
    /// How long a lite topic lives after its last send; `None` is for ever.
    pub ttl: Option<DurationMs>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// Checks a time to live.
pub fn check_ttl(ttl: Option<DurationMs>) -> Result<()> {
    match ttl {
        Some(ttl) if ttl < TTL_MIN || ttl > TTL_MAX => Err(Error::new(
            ErrorCode::BadRequest,
            format!("the time to live is {ttl}; give {TTL_MIN} to {TTL_MAX}, or never"),
        )),
        _ => Ok(()),
    }
}
