//! The forms of how far groups are.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which lite topics to show.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StatsQuery {
    /// At most so many, 0 to 100; 20 by default.
    pub top: Option<usize>,
    /// `lag`, the default, for those with the most messages left, or `age` for those with the oldest.
    #[serde(default)]
    pub by: StatsOrder,
}

/// Which lite topics come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StatsOrder {
    /// Those with the most messages left.
    #[default]
    Lag,
    /// Those with the oldest message left.
    Age,
}

/// How far a group is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GroupStatsView {
    /// The group.
    pub group: String,
    /// Messages that are not settled, in all lite topics in which the group has a position or a
    /// subscriber.
    pub lag: u64,
    /// Of these, handed out and not visible.
    pub in_flight: u64,
    /// The others.
    pub ready: u64,
    /// Lite topics with messages that are not settled.
    pub lite_topics: u64,
    /// Clients with at least one lite topic.
    pub clients: u64,
    /// When the oldest of these messages was stored; absent when nothing is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_at: Option<String>,
    /// How long ago that was, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_age_ms: Option<u64>,
    /// The lite topics that were asked for.
    pub top: Vec<LiteStatsView>,
}

/// How far a group is in one lite topic.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LiteStatsView {
    /// The lite topic.
    pub name: String,
    /// Messages that are not settled.
    pub lag: u64,
    /// Of these, handed out and not visible.
    pub in_flight: u64,
    /// The others.
    pub ready: u64,
    /// The offset of the oldest of them.
    pub oldest_offset: u64,
    /// When that was stored; absent if it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_at: Option<String>,
    /// How long ago that was, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_age_ms: Option<u64>,
}

/// What a client has for one group.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GroupClientView {
    /// The client's id.
    pub client: String,
    /// The group.
    pub group: String,
    /// Whether it is connected, and has said that it is of the group or is subscribed for it.
    pub connected: bool,
    /// Lite topics that it is subscribed to for the group; what it has for others is not counted.
    pub lite_topics: u64,
    /// Their names in order; of very many, some.
    pub names: Vec<String>,
}

/// Which clients of a group.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct GroupClientsQuery {
    /// Only those with an id after this one; `next` of the page before.
    pub after: Option<String>,
    /// At most so many, 1 to 1000; 100 by default.
    pub limit: Option<usize>,
}

/// A page of the clients of a group, by id.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GroupClientsPage {
    /// The clients.
    pub clients: Vec<ListedClientView>,
    /// `after` of the next page; absent when this is the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A client of a group. What it has not said of itself since the server started is absent.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ListedClientView {
    /// Its id.
    pub client: String,
    /// Whether it is connected. One that is not keeps its lite topics until its session ends.
    pub connected: bool,
    /// Lite topics that it is subscribed to for the group; 0 in a wildcard group, whose clients share
    /// all.
    pub lite_topics: u64,
    /// What its SDK is written in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Version of its SDK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The host it runs on, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The address it called from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}
