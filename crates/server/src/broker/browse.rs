//! Looking at the messages of a lite topic without consuming them: forward and backward, by offset
//! and by time, all or those with a key or an id.

use bytes::Bytes;
use litemq_domain::{Error, ErrorCode, LiteTopicName, Result, Timestamp, Topic};
use litemq_storage::{ChannelRef, ReadLimit, ReadPage, ShardId, StoredRecord};
use prost::Message as _;

use super::Broker;
use super::durability::error_of;
use super::limits::{PEEK_BYTES_MAX, PEEK_MESSAGES_MAX, SCAN_BYTES_MAX, SCAN_MESSAGES_MAX};
use super::message::{Peeked, StoredMessage};
use super::request::StoredBytes;

/// Messages read at once when the newest come first; halved while they are too large for one read.
const BACKWARD_WINDOW: u64 = 64;

/// Which messages to look at. What is absent does not restrict.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// At this offset or after.
    pub from: Option<u64>,
    /// Before this offset.
    pub before: Option<u64>,
    /// Stored at this moment or after.
    pub from_time: Option<Timestamp>,
    /// Stored before this moment.
    pub to_time: Option<Timestamp>,
    /// With this key.
    pub key: Option<String>,
    /// With this message id.
    pub id: Option<String>,
    /// The newest first.
    pub newest_first: bool,
    /// At most so many, bounded by [`PEEK_MESSAGES_MAX`].
    pub limit: usize,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// The messages, in the order that was asked for.
    pub messages: Vec<Peeked>,
    /// Where to go on: [`Look::from`], or [`Look::before`] with the newest first. `None` when there
    /// was nothing to look at, or nothing is left of what was asked for.
    pub next: Option<u64>,
}

impl Broker {
    /// Looks at messages from an offset (default: the oldest) on, at most `limit`.
    ///
    /// # Errors
    /// As [`Self::look`].
    pub async fn peek(
        &self,
        topic: &str,
        name: &str,
        from: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Peeked>> {
        let look = Look { from, limit, ..Look::default() };
        Ok(self.look(topic, name, &look).await?.messages)
    }

    /// Looks at messages without consuming them. One call looks at [`SCAN_MESSAGES_MAX`] messages and
    /// reads [`SCAN_BYTES_MAX`] bytes at most, and says where to go on.
    ///
    /// # Errors
    /// [`ErrorCode::TopicNotFound`] or [`ErrorCode::LiteTopicNotFound`].
    pub async fn look(&self, topic: &str, name: &str, look: &Look) -> Result<Found> {
        let topic = self.topic(topic)?;
        self.look_in(&topic, &LiteTopicName::new(name)?, look).await
    }

    pub(super) async fn look_in(
        &self,
        topic: &Topic,
        name: &LiteTopicName,
        look: &Look,
    ) -> Result<Found> {
        let view = self.view(topic, name).await?;
        let channel = self.channel(name, view.slot, view.generation);
        let stored = (view.first_offset, view.next_offset);
        let mut from = look.from.unwrap_or(0).max(stored.0);
        let mut end = look.before.unwrap_or(u64::MAX).min(stored.1);
        if let Some(time) = look.from_time {
            from = from.max(self.first_since(channel, stored, time).await?);
        }
        if let Some(time) = look.to_time {
            end = end.min(self.first_since(channel, stored, time).await?);
        }
        let mut walk = Walk::new(self, channel, look);
        if from >= end {
            return Ok(Found::default());
        }
        let next = match look.newest_first {
            true => walk.down(from, end).await?,
            false => walk.up(from, end).await?.filter(|next| *next < end),
        };
        Ok(Found { messages: walk.messages, next })
    }

    /// The offset of the first message stored at a moment or later; the end if there is none. Offsets
    /// are in the order of their times, so one message is read for each halving, 64 at most.
    pub(super) async fn first_since(
        &self,
        channel: ChannelRef,
        (mut first, mut end): (u64, u64),
        since: Timestamp,
    ) -> Result<u64> {
        let limit = ReadLimit { records_max: 1, bytes_max: 0 };
        while first < end {
            let middle = first + (end - first) / 2;
            let page = self.read_page(channel, middle, limit).await?;
            match (page.first_retained, page.records.first()) {
                (Some(left), _) if left > middle => first = left.min(end),
                (_, Some(record)) if record.at_ms < since.0 => first = middle + 1,
                (_, Some(_)) => end = middle,
                // It is not readable yet, or gone with its lite topic.
                (_, None) => break,
            }
        }
        Ok(first)
    }

    /// Counts what is stored in a lite topic; it costs what a look costs.
    ///
    /// # Errors
    /// [`ErrorCode::TopicNotFound`] or [`ErrorCode::LiteTopicNotFound`].
    pub async fn stored_bytes(&self, topic: &str, name: &str) -> Result<StoredBytes> {
        let (topic, name) = (self.topic(topic)?, LiteTopicName::new(name)?);
        let view = self.view(&topic, &name).await?;
        let channel = self.channel(&name, view.slot, view.generation);
        let end = view.next_offset;
        let (mut at, mut bytes, mut left) = (view.first_offset, 0, SCAN_MESSAGES_MAX);
        while at < end && left > 0 && bytes < SCAN_BYTES_MAX {
            let records_max = PEEK_MESSAGES_MAX.min(left);
            let limit = ReadLimit { records_max, bytes_max: PEEK_BYTES_MAX };
            let page = self.read_page(channel, at, limit).await?;
            // What is not readable yet counts the next time.
            let Some(last) = page.records.last() else { return Ok(counted(bytes, None)) };
            at = last.offset + 1;
            left = left.saturating_sub(page.records.len());
            bytes += page.records.iter().map(|record| record.payload.len()).sum::<usize>();
        }
        Ok(counted(bytes, (at < end).then_some(at)))
    }

    /// Where the messages of a life of a lite topic are stored.
    pub(super) fn channel(&self, name: &LiteTopicName, slot: u32, generation: u32) -> ChannelRef {
        let shard = u16::try_from(self.keys.shard(name)).unwrap_or(u16::MAX);
        ChannelRef { shard: ShardId(shard), slot, generation }
    }

    pub(super) async fn read_page(
        &self,
        channel: ChannelRef,
        from: u64,
        limit: ReadLimit,
    ) -> Result<ReadPage> {
        self.context.store.read(channel, from, limit).await.map_err(|error| error_of(&error))
    }
}

fn counted(bytes: usize, counted_to: Option<u64>) -> StoredBytes {
    StoredBytes { bytes: bytes as u64, counted_to }
}

/// What a record holds.
///
/// # Errors
/// [`ErrorCode::StorageDamaged`].
pub(super) fn decode(payload: Bytes) -> Result<StoredMessage> {
    StoredMessage::decode(payload)
        .map_err(|error| Error::new(ErrorCode::StorageDamaged, error.to_string()))
}

/// One walk over messages, and what it may still cost.
struct Walk<'a> {
    broker: &'a Broker,
    channel: ChannelRef,
    look: &'a Look,
    /// The tag of messages with the wanted id.
    tag: Option<u64>,
    limit: usize,
    scans_left: usize,
    bytes_left: usize,
    found_bytes: usize,
    messages: Vec<Peeked>,
}

