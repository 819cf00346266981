//! Who asks at this door, and what each path needs.
//!
//! Every path that is served has its rule in one table; one without a rule is refused, and a test
//! says so before. While authentication is off nothing is asked for.

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::Method;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use litemq_domain::access::Action::{self, Manage, Publish, Subscribe};
use litemq_domain::access::{Scope, Target};
use litemq_domain::{Error, ErrorCode, SubscriptionMode};

use super::App;
use super::reply::{Refusal, Reply};
use super::server::Remote;
use crate::access::Caller;

/// What a path needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Nothing on loopback; else any user, unless a setting opens it.
    Health,
    /// Nothing on loopback; else the right to manage the cluster, unless a setting opens it.
    Metrics,
    /// Any user.
    User,
    /// Any user, who is shown or may change what he has a right to: the handler asks.
    Asks,
    /// To manage the cluster.
    Cluster,
    /// To manage some part of the topic in the path.
    TopicPart,
    /// To manage the whole topic in the path.
    Topic,
    /// To manage the group in the path.
    Group,
    /// One of these actions on the lite topic in the path.
    Lite(&'static [Action]),
}

/// The table.
fn rule(method: &Method, path: &str) -> Option<Rule> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    Some(match (method.as_str(), path) {
        ("GET", "/healthz" | "/readyz") => Rule::Health,
        ("GET", "/metrics") => Rule::Metrics,
        ("GET", "/" | "/api/v1/openapi.json") => Rule::User,

        ("GET", "/api/v1/topics" | "/api/v1/groups") => Rule::Asks,
        ("POST", "/api/v1/topics" | "/api/v1/groups") => Rule::Asks,
        ("GET", "/api/v1/topics/{topic}") => Rule::TopicPart,
        ("PATCH" | "DELETE", "/api/v1/topics/{topic}") => Rule::Topic,
        ("GET" | "PATCH" | "DELETE", "/api/v1/groups/{group}") => Rule::Group,
        ("POST", "/api/v1/groups/{group}/reset") => Rule::Group,
        ("GET", "/api/v1/groups/{group}/dead-letters") => Rule::Group,
        ("GET", "/api/v1/groups/{group}/dead-letters/{name}") => Rule::Group,
        ("POST", "/api/v1/groups/{group}/dead-letters/{name}/resend") => Rule::Group,
        ("GET", "/api/v1/groups/{group}/clients") => Rule::Group,
        ("GET" | "DELETE", "/api/v1/groups/{group}/clients/{client}") => Rule::Group,
        ("GET", "/api/v1/groups/{group}/stats") => Rule::Group,

        ("GET" | "POST", "/api/v1/topics/{topic}/lite") => Rule::Asks,
        ("GET" | "PATCH" | "DELETE", "/api/v1/topics/{topic}/lite/{name}") => Rule::Lite(&[Manage]),
        ("POST", "/api/v1/topics/{topic}/lite/{name}/messages") => Rule::Lite(&[Publish]),
        ("GET", "/api/v1/topics/{topic}/lite/{name}/messages") => Rule::Lite(&[Subscribe, Manage]),
        ("GET", "/api/v1/topics/{topic}/lite/{name}/trace") => Rule::Lite(&[Subscribe, Manage]),
        ("GET", "/api/v1/topics/{topic}/trace") => Rule::Asks,

        ("GET" | "PATCH", "/api/v1/quotas") => Rule::Cluster,
        ("GET", "/api/v1/quotas/profiles") => Rule::Cluster,
        ("POST", "/api/v1/quotas/profiles/{profile}") => Rule::Cluster,

        ("GET" | "POST", "/api/v1/users") => Rule::Cluster,
        ("GET" | "PATCH" | "DELETE", "/api/v1/users/{user}") => Rule::Cluster,
        ("POST", "/api/v1/users/{user}/secret") => Rule::Cluster,
        ("GET" | "POST", "/api/v1/policies") => Rule::Cluster,
        ("DELETE", "/api/v1/policies/{id}") => Rule::Cluster,
        ("POST", "/api/v1/policies/test") => Rule::Cluster,
        _ => return None,
    })
}

/// Lets a request through when its caller has the right to it.
pub(super) async fn admit(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let caller = match identify(&app, &mut parts).await {
        Ok(caller) => caller,
        Err(refusal) => return refusal.into_response(),
    };
    let mut request = Request::from_parts(parts, body);
    request.extensions_mut().insert(Asker(caller));
    next.run(request).await
}

