//! Ack, change of the invisible duration, giving back, and what old handles can do.

use crate::script::check;

#[test]
fn a_message_can_be_acked_twice() {
    check(
        "sub c1 a | send a m1 m2 | claim c1 10s -> a:m1 a:m2 | ack m1 | ack m1 | ack m2 | ack m2
        | show a -> 0..2 g=2/0/0(c1)",
    );
}

#[test]
fn a_handle_of_an_earlier_hand_out_is_stale() {
    check(
        "sub c1 a | sub c2 a | send a m1 | claim c1 10s -> a:m1 | wait 10s | claim c2 10s -> a:m1#2
        | ack m1~1 -> !ReceiptHandleInvalid | hide m1~1 30s -> !ReceiptHandleInvalid
        | dead m1~1 -> !ReceiptHandleInvalid | back m1~1 | show a -> 0..1 g=0/1/0(c1,c2)
        | ack m1~2 | ack m1~1",
    );
}

#[test]
fn a_lease_that_ran_out_can_be_acked_while_nobody_else_has_the_message() {
    check(
        "sub c1 a | send a m1 m2 | claim c1 10s -> a:m1 a:m2 | wait 1h | ack m1
        | claim c1 10s -> a:m2#2 | ack m2~1 -> !ReceiptHandleInvalid",
    );
}

#[test]
fn a_hidden_message_comes_back_at_its_new_time() {
    check(
        "sub c1 a | send a m1 | claim c1 10s -> a:m1 | hide m1 30s | wait 29s | claim c1 10s -> .
        | wait 1s | claim c1 10s -> a:m1#2",
    );
}

#[test]
fn hiding_a_message_leaves_the_others_of_its_batch_alone() {
    check(
        "group g unordered | sub c1 a | send a m1 m2 | claim c1 10s -> a:m1 a:m2 | hide m1 30s
        | wait 10s | claim c1 10s -> a:m2#2 | wait 20s | claim c1 10s -> a:m1#2 a:m2#3",
    );
}

#[test]
fn hiding_for_no_time_makes_a_message_visible_at_once() {
    check(
        "sub c1 a | send a m1 | claim c1 10s -> a:m1 | hide m1 0s | woke -> c1@g
        | claim c1 10s -> a:m1#2",
    );
}

#[test]
fn old_and_new_handle_both_ack_after_a_change() {
    check("sub c1 a | send a m1 | claim c1 10s -> a:m1 | hide m1 30s | wait 20s | ack m1~1");
}

#[test]
fn a_suspended_batch_waits_as_a_whole_and_no_attempt_counts() {
    check(
        "sub c1 a | send a m1 m2 m3 | claim c1 10s -> a:m1 a:m2 a:m3 | ack m1 | suspend m2 30s
        | wait 29s | claim c1 10s -> . | wait 1s | claim c1 10s -> a:m2 a:m3
        | suspend m2 1s | wait 1s | claim c1 10s -> a:m2 a:m3 | wait 10s
        | claim c1 10s -> a:m2#2 a:m3#2",
    );
}

#[test]
fn a_suspend_is_still_one_after_acks_and_restarts() {
    check(
        "sub c1 a | send a m1 m2 m3 | claim c1 10s -> a:m1 a:m2 a:m3 | suspend m1 30s | restart
        | send a m4 | restart | wait 29s | claim c1 10s -> . | wait 1s
        | claim c1 10s max=1 -> a:m1 | ack m1 | suspend m1 1s | restart
        | claim c1 10s -> a:m2 a:m3 a:m4",
    );
}

#[test]
fn a_suspend_touches_only_its_own_hand_out() {
    check(
        "group g unordered | sub c1 a | send a m1 m2 | claim c1 10s max=1 -> a:m1
        | claim c1 10s -> a:m2 | suspend m2 1h | wait 10s | claim c1 10s -> a:m1#2",
    );
}

#[test]
fn changing_a_settled_message_is_fine_and_changes_nothing() {
    check(
        "sub c1 a | send a m1 m2 | claim c1 10s -> a:m1 a:m2 | ack m2 | hide m2 1h | ack m1
        | suspend m1 1h | dead m1 -> settled | show a -> 0..2 g=2/0/0(c1)",
    );
}

#[test]
fn a_message_given_back_comes_again_at_once_without_counting() {
    check(
        "sub c1 a | sub c2 a | send a m1 m2 | claim c1 10s -> a:m1 a:m2 | back m1 | back m2
        | claim c2 10s -> a:m1 a:m2 | ack m1~1 -> !ReceiptHandleInvalid | wait 10s
        | claim c1 10s -> a:m1#2 a:m2#2",
    );
}

#[test]
fn giving_back_what_was_acked_meanwhile_changes_nothing() {
    check("sub c1 a | send a m1 | claim c1 10s -> a:m1 | ack m1 | back m1 | claim c1 10s -> .");
}

#[test]
fn a_handle_of_a_removed_lite_topic_touches_nothing_of_its_next_life() {
    check(
        "sub c1 a | send a m1 | claim c1 10s -> a:m1 | remove a | sub c1 a | ack m1 -> !ReceiptHandleInvalid
        | send a n1 -> 0 | ack m1 -> !ReceiptHandleInvalid | claim c1 10s -> a:n1
        | hide m1 0s -> !ReceiptHandleInvalid | back m1 | dead m1 -> !ReceiptHandleInvalid
        | ack m1 -> !ReceiptHandleInvalid | show a -> 0..1 g=0/1/0(c1) | ack n1",
    );
}

#[test]
fn a_handle_works_after_its_client_unsubscribed() {
    check(
        "sub c1 a | send a m1 | claim c1 10s -> a:m1 | unsub c1 a | ack m1
        | show a -> 0..1 g=1/0/0()",
    );
}

#[test]
fn a_handle_works_after_a_restart() {
    check(
        "sub c1 a | send a m1 m2 | claim c1 10s -> a:m1 a:m2 | restart | ack m1 | restart
        | claim c1 10s -> . | ack m1 | wait 10s | claim c1 10s -> a:m2#2
        | restart | ack m2~1 -> !ReceiptHandleInvalid | ack m2",
    );
}
