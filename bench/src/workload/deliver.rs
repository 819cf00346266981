//! The whole way of a message at a server that is already there: sent, delivered, acked, over many
//! channels with an exclusive consumer each, all held by one client.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use super::FAILURES_MAX;
use super::cpu::{Cpu, resident_bytes};
use super::stamp::Stamp;
use super::unacked::{Fate, Redelivery, Unacked};
use crate::Result;
use crate::args::DeliverArgs;
use crate::latency::{Latencies, LatencySummary};
use crate::systems::{self, Connection, Consumer, Holding};

/// With nothing acked for so long, something is lost.
const STALL_MAX: Duration = Duration::from_secs(30);
const CONNECTIONS: usize = 8;

/// What one round found.
#[derive(Debug, Serialize)]
pub(crate) struct Round {
    /// Messages whose ack came in the measured time.
    appends: u64,
    /// Sends that were refused, in the warm-up too; they count nowhere else.
    failed: u64,
    seconds: f64,
    /// Whole cycles.
    appends_per_second: f64,
    /// From the start of the send to the message in the consumer's hand.
    delivery: LatencySummary,
    /// From the start of the send to the end of the ack.
    latency: LatencySummary,
    messages_per_receive: f64,
    /// Messages that came a second time.
    redelivered: u64,
    server_cpu_seconds_per_million: f64,
    generator_cpu_seconds_per_million: f64,
    /// Of the server, before and after the consumers were made, and at the end.
    resident_bytes_before_consumers: u64,
    resident_bytes_with_consumers: u64,
    server_resident_bytes: u64,
    /// How long it took to make all consumers.
    consumers_seconds: f64,
    #[serde(flatten)]
    redelivery: Option<Redelivery>,
}

/// Runs one round; some messages may be left unacknowledged at first, and count in no cycle.
pub(crate) async fn run(args: &DeliverArgs, unacked: Option<Unacked>) -> Result<Round> {
    let resident_bytes_before_consumers = resident_bytes(&args.server.pids)?;
    let mut connections = Vec::new();
    for number in 0..CONNECTIONS {
        connections.push(systems::connect(args.server.system, args.server.address, number).await?);
    }
    let begun = Instant::now();
    let holding = Holding {
        client: 0,
        group: args.group.clone(),
        channels: 0..unacked.as_ref().map_or(args.channels.get(), |some| some.channels().end),
        invisible: unacked.as_ref().map(Unacked::invisible),
    };
    let consumer = systems::consume(args.server.system, args.server.address, holding).await?;
    let consumers_seconds = begun.elapsed().as_secs_f64();
    let resident_bytes_with_consumers = resident_bytes(&args.server.pids)?;
    let flow = Arc::new(Flow::new(args, unacked));
    let mut producers = JoinSet::new();
    for connection in connections.iter().cycle().take(args.in_flight.get()) {
        producers.spawn(Arc::clone(&flow).produce(Arc::clone(connection)));
    }
    let mut consumers = JoinSet::new();
    for _ in 0..args.receives.get() {
        consumers.spawn(Arc::clone(&flow).consume(Arc::clone(&consumer)));
    }
    sleep_until(flow.from.into()).await;
    let cpu_from = Cpu::now(&args.server.pids)?;
    sleep_until(flow.until.into()).await;
    let cpu = Cpu::now(&args.server.pids)?.since(cpu_from);
    let mut taken = Taken::new()?;
    while let Some(consumer) = consumers.join_next().await {
        taken.add(&consumer??)?;
    }
    while let Some(producer) = producers.join_next().await {
        producer??;
    }
    let (appends, seconds) = (taken.whole.count(), (flow.until - flow.from).as_secs_f64());
    let per_million = |time: Duration| time.as_secs_f64() / appends.max(1) as f64 * 1e6;
    Ok(Round {
        appends,
        failed: flow.failed.load(Ordering::Relaxed),
        seconds,
        appends_per_second: appends as f64 / seconds,
        delivery: taken.delivery.summary(),
        latency: taken.whole.summary(),
        messages_per_receive: taken.messages as f64 / taken.receives.max(1) as f64,
        redelivered: taken.redelivered,
        server_cpu_seconds_per_million: per_million(cpu.server),
        generator_cpu_seconds_per_million: per_million(cpu.generator),
        resident_bytes_before_consumers,
        resident_bytes_with_consumers,
        server_resident_bytes: resident_bytes(&args.server.pids)?,
        consumers_seconds,
        redelivery: flow.unacked.as_ref().map(Unacked::found),
    })
}

