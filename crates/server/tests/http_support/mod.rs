//! A broker in memory behind the HTTP door.

#![allow(dead_code, reason = "each test file uses its part")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{Method, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use litemq_domain::access::{Secret, UserKind};
use litemq_domain::{
    ClientId, DurationMs, GroupName, GroupOptions, LiteTopicName, TagFilter, TopicName,
    TopicOptions, UserName,
};
use litemq_server::access::{AccessOptions, Caller};
use litemq_server::broker::{
    Broker, BrokerOptions, NewGroup, NewMessage, NewTopic, NewUser, Receipt, ReceiveRequest,
    StoredMessage, SyncAction, WhoKey,
};
use litemq_server::front::http::{AllowedHosts, HttpOptions, router, serve};
use litemq_server::front::stop::{StopSwitch, stop_switch};
use litemq_server::observe::Metrics;
use litemq_storage::MemoryStore;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tower::ServiceExt;

pub(crate) const MESSAGES: &str = "/api/v1/topics/chat/lite/s1/messages";

/// The HTTP door of a fresh broker, without a socket.
pub(crate) struct Door {
    pub(crate) broker: Arc<Broker>,
    router: Router,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

impl Door {
    pub(crate) async fn open() -> Self {
        Self::over(broker().await)
    }

    fn over(broker: Arc<Broker>) -> Self {
        let metrics = Arc::clone(broker.metrics());
        let hosts = AllowedHosts::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Vec::new());
        Self { broker: Arc::clone(&broker), router: router(broker, metrics, hosts) }
    }

    /// The same with three dead letters.
    pub(crate) async fn with_letters() -> Self {
        let broker = broker().await;
        make_letters(&broker).await;
        Self::over(broker)
    }

    /// A door bound to this address that asks for credentials, its broker, and user `root` with
    /// [`SECRET`], who may do everything.
    pub(crate) async fn guarded(bound: IpAddr, access: AccessOptions) -> (Self, Arc<Broker>) {
        let metrics = Arc::new(Metrics::new());
        let store = Arc::new(MemoryStore::new());
        let options = BrokerOptions {
            access: AccessOptions { enabled: true, ..access },
            ..BrokerOptions::default()
        };
        let broker = Broker::open(store, options, Arc::clone(&metrics)).await.unwrap();
        add_user(&broker, "root", UserKind::Super).await;
        let hosts = AllowedHosts::new(bound, Vec::new());
        (
            Self {
                broker: Arc::clone(&broker),
                router: router(Arc::clone(&broker), metrics, hosts),
            },
            broker,
        )
    }

    /// The same with topic `chat` and group `bots`.
    pub(crate) async fn with_chat() -> Self {
        let door = Self::open().await;
        let topic = r#"{"name":"chat","ttl":"30m"}"#;
        assert_eq!(door.post("/api/v1/topics", topic).await.status, StatusCode::CREATED);
        let group = r#"{"name":"bots","bind":"chat"}"#;
        assert_eq!(door.post("/api/v1/groups", group).await.status, StatusCode::CREATED);
        door
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(request(Method::GET, path, Body::empty())).await
    }

    pub(crate) async fn post(&self, path: &str, json: &str) -> Answer {
        self.ask(request(Method::POST, path, Body::from(json.to_owned()))).await
    }

    pub(crate) async fn patch(&self, path: &str, json: &str) -> Answer {
        self.ask(request(Method::PATCH, path, Body::from(json.to_owned()))).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.ask(request(Method::DELETE, path, Body::empty())).await
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Answer { status, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The answer is this refusal.
    pub(crate) fn is_refused(&self, status: u16, code: &str, rocketmq: i32) -> String {
        let json = self.json();
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(json["error"]["code"], code, "{self:?}");
        assert_eq!(json["error"]["rocketmq_code"], rocketmq, "{self:?}");
        json["error"]["message"].as_str().unwrap().to_owned()
    }
}

/// The secret of every user of a guarded door.
pub(crate) const SECRET: &str = "secret-of-everybody";

pub(crate) async fn add_user(broker: &Arc<Broker>, name: &str, kind: UserKind) {
    let new = NewUser {
        name: UserName::new(name).unwrap(),
        secret: Secret::new(SECRET).unwrap(),
        kind,
        enabled: true,
    };
    broker.create_user(new).await.unwrap();
}

/// A request with the name and secret of a user.
pub(crate) fn request_by(
    user: &str,
    secret: &str,
    method: Method,
    path: &str,
    body: Body,
) -> Request<Body> {
    let token = STANDARD.encode(format!("{user}:{secret}"));
    let mut request = request(method, path, body);
    let value = format!("Basic {token}").parse().unwrap();
    request.headers_mut().insert(AUTHORIZATION, value);
    request
}

/// A request as a client on the same machine sends it.
pub(crate) fn request(method: Method, path: &str, body: Body) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "127.0.0.1:8080")
        .header(CONTENT_TYPE, "application/json")
        .body(body)
        .unwrap()
}

