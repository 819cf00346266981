//! Health, readiness and metrics.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use litemq_domain::{Error, ErrorCode};

use tokio::runtime::Handle;

use super::App;
use super::model::HealthView;
use super::reply::Reply;
use crate::broker::Broker;
use crate::observe::{GroupGauges, Snapshot, TopicGauges};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Says that the process is alive.
#[utoipa::path(get, path = "/healthz", tag = "operations",
    responses((status = 200, body = HealthView)))]
pub(super) async fn healthz() -> Json<HealthView> {
    Json(HealthView { status: "ok".to_owned(), reason: None })
}

/// Says whether requests can be served, and why not.
#[utoipa::path(get, path = "/readyz", tag = "operations",
    responses((status = 200, body = HealthView), (status = 503, body = HealthView)))]
pub(super) async fn readyz(State(app): State<App>) -> (StatusCode, Json<HealthView>) {
    match app.broker.readiness() {
        Ok(()) => (StatusCode::OK, Json(HealthView { status: "ready".to_owned(), reason: None })),
        Err(reason) => {
            let health = HealthView { status: "not ready".to_owned(), reason: Some(reason) };
            (StatusCode::SERVICE_UNAVAILABLE, Json(health))
        }
    }
}

/// Metrics in the OpenMetrics text format.
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
pub(super) async fn metrics(State(app): State<App>) -> Reply<Response> {
    let text = app
        .metrics
        .render(&snapshot(&app.broker).await)
        .map_err(|_| Error::new(ErrorCode::Internal, "the metrics could not be written"))?;
    Ok(([(CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

/// Says where to look.
#[utoipa::path(get, path = "/", tag = "operations", responses((status = 200, body = String)))]
pub(super) async fn index() -> &'static str {
    "LiteMQ. The API is described at /api/v1/openapi.json; see also /readyz and /metrics.\n"
}

async fn snapshot(broker: &Broker) -> Snapshot {
    let usage = broker.store_usage();
    // A broker that stops has no counts any more; the rest is still worth showing.
    let backlogs = broker.backlogs().await.unwrap_or_default();
    let now = broker.now();
    let groups = backlogs.into_iter().filter_map(|(group, backlog, consumers)| {
        let topic = broker.topic_by_id(group.topic)?;
        Some(GroupGauges {
            topic: topic.name.clone(),
            group: group.name.clone(),
            consumers,
            in_flight: backlog.in_flight,
            ready: backlog.ready(),
            lagging: backlog.lite_topics,
            oldest_ms: backlog.oldest_at.map_or(0, |at| now.since(at).0),
        })
    });
    let topics = broker.topics();
    let topics = topics.iter().map(|topic| TopicGauges {
        topic: topic.name.clone(),
        lite_topics: broker.lite_count(topic),
    });
    let (notices, notices_dropped) = broker.sessions().notices();
    Snapshot {
        up: broker.readiness().is_ok(),
        topics: topics.collect(),
        groups: groups.collect(),
        parked_receives: broker.parked_receives(),
        calls: broker.shares().calls.pool().used() as u64,
        request_bytes: broker.shares().request_bytes.pool().used() as u64,
        answer_bytes: broker.shares().answer_bytes.pool().used() as u64,
        sessions: broker.sessions().count() as u64,
        subscriptions: broker.subscription_count(),
        notices,
        notices_dropped,
        tasks: Handle::current().metrics().num_alive_tasks() as u64,
        storage_bytes: usage.disk_bytes,
        unsynced_bytes: usage.unsynced_bytes,
        syncs: usage.syncs,
        log_bytes: usage.log_bytes,
        compacted_bytes: usage.compacted_bytes,
        log_bytes_since_checkpoint: usage.log_bytes_since_checkpoint,
    }
}