/// What producers and consumers share.
#[derive(Debug)]
struct Flow {
    /// A permit for each message between send and ack.
    places: Semaphore,
    next: AtomicUsize,
    failed: AtomicU64,
    channels: usize,
    body_bytes: usize,
    unacked: Option<Unacked>,
    /// Bodies tell moments from here on.
    zero: Instant,
    from: Instant,
    until: Instant,
}

impl Flow {
    fn new(args: &DeliverArgs, unacked: Option<Unacked>) -> Self {
        let zero = Instant::now();
        let from = zero + Duration::from_secs(args.time.warmup_seconds);
        Self {
            places: Semaphore::new(args.in_flight.get()),
            next: AtomicUsize::new(0),
            failed: AtomicU64::new(0),
            channels: args.channels.get(),
            body_bytes: args.body_bytes,
            unacked,
            zero,
            from,
            until: from + Duration::from_secs(args.time.seconds),
        }
    }

    async fn produce(self: Arc<Self>, connection: Arc<dyn Connection>) -> Result<()> {
        while Instant::now() < self.until {
            let place = timeout(STALL_MAX, self.places.acquire()).await;
            // Closed when the time is over.
            let Ok(place) = place.map_err(|_| "messages do not come back")? else { return Ok(()) };
            place.forget();
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let apart = self.unacked.as_ref().and_then(|unacked| unacked.channel_of(number));
            let channel = apart.unwrap_or(number % self.channels);
            let stamp = Stamp { channel, number, due: Instant::now() };
            let body = stamp.body(self.zero, self.body_bytes)?;
            // A broker may refuse while it is busy; the place is free again then.
            if let Err(error) = connection.append(channel, body).await {
                if self.failed.fetch_add(1, Ordering::Relaxed) >= FAILURES_MAX {
                    return Err(error);
                }
                self.places.add_permits(1);
            }
        }
        Ok(())
    }

    async fn consume(self: Arc<Self>, consumer: Arc<dyn Consumer>) -> Result<Taken> {
        let mut taken = Taken::new()?;
        while Instant::now() < self.until || self.is_waiting() {
            let deliveries = consumer.receive().await?;
            let received_at = Instant::now();
            if deliveries.is_empty() {
                continue;
            }
            let (mut cycles, mut acks, mut places) = (Vec::new(), Vec::new(), 0);
            for delivery in &deliveries {
                taken.redelivered += u64::from(delivery.again);
                // Of what others sent before only the ack is of interest.
                let stamp = Stamp::read(&delivery.body, self.zero);
                let fate = stamp.map(|stamp| self.fate_of(stamp, received_at));
                if fate != Some(Fate::Leave) {
                    // Each alone, as the SDKs do.
                    acks.push(consumer.ack(delivery));
                }
                if fate == Some(Fate::Cycle) {
                    cycles.extend(stamp.map(|stamp| stamp.due));
                }
                places += usize::from(matches!(fate, Some(Fate::Cycle | Fate::Leave)));
            }
            if try_join_all(acks).await?.contains(&false) {
                return Err("an ack came too late".into());
            }
            let acked_at = Instant::now();
            taken.receives += 1;
            taken.messages += deliveries.len() as u64;
            if (self.from..self.until).contains(&acked_at) {
                for sent_at in cycles {
                    taken.delivery.record(received_at - sent_at);
                    taken.whole.record(acked_at - sent_at);
                }
            }
            self.places.add_permits(places);
        }
        self.places.close();
        Ok(taken)
    }

    fn fate_of(&self, stamp: Stamp, now: Instant) -> Fate {
        self.unacked.as_ref().map_or(Fate::Cycle, |unacked| unacked.take(stamp.channel, now))
    }

    fn is_waiting(&self) -> bool {
        self.unacked.as_ref().is_some_and(Unacked::is_waiting)
    }
}

/// What a consumer saw.
#[derive(Debug)]
struct Taken {
    delivery: Latencies,
    whole: Latencies,
    receives: u64,
    messages: u64,
    redelivered: u64,
}

impl Taken {
    fn new() -> Result<Self> {
        let (delivery, whole) = (Latencies::new()?, Latencies::new()?);
        Ok(Self { delivery, whole, receives: 0, messages: 0, redelivered: 0 })
    }

    fn add(&mut self, other: &Self) -> Result<()> {
        self.receives += other.receives;
        self.messages += other.messages;
        self.redelivered += other.redelivered;
        self.delivery.add(&other.delivery)?;
        self.whole.add(&other.whole)
    }
}
