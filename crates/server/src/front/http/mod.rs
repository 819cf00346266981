//! The HTTP door: administration, messages by hand, health and metrics.
//!
//! It listens on loopback unless told otherwise, and it keeps the pages of others out of browsers
//! on the same machine: see `guard`. Who may do what here stands in `rights`. The JSON forms stand
//! in [`model`]; the command line is a client of them.

mod dead_letters;
mod groups;
mod guard;
pub mod limits;
mod lite;
mod messages;
pub mod model;
mod openapi;
mod operations;
mod policies;
mod quotas;
mod reply;
mod rights;
mod server;
mod stall;
mod stats;
mod topics;
mod trace;
mod users;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, post};

pub use guard::AllowedHosts;
pub use server::{HttpOptions, serve};

use crate::broker::{ADDRESS_SHARE_PERCENT, Broker, Pool, Shares};
use crate::front::message_ids::MessageIds;
use crate::observe::Metrics;

/// What the handlers work with.
#[derive(Debug, Clone)]
struct App {
    broker: Arc<Broker>,
    metrics: Arc<Metrics>,
    hosts: Arc<AllowedHosts>,
    message_ids: Arc<MessageIds>,
    /// Requests and answers with message bodies in memory at a time.
    bodies: Arc<Shares>,
}

/// The door without its socket.
pub fn router(broker: Arc<Broker>, metrics: Arc<Metrics>, hosts: AllowedHosts) -> Router {
    let app = App {
        broker,
        metrics,
        hosts: Arc::new(hosts),
        message_ids: Arc::new(MessageIds::new()),
        bodies: Arc::new(Shares::new(Pool::new(limits::BODIES_MAX), ADDRESS_SHARE_PERCENT)),
    };
    let routes = routes()
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods));
    routes
        .fallback(reply::unknown_route)
        .method_not_allowed_fallback(reply::unknown_method)
        .layer(DefaultBodyLimit::max(limits::ADMIN_BODY_BYTES_MAX))
        .layer(from_fn_with_state(app.clone(), rights::admit))
        .layer(from_fn_with_state(app.clone(), guard::watch))
        .with_state(app)
}

/// Every path that is served. The OpenAPI document has the same; a test compares them.
fn routes() -> Vec<(&'static str, MethodRouter<App>)> {
    let message_body = DefaultBodyLimit::max(limits::MESSAGE_BODY_BYTES_MAX);
    vec![
        ("/api/v1/topics", get(topics::list).post(topics::create)),
        (
            "/api/v1/topics/{topic}",
            get(topics::describe).patch(topics::update).delete(topics::delete),
        ),
        ("/api/v1/groups", get(groups::list).post(groups::create)),
        (
            "/api/v1/groups/{group}",
            get(groups::describe).patch(groups::update).delete(groups::delete),
        ),
        ("/api/v1/groups/{group}/reset", post(groups::reset)),
        ("/api/v1/groups/{group}/stats", get(stats::group)),
        ("/api/v1/groups/{group}/clients", get(stats::clients)),
        ("/api/v1/groups/{group}/clients/{client}", get(stats::client).delete(groups::unsubscribe)),
        ("/api/v1/topics/{topic}/lite", get(lite::list).post(lite::create)),
        (
            "/api/v1/topics/{topic}/lite/{name}",
            get(lite::describe).patch(lite::update).delete(lite::delete),
        ),
        ("/api/v1/quotas", get(quotas::show).patch(quotas::update)),
        ("/api/v1/quotas/profiles", get(quotas::profiles)),
        ("/api/v1/quotas/profiles/{profile}", post(quotas::apply)),
        (
            "/api/v1/topics/{topic}/lite/{name}/messages",
            post(messages::send).layer(message_body).get(messages::peek),
        ),
        ("/api/v1/topics/{topic}/trace", get(trace::of_topic)),
        ("/api/v1/topics/{topic}/lite/{name}/trace", get(trace::of_lite)),
        ("/api/v1/users", get(users::list).post(users::create)),
        ("/api/v1/users/{user}", get(users::describe).patch(users::update).delete(users::delete)),
        ("/api/v1/users/{user}/secret", post(users::rotate)),
        ("/api/v1/policies", get(policies::list).post(policies::create)),
        ("/api/v1/policies/{id}", delete(policies::delete)),
        ("/api/v1/policies/test", post(policies::test)),
        ("/api/v1/groups/{group}/dead-letters", get(dead_letters::list)),
        ("/api/v1/groups/{group}/dead-letters/{name}", get(dead_letters::show)),
        ("/api/v1/groups/{group}/dead-letters/{name}/resend", post(dead_letters::resend)),
        ("/api/v1/openapi.json", get(openapi::document)),
        ("/healthz", get(operations::healthz)),
        ("/readyz", get(operations::readyz)),
        ("/metrics", get(operations::metrics)),
        ("/", get(operations::index)),
    ]
}
