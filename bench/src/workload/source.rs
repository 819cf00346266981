//! Numbered messages to many channels, each due at a moment of its own whatever the server does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use super::FAILURES_MAX;
use super::ledger::Ledger;
use super::pace::{Pace, Ticket};
use super::stamp::Stamp;
use crate::Result;
use crate::args::TimeArgs;
use crate::latency::Latencies;
use crate::systems::Connection;

/// An open loop: channels take turns, and within each one message follows the other's answer.
#[derive(Debug)]
pub(crate) struct Source {
    pace: Pace,
    zero: Instant,
    channels: usize,
    body_bytes: usize,
    ledger: Arc<Ledger>,
    sent: AtomicU64,
    failed: AtomicU64,
    first_failure: OnceLock<String>,
}

impl Source {
    /// Begins its time now.
    pub(crate) fn new(
        per_second: f64,
        time: TimeArgs,
        ledger: Arc<Ledger>,
        channels: usize,
        body_bytes: usize,
    ) -> Self {
        let zero = Instant::now();
        let warmup = Duration::from_secs(time.warmup_seconds);
        Self {
            pace: Pace::rate(per_second, warmup, Duration::from_secs(time.seconds)),
            zero,
            channels,
            body_bytes,
            ledger,
            sent: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            first_failure: OnceLock::new(),
        }
    }

    /// From where on moments are told in bodies.
    pub(crate) fn zero(&self) -> Instant {
        self.zero
    }

    /// The begin of what is measured.
    pub(crate) fn from(&self) -> Instant {
        self.pace.from()
    }

    /// The end of it.
    pub(crate) fn until(&self) -> Instant {
        self.pace.until().unwrap_or(self.zero)
    }

    /// Messages that the server held in the measured time.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Messages that were refused, in the warm-up too.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// What was said of the first of them.
    pub(crate) fn first_failure(&self) -> Option<String> {
        self.first_failure.get().cloned()
    }

    /// Sends on so many lanes, each message on that of its channel, until the time is over. The
    /// result are those that nobody had begun then, with the time that they had waited.
    pub(crate) async fn run(
        self: Arc<Self>,
        connections: Vec<Arc<dyn Connection>>,
        lanes: usize,
    ) -> Result<Latencies> {
        let clocked = Arc::clone(&self);
        let clock = tokio::task::spawn_blocking(move || clocked.pace.run_clock());
        let (mut doors, mut senders) = (Vec::new(), JoinSet::new());
        for connection in connections.iter().cycle().take(lanes) {
            // Bounded by what is due in the time of the round.
            let (door, tickets) = unbounded_channel();
            doors.push(door);
            senders.spawn(Arc::clone(&self).send(Arc::clone(connection), tickets));
        }
        while let Some(ticket) = self.pace.next().await {
            let lane = ticket.number % self.channels % lanes;
            // A lane that has ended tells why below.
            let is_open = doors.get(lane).is_some_and(|door| door.send(ticket).is_ok());
            if !is_open {
                break;
            }
        }
        drop(doors);
        let mut not_begun = Latencies::new()?;
        while let Some(waited) = senders.join_next().await {
            not_begun.add(&waited??)?;
        }
        clock.await?;
        Ok(not_begun)
    }

    async fn send(
        self: Arc<Self>,
        connection: Arc<dyn Connection>,
        mut tickets: UnboundedReceiver<Ticket>,
    ) -> Result<Latencies> {
        let mut not_begun = Latencies::new()?;
        while let Some(Ticket { number, due }) = tickets.recv().await {
            let is_measured = due >= self.from();
            if Instant::now() >= self.until() {
                if is_measured {
                    not_begun.record(self.until().saturating_duration_since(due));
                }
                continue;
            }
            let (channel, number) = (number % self.channels, number / self.channels);
            let stamp = Stamp { channel, number, due };
            match connection.append(channel, stamp.body(self.zero, self.body_bytes)?).await {
                Ok(()) => {
                    self.ledger.sent(stamp);
                    let is_counted = (self.from()..self.until()).contains(&Instant::now());
                    self.sent.fetch_add(u64::from(is_counted), Ordering::Relaxed);
                }
                Err(error) if self.failed.fetch_add(1, Ordering::Relaxed) >= FAILURES_MAX => {
                    return Err(error);
                }
                Err(error) => {
                    self.first_failure.get_or_init(|| error.to_string());
                }
            }
        }
        Ok(not_begun)
    }
}
