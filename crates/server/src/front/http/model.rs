//! The JSON forms of the HTTP door, written by the server and read by the command line.
//!
//! Moments are RFC 3339 in UTC with milliseconds. A time to live is text, `30m` or `never`.

mod access;
mod dead_letters;
mod groups;
mod stats;
mod trace;

use std::collections::BTreeMap;

pub use access::{
    ActionName, EffectName, NewPolicyForm, NewSecretForm, NewUserForm, PolicyList, PolicyQuery,
    PolicyTestForm, PolicyTestView, PolicyView, SecretText, UserChangeForm, UserList,
    UserSecretView, UserView,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub use dead_letters::{
    LetterPage, LetterView, LettersPage, LettersView, ResendForm, ResendView, ResentView,
};
pub use stats::{
    GroupClientView, GroupClientsPage, GroupClientsQuery, GroupStatsView, ListedClientView,
    LiteStatsView, StatsOrder, StatsQuery,
};

pub use groups::{
    ClientQuery, GroupChangeForm, GroupList, GroupView, NewGroupForm, ResetForm, ResetView,
    UnsubscribedView,
};
pub use trace::{
    TraceEventKind, TraceEventView, TraceQuery, TraceView, TracedContent, TracedMessageView,
};

/// What kind of messages a topic takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TopicKind {
    /// The parent of lite topics.
    #[default]
    Lite,
    /// The dead letters of a group; made by the server only.
    DeadLetter,
}

/// A topic to create.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTopicForm {
    /// 1 to 127 letters, digits, `_`, `-`, `%`, `|`.
    pub name: String,
    /// `LITE`.
    #[serde(default, rename = "type")]
    pub kind: TopicKind,
    /// How long a lite topic lives after its last send: `1m` to `720h` in whole minutes, or `never`, the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
    /// Whether reads and acks keep a lite topic alive too; not by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts_reads: Option<bool>,
    /// Whether a lite topic lives until each group of the topic has settled all of it; not by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_undelivered: Option<bool>,
    /// Whether a lite topic lives while a client is subscribed to it; not by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_subscribed: Option<bool>,
    /// Lite topics that may be alive; -1 is no limit, the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lite_topic_quota: Option<i64>,
    /// Messages a second that may be sent; -1 is no limit, the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_rate: Option<i64>,
}

/// What to change of a topic; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicChangeForm {
    /// How long a lite topic lives after its last send: `1m` to `720h` in whole minutes, or `never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
    /// Whether reads and acks keep a lite topic alive too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts_reads: Option<bool>,
    /// Whether a lite topic lives until each group of the topic has settled all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_undelivered: Option<bool>,
    /// Whether a lite topic lives while a client is subscribed to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_subscribed: Option<bool>,
    /// Lite topics that may be alive; -1 is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lite_topic_quota: Option<i64>,
    /// Messages a second that may be sent; -1 is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_rate: Option<i64>,
}

/// A topic.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TopicView {
    /// Its name.
    pub name: String,
    /// What it takes.
    #[serde(rename = "type")]
    pub kind: TopicKind,
    /// How long a lite topic lives after its last send.
    pub ttl: String,
    /// The same in milliseconds; absent is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// Whether reads and acks keep a lite topic alive too.
    pub counts_reads: bool,
    /// Whether a lite topic lives until each group of the topic has settled all of it.
    pub keep_undelivered: bool,
    /// Whether a lite topic lives while a client is subscribed to it.
    pub keep_subscribed: bool,
    /// Lite topics alive.
    pub lite_topics: u64,
    /// Lite topics that may be alive; -1 is no limit.
    pub lite_topic_quota: i64,
    /// Messages a second that may be sent; -1 is no limit.
    pub send_rate: i64,
    /// Groups that are bound to it.
    pub groups: Vec<String>,
    /// When it was created.
    pub created_at: String,
}

/// All topics, by name.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TopicList {
    /// The topics.
    pub topics: Vec<TopicView>,
}

