//! The invariants of subscriptions, as far as lite topics are not needed to see them.

use std::collections::BTreeSet;

use super::Subscriptions;
use crate::shard::{Findings, Invariant};

impl Subscriptions {
    pub(crate) fn audit(&self, findings: &mut Findings) {
        let (mut subscribers, mut pairs) = (0, 0);
        for (index, found) in self.all() {
            subscribers += 1;
            pairs += found.slots.len();
            let is_known = self.find(found.key, found.group) == Some(index);
            let holds = is_known && !found.slots.is_empty();
            findings.expect(Invariant::SubscriptionsPaired, holds, || {
                format!("{} of {:?} is kept for nothing", found.client, found.group)
            });
            let marked: BTreeSet<u32> =
                found.slots.iter().filter(|(_, marked)| **marked).map(|(slot, _)| *slot).collect();
            let listed: BTreeSet<u32> = found.ready.iter().copied().collect();
            let holds = marked.len() == found.ready_count && marked.is_subset(&listed);
            findings.expect(Invariant::ReadyListed, holds, || {
                format!("{} has {marked:?} ready, listed are {listed:?}", found.client)
            });
            let bound = 2 * found.slots.len() + 64;
            findings.expect(Invariant::Bounded, found.ready.len() <= bound, || {
                format!("the list of {} holds {}", found.client, found.ready.len())
            });
        }
        let kept = (self.by_client.len(), self.links.in_use(), self.pairs);
        let holds = kept == (subscribers, pairs, pairs as u64);
        findings.expect(Invariant::SubscriptionsPaired, holds, || {
            format!("{subscribers} subscribers with {pairs} lite topics, kept are {kept:?}")
        });
    }
}
