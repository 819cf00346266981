//! Consumers that take and ack everything, so that each lite topic has a cursor; then they go. Each holds
//! a part of the lite topics at a time, as the gateways of agents do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use serde::Serialize;
use tokio::task::JoinSet;

use super::GROUP;
use crate::Result;
use crate::client::Client;
use crate::messages::lite_name;

const CONSUMERS: usize = 4;
/// Of one consumer.
const RECEIVES: usize = 4;
const BATCH: i32 = 32;
/// A receive that waits longer would hold up the end of a part, when others took the last of it.
const POLL: Duration = Duration::from_millis(100);
/// Nothing for so long means that the rest is lost.
const STALL_MAX: Duration = Duration::from_secs(10);
/// Lite topics that a consumer holds at a time.
const HELD: usize = 10_000;

/// How it went.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Drained {
    pub(super) seconds: f64,
    pub(super) taken: usize,
}

/// Takes and acks the message of each lite topic; nobody is subscribed afterwards.
pub(super) async fn drain(address: SocketAddr, count: usize) -> Result<Drained> {
    let (begun, next) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let mut consumers = JoinSet::new();
    for number in 0..CONSUMERS {
        let client = Client::connect(address, &format!("bench-consumer-{number}")).await?;
        consumers.spawn(consume(client, Arc::clone(&next), count));
    }
    let mut taken = 0;
    while let Some(consumer) = consumers.join_next().await {
        taken += consumer??;
    }
    if taken != count {
        return Err(format!("{taken} of {count} messages were delivered").into());
    }
    Ok(Drained { seconds: begun.elapsed().as_secs_f64(), taken })
}

/// One part after the other, as long as there are any; how many messages it took.
async fn consume(mut client: Client, next: Arc<AtomicUsize>, count: usize) -> Result<usize> {
    let mut all = 0;
    loop {
        let first = next.fetch_add(HELD, Ordering::Relaxed);
        if first >= count {
            client.terminate(GROUP).await?;
            return Ok(all);
        }
        let part = first..count.min(first + HELD);
        let (held, taken) = (part.len(), Arc::new(AtomicUsize::new(0)));
        client.subscribe(GROUP, part.clone().map(lite_name).collect()).await?;
        let takes = (0..RECEIVES).map(|_| take(client.clone(), Arc::clone(&taken), held));
        try_join_all(takes).await?;
        client.unsubscribe(GROUP, part.map(lite_name).collect()).await?;
        all += taken.load(Ordering::Relaxed);
    }
}

async fn take(mut client: Client, taken: Arc<AtomicUsize>, held: usize) -> Result<()> {
    let mut last = Instant::now();
    while taken.load(Ordering::Relaxed) < held && last.elapsed() < STALL_MAX {
        let messages = client.receive(GROUP, BATCH, POLL, None).await?;
        if messages.is_empty() {
            continue;
        }
        client.ack(GROUP, &messages).await?;
        taken.fetch_add(messages.len(), Ordering::Relaxed);
        last = Instant::now();
    }
    Ok(())
}
