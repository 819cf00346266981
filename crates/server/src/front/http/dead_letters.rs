//! `/api/v1/groups/{group}/dead-letters`.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use litemq_domain::TopicName;
use litemq_domain::limits::LIST_NAMES_MAX;

use super::App;
use super::limits::LIST_NAMES_DEFAULT;
use super::lite::check_limit;
use super::messages::{self, BodyPermit};
use super::model::{
    ErrorView, LetterPage, LetterView, LettersPage, LettersView, LiteQuery, PeekQuery, ResendForm,
    ResendView, ResentView,
};
use super::reply::{Form, Params, Reply, Segments};
use super::rights::Asker;
use crate::broker::limits::RESEND_LETTERS_MAX;
use crate::broker::{LettersInfo, ResendReport};
use crate::config::units::format_time;

/// Lists the lite topics of which a group has dead letters, a page at a time.
#[utoipa::path(get, path = "/api/v1/groups/{group}/dead-letters", tag = "dead letters",
    params(("group", description = "the group"), LiteQuery),
    responses((status = 200, body = LettersPage), (status = "default", body = ErrorView)))]
pub(super) async fn list(
    State(app): State<App>,
    Segments(group): Segments<String>,
    Params(query): Params<LiteQuery>,
) -> Reply<Json<LettersPage>> {
    let limit = query.limit.unwrap_or(LIST_NAMES_DEFAULT);
    check_limit(limit, LIST_NAMES_MAX)?;
    let after = query.after.as_deref();
    let page = app.broker.dead_letters(&group, &query.prefix, after, limit).await?;
    let last = page.last().map(|info| info.name.as_str().to_owned());
    let next = last.filter(|_| page.len() >= limit);
    let topic = TopicName::dead_letter(&app.broker.group(&group)?.name).to_string();
    Ok(Json(LettersPage { topic, lite_topics: page.into_iter().map(view).collect(), next }))
}

/// Looks at the dead letters of a lite topic.
#[utoipa::path(get, path = "/api/v1/groups/{group}/dead-letters/{name}", tag = "dead letters",
    params(("group", description = "the group"), ("name", description = "the lite topic"),
        PeekQuery),
    responses((status = 200, body = LetterPage), (status = "default", body = ErrorView)))]
pub(super) async fn show(
    State(app): State<App>,
    Segments((group, name)): Segments<(String, String)>,
    Params(query): Params<PeekQuery>,
    permit: BodyPermit,
) -> Reply<Response> {
    let look = messages::look_of(query)?;
    let (found, resent) = app.broker.look_at_letters(&group, &name, &look).await?;
    let letters = found.messages.into_iter().zip(resent);
    let letters = letters
        .map(|(letter, resent)| LetterView { message: messages::view(letter), resent })
        .collect();
    messages::large_json(&LetterPage { letters, next: found.next }, permit)
}

/// Sends dead letters again to the lite topic they came from. What was sent again before is left out.
#[utoipa::path(post, path = "/api/v1/groups/{group}/dead-letters/{name}/resend",
    tag = "dead letters",
    params(("group", description = "the group"), ("name", description = "the lite topic")),
    request_body = ResendForm,
    responses((status = 200, body = ResendView), (status = "default", body = ErrorView)))]
pub(super) async fn resend(
    State(app): State<App>,
    Segments((group, name)): Segments<(String, String)>,
    asker: Asker,
    _permit: BodyPermit,
    Form(form): Form<ResendForm>,
) -> Reply<Json<ResendView>> {
    let limit = form.limit.unwrap_or(RESEND_LETTERS_MAX);
    check_limit(limit, RESEND_LETTERS_MAX)?;
    let offsets = form.offsets.as_deref();
    let by = app.broker.who(&asker.0, None);
    let report = app.broker.resend_dead_letters(by, &group, &name, offsets, limit).await?;
    let ResendReport { sent, before: resent_before, more } = report;
    let resent = sent.into_iter().map(|(offset, sent_as)| ResentView { offset, sent_as });
    Ok(Json(ResendView { resent: resent.collect(), resent_before, more }))
}

fn view(info: LettersInfo) -> LettersView {
    LettersView {
        lite_topic: info.name.to_string(),
        letters: info.letters,
        resent: info.resent,
        first_offset: info.first_offset,
        last_at: format_time(info.last_at),
    }
}
