//! Who may do what: the rules by example, and random policies beside a plain model that looks at
//! each name by itself.

mod plain;

use std::net::IpAddr;
use std::sync::Arc;

use litemq_checker::Dice;
use litemq_domain::access::{
    Action, Actions, Asked, Decision, Directory, Effect, Policy, PolicyId, Scope, Secret, Target,
    User, UserId, UserKind, decide,
};
use litemq_domain::limits::{POLICIES_PER_USER_MAX, USERS_MAX};
use litemq_domain::{ErrorCode, Timestamp, UserName};

use super::model::{cycles_and_seed, say};

const HOME: &str = "192.0.2.7";

/// Policies by a line each: `allow publish,subscribe lite:chat/a-* [from NETWORK]`, numbered from
/// 0.
fn policies(lines: &[&str]) -> Vec<Arc<Policy>> {
    lines.iter().enumerate().map(|(id, line)| Arc::new(policy(id, line))).collect()
}

fn policy(id: usize, line: &str) -> Policy {
    let words: Vec<&str> = line.split(' ').collect();
    let actions: Vec<Action> = words[1].split(',').map(action).collect();
    Policy {
        id: PolicyId(u32::try_from(id).unwrap()),
        user: UserId(0),
        effect: if words[0] == "deny" { Effect::Deny } else { Effect::Allow },
        actions: Actions::new(&actions).unwrap(),
        resource: words[2].parse().unwrap(),
        source: words.get(4).map(|network| network.parse().unwrap()),
        created_at: Timestamp(0),
    }
}

fn action(word: &str) -> Action {
    Action::ALL.into_iter().find(|action| action.to_string() == word).unwrap()
}

/// What is decided about `publish chat/a-1`, `subscribe chat/a-*`, `manage chat` (some part of it),
/// `manage chat/` (the whole of it), `subscribe group:bots` or `manage cluster`.
fn decision(policies: &[Arc<Policy>], request: &str) -> Decision {
    decision_from(policies, request, HOME)
}

fn decision_from(policies: &[Arc<Policy>], request: &str, address: &str) -> Decision {
    let (word, target) = request.split_once(' ').unwrap();
    let target = match (target, target.strip_prefix("group:"), target.split_once('/')) {
        ("cluster", _, _) => Target::Cluster,
        (_, Some(group), _) => Target::Group(group),
        (topic, None, None) => Target::Topic(topic, Scope::Some),
        (_, None, Some((topic, ""))) => Target::Topic(topic, Scope::Whole),
        (_, None, Some((topic, lite))) => match lite.strip_suffix('*') {
            Some(prefix) => Target::Topic(topic, Scope::All(prefix)),
            None => Target::Topic(topic, Scope::One(lite)),
        },
    };
    decide(policies, Asked { action: action(word), target, address: address.parse().unwrap() })
}

fn allowed(id: u32) -> Decision {
    Decision::Allowed(PolicyId(id))
}

fn denied(id: u32) -> Decision {
    Decision::Denied(PolicyId(id))
}

#[test]
fn what_no_policy_mentions_is_refused() {
    let policies = policies(&["allow publish topic:chat"]);
    for request in [
        "subscribe chat/a",
        "manage chat/",
        "publish other/a",
        "publish chat2/a",
        "publish group:chat",
        "manage cluster",
    ] {
        assert_eq!(decision(&policies, request), Decision::Unmentioned, "{request}");
    }
    assert_eq!(decision(&[], "publish chat/a"), Decision::Unmentioned);
}

#[test]
fn a_denial_wins_over_every_permission_whatever_their_order_and_width() {
    for lines in [
        ["allow publish lite:chat/a-1", "deny publish topic:chat"],
        ["allow publish lite:chat/a-1", "deny publish lite:chat/a-*"],
        ["allow publish *", "deny publish lite:*/a-1"],
    ] {
        assert_eq!(decision(&policies(&lines), "publish chat/a-1"), denied(1), "{lines:?}");
        let turned = policies(&[lines[1], lines[0]]);
        assert_eq!(decision(&turned, "publish chat/a-1"), denied(0), "{lines:?}");
    }
}

