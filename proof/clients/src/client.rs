//! A small client: it knows the calls, finds the broker again after each kill, and says when it
//! does not know what became of a call.

use std::time::Duration;

use litemq_protocol::v2;
use tonic::Request;
use tonic::transport::Channel;
use v2::messaging_service_client::MessagingServiceClient;
use v2::receive_message_response::Content;
use v2::{LiteSubscriptionAction, Message, Resource};

use crate::connect::Connect;

/// The parent topic of every message.
pub const TOPIC: &str = "orders";

/// How long a receive waits for a first message.
pub const POLL: Duration = Duration::from_secs(1);

/// Pause after a refusal, so that a broker that can do nothing now is not asked all the time.
pub(crate) const REFUSED_PAUSE: Duration = Duration::from_millis(100);
/// Largest answer to a receive.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// A call without an answer: it may have taken effect or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

/// How a consumer receives.
#[derive(Debug, Clone, Copy)]
pub struct Receiving {
    pub language: &'static str,
    pub batch: i32,
    /// `None` is automatic renewal.
    pub invisible: Option<Duration>,
}

/// One client id and its connection.
#[derive(Debug)]
pub struct Client<C> {
    id: String,
    language: &'static str,
    way: C,
    grpc: Option<MessagingServiceClient<Channel>>,
    /// The attempt id of a push consumer's receive, kept until it has an answer.
    attempt: Option<u64>,
}

