//! The broker as pure state machines: names, limits, topics, groups, lite topics, subscriptions
//! and delivery.
//!
//! Never does IO, never reads a clock, never draws a random number: `now`, ids and keys are
//! arguments, and what must become durable is returned as records.

mod error;
mod filter;
mod group;
pub mod limits;
mod names;
mod time;
mod topic;

pub use error::{Error, ErrorCode, Result};
pub use filter::TagFilter;
pub use group::{Group, GroupId, SubscriptionMode, check_max_attempts};
pub use names::{ClientId, DEAD_LETTER_PREFIX, GroupName, LiteTopicName, TopicName};
pub use time::{DurationMs, Timestamp};
pub use topic::{Topic, TopicId, TopicType, check_ttl};
