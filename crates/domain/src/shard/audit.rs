//! What must hold of a shard's state between any two commands, recounted from scratch.
//!
//! Each invariant is a function of its own. The tests ask after every command; a running broker need
//! not, as nothing here can be wrong while the code that changes it is right.

use std::collections::BTreeSet;

use super::Shard;
use super::background::Work;
use crate::client::ClientKey;
use crate::delivery::cursor::Cursor;
use crate::delivery::run::{EntryState, Run};
use crate::group::GroupId;
use crate::limits::{RESEND_WINDOW_MESSAGES, UNORDERED_RUN_MAX};
use crate::lite::SlotState;
use crate::time::{Second, Timestamp};
use crate::topic::TopicId;

/// What is wrong with a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What does not hold.
    pub invariant: Invariant,
    /// Where, for people.
    pub what: String,
}

/// What holds of a shard between any two commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// Each slot in use is found under its name and listed in its place, and nothing else is; free
    /// slots can be had again.
    NamesFound,
    /// Counters are what a recount gives.
    CountsExact,
    /// A subscription is known to its client and to its lite topic, or to neither.
    SubscriptionsPaired,
    /// A lite topic of an exclusive group has one subscriber at most.
    OneOwner,
    /// Each position belongs to the present life of its lite topic, one for each group, inside what
    /// is stored; what is in flight starts with a message that is open.
    PositionsInPlace,
    /// A run keeps to its bounds, and its hand-outs are among those of its position.
    RunsInShape,
    /// Somebody is subscribed, something can be handed out: then it is on the list.
    ReadyListed,
    /// Of a group that has been ordered since its creation, each hand-out took the first open
    /// messages of a lite topic: no later message has a newer hand-out than an earlier one.
    OneAfterAnother,
    /// Nothing is leased beyond the moment at which its lite topic is looked at again.
    LeasesTimed,
    /// Each lite topic that expires is filed once, no later than it is due, or protected; nothing else
    /// is filed, and nothing but lite topics has a lifetime of its own.
    LifetimesFiled,
    /// Who holds something is known, and can be released.
    HoldersKnown,
    /// What was sent again are dead letters that are stored.
    LettersStored,
    /// What is kept is bounded by what is there.
    Bounded,
    /// Lives, offsets and positions never go back.
    NothingWentBack,
}

/// Collects what is wrong.
pub(crate) struct Findings(Vec<Violation>);

impl Findings {
    /// Reports unless it holds.
    pub(crate) fn expect(&mut self, invariant: Invariant, holds: bool, what: impl Fn() -> String) {
        if !holds {
            self.0.push(Violation { invariant, what: what() });
        }
    }
}

impl Shard {
    /// Checks every invariant. Cost: a walk over all slots, positions, messages in flight and
    /// subscriptions; for tests, simulations and tools.
    pub fn audit(&self, now: Timestamp) -> Vec<Violation> {
        let mut findings = Findings(Vec::new());
        self.lites.audit(&mut findings);
        self.subscriptions.audit(&mut findings);
        self.wildcards.audit(&mut findings);
        self.subscriptions_paired(&mut findings);
        self.one_owner(&mut findings);
        self.positions_in_place(&mut findings);
        self.runs_in_shape(&mut findings);
        self.ready_listed(now, &mut findings);
        self.one_after_another(&mut findings);
        self.leases_timed(now, &mut findings);
        self.lifetimes_filed(&mut findings);
        self.holders_known(&mut findings);
        self.counts_exact(now, &mut findings);
        self.letters_stored(&mut findings);
        self.bounded(&mut findings);
        findings.0
    }

    /// Every position with its lite topic's slot.
    pub(super) fn positions(&self) -> impl Iterator<Item = (u32, u32, &Cursor, Option<&Run>)> {
        let slots = (0..self.lites.slots_len()).filter_map(|slot| {
            let found = self.lites.get_any(slot)?;
            Some((slot, found.first_cursor))
        });
        slots.flat_map(move |(slot, first)| {
            self.cursors
                .chain(first)
                .map(move |(index, cursor)| (slot, index, cursor, self.cursors.run(index)))
        })
    }

    fn subscriptions_paired(&self, findings: &mut Findings) {
        let mut linked = 0;
        for slot in 0..self.lites.slots_len() {
            let Some(found) = self.lites.get_any(slot) else { continue };
            let chain: Vec<u32> = self.subscriptions.chain(found.first_link).collect();
            linked += chain.len();
            let distinct: BTreeSet<u32> = chain.iter().copied().collect();
            let is_mutual = chain.iter().all(|subscriber| {
                let subscriber = self.subscriptions.get(*subscriber);
                subscriber.is_some_and(|subscriber| subscriber.slots.contains_key(&slot))
            });
            let holds = is_mutual && distinct.len() == chain.len();
            findings.expect(Invariant::SubscriptionsPaired, holds, || {
                format!("slot {slot} is linked to {chain:?}, who do not all know")
            });
        }
        let pairs = self.subscriptions.pairs();
        findings.expect(Invariant::SubscriptionsPaired, pairs == linked as u64, || {
            format!("{linked} subscriptions are linked, {pairs} are counted")
        });
    }

