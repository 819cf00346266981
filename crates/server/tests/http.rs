//! The HTTP door through its router, against a real broker in memory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a helper that cannot go on fails its test"
)]

mod http_support;

use std::net::{IpAddr, Ipv4Addr};

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderValue, Method, StatusCode};
use litemq_domain::{ClientId, LiteTopicName};
use litemq_server::broker::{ConnectionId, Profile, SyncAction};
use serde_json::{Value, json};

use http_support::{Door, MESSAGES, request};

#[tokio::test]
async fn a_topic_is_created_described_changed_and_deleted() {
    let door = Door::open().await;
    let created = door.post("/api/v1/topics", r#"{"name":"chat","ttl":"30m"}"#).await;
    assert_eq!(created.status, StatusCode::CREATED);
    let json = created.json();
    assert_eq!(json["type"], "LITE");
    assert_eq!(json["ttl"], "30m");
    assert_eq!(json["ttl_ms"], 1_800_000);
    assert_eq!(json["lite_topics"], 0);
    assert!(json["created_at"].as_str().unwrap().ends_with('Z'), "{json}");

    let again = door.post("/api/v1/topics", r#"{"name":"chat","ttl":"30m"}"#).await;
    assert_eq!(again.json(), json);
    let other = door.post("/api/v1/topics", r#"{"name":"chat","ttl":"never"}"#).await;
    other.is_refused(409, "ALREADY_EXISTS", 42800);

    let changed = door.patch("/api/v1/topics/chat", r#"{"ttl":"never"}"#).await;
    assert_eq!(changed.json()["ttl"], "never");
    assert_eq!(changed.json().get("ttl_ms"), None);
    assert_eq!(door.get("/api/v1/topics/chat").await.json(), changed.json());
    assert_eq!(door.get("/api/v1/topics").await.json()["topics"], json!([changed.json()]));

    assert_eq!(door.delete("/api/v1/topics/chat").await.status, StatusCode::NO_CONTENT);
    door.get("/api/v1/topics/chat").await.is_refused(404, "TOPIC_NOT_FOUND", 40402);
}

#[tokio::test]
async fn a_change_comes_to_its_end_when_its_client_goes_away() {
    let door = Door::open().await;
    tokio::select! {
        biased;
        _ = door.post("/api/v1/topics", r#"{"name":"chat"}"#) => panic!("it was not interrupted"),
        () = std::future::ready(()) => {}
    }
    // The change and these requests take turns on one thread.
    for _ in 0..100 {
        if door.get("/api/v1/topics/chat").await.status == StatusCode::OK {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the topic was never created");
}

#[tokio::test]
async fn a_group_is_created_described_changed_and_deleted() {
    let door = Door::with_chat().await;
    let json = door.get("/api/v1/groups/bots").await.json();
    assert_eq!(json["bind"], "chat");
    assert_eq!(json["ordered"], true);
    assert_eq!(json["client_quota"], 2000);
    assert_eq!(json["max_attempts"], 17);
    assert_eq!(json["dead_letter_topic"], "%DLQ%bots");
    assert_eq!(door.get("/api/v1/topics/chat").await.json()["groups"], json!(["bots"]));

    let changed = door.patch("/api/v1/groups/bots", r#"{"client_quota":-1}"#).await.json();
    assert_eq!(changed["client_quota"], -1);
    assert_eq!(changed["max_attempts"], 17);
    let zero = door.patch("/api/v1/groups/bots", r#"{"client_quota":0}"#).await;
    assert!(zero.is_refused(400, "BAD_REQUEST", 40000).contains("client_quota"));

    let rate = door.patch("/api/v1/groups/bots", r#"{"consume_rate":0}"#).await;
    assert!(rate.is_refused(400, "BAD_REQUEST", 40000).contains("consume_rate"));
    let unknown = door.patch("/api/v1/groups/bots", r#"{"colour":"red"}"#).await;
    assert!(unknown.is_refused(400, "BAD_REQUEST", 40000).contains("colour"));

    door.delete("/api/v1/topics/chat").await.is_refused(409, "IN_USE", 42800);
    assert_eq!(door.delete("/api/v1/groups/bots").await.status, StatusCode::NO_CONTENT);
    door.get("/api/v1/groups/bots").await.is_refused(404, "CONSUMER_GROUP_NOT_FOUND", 40403);
    assert_eq!(door.delete("/api/v1/topics/chat").await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_group_has_a_mode_and_options_from_its_creation_on_and_by_changes() {
    let door = Door::with_chat().await;
    let defaults = door.get("/api/v1/groups/bots").await.json();
    assert_eq!(defaults["mode"], "SHARED");
    assert_eq!(defaults["consume_rate"], -1);
    assert_eq!(defaults["backoff"], "1s*2..10m");
    assert_eq!(defaults.get("pattern"), None);
    let new = json!({
        "name": "owners", "bind": "chat", "mode": "EXCLUSIVE", "reset_on_takeover": true,
        "consume_rate": 200, "backoff": "1s, 5s", "simple_suspend": true
    });
    let made = door.post("/api/v1/groups", &new.to_string()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    assert_eq!(door.post("/api/v1/groups", &new.to_string()).await.status, StatusCode::CREATED);
    let made = made.json();
    assert_eq!(made["mode"], "EXCLUSIVE");
    assert_eq!(made["reset_on_takeover"], true);
    assert_eq!(made["reset_on_unsubscribe"], false);
    assert_eq!(made["consume_rate"], 200);
    assert_eq!(made["backoff"], "1s, 5s");
    let change = json!({"reset_on_unsubscribe": true, "consume_rate": -1, "backoff": "2s*3..1h"});
    let changed = door.patch("/api/v1/groups/owners", &change.to_string()).await.json();
    assert_eq!(changed["reset_on_unsubscribe"], true);
    assert_eq!(changed["consume_rate"], -1);
    assert_eq!(changed["backoff"], "2s*3..1h");
    assert_eq!(changed["mode"], "EXCLUSIVE");

    for (refused, why) in [
        (json!({"mode": "EXCLUSIVE", "pattern": "a*"}), "a pattern is for wildcard groups"),
        (json!({"mode": "owned"}), "no mode"),
        (json!({"pattern": "a"}), "no pattern"),
        (json!({"backoff": "soon"}), "no back-off"),
        (json!({"backoff": "3h"}), "give 1ms to 2h"),
        (json!({"mode": "SHARED", "reset_on_takeover": true}), "for those"),
        (json!({"colour": "red"}), "colour"),
    ] {
        let mut form = refused.clone();
        form["name"] = json!("more");
        form["bind"] = json!("chat");
        let answer = door.post("/api/v1/groups", &form.to_string()).await;
        let text = answer.is_refused(400, "BAD_REQUEST", 40000);
        assert!(text.contains(why), "{refused}: {text}");
    }
    door.get("/api/v1/groups/more").await.is_refused(404, "CONSUMER_GROUP_NOT_FOUND", 40403);
}

#[tokio::test]
async fn a_change_of_a_pattern_makes_no_wildcard_group_and_one_of_the_mode_keeps_the_pattern() {
    let door = Door::with_chat().await;
    let change = async |form: &str| door.patch("/api/v1/groups/bots", form).await;
    let why = change(r#"{"pattern":"a*"}"#).await.is_refused(400, "BAD_REQUEST", 40000);
    assert!(why.contains("the group is shared"), "{why}");
    assert_eq!(door.get("/api/v1/groups/bots").await.json()["mode"], "SHARED");
    for (form, pattern) in [
        (r#"{"mode":"WILDCARD","pattern":"a*"}"#, json!("a*")),
        (r#"{"mode":"WILDCARD"}"#, json!("a*")),
        (r#"{"pattern":"b*"}"#, json!("b*")),
        (r#"{"max_attempts":3}"#, json!("b*")),
        (r#"{"mode":"WILDCARD","pattern":"*"}"#, json!("*")),
        (r#"{"mode":"EXCLUSIVE"}"#, Value::Null),
    ] {
        assert_eq!(change(form).await.json()["pattern"], pattern, "{form}");
    }
}

#[tokio::test]
async fn clients_of_a_group_are_listed_a_page_at_a_time_with_what_is_known_of_them() {
    let door = Door::with_chat().await;
    let other = r#"{"name":"others","bind":"chat"}"#;
    assert_eq!(door.post("/api/v1/groups", other).await.status, StatusCode::CREATED);
    let (broker, bots) = (&door.broker, door.broker.group("bots").unwrap());
    let id = |id: &str| ClientId::new(id).unwrap();
    let subscribe = async |client: &str, group: &str, names: &[&str]| {
        let names = names.iter().map(|name| LiteTopicName::new(name).unwrap()).collect();
        let (group, add) = (broker.group(group).unwrap(), SyncAction::PartialAdd);
        broker.sync_subscription(&id(client), &group, add, names).await.unwrap();
    };
    subscribe("c-3", "bots", &["a", "b"]).await;
    subscribe("c-1", "bots", &["a"]).await;
    subscribe("c-2", "others", &["a"]).await;
    // It has said whose it is, and has no lite topic.
    broker.sessions().seen(&id("c-4"), None, Some(ConnectionId(4))).unwrap();
    let profile = Profile {
        group: Some(bots.id),
        language: "JAVA",
        version: "5.2.1".into(),
        address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        ..Profile::default()
    };
    broker.sessions().note_profile(&id("c-4"), profile);
    broker.sessions().seen(&id("c-3"), None, Some(ConnectionId(3))).unwrap();
    broker.sessions().connection_closed(ConnectionId(3));

    let clients = "/api/v1/groups/bots/clients";
    let listed = |id: &str, connected: bool, lite_topics: u64| json!({"client": id, "connected": connected, "lite_topics": lite_topics});
    let mut told = listed("c-4", true, 0);
    for (key, value) in [("language", "JAVA"), ("version", "5.2.1"), ("address", "127.0.0.1")] {
        told[key] = json!(value);
    }
    let all = [listed("c-1", true, 1), listed("c-3", false, 2), told];
    assert_eq!(door.get(clients).await.json(), json!({"clients": all}));
    let first = door.get(&format!("{clients}?limit=2")).await.json();
    assert_eq!(first, json!({"clients": all[..2], "next": "c-3"}));
    let rest = door.get(&format!("{clients}?limit=2&after=c-3")).await.json();
    assert_eq!(rest, json!({"clients": all[2..]}));
    let one = door.get(&format!("{clients}/c-4")).await.json();
    assert_eq!((&one["connected"], &one["lite_topics"]), (&json!(true), &json!(0)));
    for (path, code) in [
        (format!("{clients}?limit=0"), StatusCode::BAD_REQUEST),
        (format!("{clients}?limit=1001"), StatusCode::BAD_REQUEST),
        (format!("{clients}?after="), StatusCode::BAD_REQUEST),
        ("/api/v1/groups/nobody/clients".to_owned(), StatusCode::NOT_FOUND),
    ] {
        assert_eq!(door.get(&path).await.status, code, "{path}");
    }
}

#[tokio::test]
async fn a_group_is_moved_and_clients_are_unsubscribed() {
    let door = Door::with_chat().await;
    for body in ["one", "two", "three"] {
        let sent = door.post(MESSAGES, &json!({"body": body}).to_string()).await;
        assert_eq!(sent.status, StatusCode::CREATED, "{sent:?}");
    }
    let reset = |form: Value| {
        let (door, form) = (&door, form.to_string());
        async move { door.post("/api/v1/groups/bots/reset", &form).await }
    };
    let position = || async {
        let described = door.get("/api/v1/topics/chat/lite/s1").await.json();
        described["groups"][0]["committed_offset"].clone()
    };
    assert_eq!(reset(json!({"to": "newest"})).await.json(), json!({"moved": 0}));
    let one = json!({"lite_topic": "s1", "tail": 1});
    assert_eq!(reset(one).await.json(), json!({"moved": 1}));
    assert_eq!(position().await, 2);
    for (form, expected) in [
        (json!({"to": "oldest"}), 0),
        (json!({"offset": 1}), 1),
        (json!({"time": "2000-01-01T00:00:00Z"}), 0),
        (json!({"time": "2100-01-01T00:00:00Z"}), 3),
        (json!({"offset": 1000}), 3),
    ] {
        assert_eq!(reset(form.clone()).await.json(), json!({"moved": 1}), "{form}");
        assert_eq!(position().await, expected, "{form}");
    }
    for form in [
        json!({}),
        json!({"to": "oldest", "offset": 1}),
        json!({"to": "middle"}),
        json!({"time": "soon"}),
        json!({"offset": -1}),
        json!({"lite": "s1", "to": "oldest"}),
    ] {
        reset(form).await.is_refused(400, "BAD_REQUEST", 40000);
    }
    let nowhere = reset(json!({"lite_topic": "s2", "to": "oldest"})).await;
    nowhere.is_refused(404, "LITE_TOPIC_NOT_FOUND", 40400);
    door.post("/api/v1/groups/none/reset", r#"{"to":"oldest"}"#).await.is_refused(
        404,
        "CONSUMER_GROUP_NOT_FOUND",
        40403,
    );
    assert_eq!(position().await, 3, "what was refused changed nothing");

    let client = "/api/v1/groups/bots/clients/host%40pid";
    assert_eq!(door.delete(client).await.json(), json!({"removed": 0}));
    let one = door.delete(&format!("{client}?lite_topic=s1")).await;
    assert_eq!(one.json(), json!({"removed": 0}));
    door.delete(&format!("{client}?lite=s1")).await.is_refused(400, "BAD_REQUEST", 40000);
    door.delete("/api/v1/groups/none/clients/c").await.is_refused(
        404,
        "CONSUMER_GROUP_NOT_FOUND",
        40403,
    );
}

#[tokio::test]
async fn a_sent_message_can_be_looked_at_without_consuming_it() {
    let door = Door::with_chat().await;
    let text = json!({
        "body": "grüße",
        "keys": ["k1", "k2"],
        "tag": "t",
        "properties": {"a": "b"},
        "message_id": "id-1"
    });
    let sent = door.post(MESSAGES, &text.to_string()).await;
    assert_eq!(sent.status, StatusCode::CREATED, "{sent:?}");
    assert_eq!(sent.json(), json!({"message_id": "id-1", "offset": 0, "repeated": false}));
    let again = door.post(MESSAGES, &text.to_string()).await.json();
    assert_eq!(again, json!({"message_id": "id-1", "offset": 0, "repeated": true}));
    let binary = door.post(MESSAGES, r#"{"body":"//4A","body_format":"base64"}"#).await.json();
    assert_eq!(binary["offset"], 1);
    assert_eq!(binary["message_id"].as_str().unwrap().len(), 34);

    for _ in 0..2 {
        let page = door.get(MESSAGES).await.json();
        let messages = page["messages"].as_array().unwrap();
        assert_eq!(messages.len(), 2, "{page}");
        for (key, value) in text.as_object().unwrap() {
            assert_eq!(&messages[0][key], value, "{key}");
        }
        assert_eq!(messages[0]["body_format"], "text");
        assert_eq!(messages[1]["body"], "//4A");
        assert_eq!(messages[1]["body_format"], "base64");
        assert_eq!(page.get("next"), None);
    }
    let second = door.get(&format!("{MESSAGES}?from=1&limit=1")).await.json();
    assert_eq!(second["messages"][0]["offset"], 1);
    let end = door.get(&format!("{MESSAGES}?from=2")).await.json();
    assert_eq!(end, json!({"messages": []}));
}

#[tokio::test]
async fn what_happened_to_a_message_is_told_by_id_and_by_key() {
    let door = Door::with_chat().await;
    let message = r#"{"body":"x","message_id":"id-1","keys":["k"],"trace_context":"00-ab-cd-01"}"#;
    door.post(MESSAGES, message).await;
    let path = "/api/v1/topics/chat/lite/s1/trace";
    for query in ["?id=id-1", "?key=k"] {
        let trace = door.get(&format!("{path}{query}")).await.json();
        assert_eq!(trace["on"], true, "{trace}");
        assert!(trace["since"].is_string());
        let traced = &trace["messages"][0];
        assert_eq!((&traced["offset"], &traced["has_beginning"]), (&json!(0), &json!(true)));
        assert_eq!(traced["message"]["message_id"], "id-1");
        assert_eq!(traced["message"]["trace_context"], "00-ab-cd-01");
        assert_eq!(traced["events"][0]["event"], "STORED");
        assert_eq!(traced["events"].as_array().unwrap().len(), 1);
    }
    door.delete("/api/v1/topics/chat/lite/s1").await;
    let trace = door.get("/api/v1/topics/chat/trace?id=id-1").await.json();
    assert_eq!(trace["messages"][0]["events"][1]["event"], "LITE_TOPIC_REMOVED", "{trace}");
    assert_eq!(trace["messages"][0].get("message"), None);
    for query in ["", "?id=a&key=b", "?id=", "?nonsense=1"] {
        let refused = door.get(&format!("{path}{query}")).await;
        refused.is_refused(400, "BAD_REQUEST", 40000);
    }
    let by_key = door.get("/api/v1/topics/chat/trace?key=k").await;
    by_key.is_refused(400, "BAD_REQUEST", 40000);
    let missing = door.get("/api/v1/topics/none/trace?id=a").await;
    missing.is_refused(404, "TOPIC_NOT_FOUND", 40402);
}

#[tokio::test]
async fn messages_are_found_by_key_id_and_time_from_either_end() {
    let door = Door::with_chat().await;
    for n in 0..6 {
        let form = json!({
            "body": n.to_string(), "keys": [format!("k{}", n % 2)], "message_id": format!("id-{n}"),
            "trace_context": "t"
        });
        assert_eq!(door.post(MESSAGES, &form.to_string()).await.status, StatusCode::CREATED);
    }
    let look = async |query: &str| {
        let page = door.get(&format!("{MESSAGES}?{query}")).await.json();
        let messages = page["messages"].as_array().unwrap();
        let bodies = messages.iter().map(|message| message["body"].as_str().unwrap().to_owned());
        (bodies.collect::<Vec<_>>().join(" "), page["next"].as_u64())
    };
    assert_eq!(look("order=newest&limit=2").await, ("5 4".to_owned(), Some(4)));
    assert_eq!(look("order=newest&before=4").await, ("3 2 1 0".to_owned(), None));
    assert_eq!(look("key=k1").await, ("1 3 5".to_owned(), None));
    assert_eq!(look("id=id-2&order=newest").await, ("2".to_owned(), None));
    assert_eq!(look("from_time=2020-01-01T00:00:00Z&limit=1").await, ("0".to_owned(), Some(1)));
    assert_eq!(look("to_time=2020-01-01T00:00:00.5Z").await, (String::new(), None));
    let first = &door.get(MESSAGES).await.json()["messages"][0];
    assert_eq!(first["trace_context"], "t");
    for query in ["from_time=yesterday", "to_time=12", "order=up", "before=-1", "limit=0"] {
        let answer = door.get(&format!("{MESSAGES}?{query}")).await;
        answer.is_refused(400, "BAD_REQUEST", 40000);
    }
    let long = json!({"body": "x", "trace_context": "x".repeat(4097)});
    let refused = door.post(MESSAGES, &long.to_string()).await;
    refused.is_refused(431, "PROPERTIES_TOO_LARGE", 43101);
}

#[tokio::test]
async fn dead_letters_are_listed_inspected_and_sent_again() {
    let door = Door::with_letters().await;
    let listed = door.get("/api/v1/groups/bots/dead-letters").await.json();
    assert_eq!(listed["topic"], "%DLQ%bots");
    assert_eq!(listed["lite_topics"][0]["lite_topic"], "s1");
    assert_eq!(listed["lite_topics"][0]["letters"], 3);
    let path = "/api/v1/groups/bots/dead-letters/s1";
    let letter = &door.get(path).await.json()["letters"][1];
    assert_eq!((&letter["body"], &letter["resent"]), (&json!("m1"), &json!(false)));
    let origin = &letter["dead_letter"];
    assert_eq!((&origin["topic"], &origin["offset"]), (&json!("chat"), &json!(1)));
    assert_eq!(origin["reason"], "ATTEMPTS_USED_UP");
    assert!(origin["stored_at"].as_str().unwrap() <= letter["stored_at"].as_str().unwrap());

    let resend = format!("{path}/resend");
    let sent = door.post(&resend, r#"{"offsets":[1]}"#).await.json();
    let expected =
        json!({"resent": [{"offset": 1, "sent_as": 3}], "resent_before": [], "more": false});
    assert_eq!(sent, expected);
    let rest = door.post(&resend, "{}").await.json();
    assert_eq!(rest["resent"].as_array().unwrap().len(), 2);
    let again = door.post(&resend, r#"{"offsets":[0,1,2]}"#).await.json();
    assert_eq!((&again["resent"], &again["resent_before"]), (&json!([]), &json!([0, 1, 2])));
    assert_eq!(door.get(path).await.json()["letters"][2]["resent"], true);
    let copy = &door.get(&format!("{MESSAGES}?from=3&limit=1")).await.json()["messages"][0];
    assert_eq!(copy["resent_from"], json!({"topic": "%DLQ%bots", "offset": 1, "times": 1}));
    assert_eq!(copy.get("dead_letter"), None);

    let metrics = door.get("/metrics").await.text;
    for line in [
        "rocketmq_messages_in_total{topic=\"%DLQ%bots\"} 3",
        "rocketmq_throughput_in_total{topic=\"%DLQ%bots\"} 6",
        "rocketmq_messages_in_total{topic=\"chat\"} 6",
        "rocketmq_send_to_dlq_messages_total{topic=\"chat\",consumer_group=\"bots\"} 3",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line} is missing in\n{metrics}");
    }
    door.post(&resend, r#"{"offsets":[7]}"#).await.is_refused(404, "OFFSET_NOT_FOUND", 40404);
    door.post(&resend, r#"{"limit":0}"#).await.is_refused(400, "BAD_REQUEST", 40000);
    let missing = door.get("/api/v1/groups/none/dead-letters").await;
    missing.is_refused(404, "CONSUMER_GROUP_NOT_FOUND", 40403);
    let missing = door.get("/api/v1/groups/bots/dead-letters/s2").await;
    missing.is_refused(404, "LITE_TOPIC_NOT_FOUND", 40400);
}

#[tokio::test]
async fn lite_topics_are_listed_by_prefix_a_page_at_a_time() {
    let door = Door::with_chat().await;
    for name in ["a2", "b1", "a1", "a3"] {
        let path = format!("/api/v1/topics/chat/lite/{name}/messages");
        assert_eq!(door.post(&path, r#"{"body":"x"}"#).await.status, StatusCode::CREATED);
    }
    let mut names = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/api/v1/topics/chat/lite?prefix=a&limit=2{after}");
        let page = door.get(&path).await.json();
        let topics = page["lite_topics"].as_array().unwrap();
        names.extend(topics.iter().map(|topic| topic["name"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(names, ["a1", "a2", "a3"]);
    for limit in ["0", "1001"] {
        let answer = door.get(&format!("/api/v1/topics/chat/lite?limit={limit}")).await;
        assert!(answer.is_refused(400, "BAD_REQUEST", 40000).contains("1 to 1000"));
    }
}

#[tokio::test]
async fn how_far_a_group_is_is_told_by_lag_and_by_age_and_of_one_lite_topic() {
    let door = Door::with_chat().await;
    for (lite, body) in [("s1", "one"), ("s2", "two"), ("s2", "three")] {
        let path = format!("/api/v1/topics/chat/lite/{lite}/messages");
        let sent = door.post(&path, &json!({"body": body}).to_string()).await;
        assert_eq!(sent.status, StatusCode::CREATED, "{sent:?}");
        // A place from which the group goes on makes it a consumer.
        for tail in [0, 2] {
            let reset = json!({"lite_topic": lite, "tail": tail}).to_string();
            door.post("/api/v1/groups/bots/reset", &reset).await;
        }
    }
    let told = door.get("/api/v1/groups/bots/stats").await.json();
    assert_eq!(
        (&told["lag"], &told["ready"], &told["in_flight"]),
        (&json!(3), &json!(3), &json!(0))
    );
    assert_eq!((&told["lite_topics"], &told["clients"]), (&json!(2), &json!(0)));
    assert!(told["oldest_age_ms"].is_u64() && told["oldest_at"].is_string(), "{told}");
    let names = |told: &Value| -> Vec<String> {
        let top = told["top"].as_array().unwrap().iter();
        top.map(|lite| lite["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&told), ["s2", "s1"]);
    assert_eq!(told["top"][0]["lag"], 2);
    let by_age = door.get("/api/v1/groups/bots/stats?by=age&top=1").await.json();
    assert_eq!(names(&by_age).len(), 1);
    assert!(by_age["top"][0]["oldest_at"].is_string(), "{by_age}");
    let lite = door.get("/api/v1/topics/chat/lite/s2").await.json();
    assert_eq!(lite["groups"][0]["lag"], 2);
    assert!(lite["groups"][0]["oldest_at"].is_string(), "{lite}");
    let metrics = door.get("/metrics").await.text;
    for line in [
        "rocketmq_consumer_lag_messages{topic=\"chat\",consumer_group=\"bots\"} 3",
        "rocketmq_consumer_ready_messages{topic=\"chat\",consumer_group=\"bots\"} 3",
        "litemq_lagging_lite_topics{topic=\"chat\",consumer_group=\"bots\"} 2",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line} is missing in\n{metrics}");
    }
    for wrong in ["?top=101", "?top=-1", "?by=size", "?limit=3"] {
        let path = format!("/api/v1/groups/bots/stats{wrong}");
        door.get(&path).await.is_refused(400, "BAD_REQUEST", 40000);
    }
    door.get("/api/v1/groups/none/stats").await.is_refused(404, "CONSUMER_GROUP_NOT_FOUND", 40403);
    let nobody = door.get("/api/v1/groups/bots/clients/c").await.json();
    assert_eq!(nobody["lite_topics"], 0);
    assert_eq!(nobody["connected"], false);
}

#[tokio::test]
async fn a_lite_topic_is_described_and_deleted_with_its_messages() {
    let door = Door::with_chat().await;
    assert_eq!(door.post(MESSAGES, r#"{"body":"x"}"#).await.status, StatusCode::CREATED);
    let path = "/api/v1/topics/chat/lite/s1";
    let json = door.get(path).await.json();
    assert_eq!(json["first_offset"], 0);
    assert_eq!(json["next_offset"], 1);
    assert!(json["bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{json}");
    assert_eq!(json.get("bytes_counted_to"), None, "all are counted");
    assert!(json["expires_at"].is_string(), "{json}");
    assert_eq!(door.get("/api/v1/topics/chat").await.json()["lite_topics"], 1);
    assert_eq!(door.delete(path).await.status, StatusCode::NO_CONTENT);
    door.get(path).await.is_refused(404, "LITE_TOPIC_NOT_FOUND", 40400);
}

#[tokio::test]
async fn a_name_that_is_none_is_refused_with_its_code() {
    let door = Door::with_chat().await;
    let path = "/api/v1/topics/chat/lite/a%2Fb/messages";
    let answer = door.post(path, r#"{"body":"x"}"#).await;
    assert!(answer.is_refused(400, "LITE_TOPIC_ILLEGAL", 40020).contains("'/'"));
    let answer = door.post("/api/v1/topics", r#"{"name":"%DLQ%x"}"#).await;
    answer.is_refused(400, "TOPIC_ILLEGAL", 40002);
    let answer = door.post("/api/v1/topics/%25DLQ%25bots/lite/a/messages", r#"{"body":"x"}"#).await;
    answer.is_refused(400, "TOPIC_ILLEGAL", 40002);
    let answer = door.post("/api/v1/groups", r#"{"name":"CID_RMQ_SYS_a","bind":"chat"}"#).await;
    answer.is_refused(400, "CONSUMER_GROUP_ILLEGAL", 40003);
}

#[tokio::test]
async fn a_group_is_bound_to_a_topic_that_exists_and_to_nothing_else() {
    let door = Door::with_chat().await;
    for (bind, code, rocketmq) in [
        ("no such name", "TOPIC_ILLEGAL", 40002),
        ("", "TOPIC_ILLEGAL", 40002),
        ("chat*", "TOPIC_ILLEGAL", 40002),
        ("absent", "TOPIC_NOT_FOUND", 40402),
    ] {
        let form = json!({"name": "late", "bind": bind}).to_string();
        let status = if rocketmq == 40402 { 404 } else { 400 };
        door.post("/api/v1/groups", &form).await.is_refused(status, code, rocketmq);
        door.get("/api/v1/groups/late").await.is_refused(404, "CONSUMER_GROUP_NOT_FOUND", 40403);
    }
}

#[tokio::test]
async fn messages_against_the_rules_are_refused_with_their_codes() {
    let door = Door::with_chat().await;
    let long = "x".repeat(16 << 10);
    let many: Value = (0..129).map(|n| (format!("k{n}"), json!("v"))).collect();
    let cases = [
        (json!({"body": ""}), "BODY_EMPTY", 41302),
        (json!({"body": "x", "tag": "a|b"}), "TAG_ILLEGAL", 40004),
        (json!({"body": "x", "keys": ["a\n"]}), "MESSAGE_KEY_ILLEGAL", 40005),
        (json!({"body": "x", "properties": {"a": "\u{7}"}}), "PROPERTY_KEY_ILLEGAL", 40007),
        (json!({"body": "x", "properties": {"a": long}}), "PROPERTIES_TOO_LARGE", 43101),
        (json!({"body": "x", "properties": many}), "PROPERTIES_TOO_LARGE", 43101),
        (json!({"body": "x", "message_id": " "}), "MESSAGE_ID_ILLEGAL", 40009),
        (json!({"body": "?", "body_format": "base64"}), "BAD_REQUEST", 40000),
        (json!({"body": "x".repeat((4 << 20) + 1)}), "BODY_TOO_LARGE", 41301),
    ];
    for (form, code, rocketmq) in cases {
        let answer = door.post(MESSAGES, &form.to_string()).await;
        answer.is_refused(answer.status.as_u16(), code, rocketmq);
        assert!(answer.status.is_client_error(), "{answer:?}");
    }
    let largest = json!({"body": "\"".repeat(4 << 20)});
    assert_eq!(door.post(MESSAGES, &largest.to_string()).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn requests_that_are_none_of_ours_are_refused_in_json() {
    let door = Door::with_chat().await;
    let topics = "/api/v1/topics";
    door.get("/api/v2/topics").await.is_refused(404, "ROUTE_NOT_FOUND", 40400);
    door.delete(topics).await.is_refused(405, "METHOD_NOT_ALLOWED", 40000);
    door.post(topics, "{").await.is_refused(400, "BAD_REQUEST", 40000);
    door.post(topics, "{}").await.is_refused(400, "BAD_REQUEST", 40000);
    let unknown = door.post(topics, r#"{"name":"t","tll":"30m"}"#).await;
    assert!(unknown.is_refused(400, "BAD_REQUEST", 40000).contains("tll"));
    let unknown = door.get("/api/v1/topics/chat/lite?prefx=a").await;
    assert!(unknown.is_refused(400, "BAD_REQUEST", 40000).contains("prefx"));
    let wrong = door.post(topics, r#"{"name":"t","ttl":"soon"}"#).await;
    assert!(wrong.is_refused(400, "BAD_REQUEST", 40000).contains("never"));
    let wrong = door.post(topics, r#"{"name":"t","ttl":"5s"}"#).await;
    wrong.is_refused(400, "BAD_REQUEST", 40000);
    let large = door.post(topics, &" ".repeat(65 << 10)).await;
    large.is_refused(413, "REQUEST_TOO_LARGE", 41300);
    let mut form = request(Method::POST, topics, Body::from("name=t"));
    let urlencoded = HeaderValue::from_static("application/x-www-form-urlencoded");
    form.headers_mut().insert(CONTENT_TYPE, urlencoded);
    door.ask(form).await.is_refused(415, "MEDIA_TYPE_UNSUPPORTED", 40000);
}

#[tokio::test]
async fn a_page_under_a_name_of_its_own_gets_nothing() {
    let door = Door::with_chat().await;
    let with = |path: &str, host: &'static str| {
        let mut request = request(Method::GET, path, Body::empty());
        request.headers_mut().insert(HOST, HeaderValue::from_static(host));
        request
    };
    for path in ["/api/v1/topics", "/metrics"] {
        let answer = door.ask(with(path, "evil.example:8080")).await;
        assert!(answer.is_refused(403, "FORBIDDEN", 40300).contains("http_hosts"));
    }
    assert_eq!(door.ask(with("/api/v1/topics", "localhost:8080")).await.status, StatusCode::OK);
    assert_eq!(door.ask(with("/healthz", "evil.example")).await.status, StatusCode::OK);
    let mut hostless = request(Method::GET, "/api/v1/topics", Body::empty());
    hostless.headers_mut().remove(HOST);
    door.ask(hostless).await.is_refused(403, "FORBIDDEN", 40300);
    let absolute = with("http://evil.example/api/v1/topics", "localhost:8080");
    door.ask(absolute).await.is_refused(403, "FORBIDDEN", 40300);
}

#[tokio::test]
async fn a_page_of_another_origin_changes_nothing() {
    let door = Door::with_chat().await;
    let from = |method: Method, origin: &'static str| {
        let mut request = request(method, "/api/v1/topics/chat", Body::from(r#"{"ttl":"1h"}"#));
        request.headers_mut().insert(ORIGIN, HeaderValue::from_static(origin));
        request
    };
    for origin in ["http://evil.example", "http://127.0.0.1:9999", "null", "http://localhost:8080"]
    {
        for method in [Method::PATCH, Method::DELETE] {
            door.ask(from(method, origin)).await.is_refused(403, "FORBIDDEN", 40300);
        }
    }
    assert_eq!(door.get("/api/v1/topics/chat").await.json()["ttl"], "30m");
    let own = door.ask(from(Method::PATCH, "http://127.0.0.1:8080")).await;
    assert_eq!(own.json()["ttl"], "1h");
}

#[tokio::test]
async fn every_described_method_is_served_and_no_other() {
    let door = Door::open().await;
    let document = door.get("/api/v1/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 15, "{document}");
    for (path, methods) in paths {
        let real = path.replace("{topic}", "t").replace("{group}", "g").replace("{name}", "n");
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let described = methods.get(method.as_str().to_lowercase()).is_some();
            let answer = door.ask(request(method.clone(), &real, Body::from("{}"))).await;
            let served = answer.status != StatusCode::METHOD_NOT_ALLOWED
                && !answer.text.contains("ROUTE_NOT_FOUND");
            assert_eq!(served, described, "{method} {path}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn health_readiness_and_metrics_are_told() {
    let door = Door::with_chat().await;
    assert_eq!(door.get("/healthz").await.json(), json!({"status": "ok"}));
    assert_eq!(door.get("/readyz").await.json(), json!({"status": "ready"}));
    assert_eq!(door.post(MESSAGES, r#"{"body":"x"}"#).await.status, StatusCode::CREATED);
    door.get("/api/v1/topics/none").await.is_refused(404, "TOPIC_NOT_FOUND", 40402);
    let metrics = door.get("/metrics").await.text;
    for line in [
        "rocketmq_proxy_up 1",
        "rocketmq_consumer_group_number 1",
        "litemq_lite_topics{topic=\"chat\"} 1",
        "rocketmq_messages_in_total{topic=\"chat\"} 1",
        "rocketmq_throughput_in_total{topic=\"chat\"} 1",
        "litemq_errors_total{code=\"TOPIC_NOT_FOUND\"} 1",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line} is missing in\n{metrics}");
    }
    assert!(!metrics.contains("s1"), "a lite topic is a label:\n{metrics}");
}

#[tokio::test]
async fn a_lite_topic_is_created_ahead_extended_pinned_and_given_its_own_time() {
    let door = Door::with_chat().await;
    let lites = "/api/v1/topics/chat/lite";
    let made = door.post(lites, r#"{"name":"a"}"#).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let json = made.json();
    assert_eq!((&json["ttl"], &json["own_ttl"]), (&json!("30m"), &json!(false)));
    assert_eq!((json.get("last_send_at"), json.get("last_read_at")), (None, None));
    assert!(json["expires_at"].is_string(), "{json}");
    assert_eq!(door.post(lites, r#"{"name":"a"}"#).await.json(), json);
    let other = door.post(lites, r#"{"name":"a","ttl":"1h"}"#).await;
    other.is_refused(409, "ALREADY_EXISTS", 42800);
    door.post(lites, r#"{"name":"a/b"}"#).await.is_refused(400, "LITE_TOPIC_ILLEGAL", 40020);

    let path = "/api/v1/topics/chat/lite/a";
    let own = door.patch(path, r#"{"ttl":"never"}"#).await.json();
    assert_eq!((&own["ttl"], &own["own_ttl"]), (&json!("never"), &json!(true)));
    assert_eq!(own.get("expires_at"), None);
    let back = door.patch(path, r#"{"ttl":"parent","extend":"2h"}"#).await.json();
    assert_eq!((&back["ttl"], &back["own_ttl"]), (&json!("30m"), &json!(false)));
    assert_eq!(back["expires_at"], back["extended_until"]);
    let pinned = door.patch(path, r#"{"pinned":true}"#).await.json();
    assert_eq!(pinned["pinned"], true);
    assert_eq!((pinned.get("expires_at"), pinned.get("extended_until")), (None, None));
    let free = door.patch(path, r#"{"pinned":false}"#).await.json();
    assert_eq!((&free["pinned"], free.get("extended_until")), (&json!(false), None));
    assert_eq!(free["expires_at"], json["expires_at"]);

    for wrong in [r#"{}"#, r#"{"ttl":"90s"}"#, r#"{"extend":"31d"}"#, r#"{"extend":"soon"}"#] {
        door.patch(path, wrong).await.is_refused(400, "BAD_REQUEST", 40000);
    }
    let nothing = door.patch("/api/v1/topics/chat/lite/x", r#"{"pinned":true}"#).await;
    nothing.is_refused(404, "LITE_TOPIC_NOT_FOUND", 40400);
}

#[tokio::test]
async fn a_message_gives_its_lite_topic_a_time_to_live_or_is_refused() {
    let door = Door::with_chat().await;
    let path = "/api/v1/topics/chat/lite/a/messages";
    let send = |ttl: &str| format!(r#"{{"body":"x","properties":{{"litemq.ttl":"{ttl}"}}}}"#);
    let refused = door.post(path, &send("soon")).await;
    let text = refused.is_refused(400, "PROPERTY_KEY_ILLEGAL", 40007);
    assert!(text.contains("give minutes, 1 to 43200, or -1"), "{text}");
    door.get("/api/v1/topics/chat/lite/a").await.is_refused(404, "LITE_TOPIC_NOT_FOUND", 40400);
    assert_eq!(door.post(path, &send("5")).await.status, StatusCode::CREATED);
    let view = door.get("/api/v1/topics/chat/lite/a").await.json();
    assert_eq!((&view["ttl"], &view["own_ttl"]), (&json!("5m"), &json!(true)));
}

#[tokio::test]
async fn quotas_are_shown_changed_and_set_to_a_profile() {
    let door = Door::with_chat().await;
    let none = json!({
        "lite_topics": 0, "lite_topics_max": -1, "subscriptions": 0, "subscriptions_max": -1
    });
    assert_eq!(door.get("/api/v1/quotas").await.json(), none);
    let set = door.patch("/api/v1/quotas", r#"{"lite_topics_max":1}"#).await.json();
    assert_eq!((&set["lite_topics_max"], &set["subscriptions_max"]), (&json!(1), &json!(-1)));
    door.post("/api/v1/topics/chat/lite", r#"{"name":"a"}"#).await;
    let full = door.post("/api/v1/topics/chat/lite", r#"{"name":"b"}"#).await;
    let text = full.is_refused(429, "LITE_TOPIC_QUOTA_EXCEEDED", 42901);
    assert!(text.contains("this broker may have 1 lite topics"), "{text}");
    let profiles = door.get("/api/v1/quotas/profiles").await.json();
    let profiles = profiles["profiles"].as_array().unwrap().clone();
    assert_eq!(profiles.len(), 46);
    let applied = door.post("/api/v1/quotas/profiles/serverless-5k", "").await.json();
    assert_eq!(applied["lite_topics_max"], 300_000);
    assert_eq!(
        (&applied["subscriptions_max"], &applied["lite_topics"]),
        (&json!(300_000), &json!(1))
    );
    door.post("/api/v1/quotas/profiles/huge", "").await.is_refused(400, "BAD_REQUEST", 40000);
    for wrong in [r#"{"lite_topics_max":0}"#, r#"{"subscriptions_max":-2}"#, r#"{"max":1}"#] {
        door.patch("/api/v1/quotas", wrong).await.is_refused(400, "BAD_REQUEST", 40000);
    }
}
