//! A second topic whose lite topics expire, and of which there may be few at a time.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use litemq_domain::{DurationMs, ErrorCode, LiteTopicName, TopicName, TopicOptions};
use litemq_server::broker::{Broker, NewMessage, NewTopic, StoredMessage};

use crate::errands::Answer;
use crate::plan::secs;
use crate::trace::Trace;

/// Lite topics of this topic that are sent to, more than there may be at a time.
pub(crate) const NOTES: usize = 8;
const QUOTA: u64 = 4;
const TOPIC: &str = "notes";
const TTL: Duration = secs(60);
/// Within this time after the last send all are gone: their time to live, what a start waits before it
/// removes any, and what a removal may be late by.
pub(crate) const EXPIRED_WITHIN: Duration = secs(60 + 30 + 5);

/// What is known of them: the last send that was answered, by when it was asked for.
#[derive(Debug, Default)]
pub(crate) struct Notes(Mutex<BTreeMap<usize, (Duration, u64)>>);

/// The topic.
pub(crate) fn topic() -> litemq_domain::Result<NewTopic> {
    let ttl = Some(DurationMs(TTL.as_millis() as u64));
    let lite_topic_quota = Some(QUOTA);
    let options = TopicOptions { ttl, lite_topic_quota, ..TopicOptions::default() };
    Ok(NewTopic { name: TopicName::new(TOPIC)?, options })
}

/// How many are alive; never more than there may be.
pub(crate) async fn left(broker: &Broker) -> Answer {
    let Ok(listed) = broker.list_lite(TOPIC, "", None, NOTES).await else { return Answer::Unknown };
    assert!(listed.len() as u64 <= QUOTA, "{} lite topics are beyond the quota", listed.len());
    Answer::Left(listed.len() as u64)
}

impl Notes {
    /// Sends a message. One whose last message is younger than its time to live goes on.
    pub(crate) async fn send(&self, number: usize, broker: &Broker, trace: &Trace) {
        let asked_at = trace.time();
        let lite_topic = LiteTopicName::new(&format!("n{number}")).unwrap();
        let message_id = format!("n{number}-{}", asked_at.as_nanos());
        let message = StoredMessage { message_id, ..StoredMessage::default() };
        let Ok(topic) = broker.topic(TOPIC) else { return };
        let sent = broker.send(&topic, vec![NewMessage { lite_topic, message }]).await.remove(0);
        let now = trace.time();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.get(&number).copied();
        match sent {
            Ok(sent) => {
                if let Some((at, offset)) = before {
                    let is_next = sent.offset > offset;
                    assert!(
                        is_next || now >= at + TTL,
                        "n{number} went at {now:?}, sent at {at:?}"
                    );
                    if !is_next {
                        trace.say("a note came again");
                    }
                }
                known.insert(number, (asked_at, sent.offset));
            }
            Err(error) if error.code == ErrorCode::LiteTopicQuotaExceeded => {
                assert!(
                    before.is_none_or(|(at, _)| now >= at + TTL),
                    "n{number} was refused at {now:?}, sent at {before:?}"
                );
                trace.say("a note was refused");
            }
            Err(_) => {}
        }
    }
}
