//! Makes the index of a segment that gets no more records. See [`sealed`](super::sealed) for what is in it.
//!
//! It is much work, and commits and calls may wait for the same core: it is done in small pieces
//! with pauses between them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use crate::disk::DiskFile;

use super::breath::Breath;
use super::files::ReadFault;
use super::format::{BLOCK_BYTES, FORMAT_VERSION, FRAME_HEADER_BYTES, Uuid, finish_block};
use super::record::{APPEND_HEADER_BYTES, Record, Records};
use super::scan::{FrameScan, Scanned};
use super::sealed::{
    BLOCK_CONTENT_BYTES, INDEX_MAGIC, Key, POSITION_BYTES, POSITIONS_PER_BLOCK, RUN_BYTES,
    RUNS_PER_BLOCK, block_crc, key_of,
};

/// Records sorted without a pause, a fraction of a millisecond; the sorted pieces are then merged.
const SORTED_AT_ONCE: usize = 8 << 10;
/// Records written to the index without a look at the clock.
const WRITTEN_AT_ONCE: usize = 1 << 10;

/// One record of the segment.
#[derive(Debug, Clone, Copy)]
struct Row {
    key: Key,
    position: u32,
    offset: u64,
    previous_segment: u32,
}

impl Row {
    fn order(&self) -> (Key, u64) {
        (self.key, self.offset)
    }
}

/// Makes the bytes of the index of the segment in `file`, from its frames before `end`.
pub(super) fn build(
    file: &dyn DiskFile,
    number: u32,
    uuid: &Uuid,
    end: u64,
    mut breath: Breath<'_>,
) -> Result<Vec<u8>, ReadFault> {
    let Rows { mut rows, newest_at_ms, record_bytes } = rows_of(file, uuid, end, &mut breath)?;
    for piece in rows.chunks_mut(SORTED_AT_ONCE) {
        piece.sort_unstable_by_key(Row::order);
        breath.take();
    }
    let mut directory = Directory::new(uuid);
    let mut positions = Vec::with_capacity(rows.len());
    for (count, row) in Merged::of(&rows).enumerate() {
        if count.is_multiple_of(WRITTEN_AT_ONCE) {
            breath.take();
        }
        directory.push(row);
        positions.push(row.position);
    }
    drop(rows);
    let (directory, top) = directory.finish();

    let mut blocks = Blocks::after(&directory, POSITIONS_PER_BLOCK * POSITION_BYTES);
    for piece in positions.chunks(WRITTEN_AT_ONCE) {
        breath.take();
        piece.iter().for_each(|position| blocks.push(&position.to_le_bytes()));
    }
    blocks.finish();

    let mut header = Vec::with_capacity(BLOCK_BYTES);
    header.extend_from_slice(&INDEX_MAGIC);
    header.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    header.extend_from_slice(&number.to_le_bytes());
    header.extend_from_slice(uuid);
    header.extend_from_slice(&end.to_le_bytes());
    header.extend_from_slice(&newest_at_ms.to_le_bytes());
    header.extend_from_slice(&(directory.blocks() as u32).to_le_bytes());
    header.extend_from_slice(&(blocks.blocks() as u32).to_le_bytes());
    header.extend_from_slice(&crc32fast::hash(&top).to_le_bytes());
    header.extend_from_slice(&record_bytes.to_le_bytes());

    let mut bytes = finish_block(header);
    bytes.extend_from_slice(&directory.bytes);
    bytes.extend_from_slice(&blocks.bytes);
    bytes.extend_from_slice(&top);
    Ok(bytes)
}

/// What a segment holds of channels.
#[derive(Debug, Default)]
struct Rows {
    rows: Vec<Row>,
    newest_at_ms: u64,
    record_bytes: u64,
}

fn rows_of(
    file: &dyn DiskFile,
    uuid: &Uuid,
    end: u64,
    breath: &mut Breath<'_>,
) -> Result<Rows, ReadFault> {
    let mut found = Rows::default();
    let mut scan = FrameScan::new(file, *uuid, end);
    loop {
        breath.take();
        match scan.next()? {
            Scanned::Frame { at, body, .. } => {
                let body_at = at as usize + FRAME_HEADER_BYTES;
                for (within, record) in Records::new(body) {
                    let Record::Append(append) = record else { continue };
                    found.newest_at_ms = found.newest_at_ms.max(append.at_ms);
                    found.record_bytes += (APPEND_HEADER_BYTES + append.payload.len()) as u64;
                    found.rows.push(Row {
                        key: key_of(append.channel),
                        position: (body_at + within) as u32,
                        offset: append.offset,
                        previous_segment: append.previous_segment,
                    });
                }
            }
            Scanned::Stop { at, .. } if at >= end => return Ok(found),
            Scanned::Stop { .. } => {
                return Err(ReadFault::Damaged("a frame of the segment is damaged"));
            }
        }
    }
}

/// All rows in order, from pieces that are sorted.
#[derive(Debug)]
struct Merged<'r> {
    rows: &'r [Row],
    /// The first row of each piece that is not taken yet, and where it is.
    firsts: BinaryHeap<Reverse<(Key, u64, usize)>>,
}

