//! Times and spans between the wire's types and ours.

use litemq_domain::{DurationMs, Timestamp};

const NANOS_PER_MS: i32 = 1_000_000;

/// A moment on the wire.
pub(super) fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: i64::try_from(at.0 / 1000).unwrap_or(i64::MAX),
        nanos: nanos(at.0),
    }
}

/// A span on the wire.
pub(super) fn duration(span: DurationMs) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(span.0 / 1000).unwrap_or(i64::MAX),
        nanos: nanos(span.0),
    }
}

/// Whether a moment is after 1970 and well-formed.
pub(super) fn is_legal(at: &prost_types::Timestamp) -> bool {
    at.seconds >= 0 && (0..1_000_000_000).contains(&at.nanos)
}

/// A client's moment; before 1970 is 1970.
pub(super) fn read_timestamp(at: &prost_types::Timestamp) -> Timestamp {
    Timestamp(millis(at.seconds, at.nanos).unwrap_or(0))
}

/// A client's span, rounded down to milliseconds; nothing when negative.
pub(super) fn read_duration(span: &prost_types::Duration) -> Option<DurationMs> {
    millis(span.seconds, span.nanos).map(DurationMs)
}

fn nanos(ms: u64) -> i32 {
    i32::try_from(ms % 1000).unwrap_or(0) * NANOS_PER_MS
}

/// Seconds and nanoseconds as milliseconds, saturating; nothing when below zero.
fn millis(seconds: i64, nanos: i32) -> Option<u64> {
    let ms = i128::from(seconds) * 1000 + i128::from(nanos.div_euclid(NANOS_PER_MS));
    (ms >= 0).then(|| u64::try_from(ms).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_survive_the_wire() {
        for ms in [0, 1, 999, 1000, 1_763_812_800_123] {
            assert_eq!(read_timestamp(&timestamp(Timestamp(ms))), Timestamp(ms));
            assert_eq!(read_duration(&duration(DurationMs(ms))), Some(DurationMs(ms)));
        }
    }

    #[test]
    fn negative_spans_are_told_from_short_ones() {
        let span = |seconds, nanos| read_duration(&prost_types::Duration { seconds, nanos });
        assert_eq!(span(0, 999_999), Some(DurationMs(0)));
        assert_eq!(span(0, -1), None);
        assert_eq!(span(-1, 0), None);
        assert_eq!(span(i64::MAX, i32::MAX), Some(DurationMs(u64::MAX)));
        assert_eq!(span(i64::MIN, i32::MIN), None);
    }
}
