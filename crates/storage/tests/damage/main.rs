//! Damaged, missing and foreign files: told from a torn end, named, and never served.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;
mod files;
mod rot;

use std::path::{Path, PathBuf};

use common::{chores, commit, path, read, recover};
use litemq_storage::conformance::{Model, append, channel, put};
use litemq_storage::disk::{Disk, FaultDisk, Survival};
use litemq_storage::{Batch, LogOptions, LogStore, Op, ReadPage, ShardStore, StoreError};

const CHANNELS: u32 = 3;
const PAYLOAD_BYTES: usize = 400;

/// A store with several segments: batch `n` appends to channel `n % 3` and puts one key.
fn filled(batches: u64, checkpoints: &[u64]) -> (FaultDisk, Model) {
    let disk = FaultDisk::new();
    let (store, mut model, _) = recover(&disk).expect("a new store");
    chores(&store);
    for number in 0..batches {
        let at = channel((number % u64::from(CHANNELS)) as u32, 0);
        let payload = vec![number as u8; PAYLOAD_BYTES];
        let ops = vec![
            model.next_append(at, payload.into()),
            put(0, format!("k{}", number % 7), number.to_string()),
        ];
        let batch = Batch { ops };
        model.apply(&batch);
        commit(&store, batch);
        if checkpoints.contains(&number) {
            common::checkpoint(&store, &model).expect("the checkpoint is written");
        }
    }
    chores(&store);
    common::ready(store.close()).expect("the store closes");
    (disk, model)
}

fn assert_held(disk: &FaultDisk, model: &Model) {
    let (store, recovered, _) = recover(disk).expect("the store recovers");
    assert_eq!(recovered.state, model.state);
    for ((_, slot, generation), records) in &model.records {
        let page = read(&store, channel(*slot, *generation), 0).expect("the records can be read");
        assert_eq!(&page.records, records);
    }
}

/// Every file with its contents, but for the lock.
fn image(disk: &FaultDisk) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let paths = disk.paths().into_iter().filter(|path| !path.ends_with("LOCK"));
    paths.map(|path| (path.clone(), disk.contents(&path))).collect()
}

/// Asserts that the store refuses to start because of this file, and changes nothing.
fn assert_refused(disk: &FaultDisk, file: &Path) -> u64 {
    let before = image(disk);
    let refused = recover(disk).map(|_| ());
    let position = match &refused {
        Err(StoreError::Corrupt { path, position, .. }) if path == file => *position,
        other => panic!("{} is damaged: {other:?}", file.display()),
    };
    assert!(image(disk) == before, "nothing was changed");
    position
}

fn flip(disk: &FaultDisk, file: &Path, at: usize) {
    disk.damage(file, |bytes| bytes[at] ^= 0x10);
}

/// Where each frame of a segment starts.
fn frames(disk: &FaultDisk, file: &Path) -> Vec<usize> {
    common::anatomy::frame_starts(&disk.contents(file).expect("the segment is there"))
}

#[test]
fn intact_store_of_several_segments_comes_back() {
    let (disk, model) = filled(100, &[40]);
    let segments =
        disk.paths().iter().filter(|path| path.extension().is_some_and(|end| end == "log")).count();
    assert!(segments > 4, "{segments} segments");
    assert_held(&disk, &model);
}

#[test]
fn flipped_bit_anywhere_in_the_replayed_log_is_refused_with_its_frame() {
    let (disk, _) = filled(50, &[]);
    let file = path("log/00000002.log");
    let starts = frames(&disk, &file);
    assert!(starts.len() > 10);
    for (start, end) in starts.iter().zip(&starts[1..]).step_by(5) {
        // The header, an append's header and payload, the put behind it.
        for at in [*start, start + 5, start + 9, start + 20, start + 40, start + 200, end - 12] {
            flip(&disk, &file, at);
            assert_eq!(assert_refused(&disk, &file), *start as u64, "byte {at}");
            flip(&disk, &file, at);
        }
    }
    recover(&disk).expect("undamaged again");
}

#[test]
fn flipped_bit_in_the_last_frame_after_a_clean_close_is_refused() {
    let (disk, _) = filled(5, &[]);
    let file = path("log/00000001.log");
    let starts = frames(&disk, &file);
    let last = starts[starts.len() - 2];
    for at in [last, last + 5, last + 50, last + 300] {
        flip(&disk, &file, at);
        assert_eq!(assert_refused(&disk, &file), last as u64, "byte {at}");
        flip(&disk, &file, at);
    }
}

#[test]
fn flipped_bit_in_a_segment_header_is_refused() {
    let (disk, _) = filled(50, &[]);
    for name in ["log/00000001.log", "log/00000003.log"] {
        for at in [0, 9, 13, 20, 40, 50, 2_000, 4_093] {
            flip(&disk, &path(name), at);
            assert_refused(&disk, &path(name));
            flip(&disk, &path(name), at);
        }
    }
}