    fn one_owner(&self, findings: &mut Findings) {
        let exclusive: Vec<GroupId> =
            self.groups.values().filter(|of| of.options.is_exclusive()).map(|of| of.id).collect();
        for slot in (0..self.lites.slots_len()).filter_map(|slot| self.lites.get(slot)) {
            for group in &exclusive {
                let owners = self.subscriptions.of_group(slot.first_link, *group);
                findings.expect(Invariant::OneOwner, owners.len() <= 1, || {
                    format!("{} clients of {group:?} own {slot:?}", owners.len())
                });
            }
        }
    }

    fn positions_in_place(&self, findings: &mut Findings) {
        let mut seen = BTreeSet::new();
        let (mut positions, mut runs) = (0, 0);
        for (index, at, cursor, run) in self.positions() {
            positions += 1;
            runs += usize::from(run.is_some());
            let is_in_place = cursor.slot == index && self.is_in_place(cursor, run);
            let is_only_one = seen.insert((index, cursor.group));
            findings.expect(Invariant::PositionsInPlace, is_in_place && is_only_one, || {
                format!("position {at} is out of place in slot {index}: {cursor:?}, {run:?}")
            });
        }
        let kept = self.cursors.in_use();
        findings.expect(Invariant::PositionsInPlace, kept == (positions, runs), || {
            format!("{positions} positions and {runs} runs are linked, {kept:?} are kept")
        });
    }

    fn runs_in_shape(&self, findings: &mut Findings) {
        for (slot, _, cursor, run) in self.positions() {
            let Some(run) = run else { continue };
            let is_sound = run.entries.iter().all(|entry| {
                entry.attempt >= 1 && cursor.epoch.wrapping_sub(entry.epoch) < u32::MAX / 2
            });
            let holds = is_sound && run.entries.len() <= UNORDERED_RUN_MAX;
            findings.expect(Invariant::RunsInShape, holds, || {
                format!("the run of {:?} in slot {slot} is out of shape: {run:?}", cursor.group)
            });
        }
    }

    fn ready_listed(&self, now: Timestamp, findings: &mut Findings) {
        let is_to_come = |of: GroupId| {
            self.work
                .iter()
                .any(|work| matches!(work, Work::RefreshGroup { group, .. } if *group == of))
        };
        for (_, subscriber) in self.subscriptions.all() {
            for (slot, is_listed) in &subscriber.slots {
                let is_missing = !is_listed && self.is_deliverable_to(now, *slot, subscriber.group);
                let holds = !is_missing || is_to_come(subscriber.group);
                findings.expect(Invariant::ReadyListed, holds, || {
                    format!("slot {slot} is not on the list of {}", subscriber.client)
                });
            }
        }
        for (slot, group) in (0..self.lites.slots_len())
            .flat_map(|slot| self.shared_by(slot).into_iter().map(move |group| (slot, group)))
        {
            let Some(topic) = self.lites.get(slot).map(|slot| slot.topic) else { continue };
            let is_missing = !self.wildcards.is_marked(topic, group, slot)
                && self.is_deliverable_to(now, slot, group);
            findings.expect(Invariant::ReadyListed, !is_missing || is_to_come(group), || {
                format!("slot {slot} is not on the list of {group:?}")
            });
        }
    }

    fn one_after_another(&self, findings: &mut Findings) {
        for (slot, _, cursor, run) in self.positions() {
            let Some(run) = run else { continue };
            if !self.groups.get(&cursor.group).is_some_and(|group| group.options.ordered) {
                continue;
            }
            let open = run.entries.iter().filter(|entry| entry.state != EntryState::Acked);
            let epochs: Vec<u32> =
                open.map(|entry| cursor.epoch.wrapping_sub(entry.epoch)).collect();
            findings.expect(Invariant::OneAfterAnother, epochs.is_sorted(), || {
                format!("hand-outs of {:?} passed each other in slot {slot}: {run:?}", cursor.group)
            });
        }
    }

    fn leases_timed(&self, now: Timestamp, findings: &mut Findings) {
        let mut registered = 0;
        for (slot, index, cursor, run) in self.positions() {
            let Some(run) = run else { continue };
            let is_set = run.timer > Timestamp(0);
            registered += usize::from(is_set);
            let next = run.next_visible_at(now);
            let is_in_time = next.is_none_or(|next| is_set && run.timer <= next);
            let holds = is_in_time && (!is_set || self.timers.contains(&(run.timer, index)));
            findings.expect(Invariant::LeasesTimed, holds, || {
                format!("{:?} in slot {slot} has no timer for {next:?}: {run:?}", cursor.group)
            });
        }
        let timers = self.timers.len();
        findings.expect(Invariant::LeasesTimed, timers == registered, || {
            format!("{timers} timers for {registered} runs")
        });
    }

