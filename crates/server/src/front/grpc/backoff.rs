//! Retry policies told to clients.

use litemq_domain::{Backoff, DurationMs, GroupOptions};
use litemq_protocol::v2::retry_policy::Strategy;
use litemq_protocol::v2::{CustomizedBackoff, ExponentialBackoff, RetryPolicy};

use super::call::Language;
use super::wiretime::duration;

/// Attempts of one send.
const SEND_ATTEMPTS_MAX: i32 = 3;
const SEND_FIRST: DurationMs = DurationMs(10);
const SEND_LONGEST: DurationMs = DurationMs::from_secs(1);

/// How much longer each span of an exponential back-off is.
const SEND_MULTIPLIER: u32 = 2;

/// How a producer repeats a failed send.
pub(super) fn of_send() -> RetryPolicy {
    RetryPolicy {
        max_attempts: SEND_ATTEMPTS_MAX,
        strategy: Some(exponential(SEND_FIRST, SEND_MULTIPLIER, SEND_LONGEST)),
    }
}

/// How a consumer repeats a failed message, as its SDK understands it: Python knows spans one by one
/// and nothing else, Java knows both ways, and of the others Node takes a list for a single attempt.
pub(super) fn of_delivery(options: &GroupOptions, language: Language) -> RetryPolicy {
    let strategy = match (&options.backoff, language) {
        (Backoff::Listed(_), Language::Java) | (_, Language::Python) => {
            let next = options.backoff.spans().into_iter().map(duration).collect();
            Strategy::CustomizedBackoff(CustomizedBackoff { next })
        }
        (Backoff::Exponential { first, multiplier, longest }, _) => {
            exponential(*first, *multiplier, *longest)
        }
        (Backoff::Listed(spans), _) => growing_like(spans),
    };
    RetryPolicy { max_attempts: i32::from(options.max_attempts), strategy: Some(strategy) }
}

/// The back-off that starts and ends as these spans do, and doubles in between.
fn growing_like(spans: &[DurationMs]) -> Strategy {
    let first = spans.first().copied().unwrap_or(SEND_FIRST);
    let longest = spans.iter().copied().fold(first, DurationMs::max);
    exponential(first, if longest > first { 2 } else { 1 }, longest)
}

fn exponential(first: DurationMs, multiplier: u32, longest: DurationMs) -> Strategy {
    Strategy::ExponentialBackoff(ExponentialBackoff {
        initial: Some(duration(first)),
        max: Some(duration(longest)),
        multiplier: multiplier as f32,
    })
}

#[cfg(test)]
mod tests {
    use litemq_domain::limits::{AUTO_RENEW_MAX, MAX_ATTEMPTS_DEFAULT};

    use super::*;

    const ALL: [Language; 6] = [
        Language::Java,
        Language::Go,
        Language::Node,
        Language::Python,
        Language::Other,
        Language::Unknown,
    ];

    fn told(backoff: Backoff, language: Language) -> Strategy {
        let options = GroupOptions { backoff, ..GroupOptions::default() };
        of_delivery(&options, language).strategy.unwrap()
    }

    fn listed(strategy: Strategy) -> Option<Vec<i64>> {
        match strategy {
            Strategy::CustomizedBackoff(backoff) => {
                Some(backoff.next.iter().map(|span| span.seconds).collect())
            }
            Strategy::ExponentialBackoff(_) => None,
        }
    }

    #[test]
    fn python_is_told_the_spans_of_any_back_off_and_all_others_a_growing_one() {
        for language in ALL {
            let found = listed(told(Backoff::default(), language));
            let is_python = language == Language::Python;
            assert_eq!(found.is_some(), is_python, "{language:?}");
            assert!(!is_python || found.unwrap() == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600]);
        }
    }

    #[test]
    fn a_list_is_told_as_it_is_to_who_understands_lists_and_as_one_that_grows_like_it_to_others() {
        let spans = [5, 10, 1].map(DurationMs::from_secs);
        for language in ALL {
            let strategy = told(Backoff::Listed(spans.to_vec()), language);
            match (language, &strategy) {
                (Language::Java | Language::Python, _) => {
                    assert_eq!(listed(strategy).unwrap(), [5, 10, 1], "{language:?}");
                }
                (_, Strategy::ExponentialBackoff(told)) => {
                    assert_eq!(told.initial.unwrap().seconds, 5, "{language:?}");
                    assert_eq!(told.max.unwrap().seconds, 10, "{language:?}");
                    assert!(told.multiplier >= 1.0);
                }
                (_, Strategy::CustomizedBackoff(_)) => panic!("{language:?} cannot read a list"),
            }
        }
    }

    #[test]
    fn all_attempts_fit_into_the_time_a_lease_is_renewed() {
        let spans = Backoff::default().spans();
        let retries = usize::from(MAX_ATTEMPTS_DEFAULT) - 1;
        let longest = spans.last().unwrap().0;
        let total: u64 =
            (0..retries).map(|retry| spans.get(retry).map_or(longest, |span| span.0)).sum();
        assert!(total < AUTO_RENEW_MAX.0, "{total} ms");
    }
}
