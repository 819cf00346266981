//! The gRPC protocol of RocketMQ 5, the same client for LiteMQ, Apache RocketMQ and the bare echo.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use litemq_protocol::v2::SendMessageRequest;

use super::Connection;
use crate::Result;
use crate::client::Client;
use crate::messages::Messages;

/// A connection; a channel is a lite topic.
#[derive(Debug)]
pub(super) struct RocketMq {
    client: Client,
    messages: Messages,
}

impl RocketMq {
    pub(super) async fn connect(address: SocketAddr, number: usize) -> Result<Self> {
        let client = Client::connect(address, &format!("bench-{number}")).await?;
        Ok(Self { client, messages: Messages::new(0) })
    }
}

impl Connection for RocketMq {
    fn append(&self, channel: usize, body: Bytes) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let mut message = self.messages.to(channel);
            message.body = body;
            self.client.clone().send(SendMessageRequest { messages: vec![message] }).await
        })
    }
}
