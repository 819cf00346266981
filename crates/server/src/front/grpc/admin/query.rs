//! QueryMessage: messages of a lite topic, or of all lite topics of a topic in the order of their names.
//!
//! A scroll id says where the next call goes on: `offset:lite topic`. One call looks at a bounded part,
//! so an answer may be empty and still have one.

use litemq_domain::{Error, ErrorCode, LiteTopicName, Result, Timestamp, Topic};
use litemq_protocol::v2;
use prost::Message as _;
use v2::list_message_request::SearchKey;

use super::super::deliver::shown_message;
use super::super::limits::{
    QUERY_BYTES_MAX, QUERY_LITE_TOPICS_MAX, QUERY_MESSAGES_DEFAULT, QUERY_MESSAGES_MAX,
    QUERY_SCAN_MESSAGES_MAX,
};
use super::super::reply;
use super::super::resource::{find_topic, full_name_in};
use super::super::route::BROKER_NAME;
use super::super::wiretime::{is_legal, read_timestamp};
use super::{Administration, Administrator};
use crate::broker::{LiteTopicInfo, Look};

pub(super) async fn query(
    admin: &Administration,
    asker: &Administrator,
    request: v2::ListMessageRequest,
) -> Result<v2::ListMessageResponse> {
    let _place = admin.search()?;
    let wanted = Wanted::read(&request)?;
    let name = full_name_in(&asker.namespace, request.topic.as_ref());
    let topic = find_topic(admin.broker(), &name)?;
    let mut page = Page {
        admin,
        asker,
        topic: &topic,
        look: wanted.look,
        messages: Vec::new(),
        bytes: 0,
        scanned: 0,
    };
    let next = match &wanted.lite_topic {
        Some(name) => page.fill_from_one(name, wanted.from).await?,
        None => page.fill_from_all(wanted.from).await?,
    };
    Ok(v2::ListMessageResponse {
        status: Some(reply::ok()),
        messages: page.messages,
        scroll_id: next.map(Place::into_text).unwrap_or_default(),
    })
}

/// Where a call goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    lite_topic: LiteTopicName,
    offset: u64,
}

impl Place {
    fn read(text: &str) -> Result<Self> {
        let refused = || {
            let text = "the scroll id is none; give the one of the answer before";
            Error::new(ErrorCode::BadRequest, text)
        };
        let (offset, name) = text.split_once(':').ok_or_else(refused)?;
        Ok(Self {
            lite_topic: LiteTopicName::new(name).map_err(|_| refused())?,
            offset: offset.parse().map_err(|_| refused())?,
        })
    }

    fn into_text(self) -> String {
        format!("{}:{}", self.offset, self.lite_topic)
    }
}

/// What a request asks for, checked.
struct Wanted {
    lite_topic: Option<LiteTopicName>,
    from: Option<Place>,
    look: Look,
}

impl Wanted {
    fn read(request: &v2::ListMessageRequest) -> Result<Self> {
        let refused = |text: String| Err(Error::new(ErrorCode::BadRequest, text));
        if request.page_num.is_some_and(|page| page > 1) {
            return refused("pages after the first are asked for by scroll id".to_owned());
        }
        if request.broker_name.as_deref().is_some_and(|name| !["", BROKER_NAME].contains(&name)) {
            return refused(format!("there is one broker here, {BROKER_NAME}"));
        }
        if request.queue_id.is_some_and(|queue| queue != 0) {
            return refused("there is one queue, 0".to_owned());
        }
        let from_time = moment(request.begin_timestamp.as_ref())?;
        let to_time = moment(request.end_timestamp.as_ref())?;
        if from_time.zip(to_time).is_some_and(|(from, to)| from > to) {
            return refused("the time span ends before it begins".to_owned());
        }
        let page_size = count(request.page_size.unwrap_or(0))?;
        let limit = match count(request.max_message_nums)? {
            None => page_size.unwrap_or(QUERY_MESSAGES_DEFAULT),
            Some(most) => page_size.map_or(most, |size| size.min(most)),
        };
        let mut look = Look { from_time, to_time, limit, ..Look::default() };
        let mut lite_topic = None;
        match &request.search_key {
            None => {}
            Some(SearchKey::LiteTopic(name)) => lite_topic = Some(LiteTopicName::new(name)?),
            Some(SearchKey::MessageId(id)) if id.is_empty() => {
                return Err(Error::new(ErrorCode::MessageIdIllegal, "the message id is empty"));
            }
            Some(SearchKey::MessageKey(key)) if key.is_empty() => {
                return Err(Error::new(ErrorCode::MessageKeyIllegal, "the message key is empty"));
            }
            Some(SearchKey::MessageId(id)) => look.id = Some(id.clone()),
            Some(SearchKey::MessageKey(key)) => look.key = Some(key.clone()),
            Some(SearchKey::Subscription(_)) => {
                return Err(Error::new(
                    ErrorCode::NotImplemented,
                    "messages are found by lite topic, key, id and time, not by subscription: a group \
                     gets all that is in its lite topics",
                ));
            }
        }
        let from = request.scroll_id.as_deref().filter(|text| !text.is_empty());
        let from = from.map(Place::read).transpose()?;
        let is_of_it =
            |place: &Place| lite_topic.as_ref().is_none_or(|name| *name == place.lite_topic);
        if !from.as_ref().is_none_or(is_of_it) {
            return refused("the scroll id is of another lite topic".to_owned());
        }
        Ok(Self { lite_topic, from, look })
    }
}

