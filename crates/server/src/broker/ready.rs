//! Flags that say which shards have something for a client.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use litemq_domain::{ClientKey, GroupId, Wake};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::limits::READY_TRUST_MAX;

/// One bit per shard, for one client of one group, or for all clients of a group that share what is
/// ready.
///
/// A shard's actor is the only one that clears its bit, and only right after a claim has emptied
/// the ready list; it sets the bit when the list stops being empty. A waiting receive registers with
/// `notify`, then looks at the bits, then waits: no wake-up falls in between. Should one get lost all
/// the same, it costs a wait: bits are trusted for so long and no longer.
#[derive(Debug)]
pub(super) struct ReadySignal {
    bits: AtomicU64,
    /// One for each shard there is.
    all: u64,
    trusted_until: Mutex<Instant>,
    notify: Notify,
    /// The last receive's attempt id, as a keyed hash; 0 is none.
    last_attempt: AtomicU64,
}

impl ReadySignal {
    /// What is known of a client that was not waited for: any shard may have something.
    fn unknown(shards: u16) -> Self {
        let all = if shards >= 64 { u64::MAX } else { (1 << shards) - 1 };
        Self {
            bits: AtomicU64::new(all),
            all,
            trusted_until: Mutex::new(Instant::now() + READY_TRUST_MAX),
            notify: Notify::new(),
            last_attempt: AtomicU64::new(0),
        }
    }

    /// Shards that may have something.
    pub(super) fn bits(&self) -> u64 {
        self.bits.load(Ordering::Acquire)
    }

    /// A receive begins: bits that were trusted for long are looked at no more, any shard may have
    /// something.
    pub(super) fn doubt(&self) {
        let now = Instant::now();
        let mut until = self.trusted_until.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= *until {
            *until = now + READY_TRUST_MAX;
            self.bits.fetch_or(self.all, Ordering::AcqRel);
        }
    }

    /// For waiting; register before looking at the bits.
    pub(super) fn notify(&self) -> &Notify {
        &self.notify
    }

    /// Whether a receive repeats the one before it, whose answer was lost: each shard may have been
    /// part of that answer, whatever the bits say.
    pub(super) fn is_repeat(&self, attempt_id: u64) -> bool {
        self.last_attempt.swap(attempt_id, Ordering::AcqRel) == attempt_id && attempt_id != 0
    }

    /// The shard has something.
    pub(super) fn raise(&self, shard: u16) {
        self.bits.fetch_or(bit(shard), Ordering::AcqRel);
        self.notify.notify_one();
    }

    /// The shard has nothing; called by its actor only.
    pub(super) fn lower(&self, shard: u16) {
        self.bits.fetch_and(!bit(shard), Ordering::AcqRel);
    }

    /// Wakes one waiting receive if there is still something, so that a wake-up taken by a receive
    /// that is full or gone is not lost.
    pub(super) fn pass_on(&self) {
        if self.bits() != 0 {
            self.notify.notify_one();
        }
    }
}

type Signals<K> = RwLock<BTreeMap<K, Arc<ReadySignal>>>;

fn read<K>(signals: &Signals<K>) -> RwLockReadGuard<'_, BTreeMap<K, Arc<ReadySignal>>> {
    signals.read().unwrap_or_else(PoisonError::into_inner)
}

fn bit(shard: u16) -> u64 {
    1 << (shard % 64)
}

/// The signals of all clients that have received here.
#[derive(Debug)]
pub(super) struct ReadySignals {
    shards: u16,
    signals: Signals<(ClientKey, GroupId)>,
    /// Of groups whose clients share what is ready.
    of_groups: Signals<GroupId>,
}

impl ReadySignals {
    /// No signals yet, for so many shards.
    pub(super) fn new(shards: u16) -> Self {
        Self { shards, signals: RwLock::default(), of_groups: RwLock::default() }
    }

    /// The signal that a shard raises, if somebody has received here who waits for it.
    pub(super) fn find(&self, wake: Wake) -> Option<Arc<ReadySignal>> {
        match wake.client {
            Some(client) => read(&self.signals).get(&(client, wake.group)).cloned(),
            None => read(&self.of_groups).get(&wake.group).cloned(),
        }
    }

    /// The signal of a client of a group, and whether it is a new one.
    pub(super) fn find_or_add(
        &self,
        client: ClientKey,
        group: GroupId,
    ) -> (Arc<ReadySignal>, bool) {
        match self.find(Wake { client: Some(client), group }) {
            Some(found) => (found, false),
            None => (self.add(&self.signals, (client, group)), true),
        }
    }

    /// The signal of a group whose clients share what is ready. Each change wakes one of those who
    /// wait for it, and who was woken wakes the next while something is left.
    pub(super) fn of_group(&self, group: GroupId) -> Arc<ReadySignal> {
        let found = self.find(Wake { client: None, group });
        found.unwrap_or_else(|| self.add(&self.of_groups, group))
    }

    fn add<K: Ord>(&self, signals: &Signals<K>, key: K) -> Arc<ReadySignal> {
        let mut signals = signals.write().unwrap_or_else(PoisonError::into_inner);
        let signal =
            signals.entry(key).or_insert_with(|| Arc::new(ReadySignal::unknown(self.shards)));
        Arc::clone(signal)
    }

    /// Wakes everybody who waits for a group that is gone.
    pub(super) fn wake_group(&self, group: GroupId) {
        for (_, signal) in read(&self.signals).iter().filter(|((_, of), _)| *of == group) {
            signal.notify.notify_waiters();
        }
        let of_group = {
            let mut signals = self.of_groups.write().unwrap_or_else(PoisonError::into_inner);
            signals.remove(&group)
        };
        if let Some(signal) = of_group {
            signal.notify.notify_waiters();
        }
    }

    /// Forgets the signals of a client that is gone. A later receive starts with a new one.
    pub(super) fn forget(&self, client: ClientKey) {
        let all = (client, GroupId(0))..=(client, GroupId(u32::MAX));
        let mut signals = self.signals.write().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<_> = signals.range(all).map(|(key, _)| *key).collect();
        for key in gone {
            signals.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests;
