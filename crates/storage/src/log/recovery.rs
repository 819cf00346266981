//! From files to a running store.
//!
//! First everything is read and judged; only when all of it makes sense is anything on the disk
//! changed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::disk::DiskFile;
use crate::{Durability, Lsn, Recovered, StateSink, StoreError};

use super::breath::Breath;
use super::committer::Committer;
use super::engine::Engine;
use super::files::{Access, FileKey, Life, ReadFault, corrupt, io_error, read_error, read_full};
use super::format::{FRAME_HEADER_BYTES, FrameHeader, SegmentHeader, frames_end};
use super::housekeeper;
use super::index::{Held, Index, Lookup, Segment};
use super::layout::{INDEX, RETIRED, UNFINISHED, number_of, unfinished};
use super::queue::Spare;
use super::replay::{self, LastFrame, Replayed};
use super::snapshot::{self, ChunkKind};
use super::survey::{self, Start, Survey};

/// Streams the state into `sink` and opens the store for batches.
pub(super) fn recover(engine: &Engine, sink: &mut dyn StateSink) -> Result<Recovered, StoreError> {
    let survey = Survey::read(engine)?;
    let mut index = Index::default();
    let mut missing = Vec::new();
    for header in survey.segments.iter().filter(|header| header.number < survey.replay_from()) {
        if let Some(rebuilt) = hold_sealed(engine, &mut index, header)? {
            missing.push(rebuilt);
        }
    }
    if let Some(start) = &survey.start {
        load(engine, start, &mut index, sink)?;
    }
    let replayed = replay::run(engine, &survey, &mut index, sink)?;

    tidy(engine, replayed.segment)?;
    end_log(engine, &replayed)?;
    for segment in missing {
        let sealed =
            housekeeper::write_index(engine, &segment, segment.durable_end(), Breath::held())
                .map_err(|fault| index_error(engine, segment.number, fault))?;
        // Retention would take it for older than everything.
        segment.note_at_ms(sealed.newest_at_ms);
        index
            .segments
            .insert(segment.number, Held { segment, lookup: Lookup::Sealed(Arc::new(sealed)) });
    }
    start(engine, &survey, index, &replayed)
}

/// Opens the index of a segment before the replayed part. When it has to be made again, the
/// segment is returned with its end.
fn hold_sealed(
    engine: &Engine,
    index: &mut Index,
    header: &SegmentHeader,
) -> Result<Option<Arc<Segment>>, StoreError> {
    let segment = Arc::new(Segment::new(header));
    let what = match survey::open_index(engine, header) {
        Ok(sealed) => {
            segment.set_durable_end(sealed.end);
            segment.note_at_ms(sealed.newest_at_ms);
            let lookup = Lookup::Sealed(Arc::new(sealed));
            index.segments.insert(header.number, Held { segment, lookup });
            return Ok(None);
        }
        Err(ReadFault::Damaged(what)) => what,
        Err(ReadFault::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            "it is missing"
        }
        Err(fault) => return Err(index_error(engine, header.number, fault)),
    };
    tracing::warn!(segment = header.number, what, "a segment index is made again from the log");
    segment.set_durable_end(replay::end_of(engine, header)?);
    Ok(Some(segment))
}

fn index_error(engine: &Engine, number: u32, fault: ReadFault) -> StoreError {
    match fault {
        ReadFault::Io(error) => io_error(&engine.layout.index(number), &error),
        ReadFault::Damaged(what) => corrupt(&engine.layout.segment(number), 0, what),
        ReadFault::WouldWait => corrupt(&engine.layout.index(number), 0, "it cannot be read"),
    }
}

/// Loads a checkpoint.
fn load(
    engine: &Engine,
    start: &Start,
    index: &mut Index,
    sink: &mut dyn StateSink,
) -> Result<(), StoreError> {
    let path = engine.layout.checkpoint(start.header.number);
    let replay_from = start.header.replay_from;
    snapshot::for_each_chunk(start.file.as_ref(), &start.header, |kind, body| {
        let nonsense = LoadFault::Read(ReadFault::Damaged("a chunk makes no sense"));
        match kind {
            ChunkKind::State => {
                let mut cut = super::codec::Cut(body);
                while let Some((shard, key, value)) = snapshot::decode_pair(&mut cut) {
                    sink.put(shard, key, value).map_err(LoadFault::Sink)?;
                }
                if cut.0.is_empty() { Ok(()) } else { Err(nonsense) }
            }
            ChunkKind::Heads => snapshot::decode_heads(body, |channel, head| {
                index.restore_head(channel, head, replay_from);
            })
            .ok_or(nonsense),
            ChunkKind::End => Ok(()),
        }
    })
    .map_err(|fault| match fault {
        LoadFault::Sink(error) => error,
        LoadFault::Read(fault) => read_error(&path, 0, fault),
    })
}

#[derive(Debug)]
enum LoadFault {
    Read(ReadFault),
    Sink(StoreError),
}

impl From<ReadFault> for LoadFault {
    fn from(fault: ReadFault) -> Self {
        Self::Read(fault)
    }
}

/// Removes what a crash left half done, and indexes of segments that will get more records. Then
/// makes all names survive: a killed process may not have come to that, and what is built on them
/// from here on must not lose them in a power cut.
fn tidy(engine: &Engine, present: u32) -> Result<(), StoreError> {
    let layout = &engine.layout;
    let unfinished_meta = unfinished(&layout.meta());
    for dir in [&layout.root, &layout.log_dir, &layout.index_dir, &layout.checkpoint_dir] {
        for name in survey::list(engine, dir)? {
            let is_stale_index = dir == &layout.index_dir
                && number_of(&name, INDEX).is_some_and(|number| number >= present);
            let is_unfinished = if dir == &layout.root {
                dir.join(&name) == unfinished_meta
            } else {
                number_of(&name, UNFINISHED).is_some()
            };
            if is_unfinished || is_stale_index {
                let path = dir.join(&name);
                engine.disk.remove(&path).map_err(|error| io_error(&path, &error))?;
            }
        }
        engine.disk.sync_dir(dir).map_err(|error| io_error(dir, &error))?;
    }
    Ok(())
}

