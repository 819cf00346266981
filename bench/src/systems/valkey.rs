//! Streams of Valkey and Redis: `XADD` to a key for each channel.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::pipeline::Pipeline;
use super::resp::{Answers, Value, encode};
use super::{Connection, Consumer, Delivery, RECEIVE_MAX, RECEIVE_WAIT};
use crate::Result;
use crate::messages::{TOPIC, lite_name};

/// A connection, pipelined.
#[derive(Debug)]
pub(super) struct Valkey(Arc<Pipeline<Value>>);

impl Valkey {
    pub(super) async fn connect(address: SocketAddr) -> Result<Self> {
        Ok(Self(Pipeline::connect(address, Answers::default()).await?))
    }

    async fn call(&self, words: &[&[u8]]) -> Result<Value> {
        match self.0.request(|_, out| encode(words, out)).await? {
            Value::Error(error) => Err(format!("Valkey: {error}").into()),
            value => Ok(value),
        }
    }
}

impl Connection for Valkey {
    fn append(&self, channel: usize, body: Bytes) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let key = key(channel);
            self.call(&[b"XADD", key.as_bytes(), b"*", b"m", &body]).await.map(drop)
        })
    }
}

fn key(channel: usize) -> String {
    format!("{TOPIC}:{}", lite_name(channel))
}

/// A group on each key, read by one client.
#[derive(Debug)]
pub(super) struct Holder {
    /// A read that waits blocks its connection.
    reads: Valkey,
    acks: Valkey,
    keys: Vec<String>,
}

const GROUP: &[u8] = b"consumers";

impl Holder {
    pub(super) async fn connect(address: SocketAddr, channels: usize) -> Result<Self> {
        let (reads, acks) = (Valkey::connect(address).await?, Valkey::connect(address).await?);
        let keys: Vec<String> = (0..channels).map(key).collect();
        for key in &keys {
            let words = [b"XGROUP", b"CREATE".as_slice(), key.as_bytes(), GROUP, b"$", b"MKSTREAM"];
            acks.call(&words).await?;
        }
        Ok(Self { reads, acks, keys })
    }
}

impl Consumer for Holder {
    fn receive(&self) -> BoxFuture<'_, Result<Vec<Delivery>>> {
        Box::pin(async move {
            let count = RECEIVE_MAX.to_string();
            let wait = RECEIVE_WAIT.as_millis().to_string();
            let mut words: Vec<&[u8]> = vec![b"XREADGROUP", b"GROUP", GROUP, b"one", b"COUNT"];
            words.extend([count.as_bytes(), b"BLOCK", wait.as_bytes(), b"STREAMS"]);
            words.extend(self.keys.iter().map(String::as_bytes));
            words.extend(self.keys.iter().map(|_| b">".as_slice()));
            let mut deliveries = Vec::new();
            for stream in list(self.reads.call(&words).await?)? {
                let [key, entries] = pair(stream)?;
                for entry in list(entries)? {
                    let [id, fields] = pair(entry)?;
                    let [_, body] = pair(fields)?;
                    let (channel, id, receipt) = (text(&key)?, text(&id)?, String::new());
                    let Value::Text(body) = body else { return Err("a body is no text".into()) };
                    deliveries.push(Delivery { body, again: false, channel, id, receipt });
                }
            }
            Ok(deliveries)
        })
    }

    fn ack<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let words = [b"XACK", delivery.channel.as_bytes(), GROUP, delivery.id.as_bytes()];
            match self.acks.call(&words).await? {
                Value::Number(1) => Ok(()),
                other => Err(format!("XACK answered {other:?}").into()),
            }
        })
    }
}

/// The parts of a list; a read that found nothing answers nil.
fn list(value: Value) -> Result<Vec<Value>> {
    match value {
        Value::List(values) => Ok(values),
        Value::Nil => Ok(Vec::new()),
        other => Err(format!("no list: {other:?}").into()),
    }
}

fn pair(value: Value) -> Result<[Value; 2]> {
    <[Value; 2]>::try_from(list(value)?).map_err(|_| "no pair".into())
}

fn text(value: &Value) -> Result<String> {
    match value {
        Value::Text(text) => Ok(std::str::from_utf8(text)?.to_owned()),
        other => Err(format!("no text: {other:?}").into()),
    }
}