async fn identify(app: &App, parts: &mut Parts) -> Reply<Caller> {
    let path = parts.extensions.get::<MatchedPath>().cloned();
    let rule = path.as_ref().and_then(|path| rule(&parts.method, path.as_str()));
    let address = match parts.extensions.get::<Remote>() {
        Some(Remote(address)) => address.to_canonical(),
        None => std::net::Ipv4Addr::UNSPECIFIED.into(),
    };
    let access = app.broker.access();
    let is_open = matches!(rule, Some(Rule::Health | Rule::Metrics))
        && (app.hosts.is_loopback() || access.opens_operations());
    if is_open {
        return Ok(Caller::internal());
    }
    let header = parts.headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok());
    let caller = access.basic(header, address)?;
    if caller.is_super() {
        return Ok(caller);
    }
    let names = RawPathParams::from_request_parts(parts, &()).await.ok();
    let name = |wanted: &str| {
        let mut names = names.iter().flatten();
        names.find(|(key, _)| *key == wanted).map_or("", |(_, value)| value)
    };
    match (path, rule) {
        // There is nothing; the answer says so.
        (None, _) => {}
        (Some(_), None) => {
            let message = "only a super user may do this".to_owned();
            return Err(Error::new(ErrorCode::PermissionDenied, message).into());
        }
        (_, Some(Rule::Health | Rule::User | Rule::Asks)) => {}
        (_, Some(Rule::Cluster | Rule::Metrics)) => caller.may(&[Manage], Target::Cluster)?,
        (_, Some(Rule::Group)) => caller.may(&[Manage], Target::Group(name("group")))?,
        (_, Some(Rule::TopicPart)) => {
            caller.may(&[Manage], Target::Topic(name("topic"), Scope::Some))?;
        }
        (_, Some(Rule::Topic)) => {
            caller.may(&[Manage], Target::Topic(name("topic"), Scope::Whole))?;
        }
        (_, Some(Rule::Lite(actions))) => {
            caller.may(actions, Target::Topic(name("topic"), Scope::One(name("name"))))?;
        }
    }
    Ok(caller)
}

/// The caller, for handlers that ask for rights themselves.
#[derive(Debug, Clone)]
pub(super) struct Asker(pub(super) Caller);

impl Asker {
    /// Whether it may manage a topic or some part of it.
    pub(super) fn manages_topic(&self, topic: &str) -> bool {
        self.0.may(&[Manage], Target::Topic(topic, Scope::Some)).is_ok()
    }

    /// Whether it may see that there is a group, and who is in it.
    pub(super) fn sees_group(&self, group: &str) -> bool {
        self.0.may(&[Subscribe, Manage], Target::Group(group)).is_ok()
    }

    /// Whether it may manage a group.
    pub(super) fn manages_group(&self, group: &str) -> bool {
        self.0.may(&[Manage], Target::Group(group)).is_ok()
    }

    /// Checks that it may manage a lite topic that it is about to create.
    pub(super) fn may_create_lite(&self, topic: &str, name: &str) -> Reply<()> {
        Ok(self.0.may(&[Manage], Target::Topic(topic, Scope::One(name)))?)
    }

    /// Checks that it may manage what it is about to create, and whether it may consume what that
    /// consumes.
    pub(super) fn may_create_group(
        &self,
        group: &str,
        topic: &str,
        mode: &SubscriptionMode,
    ) -> Reply<()> {
        self.0.may(&[Manage], Target::Group(group))?;
        self.may_consume(topic, Scope::unnamed(mode))
    }

    /// Checks that it may change what a group consumes, or where it is in that.
    pub(super) fn may_consume(&self, topic: &str, scope: Scope<'_>) -> Reply<()> {
        Ok(self.0.may(&[Subscribe, Manage], Target::Topic(topic, scope))?)
    }

    /// The same for a topic.
    pub(super) fn may_create_topic(&self, topic: &str) -> Reply<()> {
        Ok(self.0.may(&[Manage], Target::Topic(topic, Scope::Whole))?)
    }

    /// Checks that it may see which lite topics with a prefix there are.
    pub(super) fn may_list(&self, topic: &str, prefix: &str) -> Reply<()> {
        Ok(self.0.may(&[Manage, Subscribe], Target::Topic(topic, Scope::All(prefix)))?)
    }

    /// Its name for the log.
    pub(super) fn name(&self) -> &str {
        self.0.user().map_or("anybody", |user| user.as_str())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asker {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| Error::new(ErrorCode::Internal, "nobody asked who calls").into())
    }
}

#[cfg(test)]
mod tests {
    use utoipa::OpenApi as _;

    use super::super::openapi::Document;
    use super::*;

    #[test]
    fn every_call_of_this_door_has_its_rule() {
        let mut checked = 0;
        for (path, item) in Document::openapi().paths.paths {
            let methods = [
                (Method::GET, item.get.is_some()),
                (Method::POST, item.post.is_some()),
                (Method::PUT, item.put.is_some()),
                (Method::PATCH, item.patch.is_some()),
                (Method::DELETE, item.delete.is_some()),
            ];
            for (method, _) in methods.into_iter().filter(|(_, is_served)| *is_served) {
                assert!(rule(&method, &path).is_some(), "give {method} {path} a rule in this file");
                checked += 1;
            }
        }
        assert!(checked > 20, "{checked}");
        assert_eq!(rule(&Method::PUT, "/api/v1/topics"), None);
    }
}
