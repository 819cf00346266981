//! What happened to messages.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which messages to trace: one of `id` and `key`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TraceQuery {
    /// The message id.
    pub id: Option<String>,
    /// A key of the message; only within a lite topic.
    pub key: Option<String>,
    /// Only stored messages before this offset; only within a lite topic.
    pub before: Option<u64>,
}

/// What is known about some messages.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TraceView {
    /// Whether the broker keeps what happens to messages.
    pub on: bool,
    /// Everything that happened from this moment on is here; what happened before may be missing, as
    /// what happened before the broker's start is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The messages, the newest first, 16 at most.
    pub messages: Vec<TracedMessageView>,
    /// `before` to go on among older stored messages; absent when all were looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// A message, and what happened to it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TracedMessageView {
    /// Its lite topic; absent when that was removed and not named in the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lite_topic: Option<String>,
    /// Its offset there.
    pub offset: u64,
    /// What it says of itself; absent when it is not stored any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<TracedContent>,
    /// Whether what happened is here from the beginning; if not, it is no longer kept.
    pub has_beginning: bool,
    /// Older events that were left out of this answer.
    pub left_out: u64,
    /// What happened, the oldest first.
    pub events: Vec<TraceEventView>,
}

/// What a stored message says of itself, without its body.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TracedContent {
    /// Its id.
    pub message_id: String,
    /// Its keys.
    pub keys: Vec<String>,
    /// When the client made it, by the client's clock.
    pub born_at: String,
    /// Where the client made it.
    pub born_host: String,
    /// When it was stored.
    pub stored_at: String,
    /// The client's own trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_context: Option<String>,
}

/// One thing that happened to a message.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TraceEventView {
    /// When.
    pub at: String,
    /// What.
    pub event: TraceEventKind,
    /// The client that did it; absent with `user` and `address` when it was the broker, or somebody
    /// whom it no longer remembers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The user who did it, where users have to prove who they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// From which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// For which consumer group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Which delivery attempt, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Until when nobody else gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Whether the lease is renewed while the client is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewed: Option<bool>,
    /// An offset: of the copy among the dead letters, of what was sent again, of where the group goes on,
    /// or of the oldest message that retention has left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
}

/// What can happen to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TraceEventKind {
    /// It was sent and stored.
    Stored,
    /// It was sent again with the same id, and not stored again.
    SentAgain,
    /// It was handed out.
    Delivered,
    /// It did not reach the client; the attempt does not count.
    GivenBack,
    /// It was acked.
    Acked,
    /// The client's filter does not want it; it counts as acked.
    Filtered,
    /// Its invisible duration was changed, as after a failure; the next delivery is another attempt.
    InvisibleChanged,
    /// It was suspended; the next delivery is the same attempt.
    Suspended,
    /// Its lease ended without an ack, or its pause is over: it is ready again.
    Visible,
    /// Its client left, or its lite topic has another owner: it is ready again.
    Released,
    /// Its client forwards it to the dead letters.
    GivenUp,
    /// Its attempts are used up; it goes to the dead letters.
    AttemptsUsedUp,
    /// It is stored with the dead letters, and settled.
    DeadLettered,
    /// This dead letter was sent again.
    Resent,
    /// The group's position was moved.
    PositionMoved,
    /// It is past its retention.
    PastRetention,
    /// Its lite topic was removed.
    LiteTopicRemoved,
    /// Its lite topic came to the end of its time to live.
    LiteTopicExpired,
}