#[test]
fn a_topic_includes_its_lite_topics_and_a_lite_topic_not_its_topic() {
    let topic = policies(&["allow manage topic:chat"]);
    for request in
        ["manage chat", "manage chat/", "manage chat/a", "manage chat/a*", "manage chat/*"]
    {
        assert_eq!(decision(&topic, request), allowed(0), "{request}");
    }
    let lite = policies(&["allow manage lite:chat/a-*"]);
    for (request, expected) in [
        ("manage chat", allowed(0)),
        ("manage chat/", Decision::Unmentioned),
        ("manage chat/*", Decision::Unmentioned),
        ("manage chat/a*", Decision::Unmentioned),
        ("manage chat/a-*", allowed(0)),
        ("manage chat/a-1*", allowed(0)),
        ("manage chat/a-1", allowed(0)),
        ("manage chat/b-1", Decision::Unmentioned),
    ] {
        assert_eq!(decision(&lite, request), expected, "{request}");
    }
    let all = policies(&["allow subscribe lite:chat/*"]);
    assert_eq!(decision(&all, "subscribe chat/*"), allowed(0));
    assert_eq!(decision(&all, "subscribe chat/"), Decision::Unmentioned);
}

#[test]
fn one_denied_lite_topic_refuses_all_that_includes_it_and_nothing_else() {
    let policies = policies(&["allow subscribe topic:chat", "deny subscribe lite:chat/secret-1"]);
    for (request, expected) in [
        ("subscribe chat/secret-1", denied(1)),
        ("subscribe chat/secret-*", denied(1)),
        ("subscribe chat/*", denied(1)),
        ("subscribe chat/", denied(1)),
        ("subscribe chat/secret-2", allowed(0)),
        ("subscribe chat/a*", allowed(0)),
        ("subscribe chat", allowed(0)),
    ] {
        assert_eq!(decision(&policies, request), expected, "{request}");
    }
}

#[test]
fn a_topic_can_be_asked_for_unless_all_that_is_allowed_of_it_is_denied() {
    for (deny, expected) in [
        ("deny publish lite:chat/a-1", allowed(0)),
        ("deny publish lite:chat/b*", allowed(0)),
        ("deny publish lite:chat/a-*", denied(1)),
        ("deny publish lite:chat/a*", denied(1)),
        ("deny publish topic:chat", denied(1)),
    ] {
        let policies = policies(&["allow publish lite:chat/a-*", deny]);
        assert_eq!(decision(&policies, "publish chat"), expected, "{deny}");
    }
}

#[test]
fn a_policy_of_a_network_is_about_requests_from_there() {
    let policies = policies(&[
        "allow publish topic:chat from 10.0.0.0/8",
        "deny publish topic:chat from 10.6.0.0/16",
    ]);
    for (address, expected) in [
        ("10.1.2.3", allowed(0)),
        ("10.6.0.1", denied(1)),
        ("192.0.2.7", Decision::Unmentioned),
        ("2001:db8::1", Decision::Unmentioned),
    ] {
        assert_eq!(decision_from(&policies, "publish chat/a", address), expected, "{address}");
    }
}

fn user(id: UserId, name: &str, kind: UserKind) -> User {
    User {
        id,
        name: UserName::new(name).unwrap(),
        secret: Secret::new("correct-horse").unwrap(),
        kind,
        enabled: true,
        created_at: Timestamp(0),
    }
}

