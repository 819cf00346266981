//! Frames that are cheap to send and dear to answer.

use std::io;

use super::{Field, Outcome, broken, expect};
use crate::letters::{CROWD, receive};
use crate::wire::{
    DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY, RST_STREAM, Reads, SETTINGS,
    WINDOW_UPDATE, Wire, attacker, call_headers, frame, message_frame,
};

/// Acts of one tick: five thousand a second.
const BURST: usize = 50;

/// Repeats a burst of frames, on a new connection whenever the broker has had enough.
async fn flood(
    field: &Field,
    reads: Reads,
    mut burst: impl FnMut(&mut Wire) -> Vec<u8>,
) -> Result<(u64, u64), String> {
    let (mut acts, mut cut_off) = (0, 0);
    let mut pace = field.pace();
    let mut wire = Wire::open(attacker(0), field.grpc, reads).await.map_err(broken)?;
    while pace.next().await {
        let bytes: Vec<u8> = (0..BURST).flat_map(|_| burst(&mut wire)).collect();
        let written = tokio::time::timeout(super::TICK * 10, wire.write(&bytes)).await;
        acts += BURST as u64;
        if !matches!(written, Ok(Ok(()))) || wire.heard.is_over() {
            cut_off += 1;
            wire = Wire::open(attacker(0), field.grpc, reads).await.map_err(broken)?;
        }
    }
    Ok((acts, cut_off))
}

/// CVE-2023-44487: calls that are opened and reset at once.
pub(super) async fn rapid_reset(field: Field) -> Outcome {
    let (acts, cut_off) = flood(&field, Reads::Eagerly, |wire| {
        let stream = wire.next();
        let mut bytes = frame(HEADERS, END_HEADERS, stream, &call_headers("SendMessage", "reset"));
        bytes.extend(frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
        bytes
    })
    .await?;
    expect(cut_off > 0, || format!("{acts} rapid resets and nobody was cut off"))?;
    Ok(acts)
}

/// CVE-2025-8671: calls that the broker itself has to reset, for frames that break the rules.
pub(super) async fn made_you_reset(field: Field) -> Outcome {
    let mut nth = 0;
    let (acts, cut_off) = flood(&field, Reads::Eagerly, |wire| {
        let stream = wire.next();
        let block = call_headers("ReceiveMessage", "made@you");
        let mut bytes = frame(HEADERS, END_HEADERS, stream, &block);
        nth += 1;
        bytes.extend(match nth % 3 {
            0 => frame(WINDOW_UPDATE, 0, stream, &0u32.to_be_bytes()),
            1 => frame(WINDOW_UPDATE, 0, stream, &(i32::MAX as u32).to_be_bytes()),
            _ => {
                let body = message_frame(&receive(CROWD, 20));
                let mut twice = frame(DATA, END_STREAM, stream, &body);
                twice.extend(frame(DATA, END_STREAM, stream, b"more"));
                twice
            }
        });
        bytes
    })
    .await?;
    expect(cut_off > 0, || format!("{acts} provoked resets and nobody was cut off"))?;
    Ok(acts)
}

/// Resets of streams that are over.
pub(super) async fn reset_flood(field: Field) -> Outcome {
    let (acts, _) = flood(&field, Reads::Eagerly, |wire| {
        let stream = wire.next();
        let block = call_headers("Heartbeat", "");
        let mut bytes = frame(HEADERS, END_HEADERS | END_STREAM, stream, &block);
        bytes.extend((0..10).flat_map(|_| frame(RST_STREAM, 0, stream, &8u32.to_be_bytes())));
        bytes
    })
    .await?;
    Ok(acts)
}

pub(super) async fn settings_flood(field: Field) -> Outcome {
    let one = [0, 4, 0, 1, 0, 0];
    let (acts, _) = flood(&field, Reads::Never, |_| frame(SETTINGS, 0, 0, &one)).await?;
    Ok(acts)
}

pub(super) async fn ping_flood(field: Field) -> Outcome {
    let (acts, _) = flood(&field, Reads::Eagerly, |_| frame(PING, 0, 0, b"flooding")).await?;
    Ok(acts)
}

/// Pings whose answers are not read.
pub(super) async fn unread_pings(field: Field) -> Outcome {
    let (acts, _) = flood(&field, Reads::Never, |_| frame(PING, 0, 0, b"flooding")).await?;
    Ok(acts)
}

/// A request in frames of one byte and of none.
pub(super) async fn tiny_data(field: Field) -> Outcome {
    let mut open = None;
    let (acts, _) = flood(&field, Reads::Eagerly, |wire| {
        let mut bytes = Vec::new();
        let next = wire.next();
        // A new connection starts to count anew.
        let stream = match open {
            Some(stream) if stream < next => stream,
            _ => {
                bytes = frame(HEADERS, END_HEADERS, next, &call_headers("SendMessage", "tiny"));
                *open.insert(next)
            }
        };
        bytes.extend(frame(DATA, 0, stream, b"\0"));
        bytes.extend((0..10).flat_map(|_| frame(DATA, 0, stream, b"")));
        bytes
    })
    .await?;
    Ok(acts)
}

/// A window that grows beyond what fits: an error of the whole connection.
pub(super) async fn window_overflow(field: Field) -> Outcome {
    let most = frame(WINDOW_UPDATE, 0, 0, &(i32::MAX as u32).to_be_bytes());
    let (acts, cut_off) = flood(&field, Reads::Eagerly, |_| most.clone()).await?;
    expect(cut_off > 0, || "a window beyond 31 bits was accepted".to_owned())?;
    Ok(acts)
}

pub(super) async fn priority_flood(field: Field) -> Outcome {
    let (acts, _) = flood(&field, Reads::Eagerly, |wire| {
        let (stream, on) = (wire.next(), wire.next());
        let mut weight = on.to_be_bytes().to_vec();
        weight.push(7);
        frame(PRIORITY, 0, stream, &weight)
    })
    .await?;
    Ok(acts)
}

/// Frames of kinds that do not exist, up to the largest size.
pub(super) async fn unknown_frames(field: Field) -> Outcome {
    let mut kind = 0;
    let (acts, _) = flood(&field, Reads::Eagerly, |_| {
        kind = (kind + 1) % 200;
        frame(20 + kind, 0xff, 0, &vec![0; usize::from(kind) * 10])
    })
    .await?;
    let too_large: io::Result<()> = async {
        let mut wire = Wire::open(attacker(0), field.grpc, Reads::Eagerly).await?;
        wire.frame(99, 0, 0, &vec![0; 1 << 20]).await
    }
    .await;
    // Whether the whole frame could be written is up to the sockets.
    drop(too_large);
    Ok(acts)
}
