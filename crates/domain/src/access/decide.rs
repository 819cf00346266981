//! The decision about one request of one user.
//!
//! A request is about one resource or about many: all lite topics with a prefix, or a topic with
//! everything below. Such a request is allowed when one policy allows all of it and none denies any
//! of it; permissions that only together make up the whole are not added up.

use std::net::IpAddr;
use std::sync::Arc;

use super::pattern::{NamePattern, Resource};
use super::policy::{Action, Effect, Policy, PolicyId};
use crate::group::SubscriptionMode;

/// What a request is about. Names are full names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// What belongs to no topic or group.
    Cluster,
    /// A consumer group.
    Group(&'a str),
    /// A topic, or lite topics of it.
    Topic(&'a str, Scope<'a>),
}

/// How much of a topic a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// The topic itself with all its lite topics.
    Whole,
    /// All lite topics whose names start so, those that do not exist yet among them.
    All(&'a str),
    /// One lite topic.
    One(&'a str),
    /// No lite topic in particular, such as the question where the topic is: whoever may do
    /// something to some part of it may ask.
    Some,
}

impl<'a> Scope<'a> {
    /// What clients of a group in this mode get without naming it.
    pub fn unnamed(mode: &'a SubscriptionMode) -> Self {
        match mode {
            SubscriptionMode::Shared | SubscriptionMode::Exclusive => Self::Some,
            SubscriptionMode::Wildcard(prefix) => Self::All(prefix.as_str()),
        }
    }

    /// All that a group in this mode may consume.
    pub fn reach(mode: &'a SubscriptionMode) -> Self {
        match mode {
            SubscriptionMode::Shared | SubscriptionMode::Exclusive => Self::All(""),
            SubscriptionMode::Wildcard(prefix) => Self::All(prefix.as_str()),
        }
    }
}

/// One request of a user.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What is to be done.
    pub action: Action,
    /// To what.
    pub target: Target<'a>,
    /// From where.
    pub address: IpAddr,
}

/// What the policies say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// This policy allows it, and none denies it.
    Allowed(PolicyId),
    /// This policy denies it.
    Denied(PolicyId),
    /// No policy is about it, so it is refused.
    Unmentioned,
}

/// Decides by the policies of the user who asks. Allocates nothing.
pub fn decide(policies: &[Arc<Policy>], asked: Asked<'_>) -> Decision {
    let applies = |policy: &&Arc<Policy>| {
        policy.actions.has(asked.action)
            && policy.source.is_none_or(|source| source.contains(&asked.address))
    };
    let applying = |effect: Effect| {
        policies.iter().filter(applies).filter(move |policy| policy.effect == effect)
    };
    match asked.target {
        Target::Topic(topic, Scope::Some) => {
            let mut decision = Decision::Unmentioned;
            for allow in applying(Effect::Allow) {
                let Some(part) = part_of(&allow.resource, topic) else { continue };
                match applying(Effect::Deny).find(|deny| has_part(&deny.resource, topic, part)) {
                    None => return Decision::Allowed(allow.id),
                    Some(deny) => decision = Decision::Denied(deny.id),
                }
            }
            decision
        }
        target => {
            if let Some(deny) = applying(Effect::Deny).find(|deny| meets(&deny.resource, target)) {
                return Decision::Denied(deny.id);
            }
            applying(Effect::Allow)
                .find(|allow| contains(&allow.resource, target))
                .map_or(Decision::Unmentioned, |allow| Decision::Allowed(allow.id))
        }
    }
}

/// Whether all that is asked for is of the resource.
fn contains(resource: &Resource, target: Target<'_>) -> bool {
    match (resource, target) {
        (Resource::Any, _) | (Resource::Cluster, Target::Cluster) => true,
        (Resource::Group(own), Target::Group(name)) => own.has(name),
        (Resource::Topic(own), Target::Topic(name, _)) => own.has(name),
        (Resource::Lite { topic, name }, Target::Topic(parent, scope)) => {
            topic.has(parent)
                && match scope {
                    Scope::Whole | Scope::Some => false,
                    Scope::All(prefix) => name.has_all_of(prefix),
                    Scope::One(lite) => name.has(lite),
                }
        }
        _ => false,
    }
}

/// Whether something of what is asked for is of the resource.
fn meets(resource: &Resource, target: Target<'_>) -> bool {
    match (resource, target) {
        (Resource::Lite { topic, name }, Target::Topic(parent, scope)) => {
            topic.has(parent)
                && match scope {
                    Scope::Whole | Scope::Some => true,
                    Scope::All(prefix) => name.has_some_of(prefix),
                    Scope::One(lite) => name.has(lite),
                }
        }
        _ => contains(resource, target),
    }
}

/// What a resource has of a topic: all of it, or lite topics by these names.
#[derive(Debug, Clone, Copy)]
enum Part<'a> {
    Whole,
    Lite(&'a NamePattern),
}

fn part_of<'a>(resource: &'a Resource, topic: &str) -> Option<Part<'a>> {
    match resource {
        Resource::Any => Some(Part::Whole),
        Resource::Topic(own) => own.has(topic).then_some(Part::Whole),
        Resource::Lite { topic: own, name } => own.has(topic).then_some(Part::Lite(name)),
        Resource::Cluster | Resource::Group(_) => None,
    }
}

/// Whether all of a part of a topic is of the resource.
fn has_part(resource: &Resource, topic: &str, part: Part<'_>) -> bool {
    match (part_of(resource, topic), part) {
        (None, _) | (Some(Part::Lite(_)), Part::Whole) => false,
        (Some(Part::Whole), _) => true,
        (Some(Part::Lite(own)), Part::Lite(other)) => own.contains(other),
    }
}
