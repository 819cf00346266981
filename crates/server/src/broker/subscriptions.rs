//! Changing what a client is subscribed to, within its quota, as one step over all shards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use litemq_domain::limits::SYNC_NAMES_MAX;
use litemq_domain::{
    ClientId, ClientKey, DurationMs, Error, ErrorCode, Group, GroupId, LiteTopicName, Result,
    Timestamp,
};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::Broker;
use super::limits::{FULL_SYNC_RACE_WINDOW, SYNC_NAMES_PER_STEP};
use super::request::SyncAction;
use super::sessions::Sessions;
use super::shard::command::{Command, Sync};

/// What is known here of each client of each group. The lock of an entry is held over a whole
/// change, so that two changes of one client never mix and the quota is exact.
#[derive(Debug, Default)]
pub(super) struct SubscriptionSets {
    sets: Mutex<BTreeMap<(ClientKey, GroupId), Entry>>,
}

type Entry = Arc<AsyncMutex<SubscriptionSet>>;

/// A client's lite topics of a group, without their names: those are in the shards.
#[derive(Debug, Default)]
struct SubscriptionSet {
    count: u64,
    /// Names added one by one, and when, as far as [`FULL_SYNC_RACE_WINDOW`] goes back. A full sync that was
    /// put together before an add may arrive after it (Node sends both at its start, each in a call
    /// of its own); it does not take such a name away. SDKs remove names by name only.
    added: BTreeMap<LiteTopicName, Timestamp>,
}

impl SubscriptionSet {
    fn forget_old(&mut self, now: Timestamp) {
        let window = DurationMs(FULL_SYNC_RACE_WINDOW.as_millis() as u64);
        self.added.retain(|_, at| now.since(*at) < window);
    }
}

impl SubscriptionSets {
    async fn lock(&self, client: ClientKey, group: GroupId) -> OwnedMutexGuard<SubscriptionSet> {
        let set = {
            let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(sets.entry((client, group)).or_default())
        };
        set.lock_owned().await
    }

    /// Adds what was recovered; nobody holds a lock yet.
    pub(super) fn recover(&self, client: ClientKey, group: GroupId, count: u64) {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = sets.entry((client, group)).or_default();
        if let Ok(mut set) = entry.try_lock() {
            set.count += count;
        }
    }

    /// The groups a client has an entry for.
    pub(super) fn groups_of(&self, client: ClientKey) -> Vec<GroupId> {
        let sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let all = (client, GroupId(0))..=(client, GroupId(u32::MAX));
        sets.range(all).map(|((_, group), _)| *group).collect()
    }

    /// The group was deleted.
    pub(super) fn forget_group(&self, group: GroupId) {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        sets.retain(|(_, of), _| *of != group);
    }

    /// Clients with at least one lite topic, by group.
    pub(super) fn clients_of(&self, group: GroupId) -> u64 {
        let sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        sets.keys().filter(|(_, of)| *of == group).count() as u64
    }

