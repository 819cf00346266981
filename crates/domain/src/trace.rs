//! What happened to messages, for those who ask later: an account, not state. Nothing here decides
//! anything.

use crate::effects::Place;
use crate::group::GroupId;
use crate::time::Timestamp;
use crate::topic::TopicId;

/// Something that happened to a message, or to all messages of a life of a lite topic. It has happened
/// when the records of its turn are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Happened {
    /// The message; of a whole life its first, offset 0.
    pub place: Place,
    /// What.
    pub what: What,
}

/// What happened to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It was stored.
    Stored {
        /// Keyed hash of the client's message id, or 0.
        tag: u64,
    },
    /// It was sent again under the same id, and not stored again.
    SentAgain,
    /// It was handed out.
    Delivered {
        /// For which group.
        group: GroupId,
        /// How often by now, from 1.
        attempt: u16,
        /// When others may get it, unless the lease is renewed.
        until: Timestamp,
        /// The lease is renewed while the client is connected.
        renewed: bool,
    },
    /// It did not reach the client; the attempt does not count.
    GivenBack(Attempt),
    /// It was settled.
    Settled(Attempt),
    /// It is visible again at a moment that the client chose, as the next attempt.
    Delayed(Attempt, Timestamp),
    /// The same, as the same attempt.
    Suspended(Attempt, Timestamp),
    /// A lease ran out, or a pause is over: it is ready again.
    Visible(Attempt),
    /// Its client left, or its lite topic has another owner: it is ready again.
    Released(Attempt),
    /// Its client gave it up: it will be a dead letter.
    GivenUp(Attempt),
    /// Its attempts are used up: it will be a dead letter.
    UsedUp(Attempt),
    /// Its copy was stored with the group's dead letters, and it was settled.
    DeadLettered(Attempt, u64),
    /// A dead letter was sent again, and has this offset where it came from.
    Resent(u64),
    /// A group goes on at this offset of the lite topic, whatever it had.
    Moved(GroupId, u64),
    /// All below this offset are gone by retention.
    PastRetention(u64),
    /// The lite topic was removed.
    Removed(End),
    /// The lite topic came to the end of its life.
    Expired(End),
}

/// A hand-out of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// To which group.
    pub group: GroupId,
    /// Which, from 1.
    pub number: u16,
}

/// The end of a lite topic, by which it is known afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Its parent topic.
    pub topic: TopicId,
    /// See [`crate::Shard::name_hash`].
    pub name_hash: u64,
}

impl What {
    /// The group that it is about.
    pub fn group(self) -> Option<GroupId> {
        match self {
            Self::Delivered { group, .. } | Self::Moved(group, _) => Some(group),
            Self::GivenBack(attempt)
            | Self::Settled(attempt)
            | Self::Delayed(attempt, _)
            | Self::Suspended(attempt, _)
            | Self::Visible(attempt)
            | Self::Released(attempt)
            | Self::GivenUp(attempt)
            | Self::UsedUp(attempt)
            | Self::DeadLettered(attempt, _) => Some(attempt.group),
            Self::Stored { .. }
            | Self::SentAgain
            | Self::Resent(_)
            | Self::PastRetention(_)
            | Self::Removed(_)
            | Self::Expired(_) => None,
        }
    }

    /// Whether it is about all messages of a life.
    pub fn is_of_all(self) -> bool {
        matches!(
            self,
            Self::Moved(..) | Self::PastRetention(_) | Self::Removed(_) | Self::Expired(_)
        )
    }
}
