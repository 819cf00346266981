//! A small data folder with a few segments, indexes and two checkpoints, and what is in it.
//!
//! Its files are kept beside this code, because their identities are drawn when they are made and an
//! input must mean the same in each run. `examples/seeds.rs` makes them again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};

use litemq_storage::conformance::{Model, channel, delete, put};
use litemq_storage::disk::{Disk, FaultDisk, Survival};
use litemq_storage::{
    Batch, ChannelRef, Drive, LogOptions, LogStore, Op, ReadLimit, ReadPage, ShardStore, StoreError,
};

/// Where the folder is on its disk.
pub const DIR: &str = "/data";
/// Channels that have records, and one more.
pub const CHANNELS: u32 = 5;
/// Batches of the folder.
pub const BATCHES: u64 = 48;

const SEGMENT_BYTES: u64 = 16 << 10;
const CHECKPOINTS: [u64; 2] = [20, 34];
/// Pieces of work in a row that end by themselves.
const STEPS_MAX: usize = 1000;

static KEPT: LazyLock<FaultDisk> = LazyLock::new(read_kept);

/// Where the files are kept.
pub fn kept_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("folder")
}

/// A disk with the folder; changes to it are its own.
pub fn disk() -> FaultDisk {
    KEPT.crash(Survival::Everything)
}

/// The folder's files of this extension, in order; META is without one.
pub fn files(extension: &str) -> Vec<PathBuf> {
    let of_kind = |path: &PathBuf| match extension {
        "" => path.ends_with("META"),
        _ => path.extension().is_some_and(|found| found == extension),
    };
    KEPT.paths().into_iter().filter(of_kind).collect()
}

/// What the folder was filled with.
pub fn batches() -> Vec<Batch> {
    let mut model = Model::default();
    let mut batches = Vec::new();
    for number in 0..BATCHES {
        let at = life((number % 4) as u32, number);
        let payload = vec![number as u8; 200 + (number as usize * 37) % 700];
        let mut ops = vec![
            model.next_append(at, payload.into()),
            put(0, format!("k{}", number % 7), format!("{number}")),
        ];
        match number % 12 {
            5 => ops.push(model.next_append(channel(0, 0), vec![1; 30].into())),
            7 => ops.push(delete(0, format!("k{}", number % 5))),
            _ => {}
        }
        if number == 30 {
            ops = vec![Op::Drop { channel: channel(2, 0) }];
        }
        let batch = Batch { ops };
        model.apply(&batch);
        batches.push(batch);
    }
    batches
}

/// The life of a slot at the time of a batch: slot 2 has two.
fn life(slot: u32, number: u64) -> ChannelRef {
    channel(slot, u32::from(slot == 2 && number > 30))
}

/// What the first batches make.
pub fn model(batches: u64) -> Model {
    let mut model = Model::default();
    self::batches().iter().take(batches as usize).for_each(|batch| model.apply(batch));
    model
}

/// Channel, offset, time and tag of each record of the first batches.
pub fn appended(batches: u64) -> BTreeSet<(ChannelRef, u64, u64, u64)> {
    let batches = self::batches().into_iter().take(batches as usize);
    let append = |op: Op| match op {
        Op::Append { channel, offset, at_ms, tag, .. } => Some((channel, offset, at_ms, tag)),
        _ => None,
    };
    batches.flat_map(|batch| batch.ops).filter_map(append).collect()
}

/// Makes the folder anew on an empty disk.
pub fn make() -> FaultDisk {
    let disk = FaultDisk::new();
    let store = open(&disk).unwrap();
    store.recover(&mut Model::default()).unwrap();
    chores(&store);
    for (number, batch) in batches().into_iter().enumerate() {
        store.submit(batch).unwrap();
        while store.step_commit() {}
        chores(&store);
        if CHECKPOINTS.contains(&(number as u64)) {
            checkpoint(&store, &model(number as u64 + 1)).unwrap();
        }
    }
    ready(store.close()).unwrap();
    disk
}

/// Opens the folder of a disk.
///
/// # Errors
/// Why it cannot be opened.
pub fn open(disk: &FaultDisk) -> Result<LogStore, StoreError> {
    let options = LogOptions {
        segment_bytes: SEGMENT_BYTES,
        recycled_files_max: 1,
        reserve_bytes: 2 << 10,
        free_bytes_min: 16 << 10,
        ..LogOptions::default()
    };
    LogStore::open_on(Arc::new(disk.clone()), Path::new(DIR), options, Drive::Steps)
}

/// Does what is to be done beside the commits.
pub fn chores(store: &LogStore) {
    let steps = std::iter::repeat_with(|| store.step_chore()).take_while(|done| *done);
    assert!(steps.take(STEPS_MAX).count() < STEPS_MAX, "the work never ends");
}

/// Writes a checkpoint of this state.
///
/// # Errors
/// Why it cannot be written.
pub fn checkpoint(store: &LogStore, model: &Model) -> Result<(), StoreError> {
    let mut writer = store.begin_checkpoint()?;
    for ((shard, key), value) in &model.state {
        writer.put(*shard, key, value)?;
    }
    while store.step_commit() {}
    ready(writer.finish())
}

/// Reads a channel from an offset on.
///
/// # Errors
/// Why it cannot be read.
pub fn read(store: &LogStore, at: ChannelRef, from: u64) -> Result<ReadPage, StoreError> {
    ready(store.read(at, from, ReadLimit { records_max: 1000, bytes_max: 1 << 20 }))
}

/// Polls a future that does not wait.
pub fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits for a step"),
    }
}

fn read_kept() -> FaultDisk {
    let disk = FaultDisk::new();
    let root = kept_dir();
    for folder in ["", "log", "idx", "ckpt"] {
        let to = Path::new(DIR).join(folder);
        disk.create_dir(&to).unwrap();
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                let file = disk.create(&to.join(entry.file_name())).unwrap();
                file.write_at(&std::fs::read(entry.path()).unwrap(), 0).unwrap();
                file.sync_data().unwrap();
            }
        }
        disk.sync_dir(&to).unwrap();
    }
    disk
}
