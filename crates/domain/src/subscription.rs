//! Who is subscribed to which lite topics, and what is ready for them.

mod audit;

use std::collections::VecDeque;

use crate::arena::Arena;
use crate::client::{ClientKey, Subscribing, UserKey};
use crate::effects::Wake;
use crate::group::GroupId;
use crate::lite::NONE;
use crate::names::ClientId;
use crate::table::NumberMap;

/// A receive that a client may repeat because it did not get the answer.
#[derive(Debug, Default)]
pub(crate) struct LastReceive {
    /// Keyed hash of its attempt id; 0 is none.
    pub(crate) attempt_id: u64,
    /// Cursors of what it was given.
    pub(crate) cursors: Vec<u32>,
}

/// One client of one group in this shard.
#[derive(Debug)]
pub(crate) struct Subscriber {
    pub(crate) client: ClientId,
    pub(crate) key: ClientKey,
    /// Whose client it is.
    pub(crate) user: Option<UserKey>,
    pub(crate) group: GroupId,
    /// Its lite topics by slot, and whether each is in `ready`.
    pub(crate) slots: NumberMap<u32, bool>,
    /// The last receive that was given something.
    pub(crate) last_receive: LastReceive,
    /// Slots that may have something for it, oldest first. May hold slots that are not marked in
    /// `slots` any more; they are passed over.
    ready: VecDeque<u32>,
    /// Slots marked in `slots`.
    ready_count: usize,
}

#[derive(Debug, Default)]
struct Link {
    subscriber: u32,
    next: u32,
}

/// All subscriptions of a shard. A pair is in the subscriber's `slots` and in the chain of links
/// from its slot, or in neither.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    subscribers: Arena<Option<Subscriber>>,
    by_client: NumberMap<(ClientKey, GroupId), u32>,
    links: Arena<Link>,
    pairs: u64,
}

impl Subscriptions {
    pub(crate) fn find(&self, key: ClientKey, group: GroupId) -> Option<u32> {
        self.by_client.get(&(key, group)).copied()
    }

    pub(crate) fn get(&self, subscriber: u32) -> Option<&Subscriber> {
        self.subscribers.get(subscriber)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, subscriber: u32) -> Option<&mut Subscriber> {
        self.subscribers.get_mut(subscriber)?.as_mut()
    }

    pub(crate) fn find_or_add(&mut self, who: Subscribing<'_>, group: GroupId) -> u32 {
        let Subscribing { client, key, user } = who;
        if let Some(index) = self.find(key, group) {
            if let Some(found) = self.get_mut(index) {
                // Authentication may have been turned on since.
                found.user = user.or(found.user);
            }
            return index;
        }
        let index = self.subscribers.insert(Some(Subscriber {
            client: client.clone(),
            key,
            user,
            group,
            slots: NumberMap::default(),
            last_receive: LastReceive::default(),
            ready: VecDeque::new(),
            ready_count: 0,
        }));
        self.by_client.insert((key, group), index);
        index
    }

    /// Pairs of client and lite topic.
    pub(crate) fn pairs(&self) -> u64 {
        self.pairs
    }

