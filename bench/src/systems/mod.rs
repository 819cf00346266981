//! The systems that can be put under load, all behind one trait. A system is a file here and a
//! line in `connect`.

mod durable_streams;
mod http1;
mod nats;
mod pipeline;
mod resp;
mod rocketmq;
mod s2_lite;
mod valkey;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::ValueEnum;
use futures_util::future::BoxFuture;

use crate::Result;

/// What is spoken to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum System {
    /// gRPC of RocketMQ 5: LiteMQ, Apache RocketMQ, and the bare echo
    Rocketmq,
    /// NATS JetStream; a channel is a subject of one stream
    Nats,
    /// Streams of Valkey or Redis; a channel is a key
    Valkey,
    /// HTTP of S2; a channel is a stream of one basin
    S2Lite,
    /// The Durable Streams protocol; a channel is a stream
    DurableStreams,
}

/// One connection to a system, for many requests at a time unless its protocol has no way to.
pub(crate) trait Connection: std::fmt::Debug + Send + Sync {
    /// Makes what a channel needs before its first message; nothing where the first makes it.
    fn prepare(&self, _channel: usize) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    /// Makes a channel with its first message.
    fn create(&self, channel: usize, body: Bytes) -> BoxFuture<'_, Result<()>> {
        self.append(channel, body)
    }

    /// Appends a message to a channel; done when the system has said that it holds it.
    fn append(&self, channel: usize, body: Bytes) -> BoxFuture<'_, Result<()>>;
}

/// One client that holds many channels, each alone: what an agent's gateway is.
pub(crate) trait Consumer: std::fmt::Debug + Send + Sync {
    /// Waits for messages; there may be none after a while.
    fn receive(&self) -> BoxFuture<'_, Result<Vec<Delivery>>>;

    /// Acknowledges a message; done when the system has said so.
    fn ack<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<()>>;
}

/// A message in a consumer's hand.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) body: Bytes,
    /// Whether it had been delivered before.
    pub(crate) again: bool,
    channel: String,
    /// What names the message in its ack.
    id: String,
    /// What names this delivery, where it has a name.
    receipt: String,
}

/// Longest wait of a receive.
const RECEIVE_WAIT: Duration = Duration::from_secs(5);
/// Messages of a receive, at most.
const RECEIVE_MAX: usize = 32;

/// Makes one exclusive consumer of each of the first channels, all held by one client.
pub(crate) async fn consume(
    system: System,
    address: SocketAddr,
    channels: usize,
) -> Result<Arc<dyn Consumer>> {
    Ok(match system {
        System::Rocketmq => Arc::new(rocketmq::Holder::connect(address, channels).await?),
        System::Nats => Arc::new(nats::Holder::connect(address, channels).await?),
        System::Valkey => Arc::new(valkey::Holder::connect(address, channels).await?),
        System::S2Lite | System::DurableStreams => {
            return Err("it keeps no place of a consumer and has no ack".into());
        }
    })
}

/// Connects, and makes what holds the channels unless it is there.
pub(crate) async fn connect(
    system: System,
    address: SocketAddr,
    number: usize,
) -> Result<Arc<dyn Connection>> {
    Ok(match system {
        System::Rocketmq => Arc::new(rocketmq::RocketMq::connect(address, number).await?),
        System::Nats => Arc::new(nats::Nats::connect(address).await?),
        System::Valkey => Arc::new(valkey::Valkey::connect(address).await?),
        System::S2Lite => Arc::new(s2_lite::S2Lite::connect(address).await?),
        System::DurableStreams => {
            Arc::new(durable_streams::DurableStreams::connect(address).await?)
        }
    })
}
