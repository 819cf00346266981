//! The file of a checkpoint: a header block, then chunks with their checksums.

use crate::disk::DiskFile;
use crate::{ChannelRef, Lsn, SLOTS_MAX, ShardId};

use super::codec::{Cut, crc_of};
use super::files::{Access, ReadFault, read_full};
use super::format::{BLOCK_BYTES, FORMAT_VERSION, HeaderFault, Uuid, finish_block, open_block};
use super::heads::Head;

const SNAPSHOT_MAGIC: [u8; 8] = *b"LiteMQck";
/// `kind 4 | length 4 | number 4 | checksum 4` before each chunk.
const CHUNK_HEADER_BYTES: usize = 16;
/// A chunk is written once it has this many bytes.
pub(super) const CHUNK_BYTES: usize = 256 << 10;
/// Flag of the segment field of a saved head: the life has ended.
const DROPPED_FLAG: u32 = 1 << 31;

/// What a chunk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum ChunkKind {
    /// Keys and values of the callers.
    State = 1,
    /// Heads of channels.
    Heads = 2,
    /// The end: the log is complete up to the Lsn it names.
    End = 3,
}

impl ChunkKind {
    fn decode(number: u32) -> Option<Self> {
        [Self::State, Self::Heads, Self::End].into_iter().find(|kind| *kind as u32 == number)
    }
}

/// The first block of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SnapshotHeader {
    pub(super) database: Uuid,
    pub(super) number: u32,
    /// First segment of the log whose records may be missing from the heads.
    pub(super) replay_from: u32,
    /// First batch that may be missing from the state.
    pub(super) start: Lsn,
}

impl SnapshotHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut block = Vec::with_capacity(BLOCK_BYTES);
        block.extend_from_slice(&SNAPSHOT_MAGIC);
        block.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        block.extend_from_slice(&self.database);
        block.extend_from_slice(&self.number.to_le_bytes());
        block.extend_from_slice(&self.replay_from.to_le_bytes());
        block.extend_from_slice(&self.start.0.to_le_bytes());
        finish_block(block)
    }

    fn decode(block: &[u8]) -> Result<Self, HeaderFault> {
        let mut cut = open_block(block, SNAPSHOT_MAGIC)?;
        let mut parse = || {
            Some(Self {
                database: cut.array()?,
                number: cut.u32()?,
                replay_from: cut.u32()?,
                start: Lsn(cut.u64()?),
            })
        };
        parse().ok_or(HeaderFault::Damaged("header too short"))
    }
}

/// Reads the header of a checkpoint.
pub(super) fn read_header(file: &dyn DiskFile) -> Result<SnapshotHeader, ReadFault> {
    let mut block = vec![0; BLOCK_BYTES];
    read_full(file, &mut block, 0, Access::Waiting)?;
    SnapshotHeader::decode(&block).map_err(|fault| match fault {
        HeaderFault::Version(_) => ReadFault::Damaged("unknown version"),
        HeaderFault::Damaged(what) => ReadFault::Damaged(what),
    })
}

/// A chunk with its header, ready to be written.
pub(super) fn encode_chunk(
    header: &SnapshotHeader,
    kind: ChunkKind,
    number: u32,
    body: &[u8],
) -> Vec<u8> {
    let mut chunk = Vec::with_capacity(CHUNK_HEADER_BYTES + body.len());
    chunk.extend_from_slice(&(kind as u32).to_le_bytes());
    chunk.extend_from_slice(&(body.len() as u32).to_le_bytes());
    chunk.extend_from_slice(&number.to_le_bytes());
    let crc = chunk_crc(header, &chunk, body);
    chunk.extend_from_slice(&crc.to_le_bytes());
    chunk.extend_from_slice(body);
    chunk
}

fn chunk_crc(header: &SnapshotHeader, chunk_header: &[u8], body: &[u8]) -> u32 {
    crc_of(&[&header.database, &header.number.to_le_bytes(), chunk_header, body])
}

