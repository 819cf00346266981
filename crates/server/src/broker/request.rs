//! What the doors ask of the broker, and what they get.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use litemq_domain::{
    Backoff, ClientId, DurationMs, Group, GroupName, GroupOptions, LiteTopicName, OwnLifetime,
    Protection, Quotas, StartAt, SubscriptionMode, TagFilter, Timestamp, TopicName, TopicOptions,
};

use super::WhoKey;
use crate::access::Caller;

/// A topic to create.
#[derive(Debug, Clone)]
pub struct NewTopic {
    /// Its name.
    pub name: TopicName,
    /// What can be changed later.
    pub options: TopicOptions,
}

/// What to change of a topic; `None` leaves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TopicChange {
    /// See [`TopicOptions::ttl`].
    pub ttl: Option<Option<DurationMs>>,
    /// See [`TopicOptions::counts_reads`].
    pub counts_reads: Option<bool>,
    /// See [`TopicOptions::keep_undelivered`].
    pub keep_undelivered: Option<bool>,
    /// See [`TopicOptions::keep_subscribed`].
    pub keep_subscribed: Option<bool>,
    /// See [`TopicOptions::lite_topic_quota`].
    pub lite_topic_quota: Option<Option<u64>>,
    /// See [`TopicOptions::send_rate`].
    pub send_rate: Option<Option<NonZeroU32>>,
}

impl TopicChange {
    /// The options after the change.
    pub fn of(self, options: TopicOptions) -> TopicOptions {
        TopicOptions {
            ttl: self.ttl.unwrap_or(options.ttl),
            counts_reads: self.counts_reads.unwrap_or(options.counts_reads),
            keep_undelivered: self.keep_undelivered.unwrap_or(options.keep_undelivered),
            keep_subscribed: self.keep_subscribed.unwrap_or(options.keep_subscribed),
            lite_topic_quota: self.lite_topic_quota.unwrap_or(options.lite_topic_quota),
            send_rate: self.send_rate.unwrap_or(options.send_rate),
        }
    }
}

/// What to change of how much the broker may hold; `None` leaves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuotaChange {
    /// See [`Quotas::lite_topics_max`].
    pub lite_topics_max: Option<Option<u64>>,
    /// See [`Quotas::subscriptions_max`].
    pub subscriptions_max: Option<Option<u64>>,
}

impl QuotaChange {
    /// To exactly these.
    pub fn to(quotas: Quotas) -> Self {
        Self {
            lite_topics_max: Some(quotas.lite_topics_max),
            subscriptions_max: Some(quotas.subscriptions_max),
        }
    }

    /// The quotas after the change.
    pub fn of(self, quotas: Quotas) -> Quotas {
        Quotas {
            lite_topics_max: self.lite_topics_max.unwrap_or(quotas.lite_topics_max),
            subscriptions_max: self.subscriptions_max.unwrap_or(quotas.subscriptions_max),
        }
    }
}

/// A change of how long a lite topic lives, as of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifetimeOrder {
    /// It does not expire for so long; a later end that it has stays.
    Extend(DurationMs),
    /// It does not expire.
    Pin,
    /// Neither extended nor pinned any more.
    Unpin,
    /// A time to live of its own; the inner `None` is for ever, the outer one is that of its topic.
    Ttl(Option<Option<DurationMs>>),
}

/// A group to create.
#[derive(Debug, Clone)]
pub struct NewGroup {
    /// Its name.
    pub name: GroupName,
    /// The parent topic it consumes.
    pub bind: TopicName,
    /// How it consumes.
    pub options: GroupOptions,
}

/// What to change of a group's options, each as in [`GroupOptions`]; `None` leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)] // told there
pub struct GroupChange {
    pub ordered: Option<bool>,
    pub mode: Option<SubscriptionMode>,
    pub client_quota: Option<Option<u32>>,
    pub max_attempts: Option<u16>,
    pub consume_rate: Option<Option<NonZeroU32>>,
    pub reset_on_takeover: Option<bool>,
    pub reset_on_unsubscribe: Option<bool>,
    pub simple_suspend: Option<bool>,
    pub backoff: Option<Backoff>,
}

