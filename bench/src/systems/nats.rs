//! NATS JetStream in its own text protocol: a publish with a reply subject, acknowledged by the
//! stream that took it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::Connection;
use super::pipeline::{Frame, Pipeline, Protocol};
use crate::Result;
use crate::messages::{TOPIC, lite_name};

const HELLO: &str = "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\
    \"no_responders\":true,\"protocol\":1}\r\n";

/// A connection; all channels are subjects of one stream.
#[derive(Debug)]
pub(super) struct Nats {
    pipeline: Arc<Pipeline<Bytes>>,
    /// Where the answers come; the number of the request follows.
    inbox: String,
}

impl Nats {
    pub(super) async fn connect(address: SocketAddr) -> Result<Self> {
        static CONNECTIONS: AtomicU64 = AtomicU64::new(0);
        let number = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
        let inbox = format!("_INBOX.{}-{number}.", std::process::id());
        let pipeline = Pipeline::connect(address, NatsText).await?;
        pipeline.tell(format!("{HELLO}SUB {inbox}* 1\r\n").as_bytes());
        let nats = Self { pipeline, inbox };
        nats.make_stream().await?;
        Ok(nats)
    }

    /// The stream of all channels; the same again is no fault.
    async fn make_stream(&self) -> Result<()> {
        let config = json!({
            "name": TOPIC,
            "subjects": [format!("{TOPIC}.>")],
            "storage": "file",
            "retention": "limits",
            "num_replicas": 1,
        });
        let subject = format!("$JS.API.STREAM.CREATE.{TOPIC}");
        self.publish(&subject, config.to_string().as_bytes()).await
    }

    async fn publish(&self, subject: &str, body: &[u8]) -> Result<()> {
        let encode = |number: u64, out: &mut BytesMut| {
            let head = format!("PUB {subject} {}{number} {}\r\n", self.inbox, body.len());
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(body);
            out.extend_from_slice(b"\r\n");
        };
        let answer = self.pipeline.request(encode).await?;
        match serde_json::from_slice::<Value>(&answer)?.get("error") {
            None => Ok(()),
            Some(error) => Err(format!("NATS: {error}").into()),
        }
    }
}

impl Connection for Nats {
    fn append(&self, channel: usize, body: Bytes) -> BoxFuture<'_, Result<()>> {
        Box::pin(
            async move { self.publish(&format!("{TOPIC}.{}", lite_name(channel)), &body).await },
        )
    }
}

/// What a server of NATS says: lines, of which `MSG` and `HMSG` have a body.
#[derive(Debug)]
struct NatsText;

impl Protocol for NatsText {
    type Answer = Bytes;

    fn take(&mut self, bytes: &mut BytesMut) -> Result<Option<Frame<Bytes>>> {
        let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        let line = std::str::from_utf8(bytes.get(..end).unwrap_or_default())?;
        let mut words = line.split(' ');
        match words.next() {
            Some("MSG") => {}
            Some("HMSG") => return Err(format!("nobody is there: {line}").into()),
            Some("-ERR") => return Err(line.to_owned().into()),
            word => {
                let ping = word == Some("PING");
                bytes.advance(end + 2);
                return Ok(Some(if ping { Frame::Reply(b"PONG\r\n") } else { Frame::Skip }));
            }
        }
        let number = words.next().and_then(|subject| subject.rsplit('.').next());
        let number = number.ok_or("MSG without subject")?.parse()?;
        let length: usize = words.next_back().ok_or("MSG without length")?.parse()?;
        if bytes.len() < end + 2 + length + 2 {
            return Ok(None);
        }
        bytes.advance(end + 2);
        let body = bytes.split_to(length).freeze();
        bytes.advance(2);
        Ok(Some(Frame::Answer(number, body)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_when_its_body_is_whole() {
        let mut bytes = BytesMut::from("INFO {}\r\nMSG _INBOX.1-0.7 1 4\r\n{\"a".as_bytes());
        assert!(matches!(NatsText.take(&mut bytes).unwrap(), Some(Frame::Skip)));
        assert!(NatsText.take(&mut bytes).unwrap().is_none());
        bytes.extend_from_slice(b"\"\r\nPING\r\n");
        let frame = NatsText.take(&mut bytes).unwrap();
        assert!(matches!(frame, Some(Frame::Answer(7, body)) if body == "{\"a\""));
        assert!(matches!(NatsText.take(&mut bytes).unwrap(), Some(Frame::Reply(_))));
        assert!(bytes.is_empty());
    }
}
