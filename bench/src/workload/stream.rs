//! Token streams: each session has a writer that is never late and a reader whose connection breaks
//! now and then, at a server that is already there.

use super::clients::Clients;
use super::moving::{self, Load, Round};
use super::readers::Readers;
use crate::Result;
use crate::args::StreamArgs;
use crate::systems::{self, Reading};

/// Runs one round.
pub(crate) async fn run(args: &StreamArgs) -> Result<Round> {
    let (server, sessions) = (&args.server, args.sessions.get());
    let reconnects_per_second = sessions as f64 * args.reconnect_percent / 100.0;
    let load = Load {
        server,
        connections: server.connect(args.connections.get(), sessions).await?,
        // Each writer waits for nobody but itself.
        lanes: sessions,
        channels: sessions,
        per_second: f64::from(args.tokens_per_second.get()) * sessions as f64,
        body_bytes: args.body_bytes,
        moves: (reconnects_per_second * args.time.seconds as f64) as usize,
        time: args.time,
    };
    match systems::reading(server.system, server.address)? {
        Reading::ByClients => {
            let gateways = args.gateways.get();
            let first = |gateway: usize| gateway * sessions / gateways;
            let ranges: Vec<_> = (0..gateways).map(|at| first(at)..first(at + 1)).collect();
            let consumers = systems::consume_each(server, &args.clients.group, &ranges).await?;
            let clients = |arrivals| Clients::new(consumers, &ranges, arrivals, &args.clients);
            moving::run(load, clients).await
        }
        Reading::ByPosition(library) => {
            moving::run(load, |arrivals| Readers::new(library, arrivals, sessions)).await
        }
    }
}
