//! Consumer groups, each bound to one parent topic.

use std::num::NonZeroU32;

use crate::error::{Error, ErrorCode, Result};
use crate::limits::{
    BACKOFF_MAX, BACKOFF_SPANS_MAX, CLIENT_QUOTA_DEFAULT, MAX_ATTEMPTS_DEFAULT, MAX_ATTEMPTS_MAX,
    ORDERED_RUN_MAX, UNORDERED_RUN_MAX,
};
use crate::names::{GroupName, NamePrefix};
use crate::time::{DurationMs, Timestamp};
use crate::topic::TopicId;

/// A consumer group's number. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u32);

/// A consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its number.
    pub id: GroupId,
    /// Its name.
    pub name: GroupName,
    /// The parent topic that it consumes.
    pub topic: TopicId,
    /// The parent topic of its dead letters.
    pub dead_letter_topic: TopicId,
    /// How it consumes.
    pub options: GroupOptions,
    /// When it was created.
    pub created_at: Timestamp,
}

/// How a group consumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOptions {
    /// Whether messages of one lite topic are handed out strictly one after another.
    pub ordered: bool,
    /// How its clients share lite topics.
    pub mode: SubscriptionMode,
    /// Lite topics that one client may subscribe to; `None` is no limit.
    pub client_quota: Option<u32>,
    /// Delivery attempts before a message is a dead letter.
    pub max_attempts: u16,
    /// Messages of one lite topic handed out a second; `None` is no limit.
    pub consume_rate: Option<NonZeroU32>,
    /// A client that takes a lite topic over from another starts at its oldest message. For
    /// exclusive groups.
    pub reset_on_takeover: bool,
    /// When a client removes a lite topic from its set by name, the group goes back to its oldest
    /// message.
    pub reset_on_unsubscribe: bool,
    /// Whether a simple consumer's change of an invisible duration with `suspend` suspends. If not it
    /// is a nack: SDKs of simple consumers set `suspend` always.
    pub simple_suspend: bool,
    /// When clients try failed messages again.
    pub backoff: Backoff,
}

/// How the clients of a group share a lite topic.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SubscriptionMode {
    /// Every subscribed client may be handed its messages, one hand-out at a time when ordered.
    #[default]
    Shared,
    /// One client at a time has it: the one that added it last, until that removes it or is gone.
    Exclusive,
    /// All clients of the group share all lite topics of the parent whose names start so, those to
    /// come as well. Clients do not subscribe.
    Wildcard(NamePrefix),
}

/// After which spans clients try a failed message again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backoff {
    /// Each span is so many times the one before.
    Exponential {
        /// The first.
        first: DurationMs,
        /// At least 1.
        multiplier: u32,
        /// None is longer.
        longest: DurationMs,
    },
    /// These, and then the last again and again. At least one.
    Listed(Vec<DurationMs>),
}

impl SubscriptionMode {
    /// Whether the group may be handed a lite topic of this name.
    pub(crate) fn covers(&self, name: &[u8]) -> bool {
        match self {
            Self::Shared | Self::Exclusive => true,
            Self::Wildcard(prefix) => prefix.matches(name),
        }
    }
}

impl Group {
    /// Messages of one lite topic that may be handed out and unsettled at a time.
    pub fn run_max(&self) -> usize {
        if self.options.ordered { ORDERED_RUN_MAX } else { UNORDERED_RUN_MAX }
    }
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self {
            ordered: true,
            mode: SubscriptionMode::Shared,
            client_quota: Some(CLIENT_QUOTA_DEFAULT),
            max_attempts: MAX_ATTEMPTS_DEFAULT,
            consume_rate: None,
            reset_on_takeover: false,
            reset_on_unsubscribe: false,
            simple_suspend: false,
            backoff: Backoff::default(),
        }
    }
}

impl GroupOptions {
    /// Checks each value, and that they go together.
    pub fn check(&self) -> Result<()> {
        check_max_attempts(self.max_attempts)?;
        self.backoff.check()?;
        if self.reset_on_takeover && self.mode != SubscriptionMode::Exclusive {
            return Err(Error::new(
                ErrorCode::BadRequest,
                "only clients of an exclusive group take over; reset_on_takeover is for those",
            ));
        }
        Ok(())
    }

    /// What the names of the lite topics that all clients share start with, in a group whose
    /// clients do not subscribe.
    pub fn wildcard(&self) -> Option<&NamePrefix> {
        match &self.mode {
            SubscriptionMode::Wildcard(prefix) => Some(prefix),
            SubscriptionMode::Shared | SubscriptionMode::Exclusive => None,
        }
    }

