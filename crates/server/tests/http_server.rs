//! The HTTP door on a real socket: connections, headers and the stop.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a helper that cannot go on fails its test"
)]

mod http_support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use http_support::{CONNECTIONS_MAX, PATIENCE, Served};
use litemq_server::front::http::HttpOptions;
use litemq_server::front::http::limits::{BODIES_MAX, SMALL_BODY_BYTES_MAX};

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends a request on a connection that stays open, and reads the start of the answer.
fn ask(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut buffer = [0; 4096];
    let read = stream.read(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..read]).into_owned()
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn one_address_has_its_share_of_the_connections_and_no_more() {
    let served = Served::start_with(HttpOptions::default());
    let share = CONNECTIONS_MAX / 2;
    let mut streams: Vec<_> = (0..share).map(|_| connect(served.address)).collect();
    for stream in &mut streams {
        assert!(ask(stream, HEALTH).starts_with("HTTP/1.1 200 OK"));
    }
    let mut one_more = connect(served.address);
    assert_eq!(one_more.read(&mut [0; 1]).unwrap_or(0), 0);
    served.stop();
}

#[test]
fn a_body_that_is_declared_too_large_is_not_waited_for() {
    let served = Served::start();
    let mut stream = connect(served.address);
    let declared = "POST /api/v1/topics/t/lite/a/messages HTTP/1.1\r\nHost: localhost\r\n\
        Content-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n{";
    let answer = ask(&mut stream, declared);
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    served.stop();
}

#[test]
fn small_messages_are_taken_while_large_ones_are_all_that_an_address_may_send() {
    let served = Served::start_with(HttpOptions::default());
    let send = |bytes: usize, more: &str| {
        format!(
            "POST /api/v1/topics/t/lite/a/messages HTTP/1.1\r\nHost: localhost\r\n\
            Content-Type: application/json\r\nContent-Length: {bytes}\r\n{more}\r\n"
        )
    };
    let large = send(SMALL_BODY_BYTES_MAX + 1, "Expect: 100-continue\r\n");
    let mut waiting: Vec<_> = (0..BODIES_MAX / 2).map(|_| connect(served.address)).collect();
    for stream in &mut waiting {
        assert!(ask(stream, &large).starts_with("HTTP/1.1 100 Continue"));
    }
    let answer = ask(&mut connect(served.address), &large);
    assert!(answer.contains("too many messages at a time"), "{answer}");
    let small = r#"{"body":"x"}"#;
    let answer = ask(&mut connect(served.address), &(send(small.len(), "") + small));
    assert!(answer.contains("TOPIC_NOT_FOUND"), "{answer}");
    drop(waiting);
    served.stop();
}

#[test]
fn a_stop_ends_idle_connections_and_the_door() {
    let served = Served::start();
    let mut stream = connect(served.address);
    assert!(ask(&mut stream, HEALTH).starts_with("HTTP/1.1 200 OK"));
    let address = served.address;
    served.stop();
    let mut rest = Vec::new();
    assert_eq!(stream.read_to_end(&mut rest).unwrap(), 0);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_connection_too_many_is_closed_and_a_freed_place_is_used_again() {
    let served = Served::start();
    let mut streams: Vec<_> = (0..CONNECTIONS_MAX).map(|_| connect(served.address)).collect();
    for stream in &mut streams {
        assert!(ask(stream, HEALTH).starts_with("HTTP/1.1 200 OK"));
    }
    let mut one_more = connect(served.address);
    assert_eq!(one_more.read(&mut [0; 1]).unwrap_or(0), 0);

    let mut leaving = streams.pop().unwrap();
    let goodbye = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    leaving.write_all(goodbye.as_bytes()).unwrap();
    leaving.read_to_end(&mut Vec::new()).unwrap();
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let mut stream = connect(served.address);
        // The door may notice the free place a moment after we noticed the close.
        if stream.write_all(HEALTH.as_bytes()).is_ok()
            && matches!(stream.read(&mut [0; 12]), Ok(read) if read > 0)
        {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "the place was never free again");
    }
}

#[test]
fn headers_without_end_are_refused() {
    let served = Served::start();
    let mut stream = connect(served.address);
    let many = "a: b\r\n".repeat(100);
    let answer = ask(&mut stream, &format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"));
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let mut stream = connect(served.address);
    let long = "x".repeat(64 << 10);
    let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\na: {long}\r\n\r\n");
    // The door may hang up before it has read everything.
    let written = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let refused = answer.starts_with(b"HTTP/1.1 431") || written.is_err() || read.is_err();
    assert!(refused, "{}", String::from_utf8_lossy(&answer));
}
