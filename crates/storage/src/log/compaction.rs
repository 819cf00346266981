//! Gives back the space of what nobody can read any more: records of lives that have ended, and
//! state that is in the checkpoints.
//!
//! A segment that both checkpoints have left behind is written again with the records that are still
//! alive, and takes the place of the old file under its name. A crash in between leaves one or the
//! other, whole; an index that does not belong to the one that is there is made again.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::{ChannelRef, ShardId};

use super::breath::Breath;
use super::engine::Engine;
use super::files::ReadFault;
use super::format::FRAMES_START;
use super::housekeeper::{Chore, free, take_out, write_synced};
use super::index::{Held, Lookup, Replaced, Segment};
use super::layout::unfinished;
use super::rewriting::{self, Rewritten};
use super::sealed::{Key, SealedIndex};
use super::sealing;

/// Lives that have to end before all segments are looked at without a new checkpoint.
const ENDED_LIVES_MIN: u64 = 16 << 10;
/// And one of so many channels in them, so that looking stays small beside what made it needed.
const ENDED_LIVES_SHARE: usize = 8;

/// What is known of the segments.
#[derive(Debug, Default)]
pub(super) struct Compaction {
    /// Segments to look at.
    unseen: BTreeSet<u32>,
    /// Segments that are worth it, and what they would give back.
    candidates: BTreeMap<u32, u64>,
    plan: Option<Plan>,
    /// Segments that do not read back: their good records stay where they are.
    damaged: BTreeSet<u32>,
    looked: Looked,
}

/// What there was when all segments were to be looked at.
#[derive(Debug, Default)]
struct Looked {
    checkpoint: u32,
    ended_lives: u64,
    /// Channels of all segments.
    runs: usize,
    /// Segments from this one on were not sealed.
    sealed_to: u32,
}

/// A segment, and what of it is to stay.
#[derive(Debug)]
struct Plan {
    segment: Arc<Segment>,
    sealed: Arc<SealedIndex>,
    kept: Kept,
    /// A life that is not in `kept` ended with this batch or before it.
    as_of: u64,
}

/// What of a segment somebody may still read.
#[derive(Debug, Default)]
struct Kept {
    /// Channels with records, in order.
    alive: Vec<Key>,
    /// What the file would be without the rest.
    bytes: u64,
}

impl Compaction {
    /// Begins with the checkpoint and the segments of the start: so soon after it there are other
    /// things to do than to look at them.
    pub(super) fn begin(&mut self, checkpoint: u32, present: u32) {
        self.looked = Looked { checkpoint, sealed_to: present, ..Looked::default() };
    }

    /// Enters the segments that have to be looked at: all of them after a checkpoint, which leaves more
    /// of them behind, and when many lives have ended; else those that were sealed since.
    fn note_unseen(&mut self, engine: &Engine) {
        let checkpoint = engine.checkpoints.number.load(Ordering::Acquire);
        let ended_lives = engine.counters.ended_lives.load(Ordering::Relaxed);
        let enough = ENDED_LIVES_MIN.max((self.looked.runs / ENDED_LIVES_SHARE) as u64);
        let is_all =
            checkpoint != self.looked.checkpoint || ended_lives - self.looked.ended_lives >= enough;
        let first = if is_all { 0 } else { self.looked.sealed_to };
        let sealed = sealed_segments(engine, first);
        let sealed_to = sealed.last().map_or(0, |(segment, _)| segment.number + 1);
        self.looked.sealed_to = self.looked.sealed_to.max(sealed_to);
        if is_all {
            let runs = sealed.iter().map(|(_, index)| index.runs_max()).sum();
            self.looked = Looked { checkpoint, ended_lives, runs, ..self.looked };
        }
        let numbers = sealed.iter().map(|(segment, _)| segment.number);
        self.unseen.extend(numbers.filter(|number| !self.damaged.contains(number)));
    }

    /// Whether one more checkpoint, or two, would give more back than they take.
    fn wants_checkpoint(&self, engine: &Engine) -> bool {
        let covered_from = engine.checkpoints.covered_twice_from();
        let waiting_bytes: u64 =
            self.candidates.range(covered_from..).map(|(_, bytes)| bytes).sum();
        waiting_bytes > engine.counters.checkpoint_bytes.load(Ordering::Relaxed)
    }
}

