//! Requests of the HTTP door: any method, path, query and body has an answer, and never one that is
//! our own fault.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use arbitrary::{Arbitrary, Unstructured};
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Uri};
use litemq_server::front::http::{AllowedHosts, router};
use tower::ServiceExt as _;

use crate::Target;
use crate::broker::{empty, run};

/// This target.
pub const TARGET: Target = Target { name: "http", heap_mib_max: 64, check };

const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Requests to one broker.
const REQUESTS_MAX: usize = 6;

/// One request.
#[derive(Debug, Arbitrary)]
struct Asked<'a> {
    method: u8,
    path: u8,
    /// Stands for each `*` of the path, in turn.
    names: [&'a str; 2],
    query: &'a str,
    body: &'a str,
    is_json: bool,
}

const METHODS: [Method; 5] =
    [Method::GET, Method::POST, Method::PATCH, Method::DELETE, Method::PUT];
const PATHS: [&str; 12] = [
    "/api/v1/topics",
    "/api/v1/topics/*",
    "/api/v1/groups",
    "/api/v1/groups/*",
    "/api/v1/topics/*/lite",
    "/api/v1/topics/*/lite/*",
    "/api/v1/topics/*/lite/*/messages",
    "/api/v1/topics/orders/lite",
    "/api/v1/topics/orders/lite/*",
    "/api/v1/topics/orders/lite/*/messages",
    "/metrics",
    "/*",
];

fn check(bytes: &[u8]) {
    let mut input = Unstructured::new(bytes);
    let asked =
        std::iter::from_fn(|| Asked::arbitrary(&mut input).ok().filter(|_| !input.is_empty()));
    let requests: Vec<_> = asked.take(REQUESTS_MAX).filter_map(|asked| request(&asked)).collect();
    if requests.is_empty() {
        return;
    }
    run(async {
        let world = empty().await;
        let hosts = AllowedHosts::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Vec::new());
        let door = router(Arc::clone(&world.broker), Arc::clone(&world.metrics), hosts);
        for request in requests {
            let asked = format!("{} {}", request.method(), request.uri());
            let answer = door.clone().oneshot(request).await.unwrap();
            let status = answer.status();
            let body = to_bytes(answer.into_body(), ANSWER_BYTES_MAX).await.expect("it is bounded");
            assert!(!status.is_server_error() || status == 501, "{asked}: {status} {body:?}");
        }
    });
}

fn request(asked: &Asked<'_>) -> Option<Request<Body>> {
    let mut names = asked.names.iter();
    let pieces = PATHS[usize::from(asked.path) % PATHS.len()].split('*');
    let mut path = String::new();
    for (at, piece) in pieces.enumerate() {
        if at > 0 {
            path.push_str(&escape(names.next()?));
        }
        path.push_str(piece);
    }
    if !asked.query.is_empty() {
        path = format!("{path}?{}", asked.query);
    }
    let uri: Uri = path.parse().ok()?;
    let method = METHODS[usize::from(asked.method) % METHODS.len()].clone();
    let content_type = if asked.is_json { "application/json" } else { "text/plain" };
    let request = Request::builder().method(method).uri(uri).header("host", "localhost");
    let request = request.header("content-type", content_type);
    request.body(Body::from(asked.body.to_owned())).ok()
}

/// A name as part of a path; a name of URL characters stays as it is, escapes included.
fn escape(name: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-_%.~".contains(&byte);
    let escaped = |byte: u8| match keep(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    name.bytes().map(escaped).collect()
}
