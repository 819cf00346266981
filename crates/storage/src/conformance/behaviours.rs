//! The behaviours, one function each.

#![allow(missing_docs, reason = "the names are sentences")]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::{Fixture, Model, append, channel, delete, durable, put, read_all, reopen, submit};
use crate::{
    Batch, ChannelRef, KEY_BYTES_MAX, Lsn, Op, PAYLOAD_BYTES_MAX, ReadLimit, ReadPage, ShardId,
    ShardStore, StoreError,
};

pub async fn fresh_store_is_empty(fixture: &mut impl Fixture) {
    let (store, recovered) = reopen(fixture);
    assert_eq!(recovered, Model::default());
    assert_eq!(store.durable().borrow().durable, Lsn(0));
    assert_eq!(read_all(&*store, channel(3, 0), 0).await, ReadPage::default());
    store.close().await.expect("an empty store closes");
    drop(store);
    assert_eq!(reopen(fixture).1, Model::default());
}

pub async fn lsns_count_up_and_the_watermark_follows(fixture: &mut impl Fixture) {
    let (store, _) = reopen(fixture);
    for number in 1..=20_u64 {
        let ops = vec![put(0, "key", number.to_string())];
        assert_eq!(submit(&*store, ops), Lsn(number));
    }
    durable(&*store, Lsn(20)).await;
    assert_eq!(store.durable().borrow().durable, Lsn(20), "not above what was submitted");
    drop(store);
    let (store, _) = reopen(fixture);
    assert_eq!(store.durable().borrow().durable, Lsn(20));
    assert_eq!(submit(&*store, Vec::new()), Lsn(21), "an empty batch counts as well");
    durable(&*store, Lsn(21)).await;
}

pub async fn records_come_back_as_they_were_appended(fixture: &mut impl Fixture) {
    let (mut store, _) = reopen(fixture);
    let payloads: Vec<Bytes> =
        (0..200_usize).map(|number| vec![number as u8; number * 37 % 3_000].into()).collect();
    let ops = |range: std::ops::Range<usize>| {
        range.map(|at| append(channel(5, 2), at as u64, payloads[at].clone())).collect()
    };
    submit(&*store, ops(0..120));
    let lsn = submit(&*store, ops(120..200));
    durable(&*store, lsn).await;
    for _ in 0..2 {
        for from in [0, 1, 119, 120, 150, 199] {
            let page = read_all(&*store, channel(5, 2), from).await;
            assert_eq!(page.first_retained, None);
            assert_eq!(page.records.len() as u64, 200 - from);
            for (record, offset) in page.records.iter().zip(from..) {
                assert_eq!(record.offset, offset);
                assert_eq!((record.at_ms, record.tag), (1_000 + offset, offset * 7));
                assert_eq!(record.payload, payloads[offset as usize]);
            }
        }
        store.close().await.expect("the store closes");
        drop(store);
        store = reopen(fixture).0;
    }
}

pub async fn page_keeps_to_its_limits(fixture: &mut impl Fixture) {
    let (store, _) = reopen(fixture);
    let ops = (0..50).map(|at| append(channel(0, 0), at, vec![1; 100])).collect();
    durable(&*store, submit(&*store, ops)).await;
    let read = async |from, records_max, bytes_max| {
        let limit = ReadLimit { records_max, bytes_max };
        let page = store.read(channel(0, 0), from, limit).await.expect("it can be read");
        page.records.iter().map(|record| record.offset).collect::<Vec<_>>()
    };
    assert_eq!(read(10, 3, usize::MAX).await, [10, 11, 12]);
    assert_eq!(read(10, 100, 250).await, [10, 11]);
    assert_eq!(read(10, 100, 300).await, [10, 11, 12]);
    assert_eq!(read(48, 100, 1_000).await, [48, 49]);
    assert_eq!(read(0, 0, 1_000).await, [0; 0]);
}

pub async fn first_record_comes_whatever_its_size(fixture: &mut impl Fixture) {
    let (store, _) = reopen(fixture);
    let ops = (0..3).map(|at| append(channel(0, 0), at, vec![1; 10_000])).collect();
    durable(&*store, submit(&*store, ops)).await;
    let limit = ReadLimit { records_max: 10, bytes_max: 1 };
    let page = store.read(channel(0, 0), 1, limit).await.expect("it can be read");
    assert_eq!(page.records.len(), 1);
    assert_eq!(page.records[0].offset, 1);
}

