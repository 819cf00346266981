//! Messages whose attempts are used up, or that a client gives up.

use crate::script::check;

#[test]
fn a_message_with_its_attempts_used_up_goes_to_the_dead_letters() {
    check(
        "group g attempts=2 | group d of=dead | sub c1 a | sub d1@d a | send a m1 m2
        | claim c1 10s max=1 -> a:m1 | wait 10s | claim c1 10s max=1 -> a:m1#2 | wait 10s
        | claim c1 10s -> . | burials -> m1@g#2 | claim c1 10s -> . | claim d1@d 10s -> .
        | bury m1 | woke -> d1@d c1@g | claim d1@d 10s -> a:m1 | claim c1 10s -> a:m2
        | ack m1 | show a -> 0..2 g=1/1/0(c1)",
    );
}

#[test]
fn a_dead_letter_keeps_nobody_waiting_in_a_group_without_order() {
    check(
        "group g unordered attempts=1 | sub c1 a | send a m1 m2 | claim c1 10s max=1 -> a:m1
        | wait 10s | claim c1 10s -> a:m2 | burials -> m1@g | send a m3 | claim c1 10s -> a:m3
        | bury m1 | ack m2 | ack m3 | show a -> 0..3 g=3/0/0(c1)",
    );
}

#[test]
fn a_dead_letter_that_could_not_be_stored_is_tried_again() {
    check(
        "group g attempts=1 | sub c1 a | send a m1 | claim c1 10s -> a:m1 | wait 10s
        | claim c1 10s -> . | burials -> m1@g | unburied m1 | wait 9s | claim c1 10s -> .
        | burials -> . | wait 1s | woke -> c1@g | claim c1 10s -> . | burials -> m1@g | bury m1
        | show a -> 0..1 g=1/0/0(c1)",
    );
}

#[test]
fn a_dead_letter_that_could_not_be_stored_is_held_by_the_client_that_had_it_last() {
    check(
        "group g unordered attempts=2 | sub c1 a | sub c2 a | sub c3 a | send a m1
        | claim c3 1s -> a:m1 | wait 1s | claim c3 1s -> a:m1#2 | send a m2 | wait 1s
        | claim c1 1s -> a:m2 | burials -> m1@g#2 | wait 1s | claim c2 10s -> a:m2#2 | unburied m1
        | claim c1 10s -> . | burials -> . | gone c3 | claim c1 10s -> . | burials -> m1@g#2",
    );
}

#[test]
fn a_message_given_up_by_its_client_is_held_back_until_it_is_stored() {
    check(
        "sub c1 a | send a m1 m2 | claim c1 10s max=1 -> a:m1 | dead m1 | burials -> m1@g
        | wait 1h | claim c1 10s -> . | ack m1 -> !ReceiptHandleInvalid
        | dead m1 -> !ReceiptHandleInvalid | bury m1 | ack m1 | claim c1 10s -> a:m2",
    );
}

#[test]
fn a_burial_that_a_restart_interrupted_is_started_again() {
    check(
        "group g attempts=1 | sub c1 a | send a m1 | claim c1 10s -> a:m1 | wait 10s
        | claim c1 10s -> . | burials -> m1@g | restart | claim c1 10s -> . | burials -> m1@g
        | bury m1 | restart | claim c1 10s -> .",
    );
}

#[test]
fn a_message_given_up_before_a_restart_is_handed_out_again() {
    check(
        "sub c1 a | send a m1 | claim c1 10s -> a:m1 | dead m1 | restart | claim c1 10s -> .
        | wait 10s | claim c1 10s -> a:m1#2",
    );
}

#[test]
fn a_burial_of_a_message_that_is_gone_does_nothing() {
    check(
        "group g attempts=1 | sub c1 a | send a m1 | claim c1 10s -> a:m1 | wait 10s
        | claim c1 10s -> . | remove a | sub c1 a | send a n1 | bury m1 | claim c1 10s -> a:n1
        | names -> 1:1",
    );
}

#[test]
fn a_burial_for_a_removed_group_stores_nothing() {
    check(
        "group g attempts=1 | sub c1 a | send a m1 | claim c1 10s -> a:m1 | wait 10s
        | claim c1 10s -> . | remove-group g | bury m1 -> !ConsumerGroupNotFound | steps
        | names -> 1:1",
    );
}

