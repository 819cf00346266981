//! A broker over a store, and short words for what tests do with it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use litemq_domain::{
    ClientId, DurationMs, Error, ErrorCode, Group, GroupName, GroupOptions, LiteTopicName, Result,
    TagFilter, Topic, TopicName, TopicOptions,
};
use litemq_server::access::Caller;
use litemq_server::broker::{
    Broker, BrokerOptions, Delivery, NewGroup, NewMessage, NewTopic, Peeked, Receipt,
    ReceiveRequest, Sent, StoredMessage, SyncAction, TelemetryStream, WhoKey,
};
use litemq_server::observe::Metrics;
use litemq_storage::{MemoryStore, ShardStore};
use tokio::task::JoinHandle;

pub(crate) const TOPIC: &str = "orders";
pub(crate) const GROUP: &str = "workers";
pub(crate) const NOW: Duration = Duration::ZERO;
/// Longest wait for something that must happen, in real time.
const PATIENCE: Duration = Duration::from_secs(60);

/// A broker with one topic and one ordered group.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) broker: Arc<Broker>,
    pub(crate) topic: Arc<Topic>,
    pub(crate) group: Arc<Group>,
}

impl World {
    /// A client's Telemetry stream.
    pub(crate) fn telemetry(&self, id: &str) -> TelemetryStream {
        let answers = self.broker.shares().answer_bytes.pool();
        self.broker.sessions().telemetry_opened(&client(id), answers)
    }

    /// On a new store in memory.
    pub(crate) async fn memory() -> (Arc<MemoryStore>, Self) {
        let store = Arc::new(MemoryStore::new());
        (Arc::clone(&store), Self::open(store).await)
    }

    /// What a crash of this moment leaves behind, opened.
    pub(crate) async fn after_crash(store: &MemoryStore) -> (Arc<MemoryStore>, Self) {
        let store = Arc::new(store.reopen());
        (Arc::clone(&store), Self::open(store).await)
    }

    pub(crate) async fn open(store: Arc<dyn ShardStore>) -> Self {
        Self::open_with(store, group(GROUP)).await
    }

    pub(crate) async fn open_with(store: Arc<dyn ShardStore>, group: NewGroup) -> Self {
        Self::of(broker(store, BrokerOptions::default()).await, group).await
    }

    /// A broker that runs, with a group of it.
    pub(crate) async fn of(broker: Arc<Broker>, group: NewGroup) -> Self {
        let new = NewTopic { name: group.bind.clone(), options: TopicOptions::default() };
        let topic = broker.create_topic(new).await.unwrap();
        let group = broker.create_group(group).await.unwrap();
        Self { broker, topic, group }
    }

    /// The same broker for another group.
    pub(crate) async fn with_group(&self, new: NewGroup) -> Self {
        Self { group: self.broker.create_group(new).await.unwrap(), ..self.clone() }
    }

    pub(crate) async fn try_send(&self, lite: &str, body: &str) -> Result<Sent> {
        self.send_message(message(lite, &format!("{lite}/{body}"), body)).await
    }

    pub(crate) async fn send(&self, lite: &str, body: &str) -> Sent {
        self.try_send(lite, body).await.unwrap()
    }

    pub(crate) async fn send_message(&self, message: NewMessage) -> Result<Sent> {
        let mut sent = self.broker.send(&self.topic, vec![message]).await;
        assert_eq!(sent.len(), 1);
        sent.pop().unwrap()
    }

    pub(crate) async fn sync(&self, id: &str, action: SyncAction, names: &[&str]) -> Result<()> {
        let names = names.iter().map(|name| lite(name)).collect();
        self.broker.sync_subscription(&client(id), &self.group, action, names).await
    }

    pub(crate) async fn subscribe(&self, id: &str, names: &[&str]) {
        self.sync(id, SyncAction::PartialAdd, names).await.unwrap();
    }

    pub(crate) fn request(&self, id: &str, wait: Duration) -> ReceiveRequest {
        ReceiveRequest {
            client: client(id),
            caller: Caller::internal(),
            group: Arc::clone(&self.group),
            messages_max: 32,
            per_lite_topic_max: 32,
            filter: TagFilter::All,
            invisible: DurationMs::from_secs(30),
            attempt_id: String::new(),
            auto_renew: false,
            wait,
        }
    }

