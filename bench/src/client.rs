//! A client of the protocol, as thin as it can be.

use std::net::SocketAddr;
use std::time::Duration;

use litemq_protocol::v2;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use v2::messaging_service_client::MessagingServiceClient;
use v2::receive_message_response::Content;
use v2::{
    AckMessageEntry, AckMessageRequest, Code, LiteSubscriptionAction, Message, MessageQueue,
    NotifyClientTerminationRequest, ReceiveMessageRequest, SendMessageRequest, Status,
    SyncLiteSubscriptionRequest,
};

use crate::Result;
use crate::messages::{TOPIC, resource};

/// No call takes longer: a server that hangs must not hang the run.
const CALL_MAX: Duration = Duration::from_secs(60);
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// One client on one connection; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    grpc: MessagingServiceClient<Channel>,
    id: MetadataValue<Ascii>,
}

impl Client {
    /// Connects without TLS.
    pub(crate) async fn connect(address: SocketAddr, id: &str) -> Result<Self> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?
            .tcp_nodelay(true)
            .timeout(CALL_MAX)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
        let grpc = MessagingServiceClient::new(endpoint.connect().await?);
        Ok(Self { grpc, id: id.parse()? })
    }

    /// Sends; the error is about the call or about the first message that was refused.
    pub(crate) async fn send(&mut self, request: SendMessageRequest) -> Result<()> {
        let request = self.request(request);
        let answer = self.grpc.send_message(request).await?.into_inner();
        expect_ok(answer.status)
    }

    /// Adds lite topics to what this client's group member is subscribed to.
    pub(crate) async fn subscribe(&mut self, group: &str, names: Vec<String>) -> Result<()> {
        let request = self.request(SyncLiteSubscriptionRequest {
            action: LiteSubscriptionAction::PartialAdd.into(),
            topic: Some(resource(TOPIC)),
            group: Some(resource(group)),
            lite_topic_set: names,
            ..SyncLiteSubscriptionRequest::default()
        });
        let answer = self.grpc.sync_lite_subscription(request).await?.into_inner();
        expect_ok(answer.status)
    }

    /// Waits for messages; none come when the wait is over.
    pub(crate) async fn receive(
        &mut self,
        group: &str,
        batch: i32,
        wait: Duration,
    ) -> Result<Vec<Message>> {
        let request = self.request(ReceiveMessageRequest {
            group: Some(resource(group)),
            message_queue: Some(MessageQueue {
                topic: Some(resource(TOPIC)),
                ..MessageQueue::default()
            }),
            batch_size: batch,
            auto_renew: true,
            long_polling_timeout: Some(prost_types::Duration::try_from(wait)?),
            ..ReceiveMessageRequest::default()
        });
        let mut stream = self.grpc.receive_message(request).await?.into_inner();
        let mut messages = Vec::new();
        while let Some(part) = stream.message().await? {
            match part.content {
                Some(Content::Message(message)) => messages.push(message),
                Some(Content::Status(status)) if status.code() != Code::MessageNotFound => {
                    expect_ok(Some(status))?;
                }
                _ => {}
            }
        }
        Ok(messages)
    }

    /// Acks messages of this topic in one request.
    pub(crate) async fn ack(&mut self, group: &str, messages: &[Message]) -> Result<()> {
        let request = self.request(AckMessageRequest {
            group: Some(resource(group)),
            topic: Some(resource(TOPIC)),
            entries: messages.iter().map(ack_entry).collect(),
        });
        let answer = self.grpc.ack_message(request).await?.into_inner();
        expect_ok(answer.status)
    }

    /// Says good-bye: the subscriptions end.
    pub(crate) async fn terminate(&mut self, group: &str) -> Result<()> {
        let request = self.request(NotifyClientTerminationRequest { group: Some(resource(group)) });
        let answer = self.grpc.notify_client_termination(request).await?.into_inner();
        expect_ok(answer.status)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        metadata.insert("x-mq-client-id", self.id.clone());
        // Of the SDKs that keep the order of a batch: they are handed batches.
        metadata.insert("x-mq-language", MetadataValue::from_static("JAVA"));
        request
    }
}

fn ack_entry(message: &Message) -> AckMessageEntry {
    let system = message.system_properties.as_ref();
    AckMessageEntry {
        message_id: system.map(|system| system.message_id.clone()).unwrap_or_default(),
        receipt_handle: system.map(|system| system.receipt_handle().to_owned()).unwrap_or_default(),
        lite_topic: system.and_then(|system| system.lite_topic.clone()),
    }
}

fn expect_ok(status: Option<Status>) -> Result<()> {
    let status = status.ok_or("an answer without status")?;
    match status.code() {
        Code::Ok => Ok(()),
        code => Err(format!("{}: {}", code.as_str_name(), status.message).into()),
    }
}
