//! Retry policies told to clients.

use std::time::Duration;

use litemq_domain::DurationMs;
use litemq_protocol::v2::retry_policy::Strategy;
use litemq_protocol::v2::{CustomizedBackoff, ExponentialBackoff, RetryPolicy};

use super::wiretime::duration;

/// Attempts of one send.
const SEND_ATTEMPTS_MAX: i32 = 3;
const SEND_FIRST: Duration = Duration::from_millis(10);
const SEND_LONGEST: Duration = Duration::from_secs(1);

/// A failed message is tried again in the client after these spans. Seventeen attempts take less
/// than the three hours for which its lease is renewed.
const DELIVERY_FIRST: Duration = Duration::from_secs(1);
const DELIVERY_LONGEST: Duration = Duration::from_secs(600);

const MULTIPLIER: u32 = 2;

/// How a producer repeats a failed send.
pub(super) fn of_send() -> RetryPolicy {
    RetryPolicy {
        max_attempts: SEND_ATTEMPTS_MAX,
        strategy: Some(exponential(SEND_FIRST, SEND_LONGEST)),
    }
}

/// How a consumer repeats a failed message, as the growing span that most SDKs understand.
pub(super) fn of_delivery(max_attempts: u16) -> RetryPolicy {
    RetryPolicy {
        max_attempts: i32::from(max_attempts),
        strategy: Some(exponential(DELIVERY_FIRST, DELIVERY_LONGEST)),
    }
}

/// The same spans one by one, for Python consumers, which understand nothing else.
pub(super) fn of_delivery_listed(max_attempts: u16) -> RetryPolicy {
    let spans = std::iter::successors(Some(DELIVERY_FIRST), |span| {
        (*span < DELIVERY_LONGEST).then(|| (*span * MULTIPLIER).min(DELIVERY_LONGEST))
    });
    let next = spans.map(wire).collect();
    RetryPolicy {
        max_attempts: i32::from(max_attempts),
        strategy: Some(Strategy::CustomizedBackoff(CustomizedBackoff { next })),
    }
}

fn exponential(first: Duration, longest: Duration) -> Strategy {
    Strategy::ExponentialBackoff(ExponentialBackoff {
        initial: Some(wire(first)),
        max: Some(wire(longest)),
        multiplier: MULTIPLIER as f32,
    })
}

fn wire(span: Duration) -> prost_types::Duration {
    duration(DurationMs(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use litemq_domain::limits::{AUTO_RENEW_MAX, MAX_ATTEMPTS_DEFAULT};

    use super::*;

    fn listed() -> Vec<i64> {
        match of_delivery_listed(MAX_ATTEMPTS_DEFAULT).strategy.unwrap() {
            Strategy::CustomizedBackoff(backoff) => {
                backoff.next.iter().map(|span| span.seconds).collect()
            }
            Strategy::ExponentialBackoff(_) => panic!("not listed"),
        }
    }

    #[test]
    fn the_list_doubles_up_to_ten_minutes() {
        assert_eq!(listed(), [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600]);
    }

    #[test]
    fn all_attempts_fit_into_the_time_a_lease_is_renewed() {
        let listed = listed();
        let retries = usize::from(MAX_ATTEMPTS_DEFAULT) - 1;
        let longest = *listed.last().unwrap();
        let total: i64 =
            (0..retries).map(|retry| listed.get(retry).copied().unwrap_or(longest)).sum();
        assert!(u64::try_from(total).unwrap() * 1000 < AUTO_RENEW_MAX.0, "{total} s");
    }
}