fn moment(at: Option<&prost_types::Timestamp>) -> Result<Option<Timestamp>> {
    match at {
        Some(at) if !is_legal(at) => Err(Error::new(
            ErrorCode::BadRequest,
            "a timestamp is before 1970, or its nanoseconds are not below a second",
        )),
        at => Ok(at.map(read_timestamp)),
    }
}

/// A number of messages; none when it is 0.
fn count(count: i32) -> Result<Option<usize>> {
    match usize::try_from(count) {
        Ok(0) => Ok(None),
        Ok(count) if count <= QUERY_MESSAGES_MAX => Ok(Some(count)),
        _ => Err(Error::new(
            ErrorCode::BadRequest,
            format!("{count} messages cannot be asked for at once; 1 to {QUERY_MESSAGES_MAX} can"),
        )),
    }
}

/// An answer that is being filled.
struct Page<'a> {
    admin: &'a Administration,
    asker: &'a Administrator,
    topic: &'a Topic,
    look: Look,
    messages: Vec<v2::Message>,
    bytes: usize,
    scanned: u64,
}

impl Page<'_> {
    async fn fill_from_one(
        &mut self,
        name: &LiteTopicName,
        from: Option<Place>,
    ) -> Result<Option<Place>> {
        let topic = self.topic.name.as_str();
        let lite = self.admin.broker().describe_lite(topic, name.as_str()).await?;
        let next = self.take(&lite, from.map(|from| from.offset)).await?;
        Ok(next.map(|offset| Place { lite_topic: name.clone(), offset }))
    }

    async fn fill_from_all(&mut self, from: Option<Place>) -> Result<Option<Place>> {
        let (broker, topic) = (self.admin.broker(), self.topic.name.as_str());
        let mut after = None;
        if let Some(from) = from {
            match self.fill_from_one(&from.lite_topic.clone(), Some(from.clone())).await {
                Ok(Some(place)) => return Ok(Some(place)),
                Ok(None) => {}
                // Removed since the page before.
                Err(error) if error.code == ErrorCode::LiteTopicNotFound => {}
                Err(error) => return Err(error),
            }
            after = Some(from.lite_topic);
        }
        let after = after.as_ref().map(LiteTopicName::as_str);
        let lites = broker.list_lite(topic, "", after, QUERY_LITE_TOPICS_MAX).await?;
        for lite in &lites {
            if self.is_full() {
                return Ok(Some(Place { lite_topic: lite.name.clone(), offset: 0 }));
            }
            if let Some(offset) = self.take(lite, None).await? {
                return Ok(Some(Place { lite_topic: lite.name.clone(), offset }));
            }
        }
        let last = lites.last().filter(|_| lites.len() >= QUERY_LITE_TOPICS_MAX);
        Ok(last.map(|last| Place { lite_topic: last.name.clone(), offset: last.next_offset }))
    }

    fn is_full(&self) -> bool {
        self.messages.len() >= self.look.limit || self.scanned >= QUERY_SCAN_MESSAGES_MAX
    }

    /// Takes what is wanted of a lite topic, as it was when it was described; where to go on, if
    /// something is left.
    async fn take(&mut self, lite: &LiteTopicInfo, from: Option<u64>) -> Result<Option<u64>> {
        let (broker, topic) = (self.admin.broker(), self.topic.name.as_str());
        let limit = self.look.limit - self.messages.len();
        let look = Look { from, limit, before: Some(lite.next_offset), ..self.look.clone() };
        let found = match broker.look(topic, lite.name.as_str(), &look).await {
            Err(error) if error.code == ErrorCode::LiteTopicNotFound => return Ok(None),
            found => found?,
        };
        let from = from.unwrap_or(lite.first_offset);
        self.scanned += found.next.unwrap_or(lite.next_offset).saturating_sub(from);
        for peeked in found.messages {
            let offset = peeked.offset;
            let of = self.asker.resource(topic);
            let message = shown_message(lite.name.clone(), peeked, of, &self.asker.namespace);
            let bytes = message.encoded_len();
            if self.bytes + bytes > QUERY_BYTES_MAX && !self.messages.is_empty() {
                return Ok(Some(offset));
            }
            self.bytes += bytes;
            self.messages.push(message);
        }
        Ok(found.next.filter(|next| *next < lite.next_offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scroll_id_is_read_as_it_was_written_and_nothing_else_is_one() {
        let place = Place { lite_topic: LiteTopicName::new("a-b").unwrap(), offset: u64::MAX };
        assert_eq!(Place::read(&place.clone().into_text()).unwrap(), place);
        for text in ["", "a", ":a", "1:", "-1:a", "99999999999999999999:a", "1:a b", "1:\n"] {
            assert_eq!(Place::read(text).unwrap_err().code, ErrorCode::BadRequest, "{text}");
        }
    }
}