pub async fn read_behind_the_end_is_empty(fixture: &mut impl Fixture) {
    let (store, _) = reopen(fixture);
    let ops = (0..3).map(|at| append(channel(0, 0), at, "x")).collect();
    durable(&*store, submit(&*store, ops)).await;
    for from in [3, 4, 1_000_000] {
        assert_eq!(read_all(&*store, channel(0, 0), from).await, ReadPage::default());
    }
}

pub async fn lives_of_a_slot_never_see_each_other(fixture: &mut impl Fixture) {
    let (store, _) = reopen(fixture);
    let (first, second) = (channel(9, 1), channel(9, 2));
    submit(&*store, vec![append(first, 0, "a"), append(first, 1, "b")]);
    submit(&*store, vec![Op::Drop { channel: first }, append(second, 0, "c")]);
    let lsn = submit(&*store, vec![append(second, 1, "d")]);
    durable(&*store, lsn).await;
    let check = async |store: &dyn ShardStore| {
        assert_eq!(read_all(store, first, 0).await, ReadPage::default());
        assert_eq!(read_all(store, channel(9, 3), 0).await, ReadPage::default());
        let page = read_all(store, second, 0).await;
        let payloads: Vec<&[u8]> = page.records.iter().map(|record| &record.payload[..]).collect();
        assert_eq!(payloads, [b"c", b"d"]);
    };
    check(&*store).await;
    drop(store);
    check(&*reopen(fixture).0).await;
}

pub async fn dropped_channel_is_empty_for_ever(fixture: &mut impl Fixture) {
    let (store, _) = reopen(fixture);
    submit(&*store, vec![append(channel(1, 0), 0, "a"), append(channel(2, 0), 0, "b")]);
    let lsn = submit(&*store, vec![Op::Drop { channel: channel(1, 0) }]);
    durable(&*store, lsn).await;
    assert_eq!(read_all(&*store, channel(1, 0), 0).await, ReadPage::default());
    let writer = store.begin_checkpoint().expect("a checkpoint begins");
    writer.finish().await.expect("the checkpoint is finished");
    drop(store);
    let (store, _) = reopen(fixture);
    assert_eq!(read_all(&*store, channel(1, 0), 0).await, ReadPage::default());
    assert_eq!(read_all(&*store, channel(2, 0), 0).await.records.len(), 1);
    let lsn = submit(&*store, vec![append(channel(1, 1), 0, "c")]);
    durable(&*store, lsn).await;
    assert_eq!(&read_all(&*store, channel(1, 1), 0).await.records[0].payload[..], b"c");
}

pub async fn state_is_what_its_last_operation_says(fixture: &mut impl Fixture) {
    let (store, _) = reopen(fixture);
    submit(&*store, vec![put(0, "a", "1"), put(0, "b", "1"), put(1, "a", "other shard")]);
    submit(&*store, vec![put(0, "a", "2"), delete(0, "b"), delete(0, "never there")]);
    let lsn = submit(&*store, vec![put(0, "c", ""), put(0, "b", "3"), delete(1, "x")]);
    durable(&*store, lsn).await;
    drop(store);
    let (_, recovered) = reopen(fixture);
    let expected: BTreeMap<_, _> =
        [(0, "a", "2"), (0, "b", "3"), (0, "c", ""), (1, "a", "other shard")]
            .map(|(shard, key, value)| {
                ((ShardId(shard), key.as_bytes().to_vec()), value.as_bytes().to_vec())
            })
            .into();
    assert_eq!(recovered.state, expected);
}

pub async fn whole_batch_is_there_after_reopening(fixture: &mut impl Fixture) {
    let (store, _) = reopen(fixture);
    let mut model = Model::default();
    let mut last = Lsn(0);
    for number in 0..300_u64 {
        let batch = Batch {
            ops: vec![
                append(channel(0, 0), number, vec![7; 50]),
                put(0, format!("cursor-{}", number % 5), number.to_string()),
                append(channel(1, 0), number, vec![8; 50]),
            ],
        };
        model.apply(&batch);
        last = store.submit(batch).expect("the batch is taken");
    }
    durable(&*store, last).await;
    drop(store);
    let (store, recovered) = reopen(fixture);
    model.assert_held(&*store, &recovered).await;
}

