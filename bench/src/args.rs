//! What can be typed.

mod server;

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use server::{
    ClientArgs, HandoverArgs, RedeliverArgs, ServerArgs, StreamArgs, SubscriptionsArgs,
};

/// The load generator: workloads of LiteMQ alone, and rounds at a server that is already there.
#[derive(Debug, Parser)]
#[command(name = "litemq-bench", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    /// What to measure.
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The binary to measure [default: litemq beside this one]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) litemq: Option<PathBuf>,
    /// Where data folders are made; must be on the disk to be measured [default: the folder for
    /// temporary files]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Cores that servers run on, as taskset writes them; pin the load generator itself with
    /// taskset
    #[arg(long, global = true, value_name = "LIST")]
    pub(crate) server_cpus: Option<String>,
    /// Shards of the server [default: the server's]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) shards: Option<u16>,
    /// Also write all results as JSON
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Closed loop of sends, beside a bare unary echo of the same bytes
    Send(SendArgs),
    /// Send, deliver, ack: the way of a message through the broker
    Cycle(CycleArgs),
    /// Many idle lite topics: memory, disk, restart
    Idle(IdleArgs),
    /// One round of appends to a server that is already there, as JSON; see `bench/run`
    Drive(DriveArgs),
    /// One round of send, deliver, ack at a server that is already there, as JSON
    Deliver(DeliverArgs),
    /// One round of send, deliver, ack beside messages that are not acked at first, as JSON
    Redeliver(RedeliverArgs),
    /// One round of channels that move from client to client under traffic, as JSON; what an earlier
    /// round left in them would be counted
    Handover(HandoverArgs),
    /// One round of token streams whose readers reconnect, as JSON; what an earlier round left in the
    /// sessions would be counted
    Stream(StreamArgs),
    /// One round of clients that say again and again what they are subscribed to, as JSON
    Subscriptions(SubscriptionsArgs),
    /// The disk alone: writes with a sync after each, as JSON
    Disk(DiskArgs),
    /// A wave of lite topics that are due: how soon they are gone, and sends meanwhile
    Expire(ExpireArgs),
    /// The bare unary echo, as a process of its own
    #[command(hide = true)]
    EchoServer(EchoArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// Connections, each count measured alone
    #[arg(long, value_delimiter = ',', default_value = "1,8", value_name = "N,N")]
    pub(crate) connections: Vec<NonZeroUsize>,
    /// Requests in flight, all connections together
    #[arg(long, default_value = "64", value_name = "N")]
    pub(crate) in_flight: NonZeroUsize,
    /// Size of a body
    #[arg(long, default_value_t = 256, value_name = "BYTES")]
    pub(crate) body_bytes: usize,
    /// Lite topics that take turns
    #[arg(long, default_value = "1000", value_name = "N")]
    pub(crate) lite_topics: NonZeroUsize,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
    /// How often all is measured; medians are printed
    #[arg(long, default_value = "3", value_name = "N")]
    pub(crate) rounds: NonZeroUsize,
}

#[derive(Debug, Args)]
pub(crate) struct CycleArgs {
    /// Lite topics that the consumer holds and that take turns
    #[arg(long, default_value = "1000", value_name = "N")]
    pub(crate) lite_topics: NonZeroUsize,
    /// Messages between their send and their ack
    #[arg(long, default_value = "64", value_name = "N")]
    pub(crate) in_flight: NonZeroUsize,
    /// Receives that wait at a time
    #[arg(long, default_value = "1", value_name = "N")]
    pub(crate) receives: NonZeroUsize,
    /// Messages that one receive takes at most
    #[arg(long, default_value_t = 32, value_name = "N")]
    pub(crate) batch: i32,
    /// Ack all messages of a receive in one request; SDKs ack each alone
    #[arg(long)]
    pub(crate) batch_acks: bool,
    /// Size of a body
    #[arg(long, default_value_t = 256, value_name = "BYTES")]
    pub(crate) body_bytes: usize,
    /// What the server may remember of what happened, such as 32MiB, or 0 for nothing; of several
    /// each is measured in turn [default: the server's]
    #[arg(long, value_delimiter = ',', value_name = "BYTES,BYTES")]
    pub(crate) trace: Vec<String>,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
    /// How often all is measured; medians are printed
    #[arg(long, default_value = "1", value_name = "N")]
    pub(crate) rounds: NonZeroUsize,
}

