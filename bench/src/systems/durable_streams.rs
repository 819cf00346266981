//! The Durable Streams protocol: `PUT` makes a stream, `POST` appends to it.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::Method;

use super::Connection;
use super::http1::{Http1, refused};
use crate::Result;
use crate::messages::lite_name;

const BYTES: &str = "application/octet-stream";

/// A connection; a channel is a stream.
#[derive(Debug)]
pub(super) struct DurableStreams(Http1);

impl DurableStreams {
    pub(super) async fn connect(address: SocketAddr) -> Result<Self> {
        Ok(Self(Http1::connect(address).await?))
    }

    async fn call(&self, method: Method, channel: usize, body: Bytes) -> Result<()> {
        let path = format!("/v1/stream/{}", lite_name(channel));
        let (status, body) = self.0.call(method, &path, &[], BYTES, body).await?;
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
