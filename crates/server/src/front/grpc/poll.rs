//! How long a receive waits for a first message.

use std::time::Duration;

use litemq_domain::{Error, ErrorCode, Result};

use super::limits::{POLL_MARGIN, POLL_MAX};
use super::wiretime::read_duration;

/// What the client asks for (as long as possible when it does not say), at most 20 s, and short
/// enough that the answer arrives before its deadline.
pub(super) fn poll_time(
    asked: Option<&prost_types::Duration>,
    time_left: Option<Duration>,
) -> Result<Duration> {
    let asked = match asked {
        None => POLL_MAX,
        Some(asked) => {
            read_duration(asked).map(|asked| Duration::from_millis(asked.0)).ok_or_else(|| {
                Error::new(ErrorCode::PollingTimeIllegal, "the long polling timeout is negative")
            })?
        }
    };
    let before_deadline = time_left.map_or(POLL_MAX, |left| {
        // With a deadline of a second or so, half of it is left for the way back.
        left.saturating_sub(POLL_MARGIN).max((left / 2).min(POLL_MARGIN))
    });
    Ok(asked.min(before_deadline).min(POLL_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_ends_by_the_clients_wish_its_deadline_or_after_20_s() {
        let s = Duration::from_secs;
        for (asked, left, wait) in [
            (Some(20), Some(s(23)), s(20)),
            (Some(30), Some(s(33)), s(20)),
            (Some(5), Some(s(8)), s(5)),
            (Some(0), Some(s(3)), s(0)),
            // Rust: the deadline is the poll time.
            (Some(10), Some(s(10)), s(9)),
            // Go's lite simple consumer says nothing.
            (None, Some(s(18)), s(17)),
            (None, None, s(20)),
            (Some(20), Some(s(1)), Duration::from_millis(500)),
            (Some(20), Some(s(0)), s(0)),
            (Some(20), Some(s(31_536_000 * 60)), s(20)),
        ] {
            let asked = asked.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
            assert_eq!(poll_time(asked.as_ref(), left).unwrap(), wait, "{asked:?} {left:?}");
        }
    }

    #[test]
    fn a_negative_poll_time_is_refused() {
        let asked = prost_types::Duration { seconds: -1, nanos: 0 };
        assert_eq!(poll_time(Some(&asked), None).unwrap_err().code, ErrorCode::PollingTimeIllegal);
    }
}
