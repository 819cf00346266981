//! All users with their policies, as one value that readers share and a writer replaces.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::policy::{Policy, PolicyId};
use super::user::{User, UserId, UserKind};
use crate::error::{Error, ErrorCode, Result};
use crate::limits::{POLICIES_PER_USER_MAX, USERS_MAX};
use crate::names::UserName;

/// A user with its policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: User,
    /// Its policies by number.
    pub policies: Vec<Arc<Policy>>,
}

/// Numbers handed out so far; they are never handed out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccessCounters {
    /// The next user's number.
    pub next_user: u32,
    /// The next policy's number.
    pub next_policy: u32,
}

/// All users with their policies. A copy shares what is not changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    accounts: BTreeMap<UserName, Arc<Account>>,
    names: BTreeMap<UserId, UserName>,
    owners: BTreeMap<PolicyId, UserId>,
    counters: AccessCounters,
}

impl Directory {
    /// The account of this name.
    pub fn account(&self, name: &str) -> Option<&Arc<Account>> {
        self.accounts.get(name)
    }

    /// The same, when a user must be there.
    ///
    /// # Errors
    /// [`ErrorCode::UserNotFound`].
    pub fn existing(&self, name: &str) -> Result<&Arc<Account>> {
        self.account(name).ok_or_else(|| {
            Error::new(
                ErrorCode::UserNotFound,
                format!("there is no user '{}'; create it first", name.escape_debug()),
            )
        })
    }

    /// All accounts by name.
    pub fn accounts(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.accounts.values()
    }

    /// The policy of this number, with its user.
    pub fn policy(&self, id: PolicyId) -> Option<(&Arc<Account>, &Arc<Policy>)> {
        let account = self.of(*self.owners.get(&id)?)?;
        account.policies.iter().find(|policy| policy.id == id).map(|policy| (account, policy))
    }

    /// Numbers handed out so far.
    pub fn counters(&self) -> AccessCounters {
        self.counters
    }

    /// Sets the numbers that were handed out, as recovered.
    pub fn set_counters(&mut self, counters: AccessCounters) {
        self.counters = counters;
    }

    /// A number for a new user.
    ///
    /// # Errors
    /// [`ErrorCode::InUse`] when there are [`USERS_MAX`] already.
    pub fn take_user_id(&mut self) -> Result<UserId> {
        if self.accounts.len() >= USERS_MAX {
            return Err(Error::new(
                ErrorCode::InUse,
                format!("there are {USERS_MAX} users already; delete one first"),
            ));
        }
        let id = self.counters.next_user;
        self.counters.next_user = id.checked_add(1).ok_or_else(used_up)?;
        Ok(UserId(id))
    }

    /// A number for a new policy of this user.
    ///
    /// # Errors
    /// [`ErrorCode::InUse`] when it has [`POLICIES_PER_USER_MAX`] already.
    pub fn take_policy_id(&mut self, account: &Account) -> Result<PolicyId> {
        if account.policies.len() >= POLICIES_PER_USER_MAX {
            return Err(Error::new(
                ErrorCode::InUse,
                format!(
                    "user '{}' has {POLICIES_PER_USER_MAX} policies already; remove one first",
                    account.user.name
                ),
            ));
        }
        let id = self.counters.next_policy;
        self.counters.next_policy = id.checked_add(1).ok_or_else(used_up)?;
        Ok(PolicyId(id))
    }

    /// Adds a user, or changes it; its policies stay.
    pub fn put_user(&mut self, user: User) {
        let policies = self.of(user.id).map(|account| account.policies.clone()).unwrap_or_default();
        self.names.insert(user.id, user.name.clone());
        self.accounts.insert(user.name.clone(), Arc::new(Account { user, policies }));
    }

    /// Takes a user out with its policies.
    pub fn remove_user(&mut self, id: UserId) {
        let Some(name) = self.names.remove(&id) else { return };
        self.accounts.remove(&name);
        self.owners.retain(|_, owner| *owner != id);
    }

    /// Adds a policy, or replaces the one of its number; whether its user is there.
    pub fn put_policy(&mut self, policy: Policy) -> bool {
        let (id, owner) = (policy.id, policy.user);
        let changed = self.change_policies(owner, |policies| {
            policies.retain(|other| other.id != id);
            let at = policies.partition_point(|other| other.id < id);
            policies.insert(at, Arc::new(policy));
        });
        if changed {
            self.owners.insert(id, owner);
        }
        changed
    }

    /// Takes a policy out.
    pub fn remove_policy(&mut self, id: PolicyId) {
        if let Some(owner) = self.owners.remove(&id) {
            self.change_policies(owner, |policies| policies.retain(|policy| policy.id != id));
        }
    }

    /// Whether a super user could sign in.
    pub fn has_super_user(&self) -> bool {
        self.accounts().any(|account| account.user.kind == UserKind::Super && account.user.enabled)
    }

    fn of(&self, id: UserId) -> Option<&Arc<Account>> {
        self.accounts.get(self.names.get(&id)?)
    }

    fn change_policies(
        &mut self,
        owner: UserId,
        change: impl FnOnce(&mut Vec<Arc<Policy>>),
    ) -> bool {
        let account = self.names.get(&owner).and_then(|name| self.accounts.get_mut(name));
        let Some(account) = account else { return false };
        change(&mut Arc::make_mut(account).policies);
        true
    }
}

fn used_up() -> Error {
    Error::new(ErrorCode::Internal, "all numbers of users or policies are used up")
}
