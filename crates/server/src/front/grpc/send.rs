//! SendMessage.

use std::sync::Arc;

use litemq_domain::limits::SEND_MESSAGES_MAX;
use litemq_domain::{Error, ErrorCode, Result, Topic, TopicName, TopicType};
use litemq_protocol::v2;
use v2::{Message, SendMessageRequest, SendMessageResponse, SendResultEntry};

use super::call::Call;
use super::check::{Checked, check};
use super::resource::{find_topic, full_name};
use super::{Door, reply};
use crate::broker::{NewMessage, Sent};

impl Door {
    pub(super) async fn send(
        &self,
        call: &Call,
        request: SendMessageRequest,
    ) -> SendMessageResponse {
        let (topic, messages) = match self.accept(call, request.messages) {
            Ok(accepted) => accepted,
            Err(error) => {
                return SendMessageResponse {
                    status: Some(self.failed(call, &error)),
                    ..SendMessageResponse::default()
                };
            }
        };
        let ids: Vec<String> = messages.iter().map(|new| new.message.message_id.clone()).collect();
        let results = self.broker.send_by(self.who(call), &topic, messages).await;
        let entries: Vec<_> =
            ids.into_iter().zip(results).map(|(id, result)| self.entry(call, id, result)).collect();
        let status = reply::common(entries.iter().filter_map(|entry| entry.status.as_ref()));
        SendMessageResponse { status: Some(status), entries }
    }

    /// Checks every message of the request before the first one is sent.
    fn accept(&self, call: &Call, messages: Vec<Message>) -> Result<(Arc<Topic>, Vec<NewMessage>)> {
        let name = topic_name(call, &messages)?;
        let now = self.broker.now();
        let checked =
            messages.into_iter().map(|message| check(message, now)).collect::<Result<Vec<_>>>()?;
        let topic = find_topic(&*self.broker, &name)?;
        let messages = match topic.topic_type {
            TopicType::Lite => checked.into_iter().map(Checked::into_lite).collect(),
            TopicType::DeadLetter => Err(Error::new(
                ErrorCode::TopicIllegal,
                format!("topic '{name}' keeps dead letters; only the server writes to it"),
            )),
        };
        Ok((topic, messages?))
    }

    /// One entry for each message: SDKs demand as many.
    fn entry(&self, call: &Call, message_id: String, result: Result<Sent>) -> SendResultEntry {
        match result {
            Ok(sent) => sent_entry(message_id, sent),
            Err(error) => SendResultEntry {
                status: Some(self.failed(call, &error)),
                ..SendResultEntry::default()
            },
        }
    }
}

/// The topic of all messages.
fn topic_name(call: &Call, messages: &[Message]) -> Result<String> {
    let corrupted = |message: String| Err(Error::new(ErrorCode::MessageCorrupted, message));
    let Some(first) = messages.first() else {
        return corrupted("the request has no message".to_owned());
    };
    if messages.len() > SEND_MESSAGES_MAX {
        return corrupted(format!(
            "the request has {} messages; at most {SEND_MESSAGES_MAX} are allowed",
            messages.len()
        ));
    }
    let name = full_name(call, first.topic.as_ref());
    TopicName::any(&name)?;
    if messages.iter().any(|message| full_name(call, message.topic.as_ref()) != name) {
        return corrupted("the messages of one request must have one topic".to_owned());
    }
    Ok(name.into_owned())
}

/// SDKs that know transactions expect the message id as the transaction id.
fn sent_entry(message_id: String, sent: Sent) -> SendResultEntry {
    SendResultEntry {
        status: Some(reply::ok()),
        transaction_id: message_id.clone(),
        message_id,
        offset: i64::try_from(sent.offset).unwrap_or(i64::MAX),
        recall_handle: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use litemq_domain::ClientId;
    use v2::Resource;

    use super::super::call::Language;
    use super::*;

    fn call() -> Call {
        Call {
            client: ClientId::new("c").unwrap(),
            language: Language::Unknown,
            namespace: String::new(),
            time_left: None,
            connection: None,
            caller: crate::access::Caller::internal(),
        }
    }

    fn messages(topics: &[&str]) -> Vec<Message> {
        let message = |topic: &&str| Message {
            topic: Some(Resource { name: (*topic).to_owned(), ..Resource::default() }),
            ..Message::default()
        };
        topics.iter().map(message).collect()
    }

    #[test]
    fn a_request_is_about_one_topic() {
        assert_eq!(topic_name(&call(), &messages(&["a", "a"])).unwrap(), "a");
        let many = vec!["a"; SEND_MESSAGES_MAX + 1];
        for (topics, code) in [
            (&[][..], ErrorCode::MessageCorrupted),
            (&["a", "b"], ErrorCode::MessageCorrupted),
            (&["", "b"], ErrorCode::TopicIllegal),
            (&["a b", "a"], ErrorCode::TopicIllegal),
            (&many, ErrorCode::MessageCorrupted),
        ] {
            let error = topic_name(&call(), &messages(topics)).unwrap_err();
            assert_eq!(error.code, code, "{} topics", topics.len());
        }
    }

    #[test]
    fn a_sent_message_has_its_id_as_transaction_id_and_its_offset() {
        let entry = sent_entry("01A".to_owned(), Sent { offset: 7, repeated: false });
        assert_eq!(entry.message_id, "01A");
        assert_eq!(entry.transaction_id, "01A");
        assert_eq!(entry.offset, 7);
    }
}
