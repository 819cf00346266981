//! How fast lite topics are handed out to groups that limit it.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use crate::rate::RateMeter;
use crate::table::NumberMap;
use crate::time::Timestamp;

/// The meters of positions that were handed out a moment ago. One that would start afresh is
/// forgotten, so what is kept follows what is handed out.
///
/// Not durable: after a restart each lite topic may be handed out as after a pause.
#[derive(Debug, Default)]
pub(crate) struct Paces {
    paces: NumberMap<u32, Pace>,
    /// Each kept position, by the moment at which it is looked at again.
    due: BTreeSet<(Timestamp, u32)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Pace {
    meter: RateMeter,
    /// When it is looked at again.
    due: Timestamp,
    /// Nothing may be handed out until then.
    is_waiting: bool,
}

impl Paces {
    /// Whether nothing may be handed out at a position until it is looked at again.
    pub(crate) fn is_waiting(&self, cursor: u32) -> bool {
        self.paces.get(&cursor).is_some_and(|pace| pace.is_waiting)
    }

    /// How many messages of `wanted` may be handed out at a position now.
    pub(crate) fn room(
        &self,
        cursor: u32,
        now: Timestamp,
        rate: NonZeroU32,
        wanted: usize,
    ) -> usize {
        let pace = self.paces.get(&cursor).copied().unwrap_or_default();
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        pace.meter.room(now, rate, wanted) as usize
    }

    /// So many messages were handed out at a position. If that was all there may be, it waits until
    /// there may be one more.
    pub(crate) fn handed_out(
        &mut self,
        cursor: u32,
        now: Timestamp,
        rate: NonZeroU32,
        count: usize,
    ) {
        let pace = self.paces.entry(cursor).or_default();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let meter = pace.meter.after(now, rate, count);
        let wait = meter.wait(now, rate);
        let is_waiting = wait.0 > 0;
        let due = if is_waiting { now + wait } else { meter.fresh_at() };
        let before = std::mem::replace(pace, Pace { meter, due, is_waiting });
        self.due.remove(&(before.due, cursor));
        self.due.insert((due, cursor));
    }

    /// When something is to be looked at again.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Looks at the next position that is due: whether there was one, and if it has waited, which.
    pub(crate) fn look(&mut self, now: Timestamp) -> Option<Option<u32>> {
        let (_, cursor) = self.due.first().copied().filter(|(at, _)| *at <= now)?;
        self.due.pop_first();
        let pace = self.paces.get_mut(&cursor)?;
        let has_waited = std::mem::take(&mut pace.is_waiting);
        pace.due = pace.meter.fresh_at();
        if pace.due <= now {
            self.paces.remove(&cursor);
        } else {
            self.due.insert((pace.due, cursor));
        }
        Some(has_waited.then_some(cursor))
    }

    /// The position is gone.
    pub(crate) fn forget(&mut self, cursor: u32) {
        if let Some(pace) = self.paces.remove(&cursor) {
            self.due.remove(&(pace.due, cursor));
        }
    }

    /// Kept positions, and those that are due some day.
    pub(crate) fn kept(&self) -> (usize, usize) {
        (self.paces.len(), self.due.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::DurationMs;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn rate(rate: u32) -> NonZeroU32 {
        NonZeroU32::new(rate).unwrap()
    }

    #[test]
    fn a_position_waits_when_it_has_had_what_its_rate_allows_and_is_forgotten_when_it_rests() {
        let mut paces = Paces::default();
        assert_eq!(paces.room(7, NOW, rate(4), 100), 4);
        paces.handed_out(7, NOW, rate(4), 3);
        assert!(!paces.is_waiting(7));
        assert_eq!(paces.room(7, NOW, rate(4), 100), 1);
        paces.handed_out(7, NOW, rate(4), 1);
        assert!(paces.is_waiting(7));
        assert_eq!(paces.next_due(), Some(NOW + DurationMs(250)));
        assert_eq!(paces.look(NOW + DurationMs(249)), None);
        assert_eq!(paces.look(NOW + DurationMs(250)), Some(Some(7)));
        assert_eq!(paces.room(7, NOW + DurationMs(250), rate(4), 100), 1);
        assert_eq!(paces.next_due(), Some(NOW + DurationMs(1000)));
        assert_eq!(paces.look(NOW + DurationMs(1000)), Some(None));
        assert_eq!((paces.kept(), paces.next_due()), ((0, 0), None));
    }

    #[test]
    fn a_position_that_is_gone_leaves_nothing() {
        let mut paces = Paces::default();
        for cursor in 0..10 {
            paces.handed_out(cursor, NOW, rate(1), 1);
            paces.forget(cursor);
        }
        assert_eq!((paces.kept(), paces.next_due()), ((0, 0), None));
    }
}
