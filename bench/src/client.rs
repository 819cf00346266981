//! A client of the protocol, as thin as it can be.

use std::fmt;
use std::future::ready;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use litemq_protocol::v2;
use tokio::time::interval;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use v2::messaging_service_client::MessagingServiceClient;
use v2::receive_message_response::Content;
use v2::settings::PubSub;
use v2::telemetry_command::Command as Telemetry;
use v2::{
    AckMessageEntry, AckMessageRequest, AckMessageResultEntry, ClientType, Code, FilterExpression,
    FilterType, HeartbeatRequest, LiteSubscriptionAction, Message, MessageQueue,
    NotifyClientTerminationRequest, ReceiveMessageRequest, SendMessageRequest, Settings, Status,
    Subscription, SubscriptionEntry, SyncLiteSubscriptionRequest, TelemetryCommand, Ua,
};

use crate::Result;
use crate::messages::{TOPIC, resource};

/// No call takes longer: a server that hangs must not hang the run.
const CALL_MAX: Duration = Duration::from_secs(60);
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(10);
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

    /// Another client on the same connection: who calls stands in each request.
    pub(crate) fn beside(&self, id: &str) -> Result<Self> {
        Ok(Self { grpc: self.grpc.clone(), id: id.parse()? })
    }

    /// Sends; the error is about the call or about the first message that was refused.
    pub(crate) async fn send(&mut self, request: SendMessageRequest) -> Result<()> {
        let request = self.request(request);
        let answer = self.grpc.send_message(request).await?.into_inner();
        if answer.status.as_ref().is_some_and(|status| status.code() == Code::MultipleResults) {
            return answer.entries.into_iter().try_for_each(|entry| expect_ok(entry.status));
        }
        expect_ok(answer.status)
    }

    /// Adds lite topics to what this client's group member is subscribed to.
    pub(crate) async fn subscribe(&mut self, group: &str, names: Vec<String>) -> Result<()> {
        self.sync(group, LiteSubscriptionAction::PartialAdd, names).await
    }

    /// Takes lite topics away from it.
    pub(crate) async fn unsubscribe(&mut self, group: &str, names: Vec<String>) -> Result<()> {
        self.sync(group, LiteSubscriptionAction::PartialRemove, names).await
    }

    /// Says all that it is subscribed to, as the SDKs do again and again.
    pub(crate) async fn subscribe_to_exactly(
        &mut self,
        group: &str,
        names: Vec<String>,
    ) -> Result<()> {
        self.sync(group, LiteSubscriptionAction::CompleteAdd, names).await
    }

    async fn sync(
        &mut self,
        group: &str,
        action: LiteSubscriptionAction,
        names: Vec<String>,
    ) -> Result<()> {
        let request = self.request(SyncLiteSubscriptionRequest {
            action: action.into(),
            topic: Some(resource(TOPIC)),
            group: Some(resource(group)),
            lite_topic_set: names,
            ..SyncLiteSubscriptionRequest::default()
        });
        let answer = self.grpc.sync_lite_subscription(request).await?.into_inner();
        expect_ok(answer.status)
    }

    /// Waits for messages; none come when the wait is over. The server renews what it hands out
    /// while this client is there, unless an invisible duration is given.
    pub(crate) async fn receive(
        &mut self,
        group: &str,
        batch: i32,
        wait: Duration,
        invisible: Option<Duration>,
    ) -> Result<Vec<Message>> {
        let mut request = self.request(ReceiveMessageRequest {
            group: Some(resource(group)),
            message_queue: Some(MessageQueue {
                topic: Some(resource(TOPIC)),
                ..MessageQueue::default()
            }),
            batch_size: batch,
            auto_renew: invisible.is_none(),
            invisible_duration: invisible.map(prost_types::Duration::try_from).transpose()?,
            long_polling_timeout: Some(prost_types::Duration::try_from(wait)?),
            ..ReceiveMessageRequest::default()
        });
        // Apache RocketMQ takes no receive without a deadline.
        request.set_timeout(wait + CALL_MAX);
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
        let entries = messages.iter().map(ack_entry).collect();
        match self.ack_entries(group, entries).await?.contains(&false) {
            false => Ok(()),
            true => Err("an ack of a handle that is no longer good".into()),
        }
    }

    /// The same, of what their deliveries said: of each, whether its handle was still good.
    pub(crate) async fn ack_entries(
        &mut self,
        group: &str,
        entries: Vec<AckMessageEntry>,
    ) -> Result<Vec<bool>> {
        let request = self.request(AckMessageRequest {
            group: Some(resource(group)),
            topic: Some(resource(TOPIC)),
            entries,
        });
        let answer = self.grpc.ack_message(request).await?.into_inner();
        let is_told_of_each = answer.status.as_ref().is_some_and(|status| {
            matches!(status.code(), Code::Ok | Code::MultipleResults | Code::InvalidReceiptHandle)
        });
        if !is_told_of_each {
            expect_ok(answer.status)?;
        }
        let was_good = |entry: AckMessageResultEntry| match entry.status.as_ref().map(Status::code)
        {
            Some(Code::InvalidReceiptHandle) => Ok(false),
            _ => expect_ok(entry.status).map(|()| true),
        };
        answer.entries.into_iter().map(was_good).collect()
    }

    /// Says what this client is, as a lite push consumer: settings on a telemetry stream, which
    /// stays, and heartbeats. Apache RocketMQ delivers nothing without both.
    pub(crate) async fn introduce(&mut self, group: &str) -> Result<()> {
        let subscription = Subscription {
            group: Some(resource(group)),
            subscriptions: vec![SubscriptionEntry {
                topic: Some(resource(TOPIC)),
                expression: Some(FilterExpression {
                    r#type: FilterType::Tag.into(),
                    expression: "*".to_owned(),
                }),
            }],
            ..Subscription::default()
        };
        let settings = Settings {
            client_type: Some(ClientType::LitePushConsumer.into()),
            request_timeout: Some(prost_types::Duration::try_from(CALL_MAX)?),
            user_agent: Some(Ua { version: "5.1.0".to_owned(), ..Ua::default() }),
            pub_sub: Some(PubSub::Subscription(subscription)),
            ..Settings::default()
        };
        let command =
            TelemetryCommand { command: Some(Telemetry::Settings(settings)), ..Default::default() };
        // Never ends by itself: the stream lasts as long as the client.
        let commands = stream::once(ready(command)).chain(stream::pending());
        let mut answers = self.grpc.telemetry(self.request(commands)).await?.into_inner();
        answers.message().await?.ok_or("the telemetry stream ended")?;
        self.heartbeat(group).await?;
        let (mut client, group) = (self.clone(), group.to_owned());
        tokio::spawn(async move {
            let mut beat = interval(HEARTBEAT_INTERVAL);
            // What the server says meanwhile is of no interest; that the stream goes on is.
            let mut listen =
                Box::pin(async move { while let Ok(Some(_)) = answers.message().await {} });
            loop {
                tokio::select! {
                    biased;
                    () = &mut listen => return,
                    _ = beat.tick() => if client.heartbeat(&group).await.is_err() { return },
                }
            }
        });
        Ok(())
    }

    async fn heartbeat(&mut self, group: &str) -> Result<()> {
        let request = self.request(HeartbeatRequest {
            group: Some(resource(group)),
            client_type: ClientType::LitePushConsumer.into(),
        });
        let answer = self.grpc.heartbeat(request).await?.into_inner();
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
        code => Err(Box::new(Refused { code, message: status.message })),
    }
}

/// What a server said no to.
#[derive(Debug)]
struct Refused {
    code: Code,
    message: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.code.as_str_name(), self.message)
    }
}

impl std::error::Error for Refused {}

/// Whether a server asks for the same again after a while.
pub(crate) fn is_overload(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    error.downcast_ref().is_some_and(|refused: &Refused| refused.code == Code::TooManyRequests)
}
