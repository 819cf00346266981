//! `/api/v1/users`: whoever may manage the cluster manages users, and only a super user another
//! one.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use litemq_domain::access::{Account, Secret, UserKind};
use litemq_domain::{Error, ErrorCode, UserName};

use super::App;
use super::model::{
    ErrorView, NewSecretForm, NewUserForm, SecretText, UserChangeForm, UserList, UserSecretView,
    UserView,
};
use super::reply::{Form, Reply, Segments, to_the_end};
use super::rights::Asker;
use crate::access::draw_secret;
use crate::broker::{NewUser, UserChange};
use crate::config::units::format_time;

/// Lists all users by name.
#[utoipa::path(get, path = "/api/v1/users", tag = "access",
    responses((status = 200, body = UserList)))]
pub(super) async fn list(State(app): State<App>) -> Json<UserList> {
    let directory = app.broker.access().directory();
    Json(UserList { users: directory.accounts().map(|account| view(account)).collect() })
}

/// Creates a user. The answer has its secret, which is never told again.
#[utoipa::path(post, path = "/api/v1/users", tag = "access", request_body = NewUserForm,
    responses((status = 201, body = UserSecretView), (status = "default", body = ErrorView)))]
pub(super) async fn create(
    State(app): State<App>,
    asker: Asker,
    Form(form): Form<NewUserForm>,
) -> Reply<(StatusCode, Json<UserSecretView>)> {
    let name = UserName::new(&form.name)?;
    if form.is_super {
        check_super(&asker)?;
    }
    let new = NewUser {
        name,
        secret: given_or_drawn(form.secret.as_ref())?,
        kind: kind(form.is_super),
        enabled: form.enabled.unwrap_or(true),
    };
    let broker = Arc::clone(&app.broker);
    let account = to_the_end(async move { broker.create_user(new).await }).await?;
    tracing::info!(by = asker.name(), user = %account.user.name, "user created");
    Ok((StatusCode::CREATED, Json(with_secret(&account))))
}

/// Describes a user.
#[utoipa::path(get, path = "/api/v1/users/{user}", tag = "access",
    params(("user", description = "its name")),
    responses((status = 200, body = UserView), (status = "default", body = ErrorView)))]
pub(super) async fn describe(
    State(app): State<App>,
    Segments(name): Segments<String>,
) -> Reply<Json<UserView>> {
    Ok(Json(view(app.broker.access().directory().existing(&name)?)))
}

/// Changes a user; what is absent stays. The clients of a user that is disabled end at once.
#[utoipa::path(patch, path = "/api/v1/users/{user}", tag = "access",
    params(("user", description = "its name")), request_body = UserChangeForm,
    responses((status = 200, body = UserView), (status = "default", body = ErrorView)))]
pub(super) async fn update(
    State(app): State<App>,
    asker: Asker,
    Segments(name): Segments<String>,
    Form(form): Form<UserChangeForm>,
) -> Reply<Json<UserView>> {
    check_target(&app, &asker, &name)?;
    if form.is_super == Some(true) {
        check_super(&asker)?;
    }
    let (enabled, kind) = (form.enabled, form.is_super.map(kind));
    let change = UserChange { enabled, kind, ..UserChange::default() };
    let broker = Arc::clone(&app.broker);
    let account = to_the_end(async move { broker.update_user(&name, change).await }).await?;
    tracing::info!(by = asker.name(), user = %account.user.name, ?enabled, ?kind, "user changed");
    Ok(Json(view(&account)))
}

/// Gives a user another secret. The answer has it, and it is never told again; what was begun with
/// the old one ends.
#[utoipa::path(post, path = "/api/v1/users/{user}/secret", tag = "access",
    params(("user", description = "its name")), request_body = NewSecretForm,
    responses((status = 200, body = UserSecretView), (status = "default", body = ErrorView)))]
pub(super) async fn rotate(
    State(app): State<App>,
    asker: Asker,
    Segments(name): Segments<String>,
    Form(form): Form<NewSecretForm>,
) -> Reply<Json<UserSecretView>> {
    check_target(&app, &asker, &name)?;
    let secret = Some(given_or_drawn(form.secret.as_ref())?);
    let change = UserChange { secret, ..UserChange::default() };
    let broker = Arc::clone(&app.broker);
    let account = to_the_end(async move { broker.update_user(&name, change).await }).await?;
    tracing::info!(by = asker.name(), user = %account.user.name, "secret of a user changed");
    Ok(Json(with_secret(&account)))
}

/// Deletes a user with its policies.
#[utoipa::path(delete, path = "/api/v1/users/{user}", tag = "access",
    params(("user", description = "its name")),
    responses((status = 204), (status = "default", body = ErrorView)))]
pub(super) async fn delete(
    State(app): State<App>,
    asker: Asker,
    Segments(name): Segments<String>,
) -> Reply<StatusCode> {
    check_target(&app, &asker, &name)?;
    let user = name.clone();
    to_the_end(async move { app.broker.delete_user(&name).await }).await?;
    tracing::info!(by = asker.name(), user, "user deleted");
    Ok(StatusCode::NO_CONTENT)
}

/// Whoever manages users could otherwise become what he manages.
fn check_target(app: &App, asker: &Asker, name: &str) -> Reply<()> {
    match app.broker.access().directory().existing(name)?.user.kind {
        UserKind::Super => check_super(asker),
        UserKind::Normal => Ok(()),
    }
}

fn check_super(asker: &Asker) -> Reply<()> {
    if asker.0.is_super() {
        return Ok(());
    }
    let message = "only a super user may make, change or delete another one";
    Err(Error::new(ErrorCode::PermissionDenied, message).into())
}

fn given_or_drawn(given: Option<&SecretText>) -> litemq_domain::Result<Secret> {
    given.map_or_else(draw_secret, |given| Secret::new(&given.0))
}

fn kind(is_super: bool) -> UserKind {
    if is_super { UserKind::Super } else { UserKind::Normal }
}

fn view(account: &Account) -> UserView {
    let user = &account.user;
    UserView {
        name: user.name.as_str().to_owned(),
        is_super: user.kind == UserKind::Super,
        enabled: user.enabled,
        policies: account.policies.len(),
        created_at: format_time(user.created_at),
    }
}

fn with_secret(account: &Account) -> UserSecretView {
    let secret = SecretText(account.user.secret.expose().to_owned());
    UserSecretView { user: view(account), secret }
}
