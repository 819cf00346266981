//! What becomes of messages: I1 to I4, and I10.

use std::collections::BTreeMap;

use super::{Rule, Violation};
use crate::history::{Delivered, SendResult, Sent, SettleResult};
use crate::ledger::{Ledger, Life};

/// I1: what was answered OK is delivered to each group, and comes again until it is settled, unless
/// it was removed or is gone by retention. An ack without an answer may have settled it.
pub fn nothing_lost(ledger: &Ledger<'_>) -> Vec<Violation> {
    let arrivals = ledger.arrivals();
    let mut violations = Vec::new();
    for (sent, life, offset) in ledger.kept() {
        let Sent { id, lite, .. } = sent;
        for group in ledger.groups {
            let Some(spot) = ledger.owed(&group.name, lite, life, offset) else { continue };
            let of_group = arrivals.get(&(&*group.name, &**id)).map_or(&[][..], Vec::as_slice);
            if ledger.is_undecided(of_group) {
                continue;
            }
            let what = if !of_group.iter().any(|found| ledger.may_be_from(found, spot)) {
                format!("{} never got {id} of {lite}@{offset}", group.name)
            } else if ledger.may_be_settled_at(spot).is_none() {
                format!("{} could never settle {lite}@{offset} ({id})", group.name)
            } else {
                continue;
            };
            violations.push(ledger.violation(Rule::NothingLost, what, lite, &[offset]));
        }
    }
    violations
}

/// I2: what is delivered was sent and not refused, and it is stored once.
pub fn nothing_invented(ledger: &Ledger<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut offsets: BTreeMap<&str, u64> = BTreeMap::new();
    for sent in ledger.sent.values().flatten() {
        if let SendResult::Stored(offset) = sent.result {
            offsets.insert(&sent.id, offset);
        }
    }
    for delivered in &ledger.delivered {
        let Delivered { lite, offset, id, .. } = *delivered;
        let sends = ledger.sent.get(&**id).into_iter().flatten();
        let is_possible = |sent: &&&Sent| {
            sent.lite == *lite
                && sent.asked_at <= delivered.at
                && !matches!(sent.result, SendResult::Refused(_))
        };
        if sends.filter(is_possible).count() == 0 {
            let what = format!("{}, which nobody had sent there with success", tell(delivered));
            violations.push(ledger.violation(Rule::NothingInvented, what, lite, &[*offset]));
        }
        let first = *offsets.entry(id).or_insert(*offset);
        // A send that was repeated after a removal is stored in the next life.
        if first != *offset && ledger.removals(lite).is_empty() {
            let what = format!("{}, which was stored at {first} before", tell(delivered));
            violations.push(ledger.violation(Rule::NothingInvented, what, lite, &[first, *offset]));
        }
    }
    violations
}

/// I3: what is delivered is what was sent, bit for bit.
pub fn nothing_damaged(ledger: &Ledger<'_>) -> Vec<Violation> {
    let damaged = ledger.delivered.iter().filter_map(|delivered| {
        let damage = delivered.damage.as_ref()?;
        let what = format!("{} damaged: {damage}", tell(delivered));
        Some(ledger.violation(Rule::NothingDamaged, what, &delivered.lite, &[delivered.offset]))
    });
    damaged.collect()
}

/// I4: an offset names one message for ever in a life of a lite topic, and what a producer sent
/// there one after the other stands in that order.
pub fn offsets_stay(ledger: &Ledger<'_>) -> Vec<Violation> {
    let mut violations = two_names(ledger);
    let mut lines: BTreeMap<(usize, &str, Life), BTreeMap<u64, u64>> = BTreeMap::new();
    for sent in ledger.sent.values().flatten() {
        if let SendResult::Stored(offset) = sent.result
            && let Some(life) = ledger.life_of_sent(sent)
        {
            let line = lines.entry((sent.producer, &sent.lite, life)).or_default();
            line.entry(sent.sequence).or_insert(offset);
        }
    }
    for ((producer, lite, _), line) in lines {
        let line: Vec<(u64, u64)> = line.into_iter().collect();
        for pair in line.windows(2) {
            let &[(sequence, offset), (next, next_offset)] = pair else { continue };
            if next_offset <= offset {
                let what = format!(
                    "producer {producer} sent {sequence} before {next}, but they are {lite}@{offset} and {next_offset}"
                );
                let offsets = [offset, next_offset];
                violations.push(ledger.violation(Rule::OffsetsStay, what, lite, &offsets));
            }
        }
    }
    violations
}

/// Offsets that name two messages, among what was answered and what was delivered.
fn two_names(ledger: &Ledger<'_>) -> Vec<Violation> {
    let sends = ledger.sent.values().flatten().filter_map(|sent| match sent.result {
        SendResult::Stored(offset) => {
            Some((&*sent.lite, ledger.life_of_sent(sent)?, offset, &*sent.id))
        }
        _ => None,
    });
    let deliveries = ledger.delivered.iter().filter_map(|delivered| {
        let Delivered { lite, offset, id, .. } = *delivered;
        Some((&**lite, ledger.life_of_delivered(delivered)?, *offset, &**id))
    });
    let mut names: BTreeMap<(&str, Life, u64), &str> = BTreeMap::new();
    let mut violations = Vec::new();
    for (lite, life, offset, id) in sends.chain(deliveries) {
        let first = *names.entry((lite, life, offset)).or_insert(id);
        if first != id {
            let what = format!("{lite}@{offset} is {first} and {id}");
            violations.push(ledger.violation(Rule::OffsetsStay, what, lite, &[offset]));
        }
    }
    violations
}

/// I10: what was removed with an answer of OK never comes again, neither by itself nor among the
/// messages of a later life.
pub fn removed_stays_removed(ledger: &Ledger<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for delivered in &ledger.delivered {
        let Delivered { lite, id, .. } = *delivered;
        let sends = ledger.sent.get(&**id).into_iter().flatten();
        let Some(known_at) = sends
            .filter(|sent| sent.result != SendResult::Unknown && sent.lite == *lite)
            .map(|sent| sent.answered_at)
            .max()
        else {
            continue;
        };
        let removal = ledger.removals(lite).iter().find(|removed| {
            removed.result == SettleResult::Done
                && known_at < removed.asked_at
                && removed.answered_at < delivered.asked_at
        });
        if removal.is_some() {
            let what = format!("{} after {lite} was removed with it", tell(delivered));
            let offsets = [delivered.offset];
            violations.push(ledger.violation(Rule::RemovedStaysRemoved, what, lite, &offsets));
        }
    }
    violations
}

pub(super) fn tell(delivered: &Delivered) -> String {
    let Delivered { group, lite, offset, id, .. } = delivered;
    format!("{group} was handed {lite}@{offset} ({id})")
}
