//! The index of a segment that gets no more records: which channels it holds, and where.
//!
//! Blocks of 4 KiB, each with its checksum: a header, the sorted directory of channels, the
//! positions of their records, and a table of the first channel of each directory block, which
//! alone stays in memory. Derived from the log ([`sealing`](super::sealing)), so it can be made again
//! whenever it is missing or damaged.

use crate::ChannelRef;
use crate::disk::DiskFile;

use super::codec::{Cut, crc_of};
use super::entries::{Link, Run};
use super::files::{Access, ReadFault, read_full};
use super::format::{BLOCK_BYTES, HeaderFault, Uuid, open_block};
use super::heads::NO_ENTRY;

pub(super) const INDEX_MAGIC: [u8; 8] = *b"LiteMQix";
pub(super) const BLOCK_CONTENT_BYTES: usize = BLOCK_BYTES - 4;
pub(super) const RUN_BYTES: usize = 32;
pub(super) const RUNS_PER_BLOCK: usize = BLOCK_CONTENT_BYTES / RUN_BYTES;
pub(super) const POSITION_BYTES: usize = 4;
pub(super) const POSITIONS_PER_BLOCK: usize = BLOCK_CONTENT_BYTES / POSITION_BYTES;
const TOP_BYTES: usize = 10;

/// Order of the directory.
pub(super) type Key = (u16, u32, u32);

pub(super) fn key_of(channel: ChannelRef) -> Key {
    (channel.shard.0, channel.slot, channel.generation)
}

pub(super) fn block_crc(uuid: &Uuid, number: usize, content: &[u8]) -> u32 {
    crc_of(&[uuid, &(number as u32).to_le_bytes(), content])
}

/// A channel's part of a sealed segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct SealedRun {
    pub(super) run: Run,
    start: usize,
}

/// An index file, as far as it stays in memory.
#[derive(Debug)]
pub(super) struct SealedIndex {
    uuid: Uuid,
    directory_blocks: usize,
    top: Vec<Key>,
    /// Where the frames of the segment end.
    pub(super) end: u64,
    /// The newest acceptance time of its records.
    pub(super) newest_at_ms: u64,
    /// What all its records take; 0 in the index of an earlier version.
    pub(super) record_bytes: u64,
    /// Length of the file.
    pub(super) file_bytes: u64,
}

impl SealedIndex {
    /// Reads header and top table of the index of this segment.
    pub(super) fn open(file: &dyn DiskFile, number: u32, uuid: &Uuid) -> Result<Self, ReadFault> {
        let mut block = vec![0; BLOCK_BYTES];
        read_full(file, &mut block, 0, Access::Waiting)?;
        let mut cut = open_block(&block, INDEX_MAGIC).map_err(|fault| match fault {
            HeaderFault::Version(_) => ReadFault::Damaged("unknown version"),
            HeaderFault::Damaged(what) => ReadFault::Damaged(what),
        })?;
        let mut parse = || {
            Some((
                cut.u32()?,
                cut.array()?,
                cut.u64()?,
                cut.u64()?,
                cut.u32()?,
                cut.u32()?,
                cut.u32()?,
                cut.u64()?,
            ))
        };
        let (
            found,
            found_uuid,
            end,
            newest_at_ms,
            directory_blocks,
            position_blocks,
            top_crc,
            record_bytes,
        ) = parse().ok_or(ReadFault::Damaged("header too short"))?;
        if found != number || found_uuid != *uuid {
            return Err(ReadFault::Damaged("the index of another segment"));
        }
        let top_at =
            (1 + u64::from(directory_blocks) + u64::from(position_blocks)) * BLOCK_BYTES as u64;
        let top_end = top_at + u64::from(directory_blocks) * TOP_BYTES as u64;
        if top_end > file.len_bytes()? {
            return Err(ReadFault::Damaged("the file is too short"));
        }
        let mut top_bytes = vec![0; directory_blocks as usize * TOP_BYTES];
        read_full(file, &mut top_bytes, top_at, Access::Waiting)?;
        if crc32fast::hash(&top_bytes) != top_crc {
            return Err(ReadFault::Damaged("top table checksum does not match"));
        }
        let mut cut = Cut(&top_bytes);
        let mut top = Vec::with_capacity(directory_blocks as usize);
        while let (Some(shard), Some(slot), Some(generation)) = (cut.u16(), cut.u32(), cut.u32()) {
            top.push((shard, slot, generation));
        }
        Ok(Self {
            uuid: *uuid,
            directory_blocks: directory_blocks as usize,
            top,
            end,
            newest_at_ms,
            record_bytes,
            file_bytes: top_at + top_bytes.len() as u64,
        })
    }

