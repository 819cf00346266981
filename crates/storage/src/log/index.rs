//! What is in memory about channels and segments: heads, open segments' entries, sealed
//! segments' indexes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::ChannelRef;
use crate::disk::DiskFile;

use super::entries::{Entries, Link, Previous};
use super::files::{FileKey, Life};
use super::format::{FRAMES_START, SegmentHeader, Uuid};
use super::heads::{Head, Heads, NO_ENTRY};
use super::sealed::SealedIndex;

/// One segment of the log.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u32,
    pub(super) uuid: Uuid,
    /// Length of its file.
    pub(super) file_bytes: u64,
    life: Life,
    /// Frames before this position are durable; readers see nothing behind it.
    durable_end: AtomicU64,
    newest_at_ms: AtomicU64,
    /// Set before the file gets another life: what a reader finds in it from then on means
    /// nothing.
    retired: AtomicBool,
    /// Its files, once others take their names.
    replaced: Mutex<Option<Replaced>>,
}

/// The files of a segment that was compacted, for those who found it before.
#[derive(Debug, Clone)]
pub(super) struct Replaced {
    pub(super) log: Arc<dyn DiskFile>,
    pub(super) index: Arc<dyn DiskFile>,
}

impl Segment {
    pub(super) fn new(header: &SegmentHeader) -> Self {
        Self::of_life(header, Life::default())
    }

    /// The segment after its compaction.
    pub(super) fn compacted(&self, header: &SegmentHeader) -> Self {
        Self::of_life(header, Life(self.life.0.wrapping_add(1)))
    }

    fn of_life(header: &SegmentHeader, life: Life) -> Self {
        Self {
            number: header.number,
            uuid: header.uuid,
            file_bytes: header.file_bytes,
            life,
            durable_end: AtomicU64::new(FRAMES_START),
            newest_at_ms: AtomicU64::new(0),
            retired: AtomicBool::new(false),
            replaced: Mutex::default(),
        }
    }

    pub(super) fn log_key(&self) -> FileKey {
        FileKey::Segment(self.number, self.life)
    }

    pub(super) fn index_key(&self) -> FileKey {
        FileKey::Index(self.number, self.life)
    }

    pub(super) fn durable_end(&self) -> u64 {
        self.durable_end.load(Ordering::Acquire)
    }

    pub(super) fn set_durable_end(&self, position: u64) {
        self.durable_end.store(position, Ordering::Release);
    }

    pub(super) fn newest_at_ms(&self) -> u64 {
        self.newest_at_ms.load(Ordering::Acquire)
    }

    pub(super) fn note_at_ms(&self, at_ms: u64) {
        self.newest_at_ms.fetch_max(at_ms, Ordering::AcqRel);
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// Before other files take the names of these.
    pub(super) fn replace(&self, files: Replaced) {
        *self.replaced.lock().unwrap_or_else(PoisonError::into_inner) = Some(files);
        self.retire();
    }

    /// No other files took the names after all.
    pub(super) fn stay(&self) {
        *self.replaced.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.retired.store(false, Ordering::Release);
    }

    pub(super) fn replaced(&self) -> Option<Replaced> {
        self.replaced.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How the records of a segment are found.
#[derive(Debug)]
pub(super) enum Lookup {
    /// Entries in memory.
    Open(Entries),
    /// An index file.
    Sealed(Arc<SealedIndex>),
}

/// A segment with its lookup.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) segment: Arc<Segment>,
    pub(super) lookup: Lookup,
}

/// All channels and segments.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) heads: Heads,
    pub(super) segments: BTreeMap<u32, Held>,
}

impl Index {
    pub(super) fn open_segment(&mut self, segment: Arc<Segment>) {
        let held = Held { segment: Arc::clone(&segment), lookup: Lookup::Open(Entries::default()) };
        self.segments.insert(segment.number, held);
    }

