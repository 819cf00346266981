//! The gRPC protocol of RocketMQ 5, the same client for LiteMQ, Apache RocketMQ and the bare echo.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use litemq_protocol::v2::{AckMessageEntry, Message, SendMessageRequest};

use super::{Connection, Consumer, Delivery, RECEIVE_MAX, RECEIVE_WAIT};
use crate::Result;
use crate::client::Client;
use crate::messages::{Messages, lite_name};

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

/// A lite push consumer: subscribed to each lite topic by name, as the SDKs are.
#[derive(Debug)]
pub(super) struct Holder(Client);

const GROUP: &str = "consumers";
/// Names of one request.
const SYNC_NAMES: usize = 1000;

impl Holder {
    pub(super) async fn connect(address: SocketAddr, channels: usize) -> Result<Self> {
        let mut client = Client::connect(address, "bench-consumer").await?;
        client.introduce(GROUP).await?;
        let names: Vec<String> = (0..channels).map(lite_name).collect();
        for names in names.chunks(SYNC_NAMES) {
            client.subscribe(GROUP, names.to_vec()).await?;
        }
        Ok(Self(client))
    }
}

impl Consumer for Holder {
    fn receive(&self) -> BoxFuture<'_, Result<Vec<Delivery>>> {
        Box::pin(async move {
            let batch = i32::try_from(RECEIVE_MAX)?;
            let messages = self.0.clone().receive(GROUP, batch, RECEIVE_WAIT).await?;
            Ok(messages.into_iter().map(delivery).collect())
        })
    }

    fn ack<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<()>> {
        let entry = AckMessageEntry {
            message_id: delivery.id.clone(),
            receipt_handle: delivery.receipt.clone(),
            lite_topic: Some(delivery.channel.clone()),
        };
        Box::pin(async move { self.0.clone().ack_entries(GROUP, vec![entry]).await })
    }
}

fn delivery(message: Message) -> Delivery {
    let system = message.system_properties.unwrap_or_default();
    Delivery {
        body: message.body,
        again: system.delivery_attempt() > 1,
        receipt: system.receipt_handle().to_owned(),
        channel: system.lite_topic.unwrap_or_default(),
        id: system.message_id,
    }
}
