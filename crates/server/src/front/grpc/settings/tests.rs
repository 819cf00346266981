use std::sync::Arc;

use litemq_domain::{
    ClientId, GroupId, GroupOptions, Timestamp, Topic, TopicId, TopicOptions, TopicType,
};
use v2::retry_policy::Strategy;
use v2::{Resource, SubscriptionEntry, Ua};

use super::*;

/// The topics `orders` and `chats`, and the group `workers` bound to `orders`.
struct Fixture {
    client_quota: Option<u32>,
    ordered: bool,
}

const FIXTURE: Fixture = Fixture { client_quota: Some(2000), ordered: true };

impl Catalog for Fixture {
    fn topic(&self, name: &str) -> Result<Arc<Topic>> {
        let id = match name {
            "orders" => 1,
            "chats" => 2,
            _ => return Err(Error::new(ErrorCode::TopicNotFound, "no such topic")),
        };
        Ok(Arc::new(Topic {
            id: TopicId(id),
            name: TopicName::new(name)?,
            topic_type: TopicType::Lite,
            options: TopicOptions::default(),
            created_at: Timestamp(0),
        }))
    }

    fn topic_of(&self, _: &Group) -> Option<Arc<Topic>> {
        self.topic("orders").ok()
    }

    fn group(&self, name: &str) -> Result<Arc<Group>> {
        if name != "workers" {
            return Err(Error::new(ErrorCode::ConsumerGroupNotFound, "no such group"));
        }
        Ok(Arc::new(Group {
            id: GroupId(1),
            name: GroupName::new(name)?,
            topic: TopicId(1),
            dead_letter_topic: TopicId(2),
            options: GroupOptions {
                ordered: self.ordered,
                client_quota: self.client_quota,
                max_attempts: 9,
                ..GroupOptions::default()
            },
            created_at: Timestamp(0),
        }))
    }
}

fn call() -> Call {
    Call {
        client: ClientId::new("c").unwrap(),
        language: Language::Unknown,
        namespace: String::new(),
        time_left: None,
        connection: None,
        caller: crate::access::Caller::internal(),
    }
}

fn resource(name: &str) -> Resource {
    Resource { name: name.to_owned(), ..Resource::default() }
}

fn consumer(client_type: ClientType, group: &str, topics: &[&str]) -> Settings {
    let subscriptions = topics
        .iter()
        .map(|topic| SubscriptionEntry { topic: Some(resource(topic)), expression: None })
        .collect();
    Settings {
        client_type: Some(client_type.into()),
        pub_sub: Some(PubSub::Subscription(Subscription {
            group: Some(resource(group)),
            subscriptions,
            ..Subscription::default()
        })),
        ..Settings::default()
    }
}

fn producer(topics: &[&str]) -> Settings {
    Settings {
        client_type: Some(ClientType::Producer.into()),
        pub_sub: Some(PubSub::Publishing(Publishing {
            topics: topics.iter().map(|topic| resource(topic)).collect(),
            ..Publishing::default()
        })),
        ..Settings::default()
    }
}

fn spoken(mut settings: Settings, language: v2::Language) -> Settings {
    settings.user_agent = Some(Ua { language: language.into(), ..Ua::default() });
    settings
}

