//! How many lite topics each client of each group has, and what it added just before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use litemq_domain::{
    ClientKey, DurationMs, Error, ErrorCode, Farewell, Group, GroupId, LiteTopicName, Result,
    Timestamp,
};
use tokio::sync::{
    Mutex as AsyncMutex, OwnedMutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
};

use super::limits::FULL_SYNC_RACE_WINDOW;

/// What is known here of each client of each group. Whoever changes one holds its [`Changing`] until
/// the change is made in all shards, so that two changes of one client never mix and the quota is
/// exact. The shards' actors count what changes, for other clients than the one that asked as well.
#[derive(Debug, Default)]
pub(in crate::broker) struct SubscriptionSets {
    sets: Mutex<BTreeMap<(ClientKey, GroupId), Arc<Kept>>>,
    /// Shared by changes, and held alone while the mode of a group changes.
    modes: RwLock<()>,
}

#[derive(Debug, Default)]
struct Kept {
    changing: Arc<AsyncMutex<()>>,
    set: Mutex<SubscriptionSet>,
}

/// A client's lite topics of a group, without their names: those are in the shards.
#[derive(Debug, Default)]
struct SubscriptionSet {
    /// May be below zero for a moment, while the count of an added one is on its way.
    count: i64,
    /// Names added one by one, and when, as far as [`FULL_SYNC_RACE_WINDOW`] goes back. A full sync that was
    /// put together before an add may arrive after it (Node sends both at its start, each in a call
    /// of its own); it does not take such a name away. SDKs remove names by name only.
    added: BTreeMap<LiteTopicName, Timestamp>,
    /// It is a client of a wildcard group.
    has_joined: bool,
}

/// A client's set, for who changes it.
#[derive(Debug)]
pub(super) struct Changing<'a> {
    key: (ClientKey, GroupId),
    kept: Arc<Kept>,
    sets: &'a SubscriptionSets,
    _alone: OwnedMutexGuard<()>,
    _mode: RwLockReadGuard<'a, ()>,
}

impl SubscriptionSets {
    /// Waits until nobody else changes this set.
    pub(super) async fn change(&self, client: ClientKey, group: GroupId) -> Changing<'_> {
        let mode = self.modes.read().await;
        let key = (client, group);
        let kept = Arc::clone(lock(&self.sets).entry(key).or_default());
        let alone = Arc::clone(&kept.changing).lock_owned().await;
        Changing { key, kept, sets: self, _alone: alone, _mode: mode }
    }

    /// Holds all changes up while the mode of a group changes, which nobody may be subscribed for.
    pub(super) async fn unused(&self, group: &Group) -> Result<RwLockWriteGuard<'_, ()>> {
        let alone = self.modes.write().await;
        match self.clients_of(group.id) {
            0 => Ok(alone),
            clients => Err(Error::new(
                ErrorCode::InUse,
                format!(
                    "{clients} clients are subscribed for consumer group '{}'; its mode can be \
                     changed when they have left",
                    group.name
                ),
            )),
        }
    }

    /// Notes a client of a wildcard group, if it is one still. While its mode changes it is noted by
    /// the next thing that the client does.
    pub(super) fn join(
        &self,
        client: ClientKey,
        group: GroupId,
        is_wildcard: impl FnOnce() -> bool,
    ) {
        let Ok(_mode) = self.modes.try_read() else { return };
        if is_wildcard() {
            let kept = Arc::clone(lock(&self.sets).entry((client, group)).or_default());
            lock(&kept.set).has_joined = true;
        }
    }

    /// A client has so many lite topics more, or fewer.
    pub(super) fn count(&self, client: ClientKey, group: GroupId, more: i64) {
        if let Some(kept) = lock(&self.sets).get(&(client, group)) {
            lock(&kept.set).count += more;
        }
    }

    /// A client has lost a lite topic.
    pub(super) fn lost(&self, farewell: &Farewell) {
        if let Some(kept) = lock(&self.sets).get(&(farewell.client, farewell.group)) {
            let mut set = lock(&kept.set);
            set.count -= i64::from(farewell.ended);
            set.added.remove(&farewell.lite_topic);
        }
    }

    /// Adds what was recovered.
    pub(super) fn recover(&self, client: ClientKey, group: GroupId, count: u64) {
        let kept = Arc::clone(lock(&self.sets).entry((client, group)).or_default());
        lock(&kept.set).count += i64::try_from(count).unwrap_or(i64::MAX);
    }

    /// The groups a client has an entry for.
    pub(super) fn groups_of(&self, client: ClientKey) -> Vec<GroupId> {
        let all = (client, GroupId(0))..=(client, GroupId(u32::MAX));
        lock(&self.sets).range(all).map(|((_, group), _)| *group).collect()
    }

    /// The group was deleted.
    pub(super) fn forget_group(&self, group: GroupId) {
        lock(&self.sets).retain(|(_, of), _| *of != group);
    }

    /// Clients of a group: those with at least one lite topic, or of a wildcard group all that it has.
    pub(super) fn clients_of(&self, group: GroupId) -> u64 {
        let sets = lock(&self.sets);
        let of_group = sets.iter().filter(|((_, of), _)| *of == group);
        of_group.filter(|(_, kept)| lock(&kept.set).is_used()).count() as u64
    }
}

