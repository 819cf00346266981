//! The protocol's Admin service over the wire.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a helper that cannot go on fails its test"
)]

mod asking;
mod connections;
#[path = "../grpc_support/mod.rs"]
mod grpc_support;
mod query;
mod trust;

use std::net::SocketAddr;

use grpc_support::*;
use litemq_protocol::v2;
use v2::Code;
use v2::describe_group_accumulation_response::GroupAccumulation;

/// Calls the Admin service and gives the reply.
macro_rules! admin {
    ($client:expr, $call:ident, $request:expr) => {{
        let request = $client.request($request);
        soon($client.admin.clone().$call(request)).await.unwrap().into_inner()
    }};
}
pub(crate) use admin;

#[track_caller]
fn told(status: Option<v2::Status>, code: Code) -> String {
    let status = status.unwrap();
    assert_eq!(status.code(), code, "{status:?}");
    status.message
}

async fn administrator(door: &Door) -> Client {
    door.client("administrator", "").await
}

fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

#[tokio::test]
async fn a_topic_tells_its_type_its_age_and_how_many_lite_topics_it_has() {
    let door = Door::open().await;
    let admin = administrator(&door).await;
    admin.send(vec![message("a", "x"), message("b", "x")]).await;
    let request =
        v2::DescribeTopicStatusRequest { topic: Some(resource(TOPIC)), ..Default::default() };
    let told_of = admin!(admin, describe_topic_status, request);
    told(told_of.status.clone(), Code::Ok);
    assert_eq!(told_of.topic_message_type(), v2::MessageType::Lite);
    assert_eq!(told_of.tags["lite_topics"], "2");
    assert!(told_of.create_timestamp.unwrap().seconds > 1_600_000_000);
    assert!(told_of.description.unwrap().contains("2 lite topics"));
}

#[tokio::test]
async fn the_route_is_what_old_clients_of_a_name_server_read() {
    let door = Door::open().await;
    let admin = administrator(&door).await;
    let request = v2::GetTopicRouteRequest { topic: Some(resource(TOPIC)), ..Default::default() };
    let route = admin!(admin, get_topic_route, request);
    let data: serde_json::Value = serde_json::from_str(&route.topic_route_data).unwrap();
    let address = data["brokerDatas"][0]["brokerAddrs"]["0"].as_str().unwrap();
    assert_eq!(address.parse::<SocketAddr>().unwrap(), door.address);
    assert_eq!(data["queueDatas"][0]["perm"], 6);
}

