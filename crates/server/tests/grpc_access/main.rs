//! Who may do what at the gRPC door: every call by every kind of caller, over the wire.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a helper that cannot go on fails its test"
)]

mod calls;
#[path = "../grpc_support/mod.rs"]
mod grpc_support;

use std::sync::Arc;

use calls::{ALL, Call};
use grpc_support::*;
use litemq_domain::UserName;
use litemq_domain::access::{Action, Actions, Effect, PolicyId, Secret, UserKind};
use litemq_protocol::v2;
use litemq_server::access::AccessOptions;
use litemq_server::broker::{BrokerOptions, NewPolicy, NewUser, UserChange};
use litemq_server::front::grpc::GrpcOptions;
use litemq_server::observe::Snapshot;
use litemq_storage::MemoryStore;
use tokio::task::JoinHandle;
use tonic::Request;
use v2::{Code, LiteSubscriptionAction};

const SECRET: &str = "secret-of-everybody";

/// A door that asks for credentials.
struct Guarded(Door);

impl Guarded {
    async fn open() -> Self {
        let door = Self::over(Arc::new(MemoryStore::new())).await;
        door.user("super", UserKind::Super).await;
        door
    }

    /// What a crash of this moment leaves behind.
    async fn after_crash(&self) -> Self {
        Self::over(Arc::new(self.0.store.reopen())).await
    }

    async fn over(store: Arc<MemoryStore>) -> Self {
        let access = AccessOptions { enabled: true, ..AccessOptions::default() };
        let options = BrokerOptions { access, ..BrokerOptions::default() };
        Self(Door::open_store(store, options, GrpcOptions::default()).await)
    }

    /// The same with the callers of the table.
    async fn with_everybody() -> Self {
        let door = Self::open().await;
        for name in ["disabled", "stranger", "reader", "other", "owner", "whole"] {
            door.user(name, UserKind::Normal).await;
        }
        door.allow("disabled", "*").await;
        door.policy("reader", Effect::Allow, &[Action::Subscribe], "lite:orders/a-*").await;
        door.allow("other", "lite:orders/b-*").await;
        door.allow("owner", "lite:orders/a-*").await;
        door.allow("whole", "topic:orders").await;
        for name in ["reader", "other", "owner", "whole"] {
            door.allow(name, "group:workers").await;
        }
        let disabled = UserChange { enabled: Some(false), ..UserChange::default() };
        door.0.broker.update_user("disabled", disabled).await.unwrap();
        door
    }

    async fn user(&self, name: &str, kind: UserKind) {
        let new = NewUser {
            name: UserName::new(name).unwrap(),
            secret: Secret::new(SECRET).unwrap(),
            kind,
            enabled: true,
        };
        self.0.broker.create_user(new).await.unwrap();
    }

    async fn allow(&self, user: &str, resource: &str) -> PolicyId {
        self.policy(user, Effect::Allow, &Action::ALL, resource).await
    }

    async fn policy(
        &self,
        user: &str,
        effect: Effect,
        actions: &[Action],
        resource: &str,
    ) -> PolicyId {
        let new = NewPolicy {
            user: UserName::new(user).unwrap(),
            effect,
            actions: Actions::new(actions).unwrap(),
            resource: resource.parse().unwrap(),
            source: None,
        };
        self.0.broker.create_policy(new).await.unwrap().id
    }

    /// A client of a user, with an id of its own.
    async fn client(&self, user: &str) -> Client {
        self.client_with_id(user, &format!("client-of-{user}")).await
    }

    async fn client_with_id(&self, user: &str, id: &str) -> Client {
        self.0.client(id, "JAVA").await.signing(user, SECRET)
    }

    /// A receive that waits.
    async fn parked(&self, client: &Client) -> JoinHandle<Received> {
        let client = client.clone();
        let parked = tokio::spawn(async move { client.receive(UNORDERED, 1, 20).await });
        while self.0.broker.parked_receives() == 0 {
            tokio::task::yield_now().await;
        }
        parked
    }

    async fn subscribers(&self, lite: &str) -> Vec<String> {
        let found = self.0.broker.describe_lite(TOPIC, lite).await.unwrap();
        let groups = found.groups.into_iter().flat_map(|group| group.subscribers);
        groups.map(|client| client.as_str().to_owned()).collect()
    }
}

#[track_caller]
fn told(status: Option<v2::Status>, code: Code) -> String {
    let status = status.unwrap();
    assert_eq!(status.code(), code, "{status:?}");
    status.message
}

