//! A data folder one file of which holds other bytes: it is refused by name, or what it gives is
//! what was once stored.

use std::collections::BTreeSet;
use std::path::PathBuf;

use bytes::Bytes;
use litemq_storage::conformance::{Model, append, channel, put};
use litemq_storage::disk::FaultDisk;
use litemq_storage::{
    Batch, ChannelRef, LogStore, Recovered, ShardId, ShardStore, StateSink, StoreError,
    StoredRecord,
};

use crate::folder;
use crate::reseal::{Kind, reseal};

/// Set in the first byte of an input: every checksum is made right again.
pub const RESEALED: u8 = 1;
/// Set in the first byte of an input: the rest are the file's first bytes, and not changes.
pub const WHOLE: u8 = 2;
/// Set in the first byte of an input, with [`WHOLE`]: the file ends with them.
pub const CUT: u8 = 4;

/// Reads of one input.
const READS_MAX: usize = 40;

/// Changes a file as the input says, opens the folder, and uses it.
///
/// The input is flags, which of the files, then either the file's first bytes or changes: a place
/// of two bytes, a count, and as many bytes; a count above 191 cuts or grows the file there.
pub fn check(kind: Kind, extension: &str, input: &[u8]) {
    let [flags, which, rest @ ..] = input else { return };
    let files = folder::files(extension);
    let path = files[usize::from(*which) % files.len()].clone();
    let disk = folder::disk();
    let is_resealed = flags & RESEALED != 0;
    disk.damage(&path, |bytes| {
        match flags & WHOLE {
            0 => change(bytes, rest),
            _ => overlay(bytes, rest, flags & CUT != 0),
        }
        if is_resealed {
            reseal(kind, bytes);
        }
    });
    use_folder(&disk, is_resealed);
}

fn overlay(file: &mut Vec<u8>, bytes: &[u8], is_all: bool) {
    let length = if is_all { bytes.len() } else { file.len().max(bytes.len()) };
    file.resize(length, 0);
    file[..bytes.len()].copy_from_slice(bytes);
}

fn change(file: &mut Vec<u8>, mut changes: &[u8]) {
    while let [low, high, count, rest @ ..] = changes {
        let at = usize::from(u16::from_le_bytes([*low, *high]));
        if *count > 191 {
            file.resize(at, 0);
            changes = rest;
            continue;
        }
        let count = usize::from(*count).min(rest.len());
        let (bytes, rest) = rest.split_at(count);
        let end = (at + count).min(file.len());
        if at < end {
            file[at..end].copy_from_slice(&bytes[..end - at]);
        }
        changes = rest;
    }
}

/// Opens, recovers, reads, goes on, and opens again.
fn use_folder(disk: &FaultDisk, is_resealed: bool) {
    let before = image(disk);
    let (store, sink, recovered) = match recover(disk) {
        Ok(opened) => opened,
        Err(error) => {
            named(&error);
            assert!(image(disk) == before, "a refused folder is not touched: {error}");
            return;
        }
    };
    let channels = channels(&sink);
    let found = read_all(&store, &channels);
    if !is_resealed {
        sound(&sink, recovered, &found);
    }
    let is_on = go_on(&store);
    let stored: Vec<_> = found.into_iter().filter_map(Result::ok).flatten().collect();
    drop(store);
    match recover(disk) {
        Ok((store, ..)) if is_on => {
            let again = read_all(&store, &channels);
            let again: Vec<_> = again.into_iter().filter_map(Result::ok).flatten().collect();
            assert!(is_resealed || again.len() >= stored.len(), "records are gone");
        }
        Ok(_) => {}
        Err(error) => assert!(is_resealed, "it does not open again: {error}"),
    }
}

/// What recovery streams, with times and tags as they come.
#[derive(Debug, Default)]
struct Sink {
    model: Model,
    channels: BTreeSet<(u16, u32, u32)>,
    /// Channel, offset, time and tag of each record.
    appended: BTreeSet<(ChannelRef, u64, u64, u64)>,
}

impl StateSink for Sink {
    fn put(&mut self, shard: ShardId, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.model.put(shard, key, value)
    }

    fn delete(&mut self, shard: ShardId, key: &[u8]) -> Result<(), StoreError> {
        self.model.delete(shard, key)
    }

