//! Numbers and times: I9, I11 and I12.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::{Rule, Violation};
use crate::history::{Count, Counted, Event, Moment, Sampled, SendResult, SettleResult};
use crate::ledger::Ledger;

/// I9: what the broker counts is what there is, and never above its limit.
pub fn counts_exact(ledger: &Ledger<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for event in ledger.events {
        let Event::Counted(Counted { what, told, limit, at }) = event else { continue };
        let counted = match what {
            Count::LiteTopics => lite_topics(ledger, *at),
            Count::Subscriptions => exactly(
                ledger.subscribed.keys().map(|client| subscriptions(ledger, client, *at)).sum(),
            ),
            Count::SubscriptionsOf(client) => exactly(subscriptions(ledger, client, *at)),
        };
        let mut report = |what| {
            let story = vec![event.to_string()];
            violations.push(Violation { rule: Rule::CountsExact, what, story });
        };
        if !counted.contains(told) {
            report(format!("the broker counts {told} as {what:?}, there are {counted:?}"));
        }
        if limit.is_some_and(|limit| *told > limit) {
            report(format!("{what:?} is {told}, above its limit"));
        }
    }
    violations
}

fn exactly(count: u64) -> RangeInclusive<u64> {
    count..=count
}

fn subscriptions(ledger: &Ledger<'_>, client: &str, at: Moment) -> u64 {
    let sets = ledger.subscribed.get(client).into_iter().flatten();
    sets.take_while(|(from, _)| *from <= at).last().map_or(0, |(_, lites)| lites.len() as u64)
}

/// How many lite topics there are at least and at most.
fn lite_topics(ledger: &Ledger<'_>, at: Moment) -> RangeInclusive<u64> {
    let (mut surely, mut perhaps) = (BTreeSet::new(), BTreeSet::new());
    let created = ledger.events.iter().filter_map(|event| match event {
        Event::Created { lite, at } => Some((lite, *at, *at, true)),
        _ => None,
    });
    let sent = ledger.sent.values().flatten().filter_map(|sent| match sent.result {
        SendResult::Stored(_) => Some((&sent.lite, sent.asked_at, sent.answered_at, true)),
        SendResult::Unknown => Some((&sent.lite, sent.asked_at, sent.answered_at, false)),
        SendResult::Refused(_) => None,
    });
    for (lite, asked_at, answered_at, is_done) in created.chain(sent) {
        if asked_at > at {
            continue;
        }
        let later = |surely: bool| {
            ledger.removals(lite).iter().any(|removed| {
                let is_removed = removed.result == SettleResult::Done;
                removed.asked_at <= at
                    && if surely {
                        is_removed && removed.asked_at > answered_at
                    } else {
                        removed.answered_at >= asked_at || !is_removed
                    }
            })
        };
        if is_done && !later(false) {
            surely.insert(&**lite);
        }
        if !(is_done && later(true)) {
            perhaps.insert(&**lite);
        }
    }
    surely.len() as u64..=perhaps.len() as u64
}

/// I11: when faults have ended, everything owed comes within a bound, with no new sends: what was
/// never delivered, and what is not settled once its lease is over. What is sent when nothing is owed any
/// more comes at once: a bound of its own shows that nobody waits for a next poll.
pub fn everything_comes(ledger: &Ledger<'_>) -> Vec<Violation> {
    let calm = ledger.events.iter().find_map(|event| match event {
        Event::Calm { at, within } => Some((*at, *at + *within)),
        _ => None,
    });
    let Some((calm, calm_end)) = calm else { return Vec::new() };
    let at_rest = ledger.events.iter().find_map(|event| match event {
        Event::AtRest { at, within } => Some((*at, *within)),
        _ => None,
    });
    let arrivals = ledger.arrivals();
    let mut violations = Vec::new();
    for (sent, life, offset) in ledger.kept() {
        let end = match at_rest {
            Some((rest, within)) if sent.asked_at >= rest => sent.asked_at + within,
            _ => calm_end,
        };
        for group in ledger.groups {
            let Some(spot) = ledger.owed(&group.name, &sent.lite, life, offset) else { continue };
            let of_group = arrivals.get(&(&*group.name, &*sent.id)).map_or(&[][..], Vec::as_slice);
            if ledger.is_undecided(of_group) {
                continue;
            }
            let came = of_group
                .iter()
                .any(|found| (calm..=end).contains(&found.at) && ledger.may_be_from(found, spot));
            if came || ledger.may_be_settled_at(spot).is_some_and(|at| at <= end) {
                continue;
            }
            let what = format!(
                "{} still waits for {} ({}@{offset}) at {end:?}, calm since {calm:?}",
                group.name, sent.id, sent.lite
            );
            violations.push(ledger.violation(Rule::EverythingComes, what, &sent.lite, &[offset]));
        }
    }
    violations
}

/// I12: what is bounded returns to its starting level after load.
pub fn resources_return(ledger: &Ledger<'_>) -> Vec<Violation> {
    let mut samples: BTreeMap<&str, Vec<&Sampled>> = BTreeMap::new();
    for event in ledger.events {
        if let Event::Sampled(sampled) = event {
            samples.entry(&sampled.resource).or_default().push(sampled);
        }
    }
    let mut violations = Vec::new();
    for (resource, mut levels) in samples {
        levels.sort_by_key(|sampled| sampled.at);
        let (Some(first), Some(last)) = (levels.first(), levels.last()) else { continue };
        if last.amount > first.amount.saturating_add(last.slack) {
            let what = format!(
                "{resource} was {} at the start and stays at {}, {} above is fine",
                first.amount, last.amount, last.slack
            );
            let story = levels
                .iter()
                .map(|sampled| Event::Sampled(Sampled::clone(sampled)).to_string())
                .collect();
            violations.push(Violation { rule: Rule::ResourcesReturn, what, story });
        }
    }
    violations
}
