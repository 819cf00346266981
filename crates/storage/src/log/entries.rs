//! The records of a segment that is not sealed yet, chained per channel from new to old.
//!
//! Besides the entry before it, each entry knows one far older one, chosen so that any offset of
//! a channel is found in a logarithmic number of steps.

use super::heads::NO_ENTRY;

const CHUNK_ENTRIES: usize = 4096;
/// Marks `Entry::previous` as a segment number: the chain leaves this segment.
const SEGMENT_FLAG: u32 = 1 << 31;

/// One record of the segment.
#[derive(Debug, Clone, Copy)]
struct Entry {
    offset_low: u32,
    offset_high: u32,
    position: u32,
    /// The entry before it; of a first one the older segment, with [`SEGMENT_FLAG`].
    previous: u32,
    /// The far entry; of a first one the entry in the older segment.
    jump: u32,
}

impl Entry {
    fn offset(&self) -> u64 {
        u64::from(self.offset_high) << 32 | u64::from(self.offset_low)
    }

    fn previous(&self) -> Previous {
        if self.previous & SEGMENT_FLAG == 0 {
            Previous::Entry(self.previous)
        } else {
            Previous::Segment(Link { segment: self.previous & !SEGMENT_FLAG, entry: self.jump })
        }
    }
}

/// A place in an older segment; segment 0 is the end of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) segment: u32,
    /// The entry there, or [`NO_ENTRY`] when that segment was sealed.
    pub(super) entry: u32,
}

impl Link {
    const END: Self = Self { segment: 0, entry: NO_ENTRY };
}

/// Where a chain goes on before an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Previous {
    /// An entry of the same segment.
    Entry(u32),
    /// An older segment.
    Segment(Link),
}

/// The part of a channel that one segment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first_offset: u64,
    pub(super) count: u64,
    pub(super) previous: Link,
}

/// All records of one segment, in log order.
#[derive(Debug, Default)]
pub(super) struct Entries {
    chunks: Vec<Vec<Entry>>,
}

impl Entries {
    /// Adds a record behind `previous` of its channel; answers its entry.
    pub(super) fn push(&mut self, offset: u64, position: u32, previous: Previous) -> u32 {
        let entry = self.len();
        let (previous, jump) = match previous {
            Previous::Entry(parent) => (parent, self.jump_behind(parent)),
            Previous::Segment(link) => (link.segment | SEGMENT_FLAG, link.entry),
        };
        let record = Entry {
            offset_low: offset as u32,
            offset_high: (offset >> 32) as u32,
            position,
            previous,
            jump,
        };
        match self.chunks.last_mut().filter(|chunk| chunk.len() < CHUNK_ENTRIES) {
            Some(chunk) => chunk.push(record),
            None => {
                let mut chunk = Vec::with_capacity(CHUNK_ENTRIES);
                chunk.push(record);
                self.chunks.push(chunk);
            }
        }
        entry
    }

    /// The run that ends with `head`, as far as its records lie before `end`; with it the entry
    /// of its newest record. `Err` tells where the chain goes on when none of them does.
    pub(super) fn run(&self, head: u32, end: u64) -> Result<(Run, u32), Link> {
        let newest = self.walk(head, |entry| u64::from(entry.position) < end)?;
        let first = self.first(newest);
        let (first_offset, newest_offset) = (self.offset(first), self.offset(newest));
        let previous = match self.get(first).map(Entry::previous) {
            Some(Previous::Segment(link)) => link,
            Some(Previous::Entry(_)) | None => Link::END,
        };
        let count = newest_offset.saturating_sub(first_offset).saturating_add(1);
        Ok((Run { first_offset, count, previous }, newest))
    }

    /// Positions of the records `from..=to` of the run that ends with `newest`, ascending.
    pub(super) fn positions(&self, newest: u32, from: u64, to: u64) -> Vec<u32> {
        let mut positions = Vec::new();
        let Ok(mut at) = self.walk(newest, |entry| entry.offset() <= to) else {
            return positions;
        };
        while let Some(entry) = self.get(at).filter(|entry| entry.offset() >= from) {
            positions.push(entry.position);
            match entry.previous() {
                Previous::Entry(previous) => at = previous,
                Previous::Segment(_) => break,
            }
        }
        positions.reverse();
        positions
    }

