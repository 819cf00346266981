//! Lite topics that are removed and come again, subscriptions that change, messages that retention
//! takes or that end as dead letters.

use super::*;

fn done() -> SettleResult {
    SettleResult::Done
}

fn named(id: &'static str) -> impl FnOnce(&mut Delivered) {
    move |delivered| delivered.id = id.to_owned()
}

#[test]
fn a_removed_lite_topic_owes_nothing_and_its_next_life_starts_anew() {
    let tale = one_done().removed(5, done()).sent_as(8, "n0", 0);
    tale.got_with(10, "b", 0, 1, named("n0")).acked(11, 0, 1).breaks_nothing();
}

#[test]
fn a_message_of_a_next_life_is_owed() {
    one_done().removed(5, done()).sent_as(8, "n0", 0).breaks(Rule::NothingLost);
}

#[test]
fn a_message_that_comes_after_its_removal_is_seen() {
    let tale = one_done().removed(5, done()).got(10, "b", 1, 1);
    tale.breaks(Rule::RemovedStaysRemoved);
    let mixed = one_done().removed(5, done()).sent_as(8, "n0", 0);
    let mixed = mixed.got_with(10, "b", 0, 1, named("n0")).acked(11, 0, 1);
    mixed.got(12, "b", 1, 1).breaks(Rule::RemovedStaysRemoved);
}

#[test]
fn a_removal_that_was_refused_or_not_answered_takes_nothing_away() {
    let refused = one_done().removed(5, SettleResult::Refused("no".to_owned()));
    refused.breaks(Rule::NothingLost);
    let unknown = one_done().removed(5, SettleResult::Unknown);
    unknown.got(10, "b", 1, 1).acked(11, 1, 1).breaks_nothing();
}

#[test]
fn a_message_on_its_way_during_the_removal_is_fine() {
    let tale = one_done().got_with(7, "b", 1, 1, |delivered| delivered.asked_at = at(4));
    tale.removed(5, done()).breaks_nothing();
}

#[test]
fn an_ack_that_a_removal_overtakes_is_of_the_life_of_its_hand_out() {
    let together = |delivered: &mut Delivered| delivered.asked_at = at(3);
    let mut tale = two_sent().got(2, "a", 0, 1).acked(3, 0, 1);
    if let Some(Event::Settled(settled)) = tale.0.last_mut() {
        (settled.answered_at, settled.result) = (at(9), SettleResult::Unknown);
    }
    tale.got_with(4, "b", 1, 1, together).acked(4, 1, 1).removed(5, done()).breaks_nothing();
}

#[test]
fn a_message_sent_during_a_removal_is_of_the_life_it_is_handed_out_in() {
    let both = |id: &'static str| {
        move |delivered: &mut Delivered| {
            (delivered.receive, delivered.id) = (77, id.to_owned());
        }
    };
    let tale = one_done().removed(5, done()).sent_as(5, "n0", 0).sent_as(8, "n1", 1);
    let tale = tale.got_with(10, "b", 0, 1, both("n0")).got_with(10, "b", 1, 1, both("n1"));
    tale.acked(11, 0, 1).acked(11, 1, 1).breaks_nothing();
}

#[test]
fn a_hand_over_of_an_uncertain_life_is_nothing_that_others_pass() {
    let mut tale = Tale::new().sent(0, SendResult::Unknown).sent(0, stored(0)).sent(1, stored(1));
    let together = |delivered: &mut Delivered| delivered.receive = 77;
    tale = tale.got_with(5, "a", 0, 1, together).got_with(5, "a", 1, 1, together);
    tale.removed(5, done()).breaks_nothing();
}

#[test]
fn an_ack_in_one_life_settles_nothing_in_the_next() {
    let tale = one_done().removed(5, done()).sent_as(8, "n0", 0);
    tale.got_with(10, "b", 0, 1, named("n0")).breaks(Rule::NothingLost);
}

#[test]
fn what_retention_took_is_not_lost_and_blocks_nobody() {
    let trimmed = |below| Event::Trimmed { lite: "l".to_owned(), below, at: at(1) };
    two_sent().with(trimmed(2)).breaks_nothing();
    two_sent().with(trimmed(1)).breaks(Rule::NothingLost);
    two_sent().with(trimmed(1)).got(2, "a", 1, 1).acked(3, 1, 1).breaks_nothing();
}

#[test]
fn a_client_may_be_given_what_it_is_subscribed_to_at_that_time() {
    let tale = one_done().subscribed(10, "c", &["l"]).got(12, "c", 1, 1).acked(13, 1, 1);
    tale.breaks_nothing();
    let early = one_done().subscribed(13, "c", &["l"]).got(12, "c", 1, 1).acked(13, 1, 1);
    early.breaks(Rule::OnlySubscribed);
    let late = one_done().subscribed(10, "a", &[]).got(12, "a", 1, 1).acked(13, 1, 1);
    late.breaks(Rule::OnlySubscribed);
    let meanwhile = one_done().subscribed(12, "a", &[]).got(12, "a", 1, 1).acked(13, 1, 1);
    meanwhile.breaks_nothing();
}

#[test]
fn a_suspended_attempt_comes_again_as_it_was_and_in_its_time() {
    let suspended = one_done().got(5, "a", 1, 1).settled(6, 1, 1, Settle::Suspend(at(3)));
    suspended.got(10, "b", 1, 1).acked(11, 1, 1).breaks_nothing();
    let soon = one_done().got(5, "a", 1, 1).settled(6, 1, 1, Settle::Suspend(at(3)));
    soon.got(8, "b", 1, 1).acked(9, 1, 1).breaks(Rule::OneOwner);
    let counted = one_done().got(5, "a", 1, 1).settled(6, 1, 1, Settle::Nack(at(3)));
    counted.got(10, "b", 1, 1).acked(11, 1, 1).breaks(Rule::OneOwner);
}

#[test]
fn a_suspension_at_the_moment_of_the_next_hand_out_may_be_of_that_one() {
    let tale = one_done().got(5, "a", 1, 1).settled(6, 1, 1, Settle::Suspend(at(1)));
    let tale = tale.got(8, "a", 1, 1).settled(8, 1, 1, Settle::Suspend(at(3)));
    tale.got(12, "a", 1, 1).acked(13, 1, 1).breaks_nothing();
}

#[test]
fn a_send_that_is_repeated_after_a_removal_is_stored_in_the_next_life() {
    let tale = Tale::new().sent(0, stored(0)).sent(1, SendResult::Unknown);
    let tale = tale.got(2, "a", 0, 1).acked(3, 0, 1).removed(5, done()).sent_as(8, "m1", 0);
    tale.got_with(10, "b", 0, 1, named("m1")).acked(11, 0, 1).breaks_nothing();
}

#[test]
fn a_dead_letter_is_settled() {
    let tale = one_done().got(5, "a", 1, 1).settled(6, 1, 1, Settle::DeadLetter);
    tale.breaks_nothing();
    let tale = one_done().got(5, "a", 1, 1).settled(6, 1, 1, Settle::DeadLetter);
    tale.got(20, "a", 1, 2).breaks(Rule::SettledStays);
}

#[test]
fn a_client_that_left_and_came_back_has_its_leases() {
    let left = |second| Event::Left { client: "a".to_owned(), at: at(second) };
    let tale = one_done().with(left(3)).got(5, "a", 1, 1).got(8, "b", 1, 2).acked(9, 1, 2);
    tale.breaks(Rule::OneOwner);
    let tale = one_done().got(5, "a", 1, 1).with(left(6)).got(8, "b", 1, 2).acked(9, 1, 2);
    tale.breaks_nothing();
}
