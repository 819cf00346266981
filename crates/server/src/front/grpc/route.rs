//! QueryRoute and QueryAssignment: every parent topic is one queue, and its home is here.
//!
//! SDKs never spread lite topics over queues, and each assigned queue costs every push consumer one
//! more long poll, so one queue is best; Node insists on the number 0 for it.

use litemq_domain::{Error, ErrorCode, Result, Topic, TopicType};
use litemq_protocol::v2;
use v2::{
    Assignment, Endpoints, MessageQueue, QueryAssignmentRequest, QueryAssignmentResponse,
    QueryRouteRequest, QueryRouteResponse, Resource,
};

use super::call::Call;
use super::endpoints::reachable;
use super::resource::{find_topic, full_name};
use super::{Door, reply};

pub(super) const BROKER_NAME: &str = "litemq";

impl Door {
    pub(super) fn route(&self, call: &Call, request: QueryRouteRequest) -> QueryRouteResponse {
        match self.queue(call, request.topic, request.endpoints.as_ref()) {
            Ok(queue) => {
                QueryRouteResponse { status: Some(reply::ok()), message_queues: vec![queue] }
            }
            Err(error) => QueryRouteResponse {
                status: Some(self.failed(call, &error)),
                ..QueryRouteResponse::default()
            },
        }
    }

    pub(super) fn assignment(
        &self,
        call: &Call,
        request: QueryAssignmentRequest,
    ) -> QueryAssignmentResponse {
        match self.queue(call, request.topic, request.endpoints.as_ref()) {
            Ok(queue) => QueryAssignmentResponse {
                status: Some(reply::ok()),
                assignments: vec![Assignment { message_queue: Some(queue) }],
            },
            Err(error) => QueryAssignmentResponse {
                status: Some(self.failed(call, &error)),
                ..QueryAssignmentResponse::default()
            },
        }
    }

    fn queue(
        &self,
        call: &Call,
        asked: Option<Resource>,
        used: Option<&Endpoints>,
    ) -> Result<MessageQueue> {
        let name = full_name(call, asked.as_ref());
        let topic = find_topic(&*self.broker, &name).map_err(explain_missing(asked.as_ref()))?;
        let local = call.connection.map(|connection| connection.local);
        let home = reachable(self.advertise.as_ref(), used, local);
        Ok(queue_of(&topic, asked, home))
    }
}

fn queue_of(topic: &Topic, asked: Option<Resource>, home: Endpoints) -> MessageQueue {
    let permission = match topic.topic_type {
        TopicType::Lite => v2::Permission::ReadWrite,
        TopicType::DeadLetter => v2::Permission::Read,
    };
    MessageQueue {
        topic: asked,
        id: 0,
        permission: permission.into(),
        // Id 0 is what SDKs take for a master.
        broker: Some(v2::Broker { name: BROKER_NAME.to_owned(), id: 0, endpoints: Some(home) }),
        // Only this one: old SDKs cannot read a route with a type they do not know.
        accept_message_types: vec![v2::MessageType::Lite.into()],
    }
}

/// The text that the SDKs' own tests look for, and what to do about it.
fn explain_missing(asked: Option<&Resource>) -> impl FnOnce(Error) -> Error {
    let name = asked.map(|asked| asked.name.escape_debug().to_string()).unwrap_or_default();
    move |error| match error.code {
        ErrorCode::TopicNotFound => Error::new(
            ErrorCode::TopicNotFound,
            format!(
                "CODE: 17  DESC: No topic route info in name server for the topic: {name}\n\
                 create it first: litemq topic create {name}"
            ),
        ),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use litemq_domain::{Timestamp, TopicId, TopicName, TopicOptions};

    use super::*;

    fn queue(topic_type: TopicType) -> MessageQueue {
        let topic = Topic {
            id: TopicId(1),
            name: TopicName::any("ns%t").unwrap(),
            topic_type,
            options: TopicOptions::default(),
            created_at: Timestamp(0),
        };
        let asked = Resource { resource_namespace: "ns".to_owned(), name: "t".to_owned() };
        queue_of(&topic, Some(asked), Endpoints::default())
    }

    #[test]
    fn a_lite_parent_is_one_writable_master_queue_zero_for_lite_messages() {
        let queue = queue(TopicType::Lite);
        assert_eq!(queue.id, 0);
        assert_eq!(queue.broker.as_ref().unwrap().id, 0);
        assert_eq!(queue.permission(), v2::Permission::ReadWrite);
        assert_eq!(queue.accept_message_types, vec![v2::MessageType::Lite as i32]);
    }

    #[test]
    fn the_topic_is_called_as_the_client_called_it() {
        assert_eq!(queue(TopicType::Lite).topic.unwrap().name, "t");
    }

    #[test]
    fn dead_letters_can_be_read_only() {
        assert_eq!(queue(TopicType::DeadLetter).permission(), v2::Permission::Read);
    }

    #[test]
    fn a_missing_topic_is_told_in_the_words_that_sdk_tests_know() {
        let asked = Resource { name: "orders".to_owned(), ..Resource::default() };
        let missing = Error::new(ErrorCode::TopicNotFound, "no such topic");
        let error = explain_missing(Some(&asked))(missing);
        assert!(error.message.starts_with(
            "CODE: 17  DESC: No topic route info in name server for the topic: orders"
        ));
        assert!(error.message.contains("litemq topic create orders"));
    }
}
