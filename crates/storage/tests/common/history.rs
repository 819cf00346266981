//! What was submitted, how far it had become durable at each act of the disk, and whether a store
//! holds just that.

use litemq_storage::conformance::Model;
use litemq_storage::{Batch, ChannelRef, LogStore, StoreError, StoredRecord};

use super::proof::Figures;
use super::read;
use super::workload::{GENERATIONS_MAX, SHARDS, SLOTS};

/// What a process was told, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Facts {
    /// Acts of the disk before this moment.
    pub(crate) acts: u64,
    /// Batches that were accepted.
    pub(crate) submitted: u64,
    /// Batches that were said to be durable.
    pub(crate) durable: u64,
    /// Retention was allowed to remove what is older.
    pub(crate) retained_after_ms: u64,
}

/// Everything that was asked of one data folder.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    pub(crate) batches: Vec<Batch>,
    pub(crate) retained_after_ms: u64,
    told: Vec<Facts>,
}

impl History {
    /// Notes what is known after an operation.
    pub(crate) fn note(&mut self, acts: u64, durable: u64) {
        let submitted = self.batches.len() as u64;
        let retained_after_ms = self.retained_after_ms;
        self.told.push(Facts { acts, submitted, durable, retained_after_ms });
    }

    /// What was known after so many acts.
    pub(crate) fn facts_at(&self, acts: u64) -> Facts {
        let known = self.told.partition_point(|facts| facts.acts <= acts);
        self.told[..known].last().copied().unwrap_or_default()
    }

    /// What is known now.
    pub(crate) fn facts(&self) -> Facts {
        self.told.last().copied().unwrap_or_default()
    }

    /// The history of a process that found the first `batches` only.
    pub(crate) fn cut(&self, batches: u64, retained_after_ms: u64) -> Self {
        let batches = self.batches.iter().take(batches as usize).cloned().collect();
        Self { batches, retained_after_ms, told: Vec::new() }
    }

    pub(crate) fn model(&self, batches: u64) -> Model {
        let mut model = Model::default();
        self.batches.iter().take(batches as usize).for_each(|batch| model.apply(batch));
        model
    }

    /// Asserts that a recovered store holds exactly the first batches.
    pub(crate) fn assert_held(
        &self,
        store: &LogStore,
        recovered: &Model,
        batches: u64,
        retained_after_ms: u64,
        figures: &mut Figures,
    ) {
        let model = self.model(batches);
        assert_eq!(recovered.state, model.state, "the state of {batches} batches");
        let removed = assert_records(store, &model, retained_after_ms, |_, error| {
            panic!("every durable record can be read: {error}")
        });
        figures.reached("removed_records", removed > 0);
        let replayed: usize = recovered.offsets.values().map(Vec::len).sum();
        let held: usize = model.records.values().map(Vec::len).sum();
        figures.reached("spared_replay", replayed < held);
    }
}

/// Asserts that every read answers just what was appended, or an error that `excuses`; how many
/// records were removed by retention.
pub(crate) fn assert_records(
    store: &LogStore,
    model: &Model,
    retained_after_ms: u64,
    mut excuses: impl FnMut(ChannelRef, StoreError),
) -> u64 {
    let mut count = 0;
    for (shard, slot, generation) in lives() {
        let at = ChannelRef { shard, slot, generation };
        let page = match read(store, at, 0) {
            Ok(page) => page,
            Err(error) => {
                excuses(at, error);
                continue;
            }
        };
        let Some(records) = model.records.get(&(shard, slot, generation)) else {
            assert_eq!(page.records, [], "an ended life of {at:?} stays ended");
            continue;
        };
        let first = (page.first_retained.unwrap_or(0) as usize).min(records.len());
        let (removed, kept) = records.split_at(first);
        assert!(page.records == kept, "{at:?}: {} for {}", brief(&page.records), brief(kept));
        assert!(removed.iter().all(|record| record.at_ms < retained_after_ms), "{at:?}");
        count += removed.len() as u64;
    }
    count
}

/// Offsets and lengths.
fn brief(records: &[StoredRecord]) -> String {
    let each = records.iter().map(|record| format!("{}:{}", record.offset, record.payload.len()));
    format!("[{}]", each.collect::<Vec<_>>().join(" "))
}

fn lives() -> impl Iterator<Item = (litemq_storage::ShardId, u32, u32)> {
    let shards = (0..SHARDS).map(litemq_storage::ShardId);
    shards.flat_map(|shard| {
        (0..SLOTS).flat_map(move |slot| {
            (0..GENERATIONS_MAX).map(move |generation| (shard, slot, generation))
        })
    })
}