/// Calls `take` with every chunk; ends after the end chunk, and only then well.
pub(super) fn for_each_chunk<E: From<ReadFault>>(
    file: &dyn DiskFile,
    header: &SnapshotHeader,
    mut take: impl FnMut(ChunkKind, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let file_bytes = file.len_bytes().map_err(ReadFault::Io)?;
    let mut at = BLOCK_BYTES as u64;
    let mut body = Vec::new();
    for number in 0_u32.. {
        let mut chunk_header = [0; CHUNK_HEADER_BYTES];
        read_full(file, &mut chunk_header, at, Access::Waiting)?;
        let mut cut = Cut(&chunk_header);
        let (Some(kind), Some(body_bytes), Some(found), Some(crc)) =
            (cut.u32(), cut.u32(), cut.u32(), cut.u32())
        else {
            break;
        };
        at += CHUNK_HEADER_BYTES as u64;
        if found != number || at + u64::from(body_bytes) > file_bytes {
            return Err(ReadFault::Damaged("a chunk is missing").into());
        }
        body.resize(body_bytes as usize, 0);
        read_full(file, &mut body, at, Access::Waiting)?;
        at += u64::from(body_bytes);
        let covered = chunk_header.get(..CHUNK_HEADER_BYTES - 4).unwrap_or_default();
        if chunk_crc(header, covered, &body) != crc {
            return Err(ReadFault::Damaged("chunk checksum does not match").into());
        }
        let kind = ChunkKind::decode(kind).ok_or(ReadFault::Damaged("unknown chunk"))?;
        take(kind, &body)?;
        if kind == ChunkKind::End {
            return Ok(());
        }
    }
    Err(ReadFault::Damaged("it has no end").into())
}

/// Adds a key with its value to the body of a state chunk.
pub(super) fn encode_pair(out: &mut Vec<u8>, shard: ShardId, key: &[u8], value: &[u8]) {
    out.extend_from_slice(&shard.0.to_le_bytes());
    out.extend_from_slice(&(key.len() as u16).to_le_bytes());
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(value);
}

/// Takes the first pair from the body of a state chunk.
pub(super) fn decode_pair<'a>(cut: &mut Cut<'a>) -> Option<(ShardId, &'a [u8], &'a [u8])> {
    let shard = ShardId(cut.u16()?);
    let (key_bytes, value_bytes) = (cut.u16()?, cut.u32()?);
    Some((shard, cut.bytes(usize::from(key_bytes))?, cut.bytes(value_bytes as usize)?))
}

/// Adds the heads of consecutive slots to the body of a heads chunk.
pub(super) fn encode_heads(out: &mut Vec<u8>, shard: ShardId, first_slot: u32, heads: &[Head]) {
    out.extend_from_slice(&shard.0.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&first_slot.to_le_bytes());
    out.extend_from_slice(&(heads.len() as u32).to_le_bytes());
    for head in heads {
        let segment = if head.is_dropped() { DROPPED_FLAG } else { head.segment };
        out.extend_from_slice(&head.generation.to_le_bytes());
        out.extend_from_slice(&segment.to_le_bytes());
        out.extend_from_slice(&head.next.to_le_bytes());
    }
}

/// Calls `take` with the channels and heads of a heads chunk; `None` when its body makes no sense.
pub(super) fn decode_heads(body: &[u8], mut take: impl FnMut(ChannelRef, Head)) -> Option<()> {
    let mut cut = Cut(body);
    let shard = ShardId(cut.u16()?);
    cut.u16()?;
    let (first_slot, count) = (cut.u32()?, cut.u32()?);
    for ordinal in 0..count {
        let (generation, segment, next) = (cut.u32()?, cut.u32()?, cut.u32()?);
        let head = match segment & DROPPED_FLAG {
            0 => Head { segment, next, ..Head::born(generation) },
            _ => Head::dropped(generation),
        };
        if head != Head::EMPTY {
            let slot = first_slot.checked_add(ordinal).filter(|slot| *slot < SLOTS_MAX)?;
            take(ChannelRef { shard, slot, generation }, head);
        }
    }
    Some(())
}
