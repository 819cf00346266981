//! The dead letters of a group: what is there, and sending some again to where they came from.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use litemq_domain::{
    Error, ErrorCode, Group, Letters, LiteTopicName, Resend, Resent, Result, Timestamp, Topic,
};
use litemq_storage::{ChannelRef, ReadLimit};
use prost::Message as _;

use super::browse::{Found, Look, decode};
use super::limits::{RESEND_LETTERS_MAX, SHARD_CYCLE_BYTES};
use super::message::{DeadLetterOrigin, ResentFrom};
use super::shard::command::Command;
use super::{Broker, WhoKey};

/// The dead letters of one lite topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LettersInfo {
    /// The lite topic, whose name is the same where they came from.
    pub name: LiteTopicName,
    /// Stored letters.
    pub letters: u64,
    /// Those of them that were sent again.
    pub resent: u64,
    /// Oldest offset still stored, as far as known.
    pub first_offset: u64,
    /// When the last one came.
    pub last_at: Timestamp,
}

/// What a request to send letters again did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResendReport {
    /// Each letter's offset, and the offset of the message in its lite topic.
    pub sent: Vec<(u64, u64)>,
    /// Letters that were sent again before and were left out.
    pub before: Vec<u64>,
    /// Some that were asked for are left: ask again.
    pub more: bool,
}

