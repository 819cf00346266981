use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use litemq_domain::access::{Action, Actions, Directory, Effect, Policy, Secret, User, UserKind};
use litemq_domain::{
    Error, ErrorCode, GroupId, GroupName, GroupOptions, NamePrefix, Timestamp, Topic, TopicId,
    TopicName, TopicOptions, TopicType, UserName,
};
use litemq_domain::{Group, SubscriptionMode};

use super::*;
use crate::access::{Access, AccessOptions};

/// Group `workers` in this mode.
struct Only(SubscriptionMode);

impl Catalog for Only {
    fn topic(&self, _: &str) -> Result<Arc<Topic>> {
        Err(Error::new(ErrorCode::TopicNotFound, "rights look no topic up by its name"))
    }

    fn topic_of(&self, group: &Group) -> Option<Arc<Topic>> {
        Some(Arc::new(Topic {
            id: group.topic,
            name: TopicName::new("orders").unwrap(),
            topic_type: TopicType::Lite,
            options: TopicOptions::default(),
            created_at: Timestamp(0),
        }))
    }

    fn group(&self, name: &str) -> Result<Arc<Group>> {
        Ok(Arc::new(Group {
            id: GroupId(1),
            name: GroupName::new(name)?,
            topic: TopicId(1),
            dead_letter_topic: TopicId(2),
            options: GroupOptions { mode: self.0.clone(), ..GroupOptions::default() },
            created_at: Timestamp(0),
        }))
    }
}

/// A user of group `workers` who is allowed this, and denied that.
fn caller(allowed: &str, denied: Option<&str>) -> Caller {
    let mut directory = Directory::default();
    let id = directory.take_user_id().unwrap();
    directory.put_user(User {
        id,
        name: UserName::new("a").unwrap(),
        secret: Secret::new("secret-of-a").unwrap(),
        kind: UserKind::Normal,
        enabled: true,
        created_at: Timestamp(0),
    });
    let allowed = ["group:workers", allowed].map(|resource| (Effect::Allow, resource));
    let denied = denied.map(|resource| (Effect::Deny, resource));
    for (effect, resource) in allowed.into_iter().chain(denied) {
        let account = Arc::clone(directory.account("a").unwrap());
        let policy = Policy {
            id: directory.take_policy_id(&account).unwrap(),
            user: id,
            effect,
            actions: Actions::new(&Action::ALL).unwrap(),
            resource: resource.parse().unwrap(),
            source: None,
            created_at: Timestamp(0),
        };
        assert!(directory.put_policy(policy));
    }
    let options = AccessOptions { enabled: true, ..AccessOptions::default() };
    let header = format!("Basic {}", STANDARD.encode("a:secret-of-a"));
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Access::new(options, directory).basic(Some(&header), address).unwrap()
}

fn resource(name: &str) -> Option<v2::Resource> {
    Some(v2::Resource { resource_namespace: String::new(), name: name.to_owned() })
}

/// Whether the caller may consume from topic `orders` as a client of the group, whichever call it
/// makes.
#[track_caller]
fn may_consume(caller: &Caller, mode: &SubscriptionMode) -> bool {
    let (topic, group) = (resource("orders"), resource("workers"));
    let queue = v2::MessageQueue { topic: topic.clone(), ..v2::MessageQueue::default() };
    let receive = v2::ReceiveMessageRequest {
        group: group.clone(),
        message_queue: Some(queue),
        ..v2::ReceiveMessageRequest::default()
    };
    let assignment = v2::QueryAssignmentRequest {
        topic: topic.clone(),
        group: group.clone(),
        ..v2::QueryAssignmentRequest::default()
    };
    let everything = v2::SyncLiteSubscriptionRequest {
        action: LiteSubscriptionAction::CompleteAdd.into(),
        topic: topic.clone(),
        group: group.clone(),
        ..v2::SyncLiteSubscriptionRequest::default()
    };
    let subscription = v2::Subscription {
        group,
        subscriptions: vec![v2::SubscriptionEntry { topic, expression: None }],
        ..v2::Subscription::default()
    };
    let settings = v2::Settings {
        pub_sub: Some(PubSub::Subscription(subscription)),
        ..v2::Settings::default()
    };
    let heartbeat = v2::HeartbeatRequest {
        group: resource("workers"),
        client_type: v2::ClientType::LitePushConsumer.into(),
    };
    let asker = Asker { caller, namespace: "" };
    let catalog = Only(mode.clone());
    let all = [
        receive.asked(),
        assignment.asked(),
        everything.asked(),
        settings.asked(),
        heartbeat.asked(),
    ];
    let found = all.map(|asked| asker.check(asked, &catalog).is_ok());
    assert_eq!(found, [found[0]; 5], "{mode:?}");
    found[0]
}

#[test]
fn a_client_of_a_wildcard_group_needs_the_right_to_all_that_the_group_receives() {
    let wildcard = |prefix| SubscriptionMode::Wildcard(NamePrefix::new(prefix).unwrap());
    let all = SubscriptionMode::Wildcard(NamePrefix::all());
    let tenant = caller("lite:orders/a-*", None);
    for (mode, may) in [
        (SubscriptionMode::Shared, true),
        (SubscriptionMode::Exclusive, true),
        (wildcard("a-"), true),
        (wildcard("a-1"), true),
        (wildcard("a"), false),
        (wildcard("b-"), false),
        (all.clone(), false),
    ] {
        assert_eq!(may_consume(&tenant, &mode), may, "{mode:?}");
    }
    for resource in ["topic:orders", "lite:orders/*"] {
        assert!(may_consume(&caller(resource, None), &all), "{resource}");
        let without = caller(resource, Some("lite:orders/a-9"));
        assert!(!may_consume(&without, &all), "one of all is denied");
        assert!(!may_consume(&without, &wildcard("a-")));
        assert!(may_consume(&without, &wildcard("b-")));
        assert!(may_consume(&without, &SubscriptionMode::Shared));
    }
}

#[test]
fn others_run_while_the_names_of_a_large_sync_are_checked_to_the_last() {
    let caller = caller("lite:orders/a-*", None);
    let asker = Asker { caller: &caller, namespace: "" };
    let mut request = v2::SyncLiteSubscriptionRequest {
        action: LiteSubscriptionAction::CompleteAdd.into(),
        topic: resource("orders"),
        group: resource("workers"),
        lite_topic_set: (0..3 * SYNC_RIGHTS_PER_STEP).map(|n| format!("a-{n}")).collect(),
        ..v2::SyncLiteSubscriptionRequest::default()
    };
    assert_eq!(checked_in(asker, &request), (4, true));
    request.lite_topic_set.push("b-1".to_owned());
    assert_eq!(checked_in(asker, &request), (4, false));
    request.action = LiteSubscriptionAction::PartialRemove.into();
    assert_eq!(checked_in(asker, &request), (1, true));
}

/// How many times the check runs, and whether it passes.
fn checked_in(asker: Asker<'_>, request: &v2::SyncLiteSubscriptionRequest) -> (usize, bool) {
    let mut check = pin!(asker.check_names(request));
    let mut context = Context::from_waker(Waker::noop());
    let mut runs = 0;
    loop {
        runs += 1;
        if let Poll::Ready(found) = check.as_mut().poll(&mut context) {
            return (runs, found.is_ok());
        }
    }
}
