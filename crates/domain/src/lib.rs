//! The broker as pure state machines: names, limits, topics, groups, lite topics, subscriptions,
//! delivery, and who may do what.
//!
//! Never does IO, never reads a clock, never draws a random number: `now`, ids and keys are
//! arguments, and what must become durable is returned as records.

pub mod access;
mod arena;
mod client;
mod dead_letters;
mod delivery;
mod effects;
mod error;
mod filter;
mod group;
mod handle;
mod lag;
mod lifetime;
pub mod limits;
mod lite;
mod names;
pub mod persisted;
mod quota;
mod rate;
mod resend;
mod shard;
mod subscription;
mod table;
mod time;
mod topic;
mod trace;
mod wildcard;

pub use client::{ClientKey, Subscribing, UserKey};
pub use effects::{Burial, Effects, Event, Farewell, Place, Record, Wake};
pub use error::{Error, ErrorCode, Result};
pub use filter::TagFilter;
pub use group::{Backoff, Group, GroupId, GroupOptions, SubscriptionMode, check_max_attempts};
pub use handle::Handle;
pub use lifetime::{LifetimeChange, LiteTopicRoom, OwnLifetime, PINNED, Protection};
pub use names::{
    ClientId, DEAD_LETTER_PREFIX, GroupName, LiteTopicName, NamePrefix, TopicName, UserName,
};
pub use quota::{QUOTA_PROFILES, QuotaProfile, Quotas};
pub use rate::RateMeter;
pub use shard::{
    Claim, ClaimOutcome, Claimed, Consumed, GroupLag, GroupView, Invariant, Letters, LiteLag,
    LiteView, Milestones, Resend, Resent, Send, SendOutcome, Shard, ShardConfig, ShardCounts,
    ShardRecovery, StartAt, Subscribe, SubscriberView, SyncOutcome, Violation,
};
pub use time::{DurationMs, Timestamp};
pub use topic::{Topic, TopicId, TopicOptions, TopicType, check_ttl};
pub use trace::{Attempt, End, Happened, What};