/// Which lite topics to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LiteQuery {
    /// Only names that start so.
    #[serde(default)]
    pub prefix: String,
    /// Only names after this one; `next` of the page before.
    pub after: Option<String>,
    /// At most so many, 1 to 1000; 100 by default.
    pub limit: Option<usize>,
}

/// A lite topic to create ahead of its first message.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLiteForm {
    /// 1 to 64 letters, digits, `_`, `-`.
    pub name: String,
    /// A time to live of its own, such as `30m`, or `never`; absent is its topic's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
}

/// What to change of how long a lite topic lives; what is absent stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LiteChangeForm {
    /// A time to live of its own, such as `30m`, or `never`, or `parent`: its topic's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
    /// It does not expire for so long from now, such as `2h`, up to `720h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extend: Option<String>,
    /// Whether it never expires; false also ends an extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<bool>,
}

/// How much there is, and how much there may be.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct QuotaView {
    /// Lite topics alive, dead letters aside.
    pub lite_topics: u64,
    /// Most of them; -1 is no limit.
    pub lite_topics_max: i64,
    /// Pairs of a client and a lite topic that it is subscribed to.
    pub subscriptions: u64,
    /// Most of them; -1 is no limit.
    pub subscriptions_max: i64,
}

/// What to change of how much there may be; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotaChangeForm {
    /// Lite topics; -1 is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lite_topics_max: Option<i64>,
    /// Subscriptions; -1 is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscriptions_max: Option<i64>,
}

/// A named size.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct QuotaProfileView {
    /// Its name.
    pub name: String,
    /// Messages a second that such an instance is sold for; not enforced.
    pub messages_per_second: u32,
    /// Lite topics.
    pub lite_topics_max: u64,
    /// Subscriptions.
    pub subscriptions_max: u64,
}

/// All named sizes.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct QuotaProfileList {
    /// By edition and size.
    pub profiles: Vec<QuotaProfileView>,
}

/// One group's view of a lite topic.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LiteGroupView {
    /// The group.
    pub group: String,
    /// Everything below this offset is settled.
    pub committed_offset: u64,
    /// Messages handed out and not settled.
    pub in_flight: u64,
    /// Messages not handed out.
    pub ready: u64,
    /// Messages not settled: those handed out and those not.
    pub lag: u64,
    /// When the oldest of them was stored; shown with one lite topic, not in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_at: Option<String>,
    /// The ids of the clients that are subscribed.
    pub subscribers: Vec<String>,
}

/// A lite topic.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LiteView {
    /// Its name.
    pub name: String,
    /// Oldest offset still stored, as far as known.
    pub first_offset: u64,
    /// Offset of the next message.
    pub next_offset: u64,
    /// Bytes of its messages, bodies and properties, as far as counted; told with one lite topic, not
    /// in a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Offset of the first message that is not among these bytes: 10,000 messages, or 16 MiB, are
    /// counted. Absent when all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_counted_to: Option<u64>,
    /// When it was created.
    pub created_at: String,
    /// When the last message was stored; absent if none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_send_at: Option<String>,
    /// When a group last read or settled a message; absent if none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_read_at: Option<String>,
    /// How long it lives after its last activity.
    pub ttl: String,
    /// Whether that is its own and not its topic's.
    pub own_ttl: bool,
    /// Whether it never expires, whatever its time to live.
    pub pinned: bool,
    /// It does not expire before; absent if nobody extended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_until: Option<String>,
    /// When it expires if nothing happens, and is removed within seconds; absent is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// What keeps it, also when it is due: see the options of its topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_by: Option<KeptBy>,
    /// Groups that have subscribers or a position.
    pub groups: Vec<LiteGroupView>,
}

/// What keeps a lite topic from expiring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeptBy {
    /// A group has not settled all of it.
    Undelivered,
    /// A client is subscribed to it.
    Subscribed,
}

/// A page of lite topics, by name.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LitePage {
    /// The lite topics.
    pub lite_topics: Vec<LiteView>,
    /// `after` of the next page; absent when this is the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How a message body stands in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BodyFormat {
    /// As it is; it is UTF-8.
    #[default]
    Text,
    /// As base64 with padding.
    Base64,
}

