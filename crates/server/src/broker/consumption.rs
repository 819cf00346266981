//! How far groups are with what they consume: what is left, and how old the oldest of it is.
//!
//! What is left is counted by the shards as it changes. When a message was stored stands with the
//! message: what a shard does not know of an age is read from the store, a bounded number at a time,
//! and told to the shard.

use std::cmp::Reverse;

use litemq_domain::{
    ClientId, GroupId, GroupLag, GroupName, LiteLag, LiteTopicName, Result, Timestamp,
};
use litemq_storage::{ChannelRef, ReadLimit, ShardId};

use super::Broker;
use super::limits::{AGE_READS_MAX, AGE_ROUNDS_MAX, LAGGING_TOP_MAX, SCRAPE_AGES_MAX};
use super::shard::ShardHandle;
use super::shard::command::{Command, LagOrder};

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopBy {
    /// The most messages left.
    Lag,
    /// The oldest message left.
    Age,
}

/// How far a group is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupStats {
    /// The group.
    pub group: GroupName,
    /// Clients with at least one lite topic.
    pub clients: u64,
    /// What it has left.
    pub backlog: Backlog,
    /// The lite topics that were asked for.
    pub top: Vec<LiteStats>,
}

/// What a group has left to settle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Messages that are not settled.
    pub lag: u64,
    /// Of these, handed out and not visible.
    pub in_flight: u64,
    /// Lite topics with something left.
    pub lite_topics: u64,
    /// When the oldest of them was stored. While more ages are unknown than are read at once, as
    /// after a start, that of the oldest that is known.
    pub oldest_at: Option<Timestamp>,
}

/// What a group has left to settle in one lite topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiteStats {
    /// The lite topic.
    pub name: LiteTopicName,
    /// Messages that are not settled.
    pub lag: u64,
    /// Of these, handed out and not visible.
    pub in_flight: u64,
    /// The oldest of them.
    pub oldest_offset: u64,
    /// When that was stored, if it could be read.
    pub oldest_at: Option<Timestamp>,
}

/// A client of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupClient {
    /// Whether it is connected, and has said that it is of the group or is subscribed for it.
    pub connected: bool,
    /// Lite topics that it is subscribed to for this group.
    pub lite_topics: u64,
    /// Names of them, in order, of each shard no more than
    /// [`litemq_domain::limits::LIST_NAMES_MAX`].
    pub names: Vec<LiteTopicName>,
}

impl Backlog {
    /// Messages that are ready to be handed out.
    pub fn ready(&self) -> u64 {
        self.lag.saturating_sub(self.in_flight)
    }

    fn add(&mut self, lag: &GroupLag, oldest_at: Option<Timestamp>) {
        self.lag += lag.lag;
        self.in_flight += lag.in_flight;
        self.lite_topics += lag.lite_topics;
        self.oldest_at = self.oldest_at.into_iter().chain(oldest_at).min();
    }
}

impl Broker {
    /// How far a group is, and at most `top` of its lite topics (bounded by [`LAGGING_TOP_MAX`]). By
    /// lag, all lite topics with something left are looked at, in parts between which the shards serve
    /// others; so they are of slightly different moments.
    ///
    /// # Errors
    /// [`litemq_domain::ErrorCode::ConsumerGroupNotFound`].
    pub async fn group_stats(&self, group: &str, by: TopBy, top: usize) -> Result<GroupStats> {
        let group = self.group(group)?;
        let max = top.min(LAGGING_TOP_MAX);
        let mut backlog = Backlog::default();
        let mut found = Vec::new();
        for shard in &self.shards {
            let lag = shard.ask(|reply| Command::Lag(group.id, reply)).await?;
            if lag.lag == 0 {
                continue;
            }
            let oldest_at = self.oldest_at(shard, &lag).await?;
            backlog.add(&lag, oldest_at);
            let most = match by {
                _ if max == 0 => continue,
                TopBy::Age => self.oldest(shard, group.id, max).await?,
                TopBy::Lag => self.most_lagging(shard, group.id, max).await?,
            };
            found.extend(most);
        }
        match by {
            TopBy::Age => found.sort_unstable_by_key(|(lag, at)| (*at, Reverse(lag.lag))),
            TopBy::Lag => found.sort_unstable_by_key(|(lag, at)| (Reverse(lag.lag), *at)),
        }
        found.truncate(max);
        Ok(GroupStats {
            group: group.name.clone(),
            clients: self.context.subscriptions.clients_of(group.id),
            backlog,
            top: found.into_iter().map(|(lag, at)| stats(lag, at)).collect(),
        })
    }

    /// What each group has left and how many clients, for the metrics. Cost follows the number of
    /// groups: unknown ages are looked for in [`SCRAPE_AGES_MAX`] places at most.
    ///
    /// # Errors
    /// When the broker is stopping.
    pub async fn backlogs(
        &self,
    ) -> Result<Vec<(std::sync::Arc<litemq_domain::Group>, Backlog, u64)>> {
        let mut backlogs = std::collections::BTreeMap::<GroupId, Backlog>::new();
        let mut looks_left = SCRAPE_AGES_MAX;
        for shard in &self.shards {
            for lag in shard.ask(Command::Counts).await?.lags {
                if self.context.catalog.group_by_id(lag.group).is_none() {
                    continue; // it was deleted, and its positions are about to go
                }
                let is_known = lag.oldest.as_ref().is_none_or(|oldest| oldest.is_exact);
                let oldest_at = match looks_left {
                    0 if !is_known => None,
                    _ => self.oldest_at(shard, &lag).await?,
                };
                looks_left -= usize::from(!is_known && looks_left > 0);
                backlogs.entry(lag.group).or_default().add(&lag, oldest_at);
            }
        }
        let with_counts = |group: std::sync::Arc<litemq_domain::Group>| {
            let backlog = backlogs.get(&group.id).copied().unwrap_or_default();
            let clients = self.context.subscriptions.clients_of(group.id);
            (group, backlog, clients)
        };
        Ok(self.groups().into_iter().map(with_counts).collect())
    }

