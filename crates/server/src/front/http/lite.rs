//! `/api/v1/topics/{topic}/lite`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use litemq_domain::limits::LIST_NAMES_MAX;
use litemq_domain::{ClientId, DurationMs, LiteTopicName, PINNED, Protection, Timestamp};

use super::App;
use super::limits::LIST_NAMES_DEFAULT;
use super::model::{
    ErrorView, KeptBy, LiteChangeForm, LiteGroupView, LitePage, LiteQuery, LiteView, NewLiteForm,
};
use super::reply::{Form, Params, Refusal, Reply, Segments, to_the_end};
use super::rights::Asker;
use super::topics::checked_ttl;
use crate::broker::{LifetimeOrder, LiteGroupInfo, LiteTopicInfo};
use crate::config::units::{OF_TOPIC, format_time, format_ttl, parse_duration};

/// Lists lite topics by name, a page at a time.
#[utoipa::path(get, path = "/api/v1/topics/{topic}/lite", tag = "lite topics",
    params(("topic", description = "the parent topic"), LiteQuery),
    responses((status = 200, body = LitePage), (status = "default", body = ErrorView)))]
pub(super) async fn list(
    State(app): State<App>,
    asker: Asker,
    Segments(topic): Segments<String>,
    Params(query): Params<LiteQuery>,
) -> Reply<Json<LitePage>> {
    asker.may_list(&topic, &query.prefix)?;
    let limit = query.limit.unwrap_or(LIST_NAMES_DEFAULT);
    check_limit(limit, LIST_NAMES_MAX)?;
    let page = app.broker.list_lite(&topic, &query.prefix, query.after.as_deref(), limit).await?;
    let last = page.last().map(|info| info.name.as_str().to_owned());
    let next = last.filter(|_| page.len() >= limit);
    Ok(Json(LitePage {
        lite_topics: page.into_iter().map(|info| view(&asker, info)).collect(),
        next,
    }))
}

/// Creates a lite topic ahead of its first message. Creating it again is fine.
#[utoipa::path(post, path = "/api/v1/topics/{topic}/lite", tag = "lite topics",
    params(("topic", description = "the parent topic")), request_body = NewLiteForm,
    responses((status = 201, body = LiteView), (status = "default", body = ErrorView)))]
pub(super) async fn create(
    State(app): State<App>,
    asker: Asker,
    Segments(topic): Segments<String>,
    Form(form): Form<NewLiteForm>,
) -> Reply<(StatusCode, Json<LiteView>)> {
    let name = LiteTopicName::new(&form.name)?;
    asker.may_create_lite(&topic, name.as_str())?;
    let ttl = form.ttl.as_deref().map(checked_ttl).transpose()?;
    let broker = Arc::clone(&app.broker);
    let made = to_the_end(async move { broker.create_lite(&topic, &name, ttl).await }).await?;
    Ok((StatusCode::CREATED, Json(view(&asker, made))))
}

/// Changes how long a lite topic lives; what is absent stays.
#[utoipa::path(patch, path = "/api/v1/topics/{topic}/lite/{name}", tag = "lite topics",
    params(("topic", description = "the parent topic"), ("name", description = "its name")),
    request_body = LiteChangeForm,
    responses((status = 200, body = LiteView), (status = "default", body = ErrorView)))]
pub(super) async fn update(
    State(app): State<App>,
    asker: Asker,
    Segments((topic, name)): Segments<(String, String)>,
    Form(form): Form<LiteChangeForm>,
) -> Reply<Json<LiteView>> {
    let orders = orders(form)?;
    let broker = Arc::clone(&app.broker);
    let change = async move { broker.change_lifetime(&topic, &name, &orders).await };
    Ok(Json(view(&asker, to_the_end(change).await?)))
}

/// Describes a lite topic and where its groups are.
#[utoipa::path(get, path = "/api/v1/topics/{topic}/lite/{name}", tag = "lite topics",
    params(("topic", description = "the parent topic"), ("name", description = "its name")),
    responses((status = 200, body = LiteView), (status = "default", body = ErrorView)))]
