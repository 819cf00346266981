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
use litemq_domain::UserName;
use litemq_domain::access::{Secret, UserKind};
use litemq_server::access::AccessOptions;
use litemq_server::broker::{Broker, BrokerOptions, NewUser};
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
        let metrics = Arc::new(Metrics::new());
        let broker = broker(Arc::clone(&metrics)).await;
        let hosts = AllowedHosts::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Vec::new());
        Self { router: router(broker, metrics, hosts) }
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
        (Self { router: router(Arc::clone(&broker), metrics, hosts) }, broker)
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
pub(crate) const CONNECTIONS_MAX: usize = 4;

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
        let options = HttpOptions { address_share_percent: 100, ..HttpOptions::default() };
        Self::start_over(BrokerOptions { access, ..BrokerOptions::default() }, options)
    }

    pub(crate) fn start_with(options: HttpOptions) -> Self {
        Self::start_over(BrokerOptions::default(), options)
    }

    fn start_over(of_broker: BrokerOptions, options: HttpOptions) -> Self {
        let runtime = Runtime::new().unwrap();
        let (switch, stopping) = stop_switch();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        // More grace than patience: nothing may depend on being cut off.
        let grace = 2 * PATIENCE;
        let options = HttpOptions { connections_max: CONNECTIONS_MAX, grace, ..options };
        let task = runtime.spawn(async move {
            let metrics = Arc::new(Metrics::new());
            let store = Arc::new(MemoryStore::new());
            let is_guarded = of_broker.access.enabled;
            let broker = Broker::open(store, of_broker, Arc::clone(&metrics)).await.unwrap();
            if is_guarded {
                add_user(&broker, "root", UserKind::Super).await;
            }
            serve(broker, metrics, listener, options, stopping).await
        });
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
pub(crate) async fn broker(metrics: Arc<Metrics>) -> Arc<Broker> {
    let store = Arc::new(MemoryStore::new());
    Broker::open(store, BrokerOptions::default(), metrics).await.unwrap()
}
