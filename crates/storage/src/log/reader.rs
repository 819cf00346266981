//! Finds and reads the records of a channel.

use std::io;
use std::sync::Arc;

use crate::disk::DiskFile;
use crate::{ChannelRef, ReadLimit, ReadPage, StoreError};

use super::breath::Breath;
use super::engine::Engine;
use super::entries::{Link, Run};
use super::files::{Access, ReadFault, corrupt, io_error};
use super::heads::Head;
use super::housekeeper;
use super::index::{Lookup, Segment};
use super::sealed::{SealedIndex, SealedRun};
use super::span::{Filling, Span};

/// A segment may be sealed, removed or indexed anew while it is read, each time once per try.
const TRIES_MAX: usize = 8;

/// Why a page could not be read.
#[derive(Debug)]
pub(super) enum PageFault {
    /// Not in memory, and the caller did not want to wait.
    WouldWait,
    /// What to tell the caller.
    Store(StoreError),
    /// A segment changed meanwhile: look again.
    Moved,
}

/// Reads a page. [`PageFault::Moved`] never comes out.
pub(super) fn read_page(
    engine: &Engine,
    channel: ChannelRef,
    from: u64,
    limit: ReadLimit,
    access: Access,
) -> Result<ReadPage, PageFault> {
    let page = Page { engine, channel, from, limit, access };
    for _ in 0..TRIES_MAX {
        match page.read() {
            Err(PageFault::Moved) => {}
            answer => return answer,
        }
    }
    Err(PageFault::Store(StoreError::Io {
        path: engine.layout.log_dir.clone(),
        message: "segments changed faster than they could be read".into(),
    }))
}

/// A channel's part of one segment.
#[derive(Debug)]
struct Part {
    segment: Arc<Segment>,
    run: Run,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Entries in memory; the newest of the run.
    Open {
        newest: u32,
    },
    Sealed {
        index: Arc<SealedIndex>,
        found: SealedRun,
    },
}

/// What a segment says about a channel.
#[derive(Debug)]
enum Step {
    Found(Part),
    /// Nothing visible here: look further back.
    Nothing(Link),
    /// Here the chain ends, or its rest was removed.
    End,
}

struct Page<'e> {
    engine: &'e Engine,
    channel: ChannelRef,
    from: u64,
    limit: ReadLimit,
    access: Access,
}

