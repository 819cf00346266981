//! `/api/v1/groups`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use litemq_domain::access::Scope;
use litemq_domain::{ClientId, Group, GroupName, GroupOptions, SubscriptionMode, TopicName};

use super::App;
use super::model::{
    ClientQuery, ErrorView, GroupChangeForm, GroupList, GroupView, NewGroupForm, ResetForm,
    ResetView, UnsubscribedView,
};
use super::reply::{Form, Params, Refusal, Reply, Segments, to_the_end};
use super::rights::Asker;
use crate::broker::{GroupChange, NewGroup, Start};
use crate::config::units::{
    format_backoff, format_mode, format_time, parse_backoff, parse_mode, parse_mode_change,
    parse_time, quota_from_number, quota_number, rate_from_number, rate_number,
};

/// Lists the groups that the caller may manage, by name.
#[utoipa::path(get, path = "/api/v1/groups", tag = "groups",
    responses((status = 200, body = GroupList)))]
pub(super) async fn list(State(app): State<App>, asker: Asker) -> Json<GroupList> {
    let groups = app.broker.groups();
    let groups = groups.iter().filter(|group| asker.manages_group(group.name.as_str()));
    Json(GroupList { groups: groups.map(|group| view(&app, group)).collect() })
}

/// Creates a group. Creating it again with the same settings is fine.
#[utoipa::path(post, path = "/api/v1/groups", tag = "groups", request_body = NewGroupForm,
    responses((status = 201, body = GroupView), (status = "default", body = ErrorView)))]
pub(super) async fn create(
    State(app): State<App>,
    asker: Asker,
    Form(form): Form<NewGroupForm>,
) -> Reply<(StatusCode, Json<GroupView>)> {
    let new = NewGroup {
        name: GroupName::new(&form.name)?,
        bind: TopicName::to_consume(&form.bind)?,
        options: change(&form.options, parse_mode)?.of(&GroupOptions::default()),
    };
    asker.may_create_group(new.name.as_str(), new.bind.as_str(), &new.options.mode)?;
    let broker = Arc::clone(&app.broker);
    let group = to_the_end(async move { broker.create_group(new).await }).await?;
    Ok((StatusCode::CREATED, Json(view(&app, &group))))
}

/// Describes a group.
#[utoipa::path(get, path = "/api/v1/groups/{group}", tag = "groups",
    params(("group", description = "its name")),
    responses((status = 200, body = GroupView), (status = "default", body = ErrorView)))]
pub(super) async fn describe(
    State(app): State<App>,
    Segments(name): Segments<String>,
) -> Reply<Json<GroupView>> {
    let group = app.broker.group(&name)?;
    Ok(Json(view(&app, &group)))
}

/// Changes a group; what is absent stays.
#[utoipa::path(patch, path = "/api/v1/groups/{group}", tag = "groups",
    params(("group", description = "its name")), request_body = GroupChangeForm,
    responses((status = 200, body = GroupView), (status = "default", body = ErrorView)))]
pub(super) async fn update(
    State(app): State<App>,
    asker: Asker,
    Segments(name): Segments<String>,
    Form(form): Form<GroupChangeForm>,
) -> Reply<Json<GroupView>> {
    let present = app.broker.group(&name)?;
    let mode_of = |mode: Option<&str>, pattern: Option<&str>| {
        parse_mode_change(&present.options.mode, mode, pattern)
    };
    let change = change(&form, mode_of)?;
    if let Some(mode) = &change.mode {
        asker.may_consume(&bind(&app, &present), Scope::unnamed(mode))?;
    }
    let broker = Arc::clone(&app.broker);
    let group = to_the_end(async move { broker.update_group(&name, change).await }).await?;
    Ok(Json(view(&app, &group)))
}

/// Deletes a group with its positions.
#[utoipa::path(delete, path = "/api/v1/groups/{group}", tag = "groups",
    params(("group", description = "its name")),
    responses((status = 204), (status = "default", body = ErrorView)))]