fn subscription(answer: &Settings) -> &Subscription {
    match answer.pub_sub.as_ref() {
        Some(PubSub::Subscription(subscription)) => subscription,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_refused(settings: Settings, code: ErrorCode) {
    assert_eq!(answer(&FIXTURE, &call(), settings).unwrap_err().code, code);
}

const LITE: ClientType = ClientType::LitePushConsumer;

#[test]
fn lite_consumers_of_every_language_get_all_fields() {
    for language in
        [v2::Language::Java, v2::Language::Golang, v2::Language::NodeJs, v2::Language::Python]
    {
        for client_type in [LITE, ClientType::LiteSimpleConsumer] {
            let asked = spoken(consumer(client_type, "workers", &["orders"]), language);
            let answer = answer(&FIXTURE, &call(), asked.clone()).unwrap();
            let filled = subscription(&answer);
            assert_eq!(filled.fifo, Some(true));
            assert_eq!(filled.receive_batch_size, Some(32));
            assert_eq!(filled.long_polling_timeout.unwrap().seconds, 20);
            assert_eq!(filled.lite_subscription_quota, Some(2000));
            assert_eq!(filled.max_lite_topic_size, Some(64));
            assert_eq!(answer.backoff_policy.as_ref().unwrap().max_attempts, 9);
            assert!(!answer.metric.as_ref().unwrap().on);
            assert_eq!(answer.user_agent, asked.user_agent);
            assert_eq!(filled.subscriptions, subscription(&asked).subscriptions);
        }
    }
}

#[test]
fn python_consumers_get_listed_retries_and_all_others_growing_ones() {
    let strategy = |settings, language| {
        answer(&FIXTURE, &call(), spoken(settings, language)).unwrap().backoff_policy.unwrap()
    };
    let lite = || consumer(LITE, "workers", &["orders"]);
    let python = strategy(lite(), v2::Language::Python).strategy;
    assert!(matches!(python, Some(Strategy::CustomizedBackoff(_))), "{python:?}");
    for (settings, language) in [
        (lite(), v2::Language::Java),
        (lite(), v2::Language::NodeJs),
        (lite(), v2::Language::Unspecified),
        (producer(&["orders"]), v2::Language::Python),
        (producer(&["orders"]), v2::Language::NodeJs),
    ] {
        let found = strategy(settings, language).strategy;
        assert!(matches!(found, Some(Strategy::ExponentialBackoff(_))), "{language:?} {found:?}");
    }
}

#[test]
fn the_header_tells_the_language_when_the_settings_do_not() {
    let call = Call { language: Language::Python, ..call() };
    let answer = answer(&FIXTURE, &call, consumer(LITE, "workers", &["orders"])).unwrap();
    let strategy = answer.backoff_policy.unwrap().strategy;
    assert!(matches!(strategy, Some(Strategy::CustomizedBackoff(_))), "{strategy:?}");
}

#[test]
fn producers_are_told_the_body_limit_and_to_check_types() {
    let answer = answer(&FIXTURE, &call(), producer(&["orders", "not-yet-there"])).unwrap();
    let Some(PubSub::Publishing(publishing)) = answer.pub_sub else { panic!("not publishing") };
    assert_eq!(publishing.max_body_size, 4 << 20);
    assert!(publishing.validate_message_type);
    assert_eq!(publishing.topics.len(), 2);
    assert_eq!(answer.backoff_policy.unwrap().max_attempts, 3);
}

#[test]
fn no_quota_is_a_large_number_and_never_zero_or_negative() {
    for (client_quota, told) in [(None, 1 << 20), (Some(0), 1), (Some(u32::MAX), i32::MAX)] {
        let fixture = Fixture { client_quota, ..FIXTURE };
        let answer = answer(&fixture, &call(), consumer(LITE, "workers", &["orders"])).unwrap();
        assert_eq!(subscription(&answer).lite_subscription_quota, Some(told));
    }
}

#[test]
fn fifo_is_whether_the_group_is_ordered() {
    let fixture = Fixture { ordered: false, ..FIXTURE };
    let answer = answer(&fixture, &call(), consumer(LITE, "workers", &["orders"])).unwrap();
    assert_eq!(subscription(&answer).fifo, Some(false));
}

#[test]
fn a_lite_consumer_needs_a_bound_group() {
    check_refused(consumer(LITE, "unknown", &["orders"]), ErrorCode::ConsumerGroupIllegal);
    check_refused(consumer(LITE, "", &["orders"]), ErrorCode::ConsumerGroupIllegal);
    check_refused(consumer(LITE, "a b", &["orders"]), ErrorCode::ConsumerGroupIllegal);
}

/// Their subscriptions are refused, with the reason; see `subscription.rs`.
#[test]
fn lite_consumers_that_hide_a_refusal_get_settings_whatever_their_group_is() {
    let of = |language: v2::Language, version: &str| {
        Some(Ua { language: language.into(), version: version.to_owned(), ..Ua::default() })
    };
    for client_type in [LITE, ClientType::LiteSimpleConsumer] {
        for (group, topic) in [("unknown", "orders"), ("a b", "orders"), ("workers", "chats")] {
            let asked = consumer(client_type, group, &[topic]);
            for user_agent in [
                of(v2::Language::Python, "5.1.2"),
                of(v2::Language::Java, "5.2.0"),
                of(v2::Language::Java, "5.10.1-SNAPSHOT"),
                of(v2::Language::Java, "6.0.0"),
            ] {
                let asked = Settings { user_agent, ..asked.clone() };
                let answer = answer(&FIXTURE, &call(), asked).unwrap();
                let filled = subscription(&answer);
                assert_eq!(filled.lite_subscription_quota, Some(1), "enough to ask");
                assert_eq!(filled.receive_batch_size, Some(32));
            }
            for user_agent in [
                of(v2::Language::Java, "5.1.0"),
                of(v2::Language::Java, ""),
                of(v2::Language::Golang, "5.2.0"),
                of(v2::Language::NodeJs, "5.2.0"),
            ] {
                let asked = Settings { user_agent, ..asked.clone() };
                assert!(answer(&FIXTURE, &call(), asked).is_err());
            }
        }
    }
}

#[test]
fn a_plain_consumer_cannot_use_a_bound_group() {
    for client_type in [ClientType::PushConsumer, ClientType::SimpleConsumer] {
        check_refused(
            consumer(client_type, "workers", &["orders"]),
            ErrorCode::ConsumerGroupIllegal,
        );
        let unknown = consumer(client_type, "unknown", &["anything"]);
        let answer = answer(&FIXTURE, &call(), unknown).unwrap();
        assert_eq!(subscription(&answer).receive_batch_size, Some(32));
        assert!(answer.backoff_policy.is_some());
    }
}

#[test]
fn every_subscription_entry_must_name_the_bound_topic() {
    for topics in [&["chats"][..], &["orders", "chats"], &["orders", "missing"], &["orders", ""]] {
        check_refused(consumer(LITE, "workers", topics), ErrorCode::TopicIllegal);
    }
    assert!(answer(&FIXTURE, &call(), consumer(LITE, "workers", &[])).is_ok());
}

#[test]
fn settings_must_suit_the_client_type() {
    check_refused(Settings::default(), ErrorCode::BadRequest);
    let mut settings = producer(&["orders"]);
    settings.client_type = Some(LITE.into());
    check_refused(settings, ErrorCode::BadRequest);
    check_refused(consumer(ClientType::Producer, "workers", &["orders"]), ErrorCode::BadRequest);
    for client_type in [ClientType::PullConsumer, ClientType::Unspecified] {
        check_refused(
            consumer(client_type, "workers", &["orders"]),
            ErrorCode::ClientTypeUnrecognized,
        );
    }
}

#[test]
fn client_properties_have_bounds() {
    let with = |properties: Vec<(String, String)>| {
        let mut settings = producer(&[]);
        settings.client_properties = properties.into_iter().collect();
        settings
    };
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let numbered = |n: usize, value: &str| -> Vec<_> {
        (0..n).map(|i| pair(&format!("k{i}"), value)).collect()
    };
    for allowed in [
        vec![pair("a", "")],
        vec![pair("az.A-9_", "any value"), pair(&"k".repeat(64), &"v".repeat(256))],
        numbered(32, "v"),
    ] {
        assert!(answer(&FIXTURE, &call(), with(allowed)).is_ok());
    }
    for refused in [
        vec![pair("", "v")],
        vec![pair("1a", "v")],
        vec![pair("a b", "v")],
        vec![pair(&"k".repeat(65), "v")],
        vec![pair("k", &"v".repeat(257))],
        numbered(33, "v"),
        numbered(20, &"v".repeat(256)),
    ] {
        check_refused(with(refused), ErrorCode::ClientPropertiesIllegal);
    }
}
