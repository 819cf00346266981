//! The HTTP door of LiteMQ, in JSON: one message a request.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::Method;
use serde_json::json;

use super::Connection;
use super::http1::{Http1, refused};
use crate::Result;
use crate::messages::{TOPIC, lite_name};

const JSON: &str = "application/json";

/// A connection; a channel is a lite topic.
#[derive(Debug)]
pub(super) struct LiteMqHttp(Http1);

impl LiteMqHttp {
    pub(super) async fn connect(address: SocketAddr) -> Result<Self> {
        Ok(Self(Http1::connect(address).await?))
    }
}

impl Connection for LiteMqHttp {
    fn append(&self, channel: usize, body: Bytes) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let path = format!("/api/v1/topics/{TOPIC}/lite/{}/messages", lite_name(channel));
            let message = json!({ "body": std::str::from_utf8(&body)? }).to_string();
            let (status, body) =
                self.0.call(Method::POST, &path, &[], JSON, message.into()).await?;
            if status.is_success() { Ok(()) } else { refused("a send", status, &body) }
        })
    }
}