/// What the table expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// 40100.
    Unknown,
    /// 40300.
    Refused,
    /// Whatever comes, it is not for who calls.
    Served,
}

/// Nobody, wrong secret, unknown user, disabled, without policies, read only, of another prefix,
/// owner of the prefix, of the whole topic, super.
const CALLERS: [&str; 10] = [
    "nobody", "wrong", "unknown", "disabled", "stranger", "reader", "other", "owner", "whole",
    "super",
];

/// What each of the callers after the first four may expect; those are unknown to every call.
fn expected(call: Call) -> [Expected; 6] {
    use Expected::{Refused as R, Served as S};
    match call {
        Call::TelemetryStream => [S, S, S, S, S, S],
        Call::QueryRoute
        | Call::Heartbeat
        | Call::QueryAssignment
        | Call::ReceiveMessage
        | Call::NotifyClientTermination
        | Call::SyncRemove
        | Call::SyncCompleteRemove
        | Call::ConsumerSettings => [R, S, S, S, S, S],
        Call::SendMessage => [R, R, R, S, S, S],
        Call::ProducerSettings => [R, R, S, S, S, S],
        Call::AckMessage
        | Call::ChangeInvisibleDuration
        | Call::ForwardMessageToDeadLetterQueue
        | Call::SyncAdd
        | Call::SyncCompleteAdd => [R, S, R, S, S, S],
        Call::PullMessage
        | Call::UpdateOffset
        | Call::GetOffset
        | Call::QueryOffset
        | Call::EndTransaction
        | Call::RecallMessage => [R, R, R, R, S, S],

        Call::ChangeLogLevel
        | Call::GetProxyRuntimeStats
        | Call::PrintThreadStackTraceOfAnybody => [R, R, R, R, R, S],
        Call::DescribeTopicStatus => [R, R, S, S, S, S],
        Call::GetTopicRoute
        | Call::ListSubscriptionOfGroup
        | Call::DescribeSubscriptionOfGroup
        | Call::DeleteSubscription
        | Call::DescribeGroupAccumulation
        | Call::ListConsumerConnection
        | Call::PrintThreadStackTrace
        | Call::GetConsumerRunningInfo
        | Call::QueryTimeSpan => [R, S, S, S, S, S],
        Call::QueryMessageOfLiteTopic => [R, S, R, S, S, S],
        Call::AdminSendMessage => [R, R, R, S, S, S],
        Call::ListSubscriptionOfTopic
        | Call::DescribeSubscriptionOfTopic
        | Call::QueryMessageById
        | Call::ResetGroupOffset
        | Call::VerifyMessage => [R, R, R, R, S, S],
    }
}

#[tokio::test]
async fn every_call_asks_every_caller_for_its_rights() {
    let door = Guarded::with_everybody().await;
    for call in ALL.iter().copied() {
        let rights = expected(call);
        let all = [Expected::Unknown; 4].into_iter().chain(rights);
        for (caller, expected) in CALLERS.into_iter().zip(all) {
            let client = door.0.client(&format!("client-of-{caller}"), "JAVA").await;
            let client = match caller {
                "nobody" => client,
                "wrong" => client.signing("owner", "another-secret"),
                _ => client.signing(caller, SECRET),
            };
            let found = match soon(call.by(&client)).await {
                Code::Unauthorized => Expected::Unknown,
                Code::Forbidden => Expected::Refused,
                _ => Expected::Served,
            };
            assert_eq!(found, expected, "{call:?} by {caller}");
        }
    }
    // Nobody who was refused left anything.
    assert_eq!(door.0.broker.sessions().count(), 6, "one for each user who was served something");
}

#[test]
fn the_table_has_every_call_of_the_protocol() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/proto/apache/rocketmq/v2");
    let read = |file| std::fs::read_to_string(format!("{folder}/{file}.proto")).unwrap();
    let services = read("service") + &read("admin");
    let calls = services.lines().filter_map(|line| line.trim().strip_prefix("rpc "));
    let mut checked = 0;
    for call in calls {
        let name = call.split('(').next().unwrap();
        assert!(ALL.iter().any(|known| known.rpc() == name), "{name}");
        checked += 1;
    }
    assert_eq!(checked, 17 + 16);
}

