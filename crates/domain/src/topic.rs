//! Parent topics, and what holds for the lite topics below them.

use std::num::NonZeroU32;

use crate::error::{Error, ErrorCode, Result};
use crate::limits::{TTL_MAX, TTL_MIN, TTL_STEP};
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
    /// What can be changed of it.
    pub options: TopicOptions,
    /// When it was created.
    pub created_at: Timestamp,
}

/// What can be changed of a topic at any time. Dead letters are never refused: quota and rate do not
/// apply to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TopicOptions {
    /// How long a lite topic lives after its last activity; `None` is for ever.
    pub ttl: Option<DurationMs>,
    /// Reads and acks are activity too; otherwise only sends are.
    pub counts_reads: bool,
    /// A lite topic does not expire before each group of this parent has settled all of it. A group
    /// that never read it has settled nothing.
    pub keep_undelivered: bool,
    /// A lite topic does not expire while a client is subscribed to its name.
    pub keep_subscribed: bool,
    /// Lite topics that may be alive; `None` is no limit.
    pub lite_topic_quota: Option<u64>,
    /// Messages a second that may be sent to all lite topics together; `None` is no limit.
    pub send_rate: Option<NonZeroU32>,
}

impl TopicOptions {
    /// Whether lite topics expire alike by both.
    pub(crate) fn expires_like(&self, other: &Self) -> bool {
        let rules = |of: &Self| (of.ttl, of.counts_reads, of.keep_undelivered, of.keep_subscribed);
        rules(self) == rules(other)
    }
}

/// Checks a time to live: whole minutes, as RocketMQ's `lite.topic.expiration` counts, of 1 minute to
/// 30 days.
pub fn check_ttl(ttl: Option<DurationMs>) -> Result<()> {
    let refused = |ttl, what| Err(Error::new(ErrorCode::BadRequest, ttl_problem(ttl, what)));
    match ttl {
        Some(ttl) if ttl < TTL_MIN || ttl > TTL_MAX => {
            refused(ttl, format!("{TTL_MIN} to {TTL_MAX}"))
        }
        Some(ttl) if !ttl.0.is_multiple_of(TTL_STEP.0) => refused(ttl, "whole minutes".to_owned()),
        _ => Ok(()),
    }
}

fn ttl_problem(ttl: DurationMs, allowed: String) -> String {
    format!("the time to live is {ttl}; give {allowed}, or never")
}
