//! Reads the log from the checkpoint on, and finds its end.

use std::io;
use std::sync::Arc;

use crate::disk::DiskFile;
use crate::{Lsn, StateSink, StoreError};

use super::engine::Engine;
use super::files::{FileKey, Life, ReadFault, corrupt, io_error};
use super::format::{FRAME_HEADER_BYTES, FRAMES_START, FrameHeader, SegmentHeader, Uuid};
use super::index::{Held, Index, Lookup, Segment};
use super::record::{Record, Records};
use super::scan::{FrameScan, Scanned};
use super::survey::{self, Survey};

/// Where the log ends, and how much of it was new.
#[derive(Debug)]
pub(super) struct Replayed {
    /// The segment to go on in, and where.
    pub(super) segment: u32,
    pub(super) uuid: Uuid,
    pub(super) position: u64,
    pub(super) next_lsn: u64,
    pub(super) bytes: u64,
    pub(super) torn_bytes: u64,
    pub(super) last_frame: Option<LastFrame>,
}

/// The last whole frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastFrame {
    pub(super) segment: u32,
    pub(super) at: u64,
    pub(super) bytes: usize,
    /// It says that all before it is durable, and no more.
    pub(super) is_mark: bool,
}

/// Replays into index and sink.
pub(super) fn run(
    engine: &Engine,
    survey: &Survey,
    index: &mut Index,
    sink: &mut dyn StateSink,
) -> Result<Replayed, StoreError> {
    let start = survey.start.as_ref();
    let first_lsn = start.map_or(Lsn(1), |start| start.header.start);
    let mut replay = Replay {
        engine,
        index,
        sink,
        start: first_lsn.0,
        next_lsn: None,
        bytes: 0,
        last_frame: None,
    };

    let mut segments = survey
        .segments
        .iter()
        .skip_while(|segment| segment.number < survey.replay_from())
        .peekable();
    while let Some(segment) = segments.next() {
        let goes_on = match segments.peek() {
            Some(next) => survey::first_frame(engine, next)?,
            None => None,
        };
        let end = replay.segment(segment, goes_on.is_some())?;
        let next_lsn = replay.next_lsn.unwrap_or(first_lsn.0);
        let path = engine.layout.segment(segment.number);
        if let Some(header) = goes_on {
            if end.torn_bytes > 0 || replay.next_lsn != Some(header.first_lsn) {
                return Err(corrupt(
                    &path,
                    end.at,
                    "frames are missing here; later segments have more",
                ));
            }
            continue;
        }
        reject_later(engine, segments, next_lsn)?;
        let is_short = start.is_some_and(|start| start.complete >= next_lsn);
        // The segment that a checkpoint names had frames, unless it was the very first.
        if is_short || (replay.next_lsn.is_none() && first_lsn.0 > 1) {
            return Err(corrupt(
                &path,
                end.at,
                "the log ends before what a checkpoint has seen of it",
            ));
        }
        return Ok(Replayed {
            segment: segment.number,
            uuid: segment.uuid,
            position: end.next,
            next_lsn,
            bytes: replay.bytes,
            torn_bytes: end.torn_bytes,
            last_frame: replay.last_frame,
        });
    }
    Err(corrupt(&engine.layout.log_dir, 0, "the log has no segments"))
}

/// Refuses segments behind the end that hold a frame.
fn reject_later<'s>(
    engine: &Engine,
    mut later: impl Iterator<Item = &'s SegmentHeader>,
    next_lsn: u64,
) -> Result<(), StoreError> {
    let Some(next) = later.next() else { return Ok(()) };
    let path = engine.layout.segment(next.number);
    let found = with_scan(engine, next, |scan| scan.find_later_frame(FRAMES_START, next_lsn));
    if let Some(at) = found.map_err(|error| io_error(&path, &error))? {
        let what = format!("no valid frame, but a later one at byte {at}");
        return Err(corrupt(&path, FRAMES_START, what));
    }
    for header in later {
        if survey::first_frame(engine, header)?.is_some() {
            let what = format!("no valid frame, but segment {} has one", header.number);
            return Err(corrupt(&path, FRAMES_START, what));
        }
    }
    Ok(())
}

fn with_scan<R>(
    engine: &Engine,
    header: &SegmentHeader,
    action: impl FnOnce(&mut FrameScan<'_>) -> io::Result<R>,
) -> io::Result<R> {
    let file = engine.files.get(FileKey::Segment(header.number, Life::default()))?;
    action(&mut FrameScan::new(file.as_ref(), header.uuid, header.file_bytes))
}

/// The end of the frames of a segment that other segments follow.
pub(super) fn end_of(engine: &Engine, segment: &SegmentHeader) -> Result<u64, StoreError> {
    let path = engine.layout.segment(segment.number);
    let found = with_scan(engine, segment, |scan| {
        let mut next_lsn = 0;
        let mut end = FRAMES_START;
        loop {
            match scan.next()? {
                Scanned::Frame { at, header, .. } => {
                    next_lsn = header.next_lsn();
                    if header.batches > 0 {
                        end = at + header.frame_bytes();
                    }
                }
                Scanned::Stop { at, torn_bytes } => {
                    // One that was compacted has no mark, and its length is known.
                    let is_whole = match segment.is_compacted() {
                        true => at == segment.file_bytes,
                        false => torn_bytes == 0 && scan.find_later_frame(at, next_lsn)?.is_none(),
                    };
                    return Ok(if is_whole { (end, true) } else { (at, false) });
                }
            }
        }
    });
    match found.map_err(|error| io_error(&path, &error))? {
        (at, true) => Ok(at),
        (at, false) => Err(corrupt(&path, at, "no valid frame, but later ones follow")),
    }
}

struct Replay<'a> {
    engine: &'a Engine,
    index: &'a mut Index,
    sink: &'a mut dyn StateSink,
    /// First batch that the sink has not seen.
    start: u64,
    next_lsn: Option<u64>,
    bytes: u64,
    last_frame: Option<LastFrame>,
}

