//! `/api/v1/topics/{topic}/lite`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use litemq_domain::ClientId;
use litemq_domain::limits::LIST_NAMES_MAX;

use super::App;
use super::limits::LIST_NAMES_DEFAULT;
use super::model::{ErrorView, LiteGroupView, LitePage, LiteQuery, LiteView};
use super::reply::{Params, Refusal, Reply, Segments};
use super::rights::Asker;
use crate::broker::{LiteGroupInfo, LiteTopicInfo};
use crate::config::units::format_time;

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
    Ok(Json(LitePage { lite_topics: page.into_iter().map(view).collect(), next }))
}

/// Describes a lite topic and where its groups are.
#[utoipa::path(get, path = "/api/v1/topics/{topic}/lite/{name}", tag = "lite topics",
    params(("topic", description = "the parent topic"), ("name", description = "its name")),
    responses((status = 200, body = LiteView), (status = "default", body = ErrorView)))]
pub(super) async fn describe(
    State(app): State<App>,
    Segments((topic, name)): Segments<(String, String)>,
) -> Reply<Json<LiteView>> {
    Ok(Json(view(app.broker.describe_lite(&topic, &name).await?)))
}

/// Removes a lite topic with its messages.
#[utoipa::path(delete, path = "/api/v1/topics/{topic}/lite/{name}", tag = "lite topics",
    params(("topic", description = "the parent topic"), ("name", description = "its name")),
    responses((status = 204), (status = "default", body = ErrorView)))]
pub(super) async fn delete(
    State(app): State<App>,
    Segments((topic, name)): Segments<(String, String)>,
) -> Reply<StatusCode> {
    app.broker.delete_lite(&topic, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Checks how many items a request wants.
pub(super) fn check_limit(limit: usize, limit_max: usize) -> Reply<()> {
    if (1..=limit_max).contains(&limit) {
        return Ok(());
    }
    Err(Refusal::bad_request(format!("limit is {limit}; give 1 to {limit_max}")))
}

fn view(info: LiteTopicInfo) -> LiteView {
    LiteView {
        name: info.name.as_str().to_owned(),
        first_offset: info.first_offset,
        next_offset: info.next_offset,
        created_at: format_time(info.created_at),
        last_send_at: format_time(info.last_send_at),
        expires_at: info.expires_at.map(format_time),
        groups: info.groups.into_iter().map(group_view).collect(),
    }
}

fn group_view(info: LiteGroupInfo) -> LiteGroupView {
    let subscribers = info.subscribers.iter().map(ClientId::as_str);
    LiteGroupView {
        group: info.group.as_str().to_owned(),
        committed_offset: info.committed_offset,
        in_flight: info.in_flight,
        ready: info.ready,
        subscribers: subscribers.map(str::to_owned).collect(),
    }
}
