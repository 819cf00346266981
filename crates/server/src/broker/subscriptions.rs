//! Changing what a client is subscribed to, within its quota, as one step over all shards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use litemq_domain::limits::SYNC_NAMES_MAX;
use litemq_domain::{
    ClientId, ClientKey, Error, ErrorCode, Group, GroupId, LiteTopicName, Result, SyncOutcome,
};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::Broker;
use super::request::SyncAction;
use super::shard::command::{Command, Sync};

/// How many lite topics each client of each group has. The lock of an entry is held over a whole
/// change, so that two changes of one client never mix and the quota is exact.
#[derive(Debug, Default)]
pub(super) struct SubscriptionCounts {
    counts: Mutex<BTreeMap<(ClientKey, GroupId), Count>>,
}

type Count = Arc<AsyncMutex<u64>>;

impl SubscriptionCounts {
    async fn lock(&self, client: ClientKey, group: GroupId) -> OwnedMutexGuard<u64> {
        let count = {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(counts.entry((client, group)).or_default())
        };
        count.lock_owned().await
    }

    /// Adds what was recovered; nobody holds a lock yet.
    pub(super) fn recover(&self, client: ClientKey, group: GroupId, count: u64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = counts.entry((client, group)).or_default();
        if let Ok(mut total) = entry.try_lock() {
            *total += count;
        }
    }

    /// The groups a client has an entry for.
    pub(super) fn groups_of(&self, client: ClientKey) -> Vec<GroupId> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut groups: Vec<GroupId> =
            counts.keys().filter(|(owner, _)| *owner == client).map(|(_, group)| *group).collect();
        groups.sort_unstable();
        groups
    }

    /// Clients with at least one lite topic, by group.
    pub(super) fn clients_of(&self, group: GroupId) -> u64 {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.keys().filter(|(_, of)| *of == group).count() as u64
    }

    /// Forgets an entry with nothing in it that nobody is about to change.
    fn forget_if_empty(&self, client: ClientKey, group: GroupId, count: OwnedMutexGuard<u64>) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        // Ours and the map's: whoever waits holds a third.
        if *count == 0 && Arc::strong_count(OwnedMutexGuard::mutex(&count)) == 2 {
            counts.remove(&(client, group));
        }
    }
}

impl Broker {
    /// Changes what a client is subscribed to. Repeats are free, removals always pass, and a change
    /// over the quota is refused whole.
    ///
    /// # Errors
    /// [`ErrorCode::LiteSubscriptionQuotaExceeded`].
    pub async fn sync_subscription(
        &self,
        client: &ClientId,
        group: &Arc<Group>,
        action: SyncAction,
        names: Vec<LiteTopicName>,
    ) -> Result<()> {
        if names.len() > SYNC_NAMES_MAX {
            return Err(Error::new(
                ErrorCode::LiteSubscriptionQuotaExceeded,
                format!("one request may name at most {SYNC_NAMES_MAX} lite topics"),
            ));
        }
        let names: BTreeSet<LiteTopicName> = names.into_iter().collect();
        let key = self.keys.client(client);
        let mut count = self.subscriptions.lock(key, group.id).await;
        let checked = self.check_quota(key, group, action, &names, *count).await;
        let changed = match checked {
            Ok(()) => self.sync_shards(client, key, group.id, action, names).await,
            Err(error) => Err(error),
        };
        if let Ok(outcome) = &changed {
            *count = (*count + outcome.added).saturating_sub(outcome.removed);
        }
        self.subscriptions.forget_if_empty(key, group.id, count);
        changed.map(drop)
    }

    /// A client says goodbye: its subscriptions end, and what it holds goes back at once.
    ///
    /// # Errors
    /// When the store has failed.
    pub async fn terminate(&self, client: &ClientId) -> Result<()> {
        self.end_client(self.keys.client(client)).await
    }

    pub(super) async fn end_client(&self, client: ClientKey) -> Result<()> {
        self.context.sessions.forget(client);
        self.context.signals.forget(client);
        self.tell_shards(|| Command::ReleaseClient { client, renewed_only: false }).await?;
        for group in self.subscriptions.groups_of(client) {
            let mut count = self.subscriptions.lock(client, group).await;
            self.end_subscriptions(client, group).await?;
            *count = 0;
            self.subscriptions.forget_if_empty(client, group, count);
        }
        Ok(())
    }

    async fn end_subscriptions(&self, key: ClientKey, group: GroupId) -> Result<()> {
        // The shards know the client by its key; the id is only for new subscriptions.
        let nobody = ClientId::new("-")?;
        let none = BTreeSet::new();
        self.sync_shards(&nobody, key, group, SyncAction::CompleteRemove, none).await.map(drop)
    }

    async fn check_quota(
        &self,
        key: ClientKey,
        group: &Group,
        action: SyncAction,
        names: &BTreeSet<LiteTopicName>,
        count: u64,
    ) -> Result<()> {
        let Some(quota) = group.client_quota.map(u64::from) else { return Ok(()) };
        let named = names.len() as u64;
        let wanted = match action {
            SyncAction::PartialRemove | SyncAction::CompleteRemove => return Ok(()),
            SyncAction::CompleteAdd => named,
            SyncAction::PartialAdd if count + named <= quota => return Ok(()),
            SyncAction::PartialAdd => count + self.count_new(key, group.id, names).await?,
        };
        if wanted <= quota {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::LiteSubscriptionQuotaExceeded,
            format!(
                "the client would have {wanted} lite topics of consumer group '{}'; its quota is {quota}",
                group.name
            ),
        ))
    }

    async fn count_new(
        &self,
        key: ClientKey,
        group: GroupId,
        names: &BTreeSet<LiteTopicName>,
    ) -> Result<u64> {
        let mut new = 0;
        for (shard, names) in self.shards.iter().zip(self.by_shard(names)) {
            if !names.is_empty() {
                new += shard.ask(|reply| Command::CountNew(key, group, names, reply)).await?;
            }
        }
        Ok(new)
    }

    async fn sync_shards(
        &self,
        client: &ClientId,
        key: ClientKey,
        group: GroupId,
        action: SyncAction,
        names: BTreeSet<LiteTopicName>,
    ) -> Result<SyncOutcome> {
        let whole = matches!(action, SyncAction::CompleteAdd | SyncAction::CompleteRemove);
        let mut total = SyncOutcome::default();
        for (shard, names) in self.shards.iter().zip(self.by_shard(&names)) {
            if names.is_empty() && !whole {
                continue;
            }
            let sync = Sync { client: client.clone(), key, group, action, names };
            let outcome = shard.ask(|reply| Command::Sync(sync, reply)).await?;
            total.added += outcome.added;
            total.removed += outcome.removed;
        }
        Ok(total)
    }

    fn by_shard(&self, names: &BTreeSet<LiteTopicName>) -> Vec<Vec<LiteTopicName>> {
        let mut parts = vec![Vec::new(); self.shards.len()];
        for name in names {
            if let Some(part) = parts.get_mut(self.keys.shard(name)) {
                part.push(name.clone());
            }
        }
        parts
    }
}
