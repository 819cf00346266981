//! `/api/v1/policies`: what users may and may not do.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use ipnet::IpNet;
use litemq_domain::access::{
    Account, Action, Actions, Asked, Decision, Effect, NamePattern, Policy, PolicyId, Resource,
    Scope, Target, UserKind, decide,
};
use litemq_domain::limits::LIST_NAMES_MAX;
use litemq_domain::{Error, ErrorCode, UserName};

use super::App;
use super::limits::LIST_NAMES_DEFAULT;
use super::lite::check_limit;
use super::model::{
    ActionName, EffectName, ErrorView, NewPolicyForm, PolicyList, PolicyQuery, PolicyTestForm,
    PolicyTestView, PolicyView,
};
use super::reply::{Form, Params, Refusal, Reply, Segments, to_the_end};
use super::rights::Asker;
use crate::broker::NewPolicy;
use crate::config::units::format_time;

/// Lists policies by user and number, a page at a time.
#[utoipa::path(get, path = "/api/v1/policies", tag = "access", params(PolicyQuery),
    responses((status = 200, body = PolicyList), (status = "default", body = ErrorView)))]
pub(super) async fn list(
    State(app): State<App>,
    Params(query): Params<PolicyQuery>,
) -> Reply<Json<PolicyList>> {
    let limit = query.limit.unwrap_or(LIST_NAMES_DEFAULT);
    check_limit(limit, LIST_NAMES_MAX)?;
    let after = query.after.as_deref().map(place).transpose()?;
    let directory = app.broker.access().directory();
    let user = query.user.as_deref().map(|user| directory.existing(user)).transpose()?;
    let accounts = directory.accounts().filter(|account| {
        let name = account.user.name.as_str();
        user.is_none_or(|user| user.user.name == account.user.name)
            && after.is_none_or(|(user, _)| name >= user)
    });
    let all = accounts.flat_map(|account| account.policies.iter().map(move |of| (account, of)));
    let rest = all.filter(|(account, policy)| {
        after.is_none_or(|after| (account.user.name.as_str(), policy.id.0) > after)
    });
    let policies: Vec<_> =
        rest.take(limit).map(|(account, policy)| view(account, policy)).collect();
    let last = policies.last().map(|last| format!("{}/{}", last.user, last.id));
    let next = last.filter(|_| policies.len() >= limit);
    Ok(Json(PolicyList { policies, next }))
}

/// A place in the list: a user and the number of a policy.
fn place(text: &str) -> Reply<(&str, u32)> {
    let parsed = text.split_once('/').and_then(|(user, id)| Some((user, id.parse().ok()?)));
    parsed.ok_or_else(|| Refusal::bad_request("after is no place in the list; give next of a page"))
}

/// Creates a policy; it holds from the next call on.
#[utoipa::path(post, path = "/api/v1/policies", tag = "access", request_body = NewPolicyForm,
    responses((status = 201, body = PolicyView), (status = "default", body = ErrorView)))]
pub(super) async fn create(
    State(app): State<App>,
    asker: Asker,
    Form(form): Form<NewPolicyForm>,
) -> Reply<(StatusCode, Json<PolicyView>)> {
    let actions: Vec<Action> = form.actions.into_iter().map(action).collect();
    let new = NewPolicy {
        user: UserName::new(&form.user)?,
        effect: match form.effect {
            EffectName::Allow => Effect::Allow,
            EffectName::Deny => Effect::Deny,
        },
        actions: Actions::new(&actions)
            .ok_or_else(|| Refusal::bad_request("actions is empty; give one at least"))?,
        resource: form.resource.parse()?,
        source: form.source.as_deref().map(network).transpose()?,
    };
    let broker = Arc::clone(&app.broker);
    let policy = to_the_end(async move { broker.create_policy(new).await }).await?;
    let directory = app.broker.access().directory();
    let view = view(directory.existing(&form.user)?, &policy);
    tracing::info!(by = asker.name(), policy = ?view, "policy created");
    Ok((StatusCode::CREATED, Json(view)))
}

/// Deletes a policy.
#[utoipa::path(delete, path = "/api/v1/policies/{id}", tag = "access",
    params(("id" = u32, Path, description = "its number")),
    responses((status = 204), (status = "default", body = ErrorView)))]
