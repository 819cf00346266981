//! The broker as the doors see it: one value that sends, receives, settles and administers.
//!
//! Decisions are the domain's, bytes are the store's; here they are connected: a request becomes
//! commands to shards, and its answer waits until their effects are durable.

mod admin;
mod catalog;
mod clock;
mod deliveries;
mod durability;
mod handle;
mod identity;
mod inspect;
pub mod limits;
mod message;
mod open;
mod ready;
mod receive;
mod request;
mod sessions;
mod settle;
mod shard;
mod subscriptions;
mod upkeep;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use litemq_domain::persisted::{Counters, Identity};
use litemq_domain::{Error, ErrorCode, Group, Result, Send, SendOutcome, Timestamp, Topic};
use prost::Message as _;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, oneshot, watch};

pub use deliveries::Deliveries;
pub use message::{DeadLetterOrigin, Delivery, NewMessage, Peeked, Sent, StoredMessage};
pub use open::BrokerOptions;
pub use request::{
    GroupChange, LiteGroupInfo, LiteTopicInfo, NewGroup, NewTopic, Receipt, ReceiveRequest,
    SyncAction,
};
pub use sessions::{ConnectionId, OpenGuard, Sessions};

use identity::Keys;
use limits::ADMISSION_WAIT;
use shard::command::Command;
use shard::{ActorContext, ShardHandle};
use subscriptions::SubscriptionSets;

use crate::observe::Metrics;

/// The broker. Cheap calls answer at once; async ones answer when their effect is durable.
#[derive(Debug)]
pub struct Broker {
    context: Arc<ActorContext>,
    keys: Keys,
    subscriptions: SubscriptionSets,
    metrics: Arc<Metrics>,
    shards: Vec<ShardHandle>,
    /// Numbers handed out; held over every change of the catalog, so that those are one at a time.
    counters: Mutex<Counters>,
    /// One permit a payload byte of the sends under way.
    in_flight: Arc<Semaphore>,
    parked: AtomicUsize,
    /// Whose turn it is among the shards that have something.
    turn: AtomicUsize,
    stopping: watch::Sender<bool>,
    options: BrokerOptions,
}

impl Broker {
    /// Sends messages; one result for each, in order, when durable.
    pub async fn send(&self, topic: &Arc<Topic>, messages: Vec<NewMessage>) -> Vec<Result<Sent>> {
        let entry = self.context.catalog.topic_entry(topic.id);
        let mut waiting = Vec::with_capacity(messages.len());
        for message in messages {
            let body_bytes = message.message.body.len() as u64;
            waiting.push((self.start_send(topic, message).await, body_bytes));
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
        topic: &Topic,
        message: NewMessage,
    ) -> Result<oneshot::Receiver<Result<SendOutcome>>> {
        let NewMessage { lite_topic, message } = message;
        let shard = self.shards.get(self.keys.shard(&lite_topic)).ok_or_else(stopping)?;
        let in_flight = self.admit(message.encoded_len()).await?;
        let send = Send {
            topic: topic.id,
            lite_topic,
            tag: self.keys.message(&message.message_id),
            payload: message.encode_to_vec().into(),
        };
        let (reply, answer) = oneshot::channel();
        shard.tell(Command::Send { send, in_flight, reply }).await?;
        Ok(answer)
    }

    /// Waits for a place among the bytes in flight. It is held until the message is durable, even
    /// when nobody waits for that any more.
    async fn admit(&self, bytes: usize) -> Result<OwnedSemaphorePermit> {
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let place = Arc::clone(&self.in_flight).acquire_many_owned(permits);
        match tokio::time::timeout(ADMISSION_WAIT, place).await {
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
        if *self.stopping.borrow() {
            return Err("the broker is stopping".to_owned());
        }
        match &self.context.store.durable().borrow().failed {
            Some(error) => Err(error.to_string()),
            None => Ok(()),
        }
    }

    /// Answers waiting receives and lets no new one wait; part of a graceful stop.
    pub fn begin_shutdown(&self) {
        self.stopping.send_replace(true);
    }

    /// Ends when the store has failed, with the reason: nothing can be promised any more.
    pub async fn failed(&self) -> litemq_storage::StoreError {
        let mut durable = self.context.store.durable();
        match durable.wait_for(|state| state.failed.is_some()).await {
            Ok(state) => state.failed.clone().unwrap_or(litemq_storage::StoreError::Closed),
            Err(_) => litemq_storage::StoreError::Closed,
        }
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

fn stopping() -> Error {
    Error::new(ErrorCode::ShuttingDown, "the broker is stopping; try again on the next one")
}
