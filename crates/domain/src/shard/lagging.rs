//! Keeping count of what groups have left to settle, and telling it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::background::Work;
use super::{Findings, Invariant, Shard};
use crate::effects::Place;
use crate::group::GroupId;
use crate::lag::{Lag, Left};
use crate::limits::{LIST_NAMES_MAX, SWEEP_SLOTS_PER_STEP};
use crate::lite::SlotState;
use crate::names::LiteTopicName;
use crate::time::Timestamp;

/// What a group has left to settle in all lite topics that it consumes: those in which it has a
/// position or a subscriber, and those that its clients share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupLag {
    /// The group.
    pub group: GroupId,
    /// Messages that are not settled.
    pub lag: u64,
    /// Of these, handed out and not visible; the others are ready.
    pub in_flight: u64,
    /// Lite topics with something left.
    pub lite_topics: u64,
    /// Where the oldest of all is, by what is known.
    pub oldest: Option<LiteLag>,
}

/// What a group has left to settle in one lite topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiteLag {
    /// The lite topic.
    pub name: LiteTopicName,
    /// The oldest message that is not settled.
    pub oldest: Place,
    /// When it was stored; no later than that, unless that `is_exact`.
    pub stored_at: Timestamp,
    /// Whether that is the moment.
    pub is_exact: bool,
    /// Messages that are not settled.
    pub lag: u64,
    /// Of these, handed out and not visible.
    pub in_flight: u64,
}

impl Shard {
    /// What a group has left.
    pub fn lag(&self, now: Timestamp, group: GroupId) -> GroupLag {
        self.told(group, &self.ended(now))
    }

    /// Lite topics in which a group has something left, by what is known of the age of that, the
    /// oldest first; at most `max`, bounded by [`LIST_NAMES_MAX`].
    pub fn oldest(&self, group: GroupId, max: usize) -> Vec<LiteLag> {
        let oldest = self.lags.oldest_of(group).take(max.min(LIST_NAMES_MAX));
        oldest.filter_map(|(slot, lag)| self.lite_lag(slot, lag)).collect()
    }

    /// Those with the most left of the next [`SWEEP_SLOTS_PER_STEP`] lite topics in which a group has
    /// something left, from slot `first` on: at most `max`, the most first; and where the next part
    /// starts.
    pub fn most_lagging(
        &self,
        group: GroupId,
        first: u32,
        max: usize,
    ) -> (Vec<LiteLag>, Option<u32>) {
        let mut part = self.lags.of_group(group, first);
        let mut found: Vec<_> = part.by_ref().take(SWEEP_SLOTS_PER_STEP).collect();
        let next = part.next().map(|(slot, _)| slot);
        found.sort_unstable_by_key(|(slot, lag)| (Reverse(lag.unsettled), *slot));
        found.truncate(max);
        (found.into_iter().filter_map(|(slot, lag)| self.lite_lag(slot, lag)).collect(), next)
    }

    /// Somebody has read when messages were stored, each the oldest that a group has left in its lite
    /// topic. What is not so any more changes nothing.
    pub fn learn_ages(&mut self, group: GroupId, ages: &[(Place, Timestamp)]) {
        for (Place { slot, generation, offset }, at) in ages {
            if self.lites.get_life(*slot, *generation).is_some() {
                self.lags.set_stored_at(group, *slot, *offset, *at);
            }
        }
    }

    /// Everything that groups have left, by group. Cost follows the number of groups.
    pub(super) fn all_lags(&self, now: Timestamp) -> Vec<GroupLag> {
        let ended = self.ended(now);
        self.lags.groups().map(|group| self.told(group, &ended)).collect()
    }

    /// Counts anew what a group has left in a slot.
    pub(super) fn count_lag(&mut self, now: Timestamp, slot: u32, group: GroupId) {
        let left = self.left(now, slot, group);
        self.lags.set(group, slot, left);
    }

    /// The same for each group that consumes a slot.
    pub(super) fn count_lags(&mut self, now: Timestamp, slot_index: u32) {
        for group in self.consumers(slot_index) {
            self.count_lag(now, slot_index, group);
        }
    }

    /// After a subscription ended: a group without a position that nobody is subscribed for does not
    /// consume the slot.
    pub(super) fn end_lag(&mut self, slot: u32, group: GroupId) {
        if !self.is_consuming(slot, group) {
            self.lags.remove(group, slot);
        }
    }

    /// Groups that have a position or a subscriber, or that share the slot.
    pub(super) fn consumers(&self, slot_index: u32) -> BTreeSet<GroupId> {
        let Some(slot) = self.lites.get(slot_index) else { return BTreeSet::new() };
        let positions = self.cursors.chain(slot.first_cursor).map(|(_, cursor)| cursor.group);
        let subscribers = self.subscriptions.chain(slot.first_link);
        let subscribed = subscribers.filter_map(|of| Some(self.subscriptions.get(of)?.group));
        positions.chain(subscribed).chain(self.shared_by(slot_index)).collect()
    }

