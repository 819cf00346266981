//! Messages due at fixed moments, and readers that move while they come: what hand-overs and token
//! streams have in common.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::arrivals::Arrivals;
use super::cpu::{Cpu, resident_bytes};
use super::ledger::{Ledger, Tally};
use super::source::Source;
use crate::Result;
use crate::args::{ServerArgs, TimeArgs};
use crate::latency::LatencySummary;
use crate::systems::Connection;

/// Those who read.
pub(crate) trait Audience: Send + Sync {
    /// Begins to read; what comes back ends when it is aborted.
    fn start(self: Arc<Self>) -> JoinSet<Result<()>>;

    /// Moves the reader of a channel to its next place.
    fn move_on(&self, channel: usize) -> BoxFuture<'_, Result<()>>;

    /// What happened beside.
    fn strays(&self) -> Strays {
        Strays::default()
    }
}

/// What acks and moves do to each other; nothing of it is wrong.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Strays {
    /// Acks that were refused, as the channel was another client's by then.
    pub(crate) acks_too_late: u64,
    /// Messages that came to a client from which the channel had been taken; they are in nobody's hand.
    pub(crate) astray: u64,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Load<'a> {
    pub(crate) server: &'a ServerArgs,
    pub(crate) connections: Vec<Arc<dyn Connection>>,
    /// Messages under way to the server, at most, each of another channel.
    pub(crate) lanes: usize,
    pub(crate) channels: usize,
    /// Messages a second, to all channels in turn.
    pub(crate) per_second: f64,
    pub(crate) body_bytes: usize,
    /// Moves in the measured time, of all channels in turn.
    pub(crate) moves: usize,
    pub(crate) time: TimeArgs,
}

/// What one round found.
#[derive(Debug, Serialize)]
pub(crate) struct Round {
    /// Messages that the server took in the measured time.
    appends: u64,
    /// Sends that were refused, in the warm-up too.
    failed: u64,
    /// What was said of the first of them.
    first_failure: Option<String>,
    seconds: f64,
    appends_per_second: f64,
    offered_per_second: f64,
    /// What had not even begun when the time was over; it counts in the latency.
    not_begun: u64,
    /// From the moment a message was due until it was in its reader's hand.
    latency: LatencySummary,
    moves: usize,
    /// From the begin of a move until the reader had a message at the new place; it may have been
    /// due only later.
    first_delivery: LatencySummary,
    /// How long a move held up the first new message after it: from its begin, or the moment the
    /// message was due, until the reader had it.
    gap: LatencySummary,
    #[serde(flatten)]
    tally: Tally,
    #[serde(flatten)]
    strays: Strays,
    server_cpu_seconds_per_million: f64,
    generator_cpu_seconds_per_million: f64,
    /// Of all processes of the server, at the end.
    server_resident_bytes: u64,
}

/// Runs one round with those who read what arrives.
pub(crate) async fn run<A: Audience + 'static>(
    load: Load<'_>,
    audience: impl FnOnce(Arc<Arrivals>) -> A,
) -> Result<Round> {
    let Load { server, connections, lanes, channels, per_second, body_bytes, moves, time } = load;
    let ledger = Arc::new(Ledger::new(channels));
    let source = Arc::new(Source::new(per_second, time, Arc::clone(&ledger), channels, body_bytes));
    let arrivals = Arc::new(Arrivals::new(Arc::clone(&source), Arc::clone(&ledger), channels)?);
    let audience = Arc::new(audience(Arc::clone(&arrivals)));
    let mut readers = Arc::clone(&audience).start();
    let sending = tokio::spawn(Arc::clone(&source).run(connections, lanes));
    sleep_until(source.from().into()).await;
    let cpu_from = Cpu::now(&server.pids)?;
    move_readers(&audience, channels, moves, &source).await?;
    sleep_until(source.until().into()).await;
    let cpu = Cpu::now(&server.pids)?.since(cpu_from);
    let not_begun = sending.await??;
    arrivals.drain(&mut readers).await?;
    let (appends, found) = (source.sent(), arrivals.moves());
    let seconds = (source.until() - source.from()).as_secs_f64();
    let per_million = |time: Duration| time.as_secs_f64() / appends.max(1) as f64 * 1e6;
    Ok(Round {
        appends,
        failed: source.failed(),
        first_failure: source.first_failure(),
        seconds,
        appends_per_second: appends as f64 / seconds,
        offered_per_second: per_second,
        not_begun: not_begun.count(),
        latency: arrivals.delivery(&not_begun)?,
        moves,
        first_delivery: found.first_delivery,
        gap: found.gap,
        tally: ledger.tally(),
        strays: audience.strays(),
        server_cpu_seconds_per_million: per_million(cpu.server),
        generator_cpu_seconds_per_million: per_million(cpu.generator),
        server_resident_bytes: resident_bytes(&server.pids)?,
    })
}

/// Moves readers at fixed moments, spread over the measured time, however long each takes.
async fn move_readers<A: Audience + 'static>(
    audience: &Arc<A>,
    channels: usize,
    moves: usize,
    source: &Source,
) -> Result<()> {
    let interval = (source.until() - source.from()).as_secs_f64() / (moves + 1) as f64;
    let mut under_way = JoinSet::new();
    for number in 0..moves {
        let due = source.from() + Duration::from_secs_f64(interval * (number + 1) as f64);
        sleep_until(due.into()).await;
        let audience = Arc::clone(audience);
        under_way.spawn(async move { audience.move_on(number % channels).await });
    }
    while let Some(moved) = under_way.join_next().await {
        moved??;
    }
    Ok(())
}
