//! A consumer that takes and acks everything, so that each lite topic has a cursor; then it goes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinSet;

use super::GROUP;
use crate::Result;
use crate::client::Client;
use crate::messages::lite_name;

const RECEIVES: usize = 16;
const BATCH: i32 = 32;
/// Nothing for so long means that the rest is lost.
const POLL: Duration = Duration::from_secs(10);
/// Lite topics of one sync.
const SYNC_NAMES: usize = 10_000;

/// How it went.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Drained {
    pub(super) subscribe_seconds: f64,
    pub(super) take_and_ack_seconds: f64,
    pub(super) taken: usize,
}

/// Subscribes to all lite topics, takes and acks each message, and leaves.
pub(super) async fn drain(address: SocketAddr, count: usize) -> Result<Drained> {
    let mut client = Client::connect(address, "bench-consumer").await?;
    let begun = Instant::now();
    for first in (0..count).step_by(SYNC_NAMES) {
        let names = (first..count.min(first + SYNC_NAMES)).map(lite_name).collect();
        client.subscribe(GROUP, names).await?;
    }
    let (subscribed, taken) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let mut receives = JoinSet::new();
    for _ in 0..RECEIVES {
        receives.spawn(take(client.clone(), Arc::clone(&taken), count));
    }
    while let Some(receive) = receives.join_next().await {
        receive??;
    }
    let drained = Drained {
        subscribe_seconds: (subscribed - begun).as_secs_f64(),
        take_and_ack_seconds: subscribed.elapsed().as_secs_f64(),
        taken: taken.load(Ordering::Relaxed),
    };
    client.terminate(GROUP).await?;
    if drained.taken != count {
        return Err(format!("{} of {count} messages were delivered", drained.taken).into());
    }
    Ok(drained)
}

async fn take(mut client: Client, taken: Arc<AtomicUsize>, count: usize) -> Result<()> {
    while taken.load(Ordering::Relaxed) < count {
        let messages = client.receive(GROUP, BATCH, POLL, None).await?;
        if messages.is_empty() {
            return Ok(());
        }
        client.ack(GROUP, &messages).await?;
        taken.fetch_add(messages.len(), Ordering::Relaxed);
    }
    Ok(())
}
