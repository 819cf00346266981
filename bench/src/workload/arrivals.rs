//! What reaches readers, and how long it took; readers move.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::ledger::{Arrival, Ledger};
use super::source::Source;
use super::stamp::Stamp;
use crate::Result;
use crate::latency::{Latencies, LatencySummary};

/// With nothing new for so long, what is missing does not come any more: longer than the longest time
/// that a system here keeps a message for a client that is gone, which is 60 s.
const SILENCE_MAX: Duration = Duration::from_secs(75);
/// Longest wait for the last messages.
const DRAIN_MAX: Duration = Duration::from_secs(150);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// All that arrived, and who has which channel.
#[derive(Debug)]
pub(crate) struct Arrivals {
    source: Arc<Source>,
    ledger: Arc<Ledger>,
    count: AtomicU64,
    /// Of each channel, the move that is not over.
    moves: Vec<Mutex<Option<Move>>>,
    found: Mutex<Found>,
}

/// A channel on its way to another place.
#[derive(Debug, Clone, Copy)]
struct Move {
    to: usize,
    begun: Instant,
    is_reached: bool,
}

#[derive(Debug)]
struct Found {
    delivery: Latencies,
    gaps: Latencies,
    resumes: Latencies,
}

/// What is told of moves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moves {
    /// From the begin of a move until the first message at the new place, which may not have been
    /// due before.
    pub(crate) first_delivery: LatencySummary,
    /// How long the first new message at the new place took, from the begin of the move or the
    /// moment it was due, whichever was later.
    pub(crate) gap: LatencySummary,
}

impl Arrivals {
    pub(crate) fn new(source: Arc<Source>, ledger: Arc<Ledger>, channels: usize) -> Result<Self> {
        let found = Found {
            delivery: Latencies::new()?,
            gaps: Latencies::new()?,
            resumes: Latencies::new()?,
        };
        Ok(Self {
            source,
            ledger,
            count: AtomicU64::new(0),
            moves: (0..channels).map(|_| Mutex::default()).collect(),
            found: Mutex::new(found),
        })
    }

    /// What a body says; nothing if it is of somebody else.
    pub(crate) fn read(&self, body: &[u8]) -> Option<Stamp> {
        Stamp::read(body, self.source.zero())
    }

    /// A message is in the hand of the reader at a place.
    pub(crate) fn take(&self, stamp: Stamp, place: usize, now: Instant) {
        let arrival = self.ledger.delivered(stamp);
        self.count.fetch_add(1, Ordering::Relaxed);
        let is_first = arrival == Arrival::First;
        let mut found = lock(&self.found);
        if is_first && stamp.due >= self.source.from() {
            found.delivery.record(now.saturating_duration_since(stamp.due));
        }
        let Some(moving) = self.moves.get(stamp.channel) else { return };
        let mut moving = lock(moving);
        if let Some(at) = moving.as_mut().filter(|moving| moving.to == place) {
            if !at.is_reached {
                found.resumes.record(now.saturating_duration_since(at.begun));
                at.is_reached = true;
            }
            if is_first {
                found.gaps.record(now.saturating_duration_since(at.begun.max(stamp.due)));
                *moving = None;
            }
        }
    }

    /// It will not come again.
    pub(crate) fn settle(&self, stamp: Stamp) {
        self.ledger.settled(stamp);
    }

    /// The reader of a channel goes to another place.
    pub(crate) fn begin_move(&self, channel: usize, to: usize) {
        if let Some(moving) = self.moves.get(channel) {
            *lock(moving) = Some(Move { to, begun: Instant::now(), is_reached: false });
        }
    }

    /// Waits until nothing is missing, or nothing comes any more; then those who receive end. The
    /// error is that of one that ended before.
    pub(crate) async fn drain(&self, receivers: &mut JoinSet<Result<()>>) -> Result<()> {
        let (begun, mut seen) = (Instant::now(), (0, Instant::now()));
        while self.ledger.tally().missing > 0
            && begun.elapsed() < DRAIN_MAX
            && seen.1.elapsed() < SILENCE_MAX
        {
            let count = self.count.load(Ordering::Relaxed);
            if count != seen.0 {
                seen = (count, Instant::now());
            }
            while let Some(ended) = receivers.try_join_next() {
                ended??;
            }
            sleep(LOOK_INTERVAL).await;
        }
        receivers.abort_all();
        Ok(())
    }

    /// From the moment a message was due; those that nobody had begun to send count too.
    pub(crate) fn delivery(&self, not_begun: &Latencies) -> Result<LatencySummary> {
        let mut delivery = lock(&self.found).delivery.clone();
        delivery.add(not_begun)?;
        Ok(delivery.summary())
    }

    /// Of the moves that are over.
    pub(crate) fn moves(&self) -> Moves {
        let found = lock(&self.found);
        Moves { first_delivery: found.resumes.summary(), gap: found.gaps.summary() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
