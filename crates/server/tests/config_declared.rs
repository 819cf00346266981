//! Topics and groups that the configuration declares, against a broker.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a helper that cannot go on fails its test"
)]

mod http_support;

use std::sync::Arc;

use litemq_domain::{ClientId, DurationMs, ErrorCode, LiteTopicName, SubscriptionMode};
use litemq_server::broker::{Broker, GroupChange, QuotaChange, SyncAction};
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

const EXCLUSIVE: &str = "[[topics]]\nname = 'chat'\n[[groups]]\nname = 'bots'\nbind = 'chat'\n\
                         mode = 'exclusive'\nmax_attempts = 3\n";

async fn change(broker: &Broker, change: GroupChange) {
    broker.update_group("bots", change).await.unwrap();
}

#[tokio::test]
async fn a_mode_that_subscribers_keep_from_being_changed_stays_and_the_rest_is_made_true() {
    let broker = broker().await;
    create_declared(&broker, &config(EXCLUSIVE)).await.unwrap();
    let shared = Some(SubscriptionMode::Shared);
    change(&broker, GroupChange { mode: shared, max_attempts: Some(9), ..Default::default() })
        .await;
    let (client, group) = (ClientId::new("c").unwrap(), broker.group("bots").unwrap());
    let sync = async |action, names: &[&str]| {
        let names = names.iter().map(|name| LiteTopicName::new(name).unwrap()).collect();
        broker.sync_subscription(&client, &group, action, names).await.unwrap();
    };
    sync(SyncAction::PartialAdd, &["a"]).await;
    for _ in 0..2 {
        create_declared(&broker, &config(EXCLUSIVE)).await.unwrap();
        let options = broker.group("bots").unwrap().options.clone();
        assert_eq!((options.mode, options.max_attempts), (SubscriptionMode::Shared, 3));
    }
    sync(SyncAction::CompleteRemove, &[]).await;
    create_declared(&broker, &config(EXCLUSIVE)).await.unwrap();
    assert!(broker.group("bots").unwrap().options.is_exclusive());
}

#[tokio::test]
async fn an_option_that_does_not_go_with_the_declared_mode_does_not_outlast_a_start() {
    let broker = broker().await;
    let shared = EXCLUSIVE.replace("exclusive", "shared");
    create_declared(&broker, &config(&shared)).await.unwrap();
    let mode = Some(SubscriptionMode::Exclusive);
    let owned = GroupChange { mode, reset_on_takeover: Some(true), ..Default::default() };
    change(&broker, owned).await;
    create_declared(&broker, &config(&shared)).await.unwrap();
    let options = broker.group("bots").unwrap().options.clone();
    assert_eq!((options.mode, options.reset_on_takeover), (SubscriptionMode::Shared, false));
}

#[tokio::test]
async fn a_declaration_that_contradicts_itself_is_refused_whatever_the_broker_has() {
    for mode in ["", "mode = 'shared'\n", "pattern = 'a*'\n"] {
        let file = format!("[[groups]]\nname = 'b'\nbind = 'c'\n{mode}reset_on_takeover = true\n");
        let file = Some(("litemq.toml".to_owned(), file));
        let problems = load(&Sources { file, ..Sources::default() }).unwrap_err().to_string();
        let told = "groups.reset_on_takeover: is for exclusive groups; give mode = \"exclusive\"";
        assert!(problems.contains(told), "{problems}");
    }
}
