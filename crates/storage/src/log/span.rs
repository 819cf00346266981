//! Reads records of one segment, near ones together.

use bytes::Bytes;

use crate::disk::DiskFile;
use crate::{ChannelRef, ReadLimit, StoredRecord};

use super::files::{Access, ReadFault, read_full};
use super::record::{self, APPEND_HEADER_BYTES, Append, Record};

/// Records in one page at most, whatever the caller's limit.
const PAGE_RECORDS_MAX: usize = 4096;
/// Bytes read of a record before its length is known.
const GUESS_BYTES: u64 = 1024;
/// Records this close to each other are read together, up to this much.
const GAP_BYTES_MAX: u32 = 4 << 10;
const SPAN_BYTES_MAX: u32 = 64 << 10;

/// A page being filled.
#[derive(Debug)]
pub(super) struct Filling {
    pub(super) records: Vec<StoredRecord>,
    bytes: usize,
    limit: ReadLimit,
}

impl Filling {
    pub(super) fn new(limit: ReadLimit) -> Self {
        Self { records: Vec::new(), bytes: 0, limit }
    }

    pub(super) fn records_left(&self) -> usize {
        self.limit.records_max.min(PAGE_RECORDS_MAX).saturating_sub(self.records.len())
    }

    pub(super) fn is_full(&self) -> bool {
        self.records_left() == 0 || self.bytes >= self.limit.bytes_max
    }

    /// Adds a record; whether it had room. The first always has.
    pub(super) fn push(&mut self, record: StoredRecord) -> bool {
        let bytes = self.bytes.saturating_add(record.payload.len());
        if !self.records.is_empty() && bytes > self.limit.bytes_max {
            return false;
        }
        self.bytes = bytes;
        self.records.push(record);
        true
    }
}

/// A piece of a segment in memory.
#[derive(Debug)]
pub(super) struct Span<'f> {
    file: &'f dyn DiskFile,
    end: u64,
    access: Access,
    bytes: Vec<u8>,
    at: u64,
}

impl<'f> Span<'f> {
    /// `end` is where the readable part of the segment ends.
    pub(super) fn new(file: &'f dyn DiskFile, end: u64, access: Access) -> Self {
        Self { file, end, access, bytes: Vec::new(), at: 0 }
    }

    /// Reads the record at the first of the `ahead` positions; the others are read soon.
    pub(super) fn record(
        &mut self,
        ahead: &[u32],
        channel: ChannelRef,
        offset: u64,
    ) -> Result<StoredRecord, ReadFault> {
        let first = *ahead.first().ok_or(ReadFault::Damaged("a record without position"))?;
        let position = u64::from(first);
        if self.loaded(position, APPEND_HEADER_BYTES).is_none() {
            let near = ahead.windows(2).take_while(|pair| match pair {
                [near, far] => {
                    far.saturating_sub(*near) <= GAP_BYTES_MAX
                        && far.saturating_sub(first) <= SPAN_BYTES_MAX
                }
                _ => false,
            });
            let last = near.last().and_then(|pair| pair.last()).copied().unwrap_or(first);
            let span_end = (u64::from(last) + GUESS_BYTES).min(self.end);
            self.load(position, span_end.saturating_sub(position))?;
        }
        let header = self.loaded(position, APPEND_HEADER_BYTES);
        let bytes = header.and_then(record::append_bytes).ok_or(NOT_A_RECORD)?;
        if let Some(whole) = self.loaded(position, bytes) {
            let append = checked(whole, channel, offset)?;
            return Ok(stored(&append, Bytes::copy_from_slice(append.payload)));
        }
        if position + bytes as u64 > self.end {
            return Err(NOT_A_RECORD);
        }
        self.load(position, bytes as u64)?;
        let whole = Bytes::from(std::mem::take(&mut self.bytes));
        let append = checked(&whole, channel, offset)?;
        Ok(stored(&append, whole.slice_ref(append.payload)))
    }

    fn loaded(&self, at: u64, bytes: usize) -> Option<&[u8]> {
        let start = usize::try_from(at.checked_sub(self.at)?).ok()?;
        self.bytes.get(start..start.checked_add(bytes)?)
    }

    fn load(&mut self, at: u64, bytes: u64) -> Result<(), ReadFault> {
        self.bytes.resize(usize::try_from(bytes).unwrap_or(0), 0);
        self.at = at;
        read_full(self.file, &mut self.bytes, at, self.access)
    }
}

const NOT_A_RECORD: ReadFault = ReadFault::Damaged("no record starts here");

fn checked(whole: &[u8], channel: ChannelRef, offset: u64) -> Result<Append<'_>, ReadFault> {
    if !record::is_intact(whole) {
        return Err(ReadFault::Damaged("record checksum does not match"));
    }
    match record::decode(whole) {
        Some((Record::Append(append), _))
            if append.channel == channel && append.offset == offset =>
        {
            Ok(append)
        }
        _ => Err(ReadFault::Damaged("another record is here")),
    }
}

fn stored(append: &Append<'_>, payload: Bytes) -> StoredRecord {
    StoredRecord { offset: append.offset, at_ms: append.at_ms, tag: append.tag, payload }
}