    /// The part of the segment that belongs to this life of a channel.
    pub(super) fn find(
        &self,
        file: &dyn DiskFile,
        channel: ChannelRef,
        access: Access,
    ) -> Result<Option<SealedRun>, ReadFault> {
        let key = key_of(channel);
        let Some(block) = self.top.partition_point(|first| *first <= key).checked_sub(1) else {
            return Ok(None);
        };
        let content = self.block(file, 1 + block, access)?;
        let runs: Vec<&[u8]> = content.chunks_exact(RUN_BYTES).take(RUNS_PER_BLOCK).collect();
        let found = runs.binary_search_by(|bytes| match run_key(bytes) {
            // Zeros fill the last block; a real entry has records.
            Some((_, 0)) | None => std::cmp::Ordering::Greater,
            Some((found, _)) => found.cmp(&key),
        });
        Ok(found.ok().and_then(|at| runs.get(at)).and_then(|bytes| decode_run(bytes)))
    }

    /// How many channels there are at most.
    pub(super) fn runs_max(&self) -> usize {
        self.directory_blocks * RUNS_PER_BLOCK
    }

    /// The channels of one block of the directory, with how many records each has; `None` behind the last.
    pub(super) fn runs(
        &self,
        file: &dyn DiskFile,
        block: usize,
    ) -> Result<Option<Vec<(Key, u64)>>, ReadFault> {
        if block >= self.directory_blocks {
            return Ok(None);
        }
        let content = self.block(file, 1 + block, Access::Waiting)?;
        let runs = content.chunks_exact(RUN_BYTES).take(RUNS_PER_BLOCK).filter_map(run_key);
        // Zeros fill the last block; a real entry has records.
        Ok(Some(
            runs.filter(|(_, count)| *count > 0)
                .map(|(key, count)| (key, u64::from(count)))
                .collect(),
        ))
    }

    /// Positions of `count` records of a run, from its `skip`th on.
    pub(super) fn positions(
        &self,
        file: &dyn DiskFile,
        found: &SealedRun,
        skip: u64,
        count: usize,
        access: Access,
    ) -> Result<Vec<u32>, ReadFault> {
        let left = found.run.count.saturating_sub(skip);
        let count = count.min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut positions = Vec::with_capacity(count);
        let mut at = found.start.saturating_add(usize::try_from(skip).unwrap_or(usize::MAX));
        while positions.len() < count {
            let block = at / POSITIONS_PER_BLOCK;
            let content = self.block(file, 1 + self.directory_blocks + block, access)?;
            let mut cut =
                Cut(content.get(at % POSITIONS_PER_BLOCK * POSITION_BYTES..).unwrap_or_default());
            let before = positions.len();
            while let Some(position) = cut.u32().filter(|_| positions.len() < count) {
                positions.push(position);
            }
            at += positions.len() - before;
            if positions.len() == before {
                return Err(ReadFault::Damaged("a run without positions"));
            }
        }
        Ok(positions)
    }

    fn block(
        &self,
        file: &dyn DiskFile,
        number: usize,
        access: Access,
    ) -> Result<Vec<u8>, ReadFault> {
        let mut block = vec![0; BLOCK_BYTES];
        read_full(file, &mut block, number as u64 * BLOCK_BYTES as u64, access)?;
        let crc = block.split_off(BLOCK_CONTENT_BYTES);
        if Cut(&crc).u32() != Some(block_crc(&self.uuid, number, &block)) {
            return Err(ReadFault::Damaged("index block checksum does not match"));
        }
        Ok(block)
    }
}

fn run_key(bytes: &[u8]) -> Option<(Key, u32)> {
    let mut cut = Cut(bytes);
    let shard = cut.u16()?;
    cut.u16()?;
    let key = (shard, cut.u32()?, cut.u32()?);
    cut.u64()?;
    Some((key, cut.u32()?))
}

fn decode_run(bytes: &[u8]) -> Option<SealedRun> {
    let mut cut = Cut(bytes);
    cut.bytes(12)?;
    let first_offset = cut.u64()?;
    let count = u64::from(cut.u32()?);
    let start = cut.u32()? as usize;
    let previous = Link { segment: cut.u32()?, entry: NO_ENTRY };
    Some(SealedRun { run: Run { first_offset, count, previous }, start })
}
