//! A log store moved step by step on a disk that fails.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "shared by several test binaries"
)]

pub(crate) mod anatomy;
pub(crate) mod history;
pub(crate) mod proof;
pub(crate) mod workload;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use litemq_storage::conformance::Model;
use litemq_storage::disk::FaultDisk;
use litemq_storage::{
    Batch, ChannelRef, Drive, LogOptions, LogStore, ReadLimit, ReadPage, Recovered, ShardStore,
    StoreError,
};

pub(crate) const DIR: &str = "/srv/litemq/data";
pub(crate) const SEGMENT_BYTES: u64 = 16 << 10;

pub(crate) fn path(relative: &str) -> PathBuf {
    Path::new(DIR).join(relative)
}

pub(crate) fn options() -> LogOptions {
    LogOptions {
        segment_bytes: SEGMENT_BYTES,
        recycled_files_max: 1,
        reserve_bytes: 6 << 10,
        free_bytes_min: 16 << 10,
        ..LogOptions::default()
    }
}

/// Polls a future that is ready, because somebody else made the steps before.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits for a step"),
    }
}

pub(crate) fn open(disk: &FaultDisk) -> Result<LogStore, StoreError> {
    LogStore::open_on(Arc::new(disk.clone()), Path::new(DIR), options(), Drive::Steps)
}

pub(crate) fn recover(disk: &FaultDisk) -> Result<(LogStore, Model, Recovered), StoreError> {
    let store = open(disk)?;
    let mut model = Model::default();
    let recovered = store.recover(&mut model)?;
    Ok((store, model, recovered))
}

pub(crate) fn commit_all(store: &LogStore) {
    while store.step_commit() {}
}

pub(crate) fn chores(store: &LogStore) {
    while store.step_chore() {}
}

/// Submits one batch and makes it durable.
pub(crate) fn commit(store: &LogStore, batch: Batch) {
    store.submit(batch).expect("the batch is taken");
    commit_all(store);
    chores(store);
}

pub(crate) fn read(
    store: &LogStore,
    channel: ChannelRef,
    from: u64,
) -> Result<ReadPage, StoreError> {
    ready(store.read(channel, from, ReadLimit { records_max: 10_000, bytes_max: 1 << 30 }))
}

pub(crate) fn checkpoint(store: &LogStore, model: &Model) -> Result<(), StoreError> {
    let mut writer = store.begin_checkpoint()?;
    for ((shard, key), value) in &model.state {
        writer.put(*shard, key, value)?;
    }
    commit_all(store);
    ready(writer.finish())
}
