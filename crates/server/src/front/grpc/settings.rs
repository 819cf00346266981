//! The answer to a client's settings: its own settings, completed by what the server decides.
//!
//! Every field is filled for every kind of client, because an SDK that misses one hangs, fails to
//! start, or quietly uses a default that loses messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use litemq_domain::limits::{
    BODY_BYTES_MAX, LITE_TOPIC_BYTES_MAX, RECEIVE_MESSAGES_MAX, SYNC_NAMES_MAX,
};
use litemq_domain::{
    DurationMs, Error, ErrorCode, Group, GroupName, GroupOptions, Result, TopicName,
};
use litemq_protocol::v2;
use v2::settings::PubSub;
use v2::{ClientType, Metric, Publishing, Settings, Subscription, Ua};

use super::backoff;
use super::call::{Call, Language};
use super::limits::{
    CLIENT_PROPERTIES_BYTES_MAX, CLIENT_PROPERTIES_MAX, CLIENT_PROPERTY_KEY_CHARS_MAX,
    CLIENT_PROPERTY_VALUE_BYTES_MAX, POLL_MAX,
};
use super::resource::{Catalog, check_bound, find_topic, full_name};
use super::wiretime::duration;

/// Checks a client's settings and completes them.
pub(super) fn answer(
    catalog: &impl Catalog,
    call: &Call,
    mut settings: Settings,
) -> Result<Settings> {
    check_client_properties(&settings.client_properties)?;
    let client_type = settings.client_type();
    let language = call.language.of_settings(settings.user_agent.as_ref());
    let hides_refusals = hides_refusals(language, settings.user_agent.as_ref());
    let backoff_policy = match settings.pub_sub.as_mut() {
        None => {
            return Err(Error::new(
                ErrorCode::BadRequest,
                "the settings say neither publishing nor subscription",
            ));
        }
        Some(PubSub::Publishing(publishing)) => {
            check_role(client_type, Role::Producer)?;
            complete_publishing(call, publishing)?;
            backoff::of_send()
        }
        Some(PubSub::Subscription(subscription)) => {
            let role = check_role(client_type, Role::Consumer)?;
            let group = match group_of(catalog, call, role, subscription) {
                // With settings it starts, and is told the reason when it subscribes.
                Err(_) if role == Role::LiteConsumer && hides_refusals => None,
                found => found?,
            };
            complete_subscription(group.as_deref(), subscription);
            match group {
                Some(group) => backoff::of_delivery(&group.options, language),
                None => backoff::of_delivery(&GroupOptions::default(), language),
            }
        }
    };
    settings.backoff_policy = Some(backoff_policy);
    settings.metric = Some(Metric { on: false, endpoints: None });
    Ok(settings)
}

/// Whether the start of a refused client fails with an error that does not tell the reason.
fn hides_refusals(language: Language, user_agent: Option<&Ua>) -> bool {
    match language {
        // Waits for settings, and then stumbles while it cleans up.
        Language::Python => true,
        // Tries again on the stream that has ended, and shows what the last try met.
        Language::Java => user_agent.and_then(major_and_minor).is_some_and(|v| v >= (5, 2)),
        Language::Go | Language::Node | Language::Other | Language::Unknown => false,
    }
}

fn major_and_minor(user_agent: &Ua) -> Option<(u32, u32)> {
    let mut numbers = user_agent.version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Producer,
    Consumer,
    LiteConsumer,
}

/// The role of a client type, which must suit what the settings describe.
fn check_role(client_type: ClientType, described: Role) -> Result<Role> {
    let role = match client_type {
        ClientType::Producer => Role::Producer,
        ClientType::PushConsumer | ClientType::SimpleConsumer => Role::Consumer,
        ClientType::LitePushConsumer | ClientType::LiteSimpleConsumer => Role::LiteConsumer,
        ClientType::Unspecified | ClientType::PullConsumer => {
            return Err(Error::new(
                ErrorCode::ClientTypeUnrecognized,
                format!("clients of type {} are not served", client_type.as_str_name()),
            ));
        }
    };
    if (role == Role::Producer) == (described == Role::Producer) {
        return Ok(role);
    }
    Err(Error::new(
        ErrorCode::BadRequest,
        "producers have settings for publishing and consumers for a subscription",
    ))
}

