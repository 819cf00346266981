//! How many lite topics each client of each group has, how many all may have, and what each added just
//! before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use litemq_domain::{
    ClientKey, DurationMs, Error, ErrorCode, Farewell, Group, GroupId, LiteTopicName, Result,
    SyncOutcome, Timestamp, UserKey,
};
use tokio::sync::{
    Mutex as AsyncMutex, OwnedMutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
};

use super::held::{Digest, Held};
use super::limits::FULL_SYNC_RACE_WINDOW;
use super::request::SyncAction;

/// What is known here of each client of each group. Whoever changes one holds its [`Changing`] until
/// the change is made in all shards, so that two changes of one client never mix and the quota is
/// exact. The shards' actors count what changes, for other clients than the one that asked as well.
///
/// Room for a change is taken before it, and what it did not need is given back after it. A pair that
/// ends meanwhile keeps its room until then, as the change may bring it back.
#[derive(Debug, Default)]
pub(in crate::broker) struct SubscriptionSets {
    sets: Mutex<BTreeMap<(ClientKey, GroupId), Arc<Kept>>>,
    /// Those that have noted what was added to them.
    with_added: Mutex<BTreeSet<(ClientKey, GroupId)>>,
    /// Shared by changes, and held alone while the mode of a group changes.
    modes: RwLock<()>,
    room: Room,
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
    /// Pairs that room was taken for.
    taken: u64,
    is_changing: bool,
    /// Names added one by one, and when, as far as [`FULL_SYNC_RACE_WINDOW`] goes back. A full sync that was
    /// put together before an add may arrive after it (Node sends both at its start, each in a call
    /// of its own); it does not take such a name away. SDKs remove names by name only.
    added: BTreeMap<LiteTopicName, Timestamp>,
    /// What the shards have said of its names when that was durable.
    held: Held,
    /// It is a client of a wildcard group.
    has_joined: bool,
}

