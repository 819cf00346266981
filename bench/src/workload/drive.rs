//! One round of load against a server that is already there: appends to many channels, at the
//! ceiling (closed loop), at a fixed rate (open loop), or one to each of many new channels.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::try_join_all;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::FAILURES_MAX;
use super::cpu::{Cpu, resident_bytes};
use super::pace::{Pace, Ticket};
use crate::Result;
use crate::args::DriveArgs;
use crate::latency::{Latencies, LatencySummary};
use crate::systems::{self, Connection};

/// What one round found.
#[derive(Debug, Serialize)]
pub(crate) struct Round {
    /// Answers in the measured time.
    appends: u64,
    /// Refused, in the warm-up too; they count nowhere else.
    failed: u64,
    /// What was said of the first of them.
    first_failure: Option<String>,
    seconds: f64,
    appends_per_second: f64,
    /// Of an open loop: what was asked for.
    offered_per_second: Option<f64>,
    /// Of an open loop: what had not even begun when the time was over. It counts in the latencies
    /// with the time it had waited by then.
    not_begun: u64,
    /// From the moment a request was due; in a closed loop that is when it was made.
    latency: LatencySummary,
    server_cpu_seconds_per_million: f64,
    generator_cpu_seconds_per_million: f64,
    /// Of all processes of the server, at the end.
    server_resident_bytes: u64,
}

/// Runs one round.
pub(crate) async fn run(args: &DriveArgs) -> Result<Round> {
    let connections = connect(args).await?;
    let load = Arc::new(Load {
        pace: pace(args),
        body: Bytes::from(vec![b'x'; args.body_bytes]),
        channels: args.channels.get(),
        create: args.create,
        failed: AtomicU64::new(0),
        first_failure: OnceLock::new(),
    });
    let clock = load.start_clock();
    let mut workers = JoinSet::new();
    for connection in connections.iter().cycle().take(args.in_flight.get()) {
        workers.spawn(Arc::clone(&load).work(Arc::clone(connection)));
    }
    let pace = &load.pace;
    sleep_until(pace.from().into()).await;
    let cpu_from = Cpu::now(&args.server.pids)?;
    let mut cpu_until = None;
    if let Some(until) = pace.until() {
        sleep_until(until.into()).await;
        cpu_until = Some(Cpu::now(&args.server.pids)?);
    }
    let mut latencies = Latencies::new()?;
    while let Some(worker) = workers.join_next().await {
        latencies.add(&worker??)?;
    }
    let until = pace.until().unwrap_or_else(Instant::now);
    let cpu = cpu_until.map_or_else(|| Cpu::now(&args.server.pids), Ok)?.since(cpu_from);
    clock.await?;
    let appends = latencies.count();
    let not_begun = pace.not_begun(&mut latencies);
    let seconds = (until - pace.from()).as_secs_f64();
    let per_million = |time: Duration| time.as_secs_f64() / appends.max(1) as f64 * 1e6;
    Ok(Round {
        appends,
        failed: load.failed.load(Ordering::Relaxed),
        first_failure: load.first_failure.get().cloned(),
        seconds,
        appends_per_second: appends as f64 / seconds,
        offered_per_second: args.rate,
        not_begun,
        latency: latencies.summary(),
        server_cpu_seconds_per_million: per_million(cpu.server),
        generator_cpu_seconds_per_million: per_million(cpu.generator),
        server_resident_bytes: resident_bytes(&args.server.pids)?,
    })
}

/// Connects, and makes the channels where they have to be made.
async fn connect(args: &DriveArgs) -> Result<Vec<Arc<dyn Connection>>> {
    let mut connections = Vec::new();
    for number in 0..args.connections.get() {
        connections.push(systems::connect(args.server.system, args.server.address, number).await?);
    }
    if !args.create {
        let channels = args.channels.get();
        try_join_all(connections.iter().enumerate().map(|(first, connection)| async move {
            for channel in (first..channels).step_by(args.connections.get()) {
                connection.prepare(channel).await?;
            }
            Result::Ok(())
        }))
        .await?;
    }
    Ok(connections)
}

fn pace(args: &DriveArgs) -> Pace {
    let warmup = Duration::from_secs(args.time.warmup_seconds);
    let time = Duration::from_secs(args.time.seconds);
    match (args.count, args.rate) {
        _ if args.create => Pace::count(args.channels.get()),
        (Some(count), _) => Pace::count(count),
        (None, Some(rate)) => Pace::rate(rate, warmup, time),
        (None, None) => Pace::ceiling(warmup, time),
    }
}

/// What the workers share.
#[derive(Debug)]
struct Load {
    pace: Pace,
    body: Bytes,
    channels: usize,
    create: bool,
    failed: AtomicU64,
    first_failure: OnceLock<String>,
}

impl Load {
    fn start_clock(self: &Arc<Self>) -> tokio::task::JoinHandle<()> {
        let load = Arc::clone(self);
        tokio::task::spawn_blocking(move || load.pace.run_clock())
    }

    /// One request at a time, until it is over.
    async fn work(self: Arc<Self>, connection: Arc<dyn Connection>) -> Result<Latencies> {
        let mut latencies = Latencies::new()?;
        while let Some(Ticket { number, due }) = self.pace.next().await {
            let (channel, body) = (number % self.channels, self.body.clone());
            let answer = match self.create {
                true => connection.create(channel, body).await,
                false => connection.append(channel, body).await,
            };
            let now = Instant::now();
            match answer {
                Ok(()) if self.pace.counts(due, now) => latencies.record(now - due),
                Ok(()) => {}
                Err(error) if self.failed.fetch_add(1, Ordering::Relaxed) >= FAILURES_MAX => {
                    return Err(error);
                }
                Err(error) => {
                    self.first_failure.get_or_init(|| error.to_string());
                }
            }
        }
        Ok(latencies)
    }
}
