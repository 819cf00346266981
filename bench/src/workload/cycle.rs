//! The whole way of a message: sent, delivered by long poll, acked. One consumer holds all lite
//! topics, as an agent's gateway does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::future::try_join_all;
use litemq_protocol::v2::{Message, SendMessageRequest};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use crate::args::{Common, CycleArgs};
use crate::client::Client;
use crate::latency::{Latencies, LatencySummary, median};
use crate::machine::MachineBefore;
use crate::messages::{Messages, lite_name};
use crate::report::{Report, Table, micros};
use crate::server::LiteMq;
use crate::{Result, process};

const GROUP: &str = "consumers";
const POLL: Duration = Duration::from_secs(5);
/// With nothing acked for so long, something is lost.
const STALL_MAX: Duration = Duration::from_secs(30);
/// Lite topics of one sync.
const SYNC_NAMES: usize = 10_000;

#[derive(Debug, Serialize)]
struct CycleReading {
    round: usize,
    /// What the server may remember, if that was said.
    trace: Option<String>,
    cycles_per_second: f64,
    /// From the start of the send to the message in the consumer's hand.
    delivery: LatencySummary,
    /// From the start of the send to the end of the ack.
    whole: LatencySummary,
    messages_per_receive: f64,
    /// Messages that came a second time.
    redelivered: u64,
    server_cpu_seconds_per_million: f64,
}

pub(crate) async fn run(common: &Common, args: &CycleArgs) -> Result<Report> {
    let traces = match &args.trace[..] {
        [] => vec![None],
        traces => traces.iter().cloned().map(Some).collect(),
    };
    let first = LiteMq::new(common, &[GROUP], "", None)?;
    let before = MachineBefore::look(first.folder()).await?;
    let mut readings = Vec::new();
    for round in 0..args.rounds.get() {
        let mut in_turn = traces.clone();
        // So that what changes over the run favours none.
        if !round.is_multiple_of(2) {
            in_turn.reverse();
        }
        for trace in in_turn {
            readings.push(on_new_server(common, args, round, trace).await?);
        }
    }
    Ok(Report {
        workload: "cycle",
        server: first.version().await?,
        command: std::env::args().collect(),
        machine: before.and_after(first.folder()).await?,
        tables: vec![table(args, &traces, &readings)],
        readings: serde_json::to_value(&readings)?,
    })
}

async fn on_new_server(
    common: &Common,
    args: &CycleArgs,
    round: usize,
    trace: Option<String>,
) -> Result<CycleReading> {
    let setting = trace.as_ref().map(|bytes| format!("limits.trace_bytes_max = \"{bytes}\"\n"));
    let litemq = LiteMq::new(common, &[GROUP], &setting.unwrap_or_default(), None)?;
    let server = litemq.start().await?.running;
    let producer = Client::connect(server.address, "bench-producer").await?;
    let mut consumer = Client::connect(server.address, "bench-consumer").await?;
    let names: Vec<String> = (0..args.lite_topics.get()).map(lite_name).collect();
    for names in names.chunks(SYNC_NAMES) {
        consumer.subscribe(GROUP, names.to_vec()).await?;
    }
    let reading = measure(args, &producer, &consumer, server.pid()).await?;
    server.stop().await?;
    Ok(CycleReading { round, trace, ..reading })
}

/// What producers and consumers share.
#[derive(Debug)]
struct Flow {
    /// A permit for each message between send and ack.
    places: Semaphore,
    messages: Messages,
    body_bytes: usize,
    /// Bodies carry the nanoseconds from here to their send.
    zero: Instant,
    from: Instant,
    until: Instant,
    next_turn: AtomicU64,
    lite_topics: u64,
}

async fn measure(
    args: &CycleArgs,
    producer: &Client,
    consumer: &Client,
    server_pid: u32,
) -> Result<CycleReading> {
    let from = Instant::now() + Duration::from_secs(args.time.warmup_seconds);
    let flow = Arc::new(Flow {
        places: Semaphore::new(args.in_flight.get()),
        messages: Messages::new(0),
        body_bytes: args.body_bytes,
        zero: Instant::now(),
        from,
        until: from + Duration::from_secs(args.time.seconds),
        next_turn: AtomicU64::new(0),
        lite_topics: u64::try_from(args.lite_topics.get())?,
    });
    let mut producers = JoinSet::new();
    for _ in 0..args.in_flight.get() {
        producers.spawn(produce(Arc::clone(&flow), producer.clone()));
    }
    let mut consumers = JoinSet::new();
    for _ in 0..args.receives.get() {
        let taking = Taking { batch: args.batch, batch_acks: args.batch_acks };
        consumers.spawn(consume(Arc::clone(&flow), consumer.clone(), taking));
    }
    let cpu_from = cpu_at(flow.from, server_pid).await?;
    let cpu_until = cpu_at(flow.until, server_pid).await?;
    let mut taken = Taken::new()?;
    while let Some(consumer) = consumers.join_next().await {
        taken.add(&consumer??)?;
    }
    while let Some(producer) = producers.join_next().await {
        producer??;
    }
    let cycles = taken.whole.count() as f64;
    Ok(CycleReading {
        round: 0,
        trace: None,
        cycles_per_second: cycles / (flow.until - flow.from).as_secs_f64(),
        delivery: taken.delivery.summary(),
        whole: taken.whole.summary(),
        messages_per_receive: taken.messages as f64 / taken.receives.max(1) as f64,
        redelivered: taken.redelivered,
        server_cpu_seconds_per_million: cpu_until.saturating_sub(cpu_from).as_secs_f64()
            / (cycles / 1e6),
    })
}

