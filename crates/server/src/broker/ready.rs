//! Flags that say which shards have something for a client.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use litemq_domain::{ClientKey, GroupId};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::limits::READY_TRUST_MAX;

/// One bit per shard, for one client of one group.
///
/// A shard's actor is the only one that clears its bit, and only right after a claim has emptied
/// the client's ready list; it sets the bit when the list stops being empty. A waiting receive
/// registers with `notify`, then looks at the bits, then waits: no wake-up falls in between. Should
/// one get lost all the same, it costs a wait: bits are trusted for so long and no longer.
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

fn bit(shard: u16) -> u64 {
    1 << (shard % 64)
}

/// The signals of all clients that have received here.
#[derive(Debug)]
pub(super) struct ReadySignals {
    shards: u16,
    signals: RwLock<BTreeMap<(ClientKey, GroupId), Arc<ReadySignal>>>,
}

impl ReadySignals {
    /// No signals yet, for so many shards.
    pub(super) fn new(shards: u16) -> Self {
        Self { shards, signals: RwLock::new(BTreeMap::new()) }
    }

    /// The signal of a client of a group, if it has received here.
    pub(super) fn find(&self, client: ClientKey, group: GroupId) -> Option<Arc<ReadySignal>> {
        let signals = self.signals.read().unwrap_or_else(PoisonError::into_inner);
        signals.get(&(client, group)).cloned()
    }

    /// The signal of a client of a group.
    pub(super) fn find_or_add(&self, client: ClientKey, group: GroupId) -> Arc<ReadySignal> {
        if let Some(found) = self.find(client, group) {
            return found;
        }
        let mut signals = self.signals.write().unwrap_or_else(PoisonError::into_inner);
        let signal = signals
            .entry((client, group))
            .or_insert_with(|| Arc::new(ReadySignal::unknown(self.shards)));
        Arc::clone(signal)
    }

    /// Wakes everybody who waits for a group that is gone.
    pub(super) fn wake_group(&self, group: GroupId) {
        let signals = self.signals.read().unwrap_or_else(PoisonError::into_inner);
        for (_, signal) in signals.iter().filter(|((_, of), _)| *of == group) {
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
