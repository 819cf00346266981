//! What can be typed of workloads at a server that is already there, where messages are delivered.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;

use clap::Args;
use futures_util::future::try_join_all;

use super::{DeliverArgs, TimeArgs};
use crate::Result;
use crate::systems::{self, Connection, System};

/// Which server.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// What it speaks
    #[arg(long, value_enum)]
    pub(crate) system: System,
    /// Where it listens
    #[arg(long, value_name = "ADDR")]
    pub(crate) address: SocketAddr,
    /// Its processes, whose processor time and memory are taken
    #[arg(long, value_delimiter = ',', value_name = "PID,PID")]
    pub(crate) pids: Vec<u32>,
}

impl ServerArgs {
    /// Connects so often, and makes channels where they have to be made.
    pub(crate) async fn connect(
        &self,
        connections: usize,
        channels: usize,
    ) -> Result<Vec<Arc<dyn Connection>>> {
        let connect = |number| systems::connect(self.system, self.address, number);
        let found = try_join_all((0..connections).map(connect)).await?;
        try_join_all(found.iter().enumerate().map(|(first, connection)| async move {
            for channel in (first..channels).step_by(connections) {
                connection.prepare(channel).await?;
            }
            Result::Ok(())
        }))
        .await?;
        Ok(found)
    }
}

/// How clients receive.
#[derive(Debug, Args)]
pub(crate) struct ClientArgs {
    /// Their consumer group, where it is made ahead
    #[arg(long, default_value = "consumers", value_name = "NAME")]
    pub(crate) group: String,
    /// A client takes a channel from the one that has it; otherwise that one gives it up first
    #[arg(long)]
    pub(crate) take_over: bool,
    /// Receives of each client that wait at a time
    #[arg(long, default_value = "4", value_name = "N")]
    pub(crate) receives: NonZeroUsize,
}

#[derive(Debug, Args)]
pub(crate) struct HandoverArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Connections that send
    #[arg(long, default_value = "8", value_name = "N")]
    pub(crate) connections: NonZeroUsize,
    /// Channels; each moves once
    #[arg(long, default_value = "1000", value_name = "N")]
    pub(crate) channels: NonZeroUsize,
    /// Messages a second to all channels together, whatever the answers do
    #[arg(long, default_value = "2000", value_name = "N")]
    pub(crate) rate: NonZeroU32,
    /// Size of a body; the stamp in it takes 20
    #[arg(long, default_value_t = 256, value_name = "BYTES")]
    pub(crate) body_bytes: usize,
    #[command(flatten)]
    pub(crate) clients: ClientArgs,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RedeliverArgs {
    #[command(flatten)]
    pub(crate) deliver: DeliverArgs,
    /// One message of so many is not acknowledged at its first delivery
    #[arg(long, default_value = "100", value_name = "N")]
    pub(crate) unacked_one_of: NonZeroUsize,
    /// Further channels for those, each alone in one until it came again
    #[arg(long, default_value = "2000", value_name = "N")]
    pub(crate) unacked_channels: NonZeroUsize,
    /// How long an unacknowledged message is asked to stay away
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    pub(crate) invisible_seconds: u64,
}

#[derive(Debug, Args)]
pub(crate) struct StreamArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Connections that send
    #[arg(long, default_value = "8", value_name = "N")]
    pub(crate) connections: NonZeroUsize,
    /// Sessions, each with a writer and a reader
    #[arg(long, default_value = "200", value_name = "N")]
    pub(crate) sessions: NonZeroUsize,
    /// Tokens a second of each session, whatever the answers do
    #[arg(long, default_value = "50", value_name = "N")]
    pub(crate) tokens_per_second: NonZeroU32,
    /// Size of a token; the stamp in it takes 20
    #[arg(long, default_value_t = 20, value_name = "BYTES")]
    pub(crate) body_bytes: usize,
    /// Readers that reconnect each second
    #[arg(long, default_value_t = 5.0, value_name = "PERCENT")]
    pub(crate) reconnect_percent: f64,
    /// Clients that hold the sessions where readers are told apart by a client; elsewhere each
    /// reader has a connection
    #[arg(long, default_value = "8", value_name = "N")]
    pub(crate) gateways: NonZeroUsize,
    #[command(flatten)]
    pub(crate) clients: ClientArgs,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SubscriptionsArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Connections that the clients share
    #[arg(long, default_value = "8", value_name = "N")]
    pub(crate) connections: NonZeroUsize,
    /// Clients
    #[arg(long, default_value = "1000", value_name = "N")]
    pub(crate) clients: NonZeroUsize,
    /// Channels that each client is subscribed to; no two share one
    #[arg(long, default_value = "2000", value_name = "N")]
    pub(crate) names: NonZeroUsize,
    /// How often each client says all of them again
    #[arg(long, default_value = "30", value_name = "SECONDS")]
    pub(crate) period_seconds: NonZeroU32,
    /// How often that is measured without messages; then once more beside some
    #[arg(long, default_value = "2", value_name = "N")]
    pub(crate) periods: NonZeroU32,
    /// Messages a second to channels at random, in that last period
    #[arg(long, default_value = "300", value_name = "N")]
    pub(crate) rate: NonZeroU32,
    /// Size of a body
    #[arg(long, default_value_t = 256, value_name = "BYTES")]
    pub(crate) body_bytes: usize,
}
