//! Dead letters.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::MessageView;

/// The dead letters of one lite topic.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LettersView {
    /// The lite topic; where they came from it has the same name.
    pub lite_topic: String,
    /// Stored letters.
    pub letters: u64,
    /// Those of them that were sent again.
    pub resent: u64,
    /// Oldest offset still stored, as far as known.
    pub first_offset: u64,
    /// When the last one came.
    pub last_at: String,
}

/// A page of lite topics with dead letters, by name.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LettersPage {
    /// The topic that keeps them.
    pub topic: String,
    /// The lite topics.
    pub lite_topics: Vec<LettersView>,
    /// `after` of the next page; absent when this is the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A dead letter: a message as it is stored with them, since when, and where it came from.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LetterView {
    /// The message.
    #[serde(flatten)]
    pub message: MessageView,
    /// Whether it was sent again.
    pub resent: bool,
}

/// Some dead letters of a lite topic.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LetterPage {
    /// The letters.
    pub letters: Vec<LetterView>,
    /// Where the next page starts: `from`, or `before` with the newest first. Absent when there is
    /// nothing more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// Which letters of a lite topic to send again.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResendForm {
    /// These offsets; absent is all that were not sent again yet, the oldest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offsets: Option<Vec<u64>>,
    /// At most so many, 1 to 1000, which is the default. Large letters make it fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A letter that was sent again.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ResentView {
    /// Its offset among the dead letters.
    pub offset: u64,
    /// The offset of the message in the lite topic it came from.
    pub sent_as: u64,
}

/// What was sent again, durably and as one.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ResendView {
    /// The letters.
    pub resent: Vec<ResentView>,
    /// Offsets of letters that were sent again before, and not now.
    pub resent_before: Vec<u64>,
    /// Whether some of what was asked for is left: ask again.
    pub more: bool,
}
