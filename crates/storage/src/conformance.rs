//! What every engine must do, as tests that run against each of them.
//!
//! [`conformance!`](crate::conformance) makes a module of tests from a [`Fixture`].

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod behaviours;
mod model;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

pub use behaviours::*;
pub use model::Model;

use crate::{Batch, ChannelRef, Lsn, Op, ReadLimit, ReadPage, ShardId, ShardStore};

/// Opens one store again and again.
pub trait Fixture: Send {
    /// The store as a new process finds it, not recovered yet. The one opened before was closed
    /// or dropped; what it had made durable is there.
    fn open(&mut self) -> Arc<dyn ShardStore>;
}

/// A fixture in which nothing survives but what the store itself keeps, for engines that need no
/// more than a function to open.
pub struct OpenWith<F>(pub F);

impl<F> fmt::Debug for OpenWith<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenWith")
    }
}

impl<F: FnMut() -> Arc<dyn ShardStore> + Send> Fixture for OpenWith<F> {
    fn open(&mut self) -> Arc<dyn ShardStore> {
        (self.0)()
    }
}

/// Makes a module of tests, one per behaviour, from an expression that makes a [`Fixture`].
#[macro_export]
macro_rules! conformance {
    ($name:ident, $fixture:expr) => {
        $crate::conformance!(@each $name, $fixture;
            fresh_store_is_empty,
            lsns_count_up_and_the_watermark_follows,
            records_come_back_as_they_were_appended,
            page_keeps_to_its_limits,
            first_record_comes_whatever_its_size,
            read_behind_the_end_is_empty,
            lives_of_a_slot_never_see_each_other,
            dropped_channel_is_empty_for_ever,
            state_is_what_its_last_operation_says,
            whole_batch_is_there_after_reopening,
            unknown_sizes_are_refused_without_a_trace,
            largest_payload_fits,
            many_channels_are_kept_apart,
            concurrent_callers_get_one_order,
            checkpoint_and_replay_give_the_state_back,
            state_changed_during_a_checkpoint_is_not_lost,
            abandoned_checkpoint_changes_nothing,
            one_checkpoint_is_written_at_a_time,
            retention_keeps_what_is_young_enough,
            random_history_survives_every_reopening,
            closed_store_refuses_everything,
        );
    };
    (@each $name:ident, $fixture:expr; $($behaviour:ident,)+) => {
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    $crate::conformance::$behaviour(&mut $fixture).await;
                }
            )+
        }
    };
}

/// A channel of shard 0.
pub fn channel(slot: u32, generation: u32) -> ChannelRef {
    ChannelRef { shard: ShardId(0), slot, generation }
}

/// An append whose time and tag follow from its offset.
pub fn append(channel: ChannelRef, offset: u64, payload: impl Into<Bytes>) -> Op {
    Op::Append { channel, offset, at_ms: 1_000 + offset, tag: offset * 7, payload: payload.into() }
}

/// A put.
pub fn put(shard: u16, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Op {
    Op::Put { shard: ShardId(shard), key: key.into(), value: value.into() }
}

/// A delete.
pub fn delete(shard: u16, key: impl Into<Bytes>) -> Op {
    Op::Delete { shard: ShardId(shard), key: key.into() }
}

/// Submits operations as one batch.
pub fn submit(store: &dyn ShardStore, ops: Vec<Op>) -> Lsn {
    store.submit(Batch { ops }).expect("the store takes batches")
}

/// Waits until a batch is durable.
pub async fn durable(store: &dyn ShardStore, lsn: Lsn) {
    let mut watermark = store.durable();
    let state = watermark
        .wait_for(|state| state.durable >= lsn || state.failed.is_some())
        .await
        .expect("the store lives");
    assert_eq!(state.failed, None);
}

/// Reads without limits.
pub async fn read_all(store: &dyn ShardStore, channel: ChannelRef, from: u64) -> ReadPage {
    let limit = ReadLimit { records_max: usize::MAX, bytes_max: usize::MAX };
    store.read(channel, from, limit).await.expect("the records can be read")
}

/// Opens and recovers into a model.
pub fn reopen(fixture: &mut dyn Fixture) -> (Arc<dyn ShardStore>, Model) {
    let store = fixture.open();
    let mut model = Model::default();
    store.recover(&mut model).expect("the store recovers");
    (store, model)
}
