//! What must happen sometimes, and how often it did.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use litemq_checker::history::{Delivered, Event, Moment, SendResult, Settle, SettleResult};

use crate::course::Outcome;
use crate::plan::{EXCLUSIVE, WILDCARD};

/// A run with as many worlds of all scenarios has reached every goal.
pub(crate) const WORLDS_FOR_GOALS: u64 = 100;

/// Within this time a receive has come to the server, in a network without faults.
const ARRIVED: Duration = Duration::from_millis(300);

/// Counts by name.
#[derive(Debug, Default)]
pub(crate) struct Goals(BTreeMap<&'static str, u64>);

impl Goals {
    /// What was never reached.
    pub(crate) fn missed(&self) -> Vec<&'static str> {
        self.0.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(name, count)| (*name, *count))
    }

    /// Adds what a world reached.
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        self.add_history(&outcome.events);
        self.count("wake_ups", wake_ups(&outcome.events));
        self.count("audits", outcome.audits);
        for (name, line) in LOGGED {
            self.count(name, outcome.trace.count(line));
        }
        let is_torn =
            |line: &&String| line.contains("the log is open") && !line.ends_with("torn_bytes=0");
        let torn = outcome.trace.lines().iter().filter(is_torn).count();
        self.count("torn_tails", torn as u64);
    }

    fn add_history(&mut self, events: &[Event]) {
        let mut owners: BTreeMap<(&str, &str, u64), &str> = BTreeMap::new();
        let mut attempts: BTreeSet<(&str, &str, u64, u32)> = BTreeSet::new();
        let mut has_lite: BTreeMap<&str, &str> = BTreeMap::new();
        let mut known_since: BTreeMap<&str, Moment> = BTreeMap::new();
        let mut sent_at: BTreeMap<&str, Moment> = BTreeMap::new();
        for event in events {
            match event {
                Event::Subscribed { client, at, .. } => {
                    known_since.entry(client).or_insert(*at);
                }
                Event::Sent(sent) => {
                    sent_at.entry(&sent.id).or_insert(sent.asked_at);
                    let name = match &sent.result {
                        SendResult::Stored(_) => "sends",
                        SendResult::Refused(_) => "sends_refused",
                        SendResult::Unknown => "sends_unknown",
                    };
                    self.count(name, 1);
                }
                Event::Delivered(delivered) => {
                    let Delivered { group, client, lite, offset, attempt, .. } = delivered;
                    self.count("deliveries", 1);
                    self.count("redeliveries", u64::from(*attempt > 1));
                    let before = owners.insert((group, lite, *offset), client);
                    self.count("take_overs", u64::from(before.is_some_and(|old| old != client)));
                    let is_new = attempts.insert((group, lite, *offset, *attempt));
                    self.count("answers_repeated", u64::from(!is_new));
                    if group == EXCLUSIVE {
                        let before = has_lite.insert(lite, client);
                        let is_other = before.is_some_and(|owner| owner != client);
                        self.count("owner_changes", u64::from(is_other));
                    }
                    let known = known_since.get(&**client).zip(sent_at.get(&*delivered.id));
                    let is_newer = known.is_some_and(|(known, sent)| known < sent);
                    if group == WILDCARD && *offset == 0 && is_newer {
                        self.count("new_lite_topics_shared", 1);
                    }
                }
                Event::Settled(settled) => {
                    let name = match (settled.how, &settled.result) {
                        (Settle::Ack, SettleResult::Done) => "acks",
                        (Settle::Ack, SettleResult::Unknown) => "acks_unknown",
                        (Settle::Ack, SettleResult::Refused(_)) => "acks_refused",
                        (Settle::Nack(_), _) => "nacks",
                        (Settle::Suspend(_), _) => "suspensions",
                        (Settle::DeadLetter, _) => "dead_letters",
                    };
                    self.count(name, 1);
                }
                Event::Moved(moved) => {
                    self.count("resets", u64::from(moved.result == SettleResult::Done));
                }
                Event::Removed(removed) => {
                    self.count("removals", u64::from(removed.result == SettleResult::Done));
                }
                _ => {}
            }
        }
    }

    /// Also by nothing: what was looked for and did not happen is a goal that was missed.
    fn count(&mut self, name: &'static str, more: u64) {
        *self.0.entry(name).or_default() += more;
    }
}

/// Messages that were sent while the receive that brought them waited at the server. At rest the network has
/// no faults: what was asked for long before the send was there.
fn wake_ups(events: &[Event]) -> u64 {
    let at_rest = events.iter().find_map(|event| match event {
        Event::AtRest { at, .. } => Some(*at),
        _ => None,
    });
    let Some(at_rest) = at_rest else { return 0 };
    let sent: BTreeMap<&str, Moment> = events
        .iter()
        .filter_map(|event| match event {
            Event::Sent(sent) if sent.asked_at >= at_rest => Some((&*sent.id, sent.asked_at)),
            _ => None,
        })
        .collect();
    let is_woken = |event: &&Event| match event {
        Event::Delivered(delivered) => {
            let sent_at = sent.get(&*delivered.id);
            sent_at.is_some_and(|sent_at| *sent_at > delivered.asked_at + ARRIVED)
        }
        _ => false,
    };
    events.iter().filter(is_woken).count() as u64
}

/// What the server's log says when it happens.
const LOGGED: &[(&str, &str)] = &[
    ("checkpoints", "wrote a checkpoint"),
    ("sessions_ended", "a client was silent for too long"),
    ("dead_connections", "error=http2 error"),
    ("quota_refusals", "code=LiteSubscriptionQuotaExceeded"),
    ("full_disk_refusals", "code=StorageFull"),
    ("failed_stores", "the store has failed"),
    ("notes_refused", "a note was refused"),
    ("notes_again", "a note came again"),
    ("notes_expired", "all notes have expired"),
];
