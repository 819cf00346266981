//! A wave of lite topics whose time is over: how soon they are gone, and what others feel of it.

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
use crate::messages::Messages;
use crate::report::{Report, Table, micros};
use crate::server::LiteMq;
use crate::{Result, http};

/// The least that a time to live can be.
const TTL: Duration = Duration::from_secs(60);
const TTL_SETTING: &str = "1m";
/// Longer than it should ever take.
const GONE_MAX: Duration = Duration::from_secs(300);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
const LOG_BYTES: &str = "litemq_storage_log_bytes_total";
const DISK_BYTES: &str = "rocketmq_storage_size";
const COMPACTED_BYTES: &str = "litemq_storage_compacted_bytes_total";
const MIB: f64 = (1 << 20) as f64;
const CONNECTIONS: usize = 4;
/// How often the open loop sends what has come due.
const TURN: Duration = Duration::from_millis(2);
/// How late the last sends may be answered.
const LATE_MAX: Duration = Duration::from_secs(1);

#[derive(Debug, Serialize)]
struct ExpireReading {
    lite_topics: usize,
    created: Created,
    /// From the moment when the last was due until it was gone.
    gone_after_seconds: f64,
    space: Space,
    before: LatencySummary,
    during: LatencySummary,
    after: LatencySummary,
}

/// What becomes of the space on the disk.
#[derive(Debug, Serialize)]
struct Space {
    /// Log bytes that their creation took.
    created_bytes: f64,
    /// All files, before the first was due.
    before_bytes: f64,
    /// All files at the end, with what was sent meanwhile.
    after_bytes: f64,
    given_back_bytes: f64,
    /// From the moment when the last was gone until no more came back.
    given_back_seconds: f64,
}

/// A send: when it was due, and how long after that it was answered.
type Sample = (Instant, Duration);

pub(crate) async fn run(common: &Common, args: &ExpireArgs) -> Result<Report> {
    let litemq = LiteMq::new(common, &[], "", Some(TTL_SETTING))?;
    let machine = MachineBefore::look(litemq.folder()).await?;
    let server = litemq.start().await?.running;
    let (count, over) = (args.lite_topics.get(), Duration::from_secs(args.over_seconds));
    let log_bytes = http::metric(litemq.http, LOG_BYTES).await?;
    let first_due = Instant::now() + TTL;
    let created = create::create(&args.create, server.address, count, over).await?;
    let last_due = Instant::now() + TTL;
    let created_bytes = http::metric(litemq.http, LOG_BYTES).await? - log_bytes;

    let phase = Duration::from_secs(args.seconds);
    if Instant::now() + phase > first_due {
        return Err("the lite topics were made too slowly".into());
    }
    sleep_until((first_due - phase).into()).await;
    let samples = Arc::new(Mutex::new(Vec::new()));
    let load = tokio::spawn(send(args.clone(), server.address, Arc::clone(&samples)));
    let before = Instant::now();
    sleep_until((first_due - LOOK_INTERVAL).into()).await;
    let alive = http::metric(litemq.http, "litemq_lite_topics").await? as usize;
    if alive != count + args.busy_lite_topics.get() {
        return Err(format!("{alive} lite topics are alive before any is due").into());
    }
    let before_bytes = http::metric(litemq.http, DISK_BYTES).await?;
    sleep_until(first_due.into()).await;
    while http::metric(litemq.http, "litemq_lite_topics").await? as usize > alive - count {
        if Instant::now() > last_due + GONE_MAX {
            return Err(format!("not all are gone {GONE_MAX:?} after they were due").into());
        }
        sleep(LOOK_INTERVAL).await;
    }
    let gone = Instant::now();
    let mut space = Space {
        created_bytes,
        before_bytes,
        after_bytes: 0.0,
        given_back_bytes: 0.0,
        given_back_seconds: 0.0,
    };
    while gone.elapsed() < Duration::from_secs(args.space_seconds) {
        sleep(LOOK_INTERVAL).await;
        let given_back_bytes = http::metric(litemq.http, COMPACTED_BYTES).await?;
        if given_back_bytes > space.given_back_bytes {
            space.given_back_bytes = given_back_bytes;
            space.given_back_seconds = gone.elapsed().as_secs_f64();
        }
    }
    space.after_bytes = http::metric(litemq.http, DISK_BYTES).await?;
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
        gone_after_seconds: (gone - last_due).as_secs_f64(),
        space,
        before: summary(&samples, before, first_due)?,
        during: summary(&samples, first_due, gone)?,
        after: summary(&samples, gone, end)?,
    };
    Ok(Report {
        workload: "expire",
        server: litemq.version().await?,
        command: std::env::args().collect(),
        machine: machine.and_after(litemq.folder()).await?,
        tables: vec![table(args, &reading), space_table(&reading)],
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
            "{} lite topics due within {:.0} s, the last gone {:.1} s later; beside them {} sends/s to {} \
             others, open loop",
            reading.lite_topics,
            reading.created.seconds,
            reading.gone_after_seconds,
            args.rate,
            args.busy_lite_topics
        ),
        columns: vec!["when", "sends", "p50", "p99", "p99.9", "max", "p99 beside before"],
        rows: phases.into_iter().map(row).collect(),
    }
}

fn space_table(reading: &ExpireReading) -> Table {
    let space = &reading.space;
    let mib = |bytes: f64| format!("{:.0}", bytes / MIB);
    Table {
        title: "Their space on the disk, MiB; the sends go on, and go to segments made ahead"
            .into(),
        columns: vec![
            "log of their creation",
            "files before",
            "files at the end",
            "given back",
            "until",
        ],
        rows: vec![vec![
            mib(space.created_bytes),
            mib(space.before_bytes),
            mib(space.after_bytes),
            mib(space.given_back_bytes),
            format!("{:.1} s", space.given_back_seconds),
        ]],
    }
}
