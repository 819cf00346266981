//! The least of HTTP/1.1.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::wire::connect;

/// Gets a path on a connection of its own, as the honest client.
pub(crate) async fn get(door: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = connect(Ipv4Addr::LOCALHOST, door).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A gauge or counter of `/metrics`.
pub(crate) async fn metric(door: SocketAddr, name: &str) -> io::Result<Option<u64>> {
    let metrics = get(door, "/metrics").await?;
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.and_then(|value| value.parse().ok()))
}
