//! Clients that say again and again what they are subscribed to, each with many lite topics of its
//! own, at a server that is already there: what that costs, and what a subscription takes.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout_at};

use super::FAILURES_MAX;
use super::cpu::{Cpu, resident_bytes};
use super::stamp::Stamp;
use crate::Result;
use crate::args::SubscriptionsArgs;
use crate::client::Client;
use crate::latency::{Latencies, LatencySummary};
use crate::messages::{Messages, lite_name};
use crate::systems::System;

const GROUP: &str = "consumers";
/// First syncs under way at a time.
const FIRST_SYNCS: usize = 8;
/// Of the receive that each client has waiting, as in the SDKs.
const RECEIVE_WAIT: Duration = Duration::from_secs(20);
const RECEIVE_MAX: i32 = 32;
/// A message that did not come so long after the last send is missing.
const LAST_MAX: Duration = Duration::from_secs(10);
/// Messages that were received and not looked at yet.
const ARRIVALS_MAX: usize = 1 << 16;
/// From the first syncs until what follows them is over: first receives, and a checkpoint.
const SETTLE: Duration = Duration::from_secs(5);
/// How long the clients rest then, as a part of a period.
const REST_PART: u32 = 3;

/// What one round found.
#[derive(Debug, Serialize)]
pub(crate) struct Round {
    subscriptions: u64,
    /// Names said again, in the periods without messages.
    appends: u64,
    /// Calls of any kind that were refused.
    failed: u64,
    seconds: f64,
    /// Names said again.
    appends_per_second: f64,
    /// Of a sync, from the moment when it was due.
    latency: LatencySummary,
    first_syncs_names_per_second: f64,
    /// Before the clients, with them and all they are subscribed to, and at the end.
    resident_bytes_before: u64,
    resident_bytes_subscribed: u64,
    server_resident_bytes: u64,
    /// What a subscription takes, its client's part of all else included.
    subscription_bytes: f64,
    /// Of one core, while clients only wait for messages and send heartbeats.
    rest_cpu_percent: f64,
    /// The same with syncs.
    server_cpu_percent: f64,
    server_cpu_us_per_name: f64,
    server_cpu_seconds_per_million: f64,
    generator_cpu_seconds_per_million: f64,
    traffic: Traffic,
    /// Sent, and never delivered.
    missing: usize,
}

/// Sparse messages beside syncs.
#[derive(Debug, Serialize)]
struct Traffic {
    messages: usize,
    /// From when a message was due into its reader's hand.
    delivery: LatencySummary,
    sync: LatencySummary,
    server_cpu_percent: f64,
}

/// Runs one round.
pub(crate) async fn run(args: &SubscriptionsArgs) -> Result<Round> {
    if args.server.system != System::Rocketmq {
        return Err("its clients do not say what they are subscribed to".into());
    }
    let load = Arc::new(Load::new(args).await?);
    let pids = &args.server.pids;
    let resident_bytes_before = resident_bytes(pids)?;
    let first = load.subscribe_all().await?;
    let (arrivals, mut arrived) = mpsc::channel(ARRIVALS_MAX);
    let mut receivers = load.receive_all(&arrivals);
    sleep(SETTLE).await;
    let rest = Watch::start(pids)?;
    sleep(load.period / REST_PART).await;
    let rest = rest.stop()?;
    let resident_bytes_subscribed = resident_bytes(pids)?;

    let quiet = Watch::start(pids)?;
    let syncs = load.sync_all(args.periods.get()).await?;
    let quiet = quiet.stop()?;

    let busy = Watch::start(pids)?;
    let (beside, sent) = tokio::try_join!(load.sync_all(1), load.send_all(args))?;
    let busy = busy.stop()?;
    let traffic = load.collect(sent, &mut arrived).await?;
    if let Some(ended) = receivers.try_join_next() {
        ended??;
    }

    let subscriptions = load.subscriptions() as u64;
    let appends = syncs.count() * args.names.get() as u64;
    let per_million = |time: Duration| time.as_secs_f64() / appends.max(1) as f64 * 1e6;
    Ok(Round {
        subscriptions,
        appends,
        failed: load.failed.load(Ordering::Relaxed),
        seconds: quiet.seconds,
        appends_per_second: appends as f64 / quiet.seconds,
        latency: syncs.summary(),
        first_syncs_names_per_second: subscriptions as f64 / first.as_secs_f64(),
        resident_bytes_before,
        resident_bytes_subscribed,
        server_resident_bytes: resident_bytes(pids)?,
        subscription_bytes: resident_bytes_subscribed.saturating_sub(resident_bytes_before) as f64
            / subscriptions as f64,
        rest_cpu_percent: rest.server_percent(),
        server_cpu_percent: quiet.server_percent(),
        server_cpu_us_per_name: per_million(quiet.cpu.server),
        server_cpu_seconds_per_million: per_million(quiet.cpu.server),
        generator_cpu_seconds_per_million: per_million(quiet.cpu.generator),
        missing: traffic.missing,
        traffic: Traffic {
            messages: traffic.messages,
            delivery: traffic.delivery.summary(),
            sync: beside.summary(),
            server_cpu_percent: busy.server_percent(),
        },
    })
}

