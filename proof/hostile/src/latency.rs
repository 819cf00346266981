//! Latencies over windows of time, so that one hiccup of the machine is not taken for an attack.

use std::time::{Duration, Instant};

/// Long enough for a hundred messages of the honest client.
pub(crate) const WINDOW: Duration = Duration::from_millis(500);

/// One message of the honest client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// When it was to be sent.
    pub(crate) at: Instant,
    /// Until it was delivered.
    pub(crate) took: Duration,
}

/// The 99th percentile of each whole window of a span of time.
pub(crate) fn p99s(samples: &[Sample], from: Instant, to: Instant) -> Vec<Duration> {
    let mut windows = Vec::new();
    let mut start = from;
    while start + WINDOW <= to {
        let within = samples.iter().filter(|s| s.at >= start && s.at < start + WINDOW);
        let mut took: Vec<Duration> = within.map(|sample| sample.took).collect();
        took.sort_unstable();
        let rank = (took.len() * 99).div_ceil(100);
        windows.extend(rank.checked_sub(1).map(|at| took[at]));
        start += WINDOW;
    }
    windows
}

/// The median, or nothing of nothing.
pub(crate) fn median(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
