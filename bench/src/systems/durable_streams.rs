//! The Durable Streams protocol: `PUT` makes a stream, `POST` appends to it.

use std::net::SocketAddr;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::future::BoxFuture;
use hyper::Method;
use serde::Deserialize;

use super::http1::{Http1, refused};
use super::sse::Events;
use super::{Connection, Library, Position, Reader};
use crate::Result;
use crate::messages::lite_name;
use crate::workload::stamp::{FILLING, STAMP_BYTES};

/// Other than bytes, which would come back in base64.
const TEXT: &str = "text/plain";
const BEGINNING: &str = "-1";

/// A connection; a channel is a stream.
#[derive(Debug)]
pub(super) struct DurableStreams(Http1);

impl DurableStreams {
    pub(super) async fn connect(address: SocketAddr) -> Result<Self> {
        Ok(Self(Http1::connect(address).await?))
    }

    async fn call(&self, method: Method, channel: usize, body: Bytes) -> Result<()> {
        let path = format!("/v1/stream/{}", lite_name(channel));
        let (status, body) = self.0.call(method, &path, &[], TEXT, body).await?;
        if status.is_success() { Ok(()) } else { refused(&path, status, &body) }
    }
}

impl Connection for DurableStreams {
    fn prepare(&self, channel: usize) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.call(Method::PUT, channel, Bytes::new()))
    }

    fn create(&self, channel: usize, body: Bytes) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.call(Method::PUT, channel, body))
    }

    fn append(&self, channel: usize, body: Bytes) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.call(Method::POST, channel, body))
    }
}

/// Readers by server-sent events, which go on behind an offset.
#[derive(Debug)]
pub(super) struct Tails(pub(super) SocketAddr);

/// One of them.
#[derive(Debug)]
struct TailReader {
    address: SocketAddr,
    channel: usize,
    offset: String,
    events: Events,
    /// What came and has no offset yet: that follows its data.
    bytes: BytesMut,
}

/// What follows data.
#[derive(Debug, Deserialize)]
struct Control {
    #[serde(rename = "streamNextOffset")]
    next_offset: String,
}

impl Library for Tails {
    fn open(&self, channel: usize, position: Position) -> BoxFuture<'_, Result<Box<dyn Reader>>> {
        Box::pin(async move {
            let offset = position.unwrap_or_else(|| BEGINNING.to_owned());
            let events = tail(self.0, channel, &offset).await?;
            let (address, bytes) = (self.0, BytesMut::new());
            let reader: Box<dyn Reader> =
                Box::new(TailReader { address, channel, offset, events, bytes });
            Ok(reader)
        })
    }
}

async fn tail(address: SocketAddr, channel: usize, offset: &str) -> Result<Events> {
    let path = format!("/v1/stream/{}?offset={offset}&live=sse", lite_name(channel));
    Events::open(address, &path, &[]).await
}

impl Reader for TailReader {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<(Bytes, Position)>>> {
        Box::pin(async move {
            let Some(event) = self.events.next().await? else {
                // The server ends each read after a minute.
                self.bytes.clear();
                self.events = tail(self.address, self.channel, &self.offset).await?;
                return Ok(Vec::new());
            };
            if event.kind == "data" {
                self.bytes.extend_from_slice(event.data.as_bytes());
                return Ok(Vec::new());
            }
            self.offset = serde_json::from_str::<Control>(&event.data)?.next_offset;
            let (offset, mut found) = (&self.offset, Vec::new());
            // A stream of bytes, in which messages are told apart by what they begin with.
            loop {
                let filling = self.bytes.iter().take_while(|byte| **byte == FILLING).count();
                self.bytes.advance(filling);
                if self.bytes.len() < STAMP_BYTES {
                    return Ok(found);
                }
                found.push((self.bytes.split_to(STAMP_BYTES).freeze(), Some(offset.clone())));
            }
        })
    }
}
