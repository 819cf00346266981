//! NATS JetStream in its own text protocol: a publish with a reply subject, acknowledged by the
//! stream that took it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use super::pipeline::{Frame, Pipeline, Protocol};
use super::{
    Connection, Consumer, Delivery, Holding, Library, Position, RECEIVE_MAX, RECEIVE_WAIT, Reader,
};
use crate::Result;
use crate::messages::{TOPIC, lite_name};

const CONSUMERS_MAX: usize = 1_000_000;
/// The subscription of the answers; those of the channels follow.
const ANSWERS: &str = "1";
const HELLO: &str = "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\
    \"no_responders\":true,\"protocol\":1}\r\n";

/// A connection; all channels are subjects of one stream.
#[derive(Debug)]
pub(super) struct Nats {
    pipeline: Pipeline<Bytes>,
    /// Where the answers come; the number of the request follows.
    inbox: String,
}

impl Nats {
    pub(super) async fn connect(address: SocketAddr) -> Result<Self> {
        Self::connect_and_deliver(address, NatsText::default()).await
    }

    async fn connect_and_deliver(address: SocketAddr, text: NatsText) -> Result<Self> {
        let nats = Self::open(address, text).await?;
        nats.make_stream().await?;
        Ok(nats)
    }

    async fn open(address: SocketAddr, text: NatsText) -> Result<Self> {
        static CONNECTIONS: AtomicU64 = AtomicU64::new(0);
        let number = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
        let inbox = format!("_INBOX.{}-{number}.", std::process::id());
        let pipeline = Pipeline::connect(address, text).await?;
        pipeline.tell(format!("{HELLO}SUB {inbox}* {ANSWERS}\r\n").as_bytes());
        Ok(Self { pipeline, inbox })
    }

    /// The stream of all channels; the same again is no fault.
    async fn make_stream(&self) -> Result<()> {
        let config = json!({
            "name": TOPIC,
            "subjects": [format!("{TOPIC}.>")],
            "storage": "file",
            "retention": "limits",
            "num_replicas": 1,
            // Since 2.15 a stream has 1,000 unless told otherwise.
            "max_consumers": CONSUMERS_MAX,
        });
        let subject = format!("$JS.API.STREAM.CREATE.{TOPIC}");
        self.publish(&subject, config.to_string().as_bytes()).await
    }

    /// A request that JetStream answers in JSON.
    async fn publish(&self, subject: &str, body: &[u8]) -> Result<()> {
        let answer = self.request(subject, body).await?;
        match serde_json::from_slice::<Value>(&answer)?.get("error") {
            None => Ok(()),
            Some(error) => Err(format!("NATS: {error}").into()),
        }
    }

    async fn request(&self, subject: &str, body: &[u8]) -> Result<Bytes> {
        let encode = |number: u64, out: &mut BytesMut| {
            let head = format!("PUB {subject} {}{number} {}\r\n", self.inbox, body.len());
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(body);
            out.extend_from_slice(b"\r\n");
        };
        self.pipeline.request(encode).await
    }
}

impl Connection for Nats {
    fn append(&self, channel: usize, body: Bytes) -> BoxFuture<'_, Result<()>> {
        Box::pin(
            async move { self.publish(&format!("{TOPIC}.{}", lite_name(channel)), &body).await },
        )
    }
}

/// Readers that go on behind a place of the stream.
#[derive(Debug)]
pub(super) struct Subjects(pub(super) SocketAddr);

/// One of them: an ordered consumer, as the client libraries make it, on its own connection.
#[derive(Debug)]
struct SubjectReader {
    /// The consumer goes with its connection.
    _nats: Nats,
    deliveries: UnboundedReceiver<Delivery>,
}

impl Library for Subjects {
    fn open(&self, channel: usize, position: Position) -> BoxFuture<'_, Result<Box<dyn Reader>>> {
        Box::pin(async move {
            // Bounded by what is sent to one channel.
            let (deliver, deliveries) = unbounded_channel();
            let nats = Nats::open(self.0, NatsText(Some(deliver))).await?;
            let inbox = format!("read.{}{channel}", nats.inbox);
            nats.pipeline.tell(format!("SUB {inbox} {}\r\n", subscription(channel)).as_bytes());
            let first = position.map_or(Ok(1), |last| last.parse::<u64>().map(|last| last + 1))?;
            let request = json!({ "stream_name": TOPIC, "config": {
                "filter_subject": format!("{TOPIC}.{}", lite_name(channel)),
                "deliver_subject": inbox,
                "deliver_policy": "by_start_sequence",
                "opt_start_seq": first,
                "ack_policy": "none",
                "mem_storage": true,
                "inactive_threshold": u64::try_from(INACTIVE_MAX.as_nanos())?,
            }});
            let create = format!("$JS.API.CONSUMER.CREATE.{TOPIC}");
            nats.publish(&create, request.to_string().as_bytes()).await?;
            let reader: Box<dyn Reader> = Box::new(SubjectReader { _nats: nats, deliveries });
            Ok(reader)
        })
    }
}

impl Reader for SubjectReader {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<(Bytes, Position)>>> {
        Box::pin(async move {
            let mut found = Vec::new();
            if self.deliveries.recv_many(&mut found, RECEIVE_MAX).await == 0 {
                return Err("the connection is gone".into());
            }
            let behind = |delivery: Delivery| {
                let place = delivery.receipt.split('.').nth(5).ok_or("a delivery without place")?;
                Ok((delivery.body, Some(place.to_owned())))
            };
            found.into_iter().map(behind).collect()
        })
    }
}

