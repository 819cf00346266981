//! Who is handed what, and when: I5 to I8.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::messages::tell;
use super::{Rule, Violation};
use crate::history::{Delivered, Moment, Settle, SettleResult, Settled};
use crate::ledger::{Era, Ledger, Life, Spot, is_perhaps_final};

/// Clocks are read in whole milliseconds, and a restart reads the wall clock anew.
const CLOCK_SLACK: Duration = Duration::from_millis(50);

/// I5: in an ordered group, everything before a delivered message is settled by then, or comes with
/// it in the same answer, before it.
pub fn one_after_another(ledger: &Ledger<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for group in ledger.groups.iter().filter(|group| group.ordered) {
        let mut lines: BTreeMap<(&str, Life, Era), Vec<&Delivered>> = BTreeMap::new();
        // What may be of this life or another is passed over, and may be passed.
        let mut undecided: BTreeMap<&str, Vec<&Delivered>> = BTreeMap::new();
        for delivered in ledger.delivered.iter().filter(|found| found.group == group.name) {
            match (ledger.life_of_delivered(delivered), ledger.era_of_delivered(delivered)) {
                (Some(life), Some(era)) => {
                    lines.entry((&delivered.lite, life, era)).or_default().push(delivered);
                }
                _ => undecided.entry(&delivered.lite).or_default().push(delivered),
            }
        }
        for ((lite, life, era), line) in lines {
            let Some(start) = ledger.start_of(&group.name, lite, life, era) else { continue };
            let mut may_be_settled = settles_of_line(ledger, &group.name, lite, (life, era));
            for delivered in undecided.get(lite).into_iter().flatten() {
                let from = may_be_settled.entry(delivered.offset).or_insert(delivered.at);
                *from = delivered.at.min(*from);
            }
            let is_gone = |n| n < start || ledger.is_trimmed(lite, life, n);
            passed(ledger, &line, &may_be_settled, is_gone)
                .for_each(|violation| violations.push(violation));
        }
    }
    violations
}

/// From when on each offset of a lite topic may be settled.
fn settles_of_line(
    ledger: &Ledger<'_>,
    group: &str,
    lite: &str,
    (life, era): (Life, Era),
) -> BTreeMap<u64, Moment> {
    let at = |offset| Spot { group, lite, life, era, offset };
    let mut settles = BTreeMap::new();
    for (spot, tries) in ledger.settled.range(at(0)..=at(u64::MAX)) {
        let possible = tries.iter().filter(|settled| {
            matches!(settled.how, Settle::Ack | Settle::DeadLetter)
                && !matches!(settled.result, SettleResult::Refused(_))
        });
        settles.extend(possible.map(|settled| settled.asked_at).min().map(|at| (spot.offset, at)));
    }
    settles
}

fn passed<'a>(
    ledger: &'a Ledger<'_>,
    line: &'a [&Delivered],
    may_be_settled: &'a BTreeMap<u64, Moment>,
    is_gone: impl Fn(u64) -> bool + 'a,
) -> impl Iterator<Item = Violation> + 'a {
    let mut with: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    let mut first_open = 0;
    line.iter().filter_map(move |delivered| {
        let Delivered { group, lite, offset, receive, at, .. } = *delivered;
        let is_over = |n: &u64| may_be_settled.get(n).is_some_and(|from| from <= at) || is_gone(*n);
        while is_over(&first_open) {
            first_open += 1;
        }
        let same_answer = with.entry(*receive).or_default();
        let passed = (first_open..*offset).find(|n| !is_over(n) && !same_answer.contains(n));
        same_answer.insert(*offset);
        let passed = passed?;
        let what = format!("{group} was handed {lite}@{offset} while {passed} was open");
        Some(ledger.violation(Rule::OneAfterAnother, what, lite, &[passed, *offset]))
    })
}

