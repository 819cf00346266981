//! Where what is in the files of a data folder, told from their bytes alone.

use std::ops::Range;
use std::path::Path;

const BLOCK_BYTES: usize = 4096;
const FRAME_HEADER_BYTES: usize = 32;

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) name: &'static str,
    pub(crate) bytes: Range<usize>,
}

fn region(name: &'static str, bytes: Range<usize>) -> Region {
    Region { name, bytes }
}

/// All of a file, in order.
pub(crate) fn regions(path: &Path, bytes: &[u8]) -> Vec<Region> {
    let mut regions = vec![
        region("header magic", 0..8),
        region("header version", 8..12),
        region("header fields", 12..64),
        region("header padding", 64..BLOCK_BYTES - 4),
        region("header checksum", BLOCK_BYTES - 4..BLOCK_BYTES),
    ];
    match path.extension().and_then(|end| end.to_str()) {
        Some("log" | "old") => regions.extend(frames(bytes)),
        Some("ckpt") => regions.extend(chunks(bytes)),
        _ => regions.push(region("body", BLOCK_BYTES..bytes.len())),
    }
    regions.retain(|region| !region.bytes.is_empty());
    regions
}

fn frames(bytes: &[u8]) -> Vec<Region> {
    let mut regions = Vec::new();
    let mut at = BLOCK_BYTES;
    while has_frame(bytes, at) {
        let end = frame_end(bytes, at);
        if end - at == FRAME_HEADER_BYTES {
            regions.push(region("mark", at..end));
        } else {
            let body = at + FRAME_HEADER_BYTES;
            let body_end = body + number_at(bytes, at + 8);
            regions.extend([
                region("frame magic", at..at + 4),
                region("frame checksum", at + 4..at + 8),
                region("frame length", at + 8..at + 12),
                region("body checksum", at + 12..at + 16),
                region("frame numbers", at + 16..body),
                region("record checksum", body..body + 4),
                region("record header", body + 4..body + 16),
                region("record contents", body + 16..body_end),
                region("frame padding", body_end..end),
            ]);
        }
        at = end;
    }
    regions.push(region("free area", at..bytes.len()));
    regions
}

fn chunks(bytes: &[u8]) -> Vec<Region> {
    let mut regions = Vec::new();
    let mut at = BLOCK_BYTES;
    while at + 16 <= bytes.len() {
        let end = at + 16 + number_at(bytes, at + 4);
        regions.extend([
            region("chunk header", at..at + 12),
            region("chunk checksum", at + 12..at + 16),
            region("chunk body", at + 16..end),
        ]);
        at = end;
    }
    regions
}

/// Where each frame of a segment starts; the mark behind the last one is no frame.
pub(crate) fn frame_starts(bytes: &[u8]) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut at = BLOCK_BYTES;
    while has_frame(bytes, at) {
        let end = frame_end(bytes, at);
        if end - at > FRAME_HEADER_BYTES {
            starts.push(at);
        }
        at = end;
    }
    starts
}

/// Whether a frame of this life of the segment starts here.
pub(crate) fn has_frame(bytes: &[u8], at: usize) -> bool {
    let Some(frame) = bytes.get(at..at + FRAME_HEADER_BYTES) else { return false };
    frame.starts_with(b"LQfr") && frame[4..8] == frame_checksum(bytes, frame)
}

/// Whether a frame of a former life of the file starts here.
pub(crate) fn has_old_frame(bytes: &[u8], at: usize) -> bool {
    let Some(frame) = bytes.get(at..at + FRAME_HEADER_BYTES) else { return false };
    frame.starts_with(b"LQfr") && frame[4..8] != frame_checksum(bytes, frame)
}

fn frame_checksum(bytes: &[u8], frame: &[u8]) -> [u8; 4] {
    let uuid = &bytes[32..48];
    crc32fast::hash(&[uuid, &frame[8..]].concat()).to_le_bytes()
}

fn frame_end(bytes: &[u8], at: usize) -> usize {
    at + (FRAME_HEADER_BYTES + number_at(bytes, at + 8)).next_multiple_of(8)
}

fn number_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize
}
