use std::sync::Arc;
use std::time::Duration;

use litemq_domain::{
    ClientId, DurationMs, Group, GroupName, GroupOptions, LiteTopicName, TagFilter, Topic,
    TopicName, TopicOptions,
};
use litemq_storage::MemoryStore;

use super::*;
use crate::access::Caller;
use crate::broker::{
    Broker, BrokerOptions, NewGroup, NewMessage, NewTopic, ReceiveRequest, StoredMessage,
    SyncAction,
};
use crate::observe::Metrics;

/// The poll of the SDKs.
const POLL: Duration = Duration::from_secs(20);
const SHARDS: u16 = 4;
const LITES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

struct World {
    broker: Arc<Broker>,
    topic: Arc<Topic>,
    group: Arc<Group>,
    client: ClientId,
}

impl World {
    /// One client, whose receive has found nothing.
    async fn quiet() -> Self {
        let store = Arc::new(MemoryStore::new());
        let options = BrokerOptions { shards: SHARDS, ..BrokerOptions::default() };
        let broker = Broker::open(store, options, Arc::new(Metrics::new())).await.unwrap();
        let name = TopicName::new("orders").unwrap();
        let topic = NewTopic { name: name.clone(), options: TopicOptions::default() };
        let topic = broker.create_topic(topic).await.unwrap();
        let group = NewGroup {
            name: GroupName::new("workers").unwrap(),
            bind: name,
            options: GroupOptions::default(),
        };
        let group = broker.create_group(group).await.unwrap();
        let client = ClientId::new("c").unwrap();
        let world = Self { broker, topic, group, client };
        world.subscribe(&LITES).await;
        assert_eq!(world.receive(Duration::ZERO).await, 0);
        world
    }

    async fn subscribe(&self, lites: &[&str]) {
        let names = lites.iter().map(|lite| LiteTopicName::new(lite).unwrap()).collect();
        let (client, add) = (&self.client, SyncAction::PartialAdd);
        self.broker.sync_subscription(client, &self.group, add, names).await.unwrap();
    }

    async fn receive(&self, wait: Duration) -> usize {
        let request = ReceiveRequest {
            client: self.client.clone(),
            caller: Caller::internal(),
            group: Arc::clone(&self.group),
            messages_max: 32,
            per_lite_topic_max: 32,
            filter: TagFilter::All,
            invisible: DurationMs::from_secs(300),
            attempt_id: String::new(),
            auto_renew: false,
            wait,
        };
        let mut deliveries = self.broker.receive(request).await.unwrap();
        std::iter::from_fn(|| deliveries.take_next()).count()
    }

    async fn send(&self, lite: &str) {
        let lite_topic = LiteTopicName::new(lite).unwrap();
        let message = StoredMessage { message_id: lite.to_owned(), ..StoredMessage::default() };
        let sent = self.broker.send(&self.topic, vec![NewMessage { lite_topic, message }]).await;
        assert!(sent.iter().all(Result::is_ok));
    }

    /// As if no shard had raised its flag for what was sent so far.
    fn lose_wake_ups(&self) {
        let client = self.broker.keys.client(&self.client);
        let wake = Wake { client: Some(client), group: self.group.id };
        let signal = self.broker.context.signals.find(wake).unwrap();
        (0..self.broker.options.shards).for_each(|shard| signal.lower(shard));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_wake_up_costs_an_empty_poll_and_no_message() {
    let world = World::quiet().await;
    for lite in LITES {
        world.send(lite).await;
    }
    world.lose_wake_ups();
    assert_eq!(world.receive(POLL).await, 0);
    assert_eq!(world.receive(POLL).await, LITES.len(), "from every shard");
}

#[tokio::test(start_paused = true)]
async fn a_lost_wake_up_is_made_good_also_for_a_client_that_has_enough_to_do() {
    let world = World::quiet().await;
    world.send("a").await;
    world.lose_wake_ups();
    let shard_of = |lite: &str| world.broker.keys.shard(&LiteTopicName::new(lite).unwrap());
    let others = (0..).map(|n| format!("busy-{n}")).filter(|lite| shard_of(lite) != shard_of("a"));
    for busy in others.take(20) {
        world.subscribe(&[&busy]).await;
        world.send(&busy).await;
        tokio::time::advance(Duration::from_secs(1)).await;
        match world.receive(POLL).await {
            1 => {}
            received => return assert_eq!(received, 2),
        }
    }
    panic!("nobody looked at the shard of the message");
}

#[tokio::test(start_paused = true)]
async fn flags_are_trusted_until_their_time_is_over() {
    let signals = ReadySignals::new(3);
    let (signal, is_new) = signals.find_or_add(ClientKey(1), GroupId(1));
    assert!(is_new && !signals.find_or_add(ClientKey(1), GroupId(1)).1);
    assert_eq!(signal.bits(), 0b111, "nothing is known of a new client");
    (0..3).for_each(|shard| signal.lower(shard));
    tokio::time::advance(READY_TRUST_MAX - Duration::from_millis(1)).await;
    signal.doubt();
    assert_eq!(signal.bits(), 0);
    tokio::time::advance(Duration::from_millis(1)).await;
    signal.doubt();
    assert_eq!(signal.bits(), 0b111);
    (0..3).for_each(|shard| signal.lower(shard));
    signal.doubt();
    assert_eq!(signal.bits(), 0);
}
