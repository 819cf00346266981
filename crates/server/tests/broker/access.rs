//! Users and policies: there after every restart, and never again once they are gone.

use std::net::IpAddr;
use std::sync::Arc;

use litemq_domain::access::{
    Action, Actions, Asked, Decision, Effect, PolicyId, Scope, Secret, Target, UserKind, decide,
};
use litemq_domain::{ErrorCode, UserName};
use litemq_server::broker::{Broker, NewPolicy, NewUser, UserChange};

use crate::support::{World, code};

fn user(name: &str) -> NewUser {
    NewUser {
        name: UserName::new(name).unwrap(),
        secret: Secret::new("secret-of-a").unwrap(),
        kind: UserKind::Normal,
        enabled: true,
    }
}

fn policy(user: &str, effect: Effect, resource: &str) -> NewPolicy {
    NewPolicy {
        user: UserName::new(user).unwrap(),
        effect,
        actions: Actions::new(&[Action::Publish]).unwrap(),
        resource: resource.parse().unwrap(),
        source: Some("127.0.0.0/8".parse().unwrap()),
    }
}

fn decision(broker: &Broker, user: &str, lite: &str) -> Decision {
    let directory = broker.access().directory();
    let address: IpAddr = "127.0.0.1".parse().unwrap();
    let target = Target::Topic("orders", Scope::One(lite));
    let asked = Asked { action: Action::Publish, target, address };
    decide(&directory.account(user).unwrap().policies, asked)
}

#[tokio::test(start_paused = true)]
async fn users_and_policies_outlive_a_crash_with_and_without_a_checkpoint() {
    for has_checkpoint in [false, true] {
        let (store, world) = World::memory().await;
        world.broker.create_user(user("a")).await.unwrap();
        let allow = policy("a", Effect::Allow, "lite:orders/a-*");
        let allow = world.broker.create_policy(allow).await.unwrap();
        let deny = policy("a", Effect::Deny, "lite:orders/a-9");
        let deny = world.broker.create_policy(deny).await.unwrap();
        let secret = Some(Secret::new("another-secret").unwrap());
        let change = UserChange { secret, kind: Some(UserKind::Super), enabled: None };
        world.broker.update_user("a", change).await.unwrap();
        if has_checkpoint {
            world.broker.checkpoint().await.unwrap();
        }
        let (_, after) = World::after_crash(&store).await;
        assert_eq!(after.broker.access().directory(), world.broker.access().directory());
        assert_eq!(decision(&after.broker, "a", "a-1"), Decision::Allowed(allow.id));
        assert_eq!(decision(&after.broker, "a", "a-9"), Decision::Denied(deny.id));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_deleted_stays_deleted_and_its_number_is_never_used_again() {
    let (store, world) = World::memory().await;
    let first = world.broker.create_user(user("a")).await.unwrap().user.id;
    let allow = policy("a", Effect::Allow, "topic:orders");
    let kept = world.broker.create_policy(allow.clone()).await.unwrap().id;
    let removed = world.broker.create_policy(allow.clone()).await.unwrap().id;
    world.broker.delete_policy(removed).await.unwrap();
    assert_eq!(code(world.broker.delete_policy(removed).await), ErrorCode::PolicyNotFound);
    let (store, world) = World::after_crash(&store).await;
    let account = Arc::clone(world.broker.access().directory().existing("a").unwrap());
    assert_eq!(account.policies.iter().map(|policy| policy.id).collect::<Vec<_>>(), [kept]);

    world.broker.delete_user("a").await.unwrap();
    assert_eq!(code(world.broker.create_policy(allow.clone()).await), ErrorCode::UserNotFound);
    world.broker.checkpoint().await.unwrap();
    let (_, world) = World::after_crash(&store).await;
    assert_eq!(code(world.broker.delete_user("a").await), ErrorCode::UserNotFound);
    let again = world.broker.create_user(user("a")).await.unwrap();
    assert!(again.user.id > first && again.policies.is_empty());
    assert_eq!(world.broker.create_policy(allow).await.unwrap().id, PolicyId(removed.0 + 1));
}

#[tokio::test(start_paused = true)]
async fn users_that_are_made_at_the_same_time_get_numbers_of_their_own() {
    let (_, world) = World::memory().await;
    let made: Vec<_> = (0..20)
        .map(|n| {
            let broker = world.broker.clone();
            tokio::spawn(async move { broker.create_user(user(&format!("u{}", n % 10))).await })
        })
        .collect();
    let mut created = 0;
    for made in made {
        match made.await.unwrap() {
            Ok(_) => created += 1,
            Err(error) => assert_eq!(error.code, ErrorCode::AlreadyExists),
        }
    }
    assert_eq!(created, 10);
    assert_eq!(world.broker.access().directory().counters().next_user, 10);
}
