//! Channels that move from one client to another while messages go to them, each once, at a server
//! that is already there.

use super::clients::Clients;
use super::moving::{self, Load, Round};
use crate::Result;
use crate::args::HandoverArgs;
use crate::systems;

/// Runs one round.
pub(crate) async fn run(args: &HandoverArgs) -> Result<Round> {
    let (server, channels) = (&args.server, args.channels.get());
    let load = Load {
        server,
        connections: server.connect(args.connections.get(), channels).await?,
        lanes: channels,
        channels,
        per_second: f64::from(args.rate.get()),
        body_bytes: args.body_bytes,
        moves: channels,
        time: args.time,
    };
    let ranges = [0..channels, 0..0];
    let consumers = systems::consume_each(server, &args.clients.group, &ranges).await?;
    moving::run(load, |arrivals| Clients::new(consumers, &ranges, arrivals, &args.clients)).await
}
