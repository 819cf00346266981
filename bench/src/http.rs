//! The few words of HTTP that are needed of the admin door.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Result;

/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// Gets a path; the result is the status and the body.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    let answer = String::from_utf8(answer)?;
    let status = answer.split_ascii_whitespace().nth(1).ok_or("no status in the answer")?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status.parse()?, body.to_owned()))
}

/// Sum of all samples of a metric.
pub(crate) async fn metric(address: SocketAddr, name: &str) -> Result<f64> {
    let (status, body) = get(address, "/metrics").await?;
    if status != 200 {
        return Err(format!("/metrics answered {status}").into());
    }
    let samples = body
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    let values = samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    Ok(values.sum())
}
