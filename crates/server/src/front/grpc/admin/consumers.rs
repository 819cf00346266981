//! Who consumes: ListSubscription, DescribeSubscription, ListConsumerConnection and
//! PrintThreadStackTrace.

use std::sync::Arc;

use litemq_domain::{ClientId, Error, ErrorCode, Group, Result, Topic};
use litemq_protocol::v2;
use v2::describe_subscription_response::ClientSubscriptionInfo;
use v2::{ClientInfo, FilterExpression, FilterType, MessageModel, Resource, SubscriptionInfo};

use super::super::limits::ADMIN_LIST_MAX;
use super::super::questions::{Answer, Question};
use super::super::reply;
use super::super::resource::{Catalog as _, check_bound, find_group, find_topic, full_name_in};
use super::{Administration, Administrator};
use crate::broker::{Broker, ConnectedClient};

/// The subscriptions of a group, which is one, or of a topic, which is one for each of its groups.
pub(super) async fn subscriptions(
    admin: &Administration,
    asker: &Administrator,
    request: v2::ListSubscriptionRequest,
) -> Result<v2::ListSubscriptionResponse> {
    let _place = admin.search()?;
    let broker = admin.broker();
    let (topic, groups) = named(broker, asker, request.topic.as_ref(), request.group.as_ref())?;
    let info = |group: &Arc<Group>| {
        let online = !broker.connected_clients(group).is_empty();
        subscription(asker, &topic, group, online)
    };
    Ok(v2::ListSubscriptionResponse {
        status: Some(first_of(groups.len(), "subscriptions")),
        subscription_info: groups.iter().take(ADMIN_LIST_MAX).map(info).collect(),
    })
}

/// The same for each client that is connected.
pub(super) async fn subscriptions_of_clients(
    admin: &Administration,
    asker: &Administrator,
    request: v2::DescribeSubscriptionRequest,
) -> Result<v2::DescribeSubscriptionResponse> {
    let _place = admin.search()?;
    let broker = admin.broker();
    let (topic, groups) = named(broker, asker, request.topic.as_ref(), request.group.as_ref())?;
    let (mut infos, mut count) = (Vec::new(), 0);
    for group in &groups {
        let clients = broker.connected_clients(group);
        count += clients.len();
        let left = ADMIN_LIST_MAX - infos.len();
        infos.extend(clients.iter().take(left).map(|client| ClientSubscriptionInfo {
            client_info: Some(client_info(client)),
            subscription_info: Some(subscription(asker, &topic, group, true)),
        }));
    }
    Ok(v2::DescribeSubscriptionResponse {
        status: Some(first_of(count, "clients")),
        client_subscription_info: infos,
    })
}

/// The connected clients of a group, or those of them that are subscribed to a lite topic.
pub(super) async fn connections(
    admin: &Administration,
    asker: &Administrator,
    request: v2::ListConsumerConnectionRequest,
) -> Result<v2::ListConsumerConnectionResponse> {
    let _place = admin.search()?;
    let broker = admin.broker();
    let group = find_group(broker, &full_name_in(&asker.namespace, request.group.as_ref()))?;
    let topic = topic_of(broker, asker, &group, request.topic.as_ref())?;
    let clients = match request.lite_topic.as_deref().filter(|name| !name.is_empty()) {
        None => broker.connected_clients(&group),
        Some(name) => {
            let lite = broker.describe_lite(topic.name.as_str(), name).await?;
            let mut of_group = lite.groups.into_iter().filter(|found| found.group == group.name);
            let subscribers = of_group.next().map(|found| found.subscribers).unwrap_or_default();
            broker.connected_among(&subscribers)
        }
    };
    Ok(v2::ListConsumerConnectionResponse {
        status: Some(first_of(clients.len(), "clients")),
        client_info: clients.iter().take(ADMIN_LIST_MAX).map(client_info).collect(),
    })
}

