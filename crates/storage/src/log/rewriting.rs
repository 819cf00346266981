//! Writes a segment again with some of its records.

use std::sync::Arc;

use crate::disk::DiskFile;

use super::breath::Breath;
use super::engine::Engine;
use super::files::ReadFault;
use super::format::{FRAME_ALIGN, FRAME_HEADER_BYTES, FRAMES_START, FrameHeader, SegmentHeader};
use super::index::Segment;
use super::layout::unfinished;
use super::record::{APPEND_HEADER_BYTES, Record, Records};
use super::scan::{FrameScan, Scanned};
use super::sealed::{Key, key_of};

/// A frame is written once it has this many bytes, with a sync of its own, so that the syncs of the
/// log never wait for long.
const FRAME_BYTES: usize = 256 << 10;

/// The file that was made, under an unfinished name, and durable but for that.
#[derive(Debug)]
pub(super) struct Rewritten {
    pub(super) header: SegmentHeader,
    pub(super) file: Arc<dyn DiskFile>,
    /// Where its frames end.
    pub(super) end: u64,
}

/// Copies the records of the channels in `alive`, which is sorted. A frame of the copy stands for all
/// batches of the frames that it was made from.
pub(super) fn write(
    engine: &Engine,
    segment: &Segment,
    alive: &[Key],
) -> Result<Rewritten, ReadFault> {
    let source = engine.files.get(segment.log_key())?;
    let path = unfinished(&engine.layout.segment(segment.number));
    let mut copy = Copy {
        file: engine.disk.create(&path)?,
        uuid: engine.disk.draw_identity()?,
        at: FRAMES_START,
        frame: vec![0; FRAME_HEADER_BYTES],
        first_lsn: None,
        next_lsn: 0,
    };
    let mut breath = Breath::of(engine);
    let end = segment.durable_end();
    let mut scan = FrameScan::new(source.as_ref(), segment.uuid, end);
    loop {
        breath.take();
        if engine.is_stopping() {
            return Err(std::io::Error::from(std::io::ErrorKind::Interrupted).into());
        }
        match scan.next()? {
            Scanned::Frame { header, body, .. } => copy.add(&header, body, alive)?,
            Scanned::Stop { at, .. } if at >= end => break,
            Scanned::Stop { .. } => return Err(ReadFault::Damaged("a frame is damaged")),
        }
    }
    copy.finish(engine, segment.number)
}

#[derive(Debug)]
struct Copy {
    file: Arc<dyn DiskFile>,
    uuid: [u8; 16],
    at: u64,
    frame: Vec<u8>,
    /// Batches that the present frame stands for.
    first_lsn: Option<u64>,
    next_lsn: u64,
}

impl Copy {
    fn add(&mut self, header: &FrameHeader, body: &[u8], alive: &[Key]) -> Result<(), ReadFault> {
        self.first_lsn.get_or_insert(header.first_lsn);
        self.next_lsn = header.next_lsn();
        let mut records = Records::new(body);
        for (at, record) in &mut records {
            let Record::Append(append) = record else { continue };
            if alive.binary_search(&key_of(append.channel)).is_ok() {
                let end = at + APPEND_HEADER_BYTES + append.payload.len();
                self.frame.extend_from_slice(body.get(at..end).unwrap_or_default());
            }
        }
        if records.has_rest() {
            return Err(ReadFault::Damaged("a frame holds what is no record"));
        }
        if self.frame.len() >= FRAME_BYTES {
            self.write_frame()?;
        }
        Ok(())
    }

    fn write_frame(&mut self) -> std::io::Result<()> {
        let Some(first_lsn) = self.first_lsn.take() else { return Ok(()) };
        // More than there can be in a segment.
        let batches = u32::try_from(self.next_lsn - first_lsn).unwrap_or(u32::MAX);
        FrameHeader::seal(&mut self.frame, &self.uuid, first_lsn, batches);
        self.frame.resize(self.frame.len().next_multiple_of(FRAME_ALIGN as usize), 0);
        self.file.write_at(&self.frame, self.at)?;
        self.file.sync_data()?;
        self.at += self.frame.len() as u64;
        self.frame.truncate(FRAME_HEADER_BYTES);
        Ok(())
    }

    fn finish(mut self, engine: &Engine, number: u32) -> Result<Rewritten, ReadFault> {
        if self.frame.len() > FRAME_HEADER_BYTES {
            self.write_frame()?;
        }
        let header = SegmentHeader {
            database: engine.database,
            number,
            uuid: self.uuid,
            segment_bytes: engine.options.segment_bytes,
            file_bytes: self.at,
        };
        self.file.write_at(&header.encode(), 0)?;
        self.file.sync_data()?;
        Ok(Rewritten { header, file: self.file, end: self.at })
    }
}
