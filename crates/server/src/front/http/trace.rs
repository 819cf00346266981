//! `/api/v1/topics/{topic}/trace` and `.../lite/{name}/trace`: what happened to messages.

use axum::Json;
use axum::extract::State;
use litemq_domain::{Attempt, Timestamp, What};

use super::App;
use super::messages::BodyPermit;
use super::model::{
    ErrorView, TraceEventKind, TraceEventView, TraceQuery, TraceView, TracedContent,
    TracedMessageView,
};
use super::reply::{Params, Refusal, Reply, Segments};
use super::rights::Asker;
use crate::broker::{Peeked, TraceEvent, TracedMessage, Wanted};
use crate::config::units::format_time;

/// What happened to a message of a lite topic, found by its id or by a key.
#[utoipa::path(get, path = "/api/v1/topics/{topic}/lite/{name}/trace", tag = "messages",
    params(("topic", description = "the parent topic"), ("name", description = "the lite topic"),
        TraceQuery),
    responses((status = 200, body = TraceView), (status = "default", body = ErrorView)))]
pub(super) async fn of_lite(
    State(app): State<App>,
    Segments((topic, name)): Segments<(String, String)>,
    Params(query): Params<TraceQuery>,
    _permit: BodyPermit,
) -> Reply<Json<TraceView>> {
    trace(&app, &topic, Some(&name), query).await
}

/// What happened to a message of a topic, found by its id among what the trace keeps.
#[utoipa::path(get, path = "/api/v1/topics/{topic}/trace", tag = "messages",
    params(("topic", description = "the parent topic"), TraceQuery),
    responses((status = 200, body = TraceView), (status = "default", body = ErrorView)))]
pub(super) async fn of_topic(
    State(app): State<App>,
    Segments(topic): Segments<String>,
    asker: Asker,
    Params(query): Params<TraceQuery>,
    _permit: BodyPermit,
) -> Reply<Json<TraceView>> {
    // It may be in any lite topic.
    asker.may_list(&topic, "")?;
    trace(&app, &topic, None, query).await
}

async fn trace(
    app: &App,
    topic: &str,
    name: Option<&str>,
    query: TraceQuery,
) -> Reply<Json<TraceView>> {
    let wanted = match (query.id, query.key) {
        (Some(id), None) if !id.is_empty() => Wanted::Id(id),
        (None, Some(key)) if !key.is_empty() => Wanted::Key(key),
        _ => return Err(Refusal::bad_request("give either id or key".to_owned())),
    };
    let trace = app.broker.trace(topic, name, &wanted, query.before).await?;
    Ok(Json(TraceView {
        on: trace.since.is_some(),
        since: trace.since.map(format_time),
        messages: trace.messages.into_iter().map(message).collect(),
        next: trace.next,
    }))
}

fn message(traced: TracedMessage) -> TracedMessageView {
    TracedMessageView {
        lite_topic: traced.lite_topic.map(|name| name.to_string()),
        offset: traced.offset,
        message: traced.stored.map(content),
        has_beginning: traced.has_beginning,
        left_out: traced.left_out,
        events: traced.events.into_iter().map(event).collect(),
    }
}

fn content(peeked: Peeked) -> TracedContent {
    let message = peeked.message;
    TracedContent {
        message_id: message.message_id,
        keys: message.keys,
        born_at: format_time(Timestamp(message.born_at_ms)),
        born_host: message.born_host,
        stored_at: format_time(peeked.stored_at),
        trace_context: message.trace_context,
    }
}

fn event(event: TraceEvent) -> TraceEventView {
    let (client, user, address) = match event.who {
        Some(who) => (who.client, who.user, Some(who.address)),
        None => (None, None, None),
    };
    let mut view = TraceEventView {
        at: format_time(event.at),
        event: kind(event.what, event.filtered),
        client: client.map(|client| client.to_string()),
        user: user.map(|user| user.to_string()),
        // Of the broker's own work there is none, and of some tests.
        address: address.filter(|address| !address.is_unspecified()).map(|it| it.to_string()),
        group: event.group.map(|group| group.to_string()),
        attempt: None,
        until: None,
        renewed: None,
        offset: None,
    };
    match event.what {
        What::Delivered { attempt, until, renewed, .. } => {
            view.attempt = Some(u32::from(attempt));
            view.until = Some(format_time(until));
            view.renewed = Some(renewed);
        }
        What::Delayed(attempt, until) | What::Suspended(attempt, until) => {
            view.attempt = number(attempt);
            view.until = Some(format_time(until));
        }
        What::GivenBack(attempt)
        | What::Settled(attempt)
        | What::Visible(attempt)
        | What::Released(attempt)
        | What::GivenUp(attempt)
        | What::UsedUp(attempt) => view.attempt = number(attempt),
        What::DeadLettered(attempt, offset) => {
            view.attempt = number(attempt);
            view.offset = Some(offset);
        }
        What::Resent(offset) | What::Moved(_, offset) | What::PastRetention(offset) => {
            view.offset = Some(offset);
        }
        What::Stored { .. } | What::SentAgain | What::Removed(_) | What::Expired(_) => {}
    }
    view
}

fn number(attempt: Attempt) -> Option<u32> {
    Some(u32::from(attempt.number))
}

fn kind(what: What, filtered: bool) -> TraceEventKind {
    match what {
        What::Stored { .. } => TraceEventKind::Stored,
        What::SentAgain => TraceEventKind::SentAgain,
        What::Delivered { .. } => TraceEventKind::Delivered,
        What::GivenBack(_) => TraceEventKind::GivenBack,
        What::Settled(_) if filtered => TraceEventKind::Filtered,
        What::Settled(_) => TraceEventKind::Acked,
        What::Delayed(..) => TraceEventKind::InvisibleChanged,
        What::Suspended(..) => TraceEventKind::Suspended,
        What::Visible(_) => TraceEventKind::Visible,
        What::Released(_) => TraceEventKind::Released,
        What::GivenUp(_) => TraceEventKind::GivenUp,
        What::UsedUp(_) => TraceEventKind::AttemptsUsedUp,
        What::DeadLettered(..) => TraceEventKind::DeadLettered,
        What::Resent(_) => TraceEventKind::Resent,
        What::Moved(..) => TraceEventKind::PositionMoved,
        What::PastRetention(_) => TraceEventKind::PastRetention,
        What::Removed(_) => TraceEventKind::LiteTopicRemoved,
        What::Expired(_) => TraceEventKind::LiteTopicExpired,
    }
}
