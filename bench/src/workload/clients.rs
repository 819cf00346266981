//! Clients that receive and acknowledge side by side, and channels that move between them.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::arrivals::Arrivals;
use super::moving::{Audience, Strays};
use crate::Result;
use crate::args::ClientArgs;
use crate::systems::Consumer;

/// How long a client that gives up a channel may take to acknowledge what it has.
const SETTLE_MAX: Duration = Duration::from_secs(30);
const LOOK_INTERVAL: Duration = Duration::from_micros(500);

/// The clients, by their number.
#[derive(Debug)]
pub(crate) struct Clients {
    consumers: Vec<Arc<dyn Consumer>>,
    arrivals: Arc<Arrivals>,
    channels: Vec<Held>,
    /// Receives of each client at a time.
    receives: usize,
    /// A client takes a channel that another has; otherwise that one gives it up first, and
    /// acknowledges what it has.
    takes_over: bool,
    acks_too_late: AtomicU64,
    astray: AtomicU64,
}

/// A channel, as the clients know it.
#[derive(Debug, Default)]
struct Held {
    /// Where its reader is.
    client: AtomicUsize,
    /// Delivered and not acknowledged.
    in_hand: AtomicUsize,
}

impl Clients {
    /// Clients that hold a range of channels each.
    pub(crate) fn new(
        consumers: Vec<Arc<dyn Consumer>>,
        ranges: &[Range<usize>],
        arrivals: Arc<Arrivals>,
        args: &ClientArgs,
    ) -> Self {
        let held = |client| Held { client: AtomicUsize::new(client), ..Held::default() };
        let clients = ranges.iter().enumerate();
        let channels = clients.flat_map(|(at, range)| range.clone().map(move |_| held(at)));
        Self {
            channels: channels.collect(),
            consumers,
            arrivals,
            receives: args.receives.get(),
            takes_over: args.take_over,
            acks_too_late: AtomicU64::new(0),
            astray: AtomicU64::new(0),
        }
    }

    async fn receive(self: Arc<Self>, client: usize) -> Result<()> {
        let consumer = self.consumer(client)?;
        loop {
            let deliveries = consumer.receive().await?;
            let now = Instant::now();
            let (mut taken, mut arrived) = (Vec::new(), Vec::new());
            for delivery in deliveries {
                let stamp = self.arrivals.read(&delivery.body);
                let held = stamp.and_then(|stamp| Some((stamp, self.channels.get(stamp.channel)?)));
                if let Some((stamp, held)) = held {
                    // A client that gave a channel up still serves what it has of it.
                    if self.takes_over && held.client.load(Ordering::Relaxed) != client {
                        self.astray.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    held.in_hand.fetch_add(1, Ordering::Relaxed);
                    self.arrivals.take(stamp, client, now);
                }
                arrived.push(held);
                taken.push(delivery);
            }
            if taken.is_empty() {
                continue;
            }
            let acked = consumer.ack_all(&taken).await?;
            for (arrived, is_good) in arrived.into_iter().zip(acked) {
                let Some((stamp, held)) = arrived else { continue };
                match is_good {
                    true => self.arrivals.settle(stamp),
                    false => drop(self.acks_too_late.fetch_add(1, Ordering::Relaxed)),
                }
                held.in_hand.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    async fn move_to_next(&self, channel: usize) -> Result<()> {
        let held = self.channels.get(channel).ok_or("no such channel")?;
        let from = held.client.load(Ordering::Relaxed);
        let to = (from + 1) % self.consumers.len();
        self.arrivals.begin_move(channel, to);
        if self.takes_over {
            held.client.store(to, Ordering::Relaxed);
            self.consumer(to)?.hold(channel).await?;
            return self.consumer(from)?.release(channel).await;
        }
        self.consumer(from)?.release(channel).await?;
        let begun = Instant::now();
        while held.in_hand.load(Ordering::Relaxed) > 0 && begun.elapsed() < SETTLE_MAX {
            sleep(LOOK_INTERVAL).await;
        }
        held.client.store(to, Ordering::Relaxed);
        self.consumer(to)?.hold(channel).await
    }

    fn consumer(&self, client: usize) -> Result<Arc<dyn Consumer>> {
        self.consumers.get(client).cloned().ok_or_else(|| "no such client".into())
    }
}

impl Audience for Clients {
    fn start(self: Arc<Self>) -> JoinSet<Result<()>> {
        let mut receivers = JoinSet::new();
        for client in 0..self.consumers.len() {
            for _ in 0..self.receives {
                receivers.spawn(Arc::clone(&self).receive(client));
            }
        }
        receivers
    }

    fn move_on(&self, channel: usize) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.move_to_next(channel))
    }

    fn strays(&self) -> Strays {
        Strays {
            acks_too_late: self.acks_too_late.load(Ordering::Relaxed),
            astray: self.astray.load(Ordering::Relaxed),
        }
    }
}