/// I6: from its hand-over to the end of its lease nobody else in the group gets a message, and each
/// hand-out counts one attempt more, unless the last was suspended.
pub fn one_owner(ledger: &Ledger<'_>) -> Vec<Violation> {
    let mut spots: BTreeMap<Spot<'_>, Vec<&Delivered>> = BTreeMap::new();
    for delivered in &ledger.delivered {
        if let Some(spot) = ledger.spot_of_delivered(delivered) {
            spots.entry(spot).or_default().push(delivered);
        }
    }
    let mut violations = Vec::new();
    for (spot, mut hand_outs) in spots {
        let Spot { group, lite, offset, .. } = spot;
        let settles = ledger.settles(spot);
        let backwards = hand_outs.iter().find(|later| {
            hand_outs.iter().any(|earlier| {
                earlier.at < later.asked_at
                    && (earlier.attempt > later.attempt
                        || earlier.attempt == later.attempt && !is_suspended(earlier, settles))
            })
        });
        if let Some(later) = backwards {
            let what = format!("{group}: attempt {} of {lite}@{offset} was not new", later.attempt);
            violations.push(ledger.violation(Rule::OneOwner, what, lite, &[offset]));
        }
        hand_outs.sort_by_key(|delivered| (delivered.attempt, delivered.at));
        for pair in hand_outs.windows(2) {
            let &[first, second] = pair else { continue };
            let free = earliest_end(ledger, first, second, settles);
            let is_counted = second.attempt != first.attempt || is_suspended(first, settles);
            if second.at + CLOCK_SLACK < free || !is_counted {
                let what = format!(
                    "{group}: {} was handed {lite}@{offset} as attempt {} while {} had it as attempt {}",
                    second.client, second.attempt, first.client, first.attempt
                );
                violations.push(ledger.violation(Rule::OneOwner, what, lite, &[offset]));
            }
        }
    }
    violations
}

/// Whether this attempt may have been made one that does not count.
fn is_suspended(delivered: &Delivered, settles: &[&Settled]) -> bool {
    settles.iter().any(|settled| {
        settled.attempt == delivered.attempt
            && matches!(settled.how, Settle::Suspend(_))
            && !matches!(settled.result, SettleResult::Refused(_))
            && settled.answered_at >= delivered.asked_at
    })
}

/// When the second may get at the earliest what the first was given.
fn earliest_end(
    ledger: &Ledger<'_>,
    first: &Delivered,
    second: &Delivered,
    settles: &[&Settled],
) -> Moment {
    let mut end = first.asked_at + first.lease;
    let between = settles.iter().filter(|settled| {
        settled.attempt == first.attempt
            && settled.answered_at >= first.asked_at
            && settled.asked_at <= second.at
    });
    for settled in between {
        let span = match settled.how {
            Settle::Nack(span) | Settle::Suspend(span) => span,
            Settle::DeadLetter => Duration::ZERO,
            Settle::Ack => continue,
        };
        match settled.result {
            // At the same moment it may be of the second already.
            SettleResult::Done if settled.asked_at < second.at => end = settled.asked_at + span,
            SettleResult::Done | SettleResult::Unknown => end = end.min(settled.asked_at + span),
            SettleResult::Refused(_) => {}
        }
    }
    let left = ledger.left_after(&first.client, first.asked_at);
    let taken = ledger.taken_after(&first.group, &first.lite, first.asked_at);
    left.into_iter().chain(taken).fold(end, Moment::min)
}

/// I7: what was settled with an answer of OK does not come again.
pub fn settled_stays(ledger: &Ledger<'_>) -> Vec<Violation> {
    let again = ledger.delivered.iter().filter_map(|delivered| {
        let settled_at = ledger.settled_at(ledger.spot_of_delivered(delivered)?)?;
        if settled_at >= delivered.asked_at {
            return None;
        }
        let what = format!("{} again, after it was settled OK", tell(delivered));
        Some(ledger.violation(Rule::SettledStays, what, &delivered.lite, &[delivered.offset]))
    });
    again.collect()
}

