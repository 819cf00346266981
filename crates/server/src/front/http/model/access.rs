//! Users and policies.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A secret on its way between its owner and the server; never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct SecretText(pub String);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

/// A user to create.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUserForm {
    /// 1 to 64 letters, digits, `_`, `-`, `.`, `@`. It is the access key.
    pub name: String,
    /// 8 to 64 visible ASCII characters; drawn by the server when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretText>,
    /// Whether it may do everything. No by default.
    #[serde(default, rename = "super")]
    pub is_super: bool,
    /// Whether its signature is accepted. Yes by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// What to change of a user; what is absent stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChangeForm {
    /// Whether its signature is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Whether it may do everything.
    #[serde(default, rename = "super", skip_serializing_if = "Option::is_none")]
    pub is_super: Option<bool>,
}

/// Another secret for a user.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSecretForm {
    /// 8 to 64 visible ASCII characters; drawn by the server when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretText>,
}

/// A user. Its secret is not told.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UserView {
    /// Its name, which is its access key.
    pub name: String,
    /// Whether it may do everything.
    #[serde(rename = "super")]
    pub is_super: bool,
    /// Whether its signature is accepted.
    pub enabled: bool,
    /// How many policies it has.
    pub policies: usize,
    /// When it was created.
    pub created_at: String,
}

/// A user with the secret that it was given just now.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UserSecretView {
    /// The user.
    #[serde(flatten)]
    pub user: UserView,
    /// Its secret; keep it, it is not told again.
    pub secret: SecretText,
}

/// All users, by name.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UserList {
    /// The users.
    pub users: Vec<UserView>,
}

/// What a policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EffectName {
    /// It may be done.
    Allow,
    /// It may not be done, whatever else allows it.
    Deny,
}

/// What can be done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ActionName {
    /// Send messages.
    Publish,
    /// Subscribe, receive, settle, look at messages.
    Subscribe,
    /// Administer.
    Manage,
}

/// A policy to create.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPolicyForm {
    /// Whom it is about.
    pub user: String,
    /// What it says.
    pub effect: EffectName,
    /// About which actions; one at least.
    pub actions: Vec<ActionName>,
    /// `cluster`, `topic:NAME`, `group:NAME`, `lite:TOPIC/NAME` or `*`; a name may end in `*`.
    pub resource: String,
    /// From which network, such as `10.0.0.0/8`; from anywhere when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// A policy.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PolicyView {
    /// Its number.
    pub id: u32,
    /// Whom it is about.
    pub user: String,
    /// What it says.
    pub effect: EffectName,
    /// About which actions.
    pub actions: Vec<ActionName>,
    /// On which resource.
    pub resource: String,
    /// From which network; absent is from anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When it was created.
    pub created_at: String,
}

/// A page of policies, by user and number.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PolicyList {
    /// The policies.
    pub policies: Vec<PolicyView>,
    /// `after` of the next page; absent when this is the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which policies.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PolicyQuery {
    /// Only those of this user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Only those after this one; `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most so many, 1 to 1000; 100 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A request to decide about.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyTestForm {
    /// Who asks.
    pub user: String,
    /// What is to be done.
    pub action: ActionName,
    /// To what: `cluster`, one `topic:NAME` with all its lite topics, one `group:NAME`,
    /// `lite:TOPIC/NAME`, or `lite:TOPIC/PREFIX*` for all that start so.
    pub resource: String,
    /// From where; `127.0.0.1` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// What was decided.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PolicyTestView {
    /// Whether the request would be served.
    pub allowed: bool,
    /// Why, for people.
    pub reason: String,
    /// The policy that decides, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyView>,
}
