//! Consumer groups, each bound to one parent topic.

use crate::error::{Error, ErrorCode, Result};
use crate::limits::{MAX_ATTEMPTS_MAX, ORDERED_RUN_MAX, UNORDERED_RUN_MAX};
use crate::names::GroupName;
use crate::time::Timestamp;
use crate::topic::TopicId;

/// A consumer group's number. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u32);

/// How the clients of a group share a lite topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SubscriptionMode {
    /// Every subscribed client may be handed its messages, one hand-out at a time when ordered.
    #[default]
    Shared,
    /// The newest subscriber owns it (not built yet; refused at creation).
    Exclusive,
    /// The whole group shares all lite topics of the parent (not built yet; refused at creation).
    Wildcard,
}

/// A consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its number.
    pub id: GroupId,
    /// Its name.
    pub name: GroupName,
    /// The parent topic that it consumes.
    pub topic: TopicId,
    /// The parent topic of its dead letters.
    pub dead_letter_topic: TopicId,
    /// Whether messages of one lite topic are handed out strictly one after another.
    pub ordered: bool,
    /// How clients share lite topics.
    pub mode: SubscriptionMode,
    /// Lite topics that one client may subscribe to; `None` is no limit.
    pub client_quota: Option<u32>,
    /// Delivery attempts before a message is a dead letter.
    pub max_attempts: u16,
    /// When it was created.
    pub created_at: Timestamp,
}

impl Group {
    /// Messages of one lite topic that may be handed out and unsettled at a time.
    pub fn run_max(&self) -> usize {
        if self.ordered { ORDERED_RUN_MAX } else { UNORDERED_RUN_MAX }
    }
}

/// Checks the number of delivery attempts.
pub fn check_max_attempts(max_attempts: u16) -> Result<()> {
    if (1..=MAX_ATTEMPTS_MAX).contains(&max_attempts) {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::BadRequest,
        format!("max attempts is {max_attempts}; give 1 to {MAX_ATTEMPTS_MAX}"),
    ))
}