impl GroupChange {
    /// The options with this change.
    pub fn of(&self, present: &GroupOptions) -> GroupOptions {
        GroupOptions {
            ordered: self.ordered.unwrap_or(present.ordered),
            mode: self.mode.clone().unwrap_or_else(|| present.mode.clone()),
            client_quota: self.client_quota.unwrap_or(present.client_quota),
            max_attempts: self.max_attempts.unwrap_or(present.max_attempts),
            consume_rate: self.consume_rate.unwrap_or(present.consume_rate),
            reset_on_takeover: self.reset_on_takeover.unwrap_or(present.reset_on_takeover),
            reset_on_unsubscribe: self.reset_on_unsubscribe.unwrap_or(present.reset_on_unsubscribe),
            simple_suspend: self.simple_suspend.unwrap_or(present.simple_suspend),
            backoff: self.backoff.clone().unwrap_or_else(|| present.backoff.clone()),
        }
    }
}

/// What a client does to its set of lite topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncAction {
    /// Add these names.
    PartialAdd,
    /// Remove these names.
    PartialRemove,
    /// The set is exactly these names.
    CompleteAdd,
    /// The client leaves: its set is empty and its unsettled messages go back.
    CompleteRemove,
}

/// Where a group goes on in a lite topic. Beyond what is stored it is the nearest place that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the oldest message.
    Oldest,
    /// Behind the newest message.
    Newest,
    /// At this offset.
    Offset(u64),
    /// At the newest messages, so many.
    Tail(u64),
    /// At the first message stored at this moment or later.
    Time(Timestamp),
}

impl Start {
    /// The same for a shard, which does not know when messages were stored.
    pub(super) fn at(self) -> Option<StartAt> {
        match self {
            Self::Oldest => Some(StartAt::Oldest),
            Self::Newest => Some(StartAt::Newest),
            Self::Offset(offset) => Some(StartAt::Offset(offset)),
            Self::Tail(count) => Some(StartAt::Tail(count)),
            Self::Time(_) => None,
        }
    }
}

/// A receive.
#[derive(Debug, Clone)]
pub struct ReceiveRequest {
    /// Who asks.
    pub client: ClientId,
    /// Whose it is. Its rights are looked at again when there is something to hand out.
    pub caller: Caller,
    /// For which group.
    pub group: Arc<Group>,
    /// At most so many messages, 1 to 32.
    pub messages_max: usize,
    /// At most so many messages of one lite topic; 1 for clients that do not keep the order.
    pub per_lite_topic_max: usize,
    /// Which messages.
    pub filter: TagFilter,
    /// How long nobody else gets them.
    pub invisible: DurationMs,
    /// Renew the lease while the client is connected.
    pub auto_renew: bool,
    /// Names this receive; the same again when the client repeats one whose answer it did not get.
    /// Empty is none.
    pub attempt_id: String,
    /// How long to wait for a first message.
    pub wait: Duration,
}

/// A receipt handle as a client sent it.
#[derive(Debug, Clone, Copy)]
pub struct Receipt<'a> {
    /// The handle.
    pub handle: &'a str,
    /// The lite topic the client named, if it did; it must be the handle's.
    pub lite_topic: Option<&'a str>,
    /// Who settles it, for the trace.
    pub by: WhoKey,
}

/// One lite topic, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiteTopicInfo {
    /// Its name.
    pub name: LiteTopicName,
    /// Oldest offset still stored, as far as known.
    pub first_offset: u64,
    /// Offset of the next message.
    pub next_offset: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the last message was stored.
    pub last_send_at: Option<Timestamp>,
    /// When a group last was handed something or settled something.
    pub last_read_at: Option<Timestamp>,
    /// The time to live in force; `None` is for ever.
    pub ttl: Option<DurationMs>,
    /// What it has of its own.
    pub own: OwnLifetime,
    /// When it expires if nothing happens; `None` is never.
    pub expires_at: Option<Timestamp>,
    /// What keeps it although it may be due.
    pub protection: Option<Protection>,
    /// Dead letters in it that were sent again.
    pub resent: u64,
    /// Each group that has subscribers or a position.
    pub groups: Vec<LiteGroupInfo>,
}

/// What the messages of a lite topic take, bodies and properties, as far as they were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredBytes {
    /// The bytes.
    pub bytes: u64,
    /// The offset of the first message that was not counted; `None` when all were.
    pub counted_to: Option<u64>,
}

/// One group's view of one lite topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiteGroupInfo {
    /// The group.
    pub group: GroupName,
    /// Everything below this offset is settled.
    pub committed_offset: u64,
    /// Messages handed out and not settled.
    pub in_flight: u64,
    /// Messages not handed out.
    pub ready: u64,
    /// When the oldest of all these was stored; told with one lite topic only.
    pub oldest_at: Option<Timestamp>,
    /// Who is subscribed.
    pub subscribers: Vec<ClientId>,
}
