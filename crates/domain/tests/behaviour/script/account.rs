//! The account of what happened, added up: it must come to what the shard shows.

use std::collections::{BTreeMap, BTreeSet};

use litemq_domain::{GroupId, Happened, Place, Shard, Timestamp, TopicId, What};

/// A life of a lite topic.
type Life = (u32, u32);

/// What is known of all lives from what happened alone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    /// Messages stored in each life.
    stored: BTreeMap<Life, u64>,
    /// What each group has of each life.
    groups: BTreeMap<(Life, GroupId), Consumed>,
    ended: BTreeSet<Life>,
}

#[derive(Debug, Clone, Default)]
struct Consumed {
    /// Everything below was passed over.
    from: u64,
    settled: BTreeSet<u64>,
    /// The attempt of each message that was handed out.
    attempts: BTreeMap<u64, u16>,
}

impl Account {
    pub(crate) fn add(&mut self, happened: &[Happened]) {
        happened.iter().for_each(|happened| self.add_one(*happened));
    }

    fn add_one(&mut self, Happened { place, what }: Happened) {
        let Place { slot, generation, offset } = place;
        let life = (slot, generation);
        assert!(!self.ended.contains(&life), "after its end: {what:?} at {place:?}");
        match what {
            What::Stored { .. } => {
                let next = self.stored.entry(life).or_default();
                assert_eq!(offset, *next, "stored at {place:?}");
                *next += 1;
                return;
            }
            What::Removed(_) | What::Expired(_) => {
                self.ended.insert(life);
                return;
            }
            _ => {}
        }
        let Some(group) = what.group() else { return };
        let consumed = self.groups.entry((life, group)).or_default();
        match what {
            What::Delivered { attempt, .. } => {
                assert!(!consumed.settled.contains(&offset), "settled and given: {place:?}");
                let before = consumed.attempts.insert(offset, attempt).unwrap_or(0);
                let is_next = attempt == before + 1 || (attempt == before && before > 0);
                assert!(is_next, "attempt {attempt} of {place:?} after {before}");
            }
            What::Moved(_, from) => *consumed = Consumed { from, ..Consumed::default() },
            What::Settled(of) | What::DeadLettered(of, _) => {
                assert_eq!(consumed.attempts.get(&offset), Some(&of.number), "{what:?} {place:?}");
                assert!(consumed.settled.insert(offset), "settled twice: {place:?}");
            }
            What::GivenBack(of)
            | What::Delayed(of, _)
            | What::Suspended(of, _)
            | What::Visible(of)
            | What::Released(of)
            | What::GivenUp(of)
            | What::UsedUp(of) => {
                assert_eq!(consumed.attempts.get(&offset), Some(&of.number), "{what:?} {place:?}");
                assert!(!consumed.settled.contains(&offset), "settled, and {what:?}: {place:?}");
            }
            other => panic!("{other:?} is about no group"),
        }
    }

    /// Holds what the shard shows against the account.
    pub(crate) fn check(&self, shard: &Shard, now: Timestamp, topics: &[TopicId]) {
        for view in topics.iter().flat_map(|topic| shard.list(now, *topic, "", None, 1000)) {
            let life = (view.slot, view.generation);
            let stored = self.stored.get(&life).copied().unwrap_or(0);
            assert_eq!(view.next_offset, stored, "account of what was stored in {}", view.name);
            for group in &view.groups {
                let consumed = self.groups.get(&(life, group.group));
                let from = consumed.map_or(0, |consumed| consumed.from).max(view.first_offset);
                let is_open = |offset: &u64| {
                    consumed.is_none_or(|consumed| !consumed.settled.contains(offset))
                };
                let open = (from..stored).filter(is_open).count() as u64;
                let shown = group.in_flight + group.ready;
                assert_eq!(shown, open, "account of {:?} in {}", group.group, view.name);
            }
        }
    }
}