    /// Whether a lite topic has one client at a time.
    pub fn is_exclusive(&self) -> bool {
        self.mode == SubscriptionMode::Exclusive
    }
}

impl Default for Backoff {
    /// Seventeen attempts take less than the three hours for which a lease is renewed.
    fn default() -> Self {
        Self::Exponential {
            first: DurationMs::from_secs(1),
            multiplier: 2,
            longest: DurationMs::from_secs(600),
        }
    }
}

impl Backoff {
    /// Checks the spans.
    pub fn check(&self) -> Result<()> {
        let illegal = |message: String| Err(Error::new(ErrorCode::BadRequest, message));
        let is_legal = |span: &DurationMs| (DurationMs(1)..=BACKOFF_MAX).contains(span);
        let spans = match self {
            Self::Exponential { first, multiplier, longest } => {
                if *multiplier == 0 || first > longest {
                    return illegal(format!(
                        "a back-off from {first} times {multiplier} up to {longest} does not grow"
                    ));
                }
                vec![*first, *longest]
            }
            Self::Listed(spans) => spans.clone(),
        };
        if !(1..=BACKOFF_SPANS_MAX).contains(&spans.len()) {
            return illegal(format!(
                "the back-off has {} spans; give 1 to {BACKOFF_SPANS_MAX}",
                spans.len()
            ));
        }
        match spans.iter().find(|span| !is_legal(span)) {
            Some(span) => illegal(format!("a back-off of {span}; give 1ms to {BACKOFF_MAX}")),
            None => Ok(()),
        }
    }

    /// The spans one by one, up to the last that differs from the one before, at most
    /// [`BACKOFF_SPANS_MAX`].
    pub fn spans(&self) -> Vec<DurationMs> {
        match self {
            Self::Listed(spans) => spans.clone(),
            Self::Exponential { first, multiplier, longest } => {
                let next = |span: &DurationMs| {
                    let grown = DurationMs(span.0.saturating_mul(u64::from(*multiplier)));
                    (span < longest && grown > *span).then(|| grown.min(*longest))
                };
                std::iter::successors(Some(*first), next).take(BACKOFF_SPANS_MAX).collect()
            }
        }
    }
}

/// Checks the number of delivery attempts.
pub fn check_max_attempts(max_attempts: u16) -> Result<()> {
    if (1..=MAX_ATTEMPTS_MAX).contains(&max_attempts) {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::BadRequest,
        format!("max attempts is {max_attempts}; give 1 to {MAX_ATTEMPTS_MAX}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(seconds: &[u64]) -> Vec<DurationMs> {
        seconds.iter().map(|seconds| DurationMs::from_secs(*seconds)).collect()
    }

    #[test]
    fn the_spans_of_a_back_off_grow_up_to_the_longest() {
        let all = Backoff::default().spans();
        assert_eq!(all, spans(&[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600]));
        let (first, longest) = (DurationMs::from_secs(5), DurationMs::from_secs(60));
        let fixed = Backoff::Exponential { first, multiplier: 1, longest };
        assert_eq!(fixed.spans(), [first]);
        let listed = Backoff::Listed(spans(&[3, 1, 2]));
        assert_eq!(listed.spans(), spans(&[3, 1, 2]));
    }

    #[test]
    fn options_that_make_no_sense_are_refused() {
        let (first, longest) = (DurationMs::from_secs(5), DurationMs::from_secs(4));
        let exponential = |first, multiplier, longest| GroupOptions {
            backoff: Backoff::Exponential { first, multiplier, longest },
            ..GroupOptions::default()
        };
        let listed =
            |spans| GroupOptions { backoff: Backoff::Listed(spans), ..GroupOptions::default() };
        for refused in [
            GroupOptions { max_attempts: 0, ..GroupOptions::default() },
            GroupOptions { reset_on_takeover: true, ..GroupOptions::default() },
            exponential(first, 2, longest),
            exponential(longest, 0, first),
            exponential(DurationMs(0), 2, first),
            exponential(first, 2, DurationMs(u64::MAX)),
            listed(Vec::new()),
            listed(vec![DurationMs(0)]),
            listed(vec![first; BACKOFF_SPANS_MAX + 1]),
        ] {
            let error = refused.check().unwrap_err();
            assert_eq!(error.code, ErrorCode::BadRequest, "{refused:?}");
        }
        assert_eq!(GroupOptions::default().check(), Ok(()));
        assert_eq!(exponential(first, 1, first).check(), Ok(()));
    }
}
