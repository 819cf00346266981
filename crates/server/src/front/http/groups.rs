//! `/api/v1/groups`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use litemq_domain::limits::{CLIENT_QUOTA_DEFAULT, MAX_ATTEMPTS_DEFAULT};
use litemq_domain::{Group, GroupName, SubscriptionMode, TopicName, check_max_attempts};

use super::App;
use super::model::{ErrorView, GroupChangeForm, GroupList, GroupView, NewGroupForm};
use super::reply::{Form, Refusal, Reply, Segments, to_the_end};
use crate::broker::{GroupChange, NewGroup};
use crate::config::ORDERED_DEFAULT;
use crate::config::units::{format_time, quota_from_number, quota_number};

/// Lists all groups by name.
#[utoipa::path(get, path = "/api/v1/groups", tag = "groups",
    responses((status = 200, body = GroupList)))]
pub(super) async fn list(State(app): State<App>) -> Json<GroupList> {
    let groups = app.broker.groups();
    Json(GroupList { groups: groups.iter().map(|group| view(&app, group)).collect() })
}

/// Creates a group. Creating it again with the same settings is fine.
#[utoipa::path(post, path = "/api/v1/groups", tag = "groups", request_body = NewGroupForm,
    responses((status = 201, body = GroupView), (status = "default", body = ErrorView)))]
pub(super) async fn create(
    State(app): State<App>,
    Form(form): Form<NewGroupForm>,
) -> Reply<(StatusCode, Json<GroupView>)> {
    let max_attempts = form.max_attempts.unwrap_or(MAX_ATTEMPTS_DEFAULT);
    check_max_attempts(max_attempts)?;
    let new = NewGroup {
        name: GroupName::new(&form.name)?,
        bind: TopicName::new(&form.bind)?,
        ordered: form.ordered.unwrap_or(ORDERED_DEFAULT),
        mode: SubscriptionMode::Shared,
        client_quota: quota(form.client_quota)?.unwrap_or(Some(CLIENT_QUOTA_DEFAULT)),
        max_attempts,
    };
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
    Segments(name): Segments<String>,
    Form(form): Form<GroupChangeForm>,
) -> Reply<Json<GroupView>> {
    form.max_attempts.map_or(Ok(()), check_max_attempts)?;
    let client_quota = quota(form.client_quota)?;
    let GroupChangeForm { ordered, max_attempts, .. } = form;
    let change = GroupChange { ordered, client_quota, max_attempts };
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

fn quota(number: Option<i64>) -> Reply<Option<Option<u32>>> {
    let quota = number.map(quota_from_number).transpose();
    quota.map_err(|problem| Refusal::bad_request(format!("client_quota: {problem}")))
}

fn view(app: &App, group: &Group) -> GroupView {
    let bind = app.broker.topic_by_id(group.topic);
    GroupView {
        name: group.name.as_str().to_owned(),
        bind: bind.map_or_else(String::new, |topic| topic.name.as_str().to_owned()),
        ordered: group.ordered,
        mode: format!("{:?}", group.mode).to_ascii_uppercase(),
        client_quota: quota_number(group.client_quota),
        max_attempts: group.max_attempts,
        dead_letter_topic: TopicName::dead_letter(&group.name).as_str().to_owned(),
        created_at: format_time(group.created_at),
    }
}
