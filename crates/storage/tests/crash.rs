//! Crashes at every changing operation of a workload, and what must be there afterwards.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use common::{chores, commit_all, read, recover};
use litemq_storage::conformance::{Model, append, channel, delete, put};
use litemq_storage::disk::{FaultDisk, Survival};
use litemq_storage::{Batch, ChannelRef, LogStore, Op, ShardId, ShardStore, StoreError};

/// A seeded history: what was submitted, and how far retention may have gone.
struct History {
    batches: Vec<Batch>,
    retained_after_ms: u64,
    seed: u64,
    reached: Reached,
}

/// What must happen in at least one of many runs, or they prove little.
#[derive(Default)]
struct Reached {
    torn_tail: bool,
    batch_beyond_the_watermark: bool,
    removed_records: bool,
    spared_replay: bool,
    index_file: bool,
}

impl Reached {
    fn add(&mut self, other: &Self) {
        self.torn_tail |= other.torn_tail;
        self.batch_beyond_the_watermark |= other.batch_beyond_the_watermark;
        self.removed_records |= other.removed_records;
        self.spared_replay |= other.spared_replay;
        self.index_file |= other.index_file;
    }
}

const SLOTS: u64 = 6;
const ROUNDS: u64 = 60;

impl History {
    fn new(seed: u64) -> Self {
        Self {
            batches: Vec::new(),
            retained_after_ms: 0,
            seed: seed.wrapping_mul(0x9E37_79B9) | 1,
            reached: Reached::default(),
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed % bound
    }

    fn model(&self, batches: usize) -> Model {
        let mut model = Model::default();
        self.batches.iter().take(batches).for_each(|batch| model.apply(batch));
        model
    }

    /// Works until the disk fails or the rounds are over; how many batches were durable.
    fn work(&mut self, disk: &FaultDisk) -> u64 {
        let Ok((store, _, recovered)) = recover(disk) else { return self.batches.len() as u64 };
        assert_eq!(recovered.durable.0, self.batches.len() as u64);
        self.work_on(&store);
        let durable = store.durable();
        let state = durable.borrow();
        state.durable.0
    }

    fn work_on(&mut self, store: &LogStore) {
        let mut model = self.model(usize::MAX);
        let mut generations: Vec<u32> = (0..SLOTS as u32)
            .map(|slot| {
                let drops = self.batches.iter().flat_map(|batch| &batch.ops);
                drops
                    .filter(|op| matches!(op, Op::Drop { channel } if channel.slot == slot))
                    .count() as u32
            })
            .collect();
        for round in 0..ROUNDS {
            let mut batch = Batch::default();
            for _ in 0..=self.below(3) {
                let slot = self.below(SLOTS) as u32;
                let at = channel(slot, generations[slot as usize]);
                let op = match self.below(8) {
                    0 => {
                        generations[slot as usize] += 1;
                        Op::Drop { channel: at }
                    }
                    1 => delete(0, format!("k{}", self.below(9))),
                    2 | 3 => put(0, format!("k{}", self.below(9)), vec![round as u8; 20]),
                    _ => {
                        let bytes = self.below(1_500) as usize;
                        model.next_append(at, vec![slot as u8; bytes].into())
                    }
                };
                model.apply(&Batch { ops: vec![op.clone()] });
                batch.ops.push(op);
            }
            match store.submit(batch.clone()) {
                Ok(_) => self.batches.push(batch),
                Err(StoreError::Failed(_)) => return,
                Err(other) => panic!("the store takes batches: {other}"),
            }
            if self.below(3) > 0 {
                store.step_commit();
            }
            if self.below(2) > 0 {
                chores(store);
            } else {
                // Without this a full segment would have no successor.
                commit_all(store);
                store.step_chore();
            }
            if self.below(12) == 0
                && common::checkpoint(store, &model).is_ok()
                && self.below(2) == 0
            {
                self.retained_after_ms = self.retained_after_ms.max(1_000 + self.below(6));
                store.retain_after(self.retained_after_ms).expect("retention runs");
                chores(store);
            }
        }
    }

    /// Asserts that a recovered store holds exactly the first batches.
    fn assert_held(&mut self, store: &LogStore, recovered: &Model, batches: u64) {
        let model = self.model(batches as usize);
        assert_eq!(recovered.state, model.state);
        for ((shard, slot, generation), records) in &model.records {
            let at = ChannelRef { shard: *shard, slot: *slot, generation: *generation };
            let page = read(store, at, 0).expect("every durable record can be read");
            let first = page.first_retained.unwrap_or(0) as usize;
            assert_eq!(page.records, records[first.min(records.len())..], "{at:?}");
            let removed = &records[..first.min(records.len())];
            self.reached.removed_records |= !removed.is_empty();
            assert!(removed.iter().all(|record| record.at_ms < self.retained_after_ms), "{at:?}");
        }
        let replayed: usize = recovered.offsets.values().map(Vec::len).sum();
        let held: usize = model.records.values().map(Vec::len).sum();
        self.reached.spared_replay |= replayed < held;
        for slot in 0..SLOTS as u32 {
            for generation in 0..20 {
                if !model.records.contains_key(&(ShardId(0), slot, generation)) {
                    let page = read(store, channel(slot, generation), 0).expect("an empty page");
                    assert_eq!(page.records, [], "an ended life stays ended");
                }
            }
        }
    }
}

/// Acts of the workload without a crash.
fn acts_of(seed: u64) -> u64 {
    let disk = FaultDisk::new();
    let mut history = History::new(seed);
    let durable = history.work(&disk);
    assert!(durable > ROUNDS / 2, "the workload makes progress: {durable}");
    disk.acts()
}

fn check_crashes(seed: u64, survivals: impl Fn(u64) -> Vec<Survival>) -> Reached {
    let acts = acts_of(seed);
    let mut reached = Reached::default();
    for act in 1..=acts {
        for survival in survivals(act) {
            let disk = FaultDisk::new();
            disk.crash_at(act);
            let mut history = History::new(seed);
            let durable = history.work(&disk);
            check_recovery(&mut history, &disk.crash(survival), durable, (act, survival));
            reached.add(&history.reached);
        }
    }
    reached
}

/// Recovers, compares, works on, crashes again with nothing lost, and compares again.
fn check_recovery(history: &mut History, disk: &FaultDisk, durable: u64, case: (u64, Survival)) {
    let submitted = history.batches.len() as u64;
    let (store, recovered, report) = match recover(disk) {
        Ok(opened) => opened,
        Err(error) => panic!("{case:?}: the store does not recover: {error}"),
    };
    let found = report.durable.0;
    assert!(
        (durable..=submitted).contains(&found),
        "{case:?}: {durable} <= {found} <= {submitted}"
    );
    history.assert_held(&store, &recovered, found);
    history.reached.torn_tail |= report.torn_bytes > 0;
    history.reached.batch_beyond_the_watermark |= found > durable;
    history.reached.index_file |=
        disk.paths().iter().any(|path| path.extension().is_some_and(|end| end == "idx"));
    history.batches.truncate(found as usize);
    drop(store);

    // What was cut must not come back, and what was found must stay.
    let durable = history.work(disk);
    let again = disk.crash(Survival::Nothing);
    let (store, recovered, report) = recover(&again).expect("the store recovers again");
    assert_eq!(report.durable.0, durable, "{case:?}");
    history.assert_held(&store, &recovered, durable);
}

#[test]
fn crash_at_any_point_loses_nothing_durable_and_shows_nothing_torn() {
    let reached = check_crashes(1, |act| vec![Survival::Prefix(act), Survival::Some(act)]);
    assert!(reached.torn_tail);
    assert!(reached.batch_beyond_the_watermark);
    assert!(reached.removed_records);
    assert!(reached.spared_replay);
    assert!(reached.index_file);
}

#[test]
fn crash_at_any_point_is_survived_when_all_or_nothing_unsynced_is_kept() {
    let reached = check_crashes(4, |_| vec![Survival::Nothing, Survival::Everything]);
    assert!(!reached.torn_tail, "nothing is torn here");
    assert!(reached.batch_beyond_the_watermark);
    assert!(reached.removed_records);
}

#[test]
fn failed_sync_stops_the_store_and_the_next_process_finds_what_was_durable() {
    for count in 1..40 {
        let disk = FaultDisk::new();
        let (store, _, _) = recover(&disk).expect("a new store");
        drop(store);
        disk.fail_sync(count);
        let mut history = History::new(3);
        let durable = history.work(&disk);
        // The process ends; the machine, and with it what is in memory, stays on.
        let (store, recovered, report) = recover(&disk).expect("the store recovers");
        assert!(report.durable.0 >= durable);
        history.assert_held(&store, &recovered, report.durable.0);
        drop(store);
        // What the second process has called durable must survive even the loss of memory.
        let after = disk.crash(Survival::Nothing);
        let (store, recovered, again) = recover(&after).expect("the store recovers");
        assert_eq!(again.durable, report.durable, "sync {count}");
        history.assert_held(&store, &recovered, again.durable.0);
    }
}

#[test]
fn failed_write_stops_the_store_for_good() {
    let disk = FaultDisk::new();
    let (store, _, _) = recover(&disk).expect("a new store");
    chores(&store);
    common::commit(&store, Batch { ops: vec![append(channel(0, 0), 0, "durable")] });
    disk.fail_write(1);
    store.submit(Batch { ops: vec![append(channel(0, 0), 1, "lost")] }).expect("it is taken");
    assert!(!store.step_commit());
    let state = store.durable().borrow().clone();
    assert_eq!(state.durable.0, 1);
    assert!(matches!(state.failed, Some(StoreError::Failed(_))), "{state:?}");
    let refused = store.submit(Batch::default());
    assert!(matches!(refused, Err(StoreError::Failed(_))), "{refused:?}");
    assert!(matches!(store.admit_append(), Err(StoreError::Failed(_))));
    assert_eq!(read(&store, channel(0, 0), 0).expect("reads go on").records.len(), 1);
    assert!(common::ready(store.close()).is_err());
    drop(store);
    let (store, _, report) = recover(&disk).expect("the store recovers");
    assert_eq!(report.durable.0, 1);
    assert_eq!(read(&store, channel(0, 0), 0).expect("it can be read").records.len(), 1);
}

#[test]
fn full_disk_refuses_appends_and_takes_the_rest_until_space_returns() {
    let disk = FaultDisk::new();
    let (store, _, _) = recover(&disk).expect("a new store");
    chores(&store);
    let used: u64 = 2 * common::SEGMENT_BYTES + 4096;
    disk.set_capacity(Some(used + (20 << 10)));
    let mut offset = 0;
    let refused = loop {
        match store.admit_append() {
            Ok(()) => common::commit(
                &store,
                Batch { ops: vec![append(channel(0, 0), offset, vec![1; 500])] },
            ),
            Err(refused) => break refused,
        }
        offset += 1;
        assert!(offset < 1_000, "appends end when the disk is full");
    };
    assert!(matches!(refused, StoreError::NoSpace(_)), "{refused:?}");
    assert!(offset > 30, "the room is used: {offset}");
    for number in 0..20 {
        common::commit(&store, Batch { ops: vec![put(0, "cursor", number.to_string())] });
    }
    let records = read(&store, channel(0, 0), 0).expect("reads go on").records;
    assert_eq!(records.len() as u64, offset);

    disk.set_capacity(None);
    chores(&store);
    store.admit_append().expect("space has returned");
    common::commit(&store, Batch { ops: vec![append(channel(0, 0), offset, vec![1; 500])] });
    drop(store);
    let (store, model, _) = recover(&disk).expect("the store recovers");
    assert_eq!(model.state.len(), 1);
    assert_eq!(
        read(&store, channel(0, 0), 0).expect("all is there").records.len() as u64,
        offset + 1
    );
}

#[test]
fn appends_are_held_off_while_too_much_waits_for_a_sync() {
    let disk = FaultDisk::new();
    let options = litemq_storage::LogOptions { unsynced_bytes_max: 2_000, ..common::options() };
    let store = LogStore::open_on(
        std::sync::Arc::new(disk),
        std::path::Path::new(common::DIR),
        options,
        litemq_storage::Drive::Steps,
    )
    .expect("a new store");
    store.recover(&mut Model::default()).expect("the store recovers");
    chores(&store);
    for offset in 0..2 {
        store.admit_append().expect("little waits");
        store
            .submit(Batch { ops: vec![append(channel(0, 0), offset, vec![1; 1_200])] })
            .expect("taken");
    }
    assert_eq!(store.admit_append(), Err(StoreError::Overloaded));
    store.submit(Batch { ops: vec![put(0, "cursor", "1")] }).expect("other batches go on");
    commit_all(&store);
    store.admit_append().expect("all is on the disk");
}

#[test]
fn offset_out_of_order_stops_the_store_before_it_is_written() {
    for wrong in [0, 2] {
        let disk = FaultDisk::new();
        let (store, _, _) = recover(&disk).expect("a new store");
        chores(&store);
        common::commit(&store, Batch { ops: vec![append(channel(0, 0), 0, "first")] });
        store.submit(Batch { ops: vec![append(channel(0, 0), wrong, "wrong")] }).expect("taken");
        assert!(!store.step_commit());
        assert!(store.durable().borrow().failed.is_some());
        drop(store);
        let (store, _, report) = recover(&disk).expect("the store recovers");
        assert_eq!(report.durable.0, 1);
        assert_eq!(read(&store, channel(0, 0), 0).expect("it can be read").records.len(), 1);
    }
}