#[tokio::test]
async fn unknown_users_disabled_users_and_wrong_secrets_are_told_the_same() {
    let door = Guarded::with_everybody().await;
    let mut texts = Vec::new();
    for (user, secret) in
        [("owner", "another-secret"), ("nobody-at-all", SECRET), ("disabled", SECRET)]
    {
        let client = door.0.client("c", "GO").await.signing(user, secret);
        let answer = client.send(vec![message("a-1", "x")]).await;
        texts.push(told(answer.status, Code::Unauthorized));
    }
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
    assert!(!texts[0].contains("owner"), "{texts:?}");

    // What Python sends without credentials is none.
    let empty = "MQv2-HMAC-SHA1 Credential=, SignedHeaders=x-mq-date-time, \
                 Signature=fbdb1d1b18aa6c08324b7d64b71fb76370690e1d";
    let client = door.0.client("c", "PYTHON").await.authorized_by(empty);
    told(client.send(vec![message("a-1", "x")]).await.status, Code::Unauthorized);
    assert_eq!(door.0.broker.sessions().count(), 0);
}

#[tokio::test]
async fn every_message_of_a_batch_is_checked_and_a_refused_batch_stores_nothing() {
    let door = Guarded::with_everybody().await;
    let owner = door.client("owner").await;
    for batch in [["a-1", "b-1"], ["b-1", "a-1"], ["a-1", "a"]] {
        let messages = batch.iter().map(|lite| message(lite, "x")).collect();
        let answer = owner.send(messages).await;
        assert!(answer.entries.is_empty());
        let text = told(answer.status, Code::Forbidden);
        assert!(text.starts_with("user 'owner' may not publish to lite topic '"), "{text}");
    }
    assert_eq!(door.0.broker.list_lite(TOPIC, "", None, 10).await.unwrap().len(), 0);
    let allowed = owner.send(vec![message("a-1", "x"), message("a-2", "x")]).await;
    told(allowed.status, Code::Ok);
}

#[tokio::test]
async fn one_name_without_the_right_refuses_the_whole_subscription_and_changes_nothing() {
    let door = Guarded::with_everybody().await;
    let owner = door.client("owner").await;
    owner.send(vec![message("a-1", "x"), message("a-2", "x")]).await;
    owner.subscribe(UNORDERED, &["a-1"]).await;
    for action in [LiteSubscriptionAction::PartialAdd, LiteSubscriptionAction::CompleteAdd] {
        let status = owner.sync(action, UNORDERED, &["a-2", "b-1"]).await;
        assert!(told(Some(status), Code::Forbidden).contains("'b-1'"));
        assert_eq!(door.subscribers("a-1").await, ["client-of-owner"]);
        assert!(door.subscribers("a-2").await.is_empty());
    }
    let left = owner.sync(LiteSubscriptionAction::PartialRemove, UNORDERED, &["a-1", "b-1"]).await;
    told(Some(left), Code::Ok);
    assert!(door.subscribers("a-1").await.is_empty());
}

#[tokio::test]
async fn a_denial_takes_a_lite_topic_out_of_what_is_allowed() {
    let door = Guarded::with_everybody().await;
    door.policy("whole", Effect::Deny, &[Action::Publish], "lite:orders/a-secret").await;
    let whole = door.client("whole").await;
    told(whole.send(vec![message("a-1", "x")]).await.status, Code::Ok);
    told(whole.send(vec![message("a-secret", "x")]).await.status, Code::Forbidden);
    whole.subscribe(UNORDERED, &["a-secret"]).await;
}

#[tokio::test]
async fn a_client_belongs_to_the_user_who_called_first_until_its_session_ends() {
    let door = Guarded::with_everybody().await;
    let owner = door.client_with_id("owner", "the-client").await;
    let other = door.client_with_id("other", "the-client").await;
    owner.send(vec![message("a-1", "x")]).await;
    owner.subscribe(UNORDERED, &["a-1"]).await;

    for call in [Call::QueryRoute, Call::Heartbeat, Call::ReceiveMessage, Call::SyncRemove] {
        assert_eq!(soon(call.by(&other)).await, Code::Forbidden, "{call:?}");
    }
    assert_eq!(soon(Call::NotifyClientTermination.by(&other)).await, Code::Forbidden);
    assert_eq!(door.subscribers("a-1").await, ["the-client"]);

    assert_eq!(soon(Call::NotifyClientTermination.by(&owner)).await, Code::Ok);
    assert!(door.subscribers("a-1").await.is_empty());
    assert_eq!(soon(Call::QueryRoute.by(&other)).await, Code::Ok, "the id is free again");
    assert_eq!(soon(Call::QueryRoute.by(&owner)).await, Code::Forbidden);
}