/// A durable push consumer of each subject, all delivered to one connection.
#[derive(Debug)]
pub(super) struct Holder {
    nats: Nats,
    deliveries: Mutex<UnboundedReceiver<Delivery>>,
    client: usize,
    ack_wait: Duration,
}

/// How long a consumer stays whose reader is gone.
const INACTIVE_MAX: Duration = Duration::from_secs(5);
/// What the server has when nothing is said.
const ACK_WAIT: Duration = Duration::from_secs(30);

impl Holder {
    pub(super) async fn connect(address: SocketAddr, holding: Holding) -> Result<Self> {
        // Bounded by what the load has under way.
        let (deliver, deliveries) = unbounded_channel();
        let nats = Nats::connect_and_deliver(address, NatsText(Some(deliver))).await?;
        let holder = Self {
            nats,
            deliveries: Mutex::new(deliveries),
            client: holding.client,
            ack_wait: holding.invisible.unwrap_or(ACK_WAIT),
        };
        for channel in holding.channels {
            holder.take(channel).await?;
        }
        Ok(holder)
    }

    /// Makes the consumer of a channel, or has one that delivers to nobody deliver here.
    async fn take(&self, channel: usize) -> Result<()> {
        let name = lite_name(channel);
        let subject = format!("{TOPIC}.{name}");
        // Each its own: a consumer moves only when nobody listens where it delivered.
        let inbox = format!("deliver.{}-{}.{name}", std::process::id(), self.client);
        let sid = subscription(channel);
        self.nats.pipeline.tell(format!("SUB {inbox} {sid}\r\n").as_bytes());
        let request = json!({ "stream_name": TOPIC, "config": {
            "durable_name": name,
            "filter_subject": subject,
            "deliver_subject": inbox,
            "deliver_policy": "new",
            "ack_policy": "explicit",
            "ack_wait": u64::try_from(self.ack_wait.as_nanos())?,
        }});
        let create = format!("$JS.API.CONSUMER.CREATE.{TOPIC}.{name}.{subject}");
        self.nats.publish(&create, request.to_string().as_bytes()).await
    }
}

/// The subscription of a channel on its connection.
fn subscription(channel: usize) -> usize {
    channel + 2
}

impl Consumer for Holder {
    fn receive(&self) -> BoxFuture<'_, Result<Vec<Delivery>>> {
        Box::pin(async move {
            let (mut deliveries, mut found) = (self.deliveries.lock().await, Vec::new());
            match timeout(RECEIVE_WAIT, deliveries.recv_many(&mut found, RECEIVE_MAX)).await {
                Ok(0) => Err("the connection is gone".into()),
                Ok(_) | Err(_) => Ok(found),
            }
        })
    }

    fn ack<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<bool>> {
        // With an answer: an ack without one may be lost unseen.
        Box::pin(async move { self.nats.request(&delivery.receipt, b"+ACK").await.map(|_| true) })
    }

    fn hold(&self, channel: usize) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.take(channel))
    }

    fn release(&self, channel: usize) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let leave = format!("UNSUB {}\r\n", subscription(channel));
            self.nats.pipeline.tell(leave.as_bytes());
            // Answered behind it: then the server knows.
            self.nats.publish("$JS.API.INFO", b"").await
        })
    }
}

/// What a server of NATS says: lines, of which `MSG` and `HMSG` have a body. Deliveries go their own
/// way.
#[derive(Debug, Default)]
struct NatsText(Option<UnboundedSender<Delivery>>);

impl NatsText {
    fn deliver(&self, subject: &str, receipt: &str, body: Bytes) -> Result<()> {
        // $JS.ACK.<stream>.<consumer>.<attempts>.<offset in the stream>. and more
        let attempts = receipt.split('.').nth(4).ok_or("a delivery without attempts")?;
        let delivery = Delivery {
            body,
            again: attempts != "1",
            channel: subject.to_owned(),
            id: String::new(),
            receipt: receipt.to_owned(),
        };
        let to = self.0.as_ref().ok_or("a delivery that nobody asked for")?;
        to.send(delivery).map_err(|_| "nobody takes deliveries any more".into())
    }
}

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
        let subject = words.next().ok_or("MSG without subject")?.to_owned();
        let is_delivery = words.next() != Some(ANSWERS);
        let length: usize = words.next_back().ok_or("MSG without length")?.parse()?;
        let receipt = words.next().unwrap_or_default().to_owned();
        if bytes.len() < end + 2 + length + 2 {
            return Ok(None);
        }
        bytes.advance(end + 2);
        let body = bytes.split_to(length).freeze();
        bytes.advance(2);
        if is_delivery {
            self.deliver(&subject, &receipt, body)?;
            return Ok(Some(Frame::Skip));
        }
        let number = subject.rsplit('.').next().unwrap_or_default().parse()?;
        Ok(Some(Frame::Answer(number, body)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_when_its_body_is_whole() {
        let mut text = NatsText::default();
        let mut bytes = BytesMut::from("INFO {}\r\nMSG _INBOX.1-0.7 1 4\r\n{\"a".as_bytes());
        assert!(matches!(text.take(&mut bytes).unwrap(), Some(Frame::Skip)));
        assert!(text.take(&mut bytes).unwrap().is_none());
        bytes.extend_from_slice(b"\"\r\nPING\r\n");
        let frame = text.take(&mut bytes).unwrap();
        assert!(matches!(frame, Some(Frame::Answer(7, body)) if body == "{\"a\""));
        assert!(matches!(text.take(&mut bytes).unwrap(), Some(Frame::Reply(_))));
        assert!(bytes.is_empty());
    }
}
