//! Segments that are written again without what nobody can read any more.

use litemq_storage::conformance::{Model, append, channel, put};
use litemq_storage::disk::{Disk, FaultDisk};
use litemq_storage::{Batch, ChannelRef, LogStore, Op, ReadPage, ShardStore, StoreError};

use super::common::anatomy::frame_starts;
use super::common::{self, chores, commit, commit_all, path, read, recover};
use super::folder::assert_held;

/// The channel that lives on; the others come and go.
const STAYING: u32 = 1;
const PAYLOAD_BYTES: usize = 400;
/// Batches of a wave: some segments of them.
const WAVE: u64 = 100;

/// A store that has been through a wave of lives, of which all have ended, and a few records of one
/// that goes on.
fn waved() -> (FaultDisk, LogStore, Model) {
    let disk = FaultDisk::new();
    let (store, mut model, _) = recover(&disk).expect("a new store");
    chores(&store);
    for number in 0..WAVE {
        let passing = channel(10 + number as u32, 0);
        let mut ops = vec![
            model.next_append(passing, vec![number as u8; PAYLOAD_BYTES].into()),
            put(0, "newest", number.to_string()),
        ];
        if number.is_multiple_of(8) {
            ops.push(model.next_append(channel(STAYING, 0), number.to_string().into()));
        }
        submit(&store, &mut model, ops);
    }
    for number in 0..WAVE {
        let ended = channel(10 + number as u32, 0);
        submit(&store, &mut model, vec![Op::Drop { channel: ended }]);
    }
    (disk, store, model)
}

fn submit(store: &LogStore, model: &mut Model, ops: Vec<Op>) {
    let batch = Batch { ops };
    model.apply(&batch);
    commit(store, batch);
}

fn checkpoint(store: &LogStore, model: &Model) {
    common::checkpoint(store, model).expect("the checkpoint is written");
    chores(store);
}

fn log_bytes(disk: &FaultDisk, number: u32) -> usize {
    disk.contents(&path(&format!("log/{number:08}.log"))).map_or(0, |bytes| bytes.len())
}

fn staying(store: &LogStore) -> ReadPage {
    read(store, channel(STAYING, 0), 0).expect("it can be read")
}

#[test]
fn what_has_ended_gives_its_space_back_once_both_checkpoints_have_left_it_behind() {
    let (disk, store, model) = waved();
    let (before, used) = (store.usage().disk_bytes, disk.used_bytes());
    checkpoint(&store, &model);
    assert_eq!(store.usage().compacted_bytes, 0, "one checkpoint may still get damaged");
    assert!(store.usage().wants_checkpoint, "the next one would do");
    checkpoint(&store, &model);
    let usage = store.usage();
    assert!(!usage.wants_checkpoint, "no more would come back");
    let given_back = usage.compacted_bytes;
    assert!(given_back > before / 4, "{given_back} of {before} came back");
    assert!(used - disk.used_bytes() > given_back - 16_384, "the disk has it");
    assert!(log_bytes(&disk, 2) < common::SEGMENT_BYTES as usize / 2);
    assert_eq!(staying(&store).records.len(), 13);
    drop(store);
    assert_held(&disk, &model);
}

#[test]
fn compacted_store_works_on_and_counts_its_files_as_they_are() {
    let (disk, store, mut model) = waved();
    checkpoint(&store, &model);
    checkpoint(&store, &model);
    for number in 0..WAVE {
        let at = channel(STAYING, 0);
        let op = model.next_append(at, vec![number as u8; PAYLOAD_BYTES].into());
        submit(&store, &mut model, vec![op]);
    }
    assert_eq!(staying(&store).records.len(), 13 + WAVE as usize);
    let disk_bytes = store.usage().disk_bytes;
    drop(store);
    let (store, _, _) = recover(&disk).expect("the store recovers");
    assert_eq!(store.usage().disk_bytes, disk_bytes, "counted anew it is the same");
    checkpoint(&store, &model);
    checkpoint(&store, &model);
    store.retain_after(u64::MAX).expect("retention runs");
    chores(&store);
    assert!(!disk.paths().contains(&path("log/00000002.log")), "retention takes compacted ones");
    let disk_bytes = store.usage().disk_bytes;
    drop(store);
    let (store, _, _) = recover(&disk).expect("the store recovers");
    assert_eq!(store.usage().disk_bytes, disk_bytes, "counted anew it is the same");
}

