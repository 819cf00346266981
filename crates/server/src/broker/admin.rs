//! Changing topics and groups: durable first, then told to the shards, then published. A change that
//! was begun goes on to its end, so that log and memory stay one.

use std::sync::Arc;

use bytes::Bytes;
use litemq_domain::persisted::{
    Counters, counters_key, counters_value, group_key, group_value, time_key, time_value,
    topic_key, topic_value,
};
use litemq_domain::{
    Error, ErrorCode, Group, GroupId, Result, Timestamp, Topic, TopicId, TopicName, TopicOptions,
    TopicType,
};
use litemq_storage::{Batch, Op, ShardId};

use super::Broker;
use super::durability::{error_of, wait_for};
use super::request::{GroupChange, NewGroup, NewTopic, TopicChange};
use super::shard::command::Command;

/// The shard number under which the catalog is stored.
pub(super) const CATALOG: ShardId = ShardId(u16::MAX);

impl Broker {
    /// Creates a topic; creating it again with the same settings is fine.
    ///
    /// # Errors
    /// [`ErrorCode::AlreadyExists`] when it exists with other settings.
    pub async fn create_topic(&self, new: NewTopic) -> Result<Arc<Topic>> {
        self.to_the_end(|broker| async move { broker.make_topic(new).await }).await
    }

    /// Changes a topic.
    ///
    /// # Errors
    /// [`ErrorCode::TopicNotFound`], or a value out of bounds.
    pub async fn update_topic(&self, name: &str, change: TopicChange) -> Result<Arc<Topic>> {
        let name = name.to_owned();
        self.to_the_end(|broker| async move { broker.change_topic(&name, change).await }).await
    }

    /// Deletes a topic with its lite topics.
    ///
    /// # Errors
    /// [`ErrorCode::InUse`] while a group is bound to it, and for a group's dead letters.
    pub async fn delete_topic(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.to_the_end(|broker| async move { broker.drop_topic(&name).await }).await
    }

    /// Creates a group; creating it again with the same settings is fine.
    ///
    /// # Errors
    /// [`ErrorCode::AlreadyExists`] when it exists with other settings,
    /// [`ErrorCode::TopicNotFound`] when there is nothing to bind to.
    pub async fn create_group(&self, new: NewGroup) -> Result<Arc<Group>> {
        self.to_the_end(|broker| async move { broker.make_group(new).await }).await
    }

    /// Changes a group.
    ///
    /// # Errors
    /// [`ErrorCode::ConsumerGroupNotFound`], a value out of bounds, or [`ErrorCode::InUse`] for another
    /// mode while somebody is subscribed.
    pub async fn update_group(&self, name: &str, change: GroupChange) -> Result<Arc<Group>> {
        let name = name.to_owned();
        self.to_the_end(|broker| async move { broker.change_group(&name, change).await }).await
    }

    /// Deletes a group with its positions and subscriptions.
    ///
    /// # Errors
    /// [`ErrorCode::ConsumerGroupNotFound`], or [`ErrorCode::InUse`] while it has dead letters.
    pub async fn delete_group(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.to_the_end(|broker| async move { broker.drop_group(&name).await }).await
    }

    async fn make_topic(&self, new: NewTopic) -> Result<Arc<Topic>> {
        self.check_ttl(new.options.ttl)?;
        let mut counters = self.counters.lock().await;
        if let Ok(existing) = self.context.catalog.topic(new.name.as_str()) {
            if existing.options == new.options && existing.topic_type == TopicType::Lite {
                return Ok(existing);
            }
            return Err(Error::new(
                ErrorCode::AlreadyExists,
                format!("topic '{}' exists with other settings; update it instead", new.name),
            ));
        }
        let (id, next) = take_topic_id(*counters)?;
        let topic = Arc::new(Topic {
            id,
            name: new.name,
            topic_type: TopicType::Lite,
            options: new.options,
            created_at: self.now(),
        });
        self.persist(vec![put_topic(&topic), put_counters(next)]).await?;
        *counters = next;
        self.publish_topic(&topic).await?;
        Ok(topic)
    }

    async fn change_topic(&self, name: &str, change: TopicChange) -> Result<Arc<Topic>> {
        let _counters = self.counters.lock().await;
        let topic = self.context.catalog.topic(name)?;
        let options = change.of(topic.options);
        if change.ttl.is_some() {
            self.check_ttl(options.ttl)?;
        }
        check_unlimited(&topic, &options)?;
        let topic = Arc::new(Topic { options, ..(*topic).clone() });
        self.persist(vec![put_topic(&topic)]).await?;
        self.publish_topic(&topic).await?;
        Ok(topic)
    }

    async fn drop_topic(&self, name: &str) -> Result<()> {
        let _counters = self.counters.lock().await;
        let topic = self.context.catalog.topic(name)?;
        if topic.topic_type == TopicType::DeadLetter {
            return Err(Error::new(
                ErrorCode::InUse,
                format!("topic '{name}' keeps the dead letters of its group; delete the group"),
            ));
        }
        if let Some(group) =
            self.context.catalog.groups().iter().find(|group| group.topic == topic.id)
        {
            return Err(Error::new(
                ErrorCode::InUse,
                format!(
                    "consumer group '{}' is bound to topic '{name}'; delete it first",
                    group.name
                ),
            ));
        }
        self.persist(vec![delete(topic_key(topic.id))]).await?;
        self.context.catalog.remove_topic(&topic);
        self.tell_shards(|| Command::RemoveTopic(topic.id)).await
    }