/// What the threads of a client are doing, in its own words.
pub(super) async fn stack_trace(
    admin: &Administration,
    asker: &Administrator,
    request: v2::PrintThreadStackTraceRequest,
) -> Result<v2::PrintThreadStackTraceResponse> {
    let broker = admin.broker();
    let group = request
        .group
        .as_ref()
        .map(|group| find_group(broker, &full_name_in(&asker.namespace, Some(group))));
    let client = ClientId::new(&request.client_id)?;
    broker.check_connected(&client, group.transpose()?.as_deref())?;
    let questions = &admin.door.questions;
    match questions.ask(broker.sessions(), &client, Question::StackTrace).await? {
        Answer::StackTrace(thread_stack_trace) => {
            let status = Some(reply::ok());
            Ok(v2::PrintThreadStackTraceResponse { status, thread_stack_trace })
        }
        Answer::Consumed(_) => {
            Err(Error::new(ErrorCode::Internal, "the answer is to another question"))
        }
    }
}

/// A topic and its groups, or a group and its topic.
fn named(
    broker: &Broker,
    asker: &Administrator,
    topic: Option<&Resource>,
    group: Option<&Resource>,
) -> Result<(Arc<Topic>, Vec<Arc<Group>>)> {
    if let Some(group) = group {
        let group = find_group(broker, &full_name_in(&asker.namespace, Some(group)))?;
        return Ok((topic_of(broker, asker, &group, topic)?, vec![group]));
    }
    if topic.is_none() {
        return Err(Error::new(ErrorCode::BadRequest, "name a topic or a consumer group"));
    }
    let topic = find_topic(broker, &full_name_in(&asker.namespace, topic))?;
    let bound = broker.groups().into_iter().filter(|group| group.topic == topic.id).collect();
    Ok((topic, bound))
}

/// The topic that a group is bound to, which is the one named if one is.
pub(super) fn topic_of(
    broker: &Broker,
    asker: &Administrator,
    group: &Group,
    named: Option<&Resource>,
) -> Result<Arc<Topic>> {
    match named {
        Some(topic) => {
            let topic = find_topic(broker, &full_name_in(&asker.namespace, Some(topic)))?;
            check_bound(&topic, group)?;
            Ok(topic)
        }
        None => broker.topic_of(group).ok_or_else(|| {
            let text = format!("the topic of consumer group '{}' is being deleted", group.name);
            Error::new(ErrorCode::TopicNotFound, text)
        }),
    }
}

/// Lite consumers take all that is in their lite topics, and it is the group that is bound: its clients
/// cannot differ.
fn subscription(
    asker: &Administrator,
    topic: &Topic,
    group: &Group,
    online: bool,
) -> SubscriptionInfo {
    let everything =
        FilterExpression { r#type: FilterType::Tag.into(), expression: "*".to_owned() };
    SubscriptionInfo {
        group: Some(asker.resource(group.name.as_str())),
        topic: Some(asker.resource(topic.name.as_str())),
        expression: Some(everything),
        online,
        last_update_timestamp: None,
        message_model: MessageModel::LiteSelective.into(),
        subscription_consistency: true,
    }
}

fn client_info(found: &ConnectedClient) -> ClientInfo {
    let profile = &found.profile;
    ClientInfo {
        client_id: found.client.as_str().to_owned(),
        version: profile.version.to_string(),
        language: profile.language.to_owned(),
        hostname: profile.hostname.to_string(),
        egress_ip: profile.address.map(|address| address.to_string()).unwrap_or_default(),
        message_model: MessageModel::LiteSelective.into(),
    }
}

/// The protocol has no pages here, so the status tells when there is more.
fn first_of(count: usize, what: &str) -> v2::Status {
    match count {
        0..=ADMIN_LIST_MAX => reply::ok(),
        _ => reply::status(
            v2::Code::Ok,
            format!("the first {ADMIN_LIST_MAX} of {count} {what}; name a lite topic or a group"),
        ),
    }
}