    /// The newest entry at or behind `start` that is `old_enough`; `Err` is the older segment
    /// when none is. Once an entry is old enough, so are all behind it.
    fn walk(&self, start: u32, old_enough: impl Fn(&Entry) -> bool) -> Result<u32, Link> {
        let mut at = start;
        loop {
            let entry = self.get(at).ok_or(Link::END)?;
            if old_enough(entry) {
                return Ok(at);
            }
            let previous = match entry.previous() {
                Previous::Segment(link) => return Err(link),
                Previous::Entry(previous) => previous,
            };
            let is_far = self.get(entry.jump).is_some_and(|target| !old_enough(target));
            at = if is_far { entry.jump } else { previous };
        }
    }

    fn first(&self, from: u32) -> u32 {
        let mut at = from;
        while let Some(entry) = self.get(at) {
            match entry.previous() {
                Previous::Entry(_) => at = entry.jump,
                Previous::Segment(_) => break,
            }
        }
        at
    }

    /// The far entry of a new one behind `parent`: twice as far as the parent's when the two
    /// jumps before it had the same length.
    fn jump_behind(&self, parent: u32) -> u32 {
        let jump = self.jump(parent);
        let jump_twice = self.jump(jump);
        let near = self.offset(parent).saturating_sub(self.offset(jump));
        let far = self.offset(jump).saturating_sub(self.offset(jump_twice));
        if near == far { jump_twice } else { parent }
    }

    /// The far entry of `entry`; a first one has only itself.
    fn jump(&self, entry: u32) -> u32 {
        match self.get(entry) {
            Some(found) if found.previous & SEGMENT_FLAG == 0 => found.jump,
            _ => entry,
        }
    }

    fn offset(&self, entry: u32) -> u64 {
        self.get(entry).map_or(0, Entry::offset)
    }

    fn len(&self) -> u32 {
        let full = self.chunks.len().saturating_sub(1) * CHUNK_ENTRIES;
        (full + self.chunks.last().map_or(0, Vec::len)) as u32
    }

    fn get(&self, entry: u32) -> Option<&Entry> {
        self.chunks.get(entry as usize / CHUNK_ENTRIES)?.get(entry as usize % CHUNK_ENTRIES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAIN: u32 = 10_000;
    const OLDER: Link = Link { segment: 7, entry: 3 };

    /// One channel whose records have even positions, every one but the first behind another.
    fn chain() -> Entries {
        let mut entries = Entries::default();
        for number in 0..CHAIN {
            let previous = match number {
                0 => Previous::Segment(OLDER),
                _ => Previous::Entry(number - 1),
            };
            assert_eq!(entries.push(100 + u64::from(number), number * 2, previous), number);
        }
        entries
    }

    #[test]
    fn run_spans_from_the_first_record_to_the_newest_before_the_end() {
        let entries = chain();
        for end in [1, 2, 3, 4_095, 4_096, 4_097, 12_345, u64::from(CHAIN) * 2] {
            let (run, newest) = entries.run(CHAIN - 1, end).expect("some record is before the end");
            assert_eq!(run.first_offset, 100);
            assert_eq!(run.count, end.div_ceil(2));
            assert_eq!(run.previous, OLDER);
            assert_eq!(u64::from(newest), end.div_ceil(2) - 1);
        }
    }

    #[test]
    fn chain_goes_on_in_the_older_segment_when_nothing_is_visible() {
        assert_eq!(chain().run(CHAIN - 1, 0), Err(OLDER));
    }

    #[test]
    fn positions_of_any_range_come_in_ascending_order() {
        let entries = chain();
        for from in (0..u64::from(CHAIN)).step_by(997) {
            let to = from + 31;
            let expected: Vec<u32> =
                (from..=to).filter(|at| *at < u64::from(CHAIN)).map(|at| at as u32 * 2).collect();
            assert_eq!(entries.positions(CHAIN - 1, 100 + from, 100 + to), expected);
        }
    }

    #[test]
    fn any_offset_of_a_long_chain_is_found_in_few_steps() {
        let entries = chain();
        for target in 0..u64::from(CHAIN) {
            let steps = std::cell::Cell::new(0);
            let found = entries.walk(CHAIN - 1, |entry| {
                steps.set(steps.get() + 1);
                entry.offset() <= 100 + target
            });
            assert_eq!(found.map(u64::from), Ok(target));
            assert!(steps.get() < 100, "{} looks for offset {target}", steps.get());
        }
    }
}