    async fn make_group(&self, new: NewGroup) -> Result<Arc<Group>> {
        new.options.check()?;
        let mut counters = self.counters.lock().await;
        let topic = self.context.catalog.topic(new.bind.as_str())?;
        if let Ok(existing) = self.context.catalog.group(new.name.as_str()) {
            if existing.topic == topic.id && existing.options == new.options {
                return Ok(existing);
            }
            return Err(Error::new(
                ErrorCode::AlreadyExists,
                format!(
                    "consumer group '{}' exists with other settings; update it instead",
                    new.name
                ),
            ));
        }
        let (dead_letter_topic, next) = take_topic_id(*counters)?;
        let (id, next) = take_group_id(next)?;
        let dead_letters = Arc::new(Topic {
            id: dead_letter_topic,
            name: TopicName::dead_letter(&new.name),
            topic_type: TopicType::DeadLetter,
            options: TopicOptions::default(),
            created_at: self.now(),
        });
        let group = Arc::new(Group {
            id,
            name: new.name,
            topic: topic.id,
            dead_letter_topic,
            options: new.options,
            created_at: self.now(),
        });
        self.persist(vec![put_topic(&dead_letters), put_group(&group), put_counters(next)]).await?;
        *counters = next;
        self.publish_topic(&dead_letters).await?;
        self.publish_group(&group).await?;
        Ok(group)
    }

    async fn change_group(&self, name: &str, change: GroupChange) -> Result<Arc<Group>> {
        let _counters = self.counters.lock().await;
        let present = self.context.catalog.group(name)?;
        let options = change.of(&present.options);
        options.check()?;
        let _unused = match options.mode == present.options.mode {
            true => None,
            false => Some(self.context.subscriptions.unused(&present).await?),
        };
        let group = Arc::new(Group { options, ..(*present).clone() });
        self.persist(vec![put_group(&group)]).await?;
        self.publish_group(&group).await?;
        Ok(group)
    }

    async fn drop_group(&self, name: &str) -> Result<()> {
        let _counters = self.counters.lock().await;
        let group = self.context.catalog.group(name)?;
        let dead_letters = group.dead_letter_topic;
        let count = self.context.catalog.lite_topics().count(dead_letters);
        let bound = self.context.catalog.groups().into_iter().find(|of| of.topic == dead_letters);
        if let Some(bound) = bound {
            return Err(Error::new(
                ErrorCode::InUse,
                format!(
                    "consumer group '{}' consumes the dead letters of '{name}'; delete it first",
                    bound.name
                ),
            ));
        }
        if count > 0 {
            return Err(Error::new(
                ErrorCode::InUse,
                format!(
                    "consumer group '{name}' has dead letters in {count} lite topics of '{}'; \
                     delete them first",
                    TopicName::dead_letter(&group.name)
                ),
            ));
        }
        self.persist(vec![delete(group_key(group.id)), delete(topic_key(dead_letters))]).await?;
        self.context.catalog.remove_group(&group);
        self.context.signals.wake_group(group.id);
        if let Some(topic) = self.context.catalog.topic_by_id(dead_letters) {
            self.context.catalog.remove_topic(&topic);
        }
        self.tell_shards(|| Command::RemoveGroup(group.id)).await?;
        // Only now nobody can subscribe for it any more.
        self.context.subscriptions.forget_group(group.id);
        self.tell_shards(|| Command::RemoveTopic(dead_letters)).await
    }

    /// Makes catalog records durable.
    pub(super) async fn persist(&self, ops: Vec<Op>) -> Result<()> {
        let lsn = self.context.store.submit(Batch { ops }).map_err(|error| error_of(&error))?;
        wait_for(&mut self.context.store.durable(), lsn).await
    }

    async fn publish_topic(&self, topic: &Arc<Topic>) -> Result<()> {
        self.tell_shards(|| Command::SetTopic(Arc::clone(topic))).await?;
        self.context.catalog.put_topic(Arc::clone(topic));
        Ok(())
    }

    async fn publish_group(&self, group: &Arc<Group>) -> Result<()> {
        self.tell_shards(|| Command::SetGroup(Arc::clone(group))).await?;
        self.context.catalog.put_group(Arc::clone(group));
        Ok(())
    }
}

pub(super) fn put_topic(topic: &Topic) -> Op {
    put(topic_key(topic.id), topic_value(topic))
}

pub(super) fn put_group(group: &Group) -> Op {
    put(group_key(group.id), group_value(group))
}

pub(super) fn put_counters(counters: Counters) -> Op {
    put(counters_key(), counters_value(counters))
}

pub(super) fn put_time(at: Timestamp) -> Op {
    put(time_key(), time_value(at))
}

pub(super) fn put(key: Vec<u8>, value: Vec<u8>) -> Op {
    Op::Put { shard: CATALOG, key: Bytes::from(key), value: Bytes::from(value) }
}

pub(super) fn delete(key: Vec<u8>) -> Op {
    Op::Delete { shard: CATALOG, key: Bytes::from(key) }
}

fn take_topic_id(counters: Counters) -> Result<(TopicId, Counters)> {
    let next_topic = counters.next_topic.checked_add(1).ok_or_else(used_up)?;
    Ok((TopicId(counters.next_topic), Counters { next_topic, ..counters }))
}

fn take_group_id(counters: Counters) -> Result<(GroupId, Counters)> {
    let next_group = counters.next_group.checked_add(1).ok_or_else(used_up)?;
    Ok((GroupId(counters.next_group), Counters { next_group, ..counters }))
}

fn used_up() -> Error {
    Error::new(ErrorCode::Internal, "all numbers of topics or groups are used up")
}

/// A dead letter is never refused.
fn check_unlimited(topic: &Topic, options: &TopicOptions) -> Result<()> {
    let is_limited = options.lite_topic_quota.is_some() || options.send_rate.is_some();
    if topic.topic_type != TopicType::DeadLetter || !is_limited {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::BadRequest,
        format!("topic '{}' keeps dead letters; it has no quota and no send rate", topic.name),
    ))
}