    pub(crate) async fn try_receive(&self, request: ReceiveRequest) -> Result<Vec<Delivery>> {
        let mut deliveries = self.broker.receive(request).await?;
        Ok(std::iter::from_fn(|| deliveries.take_next()).collect())
    }

    pub(crate) async fn receive(&self, id: &str, wait: Duration) -> Vec<Delivery> {
        self.try_receive(self.request(id, wait)).await.unwrap()
    }

    /// A receive in a task of its own, which has come as far as it can.
    pub(crate) async fn park(&self, id: &str, wait: Duration) -> JoinHandle<Vec<Delivery>> {
        let (world, id) = (self.clone(), id.to_owned());
        let parked = tokio::spawn(async move { world.receive(&id, wait).await });
        quiet().await;
        parked
    }

    pub(crate) async fn ack(&self, delivery: &Delivery) -> Result<()> {
        self.broker.ack(&self.group, receipt(delivery)).await
    }

    /// Visible again at once, as a failed attempt.
    pub(crate) async fn nack(&self, delivery: &Delivery) {
        let nacked =
            self.broker.change_invisible(&self.group, receipt(delivery), DurationMs(0), false);
        nacked.await.unwrap();
    }

    pub(crate) async fn peek(&self, lite: &str) -> Result<Vec<Peeked>> {
        self.broker.peek(self.topic.name.as_str(), lite, None, 1000).await
    }

    /// Bodies of what is stored in a lite topic.
    pub(crate) async fn stored(&self, lite: &str) -> Vec<String> {
        self.peek(lite).await.unwrap().iter().map(|peeked| text(&peeked.message)).collect()
    }

    /// Lite topics this client has for the group, as far as they have messages.
    pub(crate) async fn subscriptions(&self, id: &str) -> Vec<String> {
        let listed = self.broker.list_lite(self.topic.name.as_str(), "", None, 1000).await;
        let has = |info: &litemq_server::broker::LiteTopicInfo| {
            let mut groups = info.groups.iter().filter(|found| found.group == self.group.name);
            groups.any(|found| found.subscribers.contains(&client(id)))
        };
        listed.unwrap().into_iter().filter(has).map(|info| info.name.to_string()).collect()
    }
}

pub(crate) async fn broker(store: Arc<dyn ShardStore>, options: BrokerOptions) -> Arc<Broker> {
    Broker::open(store, options, Arc::new(Metrics::new())).await.unwrap()
}

/// A group with the usual settings.
pub(crate) fn group(name: &str) -> NewGroup {
    NewGroup {
        name: GroupName::new(name).unwrap(),
        bind: TopicName::new(TOPIC).unwrap(),
        options: GroupOptions::default(),
    }
}

pub(crate) fn message(lite_topic: &str, id: &str, body: &str) -> NewMessage {
    let message = StoredMessage {
        message_id: id.to_owned(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        ..StoredMessage::default()
    };
    NewMessage { lite_topic: lite(lite_topic), message }
}

pub(crate) fn lite(name: &str) -> LiteTopicName {
    LiteTopicName::new(name).unwrap()
}

pub(crate) fn client(id: &str) -> ClientId {
    ClientId::new(id).unwrap()
}

pub(crate) fn receipt(delivery: &Delivery) -> Receipt<'_> {
    Receipt { handle: &delivery.receipt_handle, lite_topic: None, by: WhoKey::default() }
}

pub(crate) fn text(message: &StoredMessage) -> String {
    String::from_utf8(message.body.to_vec()).unwrap()
}

pub(crate) fn bodies(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(|delivery| text(&delivery.message)).collect()
}

#[track_caller]
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T>) -> ErrorCode {
    let Error { code, .. } = result.unwrap_err();
    code
}

/// Runs everything until nothing can go on by itself. Only with the clock paused: it moves, and
/// this returns, when all tasks wait.
pub(crate) async fn quiet() {
    tokio::time::sleep(Duration::from_millis(2)).await;
}

/// Waits in real time until something holds.
pub(crate) async fn until<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    let started = std::time::Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "it did not happen");
        tokio::task::yield_now().await;
    }
}
