//! Writers, readers, checkpoints and retention at once, on threads and a real disk.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use litemq_storage::conformance::Model;
use litemq_storage::{
    Batch, ChannelRef, LogOptions, LogStore, Lsn, Op, ReadLimit, ShardId, ShardStore, StoreError,
};

const SHARDS: u16 = 2;
const SLOTS: u32 = 50;
const RECORDS_PER_CHANNEL: u64 = 60;
/// A slot of lives that come and go, of a record each.
const PASSING: u32 = SLOTS;
/// Far more than it takes until a segment is compacted.
const CHECKPOINTS_MAX: u32 = 20_000;

fn options() -> LogOptions {
    LogOptions {
        segment_bytes: 256 << 10,
        reserve_bytes: 16 << 10,
        free_bytes_min: 0,
        ..LogOptions::default()
    }
}

fn at(shard: u16, slot: u32) -> ChannelRef {
    ChannelRef { shard: ShardId(shard), slot, generation: 0 }
}

fn payload(channel: ChannelRef, offset: u64) -> Bytes {
    let text = format!("{}/{}/{offset};", channel.shard.0, channel.slot);
    text.repeat(1 + (offset % 50) as usize).into()
}

fn passing(shard: u16, life: u64) -> ChannelRef {
    ChannelRef { generation: life as u32, ..at(shard, PASSING) }
}

/// With the time and tag that [`Model`] expects of a record that recovery streams.
fn append(channel: ChannelRef, offset: u64, payload: Bytes) -> Op {
    Op::Append { channel, offset, at_ms: 1_000 + offset, tag: offset * 7, payload }
}

/// Appends to every slot of a shard in turn, and to lives that end at once; how far each batch came is kept as state.
async fn write(store: Arc<LogStore>, shard: u16, written: Arc<AtomicU64>) {
    for offset in 0..RECORDS_PER_CHANNEL {
        for slot in 0..SLOTS {
            while store.admit_append() == Err(StoreError::Overloaded) {
                tokio::task::yield_now().await;
            }
            let channel = at(shard, slot);
            let passing = passing(shard, offset * u64::from(SLOTS) + u64::from(slot));
            let ops = vec![
                append(channel, offset, payload(channel, offset)),
                append(passing, 0, payload(passing, offset)),
                Op::Drop { channel: passing },
                Op::Put {
                    shard: channel.shard,
                    key: slot.to_string().into(),
                    value: (offset + 1).to_string().into(),
                },
            ];
            store.submit(Batch { ops }).expect("the batch is taken");
        }
        written.store(offset + 1, Ordering::Release);
        tokio::task::yield_now().await;
    }
}

async fn check_page(store: &LogStore, channel: ChannelRef, from: u64) -> u64 {
    let limit = ReadLimit { records_max: 16, bytes_max: 4_000 };
    let page = store.read(channel, from, limit).await.expect("it can be read");
    let first = page.first_retained.unwrap_or(from);
    assert!(first >= from);
    for (record, offset) in page.records.iter().zip(first..) {
        assert_eq!(record.offset, offset, "no gaps in {channel:?}");
        assert_eq!(record.payload, payload(channel, offset));
    }
    first + page.records.len() as u64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everything_at_once_loses_nothing_and_shows_nothing_wrong() {
    let dir = tempfile::tempdir().expect("a scratch folder");
    let store = Arc::new(LogStore::open(dir.path(), options()).expect("it opens"));
    store.recover(&mut Model::default()).expect("it recovers");

    let written: Vec<Arc<AtomicU64>> = (0..SHARDS).map(|_| Arc::default()).collect();
    let is_over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..SHARDS)
        .zip(&written)
        .map(|(shard, written)| tokio::spawn(write(Arc::clone(&store), shard, Arc::clone(written))))
        .collect();
    let readers: Vec<_> = (0..SHARDS)
        .map(|shard| {
            let (store, is_over) = (Arc::clone(&store), Arc::clone(&is_over));
            tokio::spawn(async move {
                let mut next = vec![0; SLOTS as usize];
                while !is_over.load(Ordering::Acquire) {
                    for slot in 0..SLOTS {
                        let from = next[slot as usize];
                        next[slot as usize] = check_page(&store, at(shard, slot), from).await;
                        // Old records too, where sealed segments and retention meet.
                        check_page(&store, at(shard, slot), from / 2).await;
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let mut checkpoints = 0;
    while writers.iter().any(|writer| !writer.is_finished()) || store.usage().compacted_bytes == 0 {
        let mut writer = store.begin_checkpoint().expect("a checkpoint begins");
        // Whole rounds before this one; the writers may be in the middle of the next.
        let rounds: Vec<u64> = written.iter().map(|upto| upto.load(Ordering::Acquire)).collect();
        for (shard, upto) in (0..SHARDS).zip(&rounds) {
            for slot in 0..SLOTS {
                let upto = (upto + 1).min(RECORDS_PER_CHANNEL).to_string();
                writer
                    .put(ShardId(shard), slot.to_string().as_bytes(), upto.as_bytes())
                    .expect("it is written");
            }
        }
        writer.finish().await.expect("the checkpoint is finished");
        checkpoints += 1;
        assert!(checkpoints < CHECKPOINTS_MAX, "compaction never gives anything back");
        let oldest = rounds.iter().min().expect("there are shards");
        store.retain_after(1_000 + oldest / 2).expect("retention runs");
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await.expect("the writer comes to an end");
    }
    let last = Lsn(u64::from(SHARDS) * u64::from(SLOTS) * RECORDS_PER_CHANNEL);
    let mut watermark = store.durable();
    watermark.wait_for(|state| state.durable >= last).await.expect("the store lives");
    is_over.store(true, Ordering::Release);
    for reader in readers {
        reader.await.expect("the reader saw nothing wrong");
    }
    assert!(checkpoints > 0);
    drop(watermark);
    // Readers and writers are gone: this ends the store as a crash would.
    drop(Arc::into_inner(store).expect("nobody else has it"));

    let store = LogStore::open(dir.path(), options()).expect("it opens");
    let mut recovered = Model::default();
    let report = store.recover(&mut recovered).expect("it recovers");
    assert_eq!(report.durable, last);
    assert_eq!(recovered.state.len(), usize::from(SHARDS) * SLOTS as usize);
    let all = RECORDS_PER_CHANNEL.to_string().into_bytes();
    assert!(recovered.state.values().all(|value| *value == all));
    for shard in 0..SHARDS {
        for slot in 0..SLOTS {
            let mut next = RECORDS_PER_CHANNEL / 2;
            while next < RECORDS_PER_CHANNEL {
                let after = check_page(&store, at(shard, slot), next).await;
                assert!(after > next, "record {next} of {shard}/{slot} is there");
                next = after;
            }
        }
    }
}