impl<C> Client<C> {
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl<C: Connect> Client<C> {
    pub fn new(id: &str, language: &'static str, way: C) -> Self {
        Self { id: id.to_owned(), language, way, grpc: None, attempt: None }
    }

    pub async fn send(&mut self, messages: Vec<Message>) -> Result<v2::SendMessageResponse, Lost> {
        let request = self.request(v2::SendMessageRequest { messages });
        let mut grpc = self.connected().await;
        self.finish(grpc.send_message(request)).await
    }

    /// Subscribes to these lite topics besides others.
    pub async fn subscribe(
        &mut self,
        group: &str,
        lites: impl IntoIterator<Item = String>,
    ) -> Result<v2::Status, Lost> {
        let request = self.request(v2::SyncLiteSubscriptionRequest {
            action: LiteSubscriptionAction::PartialAdd.into(),
            topic: Some(resource(TOPIC)),
            group: Some(resource(group)),
            lite_topic_set: lites.into_iter().collect(),
            ..v2::SyncLiteSubscriptionRequest::default()
        });
        let mut grpc = self.connected().await;
        let response = self.finish(grpc.sync_lite_subscription(request)).await?;
        Ok(response.status.unwrap_or_default())
    }

    /// The messages of a whole answer. What came of a broken one is thrown away, as SDKs do, and the
    /// next receive of a push consumer asks for it again under the same attempt id. `number` is the
    /// receive's own.
    pub async fn receive(
        &mut self,
        group: &str,
        how: Receiving,
        number: u64,
    ) -> Result<Vec<Message>, Lost> {
        let is_push = how.invisible.is_none();
        let attempt = *self.attempt.get_or_insert(number);
        let request = self.request(v2::ReceiveMessageRequest {
            group: Some(resource(group)),
            message_queue: Some(v2::MessageQueue {
                topic: Some(resource(TOPIC)),
                ..v2::MessageQueue::default()
            }),
            batch_size: how.batch,
            auto_renew: is_push,
            invisible_duration: how.invisible.map(wire),
            long_polling_timeout: Some(wire(POLL)),
            attempt_id: is_push.then(|| format!("{}-{attempt}", self.id)),
            ..v2::ReceiveMessageRequest::default()
        });
        let mut grpc = self.connected().await;
        let mut answer = self.finish(grpc.receive_message(request)).await?;
        let mut messages = Vec::new();
        let mut is_refused = false;
        while let Some(part) = self.part(&mut answer).await? {
            match part.content {
                Some(Content::Message(message)) => messages.push(message),
                Some(Content::Status(status)) => {
                    let fine = [v2::Code::Ok, v2::Code::MessageNotFound];
                    is_refused = !fine.contains(&status.code());
                }
                _ => {}
            }
        }
        self.attempt = None;
        if is_refused {
            tokio::time::sleep(REFUSED_PAUSE).await;
        }
        Ok(messages)
    }

    /// Acks by receipt handle; one status for each.
    pub async fn ack(&mut self, group: &str, handles: &[String]) -> Result<Vec<v2::Status>, Lost> {
        let entry = |handle: &String| v2::AckMessageEntry {
            receipt_handle: handle.clone(),
            ..v2::AckMessageEntry::default()
        };
        let request = self.request(v2::AckMessageRequest {
            group: Some(resource(group)),
            topic: Some(resource(TOPIC)),
            entries: handles.iter().map(entry).collect(),
        });
        let mut grpc = self.connected().await;
        let response = self.finish(grpc.ack_message(request)).await?;
        if response.entries.is_empty() {
            // Refused as a whole.
            tokio::time::sleep(REFUSED_PAUSE).await;
            return Ok(vec![response.status.unwrap_or_default(); handles.len()]);
        }
        assert_eq!(response.entries.len(), handles.len(), "ack: {:?}", response.status);
        Ok(response.entries.into_iter().map(|entry| entry.status.unwrap_or_default()).collect())
    }

    /// Makes a message visible again after `invisible`; with `suspend` all of its lite topic that came
    /// with it, and the attempt does not count.
    pub async fn change_invisible(
        &mut self,
        group: &str,
        handle: &str,
        invisible: Duration,
        suspend: bool,
    ) -> Result<v2::Status, Lost> {
        let request = self.request(v2::ChangeInvisibleDurationRequest {
            group: Some(resource(group)),
            topic: Some(resource(TOPIC)),
            receipt_handle: handle.to_owned(),
            invisible_duration: Some(wire(invisible)),
            suspend: Some(suspend),
            ..v2::ChangeInvisibleDurationRequest::default()
        });
        let mut grpc = self.connected().await;
        let response = self.finish(grpc.change_invisible_duration(request)).await?;
        Ok(response.status.unwrap_or_default())
    }

    /// Says goodbye.
    pub async fn terminate(&mut self, group: &str) -> Result<v2::Status, Lost> {
        let group = Some(resource(group));
        let request = self.request(v2::NotifyClientTerminationRequest { group });
        let mut grpc = self.connected().await;
        let response = self.finish(grpc.notify_client_termination(request)).await?;
        Ok(response.status.unwrap_or_default())
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("x-mq-client-id", self.id.parse().unwrap());
        request.metadata_mut().insert("x-mq-language", self.language.parse().unwrap());
        request
    }

    /// The connection; a new one, to wherever the broker is now, after a lost call.
    async fn connected(&mut self) -> MessagingServiceClient<Channel> {
        if let Some(grpc) = &self.grpc {
            return grpc.clone();
        }
        let grpc = MessagingServiceClient::new(self.way.connect().await);
        let grpc = grpc.max_decoding_message_size(ANSWER_BYTES_MAX);
        self.grpc.insert(grpc).clone()
    }

    async fn part<T>(&mut self, stream: &mut tonic::Streaming<T>) -> Result<Option<T>, Lost> {
        let part = tokio::time::timeout(C::CALL_MAX, stream.message()).await;
        part.ok().and_then(Result::ok).ok_or_else(|| self.lost())
    }

    async fn finish<T>(
        &mut self,
        call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T, Lost> {
        let answer = tokio::time::timeout(C::CALL_MAX, call).await;
        answer.ok().and_then(Result::ok).map(tonic::Response::into_inner).ok_or_else(|| self.lost())
    }

    fn lost(&mut self) -> Lost {
        self.grpc = None;
        Lost
    }
}

pub fn resource(name: &str) -> Resource {
    Resource { name: name.to_owned(), ..Resource::default() }
}

fn wire(span: Duration) -> prost_types::Duration {
    let seconds = i64::try_from(span.as_secs()).unwrap();
    prost_types::Duration { seconds, nanos: i32::try_from(span.subsec_nanos()).unwrap() }
}
