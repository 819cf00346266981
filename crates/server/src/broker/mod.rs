//! The broker as the doors see it: one value that sends, receives, settles and administers.

mod message;

use std::sync::Arc;
use std::time::Duration;

use litemq_domain::{
    ClientId, DurationMs, Group, GroupName, LiteTopicName, Result, SubscriptionMode, TagFilter,
    Timestamp, Topic, TopicName,
};

pub use message::{DeadLetterOrigin, Delivery, NewMessage, Peeked, Sent, StoredMessage};

/// The broker. Cheap calls answer at once; async ones answer when their effect is durable.
#[derive(Debug)]
pub struct Broker {}

/// A topic to create.
#[derive(Debug, Clone)]
pub struct NewTopic {
    /// Its name.
    pub name: TopicName,
    /// How long lite topics live after their last send; `None` is for ever.
    pub ttl: Option<DurationMs>,
}

/// A group to create.
#[derive(Debug, Clone)]
pub struct NewGroup {
    /// Its name.
    pub name: GroupName,
    /// The parent topic it consumes.
    pub bind: TopicName,
    /// Whether lite topics are consumed in order.
    pub ordered: bool,
    /// How clients share lite topics.
    pub mode: SubscriptionMode,
    /// Lite topics per client; `None` is no limit.
    pub client_quota: Option<u32>,
    /// Delivery attempts before a message is a dead letter.
    pub max_attempts: u16,
}

/// What to change of a group; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct GroupChange {
    /// See [`NewGroup::ordered`].
    pub ordered: Option<bool>,
    /// See [`NewGroup::client_quota`].
    pub client_quota: Option<Option<u32>>,
    /// See [`NewGroup::max_attempts`].
    pub max_attempts: Option<u16>,
}

/// What a client does to its set of lite topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncAction {
    /// Add these names.
    PartialAdd,
    /// Remove these names.
    PartialRemove,
    /// The set is exactly these names.
    CompleteAdd,
    /// The client leaves: its set is empty and its unsettled messages go back.
    CompleteRemove,
}

/// A receive.
#[derive(Debug, Clone)]
pub struct ReceiveRequest {
    /// Who asks.
    pub client: ClientId,
    /// For which group.
    pub group: Arc<Group>,
    /// At most so many messages, 1 to 32.
    pub messages_max: usize,
    /// At most so many messages of one lite topic; 1 for clients that do not keep the order.
    pub per_lite_topic_max: usize,
    /// Which messages.
    pub filter: TagFilter,
    /// How long nobody else gets them.
    pub invisible: DurationMs,
    /// Renew the lease while the client is connected.
    pub auto_renew: bool,
    /// How long to wait for a first message.
    pub wait: Duration,
}

/// Messages of one receive. What was not taken out when this is dropped goes back at once,
/// without counting as an attempt.
#[derive(Debug)]
pub struct Deliveries {}

impl Deliveries {
    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        unimplemented!()
    }

    /// Takes the next message out.
    pub fn take_next(&mut self) -> Option<Delivery> {
        unimplemented!()
    }
}

/// A receipt handle with the message id it came with.
#[derive(Debug, Clone)]
pub struct Receipt<'a> {
    /// The handle as the client sent it.
    pub handle: &'a str,
    /// The lite topic the client named, if it did; checked against the handle.
    pub lite_topic: Option<&'a str>,
}

/// One lite topic, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiteTopicInfo {
    /// Its name.
    pub name: LiteTopicName,
    /// Oldest offset still stored, as far as known.
    pub first_offset: u64,
    /// Offset of the next message.
    pub next_offset: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the last message was stored.
    pub last_send_at: Timestamp,
    /// When it will be removed if nothing is sent.
    pub expires_at: Option<Timestamp>,
    /// Each group that has subscribers or a position.
    pub groups: Vec<LiteGroupInfo>,
}

/// One group's view of one lite topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiteGroupInfo {
    /// The group.
    pub group: GroupName,
    /// Everything below this offset is settled.
    pub committed_offset: u64,
    /// Messages handed out and not settled.
    pub in_flight: u64,
    /// Messages not handed out.
    pub ready: u64,
    /// Who is subscribed.
    pub subscribers: Vec<ClientId>,
}

impl Broker {
    /// Creates a topic; creating it again with the same settings is fine.
    pub async fn create_topic(&self, new: NewTopic) -> Result<Arc<Topic>> {
        unimplemented!("{new:?}")
    }
    /// Changes a topic's time to live.
    pub async fn update_topic(&self, name: &str, ttl: Option<DurationMs>) -> Result<Arc<Topic>> {
        unimplemented!("{name:?}{ttl:?}")
    }
    /// Deletes a topic with its lite topics; refused while a group is bound to it.
    pub async fn delete_topic(&self, name: &str) -> Result<()> {
        unimplemented!("{name:?}")
    }
    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Result<Arc<Topic>> {
        unimplemented!("{name:?}")
    }
    /// All topics, by name.
    pub fn topics(&self) -> Vec<Arc<Topic>> {
        unimplemented!()
    }
    /// Creates a group; creating it again with the same settings is fine.
    pub async fn create_group(&self, new: NewGroup) -> Result<Arc<Group>> {
        unimplemented!("{new:?}")
    }
    /// Changes a group.
    pub async fn update_group(&self, name: &str, change: GroupChange) -> Result<Arc<Group>> {
        unimplemented!("{name:?}{change:?}")
    }
    /// Deletes a group with its positions.
    pub async fn delete_group(&self, name: &str) -> Result<()> {
        unimplemented!("{name:?}")
    }
    /// The group of this name.
    pub fn group(&self, name: &str) -> Result<Arc<Group>> {
        unimplemented!("{name:?}")
    }
    /// All groups, by name.
    pub fn groups(&self) -> Vec<Arc<Group>> {
        unimplemented!()
    }

