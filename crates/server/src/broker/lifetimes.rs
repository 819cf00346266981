//! Lite topics ahead of their first message, and how long they live.

use litemq_domain::limits::TTL_MAX;
use litemq_domain::{
    DurationMs, Error, ErrorCode, LifetimeChange, LiteTopicName, OwnLifetime, Result, TopicType,
    check_ttl,
};

use super::Broker;
use super::request::{LifetimeOrder, LiteTopicInfo};
use super::shard::command::Command;

impl Broker {
    /// Creates a lite topic ahead of its first message; again is fine. `ttl` is its own, the inner
    /// `None` is for ever.
    ///
    /// # Errors
    /// [`ErrorCode::TopicNotFound`], [`ErrorCode::LiteTopicQuotaExceeded`], or
    /// [`ErrorCode::AlreadyExists`] when it has another time to live of its own.
    pub async fn create_lite(
        &self,
        topic: &str,
        name: &LiteTopicName,
        ttl: Option<Option<DurationMs>>,
    ) -> Result<LiteTopicInfo> {
        let topic = self.topic(topic)?;
        if topic.topic_type == TopicType::DeadLetter {
            return Err(Error::new(
                ErrorCode::BadRequest,
                format!("topic '{}' keeps dead letters; only the server writes to it", topic.name),
            ));
        }
        self.check_ttl(ttl.flatten())?;
        let own = OwnLifetime { ttl, ..OwnLifetime::default() };
        let shard = self.shards.get(self.keys.shard(name)).ok_or_else(super::stopping)?;
        let create = |reply| Command::CreateLite(topic.id, name.clone(), own, reply);
        Ok(self.info(shard.ask(create).await?))
    }

    /// Changes how long a lite topic lives.
    ///
    /// # Errors
    /// [`ErrorCode::TopicNotFound`], [`ErrorCode::LiteTopicNotFound`], or a span out of bounds.
    pub async fn change_lifetime(
        &self,
        topic: &str,
        name: &str,
        orders: &[LifetimeOrder],
    ) -> Result<LiteTopicInfo> {
        let (topic, name) = (self.topic(topic)?, LiteTopicName::new(name)?);
        let changes = orders.iter().map(|order| self.lifetime_change(*order));
        let changes = changes.collect::<Result<Vec<_>>>()?;
        let shard = self.shards.get(self.keys.shard(&name)).ok_or_else(super::stopping)?;
        let change = |reply| Command::ChangeLifetime(topic.id, name, changes, reply);
        Ok(self.info(shard.ask(change).await?))
    }

    fn lifetime_change(&self, order: LifetimeOrder) -> Result<LifetimeChange> {
        Ok(match order {
            LifetimeOrder::Extend(span) if span > TTL_MAX || span == DurationMs(0) => {
                return Err(Error::new(
                    ErrorCode::BadRequest,
                    format!("a lite topic is extended by up to {TTL_MAX}; or pin it"),
                ));
            }
            LifetimeOrder::Extend(span) => LifetimeChange::Extend(self.now() + span),
            LifetimeOrder::Pin => LifetimeChange::Pin,
            LifetimeOrder::Unpin => LifetimeChange::Unpin,
            LifetimeOrder::Ttl(ttl) => {
                self.check_ttl(ttl.flatten())?;
                LifetimeChange::Ttl(ttl)
            }
        })
    }

    /// Checks a time to live against what there is and what this server allows.
    ///
    /// # Errors
    /// [`ErrorCode::BadRequest`].
    pub(super) fn check_ttl(&self, ttl: Option<DurationMs>) -> Result<()> {
        check_ttl(ttl)?;
        let (min, max) = (self.options.ttl_min, self.options.ttl_max);
        match ttl {
            Some(ttl) if ttl < min || ttl > max => Err(Error::new(
                ErrorCode::BadRequest,
                format!("the time to live is {ttl}; this server allows {min} to {max}, or never"),
            )),
            _ => Ok(()),
        }
    }
}