pub(super) async fn delete(
    State(app): State<App>,
    asker: Asker,
    Segments(id): Segments<u32>,
) -> Reply<StatusCode> {
    to_the_end(async move { app.broker.delete_policy(PolicyId(id)).await }).await?;
    tracing::info!(by = asker.name(), policy = id, "policy deleted");
    Ok(StatusCode::NO_CONTENT)
}

/// Says what would be decided about a request, and by which policy.
#[utoipa::path(post, path = "/api/v1/policies/test", tag = "access", request_body = PolicyTestForm,
    responses((status = 200, body = PolicyTestView), (status = "default", body = ErrorView)))]
pub(super) async fn test(
    State(app): State<App>,
    Form(form): Form<PolicyTestForm>,
) -> Reply<Json<PolicyTestView>> {
    let directory = app.broker.access().directory();
    let account = directory.existing(&form.user)?;
    let resource: Resource = form.resource.parse()?;
    let asked = Asked {
        action: action(form.action),
        target: target(&resource)?,
        address: form.address.as_deref().map_or(Ok(IpAddr::from([127, 0, 0, 1])), address)?,
    };
    let explained = |allowed, reason: &str, id: Option<PolicyId>| {
        let policy = id.and_then(|id| directory.policy(id));
        let policy = policy.map(|(account, policy)| view(account, policy));
        PolicyTestView { allowed, reason: reason.to_owned(), policy }
    };
    let user = &account.user;
    Ok(Json(match decide(&account.policies, asked) {
        _ if !user.enabled => explained(false, "the user is disabled", None),
        _ if user.kind == UserKind::Super => {
            explained(true, "a super user may do everything", None)
        }
        Decision::Allowed(id) => explained(true, "a policy allows it and none denies it", Some(id)),
        Decision::Denied(id) => explained(false, "a policy denies it", Some(id)),
        Decision::Unmentioned => explained(false, "no policy allows it", None),
    }))
}

/// What a request about this resource would be about.
fn target(resource: &Resource) -> Reply<Target<'_>> {
    Ok(match resource {
        Resource::Cluster => Target::Cluster,
        Resource::Group(NamePattern::Exact(group)) => Target::Group(group),
        Resource::Topic(NamePattern::Exact(topic)) => Target::Topic(topic, Scope::Whole),
        Resource::Lite { topic: NamePattern::Exact(topic), name } => match name {
            NamePattern::Any => Target::Topic(topic, Scope::All("")),
            NamePattern::Prefix(prefix) => Target::Topic(topic, Scope::All(prefix)),
            NamePattern::Exact(name) => Target::Topic(topic, Scope::One(name)),
        },
        Resource::Any | Resource::Topic(_) | Resource::Group(_) | Resource::Lite { .. } => {
            return Err(Refusal::bad_request(
                "a request is about cluster, one topic:NAME, one group:NAME, or lite:TOPIC/NAME, \
                 where the last name may end in *",
            ));
        }
    })
}

fn network(text: &str) -> Result<IpNet, Error> {
    let parsed = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    parsed.map_err(|_| {
        let text = text.escape_debug();
        let message = format!(
            "'{text}' is no network; write for example 10.0.0.0/8, 2001:db8::/32, 10.1.2.3"
        );
        Error::new(ErrorCode::BadRequest, message)
    })
}

fn address(text: &str) -> Result<IpAddr, Error> {
    text.parse().map_err(|_| {
        let message = format!("'{}' is no IP address", text.escape_debug());
        Error::new(ErrorCode::BadRequest, message)
    })
}

fn action(name: ActionName) -> Action {
    match name {
        ActionName::Publish => Action::Publish,
        ActionName::Subscribe => Action::Subscribe,
        ActionName::Manage => Action::Manage,
    }
}

fn view(account: &Account, policy: &Policy) -> PolicyView {
    let name = |action| match action {
        Action::Publish => ActionName::Publish,
        Action::Subscribe => ActionName::Subscribe,
        Action::Manage => ActionName::Manage,
    };
    PolicyView {
        id: policy.id.0,
        user: account.user.name.as_str().to_owned(),
        effect: match policy.effect {
            Effect::Allow => EffectName::Allow,
            Effect::Deny => EffectName::Deny,
        },
        actions: policy.actions.iter().map(name).collect(),
        resource: policy.resource.to_string(),
        source: policy.source.map(|source| source.to_string()),
        created_at: format_time(policy.created_at),
    }
}