    /// All subscribers.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u32, &Subscriber)> {
        self.subscribers.iter().filter_map(|(index, found)| Some((index, found.as_ref()?)))
    }

    /// The subscribers in the chain that starts at `first`.
    pub(crate) fn chain(&self, first: u32) -> impl Iterator<Item = u32> {
        let mut next = first;
        std::iter::from_fn(move || {
            let link = self.links.get(next).filter(|_| next != NONE)?;
            next = link.next;
            Some(link.subscriber)
        })
    }

    /// The subscribers of a group in the chain that starts at `first`.
    pub(crate) fn of_group(&self, first: u32, group: GroupId) -> Vec<u32> {
        self.chain(first)
            .filter(|subscriber| self.get(*subscriber).is_some_and(|found| found.group == group))
            .collect()
    }

    /// All subscribers in the chain that starts at `first`, those of one group together.
    pub(crate) fn by_group(&self, first: u32) -> Vec<(GroupId, u32)> {
        let mut all: Vec<_> = self
            .chain(first)
            .filter_map(|subscriber| Some((self.get(subscriber)?.group, subscriber)))
            .collect();
        all.sort_unstable();
        all
    }

    /// Adds a pair; the slot's new first link, or `None` when it was there.
    pub(crate) fn add(&mut self, subscriber: u32, slot: u32, first: u32) -> Option<u32> {
        let found = self.get_mut(subscriber)?;
        if found.slots.contains_key(&slot) {
            return None;
        }
        found.slots.insert(slot, false);
        self.pairs += 1;
        Some(self.links.insert(Link { subscriber, next: first }))
    }

    /// Removes a pair; the slot's new first link, or `None` when it was not there. A subscriber
    /// without lite topics stays until [`Self::remove_if_empty`].
    pub(crate) fn remove(&mut self, subscriber: u32, slot: u32, first: u32) -> Option<u32> {
        let found = self.get_mut(subscriber)?;
        if !found.forget(slot) {
            return None;
        }
        self.pairs -= 1;
        let mut previous = NONE;
        let mut at = first;
        while at != NONE {
            let link = self.links.get(at)?;
            let next = link.next;
            if link.subscriber == subscriber {
                self.links.remove(at);
                if previous == NONE {
                    return Some(next);
                }
                self.links.get_mut(previous)?.next = next;
                return Some(first);
            }
            previous = at;
            at = next;
        }
        Some(first)
    }

    /// Removes the pairs of a slot that are of `group`, or all of them; the slot's new first link
    /// and whose pairs they were. Subscribers left without lite topics are forgotten.
    pub(crate) fn remove_of_group(
        &mut self,
        slot: u32,
        first: u32,
        group: Option<GroupId>,
    ) -> (u32, Vec<(GroupId, ClientKey)>) {
        let mut removed = Vec::new();
        let (mut new_first, mut last_kept) = (NONE, NONE);
        let mut at = first;
        while let Some(link) = self.links.get(at) {
            let (subscriber, next) = (link.subscriber, link.next);
            match self.get_mut(subscriber) {
                Some(found) if group.is_some_and(|group| group != found.group) => {
                    match self.links.get_mut(last_kept) {
                        Some(last) => last.next = at,
                        None => new_first = at,
                    }
                    last_kept = at;
                }
                found => {
                    if let Some(found) = found
                        && found.forget(slot)
                    {
                        removed.push((found.group, found.key));
                        self.pairs -= 1;
                    }
                    self.links.remove(at);
                    self.remove_if_empty(subscriber);
                }
            }
            at = next;
        }
        if let Some(last) = self.links.get_mut(last_kept) {
            last.next = NONE;
        }
        (new_first, removed)
    }

    /// Forgets a subscriber that has no lite topics.
    pub(crate) fn remove_if_empty(&mut self, subscriber: u32) {
        let Some(found) = self.get(subscriber) else { return };
        if found.slots.is_empty() {
            self.by_client.remove(&(found.key, found.group));
            self.subscribers.remove(subscriber);
        }
    }

    /// Notes that a slot may have something for a subscriber, who is to be woken if nothing was
    /// ready before.
    pub(crate) fn mark_ready(&mut self, subscriber: u32, slot: u32) -> Option<Wake> {
        let found = self.get_mut(subscriber)?;
        let marked = found.slots.get_mut(&slot)?;
        if std::mem::replace(marked, true) {
            return None;
        }
        found.ready.push_back(slot);
        found.ready_count += 1;
        (found.ready_count == 1).then_some(Wake { client: Some(found.key), group: found.group })
    }

    /// Takes the oldest ready slot of a subscriber.
    pub(crate) fn take_ready(&mut self, subscriber: u32) -> Option<u32> {
        let found = self.get_mut(subscriber)?;
        loop {
            let slot = found.ready.pop_front()?;
            if let Some(marked) = found.slots.get_mut(&slot)
                && std::mem::take(marked)
            {
                found.ready_count -= 1;
                return Some(slot);
            }
        }
    }
}

impl Subscriber {
    /// Whether something may be ready.
    pub(crate) fn has_ready(&self) -> bool {
        self.ready_count > 0
    }

    /// Forgets a slot; whether it was there.
    fn forget(&mut self, slot: u32) -> bool {
        let Some(marked) = self.slots.remove(&slot) else { return false };
        self.ready_count -= usize::from(marked);
        self.drop_unmarked();
        true
    }

    /// Keeps `ready` from growing with slots that were unsubscribed.
    fn drop_unmarked(&mut self) {
        if self.ready.len() > 2 * self.ready_count + 64 {
            let slots = &self.slots;
            let mut seen = NumberMap::default();
            self.ready.retain(|slot| {
                slots.get(slot).copied().unwrap_or(false) && seen.insert(*slot, ()).is_none()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscriptions() -> (Subscriptions, u32) {
        let mut all = Subscriptions::default();
        let client = ClientId::new("c").unwrap();
        let who = Subscribing { client: &client, key: ClientKey(1), user: None };
        let subscriber = all.find_or_add(who, GroupId(1));
        (all, subscriber)
    }

    #[test]
    fn ready_slots_come_oldest_first_and_once() {
        let (mut all, subscriber) = subscriptions();
        for slot in [5, 3, 9] {
            all.add(subscriber, slot, NONE);
        }
        let wake = Wake { client: Some(ClientKey(1)), group: GroupId(1) };
        assert_eq!(all.mark_ready(subscriber, 3), Some(wake), "the first wakes");
        assert_eq!(all.mark_ready(subscriber, 9), None);
        assert_eq!(all.mark_ready(subscriber, 3), None, "a repeat changes nothing");
        assert_eq!(all.mark_ready(subscriber, 4), None, "not subscribed");
        assert_eq!(all.take_ready(subscriber), Some(3));
        assert_eq!(all.take_ready(subscriber), Some(9));
        assert_eq!(all.take_ready(subscriber), None);
        assert_eq!(all.mark_ready(subscriber, 3), Some(wake), "wakes again");
    }

    #[test]
    fn a_slot_unsubscribed_while_ready_is_passed_over() {
        let (mut all, subscriber) = subscriptions();
        for slot in [1, 2] {
            all.add(subscriber, slot, NONE);
            all.mark_ready(subscriber, slot);
        }
        all.remove(subscriber, 1, 0);
        assert_eq!(all.take_ready(subscriber), Some(2));
        assert!(!all.get(subscriber).unwrap().has_ready());
    }

    #[test]
    fn churn_without_polls_does_not_grow_the_ready_list() {
        let (mut all, subscriber) = subscriptions();
        let mut first = NONE;
        for _ in 0..10_000 {
            first = all.add(subscriber, 1, first).unwrap();
            all.mark_ready(subscriber, 1);
            first = all.remove(subscriber, 1, first).unwrap();
        }
        assert!(all.get(subscriber).unwrap().ready.len() <= 66);
        assert_eq!(all.links.len(), 1);
    }
}
