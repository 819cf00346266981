//! Lite topics made by their first message.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use litemq_protocol::v2::SendMessageRequest;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::Result;
use crate::args::CreateArgs;
use crate::client::{Client, is_overload};
use crate::messages::Messages;

/// Connections that the requests are spread over.
const CONNECTIONS: usize = 4;

/// Before what a server had no room for is sent again.
const OVERLOAD_PAUSE: Duration = Duration::from_millis(20);

/// How it went.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Created {
    pub(super) seconds: f64,
    pub(super) lite_topics_per_second: f64,
}

/// Sends one message to each of `count` lite topics, spread over a time, or as fast as it goes.
pub(super) async fn create(
    args: &CreateArgs,
    address: SocketAddr,
    count: usize,
    over: Duration,
) -> Result<Created> {
    if count == 0 {
        return Ok(Created::default());
    }
    let messages = Arc::new(Messages::new(args.body_bytes));
    let next = Arc::new(AtomicUsize::new(0));
    let mut clients = Vec::with_capacity(CONNECTIONS);
    for number in 0..CONNECTIONS {
        clients.push(Client::connect(address, &format!("bench-{number}")).await?);
    }
    let begun = Instant::now();
    let mut workers = JoinSet::new();
    for client in clients.iter().cycle().take(args.in_flight.get()) {
        let (mut client, messages) = (client.clone(), Arc::clone(&messages));
        let (next, batch) = (Arc::clone(&next), args.send_batch.get());
        workers.spawn(async move {
            loop {
                let first = next.fetch_add(batch, Ordering::Relaxed);
                if first >= count {
                    return Ok::<_, Box<dyn std::error::Error + Send + Sync>>(());
                }
                sleep_until(begun + over.mul_f64(first as f64 / count as f64)).await;
                let turn = first..count.min(first + batch);
                let messages = turn.map(|number| messages.to(number)).collect();
                let request = SendMessageRequest { messages };
                // A message keeps its id, and is stored once.
                while let Err(error) = client.send(request.clone()).await {
                    if !is_overload(error.as_ref()) {
                        return Err(error);
                    }
                    sleep(OVERLOAD_PAUSE).await;
                }
            }
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Created { seconds, lite_topics_per_second: count as f64 / seconds })
}
