//! How far groups are: `/api/v1/groups/{group}/stats`, and their clients.

use axum::Json;
use axum::extract::State;
use litemq_domain::limits::LIST_NAMES_MAX;
use litemq_domain::{ClientId, Timestamp};

use super::App;
use super::limits::LIST_NAMES_DEFAULT;
use super::lite::check_limit;
use super::model::{
    ErrorView, GroupClientView, GroupClientsPage, GroupClientsQuery, GroupStatsView,
    ListedClientView, LiteStatsView, StatsOrder, StatsQuery,
};
use super::reply::{Params, Refusal, Reply, Segments};
use crate::broker::limits::LAGGING_TOP_MAX;
use crate::broker::{ListedClient, LiteStats, TopBy};
use crate::config::units::format_time;

/// Lite topics shown when nobody says how many.
const TOP_DEFAULT: usize = 20;

/// Says how far a group is, and in which lite topics it is farthest behind.
#[utoipa::path(get, path = "/api/v1/groups/{group}/stats", tag = "groups",
    params(("group", description = "its name"), StatsQuery),
    responses((status = 200, body = GroupStatsView), (status = "default", body = ErrorView)))]
pub(super) async fn group(
    State(app): State<App>,
    Segments(name): Segments<String>,
    Params(query): Params<StatsQuery>,
) -> Reply<Json<GroupStatsView>> {
    let top = query.top.unwrap_or(TOP_DEFAULT);
    if top > LAGGING_TOP_MAX {
        let problem = format!("top is {top}; give 0 to {LAGGING_TOP_MAX}");
        return Err(Refusal::bad_request(problem));
    }
    let by = match query.by {
        StatsOrder::Lag => TopBy::Lag,
        StatsOrder::Age => TopBy::Age,
    };
    let stats = app.broker.group_stats(&name, by, top).await?;
    let now = app.broker.now();
    let backlog = stats.backlog;
    Ok(Json(GroupStatsView {
        group: stats.group.as_str().to_owned(),
        lag: backlog.lag,
        in_flight: backlog.in_flight,
        ready: backlog.ready(),
        lite_topics: backlog.lite_topics,
        clients: stats.clients,
        oldest_at: backlog.oldest_at.map(format_time),
        oldest_age_ms: backlog.oldest_at.map(|at| now.since(at).0),
        top: stats.top.into_iter().map(|lite| view(now, lite)).collect(),
    }))
}

/// Lists the clients of a group by id, a page at a time: those that are connected, and those that are
/// not and have lite topics until their sessions end.
#[utoipa::path(get, path = "/api/v1/groups/{group}/clients", tag = "groups",
    params(("group", description = "its name"), GroupClientsQuery),
    responses((status = 200, body = GroupClientsPage), (status = "default", body = ErrorView)))]
pub(super) async fn clients(
    State(app): State<App>,
    Segments(group): Segments<String>,
    Params(query): Params<GroupClientsQuery>,
) -> Reply<Json<GroupClientsPage>> {
    let limit = query.limit.unwrap_or(LIST_NAMES_DEFAULT);
    check_limit(limit, LIST_NAMES_MAX)?;
    let after = query.after.as_deref().map(ClientId::new).transpose()?;
    let clients = app.broker.list_group_clients(&group, after.as_ref(), limit)?;
    let last = clients.last().map(|last| last.client.as_str().to_owned());
    let next = last.filter(|_| clients.len() >= limit);
    Ok(Json(GroupClientsPage { clients: clients.into_iter().map(listed).collect(), next }))
}

/// Says what a client has for this group, and nothing of what it has for others.
#[utoipa::path(get, path = "/api/v1/groups/{group}/clients/{client}", tag = "groups",
    params(("group", description = "its name"), ("client", description = "the client's id")),
    responses((status = 200, body = GroupClientView), (status = "default", body = ErrorView)))]
pub(super) async fn client(
    State(app): State<App>,
    Segments((group, client)): Segments<(String, String)>,
) -> Reply<Json<GroupClientView>> {
    let client = ClientId::new(&client)?;
    let found = app.broker.group_client(&group, &client).await?;
    Ok(Json(GroupClientView {
        client: client.as_str().to_owned(),
        group,
        connected: found.connected,
        lite_topics: found.lite_topics,
        names: found.names.iter().map(|name| name.as_str().to_owned()).collect(),
    }))
}

fn listed(found: ListedClient) -> ListedClientView {
    let said = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let profile = found.profile;
    ListedClientView {
        client: found.client.as_str().to_owned(),
        connected: found.connected,
        lite_topics: found.lite_topics,
        language: said(profile.language),
        version: said(&profile.version),
        hostname: said(&profile.hostname),
        address: profile.address.map(|address| address.to_string()),
    }
}

fn view(now: Timestamp, lite: LiteStats) -> LiteStatsView {
    LiteStatsView {
        name: lite.name.as_str().to_owned(),
        lag: lite.lag,
        in_flight: lite.in_flight,
        ready: lite.lag.saturating_sub(lite.in_flight),
        oldest_offset: lite.oldest_offset,
        oldest_at: lite.oldest_at.map(format_time),
        oldest_age_ms: lite.oldest_at.map(|at| now.since(at).0),
    }
}
