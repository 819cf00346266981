//! The gRPC protocol of RocketMQ 5, the same client for LiteMQ, Apache RocketMQ and the bare echo.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use litemq_protocol::v2::{AckMessageEntry, Message, SendMessageRequest};

use super::{Connection, Consumer, Delivery, Holding, RECEIVE_MAX, RECEIVE_WAIT};
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
pub(super) struct Holder {
    client: Client,
    group: String,
    invisible: Option<Duration>,
}

/// Names of one request.
const SYNC_NAMES: usize = 1000;

impl Holder {
    pub(super) async fn connect(address: SocketAddr, holding: Holding) -> Result<Self> {
        let Holding { client, group, channels, invisible } = holding;
        let mut client = Client::connect(address, &format!("bench-consumer-{client}")).await?;
        client.introduce(&group).await?;
        let names: Vec<String> = channels.map(lite_name).collect();
        for names in names.chunks(SYNC_NAMES) {
            client.subscribe(&group, names.to_vec()).await?;
        }
        Ok(Self { client, group, invisible })
    }
}

impl Consumer for Holder {
    fn receive(&self) -> BoxFuture<'_, Result<Vec<Delivery>>> {
        Box::pin(async move {
            let batch = i32::try_from(RECEIVE_MAX)?;
            let mut client = self.client.clone();
            let found = client.receive(&self.group, batch, RECEIVE_WAIT, self.invisible).await?;
            Ok(found.into_iter().map(delivery).collect())
        })
    }

    fn ack<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let acked = self.ack_all(std::slice::from_ref(delivery)).await?;
            Ok(!acked.contains(&false))
        })
    }

    fn ack_all<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Result<Vec<bool>>> {
        Box::pin(async move {
            let entries = deliveries.iter().map(entry).collect();
            self.client.clone().ack_entries(&self.group, entries).await
        })
    }

    fn hold(&self, channel: usize) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.client.clone().subscribe(&self.group, vec![lite_name(channel)]).await
        })
    }

    fn release(&self, channel: usize) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.client.clone().unsubscribe(&self.group, vec![lite_name(channel)]).await
        })
    }
}

fn entry(delivery: &Delivery) -> AckMessageEntry {
    AckMessageEntry {
        message_id: delivery.id.clone(),
        receipt_handle: delivery.receipt.clone(),
        lite_topic: Some(delivery.channel.clone()),
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
