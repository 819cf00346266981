//! Topics and groups that the configuration declares, against a broker.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a helper that cannot go on fails its test"
)]

mod http_support;

use std::sync::Arc;

use litemq_domain::{DurationMs, ErrorCode};
use litemq_server::broker::{Broker, QuotaChange};
use litemq_server::config::{Config, Sources, create_declared, load};

fn config(text: &str) -> Config {
    let file = Some(("litemq.toml".to_owned(), text.to_owned()));
    load(&Sources { file, ..Sources::default() }).unwrap().config
}

async fn broker() -> Arc<Broker> {
    http_support::broker().await
}

const DECLARED: &str = r#"
[[topics]]
name = "chat"
ttl = "30m"
[[groups]]
name = "bots"
bind = "chat"
max_attempts = 3
"#;

#[tokio::test]
async fn what_is_missing_is_created_and_a_second_start_changes_nothing() {
    let broker = broker().await;
    for _ in 0..2 {
        create_declared(&broker, &config(DECLARED)).await.unwrap();
        assert_eq!(broker.topic("chat").unwrap().options.ttl, Some(DurationMs::from_secs(1800)));
        let group = broker.group("bots").unwrap();
        assert_eq!(group.options.max_attempts, 3);
        assert_eq!(group.options.client_quota, Some(2000));
        assert!(group.options.ordered);
    }
    assert_eq!(broker.groups().len(), 1);
}

#[tokio::test]
async fn what_the_file_names_is_changed_and_what_it_does_not_name_is_left() {
    let broker = broker().await;
    create_declared(&broker, &config(DECLARED)).await.unwrap();
    let later = r#"
[[topics]]
name = "chat"
ttl = "never"
[[groups]]
name = "bots"
bind = "chat"
client_quota = "unlimited"
"#;
    create_declared(&broker, &config(later)).await.unwrap();
    assert_eq!(broker.topic("chat").unwrap().options.ttl, None);
    let group = broker.group("bots").unwrap();
    assert_eq!(group.options.client_quota, None);
    assert_eq!(group.options.max_attempts, 3);
}

#[tokio::test]
async fn a_group_bound_elsewhere_stops_the_start_with_its_line() {
    let broker = broker().await;
    create_declared(&broker, &config(DECLARED)).await.unwrap();
    let moved = "[[topics]]\nname = 'jobs'\n[[groups]]\nname = 'bots'\nbind = 'jobs'\n";
    let error = create_declared(&broker, &config(moved)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::AlreadyExists);
    assert!(error.message.contains("line 3"), "{error}");
    assert!(error.message.contains("bound to another topic"), "{error}");
}

#[tokio::test]
async fn declared_quotas_hold_from_a_start_on_and_others_stay_as_they_were_set() {
    let broker = broker().await;
    let set = QuotaChange { subscriptions_max: Some(Some(7)), ..QuotaChange::default() };
    broker.set_quotas(set).await.unwrap();
    create_declared(&broker, &config("[limits]\nlite_topics_max = 5\n")).await.unwrap();
    let quotas = broker.quotas().quotas;
    assert_eq!((quotas.lite_topics_max, quotas.subscriptions_max), (Some(5), Some(7)));
    let unlimited = "[limits]\nlite_topics_max = -1\nsubscriptions_max = 9\n";
    create_declared(&broker, &config(unlimited)).await.unwrap();
    let quotas = broker.quotas().quotas;
    assert_eq!((quotas.lite_topics_max, quotas.subscriptions_max), (None, Some(9)));
}

#[tokio::test]
async fn a_declared_option_of_a_topic_changes_it_and_one_not_named_is_left() {
    let broker = broker().await;
    create_declared(&broker, &config(DECLARED)).await.unwrap();
    let later = "[[topics]]\nname = 'chat'\nkeep_undelivered = true\nsend_rate = 9\n";
    create_declared(&broker, &config(later)).await.unwrap();
    let options = broker.topic("chat").unwrap().options;
    assert!(options.keep_undelivered && !options.keep_subscribed);
    assert_eq!(
        (options.ttl, options.send_rate.map(u32::from)),
        (Some(DurationMs::from_secs(1800)), Some(9))
    );
}
