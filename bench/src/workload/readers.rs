//! A reader for each channel, on a connection of its own, that says itself where it goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::future::{BoxFuture, ready};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::arrivals::Arrivals;
use super::moving::Audience;
use crate::Result;
use crate::systems::{Library, Position};

/// All readers.
#[derive(Debug)]
pub(crate) struct Readers {
    library: Arc<dyn Library>,
    arrivals: Arc<Arrivals>,
    seats: Vec<Seat>,
}

/// Of one channel.
#[derive(Debug, Default)]
struct Seat {
    /// How often its connection broke: the place of what arrives.
    visit: AtomicUsize,
    breaks: Notify,
}

impl Readers {
    /// One for each channel, from its beginning on.
    pub(crate) fn new(library: Arc<dyn Library>, arrivals: Arc<Arrivals>, channels: usize) -> Self {
        Self { library, arrivals, seats: (0..channels).map(|_| Seat::default()).collect() }
    }

    /// Reads; when the connection breaks, a new one goes on behind what was in hand.
    async fn read(self: Arc<Self>, channel: usize) -> Result<()> {
        let Some(seat) = self.seats.get(channel) else { return Err("no such channel".into()) };
        let mut position = Position::default();
        loop {
            let mut reader = self.library.open(channel, position.clone()).await?;
            loop {
                tokio::select! {
                    biased;
                    () = seat.breaks.notified() => break,
                    found = reader.next() => {
                        let (now, visit) = (Instant::now(), seat.visit.load(Ordering::Relaxed));
                        for (body, behind) in found? {
                            if let Some(stamp) = self.arrivals.read(&body) {
                                self.arrivals.take(stamp, visit, now);
                                self.arrivals.settle(stamp);
                            }
                            position = behind;
                        }
                    }
                }
            }
            seat.visit.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Audience for Readers {
    fn start(self: Arc<Self>) -> JoinSet<Result<()>> {
        let mut readers = JoinSet::new();
        for channel in 0..self.seats.len() {
            readers.spawn(Arc::clone(&self).read(channel));
        }
        readers
    }

    fn move_on(&self, channel: usize) -> BoxFuture<'_, Result<()>> {
        if let Some(seat) = self.seats.get(channel) {
            self.arrivals.begin_move(channel, seat.visit.load(Ordering::Relaxed) + 1);
            seat.breaks.notify_one();
        }
        Box::pin(ready(Ok(())))
    }
}