/// Does the next piece of it.
pub(super) fn step(engine: &Engine, compaction: &mut Compaction) -> Chore {
    if let Some(plan) = compaction.plan.take() {
        if engine.watermark.borrow().durable.0 < plan.as_of {
            compaction.plan = Some(plan);
            return Chore::Nothing;
        }
        return outcome(engine, compaction, plan.segment.number, carry_out(engine, &plan));
    }
    let covered_from = engine.checkpoints.covered_twice_from();
    let first = compaction.candidates.first_key_value().map(|(number, _)| *number);
    if let Some(number) = first.filter(|number| *number < covered_from) {
        compaction.candidates.remove(&number);
        let planned = plan(engine, number).map(|plan| compaction.plan = plan);
        return outcome(engine, compaction, number, planned);
    }
    if compaction.unseen.is_empty() {
        compaction.note_unseen(engine);
    }
    let Some(number) = compaction.unseen.pop_first() else { return Chore::Nothing };
    look(engine, compaction, number);
    if compaction.unseen.is_empty() {
        let wants_checkpoint = compaction.wants_checkpoint(engine);
        engine.counters.wants_checkpoint.store(wants_checkpoint, Ordering::Relaxed);
    }
    Chore::Done
}

fn outcome(
    engine: &Engine,
    compaction: &mut Compaction,
    number: u32,
    outcome: Result<(), ReadFault>,
) -> Chore {
    match outcome {
        Ok(()) => Chore::Done,
        Err(ReadFault::Damaged(what)) => {
            let path = engine.layout.segment(number);
            tracing::warn!(path = %path.display(), what, "a segment is kept as it is");
            compaction.damaged.insert(number);
            Chore::Done
        }
        Err(ReadFault::Io(_)) if engine.is_stopping() => Chore::Nothing,
        Err(ReadFault::Io(error)) => {
            tracing::warn!(segment = number, %error, "cannot compact a segment yet");
            Chore::Refused
        }
        Err(ReadFault::WouldWait) => Chore::Refused,
    }
}

/// Looks whether a segment is worth it.
fn look(engine: &Engine, compaction: &mut Compaction, number: u32) {
    compaction.candidates.remove(&number);
    let Some((segment, sealed)) = sealed_segment(engine, number) else { return };
    match kept_of(engine, &segment, &sealed) {
        Ok(kept) if is_worth_it(&segment, &kept) => {
            compaction.candidates.insert(number, segment.file_bytes - kept.bytes);
        }
        Ok(_) => {}
        // A reader will say so, or make it again; here it only means that it is not known.
        Err(fault) => tracing::debug!(segment = number, ?fault, "not looked at"),
    }
}

fn sealed_segment(engine: &Engine, number: u32) -> Option<(Arc<Segment>, Arc<SealedIndex>)> {
    let index = engine.index();
    index.segments.get(&number).and_then(sealed)
}

/// From this number on, in order.
fn sealed_segments(engine: &Engine, first: u32) -> Vec<(Arc<Segment>, Arc<SealedIndex>)> {
    engine.index().segments.range(first..).filter_map(|(_, held)| sealed(held)).collect()
}

fn sealed(held: &Held) -> Option<(Arc<Segment>, Arc<SealedIndex>)> {
    match &held.lookup {
        Lookup::Sealed(sealed) => Some((Arc::clone(&held.segment), Arc::clone(sealed))),
        Lookup::Open(_) => None,
    }
}

/// Half of the file at least has to come back: then each byte that is written frees another.
fn is_worth_it(segment: &Segment, kept: &Kept) -> bool {
    segment.file_bytes > FRAMES_START && kept.bytes <= segment.file_bytes / 2
}

fn kept_of(engine: &Engine, segment: &Segment, sealed: &SealedIndex) -> Result<Kept, ReadFault> {
    let file = engine.files.get(segment.index_key())?;
    let mut breath = Breath::of(engine);
    let mut kept = Kept::default();
    let (mut records, mut alive, mut block) = (0, 0, 0);
    while let Some(runs) = sealed.runs(file.as_ref(), block)? {
        let index = engine.index();
        for (key, count) in runs {
            records += count;
            if index.is_alive(channel_of(key)) {
                alive += count;
                kept.alive.push(key);
            }
        }
        drop(index);
        block += 1;
        breath.take();
    }
    let record_bytes = if sealed.record_bytes == 0 { sealed.end } else { sealed.record_bytes };
    let alive_bytes = u128::from(record_bytes) * u128::from(alive) / u128::from(records.max(1));
    kept.bytes = FRAMES_START.saturating_add(u64::try_from(alive_bytes).unwrap_or(u64::MAX));
    Ok(kept)
}

fn channel_of((shard, slot, generation): Key) -> ChannelRef {
    ChannelRef { shard: ShardId(shard), slot, generation }
}

fn plan(engine: &Engine, number: u32) -> Result<Option<Plan>, ReadFault> {
    let Some((segment, sealed)) = sealed_segment(engine, number) else { return Ok(None) };
    let kept = kept_of(engine, &segment, &sealed)?;
    let as_of = engine.queue().last_lsn();
    Ok(is_worth_it(&segment, &kept).then_some(Plan { segment, sealed, kept, as_of }))
}

