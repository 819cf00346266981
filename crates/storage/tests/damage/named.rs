//! Named cases of damage: each is told from a torn end, named, and never served.

use litemq_storage::conformance::{append, channel};
use litemq_storage::disk::{Disk, FaultDisk, Survival};
use litemq_storage::{Batch, ShardStore, StoreError};

use super::common::{self, chores, commit, path, read, recover};
use super::folder::{CHANNELS, assert_held, assert_refused, filled, flip, frames, image};

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
fn checkpoint_after_a_damaged_one_leaves_the_good_one_before_it() {
    let (disk, model) = filled(100, &[60, 80]);
    flip(&disk, &path("ckpt/00000002.ckpt"), 4_105);
    let (store, recovered, _) = recover(&disk).expect("the store starts from the first");
    assert_eq!(recovered.state, model.state);
    // Now the log does not reach back to its start: it needs a checkpoint.
    store.retain_after(u64::MAX).expect("retention runs");
    chores(&store);
    common::checkpoint(&store, &model).expect("the checkpoint is written");
    drop(store);
    let left = |number: u32| disk.contents(&path(&format!("ckpt/{number:08}.ckpt"))).is_some();
    assert_eq!([1, 2, 3].map(left), [true, false, true]);
    flip(&disk, &path("ckpt/00000003.ckpt"), 4_105);
    let (_, recovered, _) = recover(&disk).expect("the store starts from the first again");
    assert_eq!(recovered.state, model.state);
}

#[test]
fn damaged_checkpoints_are_refused_when_the_log_does_not_reach_back() {
    let (disk, model) = filled(100, &[60, 80]);
    let (store, _, _) = recover(&disk).expect("the store recovers");
    store.retain_after(u64::MAX).expect("retention runs");
    chores(&store);
    drop(store);
    assert!(!disk.paths().contains(&path("log/00000001.log")), "retention has removed something");
    let newest = path("ckpt/00000002.ckpt");
    flip(&disk, &newest, 4_105);
    let (_, recovered, _) = recover(&disk).expect("retention has left what the older one needs");
    assert_eq!(recovered.state, model.state);
    flip(&disk, &path("ckpt/00000001.ckpt"), 4_105);
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

#[test]
fn lost_first_segment_is_not_taken_for_one_that_retention_removed() {
    let (disk, _) = filled(100, &[90]);
    let first = path("log/00000001.log");
    disk.remove(&first).expect("it is there");
    assert_eq!(assert_refused(&disk, &first), 0);
}

#[test]
fn lost_last_segments_are_not_taken_for_a_log_that_ends_there() {
    let (disk, _) = filled(100, &[]);
    let is_segment = |file: &std::path::PathBuf| file.extension().is_some_and(|end| end == "log");
    let segments: Vec<_> = disk.paths().into_iter().filter(is_segment).collect();
    let lost: Vec<_> = segments.iter().skip(3).collect();
    for file in &lost {
        disk.remove(file).expect("it is there");
    }
    assert_refused(&disk, lost[0]);
}