#[tokio::test]
async fn a_handle_is_good_for_who_may_consume_its_lite_topic_named_or_not() {
    let door = Guarded::with_everybody().await;
    let (owner, other) = (door.client("owner").await, door.client("other").await);
    owner.send(vec![message("a-1", "x")]).await;
    owner.subscribe(UNORDERED, &["a-1"]).await;
    let received = soon(owner.receive(UNORDERED, 1, 5)).await;
    let handle = handle(&received.messages[0]);
    for named in [None, Some("a-1"), Some("b-1")] {
        let answer = other.ack_handle(UNORDERED, handle, named).await;
        let status = answer.status.unwrap();
        let is_refused = matches!(status.code(), Code::Forbidden | Code::InvalidReceiptHandle);
        assert!(is_refused, "{named:?} {status:?}");
    }
    let unnamed = v2::ForwardMessageToDeadLetterQueueRequest {
        topic: Some(resource(TOPIC)),
        group: Some(resource(UNORDERED)),
        receipt_handle: handle.to_owned(),
        ..v2::ForwardMessageToDeadLetterQueueRequest::default()
    };
    let mut grpc = other.grpc.clone();
    let answer = grpc.forward_message_to_dead_letter_queue(other.request(unnamed)).await.unwrap();
    told(answer.into_inner().status, Code::Forbidden);
    told(owner.ack_handle(UNORDERED, handle, None).await.status, Code::Ok);
}

#[tokio::test]
async fn a_subscription_ends_when_its_user_loses_the_right_and_others_get_the_message() {
    let door = Guarded::open().await;
    for name in ["a", "b"] {
        door.user(name, UserKind::Normal).await;
        door.allow(name, "group:workers").await;
    }
    let right = door.allow("a", "lite:orders/a-*").await;
    door.allow("a", "lite:orders/b-*").await;
    door.allow("b", "lite:orders/a-*").await;
    let (a, b, boss) = (door.client("a").await, door.client("b").await, door.client("super").await);
    a.subscribe(UNORDERED, &["a-1", "b-1"]).await;
    let parked = door.parked(&a).await;
    door.0.broker.delete_policy(right).await.unwrap();
    boss.send(vec![message("a-1", "x")]).await;

    let received = soon(parked).await.unwrap();
    assert!(received.messages.is_empty());
    assert!(told(Some(received.status), Code::Forbidden).contains("'a-1'"));
    assert!(door.subscribers("a-1").await.is_empty());
    b.subscribe(UNORDERED, &["a-1"]).await;
    let received = soon(b.receive(UNORDERED, 1, 5)).await;
    assert_eq!((received.bodies(), attempt(&received.messages[0])), (vec![&b"x"[..]], 1));

    boss.send(vec![message("b-1", "y")]).await;
    assert_eq!(soon(a.receive(UNORDERED, 1, 5)).await.bodies(), [b"y"], "what is left goes on");
}

#[tokio::test]
async fn a_receive_that_waits_gives_nothing_once_its_user_has_lost_the_right_to_the_group() {
    let door = Guarded::open().await;
    for name in ["a", "b"] {
        door.user(name, UserKind::Normal).await;
        door.allow(name, "lite:orders/a-*").await;
    }
    let right = door.allow("a", "group:workers").await;
    door.allow("b", "group:workers").await;
    let (a, b, boss) = (door.client("a").await, door.client("b").await, door.client("super").await);
    a.subscribe(UNORDERED, &["a-1", "a-2"]).await;
    let parked = door.parked(&a).await;
    door.0.broker.delete_policy(right).await.unwrap();
    boss.send(vec![message("a-1", "x"), message("a-2", "y")]).await;

    let received = soon(parked).await.unwrap();
    assert!(received.messages.is_empty());
    assert!(told(Some(received.status), Code::Forbidden).contains("'workers'"));
    for lite in ["a-1", "a-2"] {
        assert!(door.subscribers(lite).await.is_empty());
    }
    b.subscribe(UNORDERED, &["a-1"]).await;
    let received = soon(b.receive(UNORDERED, 1, 5)).await;
    assert_eq!((received.bodies(), attempt(&received.messages[0])), (vec![&b"x"[..]], 1));
}