#[test]
fn one_claim_starts_no_more_burials_than_it_may_hand_out_messages() {
    check(
        "group g attempts=1 | sub c1 a b c | send a m1 | send b n1 | send c o1
        | claim c1 10s -> a:m1 b:n1 c:o1 | wait 10s | claim c1 10s max=2 -> . ...
        | burials -> m1@g n1@g | claim c1 10s max=2 -> . | burials -> m1@g n1@g o1@g",
    );
}

#[test]
fn lowered_attempts_bury_with_the_attempts_that_were_made() {
    check(
        "sub c1 a | send a m1 | claim c1 10s -> a:m1 | wait 10s | claim c1 10s -> a:m1#2
        | group g attempts=1 | wait 10s | claim c1 10s -> . | burials -> m1@g#2",
    );
}

#[test]
fn suspending_for_ever_never_makes_a_dead_letter() {
    check(
        "group g attempts=1 | sub c1 a | send a m1 | claim c1 10s -> a:m1 | suspend m1 0s
        | claim c1 10s -> a:m1 | suspend m1 0s | claim c1 10s -> a:m1 | wait 10s
        | claim c1 10s -> . | burials -> m1@g",
    );
}

/// Three messages of `a` are dead letters.
const THREE_LETTERS: &str =
    "group g attempts=1 | sub c1 a | send a m1 m2 m3 | claim c1 1s -> a:m1 a:m2 a:m3
    | wait 1s | claim c1 1s -> . | bury m1 | claim c1 1s -> . | bury m2 | claim c1 1s -> . | bury m3
    | letters a -> 0..3";

#[test]
fn a_letter_is_sent_again_to_the_end_of_its_lite_topic_once() {
    check(&format!(
        "{THREE_LETTERS} | send a m4 | resend a 1 -> 1:4 | letters a -> 0..3 resent=1..2
        | resend a 1 -> again=1 | resend a 0 1 2 -> 0:5 2:6 again=1 | letters a -> 0..3 resent=0..3
        | resend a 0 1 2 -> again=0 again=1 again=2 | show a -> 0..7 g=3/0/4(c1)
        | claim c1 1s -> a:m4 a:m2 a:m1 a:m3"
    ));
}

#[test]
fn a_letter_asked_for_twice_in_one_request_is_sent_once() {
    check(&format!("{THREE_LETTERS} | resend a 2 2 0 -> 2:3 0:4 again=2"));
}

#[test]
fn a_letter_that_fails_again_is_another_letter() {
    check(&format!(
        "{THREE_LETTERS} | resend a 0 as=x -> 0:3 | claim c1 1s -> a:x-0 | wait 1s
        | claim c1 1s -> . | bury x-0 | letters a -> 0..4 resent=0..1
        | resend a 0 1 2 3 -> 1:4 2:5 3:6 again=0"
    ));
}

#[test]
fn a_resend_makes_the_lite_topic_that_was_removed_meanwhile() {
    check(&format!(
        "{THREE_LETTERS} | remove a | sub c1 a | show a -> . | resend a 0 as=x -> 0:0 | woke -> c1@g
        | claim c1 1s -> a:x-0"
    ));
}

#[test]
fn a_resend_of_what_is_not_stored_changes_nothing() {
    check(&format!(
        "{THREE_LETTERS} | resend a 0 3 -> !OffsetNotFound | resend b 0 -> !LiteTopicNotFound
        | letters a -> 0..3 | show a -> 0..3 g=3/0/0(c1)"
    ));
}

#[test]
fn letters_removed_by_retention_are_no_longer_remembered() {
    check(&format!(
        "{THREE_LETTERS} | resend a 0 1 -> 0:3 1:4 | trim-letters a 1
        | letters a -> 1..3 resent=1..2 | resend a 0 -> !OffsetNotFound | resend a 1 -> again=1"
    ));
}

#[test]
fn letters_of_the_next_life_have_not_been_sent_again() {
    check(&format!(
        "{THREE_LETTERS} | resend a 0 -> 0:3 | remove-letters a | letters a -> .
        | claim c1 1s -> a:m1 | wait 1s | claim c1 1s -> . | bury m1 | letters a -> 0..1
        | resend a 0 -> 0:4"
    ));
}

#[test]
fn a_crash_before_a_resend_is_durable_leaves_neither_message_nor_memory_of_it() {
    check(&format!(
        "{THREE_LETTERS} | hold | resend a 0 -> 0:3 | crash | letters a -> 0..3
        | show a -> 0..3 g=3/0/0(c1) | resend a 0 -> 0:3 | hold | crash
        | letters a -> 0..3 resent=0..1 | show a -> 0..4 g=3/0/1(c1)"
    ));
}