/// A message to send.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMessageForm {
    /// The body, 1 byte to 4 MiB.
    pub body: String,
    /// How it stands here.
    #[serde(default)]
    pub body_format: BodyFormat,
    /// Its keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Its tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The user's properties.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// Carried to the consumers for tracing, opaque.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_context: Option<String>,
    /// Its id; made when absent. Repeat a send with the same id and the message is not stored twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
}

/// A message that is stored durably.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SentView {
    /// Its id.
    pub message_id: String,
    /// Its offset in the lite topic.
    pub offset: u64,
    /// Whether a message with this id was stored before; the offset is the earlier one's.
    pub repeated: bool,
}

/// Which messages to look at.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PeekQuery {
    /// Only at this offset or after.
    pub from: Option<u64>,
    /// Only before this offset.
    pub before: Option<u64>,
    /// Only stored at this moment or after, such as `2026-01-31T12:00:00Z`.
    pub from_time: Option<String>,
    /// Only stored before this moment.
    pub to_time: Option<String>,
    /// Only with this key.
    pub key: Option<String>,
    /// Only with this message id.
    pub id: Option<String>,
    /// `oldest` first, the default, or `newest` first.
    #[serde(default)]
    pub order: MessageOrder,
    /// At most so many, 1 to 1000; 10 by default. Large messages make it fewer, and so does a key or
    /// an id that few of many messages have.
    pub limit: Option<usize>,
}

/// Which messages come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MessageOrder {
    /// Those with the lowest offsets.
    #[default]
    Oldest,
    /// Those with the highest offsets.
    Newest,
}

/// A stored message.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MessageView {
    /// Its offset in the lite topic.
    pub offset: u64,
    /// Its id.
    pub message_id: String,
    /// When it was stored.
    pub stored_at: String,
    /// When the client made it, by the client's clock.
    pub born_at: String,
    /// Where the client made it.
    pub born_host: String,
    /// Its keys.
    pub keys: Vec<String>,
    /// Its tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The user's properties.
    pub properties: BTreeMap<String, String>,
    /// Where a dead letter came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetterView>,
    /// The dead letter that this was sent again from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resent_from: Option<ResentFromView>,
    /// What the sender gave for tracing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_context: Option<String>,
    /// Whether the client packed the body with gzip; it is shown as it is stored.
    pub gzip: bool,
    /// How the body stands here.
    pub body_format: BodyFormat,
    /// The body.
    pub body: String,
}

/// Where a dead letter came from.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterView {
    /// The parent topic; the lite topic has the name it has here.
    pub topic: String,
    /// The message id there.
    pub message_id: String,
    /// The offset there.
    pub offset: u64,
    /// Delivery attempts that were made.
    pub attempts: u32,
    /// When it was stored there.
    pub stored_at: String,
    /// `ATTEMPTS_USED_UP`, `GIVEN_UP_BY_CLIENT`, or `UNKNOWN`.
    pub reason: String,
}

/// The dead letter that a message was sent again from.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ResentFromView {
    /// The parent topic of the dead letter; its lite topic has the name it has here.
    pub topic: String,
    /// The offset there.
    pub offset: u64,
    /// How often it was sent again, from 1.
    pub times: u32,
}

/// Some messages of a lite topic, by offset.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MessagePage {
    /// The messages.
    pub messages: Vec<MessageView>,
    /// Where the next page starts: `from`, or `before` with the newest first. Absent when there was
    /// nothing to look at, or nothing is left of what was asked for; a page without messages may have
    /// a next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// The state of the server.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HealthView {
    /// `ok`, `ready` or `not ready`.
    pub status: String,
    /// Why it is not ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A refused or failed request.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ErrorView {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ErrorDetail {
    /// A fixed word for programs, such as `LITE_TOPIC_ILLEGAL`.
    pub code: String,
    /// The number that RocketMQ has for it.
    pub rocketmq_code: i32,
    /// A text for people.
    pub message: String,
}