/// I8: nobody gets a lite topic that it is not subscribed to. Once another client of an exclusive group
/// has taken it over, who had it gets nothing of it, and its handles settle nothing.
pub fn only_subscribed(ledger: &Ledger<'_>) -> Vec<Violation> {
    let mut violations = strangers(ledger);
    violations.extend(old_owners(ledger));
    violations.extend(stale_handles(ledger));
    violations
}

fn old_owners(ledger: &Ledger<'_>) -> impl Iterator<Item = Violation> {
    ledger.delivered.iter().filter_map(|delivered| {
        let Delivered { group, client, lite, offset, asked_at, at, .. } = *delivered;
        let taken = ledger.lost_by(client, (group, lite), *asked_at, *at)?;
        let what = format!("{} as {client}, after {} took it over", tell(delivered), taken.client);
        Some(ledger.violation(Rule::OnlySubscribed, what, lite, &[*offset]))
    })
}

fn stale_handles(ledger: &Ledger<'_>) -> Vec<Violation> {
    let mut given: BTreeMap<(Spot<'_>, u32), Vec<&Delivered>> = BTreeMap::new();
    for delivered in &ledger.delivered {
        if let Some(spot) = ledger.spot_of_delivered(delivered) {
            given.entry((spot, delivered.attempt)).or_default().push(delivered);
        }
    }
    let mut violations = Vec::new();
    for (spot, settled) in
        ledger.settled.iter().flat_map(|(s, tries)| tries.iter().map(|t| (*s, *t)))
    {
        let hand_outs = given.get(&(spot, settled.attempt)).map_or(&[][..], Vec::as_slice);
        let last = hand_outs.iter().rfind(|delivered| delivered.at <= settled.asked_at);
        let Some(last) = last else { continue };
        let is_told = settled.result == SettleResult::Done && settled.how != Settle::DeadLetter;
        let is_of_one = hand_outs.iter().all(|delivered| delivered.client == last.client);
        let taken = ledger.taken_between(last, settled.asked_at);
        if let Some(taken) = taken
            && is_told
            && is_of_one
            && is_open(ledger, spot, settled)
        {
            let what = format!(
                "{}: {:?} by {} of {}@{} was answered OK, after {} took it over",
                spot.group, settled.how, last.client, spot.lite, spot.offset, taken.client
            );
            violations.push(ledger.violation(
                Rule::OnlySubscribed,
                what,
                spot.lite,
                &[spot.offset],
            ));
        }
    }
    violations
}

/// Whether a message surely was there and not settled when this try came: any handle of what is settled
/// already, or gone, may be told OK.
fn is_open(ledger: &Ledger<'_>, spot: Spot<'_>, settled: &Settled) -> bool {
    let Spot { group, lite, life, era, offset } = spot;
    let Settled { asked_at, answered_at, .. } = *settled;
    let others = ledger.settles(spot).iter().filter(|other| !std::ptr::eq(**other, settled));
    !others.into_iter().any(|other| is_perhaps_final(other) && other.asked_at <= answered_at)
        && !ledger.is_trimmed(lite, life, offset)
        && ledger.life(lite, asked_at, Some(answered_at)) == Some(life)
        && ledger.era(group, lite, asked_at, answered_at) == Some(era)
}

fn strangers(ledger: &Ledger<'_>) -> Vec<Violation> {
    let strangers = ledger.delivered.iter().filter(|delivered| {
        let Delivered { client, lite, asked_at, at, .. } = *delivered;
        !ledger.is_subscribed(client, lite, *asked_at, *at)
    });
    let tell_all = strangers.map(|delivered| {
        let Delivered { client, lite, offset, .. } = *delivered;
        let what = format!("{} as {client}, which is not subscribed to it", tell(delivered));
        ledger.violation(Rule::OnlySubscribed, what, lite, &[*offset])
    });
    tell_all.collect()
}
