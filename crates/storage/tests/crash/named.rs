//! Named cases: what a caller sees when the disk fails or is full.

use litemq_storage::conformance::{Model, append, channel, put};
use litemq_storage::disk::{Call, Disk, Failure, FaultDisk, Survival};
use litemq_storage::{Batch, LogOptions, LogStore, ShardStore, StoreError};

use super::common::{self, chores, commit_all, read, recover};

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
    let options = LogOptions { unsynced_bytes_max: 2_000, ..common::options() };
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

/// A store with several full segments that are not needed any more.
fn with_old_segments(disk: &FaultDisk) -> LogStore {
    let (store, mut model, _) = recover(disk).expect("a new store");
    chores(&store);
    for _ in 0..60 {
        let batch = Batch { ops: vec![model.next_append(channel(0, 0), vec![1; 500].into())] };
        model.apply(&batch);
        common::commit(&store, batch);
    }
    common::checkpoint(&store, &model).expect("the checkpoint is written");
    store.retain_after(u64::MAX).expect("retention runs");
    store
}

/// Fills the present segment and the one prepared behind it.
fn use_up_the_spare(store: &LogStore) {
    for number in 0.. {
        match store.submit(Batch { ops: vec![put(0, "k", vec![number as u8; 900])] }) {
            Ok(_) => commit_all(store),
            Err(StoreError::Overloaded) => return,
            Err(other) => panic!("the store takes batches: {other}"),
        }
    }
}

#[test]
fn file_of_a_removed_segment_gets_no_other_life_before_its_old_name_is_gone_for_good() {
    let disk = FaultDisk::new();
    let store = with_old_segments(&disk);
    disk.fail(Call::SyncDir, 1, Failure::Error);
    assert!(!store.step_chore(), "the old name may still be there after a crash");
    use_up_the_spare(&store);
    disk.keep_moments();
    assert!(store.step_chore(), "another spare is prepared");
    for moment in disk.take_moments() {
        recover(&moment.crash(Survival::Nothing)).expect("the old segment is what it was");
    }
}

#[test]
fn file_that_waits_for_another_life_is_not_missed_when_it_is_gone_or_cut() {
    for change in ["gone", "cut"] {
        let disk = FaultDisk::new();
        let store = with_old_segments(&disk);
        chores(&store);
        let is_old = |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "old");
        let old = disk.paths().into_iter().find(is_old).expect("a file waits");
        match change {
            "gone" => disk.remove(&old).expect("it is there"),
            _ => disk.damage(&old, |bytes| bytes.truncate(5_000)),
        }
        use_up_the_spare(&store);
        chores(&store);
        use_up_the_spare(&store);
        let durable = store.durable().borrow().durable;
        drop(store);
        let (_, _, report) = recover(&disk).expect("the store recovers");
        assert_eq!(report.durable, durable);
    }
}

#[test]
fn killed_process_leaves_no_name_that_a_power_cut_takes_from_the_next() {
    let disk = FaultDisk::new();
    disk.keep_moments();
    drop(recover(&disk).expect("a new store"));
    let moments = disk.take_moments();
    assert!(moments.len() > 10, "{} acts make a store", moments.len());
    for (act, moment) in moments.iter().enumerate() {
        let disk = moment.kill();
        let (store, _, _) = recover(&disk).expect("what was begun is finished");
        common::commit(&store, Batch { ops: vec![put(0, "k", "durable")] });
        drop(store);
        let (_, found, _) = recover(&disk.crash(Survival::Nothing)).expect("the store recovers");
        assert_eq!(found.state.len(), 1, "killed before act {act}");
    }
}

#[test]
fn short_read_at_a_start_is_not_taken_for_the_end_of_the_log() {
    let disk = FaultDisk::new();
    let (store, _, _) = recover(&disk).expect("a new store");
    store.submit(Batch { ops: vec![append(channel(0, 0), 0, vec![1; 900])] }).expect("taken");
    // The mark behind it fails, so that the frame is written again at the next start.
    disk.fail(Call::Write, 2, Failure::Error);
    commit_all(&store);
    drop(store);
    let undisturbed = disk.kill();
    drop(recover(&undisturbed).expect("the store recovers"));
    let reads = undisturbed.calls(Call::Read);
    assert!(reads > 3, "{reads} reads");
    for (nth, part) in (1..=reads).flat_map(|nth| [0, 128, 255].map(|part| (nth, part))) {
        let disk = disk.kill();
        disk.fail(Call::Read, nth, Failure::Short(part));
        if let Ok((_, _, report)) = recover(&disk) {
            assert_eq!(report.durable.0, 1, "read {nth} gave {part} of 256");
        }
        let (store, _, report) = recover(&disk.kill()).expect("the store recovers");
        assert_eq!(report.durable.0, 1, "after read {nth} gave {part} of 256");
        assert_eq!(read(&store, channel(0, 0), 0).expect("it can be read").records.len(), 1);
    }
}

#[test]
fn full_disk_does_not_keep_a_store_from_starting() {
    let disk = FaultDisk::new();
    let (store, mut model, _) = recover(&disk).expect("a new store");
    for _ in 0..60 {
        let batch = Batch { ops: vec![model.next_append(channel(0, 0), vec![1; 500].into())] };
        match store.submit(batch.clone()) {
            Ok(_) => model.apply(&batch),
            // Spares, but no index files.
            Err(_) => assert!(store.step_chore(), "a spare is prepared"),
        }
        commit_all(&store);
    }
    common::checkpoint(&store, &model).expect("the checkpoint is written");
    drop(store);
    assert!(!disk.paths().iter().any(|path| path.extension().is_some_and(|end| end == "idx")));
    disk.set_capacity(Some(disk.used_bytes()));
    let (store, recovered, _) = recover(&disk).expect("the store starts");
    assert_eq!(recovered.state, model.state);
    let held = &model.records[&(channel(0, 0).shard, 0, 0)];
    assert_eq!(&read(&store, channel(0, 0), 0).expect("reads go on").records, held);
}

#[test]
fn log_does_not_go_on_behind_a_mark_that_may_be_in_memory_only() {
    let disk = FaultDisk::new();
    let (store, _, _) = recover(&disk).expect("a new store");
    chores(&store);
    // Two frames and the mark end with a sector, which the next frame would not write again.
    for offset in 0..2 {
        common::commit(&store, Batch { ops: vec![append(channel(0, 0), offset, vec![1; 416])] });
    }
    // The sync at the end fails, and the system forgets that the mark was not written.
    disk.fail_sync(1);
    common::ready(store.close()).expect_err("the end is not durable");
    drop(store);
    let (store, _, _) = recover(&disk).expect("the store recovers");
    common::commit(&store, Batch { ops: vec![append(channel(0, 0), 2, vec![1; 416])] });
    drop(store);
    let (_, _, report) = recover(&disk.crash(Survival::Nothing)).expect("the store recovers");
    assert_eq!(report.durable.0, 3);
}
