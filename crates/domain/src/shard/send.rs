//! Sending: the first message makes the lite topic.

use bytes::Bytes;

use super::Shard;
use crate::effects::{Effects, Event, Place, Record};
use crate::error::{Error, ErrorCode, Result};
use crate::lifetime::{LiteTopicRoom, OwnLifetime};
use crate::lite::SlotState;
use crate::names::LiteTopicName;
use crate::time::{DurationMs, Timestamp};
use crate::topic::TopicId;
use crate::trace::What;

/// A message to store.
#[derive(Debug, Clone)]
pub struct Send {
    /// The parent topic.
    pub topic: TopicId,
    /// The lite topic.
    pub lite_topic: LiteTopicName,
    /// Keyed hash of the client's message id; 0 is none, and never a repeat.
    pub tag: u64,
    /// The message, opaque here.
    pub payload: Bytes,
    /// The lite topic's own time to live, if this message makes it; the inner `None` is for ever.
    pub ttl: Option<Option<DurationMs>>,
}

/// Where a message is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendOutcome {
    /// Its offset in the lite topic.
    pub offset: u64,
    /// Whether a message with the same id was stored before; this is its offset, and nothing was
    /// stored now.
    pub repeated: bool,
}

impl Shard {
    /// Stores a message at the end of its lite topic, which is created if there is none and there is
    /// room for it.
    pub fn send(
        &mut self,
        now: Timestamp,
        send: Send,
        room: &dyn LiteTopicRoom,
        fx: &mut Effects,
    ) -> Result<SendOutcome> {
        self.topic(send.topic)?;
        let index = match self.find_lite(send.topic, &send.lite_topic) {
            Some((index, _)) => index,
            None => {
                let own = OwnLifetime { ttl: send.ttl, ..OwnLifetime::default() };
                self.make_live(now, send.topic, &send.lite_topic, own, room, fx)?
            }
        };
        let Some(slot) = self.lites.get_mut(index) else { return Err(too_many()) };
        let identity = (index, slot.generation, send.tag);
        if send.tag != 0
            && let Some(offset) = self.resends.find(identity)
        {
            let place = Place { slot: index, generation: identity.1, offset };
            fx.note(place, What::SentAgain);
            return Ok(SendOutcome { offset, repeated: true });
        }
        let offset = slot.next_offset;
        slot.next_offset += 1;
        slot.last_send_at = slot.last_send_at.max(now);
        let generation = slot.generation;
        fx.records.push(Record::Append {
            slot: index,
            generation,
            offset,
            at: now,
            tag: send.tag,
            payload: send.payload,
        });
        fx.note(Place { slot: index, generation, offset }, What::Stored { tag: send.tag });
        if send.tag != 0 {
            self.resends.remember(identity, offset);
        }
        self.count_lags(now, index);
        self.offer_to_all(now, index, fx);
        Ok(SendOutcome { offset, repeated: false })
    }

    /// Makes a lite topic of a name that is none.
    pub(super) fn make_live(
        &mut self,
        now: Timestamp,
        topic: TopicId,
        name: &LiteTopicName,
        own: OwnLifetime,
        room: &dyn LiteTopicRoom,
        fx: &mut Effects,
    ) -> Result<u32> {
        let named = self.lites.find(topic, name);
        if named.is_none() && !self.lites.has_room(1) {
            return Err(too_many());
        }
        room.take(self.topic(topic)?)?;
        let index = match named {
            Some(index) => {
                self.lites.make_live(index, now);
                index
            }
            None => self.lites.insert(topic, name, SlotState::Live, now).ok_or_else(too_many)?,
        };
        self.lifetimes.set_own(index, own);
        self.save_slot(index, fx);
        self.file(index);
        fx.events.push(Event::LiteTopicCreated(topic));
        Ok(index)
    }
}

fn too_many() -> Error {
    Error::new(ErrorCode::LiteTopicQuotaExceeded, "this shard has no room for another lite topic")
}
