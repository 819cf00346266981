//! How long lite topics live: what one has of its own, and the index of those that expire.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::table::NumberMap;
use crate::time::{DurationMs, Second, Timestamp};
use crate::topic::{Topic, TopicOptions};

/// Keeps a lite topic for ever, as [`OwnLifetime::keep_until`].
pub const PINNED: Timestamp = Timestamp(u64::MAX);

/// What a lite topic has of its own; most have nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OwnLifetime {
    /// Replaces the time to live of its topic; the inner `None` is for ever.
    pub ttl: Option<Option<DurationMs>>,
    /// It does not expire before this moment; 0 says nothing, [`PINNED`] is never.
    pub keep_until: Timestamp,
}

/// A change of what a lite topic has of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifetimeChange {
    /// It does not expire before this moment; never moves an earlier such moment back.
    Extend(Timestamp),
    /// It does not expire.
    Pin,
    /// Neither extended nor pinned any more.
    Unpin,
    /// A time to live of its own; the inner `None` is for ever, the outer one is that of its topic.
    Ttl(Option<Option<DurationMs>>),
}

/// Why a lite topic that is due stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// A group has not settled all of it.
    Undelivered,
    /// A client is subscribed to it.
    Subscribed,
}

/// Room for lite topics, which shards share.
pub trait LiteTopicRoom {
    /// Takes room for one more lite topic of this topic. It is given back by whoever hears that a
    /// lite topic was removed or expired.
    ///
    /// # Errors
    /// [`crate::ErrorCode::LiteTopicQuotaExceeded`] when there is none; nothing was taken then.
    fn take(&self, topic: &Topic) -> Result<()>;
}

impl OwnLifetime {
    /// After a change.
    pub(crate) fn after(self, change: LifetimeChange) -> Self {
        match change {
            LifetimeChange::Extend(until) => {
                Self { keep_until: self.keep_until.max(until), ..self }
            }
            LifetimeChange::Pin => Self { keep_until: PINNED, ..self },
            LifetimeChange::Unpin => Self { keep_until: Timestamp(0), ..self },
            LifetimeChange::Ttl(ttl) => Self { ttl, ..self },
        }
    }

    /// The time to live in force.
    pub(crate) fn ttl(&self, options: &TopicOptions) -> Option<DurationMs> {
        self.ttl.unwrap_or(options.ttl)
    }

    /// When what was active last at `active_at` expires; `None` is never.
    pub(crate) fn end(&self, options: &TopicOptions, active_at: Timestamp) -> Option<Timestamp> {
        let end = (active_at + self.ttl(options)?).max(self.keep_until);
        (end < PINNED).then_some(end)
    }
}

/// Lifetimes of a shard's lite topics.
#[derive(Debug, Default)]
pub(crate) struct Lifetimes {
    /// By slot; only what differs from nothing.
    own: NumberMap<u32, OwnLifetime>,
    /// Each lite topic that expires once, by the second at which to look at it: no later than it is
    /// due. A send moves only the time of the last send; what comes up too early is filed again.
    pub(crate) filed: BTreeSet<(Second, u32)>,
    /// Nothing expires before.
    pub(crate) not_before: Timestamp,
}

impl Lifetimes {
    pub(crate) fn own(&self, slot: u32) -> OwnLifetime {
        self.own.get(&slot).copied().unwrap_or_default()
    }

    pub(crate) fn set_own(&mut self, slot: u32, own: OwnLifetime) {
        if own == OwnLifetime::default() {
            self.own.remove(&slot);
        } else {
            self.own.insert(slot, own);
        }
    }

    /// Slots that have something of their own.
    pub(crate) fn owners(&self) -> impl Iterator<Item = u32> {
        self.own.keys().copied()
    }

    /// When something is to be looked at, possibly in the past.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.filed.first().map(|(at, _)| at.start().max(self.not_before))
    }

    /// Takes out what is to be looked at by now.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<u32> {
        if self.next_deadline()? > now {
            return None;
        }
        self.filed.pop_first().map(|(_, slot)| slot)
    }
}