pub async fn unknown_sizes_are_refused_without_a_trace(fixture: &mut impl Fixture) {
    let (store, _) = reopen(fixture);
    let long_key = vec![0; KEY_BYTES_MAX + 1];
    let too_much = vec![0; PAYLOAD_BYTES_MAX + 1];
    for op in [
        put(0, long_key.clone(), "v"),
        delete(0, long_key),
        put(0, "k", too_much.clone()),
        append(channel(0, 0), 0, too_much),
    ] {
        let refused = store.submit(Batch { ops: vec![put(0, "before", "1"), op] });
        assert!(matches!(&refused, Err(StoreError::Invalid(_))), "{refused:?}");
    }
    let longest_key = vec![b'k'; KEY_BYTES_MAX];
    let lsn = submit(&*store, vec![put(0, longest_key.clone(), "v")]);
    assert_eq!(lsn, Lsn(1));
    durable(&*store, lsn).await;
    drop(store);
    let recovered = reopen(fixture).1;
    assert_eq!(recovered.state.keys().collect::<Vec<_>>(), [&(ShardId(0), longest_key)]);
}

pub async fn largest_payload_fits(fixture: &mut impl Fixture) {
    let (store, _) = reopen(fixture);
    let payload: Bytes =
        (0..PAYLOAD_BYTES_MAX).map(|at| (at % 251) as u8).collect::<Vec<_>>().into();
    for offset in 0..2 {
        while store.admit_append() == Err(StoreError::Overloaded) {
            tokio::task::yield_now().await;
        }
        durable(&*store, submit(&*store, vec![append(channel(0, 0), offset, payload.clone())]))
            .await;
    }
    drop(store);
    let (store, _) = reopen(fixture);
    let page = read_all(&*store, channel(0, 0), 0).await;
    assert_eq!(page.records.len(), 2);
    assert!(page.records.iter().all(|record| record.payload == payload), "bit for bit");
}

pub async fn many_channels_are_kept_apart(fixture: &mut impl Fixture) {
    let (store, _) = reopen(fixture);
    const CHANNELS: u32 = 10_000;
    let at =
        |slot: u32| ChannelRef { shard: ShardId((slot % 3) as u16), slot, generation: slot % 2 };
    let mut last = Lsn(0);
    for round in 0..2 {
        for first in (0..CHANNELS).step_by(500) {
            let ops = (first..first + 500).map(|slot| append(at(slot), round, slot.to_string()));
            last = submit(&*store, ops.collect());
        }
    }
    durable(&*store, last).await;
    let check = async |store: &dyn ShardStore| {
        for slot in (0..CHANNELS).step_by(17) {
            let page = read_all(store, at(slot), 0).await;
            assert_eq!(page.records.len(), 2, "slot {slot}");
            assert!(page.records.iter().all(|record| record.payload == slot.to_string()));
        }
    };
    check(&*store).await;
    drop(store);
    let (store, recovered) = reopen(fixture);
    assert_eq!(recovered.offsets.len(), CHANNELS as usize);
    check(&*store).await;
}

pub async fn concurrent_callers_get_one_order(fixture: &mut impl Fixture) {
    let (store, _) = reopen(fixture);
    const CALLERS: u16 = 4;
    const BATCHES: u64 = 300;
    let callers = (0..CALLERS).map(|shard| {
        let store = Arc::clone(&store);
        tokio::task::spawn_blocking(move || {
            let at = ChannelRef { shard: ShardId(shard), slot: 0, generation: 0 };
            let mut lsns = Vec::new();
            for offset in 0..BATCHES {
                let ops = vec![
                    append(at, offset, offset.to_string()),
                    put(shard, "at", offset.to_string()),
                ];
                lsns.push(submit(&*store, ops));
            }
            lsns
        })
    });
    let mut all = Vec::new();
    for caller in callers.collect::<Vec<_>>() {
        let lsns = caller.await.expect("the caller comes to an end");
        assert!(lsns.is_sorted(), "in the order of its calls");
        all.extend(lsns);
    }
    all.sort_unstable();
    let expected: Vec<Lsn> = (1..=u64::from(CALLERS) * BATCHES).map(Lsn).collect();
    assert_eq!(all, expected);
    durable(&*store, expected[expected.len() - 1]).await;
    drop(store);
    let (store, recovered) = reopen(fixture);
    for shard in 0..CALLERS {
        let at = ChannelRef { shard: ShardId(shard), slot: 0, generation: 0 };
        assert_eq!(read_all(&*store, at, 0).await.records.len() as u64, BATCHES);
        let value = &recovered.state[&(ShardId(shard), b"at".to_vec())];
        assert_eq!(value, (BATCHES - 1).to_string().as_bytes());
    }
}