    /// Forgets an entry with nothing in it that nobody is about to change.
    fn forget_if_empty(
        &self,
        client: ClientKey,
        group: GroupId,
        set: OwnedMutexGuard<SubscriptionSet>,
    ) {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        // Ours and the map's: whoever waits holds a third.
        let mine = OwnedMutexGuard::mutex(&set);
        let is_present = sets.get(&(client, group)).is_some_and(|known| Arc::ptr_eq(known, mine));
        if is_present && set.count == 0 && Arc::strong_count(mine) == 2 {
            sets.remove(&(client, group));
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
        let (client, group) = (client.clone(), Arc::clone(group));
        self.to_the_end(|broker| async move {
            broker.change_subscription(&client, &group, action, names).await
        })
        .await
    }

    async fn change_subscription(
        &self,
        client: &ClientId,
        group: &Group,
        action: SyncAction,
        names: Vec<LiteTopicName>,
    ) -> Result<()> {
        if names.len() > SYNC_NAMES_MAX {
            return Err(Error::new(
                ErrorCode::LiteSubscriptionQuotaExceeded,
                format!("one request may name at most {SYNC_NAMES_MAX} lite topics"),
            ));
        }
        let mut names = set_of(names).await;
        let key = self.keys.client(client);
        let mut set = self.subscriptions.lock(key, group.id).await;
        let now = self.now();
        set.forget_old(now);
        match action {
            SyncAction::CompleteAdd => keep_added(&mut names, &set, group),
            SyncAction::PartialRemove => set.added.retain(|name, _| !names.contains(name)),
            SyncAction::CompleteRemove => set.added.clear(),
            SyncAction::PartialAdd => {}
        }
        let added = match action {
            SyncAction::PartialAdd => names.clone(),
            _ => BTreeSet::new(),
        };
        let checked = self.check_quota(key, group, action, &names, set.count).await;
        let changed = match checked {
            Ok(()) => self.sync_shards(client, key, group.id, action, names, &mut set.count).await,
            Err(error) => Err(error),
        };
        if changed.is_ok() {
            set.added.extend(added.into_iter().map(|name| (name, now)));
        }
        // What has subscriptions has a session, which ends them some day.
        self.context.sessions.keep(client);
        self.subscriptions.forget_if_empty(key, group.id, set);
        changed
    }

    /// A client says goodbye: its subscriptions end, and what it holds goes back at once.
    ///
    /// # Errors
    /// When the store has failed.
    pub async fn terminate(&self, client: &ClientId) -> Result<()> {
        let client = self.keys.client(client);
        self.to_the_end(|broker| async move { broker.end_client(client, |_| true).await }).await
    }

    /// The same for a client that was silent for too long, unless it is back.
    pub(super) async fn end_expired(&self, client: ClientKey) -> Result<()> {
        self.end_client(client, |sessions| sessions.is_expired(client)).await
    }

    /// Subscriptions first, so that nothing that goes back comes to the same client again. The
    /// session goes last: while there is one, whatever is left will be ended some day.
    async fn end_client(
        &self,
        client: ClientKey,
        is_gone: impl Fn(&Sessions) -> bool,
    ) -> Result<()> {
        // The shards know the client by its key; the id is only for new subscriptions.
        let nobody = ClientId::new("-")?;
        let action = SyncAction::CompleteRemove;
        for group in self.subscriptions.groups_of(client) {
            let mut set = self.subscriptions.lock(client, group).await;
            if !is_gone(&self.context.sessions) {
                return Ok(());
            }
            let none = BTreeSet::new();
            self.sync_shards(&nobody, client, group, action, none, &mut set.count).await?;
            *set = SubscriptionSet::default();
            self.subscriptions.forget_if_empty(client, group, set);
        }
        self.tell_shards(|| Command::ReleaseClient { client, renewed_only: false }).await?;
        if is_gone(&self.context.sessions) && self.subscriptions.groups_of(client).is_empty() {
            self.context.signals.forget(client);
            self.context.sessions.forget(client);
        }
        Ok(())
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
            // Whatever it has: it will have these.
            SyncAction::PartialAdd if named > quota => named,
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

    /// Changes the set in each shard and counts what has changed, as far as it came.
    async fn sync_shards(
        &self,
        client: &ClientId,
        key: ClientKey,
        group: GroupId,
        action: SyncAction,
        names: BTreeSet<LiteTopicName>,
        count: &mut u64,
    ) -> Result<()> {
        let whole = matches!(action, SyncAction::CompleteAdd | SyncAction::CompleteRemove);
        for (shard, names) in self.shards.iter().zip(self.by_shard(&names)) {
            let steps = steps(action, names);
            for (action, names) in steps.into_iter().filter(|(_, names)| whole || !names.is_empty())
            {
                let sync = Sync { client: client.clone(), key, group, action, names };
                let outcome = shard.ask(|reply| Command::Sync(sync, reply)).await?;
                *count = (*count + outcome.added).saturating_sub(outcome.removed);
            }
        }
        Ok(())
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

/// The set of these names, made in steps between which others run.
async fn set_of(names: Vec<LiteTopicName>) -> BTreeSet<LiteTopicName> {
    let mut set = BTreeSet::new();
    for (n, name) in names.into_iter().enumerate() {
        set.insert(name);
        if n % SYNC_NAMES_PER_STEP == SYNC_NAMES_PER_STEP - 1 {
            tokio::task::yield_now().await;
        }
    }
    set
}

/// A change as steps between which the shard serves others. A large full set is added name by name
/// first, so that only what it does not have is left for the last step.
fn steps(action: SyncAction, names: Vec<LiteTopicName>) -> Vec<(SyncAction, Vec<LiteTopicName>)> {
    if names.len() <= SYNC_NAMES_PER_STEP {
        return vec![(action, names)];
    }
    let small = |action| names.chunks(SYNC_NAMES_PER_STEP).map(move |step| (action, step.to_vec()));
    match action {
        SyncAction::PartialAdd | SyncAction::PartialRemove => small(action).collect(),
        SyncAction::CompleteAdd | SyncAction::CompleteRemove => {
            let mut steps: Vec<_> = small(SyncAction::PartialAdd).collect();
            steps.push((action, names));
            steps
        }
    }
}

/// Keeps names that were added just before in a full sync without them, unless that would go over
/// the quota.
fn keep_added(names: &mut BTreeSet<LiteTopicName>, set: &SubscriptionSet, group: &Group) {
    let kept: BTreeSet<LiteTopicName> = set.added.keys().chain(names.iter()).cloned().collect();
    if group.client_quota.is_none_or(|quota| kept.len() as u64 <= u64::from(quota)) {
        *names = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<LiteTopicName> {
        (0..count).map(|n| LiteTopicName::new(&n.to_string()).unwrap()).collect()
    }

    #[test]
    fn a_large_change_is_made_in_steps_that_add_up_to_it() {
        let many = names(SYNC_NAMES_PER_STEP * 2 + 1);
        for action in [SyncAction::PartialAdd, SyncAction::PartialRemove] {
            let steps = steps(action, many.clone());
            assert!(
                steps
                    .iter()
                    .all(|(step, names)| { *step == action && names.len() <= SYNC_NAMES_PER_STEP })
            );
            let all: Vec<_> = steps.into_iter().flat_map(|(_, names)| names).collect();
            assert_eq!(all, many);
        }
        let steps = steps(SyncAction::CompleteAdd, many.clone());
        assert_eq!(steps.len(), 4);
        assert_eq!(steps.last(), Some(&(SyncAction::CompleteAdd, many)));
    }

    #[test]
    fn a_usual_change_is_one_step() {
        let few = names(SYNC_NAMES_PER_STEP);
        for action in [SyncAction::CompleteAdd, SyncAction::PartialAdd] {
            assert_eq!(steps(action, few.clone()), [(action, few.clone())]);
        }
    }
}
