//! The broker as the doors see it: one value that sends, receives, settles and administers.
//!
//! Decisions are the domain's, bytes are the store's; here they are connected: a request becomes
//! commands to shards, and its answer waits until their effects are durable.

mod access;
mod admin;
mod browse;
mod catalog;
mod clock;
mod consumption;
mod dead_letters;
mod deliveries;
mod durability;
mod edge;
mod handle;
mod held;
mod identity;
mod inspect;
mod life;
mod lifetimes;
pub mod limits;
mod lite_topics;
mod mail;
mod message;
mod open;
mod pool;
mod positions;
mod profile;
mod quotas;
mod ready;
mod receive;
mod request;
mod rights;
mod sessions;
mod sets;
mod settle;
mod shard;
mod subscriptions;
mod trace;
mod upkeep;

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};

use litemq_domain::persisted::{Counters, Identity};
use litemq_domain::{
    DurationMs, Error, ErrorCode, Group, Result, Send, SendOutcome, Timestamp, Topic,
};
use litemq_storage::StoreError;
use prost::Message as _;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

pub use access::{NewPolicy, NewUser, UserChange};
pub use browse::{Found, Look};
pub use consumption::{Backlog, GroupClient, GroupStats, LiteStats, TopBy};
pub use dead_letters::{LettersInfo, ResendReport};
pub use deliveries::Deliveries;
pub use edge::Edge;
pub use limits::ADDRESS_SHARE_PERCENT;
pub use mail::Notice;
pub use message::{
    DeadLetterOrigin, DeadLetterReason, Delivery, NewMessage, Peeked, ResentFrom, Sent,
    StoredMessage, TTL_PROPERTY,
};
pub use open::BrokerOptions;
pub use pool::{ClientShares, Pool, Shares, Taken};
pub use profile::{ClientRole, Connected, ConnectedClient, ListedClient, Profile};
pub use quotas::QuotaUse;
pub use request::{
    GroupChange, LifetimeOrder, LiteGroupInfo, LiteTopicInfo, NewGroup, NewTopic, QuotaChange,
    Receipt, ReceiveRequest, Start, StoredBytes, SyncAction, TopicChange,
};
pub use sessions::{ConnectionId, OpenGuard, Sessions, TelemetryStream};
pub use trace::{Trace, TraceEvent, TracedMessage, Wanted, Who, WhoKey};

use identity::Keys;
use life::Life;
use limits::ADMISSION_WAIT;
use shard::command::Command;
use shard::{ActorContext, ShardHandle};

use crate::access::Access;
use crate::observe::Metrics;

/// The broker. Cheap calls answer at once; async ones answer when their effect is durable.
#[derive(Debug)]
pub struct Broker {
    /// Itself, for changes that go on when their caller does not.
    itself: Weak<Self>,
    context: Arc<ActorContext>,
    keys: Keys,
    access: Access,
    metrics: Arc<Metrics>,
    shards: Vec<ShardHandle>,
    /// Numbers handed out; held over every change of the catalog, so that those are one at a time.
    counters: Mutex<Counters>,
    /// One permit a payload byte of the sends under way.
    in_flight: Arc<Semaphore>,
    shares: ClientShares,
    parked: AtomicUsize,
    /// Whose turn it is among the shards that have something.
    turn: AtomicUsize,
    options: BrokerOptions,
}

impl Broker {
    /// Sends messages; one result for each, in order, when durable.
    pub async fn send(&self, topic: &Arc<Topic>, messages: Vec<NewMessage>) -> Vec<Result<Sent>> {
        self.send_by(WhoKey::default(), topic, messages).await
    }

    /// The same, and the trace says who.
    pub async fn send_by(
        &self,
        by: WhoKey,
        topic: &Arc<Topic>,
        messages: Vec<NewMessage>,
    ) -> Vec<Result<Sent>> {
        let entry = self.context.catalog.topic_entry(topic.id);
        let mut waiting = Vec::with_capacity(messages.len());
        let admitted_until = Instant::now() + ADMISSION_WAIT;
        for message in messages {
            let body_bytes = message.message.body.len() as u64;
            let admitted = entry.as_ref().map_or(Ok(()), |entry| entry.admit(self.now()));
            let started = match admitted {
                Ok(()) => self.start_send(by, topic, message, admitted_until).await,
                Err(error) => Err(error),
            };
            waiting.push((started, body_bytes));
        }
        let mut results = Vec::with_capacity(waiting.len());
        for (started, body_bytes) in waiting {
            let result = match started {
                Ok(answer) => answer.await.unwrap_or_else(|_| Err(stopping())),
                Err(error) => Err(error),
            };
            if let (Ok(SendOutcome { repeated: false, .. }), Some(entry)) = (&result, &entry) {
                entry.metrics.message_in(body_bytes);
            }
            results.push(result.map(|sent| Sent { offset: sent.offset, repeated: sent.repeated }));
        }
        results
    }

    /// Hands a message to its shard; the answer comes when it is durable.
    async fn start_send(
        &self,
        by: WhoKey,
        topic: &Topic,
        message: NewMessage,
        admitted_until: Instant,
    ) -> Result<oneshot::Receiver<Result<SendOutcome>>> {
        let NewMessage { lite_topic, message } = message;
        let ttl = self.own_ttl(&message)?;
        let shard = self.shards.get(self.keys.shard(&lite_topic)).ok_or_else(stopping)?;
        let in_flight = self.admit(message.encoded_len(), admitted_until).await?;
        let send = Send {
            topic: topic.id,
            lite_topic,
            tag: self.keys.message(&message.message_id),
            payload: message.encode_to_vec().into(),
            ttl,
        };
        let (reply, answer) = oneshot::channel();
        shard.tell(Command::Send { send, by, in_flight, reply }).await?;
        Ok(answer)
    }

