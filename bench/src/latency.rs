//! Latencies, in a histogram of three digits.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::Result;

/// Longer ones count as this long.
const LATENCY_MAX: Duration = Duration::from_secs(600);
const DIGITS: u8 = 3;

/// Latencies of one kind.
#[derive(Debug, Clone)]
pub(crate) struct Latencies(Histogram<u64>);

/// What is told of them.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct LatencySummary {
    pub(crate) count: u64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
}

impl Latencies {
    pub(crate) fn new() -> Result<Self> {
        let nanos_max = u64::try_from(LATENCY_MAX.as_nanos())?;
        Ok(Self(Histogram::new_with_bounds(1, nanos_max, DIGITS)?))
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn add(&mut self, others: &Self) -> Result<()> {
        Ok(self.0.add(&others.0)?)
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn summary(&self) -> LatencySummary {
        let us = |nanos: u64| nanos as f64 / 1e3;
        LatencySummary {
            count: self.0.len(),
            p50_us: us(self.0.value_at_quantile(0.5)),
            p99_us: us(self.0.value_at_quantile(0.99)),
            p999_us: us(self.0.value_at_quantile(0.999)),
            max_us: us(self.0.max()),
        }
    }
}

/// The middle of some values, 0 of none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let at = |place: usize| values.get(place).copied().unwrap_or_default();
    if values.len().is_multiple_of(2) && !values.is_empty() {
        return f64::midpoint(at(middle - 1), at(middle));
    }
    at(middle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median([]), 0.0);
    }

    #[test]
    fn a_latency_beyond_the_bound_counts_as_the_bound() {
        let mut latencies = Latencies::new().unwrap();
        latencies.record(LATENCY_MAX * 2);
        let max_us = latencies.summary().max_us;
        assert!((max_us / 1e6 / LATENCY_MAX.as_secs_f64() - 1.0).abs() < 0.01, "{max_us}");
    }
}
