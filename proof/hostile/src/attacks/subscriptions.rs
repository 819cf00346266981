//! A million lite topics for one client.

use litemq_protocol::v2::LiteSubscriptionAction::{
    CompleteAdd, CompleteRemove, PartialAdd, PartialRemove,
};
use prost::Message as _;

use super::{Field, Outcome, broken};
use crate::letters::{CROWD, WIDE, sync_request};
use crate::wire::{Reads, Wire, attacker};

const MILLION: usize = 1_000_000;
/// A set that is large and accepted.
const LARGE: usize = 30_000;

fn names(from: usize, count: usize) -> Vec<String> {
    (from..from + count).map(|n| format!("{n:x}")).collect()
}

/// In one request: refused for a group with a quota, and done step by step for one without.
pub(super) async fn million_names_at_once(field: Field) -> Outcome {
    let mut wire = Wire::open(attacker(0), field.grpc, Reads::Eagerly).await.map_err(broken)?;
    let mut acts = 0;
    for (group, action) in
        [(CROWD, PartialAdd), (CROWD, CompleteAdd), (CROWD, PartialRemove), (WIDE, PartialRemove)]
    {
        let sync = sync_request(group, action, names(0, MILLION)).encode_to_vec();
        wire.request("SyncLiteSubscription", "million@1", &sync).await.map_err(broken)?;
        acts += 1;
    }
    for action in [CompleteAdd, CompleteRemove] {
        let sync = sync_request(WIDE, action, names(0, LARGE)).encode_to_vec();
        wire.request("SyncLiteSubscription", "million@2", &sync).await.map_err(broken)?;
        acts += 1;
    }
    field.hold().await;
    Ok(acts)
}

/// Over many requests of a few thousand each, and all of them taken back at the end.
pub(super) async fn million_names_over_time(field: Field) -> Outcome {
    const STEP: usize = 2000;
    let mut wire = Wire::open(attacker(0), field.grpc, Reads::Eagerly).await.map_err(broken)?;
    let mut pace = field.pace();
    let mut acts = 0;
    while pace.next().await {
        let step = names(acts * STEP % MILLION, STEP);
        let sync = sync_request(WIDE, PartialAdd, step).encode_to_vec();
        wire.request("SyncLiteSubscription", "million@3", &sync).await.map_err(broken)?;
        acts += 1;
        // Twenty thousand names a second.
        for _ in 0..9 {
            pace.next().await;
        }
    }
    let nothing = sync_request(WIDE, CompleteRemove, Vec::new()).encode_to_vec();
    wire.request("SyncLiteSubscription", "million@3", &nothing).await.map_err(broken)?;
    Ok(acts as u64)
}
