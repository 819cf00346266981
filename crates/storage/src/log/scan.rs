//! Walks the frames of one segment file.

use std::io;

use crate::disk::DiskFile;

use super::files::read_waiting;
use super::format::{
    FRAME_ALIGN, FRAME_HEADER_BYTES, FRAME_MAGIC, FRAMES_START, FrameHeader, Uuid,
};

/// Bytes read at once, unless a frame is larger.
const WINDOW_BYTES: usize = 1 << 20;

/// The next thing in a segment.
#[derive(Debug)]
pub(super) enum Scanned<'w> {
    /// A whole frame whose checksums match.
    Frame { at: u64, header: FrameHeader, body: &'w [u8] },
    /// No valid frame starts here. If a frame's header does, this many bytes of it were to come.
    Stop { at: u64, torn_bytes: u64 },
}

/// Reads frame after frame.
#[derive(Debug)]
pub(super) struct FrameScan<'f> {
    file: &'f dyn DiskFile,
    uuid: Uuid,
    at: u64,
    end: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl<'f> FrameScan<'f> {
    /// Starts at the first frame; `end` is where the segment, or its known part, ends.
    pub(super) fn new(file: &'f dyn DiskFile, uuid: Uuid, end: u64) -> Self {
        Self { file, uuid, at: FRAMES_START, end, window: Vec::new(), window_at: 0 }
    }

    pub(super) fn next(&mut self) -> io::Result<Scanned<'_>> {
        let at = self.at;
        if at + FRAME_HEADER_BYTES as u64 > self.end {
            return Ok(Scanned::Stop { at, torn_bytes: 0 });
        }
        self.load(at, FRAME_HEADER_BYTES)?;
        let Some(header) = FrameHeader::decode(self.loaded(at, FRAME_HEADER_BYTES), &self.uuid)
        else {
            return Ok(Scanned::Stop { at, torn_bytes: 0 });
        };
        let frame_bytes = header.frame_bytes();
        if at + frame_bytes > self.end {
            return Ok(Scanned::Stop { at, torn_bytes: frame_bytes });
        }
        let body_bytes = header.body_bytes as usize;
        let body_at = at + FRAME_HEADER_BYTES as u64;
        self.load(body_at, body_bytes)?;
        if crc32fast::hash(self.loaded(body_at, body_bytes)) != header.body_crc {
            return Ok(Scanned::Stop { at, torn_bytes: frame_bytes });
        }
        self.at += frame_bytes;
        Ok(Scanned::Frame { at, header, body: self.loaded(body_at, body_bytes) })
    }

    /// Looks for the header of a frame with a first Lsn above `lsn` anywhere from `from` on.
    pub(super) fn find_later_frame(&mut self, from: u64, lsn: u64) -> io::Result<Option<u64>> {
        let mut at = from.next_multiple_of(FRAME_ALIGN);
        while at + FRAME_HEADER_BYTES as u64 <= self.end {
            let bytes = usize::try_from(self.end - at).unwrap_or(usize::MAX).min(WINDOW_BYTES);
            self.load(at, bytes)?;
            let window = self.loaded(at, bytes);
            let magic = FRAME_MAGIC.to_le_bytes();
            for (step, piece) in window.chunks_exact(FRAME_ALIGN as usize).enumerate() {
                if !piece.starts_with(&magic) {
                    continue;
                }
                let start = step * FRAME_ALIGN as usize;
                let header = window
                    .get(start..start + FRAME_HEADER_BYTES)
                    .and_then(|bytes| FrameHeader::decode(bytes, &self.uuid));
                if header.is_some_and(|header| header.first_lsn > lsn) {
                    return Ok(Some(at + start as u64));
                }
            }
            // A header may straddle two windows: look at its start again.
            let overlap = FRAME_HEADER_BYTES as u64 - FRAME_ALIGN;
            at +=
                (bytes as u64).saturating_sub(overlap).max(FRAME_ALIGN) / FRAME_ALIGN * FRAME_ALIGN;
        }
        Ok(None)
    }

    /// Bytes the last `next` or `load` brought into memory; empty if they are not all there.
    fn loaded(&self, at: u64, bytes: usize) -> &[u8] {
        let start = usize::try_from(at.saturating_sub(self.window_at)).unwrap_or(usize::MAX);
        self.window.get(start..start.saturating_add(bytes)).unwrap_or_default()
    }

    fn load(&mut self, at: u64, bytes: usize) -> io::Result<()> {
        let window_end = self.window_at + self.window.len() as u64;
        if at >= self.window_at && at + bytes as u64 <= window_end {
            return Ok(());
        }
        let left = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX);
        self.window.resize(bytes.max(WINDOW_BYTES).min(left), 0);
        self.window_at = at;
        let count = read_waiting(self.file, &mut self.window, at)?;
        self.window.truncate(count);
        if count < bytes {
            self.window.clear();
            let what = format!("{count} of {bytes} bytes at byte {at}");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
        }
        Ok(())
    }
}