/// Where the frames of a segment end.
struct End {
    at: u64,
    torn_bytes: u64,
    /// Where the next one goes.
    next: u64,
}

impl Replay<'_> {
    /// Replays one segment. Its index file counts only if the log goes on in the next.
    fn segment(&mut self, header: &SegmentHeader, goes_on: bool) -> Result<End, StoreError> {
        let segment = Arc::new(Segment::new(header));
        match survey::open_index(self.engine, header) {
            Ok(sealed) if goes_on => {
                let lookup = Lookup::Sealed(Arc::new(sealed));
                self.index
                    .segments
                    .insert(header.number, Held { segment: Arc::clone(&segment), lookup });
            }
            Err(ReadFault::Damaged(what)) if goes_on => {
                tracing::warn!(
                    segment = header.number,
                    what,
                    "a segment index is made again from the log"
                );
                self.index.open_segment(Arc::clone(&segment));
            }
            Ok(_) | Err(_) => self.index.open_segment(Arc::clone(&segment)),
        }
        let path = self.engine.layout.segment(header.number);
        let io = |error: io::Error| io_error(&path, &error);
        let file: Arc<dyn DiskFile> =
            self.engine.files.get(FileKey::Segment(header.number, Life::default())).map_err(io)?;
        let mut scan = FrameScan::new(file.as_ref(), header.uuid, header.segment_bytes);
        let end = loop {
            match scan.next().map_err(io)? {
                Scanned::Frame { at, header: frame, body } => {
                    self.frame(&segment, at, &frame, body)?;
                }
                Scanned::Stop { at, torn_bytes } => {
                    let next = self.over_mark(header.number, at, torn_bytes);
                    break End { at, torn_bytes, next };
                }
            }
        };
        // Before the first frame, that of any is missing: a checkpoint may start far behind it.
        let next_lsn = self.next_lsn.unwrap_or(0);
        let behind = end.at + end.torn_bytes.max(super::format::FRAME_ALIGN);
        if let Some(later) = scan.find_later_frame(behind, next_lsn).map_err(io)? {
            let what = format!("no valid frame, but a later one at byte {later}");
            return Err(corrupt(&path, end.at, what));
        }
        segment.set_durable_end(end.next);
        Ok(end)
    }

    /// The next frame takes the place of a mark at the end: nothing durable may lie behind one, for
    /// it may be in memory only, and lost there by a sync that failed.
    fn over_mark(&self, segment: u32, end: u64, torn_bytes: u64) -> u64 {
        match self.last_frame {
            Some(last) if last.is_mark && last.segment == segment && torn_bytes == 0 => last.at,
            _ => end,
        }
    }

    fn frame(
        &mut self,
        segment: &Segment,
        at: u64,
        frame: &FrameHeader,
        body: &[u8],
    ) -> Result<(), StoreError> {
        let fits = match self.next_lsn {
            Some(next_lsn) => frame.first_lsn == next_lsn,
            None => frame.first_lsn <= self.start,
        };
        if !fits {
            return Err(corrupt(
                &self.engine.layout.segment(segment.number),
                at,
                "frames are missing before this one",
            ));
        }
        self.next_lsn = Some(frame.next_lsn());
        self.last_frame = Some(LastFrame {
            segment: segment.number,
            at,
            bytes: super::recovery::whole_frame(frame),
            is_mark: frame.batches == 0,
        });
        let is_new = frame.next_lsn() > self.start;
        if is_new {
            self.bytes += frame.frame_bytes();
        }
        let body_at = at as usize + FRAME_HEADER_BYTES;
        let mut newest_at_ms = 0;
        let mut records = Records::new(body);
        for (within, record) in &mut records {
            match record {
                Record::Append(append) => {
                    newest_at_ms = newest_at_ms.max(append.at_ms);
                    self.index.replay_append(
                        segment.number,
                        append.channel,
                        append.offset,
                        (body_at + within) as u32,
                        append.previous_segment,
                    );
                    if is_new {
                        self.sink.appended(append.channel, append.offset, append.at_ms, append.tag);
                    }
                }
                Record::Drop { channel } => {
                    self.index.end_life(channel);
                    if is_new {
                        self.sink.dropped(channel);
                    }
                }
                Record::Put { shard, key, value } if is_new => self.sink.put(shard, key, value)?,
                Record::Delete { shard, key } if is_new => self.sink.delete(shard, key)?,
                Record::Put { .. } | Record::Delete { .. } => {}
            }
        }
        if records.has_rest() {
            let path = self.engine.layout.segment(segment.number);
            return Err(corrupt(&path, at, "a frame holds what is no record"));
        }
        segment.note_at_ms(newest_at_ms);
        Ok(())
    }
}
