//! Positions of groups in lite topics.

use crate::arena::Arena;
use crate::delivery::run::Run;
use crate::group::GroupId;
use crate::lite::NONE;

/// A group's position in one life of one lite topic; 32 bytes. Cursors of a lite topic are chained
/// from its slot.
#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    /// Everything below is settled.
    pub(crate) committed: u64,
    pub(crate) group: GroupId,
    pub(crate) slot: u32,
    pub(crate) generation: u32,
    /// Hand-outs and changes of hand so far.
    pub(crate) epoch: u32,
    /// Number of the in-flight run, or `NONE`.
    pub(crate) run: u32,
    /// The next cursor of the slot, or `NONE`.
    pub(crate) next: u32,
}

impl Default for Cursor {
    fn default() -> Self {
        Self {
            committed: 0,
            group: GroupId(u32::MAX),
            slot: NONE,
            generation: 0,
            epoch: 0,
            run: NONE,
            next: NONE,
        }
    }
}

/// All cursors of a shard and their runs. Idle cursors have no run.
#[derive(Debug, Default)]
pub(crate) struct Cursors {
    cursors: Arena<Cursor>,
    runs: Arena<Run>,
}

impl Cursors {
    pub(crate) fn get(&self, cursor: u32) -> Option<&Cursor> {
        self.cursors.get(cursor)
    }

    pub(crate) fn get_mut(&mut self, cursor: u32) -> Option<&mut Cursor> {
        self.cursors.get_mut(cursor)
    }

    /// The cursor of `group` in the chain that starts at `first`.
    pub(crate) fn find(&self, first: u32, group: GroupId) -> Option<u32> {
        self.chain(first).find(|(_, cursor)| cursor.group == group).map(|(index, _)| index)
    }

    pub(crate) fn chain(&self, first: u32) -> impl Iterator<Item = (u32, &Cursor)> {
        let mut next = first;
        std::iter::from_fn(move || {
            let cursor = self.cursors.get(next)?;
            let index = std::mem::replace(&mut next, cursor.next);
            Some((index, cursor))
        })
    }

    /// How many cursors and runs there are.
    pub(crate) fn in_use(&self) -> (usize, usize) {
        (self.cursors.in_use(), self.runs.in_use())
    }

    pub(crate) fn insert(&mut self, cursor: Cursor) -> u32 {
        self.cursors.insert(cursor)
    }

    /// Forgets the cursor and its run. The caller unlinks it.
    pub(crate) fn remove(&mut self, cursor: u32) -> Option<(Cursor, Option<Run>)> {
        let removed = self.cursors.remove(cursor)?;
        let run = if removed.run == NONE { None } else { self.runs.remove(removed.run) };
        Some((removed, run))
    }

    pub(crate) fn run(&self, cursor: u32) -> Option<&Run> {
        self.runs.get(self.cursors.get(cursor)?.run)
    }

    pub(crate) fn run_mut(&mut self, cursor: u32) -> Option<&mut Run> {
        self.runs.get_mut(self.cursors.get(cursor)?.run)
    }

    /// The cursor's run, started if there is none.
    pub(crate) fn run_or_start(&mut self, cursor: u32) -> Option<&mut Run> {
        let cursor = self.cursors.get_mut(cursor)?;
        if cursor.run == NONE {
            cursor.run = self.runs.insert(Run::default());
        }
        self.runs.get_mut(cursor.run)
    }

    /// Moves the cursor over what is settled. The run ends, and is returned, when nothing is left
    /// of it.
    pub(crate) fn advance(&mut self, index: u32) -> Option<Run> {
        let cursor = self.cursors.get_mut(index)?;
        let run = self.runs.get_mut(cursor.run)?;
        cursor.committed += run.advance();
        if !run.entries.is_empty() {
            return None;
        }
        self.runs.remove(std::mem::replace(&mut cursor.run, NONE))
    }

    /// Drops a cursor's run, as if nothing were in flight; the run.
    pub(crate) fn end_run(&mut self, index: u32) -> Option<Run> {
        let run = std::mem::replace(&mut self.cursors.get_mut(index)?.run, NONE);
        self.runs.remove(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::run::Entry;

    #[test]
    fn an_idle_position_costs_32_bytes_and_a_message_in_flight_48() {
        assert!(size_of::<Cursor>() <= 32, "{}", size_of::<Cursor>());
        assert!(size_of::<Entry>() <= 48, "{}", size_of::<Entry>());
        assert!(size_of::<Run>() <= 64, "{}", size_of::<Run>());
    }
}
