//! Requests that are declared and do not come, or come slowly, or stay unfinished.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Field, Outcome, broken, expect};
use crate::http::metric;
use crate::letters::{message, send};
use crate::settings::REQUEST_TIME;
use crate::wire::{DATA, Reads, Wire, attacker, message_frame, message_prefix};

const MIB_4: u32 = 4 << 20;

/// A thousand streams that declare 4 MiB each and send nothing. Nothing may be set aside for them,
/// and they end when the time for a request is over.
pub(super) async fn declared_4_mib(field: Field) -> Outcome {
    declare(&field, MIB_4).await
}

/// The same with more than any request may have.
pub(super) async fn declared_4_gib(field: Field) -> Outcome {
    declare(&field, u32::MAX).await
}

async fn declare(field: &Field, len: u32) -> Outcome {
    let (mut held, mut opened) = (Vec::new(), 0);
    let mut pace = field.pace();
    for _ in 0..4 {
        let mut wire = Wire::open(attacker(0), field.grpc, Reads::Eagerly).await.map_err(broken)?;
        for n in 0..1000 {
            let stream = wire.call("SendMessage", "declares@1@1@1").await.map_err(broken)?;
            wire.frame(DATA, 0, stream, &message_prefix(len)).await.map_err(broken)?;
            opened += 1;
            if n % 50 == 49 {
                pace.next().await;
            }
        }
        held.push(wire);
    }
    field.hold_for(REQUEST_TIME).await;
    all_ended(&held, opened)?;
    Ok(opened)
}

/// Requests that come a byte at a time.
pub(super) async fn trickled_bodies(field: Field) -> Outcome {
    let body = message_frame(&send(vec![message("a", "trickle", vec![b't'; 1000])]));
    let mut wire = Wire::open(attacker(0), field.grpc, Reads::Eagerly).await.map_err(broken)?;
    let mut streams = Vec::new();
    for _ in 0..500 {
        streams.push(wire.call("SendMessage", "trickles@1@1@1").await.map_err(broken)?);
    }
    let mut pace = field.pace();
    let mut sent = 0;
    'trickle: for chunk in body.chunks(1) {
        for stream in &streams {
            // Streams that are over are no fault of the writer; a closed connection is the answer.
            if wire.frame(DATA, 0, *stream, chunk).await.is_err() {
                break 'trickle;
            }
            sent += 1;
        }
        for _ in 0..20 {
            if !pace.next().await {
                break 'trickle;
            }
        }
    }
    field.hold_for(REQUEST_TIME).await;
    all_ended(&[wire], streams.len() as u64)?;
    Ok(sent)
}

/// Calls of one request that get one small message after the other, each in time: the time is that of the
/// call.
pub(super) async fn messages_without_end(field: Field) -> Outcome {
    const PAUSE: Duration = Duration::from_millis(100);
    let one = message_frame(&send(vec![message("a", "endless", vec![b'e'])]));
    let mut wire = Wire::open(attacker(0), field.grpc, Reads::Eagerly).await.map_err(broken)?;
    let mut streams = Vec::new();
    for _ in 0..200 {
        streams.push(wire.call("SendMessage", "endless@1@1@1").await.map_err(broken)?);
    }
    let end = field.until.max(Instant::now() + REQUEST_TIME * 2);
    let mut sent = 0;
    'calls: while Instant::now() < end {
        for stream in &streams {
            if wire.send(*stream, &one, 0).await.is_err() {
                break 'calls;
            }
            sent += 1;
        }
        sleep(PAUSE).await;
    }
    all_ended(&[wire], streams.len() as u64)?;
    Ok(sent)
}

/// Requests of which all but the last byte comes: what they hold counts, and what does not fit is refused.
pub(super) async fn hoarded_bodies(field: Field) -> Outcome {
    let refused = refusals(&field).await?;
    let body = vec![b'x'; 1 << 20];
    let (mut held, mut opened) = (Vec::new(), 0);
    let mut pace = field.pace();
    for _ in 0..8 {
        let mut wire = Wire::open(attacker(0), field.grpc, Reads::Eagerly).await.map_err(broken)?;
        for _ in 0..16 {
            let prefix = message_prefix(u32::try_from(body.len()).unwrap() + 1);
            let stream = wire.call("SendMessage", "hoards@1@1@1").await.map_err(broken)?;
            wire.send(stream, &[&prefix, &body[..]].concat(), 0).await.map_err(broken)?;
            opened += 1;
            pace.next().await;
        }
        held.push(wire);
    }
    field.hold_for(REQUEST_TIME).await;
    all_ended(&held, opened)?;
    let refused = refusals(&field).await? - refused;
    expect(refused > 0, || format!("{opened} MiB were hoarded and nothing was refused"))?;
    Ok(opened)
}

async fn refusals(field: &Field) -> Result<u64, String> {
    let counted = metric(field.http, "litemq_errors_total{code=\"OVERLOADED\"}").await;
    counted.map_err(broken)?.ok_or_else(|| "refusals are not counted".to_owned())
}

/// Streams that the broker must have given up by now.
fn all_ended(held: &[Wire], opened: u64) -> Result<(), String> {
    let ended: u64 = held.iter().map(|wire| wire.heard.ended()).sum();
    let closed = held.iter().all(|wire| wire.heard.closed.load(Ordering::Relaxed));
    expect(closed || ended >= opened, || {
        format!("only {ended} of {opened} unfinished requests were given up")
    })
}
