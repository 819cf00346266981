//! Policies.

use std::fmt;

use ipnet::IpNet;

use super::pattern::Resource;
use super::user::UserId;
use crate::time::Timestamp;

/// A policy's number. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyId(pub u32);

/// What a policy says about what it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It may be done.
    Allow,
    /// It may not be done, whatever else allows it.
    Deny,
}

/// What can be done to a resource. None of them includes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Send messages.
    Publish,
    /// Subscribe, receive, settle, look at messages.
    Subscribe,
    /// Administer: create, change, describe, list, delete.
    Manage,
}

/// One or more actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Actions(u8);

/// One sentence about what a user may or may not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its number.
    pub id: PolicyId,
    /// Whom it is about.
    pub user: UserId,
    /// What it says.
    pub effect: Effect,
    /// About which actions.
    pub actions: Actions,
    /// On which resource.
    pub resource: Resource,
    /// From where; `None` is from anywhere.
    pub source: Option<IpNet>,
    /// When it was created.
    pub created_at: Timestamp,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 3] = [Self::Publish, Self::Subscribe, Self::Manage];

    fn bit(self) -> u8 {
        match self {
            Self::Publish => 1,
            Self::Subscribe => 2,
            Self::Manage => 4,
        }
    }
}

impl Actions {
    /// These actions; `None` when there are none.
    pub fn new(actions: &[Action]) -> Option<Self> {
        Self::from_bits(actions.iter().fold(0, |bits, action| bits | action.bit()))
    }

    /// Whether an action is one of them.
    pub fn has(self, action: Action) -> bool {
        self.0 & action.bit() != 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL.into_iter().filter(move |action| self.has(*action))
    }

    /// As a number for the log: publish 1, subscribe 2, manage 4.
    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    pub(crate) fn from_bits(bits: u8) -> Option<Self> {
        (1..8).contains(&bits).then_some(Self(bits))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Publish => "publish",
            Self::Subscribe => "subscribe",
            Self::Manage => "manage",
        })
    }
}
