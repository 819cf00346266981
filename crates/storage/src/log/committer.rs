//! Group commit: takes what waits, writes it as one frame, syncs, moves the watermark.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use crate::Lsn;
use crate::disk::DiskFile;

use super::engine::Engine;
use super::format::{FRAME_HEADER_BYTES, FRAMES_START, FrameHeader, frames_end};
use super::index::Segment;
use super::queue::{Taken, recycle};
use super::record::{self, Record};

/// Records indexed before readers get a turn.
const INDEXED_AT_ONCE: usize = 256;

/// The only writer of the log.
#[derive(Debug)]
pub(super) struct Committer {
    segment: Arc<Segment>,
    file: Arc<dyn DiskFile>,
    position: u64,
    empty: Vec<u8>,
    /// Where each record of the present frame starts.
    starts: Vec<usize>,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing waits.
    Idle,
    /// One frame became durable.
    Committed,
    /// The store has stopped.
    Failed,
}

impl Committer {
    /// Goes on at `position` of a segment.
    pub(super) fn new(segment: Arc<Segment>, file: Arc<dyn DiskFile>, position: u64) -> Self {
        Self { segment, file, position, empty: Vec::new(), starts: Vec::new() }
    }

    /// Commits what waits, as one frame.
    pub(super) fn step(&mut self, engine: &Engine) -> Step {
        let taken = {
            let mut queue = engine.queue();
            if queue.is_failed() {
                return Step::Failed;
            }
            let left = frames_end(engine.options.segment_bytes).saturating_sub(self.position);
            queue.take(left, std::mem::take(&mut self.empty))
        };
        let Some(taken) = taken else { return Step::Idle };
        match self.commit(engine, taken) {
            Ok(()) => Step::Committed,
            Err(message) => {
                engine.fail(message);
                Step::Failed
            }
        }
    }

    /// Makes the mark behind the last frame durable too.
    pub(super) fn finish(&mut self, engine: &Engine) -> Result<(), String> {
        if engine.queue().is_failed() {
            return Ok(());
        }
        self.sync(engine)
    }

    fn commit(&mut self, engine: &Engine, taken: Taken) -> Result<(), String> {
        let Taken { mut frame, first_lsn, batches, roll } = taken;
        if let Some(spare) = roll {
            self.segment = spare.segment;
            self.file = spare.file;
            self.position = FRAMES_START;
            engine.files.keep(self.segment.log_key(), Arc::clone(&self.file));
            engine.index_mut().open_segment(Arc::clone(&self.segment));
            engine.call_housekeeper();
        }
        self.index_records(engine, &mut frame)?;
        self.seal_records(&mut frame);
        FrameHeader::seal(&mut frame, &self.segment.uuid, first_lsn, batches);
        frame.resize(frame.len().next_multiple_of(super::format::FRAME_ALIGN as usize), 0);
        self.write(engine, &frame)?;
        self.sync(engine)?;
        self.position += frame.len() as u64;
        self.mark(engine, first_lsn + u64::from(batches))?;

        self.segment.set_durable_end(self.position);
        engine.counters.log_bytes.fetch_add(frame.len() as u64, Ordering::Relaxed);
        engine.queue().in_flight_bytes = 0;
        let durable = Lsn(first_lsn + u64::from(batches) - 1);
        engine.watermark.send_modify(|state| state.durable = durable);
        self.empty = recycle(frame);
        Ok(())
    }

