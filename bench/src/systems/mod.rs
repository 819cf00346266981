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