pub async fn checkpoint_and_replay_give_the_state_back(fixture: &mut impl Fixture) {
    let (store, _) = reopen(fixture);
    let mut model = Model::default();
    let step = |model: &mut Model, number: u64| {
        let batch = Batch {
            ops: vec![
                model.next_append(channel((number % 7) as u32, 0), number.to_string().into()),
                put(0, format!("k{}", number % 11), number.to_string()),
                delete(0, format!("k{}", (number + 5) % 11)),
            ],
        };
        model.apply(&batch);
        store.submit(batch).expect("the batch is taken")
    };
    for number in 0..100 {
        step(&mut model, number);
    }
    let mut writer = store.begin_checkpoint().expect("a checkpoint begins");
    for ((shard, key), value) in &model.state {
        writer.put(*shard, key, value).expect("the state is written");
    }
    writer.finish().await.expect("the checkpoint is finished");
    let mut last = Lsn(0);
    for number in 100..150 {
        last = step(&mut model, number);
    }
    durable(&*store, last).await;
    drop(store);
    let (store, recovered) = reopen(fixture);
    model.assert_held(&*store, &recovered).await;
    let replayed: usize = recovered.offsets.values().map(Vec::len).sum();
    assert!((50..150).contains(&replayed), "the checkpoint spares replay: {replayed}");
}

pub async fn state_changed_during_a_checkpoint_is_not_lost(fixture: &mut impl Fixture) {
    let (store, _) = reopen(fixture);
    let mut model = Model::default();
    let change = |model: &mut Model, key: u64, value: &str| {
        let slot = channel((key % 5) as u32, 0);
        let batch = Batch {
            ops: vec![
                put(0, format!("k{key}"), value.to_owned()),
                delete(0, format!("k{}", key + 1)),
                model.next_append(slot, value.to_owned().into()),
            ],
        };
        model.apply(&batch);
        store.submit(batch).expect("the batch is taken")
    };
    for key in 0..100 {
        change(&mut model, key, "before");
    }
    let mut writer = store.begin_checkpoint().expect("a checkpoint begins");
    let mut last = Lsn(0);
    for key in 0..100 {
        // Half of the keys change before they are written, half after.
        if key % 2 == 0 {
            last = change(&mut model, key, "during");
        }
        let named = (ShardId(0), format!("k{key}").into_bytes());
        if let Some(value) = model.state.get(&named) {
            writer.put(named.0, &named.1, value).expect("the state is written");
        }
        if key % 2 == 1 {
            last = change(&mut model, key, "after");
        }
    }
    writer.finish().await.expect("the checkpoint is finished");
    durable(&*store, last).await;
    drop(store);
    let (store, recovered) = reopen(fixture);
    model.assert_held(&*store, &recovered).await;
}

pub async fn abandoned_checkpoint_changes_nothing(fixture: &mut impl Fixture) {
    let (store, _) = reopen(fixture);
    submit(&*store, vec![put(0, "a", "1")]);
    let mut writer = store.begin_checkpoint().expect("a checkpoint begins");
    writer.put(ShardId(0), b"wrong", b"value").expect("the state is written");
    drop(writer);
    let lsn = submit(&*store, vec![put(0, "b", "2")]);
    durable(&*store, lsn).await;
    drop(store);
    assert_eq!(reopen(fixture).1.state.len(), 2);
}

pub async fn one_checkpoint_is_written_at_a_time(fixture: &mut impl Fixture) {
    let (store, _) = reopen(fixture);
    let writer = store.begin_checkpoint().expect("a checkpoint begins");
    let second = store.begin_checkpoint().map(|_| ());
    assert!(matches!(second, Err(StoreError::Invalid(_))), "{second:?}");
    drop(writer);
    let writer = store.begin_checkpoint().expect("the next one begins");
    writer.finish().await.expect("the checkpoint is finished");
    store.begin_checkpoint().expect("and one after it");
}

