//! What a data folder holds, looked at before anything is changed.

use std::io;
use std::sync::Arc;

use crate::StoreError;
use crate::disk::DiskFile;

use super::codec::Cut;
use super::engine::Engine;
use super::files::{Access, FileKey, Life, ReadFault, corrupt, io_error, read_error, read_full};
use super::format::{BLOCK_BYTES, FRAME_HEADER_BYTES, FRAMES_START, FrameHeader, SegmentHeader};
use super::layout::{CHECKPOINT, INDEX, LOG, Layout, number_of};
use super::meta::header_error;
use super::sealed::SealedIndex;
use super::snapshot::{self, ChunkKind, SnapshotHeader};

/// The segments and the checkpoint to start from.
#[derive(Debug)]
pub(super) struct Survey {
    /// In order, without gaps.
    pub(super) segments: Vec<SegmentHeader>,
    /// The newest usable checkpoint.
    pub(super) start: Option<Start>,
    /// The highest number of any checkpoint file.
    pub(super) newest_checkpoint: u32,
    /// Recovery reads the log from this segment on if `start` should get damaged; 0 is not at all.
    pub(super) replay_from_before: u32,
}

/// A checkpoint whose every chunk is intact.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) header: SnapshotHeader,
    /// The log is complete up to this Lsn at least.
    pub(super) complete: u64,
    pub(super) file: Arc<dyn DiskFile>,
}

impl Survey {
    pub(super) fn read(engine: &Engine) -> Result<Self, StoreError> {
        let segments = segments(engine)?;
        reject_lost(engine, &segments)?;
        let (start, newest_checkpoint) = choose_start(engine, &segments)?;
        let replay_from_before = match &start {
            Some(start) => before(engine, start.header.number)?,
            None => 0,
        };
        let survey = Self { segments, start, newest_checkpoint, replay_from_before };
        survey.reject_compacted(engine)?;
        Ok(survey)
    }

    /// What was taken out of a segment is in the checkpoints behind it, and nowhere else.
    fn reject_compacted(&self, engine: &Engine) -> Result<(), StoreError> {
        let replayed = self.segments.iter().filter(|segment| segment.number >= self.replay_from());
        match replayed.into_iter().find(|segment| segment.is_compacted()) {
            Some(segment) => Err(corrupt(
                &engine.layout.segment(segment.number),
                0,
                "the segment was compacted, and no checkpoint behind it can be read",
            )),
            None => Ok(()),
        }
    }

    /// Recovery reads the log from this segment on.
    pub(super) fn replay_from(&self) -> u32 {
        match &self.start {
            Some(start) => start.header.replay_from,
            None => self.segments.first().map_or(1, |segment| segment.number),
        }
    }
}

fn segments(engine: &Engine) -> Result<Vec<SegmentHeader>, StoreError> {
    let dir = &engine.layout.log_dir;
    let mut numbers: Vec<u32> =
        list(engine, dir)?.iter().filter_map(|name| number_of(name, LOG)).collect();
    numbers.sort_unstable();
    if numbers.is_empty() {
        return Err(corrupt(dir, 0, "the log has no segments"));
    }
    for pair in numbers.windows(2) {
        if let [before, after] = pair
            && before + 1 != *after
        {
            let missing = engine.layout.segment(before + 1);
            return Err(corrupt(&missing, 0, "a segment is missing in the middle of the log"));
        }
    }
    numbers.into_iter().map(|number| segment_header(engine, number)).collect()
}

/// Refuses a log whose first or last segments were lost. An index is there only while its segment
/// is, and was made only once the next one was there.
fn reject_lost(engine: &Engine, segments: &[SegmentHeader]) -> Result<(), StoreError> {
    let oldest = segments.first().map_or(1, |segment| segment.number);
    let newest = segments.last().map_or(1, |segment| segment.number);
    for name in list(engine, &engine.layout.index_dir)? {
        let lost = match number_of(&name, INDEX) {
            Some(number) if number < oldest => number,
            Some(number) if number >= newest => newest + 1,
            _ => continue,
        };
        let what = format!("the segment is missing, but there is {name}");
        return Err(corrupt(&engine.layout.segment(lost), 0, what));
    }
    Ok(())
}

fn segment_header(engine: &Engine, number: u32) -> Result<SegmentHeader, StoreError> {
    let path = engine.layout.segment(number);
    let io = |error: io::Error| io_error(&path, &error);
    let file = engine.files.get(FileKey::Segment(number, Life::default())).map_err(io)?;
    let file_bytes = file.len_bytes().map_err(io)?;
    let mut block = vec![0; BLOCK_BYTES];
    read_full(file.as_ref(), &mut block, 0, Access::Waiting)
        .map_err(|fault| read_error(&path, 0, fault))?;
    let header = SegmentHeader::decode(&block)
        .map_err(|fault| header_error(&path, &engine.layout, fault))?;
    if file_bytes != header.file_bytes {
        return Err(corrupt(&path, file_bytes, "the segment has the wrong length"));
    }
    let is_ours = header.number == number
        && header.database == engine.database
        && header.segment_bytes == engine.options.segment_bytes
        && (FRAMES_START..=header.segment_bytes).contains(&header.file_bytes);
    if !is_ours {
        return Err(corrupt(&path, 0, "the segment belongs somewhere else"));
    }
    Ok(header)
}

