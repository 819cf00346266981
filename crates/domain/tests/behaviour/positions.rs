//! Groups that are moved to another place of a lite topic.

use crate::script::check;

#[test]
fn a_subscription_can_start_at_the_newest_message_or_behind_it() {
    check(
        "send a m1 m2 m3 m4 | sub c1 a from=newest | claim c1 10s -> . | woke -> . | send a m5
        | claim c1 10s -> a:m5 | group h | sub c1@h a from=-2 | claim c1@h 10s -> a:m4 a:m5",
    );
}

#[test]
fn a_subscription_can_start_at_an_offset_and_at_the_oldest_again() {
    check(
        "send a m1 m2 m3 | sub c1 a from=1 | claim c1 10s -> a:m2 a:m3 | ack m2 | ack m3
        | sub c1 a from=oldest -> +0 | woke -> c1@g | claim c1 10s -> a:m1 a:m2 a:m3",
    );
}

#[test]
fn a_place_beyond_what_is_stored_is_the_nearest_that_is() {
    check(
        "send a m1 m2 m3 | trim a 1 | sub c1 a from=0 | claim c1 10s max=1 -> a:m2
        | sub c1 a from=99 | claim c1 10s -> . | show a -> 1..3 g=3/0/0(c1)
        | sub c1 a from=-99 | claim c1 10s -> a:m2 a:m3",
    );
}

#[test]
fn a_name_that_nobody_sent_to_yet_starts_at_its_first_message_whatever_was_asked() {
    check("sub c1 a from=newest | send a m1 | claim c1 10s -> a:m1");
}

#[test]
fn moving_works_while_the_queue_is_blocked_and_ends_all_handles() {
    check(
        "sub c1 a | send a m1 m2 m3 | claim c1 60s max=2 -> a:m1 a:m2 | move g a to=oldest -> 1
        | woke -> c1@g | ack m1 -> !ReceiptHandleInvalid | claim c1 60s -> a:m1 a:m2 a:m3
        | move g a to=2 | ack m3~1 -> !ReceiptHandleInvalid | claim c1 60s -> a:m3
        | ack m3 | show a -> 0..3 g=3/0/0(c1)",
    );
}

#[test]
fn an_ack_between_a_move_and_the_next_claim_does_not_undo_it() {
    check(
        "sub c1 a | send a m1 m2 | claim c1 60s -> a:m1 a:m2 | move g a to=oldest
        | ack m1 -> !ReceiptHandleInvalid | ack m2 -> !ReceiptHandleInvalid
        | claim c1 60s -> a:m1 a:m2",
    );
}

#[test]
fn moving_to_where_a_group_is_ends_what_is_in_flight_all_the_same() {
    check(
        "sub c1 a | send a m1 m2 | claim c1 60s max=1 -> a:m1 | move g a to=0 -> 1
        | ack m1 -> !ReceiptHandleInvalid | claim c1 60s -> a:m1 a:m2",
    );
}

#[test]
fn what_was_settled_before_a_move_back_comes_again_from_its_first_attempt() {
    check(
        "group g attempts=2 | sub c1 a | send a m1 | claim c1 10s -> a:m1 | wait 10s
        | claim c1 10s -> a:m1#2 | ack m1 | move g a to=oldest | claim c1 10s -> a:m1",
    );
}

#[test]
fn a_message_on_its_way_to_the_dead_letters_is_not_copied_after_a_move() {
    check(
        "group d of=dead | sub c1 a | send a m1 | claim c1 10s -> a:m1 | dead m1
        | move g a to=oldest | bury m1 as=x1 | sub c1@d a | claim c1@d 10s -> .
        | claim c1 10s -> a:m1",
    );
}

#[test]
fn all_lite_topics_of_a_group_are_moved_and_no_others() {
    check(
        "sub c1 a b | send a m1 m2 | send b n1 | send c o1 | claim c1 10s -> a:m1 a:m2 b:n1
        | ack m1 | ack m2 | ack n1 | group h | sub c1@h a | move g to=oldest -> 2
        | claim c1 10s -> a:m1 a:m2 b:n1 | move g to=newest -> 2 | claim c1 10s -> .
        | claim c1@h 10s -> a:m1 a:m2 | move h to=newest -> 1 | sub c1@h c
        | claim c1@h 10s -> c:o1",
    );
}

#[test]
fn moving_what_is_not_there_is_refused_and_a_life_to_come_starts_anew() {
    check(
        "move g a to=newest -> !LiteTopicNotFound | sub c1 a | move g a to=newest -> !LiteTopicNotFound
        | send a m1 m2 | move g a to=newest | remove a | sub c1 a | send a m3 | claim c1 10s -> a:m3",
    );
}

#[test]
fn a_move_survives_a_restart_and_a_lost_one_never_happened() {
    check(
        "sub c1 a | send a m1 m2 | claim c1 60s -> a:m1 a:m2 | ack m1 | ack m2 | move g a to=oldest
        | restart | claim c1 10s max=1 -> a:m1 | ack m1 | hold | move g a to=newest | crash
        | claim c1 10s -> a:m2",
    );
}

#[test]
fn with_the_option_who_unsubscribes_by_name_sends_the_group_back_to_the_oldest_message() {
    check(
        "group g reset-unsub | sub c1 a | send a m1 m2 | claim c1 60s -> a:m1 a:m2 | ack m1
        | unsub c1 x -> -0 | show a -> 0..2 g=1/1/0(c1) | unsub c1 a
        | ack m2 -> !ReceiptHandleInvalid | sub c1 a | claim c1 60s -> a:m1 a:m2 | ack m1
        | full c1 -> +0 -1 | sub c1 a | claim c1 60s -> . | leave c1 | show a -> 0..2 g=1/1/0()",
    );
}

#[test]
fn without_order_a_move_gives_all_that_is_behind_it_again() {
    check(
        "group g unordered | sub c1 a | sub c2 a | send a m1 m2 m3 | claim c1 60s max=1 -> a:m1
        | claim c2 60s max=1 -> a:m2 | ack m2 | move g a to=0 | claim c2 60s -> a:m1 a:m2 a:m3",
    );
}
