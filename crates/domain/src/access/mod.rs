//! Who may do what: users, their policies, and the decision.
//!
//! A user signs with an access key, which is its name, and a secret. A policy allows or denies one
//! user actions on a resource, perhaps from one network only. A denial wins over every permission,
//! and what no policy mentions is refused. A super user is asked for no policy.

mod decide;
mod directory;
mod pattern;
mod policy;
mod user;

pub use decide::{Asked, Decision, Scope, Target, decide};
pub use directory::{AccessCounters, Account, Directory};
pub use pattern::{NamePattern, Resource};
pub use policy::{Action, Actions, Effect, Policy, PolicyId};
pub use user::{Secret, User, UserId, UserKind};
