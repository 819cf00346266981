//! Server-sent events on an HTTP/1.1 connection of their own.

use std::net::SocketAddr;

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::http1::refused;
use crate::Result;

/// An answer that goes on; the connection ends with this.
#[derive(Debug)]
pub(super) struct Events {
    body: Incoming,
    bytes: BytesMut,
    _connection: JoinSet<()>,
}

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) kind: String,
    pub(super) data: String,
}

impl Events {
    /// Connects and asks for a path.
    pub(super) async fn open(
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut tasks = JoinSet::new();
        // A connection that broke shows in the body.
        tasks.spawn(async move { drop(connection.await) });
        let mut request = Request::get(path).header(HOST, address.to_string());
        request = request.header(ACCEPT, "text/event-stream");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
        let status = answer.status();
        if !status.is_success() {
            refused(path, status, &answer.into_body().collect().await?.to_bytes())?;
            return Err("a refused read".into());
        }
        Ok(Self { body: answer.into_body(), bytes: BytesMut::new(), _connection: tasks })
    }

    /// Waits for the next one; nothing when the server has ended the answer.
    pub(super) async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(event) = take(&mut self.bytes)? {
                return Ok(Some(event));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Ok(data) = frame?.into_data() {
                self.bytes.extend_from_slice(&data);
            }
        }
    }
}

/// Takes the next whole event off the front.
fn take(bytes: &mut BytesMut) -> Result<Option<Event>> {
    let Some(end) = bytes.windows(2).position(|two| two == b"\n\n") else { return Ok(None) };
    let mut event = Event::default();
    for line in std::str::from_utf8(bytes.get(..end).unwrap_or_default())?.lines() {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut event.kind),
            "data" => event.data.push_str(value),
            _ => {}
        }
    }
    bytes.advance(end + 2);
    Ok(Some(event))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_taken_when_it_is_whole() {
        let mut bytes = BytesMut::from("event: batch\ndata: a:b\nid: 1\n\nevent:data\nda");
        let event = take(&mut bytes).unwrap().unwrap();
        assert_eq!(event, Event { kind: "batch".to_owned(), data: "a:b".to_owned() });
        assert_eq!(take(&mut bytes).unwrap(), None);
        bytes.extend_from_slice(b"ta:c\n\n");
        let event = take(&mut bytes).unwrap().unwrap();
        assert_eq!(event, Event { kind: "data".to_owned(), data: "c".to_owned() });
        assert!(bytes.is_empty());
    }
}
