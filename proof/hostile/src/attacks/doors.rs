//! Connections: by the thousand, silent, half open; and the HTTP door with whatever it can be sent.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Field, Outcome, broken, expect};
use crate::letters::TOPIC;
use crate::settings::{CONNECTIONS, HTTP_CONNECTIONS, OPENING_TIME};
use crate::wire::{PREFACE, attacker, connect};

/// Whether a peer is done with us: its end of the stream, or a reset.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut byte = [0; 512];
    loop {
        match timeout(Duration::from_millis(1), stream.read(&mut byte)).await {
            Ok(Ok(0) | Err(_)) => return true,
            Ok(Ok(_)) => {}
            Err(_) => return false,
        }
    }
}

/// Connections that say these bytes and then nothing; how many are still open at the end.
async fn stay_silent(field: &Field, count: usize, first: &[u8]) -> Result<(u64, u64), String> {
    let mut held = open(field, field.grpc, count, first).await?;
    field.hold_for(OPENING_TIME).await;
    let open = still_open(&mut held).await;
    Ok((held.len() as u64, open))
}

async fn open(
    field: &Field,
    door: SocketAddr,
    count: usize,
    first: &[u8],
) -> Result<Vec<TcpStream>, String> {
    let mut held = Vec::new();
    let mut pace = field.pace();
    for n in 0..count {
        let from = attacker(u8::try_from(n % 4).unwrap());
        let mut stream = connect(from, door).await.map_err(broken)?;
        // The door may have closed it by now.
        drop(stream.write_all(first).await);
        held.push(stream);
        if n % 40 == 39 {
            pace.next().await;
        }
    }
    Ok(held)
}

async fn all_are_dropped(field: &Field, first: &[u8]) -> Outcome {
    let (opened, left) = stay_silent(field, 2000, first).await?;
    expect(left == 0, || format!("{left} of {opened} silent connections are still open"))?;
    Ok(opened)
}

/// Not a byte.
pub(super) async fn silent_connections(field: Field) -> Outcome {
    all_are_dropped(&field, b"").await
}

/// The start of a TLS handshake.
pub(super) async fn silent_handshakes(field: Field) -> Outcome {
    all_are_dropped(&field, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await
}

/// An HTTP/2 preface and nothing else: such a connection is held, at its price.
pub(super) async fn silent_prefaces(field: Field) -> Outcome {
    let (opened, _) = stay_silent(&field, 2000, PREFACE).await?;
    Ok(opened)
}

/// All from one address, which gets its share and no more.
pub(super) async fn one_address_takes_all(field: Field) -> Outcome {
    let share = CONNECTIONS / 2;
    let mut held = Vec::new();
    let mut pace = field.pace();
    for n in 0..share + 300 {
        let mut stream = connect(attacker(0), field.grpc).await.map_err(broken)?;
        drop(stream.write_all(PREFACE).await);
        held.push(stream);
        if n % 40 == 39 {
            pace.next().await;
        }
    }
    field.hold().await;
    let open = still_open(&mut held).await;
    expect(open <= share, || format!("one address has {open} connections; its share is {share}"))?;
    Ok(held.len() as u64)
}

/// Headers that come a byte at a time, on more connections than one address may have.
pub(super) async fn http_slow_headers(field: Field) -> Outcome {
    let first = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-slow: ";
    let mut held = open_http(&field, HTTP_CONNECTIONS * 2, first).await?;
    let mut pace = field.pace();
    while pace.next().await {
        for stream in held.iter_mut().take(50) {
            drop(stream.try_write(b"s"));
        }
    }
    let open = still_open(&mut held).await;
    let share = HTTP_CONNECTIONS / 2;
    expect(open <= share, || {
        format!("one address has {open} HTTP connections; its share is {share}")
    })?;
    Ok(held.len() as u64)
}

pub(super) async fn http_huge_headers(field: Field) -> Outcome {
    let mut request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n".to_vec();
    for n in 0..2000 {
        request.extend(format!("x-{n}: {}\r\n", "h".repeat(500)).bytes());
    }
    repeat(&field, &request, "HTTP/1.1 431").await
}

/// A body that is declared too large, and one that says nothing of its length.
pub(super) async fn http_huge_bodies(field: Field) -> Outcome {
    let path = format!("/api/v1/topics/{TOPIC}/lite/a/messages");
    let declared = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: 1073741824\r\n\r\n{{"
    );
    repeat(&field, declared.as_bytes(), "HTTP/1.1 413").await
}

/// Thousands of requests at once on a connection whose answers are read late.
pub(super) async fn http_pipelining(field: Field) -> Outcome {
    let one = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut held = open_http(&field, 8, b"").await?;
    let mut pace = field.pace();
    // More than is read at a time, two thousand a second.
    let burst = one.repeat(500);
    let mut acts = 0;
    while pace.next().await {
        for _ in 0..200 {
            if !pace.next().await {
                break;
            }
        }
        for stream in &held {
            // Only what fits: the door reads no further than it answers.
            if stream.try_write(burst.as_bytes()).is_ok() {
                acts += 500;
            }
        }
    }
    let open = still_open(&mut held).await;
    expect(open > 0, || "no pipelined connection was served".to_owned())?;
    Ok(acts)
}

pub(super) async fn http_endless_chunks(field: Field) -> Outcome {
    let head = "POST /api/v1/topics HTTP/1.1\r\nhost: localhost\r\n\
        content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    let mut pace = field.pace();
    let (mut acts, mut refused) = (0, 0);
    while field.goes_on() {
        let mut stream = connect(attacker(0), field.http).await.map_err(broken)?;
        stream.write_all(head.as_bytes()).await.map_err(broken)?;
        while pace.next().await {
            acts += 1;
            if stream.write_all(chunk.as_bytes()).await.is_err() || is_closed(&mut stream).await {
                refused += 1;
                break;
            }
        }
    }
    expect(refused > 0, || format!("{acts} chunks of one request were taken"))?;
    Ok(acts)
}

pub(super) async fn open_http(
    field: &Field,
    count: u64,
    first: &[u8],
) -> Result<Vec<TcpStream>, String> {
    let mut held = Vec::new();
    let mut pace = field.pace();
    for n in 0..count {
        let mut stream = connect(attacker(0), field.http).await.map_err(broken)?;
        drop(stream.write_all(first).await);
        held.push(stream);
        if n % 10 == 9 {
            pace.next().await;
        }
    }
    Ok(held)
}

async fn still_open(held: &mut [TcpStream]) -> u64 {
    let mut open = 0;
    for stream in held {
        open += u64::from(!is_closed(stream).await);
    }
    open
}

/// Sends a request again and again, each on a connection of its own, and reads what it is answered.
async fn repeat(field: &Field, request: &[u8], answer: &str) -> Outcome {
    let mut pace = field.pace();
    let mut acts = 0;
    while pace.next().await {
        let mut stream = connect(attacker(0), field.http).await.map_err(broken)?;
        // Refused before it is read to its end.
        drop(stream.write_all(request).await);
        let mut answered = vec![0; 64];
        let len = timeout(Duration::from_secs(2), stream.read(&mut answered)).await;
        let len = len.map_err(|_| "a refused request had no answer".to_owned())?.unwrap_or(0);
        let said = String::from_utf8_lossy(&answered[..len]).into_owned();
        expect(len == 0 || said.starts_with(answer), || format!("answered {said}"))?;
        acts += 1;
    }
    Ok(acts)
}
