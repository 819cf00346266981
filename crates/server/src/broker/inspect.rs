//! Looking at lite topics without changing anything, and removing lite topics.

use std::sync::atomic::Ordering;

use litemq_domain::limits::LIST_NAMES_MAX;
use litemq_domain::{Error, ErrorCode, LiteTopicName, LiteView, Result, Topic, Violation};
use litemq_storage::StoreUsage;

use super::limits::AGE_READS_MAX;
use super::request::{LiteGroupInfo, LiteTopicInfo};
use super::shard::command::Command;
use super::{Broker, WhoKey};

impl Broker {
    /// Lite topics of a topic by name, after `after`, with this prefix, at most `limit` (bounded by
    /// [`LIST_NAMES_MAX`]).
    ///
    /// # Errors
    /// [`ErrorCode::TopicNotFound`].
    pub async fn list_lite(
        &self,
        topic: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<LiteTopicInfo>> {
        let topic = self.topic(topic)?;
        let max = limit.min(LIST_NAMES_MAX);
        let mut views = Vec::new();
        for shard in &self.shards {
            let listed = shard.ask(|reply| Command::List {
                topic: topic.id,
                prefix: prefix.to_owned(),
                after: after.map(str::to_owned),
                max,
                reply,
            });
            views.extend(listed.await?);
        }
        views.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        views.truncate(max);
        Ok(views.into_iter().map(|view| self.info(view)).collect())
    }

    /// One lite topic, also with when the oldest message was stored that a group has left.
    ///
    /// # Errors
    /// [`ErrorCode::TopicNotFound`] or [`ErrorCode::LiteTopicNotFound`].
    pub async fn describe_lite(&self, topic: &str, name: &str) -> Result<LiteTopicInfo> {
        let topic = self.topic(topic)?;
        let name = LiteTopicName::new(name)?;
        let view = self.view(&topic, &name).await?;
        let channel = self.channel(&name, view.slot, view.generation);
        let mut info = self.info(view);
        let shard = self.shards.get(self.keys.shard(&name)).ok_or_else(super::stopping)?;
        let lagging = info.groups.iter_mut().filter(|group| group.in_flight + group.ready > 0);
        for group in lagging.take(AGE_READS_MAX) {
            group.oldest_at = self.stored_at(shard, channel, group.committed_offset).await?;
        }
        Ok(info)
    }

    /// How many lite topics a topic has.
    pub fn lite_count(&self, topic: &Topic) -> u64 {
        self.context.catalog.lite_topics().count(topic.id)
    }

    /// Pairs of a client and a lite topic that it is subscribed to.
    pub fn subscription_count(&self) -> u64 {
        self.context.subscriptions.all().0
    }

    /// Removes a lite topic with its messages and positions.
    ///
    /// # Errors
    /// [`ErrorCode::TopicNotFound`] or [`ErrorCode::LiteTopicNotFound`].
    pub async fn delete_lite(&self, topic: &str, name: &str) -> Result<()> {
        self.delete_lite_by(WhoKey::default(), topic, name).await
    }

    /// The same, and the trace says who.
    ///
    /// # Errors
    /// As [`Self::delete_lite`].
    pub async fn delete_lite_by(&self, by: WhoKey, topic: &str, name: &str) -> Result<()> {
        let topic = self.topic(topic)?;
        let name = LiteTopicName::new(name)?;
        let shard = self.shards.get(self.keys.shard(&name)).ok_or_else(super::stopping)?;
        shard.ask(|reply| Command::RemoveLite(topic.id, name, by, reply)).await
    }

    /// Receives that wait for a message.
    pub fn parked_receives(&self) -> u64 {
        self.parked.load(Ordering::Relaxed) as u64
    }

    /// Space and backlog of the store.
    pub fn store_usage(&self) -> StoreUsage {
        self.context.store.usage()
    }

    /// What is wrong with the shards; nothing is, unless the broker has a fault of its own. Looks at
    /// everything there is and holds each shard up for as long: for tests, simulations and tools.
    ///
    /// # Errors
    /// When the broker is stopping.
    pub async fn audit(&self) -> Result<Vec<Violation>> {
        let mut found = Vec::new();
        for shard in &self.shards {
            found.extend(shard.ask(Command::Audit).await?);
        }
        Ok(found)
    }

    pub(super) async fn view(&self, topic: &Topic, name: &LiteTopicName) -> Result<LiteView> {
        let shard = self.shards.get(self.keys.shard(name)).ok_or_else(super::stopping)?;
        let view = shard.ask(|reply| Command::Describe(topic.id, name.clone(), reply)).await?;
        view.ok_or_else(|| {
            Error::new(
                ErrorCode::LiteTopicNotFound,
                format!("there is no lite topic '{name}'; it is created by the first message"),
            )
        })
    }

    pub(super) fn info(&self, view: LiteView) -> LiteTopicInfo {
        let groups = view
            .groups
            .into_iter()
            .filter_map(|found| {
                Some(LiteGroupInfo {
                    group: self.context.catalog.group_by_id(found.group)?.name.clone(),
                    committed_offset: found.committed,
                    in_flight: found.in_flight,
                    ready: found.ready,
                    oldest_at: None,
                    subscribers: found.subscribers,
                })
            })
            .collect();
        LiteTopicInfo {
            name: view.name,
            first_offset: view.first_offset,
            next_offset: view.next_offset,
            created_at: view.created_at,
            last_send_at: view.last_send_at,
            last_read_at: view.last_read_at,
            ttl: view.ttl,
            own: view.own,
            expires_at: view.expires_at,
            protection: view.protection,
            resent: view.resent,
            groups,
        }
    }
}
