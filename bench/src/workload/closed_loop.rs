//! A closed loop of sends: each worker sends its next message when the last one is answered. It
//! finds the ceiling; latencies at a rate that is not the ceiling need an open loop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::args::TimeArgs;
use crate::client::Client;
use crate::latency::{Latencies, LatencySummary};
use crate::messages::Messages;
use crate::server::Running;
use crate::{Result, process};

/// What runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    /// Over all connections.
    pub(crate) in_flight: usize,
    pub(crate) lite_topics: usize,
    pub(crate) time: TimeArgs,
}

/// What one loop found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LoopReading {
    pub(crate) sends_per_second: f64,
    pub(crate) latency: LatencySummary,
    pub(crate) server_cpu_seconds_per_million: f64,
    pub(crate) generator_cpu_seconds_per_million: f64,
}

/// Runs the loop against a server.
pub(crate) async fn run(
    load: Load,
    messages: &Arc<Messages>,
    server: &Running,
) -> Result<LoopReading> {
    let mut clients = Vec::with_capacity(load.connections);
    for number in 0..load.connections {
        clients.push(Client::connect(server.address, &format!("bench-{number}")).await?);
    }
    let from = Instant::now() + Duration::from_secs(load.time.warmup_seconds);
    let window = Window { from, until: from + Duration::from_secs(load.time.seconds) };
    let mut workers = JoinSet::new();
    for (number, client) in (0..load.in_flight).zip(clients.iter().cycle()) {
        let (client, messages) = (client.clone(), Arc::clone(messages));
        workers.spawn(work(client, messages, window, Turns { next: number, load }));
    }
    let cpu_from = cpu_at(window.from, server.pid()).await?;
    let cpu_until = cpu_at(window.until, server.pid()).await?;
    let mut latencies = Latencies::new()?;
    while let Some(worker) = workers.join_next().await {
        latencies.add(&worker??)?;
    }
    let count = latencies.count() as f64;
    let per_million =
        |from: Duration, until: Duration| until.saturating_sub(from).as_secs_f64() / (count / 1e6);
    Ok(LoopReading {
        sends_per_second: count / (window.until - window.from).as_secs_f64(),
        latency: latencies.summary(),
        server_cpu_seconds_per_million: per_million(cpu_from.0, cpu_until.0),
        generator_cpu_seconds_per_million: per_million(cpu_from.1, cpu_until.1),
    })
}

/// What is answered within is counted.
#[derive(Debug, Clone, Copy)]
struct Window {
    from: Instant,
    until: Instant,
}

/// The lite topics of one worker, all in turn.
#[derive(Debug)]
struct Turns {
    next: usize,
    load: Load,
}

impl Turns {
    fn take(&mut self) -> usize {
        let turn = self.next % self.load.lite_topics;
        self.next = self.next.wrapping_add(self.load.in_flight);
        turn
    }
}

async fn work(
    mut client: Client,
    messages: Arc<Messages>,
    window: Window,
    mut turns: Turns,
) -> Result<Latencies> {
    let mut latencies = Latencies::new()?;
    loop {
        let request = messages.request_to(turns.take());
        let start = Instant::now();
        client.send(request).await?;
        let end = Instant::now();
        if end >= window.until {
            return Ok(latencies);
        }
        if end >= window.from {
            latencies.record(end - start);
        }
    }
}

/// Processor time of the server and of this process at a moment.
async fn cpu_at(moment: Instant, server_pid: u32) -> Result<(Duration, Duration)> {
    sleep_until(moment.into()).await;
    Ok((process::cpu_time(server_pid)?, process::cpu_time(std::process::id())?))
}
