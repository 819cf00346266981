//! Calls that are opened and then just kept: long polls, Telemetry, more streams than allowed.

use std::sync::atomic::Ordering;

use prost::Message as _;

use super::{Field, Outcome, broken, expect};
use crate::letters::{CROWD, receive, settings};
use crate::settings::{CALLS, CONNECTIONS, STREAMS_PER_CONNECTION};
use crate::wire::{DATA, Reads, Wire, attacker, message_frame};

/// Long polls of one client each, as many as one address may have and more.
pub(super) async fn idle_polls(field: Field) -> Outcome {
    park(&field, 3, 1000).await
}

/// Far more of them, from one address that gets its share.
pub(super) async fn too_many_calls(field: Field) -> Outcome {
    park(&field, 6, 1000).await
}

async fn park(field: &Field, connections: u8, streams: usize) -> Outcome {
    let poll = receive(CROWD, 20);
    let mut held = Vec::new();
    let mut pace = field.pace();
    for c in 0..connections {
        let mut wire = Wire::open(attacker(0), field.grpc, Reads::Eagerly).await.map_err(broken)?;
        for n in 0..streams {
            let client = format!("poll@{c}@{}@1", n % 100);
            wire.request("ReceiveMessage", &client, &poll).await.map_err(broken)?;
            if n % 200 == 199 {
                pace.next().await;
            }
        }
        held.push(wire);
    }
    // The honest client has a few.
    field.expect_at_most("litemq_open_calls", CALLS / 2 + 100).await?;
    field.hold().await;
    Ok(u64::from(connections) * streams as u64)
}

/// Telemetry streams with settings, each of another client.
pub(super) async fn idle_telemetry(field: Field) -> Outcome {
    let settings = message_frame(&settings(1).encode_to_vec());
    let (mut held, mut opened) = (Vec::new(), 0);
    let mut pace = field.pace();
    for c in 0..3 {
        let mut wire = Wire::open(attacker(0), field.grpc, Reads::Eagerly).await.map_err(broken)?;
        for n in 0..1000 {
            let stream = wire.call("Telemetry", &format!("telemetry@{c}@{n}")).await;
            let stream = stream.map_err(broken)?;
            wire.frame(DATA, 0, stream, &settings).await.map_err(broken)?;
            opened += 1;
            if n % 100 == 99 {
                pace.next().await;
            }
        }
        held.push(wire);
    }
    field.hold().await;
    let answers: u64 = held.iter().map(|wire| wire.heard.headers.load(Ordering::Relaxed)).sum();
    expect(answers >= opened, || format!("{answers} of {opened} Telemetry streams had an answer"))?;
    Ok(opened)
}

/// Three times the streams that a connection may have.
pub(super) async fn too_many_streams(field: Field) -> Outcome {
    let poll = receive(CROWD, 20);
    let mut wire = Wire::open(attacker(0), field.grpc, Reads::Eagerly).await.map_err(broken)?;
    let mut pace = field.pace();
    let mut opened: u64 = 0;
    while opened < 3 * STREAMS_PER_CONNECTION && !wire.heard.is_over() {
        // The connection may be closed for it in the middle of a write.
        if wire.request("ReceiveMessage", "greedy@1@1@1", &poll).await.is_err() {
            break;
        }
        opened += 1;
        if opened.is_multiple_of(100) && !pace.next().await {
            break;
        }
    }
    field.hold().await;
    let alive = opened.saturating_sub(wire.heard.ended());
    expect(wire.heard.is_over() || alive <= STREAMS_PER_CONNECTION, || {
        format!("{alive} streams are open on one connection; {STREAMS_PER_CONNECTION} are allowed")
    })?;
    field.expect_at_most("litemq_connections{door=\"grpc\"}", CONNECTIONS).await?;
    Ok(opened)
}