pub async fn retention_keeps_what_is_young_enough(fixture: &mut impl Fixture) {
    let (store, _) = reopen(fixture);
    let ops = (0..100).map(|at| append(channel(0, 0), at, vec![1; 100])).collect();
    durable(&*store, submit(&*store, ops)).await;
    let mut writer = store.begin_checkpoint().expect("a checkpoint begins");
    writer.put(ShardId(0), b"kept", b"1").expect("the state is written");
    writer.finish().await.expect("the checkpoint is finished");
    store.retain_after(1_040).expect("retention runs");
    let page = read_all(&*store, channel(0, 0), 0).await;
    let first = page.first_retained.unwrap_or(0);
    assert!(first <= 40, "offset 40 was accepted at 1040");
    let offsets: Vec<u64> = page.records.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, (first..100).collect::<Vec<_>>());
    assert_eq!(read_all(&*store, channel(0, 0), 60).await.first_retained, None);
    drop(store);
    let (store, recovered) = reopen(fixture);
    assert_eq!(recovered.state.len(), 1);
    assert_eq!(read_all(&*store, channel(0, 0), 60).await.records.len(), 40);
}

pub async fn random_history_survives_every_reopening(fixture: &mut impl Fixture) {
    let mut model = Model::default();
    let mut generations = [0_u32; 20];
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    for round in 0..8 {
        let (store, recovered) = reopen(fixture);
        model.assert_held(&*store, &recovered).await;
        let mut last = Lsn(0);
        for number in 0..150 {
            let mut batch = Batch::default();
            for _ in 0..next(6) {
                let slot = next(20) as usize;
                let at = channel(slot as u32, generations[slot]);
                let mut one = Batch::default();
                match next(10) {
                    0 => {
                        one.ops.push(Op::Drop { channel: at });
                        generations[slot] += 1;
                    }
                    1 | 2 => one.ops.push(delete(0, format!("k{}", next(30)))),
                    3..=5 => {
                        one.ops.push(put(0, format!("k{}", next(30)), vec![next(255) as u8; 9]))
                    }
                    _ => one
                        .ops
                        .push(model.next_append(at, vec![slot as u8; next(2_000) as usize].into())),
                }
                model.apply(&one);
                batch.ops.append(&mut one.ops);
            }
            last = store.submit(batch).expect("the batch is taken");
            if number == 75 && round % 2 == 0 {
                let mut writer = store.begin_checkpoint().expect("a checkpoint begins");
                for ((shard, key), value) in &model.state {
                    writer.put(*shard, key, value).expect("the state is written");
                }
                writer.finish().await.expect("the checkpoint is finished");
            }
        }
        if round % 3 == 0 {
            store.close().await.expect("the store closes");
        } else {
            durable(&*store, last).await;
        }
    }
    let (store, recovered) = reopen(fixture);
    model.assert_held(&*store, &recovered).await;
}

pub async fn closed_store_refuses_everything(fixture: &mut impl Fixture) {
    let (store, _) = reopen(fixture);
    let lsn = submit(&*store, vec![append(channel(0, 0), 0, "last"), put(0, "k", "v")]);
    store.close().await.expect("the store closes");
    assert_eq!(store.durable().borrow().durable, lsn, "what was submitted is durable");
    let limit = ReadLimit { records_max: 1, bytes_max: 1 };
    assert_eq!(store.submit(Batch::default()), Err(StoreError::Closed));
    assert_eq!(store.admit_append(), Err(StoreError::Closed));
    assert_eq!(store.read(channel(0, 0), 0, limit).await, Err(StoreError::Closed));
    assert_eq!(store.begin_checkpoint().map(|_| ()).unwrap_err(), StoreError::Closed);
    assert_eq!(store.retain_after(0), Err(StoreError::Closed));
    store.close().await.expect("closing twice is fine");
    let (reopened, recovered) = reopen(fixture);
    assert_eq!(recovered.state.len(), 1, "another process may have it while this object lives");
    assert_eq!(read_all(&*reopened, channel(0, 0), 0).await.records.len(), 1);
}
