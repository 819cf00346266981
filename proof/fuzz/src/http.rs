//! Requests of the HTTP door: any method, path, query and body has an answer, and never one that is
//! our own fault.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, Uri};
use litemq_server::front::http::{AllowedHosts, router};
use tower::ServiceExt as _;

use crate::Target;
use crate::broker::{empty, run};

/// This target.
pub const TARGET: Target = Target { name: "http", heap_mib_max: 64, check };

const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Requests to one broker.
const REQUESTS_MAX: usize = 6;

fn check(bytes: &[u8]) {
    for (asked, status, body) in answers(bytes) {
        assert!(!status.is_server_error() || status == 501, "{asked}: {status} {body}");
    }
}

/// What one broker answers to each of some requests with a NUL between them: which it was, the status, the
/// body.
pub fn answers(bytes: &[u8]) -> Vec<(String, StatusCode, String)> {
    let asked = bytes.split(|byte| *byte == 0).take(REQUESTS_MAX);
    let requests: Vec<_> = asked.filter_map(request).collect();
    if requests.is_empty() {
        return Vec::new();
    }
    run(async {
        let world = empty().await;
        let hosts = AllowedHosts::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Vec::new());
        let door = router(Arc::clone(&world.broker), Arc::clone(&world.metrics), hosts);
        let mut answers = Vec::new();
        for request in requests {
            let asked = format!("{} {}", request.method(), request.uri());
            let answer = door.clone().oneshot(request).await.unwrap();
            let status = answer.status();
            let body = to_bytes(answer.into_body(), ANSWER_BYTES_MAX).await.expect("it is bounded");
            answers.push((asked, status, String::from_utf8_lossy(&body).into_owned()));
        }
        answers
    })
}

/// A request: `METHOD /path?query`, and behind the end of the line its body, which is JSON.
fn request(asked: &[u8]) -> Option<Request<Body>> {
    let end = asked.iter().position(|byte| *byte == b'\n').unwrap_or(asked.len());
    let (line, body) = asked.split_at(end);
    let (method, path) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    let uri: Uri = path.parse().ok()?;
    let method: Method = method.parse().ok()?;
    let request = Request::builder().method(method).uri(uri).header("host", "localhost");
    let request = request.header("content-type", "application/json");
    request.body(Body::from(body.get(1..).unwrap_or(&[]).to_vec())).ok()
}
