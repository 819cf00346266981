//! A whole node that asks for credentials: what it logs, and what it knows after a restart.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a helper that cannot go on fails its test"
)]

mod grpc_support;

use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grpc_support::{Client, message, soon};
use litemq_domain::access::Secret;
use litemq_protocol::v2::Code;
use litemq_server::access::signature::mac;
use litemq_server::boot::{BootError, Node};
use litemq_server::config::{Config, Sources, load};
use tonic::transport::Endpoint;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

const SECRETS: [&str; 4] =
    ["secret-of-the-root", "secret-of-tenant-a", "another-secret-of-a", "a-wrong-secret"];

/// Everything that is logged.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn config(data: &Path, text: &str) -> Config {
    let text = format!(
        "data = {data:?}\nlisten = '127.0.0.1:0'\nhttp = '127.0.0.1:0'\n{text}\n[storage]\n\
         segment_size = '16MiB'\n"
    );
    load(&Sources { file: Some(("test.toml".to_owned(), text)), ..Sources::default() })
        .unwrap()
        .config
}

async fn client(node: &Node, user: &str, secret: &str) -> Client {
    let address = format!("http://{}", node.grpc_address());
    let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    Client::new(channel, user, "JAVA").signing(user, secret)
}

/// The real command line, as an operator uses it.
async fn litemq(node: &Node, arguments: &[&str], secret: &str) -> bool {
    let mut command = Command::new(env!("CARGO_BIN_EXE_litemq"));
    command.arg("--server").arg(format!("http://{}", node.http_address())).args(arguments);
    command.env("LITEMQ_USER", "root").env("LITEMQ_SECRET", secret);
    let ran = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    ran.status.success()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_and_no_signature_is_ever_logged_and_a_restart_knows_everybody() {
    let log = Captured::default();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("trace"))
        .with_ansi(false)
        .with_writer(log.clone())
        .init();
    let [root, first, second, wrong] = SECRETS;
    let folder = tempfile::tempdir().unwrap();
    let guarded = format!("[access]\nenabled = true\nsuper_user = 'root'\nsuper_secret = '{root}'");
    let data = folder.path().join("data");
    let node = Node::start(config(&data, &guarded)).await.unwrap();

    let files = [("first", first), ("second", second)].map(|(name, secret)| {
        let path = folder.path().join(name);
        std::fs::write(&path, secret).unwrap();
        path.to_str().unwrap().to_owned()
    });
    let create = ["user", "create", "tenant-a", "--new-secret-file", &files[0]];
    assert!(litemq(&node, &create, root).await);
    assert!(!litemq(&node, &["user", "list"], wrong).await);
    assert!(litemq(&node, &["topic", "create", "orders"], root).await);
    let allow = ["policy", "add", "tenant-a", "allow", "publish", "lite:orders/a-*"];
    assert!(litemq(&node, &allow, root).await);
    let code = async |node: &Node, secret: &str| {
        let client = client(node, "tenant-a", secret).await;
        soon(client.send(vec![message("a-1", "x")])).await.status.unwrap().code()
    };
    assert_eq!(code(&node, first).await, Code::Ok);
    assert_eq!(code(&node, wrong).await, Code::Unauthorized);
    let rotate = ["user", "rotate", "tenant-a", "--new-secret-file", &files[1]];
    assert!(litemq(&node, &rotate, root).await);
    assert_eq!(code(&node, first).await, Code::Unauthorized);
    soon(node.stop()).await.unwrap();

    let node = Node::start(config(&data, &guarded)).await.unwrap();
    assert_eq!(code(&node, second).await, Code::Ok);
    let stranger = client(&node, "tenant-a", second).await;
    let refused = soon(stranger.send(vec![message("b-1", "x")])).await;
    assert_eq!(refused.status.unwrap().code(), Code::Forbidden);
    soon(node.stop()).await.unwrap();

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for seen in ["declared super user created", "user created", "secret of a user changed"] {
        assert!(log.contains(seen), "{seen} is not in the log");
    }
    for secret in SECRETS {
        assert!(!log.contains(secret), "{secret}");
        let date = grpc_support::DATE.as_bytes();
        let mac = mac(&Secret::new(secret).unwrap(), date);
        let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!log.to_ascii_lowercase().contains(&hex), "the signature of {secret}");
        for user in ["root", "tenant-a"] {
            let token = STANDARD.encode(format!("{user}:{secret}"));
            assert!(!log.contains(&token), "the token of {user} with {secret}");
        }
    }
}

#[tokio::test]
async fn a_node_open_to_the_network_by_accident_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let open = Config { listen: "0.0.0.0:0".parse().unwrap(), ..config(&data, "") };
    match Node::start(open.clone()).await.unwrap_err() {
        BootError::Exposed(text) => assert!(text.contains("access.enabled"), "{text}"),
        other => panic!("{other}"),
    }
    assert!(!data.exists());
    let mut allowed = open;
    allowed.access.allow_anonymous_beyond_loopback = true;
    soon(Node::start(allowed).await.unwrap().stop()).await.unwrap();
}

#[tokio::test]
async fn a_node_without_anybody_who_may_administer_it_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let none = config(&folder.path().join("data"), "[access]\nenabled = true");
    match Node::start(none).await.unwrap_err() {
        BootError::Access(error) => assert!(error.message.contains("access.super_user")),
        other => panic!("{other}"),
    }
}
