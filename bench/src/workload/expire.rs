//! Many lite topics that are due at the same moment: how soon they are gone, and what others feel of it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until};

use super::create::{self, Created};
use crate::args::{Common, ExpireArgs};
use crate::client::Client;
use crate::latency::{Latencies, LatencySummary};
use crate::machine::MachineBefore;
use crate::messages::{Messages, TOPIC};
use crate::report::{Report, Table, micros};
use crate::server::LiteMq;
use crate::{Result, http};

/// The least that a time to live can be.
const TTL: Duration = Duration::from_secs(60);
/// Longer than it should ever take.
const GONE_MAX: Duration = Duration::from_secs(300);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
const CONNECTIONS: usize = 4;
/// How often the open loop sends what has come due.
const TURN: Duration = Duration::from_millis(2);
/// How late the last sends may be answered.
const LATE_MAX: Duration = Duration::from_secs(1);

#[derive(Debug, Serialize)]
struct ExpireReading {
    lite_topics: usize,
    created: Created,
    /// From the moment when all were due until the last was gone.
    gone_after_seconds: f64,
    before: LatencySummary,
    during: LatencySummary,
    after: LatencySummary,
}

/// A send: when it was due, and how long after that it was answered.
type Sample = (Instant, Duration);

pub(crate) async fn run(common: &Common, args: &ExpireArgs) -> Result<Report> {
    let litemq = LiteMq::new(common, &[], "", None)?;
    let machine = MachineBefore::look(litemq.folder()).await?;
    let server = litemq.start().await?.running;
    let count = args.lite_topics.get();
    let created = create::create(&args.create, server.address, count).await?;
    let all_idle_at = tokio::time::Instant::now() + TTL + Duration::from_secs(1);

    let phase = Duration::from_secs(args.seconds);
    sleep_until(all_idle_at - phase).await;
    let samples = Arc::new(Mutex::new(Vec::new()));
    let load = tokio::spawn(send(args.clone(), server.address, Arc::clone(&samples)));
    let before = Instant::now();
    sleep_until(all_idle_at).await;
    let alive = http::metric(litemq.http, "litemq_lite_topics").await? as usize;
    if alive != count + args.busy_lite_topics.get() {
        return Err(format!("{alive} lite topics are alive before any is due").into());
    }
    let due = Instant::now();
    http::patch(litemq.http, &format!("/api/v1/topics/{TOPIC}"), r#"{"ttl":"1m"}"#).await?;
    while http::metric(litemq.http, "litemq_lite_topics").await? as usize > alive - count {
        if due.elapsed() > GONE_MAX {
            return Err(format!("not all are gone {GONE_MAX:?} after they were due").into());
        }
        sleep(LOOK_INTERVAL).await;
    }
    let gone = Instant::now();
    sleep(phase).await;
    let end = Instant::now();
    sleep(LATE_MAX).await;
    load.abort();
    match load.await {
        Ok(failed) => failed?,
        Err(aborted) if aborted.is_cancelled() => {}
        Err(panicked) => return Err(panicked.into()),
    }
    server.stop().await?;

    let samples = samples.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let reading = ExpireReading {
        lite_topics: count,
        created,
        gone_after_seconds: (gone - due).as_secs_f64(),
        before: summary(&samples, before, due)?,
        during: summary(&samples, due, gone)?,
        after: summary(&samples, gone, end)?,
    };
    Ok(Report {
        workload: "expire",
        server: litemq.version().await?,
        command: std::env::args().collect(),
        machine: machine.and_after(litemq.folder()).await?,
        tables: vec![table(args, &reading)],
        readings: serde_json::to_value(&reading)?,
    })
}

/// Sends to lite topics that live on, at a fixed rate whatever the answers do.
async fn send(
    args: ExpireArgs,
    address: SocketAddr,
    samples: Arc<Mutex<Vec<Sample>>>,
) -> Result<()> {
    let mut clients = Vec::with_capacity(CONNECTIONS);
    for number in 0..CONNECTIONS {
        clients.push(Client::connect(address, &format!("busy-{number}")).await?);
    }
    let messages = Messages::new(args.create.body_bytes);
    let (first, busy) = (args.lite_topics.get(), args.busy_lite_topics.get());
    let mut turns = interval(TURN);
    turns.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sends: JoinSet<Result<()>> = JoinSet::new();
    let (begun, mut sent) = (Instant::now(), 0);
    for client in clients.iter().cycle() {
        let due = begun + Duration::from_secs_f64(f64::from(sent) / f64::from(args.rate.get()));
        while due > Instant::now() {
            turns.tick().await;
        }
        let request = messages.request_to(first + sent as usize % busy);
        let (mut client, samples) = (client.clone(), Arc::clone(&samples));
        sends.spawn(async move {
            client.send(request).await?;
            samples.lock().unwrap_or_else(PoisonError::into_inner).push((due, due.elapsed()));
            Ok(())
        });
        while let Some(done) = sends.try_join_next() {
            done??;
        }
        sent += 1;
    }
    Ok(())
}

fn summary(samples: &[Sample], from: Instant, to: Instant) -> Result<LatencySummary> {
    let mut latencies = Latencies::new()?;
    for (_, latency) in samples.iter().filter(|(at, _)| (from..to).contains(at)) {
        latencies.record(*latency);
    }
    Ok(latencies.summary())
}

fn table(args: &ExpireArgs, reading: &ExpireReading) -> Table {
    let phases = [
        ("before", &reading.before),
        ("while they are removed", &reading.during),
        ("after", &reading.after),
    ];
    let row = |(phase, latency): (&str, &LatencySummary)| {
        vec![
            phase.to_owned(),
            latency.count.to_string(),
            micros(latency.p50_us),
            micros(latency.p99_us),
            micros(latency.p999_us),
            micros(latency.max_us),
            format!("{:.1}", latency.p99_us / reading.before.p99_us),
        ]
    };
    Table {
        title: format!(
            "{} lite topics due at the same moment, gone after {:.1} s ({:.0}/s); beside them {} \
             sends/s to {} others, open loop",
            reading.lite_topics,
            reading.gone_after_seconds,
            reading.lite_topics as f64 / reading.gone_after_seconds,
            args.rate,
            args.busy_lite_topics
        ),
        columns: vec!["when", "sends", "p50", "p99", "p99.9", "max", "p99 beside before"],
        rows: phases.into_iter().map(row).collect(),
    }
}