    /// What a group has left in a slot, from scratch.
    pub(super) fn left(&self, now: Timestamp, slot_index: u32, group: GroupId) -> Option<Left> {
        let slot = self.lites.get(slot_index).filter(|slot| slot.state == SlotState::Live)?;
        let position = self.cursors.find(slot.first_cursor, group);
        if position.is_none() && !self.is_consuming(slot_index, group) {
            return None;
        }
        let run = position.and_then(|position| self.cursors.run(position));
        let cursor = position.and_then(|position| self.cursors.get(position));
        let oldest = cursor.map_or(slot.first_offset, |cursor| cursor.committed);
        let stored = slot.next_offset.saturating_sub(oldest);
        Some(Left {
            unsettled: stored.saturating_sub(run.map_or(0, |run| run.settled())),
            in_flight: run.map_or(0, |run| run.in_flight(now)),
            oldest,
            newest: slot.next_offset.saturating_sub(1),
            newest_at: slot.last_send_at,
            created_at: slot.created_at.start().min(slot.last_send_at),
        })
    }

    /// What groups have left is what a look at everything gives, and so are its sums. While a removed
    /// group is swept, or a wildcard group is looked at anew, the sweep has yet to come to some.
    pub(super) fn lags_exact(&self, now: Timestamp, findings: &mut Findings) {
        let is_to_come = |of: GroupId| {
            self.work.iter().any(|work| match work {
                Work::RefreshGroup { group, .. } | Work::RemoveGroup { group, .. } => *group == of,
                _ => false,
            })
        };
        let mut counted = 0;
        for slot in 0..self.lites.slots_len() {
            for group in self.consumers(slot) {
                let left = self.left(now, slot, group).filter(|left| left.unsettled > 0);
                let lag = self.lags.get(group, slot);
                counted += usize::from(lag.is_some());
                let position = self.lites.get(slot).map(|slot| slot.first_cursor);
                let position = position.and_then(|first| self.cursors.find(first, group));
                let run = position.and_then(|position| self.cursors.run(position));
                let is_due = run.is_some_and(|run| run.is_due(now));
                let is_exact = match (left, lag) {
                    (None, None) => true,
                    (Some(left), Some(lag)) => {
                        (left.unsettled, left.oldest) == (lag.unsettled, lag.oldest)
                            && (is_due || left.in_flight == lag.in_flight)
                            && lag.stored_at <= left.newest_at
                    }
                    _ => false,
                };
                findings.expect(Invariant::CountsExact, is_exact || is_to_come(group), || {
                    format!("{group:?} has {left:?} left in slot {slot}, counted is {lag:?}")
                });
            }
        }
        let is_nothing_else = self.lags.all().count() == counted
            || self.lags.all().any(|(group, ..)| is_to_come(group));
        findings.expect(Invariant::CountsExact, is_nothing_else && self.lags.is_sound(), || {
            format!("{counted} backlogs are there, counted are {:?}", self.lags)
        });
        let told = self.counts(now).lags;
        let in_flight = |of: GroupId| -> u64 {
            let runs = self.positions().filter(|(_, _, cursor, _)| cursor.group == of);
            runs.filter_map(|(.., run)| run).map(|run| run.in_flight(now)).sum()
        };
        for lag in told {
            let holds = lag.in_flight == in_flight(lag.group) || is_to_come(lag.group);
            findings.expect(Invariant::CountsExact, holds, || {
                format!("{} are in flight, told is {lag:?}", in_flight(lag.group))
            });
        }
    }

    fn is_consuming(&self, slot_index: u32, group: GroupId) -> bool {
        let Some(slot) = self.lites.get(slot_index) else { return false };
        self.cursors.find(slot.first_cursor, group).is_some()
            || self
                .subscriptions
                .chain(slot.first_link)
                .any(|of| self.subscriptions.get(of).is_some_and(|found| found.group == group))
            || self.groups.get(&group).is_some_and(|group| self.is_shared_by(slot, group))
    }

    fn told(&self, group: GroupId, ended: &BTreeMap<GroupId, u64>) -> GroupLag {
        let sum = self.lags.sum(group);
        GroupLag {
            group,
            lag: sum.unsettled,
            in_flight: sum.in_flight.saturating_sub(ended.get(&group).copied().unwrap_or(0)),
            lite_topics: sum.lite_topics,
            oldest: self.oldest(group, 1).pop(),
        }
    }

    /// Messages that are counted as in flight though their leases have run out, by group: the next
    /// tick counts them anew.
    fn ended(&self, now: Timestamp) -> BTreeMap<GroupId, u64> {
        let mut ended = BTreeMap::new();
        for (_, index) in self.timers.iter().take_while(|(at, _)| *at <= now) {
            let Some(cursor) = self.cursors.get(*index) else { continue };
            let Some(lag) = self.lags.get(cursor.group, cursor.slot) else { continue };
            let in_flight = self.cursors.run(*index).map_or(0, |run| run.in_flight(now));
            *ended.entry(cursor.group).or_default() += lag.in_flight.saturating_sub(in_flight);
        }
        ended
    }

    fn lite_lag(&self, slot: u32, lag: &Lag) -> Option<LiteLag> {
        Some(LiteLag {
            name: self.lites.name(slot)?,
            oldest: Place {
                slot,
                generation: self.lites.get(slot)?.generation,
                offset: lag.oldest,
            },
            stored_at: lag.stored_at,
            is_exact: lag.is_exact,
            lag: lag.unsettled,
            in_flight: lag.in_flight,
        })
    }
}
