//! Groups that are moved to another place, and lite topics that go to another owner.

use super::*;
use crate::history::{Moved, TakenOver};

impl Tale {
    /// Asked for at this second, and answered half a second later.
    fn moved(self, second: u64, to: u64, result: SettleResult) -> Self {
        let (group, lite) = (GROUP.to_owned(), "l".to_owned());
        let (asked_at, answered_at) = (at(second), at(second) + Duration::from_millis(500));
        self.with(Event::Moved(Moved { group, lite, to, asked_at, answered_at, result }))
    }

    /// By `b`.
    fn taken_over(self, second: u64, result: SettleResult) -> Self {
        let (group, client, lite) = (GROUP.to_owned(), "b".to_owned(), "l".to_owned());
        let (asked_at, answered_at) = (at(second), at(second) + Duration::from_millis(500));
        self.with(Event::TakenOver(TakenOver {
            group,
            client,
            lite,
            asked_at,
            answered_at,
            result,
        }))
    }
}

fn done() -> SettleResult {
    SettleResult::Done
}

/// Two messages, both settled by the third second.
fn both_done() -> Tale {
    two_sent().got(2, "a", 0, 1).acked(3, 0, 1).got(5, "a", 1, 1).acked(5, 1, 1)
}

#[test]
fn what_was_settled_comes_again_after_a_move_back_and_is_owed_again() {
    let back = both_done().moved(7, 0, done());
    let again = back.got(9, "b", 0, 1).acked(10, 0, 1).got(12, "b", 1, 1).acked(12, 1, 1);
    again.breaks_nothing();
    both_done().got(9, "b", 1, 1).breaks_also(Rule::SettledStays);
    both_done().moved(7, 1, done()).breaks(Rule::NothingLost);
}

#[test]
fn what_a_move_skips_is_not_owed_and_what_comes_behind_it_is() {
    two_sent().moved(7, 2, done()).breaks_nothing();
    two_sent().moved(7, 1, done()).breaks(Rule::NothingLost);
    two_sent().moved(7, 1, done()).got(9, "a", 1, 1).acked(9, 1, 1).breaks_nothing();
}

#[test]
fn a_move_that_was_refused_changes_nothing_and_one_without_an_answer_decides_nothing() {
    two_sent().moved(7, 2, SettleResult::Refused("no".to_owned())).breaks(Rule::NothingLost);
    two_sent().moved(7, 2, SettleResult::Unknown).breaks_nothing();
    let twice = both_done().moved(7, 0, SettleResult::Unknown).got(9, "a", 0, 1);
    twice.breaks_nothing();
}

#[test]
fn after_a_move_the_order_starts_at_its_place() {
    let moved = two_sent().sent(2, stored(2)).got(2, "a", 0, 1).moved(4, 1, done());
    let in_order = moved.got(6, "a", 1, 1).acked(7, 1, 1).got(9, "a", 2, 1).acked(9, 2, 1);
    in_order.breaks_nothing();
    let moved = two_sent().sent(2, stored(2)).moved(4, 1, done());
    let passed = moved.got(6, "a", 2, 1).acked(7, 2, 1).got(9, "a", 1, 1).acked(9, 1, 1);
    passed.breaks(Rule::OneAfterAnother);
}

#[test]
fn a_new_owner_may_get_what_the_old_one_has_and_nobody_else_may() {
    let taken = |tale: Tale| tale.got(6, "b", 0, 2).acked(6, 0, 2).got(8, "b", 1, 1).acked(8, 1, 1);
    let held = || two_sent().got(2, "a", 0, 1);
    taken(held().taken_over(3, done())).breaks_nothing();
    taken(held().taken_over(3, SettleResult::Unknown)).breaks_nothing();
    taken(held()).breaks(Rule::OneOwner);
    taken(held().taken_over(3, SettleResult::Refused("no".to_owned()))).breaks(Rule::OneOwner);
}

#[test]
fn a_take_over_that_was_asked_for_before_a_hand_out_may_end_it() {
    let slow = two_sent().taken_over(1, SettleResult::Unknown).got(4, "a", 0, 1);
    slow.got(6, "b", 0, 2).acked(6, 0, 2).got(8, "b", 1, 1).acked(8, 1, 1).breaks_nothing();
}

#[test]
fn an_old_owner_gets_nothing_until_it_asks_again() {
    let first = || two_sent().got(2, "a", 0, 1).acked(2, 0, 1);
    let second = |tale: Tale| tale.got(8, "a", 1, 1).acked(8, 1, 1);
    second(first().taken_over(3, done())).breaks(Rule::OnlySubscribed);
    second(first().taken_over(3, done()).subscribed(5, "a", &["l"])).breaks_nothing();
    second(first().taken_over(3, SettleResult::Unknown)).breaks_nothing();
    // Its receive was there before.
    second(first().taken_over(7, done())).breaks_nothing();
}

#[test]
fn handles_of_an_old_owner_settle_nothing() {
    let held = || two_sent().got(2, "a", 0, 1);
    let rest = |tale: Tale| tale.got(8, "b", 1, 1).acked(8, 1, 1);
    rest(held().taken_over(3, done()).acked(5, 0, 1)).breaks(Rule::OnlySubscribed);
    rest(held().taken_over(3, done()).subscribed(4, "a", &["l"]).acked(5, 0, 1))
        .breaks(Rule::OnlySubscribed);
    rest(held().taken_over(5, done()).acked(5, 0, 1)).breaks_nothing();
    // A settled message may be acked again.
    rest(held().acked(2, 0, 1).taken_over(3, done()).acked(5, 0, 1)).breaks_nothing();
}