/// Pairs of all clients together.
#[derive(Debug)]
struct Room {
    taken: AtomicU64,
    /// `u64::MAX` is no limit.
    max: AtomicU64,
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
        lock(&kept.set).is_changing = true;
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
        let key = (farewell.client, farewell.group);
        let mut sets = lock(&self.sets);
        let Some(kept) = sets.get(&key) else { return };
        let is_used = {
            let mut set = lock(&kept.set);
            set.count -= i64::from(farewell.ended);
            set.added.remove(&farewell.lite_topic);
            if !set.is_changing {
                set.settle(&self.room);
            }
            set.is_used() || set.is_changing
        };
        // Whoever waits to change it holds another.
        if !is_used && Arc::strong_count(kept) == 1 {
            sets.remove(&key);
        }
    }

    /// Forgets what was added so long ago that no full sync can be older; others get a turn after
    /// each client.
    pub(super) async fn forget_old_added(&self, now: Timestamp) {
        let keys = std::mem::take(&mut *lock(&self.with_added));
        for key in keys {
            if self.forget_old_added_of(key, now) {
                lock(&self.with_added).insert(key);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Whether something is left.
    fn forget_old_added_of(&self, key: (ClientKey, GroupId), now: Timestamp) -> bool {
        let sets = lock(&self.sets);
        let Some(kept) = sets.get(&key) else { return false };
        let mut set = lock(&kept.set);
        set.forget_old_added(now);
        !set.added.is_empty()
    }

    /// Adds what was recovered.
    pub(super) fn recover(&self, client: ClientKey, group: GroupId, count: u64) {
        let kept = Arc::clone(lock(&self.sets).entry((client, group)).or_default());
        let mut set = lock(&kept.set);
        set.count += i64::try_from(count).unwrap_or(i64::MAX);
        set.settle(&self.room);
    }

    /// The groups a client has an entry for.
    pub(super) fn groups_of(&self, client: ClientKey) -> Vec<GroupId> {
        let all = (client, GroupId(0))..=(client, GroupId(u32::MAX));
        lock(&self.sets).range(all).map(|((_, group), _)| *group).collect()
    }

    /// The group was deleted, and no shard knows it any more.
    pub(super) fn forget_group(&self, group: GroupId) {
        lock(&self.sets).retain(|(_, of), kept| {
            let is_gone = *of == group;
            if is_gone {
                let mut set = lock(&kept.set);
                set.count = 0;
                set.settle(&self.room);
            }
            !is_gone
        });
    }

    /// Pairs of all clients together, with those that changes under way may make, and most of them.
    pub(super) fn all(&self) -> (u64, Option<u64>) {
        let max = self.room.max.load(Ordering::Relaxed);
        (self.room.taken.load(Ordering::Relaxed), Some(max).filter(|max| *max < u64::MAX))
    }

    /// Changes how many pairs there may be; those that are there stay.
    pub(super) fn set_all_max(&self, max: Option<u64>) {
        self.room.max.store(max.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Clients of a group: those with at least one lite topic, or of a wildcard group all that it has.
    pub(super) fn clients_of(&self, group: GroupId) -> u64 {
        self.clients_for(group).len() as u64
    }

    /// Whether a client is one of these.
    pub(super) fn is_client_of(&self, client: ClientKey, group: GroupId) -> bool {
        let kept = lock(&self.sets).get(&(client, group)).cloned();
        kept.is_some_and(|kept| lock(&kept.set).is_used())
    }

    /// The same, by their keys, each with how many lite topics it has.
    pub(super) fn clients_for(&self, group: GroupId) -> BTreeMap<ClientKey, u64> {
        let sets = lock(&self.sets);
        let of_group = sets.iter().filter(|((_, of), _)| *of == group);
        let counts = of_group.filter_map(|((key, _), kept)| {
            let set = lock(&kept.set);
            set.is_used().then(|| (*key, set.counted()))
        });
        counts.collect()
    }
}

impl SubscriptionSet {
    fn counted(&self) -> u64 {
        u64::try_from(self.count).unwrap_or(0)
    }

    fn is_used(&self) -> bool {
        self.count > 0 || self.has_joined
    }

    fn forget_old_added(&mut self, now: Timestamp) {
        let window = DurationMs(FULL_SYNC_RACE_WINDOW.as_millis() as u64);
        self.added.retain(|_, at| now.since(*at) < window);
    }

    /// What room was taken for is what there is.
    fn settle(&mut self, room: &Room) {
        let count = self.counted();
        room.taken.fetch_add(count.saturating_sub(self.taken), Ordering::Relaxed);
        room.taken.fetch_sub(self.taken.saturating_sub(count), Ordering::Relaxed);
        self.taken = count;
    }
}

impl Changing<'_> {
    /// Lite topics it has.
    pub(super) fn count(&self) -> u64 {
        lock(&self.kept.set).counted()
    }

    /// Whether there is room for any number of pairs.
    pub(super) fn is_unlimited(&self) -> bool {
        self.sets.all().1.is_none()
    }

    /// Whether a full sync with these names changes nothing, names that were added just before
    /// included.
    pub(super) fn has_exactly(&self, names: Digest, user: Option<UserKey>) -> bool {
        let set = lock(&self.kept.set);
        set.held.is(names, user, set.counted())
    }

    /// What all shards have said, durably, of a change of the set; nothing after an error, when some
    /// have made it.
    pub(super) fn learn(
        &self,
        action: SyncAction,
        (names, user): (Digest, Option<UserKey>),
        outcome: Option<SyncOutcome>,
    ) {
        let mut set = lock(&self.kept.set);
        set.held = match (outcome, action) {
            (Some(outcome), SyncAction::PartialAdd) => set.held.added(names, user, outcome.added),
            (Some(outcome), SyncAction::PartialRemove) => set.held.removed(names, outcome.removed),
            // It has none but these; not all of them, if others own some or there was no room.
            (Some(_), SyncAction::CompleteAdd) if set.counted() == names.names() => {
                Held::These(names, user)
            }
            _ => Held::Unknown,
        };
    }

    /// Takes room for the set to have so many pairs. What it has room for already is free.
    ///
    /// # Errors
    /// [`ErrorCode::LiteSubscriptionQuotaExceeded`]; nothing was taken then.
    pub(super) fn take_room(&self, pairs: u64) -> Result<()> {
        let mut set = lock(&self.kept.set);
        self.sets.room.take(pairs.saturating_sub(set.taken))?;
        set.taken = set.taken.max(pairs);
        Ok(())
    }

    /// Notes names that are about to be added by name; those that were noted before are not among
    /// the result.
    pub(super) fn note_added(
        &self,
        names: &BTreeSet<LiteTopicName>,
        now: Timestamp,
    ) -> Vec<LiteTopicName> {
        let new = {
            let added = &mut lock(&self.kept.set).added;
            let is_new = |name: &&LiteTopicName| added.insert((*name).clone(), now).is_none();
            names.iter().filter(is_new).cloned().collect()
        };
        // Only now, as who looks through them takes them out.
        lock(&self.sets.with_added).insert(self.key);
        new
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
    /// the quota of a client or of the broker.
    pub(super) fn keep_added(
        &self,
        names: &mut BTreeSet<LiteTopicName>,
        group: &Group,
        now: Timestamp,
    ) {
        let kept: BTreeSet<LiteTopicName> = {
            let mut set = lock(&self.kept.set);
            set.forget_old_added(now);
            set.added.keys().chain(names.iter()).cloned().collect()
        };
        let quota = group.options.client_quota.map_or(u64::MAX, u64::from);
        let count = kept.len() as u64;
        if count <= quota && self.take_room(count).is_ok() {
            *names = kept;
        }
    }
}

impl Room {
    fn take(&self, pairs: u64) -> Result<()> {
        if pairs == 0 {
            return Ok(());
        }
        let max = self.max.load(Ordering::Relaxed);
        let with = |taken: u64| taken.checked_add(pairs).filter(|sum| *sum <= max);
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, with);
        taken.map(drop).map_err(|taken| {
            Error::new(
                ErrorCode::LiteSubscriptionQuotaExceeded,
                format!(
                    "this broker may have {max} subscriptions and has {taken}; {pairs} more do not \
                     fit: unsubscribe from some, or raise the quota"
                ),
            )
        })
    }
}

impl Default for Room {
    fn default() -> Self {
        Self { taken: AtomicU64::new(0), max: AtomicU64::new(u64::MAX) }
    }
}

/// The set is what the shards have counted. An entry with nothing in it that nobody is about to change
/// goes.
impl Drop for Changing<'_> {
    fn drop(&mut self) {
        let mut sets = lock(&self.sets.sets);
        {
            let mut set = lock(&self.kept.set);
            set.is_changing = false;
            set.settle(&self.sets.room);
        }
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

#[cfg(test)]
mod tests {
    use litemq_domain::TopicId;

    use super::*;

    const CLIENT: ClientKey = ClientKey(1);
    const GROUP: GroupId = GroupId(2);

    fn farewell(name: &str) -> Farewell {
        let lite_topic = LiteTopicName::new(name).unwrap();
        Farewell { client: CLIENT, group: GROUP, topic: TopicId(3), lite_topic, ended: true }
    }

    fn sets(max: u64) -> SubscriptionSets {
        let sets = SubscriptionSets::default();
        sets.set_all_max(Some(max));
        sets
    }

    #[tokio::test]
    async fn room_is_taken_before_a_change_and_what_it_did_not_need_comes_back() {
        let sets = sets(10);
        let change = sets.change(CLIENT, GROUP).await;
        change.take_room(8).unwrap();
        assert_eq!(sets.all(), (8, Some(10)));
        let other = sets.change(ClientKey(9), GROUP).await;
        let error = other.take_room(3).unwrap_err();
        assert_eq!(error.code, ErrorCode::LiteSubscriptionQuotaExceeded);
        sets.count(CLIENT, GROUP, 5);
        drop(change);
        assert_eq!(sets.all().0, 5);
        other.take_room(3).unwrap();
        drop(other);
        assert_eq!((sets.all().0, sets.clients_of(GROUP)), (5, 1));
    }

    #[tokio::test]
    async fn repeats_are_free_above_a_quota_that_was_lowered() {
        let sets = sets(10);
        sets.recover(CLIENT, GROUP, 5);
        sets.set_all_max(Some(3));
        let change = sets.change(CLIENT, GROUP).await;
        assert!(change.take_room(5).is_ok());
        assert!(change.take_room(6).is_err());
    }

    #[tokio::test]
    async fn a_pair_that_ends_gives_its_room_back_at_once_but_in_a_change() {
        let sets = sets(10);
        sets.recover(CLIENT, GROUP, 2);
        sets.lost(&farewell("a"));
        assert_eq!(sets.all().0, 1);
        let change = sets.change(CLIENT, GROUP).await;
        sets.lost(&farewell("b"));
        assert_eq!(sets.all().0, 1, "the change may bring it back");
        drop(change);
        assert_eq!((sets.all().0, sets.groups_of(CLIENT)), (0, vec![]));
    }

    #[tokio::test]
    async fn the_last_pair_that_ends_leaves_nothing_behind() {
        let sets = sets(10);
        sets.recover(CLIENT, GROUP, 1);
        sets.lost(&farewell("a"));
        assert_eq!((sets.all().0, sets.groups_of(CLIENT)), (0, vec![]));
    }

    #[tokio::test]
    async fn names_that_were_added_are_forgotten_when_no_full_sync_can_be_older() {
        let sets = sets(10);
        let window = FULL_SYNC_RACE_WINDOW.as_millis() as u64;
        let kept = |change: &Changing<'_>| lock(&change.kept.set).added.len();
        let name = |name: &str| BTreeSet::from([LiteTopicName::new(name).unwrap()]);
        let change = sets.change(CLIENT, GROUP).await;
        change.note_added(&name("a"), Timestamp(0));
        change.note_added(&name("b"), Timestamp(1));
        for (now, left) in [(window - 1, 2), (window, 1), (window + 1, 0), (window + 2, 0)] {
            sets.forget_old_added(Timestamp(now)).await;
            assert_eq!(kept(&change), left, "at {now}");
        }
        assert!(lock(&sets.with_added).is_empty(), "nobody is looked at in vain");
    }

    #[tokio::test]
    async fn a_group_that_is_forgotten_gives_its_room_back_also_in_a_change() {
        let sets = sets(10);
        sets.recover(CLIENT, GROUP, 4);
        let change = sets.change(CLIENT, GROUP).await;
        change.take_room(9).unwrap();
        sets.forget_group(GROUP);
        drop(change);
        assert_eq!((sets.all().0, sets.groups_of(CLIENT)), (0, vec![]));
    }
}
