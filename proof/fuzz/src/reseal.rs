//! Right checksums over wrong content: what a checksum covers is a program's own mistake as often
//! as not, so whatever lies behind one must be read with as much care.
//!
//! Knows where the files of a data folder keep their checksums, and nothing else about them.

use std::ops::Range;

const BLOCK_BYTES: usize = 4096;
const CRC_BYTES: usize = 4;

/// A file of a data folder, by what its checksums cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// META: one block.
    Meta,
    /// A segment of the log: a block, then frames of records.
    Segment,
    /// An index of a segment: blocks and a table.
    Index,
    /// A checkpoint: a block, then chunks.
    Checkpoint,
}

/// Makes every checksum of a file match what it covers, as far as the file makes sense.
pub fn reseal(kind: Kind, bytes: &mut [u8]) {
    match kind {
        Kind::Meta => {}
        Kind::Segment => frames(bytes),
        Kind::Index => blocks(bytes),
        Kind::Checkpoint => chunks(bytes),
    }
    // Last: the header of an index holds a checksum that was changed just now.
    seal(bytes, BLOCK_BYTES - CRC_BYTES, 0..BLOCK_BYTES - CRC_BYTES, &[]);
}

/// Segment header: identity of this life at 32. Frame: `magic 4 | header checksum 4 | body length 4 |
/// body checksum 4 | first batch 8 | batches 4 | 0 4`, then records, to a multiple of 8.
fn frames(bytes: &mut [u8]) {
    let uuid = bytes.get(32..48).unwrap_or_default().to_vec();
    let mut at = BLOCK_BYTES;
    while bytes.get(at..at + 4) == Some(b"LQfr") {
        let Some(body_bytes) = number(bytes, at + 8) else { return };
        let body = at + 32..(at + 32).saturating_add(body_bytes);
        if body.end <= bytes.len() {
            records(&mut bytes[body.clone()]);
            seal(bytes, at + 12, body.clone(), &[]);
        }
        seal(bytes, at + 4, at + 8..at + 32, &uuid);
        at = body.end.next_multiple_of(8);
    }
}

/// `checksum 4 | kind 1 | 0 1 | shard 2 | a 4 | b 4`, then what the kind carries.
fn records(body: &mut [u8]) {
    let mut at = 0;
    while let (Some(kind), Some(a), Some(b)) =
        (body.get(at + 4).copied(), number(body, at + 8), number(body, at + 12))
    {
        let length = match kind {
            1 => number(body, at + 16).map(|payload| payload.saturating_add(48)),
            2 => Some(16),
            3 => Some(a.saturating_add(b).saturating_add(16)),
            4 => Some(a.saturating_add(16)),
            _ => None,
        };
        let Some(end) = length.map(|length| at.saturating_add(length)) else { return };
        seal(body, at, at + 4..end, &[]);
        at = end;
    }
}

/// Index header: identity of the segment at 16, blocks of the directory at 48, of the positions at
/// 52, checksum of the table behind them at 56. The last four bytes of each block are its checksum.
fn blocks(bytes: &mut [u8]) {
    let uuid = bytes.get(16..32).unwrap_or_default().to_vec();
    let (Some(directory), Some(positions)) = (number(bytes, 48), number(bytes, 52)) else { return };
    let blocks = directory.saturating_add(positions).min(bytes.len() / BLOCK_BYTES);
    for block in 1..=blocks {
        let start = block * BLOCK_BYTES;
        let salt = [uuid.as_slice(), &(block as u32).to_le_bytes()].concat();
        let end = start + BLOCK_BYTES - CRC_BYTES;
        seal(bytes, end, start..end, &salt);
    }
    let table = (1 + blocks) * BLOCK_BYTES;
    seal(bytes, 56, table..table.saturating_add(directory.saturating_mul(10)), &[]);
}

/// Checkpoint header: identity of the folder at 12, number at 28. Chunk: `kind 4 | length 4 |
/// number 4 | checksum 4`, then its body.
fn chunks(bytes: &mut [u8]) {
    let salt = bytes.get(12..32).unwrap_or_default().to_vec();
    let mut at = BLOCK_BYTES;
    while let Some(length) = number(bytes, at + 4) {
        let end = (at + 16).saturating_add(length);
        let header = bytes.get(at..at + 12).unwrap_or_default();
        let salt = [salt.as_slice(), header].concat();
        seal(bytes, at + 12, at + 16..end, &salt);
        at = end;
    }
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let found = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(found.try_into().ok()?) as usize)
}

/// Writes the checksum of `salt` and a range to `at`, if all of it is there.
fn seal(bytes: &mut [u8], at: usize, covered: Range<usize>, salt: &[u8]) {
    let Some(covered) = bytes.get(covered) else { return };
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(salt);
    hasher.update(covered);
    if let Some(place) = bytes.get_mut(at..at + CRC_BYTES) {
        place.copy_from_slice(&hasher.finalize().to_le_bytes());
    }
}