fn choose_start(
    engine: &Engine,
    segments: &[SegmentHeader],
) -> Result<(Option<Start>, u32), StoreError> {
    let dir = &engine.layout.checkpoint_dir;
    let mut numbers: Vec<u32> =
        list(engine, dir)?.iter().filter_map(|name| number_of(name, CHECKPOINT)).collect();
    numbers.sort_unstable_by_key(|number| std::cmp::Reverse(*number));
    let newest = numbers.first().copied().unwrap_or(0);
    let oldest_segment = segments.first().map_or(1, |segment| segment.number);
    let newest_segment = segments.last().map_or(1, |segment| segment.number);

    let mut damage = None;
    for number in numbers {
        let path = engine.layout.checkpoint(number);
        match checked_start(engine, number) {
            Ok(start) if start.header.replay_from < oldest_segment => {
                let missing = engine.layout.segment(start.header.replay_from);
                damage
                    .get_or_insert_with(|| corrupt(&missing, 0, "a checkpoint needs this segment"));
            }
            Ok(start) if start.header.replay_from > newest_segment => {
                let missing = engine.layout.segment(start.header.replay_from);
                return Err(corrupt(&missing, 0, "a checkpoint needs this segment"));
            }
            Ok(start) => return Ok((Some(start), newest)),
            Err(ReadFault::Io(error)) => return Err(io_error(&path, &error)),
            Err(ReadFault::Damaged(what)) => {
                tracing::warn!(path = %path.display(), what, "a checkpoint is damaged; looking for an older one");
                damage.get_or_insert_with(|| corrupt(&path, 0, what));
            }
            Err(ReadFault::WouldWait) => {}
        }
    }
    match damage {
        _ if oldest_segment == 1 => Ok((None, newest)),
        Some(damage) => Err(damage),
        None => {
            Err(corrupt(dir, 0, "the log does not reach back to its start, and no checkpoint does"))
        }
    }
}

/// Where recovery would read the log from without checkpoint `number`, as far as those before it say
/// so; 0 when there is none.
fn before(engine: &Engine, number: u32) -> Result<u32, StoreError> {
    let names = list(engine, &engine.layout.checkpoint_dir)?;
    let numbers = names.iter().filter_map(|name| number_of(name, CHECKPOINT));
    let mut least = None;
    for older in numbers.filter(|other| *other < number) {
        let path = engine.layout.checkpoint(older);
        let file = engine.disk.open(&path).map_err(ReadFault::Io);
        match file.and_then(|file| snapshot::read_header(file.as_ref())) {
            Ok(header) => {
                least =
                    Some(least.map_or(header.replay_from, |least| header.replay_from.min(least)))
            }
            Err(ReadFault::Io(error)) => return Err(io_error(&path, &error)),
            Err(ReadFault::Damaged(_) | ReadFault::WouldWait) => {}
        }
    }
    Ok(least.unwrap_or(0))
}

fn checked_start(engine: &Engine, number: u32) -> Result<Start, ReadFault> {
    let file = engine.disk.open(&engine.layout.checkpoint(number))?;
    let header = snapshot::read_header(file.as_ref())?;
    if header.number != number || header.database != engine.database {
        return Err(ReadFault::Damaged("the checkpoint belongs somewhere else"));
    }
    let mut complete = None;
    snapshot::for_each_chunk(file.as_ref(), &header, |kind, body| {
        if kind == ChunkKind::End {
            complete = Cut(body).u64();
        }
        Ok::<(), ReadFault>(())
    })?;
    let complete = complete.ok_or(ReadFault::Damaged("it has no end"))?;
    Ok(Start { header, complete, file })
}

/// The index file of a segment, if it is there and intact; else why not.
pub(super) fn open_index(
    engine: &Engine,
    segment: &SegmentHeader,
) -> Result<SealedIndex, ReadFault> {
    let file = engine.files.get(FileKey::Index(segment.number, Life::default()))?;
    let sealed = SealedIndex::open(file.as_ref(), segment.number, &segment.uuid)?;
    let is_cut = segment.is_compacted() && sealed.end != segment.file_bytes;
    if is_cut || !(FRAMES_START..=segment.file_bytes).contains(&sealed.end) {
        return Err(ReadFault::Damaged("its segment does not reach that far"));
    }
    Ok(sealed)
}

/// The header of the first frame of a segment, if it has one.
pub(super) fn first_frame(
    engine: &Engine,
    segment: &SegmentHeader,
) -> Result<Option<FrameHeader>, StoreError> {
    let path = engine.layout.segment(segment.number);
    let mut bytes = [0; FRAME_HEADER_BYTES];
    let file = engine.files.get(FileKey::Segment(segment.number, Life::default()));
    file.map_err(ReadFault::Io)
        .and_then(|file| read_full(file.as_ref(), &mut bytes, FRAMES_START, Access::Waiting))
        .map_err(|fault| read_error(&path, FRAMES_START, fault))?;
    Ok(FrameHeader::decode(&bytes, &segment.uuid))
}

/// Whether the folder holds anything that a store without META would not.
pub(super) fn has_remains(engine: &dyn crate::disk::Disk, layout: &Layout) -> io::Result<bool> {
    for dir in [&layout.log_dir, &layout.index_dir, &layout.checkpoint_dir] {
        let names = match engine.list(dir) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let unfinished = |name: &&String| {
            // The first segment is made before META.
            number_of(name, super::layout::UNFINISHED).is_some() || number_of(name, LOG) == Some(1)
        };
        if names.iter().any(|name| !unfinished(&name)) {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn list(engine: &Engine, dir: &std::path::Path) -> Result<Vec<String>, StoreError> {
    engine.disk.list(dir).map_err(|error| io_error(dir, &error))
}
