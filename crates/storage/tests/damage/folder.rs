//! A data folder with known contents, and what a start makes of it.

use std::path::{Path, PathBuf};

use litemq_storage::conformance::{Model, channel, put};
use litemq_storage::disk::FaultDisk;
use litemq_storage::{Batch, ShardStore, StoreError};

use super::common::{self, chores, commit, read, recover};

pub(super) const CHANNELS: u32 = 3;
pub(super) const PAYLOAD_BYTES: usize = 400;

/// A store with several segments: batch `n` appends to channel `n % 3` and puts one key.
pub(super) fn filled(batches: u64, checkpoints: &[u64]) -> (FaultDisk, Model) {
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

pub(super) fn assert_held(disk: &FaultDisk, model: &Model) {
    let (store, recovered, _) = recover(disk).expect("the store recovers");
    assert_eq!(recovered.state, model.state);
    for ((_, slot, generation), records) in &model.records {
        let page = read(&store, channel(*slot, *generation), 0).expect("the records can be read");
        assert_eq!(&page.records, records);
    }
}

/// Every file with its contents, but for the lock.
pub(super) fn image(disk: &FaultDisk) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let paths = disk.paths().into_iter().filter(|path| !path.ends_with("LOCK"));
    paths.map(|path| (path.clone(), disk.contents(&path))).collect()
}

/// Asserts that the store refuses to start because of this file, and changes nothing.
pub(super) fn assert_refused(disk: &FaultDisk, file: &Path) -> u64 {
    let before = image(disk);
    let refused = recover(disk).map(|_| ());
    let position = match &refused {
        Err(StoreError::Corrupt { path, position, .. }) if path == file => *position,
        other => panic!("{} is damaged: {other:?}", file.display()),
    };
    assert!(image(disk) == before, "nothing was changed");
    position
}

pub(super) fn flip(disk: &FaultDisk, file: &Path, at: usize) {
    disk.damage(file, |bytes| bytes[at] ^= 0x10);
}

/// Where each frame of a segment starts.
pub(super) fn frames(disk: &FaultDisk, file: &Path) -> Vec<usize> {
    common::anatomy::frame_starts(&disk.contents(file).expect("the segment is there"))
}