pub(super) async fn describe(
    State(app): State<App>,
    asker: Asker,
    Segments((topic, name)): Segments<(String, String)>,
) -> Reply<Json<LiteView>> {
    let info = app.broker.describe_lite(&topic, &name).await?;
    let stored = app.broker.stored_bytes(&topic, &name).await?;
    Ok(Json(LiteView {
        bytes: Some(stored.bytes),
        bytes_counted_to: stored.counted_to,
        ..view(&asker, info)
    }))
}

/// Removes a lite topic with its messages.
#[utoipa::path(delete, path = "/api/v1/topics/{topic}/lite/{name}", tag = "lite topics",
    params(("topic", description = "the parent topic"), ("name", description = "its name")),
    responses((status = 204), (status = "default", body = ErrorView)))]
pub(super) async fn delete(
    State(app): State<App>,
    asker: Asker,
    Segments((topic, name)): Segments<(String, String)>,
) -> Reply<StatusCode> {
    app.broker.delete_lite_by(app.broker.who(&asker.0, None), &topic, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Checks how many items a request wants.
pub(super) fn check_limit(limit: usize, limit_max: usize) -> Reply<()> {
    if (1..=limit_max).contains(&limit) {
        return Ok(());
    }
    Err(Refusal::bad_request(format!("limit is {limit}; give 1 to {limit_max}")))
}

/// What a form asks for; a pin goes and comes before an extension.
fn orders(form: LiteChangeForm) -> Reply<Vec<LifetimeOrder>> {
    let mut orders = Vec::new();
    if let Some(ttl) = form.ttl.as_deref() {
        let own = if ttl.trim() == OF_TOPIC { None } else { Some(checked_ttl(ttl)?) };
        orders.push(LifetimeOrder::Ttl(own));
    }
    orders.extend(form.pinned.map(|pinned| match pinned {
        true => LifetimeOrder::Pin,
        false => LifetimeOrder::Unpin,
    }));
    if let Some(span) = form.extend.as_deref() {
        let span = parse_duration(span)
            .map_err(|problem| Refusal::bad_request(format!("extend: {problem}")))?;
        let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        orders.push(LifetimeOrder::Extend(DurationMs(ms)));
    }
    if orders.is_empty() {
        return Err(Refusal::bad_request("nothing to change; give ttl, extend or pinned"));
    }
    Ok(orders)
}

fn view(asker: &Asker, info: LiteTopicInfo) -> LiteView {
    let groups = info.groups.into_iter();
    let groups = groups.filter(|info| asker.sees_group(info.group.as_str()));
    LiteView {
        name: info.name.as_str().to_owned(),
        first_offset: info.first_offset,
        next_offset: info.next_offset,
        bytes: None,
        bytes_counted_to: None,
        created_at: format_time(info.created_at),
        last_send_at: info.last_send_at.map(format_time),
        last_read_at: info.last_read_at.map(format_time),
        ttl: format_ttl(info.ttl),
        own_ttl: info.own.ttl.is_some(),
        pinned: info.own.keep_until == PINNED,
        extended_until: extended_until(info.own.keep_until),
        expires_at: info.expires_at.map(format_time),
        kept_by: info.protection.map(|protection| match protection {
            Protection::Undelivered => KeptBy::Undelivered,
            Protection::Subscribed => KeptBy::Subscribed,
        }),
        groups: groups.map(group_view).collect(),
    }
}

fn extended_until(keep_until: Timestamp) -> Option<String> {
    let is_given = keep_until > Timestamp(0) && keep_until < PINNED;
    is_given.then(|| format_time(keep_until))
}

fn group_view(info: LiteGroupInfo) -> LiteGroupView {
    let subscribers = info.subscribers.iter().map(ClientId::as_str);
    LiteGroupView {
        group: info.group.as_str().to_owned(),
        committed_offset: info.committed_offset,
        in_flight: info.in_flight,
        ready: info.ready,
        lag: info.ready + info.in_flight,
        oldest_at: info.oldest_at.map(format_time),
        subscribers: subscribers.map(str::to_owned).collect(),
    }
}
