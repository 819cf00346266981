//! Wildcard groups: their clients do not subscribe, so what is ready is ready for all of them.

use std::collections::{BTreeMap, VecDeque};

use crate::effects::Wake;
use crate::group::GroupId;
use crate::names::NamePrefix;
use crate::shard::{Findings, Invariant};
use crate::table::NumberMap;
use crate::topic::TopicId;

/// The wildcard groups of a shard, by their parent topic.
#[derive(Debug, Default)]
pub(crate) struct Wildcards(BTreeMap<(TopicId, GroupId), Wildcard>);

/// What is ready for a wildcard group. Nothing is kept of lite topics that are not.
#[derive(Debug)]
struct Wildcard {
    /// What the names of its lite topics start with.
    prefix: NamePrefix,
    /// Slots that may have something, oldest first. May hold slots that are not in `marked` any more;
    /// they are passed over.
    ready: VecDeque<u32>,
    marked: NumberMap<u32, ()>,
}

impl Wildcards {
    /// The group is one from now on, or its prefix is another; nothing is ready for it yet.
    pub(crate) fn set(&mut self, topic: TopicId, group: GroupId, prefix: &NamePrefix) {
        let (prefix, ready) = (prefix.clone(), VecDeque::new());
        let marked = NumberMap::default();
        self.0.insert((topic, group), Wildcard { prefix, ready, marked });
    }

    /// The group is none any more.
    pub(crate) fn remove(&mut self, topic: TopicId, group: GroupId) {
        self.0.remove(&(topic, group));
    }

    /// The groups that share a lite topic of this name.
    pub(crate) fn sharing(&self, topic: TopicId, name: &[u8]) -> impl Iterator<Item = GroupId> {
        let of_topic = self.0.range((topic, GroupId(0))..=(topic, GroupId(u32::MAX)));
        of_topic.filter(|(_, found)| found.prefix.matches(name)).map(|((_, group), _)| *group)
    }

    /// Notes that a slot may have something. One client of the group is to be woken if nothing was
    /// ready before.
    pub(crate) fn mark_ready(&mut self, topic: TopicId, group: GroupId, slot: u32) -> Option<Wake> {
        let found = self.0.get_mut(&(topic, group))?;
        if found.marked.insert(slot, ()).is_some() {
            return None;
        }
        found.ready.push_back(slot);
        (found.marked.len() == 1).then_some(Wake { client: None, group })
    }

    /// Takes the oldest ready slot.
    pub(crate) fn take_ready(&mut self, topic: TopicId, group: GroupId) -> Option<u32> {
        let found = self.0.get_mut(&(topic, group))?;
        loop {
            let slot = found.ready.pop_front()?;
            if found.marked.remove(&slot).is_some() {
                return Some(slot);
            }
        }
    }

    /// Whether something may be ready.
    pub(crate) fn has_ready(&self, topic: TopicId, group: GroupId) -> bool {
        self.0.get(&(topic, group)).is_some_and(|found| !found.marked.is_empty())
    }

    /// Whether a slot is among what may be ready.
    pub(crate) fn is_marked(&self, topic: TopicId, group: GroupId, slot: u32) -> bool {
        self.0.get(&(topic, group)).is_some_and(|found| found.marked.contains_key(&slot))
    }

    /// The lite topic in a slot is gone.
    pub(crate) fn forget_slot(&mut self, topic: TopicId, slot: u32) {
        let of_topic = self.0.range_mut((topic, GroupId(0))..=(topic, GroupId(u32::MAX)));
        for (_, found) in of_topic {
            if found.marked.remove(&slot).is_some() && found.ready.len() > found.bound() {
                let marked = &found.marked;
                let mut seen = NumberMap::default();
                found
                    .ready
                    .retain(|slot| marked.contains_key(slot) && seen.insert(*slot, ()).is_none());
            }
        }
    }

    pub(crate) fn audit(&self, findings: &mut Findings) {
        for ((_, group), found) in &self.0 {
            let listed: NumberMap<u32, ()> = found.ready.iter().map(|slot| (*slot, ())).collect();
            let holds = found.marked.keys().all(|slot| listed.contains_key(slot));
            findings.expect(Invariant::ReadyListed, holds, || {
                format!("of {group:?} {:?} are ready, listed are {listed:?}", found.marked)
            });
            findings.expect(Invariant::Bounded, found.ready.len() <= found.bound() + 1, || {
                format!("the list of {group:?} holds {}", found.ready.len())
            });
        }
    }
}

impl Wildcard {
    /// How long the list may be for what is in it.
    fn bound(&self) -> usize {
        2 * self.marked.len() + 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: TopicId = TopicId(1);
    const GROUP: GroupId = GroupId(1);

    fn wildcards() -> Wildcards {
        let mut all = Wildcards::default();
        all.set(TOPIC, GROUP, &NamePrefix::new("a").unwrap());
        all.set(TOPIC, GroupId(2), &NamePrefix::all());
        all.set(TopicId(2), GroupId(3), &NamePrefix::all());
        all
    }

    #[test]
    fn a_lite_topic_is_shared_by_the_groups_of_its_topic_whose_prefix_it_has() {
        let all = wildcards();
        assert_eq!(all.sharing(TOPIC, b"ab").collect::<Vec<_>>(), [GROUP, GroupId(2)]);
        assert_eq!(all.sharing(TOPIC, b"b").collect::<Vec<_>>(), [GroupId(2)]);
        assert_eq!(all.sharing(TopicId(3), b"ab").count(), 0);
    }

    #[test]
    fn ready_slots_come_oldest_first_and_once_and_wake_one_client() {
        let mut all = wildcards();
        assert_eq!(all.mark_ready(TOPIC, GROUP, 3), Some(Wake { client: None, group: GROUP }));
        assert_eq!(all.mark_ready(TOPIC, GROUP, 9), None);
        assert_eq!(all.mark_ready(TOPIC, GROUP, 3), None);
        assert_eq!(all.take_ready(TOPIC, GROUP), Some(3));
        assert!(all.has_ready(TOPIC, GROUP) && !all.has_ready(TOPIC, GroupId(2)));
        assert_eq!(all.take_ready(TOPIC, GROUP), Some(9));
        assert_eq!(all.take_ready(TOPIC, GROUP), None);
        assert!(all.mark_ready(TOPIC, GROUP, 3).is_some(), "wakes again");
    }

    #[test]
    fn lite_topics_that_come_and_go_do_not_grow_the_list() {
        let mut all = wildcards();
        for slot in 0..10_000 {
            all.mark_ready(TOPIC, GROUP, slot % 3);
            all.forget_slot(TOPIC, slot % 3);
        }
        let kept = &all.0[&(TOPIC, GROUP)];
        assert!(kept.ready.len() <= 66 && kept.marked.is_empty(), "{}", kept.ready.len());
        assert_eq!(all.take_ready(TOPIC, GROUP), None);
    }
}