#[test]
fn a_user_takes_its_policies_along_and_numbers_are_never_used_again() {
    let mut directory = Directory::default();
    let id = directory.take_user_id().unwrap();
    directory.put_user(user(id, "a", UserKind::Normal));
    let account = Arc::clone(directory.existing("a").unwrap());
    let first = directory.take_policy_id(&account).unwrap();
    let line = policy(0, "allow publish topic:chat");
    assert!(directory.put_policy(Policy { id: first, user: id, ..line.clone() }));
    assert!(account.policies.is_empty(), "what a reader holds does not change");
    assert_eq!(directory.policy(first).unwrap().0.user.id, id);

    directory.put_user(User { enabled: false, ..user(id, "a", UserKind::Normal) });
    assert_eq!(directory.existing("a").unwrap().policies.len(), 1);
    directory.remove_user(id);
    assert!(directory.account("a").is_none() && directory.policy(first).is_none());
    assert!(!directory.put_policy(Policy { id: first, user: id, ..line }), "nobody is there");

    let again = directory.take_user_id().unwrap();
    assert!(again > id);
    directory.put_user(user(again, "a", UserKind::Normal));
    assert!(directory.existing("a").unwrap().policies.is_empty());
    let account = Arc::clone(directory.existing("a").unwrap());
    assert!(directory.take_policy_id(&account).unwrap() > first);
    assert_eq!(directory.existing("b").unwrap_err().code, ErrorCode::UserNotFound);
}

#[test]
fn users_and_the_policies_of_one_are_bounded() {
    let mut directory = Directory::default();
    for n in 0..USERS_MAX {
        let id = directory.take_user_id().unwrap();
        directory.put_user(user(id, &n.to_string(), UserKind::Normal));
    }
    assert_eq!(directory.take_user_id().unwrap_err().code, ErrorCode::InUse);
    for _ in 0..POLICIES_PER_USER_MAX {
        let account = Arc::clone(directory.existing("7").unwrap());
        let id = directory.take_policy_id(&account).unwrap();
        let line = policy(0, "allow publish topic:chat");
        assert!(directory.put_policy(Policy { id, user: account.user.id, ..line }));
    }
    let account = Arc::clone(directory.existing("7").unwrap());
    assert_eq!(directory.take_policy_id(&account).unwrap_err().code, ErrorCode::InUse);
}

#[test]
fn a_disabled_super_user_is_none() {
    let mut directory = Directory::default();
    let id = directory.take_user_id().unwrap();
    directory.put_user(user(id, "root", UserKind::Super));
    assert!(directory.has_super_user());
    directory.put_user(User { enabled: false, ..user(id, "root", UserKind::Super) });
    assert!(!directory.has_super_user());
}

/// Requests that are decided by one set of policies; each cycle has a set.
const REQUESTS_PER_SET: usize = 20;

#[test]
fn a_request_is_decided_as_the_plain_model_of_single_names_does() {
    let (cycles, seed) = cycles_and_seed();
    let (mut allowed, mut denied, mut unmentioned) = (0, 0, 0);
    for cycle in 0..cycles {
        let own_seed = seed.wrapping_add(cycle);
        let mut dice = Dice::of(own_seed).fork("policies");
        let lines: Vec<String> = (0..dice.within(1..6)).map(|_| plain::line(&mut dice)).collect();
        let set = policies(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        for _ in 0..REQUESTS_PER_SET {
            let (request, address) = (plain::request(&mut dice), plain::address(&mut dice));
            let found = decision_from(&set, &request, address);
            let expected = plain::allows(&set, &request, address.parse::<IpAddr>().unwrap());
            if matches!(found, Decision::Allowed(_)) != expected {
                say(&format!("replay: ./prove model --seed {own_seed} --cycles 1"));
                panic!("{request} from {address}: {found:?} by {lines:#?}");
            }
            match found {
                Decision::Allowed(_) => allowed += 1,
                Decision::Denied(_) => denied += 1,
                Decision::Unmentioned => unmentioned += 1,
            }
        }
    }
    say(&format!("figures: allowed={allowed} denied={denied} unmentioned={unmentioned}"));
    assert!(allowed > 0 && denied > 0 && unmentioned > 0);
}