async fn cpu_at(moment: Instant, pid: u32) -> Result<Duration> {
    sleep_until(moment.into()).await;
    process::cpu_time(pid)
}

async fn produce(flow: Arc<Flow>, mut client: Client) -> Result<()> {
    while Instant::now() < flow.until {
        let place = timeout(STALL_MAX, flow.places.acquire()).await;
        // Closed when the time is over.
        let Ok(place) = place.map_err(|_| "messages do not come back")? else { return Ok(()) };
        place.forget();
        let turn = flow.next_turn.fetch_add(1, Ordering::Relaxed) % flow.lite_topics;
        let mut message = flow.messages.to(usize::try_from(turn)?);
        message.body = flow.stamp()?;
        client.send(SendMessageRequest { messages: vec![message] }).await?;
    }
    Ok(())
}

impl Flow {
    fn stamp(&self) -> Result<Bytes> {
        let mut body = BytesMut::with_capacity(self.body_bytes.max(8));
        body.put_u64(u64::try_from(self.zero.elapsed().as_nanos())?);
        body.resize(self.body_bytes.max(8), b'x');
        Ok(body.freeze())
    }

    fn sent_at(&self, message: &Message) -> Result<Instant> {
        let stamp = message.body.first_chunk().ok_or("a body without stamp")?;
        Ok(self.zero + Duration::from_nanos(u64::from_be_bytes(*stamp)))
    }

    fn counts(&self, moment: Instant) -> bool {
        (self.from..self.until).contains(&moment)
    }
}

/// How a consumer takes messages.
#[derive(Debug, Clone, Copy)]
struct Taking {
    batch: i32,
    batch_acks: bool,
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

async fn consume(flow: Arc<Flow>, mut client: Client, taking: Taking) -> Result<Taken> {
    let mut taken = Taken::new()?;
    while Instant::now() < flow.until {
        let messages = client.receive(GROUP, taking.batch, POLL, None).await?;
        let received_at = Instant::now();
        if messages.is_empty() {
            continue;
        }
        ack(&client, &messages, taking.batch_acks).await?;
        let acked_at = Instant::now();
        taken.receives += 1;
        for message in &messages {
            let sent_at = flow.sent_at(message)?;
            let attempt = message.system_properties.as_ref().map_or(0, |s| s.delivery_attempt());
            taken.redelivered += u64::from(attempt > 1);
            taken.messages += 1;
            if flow.counts(acked_at) {
                taken.delivery.record(received_at - sent_at);
                taken.whole.record(acked_at - sent_at);
            }
        }
        flow.places.add_permits(messages.len());
    }
    flow.places.close();
    Ok(taken)
}

async fn ack(client: &Client, messages: &[Message], in_one: bool) -> Result<()> {
    if in_one {
        return client.clone().ack(GROUP, messages).await;
    }
    let acks = messages.chunks(1).map(|message| {
        let mut client = client.clone();
        async move { client.ack(GROUP, message).await }
    });
    try_join_all(acks).await.map(drop)
}

fn table(args: &CycleArgs, traces: &[Option<String>], readings: &[CycleReading]) -> Table {
    let row = |trace: &Option<String>| {
        let of_it: Vec<_> = readings.iter().filter(|reading| reading.trace == *trace).collect();
        row(trace.as_deref().unwrap_or("as it is"), &of_it)
    };
    Table {
        title: format!(
            "{} messages under way, {} B, {} lite topics, {} receives of up to {}, acks {}; medians \
             of {} rounds of {} s (max: the largest; redelivered: all)",
            args.in_flight,
            args.body_bytes,
            args.lite_topics,
            args.receives,
            args.batch,
            if args.batch_acks { "in one request per receive" } else { "each alone" },
            args.rounds,
            args.time.seconds
        ),
        columns: vec![
            "trace",
            "cycles/s",
            "delivery p50",
            "delivery p99",
            "send to acked p50",
            "send to acked p99",
            "max",
            "messages per receive",
            "redelivered",
            "server CPU s per million",
        ],
        rows: traces.iter().map(row).collect(),
    }
}

fn row(trace: &str, readings: &[&CycleReading]) -> Vec<String> {
    let middle = |of: fn(&CycleReading) -> f64| median(readings.iter().map(|reading| of(reading)));
    let max_us = readings.iter().map(|reading| reading.whole.max_us).fold(0.0, f64::max);
    vec![
        trace.to_owned(),
        format!("{:.0}", middle(|reading| reading.cycles_per_second)),
        micros(middle(|reading| reading.delivery.p50_us)),
        micros(middle(|reading| reading.delivery.p99_us)),
        micros(middle(|reading| reading.whole.p50_us)),
        micros(middle(|reading| reading.whole.p99_us)),
        micros(max_us),
        format!("{:.1}", middle(|reading| reading.messages_per_receive)),
        readings.iter().map(|reading| reading.redelivered).sum::<u64>().to_string(),
        format!("{:.1}", middle(|reading| reading.server_cpu_seconds_per_million)),
    ]
}