/// Longer than anything takes; a test that waits so long fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Connections of a served door.
pub(crate) const CONNECTIONS_MAX: usize = 16;

/// The HTTP door of a fresh broker on a port of its own, until dropped.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    switch: StopSwitch,
    task: JoinHandle<std::io::Result<()>>,
    runtime: Runtime,
}

impl Served {
    /// A door whose connections may all be one address's.
    pub(crate) fn start() -> Self {
        Self::start_with(HttpOptions { address_share_percent: 100, ..HttpOptions::default() })
    }

    /// A door that asks for credentials, with user `root`.
    pub(crate) fn start_guarded() -> Self {
        let access = AccessOptions { enabled: true, ..AccessOptions::default() };
        let of_broker = BrokerOptions { access, ..BrokerOptions::default() };
        let runtime = Runtime::new().unwrap();
        let broker = runtime.block_on(broker_with(of_broker));
        runtime.block_on(add_user(&broker, "root", UserKind::Super));
        let options = HttpOptions { address_share_percent: 100, ..HttpOptions::default() };
        Self::start_over(runtime, broker, options)
    }

    pub(crate) fn start_with(options: HttpOptions) -> Self {
        let runtime = Runtime::new().unwrap();
        let broker = runtime.block_on(broker());
        Self::start_over(runtime, broker, options)
    }

    /// A door whose group `bots` has three dead letters, `m0` to `m2`, of lite topic `s1` of `chat`.
    pub(crate) fn with_letters() -> Self {
        let runtime = Runtime::new().unwrap();
        let broker = runtime.block_on(broker());
        runtime.block_on(make_letters(&broker));
        let options = HttpOptions { address_share_percent: 100, ..HttpOptions::default() };
        Self::start_over(runtime, broker, options)
    }

    fn start_over(runtime: Runtime, broker: Arc<Broker>, options: HttpOptions) -> Self {
        let (switch, stopping) = stop_switch();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        // More grace than patience: nothing may depend on being cut off.
        let grace = 2 * PATIENCE;
        let options = HttpOptions { connections_max: CONNECTIONS_MAX, grace, ..options };
        let metrics = Arc::clone(broker.metrics());
        let task = runtime.spawn(serve(broker, metrics, listener, options, stopping));
        Self { address, switch, task, runtime }
    }

    /// Stops, and returns when the door is closed.
    pub(crate) fn stop(self) {
        self.switch.stop();
        let stopped = self.runtime.block_on(async { timeout(PATIENCE, self.task).await });
        stopped.expect("the door did not close in time").unwrap().unwrap();
    }
}

/// A fresh broker that keeps everything in memory.
pub(crate) async fn broker() -> Arc<Broker> {
    broker_with(BrokerOptions::default()).await
}

async fn broker_with(options: BrokerOptions) -> Arc<Broker> {
    let store = Arc::new(MemoryStore::new());
    Broker::open(store, options, Arc::new(Metrics::new())).await.unwrap()
}

/// Topic `chat` with group `bots`, which tried `m0` to `m2` of lite topic `s1` once each.
pub(crate) async fn make_letters(broker: &Broker) {
    let name = TopicName::new("chat").unwrap();
    let topic = broker
        .create_topic(NewTopic { name: name.clone(), options: TopicOptions::default() })
        .await
        .unwrap();
    let new = NewGroup {
        name: GroupName::new("bots").unwrap(),
        bind: name,
        options: GroupOptions { max_attempts: 1, ..GroupOptions::default() },
    };
    let group = broker.create_group(new).await.unwrap();
    let (client, lite) = (ClientId::new("c1").unwrap(), LiteTopicName::new("s1").unwrap());
    let names = vec![lite.clone()];
    broker.sync_subscription(&client, &group, SyncAction::PartialAdd, names).await.unwrap();
    for n in 0..3 {
        let body = format!("m{n}").into_bytes().into();
        let message_id = format!("id-{n}");
        let message = StoredMessage { message_id, body, ..StoredMessage::default() };
        let sent =
            broker.send(&topic, vec![NewMessage { lite_topic: lite.clone(), message }]).await;
        assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    }
    let letters = async || match broker.dead_letters("bots", "", None, 1).await.unwrap().first() {
        Some(found) => found.letters,
        None => 0,
    };
    while letters().await < 3 {
        let request = ReceiveRequest {
            client: client.clone(),
            caller: Caller::internal(),
            group: Arc::clone(&group),
            messages_max: 1,
            per_lite_topic_max: 1,
            filter: TagFilter::All,
            invisible: DurationMs::from_secs(30),
            attempt_id: String::new(),
            auto_renew: false,
            wait: Duration::ZERO,
        };
        let mut received = broker.receive(request).await.unwrap();
        if let Some(delivery) = received.take_next() {
            let receipt = Receipt {
                handle: &delivery.receipt_handle,
                lite_topic: None,
                by: WhoKey::default(),
            };
            let failed = broker.change_invisible(&group, receipt, DurationMs(0), false);
            failed.await.unwrap();
        }
        tokio::task::yield_now().await;
    }
}
