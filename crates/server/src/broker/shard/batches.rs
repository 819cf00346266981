//! Effects as batches for the store.

use bytes::Bytes;
use litemq_domain::Record;
use litemq_storage::{Batch, ChannelRef, Op, ShardId};

use super::super::limits::SHARD_CYCLE_BYTES;

/// Bytes of one batch. Only a request for very many lite topics at once makes more, and each of
/// its records stands for itself.
const BATCH_BYTES_MAX: usize = 2 * SHARD_CYCLE_BYTES;
/// What a record takes beside its payload or value, bytes, roughly.
const RECORD_OVERHEAD_BYTES: usize = 64;

/// About so many bytes will be written for these records.
pub(super) fn bytes_of(records: &[Record]) -> usize {
    records.iter().map(record_bytes).sum()
}

/// The records of a shard, in order, in as few batches as the bound allows.
pub(super) fn batches(shard: u16, records: Vec<Record>) -> Vec<Batch> {
    let mut batches = Vec::with_capacity(1);
    let mut ops = Vec::with_capacity(records.len());
    let mut bytes = 0;
    for record in records {
        let more = record_bytes(&record);
        if bytes > 0 && bytes + more > BATCH_BYTES_MAX {
            batches.push(Batch { ops: std::mem::take(&mut ops) });
            bytes = 0;
        }
        bytes += more;
        ops.push(op(ShardId(shard), record));
    }
    if !ops.is_empty() {
        batches.push(Batch { ops });
    }
    batches
}

fn record_bytes(record: &Record) -> usize {
    RECORD_OVERHEAD_BYTES
        + match record {
            Record::Append { payload, .. } => payload.len(),
            Record::Put { value, .. } => value.len(),
            Record::Drop { .. } | Record::Delete { .. } => 0,
        }
}

fn op(shard: ShardId, record: Record) -> Op {
    match record {
        Record::Append { slot, generation, offset, at, tag, payload } => Op::Append {
            channel: ChannelRef { shard, slot, generation },
            offset,
            at_ms: at.0,
            tag,
            payload,
        },
        Record::Drop { slot, generation } => {
            Op::Drop { channel: ChannelRef { shard, slot, generation } }
        }
        Record::Put { key, value } => {
            Op::Put { shard, key: Bytes::from(key.encode()), value: Bytes::from(value) }
        }
        Record::Delete { key } => Op::Delete { shard, key: Bytes::from(key.encode()) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drops(count: usize) -> Vec<Record> {
        (0..count).map(|slot| Record::Drop { slot: slot as u32, generation: 0 }).collect()
    }

    #[test]
    fn what_fits_is_one_batch_and_what_does_not_keeps_its_order() {
        assert!(batches(0, Vec::new()).is_empty());
        assert_eq!(batches(0, drops(3)).len(), 1);
        let many = 2 * BATCH_BYTES_MAX / RECORD_OVERHEAD_BYTES + 1;
        let split = batches(0, drops(many));
        assert_eq!(split.len(), 3);
        let slots = split.iter().flat_map(|batch| &batch.ops).map(|op| match op {
            Op::Drop { channel } => channel.slot,
            other => panic!("{other:?}"),
        });
        assert!(slots.eq(0..many as u32));
    }
}
