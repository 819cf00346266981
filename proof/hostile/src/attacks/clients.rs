//! One connection that is a million clients.

use super::{Field, Outcome, broken};
use crate::letters::HONEST;
use crate::settings::SESSIONS;
use crate::wire::{Reads, Wire, attacker};

/// Heartbeats, each of a client that was never seen before.
pub(super) async fn fresh_clients(mut field: Field) -> Outcome {
    const BURST: u64 = 40;
    let mut wire = Wire::open(attacker(0), field.grpc, Reads::Eagerly).await.map_err(broken)?;
    let heartbeat = crate::letters::field(1, &crate::letters::field(2, HONEST.as_bytes()));
    let mark = field.dice.draw();
    let mut pace = field.pace();
    let mut clients = 0;
    while pace.next().await {
        for _ in 0..BURST {
            let client = format!("{mark:x}-{clients:0>200}");
            if wire.request("Heartbeat", &client, &heartbeat).await.is_err() {
                // Too many calls at a time; another connection goes on.
                wire = Wire::open(attacker(0), field.grpc, Reads::Eagerly).await.map_err(broken)?;
            }
            clients += 1;
        }
    }
    field.expect_at_most("litemq_sessions", SESSIONS).await?;
    Ok(clients)
}
