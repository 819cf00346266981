//! `/api/v1/quotas`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use litemq_domain::{QUOTA_PROFILES, QuotaProfile};

use super::App;
use super::model::{ErrorView, QuotaChangeForm, QuotaProfileList, QuotaProfileView, QuotaView};
use super::reply::{Form, Refusal, Reply, Segments, to_the_end};
use crate::broker::{QuotaChange, QuotaUse};
use crate::config::units::{limit_from_number, limit_number};

/// Tells how much there is, and how much there may be.
#[utoipa::path(get, path = "/api/v1/quotas", tag = "quotas",
    responses((status = 200, body = QuotaView)))]
pub(super) async fn show(State(app): State<App>) -> Json<QuotaView> {
    Json(view(app.broker.quotas()))
}

/// Changes how much there may be; what is absent stays, and nothing is removed.
#[utoipa::path(patch, path = "/api/v1/quotas", tag = "quotas", request_body = QuotaChangeForm,
    responses((status = 200, body = QuotaView), (status = "default", body = ErrorView)))]
pub(super) async fn update(
    State(app): State<App>,
    Form(form): Form<QuotaChangeForm>,
) -> Reply<Json<QuotaView>> {
    let limit = |key: &'static str, number: Option<i64>| {
        let limit = number.map(limit_from_number).transpose();
        limit.map_err(|problem| Refusal::bad_request(format!("{key}: {problem}")))
    };
    set(
        &app,
        QuotaChange {
            lite_topics_max: limit("lite_topics_max", form.lite_topics_max)?,
            subscriptions_max: limit("subscriptions_max", form.subscriptions_max)?,
        },
    )
    .await
}

/// Lists the named sizes.
#[utoipa::path(get, path = "/api/v1/quotas/profiles", tag = "quotas",
    responses((status = 200, body = QuotaProfileList)))]
pub(super) async fn profiles() -> Json<QuotaProfileList> {
    let profiles = QUOTA_PROFILES.into_iter().map(|profile| QuotaProfileView {
        name: profile.name.to_owned(),
        messages_per_second: profile.messages_per_second,
        lite_topics_max: profile.lite_topics,
        subscriptions_max: profile.lite_topics,
    });
    Json(QuotaProfileList { profiles: profiles.collect() })
}

/// Sets the quotas to a named size.
#[utoipa::path(post, path = "/api/v1/quotas/profiles/{profile}", tag = "quotas",
    params(("profile", description = "its name")),
    responses((status = 200, body = QuotaView), (status = "default", body = ErrorView)))]
pub(super) async fn apply(
    State(app): State<App>,
    Segments(name): Segments<String>,
) -> Reply<Json<QuotaView>> {
    let Some(profile) = QuotaProfile::find(&name) else {
        return Err(Refusal::bad_request(format!(
            "there is no quota profile '{}'; list them first",
            name.escape_debug()
        )));
    };
    set(&app, QuotaChange::to(profile.quotas())).await
}

async fn set(app: &App, change: QuotaChange) -> Reply<Json<QuotaView>> {
    let broker = Arc::clone(&app.broker);
    let quotas = to_the_end(async move { broker.set_quotas(change).await }).await?;
    Ok(Json(view(quotas)))
}

fn view(of: QuotaUse) -> QuotaView {
    QuotaView {
        lite_topics: of.lite_topics,
        lite_topics_max: limit_number(of.quotas.lite_topics_max),
        subscriptions: of.subscriptions,
        subscriptions_max: limit_number(of.quotas.subscriptions_max),
    }
}
