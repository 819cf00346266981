//! Work beside the commits: spare segments, indexes of full ones, files of removed ones.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::disk::DiskFile;

use super::breath::{Breath, pause};
use super::compaction::{self, Compaction};
use super::engine::Engine;
use super::files::{FileKey, Life, ReadFault};
use super::format::SegmentHeader;
use super::index::{Held, Lookup, Segment};
use super::layout::{RETIRED, numbered, unfinished};
use super::queue::Spare;
use super::sealed::SealedIndex;
use super::sealing;

/// Prepared segments behind the present one.
const SPARES_WANTED: usize = 1;
/// Full segments without an index file; with more, indexes come before spares, so that writers
/// wait and memory stays bounded.
const UNSEALED_MAX: usize = 4;
/// Bytes written with one sync, so that the syncs of the log never wait for long.
const BYTES_PER_SYNC: usize = 256 << 10;
/// Bytes of a file that are freed at once: syncs wait meanwhile.
const FREED_AT_ONCE: u64 = 2 << 20;
/// Pause after each of them, while there is time.
const PAUSE: Duration = Duration::from_millis(1);
/// Lower priority of the thread, in steps of `nice`: where cores are few, commits come first.
const NICE: i32 = 10;
/// When to look again at a disk that was full or refused.
const RETRY: Duration = Duration::from_secs(1);

/// What the housekeeper remembers.
#[derive(Debug, Default)]
pub(super) struct Chores {
    /// The number of the next segment.
    pub(super) next_number: u32,
    /// Files that wait for another life.
    pub(super) recycled: Vec<PathBuf>,
    pub(super) compaction: Compaction,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chore {
    Done,
    Nothing,
    /// The disk refused; try again later.
    Refused,
}

/// The life of the housekeeper's thread.
pub(super) fn run(engine: &Engine) {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "the housekeeper keeps its priority");
    }
    while !engine.is_stopping() && !engine.queue().is_failed() {
        match step(engine) {
            Chore::Done => {}
            Chore::Nothing | Chore::Refused => engine.wait_for_call(RETRY),
        }
    }
}

/// Does the most urgent thing.
pub(super) fn step(engine: &Engine) -> Chore {
    let mut chores = engine.chores();
    let unsealed = unsealed(engine);
    let mut without_spare = Chore::Nothing;
    if unsealed.len() < UNSEALED_MAX && engine.queue().spares() < SPARES_WANTED {
        without_spare = add_spare(engine, &mut chores);
        // Without space for one, the rest goes on: it may give some back.
        if without_spare != Chore::Refused {
            return without_spare;
        }
    }
    if let Some(segment) = unsealed.first() {
        return seal(engine, segment);
    }
    let removed = engine.removed().front().cloned();
    if let Some(segment) = removed {
        return match put_away(engine, &mut chores, &segment) {
            Ok(()) => {
                engine.removed().pop_front();
                Chore::Done
            }
            Err(error) => {
                tracing::warn!(segment = segment.number, %error, "cannot remove a segment yet");
                Chore::Refused
            }
        };
    }
    match compaction::step(engine, &mut chores.compaction) {
        Chore::Nothing => without_spare,
        chore => chore,
    }
}

fn unsealed(engine: &Engine) -> Vec<Arc<Segment>> {
    let present = engine.queue().segment;
    let index = engine.index();
    index.unsealed().filter(|segment| segment.number < present).cloned().collect()
}

fn add_spare(engine: &Engine, chores: &mut Chores) -> Chore {
    let number = chores.next_number;
    match prepare(engine, chores, number) {
        Ok(spare) => {
            chores.next_number += 1;
            let segment_bytes = engine.options.segment_bytes;
            engine.counters.segment_bytes.fetch_add(segment_bytes, Ordering::Relaxed);
            engine.queue().add_spare(spare);
            engine.queue_changed().notify_all();
            Chore::Done
        }
        Err(_) if engine.is_stopping() => Chore::Nothing,
        Err(error) => {
            let mut queue = engine.queue();
            if queue.spare_fault.is_none() {
                tracing::warn!(%error, "no segment can be added to the log");
            }
            queue.spare_fault = Some(error.to_string());
            Chore::Refused
        }
    }
}

