//! Header blocks that do not end, unpack to much, or are just large.

use super::{Field, Outcome, broken, expect};
use crate::http::metric;
use crate::settings::CALLS;
use crate::wire::{
    CONTINUATION, END_HEADERS, END_STREAM, HEADERS, Reads, Wire, attacker, call_headers,
    indexed_literal, literal,
};

/// Calls that an attack on all of them leaves to the honest client.
const LEFT_FOR_OTHERS: u64 = 200;

/// RUSTSEC-2024-0332: a block that is continued without end.
pub(super) async fn continuation_flood(field: Field) -> Outcome {
    let part: Vec<u8> = (0..100).flat_map(|n| literal(&format!("x-{n}"), &[b'a'; 100])).collect();
    let mut cut_off = 0;
    let mut acts = 0;
    let mut pace = field.pace();
    while field.goes_on() {
        let mut wire = Wire::open(attacker(0), field.grpc, Reads::Eagerly).await.map_err(broken)?;
        let stream = wire.next();
        wire.frame(HEADERS, 0, stream, &call_headers("SendMessage", "c")).await.map_err(broken)?;
        while pace.next().await {
            acts += 1;
            let written = wire.frame(CONTINUATION, 0, stream, &part).await;
            if written.is_err() || wire.heard.is_over() {
                cut_off += 1;
                break;
            }
        }
    }
    expect(cut_off > 0, || format!("{acts} continuations of one header block were accepted"))?;
    Ok(acts)
}

/// A large value in the table and a block that names it a thousand times: bytes become megabytes.
pub(super) async fn header_bomb(field: Field) -> Outcome {
    // The newest entry of the table is number 62.
    const NEWEST: u8 = 0x80 | 62;
    let mut wire = Wire::open(attacker(0), field.grpc, Reads::Eagerly).await.map_err(broken)?;
    let mut pace = field.pace();
    let mut acts = 0;
    while pace.next().await {
        let mut block = call_headers("Heartbeat", "bomb@1@1@1");
        block.extend(indexed_literal("x-bomb", &[b'b'; 3500]));
        block.extend([NEWEST; 4000]);
        let stream = wire.next();
        let written = wire.frame(HEADERS, END_HEADERS | END_STREAM, stream, &block).await;
        acts += 1;
        if written.is_err() || wire.heard.is_over() {
            wire = Wire::open(attacker(0), field.grpc, Reads::Eagerly).await.map_err(broken)?;
        }
    }
    Ok(acts)
}

/// A header block as large as is allowed.
fn large_call(method: &str, client: &str) -> Vec<u8> {
    let mut block = call_headers(method, client);
    block.extend(literal("x-large", &[b'l'; 15 << 10]));
    block
}

/// As many headers as are allowed, on as many calls that stay open.
pub(super) async fn large_headers(field: Field) -> Outcome {
    let mut held = Vec::new();
    let mut acts = 0;
    let mut pace = field.pace();
    for _ in 0..4 {
        let mut wire = Wire::open(attacker(0), field.grpc, Reads::Eagerly).await.map_err(broken)?;
        for n in 0..500 {
            let block = large_call("SendMessage", "large@1@1@1");
            let stream = wire.next();
            if wire.frame(HEADERS, END_HEADERS, stream, &block).await.is_err() {
                break;
            }
            acts += 1;
            if n % 20 == 19 {
                pace.next().await;
            }
        }
        held.push(wire);
    }
    field.hold().await;
    Ok(acts)
}

/// The same on all calls that there may be but a few for the honest client: sends whose body does not come,
/// for as long as a request may take, and Telemetry streams that say nothing and stay.
pub(super) async fn calls_full_of_headers(field: Field) -> Outcome {
    const STREAMS: u64 = 1000;
    let connections = CALLS / STREAMS;
    let (mut held, mut acts) = (Vec::new(), 0);
    let mut pace = field.pace();
    for c in 0..connections {
        // Two addresses, each with its share.
        let from = attacker(u8::try_from(c % 2).unwrap());
        let mut wire = Wire::open(from, field.grpc, Reads::Eagerly).await.map_err(broken)?;
        let streams = if c < 2 { STREAMS - LEFT_FOR_OTHERS / 2 } else { STREAMS };
        for n in 0..streams {
            // Sends come last, so that they are there when everything is.
            let method = if c + 1 < connections { "Telemetry" } else { "SendMessage" };
            let stream = wire.next();
            let block = large_call(method, "large@1@1@1");
            wire.frame(HEADERS, END_HEADERS, stream, &block).await.map_err(broken)?;
            acts += 1;
            if n % 40 == 39 {
                pace.next().await;
            }
        }
        held.push(wire);
    }
    let open = metric(field.http, "litemq_open_calls").await.map_err(broken)?.unwrap_or(0);
    expect(open + LEFT_FOR_OTHERS > CALLS * 9 / 10, || format!("only {open} calls are open"))?;
    field.hold().await;
    Ok(acts)
}
