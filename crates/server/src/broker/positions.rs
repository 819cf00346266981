//! Moving groups to other places of their lite topics, by offset or by time.

use litemq_domain::{Consumed, Error, ErrorCode, GroupId, LiteTopicName, Result, StartAt};
use litemq_storage::{ChannelRef, ShardId};

use super::Broker;
use super::request::Start;
use super::shard::ShardHandle;
use super::shard::command::Command;

impl Broker {
    /// Moves a group to another place of a lite topic, or of all it consumes: those in which it has a
    /// position or a subscriber. Whatever is in flight there is as if it had never been handed out.
    /// How many positions moved.
    ///
    /// # Errors
    /// [`ErrorCode::ConsumerGroupNotFound`] or [`ErrorCode::LiteTopicNotFound`].
    pub async fn reset_group(
        &self,
        group: &str,
        lite_topic: Option<&str>,
        start: Start,
    ) -> Result<u64> {
        let group = self.group(group)?.id;
        let name = lite_topic.map(LiteTopicName::new).transpose()?;
        self.to_the_end(move |broker| async move {
            match name {
                Some(name) => broker.reset_one(group, name, start).await,
                None => broker.reset_all(group, start).await,
            }
        })
        .await
    }

    async fn reset_one(&self, group: GroupId, name: LiteTopicName, start: Start) -> Result<u64> {
        let shard = self.shards.get(self.keys.shard(&name)).ok_or_else(super::stopping)?;
        let place = shard.ask(|reply| Command::ToConsume(group, name, reply)).await?;
        self.move_to(shard, group, vec![place], start).await
    }

    /// In parts, between which the shards serve others.
    async fn reset_all(&self, group: GroupId, start: Start) -> Result<u64> {
        let mut moved = 0;
        for shard in &self.shards {
            let mut next = Some(0);
            while let Some(first) = next {
                let part = shard.ask(|reply| Command::ConsumedBy(group, first, reply)).await?;
                next = part.1;
                if !part.0.is_empty() {
                    moved += self.move_to(shard, group, part.0, start).await?;
                }
            }
        }
        Ok(moved)
    }

    async fn move_to(
        &self,
        shard: &ShardHandle,
        group: GroupId,
        places: Vec<Consumed>,
        start: Start,
    ) -> Result<u64> {
        let mut moves = Vec::with_capacity(places.len());
        for place in places {
            moves.push((place, self.start_in(shard, &place, start).await?));
        }
        shard.ask(|reply| Command::MovePositions(group, moves, reply)).await
    }

    /// Where a group starts in each of these lite topics. One that does not exist yet starts at its
    /// oldest message, which is its first.
    pub(super) async fn starts_of(
        &self,
        shard: &ShardHandle,
        group: GroupId,
        names: &[LiteTopicName],
        start: Start,
    ) -> Result<Vec<StartAt>> {
        let mut starts = Vec::with_capacity(names.len());
        for name in names {
            starts.push(match start.at() {
                Some(start) => start,
                None => {
                    let found =
                        shard.ask(|reply| Command::ToConsume(group, name.clone(), reply)).await;
                    match found {
                        Ok(place) => self.start_in(shard, &place, start).await?,
                        Err(Error { code: ErrorCode::LiteTopicNotFound, .. }) => StartAt::Oldest,
                        Err(error) => return Err(error),
                    }
                }
            });
        }
        Ok(starts)
    }

    async fn start_in(
        &self,
        shard: &ShardHandle,
        place: &Consumed,
        start: Start,
    ) -> Result<StartAt> {
        match start {
            Start::Time(at) => {
                let channel = ChannelRef {
                    shard: ShardId(shard.number()),
                    slot: place.slot,
                    generation: place.generation,
                };
                let stored = (place.first_offset, place.next_offset);
                let offset = self.first_since(channel, stored, at).await?;
                Ok(StartAt::InLife { generation: place.generation, offset })
            }
            Start::Oldest | Start::Newest | Start::Offset(_) | Start::Tail(_) => {
                Ok(start.at().unwrap_or(StartAt::Oldest))
            }
        }
    }
}