pub(super) async fn delete(
    State(app): State<App>,
    Segments(name): Segments<String>,
) -> Reply<StatusCode> {
    to_the_end(async move { app.broker.delete_group(&name).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Moves a group to another place of a lite topic, or of all that it consumes. What is in flight there
/// is as if it had never been handed out.
#[utoipa::path(post, path = "/api/v1/groups/{group}/reset", tag = "groups",
    params(("group", description = "its name")), request_body = ResetForm,
    responses((status = 200, body = ResetView), (status = "default", body = ErrorView)))]
pub(super) async fn reset(
    State(app): State<App>,
    asker: Asker,
    Segments(name): Segments<String>,
    Form(form): Form<ResetForm>,
) -> Reply<Json<ResetView>> {
    let start = start(&form)?;
    let group = app.broker.group(&name)?;
    let lite_topic = form.lite_topic.as_deref();
    let scope = lite_topic.map_or_else(|| Scope::reach(&group.options.mode), Scope::One);
    asker.may_consume(&bind(&app, &group), scope)?;
    let moved = app.broker.reset_group(&name, lite_topic, start).await?;
    Ok(Json(ResetView { moved }))
}

/// Takes a lite topic, or all, from a client of a group, and tells the client. It may subscribe again.
/// Refused for a wildcard group, whose clients share all lite topics.
#[utoipa::path(delete, path = "/api/v1/groups/{group}/clients/{client}", tag = "groups",
    params(("group", description = "its name"), ("client", description = "the client's id"),
        ClientQuery),
    responses((status = 200, body = UnsubscribedView), (status = "default", body = ErrorView)))]
pub(super) async fn unsubscribe(
    State(app): State<App>,
    Segments((name, client)): Segments<(String, String)>,
    Params(query): Params<ClientQuery>,
) -> Reply<Json<UnsubscribedView>> {
    let client = ClientId::new(&client)?;
    let removed = app.broker.expel(&client, &name, query.lite_topic.as_deref()).await?;
    Ok(Json(UnsubscribedView { removed }))
}

fn start(form: &ResetForm) -> Reply<Start> {
    let to = form.to.as_deref().map(|to| match to {
        "oldest" => Ok(Start::Oldest),
        "newest" => Ok(Start::Newest),
        _ => Err(format!("to: '{}' is no place; give oldest or newest", to.escape_debug())),
    });
    let time = form.time.as_deref().map(|time| {
        parse_time(time).map(Start::Time).map_err(|problem| format!("time: {problem}"))
    });
    let offset = form.offset.map(|offset| Ok(Start::Offset(offset)));
    let tail = form.tail.map(|count| Ok(Start::Tail(count)));
    let given: Vec<_> = [to, offset, tail, time].into_iter().flatten().collect();
    match <[_; 1]>::try_from(given) {
        Ok([start]) => start.map_err(Refusal::bad_request),
        Err(_) => Err(Refusal::bad_request("give one of to, offset, tail and time")),
    }
}

fn change(
    form: &GroupChangeForm,
    mode_of: impl Fn(Option<&str>, Option<&str>) -> Result<Option<SubscriptionMode>, String>,
) -> Reply<GroupChange> {
    let refused = |field: &'static str| {
        move |problem: String| Refusal::bad_request(format!("{field}: {problem}"))
    };
    let quota = form.client_quota.map(quota_from_number).transpose();
    let rate = form.consume_rate.map(rate_from_number).transpose();
    Ok(GroupChange {
        ordered: form.ordered,
        mode: mode_of(form.mode.as_deref(), form.pattern.as_deref()).map_err(refused("mode"))?,
        client_quota: quota.map_err(refused("client_quota"))?,
        max_attempts: form.max_attempts,
        consume_rate: rate.map_err(refused("consume_rate"))?,
        reset_on_takeover: form.reset_on_takeover,
        reset_on_unsubscribe: form.reset_on_unsubscribe,
        simple_suspend: form.simple_suspend,
        backoff: form
            .backoff
            .as_deref()
            .map(parse_backoff)
            .transpose()
            .map_err(refused("backoff"))?,
    })
}

fn view(app: &App, group: &Group) -> GroupView {
    let options = &group.options;
    let (mode, pattern) = format_mode(&options.mode);
    GroupView {
        name: group.name.as_str().to_owned(),
        bind: bind(app, group),
        ordered: options.ordered,
        mode: mode.to_ascii_uppercase(),
        pattern,
        client_quota: quota_number(options.client_quota),
        max_attempts: options.max_attempts,
        consume_rate: rate_number(options.consume_rate),
        reset_on_takeover: options.reset_on_takeover,
        reset_on_unsubscribe: options.reset_on_unsubscribe,
        simple_suspend: options.simple_suspend,
        backoff: format_backoff(&options.backoff),
        dead_letter_topic: TopicName::dead_letter(&group.name).as_str().to_owned(),
        created_at: format_time(group.created_at),
    }
}

/// The name of the topic that a group consumes.
fn bind(app: &App, group: &Group) -> String {
    let topic = app.broker.topic_by_id(group.topic);
    topic.map_or_else(String::new, |topic| topic.name.as_str().to_owned())
}
