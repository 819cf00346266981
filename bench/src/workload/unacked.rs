//! Messages that nobody acknowledges at their first delivery, each alone in a channel of its own,
//! as an ordered channel waits behind such a message.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::Result;
use crate::latency::{Latencies, LatencySummary};

/// How long after its time a message may come again before it counts as lost.
const LATE_MAX: Duration = Duration::from_secs(40);

/// One message of so many is not acknowledged.
#[derive(Debug)]
pub(crate) struct Unacked {
    one_of: usize,
    invisible: Duration,
    channels: Range<usize>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Channels without a message.
    free: Vec<usize>,
    /// When the message of a channel was delivered.
    delivered: HashMap<usize, Instant>,
    again: Latencies,
    lost: u64,
}

/// What became of them.
#[derive(Debug, Serialize)]
pub(crate) struct Redelivery {
    invisible_seconds: f64,
    /// From a delivery to the next one of the same message.
    redelivery: LatencySummary,
    /// Not delivered again when they were much too late.
    lost: u64,
}

/// What is to be done with a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is acknowledged, as most are.
    Cycle,
    /// It is the first of a message that is to come again.
    Leave,
    /// It came again, and is acknowledged.
    Again,
}

impl Unacked {
    /// The channels are those behind all others.
    pub(crate) fn new(one_of: usize, invisible: Duration, channels: Range<usize>) -> Result<Self> {
        let free = channels.clone().rev().collect();
        let again = Latencies::new()?;
        let state = State { free, delivered: HashMap::new(), again, lost: 0 };
        Ok(Self { one_of, invisible, channels, state: Mutex::new(state) })
    }

    /// The channel of a message that is not to be acknowledged at first; most are none, and none is
    /// while all channels are waiting.
    pub(crate) fn channel_of(&self, number: usize) -> Option<usize> {
        number.is_multiple_of(self.one_of).then(|| self.lock().free.pop()).flatten()
    }

    /// A message arrived.
    pub(crate) fn take(&self, channel: usize, now: Instant) -> Fate {
        if !self.channels.contains(&channel) {
            return Fate::Cycle;
        }
        let mut state = self.lock();
        let Some(before) = state.delivered.remove(&channel) else {
            state.delivered.insert(channel, now);
            return Fate::Leave;
        };
        state.again.record(now.saturating_duration_since(before));
        state.free.push(channel);
        Fate::Again
    }

    /// Whether some are still to come again; what is much too late is lost.
    pub(crate) fn is_waiting(&self) -> bool {
        let mut state = self.lock();
        let before = state.delivered.len();
        let late = self.invisible + LATE_MAX;
        state.delivered.retain(|_, delivered| delivered.elapsed() < late);
        state.lost += (before - state.delivered.len()) as u64;
        !state.delivered.is_empty()
    }

    /// What they ask for.
    pub(crate) fn invisible(&self) -> Duration {
        self.invisible
    }

    /// All their channels.
    pub(crate) fn channels(&self) -> Range<usize> {
        self.channels.clone()
    }

    /// As it stands.
    pub(crate) fn found(&self) -> Redelivery {
        let state = self.lock();
        Redelivery {
            invisible_seconds: self.invisible.as_secs_f64(),
            redelivery: state.again.summary(),
            lost: state.lost,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_left_at_its_first_delivery_and_acked_at_the_next() {
        let unacked = Unacked::new(100, Duration::from_secs(10), 5..6).unwrap();
        assert_eq!(unacked.channel_of(1), None);
        assert_eq!(unacked.channel_of(100), Some(5));
        assert_eq!(unacked.channel_of(200), None);
        let now = Instant::now();
        assert_eq!(unacked.take(4, now), Fate::Cycle);
        assert_eq!(unacked.take(5, now), Fate::Leave);
        assert!(unacked.is_waiting());
        assert_eq!(unacked.take(5, now + Duration::from_secs(10)), Fate::Again);
        assert!(!unacked.is_waiting());
        assert_eq!(unacked.channel_of(300), Some(5));
        let found = unacked.found();
        assert_eq!((found.redelivery.count, found.lost), (1, 0));
    }
}