/// Makes a segment file with a header and no frames, from a recycled file if there is one.
pub(super) fn prepare(engine: &Engine, chores: &mut Chores, number: u32) -> io::Result<Spare> {
    let path = engine.layout.segment(number);
    let fresh = unfinished(&path);
    let file = match recycled_file(engine, chores, &fresh)? {
        Some(file) => file,
        None => {
            let made = zeroed_file(engine, &fresh);
            if made.is_err()
                && let Err(error) = engine.disk.remove(&fresh)
            {
                tracing::debug!(%error, "an unfinished segment stays until the next start");
            }
            made?
        }
    };
    let header = SegmentHeader {
        database: engine.database,
        number,
        uuid: engine.disk.draw_identity()?,
        segment_bytes: engine.options.segment_bytes,
        file_bytes: engine.options.segment_bytes,
    };
    file.write_at(&header.encode(), 0)?;
    file.sync_data()?;
    engine.disk.rename(&fresh, &path)?;
    engine.disk.sync_dir(&engine.layout.log_dir)?;
    engine.files.forget(FileKey::Segment(number, Life::default()));
    Ok(Spare { segment: Arc::new(Segment::new(&header)), file })
}

/// A file of a removed segment under a new name. Those that somebody has removed or cut are passed
/// over.
fn recycled_file(
    engine: &Engine,
    chores: &mut Chores,
    fresh: &Path,
) -> io::Result<Option<Arc<dyn DiskFile>>> {
    while let Some(old) = chores.recycled.last() {
        let is_there = is_there(engine.disk.rename(old, fresh))?;
        chores.recycled.pop();
        let segment_bytes = engine.options.segment_bytes;
        engine.counters.segment_bytes.fetch_sub(segment_bytes, Ordering::Relaxed);
        if is_there {
            let file = engine.disk.open(fresh)?;
            if file.len_bytes()? == engine.options.segment_bytes {
                return Ok(Some(file));
            }
        }
    }
    Ok(None)
}

fn zeroed_file(engine: &Engine, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
    let segment_bytes = engine.options.segment_bytes;
    let free_bytes = engine.disk.free_bytes(&engine.layout.log_dir)?;
    let kept_free = engine.options.free_bytes_min;
    if free_bytes < segment_bytes.saturating_add(kept_free) {
        return Err(io::Error::new(
            io::ErrorKind::StorageFull,
            format!(
                "{free_bytes} bytes are free; a log segment needs {segment_bytes}, and {kept_free} \
                 are kept free for checkpoints and indexes"
            ),
        ));
    }
    let file = engine.disk.create(path)?;
    file.allocate(segment_bytes)?;
    let zeros = vec![0; BYTES_PER_SYNC];
    let mut at = 0;
    while at < segment_bytes {
        let bytes = (segment_bytes - at).min(BYTES_PER_SYNC as u64);
        file.write_at(zeros.get(..bytes as usize).unwrap_or_default(), at)?;
        at += bytes;
        if engine.is_stopping() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if at < segment_bytes {
            file.sync_data()?;
            pause(engine, PAUSE);
        }
    }
    Ok(file)
}

fn seal(engine: &Engine, segment: &Segment) -> Chore {
    match write_index(engine, segment, segment.durable_end(), Breath::of(engine)) {
        Ok(sealed) => {
            install(engine, segment, sealed);
            Chore::Done
        }
        Err(ReadFault::Damaged(what)) => {
            let path = engine.layout.segment(segment.number);
            engine.fail(format!("{} does not read back: {what}", path.display()));
            Chore::Refused
        }
        Err(ReadFault::Io(error)) => {
            tracing::warn!(segment = segment.number, %error, "cannot write a segment index yet");
            Chore::Refused
        }
        Err(ReadFault::WouldWait) => Chore::Refused,
    }
}

/// Writes the index file of a segment and opens it.
pub(super) fn write_index(
    engine: &Engine,
    segment: &Segment,
    end: u64,
    breath: Breath<'_>,
) -> Result<SealedIndex, ReadFault> {
    let number = segment.number;
    let log_file = engine.files.get(segment.log_key())?;
    let bytes = sealing::build(log_file.as_ref(), number, &segment.uuid, end, breath)?;
    let path = engine.layout.index(number);
    let fresh = unfinished(&path);
    let file = write_synced(engine, &fresh, &bytes)?;
    engine.files.forget(segment.index_key());
    engine.disk.rename(&fresh, &path)?;
    engine.disk.sync_dir(&engine.layout.index_dir)?;
    SealedIndex::open(file.as_ref(), number, &segment.uuid)
}

