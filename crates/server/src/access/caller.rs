//! A caller, and the question what it may do.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use litemq_domain::access::{Account, Action, Asked, Decision, Scope, Target, UserKind, decide};
use litemq_domain::{Error, ErrorCode, Result, UserName};

/// Who calls, and from where.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Absent while authentication is off.
    account: Option<Arc<Account>>,
    address: IpAddr,
}

impl Caller {
    /// Anybody, who may do everything because authentication is off.
    pub(super) fn anybody(address: IpAddr) -> Self {
        Self { account: None, address }
    }

    /// A user who has proved to be it.
    pub(super) fn of(account: Arc<Account>, address: IpAddr) -> Self {
        Self { account: Some(account), address }
    }

    /// The broker's own work, for which nobody called.
    pub fn internal() -> Self {
        Self::anybody(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }

    /// The user; nobody while authentication is off.
    pub fn user(&self) -> Option<&UserName> {
        self.account.as_ref().map(|account| &account.user.name)
    }

    pub(super) fn account(&self) -> Option<&Account> {
        self.account.as_deref()
    }

    /// Where it calls from.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Whether it is asked for no policy.
    pub fn is_super(&self) -> bool {
        self.account.as_ref().is_none_or(|account| account.user.kind == UserKind::Super)
    }

    /// Checks that it may do one of these actions.
    ///
    /// # Errors
    /// [`ErrorCode::PermissionDenied`] with who may not do what.
    pub fn may(&self, actions: &[Action], target: Target<'_>) -> Result<()> {
        if self.is_super() || actions.iter().any(|action| self.is_allowed(*action, target)) {
            return Ok(());
        }
        Err(self.refusal(actions, target))
    }

    fn is_allowed(&self, action: Action, target: Target<'_>) -> bool {
        let Some(account) = &self.account else { return true };
        let asked = Asked { action, target, address: self.address };
        matches!(decide(&account.policies, asked), Decision::Allowed(_))
    }

    fn refusal(&self, actions: &[Action], target: Target<'_>) -> Error {
        let user = self.user().map_or("", UserName::as_str);
        let actions: Vec<_> = actions.iter().copied().map(|action| verb(action, target)).collect();
        let what = match target {
            Target::Cluster => "the cluster".to_owned(),
            Target::Group(group) => format!("consumer group '{}'", group.escape_debug()),
            Target::Topic(topic, scope) => {
                let topic = topic.escape_debug();
                match scope {
                    Scope::Some | Scope::Whole => format!("topic '{topic}'"),
                    Scope::All("") => format!("all lite topics of topic '{topic}'"),
                    Scope::All(prefix) => {
                        let prefix = prefix.escape_debug();
                        format!("all lite topics '{prefix}*' of topic '{topic}'")
                    }
                    Scope::One(lite) => {
                        format!("lite topic '{}' of topic '{topic}'", lite.escape_debug())
                    }
                }
            }
        };
        Error::new(
            ErrorCode::PermissionDenied,
            format!("user '{user}' may not {} {what}", actions.join(" or ")),
        )
    }
}

fn verb(action: Action, target: Target<'_>) -> &'static str {
    match (action, target) {
        (Action::Publish, _) => "publish to",
        (Action::Subscribe, Target::Group(_)) => "subscribe for",
        (Action::Subscribe, _) => "subscribe to",
        (Action::Manage, _) => "manage",
    }
}
