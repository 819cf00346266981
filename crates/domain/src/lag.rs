//! What groups have left to settle, counted as it changes.
//!
//! An entry exists for each group and lite topic with something left; a lite topic that is settled
//! costs nothing here. Who changes a position, or what is stored, sets the entry from what is then.

use std::collections::{BTreeMap, BTreeSet};

use crate::group::GroupId;
use crate::time::Timestamp;

/// What a group has left in a lite topic at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    /// Messages that are not settled.
    pub(crate) unsettled: u64,
    /// Of these, handed out and not visible.
    pub(crate) in_flight: u64,
    /// Offset of the oldest of them.
    pub(crate) oldest: u64,
    /// Offset of the newest message.
    pub(crate) newest: u64,
    /// When the newest message was stored.
    pub(crate) newest_at: Timestamp,
    /// No message is older.
    pub(crate) created_at: Timestamp,
}

/// What a group has left in a lite topic, with what is known of its age. When a message was stored
/// stands with the message and not in memory, so only two moments are kept: that of the oldest, and
/// that of one that will be the oldest later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lag {
    pub(crate) unsettled: u64,
    pub(crate) in_flight: u64,
    pub(crate) oldest: u64,
    /// When the oldest was stored; no later than that, unless it `is_exact`.
    pub(crate) stored_at: Timestamp,
    pub(crate) is_exact: bool,
    /// A later message and when it was stored.
    mark: (u64, Timestamp),
}

impl Lag {
    fn new(left: &Left) -> Self {
        let unknown = (left.oldest, left.created_at);
        Self::of(left, unknown, false, (left.newest, left.newest_at)).with_mark(left)
    }

    fn of(left: &Left, oldest: (u64, Timestamp), is_exact: bool, mark: (u64, Timestamp)) -> Self {
        let Left { unsettled, in_flight, .. } = *left;
        Self { unsettled, in_flight, oldest: oldest.0, stored_at: oldest.1, is_exact, mark }
    }

    /// What is left now, after what was.
    fn then(self, left: &Left) -> Self {
        if left.oldest < self.oldest {
            return Self::new(left);
        }
        let is_same = left.oldest == self.oldest;
        let oldest = (left.oldest, self.stored_at);
        Self::of(left, oldest, is_same && self.is_exact, self.mark).with_mark(left)
    }

    /// The mark that was reached says how old the oldest is; a new one is set.
    fn with_mark(mut self, left: &Left) -> Self {
        if self.mark.0 > self.oldest {
            return self;
        }
        let is_exact = self.mark.0 == self.oldest;
        if is_exact || self.mark.1 > self.stored_at {
            (self.stored_at, self.is_exact) = (self.mark.1, is_exact || self.is_exact);
        }
        self.mark = (left.newest, left.newest_at);
        if self.mark.0 == self.oldest {
            (self.stored_at, self.is_exact) = (self.mark.1, true);
        }
        self
    }
}

/// Sums over the lite topics of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LagSum {
    pub(crate) unsettled: u64,
    pub(crate) in_flight: u64,
    pub(crate) lite_topics: u64,
}

/// What all groups have left.
#[derive(Debug, Default)]
pub(crate) struct Lags {
    lags: BTreeMap<(GroupId, u32), Lag>,
    by_age: BTreeSet<(GroupId, Timestamp, u32)>,
    sums: BTreeMap<GroupId, LagSum>,
}

impl Lags {
    /// What a group has left in a slot now.
    pub(crate) fn set(&mut self, group: GroupId, slot: u32, left: Option<Left>) {
        let Some(left) = left.filter(|left| left.unsettled > 0) else {
            return self.remove(group, slot);
        };
        let before = self.lags.get(&(group, slot)).copied();
        let after = before.map_or_else(|| Lag::new(&left), |before| before.then(&left));
        if before == Some(after) {
            return;
        }
        self.put(group, slot, before, after);
    }

    /// A group has nothing left in a slot, or nothing to do with it.
    pub(crate) fn remove(&mut self, group: GroupId, slot: u32) {
        let Some(before) = self.lags.remove(&(group, slot)) else { return };
        self.by_age.remove(&(group, before.stored_at, slot));
        let Some(sum) = self.sums.get_mut(&group) else { return };
        sum.unsettled -= before.unsettled;
        sum.in_flight -= before.in_flight;
        sum.lite_topics -= 1;
        if sum.lite_topics == 0 {
            self.sums.remove(&group);
        }
    }

    /// Somebody has read when the oldest message was stored.
    pub(crate) fn set_stored_at(&mut self, group: GroupId, slot: u32, offset: u64, at: Timestamp) {
        let Some(before) = self.lags.get(&(group, slot)).copied() else { return };
        if before.oldest == offset {
            self.put(group, slot, Some(before), Lag { stored_at: at, is_exact: true, ..before });
        }
    }

    pub(crate) fn get(&self, group: GroupId, slot: u32) -> Option<&Lag> {
        self.lags.get(&(group, slot))
    }

    pub(crate) fn sum(&self, group: GroupId) -> LagSum {
        self.sums.get(&group).copied().unwrap_or_default()
    }