/// The clients, and what they have in common.
#[derive(Debug)]
struct Load {
    clients: Vec<Client>,
    /// Channels of each client.
    names: usize,
    period: Duration,
    failed: AtomicU64,
    /// Bodies tell moments from here on.
    zero: Instant,
}

/// A message that reached its reader.
type Arrival = (Stamp, Instant);

/// What became of the messages that were sent.
struct Collected {
    messages: usize,
    missing: usize,
    delivery: Latencies,
}

impl Load {
    async fn new(args: &SubscriptionsArgs) -> Result<Self> {
        let mut connections = Vec::new();
        for number in 0..args.connections.get() {
            let id = format!("bench-connection-{number}");
            connections.push(Client::connect(args.server.address, &id).await?);
        }
        let turns = connections.iter().cycle().take(args.clients.get()).enumerate();
        let named =
            turns.map(|(number, connection)| connection.beside(&format!("bench-client-{number}")));
        Ok(Self {
            clients: named.collect::<Result<_>>()?,
            names: args.names.get(),
            period: Duration::from_secs(args.period_seconds.get().into()),
            failed: AtomicU64::new(0),
            zero: Instant::now(),
        })
    }

    fn subscriptions(&self) -> usize {
        self.clients.len() * self.names
    }

    /// What a client is subscribed to.
    fn names_of(&self, client: usize) -> Vec<String> {
        let channels: Range<usize> = client * self.names..(client + 1) * self.names;
        channels.map(lite_name).collect()
    }

    /// All clients come, and say for the first time what they want; how long the latter took.
    async fn subscribe_all(&self) -> Result<Duration> {
        for client in &self.clients {
            client.clone().introduce(GROUP).await?;
        }
        let begun = Instant::now();
        let syncs = self.clients.iter().enumerate().map(|(number, client)| async move {
            client.clone().subscribe_to_exactly(GROUP, self.names_of(number)).await
        });
        stream::iter(syncs).buffer_unordered(FIRST_SYNCS).try_collect::<()>().await?;
        Ok(begun.elapsed())
    }

    /// Each client says it again in each period, one after the other.
    async fn sync_all(self: &Arc<Self>, periods: u32) -> Result<Latencies> {
        let begun = Instant::now();
        let mut syncs = JoinSet::new();
        for number in 0..self.clients.len() {
            let mut due = begun + self.period.mul_f64(number as f64 / self.clients.len() as f64);
            let load = Arc::clone(self);
            syncs.spawn(async move {
                let mut latencies = Latencies::new()?;
                for _ in 0..periods {
                    sleep_until(due.into()).await;
                    if load.sync(number).await? {
                        latencies.record(due.elapsed());
                    }
                    due += load.period;
                }
                Result::Ok(latencies)
            });
        }
        let mut latencies = Latencies::new()?;
        while let Some(sync) = syncs.join_next().await {
            latencies.add(&sync??)?;
        }
        sleep_until((begun + self.period * periods).into()).await;
        Ok(latencies)
    }

    async fn sync(&self, number: usize) -> Result<bool> {
        let client = self.clients.get(number).ok_or("no such client")?;
        let answer = client.clone().subscribe_to_exactly(GROUP, self.names_of(number)).await;
        self.is_good(answer)
    }