#[derive(Debug, Args)]
pub(crate) struct IdleArgs {
    /// Lite topics, each count measured alone on a data folder of its own
    #[arg(long, value_delimiter = ',', default_value = "0,100000,1000000", value_name = "N,N")]
    pub(crate) counts: Vec<usize>,
    /// A consumer takes and acks every message first, so that each lite topic has a cursor
    #[arg(long)]
    pub(crate) with_cursor: bool,
    /// Time to live of the lite topics, far beyond the run, such as 720h; each is filed then
    #[arg(long, value_name = "SPAN")]
    pub(crate) ttl: Option<String>,
    #[command(flatten)]
    pub(crate) create: CreateArgs,
    /// How long nothing happens before the first reading
    #[arg(long, default_value_t = 2, value_name = "SECONDS")]
    pub(crate) settle_seconds: u64,
    /// How long the processor time at rest is taken
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    pub(crate) rest_seconds: u64,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ExpireArgs {
    /// Lite topics that are due
    #[arg(long, default_value = "200000", value_name = "N")]
    pub(crate) lite_topics: NonZeroUsize,
    /// The time over which they become due; 0 is as fast as they can be made
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=40), value_name = "SECONDS")]
    pub(crate) over_seconds: u64,
    /// Lite topics that live on, to which is sent meanwhile
    #[arg(long, default_value = "100", value_name = "N")]
    pub(crate) busy_lite_topics: NonZeroUsize,
    /// Sends a second to those, whatever their answers do
    #[arg(long, default_value = "1000", value_name = "N")]
    pub(crate) rate: NonZeroU32,
    /// How long is measured before, at most 15
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=15), value_name = "SECONDS")]
    pub(crate) seconds: u64,
    /// How long is measured after the last is gone, and their space on the disk watched
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=300), value_name = "SECONDS")]
    pub(crate) space_seconds: u64,
    #[command(flatten)]
    pub(crate) create: CreateArgs,
}

/// How lite topics are made.
#[derive(Debug, Clone, Args)]
pub(crate) struct CreateArgs {
    /// Send requests in flight
    #[arg(long, default_value = "64", value_name = "N")]
    pub(crate) in_flight: NonZeroUsize,
    /// Messages of one send request, each to another lite topic
    #[arg(long, default_value = "1", value_name = "N")]
    pub(crate) send_batch: NonZeroUsize,
    /// Size of a body
    #[arg(long, default_value_t = 100, value_name = "BYTES")]
    pub(crate) body_bytes: usize,
}

/// How long a closed loop runs.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct TimeArgs {
    /// How long is measured
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    pub(crate) seconds: u64,
    /// How long it runs before that
    #[arg(long, default_value_t = 2, value_name = "SECONDS")]
    pub(crate) warmup_seconds: u64,
}

#[derive(Debug, Args)]
pub(crate) struct DriveArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Connections
    #[arg(long, default_value = "8", value_name = "N")]
    pub(crate) connections: NonZeroUsize,
    /// Requests in flight at most, all connections together
    #[arg(long, default_value = "64", value_name = "N")]
    pub(crate) in_flight: NonZeroUsize,
    /// Channels that take turns
    #[arg(long, default_value = "1000", value_name = "N")]
    pub(crate) channels: NonZeroUsize,
    /// Size of a body
    #[arg(long, default_value_t = 256, value_name = "BYTES")]
    pub(crate) body_bytes: usize,
    /// Open loop: so many requests each second [default: a closed loop]
    #[arg(long, value_parser = positive, value_name = "PER SECOND")]
    pub(crate) rate: Option<f64>,
    /// One message to each channel, which makes it, and then the end
    #[arg(long, conflicts_with_all = ["rate", "count"])]
    pub(crate) create: bool,
    /// So many requests, and then the end
    #[arg(long, conflicts_with = "rate", value_name = "N")]
    pub(crate) count: Option<usize>,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DeliverArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Channels, each with an exclusive consumer; one client holds them all
    #[arg(long, default_value = "1000", value_name = "N")]
    pub(crate) channels: NonZeroUsize,
    /// Messages between their send and their ack
    #[arg(long, default_value = "64", value_name = "N")]
    pub(crate) in_flight: NonZeroUsize,
    /// Receives that wait at a time
    #[arg(long, default_value = "1", value_name = "N")]
    pub(crate) receives: NonZeroUsize,
    /// Size of a body; the stamp in it takes 20
    #[arg(long, default_value_t = 256, value_name = "BYTES")]
    pub(crate) body_bytes: usize,
    /// The consumer group, where it is made ahead
    #[arg(long, default_value = "consumers", value_name = "NAME")]
    pub(crate) group: String,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
}

fn positive(text: &str) -> crate::Result<f64> {
    let number: f64 = text.parse()?;
    if number > 0.0 { Ok(number) } else { Err("must be more than 0".into()) }
}

#[derive(Debug, Args)]
pub(crate) struct DiskArgs {
    /// Sizes of the writes
    #[arg(long, value_delimiter = ',', default_value = "4096", value_name = "BYTES,BYTES")]
    pub(crate) write_bytes: Vec<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct EchoArgs {
    /// Where it listens
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
}