/// Makes a file of these bytes that survives, but for its name.
pub(super) fn write_synced(
    engine: &Engine,
    path: &Path,
    bytes: &[u8],
) -> io::Result<Arc<dyn DiskFile>> {
    let file = engine.disk.create(path)?;
    let mut at = 0;
    for piece in bytes.chunks(BYTES_PER_SYNC) {
        file.write_at(piece, at)?;
        file.sync_data()?;
        at += piece.len() as u64;
    }
    Ok(file)
}

/// Readers find the segment through its index file from now on.
pub(super) fn install(engine: &Engine, segment: &Segment, sealed: SealedIndex) {
    segment.note_at_ms(sealed.newest_at_ms);
    let file_bytes = sealed.file_bytes;
    let mut index = engine.index_mut();
    let Some(held) = index.segments.get_mut(&segment.number) else { return };
    let before = std::mem::replace(&mut held.lookup, Lookup::Sealed(Arc::new(sealed)));
    drop(index);
    let bytes_before = match before {
        Lookup::Sealed(old) => old.file_bytes,
        Lookup::Open(_) => 0,
    };
    engine.counters.index_bytes.fetch_add(file_bytes, Ordering::Relaxed);
    engine.counters.index_bytes.fetch_sub(bytes_before, Ordering::Relaxed);
}

/// Takes a segment whose records are all older than `at_ms` out of sight, and those before it;
/// their files follow later. The log that recovery needs stays.
pub(super) fn retain_after(engine: &Engine, at_ms: u64) {
    take_out(engine, |segment| segment.newest_at_ms() < at_ms);
    engine.call_housekeeper();
}

/// Takes the first segments out of sight, as long as they may go and no recovery reads them.
pub(super) fn take_out(engine: &Engine, may_go: impl Fn(&Segment) -> bool) {
    let covered_from = engine.checkpoints.covered_from();
    let mut removed = engine.removed();
    let mut index = engine.index_mut();
    while let Some(first) = index.segments.first_entry() {
        let Held { segment, lookup } = first.get();
        let Lookup::Sealed(sealed) = lookup else { break };
        if segment.number >= covered_from || !may_go(segment) {
            break;
        }
        engine.counters.index_bytes.fetch_sub(sealed.file_bytes, Ordering::Relaxed);
        segment.retire();
        removed.push_back(first.remove().segment);
    }
}

/// Removes the index of a removed segment, and then gives its file another name or removes that
/// too. Oldest first and one by one, so that a crash never leaves a hole; the index first, so that an
/// index without its segment tells of a lost one.
fn put_away(engine: &Engine, chores: &mut Chores, segment: &Segment) -> io::Result<()> {
    let number = segment.number;
    let path = engine.layout.segment(number);
    let file = engine.files.get(segment.log_key());
    engine.files.forget(segment.log_key());
    engine.files.forget(segment.index_key());
    is_there(engine.disk.remove(&engine.layout.index(number)))?;
    engine.disk.sync_dir(&engine.layout.index_dir)?;
    let old = numbered(&engine.layout.log_dir, number, RETIRED);
    let is_whole = segment.file_bytes == engine.options.segment_bytes;
    let is_recycled = is_whole && chores.recycled.len() < engine.options.recycled_files_max;
    if is_recycled {
        is_there(engine.disk.rename(&path, &old))?;
    } else if is_there(engine.disk.remove(&path))? {
        engine.counters.segment_bytes.fetch_sub(segment.file_bytes, Ordering::Relaxed);
    }
    engine.disk.sync_dir(&engine.layout.log_dir)?;
    if let Ok(file) = file
        && !is_recycled
    {
        free(engine, file.as_ref());
    }
    // Not before its old name is gone for good, or a crash would find another segment under it.
    if is_there(engine.disk.open(&old).map(drop))? {
        chores.recycled.push(old);
    }
    Ok(())
}

/// Gives back the blocks of a file that has lost its name for good, piece by piece.
pub(super) fn free(engine: &Engine, file: &dyn DiskFile) {
    let freed = file.len_bytes().and_then(|mut left| {
        while left > 0 {
            left = left.saturating_sub(FREED_AT_ONCE);
            file.shrink(left)?;
            pause(engine, PAUSE);
        }
        Ok(())
    });
    if let Err(error) = freed {
        tracing::debug!(%error, "the rest of a file is freed when it is closed");
    }
}

/// Whether the file was there: an earlier try may have come half way.
fn is_there(outcome: io::Result<()>) -> io::Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