    /// The time to live that a message asks for its lite topic.
    fn own_ttl(&self, message: &StoredMessage) -> Result<Option<Option<DurationMs>>> {
        let ttl = message.own_ttl()?;
        let refused = |error: Error| {
            let problem = format!("user property '{TTL_PROPERTY}': {error}");
            Error::new(ErrorCode::PropertyKeyIllegal, problem)
        };
        self.check_ttl(ttl.flatten()).map_err(refused)?;
        Ok(ttl)
    }

    /// Waits for a place among the bytes in flight. It is held until the message is durable, even
    /// when nobody waits for that any more.
    async fn admit(&self, bytes: usize, until: Instant) -> Result<OwnedSemaphorePermit> {
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let place = Arc::clone(&self.in_flight).acquire_many_owned(permits);
        match tokio::time::timeout_at(until, place).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(stopping()),
            Err(_) => Err(Error::new(
                ErrorCode::Overloaded,
                "too many bytes are being sent at the moment; try again shortly",
            )),
        }
    }

    /// The topic of this name.
    ///
    /// # Errors
    /// [`ErrorCode::TopicNotFound`].
    pub fn topic(&self, name: &str) -> Result<Arc<Topic>> {
        self.context.catalog.topic(name)
    }

    /// The topic of this number.
    pub fn topic_by_id(&self, id: litemq_domain::TopicId) -> Option<Arc<Topic>> {
        self.context.catalog.topic_by_id(id)
    }

    /// All topics, by name.
    pub fn topics(&self) -> Vec<Arc<Topic>> {
        self.context.catalog.topics()
    }

    /// The group of this name.
    ///
    /// # Errors
    /// [`ErrorCode::ConsumerGroupNotFound`].
    pub fn group(&self, name: &str) -> Result<Arc<Group>> {
        self.context.catalog.group(name)
    }

    /// All groups, by name.
    pub fn groups(&self) -> Vec<Arc<Group>> {
        self.context.catalog.groups()
    }

    /// Client sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.context.sessions
    }

    /// What all clients share.
    pub fn shares(&self) -> &ClientShares {
        &self.shares
    }

    /// What is counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The present time of the broker.
    pub fn now(&self) -> Timestamp {
        self.context.clock.now()
    }

    /// Whether requests can be served.
    ///
    /// # Errors
    /// The reason when not.
    pub fn readiness(&self) -> std::result::Result<(), String> {
        if let Some(error) = &self.context.store.durable().borrow().failed {
            return Err(error.to_string());
        }
        match &*self.context.life.borrow() {
            Life::Serving => Ok(()),
            Life::Stopping => Err("the broker is stopping".to_owned()),
            Life::Failed(error) => Err(error.to_string()),
        }
    }

    /// Answers waiting receives and lets no new one wait; part of a graceful stop.
    pub fn begin_shutdown(&self) {
        Life::stop(&self.context.life);
    }

    /// Ends when the store or a shard has failed, with the reason: nothing can be promised any more.
    /// The shards notice it; whoever waits here is not woken for each sync, as they are.
    pub async fn failed(&self) -> StoreError {
        let mut life = self.context.life.subscribe();
        let life = life.wait_for(|life| life.failure().is_some()).await;
        life.ok().and_then(|life| life.failure().cloned()).unwrap_or(StoreError::Closed)
    }

    /// Makes everything durable, with a checkpoint for a fast start, and closes the store. Call it
    /// when no request is under way.
    ///
    /// # Errors
    /// When the last write failed; what was acknowledged is durable all the same.
    pub async fn close(&self) -> Result<()> {
        self.begin_shutdown();
        if let Err(error) = self.checkpoint().await {
            tracing::warn!(%error, "no checkpoint at the end; the next start replays more");
        }
        self.context.store.close().await.map_err(|error| durability::error_of(&error))
    }

    fn identity(&self) -> Identity {
        let shards = u16::try_from(self.shards.len()).unwrap_or(limits::SHARDS_MAX);
        Identity { hash_key: *self.keys.hash_key(), shards }
    }

    fn shard(&self, number: u16) -> Result<&ShardHandle> {
        self.shards.get(usize::from(number)).ok_or_else(|| {
            Error::new(
                ErrorCode::ReceiptHandleInvalid,
                "the receipt handle is of a shard that does not exist",
            )
        })
    }

    /// Runs a change to its end even when the caller goes away before: half of it would leave what
    /// is in memory and what is in the log apart.
    async fn to_the_end<T, F>(&self, change: impl FnOnce(Arc<Self>) -> F) -> Result<T>
    where
        T: std::marker::Send + 'static,
        F: Future<Output = Result<T>> + std::marker::Send + 'static,
    {
        let itself = self.itself.upgrade().ok_or_else(stopping)?;
        match tokio::spawn(change(itself)).await {
            Ok(outcome) => outcome,
            Err(error) => Err(Error::new(ErrorCode::Internal, error.to_string())),
        }
    }

    async fn tell_shards(&self, command: impl Fn() -> Command) -> Result<()> {
        for shard in &self.shards {
            shard.tell(command()).await?;
        }
        Ok(())
    }

    /// The group's entry for counting, if it was not deleted meanwhile.
    fn count_ack(&self, group: &Group) {
        if let Some(entry) = self.context.catalog.group_entry(group.id) {
            entry.metrics.acked();
        }
    }
}

fn group_deleted() -> Error {
    Error::new(ErrorCode::ConsumerGroupNotFound, "the consumer group was deleted")
}

fn stopping() -> Error {
    Error::new(ErrorCode::ShuttingDown, "the broker is stopping; try again on the next one")
}