#[tokio::test]
async fn a_client_with_subscriptions_stays_its_users_over_a_restart() {
    let door = Guarded::with_everybody().await;
    let owner = door.client_with_id("owner", "the-client").await;
    owner.send(vec![message("a-1", "x")]).await;
    owner.subscribe(UNORDERED, &["a-1"]).await;
    owner.sync(LiteSubscriptionAction::CompleteAdd, UNORDERED, &["a-1"]).await;

    let door = door.after_crash().await;
    let other = door.client_with_id("other", "the-client").await;
    for call in [
        Call::Heartbeat,
        Call::ReceiveMessage,
        Call::SyncRemove,
        Call::SyncCompleteRemove,
        Call::NotifyClientTermination,
    ] {
        assert_eq!(soon(call.by(&other)).await, Code::Forbidden, "{call:?}");
    }
    assert_eq!(soon(beat(&other)).await, Code::Forbidden);
    let goodbye = other.request(v2::NotifyClientTerminationRequest::default());
    let answer = other.grpc.clone().notify_client_termination(goodbye).await.unwrap();
    told(answer.into_inner().status, Code::Forbidden);

    assert_eq!(door.subscribers("a-1").await, ["the-client"]);
    let owner = door.client_with_id("owner", "the-client").await;
    let received = soon(owner.receive(UNORDERED, 1, 5)).await;
    assert_eq!(received.bodies(), [b"x"]);
}

#[tokio::test]
async fn a_call_that_needs_no_right_does_not_make_a_client_the_callers() {
    let door = Guarded::with_everybody().await;
    let stranger = door.client_with_id("stranger", "the-client").await;
    assert_eq!(soon(beat(&stranger)).await, Code::Ok);
    assert_eq!(soon(Call::TelemetryStream.by(&stranger)).await, Code::Ok);
    told(stranger.send(Vec::new()).await.status, Code::MessageCorrupted);

    let owner = door.client_with_id("owner", "the-client").await;
    assert_eq!(soon(Call::Heartbeat.by(&owner)).await, Code::Ok);
    assert_eq!(soon(beat(&stranger)).await, Code::Forbidden);
}

/// A heartbeat without a group, as producers send.
async fn beat(client: &Client) -> Code {
    let request = client.request(v2::HeartbeatRequest::default());
    client.grpc.clone().heartbeat(request).await.unwrap().into_inner().status.unwrap().code()
}

#[tokio::test]
async fn a_user_that_is_disabled_loses_its_clients_and_what_they_hold_at_once() {
    let door = Guarded::with_everybody().await;
    let (owner, whole) = (door.client("owner").await, door.client("whole").await);
    owner.send(vec![message("a-1", "x")]).await;
    owner.subscribe(UNORDERED, &["a-1"]).await;
    assert_eq!(soon(owner.receive(UNORDERED, 1, 5)).await.bodies(), [b"x"]);
    whole.subscribe(UNORDERED, &["a-1"]).await;

    let disabled = UserChange { enabled: Some(false), ..UserChange::default() };
    door.0.broker.update_user("owner", disabled).await.unwrap();
    assert_eq!(door.subscribers("a-1").await, ["client-of-whole"]);
    let received = soon(whole.receive(UNORDERED, 1, 5)).await;
    assert_eq!(received.bodies(), [b"x"], "the lease has ended");
    told(owner.send(vec![message("a-1", "y")]).await.status, Code::Unauthorized);

    let enabled = UserChange { enabled: Some(true), ..UserChange::default() };
    door.0.broker.update_user("owner", enabled).await.unwrap();
    told(owner.send(vec![message("a-1", "y")]).await.status, Code::Ok);
}

#[tokio::test]
async fn a_new_secret_ends_what_was_begun_with_the_old_one() {
    let door = Guarded::with_everybody().await;
    let owner = door.client("owner").await;
    owner.subscribe(UNORDERED, &["a-1"]).await;
    let parked = tokio::spawn({
        let owner = owner.clone();
        async move { owner.receive(UNORDERED, 1, 2).await }
    });
    while door.0.broker.parked_receives() == 0 {
        tokio::task::yield_now().await;
    }
    let secret = Some(Secret::new("another-secret").unwrap());
    let change = UserChange { secret, ..UserChange::default() };
    door.0.broker.update_user("owner", change).await.unwrap();
    told(owner.send(vec![message("a-1", "x")]).await.status, Code::Unauthorized);
    let renewed = door.0.client("client-of-owner", "JAVA").await.signing("owner", "another-secret");
    told(renewed.send(vec![message("a-1", "x")]).await.status, Code::Ok);
    renewed.subscribe(UNORDERED, &["a-1"]).await;
    let received = soon(parked).await.unwrap();
    assert!(received.messages.is_empty(), "whoever knew the old secret gets nothing");
    told(Some(received.status), Code::MessageNotFound);
    assert_eq!(soon(renewed.receive(UNORDERED, 1, 5)).await.bodies(), [b"x"]);
}

