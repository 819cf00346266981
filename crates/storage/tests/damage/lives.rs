//! The life of files: locked, retired, used again, cleaned up.

use litemq_storage::conformance::{Model, append, channel, put};
use litemq_storage::disk::{Disk, FaultDisk};
use litemq_storage::{Batch, LogOptions, LogStore, Op, ReadPage, ShardStore, StoreError};

use super::common::{self, chores, commit, path, read, recover};
use super::folder::{CHANNELS, PAYLOAD_BYTES, assert_held, filled};

#[test]
fn folder_is_locked_while_it_is_open() {
    let dir = tempfile::tempdir().expect("a scratch folder");
    let options = LogOptions { segment_bytes: 64 << 10, reserve_bytes: 0, ..LogOptions::default() };
    let first = LogStore::open(dir.path(), options.clone()).expect("it opens");
    let second = LogStore::open(dir.path(), options.clone()).map(|_| ());
    assert_eq!(second, Err(StoreError::Locked(dir.path().to_path_buf())));
    drop(first);
    LogStore::open(dir.path(), options).expect("it is free again");
}

#[test]
fn retention_frees_whole_segments_and_gives_their_files_another_life() {
    let (disk, model) = filled(100, &[80]);
    let (store, _, _) = recover(&disk).expect("the store recovers");
    let before = store.usage().disk_bytes;
    store.retain_after(1_020).expect("retention runs");
    chores(&store);
    assert!(store.usage().disk_bytes < before, "space was given back");
    assert!(!disk.paths().contains(&path("log/00000001.log")));
    assert!(!disk.paths().contains(&path("idx/00000001.idx")));
    assert!(
        disk.paths().contains(&path("log/00000001.old"))
            || disk.paths().contains(&path("log/00000002.old"))
    );
    for slot in 0..CHANNELS {
        let records = &model.records[&(litemq_storage::ShardId(0), slot, 0)];
        let page = read(&store, channel(slot, 0), 0).expect("it can be read");
        let first = page.first_retained.expect("the oldest are gone");
        assert!((5..=20).contains(&first), "first retained {first}");
        assert_eq!(page.records, records[first as usize..]);
    }
    // The recycled file still holds frames of its former life, which must not count.
    let mut model = model;
    for number in 0..60_u64 {
        let at = channel((number % 3) as u32, 0);
        let batch = Batch { ops: vec![model.next_append(at, vec![5; PAYLOAD_BYTES].into())] };
        model.apply(&batch);
        commit(&store, batch);
    }
    drop(store);
    let (store, _, report) = recover(&disk).expect("the store recovers");
    assert_eq!((report.durable.0, report.torn_bytes), (160, 0));
    let newest = read(&store, channel(0, 0), 50).expect("it can be read").records;
    assert_eq!(newest, model.records[&(litemq_storage::ShardId(0), 0, 0)][50..]);
}

#[test]
fn channel_whose_records_are_all_gone_says_where_it_goes_on() {
    let disk = FaultDisk::new();
    let (store, mut model, _) = recover(&disk).expect("a new store");
    chores(&store);
    for offset in 0..3 {
        commit(&store, Batch { ops: vec![append(channel(7, 0), offset, "old")] });
    }
    for _ in 0..60 {
        let batch = Batch { ops: vec![model.next_append(channel(1, 0), vec![1; 500].into())] };
        model.apply(&batch);
        commit(&store, batch);
    }
    common::checkpoint(&store, &model).expect("the checkpoint is written");
    store.retain_after(1_030).expect("retention runs");
    chores(&store);
    let gone = ReadPage { records: Vec::new(), first_retained: Some(3) };
    assert_eq!(read(&store, channel(7, 0), 0), Ok(gone.clone()));
    assert_eq!(read(&store, channel(7, 0), 3), Ok(ReadPage::default()));
    drop(store);
    let (store, _, _) = recover(&disk).expect("the store recovers");
    assert_eq!(read(&store, channel(7, 0), 1), Ok(gone));
    chores(&store);
    commit(&store, Batch { ops: vec![append(channel(7, 0), 3, "new")] });
    let page = read(&store, channel(7, 0), 0).expect("it can be read");
    assert_eq!((page.first_retained, page.records.len()), (Some(3), 1));
}

