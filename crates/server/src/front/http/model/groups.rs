//! The forms of consumer groups.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A group to create.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGroupForm {
    /// 1 to 120 letters, digits, `_`, `-`, `%`, `|`.
    pub name: String,
    /// The parent topic that it consumes.
    pub bind: String,
    /// How it consumes; what is absent has its default.
    #[serde(flatten)]
    pub options: GroupChangeForm,
}

/// Options of a group. In a change, what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupChangeForm {
    /// Whether messages of one lite topic are handed out strictly one after another; the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordered: Option<bool>,
    /// How clients share lite topics: `SHARED` (the default) with all who subscribe, `EXCLUSIVE` one
    /// client at a time, the newest subscriber, `WILDCARD` all clients of the group share all lite
    /// topics of the parent. Can be changed while nobody is subscribed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// For wildcard groups: the lite topics whose names start so, such as `session-*`. `*` by default; in
    /// a change, that of a wildcard group stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Lite topics that one client may subscribe to; -1 is no limit. 2000 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_quota: Option<i64>,
    /// Delivery attempts before a message is a dead letter, 1 to 1000. 17 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u16>,
    /// Messages of one lite topic handed out a second, 1 to 1000000; -1, the default, is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consume_rate: Option<i64>,
    /// A client that takes a lite topic over in an exclusive group starts at its oldest message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_on_takeover: Option<bool>,
    /// When a client unsubscribes from a lite topic, the group goes back to its oldest message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_on_unsubscribe: Option<bool>,
    /// Whether a simple consumer that changes an invisible duration with `suspend` suspends all it has
    /// of the lite topic, without counting an attempt. By default it returns that message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simple_suspend: Option<bool>,
    /// When clients try failed messages again: spans such as `1s, 5s, 30s`, the last again and again,
    /// or `1s*2..10m` (the default) for spans that double up to ten minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<String>,
}

/// A group.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GroupView {
    /// Its name.
    pub name: String,
    /// The parent topic that it consumes.
    pub bind: String,
    /// Whether messages of one lite topic are handed out strictly one after another.
    pub ordered: bool,
    /// How clients share lite topics: `SHARED`, `EXCLUSIVE` or `WILDCARD`.
    pub mode: String,
    /// Of a wildcard group: the lite topics whose names start so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Lite topics that one client may subscribe to; -1 is no limit.
    pub client_quota: i64,
    /// Delivery attempts before a message is a dead letter.
    pub max_attempts: u16,
    /// Messages of one lite topic handed out a second; -1 is no limit.
    pub consume_rate: i64,
    /// Whether a take-over starts at the oldest message.
    pub reset_on_takeover: bool,
    /// Whether an unsubscription goes back to the oldest message.
    pub reset_on_unsubscribe: bool,
    /// Whether `suspend` of a simple consumer suspends.
    pub simple_suspend: bool,
    /// When clients try failed messages again.
    pub backoff: String,
    /// The topic that keeps its dead letters.
    pub dead_letter_topic: String,
    /// When it was created.
    pub created_at: String,
}

/// All groups, by name.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GroupList {
    /// The groups.
    pub groups: Vec<GroupView>,
}

/// Where to move a group. One of `to`, `offset`, `tail` and `time` is given; a place beyond what is
/// stored is the nearest that is.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetForm {
    /// The lite topic; absent is all in which the group has a position or a subscriber.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lite_topic: Option<String>,
    /// `oldest` for the oldest message, `newest` for behind the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// This offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The newest messages, so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<u64>,
    /// The first message stored at this moment or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

/// What a reset did.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ResetView {
    /// Positions that were moved. A group that has no position starts at the oldest message.
    pub moved: u64,
}

/// What to take from a client.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ClientQuery {
    /// The lite topic; absent is all.
    pub lite_topic: Option<String>,
}

/// What was taken from a client.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UnsubscribedView {
    /// Lite topics that the client had.
    pub removed: u64,
}
