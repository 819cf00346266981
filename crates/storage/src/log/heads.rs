//! Sixteen bytes per channel: where its newest record is.
//!
//! Lives in chunks, so that growth never copies what is there, and an idle channel costs no
//! allocation, map entry or file.

use crate::{ChannelRef, ShardId};

/// Heads in one chunk.
pub(super) const CHUNK_HEADS: usize = 4096;

/// `Head::entry` when the newest record is in a sealed segment, or nowhere.
pub(super) const NO_ENTRY: u32 = u32::MAX;
const DROPPED: u32 = u32::MAX - 1;

/// What the engine knows about a channel without looking at the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) generation: u32,
    /// Segment of the newest record; 0 when there is none.
    pub(super) segment: u32,
    /// Its entry, while that segment is not sealed.
    pub(super) entry: u32,
    /// Low half of the offset the next record will have.
    pub(super) next: u32,
}

const _: () = assert!(size_of::<Head>() == 16, "the memory of an idle channel is a promise");

impl Head {
    pub(super) const EMPTY: Self = Self { generation: 0, segment: 0, entry: NO_ENTRY, next: 0 };

    /// The first moment of a life.
    pub(super) const fn born(generation: u32) -> Self {
        Self { generation, ..Self::EMPTY }
    }

    /// After the end of a life.
    pub(super) const fn dropped(generation: u32) -> Self {
        Self { generation, segment: 0, entry: DROPPED, next: 0 }
    }

    pub(super) const fn is_dropped(&self) -> bool {
        self.entry == DROPPED
    }
}

/// The heads of all channels.
#[derive(Debug, Default)]
pub(super) struct Heads {
    shards: Vec<Vec<Option<Box<[Head]>>>>,
}

impl Heads {
    pub(super) fn get(&self, channel: ChannelRef) -> Head {
        let (chunk, within) = place(channel.slot);
        self.chunk(channel.shard, chunk)
            .and_then(|heads| heads.get(within).copied())
            .unwrap_or(Head::EMPTY)
    }

    /// Calls `change` with the head of a channel.
    pub(super) fn update<R>(
        &mut self,
        channel: ChannelRef,
        change: impl FnOnce(&mut Head) -> R,
    ) -> R {
        let (chunk, within) = place(channel.slot);
        let shard = at_or_default(&mut self.shards, usize::from(channel.shard.0));
        let heads = at_or_default(shard, chunk)
            .get_or_insert_with(|| vec![Head::EMPTY; CHUNK_HEADS].into_boxed_slice());
        match heads.get_mut(within) {
            Some(head) => change(head),
            None => change(&mut Head::EMPTY.clone()),
        }
    }

    /// The heads of one chunk, if any channel of it was ever used.
    pub(super) fn chunk(&self, shard: ShardId, chunk: usize) -> Option<&[Head]> {
        self.shards.get(usize::from(shard.0))?.get(chunk)?.as_deref()
    }

    /// Shards, and how many chunks each has.
    pub(super) fn extent(&self) -> Vec<(ShardId, usize)> {
        (0..=u16::MAX).zip(&self.shards).map(|(id, chunks)| (ShardId(id), chunks.len())).collect()
    }
}

fn place(slot: u32) -> (usize, usize) {
    (slot as usize / CHUNK_HEADS, slot as usize % CHUNK_HEADS)
}

fn at_or_default<T: Default>(items: &mut Vec<T>, at: usize) -> &mut T {
    if items.len() <= at {
        items.resize_with(at + 1, T::default);
    }
    #[expect(clippy::indexing_slicing, reason = "grown to hold `at` just above")]
    &mut items[at]
}
