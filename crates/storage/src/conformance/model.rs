//! What a store should hold, kept in plain maps.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{Batch, ChannelRef, Op, ShardId, ShardStore, StateSink, StoreError, StoredRecord};

use super::read_all;

/// State and records of all shards. As a sink it takes what recovery streams.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Model {
    /// Keys and values.
    pub state: BTreeMap<(ShardId, Vec<u8>), Vec<u8>>,
    /// Offsets seen of each life, in the order of arrival.
    pub offsets: BTreeMap<(ShardId, u32, u32), Vec<u64>>,
    /// The records of each life; recovery does not stream them.
    pub records: BTreeMap<(ShardId, u32, u32), Vec<StoredRecord>>,
}

fn life(channel: ChannelRef) -> (ShardId, u32, u32) {
    (channel.shard, channel.slot, channel.generation)
}

impl Model {
    /// Applies a batch.
    pub fn apply(&mut self, batch: &Batch) {
        for op in &batch.ops {
            match op {
                Op::Append { channel, offset, at_ms, tag, payload } => {
                    self.records.entry(life(*channel)).or_default().push(StoredRecord {
                        offset: *offset,
                        at_ms: *at_ms,
                        tag: *tag,
                        payload: payload.clone(),
                    });
                }
                Op::Drop { channel } => {
                    self.records.remove(&life(*channel));
                }
                Op::Put { shard, key, value } => {
                    self.state.insert((*shard, key.to_vec()), value.to_vec());
                }
                Op::Delete { shard, key } => {
                    self.state.remove(&(*shard, key.to_vec()));
                }
            }
        }
    }

    /// Asserts that a store holds exactly these records, given what recovery streamed into
    /// `recovered`.
    pub async fn assert_held(&self, store: &dyn ShardStore, recovered: &Self) {
        assert_eq!(recovered.state, self.state);
        for ((shard, slot, generation), records) in &self.records {
            let channel = ChannelRef { shard: *shard, slot: *slot, generation: *generation };
            let page = read_all(store, channel, 0).await;
            assert_eq!(page.first_retained, None, "{channel:?}");
            assert_eq!(&page.records, records, "{channel:?}");
        }
        for offsets in recovered.offsets.values() {
            assert!(offsets.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{offsets:?}");
        }
    }

    /// The batch that appends `payload` where the channel goes on.
    pub fn next_append(&self, channel: ChannelRef, payload: Bytes) -> Op {
        let offset = self.records.get(&life(channel)).map_or(0, |records| records.len() as u64);
        super::append(channel, offset, payload)
    }
}

impl StateSink for Model {
    fn put(&mut self, shard: ShardId, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.state.insert((shard, key.to_vec()), value.to_vec());
        Ok(())
    }

    fn delete(&mut self, shard: ShardId, key: &[u8]) -> Result<(), StoreError> {
        self.state.remove(&(shard, key.to_vec()));
        Ok(())
    }

    fn appended(&mut self, channel: ChannelRef, offset: u64, at_ms: u64, tag: u64) {
        assert_eq!((at_ms, tag), (1_000 + offset, offset * 7), "time and tag of {channel:?}");
        self.offsets.entry(life(channel)).or_default().push(offset);
    }

    fn dropped(&mut self, channel: ChannelRef) {
        self.offsets.remove(&life(channel));
    }
}
