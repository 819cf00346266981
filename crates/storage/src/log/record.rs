//! Operations as bytes in the log.
//!
//! Every record starts with `crc 4 | kind 1 | 0 1 | shard 2 | a 4 | b 4`; the checksum covers all
//! that follows it, so that one record can be checked alone. An append continues with
//! `payload length 4 | previous segment 4 | offset 8 | accepted at 8 | tag 8 | payload`, with the
//! slot and generation as a and b; a put with key and value, their lengths as a and b.

use crate::{ChannelRef, Op, PAYLOAD_BYTES_MAX, SLOTS_MAX, ShardId};

use super::codec::{Cut, patch};

/// Bytes before what a record carries.
pub(super) const RECORD_HEADER_BYTES: usize = 16;
/// Bytes before the payload of an append.
pub(super) const APPEND_HEADER_BYTES: usize = 48;
const PREVIOUS_SEGMENT_AT: usize = 20;

const KIND_APPEND: u8 = 1;
const KIND_DROP: u8 = 2;
const KIND_PUT: u8 = 3;
const KIND_DELETE: u8 = 4;

/// A record read from the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Record<'a> {
    Append(Append<'a>),
    Drop { channel: ChannelRef },
    Put { shard: ShardId, key: &'a [u8], value: &'a [u8] },
    Delete { shard: ShardId, key: &'a [u8] },
}

/// A record of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Append<'a> {
    pub(super) channel: ChannelRef,
    pub(super) offset: u64,
    pub(super) at_ms: u64,
    pub(super) tag: u64,
    /// Segment of the channel's record before this one; 0 when this is its first.
    pub(super) previous_segment: u32,
    pub(super) payload: &'a [u8],
}

/// Bytes that `encode` will add.
pub(super) fn encoded_bytes(op: &Op) -> usize {
    match op {
        Op::Append { payload, .. } => APPEND_HEADER_BYTES + payload.len(),
        Op::Drop { .. } => RECORD_HEADER_BYTES,
        Op::Put { key, value, .. } => RECORD_HEADER_BYTES + key.len() + value.len(),
        Op::Delete { key, .. } => RECORD_HEADER_BYTES + key.len(),
    }
}

/// Adds an operation; previous segment and checksum are filled in by [`seal`]. Lengths are within
/// the limits of the seam.
pub(super) fn encode(op: &Op, out: &mut Vec<u8>) {
    match op {
        Op::Append { channel, offset, at_ms, tag, payload } => {
            let ChannelRef { shard, slot, generation } = *channel;
            encode_header(out, KIND_APPEND, shard, slot, generation);
            out.extend_from_slice(&length(payload).to_le_bytes());
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(&offset.to_le_bytes());
            out.extend_from_slice(&at_ms.to_le_bytes());
            out.extend_from_slice(&tag.to_le_bytes());
            out.extend_from_slice(payload);
        }
        Op::Drop { channel } => {
            encode_header(out, KIND_DROP, channel.shard, channel.slot, channel.generation);
        }
        Op::Put { shard, key, value } => {
            encode_header(out, KIND_PUT, *shard, length(key), length(value));
            out.extend_from_slice(key);
            out.extend_from_slice(value);
        }
        Op::Delete { shard, key } => {
            encode_header(out, KIND_DELETE, *shard, length(key), 0);
            out.extend_from_slice(key);
        }
    }
}

fn encode_header(out: &mut Vec<u8>, kind: u8, shard: ShardId, a: u32, b: u32) {
    let [shard_low, shard_high] = shard.0.to_le_bytes();
    out.extend_from_slice(&[0, 0, 0, 0, kind, 0, shard_low, shard_high]);
    out.extend_from_slice(&a.to_le_bytes());
    out.extend_from_slice(&b.to_le_bytes());
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// Notes where the channel's record before this append is.
pub(super) fn set_previous_segment(record: &mut [u8], segment: u32) {
    patch(record, PREVIOUS_SEGMENT_AT, &segment.to_le_bytes());
}

/// Fills in the checksum of one whole record.
pub(super) fn seal(record: &mut [u8]) {
    let crc = crc32fast::hash(record.get(4..).unwrap_or_default());
    patch(record, 0, &crc.to_le_bytes());
}

/// Whether the checksum of one whole record matches.
pub(super) fn is_intact(record: &[u8]) -> bool {
    match record.split_first_chunk::<4>() {
        Some((crc, rest)) => u32::from_le_bytes(*crc) == crc32fast::hash(rest),
        None => false,
    }
}

/// The first record of `bytes` and its length; the checksum is not looked at.
pub(super) fn decode(bytes: &[u8]) -> Option<(Record<'_>, usize)> {
    let mut cut = Cut(bytes);
    cut.u32()?;
    let kind = cut.u8()?;
    cut.u8()?;
    let shard = ShardId(cut.u16()?);
    let (a, b) = (cut.u32()?, cut.u32()?);
    let record = match kind {
        KIND_APPEND | KIND_DROP if a >= SLOTS_MAX => return None,
        KIND_APPEND => {
            let payload_bytes = cut.u32()? as usize;
            Record::Append(Append {
                channel: ChannelRef { shard, slot: a, generation: b },
                previous_segment: cut.u32()?,
                offset: cut.u64()?,
                at_ms: cut.u64()?,
                tag: cut.u64()?,
                payload: cut.bytes(payload_bytes)?,
            })
        }
        KIND_DROP => Record::Drop { channel: ChannelRef { shard, slot: a, generation: b } },
        KIND_PUT => {
            Record::Put { shard, key: cut.bytes(a as usize)?, value: cut.bytes(b as usize)? }
        }
        KIND_DELETE => Record::Delete { shard, key: cut.bytes(a as usize)? },
        _ => return None,
    };
    Some((record, bytes.len() - cut.0.len()))
}

/// The length of the append that starts with `header`, payload included.
pub(super) fn append_bytes(header: &[u8]) -> Option<usize> {
    let mut cut = Cut(header);
    cut.u32()?;
    let is_append = cut.u8()? == KIND_APPEND;
    cut.bytes(11)?;
    let payload_bytes = cut.u32()? as usize;
    (is_append && payload_bytes <= PAYLOAD_BYTES_MAX).then_some(APPEND_HEADER_BYTES + payload_bytes)
}

/// Walks the records of a frame's body.
#[derive(Debug)]
pub(super) struct Records<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { body, at: 0 }
    }

    /// Whether bytes are left; after `next` answered `None`, that they make no sense.
    pub(super) fn has_rest(&self) -> bool {
        self.at < self.body.len()
    }
}

impl<'a> Iterator for Records<'a> {
    /// Where in the body, and what.
    type Item = (usize, Record<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let (record, bytes) = decode(self.body.get(at..)?)?;
        self.at += bytes;
        Some((at, record))
    }
}
