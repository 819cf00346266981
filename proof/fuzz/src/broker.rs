//! A broker in memory behind its doors, on a clock that moves only when nothing else does.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use litemq_domain::persisted::{Counters, Identity};
use litemq_domain::persisted::{counters_key, counters_value, identity_key, identity_value};
use litemq_domain::{GroupName, GroupOptions, TopicName, TopicOptions};
use litemq_protocol::v2;
use litemq_protocol::v2::messaging_service_server::MessagingService;
use litemq_server::broker::{Broker, BrokerOptions, NewGroup, NewTopic};
use litemq_server::front::grpc;
use litemq_server::front::stop::{StopSwitch, stop_switch};
use litemq_server::observe::Metrics;
use litemq_storage::{Batch, MemoryStore, Op, ShardId, ShardStore, StoreError};
use tonic::Request;

/// The parent topic.
pub const TOPIC: &str = "orders";
/// A group that keeps the order, and one that does not.
pub const GROUPS: [&str; 2] = ["ordered", "workers"];
/// The key of all hashes and handles.
pub const HASH_KEY: [u8; 16] = *b"fedcba9876543210";
/// The owner of topics and groups.
pub const CATALOG: ShardId = ShardId(u16::MAX);

/// An empty broker's store: a topic and its groups.
static EMPTY: LazyLock<MemoryStore> = LazyLock::new(|| block_on(make_empty()));

/// A broker, and its gRPC door without a socket.
#[derive(Debug)]
pub struct World<D> {
    /// The broker.
    pub broker: Arc<Broker>,
    /// Every call of the protocol.
    pub door: D,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    _switch: StopSwitch,
}

/// Runs to the end, on one thread and a paused clock.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    LazyLock::force(&EMPTY);
    block_on(future)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap().block_on(future)
}

/// A broker with a topic, two groups, and nothing else.
pub async fn empty() -> World<impl MessagingService> {
    open(Arc::new(EMPTY.reopen())).await.unwrap()
}

/// A broker over a store.
///
/// # Errors
/// Why it cannot be opened.
pub async fn open(store: Arc<MemoryStore>) -> Result<World<impl MessagingService>, StoreError> {
    let metrics = Arc::new(Metrics::new());
    let options = BrokerOptions { shards: 2, ..BrokerOptions::default() };
    let broker = Broker::open(store, options, Arc::clone(&metrics)).await?;
    let (switch, stopping) = stop_switch();
    let door = grpc::calls(Arc::clone(&broker), Arc::clone(&metrics), None, stopping);
    Ok(World { broker, door, metrics, _switch: switch })
}

/// A request as a client of this language sends it.
pub fn request<T>(message: T, client: &str, language: &'static str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("x-mq-client-id", client.parse().unwrap());
    request.metadata_mut().insert("x-mq-language", language.parse().unwrap());
    request
}

/// A name without a namespace.
pub fn resource(name: &str) -> Option<v2::Resource> {
    Some(v2::Resource { resource_namespace: String::new(), name: name.to_owned() })
}

/// A status has a code that clients know and a text for people.
pub fn check_status(status: Option<&v2::Status>) -> v2::Code {
    let status = status.expect("an answer has a status");
    let code = v2::Code::try_from(status.code).expect("a code of the protocol");
    assert_ne!(code, v2::Code::Unspecified);
    assert!(!status.message.is_empty());
    let is_fit = |c: char| c == '\n' || !c.is_control();
    assert!(status.message.chars().all(is_fit), "{:?}", status.message);
    assert_ne!(code, v2::Code::InternalError, "{}", status.message);
    assert_ne!(code, v2::Code::InternalServerError, "{}", status.message);
    code
}

/// What is fixed at the first start, so that every run has the same keys.
pub fn identity() -> Vec<Op> {
    let put = |key: Vec<u8>, value: Vec<u8>| Op::Put {
        shard: CATALOG,
        key: Bytes::from(key),
        value: Bytes::from(value),
    };
    let identity = Identity { hash_key: HASH_KEY, shards: 2 };
    vec![
        put(identity_key(), identity_value(identity)),
        put(counters_key(), counters_value(Counters { next_topic: 1, next_group: 1 })),
    ]
}

async fn make_empty() -> MemoryStore {
    let store = Arc::new(MemoryStore::new());
    store.submit(Batch { ops: identity() }).unwrap();
    let store = Arc::new(store.reopen());
    let world = open(Arc::clone(&store)).await.unwrap();
    let name = TopicName::new(TOPIC).unwrap();
    let topic = NewTopic { name: name.clone(), options: TopicOptions::default() };
    world.broker.create_topic(topic).await.unwrap();
    for (group, ordered) in GROUPS.into_iter().zip([true, false]) {
        let new = NewGroup {
            name: GroupName::new(group).unwrap(),
            bind: name.clone(),
            options: GroupOptions {
                ordered,
                client_quota: Some(100),
                max_attempts: 1000,
                ..GroupOptions::default()
            },
        };
        world.broker.create_group(new).await.unwrap();
    }
    store.reopen()
}

/// Lets everything come as far as it does by itself.
pub async fn quiet() {
    tokio::time::sleep(Duration::from_millis(2)).await;
}
