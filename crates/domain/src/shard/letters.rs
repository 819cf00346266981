//! Dead letters, as the group's operator sees them: what is there, and sending some again.

use bytes::Bytes;

use super::{Send, Shard};
use crate::dead_letters::ResentLetters;
use crate::effects::{Effects, Place, Record};
use crate::error::{Error, ErrorCode, Result};
use crate::lifetime::LiteTopicRoom;
use crate::lite::Slot;
use crate::names::LiteTopicName;
use crate::persisted::{self, Key};
use crate::time::Timestamp;
use crate::topic::TopicId;
use crate::trace::What;

/// The dead letters of one lite topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letters {
    /// The slot of the lite topic that keeps them.
    pub slot: u32,
    /// Its life.
    pub generation: u32,
    /// The oldest offset known to be stored.
    pub first_offset: u64,
    /// The offset of the next.
    pub next_offset: u64,
    /// Those that were sent again: from an offset to before another, ascending.
    pub resent: Vec<(u64, u64)>,
}

/// Dead letters of one lite topic to send again to the lite topic of the same name.
#[derive(Debug, Clone)]
pub struct Resend {
    /// The parent topic that keeps them.
    pub topic: TopicId,
    /// The lite topic.
    pub lite_topic: LiteTopicName,
    /// Its life.
    pub generation: u32,
    /// The parent topic they go to.
    pub to: TopicId,
    /// Each letter's offset, and the message to store for it.
    pub letters: Vec<(u64, Bytes)>,
}

/// What was sent again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resent {
    /// Each letter's offset, and the offset it has where it was sent.
    pub sent: Vec<(u64, u64)>,
    /// Letters that were sent again before and were left out now.
    pub before: Vec<u64>,
}

impl Shard {
    /// The dead letters in a lite topic.
    pub fn letters(&self, topic: TopicId, name: &LiteTopicName) -> Option<Letters> {
        let (index, slot) = self.find_lite(topic, name)?;
        Some(Letters {
            slot: index,
            generation: slot.generation,
            first_offset: slot.first_offset,
            next_offset: slot.next_offset,
            resent: self.resent.get(&index).map(|known| known.spans.clone()).unwrap_or_default(),
        })
    }

    /// Stores letters again where they came from and remembers that, at once: no letter is sent
    /// twice, whatever is asked for twice. An error changes nothing.
    pub fn resend(
        &mut self,
        now: Timestamp,
        resend: Resend,
        room: &dyn LiteTopicRoom,
        fx: &mut Effects,
    ) -> Result<Resent> {
        let Resend { topic, lite_topic, generation, to, letters } = resend;
        let found = self.find_lite(topic, &lite_topic);
        let Some((index, slot)) = found.filter(|(_, slot)| slot.generation == generation) else {
            return Err(Error::new(
                ErrorCode::LiteTopicNotFound,
                format!("the dead letters of '{lite_topic}' were removed"),
            ));
        };
        letters.iter().try_for_each(|(offset, _)| check_stored(slot, *offset))?;
        let known = self.resent.get(&index).cloned();
        let mut known = known.unwrap_or_else(|| ResentLetters::of(generation));
        let mut outcome = Resent::default();
        let mut to_send = Vec::with_capacity(letters.len());
        for (offset, payload) in letters {
            if known.contains(offset) {
                outcome.before.push(offset);
            } else {
                known.insert(offset);
                to_send.push((offset, payload));
            }
        }
        if !known.fits() {
            return Err(Error::new(
                ErrorCode::BadRequest,
                "the letters sent again would lie in too many pieces; send the oldest first",
            ));
        }
        if to_send.is_empty() {
            return Ok(outcome);
        }
        // If one of them can be refused it is the first, which may make the lite topic.
        for (offset, payload) in to_send {
            // Without a tag none is taken for a repeat, not even of the message it once was.
            let lite_topic = lite_topic.clone();
            let send = Send { topic: to, lite_topic, tag: 0, payload, ttl: None };
            let sent = self.send(now, send, room, fx)?.offset;
            fx.note(Place { slot: index, generation, offset }, What::Resent(sent));
            outcome.sent.push((offset, sent));
        }
        fx.records.push(Record::Put {
            key: Key::ResentLetters { slot: index },
            value: persisted::resent::encode(&known),
        });
        self.resent.insert(index, known);
        Ok(outcome)
    }

    /// A life of a slot ends, and what was sent again of it.
    pub(super) fn forget_resent(&mut self, slot: u32, fx: &mut Effects) {
        if self.resent.remove(&slot).is_some() {
            fx.records.push(Record::Delete { key: Key::ResentLetters { slot } });
        }
    }

    /// Letters below an offset are gone by retention.
    pub(super) fn forget_resent_below(&mut self, slot: u32, first: u64) {
        if let Some(known) = self.resent.get_mut(&slot) {
            known.forget_below(first);
        }
    }
}

fn check_stored(slot: &Slot, offset: u64) -> Result<()> {
    if (slot.first_offset..slot.next_offset).contains(&offset) {
        return Ok(());
    }
    let (first, next) = (slot.first_offset, slot.next_offset);
    Err(Error::new(
        ErrorCode::OffsetNotFound,
        format!("there is no dead letter at offset {offset}; stored are {first} to before {next}"),
    ))
}