    fn lifetimes_filed(&self, findings: &mut Findings) {
        let is_to_come = |of: TopicId| {
            self.work.iter().any(|work| match work {
                Work::FileTopic { topic, .. } => *topic == of,
                Work::RemoveGroup { .. } => true,
                _ => false,
            })
        };
        let mut registered = 0;
        for index in 0..self.lites.slots_len() {
            let Some(slot) = self.lites.get_any(index) else { continue };
            let is_filed = slot.filed_at != Second::NONE;
            registered += usize::from(is_filed);
            let is_found = !is_filed || self.lifetimes.filed.contains(&(slot.filed_at, index));
            let is_in_time = match self.due_at(index, slot).and_then(Second::not_before) {
                None => slot.state == SlotState::Live || !is_filed,
                Some(_) if is_to_come(slot.topic) => true,
                Some(due) if is_filed => slot.filed_at <= due,
                Some(_) => self.protection(slot).is_some(),
            };
            findings.expect(Invariant::LifetimesFiled, is_found && is_in_time, || {
                format!("slot {index} is due at {:?}: {slot:?}", self.due_at(index, slot))
            });
        }
        let filed = self.lifetimes.filed.len();
        findings.expect(Invariant::LifetimesFiled, filed == registered, || {
            format!("{filed} are filed, {registered} say so")
        });
        for owner in self.lifetimes.owners() {
            let is_live = self.lites.get(owner).is_some_and(|slot| slot.state == SlotState::Live);
            findings.expect(Invariant::LifetimesFiled, is_live, || {
                format!("slot {owner} has a lifetime of its own and is no lite topic")
            });
        }
        let bound: BTreeSet<_> =
            self.groups.values().map(|group| (group.topic, group.id)).collect();
        findings.expect(Invariant::LifetimesFiled, bound == self.bound, || {
            format!("groups are bound as {bound:?}, known are {:?}", self.bound)
        });
    }

    fn holders_known(&self, findings: &mut Findings) {
        let mut known = 0;
        for (slot, index, cursor, run) in self.positions() {
            let Some(run) = run else { continue };
            known += run.clients.len();
            let is_listed = |client| run.clients.contains(&client);
            let is_released =
                |client| self.held_by.get(client).is_some_and(|cursors| cursors.contains(&index));
            let holds =
                run.holders().into_iter().all(is_listed) && run.clients.iter().all(is_released);
            findings.expect(Invariant::HoldersKnown, holds, || {
                format!(
                    "who holds what {:?} has of slot {slot} is not known: {run:?}",
                    cursor.group
                )
            });
        }
        let is_held = |(client, _): &(ClientKey, GroupId)| self.held_by.contains_key(client);
        let holds = self.last_receives.keys().all(is_held);
        findings.expect(Invariant::HoldersKnown, holds, || {
            format!("receives of nobody are kept: {:?}", self.last_receives)
        });
        let held: usize = self.held_by.values().map(BTreeSet::len).sum();
        let is_tidy = self.held_by.values().all(|cursors| !cursors.is_empty());
        findings.expect(Invariant::HoldersKnown, held == known && is_tidy, || {
            format!("{held} holders are kept, runs know {known}")
        });
    }

    fn counts_exact(&self, now: Timestamp, findings: &mut Findings) {
        self.lags_exact(now, findings);
        let counts = self.counts(now);
        let recount: u64 = self.subscribers().iter().map(|found| found.lite_topics).sum();
        findings.expect(Invariant::CountsExact, recount == counts.subscriptions, || {
            format!("{recount} subscriptions, counted are {}", counts.subscriptions)
        });
    }

    fn letters_stored(&self, findings: &mut Findings) {
        for (index, letters) in &self.resent {
            let slot = self.lites.get_life(*index, letters.generation);
            let holds = slot.is_some_and(|slot| {
                let is_below =
                    letters.spans.first().is_some_and(|(from, _)| *from < slot.first_offset);
                letters.fits() && letters.is_sound(slot.next_offset) && !is_below
            });
            findings.expect(Invariant::LettersStored, holds, || {
                format!("{letters:?} were sent again of slot {index}: {slot:?}")
            });
        }
    }

    fn bounded(&self, findings: &mut Findings) {
        let (paces, due) = self.paces.kept();
        let positions = self.cursors.in_use().0;
        findings.expect(Invariant::Bounded, paces == due && paces <= positions, || {
            format!("{paces} rates are kept of {positions} positions, {due} are due")
        });
        let (ids, places) = self.resends.kept();
        findings.expect(Invariant::Bounded, ids == places && ids <= RESEND_WINDOW_MESSAGES, || {
            format!("{ids} message ids are kept in {places} places")
        });
        let is_to_go = self.work.iter().any(|work| matches!(work, Work::DropUnusedNames { .. }));
        for slot in (0..self.lites.slots_len()).filter_map(|slot| self.lites.get(slot)) {
            findings.expect(Invariant::Bounded, is_to_go || !slot.is_unused_name(), || {
                format!("a name stays that nobody is subscribed to: {slot:?}")
            });
        }
    }
}
