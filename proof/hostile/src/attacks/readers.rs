//! Clients that ask for much and do not read it.

use std::sync::atomic::Ordering;

use litemq_protocol::v2::LiteSubscriptionAction::PartialAdd;
use prost::Message as _;

use super::doors::open_http;
use super::{Field, Outcome, broken, expect};
use crate::letters::{
    BIG, GREEDY_GROUPS, TOPIC, greedy, message, receive, send, settings, sync_request,
};
use crate::settings::STALL_TIME;
use crate::wire::{DATA, Reads, Wire, attacker, message_frame};

/// Large messages that every greedy group gets: with none of them read, far more than the broker
/// may keep for slow readers.
const BIG_MESSAGES: usize = 32;
const BIG_BYTES: usize = 1 << 20;

/// Receives whose answers are never given a window.
pub(super) async fn unread_receives(field: Field) -> Outcome {
    starve(&field, Reads::NoWindow).await
}

/// Receives whose answers are given any window and then left in the socket.
pub(super) async fn unread_sockets(field: Field) -> Outcome {
    starve(&field, Reads::Never).await
}

/// Subscribes the greedy clients and sends what they are greedy for.
async fn feed(field: &Field) -> Result<(), String> {
    let mut feeder = Wire::open(attacker(9), field.grpc, Reads::Eagerly).await.map_err(broken)?;
    let mut pace = field.pace();
    for n in 0..GREEDY_GROUPS {
        let names = vec![BIG.to_owned()];
        let sync = sync_request(&greedy(n), PartialAdd, names).encode_to_vec();
        let client = format!("greedy@{n}");
        feeder.request("SyncLiteSubscription", &client, &sync).await.map_err(broken)?;
    }
    let mark = field.dice.clone().draw().to_string();
    for n in 0..BIG_MESSAGES {
        let body = vec![b'b'; BIG_BYTES];
        let message = send(vec![message(BIG, &format!("{mark}-{n}"), body)]);
        feeder.request("SendMessage", "feeder@1", &message).await.map_err(broken)?;
        pace.next().await;
        pace.next().await;
    }
    Ok(())
}

async fn starve(field: &Field, reads: Reads) -> Outcome {
    feed(field).await?;
    let mut pace = field.pace();
    let mut held = Vec::new();
    let mut asked = 0;
    for n in 0..GREEDY_GROUPS {
        let mut wire = Wire::open(attacker(0), field.grpc, reads).await.map_err(broken)?;
        for _ in 0..4 {
            let poll = receive(&greedy(n), 20);
            wire.request("ReceiveMessage", &format!("greedy@{n}"), &poll).await.map_err(broken)?;
            asked += 1;
        }
        pace.next().await;
        held.push(wire);
    }
    field.hold_for(STALL_TIME).await;
    let cut_off = held.iter().filter(|wire| wire.heard.is_over()).count();
    expect(reads == Reads::Never || cut_off > 0, || {
        format!("no answer was read for {:?} and nobody was cut off", field.lasts)
    })?;
    Ok(asked)
}

/// Topics of the settings: 15 KiB on the wire, so that windows hold many, and hundreds in memory.
const SETTINGS_TOPICS: usize = 3000;

/// Telemetry streams that send settings without end and read no answer.
pub(super) async fn unread_telemetry(field: Field) -> Outcome {
    let settings = message_frame(&settings(SETTINGS_TOPICS).encode_to_vec());
    let mut wires = Vec::new();
    for reads in [Reads::NoWindow, Reads::Never] {
        for n in 0..8 {
            let mut wire = Wire::open(attacker(0), field.grpc, reads).await.map_err(broken)?;
            let mut streams = Vec::new();
            for s in 0..20 {
                let client = format!("unread@{reads:?}@{n}@{s}");
                streams.push(wire.call("Telemetry", &client).await.map_err(broken)?);
            }
            wires.push((wire, streams));
        }
    }
    let mut pace = field.pace();
    let mut sent = 0;
    let mut is_writable = vec![true; wires.len()];
    while pace.next().await {
        for ((wire, streams), is_writable) in wires.iter_mut().zip(&mut is_writable) {
            if !*is_writable {
                continue;
            }
            // A write that would wait finds a full window: enough of this connection.
            let writing = tell(wire, &streams[..2], &settings);
            *is_writable = matches!(tokio::time::timeout(super::TICK, writing).await, Ok(Ok(())));
            streams.rotate_left(2);
            sent += 2;
        }
    }
    let heard = wires.iter().map(|(wire, _)| wire.heard.data_bytes.load(Ordering::Relaxed));
    expect(heard.sum::<u64>() == 0, || "an answer passed without a window".to_owned())?;
    Ok(sent)
}

async fn tell(wire: &mut Wire, streams: &[u32], message: &[u8]) -> std::io::Result<()> {
    for stream in streams {
        for part in message.chunks(16 << 10) {
            wire.frame(DATA, 0, *stream, part).await?;
        }
    }
    Ok(())
}

/// Pages of large messages over HTTP that nobody reads: a few at a time, given up after a while.
pub(super) async fn http_unread_answers(field: Field) -> Outcome {
    feed(&field).await?;
    let path = format!("/api/v1/topics/{TOPIC}/lite/{BIG}/messages?limit=1000");
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let held = open_http(&field, 100, request.as_bytes()).await?;
    field.hold().await;
    Ok(held.len() as u64)
}
