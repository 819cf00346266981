//! Who may do what at the HTTP door.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a helper that cannot go on fails its test"
)]

mod http_support;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use litemq_domain::access::UserKind;
use litemq_domain::{ClientId, LiteTopicName};
use litemq_server::access::AccessOptions;
use litemq_server::broker::{Broker, SyncAction};
use serde_json::{Value, json};

use http_support::{Answer, Door, SECRET, add_user, request, request_by};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const NETWORK: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// A door that asks for credentials, with the callers of the table, topic `chat`, group `bots` and
/// lite topic `a-1`.
struct Guarded {
    door: Door,
    broker: Arc<Broker>,
}

impl Guarded {
    async fn open() -> Self {
        let (door, broker) = Door::guarded(LOOPBACK, AccessOptions::default()).await;
        let guarded = Self { door, broker };
        for (user, resources) in [
            ("stranger", &[][..]),
            ("reader", &["subscribe lite:chat/a-*"]),
            ("tenant", &["publish,subscribe,manage lite:chat/a-*"]),
            ("keeper", &["manage topic:chat", "manage group:bots", "manage topic:made"]),
            ("manager", &["manage cluster"]),
        ] {
            add_user(&guarded.broker, user, UserKind::Normal).await;
            for resource in resources {
                guarded.allow(user, resource).await;
            }
        }
        guarded.by("root", Method::POST, "/api/v1/topics", r#"{"name":"chat"}"#).await;
        let group = r#"{"name":"bots","bind":"chat"}"#;
        guarded.by("root", Method::POST, "/api/v1/groups", group).await;
        let messages = "/api/v1/topics/chat/lite/a-1/messages";
        guarded.by("root", Method::POST, messages, r#"{"body":"x"}"#).await;
        guarded
    }

    async fn allow(&self, user: &str, what: &str) -> u64 {
        let (actions, resource) = what.split_once(' ').unwrap();
        let actions: Vec<_> = actions.split(',').collect();
        let policy =
            json!({"user": user, "effect": "allow", "actions": actions, "resource": resource});
        let path = "/api/v1/policies";
        let created = self.by("root", Method::POST, path, &policy.to_string()).await;
        assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
        created.json()["id"].as_u64().unwrap()
    }

    async fn by(&self, user: &str, method: Method, path: &str, json: &str) -> Answer {
        self.with(user, SECRET, method, path, json).await
    }

    async fn with(
        &self,
        user: &str,
        secret: &str,
        method: Method,
        path: &str,
        json: &str,
    ) -> Answer {
        let body = Body::from(json.to_owned());
        self.door.ask(request_by(user, secret, method, path, body)).await
    }
}

const CALLERS: [&str; 6] = ["stranger", "reader", "tenant", "keeper", "manager", "root"];

#[tokio::test]
async fn every_call_asks_every_caller_for_its_rights() {
    let guarded = Guarded::open().await;
    let messages = "/api/v1/topics/chat/lite/a-1/messages";
    let message = r#"{"body":"x"}"#;
    let made = r#"{"name":"made"}"#;
    let bound = r#"{"name":"bots","bind":"chat"}"#;
    let nobody = r#"{"user":"nobody","effect":"allow","actions":["manage"],"resource":"*"}"#;
    let asked = r#"{"user":"nobody","action":"manage","resource":"cluster"}"#;
    // One letter for each caller: `.` is refused, `x` is served.
    let table = [
        ("xxxxxx", Method::GET, "/", ""),
        ("xxxxxx", Method::GET, "/api/v1/openapi.json", ""),
        ("xxxxxx", Method::GET, "/healthz", ""),
        ("xxxxxx", Method::GET, "/api/v1/topics", ""),
        ("xxxxxx", Method::GET, "/api/v1/groups", ""),
        ("...x.x", Method::POST, "/api/v1/topics", made),
        ("..xx.x", Method::GET, "/api/v1/topics/chat", ""),
        ("...x.x", Method::PATCH, "/api/v1/topics/chat", r#"{"ttl":"never"}"#),
        ("...x.x", Method::DELETE, "/api/v1/topics/made", ""),
        ("...x.x", Method::POST, "/api/v1/groups", bound),
        ("...x.x", Method::GET, "/api/v1/groups/bots", ""),
        ("...x.x", Method::PATCH, "/api/v1/groups/bots", r#"{"max_attempts":3}"#),
        ("...x.x", Method::GET, "/api/v1/topics/chat/lite", ""),
        (".xxx.x", Method::GET, "/api/v1/topics/chat/lite?prefix=a-", ""),
        ("..xx.x", Method::POST, "/api/v1/topics/chat/lite", r#"{"name":"a-1"}"#),
        ("...x.x", Method::POST, "/api/v1/topics/chat/lite", r#"{"name":"b-1"}"#),
        ("..xx.x", Method::GET, "/api/v1/topics/chat/lite/a-1", ""),
        ("..xx.x", Method::PATCH, "/api/v1/topics/chat/lite/a-1", "{}"),
        ("...x.x", Method::GET, "/api/v1/topics/chat/lite/b-1", ""),
        ("..x..x", Method::POST, messages, message),
        (".xxx.x", Method::GET, messages, ""),
        (".xxx.x", Method::GET, "/api/v1/topics/chat/lite/a-1/trace?id=x", ""),
        ("...x.x", Method::GET, "/api/v1/topics/chat/lite/b-1/trace?id=x", ""),
        ("...x.x", Method::GET, "/api/v1/topics/chat/trace?id=x", ""),
        ("..xx.x", Method::DELETE, "/api/v1/topics/chat/lite/a-9", ""),
        ("..xx.x", Method::POST, "/api/v1/topics/chat/lite", r#"{"name":"a-2"}"#),
        ("...x.x", Method::POST, "/api/v1/topics/chat/lite", r#"{"name":"b-2"}"#),
        ("..xx.x", Method::PATCH, "/api/v1/topics/chat/lite/a-1", r#"{"pinned":true}"#),
        ("....xx", Method::GET, "/api/v1/quotas", ""),
        ("....xx", Method::PATCH, "/api/v1/quotas", r#"{"lite_topics_max":-1}"#),
        ("....xx", Method::GET, "/api/v1/quotas/profiles", ""),
        ("....xx", Method::POST, "/api/v1/quotas/profiles/no-such", ""),
        (".....x", Method::DELETE, "/api/v1/groups/nobodys", ""),
        ("...x.x", Method::POST, "/api/v1/groups/bots/reset", "{}"),
        ("...x.x", Method::GET, "/api/v1/groups/bots/dead-letters", ""),
        ("...x.x", Method::GET, "/api/v1/groups/bots/dead-letters/a-1", ""),
        ("...x.x", Method::POST, "/api/v1/groups/bots/dead-letters/a-1/resend", "{}"),
        ("...x.x", Method::DELETE, "/api/v1/groups/bots/clients/nobody", ""),
        ("...x.x", Method::GET, "/api/v1/groups/bots/clients", ""),
        ("...x.x", Method::GET, "/api/v1/groups/bots/clients/nobody", ""),
        ("...x.x", Method::GET, "/api/v1/groups/bots/stats", ""),
        ("....xx", Method::GET, "/api/v1/quotas", ""),
        ("....xx", Method::PATCH, "/api/v1/quotas", "{}"),
        ("....xx", Method::GET, "/api/v1/quotas/profiles", ""),
        ("....xx", Method::POST, "/api/v1/quotas/profiles/none", ""),
        ("....xx", Method::GET, "/api/v1/users", ""),
        ("....xx", Method::POST, "/api/v1/users", r#"{"name":"no name"}"#),
        ("....xx", Method::GET, "/api/v1/users/reader", ""),
        ("....xx", Method::PATCH, "/api/v1/users/reader", r#"{"enabled":true}"#),
        ("....xx", Method::DELETE, "/api/v1/users/nobody", ""),
        ("....xx", Method::POST, "/api/v1/users/nobody/secret", "{}"),
        (".....x", Method::PATCH, "/api/v1/users/root", r#"{"enabled":true}"#),
        (".....x", Method::POST, "/api/v1/users/root/secret", r#"{"secret":"x"}"#),
        (
            ".....x",
            Method::POST,
            "/api/v1/users",
            r#"{"name":"no-secret","secret":"x","super":true}"#,
        ),
        ("....xx", Method::GET, "/api/v1/policies", ""),
        ("....xx", Method::POST, "/api/v1/policies", nobody),
        ("....xx", Method::DELETE, "/api/v1/policies/999", ""),
        ("....xx", Method::POST, "/api/v1/policies/test", asked),
        // Served is not found: there is no such path, and nobody needs a right to hear that.
        ("xxxxxx", Method::GET, "/api/v1/nothing", ""),
        (".....x", Method::PUT, "/api/v1/topics", ""),
    ];
    let document = guarded.by("root", Method::GET, "/api/v1/openapi.json", "").await.json();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let is_it = |row: &(&str, Method, &str, &str)| {
                row.1.as_str().eq_ignore_ascii_case(method) && is_of(row.2, path)
            };
            let is_open = ["/readyz", "/metrics"].contains(&path.as_str());
            assert!(is_open || table.iter().any(is_it), "add a row for {method} {path}");
        }
    }
    for (rights, method, path, body) in table {
        let nobody = guarded.door.ask(request(method.clone(), path, Body::empty())).await;
        if path != "/healthz" {
            nobody.is_refused(401, "UNAUTHENTICATED", 40100);
            let wrong = guarded.with("root", "another-secret", method.clone(), path, body).await;
            wrong.is_refused(401, "UNAUTHENTICATED", 40100);
        }
        for (caller, right) in CALLERS.into_iter().zip(rights.chars()) {
            let answer = guarded.by(caller, method.clone(), path, body).await;
            match right {
                '.' => drop(answer.is_refused(403, "PERMISSION_DENIED", 40300)),
                _ => {
                    let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
                    let place = format!("{method} {path} by {caller}: {answer:?}");
                    assert!(!refused.contains(&answer.status), "{place}");
                    assert!(answer.status.as_u16() < 500, "{place}");
                }
            }
        }
    }
}

/// Whether a path is one that a template of the document describes.
fn is_of(path: &str, template: &str) -> bool {
    let path = path.split('?').next().unwrap();
    let (names, parts): (Vec<_>, Vec<_>) =
        (path.split('/').collect(), template.split('/').collect());
    let fits = |(name, part): (&&str, &&str)| part.starts_with('{') || part == name;
    names.len() == parts.len() && names.iter().zip(&parts).all(fits)
}

#[tokio::test]
async fn a_caller_is_shown_what_it_may_manage_and_nothing_else() {
    let guarded = Guarded::open().await;
    guarded.by("root", Method::POST, "/api/v1/topics", r#"{"name":"other"}"#).await;
    let names = |answer: &Answer, of: &str| -> Vec<String> {
        let listed = answer.json()[of].as_array().unwrap().clone();
        listed.iter().map(|view| view["name"].as_str().unwrap().to_owned()).collect()
    };
    for (caller, topics, groups) in [
        ("stranger", &[][..], &[][..]),
        ("reader", &[], &[]),
        ("tenant", &["chat"], &[]),
        ("keeper", &["chat"], &["bots"]),
        ("root", &["%DLQ%bots", "chat", "other"], &["bots"]),
    ] {
        let listed = guarded.by(caller, Method::GET, "/api/v1/topics", "").await;
        assert_eq!(names(&listed, "topics"), topics, "{caller}");
        let listed = guarded.by(caller, Method::GET, "/api/v1/groups", "").await;
        assert_eq!(names(&listed, "groups"), groups, "{caller}");
    }
}

#[tokio::test]
async fn groups_and_their_clients_are_shown_to_who_may_subscribe_for_them_or_manage_them() {
    let guarded = Guarded::open().await;
    let (client, bots) = (ClientId::new("c-1").unwrap(), guarded.broker.group("bots").unwrap());
    let names = vec![LiteTopicName::new("a-1").unwrap()];
    let add = SyncAction::PartialAdd;
    guarded.broker.sync_subscription(&client, &bots, add, names).await.unwrap();
    guarded.allow("reader", "manage lite:chat/a-*").await;
    guarded.allow("reader", "subscribe group:bots").await;
    for (caller, is_shown) in [("tenant", false), ("reader", true), ("keeper", true)] {
        let bound = if is_shown { json!(["bots"]) } else { json!([]) };
        let topic = guarded.by(caller, Method::GET, "/api/v1/topics/chat", "").await.json();
        assert_eq!(topic["groups"], bound, "{caller}");
        let listed = guarded.by(caller, Method::GET, "/api/v1/topics", "").await.json();
        assert_eq!(listed["topics"][0]["groups"], bound, "{caller}");
        let path = "/api/v1/topics/chat/lite/a-1";
        let lite = guarded.by(caller, Method::GET, path, "").await.json();
        let clients = if is_shown { json!(["c-1"]) } else { Value::Null };
        assert_eq!(lite["groups"][0]["subscribers"], clients, "{caller}");
        let path = "/api/v1/topics/chat/lite?prefix=a-";
        let page = guarded.by(caller, Method::GET, path, "").await.json();
        assert_eq!(page["lite_topics"][0]["groups"][0]["subscribers"], clients, "{caller}");
    }
}

#[tokio::test]
async fn a_group_reaches_and_moves_only_where_its_manager_may_subscribe() {
    let guarded = Guarded::open().await;
    for what in ["manage group:bots", "manage group:mine-*"] {
        guarded.allow("tenant", what).await;
    }
    let groups = "/api/v1/groups";
    let wild = r#"{"name":"mine-1","bind":"chat","mode":"WILDCARD"}"#;
    let pattern = r#"{"name":"mine-2","bind":"chat","mode":"WILDCARD","pattern":"a-*"}"#;
    let (refused, created, done) = (StatusCode::FORBIDDEN, StatusCode::CREATED, StatusCode::OK);
    for (method, path, form, expected) in [
        (Method::POST, groups, wild, refused),
        (Method::POST, groups, pattern, created),
        (Method::PATCH, "/api/v1/groups/bots", r#"{"mode":"WILDCARD"}"#, refused),
        (Method::PATCH, "/api/v1/groups/mine-2", r#"{"pattern":"*"}"#, refused),
        (Method::PATCH, "/api/v1/groups/mine-2", r#"{"mode":"WILDCARD","pattern":"b-*"}"#, refused),
        (Method::PATCH, "/api/v1/groups/mine-2", r#"{"mode":"WILDCARD"}"#, done),
        (Method::PATCH, "/api/v1/groups/bots", r#"{"mode":"EXCLUSIVE"}"#, done),
        (Method::POST, "/api/v1/groups/bots/reset", r#"{"to":"oldest"}"#, refused),
        (
            Method::POST,
            "/api/v1/groups/bots/reset",
            r#"{"to":"oldest","lite_topic":"b-1"}"#,
            refused,
        ),
        (Method::POST, "/api/v1/groups/bots/reset", r#"{"to":"oldest","lite_topic":"a-1"}"#, done),
        (Method::POST, "/api/v1/groups/mine-2/reset", r#"{"to":"oldest"}"#, done),
    ] {
        let answer = guarded.by("tenant", method, path, form).await;
        assert_eq!(answer.status, expected, "{path} {form}: {answer:?}");
    }
}

#[tokio::test]
async fn policies_are_listed_a_page_at_a_time() {
    let guarded = Guarded::open().await;
    let whole = guarded.by("root", Method::GET, "/api/v1/policies", "").await.json();
    let mut after = String::new();
    let mut paged = Vec::new();
    loop {
        let path = format!("/api/v1/policies?limit=2{after}");
        let page = guarded.by("root", Method::GET, &path, "").await.json();
        paged.extend(page["policies"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        assert_eq!(page["policies"].as_array().unwrap().len(), 2);
        after = format!("&after={next}");
    }
    assert_eq!(Value::from(paged), whole["policies"]);
    assert_eq!(whole["policies"].as_array().unwrap().len(), 6);
    for bad in ["after=keeper", "after=keeper/x", "limit=0", "limit=1001"] {
        let path = format!("/api/v1/policies?{bad}");
        let answer = guarded.by("root", Method::GET, &path, "").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}: {answer:?}");
    }
}

#[tokio::test]
async fn a_secret_is_told_once_and_a_user_comes_and_goes() {
    let guarded = Guarded::open().await;
    let created = guarded.by("root", Method::POST, "/api/v1/users", r#"{"name":"new"}"#).await;
    assert_eq!(created.status, StatusCode::CREATED);
    let first = created.json()["secret"].as_str().unwrap().to_owned();
    assert_eq!(first.len(), 40);
    let path = "/api/v1/users/new";
    for shown in [path, "/api/v1/users"] {
        let shown = guarded.by("root", Method::GET, shown, "").await;
        assert!(!shown.text.contains(&first) && !shown.text.contains("secret"), "{shown:?}");
    }
    let again = guarded.by("root", Method::POST, "/api/v1/users", r#"{"name":"new"}"#).await;
    again.is_refused(409, "ALREADY_EXISTS", 42800);

    let index = async |secret: &str| guarded.with("new", secret, Method::GET, "/", "").await.status;
    assert_eq!(index(&first).await, StatusCode::OK);
    let given = r#"{"secret":"a-secret-of-mine"}"#;
    let rotated = guarded.by("root", Method::POST, &format!("{path}/secret"), given).await;
    assert_eq!(rotated.json()["secret"], "a-secret-of-mine");
    assert_eq!(index(&first).await, StatusCode::UNAUTHORIZED);
    assert_eq!(index("a-secret-of-mine").await, StatusCode::OK);

    let disabled = guarded.by("root", Method::PATCH, path, r#"{"enabled":false}"#).await;
    assert_eq!(disabled.json()["enabled"], false);
    assert_eq!(index("a-secret-of-mine").await, StatusCode::UNAUTHORIZED);
    let deleted = guarded.by("root", Method::DELETE, path, "").await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    let gone = guarded.by("root", Method::GET, path, "").await;
    gone.is_refused(404, "USER_NOT_FOUND", 40400);
}

#[tokio::test]
async fn bad_users_and_policies_are_refused_with_what_is_allowed() {
    let guarded = Guarded::open().await;
    let policy = |change: fn(&mut Value)| {
        let mut policy = json!({
            "user": "tenant", "effect": "deny", "actions": ["publish"], "resource": "topic:chat"
        });
        change(&mut policy);
        ("/api/v1/policies", policy.to_string())
    };
    for ((path, body), text) in [
        (("/api/v1/users", r#"{"name":"a/b"}"#.to_owned()), "letters"),
        (("/api/v1/users", r#"{"name":"a","secret":"short"}"#.to_owned()), "8 to 64"),
        (policy(|policy| policy["resource"] = json!("lite:chat")), "lite:TOPIC/NAME"),
        (policy(|policy| policy["resource"] = json!("topic:a b")), "allowed are"),
        (policy(|policy| policy["actions"] = json!([])), "at least"),
        (policy(|policy| policy["actions"] = json!(["delete"])), "delete"),
        (policy(|policy| policy["source"] = json!("10.0.0.0/33")), "no network"),
        (policy(|policy| policy["effect"] = json!("maybe")), "maybe"),
    ] {
        let refused = guarded.by("root", Method::POST, path, &body).await;
        let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{refused:?}");
        assert!(message.contains(text), "{message}");
    }
    let unknown = policy(|policy| policy["user"] = json!("nobody"));
    let refused = guarded.by("root", Method::POST, unknown.0, &unknown.1).await;
    refused.is_refused(404, "USER_NOT_FOUND", 40400);
}

#[tokio::test]
async fn the_last_super_user_cannot_lock_everybody_out() {
    let guarded = Guarded::open().await;
    let root = "/api/v1/users/root";
    for (method, body) in [
        (Method::PATCH, r#"{"enabled":false}"#),
        (Method::PATCH, r#"{"super":false}"#),
        (Method::DELETE, ""),
    ] {
        guarded.by("root", method, root, body).await.is_refused(409, "IN_USE", 42800);
    }
    add_user(&guarded.broker, "second", UserKind::Super).await;
    let demoted = guarded.by("second", Method::PATCH, root, r#"{"super":false}"#).await;
    assert_eq!(demoted.json()["super"], false);
}

#[tokio::test]
async fn a_test_names_the_policy_that_decides() {
    let guarded = Guarded::open().await;
    let deny = json!({
        "user": "tenant", "effect": "deny", "actions": ["publish"], "resource": "lite:chat/a-9",
        "source": "10.0.0.0/8"
    });
    guarded.by("root", Method::POST, "/api/v1/policies", &deny.to_string()).await;
    let test = async |user: &str, action: &str, resource: &str, address: &str| {
        let asked =
            json!({"user": user, "action": action, "resource": resource, "address": address});
        let path = "/api/v1/policies/test";
        let answer = guarded.by("root", Method::POST, path, &asked.to_string()).await.json();
        let policy = answer["policy"]["resource"].as_str().unwrap_or("-").to_owned();
        (answer["allowed"].as_bool().unwrap(), policy)
    };
    let allowed = |policy: &str| (true, policy.to_owned());
    let refused = |policy: &str| (false, policy.to_owned());
    let home = "127.0.0.1";
    assert_eq!(test("tenant", "publish", "lite:chat/a-9", home).await, allowed("lite:chat/a-*"));
    let far = test("tenant", "publish", "lite:chat/a-9", "10.1.1.1").await;
    assert_eq!(far, refused("lite:chat/a-9"));
    assert_eq!(test("tenant", "publish", "lite:chat/b-1", home).await, refused("-"));
    assert_eq!(test("tenant", "manage", "topic:chat", home).await, refused("-"));
    assert_eq!(test("tenant", "manage", "lite:chat/a-*", home).await, allowed("lite:chat/a-*"));
    assert_eq!(test("keeper", "manage", "topic:chat", home).await, allowed("topic:chat"));
    assert_eq!(test("root", "manage", "cluster", home).await, allowed("-"));
    let off = r#"{"enabled":false}"#;
    guarded.by("root", Method::PATCH, "/api/v1/users/tenant", off).await;
    assert_eq!(test("tenant", "publish", "lite:chat/a-1", home).await, refused("-"));
}

#[tokio::test]
async fn health_and_metrics_are_for_anybody_on_loopback_and_beyond_it_by_a_setting() {
    let open = AccessOptions { open_operations: true, ..AccessOptions::default() };
    for (bound, access, is_open) in [
        (LOOPBACK, AccessOptions::default(), true),
        (NETWORK, AccessOptions::default(), false),
        (NETWORK, open, true),
    ] {
        let (door, broker) = Door::guarded(bound, access).await;
        add_user(&broker, "stranger", UserKind::Normal).await;
        for path in ["/healthz", "/readyz", "/metrics"] {
            let anybody = door.get(path).await;
            let expected = if is_open { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
            assert_eq!(anybody.status, expected, "{bound} {path}");
            let ask = |user| request_by(user, SECRET, Method::GET, path, Body::empty());
            assert_eq!(door.ask(ask("root")).await.status, StatusCode::OK);
            let stranger = door.ask(ask("stranger")).await;
            let may = is_open || path != "/metrics";
            assert_eq!(stranger.status == StatusCode::OK, may, "{bound} {path}");
        }
    }
}

#[tokio::test]
async fn nobody_is_asked_while_authentication_is_off_and_users_can_be_made_before_it_is_on() {
    let door = Door::open().await;
    let created = door.post("/api/v1/users", r#"{"name":"first","super":true}"#).await;
    assert_eq!(created.status, StatusCode::CREATED);
    let wrong = request_by("first", "another-secret", Method::GET, "/api/v1/users", Body::empty());
    assert_eq!(door.ask(wrong).await.json()["users"][0]["super"], true);
}