impl<'r> Merged<'r> {
    /// Of pieces of [`SORTED_AT_ONCE`] rows.
    fn of(rows: &'r [Row]) -> Self {
        let first = |(at, row): (usize, &Row)| Reverse((row.key, row.offset, at));
        let firsts = rows.iter().enumerate().step_by(SORTED_AT_ONCE).map(first).collect();
        Self { rows, firsts }
    }
}

impl Iterator for Merged<'_> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        let mut first = self.firsts.peek_mut()?;
        let Reverse((_, _, at)) = *first;
        let next = Some(at + 1).filter(|next| next % SORTED_AT_ONCE != 0);
        match next.and_then(|next| self.rows.get(next).map(|row| (next, row))) {
            Some((next, row)) => *first = Reverse((row.key, row.offset, next)),
            None => drop(PeekMut::pop(first)),
        }
        self.rows.get(at).copied()
    }
}

/// Channels with where their records begin, and the first channel of each block.
#[derive(Debug)]
struct Directory {
    blocks: Blocks,
    top: Vec<u8>,
    channels: usize,
    records: usize,
    /// The channel that may get more records: its first one, and how many.
    present: Option<(Row, usize)>,
}

impl Directory {
    fn new(uuid: &Uuid) -> Self {
        let blocks = Blocks::new(uuid, RUNS_PER_BLOCK * RUN_BYTES);
        Self { blocks, top: Vec::new(), channels: 0, records: 0, present: None }
    }

    /// Adds the next record in order.
    fn push(&mut self, row: Row) {
        match &mut self.present {
            Some((first, count)) if first.key == row.key => *count += 1,
            _ => {
                self.end_channel();
                self.present = Some((row, 1));
            }
        }
    }

    fn end_channel(&mut self) {
        let Some((first, count)) = self.present.take() else { return };
        let (shard, slot, generation) = first.key;
        if self.channels.is_multiple_of(RUNS_PER_BLOCK) {
            self.top.extend_from_slice(&shard.to_le_bytes());
            self.top.extend_from_slice(&slot.to_le_bytes());
            self.top.extend_from_slice(&generation.to_le_bytes());
        }
        let mut entry = Vec::with_capacity(RUN_BYTES);
        entry.extend_from_slice(&shard.to_le_bytes());
        entry.extend_from_slice(&[0; 2]);
        entry.extend_from_slice(&slot.to_le_bytes());
        entry.extend_from_slice(&generation.to_le_bytes());
        entry.extend_from_slice(&first.offset.to_le_bytes());
        entry.extend_from_slice(&(count as u32).to_le_bytes());
        entry.extend_from_slice(&(self.records as u32).to_le_bytes());
        entry.extend_from_slice(&first.previous_segment.to_le_bytes());
        self.blocks.push(&entry);
        self.channels += 1;
        self.records += count;
    }

    fn finish(mut self) -> (Blocks, Vec<u8>) {
        self.end_channel();
        self.blocks.finish();
        (self.blocks, self.top)
    }
}

/// Fills blocks and closes each with a checksum over its number and content.
#[derive(Debug)]
struct Blocks {
    uuid: Uuid,
    first: usize,
    fill_bytes: usize,
    bytes: Vec<u8>,
    block: Vec<u8>,
}

impl Blocks {
    fn new(uuid: &Uuid, fill_bytes: usize) -> Self {
        Self { uuid: *uuid, first: 1, fill_bytes, bytes: Vec::new(), block: Vec::new() }
    }

    fn after(before: &Self, fill_bytes: usize) -> Self {
        Self { first: before.first + before.blocks(), ..Self::new(&before.uuid, fill_bytes) }
    }

    fn push(&mut self, item: &[u8]) {
        if self.block.len() >= self.fill_bytes {
            self.finish();
        }
        self.block.extend_from_slice(item);
    }

    fn finish(&mut self) {
        if self.block.is_empty() {
            return;
        }
        self.block.resize(BLOCK_CONTENT_BYTES, 0);
        let crc = block_crc(&self.uuid, self.first + self.blocks(), &self.block);
        self.bytes.append(&mut self.block);
        self.bytes.extend_from_slice(&crc.to_le_bytes());
    }

    fn blocks(&self) -> usize {
        self.bytes.len() / BLOCK_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than two pieces, in an order that is neither up nor down.
    #[test]
    fn pieces_that_are_sorted_come_out_as_one_order() {
        let count = 2 * SORTED_AT_ONCE as u32 + 77;
        let mut rows: Vec<Row> = (0..count)
            .map(|at| {
                let mixed = at.wrapping_mul(2_654_435_761) % count;
                let key = ((mixed % 3) as u16, mixed % 1_000, 1);
                Row { key, position: at, offset: u64::from(mixed / 3_000), previous_segment: 0 }
            })
            .collect();
        let mut expected: Vec<_> = rows.iter().map(Row::order).collect();
        expected.sort_unstable();

        rows.chunks_mut(SORTED_AT_ONCE).for_each(|piece| piece.sort_unstable_by_key(Row::order));
        let merged: Vec<_> = Merged::of(&rows).map(|row| row.order()).collect();

        assert!(merged == expected);
    }
}