#[test]
fn unfinished_frame_at_the_end_is_cut_and_reported_once() {
    let disk = FaultDisk::new();
    let (store, _, _) = recover(&disk).expect("a new store");
    chores(&store);
    for offset in 0..3 {
        commit(&store, Batch { ops: vec![append(channel(0, 0), offset, vec![9; 300])] });
    }
    drop(store);
    let file = path("log/00000001.log");
    let last = frames(&disk, &file)[2];
    disk.damage(&file, |bytes| bytes[last + 200..].fill(0));

    let (store, recovered, report) = recover(&disk).expect("the store recovers");
    assert_eq!(report.durable.0, 2);
    assert_eq!(report.torn_bytes, 384);
    assert_eq!(recovered.offsets.values().map(Vec::len).sum::<usize>(), 2);
    assert_eq!(read(&store, channel(0, 0), 0).expect("it can be read").records.len(), 2);
    drop(store);
    let (store, _, report) = recover(&disk).expect("the store recovers");
    assert_eq!(report.torn_bytes, 0, "it was cut");
    chores(&store);
    commit(&store, Batch { ops: vec![append(channel(0, 0), 2, "another")] });
    let page = read(&store, channel(0, 0), 2).expect("it can be read");
    assert_eq!(&page.records[0].payload[..], b"another");
}

#[test]
fn damaged_record_of_an_old_segment_is_named_and_the_rest_stays_readable() {
    let (disk, model) = filled(100, &[90]);
    let file = path("log/00000002.log");
    // Behind the frame header comes the append of one channel.
    let start = frames(&disk, &file)[3] + 32;
    flip(&disk, &file, start + 100);
    let (store, _, _) = recover(&disk).expect("old segments are not read at start");
    let mut damaged = 0;
    for slot in 0..CHANNELS {
        let records = &model.records[&(litemq_storage::ShardId(0), slot, 0)];
        for record in records {
            let limit = litemq_storage::ReadLimit { records_max: 1, bytes_max: 1 };
            match common::ready(store.read(channel(slot, 0), record.offset, limit)) {
                Ok(page) => assert_eq!(page.records, std::slice::from_ref(record)),
                Err(StoreError::Corrupt { path, position, .. }) => {
                    assert_eq!((path, position), (file.clone(), start as u64));
                    damaged += 1;
                }
                Err(other) => panic!("the damage is named: {other}"),
            }
        }
    }
    assert_eq!(damaged, 1);
}

#[test]
fn damaged_or_missing_index_is_made_again_from_the_log() {
    let (disk, model) = filled(100, &[90]);
    let file = path("idx/00000002.idx");
    let good = disk.contents(&file).expect("the index is there");
    for at in [0, 9, 30, 60, 4_000, 4_096, 4_150, 4_096 + 4_090, 8_192, 8_200, good.len() - 5] {
        flip(&disk, &file, at);
        assert_held(&disk, &model);
        assert!(disk.contents(&file) == Some(good.clone()), "made again after damage at {at}");
    }
    disk.damage(&file, |bytes| bytes.truncate(5_000));
    assert_held(&disk, &model);
    disk.remove(&file).expect("it is there");
    assert_held(&disk, &model);
    assert!(disk.contents(&file) == Some(good), "made again");
}

#[test]
fn segment_whose_index_is_made_again_is_no_older_than_its_messages() {
    let (disk, model) = filled(100, &[90]);
    disk.remove(&path("idx/00000001.idx")).expect("it is there");
    let (store, _, _) = recover(&disk).expect("the store recovers");
    store.retain_after(1_000).expect("retention runs, and no message is as old as that");
    chores(&store);
    drop(store);
    assert_held(&disk, &model);
}

#[test]
fn damaged_checkpoint_gives_way_to_the_one_before() {
    let (disk, model) = filled(100, &[30, 60]);
    let newest = path("ckpt/00000002.ckpt");
    let bytes = disk.contents(&newest).expect("the checkpoint is there").len();
    for at in [0, 9, 30, 50, 4_090, 4_097, 4_105, 4_120, bytes - 30, bytes - 10, bytes - 1] {
        flip(&disk, &newest, at);
        assert_held(&disk, &model);
        flip(&disk, &newest, at);
    }
    disk.damage(&newest, |bytes| bytes.truncate(4_200));
    assert_held(&disk, &model);
    flip(&disk, &path("ckpt/00000001.ckpt"), 4_105);
    assert_held(&disk, &model);
}