impl Broker {
    /// Lite topics of a group that have dead letters, by name, as [`Self::list_lite`] lists.
    ///
    /// # Errors
    /// [`ErrorCode::ConsumerGroupNotFound`].
    pub async fn dead_letters(
        &self,
        group: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<LettersInfo>> {
        let (_, kept) = self.letters_of(group)?;
        let listed = self.list_lite(kept.name.as_str(), prefix, after, limit).await?;
        let info = |found: super::LiteTopicInfo| LettersInfo {
            letters: found.next_offset - found.first_offset,
            resent: found.resent,
            first_offset: found.first_offset,
            last_at: found.last_send_at.unwrap_or(found.created_at),
            name: found.name,
        };
        Ok(listed.into_iter().map(info).collect())
    }

    /// Looks at dead letters; with each, whether it was sent again.
    ///
    /// # Errors
    /// [`ErrorCode::ConsumerGroupNotFound`] or [`ErrorCode::LiteTopicNotFound`].
    pub async fn look_at_letters(
        &self,
        group: &str,
        name: &str,
        look: &Look,
    ) -> Result<(Found, Vec<bool>)> {
        let (_, kept) = self.letters_of(group)?;
        let name = LiteTopicName::new(name)?;
        let found = self.look_in(&kept, &name, look).await?;
        let resent = self.letters_in(&kept, &name).await?.resent;
        let is_resent =
            |offset: u64| resent.iter().any(|(from, end)| (*from..*end).contains(&offset));
        let all = found.messages.iter().map(|letter| is_resent(letter.offset)).collect();
        Ok((found, all))
    }

    /// Sends dead letters again, to the lite topic they came from: these, or with `None` the oldest
    /// that were not sent again yet, at most `limit` (bounded by [`RESEND_LETTERS_MAX`]) and about
    /// [`SHARD_CYCLE_BYTES`]. They are stored there, and remembered as sent again, at once or not at
    /// all.
    ///
    /// # Errors
    /// [`ErrorCode::ConsumerGroupNotFound`], [`ErrorCode::LiteTopicNotFound`], or
    /// [`ErrorCode::OffsetNotFound`] for a letter that is not there; and what refuses a message.
    /// Nothing was sent then.
    pub async fn resend_dead_letters(
        &self,
        by: WhoKey,
        group: &str,
        name: &str,
        offsets: Option<&[u64]>,
        limit: usize,
    ) -> Result<ResendReport> {
        let (group, kept) = self.letters_of(group)?;
        let name = LiteTopicName::new(name)?;
        let letters = self.letters_in(&kept, &name).await?;
        let limit = limit.clamp(1, RESEND_LETTERS_MAX);
        let mut wanted: VecDeque<u64> = match offsets {
            Some(offsets) => offsets.iter().copied().collect::<BTreeSet<_>>().into_iter().collect(),
            None => not_resent(&letters).take(limit + 1).collect(),
        };
        let shard = self.shards.get(self.keys.shard(&name)).ok_or_else(super::stopping)?;
        let channel = self.channel(&name, letters.slot, letters.generation);
        if let Some(left) = self.first_left(channel, &wanted).await? {
            let (slot, generation) = (channel.slot, channel.generation);
            shard.tell(Command::Trimmed { slot, generation, first: left }).await?;
            // Who names a letter is told that it is gone.
            wanted.retain(|offset| offsets.is_some() || *offset >= left);
        }
        let prepared = self.prepare_letters(&group, &kept, channel, &mut wanted, limit).await?;
        let bodies = prepared.bodies;
        let resend = Resend {
            topic: kept.id,
            lite_topic: name.clone(),
            generation: letters.generation,
            to: group.topic,
            letters: prepared.letters,
        };
        let Resent { sent, before } = shard.ask(|reply| Command::Resend(resend, by, reply)).await?;
        if let Some(entry) = self.context.catalog.topic_entry(group.topic) {
            for (_, bytes) in bodies.iter().filter(|(offset, _)| !before.contains(offset)) {
                entry.metrics.message_in(*bytes);
            }
        }
        Ok(ResendReport { sent, before, more: !wanted.is_empty() })
    }

    /// The oldest letter left, if retention took the oldest of these.
    async fn first_left(&self, channel: ChannelRef, wanted: &VecDeque<u64>) -> Result<Option<u64>> {
        let Some(oldest) = wanted.front() else { return Ok(None) };
        let limit = ReadLimit { records_max: 1, bytes_max: 0 };
        Ok(self.read_page(channel, *oldest, limit).await?.first_retained)
    }

    /// Reads letters and makes of each the message to send, until there are enough for one batch.
    async fn prepare_letters(
        &self,
        group: &Group,
        kept: &Topic,
        channel: ChannelRef,
        wanted: &mut VecDeque<u64>,
        limit: usize,
    ) -> Result<Prepared> {
        let origin = self.topic_by_id(group.topic).ok_or_else(|| {
            Error::new(ErrorCode::TopicNotFound, "the topic that the group consumes was deleted")
        })?;
        let mut prepared = Prepared::default();
        let mut bytes = 0;
        while let Some(offset) = wanted.front().copied() {
            let run = wanted.iter().zip(offset..).take_while(|(at, next)| *at == next).count();
            let limit = ReadLimit {
                records_max: run.min(limit - prepared.letters.len()),
                bytes_max: SHARD_CYCLE_BYTES - bytes,
            };
            if limit.records_max == 0 {
                break;
            }
            let page = self.read_page(channel, offset, limit).await?;
            if page.records.first().is_none_or(|record| record.offset != offset) {
                return Err(Error::new(
                    ErrorCode::OffsetNotFound,
                    format!("there is no dead letter at offset {offset}"),
                ));
            }
            for record in page.records {
                let mut message = decode(record.payload)?;
                let from = message.dead_letter.take();
                check_origin(from.as_ref(), &origin)?;
                message.dead_letter = from.and_then(|from| from.before).map(|before| *before);
                let times =
                    message.resent.take().map_or(1, |before| before.times.saturating_add(1));
                let topic = kept.name.to_string();
                message.resent = Some(ResentFrom { topic, offset: record.offset, times });
                let payload = Bytes::from(message.encode_to_vec());
                if bytes > 0 && bytes + payload.len() > SHARD_CYCLE_BYTES {
                    return Ok(prepared);
                }
                bytes += payload.len();
                prepared.bodies.push((record.offset, message.body.len() as u64));
                prepared.letters.push((record.offset, payload));
                wanted.pop_front();
            }
            if bytes >= SHARD_CYCLE_BYTES {
                break;
            }
        }
        Ok(prepared)
    }

    /// A group and the topic of its dead letters.
    fn letters_of(&self, group: &str) -> Result<(Arc<Group>, Arc<Topic>)> {
        let group = self.group(group)?;
        let kept = self.topic_by_id(group.dead_letter_topic).ok_or_else(|| {
            Error::new(ErrorCode::ConsumerGroupNotFound, "the consumer group was deleted")
        })?;
        Ok((group, kept))
    }

    async fn letters_in(&self, kept: &Topic, name: &LiteTopicName) -> Result<Letters> {
        let shard = self.shards.get(self.keys.shard(name)).ok_or_else(super::stopping)?;
        let letters = shard.ask(|reply| Command::Letters(kept.id, name.clone(), reply)).await?;
        letters.ok_or_else(|| {
            Error::new(
                ErrorCode::LiteTopicNotFound,
                format!("there are no dead letters of lite topic '{name}'"),
            )
        })
    }
}

/// Messages to send, and what they are counted by.
#[derive(Default)]
struct Prepared {
    /// Each letter's offset and the message.
    letters: Vec<(u64, Bytes)>,
    /// Each letter's offset and the length of its body.
    bodies: Vec<(u64, u64)>,
}

/// Offsets of letters that were not sent again, the oldest first.
fn not_resent(letters: &Letters) -> impl Iterator<Item = u64> + '_ {
    let starts = std::iter::once(letters.first_offset).chain(letters.resent.iter().map(|s| s.1));
    let ends = letters.resent.iter().map(|span| span.0).chain([letters.next_offset]);
    starts.zip(ends).flat_map(|(from, end)| from..end)
}

/// A letter goes where it came from and nowhere else.
fn check_origin(from: Option<&DeadLetterOrigin>, origin: &Topic) -> Result<()> {
    match from {
        Some(from) if from.topic == origin.name.as_str() => Ok(()),
        Some(from) => Err(Error::new(
            ErrorCode::TopicNotFound,
            format!(
                "the dead letter is from topic '{}', the group consumes '{}'; send it again by hand",
                from.topic.escape_debug(),
                origin.name
            ),
        )),
        None => Err(Error::new(ErrorCode::StorageDamaged, "a dead letter without its origin")),
    }
}