    fn appended(&mut self, channel: ChannelRef, offset: u64, at_ms: u64, tag: u64) {
        self.appended.insert((channel, offset, at_ms, tag));
        self.channels.insert((channel.shard.0, channel.slot, channel.generation));
    }

    fn dropped(&mut self, _channel: ChannelRef) {}
}

fn recover(disk: &FaultDisk) -> Result<(LogStore, Sink, Recovered), StoreError> {
    let store = folder::open(disk)?;
    let mut sink = Sink::default();
    let recovered = store.recover(&mut sink)?;
    Ok((store, sink, recovered))
}

/// Every file with its contents, but for the lock.
fn image(disk: &FaultDisk) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let paths = disk.paths().into_iter().filter(|path| !path.ends_with("LOCK"));
    paths.map(|path| (path.clone(), disk.contents(&path))).collect()
}

/// A refusal says which file, or which version.
fn named(error: &StoreError) {
    match error {
        StoreError::Corrupt { path, what, .. } => {
            assert!(path.starts_with(folder::DIR) && !what.is_empty(), "{error}");
        }
        StoreError::UnknownFormat { found, supported, .. } => assert_ne!(found, supported),
        StoreError::Io { path, .. } => assert!(path.starts_with(folder::DIR), "{error}"),
        other => panic!("not a refusal of a file: {other:?}"),
    }
}

fn channels(sink: &Sink) -> Vec<ChannelRef> {
    let seen = sink.channels.iter().map(|(shard, slot, generation)| ChannelRef {
        shard: ShardId(*shard),
        slot: *slot,
        generation: *generation,
    });
    let known = (0..folder::CHANNELS).flat_map(|slot| [channel(slot, 0), channel(slot, 1)]);
    known.chain(seen.take(READS_MAX)).collect()
}

type Found = Result<Vec<(ChannelRef, StoredRecord)>, StoreError>;

fn read_all(store: &LogStore, channels: &[ChannelRef]) -> Vec<Found> {
    let froms = [0, 3, u64::from(u32::MAX), u64::MAX];
    let reads = channels.iter().flat_map(|at| froms.map(|from| (*at, from)));
    let read = |(at, from): (ChannelRef, u64)| -> Found {
        let page = folder::read(store, at, from)?;
        let start = page.first_retained.unwrap_or(from);
        for (record, expected) in page.records.iter().zip(start..) {
            assert_eq!(record.offset, expected, "a hole in {at:?} from {from}");
        }
        Ok(page.records.into_iter().map(|record| (at, record)).collect())
    };
    reads.map(read).collect()
}

/// Everything recovered and read is what some number of first batches made.
fn sound(sink: &Sink, recovered: Recovered, found: &[Found]) {
    assert!(recovered.durable.0 <= folder::BATCHES, "{recovered:?}");
    let model = folder::model(recovered.durable.0);
    assert_eq!(sink.model.state, model.state, "the state of {} batches", recovered.durable.0);
    let stored = folder::appended(recovered.durable.0);
    let unknown = sink.appended.difference(&stored).next();
    assert_eq!(unknown, None, "a record that was never stored");
    for (at, record) in found.iter().flatten().flatten() {
        let stored = model.records.get(&(at.shard, at.slot, at.generation));
        let stored = stored.and_then(|records| records.get(record.offset as usize));
        assert_eq!(Some(record), stored, "a record of {at:?} that was never stored");
    }
    for error in found.iter().filter_map(|found| found.as_ref().err()) {
        named(error);
    }
}

/// Writes on, with a checkpoint and retention; whether all of it went well.
fn go_on(store: &LogStore) -> bool {
    folder::chores(store);
    let mut model = Model::default();
    for offset in 0..12 {
        let ops = vec![append(channel(9, 0), offset, Bytes::from(vec![9; 900])), put(1, "k", "v")];
        let batch = Batch { ops };
        model.apply(&batch);
        if store.submit(batch).is_err() {
            return false;
        }
        while store.step_commit() {}
        folder::chores(store);
    }
    let is_checkpointed = folder::checkpoint(store, &model).is_ok();
    let is_open = store.durable().borrow().failed.is_none();
    is_checkpointed && is_open
}
