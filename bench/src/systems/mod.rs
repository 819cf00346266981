//! The systems that can be put under load, all behind one trait. A system is a file here and a
//! line in `connect`.

mod durable_streams;
mod http1;
mod litemq_http;
mod nats;
mod pipeline;
mod resp;
mod rocketmq;
mod s2_lite;
mod sse;
mod valkey;

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::ValueEnum;
use futures_util::future::{BoxFuture, try_join_all};

use crate::Result;
use crate::args::ServerArgs;

/// What is spoken to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum System {
    /// gRPC of RocketMQ 5: LiteMQ, Apache RocketMQ, and the bare echo
    Rocketmq,
    /// The HTTP door of LiteMQ; a channel is a lite topic
    LitemqHttp,
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

    /// Acknowledges a message; done when the system has said so. Whether it was still this
    /// client's to acknowledge.
    fn ack<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<bool>>;

    /// The same for many, in one request where there is one.
    fn ack_all<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Result<Vec<bool>>> {
        Box::pin(try_join_all(deliveries.iter().map(|delivery| self.ack(delivery))))
    }

    /// Holds one more channel, from where its last consumer was.
    fn hold(&self, channel: usize) -> BoxFuture<'_, Result<()>>;

    /// Holds a channel no longer; what it has of it may still be acknowledged.
    fn release(&self, channel: usize) -> BoxFuture<'_, Result<()>>;
}

/// A system whose readers say themselves where they go on.
pub(crate) trait Library: std::fmt::Debug + Send + Sync {
    /// Opens a connection that reads a channel from behind a position on.
    fn open(&self, channel: usize, position: Position) -> BoxFuture<'_, Result<Box<dyn Reader>>>;
}

/// One reader; its connection ends with it.
pub(crate) trait Reader: Send {
    /// Waits for messages, each with the position behind it; there may be none after a while.
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<(Bytes, Position)>>>;
}

/// What a system calls offset, id or sequence; the beginning of a channel where there is none.
pub(crate) type Position = Option<String>;

/// How the messages of very many channels reach a reader each.
#[derive(Debug)]
pub(crate) enum Reading {
    /// Clients hold channels, receive and acknowledge: the server knows where a reader is.
    ByClients,
    /// Each reader has a connection and knows itself where it is.
    ByPosition(Arc<dyn Library>),
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

/// A client that holds channels.
#[derive(Debug, Clone)]
pub(crate) struct Holding {
    /// Of the clients of one server, each has another number.
    pub(crate) client: usize,
    /// The consumer group, where one is made ahead.
    pub(crate) group: String,
    /// What it holds from the start.
    pub(crate) channels: Range<usize>,
    /// How long a message that is not acknowledged stays away; as long as the client is there, if
    /// nothing is said.
    pub(crate) invisible: Option<Duration>,
}

/// Makes one exclusive consumer of each of some channels, all held by one client.
pub(crate) async fn consume(
    system: System,
    address: SocketAddr,
    holding: Holding,
) -> Result<Arc<dyn Consumer>> {
    Ok(match system {
        System::Rocketmq => Arc::new(rocketmq::Holder::connect(address, holding).await?),
        System::Nats => Arc::new(nats::Holder::connect(address, holding).await?),
        System::Valkey => Arc::new(valkey::Holder::connect(address, holding).await?),
        System::LitemqHttp | System::S2Lite | System::DurableStreams => {
            return Err("it keeps no place of a consumer and has no ack".into());
        }
    })
}

/// The same for several clients, each with some channels.
pub(crate) async fn consume_each(
    server: &ServerArgs,
    group: &str,
    ranges: &[Range<usize>],
) -> Result<Vec<Arc<dyn Consumer>>> {
    let mut consumers = Vec::new();
    for (client, channels) in ranges.iter().cloned().enumerate() {
        let holding = Holding { client, group: group.to_owned(), channels, invisible: None };
        consumers.push(consume(server.system, server.address, holding).await?);
    }
    Ok(consumers)
}

/// How a system is read where each channel has a reader.
pub(crate) fn reading(system: System, address: SocketAddr) -> Result<Reading> {
    Ok(match system {
        System::Rocketmq => Reading::ByClients,
        System::Valkey => Reading::ByPosition(Arc::new(valkey::Entries(address))),
        System::Nats => Reading::ByPosition(Arc::new(nats::Subjects(address))),
        System::LitemqHttp => return Err("it has no stream of messages".into()),
        System::S2Lite => Reading::ByPosition(Arc::new(s2_lite::Records(address))),
        System::DurableStreams => Reading::ByPosition(Arc::new(durable_streams::Tails(address))),
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
        System::LitemqHttp => Arc::new(litemq_http::LiteMqHttp::connect(address).await?),
        System::Nats => Arc::new(nats::Nats::connect(address).await?),
        System::Valkey => Arc::new(valkey::Valkey::connect(address).await?),
        System::S2Lite => Arc::new(s2_lite::S2Lite::connect(address).await?),
        System::DurableStreams => {
            Arc::new(durable_streams::DurableStreams::connect(address).await?)
        }
    })
}
