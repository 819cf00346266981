//! AdminSendMessage.

use litemq_domain::{Error, ErrorCode, Result, TopicType};
use litemq_protocol::v2;

use super::super::check::{Checked, check};
use super::super::reply;
use super::super::resource::{find_topic, full_name_in};
use super::{Administration, Administrator};

/// Sends a message under the same rules as a producer's; one without an id gets one. With all that it
/// carries it has at most `SMALL_REQUEST_BYTES_MAX`.
pub(super) async fn send(
    admin: &Administration,
    asker: &Administrator,
    request: v2::AdminSendMessageRequest,
) -> Result<v2::AdminSendMessageResponse> {
    let name = full_name_in(&asker.namespace, request.topic.as_ref());
    let now = admin.broker().now();
    let mut system = request.system_properties.unwrap_or_default();
    system.tag = request.tag.or(system.tag);
    system.keys.extend(request.key);
    if system.message_id.is_empty() {
        system.message_id = admin.message_ids.next(now);
    }
    if system.born_host.is_empty() {
        "admin".clone_into(&mut system.born_host);
    }
    let message = v2::Message {
        topic: None,
        user_properties: request.user_properties,
        system_properties: Some(system),
        body: request.body,
    };
    let checked = check(message, now)?;
    let topic = find_topic(admin.broker(), &name)?;
    let new = match topic.topic_type {
        TopicType::Lite => Checked::into_lite(checked)?,
        TopicType::DeadLetter => {
            return Err(Error::new(
                ErrorCode::TopicIllegal,
                format!("topic '{name}' keeps dead letters; only the server writes to it"),
            ));
        }
    };
    let message_id = new.message.message_id.clone();
    let sent = admin.broker().send(&topic, vec![new]).await.pop();
    sent.unwrap_or_else(|| Err(Error::new(ErrorCode::Internal, "the message has no result")))?;
    Ok(v2::AdminSendMessageResponse { status: Some(reply::ok()), message_id })
}
