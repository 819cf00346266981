//! s2-lite over its HTTP door, in JSON: one record a request. The basin makes a stream when its
//! first record comes.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::Method;
use serde_json::json;

use super::Connection;
use super::http1::{Http1, refused};
use crate::Result;
use crate::messages::lite_name;

/// At least 8 letters.
const BASIN: &str = "bench-basin";
const JSON: &str = "application/json";

/// A connection; a channel is a stream of the one basin.
#[derive(Debug)]
pub(super) struct S2Lite(Http1);

impl S2Lite {
    pub(super) async fn connect(address: SocketAddr) -> Result<Self> {
        let http = Http1::connect(address).await?;
        let config = json!({ "config": { "create_stream_on_append": true } }).to_string();
        let path = format!("/v1/basins/{BASIN}");
        let (status, body) = http.call(Method::PUT, &path, &[], JSON, config.into()).await?;
        if !status.is_success() {
            refused("PUT of the basin", status, &body)?;
        }
        Ok(Self(http))
    }
}

impl Connection for S2Lite {
    fn append(&self, channel: usize, body: Bytes) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let path = format!("/v1/streams/{}/records", lite_name(channel));
            let records = json!({ "records": [{ "body": std::str::from_utf8(&body)? }] });
            let basin = [("s2-basin", BASIN)];
            let (status, body) =
                self.0.call(Method::POST, &path, &basin, JSON, records.to_string().into()).await?;
            if status.is_success() { Ok(()) } else { refused("append", status, &body) }
        })
    }
}
