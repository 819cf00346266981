//! `/api/v1/topics`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use litemq_domain::{DurationMs, Topic, TopicName, TopicOptions, TopicType, check_ttl};

use super::App;
use super::model::{ErrorView, NewTopicForm, TopicChangeForm, TopicKind, TopicList, TopicView};
use super::reply::{Form, Refusal, Reply, Segments, to_the_end};
use super::rights::Asker;
use crate::broker::{NewTopic, TopicChange};
use crate::config::units::{
    format_time, format_ttl, limit_from_number, limit_number, parse_ttl, rate_from_number,
    rate_number,
};

/// Lists the topics that the caller may manage, by name.
#[utoipa::path(get, path = "/api/v1/topics", tag = "topics",
    responses((status = 200, body = TopicList)))]
pub(super) async fn list(State(app): State<App>, asker: Asker) -> Json<TopicList> {
    let topics = app.broker.topics();
    let topics = topics.iter().filter(|topic| asker.manages_topic(topic.name.as_str()));
    Json(TopicList { topics: topics.map(|topic| view(&app, &asker, topic)).collect() })
}

/// Creates a topic. Creating it again with the same settings is fine.
#[utoipa::path(post, path = "/api/v1/topics", tag = "topics", request_body = NewTopicForm,
    responses((status = 201, body = TopicView), (status = "default", body = ErrorView)))]
pub(super) async fn create(
    State(app): State<App>,
    asker: Asker,
    Form(form): Form<NewTopicForm>,
) -> Reply<(StatusCode, Json<TopicView>)> {
    if form.kind != TopicKind::Lite {
        return Err(Refusal::bad_request("dead letter topics are made by the server; give LITE"));
    }
    let name = TopicName::new(&form.name)?;
    asker.may_create_topic(name.as_str())?;
    let change = change(TopicChangeForm {
        ttl: form.ttl,
        counts_reads: form.counts_reads,
        keep_undelivered: form.keep_undelivered,
        keep_subscribed: form.keep_subscribed,
        lite_topic_quota: form.lite_topic_quota,
        send_rate: form.send_rate,
    })?;
    let broker = Arc::clone(&app.broker);
    let new = NewTopic { name, options: change.of(TopicOptions::default()) };
    let topic = to_the_end(async move { broker.create_topic(new).await }).await?;
    Ok((StatusCode::CREATED, Json(view(&app, &asker, &topic))))
}

/// Describes a topic.
#[utoipa::path(get, path = "/api/v1/topics/{topic}", tag = "topics",
    params(("topic", description = "its name")),
    responses((status = 200, body = TopicView), (status = "default", body = ErrorView)))]
pub(super) async fn describe(
    State(app): State<App>,
    asker: Asker,
    Segments(name): Segments<String>,
) -> Reply<Json<TopicView>> {
    let topic = app.broker.topic(&name)?;
    Ok(Json(view(&app, &asker, &topic)))
}

/// Changes a topic; what is absent stays.
#[utoipa::path(patch, path = "/api/v1/topics/{topic}", tag = "topics",
    params(("topic", description = "its name")), request_body = TopicChangeForm,
    responses((status = 200, body = TopicView), (status = "default", body = ErrorView)))]
pub(super) async fn update(
    State(app): State<App>,
    asker: Asker,
    Segments(name): Segments<String>,
    Form(form): Form<TopicChangeForm>,
) -> Reply<Json<TopicView>> {
    let change = change(form)?;
    let broker = Arc::clone(&app.broker);
    let topic = to_the_end(async move { broker.update_topic(&name, change).await }).await?;
    Ok(Json(view(&app, &asker, &topic)))
}

/// Deletes a topic with all its lite topics. Refused while a group is bound to it.
#[utoipa::path(delete, path = "/api/v1/topics/{topic}", tag = "topics",
    params(("topic", description = "its name")),
    responses((status = 204), (status = "default", body = ErrorView)))]
pub(super) async fn delete(
    State(app): State<App>,
    Segments(name): Segments<String>,
) -> Reply<StatusCode> {
    to_the_end(async move { app.broker.delete_topic(&name).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn change(form: TopicChangeForm) -> Reply<TopicChange> {
    let problem = |key: &'static str| {
        move |problem: String| Refusal::bad_request(format!("{key}: {problem}"))
    };
    let quota = form.lite_topic_quota.map(limit_from_number).transpose();
    let rate = form.send_rate.map(rate_from_number).transpose();
    Ok(TopicChange {
        ttl: form.ttl.as_deref().map(checked_ttl).transpose()?,
        counts_reads: form.counts_reads,
        keep_undelivered: form.keep_undelivered,
        keep_subscribed: form.keep_subscribed,
        lite_topic_quota: quota.map_err(problem("lite_topic_quota"))?,
        send_rate: rate.map_err(problem("send_rate"))?,
    })
}

/// A time to live as people write it, within what there is.
pub(super) fn checked_ttl(text: &str) -> Reply<Option<DurationMs>> {
    let ttl = parse_ttl(text).map_err(|problem| Refusal::bad_request(format!("ttl: {problem}")))?;
    check_ttl(ttl)?;
    Ok(ttl)
}

fn view(app: &App, asker: &Asker, topic: &Topic) -> TopicView {
    let groups = app.broker.groups();
    let bound = groups.iter().filter(|group| group.topic == topic.id);
    let bound = bound.filter(|group| asker.sees_group(group.name.as_str()));
    let options = topic.options;
    TopicView {
        name: topic.name.as_str().to_owned(),
        kind: match topic.topic_type {
            TopicType::Lite => TopicKind::Lite,
            TopicType::DeadLetter => TopicKind::DeadLetter,
        },
        ttl: format_ttl(options.ttl),
        ttl_ms: options.ttl.map(|ttl| ttl.0),
        counts_reads: options.counts_reads,
        keep_undelivered: options.keep_undelivered,
        keep_subscribed: options.keep_subscribed,
        lite_topics: app.broker.lite_count(topic),
        lite_topic_quota: limit_number(options.lite_topic_quota),
        send_rate: rate_number(options.send_rate),
        groups: bound.map(|group| group.name.as_str().to_owned()).collect(),
        created_at: format_time(topic.created_at),
    }
}