impl Page<'_> {
    fn read(&self) -> Result<ReadPage, PageFault> {
        let head = self.engine.index().heads.get(self.channel);
        if head.generation != self.channel.generation || head.is_dropped() {
            return Ok(ReadPage::default());
        }
        let parts = self.parts(Link { segment: head.segment, entry: head.entry })?;
        let Some(oldest) = parts.last() else {
            let first_retained = self.next_offset(&head).filter(|next| *next > self.from);
            return Ok(ReadPage { records: Vec::new(), first_retained });
        };
        let start = self.from.max(oldest.run.first_offset);
        let mut filling = Filling::new(self.limit);
        for part in parts.iter().rev() {
            let at = start.saturating_add(filling.records.len() as u64);
            if !self.fill(part, at, &mut filling)? {
                break;
            }
        }
        let first_retained = (start > self.from).then_some(start);
        Ok(ReadPage { records: filling.records, first_retained })
    }

    /// The channel's parts from new to old, until one reaches back to the wanted offset.
    fn parts(&self, newest: Link) -> Result<Vec<Part>, PageFault> {
        let mut parts = Vec::new();
        let mut at = newest;
        loop {
            at = match self.step(at)? {
                Step::Found(part) => {
                    let (reaches, previous) =
                        (part.run.first_offset <= self.from, part.run.previous);
                    parts.push(part);
                    if reaches {
                        return Ok(parts);
                    }
                    self.older(at, previous)?
                }
                Step::Nothing(previous) => self.older(at, previous)?,
                Step::End => return Ok(parts),
            };
        }
    }

    /// A chain leads to older and older segments, so it has an end.
    fn older(&self, at: Link, previous: Link) -> Result<Link, PageFault> {
        if previous.segment < at.segment {
            return Ok(previous);
        }
        let path = self.engine.layout.segment(at.segment);
        Err(PageFault::Store(corrupt(&path, 0, "a record follows one that is not older")))
    }

    fn step(&self, at: Link) -> Result<Step, PageFault> {
        let (segment, index) = {
            let index = self.engine.index();
            let Some(held) = index.segments.get(&at.segment) else { return Ok(Step::End) };
            let segment = Arc::clone(&held.segment);
            match &held.lookup {
                Lookup::Open(entries) => {
                    return Ok(match entries.run(at.entry, segment.durable_end()) {
                        Ok((run, newest)) => {
                            Step::Found(Part { segment, run, place: Place::Open { newest } })
                        }
                        Err(previous) => Step::Nothing(previous),
                    });
                }
                Lookup::Sealed(sealed) => (segment, Arc::clone(sealed)),
            }
        };
        let found = self.sealed(&segment, &index, |file| {
            match index.find(file, self.channel, self.access)? {
                // The life has ended since, and the segment was compacted.
                None if !self.engine.index().is_alive(self.channel) => Ok(None),
                None => Err(ReadFault::Damaged("a channel is missing from the index")),
                found => Ok(found),
            }
        })?;
        let found = found.ok_or(PageFault::Moved)?;
        Ok(Step::Found(Part { segment, run: found.run, place: Place::Sealed { index, found } }))
    }

    /// The offset after the newest record, when all records are gone by retention.
    fn next_offset(&self, head: &Head) -> Option<u64> {
        let oldest = self.engine.index().segments.first_key_value().map(|(number, _)| *number)?;
        let is_removed = head.segment != 0 && head.segment < oldest;
        let ahead = u64::from(head.next.wrapping_sub(self.from as u32));
        is_removed.then(|| self.from.saturating_add(ahead))
    }

    /// Adds the records of a part from offset `at` on; whether the page can take more.
    fn fill(&self, part: &Part, at: u64, filling: &mut Filling) -> Result<bool, PageFault> {
        let end = part.run.first_offset.saturating_add(part.run.count);
        let Some(skip) = at.checked_sub(part.run.first_offset) else {
            let path = self.engine.layout.segment(part.segment.number);
            let what = format!(
                "records of {:?} before {} are missing",
                self.channel, part.run.first_offset
            );
            return Err(PageFault::Store(corrupt(&path, 0, what)));
        };
        let count = filling
            .records_left()
            .min(usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX));
        if count == 0 {
            return Ok(!filling.is_full());
        }
        let positions = match &part.place {
            Place::Open { newest } => self.open_positions(part, *newest, at, count)?,
            Place::Sealed { index, found } => self.sealed(&part.segment, index, |file| {
                index.positions(file, found, skip, count, self.access)
            })?,
        };
        let fault =
            |position: u64, fault: ReadFault| self.record_fault(&part.segment, position, fault);
        let file = match part.segment.replaced() {
            Some(replaced) => replaced.log,
            None => {
                let file = self.engine.files.get(part.segment.log_key());
                file.map_err(|error| fault(0, error.into()))?
            }
        };
        let mut span = Span::new(file.as_ref(), part.segment.durable_end(), self.access);
        for (ordinal, position) in positions.iter().enumerate() {
            let ahead = positions.get(ordinal..).unwrap_or_default();
            let record = span
                .record(ahead, self.channel, at.saturating_add(ordinal as u64))
                .map_err(|error| fault(u64::from(*position), error))?;
            if !filling.push(record) {
                return Ok(false);
            }
        }
        Ok(!filling.is_full())
    }

    fn open_positions(
        &self,
        part: &Part,
        newest: u32,
        at: u64,
        count: usize,
    ) -> Result<Vec<u32>, PageFault> {
        let index = self.engine.index();
        match index.segments.get(&part.segment.number).map(|held| &held.lookup) {
            Some(Lookup::Open(entries)) => {
                let last = at.saturating_add(count as u64 - 1);
                Ok(entries.positions(newest, at, last))
            }
            Some(Lookup::Sealed(_)) | None => Err(PageFault::Moved),
        }
    }

    /// Asks an index file; a damaged one is made again from its segment.
    fn sealed<R>(
        &self,
        segment: &Segment,
        index: &Arc<SealedIndex>,
        ask: impl FnOnce(&dyn DiskFile) -> Result<R, ReadFault>,
    ) -> Result<R, PageFault> {
        let file = match segment.replaced() {
            Some(replaced) => Ok(replaced.index),
            None => self.engine.files.get(segment.index_key()).map_err(ReadFault::Io),
        };
        let what = match file.and_then(|file| ask(file.as_ref())) {
            Ok(answer) => return Ok(answer),
            // Also while the segment is compacted: a try that waits finds its old files.
            Err(ReadFault::WouldWait) => return Err(PageFault::WouldWait),
            Err(_) if segment.is_retired() => return Err(PageFault::Moved),
            Err(_) if self.access == Access::Cached => return Err(PageFault::WouldWait),
            Err(ReadFault::Damaged(what)) => what,
            Err(ReadFault::Io(error)) if error.kind() == io::ErrorKind::NotFound => "it is gone",
            Err(ReadFault::Io(error)) => {
                let path = self.engine.layout.index(segment.number);
                return Err(PageFault::Store(io_error(&path, &error)));
            }
        };
        self.index_again(segment, index, what)
    }

    fn index_again<R>(
        &self,
        segment: &Segment,
        damaged: &Arc<SealedIndex>,
        what: &str,
    ) -> Result<R, PageFault> {
        // The housekeeper and other readers write index files too.
        let _chores = self.engine.chores();
        let is_present = match self.engine.index().segments.get(&segment.number) {
            Some(held) => match &held.lookup {
                Lookup::Sealed(present) => Arc::ptr_eq(present, damaged),
                Lookup::Open(_) => false,
            },
            None => false,
        };
        if !is_present {
            return Err(PageFault::Moved);
        }
        tracing::warn!(
            segment = segment.number,
            what,
            "a segment index is made again from the log"
        );
        let sealed = housekeeper::write_index(self.engine, segment, damaged.end, Breath::held())
            .map_err(|error| self.record_fault(segment, 0, error))?;
        housekeeper::install(self.engine, segment, sealed);
        Err(PageFault::Moved)
    }

    /// What a failed read of the log itself means.
    fn record_fault(&self, segment: &Segment, position: u64, fault: ReadFault) -> PageFault {
        let path = self.engine.layout.segment(segment.number);
        match fault {
            ReadFault::WouldWait => PageFault::WouldWait,
            _ if segment.is_retired() => PageFault::Moved,
            ReadFault::Damaged(what) => PageFault::Store(corrupt(&path, position, what)),
            ReadFault::Io(error) => PageFault::Store(io_error(&path, &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::conformance::{Model, append, channel};
    use crate::disk::FaultDisk;
    use crate::log::index::Replaced;
    use crate::{Batch, Drive, LogOptions, LogStore, Op, ShardStore};

    const RECORDS: u64 = 20;

    fn limit() -> ReadLimit {
        ReadLimit { records_max: 100, bytes_max: 1 << 20 }
    }

    /// A store with a segment that two checkpoints have left behind: records of a channel between those of
    /// others that have ended.
    fn store() -> (Arc<FaultDisk>, LogStore) {
        let options = LogOptions {
            segment_bytes: 32 << 10,
            reserve_bytes: 0,
            free_bytes_min: 0,
            ..LogOptions::default()
        };
        let disk = Arc::new(FaultDisk::new());
        let dir = Path::new("/data");
        let store = LogStore::open_on(Arc::clone(&disk) as _, dir, options, Drive::Steps)
            .expect("a new store");
        store.recover(&mut Model::default()).expect("it recovers");
        let take = |ops: Vec<Op>| {
            store.submit(Batch { ops }).expect("it is taken");
            store.step_commit();
        };
        store.step_chore();
        for number in 0..100 {
            take(vec![append(channel(100 + number, 0), 0, "x".repeat(400))]);
            if u64::from(number) < RECORDS {
                take(vec![append(channel(1, 0), u64::from(number), "stays")]);
            }
        }
        for number in 0..100 {
            take(vec![Op::Drop { channel: channel(100 + number, 0) }]);
        }
        while store.step_chore() {}
        (disk, store)
    }

    fn checkpoint(store: &LogStore) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let writer = store.begin_checkpoint().expect("it begins");
        runtime.block_on(writer.finish()).expect("it is finished");
    }

    fn page(engine: &Engine) -> Page<'_> {
        let (channel, limit) = (channel(1, 0), limit());
        Page { engine, channel, from: 0, limit, access: Access::Waiting }
    }

    /// Where a reader finds the records: all in one segment.
    fn part(page: &Page<'_>) -> Part {
        let head = page.engine.index().heads.get(page.channel);
        let parts = page.parts(Link { segment: head.segment, entry: head.entry }).expect("parts");
        let [part] = <[Part; 1]>::try_from(parts).expect("one segment has them all");
        part
    }

    #[test]
    fn reader_that_found_a_segment_before_its_compaction_looks_again() {
        let (_, store) = store();
        checkpoint(&store);
        checkpoint(&store);
        let engine = store.engine();
        let page = page(engine);
        let part = part(&page);
        let path = engine.layout.segment(part.segment.number);
        let slowly_opened = engine.disk.open(&path).expect("the old file");

        while store.step_chore() {}
        assert!(part.segment.is_retired(), "it is compacted");
        // Another reader of the old segment was between opening its file and keeping it open.
        engine.files.keep(part.segment.log_key(), slowly_opened);

        let found = page.fill(&part, 0, &mut Filling::new(limit()));
        assert!(matches!(found, Err(PageFault::Moved)), "{found:?}");
        let found = page.read().expect("the new segment can be read").records;
        assert_eq!(found.len() as u64, RECORDS);
    }

    #[test]
    fn reader_goes_on_with_the_files_of_a_segment_while_others_take_their_names() {
        let (disk, store) = store();
        let engine = store.engine();
        let page = page(engine);
        let part = part(&page);
        let get = |key| engine.files.get(key).expect("it is there");
        let (log, index) = (get(part.segment.log_key()), get(part.segment.index_key()));
        part.segment.replace(Replaced { log, index });
        for key in [part.segment.log_key(), part.segment.index_key()] {
            engine.disk.remove(&key.path(&engine.layout)).expect("the name is gone");
            engine.files.forget(key);
        }
        assert_eq!(page.read().expect("it can be read").records.len() as u64, RECORDS);
        disk.set_cold(true);
        let unwaiting = Page { access: Access::Cached, ..page };
        let found = unwaiting.read();
        assert!(matches!(found, Err(PageFault::WouldWait)), "{found:?}");
    }
}
