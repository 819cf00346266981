//! Header blocks that do not end, unpack to much, or are just large.

use super::{Field, Outcome, broken, expect};
use crate::wire::{
    CONTINUATION, END_HEADERS, END_STREAM, HEADERS, Reads, Wire, attacker, call_headers,
    indexed_literal, literal,
};

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

/// As many headers as are allowed, on as many calls that stay open.
pub(super) async fn large_headers(field: Field) -> Outcome {
    let mut held = Vec::new();
    let mut acts = 0;
    let mut pace = field.pace();
    for _ in 0..4 {
        let mut wire = Wire::open(attacker(0), field.grpc, Reads::Eagerly).await.map_err(broken)?;
        for n in 0..500 {
            let mut block = call_headers("SendMessage", "large@1@1@1");
            block.extend(literal("x-mq-namespace", &[b'n'; 15 << 10]));
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
