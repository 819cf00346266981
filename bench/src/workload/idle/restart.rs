//! A start on a data folder that is full.

use std::time::Duration;

use serde::Serialize;

use crate::client::Client;
use crate::messages::lite_name;
use crate::server::{LiteMq, Running, Started};
use crate::{Result, process};

const POLL: Duration = Duration::from_secs(20);

/// How a start went; seconds from the start of the process.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Restart {
    /// How long the stop before took; none when it was a kill.
    pub(super) stop_seconds: Option<f64>,
    /// Until `/readyz` said yes.
    pub(super) ready_seconds: f64,
    /// Until a consumer had a message of before the restart; none when there is no message.
    pub(super) first_delivery_seconds: Option<f64>,
    /// Processor time used until then.
    pub(super) cpu_seconds: f64,
    /// Memory at that moment.
    pub(super) resident_bytes: u64,
    /// The most of it until then.
    pub(super) peak_bytes: u64,
}

/// Starts the server; a new group takes the message of the lite topic in the middle.
pub(super) async fn start(
    litemq: &LiteMq<'_>,
    group: &str,
    count: usize,
) -> Result<(Running, Restart)> {
    let Started { running, at, ready_after } = litemq.start().await?;
    let mut first_delivery_seconds = None;
    if count > 0 {
        let mut client = Client::connect(running.address, "bench-first").await?;
        client.subscribe(group, vec![lite_name(count / 2)]).await?;
        if client.receive(group, 1, POLL, None).await?.is_empty() {
            return Err("a message of before the restart does not come".into());
        }
        first_delivery_seconds = Some(at.elapsed().as_secs_f64());
    }
    let memory = process::memory(running.pid())?;
    let restart = Restart {
        stop_seconds: None,
        ready_seconds: ready_after.as_secs_f64(),
        first_delivery_seconds,
        cpu_seconds: process::cpu_time(running.pid())?.as_secs_f64(),
        resident_bytes: memory.resident_bytes,
        peak_bytes: memory.peak_bytes,
    };
    Ok((running, restart))
}