    /// Enters the appends into the index, where readers do not see them before they are durable,
    /// and notes in each where its channel's record before it is.
    fn index_records(&mut self, engine: &Engine, frame: &mut [u8]) -> Result<(), String> {
        let number = self.segment.number;
        let (mut newest_at_ms, mut ended_lives) = (0, 0);
        let mut at = FRAME_HEADER_BYTES;
        self.starts.clear();
        while at < frame.len() {
            let mut index = engine.index_mut();
            for _ in 0..INDEXED_AT_ONCE {
                let Some(rest) = frame.get_mut(at..).filter(|rest| !rest.is_empty()) else { break };
                let (record, bytes) = record::decode(rest).ok_or("a record cannot be read back")?;
                match record {
                    Record::Append(append) => {
                        let position = u32::try_from(self.position + at as u64)
                            .map_err(|_| "a position behind the end of a segment")?;
                        newest_at_ms = newest_at_ms.max(append.at_ms);
                        let previous =
                            index.append(number, append.channel, append.offset, position)?;
                        record::set_previous_segment(rest, previous);
                    }
                    Record::Drop { channel } => ended_lives += u64::from(index.end_life(channel)),
                    Record::Put { .. } | Record::Delete { .. } => {}
                }
                self.starts.push(at);
                at += bytes;
            }
        }
        self.segment.note_at_ms(newest_at_ms);
        engine.counters.ended_lives.fetch_add(ended_lives, Ordering::Relaxed);
        Ok(())
    }

    fn seal_records(&self, frame: &mut [u8]) {
        let ends = self.starts.iter().skip(1).copied().chain([frame.len()]);
        for (start, end) in self.starts.iter().zip(ends) {
            if let Some(record) = frame.get_mut(*start..end) {
                record::seal(record);
            }
        }
    }

    /// Notes behind the last frame that it is durable. Without a sync of its own: a killed process
    /// leaves the mark in memory, and the system brings it to the disk in its own time.
    fn mark(&self, engine: &Engine, next_lsn: u64) -> Result<(), String> {
        // A folder of an earlier version may have a segment that is full to its end.
        if self.position > frames_end(engine.options.segment_bytes) {
            return Ok(());
        }
        self.write(engine, &FrameHeader::mark(&self.segment.uuid, next_lsn))
    }

    fn write(&self, engine: &Engine, frame: &[u8]) -> Result<(), String> {
        let written = self.file.write_at(frame, self.position);
        written.map_err(|error| self.tell(engine, "cannot write", &error))
    }

    fn sync(&self, engine: &Engine) -> Result<(), String> {
        self.file.sync_data().map_err(|error| self.tell(engine, "cannot sync", &error))?;
        engine.counters.syncs.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn tell(&self, engine: &Engine, what: &str, error: &std::io::Error) -> String {
        let path = engine.layout.segment(self.segment.number);
        format!("{what} {} at byte {}: {error}", path.display(), self.position)
    }
}

/// One step; [`Step::Failed`] also before recovery.
pub(super) fn step(engine: &Engine) -> Step {
    engine.committer().as_mut().map_or(Step::Failed, |committer| committer.step(engine))
}

/// Ends the log cleanly.
pub(super) fn finish(engine: &Engine) {
    if let Some(committer) = engine.committer().as_mut()
        && let Err(message) = committer.finish(engine)
    {
        engine.fail(message);
    }
    engine.is_closed.send_replace(true);
}

/// The life of the committer's thread.
pub(super) fn run(engine: &Engine) {
    let mut last_commit = None;
    loop {
        wait_for_work(engine, last_commit);
        if engine.is_stopping() {
            return;
        }
        let started = Instant::now();
        match step(engine) {
            Step::Committed => last_commit = Some(started),
            Step::Failed => return,
            Step::Idle if engine.queue().is_closed() => return finish(engine),
            Step::Idle => {}
        }
    }
}

/// Returns when batches wait and the last commit began long enough ago, or on the way out.
fn wait_for_work(engine: &Engine, last_commit: Option<Instant>) {
    let interval = engine.options.min_sync_interval;
    let mut queue = engine.queue();
    loop {
        if engine.is_stopping() || queue.is_failed() || queue.is_closed() {
            return;
        }
        let pause = last_commit
            .map(|begun| interval.saturating_sub(begun.elapsed()))
            .filter(|pause| !pause.is_zero());
        if let Some(pause) = pause {
            let waited = engine.queue_changed().wait_timeout(queue, pause);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        } else if queue.has_work() {
            return;
        } else {
            queue.is_idle = true;
            queue = engine.queue_changed().wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.is_idle = false;
        }
    }
}