    /// Messages to channels at random, whatever their answers do; the numbers of those that the
    /// server holds.
    async fn send_all(self: &Arc<Self>, args: &SubscriptionsArgs) -> Result<BTreeSet<usize>> {
        let messages = Arc::new(Messages::new(0));
        let (begun, rate) = (Instant::now(), f64::from(args.rate.get()));
        let mut sends = JoinSet::new();
        for number in 0..(self.period.as_secs_f64() * rate) as usize {
            let due = begun + Duration::from_secs_f64(number as f64 / rate);
            sleep_until(due.into()).await;
            let channel = scatter(number, self.subscriptions());
            let client = self.clients.get(channel / self.names).ok_or("no such client")?;
            let (mut client, load) = (client.clone(), Arc::clone(self));
            // A number is enough to tell messages apart.
            let stamp = Stamp { channel: 0, number, due };
            let mut message = messages.to(channel);
            message.body = stamp.body(self.zero, args.body_bytes)?;
            sends.spawn(async move {
                let request = litemq_protocol::v2::SendMessageRequest { messages: vec![message] };
                Result::Ok(load.is_good(client.send(request).await)?.then_some(number))
            });
        }
        let mut sent = BTreeSet::new();
        while let Some(send) = sends.join_next().await {
            sent.extend(send??);
        }
        Ok(sent)
    }

    /// Each client has a receive waiting, and acks what it gets.
    fn receive_all(self: &Arc<Self>, arrivals: &mpsc::Sender<Arrival>) -> JoinSet<Result<()>> {
        let mut receivers = JoinSet::new();
        for client in self.clients.iter().cloned() {
            receivers.spawn(Arc::clone(self).receive(client, arrivals.clone()));
        }
        receivers
    }

    async fn receive(
        self: Arc<Self>,
        mut client: Client,
        arrivals: mpsc::Sender<Arrival>,
    ) -> Result<()> {
        loop {
            let messages = client.receive(GROUP, RECEIVE_MAX, RECEIVE_WAIT, None).await?;
            let now = Instant::now();
            if messages.is_empty() {
                continue;
            }
            for stamp in messages.iter().filter_map(|found| Stamp::read(&found.body, self.zero)) {
                arrivals.send((stamp, now)).await?;
            }
            client.ack(GROUP, &messages).await?;
        }
    }

    /// Waits for what was sent.
    async fn collect(
        &self,
        mut sent: BTreeSet<usize>,
        arrived: &mut mpsc::Receiver<Arrival>,
    ) -> Result<Collected> {
        let (messages, mut delivery) = (sent.len(), Latencies::new()?);
        let until = Instant::now() + LAST_MAX;
        while !sent.is_empty() {
            let Ok(Some((stamp, at))) = timeout_at(until.into(), arrived.recv()).await else {
                break;
            };
            if sent.remove(&stamp.number) {
                delivery.record(at.saturating_duration_since(stamp.due));
            }
        }
        Ok(Collected { messages, missing: sent.len(), delivery })
    }

    /// Counts what was refused; too much of it is an error.
    fn is_good(&self, answer: Result<()>) -> Result<bool> {
        match answer {
            Ok(()) => Ok(true),
            Err(error) if self.failed.fetch_add(1, Ordering::Relaxed) >= FAILURES_MAX => Err(error),
            Err(_) => Ok(false),
        }
    }
}

/// Numbers below a bound, as if at random, the same in each run.
fn scatter(number: usize, below: usize) -> usize {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let mixed = (number as u64 + 1).wrapping_mul(GOLDEN);
    ((u128::from(mixed) * below as u128) >> 64) as usize
}

/// Processor time of a phase.
struct Watch<'a> {
    pids: &'a [u32],
    begun: Instant,
    from: Cpu,
}

struct Spent {
    cpu: Cpu,
    seconds: f64,
}

impl<'a> Watch<'a> {
    fn start(pids: &'a [u32]) -> Result<Self> {
        Ok(Self { pids, begun: Instant::now(), from: Cpu::now(pids)? })
    }

    fn stop(self) -> Result<Spent> {
        let cpu = Cpu::now(self.pids)?.since(self.from);
        Ok(Spent { cpu, seconds: self.begun.elapsed().as_secs_f64() })
    }
}

impl Spent {
    fn server_percent(&self) -> f64 {
        100.0 * self.cpu.server.as_secs_f64() / self.seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scattered_numbers_stay_below_their_bound_and_differ() {
        let found: BTreeSet<usize> = (0..1000).map(|number| scatter(number, 2000)).collect();
        assert!(found.iter().all(|number| *number < 2000));
        assert!(found.len() > 500, "{}", found.len());
    }
}
