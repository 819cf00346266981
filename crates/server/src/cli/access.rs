//! Users and policies.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::CliError;
use super::args::{ActionArg, EffectArg, PolicyCommand, UserCommand};
use super::client::{Client, segment, visible};
use super::commands::Output;
use super::table::{write_properties, write_table};
use crate::front::http::model::{
    ActionName, EffectName, NewPolicyForm, NewSecretForm, NewUserForm, PolicyList, PolicyTestForm,
    PolicyTestView, PolicyView, SecretText, UserChangeForm, UserList, UserSecretView, UserView,
};

/// The variable with the secret of the caller.
const SECRET_VARIABLE: &str = "LITEMQ_SECRET";

/// The name and the secret of the caller, if it gives a name.
pub(super) fn credentials(
    user: Option<String>,
    secret_file: Option<&Path>,
) -> Result<Option<(String, String)>, CliError> {
    let Some(user) = user.filter(|user| !user.is_empty()) else { return Ok(None) };
    let secret = match (secret_file, std::env::var(SECRET_VARIABLE)) {
        (Some(path), _) => read_secret(path)?,
        (None, Ok(secret)) => secret,
        (None, Err(_)) => {
            return Err(CliError::Usage(format!(
                "--user needs its secret: set {SECRET_VARIABLE}, or give --secret-file"
            )));
        }
    };
    Ok(Some((user, secret)))
}

pub(super) fn user(
    command: UserCommand,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    match command {
        UserCommand::Create { name, is_super, disabled, new_secret_file } => {
            let secret = given(new_secret_file)?;
            let enabled = Some(!disabled);
            let view: UserSecretView =
                client.post("users", &NewUserForm { name, secret, is_super, enabled })?;
            output.print(&view, describe_secret)
        }
        UserCommand::List => {
            let list: UserList = client.get("users", &[])?;
            output.print(&list, |out, list| {
                let header = ["NAME", "KIND", "ENABLED", "POLICIES", "CREATED"];
                let rows = list.users.iter().map(|view| {
                    [
                        view.name.clone(),
                        kind(view).to_owned(),
                        view.enabled.to_string(),
                        view.policies.to_string(),
                        view.created_at.clone(),
                    ]
                });
                write_table(out, header, rows.collect())
            })
        }
        UserCommand::Enable { name } => enable(&name, true, client, output),
        UserCommand::Disable { name } => enable(&name, false, client, output),
        UserCommand::Delete { name } => {
            client.delete(&format!("users/{}", segment(&name)))?;
            output.deleted("user", &name)
        }
        UserCommand::Rotate { name, new_secret_file } => {
            let form = NewSecretForm { secret: given(new_secret_file)? };
            let path = format!("users/{}/secret", segment(&name));
            let view: UserSecretView = client.post(&path, &form)?;
            output.print(&view, describe_secret)
        }
    }
}

pub(super) fn policy(
    command: PolicyCommand,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    match command {
        PolicyCommand::Add { name, effect, actions, resource, from } => {
            let form = NewPolicyForm {
                user: name,
                effect: match effect {
                    EffectArg::Allow => EffectName::Allow,
                    EffectArg::Deny => EffectName::Deny,
                },
                actions: actions.into_iter().map(action).collect(),
                resource,
                source: from,
            };
            let view: PolicyView = client.post("policies", &form)?;
            output.print(&view, |out, view| write_policies(out, &[view]))
        }
        PolicyCommand::List { name, limit, after } => {
            let limit = limit.map(|limit| limit.to_string());
            let query = [("user", name), ("limit", limit), ("after", after)];
            let list: PolicyList = client.get("policies", &query)?;
            output.print(&list, |out, list| {
                write_policies(out, &list.policies.iter().collect::<Vec<_>>())?;
                match &list.next {
                    Some(next) => writeln!(out, "more: --after {}", visible(next)),
                    None => Ok(()),
                }
            })
        }
        PolicyCommand::Remove { id } => {
            client.delete(&format!("policies/{id}"))?;
            output.deleted("policy", &id.to_string())
        }
        PolicyCommand::Test { name, action: of, resource, from } => {
            let form = PolicyTestForm { user: name, action: action(of), resource, address: from };
            let view: PolicyTestView = client.post("policies/test", &form)?;
            output.print(&view, |out, view| {
                let decision = if view.allowed { "allowed" } else { "refused" };
                writeln!(out, "{decision}: {}", visible(&view.reason))?;
                match &view.policy {
                    Some(policy) => write_policies(out, &[policy]),
                    None => Ok(()),
                }
            })
        }
    }
}

fn enable(
    name: &str,
    enabled: bool,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let form = UserChangeForm { enabled: Some(enabled), ..UserChangeForm::default() };
    let view: UserView = client.patch(&format!("users/{}", segment(name)), &form)?;
    output.print(&view, describe_user)
}

/// The secret in a file, if one is named.
fn given(path: Option<PathBuf>) -> Result<Option<SecretText>, CliError> {
    path.map(|path| read_secret(&path).map(SecretText)).transpose()
}

/// Editors end a file with a line break.
fn read_secret(path: &Path) -> Result<String, CliError> {
    let text = fs::read_to_string(path).map_err(|error| {
        CliError::Failed(format!("cannot read {}: {error}", visible(&path.to_string_lossy())))
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn describe_user(out: &mut dyn Write, view: &UserView) -> io::Result<()> {
    write_properties(out, &properties(view))
}

fn describe_secret(out: &mut dyn Write, view: &UserSecretView) -> io::Result<()> {
    let mut properties = properties(&view.user);
    properties.push(("secret", view.secret.0.clone()));
    write_properties(out, &properties)
}

fn properties(view: &UserView) -> Vec<(&'static str, String)> {
    vec![
        ("name", view.name.clone()),
        ("kind", kind(view).to_owned()),
        ("enabled", view.enabled.to_string()),
        ("policies", view.policies.to_string()),
        ("created", view.created_at.clone()),
    ]
}

fn write_policies(out: &mut dyn Write, policies: &[&PolicyView]) -> io::Result<()> {
    let header = ["ID", "USER", "EFFECT", "ACTIONS", "RESOURCE", "FROM"];
    let rows = policies.iter().map(|view| {
        let actions: Vec<_> = view.actions.iter().map(|action| action_name(*action)).collect();
        [
            view.id.to_string(),
            view.user.clone(),
            effect_name(view.effect).to_owned(),
            actions.join(","),
            view.resource.clone(),
            view.source.clone().unwrap_or_else(|| "anywhere".to_owned()),
        ]
    });
    write_table(out, header, rows.collect())
}

fn kind(view: &UserView) -> &'static str {
    if view.is_super { "super" } else { "normal" }
}

fn action(arg: ActionArg) -> ActionName {
    match arg {
        ActionArg::Publish => ActionName::Publish,
        ActionArg::Subscribe => ActionName::Subscribe,
        ActionArg::Manage => ActionName::Manage,
    }
}

fn action_name(action: ActionName) -> &'static str {
    match action {
        ActionName::Publish => "publish",
        ActionName::Subscribe => "subscribe",
        ActionName::Manage => "manage",
    }
}

fn effect_name(effect: EffectName) -> &'static str {
    match effect {
        EffectName::Allow => "allow",
        EffectName::Deny => "deny",
    }
}