/// Ends the log behind the last whole frame, over what is left of a torn one.
fn end_log(engine: &Engine, replayed: &Replayed) -> Result<(), StoreError> {
    let last = replayed.last_frame;
    if let Some(last) = last.filter(|last| !last.is_mark) {
        let path = engine.layout.segment(last.segment);
        write_again(engine, &last).map_err(|fault| read_error(&path, last.at, fault))?;
    }
    let path = engine.layout.segment(replayed.segment);
    let is_marked = last.is_some_and(|last| last.is_mark) && replayed.torn_bytes == 0;
    if !is_marked {
        let mark = FrameHeader::mark(&replayed.uuid, replayed.next_lsn);
        write_mark(engine, replayed, &mark).map_err(|error| io_error(&path, &error))?;
    }
    if replayed.torn_bytes > 0 {
        tracing::warn!(
            path = %path.display(),
            position = replayed.position,
            bytes = replayed.torn_bytes,
            "an unfinished write was cut from the end of the log"
        );
    }
    Ok(())
}

/// Makes a frame surely durable. When its sync failed in a former life, it may be in memory and not
/// on the disk.
fn write_again(engine: &Engine, last: &LastFrame) -> Result<(), ReadFault> {
    let file = engine.files.get(FileKey::Segment(last.segment, Life::default()))?;
    let mut frame = vec![0; last.bytes];
    read_full(file.as_ref(), &mut frame, last.at, Access::Waiting)?;
    file.write_at(&frame, last.at)?;
    Ok(file.sync_data()?)
}

fn write_mark(engine: &Engine, replayed: &Replayed, mark: &[u8]) -> std::io::Result<()> {
    if replayed.position + mark.len() as u64 > engine.options.segment_bytes {
        return Ok(());
    }
    let file = engine.files.get(FileKey::Segment(replayed.segment, Life::default()))?;
    file.write_at(mark, replayed.position)?;
    file.sync_data()
}

fn start(
    engine: &Engine,
    survey: &Survey,
    index: Index,
    replayed: &Replayed,
) -> Result<Recovered, StoreError> {
    let open = |number: u32| -> Result<Arc<dyn DiskFile>, StoreError> {
        let path = engine.layout.segment(number);
        engine
            .files
            .get(FileKey::Segment(number, Life::default()))
            .map_err(|error| io_error(&path, &error))
    };
    let held = index.segments.get(&replayed.segment);
    let segment = held
        .map(|held| Arc::clone(&held.segment))
        .ok_or_else(|| corrupt(&engine.layout.log_dir, 0, "the present segment is missing"))?;
    let committer = Committer::new(segment, open(replayed.segment)?, replayed.position);

    let index_bytes = index.segments.values().map(|held| match &held.lookup {
        Lookup::Sealed(sealed) => sealed.file_bytes,
        Lookup::Open(_) => 0,
    });
    let counters = &engine.counters;
    counters.index_bytes.store(index_bytes.sum(), Ordering::Relaxed);
    counters.log_bytes.store(replayed.bytes, Ordering::Relaxed);
    engine.checkpoints.number.store(survey.newest_checkpoint, Ordering::Release);
    let good = survey.start.as_ref().map_or(0, |start| start.header.number);
    engine.checkpoints.good.store(good, Ordering::Release);
    engine.checkpoints.replay_from.store(survey.replay_from(), Ordering::Release);
    let before = survey.replay_from_before;
    engine.checkpoints.replay_from_before.store(before, Ordering::Release);

    let mut segment_bytes: u64 = survey.segments.iter().map(|header| header.file_bytes).sum();
    let dir = &engine.layout.log_dir;
    {
        let mut chores = engine.chores();
        chores.next_number = survey.segments.last().map_or(1, |last| last.number) + 1;
        for name in survey::list(engine, dir)? {
            if number_of(&name, RETIRED).is_some() {
                chores.recycled.push(dir.join(name));
                segment_bytes += engine.options.segment_bytes;
            }
        }
        chores.compaction.begin(survey.newest_checkpoint, replayed.segment);
    }
    counters.segment_bytes.store(segment_bytes, Ordering::Relaxed);
    super::checkpoint::count_bytes(engine)
        .map_err(|error| io_error(&engine.layout.checkpoint_dir, &error))?;

    *engine.index_mut() = index;
    *engine.committer() = Some(committer);
    let next_lsn = replayed.next_lsn;
    let durable = Lsn(next_lsn - 1);
    engine.watermark.send_replace(Durability { durable, failed: None });
    let mut queue = engine.queue();
    for header in survey.segments.iter().filter(|header| header.number > replayed.segment) {
        let segment = Arc::new(Segment::new(header));
        queue.add_spare(Spare { segment, file: open(header.number)? });
    }
    let last_frame_in = replayed.last_frame.map_or(replayed.segment, |last| last.segment);
    let left = frames_end(engine.options.segment_bytes).saturating_sub(replayed.position);
    queue.start(next_lsn, last_frame_in, left);
    Ok(Recovered { durable, replayed_bytes: replayed.bytes, torn_bytes: replayed.torn_bytes })
}

/// Bytes of the whole frame, as far as they are written again.
pub(super) fn whole_frame(header: &FrameHeader) -> usize {
    FRAME_HEADER_BYTES + header.body_bytes as usize
}