    /// Adds the record that will be at `position` of `segment`; answers the segment of the
    /// channel's record before it. `Err` says how the caller broke the order of the channel.
    pub(super) fn append(
        &mut self,
        segment: u32,
        channel: ChannelRef,
        offset: u64,
        position: u32,
    ) -> Result<u32, String> {
        let Self { heads, segments } = self;
        let entries = open_entries(segments, segment).ok_or("the segment is not open")?;
        heads.update(channel, |head| {
            let life = match channel.generation {
                generation if generation == head.generation && !head.is_dropped() => *head,
                generation if generation > head.generation => Head::born(generation),
                _ => return Err(format!("{channel:?} is of a life that has ended")),
            };
            if life.next != offset as u32 || (life.segment == 0 && life.next == 0 && offset != 0) {
                return Err(format!("{channel:?} has no place for offset {offset}"));
            }
            let previous = link(&life, segment, life.segment);
            let entry = entries.push(offset, position, previous);
            *head = Head {
                generation: life.generation,
                segment,
                entry,
                next: life.next.wrapping_add(1),
            };
            Ok(life.segment)
        })
    }

    /// Ends a life of a channel; whether it had records that are now nobody's.
    pub(super) fn end_life(&mut self, channel: ChannelRef) -> bool {
        self.heads.update(channel, |head| {
            let had_records = head.segment != 0 && channel.generation >= head.generation;
            if channel.generation >= head.generation {
                *head = Head::dropped(channel.generation);
            }
            had_records
        })
    }

    /// Whether records of this life may still be read.
    pub(super) fn is_alive(&self, channel: ChannelRef) -> bool {
        let head = self.heads.get(channel);
        channel.generation > head.generation
            || (channel.generation == head.generation && !head.is_dropped())
    }

    /// Takes over a head from a checkpoint. What `replayed_from` and later segments hold of the
    /// channel follows from the log.
    pub(super) fn restore_head(&mut self, channel: ChannelRef, saved: Head, replayed_from: u32) {
        let segment = if saved.segment < replayed_from { saved.segment } else { 0 };
        self.heads.update(channel, |head| *head = Head { segment, ..saved });
    }

    /// Adds a record found in the log. The head may be ahead of it, when it comes from a
    /// checkpoint: it catches up with the rest of the log.
    pub(super) fn replay_append(
        &mut self,
        segment: u32,
        channel: ChannelRef,
        offset: u64,
        position: u32,
        previous_segment: u32,
    ) {
        let Self { heads, segments } = self;
        let entries = open_entries(segments, segment);
        heads.update(channel, |head| {
            let ended = channel.generation < head.generation
                || (channel.generation == head.generation && head.is_dropped());
            if ended {
                return;
            }
            let life = match channel.generation == head.generation {
                true => *head,
                false => Head::born(channel.generation),
            };
            let entry = entries.map_or(NO_ENTRY, |entries| {
                entries.push(offset, position, link(&life, segment, previous_segment))
            });
            let next = (offset as u32).wrapping_add(1);
            *head = Head { generation: channel.generation, segment, entry, next };
        });
    }

    /// Segments no record of which is found through memory only.
    pub(super) fn unsealed(&self) -> impl Iterator<Item = &Arc<Segment>> {
        self.segments
            .values()
            .filter(|held| matches!(held.lookup, Lookup::Open(_)))
            .map(|held| &held.segment)
    }
}

fn open_entries(segments: &mut BTreeMap<u32, Held>, segment: u32) -> Option<&mut Entries> {
    match &mut segments.get_mut(&segment)?.lookup {
        Lookup::Open(entries) => Some(entries),
        Lookup::Sealed(_) => None,
    }
}

/// How a new record in `segment` hangs on the channel's record before it.
fn link(head: &Head, segment: u32, previous_segment: u32) -> Previous {
    if head.segment == segment && head.entry != NO_ENTRY {
        return Previous::Entry(head.entry);
    }
    let entry = if head.segment == previous_segment { head.entry } else { NO_ENTRY };
    Previous::Segment(Link { segment: previous_segment, entry })
}