    /// Groups that have something left.
    pub(crate) fn groups(&self) -> impl Iterator<Item = GroupId> {
        self.sums.keys().copied()
    }

    /// Slots in which a group has something left, from one on.
    pub(crate) fn of_group(&self, group: GroupId, first: u32) -> impl Iterator<Item = (u32, &Lag)> {
        self.lags.range((group, first)..=(group, u32::MAX)).map(|((_, slot), lag)| (*slot, lag))
    }

    /// The same, by what is known of their ages, the oldest first.
    pub(crate) fn oldest_of(&self, group: GroupId) -> impl Iterator<Item = (u32, &Lag)> {
        let all = (group, Timestamp(0), 0)..=(group, Timestamp(u64::MAX), u32::MAX);
        self.by_age
            .range(all)
            .filter_map(move |(_, _, slot)| Some((*slot, self.get(group, *slot)?)))
    }

    /// Every entry, for the audit.
    pub(crate) fn all(&self) -> impl Iterator<Item = (GroupId, u32, &Lag)> {
        self.lags.iter().map(|((group, slot), lag)| (*group, *slot, lag))
    }

    /// Whether sums and the order by age are those of the entries; for the audit.
    pub(crate) fn is_sound(&self) -> bool {
        let mut sums = BTreeMap::<GroupId, LagSum>::new();
        for (group, _, lag) in self.all() {
            let sum = sums.entry(group).or_default();
            sum.unsettled += lag.unsettled;
            sum.in_flight += lag.in_flight;
            sum.lite_topics += 1;
        }
        let is_filed = |(group, slot, lag): (GroupId, u32, &Lag)| {
            self.by_age.contains(&(group, lag.stored_at, slot))
        };
        sums == self.sums && self.by_age.len() == self.lags.len() && self.all().all(is_filed)
    }

    fn put(&mut self, group: GroupId, slot: u32, before: Option<Lag>, after: Lag) {
        let sum = self.sums.entry(group).or_default();
        if let Some(before) = before {
            sum.unsettled -= before.unsettled;
            sum.in_flight -= before.in_flight;
        } else {
            sum.lite_topics += 1;
        }
        sum.unsettled += after.unsettled;
        sum.in_flight += after.in_flight;
        let is_filed = before.is_some_and(|before| before.stored_at == after.stored_at);
        if !is_filed {
            if let Some(before) = before {
                self.by_age.remove(&(group, before.stored_at, slot));
            }
            self.by_age.insert((group, after.stored_at, slot));
        }
        self.lags.insert((group, slot), after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: GroupId = GroupId(1);

    /// A lite topic of which the messages `oldest` to `newest` are left; message n was stored in
    /// second n.
    fn left(oldest: u64, newest: u64) -> Option<Left> {
        Some(Left {
            unsettled: newest + 1 - oldest,
            in_flight: 0,
            oldest,
            newest,
            newest_at: Timestamp(newest * 1000),
            created_at: Timestamp(0),
        })
    }

    fn known(lags: &Lags) -> (u64, bool) {
        let lag = lags.get(GROUP, 0).unwrap();
        (lag.stored_at.0 / 1000, lag.is_exact)
    }

    #[test]
    fn a_message_that_comes_when_nothing_is_left_has_a_known_age() {
        let mut lags = Lags::default();
        lags.set(GROUP, 0, left(5, 5));
        lags.set(GROUP, 0, left(5, 6));
        assert_eq!(known(&lags), (5, true));
    }

    #[test]
    fn what_is_known_of_an_age_is_never_too_young_and_follows_the_position() {
        let mut lags = Lags::default();
        let mut oldest = 5;
        for newest in 5..200_u64 {
            lags.set(GROUP, 0, left(oldest, newest));
            if newest % 7 != 0 {
                oldest = (oldest + 1).min(newest);
                lags.set(GROUP, 0, left(oldest, newest));
            }
            let (at, is_exact) = known(&lags);
            assert!(at <= oldest && (!is_exact || at == oldest), "{at} of {oldest}..={newest}");
            let backlog = newest - oldest + 1;
            assert!(at + 2 * backlog + 2 >= oldest, "{at} of {oldest}..={newest}");
        }
    }

    #[test]
    fn what_was_read_of_an_age_holds_until_the_position_moves() {
        let mut lags = Lags::default();
        lags.set(GROUP, 0, left(5, 9));
        assert_eq!(known(&lags), (0, false));
        lags.set_stored_at(GROUP, 0, 4, Timestamp(4000));
        assert_eq!(known(&lags), (0, false));
        lags.set_stored_at(GROUP, 0, 5, Timestamp(5000));
        assert_eq!(known(&lags), (5, true));
        lags.set(GROUP, 0, left(6, 9));
        assert_eq!(known(&lags), (5, false));
        lags.set(GROUP, 0, left(9, 9));
        assert_eq!(known(&lags), (9, true));
        lags.set(GROUP, 0, None);
        assert!(lags.is_sound() && lags.sum(GROUP) == LagSum::default());
    }
}
