//! Changing users and policies: durable first, then published. Like every change of the catalog,
//! one at a time and to its end.

use std::sync::Arc;

use ipnet::IpNet;
use litemq_domain::access::{
    Account, Actions, Directory, Effect, Policy, PolicyId, Resource, Secret, User, UserKind,
};
use litemq_domain::persisted::{
    access_counters_key, access_counters_value, policy_key, policy_value, user_key, user_value,
};
use litemq_domain::{Error, ErrorCode, Result, UserName};
use litemq_storage::Op;

use super::Broker;
use super::admin::{delete, put};
use crate::access::Access;

/// A user to create.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Its name, which is its access key.
    pub name: UserName,
    /// What it signs with.
    pub secret: Secret,
    /// Whether it is asked for policies.
    pub kind: UserKind,
    /// Whether its signature is accepted.
    pub enabled: bool,
}

/// What to change of a user; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// See [`NewUser::secret`].
    pub secret: Option<Secret>,
    /// See [`NewUser::kind`].
    pub kind: Option<UserKind>,
    /// See [`NewUser::enabled`].
    pub enabled: Option<bool>,
}

/// A policy to create.
#[derive(Debug, Clone)]
pub struct NewPolicy {
    /// Whom it is about.
    pub user: UserName,
    /// What it says.
    pub effect: Effect,
    /// About which actions.
    pub actions: Actions,
    /// On which resource.
    pub resource: Resource,
    /// From where; `None` is from anywhere.
    pub source: Option<IpNet>,
}

impl Broker {
    /// Who may do what.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Creates a user.
    ///
    /// # Errors
    /// [`ErrorCode::AlreadyExists`]; [`ErrorCode::InUse`] when there are too many.
    pub async fn create_user(&self, new: NewUser) -> Result<Arc<Account>> {
        self.to_the_end(|broker| async move { broker.make_user(new).await }).await
    }

    /// Changes a user. A new secret, and a user that is disabled, end what its clients have under
    /// way.
    ///
    /// # Errors
    /// [`ErrorCode::UserNotFound`]; [`ErrorCode::InUse`] when nobody could administer any more.
    pub async fn update_user(&self, name: &str, change: UserChange) -> Result<Arc<Account>> {
        let name = name.to_owned();
        self.to_the_end(|broker| async move { broker.change_user(&name, change).await }).await
    }

    /// Deletes a user with its policies.
    ///
    /// # Errors
    /// As [`Self::update_user`].
    pub async fn delete_user(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.to_the_end(|broker| async move { broker.drop_user(&name).await }).await
    }

    /// Creates a policy.
    ///
    /// # Errors
    /// [`ErrorCode::UserNotFound`]; [`ErrorCode::InUse`] when the user has too many.
    pub async fn create_policy(&self, new: NewPolicy) -> Result<Policy> {
        self.to_the_end(|broker| async move { broker.make_policy(new).await }).await
    }

    /// Deletes a policy.
    ///
    /// # Errors
    /// [`ErrorCode::PolicyNotFound`].
    pub async fn delete_policy(&self, id: PolicyId) -> Result<()> {
        self.to_the_end(|broker| async move { broker.drop_policy(id).await }).await
    }

    async fn make_user(&self, new: NewUser) -> Result<Arc<Account>> {
        let _counters = self.counters.lock().await;
        let mut directory = self.directory();
        if directory.account(new.name.as_str()).is_some() {
            return Err(Error::new(
                ErrorCode::AlreadyExists,
                format!("user '{}' exists; change it instead", new.name),
            ));
        }
        let user = User {
            id: directory.take_user_id()?,
            name: new.name,
            secret: new.secret,
            kind: new.kind,
            enabled: new.enabled,
            created_at: self.now(),
        };
        self.persist(vec![put_user(&user), put_access_counters(&directory)]).await?;
        self.publish_user(directory, user)
    }

    async fn change_user(&self, name: &str, change: UserChange) -> Result<Arc<Account>> {
        let _counters = self.counters.lock().await;
        let mut directory = self.directory();
        let mut user = directory.existing(name)?.user.clone();
        user.secret = change.secret.clone().unwrap_or(user.secret);
        user.kind = change.kind.unwrap_or(user.kind);
        user.enabled = change.enabled.unwrap_or(user.enabled);
        directory.put_user(user.clone());
        self.check_administered(&directory)?;
        self.persist(vec![put_user(&user)]).await?;
        let is_revoked = change.secret.is_some() || !user.enabled;
        let account = self.publish_user(directory, user)?;
        if is_revoked {
            self.end_clients_of(&account.user.name).await?;
        }
        Ok(account)
    }

    async fn drop_user(&self, name: &str) -> Result<()> {
        let _counters = self.counters.lock().await;
        let mut directory = self.directory();
        let account = Arc::clone(directory.existing(name)?);
        directory.remove_user(account.user.id);
        self.check_administered(&directory)?;
        let policies = account.policies.iter().map(|policy| delete(policy_key(policy.id)));
        self.persist(policies.chain([delete(user_key(account.user.id))]).collect()).await?;
        self.access().publish(directory);
        self.end_clients_of(&account.user.name).await
    }

    async fn make_policy(&self, new: NewPolicy) -> Result<Policy> {
        let _counters = self.counters.lock().await;
        let mut directory = self.directory();
        let account = Arc::clone(directory.existing(new.user.as_str())?);
        let policy = Policy {
            id: directory.take_policy_id(&account)?,
            user: account.user.id,
            effect: new.effect,
            actions: new.actions,
            resource: new.resource,
            source: new.source,
            created_at: self.now(),
        };
        self.persist(vec![put_policy(&policy), put_access_counters(&directory)]).await?;
        directory.put_policy(policy.clone());
        self.access().publish(directory);
        Ok(policy)
    }

    async fn drop_policy(&self, id: PolicyId) -> Result<()> {
        let _counters = self.counters.lock().await;
        let mut directory = self.directory();
        if directory.policy(id).is_none() {
            return Err(Error::new(
                ErrorCode::PolicyNotFound,
                format!("there is no policy {}", id.0),
            ));
        }
        directory.remove_policy(id);
        self.persist(vec![delete(policy_key(id))]).await?;
        self.access().publish(directory);
        Ok(())
    }

    /// A copy to change.
    fn directory(&self) -> Directory {
        (*self.access().directory()).clone()
    }

    fn publish_user(&self, mut directory: Directory, user: User) -> Result<Arc<Account>> {
        let name = user.name.clone();
        directory.put_user(user);
        let account = Arc::clone(directory.existing(name.as_str())?);
        self.access().publish(directory);
        Ok(account)
    }

    /// Refuses a change that would leave nobody who may undo it.
    fn check_administered(&self, after: &Directory) -> Result<()> {
        let before = self.access().directory();
        if !before.has_super_user() || after.has_super_user() {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::InUse,
            "it is the last super user that is enabled; create another one first",
        ))
    }
}

/// Everything about users and policies, for a checkpoint.
pub(super) fn put_directory(directory: &Directory) -> Vec<Op> {
    let mut ops = vec![put_access_counters(directory)];
    for account in directory.accounts() {
        ops.push(put_user(&account.user));
        ops.extend(account.policies.iter().map(|policy| put_policy(policy)));
    }
    ops
}

fn put_user(user: &User) -> Op {
    put(user_key(user.id), user_value(user))
}

fn put_policy(policy: &Policy) -> Op {
    put(policy_key(policy.id), policy_value(policy))
}

fn put_access_counters(directory: &Directory) -> Op {
    put(access_counters_key(), access_counters_value(directory.counters()))
}