fn carry_out(engine: &Engine, plan: &Plan) -> Result<(), ReadFault> {
    let Plan { segment, sealed, kept, .. } = plan;
    let number = segment.number;
    if kept.alive.is_empty() {
        take_out(engine, |first| first.number == number);
        if !is_held(engine, segment) {
            return Ok(());
        }
    }
    let free_bytes = engine.disk.free_bytes(&engine.layout.log_dir)?;
    if free_bytes < kept.bytes.saturating_add(sealed.file_bytes) {
        let what = format!("{free_bytes} bytes are free, {} are needed", kept.bytes);
        return Err(io::Error::new(io::ErrorKind::StorageFull, what).into());
    }
    let fresh =
        [unfinished(&engine.layout.segment(number)), unfinished(&engine.layout.index(number))];
    let is_done = rewrite(engine, plan);
    if !matches!(is_done, Ok(true)) {
        for path in &fresh {
            if let Err(error) = engine.disk.remove(path) {
                tracing::debug!(%error, "an unfinished file stays until the next start");
            }
        }
    }
    is_done.map(|_| ())
}

fn is_held(engine: &Engine, segment: &Arc<Segment>) -> bool {
    let index = engine.index();
    index.segments.get(&segment.number).is_some_and(|held| Arc::ptr_eq(&held.segment, segment))
}

/// Makes both files under other names, then gives them theirs; false when retention has removed the
/// segment meanwhile.
fn rewrite(engine: &Engine, plan: &Plan) -> Result<bool, ReadFault> {
    let Plan { segment, sealed, kept, .. } = plan;
    let number = segment.number;
    let rewritten = rewriting::write(engine, segment, &kept.alive)?;
    let Rewritten { header, file, end } = &rewritten;
    let breath = Breath::of(engine);
    let bytes = sealing::build(file.as_ref(), number, &header.uuid, *end, breath)?;
    let index_file = write_synced(engine, &unfinished(&engine.layout.index(number)), &bytes)?;
    let index = SealedIndex::open(index_file.as_ref(), number, &header.uuid)?;

    let compacted = Arc::new(segment.compacted(header));
    compacted.set_durable_end(*end);
    compacted.note_at_ms(index.newest_at_ms);
    let index_bytes = index.file_bytes;
    if !take_over(
        engine,
        segment,
        Held { segment: compacted, lookup: Lookup::Sealed(Arc::new(index)) },
    )? {
        return Ok(false);
    }
    let counters = &engine.counters;
    let gained = segment.file_bytes.saturating_sub(header.file_bytes);
    counters.segment_bytes.fetch_sub(gained, Ordering::Relaxed);
    counters.compacted_bytes.fetch_add(gained, Ordering::Relaxed);
    counters.index_bytes.fetch_add(index_bytes, Ordering::Relaxed);
    counters.index_bytes.fetch_sub(sealed.file_bytes, Ordering::Relaxed);
    // If a power cut brings the old names back, it brings the old files.
    let layout = &engine.layout;
    let synced = engine.disk.sync_dir(&layout.index_dir);
    match synced.and_then(|()| engine.disk.sync_dir(&layout.log_dir)) {
        Ok(()) => {
            if let Some(replaced) = segment.replaced() {
                free(engine, replaced.log.as_ref());
            }
        }
        Err(error) => {
            tracing::warn!(segment = number, %error, "a segment may be compacted once more");
        }
    }
    tracing::debug!(segment = number, gained, "compacted a segment");
    Ok(true)
}

/// Puts the new files in the place of the old ones; false when the segment is gone.
fn take_over(engine: &Engine, old: &Arc<Segment>, new: Held) -> Result<bool, ReadFault> {
    let number = old.number;
    let replaced = Replaced {
        log: engine.files.get(old.log_key())?,
        index: engine.files.get(old.index_key())?,
    };
    // Retention waits, so that it finds either the old segment with the old files or the new one.
    let removed = engine.removed();
    if !is_held(engine, old) {
        return Ok(false);
    }
    old.replace(replaced);
    let path = engine.layout.segment(number);
    if let Err(error) = engine.disk.rename(&unfinished(&path), &path) {
        old.stay();
        return Err(error.into());
    }
    let path = engine.layout.index(number);
    if let Err(error) = engine.disk.rename(&unfinished(&path), &path) {
        tracing::warn!(path = %path.display(), %error, "the index is left to who reads it");
    }
    engine.index_mut().segments.insert(number, new);
    drop(removed);
    engine.files.forget(old.log_key());
    engine.files.forget(old.index_key());
    Ok(true)
}
