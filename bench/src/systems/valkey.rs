//! Streams of Valkey and Redis: `XADD` to a key for each channel.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::Connection;
use super::pipeline::Pipeline;
use super::resp::{Answers, Value, encode};
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
            let key = format!("{TOPIC}:{}", lite_name(channel));
            self.call(&[b"XADD", key.as_bytes(), b"*", b"m", &body]).await.map(drop)
        })
    }
}