#[tokio::test]
async fn a_policy_of_a_network_is_about_clients_of_that_network() {
    let door = Guarded::open().await;
    door.user("a", UserKind::Normal).await;
    let client = door.client("a").await;
    for (network, code) in [("10.0.0.0/8", Code::Forbidden), ("127.0.0.0/8", Code::Ok)] {
        let new = NewPolicy {
            user: UserName::new("a").unwrap(),
            effect: Effect::Allow,
            actions: Actions::new(&[Action::Publish]).unwrap(),
            resource: "topic:orders".parse().unwrap(),
            source: Some(network.parse().unwrap()),
        };
        door.0.broker.create_policy(new).await.unwrap();
        told(client.send(vec![message("a-1", network)]).await.status, code);
    }
}

#[tokio::test]
async fn a_namespace_is_part_of_the_name_that_a_right_is_for() {
    let door = Guarded::open().await;
    door.user("a", UserKind::Normal).await;
    door.allow("a", "topic:tenant%*").await;
    let client = door.client("a").await;
    let route = |namespace: Option<&'static str>, topic: v2::Resource| {
        let client = client.clone();
        async move {
            let mut request =
                client.request(v2::QueryRouteRequest { topic: Some(topic), endpoints: None });
            if let Some(namespace) = namespace {
                request.metadata_mut().insert("x-mq-namespace", namespace.parse().unwrap());
            }
            let answer = client.grpc.clone().query_route(request).await.unwrap();
            answer.into_inner().status.unwrap().code()
        }
    };
    let of_tenant =
        v2::Resource { resource_namespace: "tenant".to_owned(), name: "orders".to_owned() };
    assert_eq!(route(None, resource("orders")).await, Code::Forbidden);
    assert_eq!(route(Some("tenant"), resource("orders")).await, Code::TopicNotFound);
    assert_eq!(route(Some("other"), of_tenant.clone()).await, Code::TopicNotFound);
    assert_eq!(route(None, resource("tenant%orders")).await, Code::TopicNotFound);
    let foreign = v2::Resource { resource_namespace: "other".to_owned(), ..of_tenant };
    assert_eq!(route(Some("tenant"), foreign).await, Code::Forbidden);
}

#[tokio::test]
async fn a_heartbeat_that_says_nothing_is_ok_from_anybody() {
    let door = Guarded::open().await;
    let mut grpc = door.client("super").await.grpc;
    let answer = grpc.heartbeat(Request::new(v2::HeartbeatRequest::default())).await.unwrap();
    told(answer.into_inner().status, Code::Ok);
    assert_eq!(door.0.broker.sessions().count(), 0);
}

#[tokio::test]
async fn no_header_is_looked_at_while_authentication_is_off() {
    let door = Door::open().await;
    for header in ["", "MQv2-HMAC-SHA1 Credential=, SignedHeaders=, Signature=", "Basic eA=="] {
        let client = door.client("c", "PYTHON").await.authorized_by(header);
        told(client.send(vec![message("a-1", "x")]).await.status, Code::Ok);
    }
    // Two users could not share a client id; two who are nobody do.
    let signing = door.client("c", "PYTHON").await.signing("anybody", SECRET);
    told(signing.send(vec![message("a-1", "x")]).await.status, Code::Ok);
}

#[tokio::test]
async fn refusals_are_counted_by_their_code() {
    let door = Guarded::with_everybody().await;
    let stranger = door.client("stranger").await;
    let nobody = door.0.client("c", "GO").await;
    stranger.send(vec![message("a-1", "x")]).await;
    soon(stranger.receive(UNORDERED, 1, 1)).await;
    nobody.send(vec![message("a-1", "x")]).await;
    let metrics = door.0.broker.metrics().render(&Snapshot::default()).unwrap();
    for line in ["{code=\"PERMISSION_DENIED\"} 2", "{code=\"UNAUTHENTICATED\"} 1"] {
        assert!(metrics.contains(&format!("litemq_errors_total{line}\n")), "{metrics}");
    }
}
