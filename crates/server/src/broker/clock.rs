//! The broker's clock: wall time at the start, monotonic from there on.

use std::time::Duration;

use litemq_domain::Timestamp;
use tokio::time::Instant;

/// Timers are set no further ahead; they are looked at again then.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Tells the time. A jump of the system's clock while the process runs changes nothing; after a
/// restart time goes on no earlier than the last record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    started_at: Timestamp,
    started: Instant,
}

impl Clock {
    /// A clock that starts at this time.
    pub(super) fn starting_at(started_at: Timestamp) -> Self {
        Self { started_at, started: Instant::now() }
    }

    /// The present time.
    pub(super) fn now(&self) -> Timestamp {
        let passed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Timestamp(self.started_at.0.saturating_add(passed))
    }

    /// The moment at which [`Self::now`] will be `at`, or a day from now if that is earlier.
    pub(super) fn instant_of(&self, at: Timestamp) -> Instant {
        let ahead = Duration::from_millis(at.since(self.now()).0);
        Instant::now() + ahead.min(DAY)
    }
}