fn complete_publishing(call: &Call, publishing: &mut Publishing) -> Result<()> {
    for topic in &publishing.topics {
        TopicName::any(&full_name(call, Some(topic)))?;
    }
    publishing.max_body_size = to_i32(BODY_BYTES_MAX);
    publishing.validate_message_type = true;
    Ok(())
}

/// The group of a subscription, checked to suit the consumer and each topic of the subscription.
fn group_of(
    catalog: &impl Catalog,
    call: &Call,
    role: Role,
    subscription: &Subscription,
) -> Result<Option<Arc<Group>>> {
    let name = full_name(call, subscription.group.as_ref());
    GroupName::new(&name)?;
    let group = catalog.group(&name).ok();
    match (role, &group) {
        (Role::LiteConsumer, None) => {
            return Err(Error::new(
                ErrorCode::ConsumerGroupIllegal,
                format!("group '{name}' does not exist; create it and bind it to a parent topic"),
            ));
        }
        (Role::Consumer, Some(_)) => {
            return Err(Error::new(
                ErrorCode::ConsumerGroupIllegal,
                format!("group '{name}' is for lite topics; use a lite consumer"),
            ));
        }
        _ => {}
    }
    for entry in &subscription.subscriptions {
        let topic = full_name(call, entry.topic.as_ref());
        TopicName::any(&topic)?;
        if let Some(group) = &group {
            check_entry(catalog, &topic, group)?;
        }
    }
    Ok(group)
}

fn complete_subscription(group: Option<&Group>, subscription: &mut Subscription) {
    let quota = group.map_or(0, client_quota);
    subscription.fifo = Some(group.is_some_and(|group| group.options.ordered));
    subscription.receive_batch_size = Some(to_i32(RECEIVE_MESSAGES_MAX));
    subscription.long_polling_timeout = Some(duration(DurationMs::from_secs(POLL_MAX.as_secs())));
    subscription.lite_subscription_quota = Some(quota.max(1));
    subscription.max_lite_topic_size = Some(to_i32(LITE_TOPIC_BYTES_MAX));
}

fn check_entry(catalog: &impl Catalog, topic: &str, group: &Group) -> Result<()> {
    let topic = find_topic(catalog, topic)
        .map_err(|error| Error::new(ErrorCode::TopicIllegal, error.message))?;
    check_bound(&topic, group)
}

/// SDKs compare the size of their set with it, so that no limit is a large number and never -1;
/// Python ignores settings with a zero here.
fn client_quota(group: &Group) -> i32 {
    group
        .options
        .client_quota
        .map_or_else(|| to_i32(SYNC_NAMES_MAX), |quota| i32::try_from(quota).unwrap_or(i32::MAX))
}

fn check_client_properties(properties: &BTreeMap<String, String>) -> Result<()> {
    let illegal = |message: String| Err(Error::new(ErrorCode::ClientPropertiesIllegal, message));
    if properties.len() > CLIENT_PROPERTIES_MAX {
        return illegal(format!("more than {CLIENT_PROPERTIES_MAX} client properties"));
    }
    let mut bytes = 0;
    for (key, value) in properties {
        let mut chars = key.chars();
        let key_allowed = chars.next().is_some_and(|first| first.is_ascii_alphabetic())
            && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
            && key.len() <= CLIENT_PROPERTY_KEY_CHARS_MAX;
        if !key_allowed {
            return illegal(format!(
                "client property key '{}' is not 1 to {CLIENT_PROPERTY_KEY_CHARS_MAX} letters, \
                 digits, '_', '.' or '-' after a letter",
                key.escape_debug()
            ));
        }
        if value.len() > CLIENT_PROPERTY_VALUE_BYTES_MAX {
            return illegal(format!(
                "the value of client property '{key}' has more than \
                 {CLIENT_PROPERTY_VALUE_BYTES_MAX} bytes"
            ));
        }
        bytes += key.len() + value.len();
    }
    if bytes > CLIENT_PROPERTIES_BYTES_MAX {
        return illegal(format!(
            "the client properties have {bytes} bytes; at most {CLIENT_PROPERTIES_BYTES_MAX} are \
             allowed"
        ));
    }
    Ok(())
}

fn to_i32(limit: usize) -> i32 {
    i32::try_from(limit).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
