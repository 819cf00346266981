//! VerifyMessage: a client consumes a message once more and says how it went. Nothing is settled by it.

use litemq_domain::limits::LIST_NAMES_MAX;
use litemq_domain::{ClientId, Error, ErrorCode, Group, LiteTopicName, Result, Topic};
use litemq_protocol::v2;

use super::super::deliver::shown_message;
use super::super::limits::ADMIN_SCAN_MESSAGES_MAX;
use super::super::questions::{Answer, Question};
use super::super::reply;
use super::super::resource::{find_group, full_name_in};
use super::consumers::topic_of;
use super::{Administration, Administrator};
use crate::broker::{Broker, LiteTopicInfo, Look, Peeked};

/// The status is the client's, as the protocol wants it.
pub(super) async fn verify(
    admin: &Administration,
    asker: &Administrator,
    request: v2::VerifyMessageRequest,
) -> Result<v2::VerifyMessageResponse> {
    let _place = admin.search()?;
    let broker = admin.broker();
    let group = find_group(broker, &full_name_in(&asker.namespace, request.group.as_ref()))?;
    let topic = topic_of(broker, asker, &group, request.topic.as_ref())?;
    let client = ClientId::new(&request.client_id)?;
    broker.check_connected(&client, Some(&group))?;
    if request.message_id.is_empty() {
        return Err(Error::new(ErrorCode::MessageIdIllegal, "the message id is empty"));
    }
    let of = Wanted { broker, topic: &topic, group: &group, client: &client };
    let Some((lite_topic, found)) = of.find(&request.message_id).await? else {
        let text = "there is no such message in the lite topics of the client";
        let status = Some(reply::status(v2::Code::MessageNotFound, text));
        return Ok(v2::VerifyMessageResponse { status });
    };
    let topic = asker.resource(topic.name.as_str());
    let message = shown_message(lite_topic, found, topic, &asker.namespace);
    let question = Question::Consume(Box::new(message));
    match admin.door.questions.ask(broker.sessions(), &client, question).await? {
        Answer::Consumed(status) => Ok(v2::VerifyMessageResponse { status: Some(status) }),
        Answer::StackTrace(_) => {
            Err(Error::new(ErrorCode::Internal, "the answer is to another question"))
        }
    }
}

/// A message of the lite topics that a client of a group gets.
struct Wanted<'a> {
    broker: &'a Broker,
    topic: &'a Topic,
    group: &'a Group,
    client: &'a ClientId,
}

impl Wanted<'_> {
    /// Messages have no index by id, so those of the client's lite topics are looked through, up to
    /// [`ADMIN_SCAN_MESSAGES_MAX`].
    async fn find(&self, id: &str) -> Result<Option<(LiteTopicName, Peeked)>> {
        let (mut after, mut left) = (None::<String>, ADMIN_SCAN_MESSAGES_MAX);
        loop {
            let topic = self.topic.name.as_str();
            let page = self.broker.list_lite(topic, "", after.as_deref(), LIST_NAMES_MAX).await?;
            for lite in page.iter().filter(|lite| self.is_its(lite)) {
                let count = lite.next_offset.saturating_sub(lite.first_offset);
                left = left.checked_sub(count).ok_or_else(too_many)?;
                if let Some(found) = self.find_in(lite, id).await? {
                    return Ok(Some((lite.name.clone(), found)));
                }
            }
            match page.last() {
                Some(last) if page.len() >= LIST_NAMES_MAX => {
                    after = Some(last.name.as_str().to_owned());
                }
                _ => return Ok(None),
            }
        }
    }

    fn is_its(&self, lite: &LiteTopicInfo) -> bool {
        let of_group = lite.groups.iter().filter(|found| found.group == self.group.name);
        let is_shared_by_all = self.group.options.wildcard().is_some();
        of_group
            .into_iter()
            .any(|found| is_shared_by_all || found.subscribers.contains(self.client))
    }

    async fn find_in(&self, lite: &LiteTopicInfo, id: &str) -> Result<Option<Peeked>> {
        let (topic, name) = (self.topic.name.as_str(), lite.name.as_str());
        let mut look = Look { id: Some(id.to_owned()), limit: 1, ..Look::default() };
        loop {
            let mut found = match self.broker.look(topic, name, &look).await {
                // Removed since it was listed.
                Err(error) if error.code == ErrorCode::LiteTopicNotFound => return Ok(None),
                found => found?,
            };
            if let Some(message) = found.messages.pop() {
                return Ok(Some(message));
            }
            match found.next.filter(|next| *next < lite.next_offset) {
                Some(next) => look.from = Some(next),
                None => return Ok(None),
            }
        }
    }
}

fn too_many() -> Error {
    Error::new(
        ErrorCode::BadRequest,
        format!(
            "the client's lite topics have more than {ADMIN_SCAN_MESSAGES_MAX} messages, too many to \
             look through for one"
        ),
    )
}
