//! s2-lite over its HTTP door, in JSON: one record a request. The basin makes a stream when its
//! first record comes.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::http1::{Http1, refused};
use super::sse::Events;
use super::{Connection, Library, Position, Reader};
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
        let config =
            json!({ "config": { "create_stream_on_append": true, "create_stream_on_read": true } })
                .to_string();
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

/// Readers by server-sent events, which go on behind a sequence number.
#[derive(Debug)]
pub(super) struct Records(pub(super) SocketAddr);

/// One of them.
#[derive(Debug)]
struct RecordReader(Events);

/// Of an event.
#[derive(Debug, Deserialize)]
struct Batch {
    records: Vec<Record>,
}

#[derive(Debug, Deserialize)]
struct Record {
    seq_num: u64,
    body: String,
}

impl Library for Records {
    fn open(&self, channel: usize, position: Position) -> BoxFuture<'_, Result<Box<dyn Reader>>> {
        Box::pin(async move {
            let next = position.map_or(Ok(0), |last| last.parse::<u64>().map(|last| last + 1))?;
            let path = format!("/v1/streams/{}/records?seq_num={next}", lite_name(channel));
            let events = Events::open(self.0, &path, &[("s2-basin", BASIN)]).await?;
            let reader: Box<dyn Reader> = Box::new(RecordReader(events));
            Ok(reader)
        })
    }
}

impl Reader for RecordReader {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<(Bytes, Position)>>> {
        Box::pin(async move {
            let event = self.0.next().await?.ok_or("the server ended a read")?;
            if event.kind != "batch" {
                return Ok(Vec::new());
            }
            let records = serde_json::from_str::<Batch>(&event.data)?.records.into_iter();
            Ok(records.map(|one| (one.body.into(), Some(one.seq_num.to_string()))).collect())
        })
    }
}
