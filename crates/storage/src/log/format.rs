//! Headers of log files: the segment's block and the frame of one group commit.

use super::codec::{Cut, crc_of, patch};

/// Version of every file of the data folder.
pub(super) const FORMAT_VERSION: u32 = 1;
/// The first block of a file, bytes.
pub(super) const BLOCK_BYTES: usize = 4096;
/// Where the first frame of a segment starts.
pub(super) const FRAMES_START: u64 = BLOCK_BYTES as u64;
/// Bytes before the body of a frame.
pub(super) const FRAME_HEADER_BYTES: usize = 32;
/// Frames start at multiples of this.
pub(super) const FRAME_ALIGN: u64 = 8;

pub(super) const FRAME_MAGIC: u32 = u32::from_le_bytes(*b"LQfr");
const SEGMENT_MAGIC: [u8; 8] = *b"LiteMQsg";
const CRC_AT: usize = BLOCK_BYTES - 4;

/// A random identity.
pub(super) type Uuid = [u8; 16];

/// What does not fit in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HeaderFault {
    /// Intact, but of another format version.
    Version(u32),
    /// Not written by the store, or not all of it.
    Damaged(&'static str),
}

/// The first block of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) database: Uuid,
    pub(super) number: u32,
    /// New for each life of the file; part of every frame checksum, so that bytes of a former
    /// life never validate.
    pub(super) uuid: Uuid,
    pub(super) segment_bytes: u64,
    /// Length of this file: that of all segments, or less when it was compacted.
    pub(super) file_bytes: u64,
}

impl SegmentHeader {
    /// Whether what nobody needs was taken out: recovery cannot replay it.
    pub(super) fn is_compacted(&self) -> bool {
        self.file_bytes < self.segment_bytes
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut block = Vec::with_capacity(BLOCK_BYTES);
        block.extend_from_slice(&SEGMENT_MAGIC);
        block.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        block.extend_from_slice(&self.number.to_le_bytes());
        block.extend_from_slice(&self.database);
        block.extend_from_slice(&self.uuid);
        block.extend_from_slice(&self.segment_bytes.to_le_bytes());
        block.extend_from_slice(&self.file_bytes.to_le_bytes());
        finish_block(block)
    }

    pub(super) fn decode(block: &[u8]) -> Result<Self, HeaderFault> {
        let mut cut = open_block(block, SEGMENT_MAGIC)?;
        let mut parse = || {
            Some(Self {
                number: cut.u32()?,
                database: cut.array()?,
                uuid: cut.array()?,
                segment_bytes: cut.u64()?,
                file_bytes: cut.u64()?,
            })
        };
        // A folder of an earlier version has no such field.
        let whole = |header: Self| match header.file_bytes {
            0 => Self { file_bytes: header.segment_bytes, ..header },
            _ => header,
        };
        parse().map(whole).ok_or(HeaderFault::Damaged("header too short"))
    }
}

/// Pads a header to its block and closes it with a checksum.
pub(super) fn finish_block(mut block: Vec<u8>) -> Vec<u8> {
    block.resize(CRC_AT, 0);
    let crc = crc32fast::hash(&block);
    block.extend_from_slice(&crc.to_le_bytes());
    block
}

/// Checks magic, version and checksum of a header block; what follows them is returned.
pub(super) fn open_block(block: &[u8], magic: [u8; 8]) -> Result<Cut<'_>, HeaderFault> {
    let (content, rest) =
        block.split_at_checked(CRC_AT).ok_or(HeaderFault::Damaged("header too short"))?;
    let crc = Cut(rest).u32().ok_or(HeaderFault::Damaged("header too short"))?;
    let mut cut = Cut(content);
    if cut.array() != Some(magic) {
        return Err(HeaderFault::Damaged("unknown header"));
    }
    if crc32fast::hash(content) != crc {
        return Err(HeaderFault::Damaged("header checksum does not match"));
    }
    match cut.u32() {
        Some(FORMAT_VERSION) => Ok(cut),
        Some(other) => Err(HeaderFault::Version(other)),
        None => Err(HeaderFault::Damaged("header too short")),
    }
}

/// What precedes the batches of one group commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) body_bytes: u32,
    pub(super) body_crc: u32,
    pub(super) first_lsn: u64,
    /// Zero in a mark.
    pub(super) batches: u32,
}

impl FrameHeader {
    /// Writes the header into the first bytes of `frame`, over the body that follows them.
    pub(super) fn seal(frame: &mut [u8], uuid: &Uuid, first_lsn: u64, batches: u32) {
        let body = frame.get(FRAME_HEADER_BYTES..).unwrap_or_default();
        let body_bytes = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let body_crc = crc32fast::hash(body);
        patch(frame, 0, &FRAME_MAGIC.to_le_bytes());
        patch(frame, 8, &body_bytes.to_le_bytes());
        patch(frame, 12, &body_crc.to_le_bytes());
        patch(frame, 16, &first_lsn.to_le_bytes());
        patch(frame, 24, &batches.to_le_bytes());
        patch(frame, 28, &[0; 4]);
        let crc = crc_of(&[uuid, frame.get(8..FRAME_HEADER_BYTES).unwrap_or_default()]);
        patch(frame, 4, &crc.to_le_bytes());
    }

    /// A frame without batches, which says that all before `next_lsn` is durable. It is written
    /// behind the last frame once that is synced, so that damage of that frame is told from a
    /// write that was not finished; the next frame takes its place.
    pub(super) fn mark(uuid: &Uuid, next_lsn: u64) -> [u8; FRAME_HEADER_BYTES] {
        let mut mark = [0; FRAME_HEADER_BYTES];
        Self::seal(&mut mark, uuid, next_lsn, 0);
        mark
    }

    /// `None` when this is not the header of a frame of this life of the segment.
    pub(super) fn decode(bytes: &[u8], uuid: &Uuid) -> Option<Self> {
        let mut cut = Cut(bytes);
        if cut.u32()? != FRAME_MAGIC {
            return None;
        }
        let crc = cut.u32()?;
        if crc_of(&[uuid, bytes.get(8..FRAME_HEADER_BYTES)?]) != crc {
            return None;
        }
        let header = Self {
            body_bytes: cut.u32()?,
            body_crc: cut.u32()?,
            first_lsn: cut.u64()?,
            batches: cut.u32()?,
        };
        let is_counted = header.first_lsn > 0
            && header.first_lsn.checked_add(u64::from(header.batches)).is_some();
        is_counted.then_some(header)
    }

    /// The first Lsn after this frame.
    pub(super) fn next_lsn(&self) -> u64 {
        self.first_lsn + u64::from(self.batches)
    }

    /// Bytes of the whole frame with its padding.
    pub(super) fn frame_bytes(&self) -> u64 {
        frame_bytes(self.body_bytes as usize)
    }
}

/// Where the frames of a segment of `segment_bytes` end at the latest: behind them is room for a
/// mark.
pub(super) const fn frames_end(segment_bytes: u64) -> u64 {
    segment_bytes.saturating_sub(FRAME_HEADER_BYTES as u64)
}

/// Bytes a frame with a body of `body_bytes` takes in a segment.
pub(super) fn frame_bytes(body_bytes: usize) -> u64 {
    ((FRAME_HEADER_BYTES + body_bytes) as u64).next_multiple_of(FRAME_ALIGN)
}