impl SubscriptionSet {
    fn is_used(&self) -> bool {
        self.count > 0 || self.has_joined
    }
}

impl Changing<'_> {
    /// Lite topics it has.
    pub(super) fn count(&self) -> u64 {
        u64::try_from(lock(&self.kept.set).count).unwrap_or(0)
    }

    /// Notes names that are about to be added by name; those that were noted before are not among
    /// the result.
    pub(super) fn note_added(
        &self,
        names: &BTreeSet<LiteTopicName>,
        now: Timestamp,
    ) -> Vec<LiteTopicName> {
        let added = &mut lock(&self.kept.set).added;
        let is_new = |name: &&LiteTopicName| added.insert((*name).clone(), now).is_none();
        names.iter().filter(is_new).cloned().collect()
    }

    /// These names were not added, or are removed by name.
    pub(super) fn forget_added<'n>(&self, names: impl IntoIterator<Item = &'n LiteTopicName>) {
        let added = &mut lock(&self.kept.set).added;
        for name in names {
            added.remove(name);
        }
    }

    /// Nothing that was added counts as new any more.
    pub(super) fn forget_all_added(&self) {
        lock(&self.kept.set).added.clear();
    }

    /// It is a client of a wildcard group from now on, or is none any more.
    pub(super) fn set_joined(&self, has_joined: bool) {
        lock(&self.kept.set).has_joined = has_joined;
    }

    /// Keeps names that were added just before in a full sync without them, unless that would go over
    /// the quota.
    pub(super) fn keep_added(
        &self,
        names: &mut BTreeSet<LiteTopicName>,
        group: &Group,
        now: Timestamp,
    ) {
        let window = DurationMs(FULL_SYNC_RACE_WINDOW.as_millis() as u64);
        let added = &mut lock(&self.kept.set).added;
        added.retain(|_, at| now.since(*at) < window);
        let kept: BTreeSet<LiteTopicName> = added.keys().chain(names.iter()).cloned().collect();
        let quota = group.options.client_quota;
        if quota.is_none_or(|quota| kept.len() as u64 <= u64::from(quota)) {
            *names = kept;
        }
    }
}

/// An entry with nothing in it that nobody is about to change goes.
impl Drop for Changing<'_> {
    fn drop(&mut self) {
        let mut sets = lock(&self.sets.sets);
        let is_present = sets.get(&self.key).is_some_and(|known| Arc::ptr_eq(known, &self.kept));
        // Ours and the map's: whoever waits holds a third.
        if is_present && !lock(&self.kept.set).is_used() && Arc::strong_count(&self.kept) == 2 {
            sets.remove(&self.key);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