    /// What a client has for one group. Nothing of what it has for other groups.
    ///
    /// # Errors
    /// [`litemq_domain::ErrorCode::ConsumerGroupNotFound`].
    pub async fn group_client(&self, group: &str, client: &ClientId) -> Result<GroupClient> {
        let group = self.group(group)?;
        let key = self.keys.client(client);
        let mut found = GroupClient::default();
        for shard in &self.shards {
            let (count, names) =
                shard.ask(|reply| Command::SubscribedTo(key, group.id, reply)).await?;
            found.lite_topics += count;
            found.names.extend(names);
        }
        found.names.sort_unstable();
        found.connected = self.is_connected_for(client, &group);
        Ok(found)
    }

    /// When the oldest message that a group has left in a shard was stored.
    async fn oldest_at(&self, shard: &ShardHandle, lag: &GroupLag) -> Result<Option<Timestamp>> {
        match &lag.oldest {
            None => Ok(None),
            Some(oldest) if oldest.is_exact => Ok(Some(oldest.stored_at)),
            Some(_) => {
                let oldest = self.oldest(shard, lag.group, 1).await?;
                Ok(oldest.first().and_then(|(_, at)| *at))
            }
        }
    }

    /// Lite topics of a shard with the oldest of what a group has left, at most `max`. The shard
    /// knows the order but for some ages; each round reads those of what seems to be the oldest.
    async fn oldest(
        &self,
        shard: &ShardHandle,
        group: GroupId,
        max: usize,
    ) -> Result<Vec<(LiteLag, Option<Timestamp>)>> {
        let mut found = Vec::new();
        for _ in 0..AGE_ROUNDS_MAX {
            let asked = |reply| Command::Lagging(group, LagOrder::Oldest(AGE_READS_MAX), reply);
            let (oldest, _) = shard.ask(asked).await?;
            let is_done = oldest.iter().take(max).all(|lag| lag.is_exact);
            found = match is_done {
                true => oldest.into_iter().map(|lag| (Some(lag.stored_at), lag)).collect(),
                false => self.read_ages(shard, group, oldest).await?,
            };
            if is_done {
                break;
            }
        }
        found.retain(|(at, _)| at.is_some());
        found.sort_by_key(|(at, _)| *at);
        found.truncate(max);
        Ok(found.into_iter().map(|(at, lag)| (lag, at)).collect())
    }

    /// Lite topics of a shard in which a group has the most left, at most `max`.
    async fn most_lagging(
        &self,
        shard: &ShardHandle,
        group: GroupId,
        max: usize,
    ) -> Result<Vec<(LiteLag, Option<Timestamp>)>> {
        let mut most: Vec<LiteLag> = Vec::new();
        let mut next = Some(0);
        while let Some(first) = next {
            let asked = |reply| Command::Lagging(group, LagOrder::Most { first, max }, reply);
            let (part, after) = shard.ask(asked).await?;
            most.extend(part);
            most.sort_by_key(|lag| Reverse(lag.lag));
            most.truncate(max);
            next = after;
        }
        let most = self.read_ages(shard, group, most).await?;
        Ok(most.into_iter().map(|(at, lag)| (lag, at)).collect())
    }

    /// When the oldest message of each was stored, if it could be read.
    async fn read_ages(
        &self,
        shard: &ShardHandle,
        group: GroupId,
        lags: Vec<LiteLag>,
    ) -> Result<Vec<(Option<Timestamp>, LiteLag)>> {
        let mut known = Vec::with_capacity(lags.len());
        let mut learnt = Vec::new();
        for lag in lags {
            if lag.is_exact {
                known.push((Some(lag.stored_at), lag));
                continue;
            }
            let (slot, generation) = (lag.oldest.slot, lag.oldest.generation);
            let channel = ChannelRef { shard: ShardId(shard.number()), slot, generation };
            let at = self.stored_at(shard, channel, lag.oldest.offset).await?;
            learnt.extend(at.map(|at| (lag.oldest, at)));
            known.push((at, lag));
        }
        if !learnt.is_empty() {
            shard.tell(Command::LearnAges(group, learnt)).await?;
        }
        Ok(known)
    }

    /// When a message was stored, if it is there.
    pub(super) async fn stored_at(
        &self,
        shard: &ShardHandle,
        channel: ChannelRef,
        offset: u64,
    ) -> Result<Option<Timestamp>> {
        let limit = ReadLimit { records_max: 1, bytes_max: 0 };
        let page = self.read_page(channel, offset, limit).await?;
        if let Some(first) = page.first_retained.filter(|first| *first > offset) {
            let (slot, generation) = (channel.slot, channel.generation);
            shard.tell(Command::Trimmed { slot, generation, first }).await?;
        }
        let record = page.records.first().filter(|record| record.offset == offset);
        Ok(record.map(|record| Timestamp(record.at_ms)))
    }
}

fn stats(lag: LiteLag, oldest_at: Option<Timestamp>) -> LiteStats {
    LiteStats {
        name: lag.name,
        lag: lag.lag,
        in_flight: lag.in_flight,
        oldest_offset: lag.oldest.offset,
        oldest_at,
    }
}
