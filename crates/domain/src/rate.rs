//! So many a second, as one number of state.

use std::num::NonZeroU32;

use crate::time::{DurationMs, Timestamp};

const NANOS_PER_MS: u64 = 1_000_000;
const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// How far the meter may run ahead: what one second allows may come at once.
const BURST_NANOS: u64 = NANOS_PER_SECOND;

/// Measures a rate by the generic cell rate algorithm: the moment at which everything that came would
/// have come, had it come evenly. In any span of `t` seconds at most `rate × (t + 1)` pass. A meter
/// that starts, or was forgotten, allows a full second at once.
///
/// Pure and eight bytes: whoever shares one keeps [`Self::to_bits`] in an atomic. The clock must not
/// go back; if it does, less passes, never more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateMeter {
    /// Nanoseconds since the Unix epoch; good until the year 2554.
    even_until: u64,
}

impl RateMeter {
    /// The meter as a number.
    pub fn to_bits(self) -> u64 {
        self.even_until
    }

    /// The meter from its number; 0 is a fresh one.
    pub fn from_bits(bits: u64) -> Self {
        Self { even_until: bits }
    }

    /// From when on it is as good as fresh.
    pub fn fresh_at(self) -> Timestamp {
        Timestamp(self.even_until.div_ceil(NANOS_PER_MS))
    }

    /// How many of `wanted` may pass now. Nothing is taken yet.
    pub fn room(self, now: Timestamp, per_second: NonZeroU32, wanted: u32) -> u32 {
        let now = nanos(now);
        let ahead = self.even_until.saturating_sub(now);
        let free = BURST_NANOS.saturating_sub(ahead) / step(per_second);
        u32::try_from(free).unwrap_or(u32::MAX).min(wanted)
    }

    /// The meter after `count` passed.
    #[must_use]
    pub fn after(self, now: Timestamp, per_second: NonZeroU32, count: u32) -> Self {
        let taken = step(per_second).saturating_mul(u64::from(count));
        Self { even_until: self.even_until.max(nanos(now)).saturating_add(taken) }
    }

    /// How long from `now` until one more may pass, in whole milliseconds upwards; zero when one may.
    pub fn wait(self, now: Timestamp, per_second: NonZeroU32) -> DurationMs {
        let now = nanos(now);
        let needed = self.even_until.max(now).saturating_add(step(per_second));
        let over = needed.saturating_sub(now.saturating_add(BURST_NANOS));
        DurationMs(over.div_ceil(NANOS_PER_MS))
    }
}

fn nanos(at: Timestamp) -> u64 {
    at.0.saturating_mul(NANOS_PER_MS)
}

/// Time between two at an even rate. Rounded up, so that no more than the rate passes.
fn step(per_second: NonZeroU32) -> u64 {
    NANOS_PER_SECOND.div_ceil(u64::from(per_second.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_700_000_000_000);

    fn rate(per_second: u32) -> NonZeroU32 {
        NonZeroU32::new(per_second).unwrap()
    }

    /// Lets pass as many of `wanted` as may.
    fn take(meter: &mut RateMeter, now: Timestamp, per_second: u32, wanted: u32) -> u32 {
        let passed = meter.room(now, rate(per_second), wanted);
        *meter = meter.after(now, rate(per_second), passed);
        passed
    }

    #[test]
    fn one_second_may_come_at_once_and_then_the_rate_holds() {
        let mut meter = RateMeter::default();
        assert_eq!(take(&mut meter, START, 200, 1000), 200);
        assert_eq!(take(&mut meter, START, 200, 1), 0);
        assert_eq!(meter.wait(START, rate(200)), DurationMs(5));
        let later = START + DurationMs(5);
        assert_eq!(take(&mut meter, later, 200, 10), 1);
        assert_eq!(take(&mut meter, START + DurationMs::from_secs(60), 200, 1000), 200);
    }

    #[test]
    fn no_span_lets_more_than_its_rate_and_one_second_pass() {
        for per_second in [1, 3, 7, 200, 999, 1_000_000, u32::MAX] {
            let mut meter = RateMeter::default();
            let (mut passed, mut now) = (0_u64, START);
            for step in 0..1000_u64 {
                passed += u64::from(take(&mut meter, now, per_second, u32::MAX));
                let allowed = u64::from(per_second) * (now.since(START).0 + 1000);
                assert!(passed * 1000 <= allowed, "{per_second} at {now:?}: {passed}");
                now = now + DurationMs(step % 17);
            }
            assert!(passed > 0);
        }
    }

    #[test]
    fn whoever_waits_as_long_as_told_may_pass() {
        for per_second in [1, 3, 7, 200, 999] {
            let mut meter = RateMeter::default();
            let mut now = START;
            take(&mut meter, now, per_second, per_second);
            for _ in 0..1000 {
                now = now + meter.wait(now, rate(per_second));
                assert_eq!(take(&mut meter, now, per_second, 1), 1, "{per_second} at {now:?}");
            }
        }
    }

    #[test]
    fn a_clock_that_goes_back_lets_nothing_more_pass() {
        let mut meter = RateMeter::default();
        take(&mut meter, START, 10, 10);
        assert_eq!(take(&mut meter, Timestamp(START.0 - 5000), 10, 10), 0);
    }
}
