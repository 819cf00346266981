//! When requests are made.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::latency::Latencies;

/// How often the clock of an open loop looks; a request is late by so much at most, and the
/// lateness counts.
const CLOCK_INTERVAL: Duration = Duration::from_micros(250);

/// The right to make one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    /// From 0.
    pub(crate) number: usize,
    /// When the request ought to be made: its latency counts from here, so that a stall of the
    /// server counts for every request that it held up.
    pub(crate) due: Instant,
}

/// What all workers of a round share.
#[derive(Debug)]
pub(crate) struct Pace {
    kind: Kind,
    start: Instant,
    from: Instant,
    next: AtomicUsize,
}

#[derive(Debug)]
enum Kind {
    /// Closed loop: as fast as answers come.
    Ceiling { until: Instant },
    /// As fast as answers come, so many in all.
    Count { count: usize },
    /// Open loop: so many each second, whatever the answers do.
    Rate { until: Instant, per_second: f64, due: Semaphore },
}

impl Pace {
    /// A closed loop, measured after a warm-up.
    pub(crate) fn ceiling(warmup: Duration, time: Duration) -> Self {
        let start = Instant::now();
        Self::new(Kind::Ceiling { until: start + warmup + time }, start, start + warmup)
    }

    /// A fixed number, measured from the first.
    pub(crate) fn count(count: usize) -> Self {
        let start = Instant::now();
        Self::new(Kind::Count { count }, start, start)
    }

    /// An open loop, measured after a warm-up.
    pub(crate) fn rate(per_second: f64, warmup: Duration, time: Duration) -> Self {
        let start = Instant::now();
        let until = start + warmup + time;
        let kind = Kind::Rate { until, per_second, due: Semaphore::new(0) };
        Self::new(kind, start, start + warmup)
    }

    fn new(kind: Kind, start: Instant, from: Instant) -> Self {
        Self { kind, start, from, next: AtomicUsize::new(0) }
    }

    /// The begin of what is measured.
    pub(crate) fn from(&self) -> Instant {
        self.from
    }

    /// The end, if it is a moment.
    pub(crate) fn until(&self) -> Option<Instant> {
        match self.kind {
            Kind::Ceiling { until } | Kind::Rate { until, .. } => Some(until),
            Kind::Count { .. } => None,
        }
    }

    /// Waits for the next request to be due; nothing when it is over.
    pub(crate) async fn next(&self) -> Option<Ticket> {
        let take = || self.next.fetch_add(1, Ordering::Relaxed);
        match &self.kind {
            Kind::Ceiling { until } => {
                let due = Instant::now();
                (due < *until).then(|| Ticket { number: take(), due })
            }
            Kind::Count { count } => {
                let ticket = Ticket { number: take(), due: Instant::now() };
                (ticket.number < *count).then_some(ticket)
            }
            Kind::Rate { due, .. } => {
                due.acquire().await.ok()?.forget();
                let number = take();
                Some(Ticket { number, due: self.due_at(number) })
            }
        }
    }

    /// Whether a request is one of those that are measured.
    pub(crate) fn counts(&self, due: Instant, answered: Instant) -> bool {
        match self.kind {
            Kind::Ceiling { until } => (self.from..until).contains(&answered),
            Kind::Count { .. } => true,
            Kind::Rate { .. } => due >= self.from,
        }
    }

    /// The clock of an open loop: tells what is due until the time is over. It sleeps as threads do,
    /// as the timers of the runtime are too coarse.
    pub(crate) fn run_clock(&self) {
        let Kind::Rate { until, due, .. } = &self.kind else { return };
        let mut told = 0;
        loop {
            let now = Instant::now();
            let all = self.due_until(now.min(*until));
            due.add_permits(all - told);
            told = all;
            if now >= *until {
                return due.close();
            }
            std::thread::sleep(CLOCK_INTERVAL);
        }
    }

    /// Of an open loop whose clock has ended: the requests that were due and that nobody had begun.
    /// Each is added with the time it had waited.
    pub(crate) fn not_begun(&self, latencies: &mut Latencies) -> u64 {
        let Kind::Rate { until, .. } = &self.kind else { return 0 };
        let mut found = 0;
        for number in self.next.load(Ordering::Relaxed)..self.due_until(*until) {
            let due = self.due_at(number);
            if due >= self.from {
                latencies.record(until.saturating_duration_since(due));
                found += 1;
            }
        }
        found
    }

    fn per_second(&self) -> f64 {
        match self.kind {
            Kind::Rate { per_second, .. } => per_second,
            Kind::Ceiling { .. } | Kind::Count { .. } => 0.0,
        }
    }

    fn due_at(&self, number: usize) -> Instant {
        self.start + Duration::from_secs_f64(number as f64 / self.per_second())
    }

    fn due_until(&self, moment: Instant) -> usize {
        ((moment - self.start).as_secs_f64() * self.per_second()) as usize
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn what_nobody_begins_counts_with_the_time_it_waited() {
        let pace = Arc::new(Pace::rate(1000.0, Duration::ZERO, Duration::from_millis(100)));
        let clocked = Arc::clone(&pace);
        let clock = tokio::task::spawn_blocking(move || clocked.run_clock());
        let first = pace.next().await.unwrap();
        clock.await.unwrap();
        assert!(pace.next().await.is_none());
        let mut latencies = Latencies::new().unwrap();
        assert_eq!(pace.not_begun(&mut latencies), 99);
        let longest = pace.until().unwrap() - first.due;
        assert!(latencies.summary().max_us <= longest.as_secs_f64() * 1e6 * 1.01);
        assert!(latencies.summary().p50_us >= 40_000.0, "{:?}", latencies.summary());
    }

    #[tokio::test]
    async fn a_count_ends_after_so_many() {
        let pace = Pace::count(2);
        assert_eq!(pace.next().await.unwrap().number, 0);
        assert_eq!(pace.next().await.unwrap().number, 1);
        assert!(pace.next().await.is_none());
    }
}