#[test]
fn cold_reads_go_through_a_waiting_thread() {
    let (disk, model) = filled(60, &[]);
    let (store, _, _) = recover(&disk).expect("the store recovers");
    disk.set_cold(true);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for ((_, slot, _), records) in &model.records {
        let limit = litemq_storage::ReadLimit { records_max: 1_000, bytes_max: 1 << 20 };
        let page = runtime.block_on(store.read(channel(*slot, 0), 0, limit));
        assert_eq!(&page.expect("it can be read").records, records);
    }
}

#[test]
fn unfinished_files_of_a_crash_are_cleaned_up() {
    let (disk, model) = filled(20, &[]);
    for name in ["ckpt/00000009.new", "idx/00000001.new", "log/00000009.new"] {
        disk.create(&path(name)).expect("a new file");
    }
    assert_held(&disk, &model);
    assert!(disk.paths().iter().all(|path| path.extension().is_none_or(|end| end != "new")));
}

#[test]
fn dropped_life_stays_dropped_across_segments_and_checkpoints() {
    let (disk, mut model) = filled(100, &[50]);
    let (store, _, _) = recover(&disk).expect("the store recovers");
    let batch = Batch {
        ops: vec![Op::Drop { channel: channel(0, 0) }, append(channel(0, 1), 0, "new life")],
    };
    model.apply(&batch);
    commit(&store, batch);
    common::checkpoint(&store, &model).expect("the checkpoint is written");
    drop(store);
    assert_held(&disk, &model);
    let (store, _, _) = recover(&disk).expect("the store recovers");
    assert_eq!(read(&store, channel(0, 0), 0), Ok(ReadPage::default()));
}

#[test]
fn retention_leaves_what_recovery_still_needs() {
    let (disk, model) = filled(100, &[]);
    let (store, _, _) = recover(&disk).expect("the store recovers");
    store.retain_after(u64::MAX).expect("retention runs");
    chores(&store);
    drop(store);
    assert_held(&disk, &model);

    let (disk, model) = filled(100, &[50]);
    let (store, _, _) = recover(&disk).expect("the store recovers");
    store.retain_after(u64::MAX).expect("retention runs");
    chores(&store);
    drop(store);
    assert!(!disk.paths().contains(&path("log/00000001.log")), "older ones go");
    let (_, recovered, _) = recover(&disk).expect("the store recovers");
    assert_eq!(recovered.state, model.state);
}

#[test]
fn index_of_a_segment_that_goes_on_after_a_crash_is_not_used() {
    let disk = FaultDisk::new();
    let (store, mut model, _) = recover(&disk).expect("a new store");
    chores(&store);
    let grow = |store: &LogStore, model: &mut Model, bytes: usize| {
        let batch = Batch { ops: vec![model.next_append(channel(0, 0), vec![3; bytes].into())] };
        model.apply(&batch);
        store.submit(batch).expect("it is taken");
    };
    for _ in 0..4 {
        grow(&store, &mut model, 2_000);
        common::commit_all(&store);
    }
    let durable = model.clone();
    // Too large for the rest of the segment: the next one is begun, its frame is lost, but the
    // full one gets its index.
    grow(&store, &mut model, 6_000);
    disk.fail_write(1);
    common::commit_all(&store);
    chores(&store);
    assert!(disk.paths().contains(&path("idx/00000001.idx")), "sealed");
    drop(store);
    disk.damage(&path("log/00000002.log"), |bytes| bytes[4_096..].fill(0));

    let mut model = durable;
    let (store, _, _) = recover(&disk).expect("the store recovers");
    assert!(!disk.paths().contains(&path("idx/00000001.idx")), "it will get more records");
    grow(&store, &mut model, 100);
    common::commit_all(&store);
    drop(store);
    assert_held(&disk, &model);
}

#[test]
fn checkpoint_counts_only_when_all_before_it_is_durable() {
    let disk = FaultDisk::new();
    let (store, _, _) = recover(&disk).expect("a new store");
    chores(&store);
    store.submit(Batch { ops: vec![put(0, "k", "1")] }).expect("it is taken");
    let mut writer = store.begin_checkpoint().expect("a checkpoint begins");
    writer.put(litemq_storage::ShardId(0), b"k", b"1").expect("it is written");
    let mut finish = writer.finish();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(finish.as_mut().poll(&mut context).is_pending());
    assert!(!disk.paths().contains(&path("ckpt/00000001.ckpt")));
    common::commit_all(&store);
    common::ready(finish).expect("the checkpoint is finished");
    assert!(disk.paths().contains(&path("ckpt/00000001.ckpt")));
}
