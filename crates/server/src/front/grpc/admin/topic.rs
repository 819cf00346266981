//! DescribeTopicStatus and GetTopicRoute.

use litemq_domain::{Error, ErrorCode, Result, TopicType};
use litemq_protocol::v2;
use serde_json::json;
use v2::MessageType;

use super::super::endpoints::reachable;
use super::super::reply;
use super::super::resource::{find_topic, full_name_in};
use super::super::route::BROKER_NAME;
use super::super::wiretime::timestamp;
use super::{Administration, Administrator};
use crate::config::units::format_ttl;

/// What old clients of a name server know as read and write.
const READ: u8 = 4;
const WRITE: u8 = 2;

/// What a topic is. Its labels are what can be set of it.
pub(super) async fn status(
    admin: &Administration,
    asker: &Administrator,
    request: v2::DescribeTopicStatusRequest,
) -> Result<v2::DescribeTopicStatusResponse> {
    let name = full_name_in(&asker.namespace, request.topic.as_ref());
    let topic = find_topic(admin.broker(), &name)?;
    let count = admin.broker().lite_count(&topic);
    let (kind, description) = match topic.topic_type {
        TopicType::Lite => ("lite", format!("a parent of {count} lite topics")),
        TopicType::DeadLetter => ("dead-letter", format!("dead letters of {count} lite topics")),
    };
    let options = &topic.options;
    let quota = options.lite_topic_quota.map_or("none".to_owned(), |quota| quota.to_string());
    let tags = [
        ("type", kind.to_owned()),
        ("lite_topics", count.to_string()),
        ("lite_topic_quota", quota),
        ("ttl", format_ttl(options.ttl)),
    ];
    Ok(v2::DescribeTopicStatusResponse {
        status: Some(reply::ok()),
        topic_message_type: MessageType::Lite.into(),
        description: Some(description),
        create_timestamp: Some(timestamp(topic.created_at)),
        tags: tags.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
    })
}

/// The route as old clients of a name server read it: one broker, one queue.
pub(super) async fn route(
    admin: &Administration,
    asker: &Administrator,
    request: v2::GetTopicRouteRequest,
) -> Result<v2::GetTopicRouteResponse> {
    let name = full_name_in(&asker.namespace, request.topic.as_ref());
    let topic = find_topic(admin.broker(), &name)?;
    let home = reachable(admin.door.advertise.as_ref(), None, asker.local);
    let home = home.addresses.first().ok_or_else(|| {
        let text = "the server does not know an address of itself; set advertise";
        Error::new(ErrorCode::Internal, text)
    })?;
    let host = match home.host.contains(':') {
        true => format!("[{}]", home.host),
        false => home.host.clone(),
    };
    let perm = match topic.topic_type {
        TopicType::Lite => READ | WRITE,
        TopicType::DeadLetter => READ,
    };
    let data = json!({
        "brokerDatas": [{
            "cluster": BROKER_NAME,
            "brokerName": BROKER_NAME,
            "brokerAddrs": { "0": format!("{host}:{}", home.port) },
        }],
        "queueDatas": [{
            "brokerName": BROKER_NAME,
            "readQueueNums": 1,
            "writeQueueNums": 1,
            "perm": perm,
            "topicSysFlag": 0,
        }],
        "filterServerTable": {},
    });
    let topic_route_data = data.to_string();
    Ok(v2::GetTopicRouteResponse { status: Some(reply::ok()), topic_route_data })
}