    /// Sends messages; one result for each, in order, when durable.
    pub async fn send(&self, topic: &Arc<Topic>, messages: Vec<NewMessage>) -> Vec<Result<Sent>> {
        unimplemented!("{topic:?}{messages:?}")
    }
    /// Changes what a client is subscribed to.
    pub async fn sync_subscription(
        &self,
        client: &ClientId,
        group: &Arc<Group>,
        action: SyncAction,
        names: Vec<LiteTopicName>,
    ) -> Result<()> {
        unimplemented!("{client:?}{group:?}{action:?}{names:?}")
    }
    /// Waits for messages.
    pub async fn receive(&self, request: ReceiveRequest) -> Result<Deliveries> {
        unimplemented!("{request:?}")
    }
    /// Settles a message.
    pub async fn ack(&self, group: &Arc<Group>, receipt: Receipt<'_>) -> Result<()> {
        unimplemented!("{group:?}{receipt:?}")
    }
    /// Changes when a message becomes visible again; the answer is a usable handle.
    pub async fn change_invisible(
        &self,
        group: &Arc<Group>,
        receipt: Receipt<'_>,
        invisible: DurationMs,
        suspend: bool,
    ) -> Result<String> {
        unimplemented!("{group:?}{receipt:?}{invisible:?}{suspend:?}")
    }
    /// Moves a message to the group's dead letters; fine when it is settled already.
    pub async fn dead_letter(&self, group: &Arc<Group>, receipt: Receipt<'_>) -> Result<()> {
        unimplemented!("{group:?}{receipt:?}")
    }

    /// Lite topics of a topic by name, after `after`, with this prefix.
    pub async fn list_lite(
        &self,
        topic: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<LiteTopicInfo>> {
        unimplemented!("{topic:?}{prefix:?}{after:?}{limit:?}")
    }
    /// One lite topic.
    pub async fn describe_lite(&self, topic: &str, name: &str) -> Result<LiteTopicInfo> {
        unimplemented!("{topic:?}{name:?}")
    }
    /// How many lite topics a topic has.
    pub fn lite_count(&self, topic: &Topic) -> u64 {
        unimplemented!("{topic:?}")
    }
    /// Removes a lite topic.
    pub async fn delete_lite(&self, topic: &str, name: &str) -> Result<()> {
        unimplemented!("{topic:?}{name:?}")
    }
    /// Looks at messages without consuming them, from an offset (default: the oldest) on.
    pub async fn peek(
        &self,
        topic: &str,
        name: &str,
        from: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Peeked>> {
        unimplemented!("{topic:?}{name:?}{from:?}{limit:?}")
    }
    /// Whether requests can be served; the reason when not.
    pub fn readiness(&self) -> std::result::Result<(), String> {
        unimplemented!()
    }
    /// Client sessions.
    pub fn sessions(&self) -> &Sessions {
        unimplemented!()
    }
    /// Answers parked receives and refuses new ones; part of a graceful stop.
    pub fn begin_shutdown(&self) {
        unimplemented!()
    }
    /// The present time of the broker.
    pub fn now(&self) -> Timestamp {
        unimplemented!()
    }
}

/// A TCP connection's number, given by the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// Who is connected. A client lives while it sends heartbeats, holds a stream, or polls.
#[derive(Debug)]
pub struct Sessions {}

/// Held while a client's Telemetry stream is open.
#[derive(Debug)]
pub struct TelemetryGuard {}

impl Sessions {
    /// A call of this client arrived on this connection. Called for every call.
    pub fn seen(&self, client: &ClientId, connection: Option<ConnectionId>) {
        unimplemented!("{client:?}{connection:?}")
    }
    /// The client's Telemetry stream opened. Messages for the client can be put into `commands`.
    pub fn telemetry_opened(&self, client: &ClientId) -> TelemetryGuard {
        unimplemented!("{client:?}")
    }
    /// The connection is gone; clients without another one lose their leases shortly.
    pub fn connection_closed(&self, connection: ConnectionId) {
        unimplemented!("{connection:?}")
    }
    /// The client says goodbye: subscriptions end, unsettled messages go back at once.
    pub async fn terminate(&self, client: &ClientId) -> Result<()> {
        unimplemented!("{client:?}")
    }
}