#[test]
fn lives_that_end_without_a_checkpoint_are_noticed() {
    let disk = FaultDisk::new();
    let (store, mut model, _) = recover(&disk).expect("a new store");
    chores(&store);
    checkpoint(&store, &model);
    // As many as it takes; a few in each batch, as a batch has to fit into a segment.
    let lives: Vec<ChannelRef> = (0..17_000).map(|slot| channel(slot, 0)).collect();
    for some in lives.chunks(50) {
        submit(&store, &mut model, some.iter().map(|at| append(*at, 0, "short")).collect());
    }
    assert!(!store.usage().wants_checkpoint, "nothing has ended");
    for some in lives.chunks(50) {
        let ends = some.iter().map(|at| Op::Drop { channel: *at }).collect();
        submit(&store, &mut model, ends);
    }
    assert!(store.usage().wants_checkpoint, "there is something to give back");
}

#[test]
fn segment_waits_for_the_ends_that_are_not_durable_yet() {
    let (_, store, mut model) = waved();
    checkpoint(&store, &model);
    // Accepted, and not durable: who knows what it is.
    let waiting = Batch { ops: vec![put(0, "newest", "waits")] };
    common::checkpoint(&store, &model).expect("the checkpoint is written");
    model.apply(&waiting);
    store.submit(waiting).expect("it is taken");
    chores(&store);
    assert_eq!(store.usage().compacted_bytes, 0, "what may be undone counts as alive");
    commit_all(&store);
    chores(&store);
    assert!(store.usage().compacted_bytes > 0);
}

#[test]
fn compacted_log_is_refused_when_no_checkpoint_behind_it_can_be_read() {
    let (disk, store, mut model) = waved();
    // The first segment stays for its sake.
    let first = model.next_append(channel(STAYING, 0), "last".into());
    submit(&store, &mut model, vec![first]);
    checkpoint(&store, &model);
    checkpoint(&store, &model);
    drop(store);
    let compacted = path("log/00000001.log");
    assert!(log_bytes(&disk, 1) < common::SEGMENT_BYTES as usize / 2, "it is compacted");
    disk.damage(&path("ckpt/00000002.ckpt"), |bytes| bytes[4_105] ^= 1);
    assert_held(&disk.kill(), &model);
    disk.damage(&path("ckpt/00000001.ckpt"), |bytes| bytes[4_105] ^= 1);
    match recover(&disk).map(|_| ()) {
        Err(StoreError::Corrupt { path, .. }) => assert_eq!(path, compacted),
        other => panic!("state would be missing: {other:?}"),
    }
}

#[test]
fn index_of_a_compacted_segment_is_made_again_when_it_is_lost_or_that_of_the_old_one() {
    let (disk, store, model) = waved();
    checkpoint(&store, &model);
    let index = path("idx/00000002.idx");
    let old = disk.contents(&index).expect("it is sealed");
    checkpoint(&store, &model);
    drop(store);
    let new = disk.contents(&index).expect("it is sealed");
    assert_ne!(old, new);
    for there in [Some(old), None] {
        let disk = disk.kill();
        match there {
            Some(bytes) => disk.damage(&index, |found| *found = bytes),
            None => disk.remove(&index).expect("it is there"),
        }
        assert_held(&disk, &model);
        assert_eq!(disk.contents(&index).map(|bytes| bytes.len()), Some(new.len()));
    }
}

#[test]
fn damage_of_the_last_frame_of_a_compacted_segment_is_not_taken_for_its_end() {
    let (disk, store, model) = waved();
    checkpoint(&store, &model);
    checkpoint(&store, &model);
    drop(store);
    let segment = path("log/00000002.log");
    let last =
        *frame_starts(&disk.contents(&segment).expect("it is there")).last().expect("a frame");
    disk.damage(&segment, |bytes| bytes[last + 9] ^= 1);
    // As after a power cut between the two new names.
    disk.remove(&path("idx/00000002.idx")).expect("it is there");
    match recover(&disk).map(|_| ()) {
        Err(StoreError::Corrupt { path, .. }) => assert_eq!(path, segment),
        other => panic!("records would be missing: {other:?}"),
    }
}

#[test]
fn full_disk_takes_messages_again_once_what_has_ended_is_given_back() {
    let (disk, store, mut model) = waved();
    disk.set_capacity(Some(disk.used_bytes() + 24_576));
    while store.admit_append().is_ok() {
        let op = model.next_append(channel(STAYING, 0), vec![7; PAYLOAD_BYTES].into());
        submit(&store, &mut model, vec![op]);
    }
    assert!(matches!(store.admit_append(), Err(StoreError::NoSpace(_))));
    checkpoint(&store, &model);
    common::checkpoint(&store, &model).expect("the checkpoint is written");
    // Enough to write small files, and not for a segment.
    disk.set_capacity(Some(disk.used_bytes() + 30_000));
    chores(&store);
    assert_eq!(store.admit_append(), Ok(()));
    drop(store);
    assert_held(&disk, &model);
}
