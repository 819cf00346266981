//! Topics, groups and quotas that the configuration declares.
//!
//! A declaration holds at every start: what is missing is created, and a setting that the file
//! names and the broker has differently is changed to what the file says. What the file does not
//! name is left alone, and nothing is ever deleted. A group that is bound to another topic cannot
//! be changed, so the start fails and says so. The mode of a group cannot be changed while it has
//! subscribers, who do not leave while the broker is down: it stays, and the log says what to do. The
//! super user is declared in the same way.

use litemq_domain::access::{Secret, UserKind};
use litemq_domain::{
    Backoff, DurationMs, Error, ErrorCode, GroupName, GroupOptions, Result, SubscriptionMode,
    TopicName, TopicOptions, UserName, check_max_attempts, check_ttl,
};
use toml::de::DeValue;

use super::file::{Entry, TableReader, boolean, integer, string};
use super::units::{
    limit_from_number, parse_backoff, parse_limit, parse_mode, parse_quota, parse_ttl,
    quota_from_number, rate_from_number,
};
use super::{AccessConfig, Config, SuperUser};
use crate::broker::{Broker, GroupChange, NewGroup, NewTopic, NewUser, TopicChange, UserChange};

/// A topic of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDeclaration {
    /// Its name.
    pub name: TopicName,
    /// What of its options is named.
    pub options: TopicChange,
    /// The line of the file, from 1.
    pub line: usize,
}

/// A group of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDeclaration {
    /// Its name.
    pub name: GroupName,
    /// The parent topic that it consumes.
    pub bind: TopicName,
    /// Its options as far as they are named.
    pub options: GroupChange,
    /// The line of the file, from 1.
    pub line: usize,
}

/// Makes what the configuration declares true.
///
/// # Errors
/// The first declaration that cannot be made true, with its line.
pub async fn create_declared(broker: &Broker, config: &Config) -> Result<()> {
    let (quotas, change) = (broker.quotas().quotas, config.limits.quotas);
    if change.of(quotas) != quotas {
        tracing::info!(?quotas, ?change, "quotas changed to the declared ones");
        broker.set_quotas(change).await?;
    }
    for topic in &config.topics {
        topic.make_true(broker).await.map_err(|error| at("topic", topic.line, error))?;
    }
    for group in &config.groups {
        group.make_true(broker).await.map_err(|error| at("group", group.line, error))?;
    }
    Ok(())
}

/// Makes the super user of the configuration true: it is there, enabled, and has this secret. That
/// is also the way back in when every secret is lost.
///
/// # Errors
/// [`ErrorCode::BadRequest`] when callers must prove who they are and nobody could administer.
pub async fn ensure_super_user(broker: &Broker, config: &AccessConfig) -> Result<()> {
    if let Some(SuperUser { name, secret }) = &config.super_user {
        make_super_user_true(broker, name, secret).await?;
    }
    if !config.enabled || broker.access().directory().has_super_user() {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::BadRequest,
        "access.enabled is true and there is no super user; set access.super_user and \
         access.super_secret (LITEMQ_ACCESS_SUPER_SECRET)",
    ))
}

async fn make_super_user_true(broker: &Broker, name: &UserName, secret: &Secret) -> Result<()> {
    let present = broker.access().directory().account(name.as_str()).cloned();
    let kind = UserKind::Super;
    let Some(present) = present else {
        let (name, secret) = (name.clone(), secret.clone());
        tracing::info!(user = name.as_str(), "declared super user created");
        broker.create_user(NewUser { name, secret, kind, enabled: true }).await?;
        return Ok(());
    };
    let user = &present.user;
    if user.secret != *secret || user.kind != kind || !user.enabled {
        tracing::info!(user = name.as_str(), "user changed to the declared super user");
        let (secret, kind) = (Some(secret.clone()), Some(kind));
        broker.update_user(name.as_str(), UserChange { secret, kind, enabled: Some(true) }).await?;
    }
    Ok(())
}

impl TopicDeclaration {
    async fn make_true(&self, broker: &Broker) -> Result<()> {
        let name = self.name.as_str();
        let Some(present) = found(broker.topic(name))? else {
            let options = self.options.of(TopicOptions::default());
            let new = NewTopic { name: self.name.clone(), options };
            broker.create_topic(new).await?;
            tracing::info!(topic = name, "declared topic created");
            return Ok(());
        };
        let (from, to) = (present.options, self.options.of(present.options));
        if from != to {
            broker.update_topic(name, self.options).await?;
            tracing::info!(topic = name, ?from, ?to, "options changed to the declared ones");
        }
        Ok(())
    }
}

impl GroupDeclaration {
    async fn make_true(&self, broker: &Broker) -> Result<()> {
        let name = self.name.as_str();
        let Some(present) = found(broker.group(name))? else {
            broker.create_group(self.new_group()).await?;
            tracing::info!(group = name, "declared group created");
            return Ok(());
        };
        let bound = found(broker.topic(self.bind.as_str()))?;
        if bound.is_none_or(|topic| topic.id != present.topic) {
            return Err(Error::new(
                ErrorCode::AlreadyExists,
                format!(
                    "group '{name}' exists and is bound to another topic than '{}'; delete the \
                     group or change its declaration",
                    self.bind
                ),
            ));
        }
        let change = self.change();
        if change.of(&present.options) == present.options {
            return Ok(());
        }
        let changed = match broker.update_group(name, change.clone()).await {
            Err(error) if error.code == ErrorCode::InUse => {
                tracing::warn!(
                    group = name,
                    mode = ?present.options.mode,
                    declared = ?change.mode,
                    "{}; it keeps its mode for now: let them leave, or take their lite topics with \
                     'litemq group unsubscribe', and change it with 'litemq group update' or start \
                     again",
                    error.message
                );
                let rest = GroupChange { mode: None, reset_on_takeover: None, ..change };
                if rest.of(&present.options) == present.options {
                    return Ok(());
                }
                broker.update_group(name, rest).await?
            }
            changed => changed?,
        };
        let (from, to) = (&present.options, &changed.options);
        tracing::info!(group = name, ?from, ?to, "options changed to the declared ones");
        Ok(())
    }