#[test]
fn damaged_checkpoints_are_refused_when_the_log_does_not_reach_back() {
    let (disk, _) = filled(100, &[60, 80]);
    let (store, _, _) = recover(&disk).expect("the store recovers");
    store.retain_after(u64::MAX).expect("retention runs");
    chores(&store);
    drop(store);
    let newest = path("ckpt/00000002.ckpt");
    flip(&disk, &newest, 4_105);
    assert_refused(&disk, &newest);
}

#[test]
fn log_that_lost_its_end_is_refused() {
    let (disk, _) = filled(60, &[59]);
    let last = path("log/00000003.log");
    let first_frame = frames(&disk, &last)[0];
    disk.damage(&last, |bytes| bytes[first_frame..].fill(0));
    assert!(recover(&disk).is_err(), "the checkpoint has seen more of the log");
}

#[test]
fn missing_or_short_segment_is_refused() {
    let (disk, _) = filled(100, &[]);
    let short = path("log/00000002.log");
    let whole = disk.contents(&short).expect("the segment is there");
    disk.damage(&short, |bytes| bytes.truncate(9_000));
    assert_eq!(assert_refused(&disk, &short), 9_000);
    disk.damage(&short, |bytes| *bytes = whole);
    recover(&disk).expect("undamaged again");
    disk.remove(&short).expect("it is there");
    assert_refused(&disk, &short);
}

#[test]
fn first_segment_missing_without_a_checkpoint_is_refused() {
    let (disk, _) = filled(100, &[]);
    disk.remove(&path("log/00000001.log")).expect("it is there");
    assert!(matches!(recover(&disk).map(|_| ()), Err(StoreError::Corrupt { .. })));
}

#[test]
fn lost_or_damaged_identity_is_refused() {
    let (disk, _) = filled(5, &[]);
    let meta = path("META");
    for at in [0, 9, 13, 30, 2_000, 4_094] {
        flip(&disk, &meta, at);
        assert_refused(&disk, &meta);
        flip(&disk, &meta, at);
    }
    disk.remove(&meta).expect("it is there");
    assert_refused(&disk, &meta);
}

#[test]
fn unknown_version_is_refused_and_nothing_is_touched() {
    let (disk, _) = filled(5, &[]);
    disk.damage(&path("META"), |bytes| {
        bytes[8] = 77;
        let crc = crc32fast::hash(&bytes[..4092]);
        bytes[4092..].copy_from_slice(&crc.to_le_bytes());
    });
    let before = image(&disk);
    let refused = recover(&disk).map(|_| ());
    let Err(StoreError::UnknownFormat { found, supported, .. }) = refused else {
        panic!("another version: {refused:?}")
    };
    assert_eq!((found.as_str(), supported.as_str()), ("77", "1"));
    assert!(image(&disk) == before);
}

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

#[test]
fn flipped_bit_in_frames_that_a_checkpoint_has_spared_the_replay_is_refused() {
    // The checkpoint starts in the middle of a segment whose first frames it contains; the log
    // goes on in the next.
    let (disk, _) = filled(60, &[40]);
    let file = path("log/00000002.log");
    let starts = frames(&disk, &file);
    for start in [starts[0], starts[1], starts[starts.len() - 1]] {
        for at in [start + 5, start + 40] {
            flip(&disk, &file, at);
            assert_eq!(assert_refused(&disk, &file), start as u64, "byte {at}");
            flip(&disk, &file, at);
        }
    }
    recover(&disk).expect("undamaged again");
}

#[test]
fn flipped_bit_in_the_last_frame_of_a_killed_process_is_refused() {
    let disk = FaultDisk::new();
    let (store, _, _) = recover(&disk).expect("a new store");
    for offset in 0..3 {
        commit(&store, Batch { ops: vec![append(channel(0, 0), offset, vec![9; 300])] });
    }
    let disk = disk.kill();
    drop(store);
    let file = path("log/00000001.log");
    let last = frames(&disk, &file)[2];
    for at in last..last + 32 + 48 + 300 {
        flip(&disk, &file, at);
        assert_eq!(assert_refused(&disk, &file), last as u64, "byte {at}");
        flip(&disk, &file, at);
    }
}

/// A plain limit: what shows that the last frame was durable is not synced itself.
#[test]
fn damaged_last_frame_is_taken_for_a_torn_write_when_a_power_cut_came_before_anything_behind_it() {
    let disk = FaultDisk::new();
    let (store, _, _) = recover(&disk).expect("a new store");
    for offset in 0..3 {
        commit(&store, Batch { ops: vec![append(channel(0, 0), offset, vec![9; 300])] });
    }
    drop(store);
    let file = path("log/00000001.log");
    let disk = disk.crash(Survival::Nothing);
    let last = frames(&disk, &file)[2];
    flip(&disk, &file, last + 100);
    let (_, _, report) = recover(&disk).expect("the store recovers");
    assert_eq!((report.durable.0, report.torn_bytes > 0), (2, true));
}