#[tokio::test]
async fn an_administrators_message_keeps_the_rules_of_all_messages_and_gets_an_id() {
    let door = Door::open().await;
    let admin = administrator(&door).await;
    let sent = |lite: &str, body: &'static str| v2::AdminSendMessageRequest {
        topic: Some(resource(TOPIC)),
        tag: Some("tag".to_owned()),
        key: Some("key".to_owned()),
        body: body.into(),
        system_properties: Some(v2::SystemProperties {
            lite_topic: Some(lite.to_owned()),
            ..Default::default()
        }),
        ..Default::default()
    };
    let answer = admin!(admin, admin_send_message, sent("a", "hello"));
    told(answer.status, Code::Ok);
    let found = door.broker.peek(TOPIC, "a", None, 10).await.unwrap();
    assert_eq!(found.len(), 1);
    let stored = &found[0].message;
    assert_eq!(
        (stored.message_id.as_str(), stored.body.as_ref()),
        (answer.message_id.as_str(), &b"hello"[..])
    );
    assert_eq!(
        (stored.tag.as_deref(), stored.keys.as_slice()),
        (Some("tag"), &["key".to_owned()][..])
    );

    for (lite, body, code) in [
        ("a", "", Code::MessageBodyEmpty),
        ("a b", "x", Code::IllegalLiteTopic),
        ("", "x", Code::MessagePropertyConflictWithType),
    ] {
        let answer = admin!(admin, admin_send_message, sent(lite, body));
        told(answer.status, code);
        assert!(answer.message_id.is_empty());
    }
    assert_eq!(door.broker.list_lite(TOPIC, "", None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_group_is_behind_by_what_is_in_flight_and_what_is_ready() {
    let door = Door::open().await;
    let (admin, client) = (administrator(&door).await, door.client("c", "JAVA").await);
    client.subscribe(UNORDERED, &["a", "b"]).await;
    for (lite, body) in [("a", "1"), ("a", "2"), ("a", "3"), ("b", "1")] {
        client.send(vec![message(lite, body)]).await;
    }
    let received = soon(client.receive(UNORDERED, 1, 5)).await;
    let from = lite_topic(&received.messages[0]).to_owned();

    let request = |lite: Option<&str>| v2::DescribeGroupAccumulationRequest {
        group: Some(resource(UNORDERED)),
        topics: vec![resource(TOPIC)],
        lite_topic: lite.map(str::to_owned),
        ..Default::default()
    };
    let all = admin!(admin, describe_group_accumulation, request(None));
    told(all.status.clone(), Code::Ok);
    let whole = all.accumulation.unwrap();
    assert_eq!((whole.inflight_messages, whole.ready_messages, whole.accumulation), (1, 3, 4));
    assert_eq!(all.topic_accumulation[TOPIC], whole);
    let waits = |of: &GroupAccumulation| of.ready_messages > 0;
    for of in all.lite_topic_accumulation.values().chain([&whole]) {
        assert_eq!(of.deliver_delay_time.is_some(), waits(of), "{of:?}");
    }
    assert_eq!(all.lite_topic_accumulation["a"].accumulation, 3);
    assert_eq!(all.lite_topic_accumulation[&from].inflight_messages, 1);

    let one = admin!(admin, describe_group_accumulation, request(Some("a")));
    let behind = &one.lite_topic_accumulation["a"];
    assert_eq!((one.lite_topic_accumulation.len(), behind.accumulation), (1, 3));
    assert!(behind.deliver_delay_time.is_some(), "the oldest ready message has an age");

    let none = admin!(admin, describe_group_accumulation, request(Some("nothing")));
    assert!(told(none.status, Code::NotFound).contains("'nothing'"));
}

#[tokio::test]
async fn a_group_is_moved_to_a_moment_and_reads_again_from_there() {
    let door = Door::open().await;
    let (admin, client) = (administrator(&door).await, door.client("c", "JAVA").await);
    client.subscribe(UNORDERED, &["a"]).await;
    client.send(vec![message("a", "1")]).await;
    let received = soon(client.receive(UNORDERED, 1, 5)).await;
    client.ack(UNORDERED, &received.messages[0]).await;

    let request = |group: &str, reset_timestamp| v2::ResetGroupOffsetRequest {
        group: Some(resource(group)),
        topic: Some(resource(TOPIC)),
        reset_timestamp,
        ..Default::default()
    };
    for reset_timestamp in [None, at(-1), at(i64::MIN)] {
        let refused = admin!(admin, reset_group_offset, request(UNORDERED, reset_timestamp));
        told(refused.status, Code::BadRequest);
    }
    let nanos = Some(prost_types::Timestamp { seconds: 1, nanos: 1_000_000_000 });
    told(admin!(admin, reset_group_offset, request(UNORDERED, nanos)).status, Code::BadRequest);
    let unknown = admin!(admin, reset_group_offset, request("nobody", at(0)));
    told(unknown.status, Code::ConsumerGroupNotFound);

    told(admin!(admin, reset_group_offset, request(UNORDERED, at(0))).status, Code::Ok);
    assert_eq!(soon(client.receive(UNORDERED, 1, 5)).await.bodies(), [b"1"]);
    // Later than any message: nothing is left to read.
    told(admin!(admin, reset_group_offset, request(UNORDERED, at(i64::MAX))).status, Code::Ok);
    let behind = v2::DescribeGroupAccumulationRequest {
        group: Some(resource(UNORDERED)),
        ..Default::default()
    };
    let behind = admin!(admin, describe_group_accumulation, behind);
    assert_eq!(behind.accumulation.unwrap().accumulation, 0);
}

#[tokio::test]
async fn the_node_tells_its_version_its_connections_and_its_rates() {
    let door = Door::open().await;
    let (admin, client) = (administrator(&door).await, door.client("c", "JAVA").await);
    let asked = tokio::spawn({
        let admin = admin.clone();
        async move { admin!(admin, get_proxy_runtime_stats, v2::GetProxyRuntimeStatsRequest {}) }
    });
    let mut sent = 0;
    while !asked.is_finished() {
        client.send(vec![message("a", &sent.to_string())]).await;
        sent += 1;
    }
    let stats = asked.await.unwrap();
    told(stats.status, Code::Ok);
    assert_eq!(stats.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(stats.connections, 2);
    assert!(stats.in_tps > 0.0 && stats.in_tps <= f64::from(sent), "{} of {sent}", stats.in_tps);
    assert_eq!(stats.out_tps, 0.0);
}

#[tokio::test]
async fn what_makes_no_sense_for_lite_topics_says_why_and_what_to_do() {
    let door = Door::open().await;
    let admin = administrator(&door).await;
    let group = || Some(resource(UNORDERED));
    let request = v2::DeleteSubscriptionRequest { group: group(), ..Default::default() };
    let status = admin!(admin, delete_subscription, request).status;
    assert!(told(status, Code::NotImplemented).contains("group unsubscribe"));
    let request = v2::GetConsumerRunningInfoRequest { group: group(), ..Default::default() };
    let status = admin!(admin, get_consumer_running_info, request).status;
    assert!(told(status, Code::NotImplemented).contains("PrintThreadStackTrace"));
    let request = v2::QueryTimeSpanRequest { group: group(), ..Default::default() };
    let status = admin!(admin, query_time_span, request).status;
    assert!(told(status, Code::NotImplemented).contains("lite describe"));
}

#[tokio::test]
async fn unknown_names_other_deployments_and_requests_about_nothing_are_refused() {
    let door = Door::open().await;
    let admin = administrator(&door).await;
    for (name, code) in
        [("nothing", Code::TopicNotFound), ("", Code::IllegalTopic), ("a b", Code::IllegalTopic)]
    {
        let request =
            v2::DescribeTopicStatusRequest { topic: Some(resource(name)), ..Default::default() };
        told(admin!(admin, describe_topic_status, request).status, code);
    }
    let request = v2::DescribeTopicStatusRequest {
        topic: Some(resource(TOPIC)),
        deployment_name: Some("another".to_owned()),
    };
    let refused = admin!(admin, describe_topic_status, request);
    assert!(told(refused.status, Code::BadRequest).contains("'another'"));
    assert!(refused.tags.is_empty());

    let nothing = admin!(admin, list_subscription, v2::ListSubscriptionRequest::default());
    told(nothing.status, Code::BadRequest);
    let far = v2::ListSubscriptionRequest {
        group: Some(resource(UNORDERED)),
        topic: Some(resource("%DLQ%workers")),
        ..Default::default()
    };
    told(admin!(admin, list_subscription, far).status, Code::IllegalTopic);
    let request = admin.request(v2::ChangeLogLevelRequest { level: 9 });
    let refused = admin.admin.clone().change_log_level(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
}

#[tokio::test]
async fn an_absurd_request_is_refused_unread() {
    let door = Door::open().await;
    let admin = administrator(&door).await;
    let request = v2::DescribeGroupAccumulationRequest {
        group: Some(resource(UNORDERED)),
        topics: vec![resource(&"t".repeat(100)); 1000],
        ..Default::default()
    };
    let request = admin.request(request);
    let refused = admin.admin.clone().describe_group_accumulation(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::OutOfRange);
}