    /// What makes the declaration true. An option that is not named and does not go with the declared
    /// mode is as in a new group.
    fn change(&self) -> GroupChange {
        let mode = self.options.mode.as_ref();
        let is_other = mode.is_some_and(|mode| *mode != SubscriptionMode::Exclusive);
        let default = is_other.then_some(GroupOptions::default().reset_on_takeover);
        let reset_on_takeover = self.options.reset_on_takeover.or(default);
        GroupChange { reset_on_takeover, ..self.options.clone() }
    }

    fn new_group(&self) -> NewGroup {
        NewGroup {
            name: self.name.clone(),
            bind: self.bind.clone(),
            options: self.options.of(&GroupOptions::default()),
        }
    }
}

impl Entry for TopicDeclaration {
    fn read(reader: &mut TableReader<'_, '_>) -> Option<Self> {
        let line = reader.line();
        let name = reader.require("name", topic_name);
        reader.get("type", |value| match string(value)? {
            "lite" => Ok(()),
            other => Err(format!("'{}' is no topic type; give lite", other.escape_debug())),
        });
        let options = TopicChange {
            ttl: reader.get("ttl", ttl),
            counts_reads: reader.get("counts_reads", boolean),
            keep_undelivered: reader.get("keep_undelivered", boolean),
            keep_subscribed: reader.get("keep_subscribed", boolean),
            lite_topic_quota: reader
                .get("lite_topic_quota", |value| limit(value).and_then(limit_from_number)),
            send_rate: reader.get("send_rate", |value| limit(value).and_then(rate_from_number)),
        };
        Some(Self { name: name?, options, line })
    }
}

impl Entry for GroupDeclaration {
    fn read(reader: &mut TableReader<'_, '_>) -> Option<Self> {
        let line = reader.line();
        let name = reader.require("name", |value| text_error(GroupName::new(string(value)?)));
        let bind = reader.require("bind", topic_name);
        let options = group_options(reader);
        Some(Self { name: name?, bind: bind?, options, line })
    }
}

fn group_options(reader: &mut TableReader<'_, '_>) -> GroupChange {
    let pattern = reader.get("pattern", |value| string(value).map(str::to_owned));
    let named = reader.get("mode", |value| mode(string(value)?, pattern.as_deref()));
    let by_pattern = match (&named, &pattern) {
        (None, Some(_)) => reader.get("pattern", |value| parse_mode(None, Some(string(value)?))),
        _ => None,
    };
    let mode = named.or(by_pattern.flatten());
    let takes_over = |is_wanted: bool| match mode {
        Some(SubscriptionMode::Exclusive) => Ok(is_wanted),
        _ if !is_wanted => Ok(false),
        _ => Err("is for exclusive groups; give mode = \"exclusive\" with it".to_owned()),
    };
    let reset_on_takeover =
        reader.get("reset_on_takeover", |value| boolean(value).and_then(takes_over));
    GroupChange {
        ordered: reader.get("ordered", boolean),
        mode,
        client_quota: reader.get("client_quota", client_quota),
        max_attempts: reader.get("max_attempts", max_attempts),
        consume_rate: reader.get("consume_rate", |value| limit(value).and_then(rate_from_number)),
        reset_on_takeover,
        reset_on_unsubscribe: reader.get("reset_on_unsubscribe", boolean),
        simple_suspend: reader.get("simple_suspend", boolean),
        backoff: reader.get("backoff", |value| backoff(string(value)?)),
    }
}

fn mode(mode: &str, pattern: Option<&str>) -> std::result::Result<SubscriptionMode, String> {
    parse_mode(Some(mode), pattern).map(Option::unwrap_or_default)
}

fn backoff(text: &str) -> std::result::Result<Backoff, String> {
    let backoff = parse_backoff(text)?;
    text_error(backoff.check())?;
    Ok(backoff)
}

fn topic_name(value: &DeValue<'_>) -> std::result::Result<TopicName, String> {
    text_error(TopicName::new(string(value)?))
}

fn ttl(value: &DeValue<'_>) -> std::result::Result<Option<DurationMs>, String> {
    let ttl = parse_ttl(string(value)?)?;
    text_error(check_ttl(ttl))?;
    Ok(ttl)
}

fn limit(value: &DeValue<'_>) -> std::result::Result<i64, String> {
    match value {
        DeValue::String(text) => parse_limit(text),
        _ => integer(value),
    }
}

fn client_quota(value: &DeValue<'_>) -> std::result::Result<Option<u32>, String> {
    match value {
        DeValue::String(text) => parse_quota(text),
        _ => quota_from_number(integer(value)?),
    }
}

fn max_attempts(value: &DeValue<'_>) -> std::result::Result<u16, String> {
    let attempts = u16::try_from(integer(value)?).unwrap_or(u16::MAX);
    text_error(check_max_attempts(attempts))?;
    Ok(attempts)
}

fn text_error<T>(result: Result<T>) -> std::result::Result<T, String> {
    result.map_err(|error| error.message)
}

/// Absence is an answer here, not a failure.
fn found<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error {
            code: ErrorCode::TopicNotFound | ErrorCode::ConsumerGroupNotFound, ..
        }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn at(what: &str, line: usize, error: Error) -> Error {
    Error::new(error.code, format!("{what} declared on line {line}: {}", error.message))
}