impl<'a> Walk<'a> {
    fn new(broker: &'a Broker, channel: ChannelRef, look: &'a Look) -> Self {
        Self {
            broker,
            channel,
            look,
            tag: look.id.as_ref().map(|id| broker.keys.message(id)),
            limit: look.limit.min(PEEK_MESSAGES_MAX),
            scans_left: SCAN_MESSAGES_MAX,
            bytes_left: SCAN_BYTES_MAX,
            found_bytes: 0,
            messages: Vec::new(),
        }
    }

    /// From an offset on; where it stopped, if it looked at anything.
    async fn up(&mut self, from: u64, end: u64) -> Result<Option<u64>> {
        let mut at = from;
        while at < end && !self.is_full() {
            let page = self.read(at, end - at).await?;
            let before = at;
            for record in page.into_iter().take_while(|record| record.offset < end) {
                if self.is_full() {
                    return Ok(Some(at));
                }
                at = record.offset + 1;
                self.take(record)?;
            }
            if at == before {
                break; // not readable yet
            }
        }
        Ok((at > from).then_some(at))
    }

    /// From before an offset down; where it stopped, if something is left.
    async fn down(&mut self, from: u64, end: u64) -> Result<Option<u64>> {
        let (mut at, mut window) = (end, BACKWARD_WINDOW);
        while at > from && !self.is_full() {
            let start = at.saturating_sub(window.min(self.records_max() as u64)).max(from);
            let page = self.read(start, at - start).await?;
            let Some(last) = page.last().map(|record| record.offset) else {
                // Retention has taken them, or they are not readable yet.
                at = start;
                continue;
            };
            if last + 1 < at && at - start > 1 {
                window = (at - start) / 2;
                continue;
            }
            window = (window * 2).min(BACKWARD_WINDOW);
            for record in page.into_iter().rev() {
                if self.is_full() {
                    return Ok(Some(at));
                }
                at = record.offset;
                self.take(record)?;
            }
            at = start;
        }
        Ok((at > from).then_some(at))
    }

    async fn read(&mut self, from: u64, count: u64) -> Result<Vec<StoredRecord>> {
        let records_max = usize::try_from(count).unwrap_or(usize::MAX).min(self.records_max());
        let limit = ReadLimit { records_max, bytes_max: PEEK_BYTES_MAX.min(self.bytes_left) };
        let page = self.broker.read_page(self.channel, from, limit).await?;
        let bytes = page.records.iter().map(|record| record.payload.len()).sum();
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        Ok(page.records)
    }

    /// Looks at a message, and keeps it if it is wanted.
    fn take(&mut self, record: StoredRecord) -> Result<()> {
        self.scans_left = self.scans_left.saturating_sub(1);
        // Dead letters, and what was sent again, have no tag.
        if self.tag.is_some_and(|tag| record.tag != tag && record.tag != 0) {
            return Ok(());
        }
        let (bytes, offset) = (record.payload.len(), record.offset);
        let message = decode(record.payload)?;
        let has_key = self.look.key.as_ref().is_none_or(|key| message.keys.contains(key));
        let has_id = self.look.id.as_ref().is_none_or(|id| message.message_id == *id);
        if has_key && has_id {
            self.found_bytes += bytes;
            self.messages.push(Peeked { offset, stored_at: Timestamp(record.at_ms), message });
        }
        Ok(())
    }

    /// Records worth reading at once.
    fn records_max(&self) -> usize {
        match self.look.key.is_some() || self.look.id.is_some() {
            true => PEEK_MESSAGES_MAX.min(self.scans_left),
            false => self.limit - self.messages.len(),
        }
    }

    fn is_full(&self) -> bool {
        self.messages.len() >= self.limit
            || self.found_bytes >= PEEK_BYTES_MAX
            || self.scans_left == 0
            || self.bytes_left == 0
    }
}
