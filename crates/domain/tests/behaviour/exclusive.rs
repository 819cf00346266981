//! Exclusive groups: one client at a time has a lite topic, the one that added it last.

use crate::script::check;

#[test]
fn the_newest_subscriber_takes_over_and_the_old_owner_gets_nothing() {
    check(
        "group g exclusive | sub c1 a | send a m1 | sub c2 a -> +1 | pairs -> 1
        | claim c1 10s -> . | claim c2 10s -> a:m1 | show a -> 0..1 g=0/1/0(c2)",
    );
}

#[test]
fn the_old_owner_is_told_once_and_the_new_one_is_not() {
    check(
        "group g exclusive | sub c1 a | told -> . | sub c2 a | told -> c1@g:a | sub c2 a -> +0
        | told -> . | unsub c2 a | told -> .",
    );
}

#[test]
fn messages_of_the_old_owner_are_ready_for_the_new_one_at_once_and_its_handles_are_stale() {
    check(
        "group g exclusive | sub c1 a | send a m1 m2 | claim c1 60s -> a:m1 a:m2 | sub c2 a
        | woke -> c2@g | ack m1 -> !ReceiptHandleInvalid | hide m1 0s -> !ReceiptHandleInvalid
        | suspend m2 0s -> !ReceiptHandleInvalid | dead m2 -> !ReceiptHandleInvalid
        | claim c2 10s -> a:m1#2 a:m2#2 | ack m1~1 -> !ReceiptHandleInvalid | ack m1 | ack m2
        | show a -> 0..2 g=2/0/0(c2)",
    );
}

#[test]
fn what_the_old_owner_settled_behind_a_gap_stays_settled() {
    check(
        "group g exclusive | sub c1 a | send a m1 m2 m3 | claim c1 60s -> a:m1 a:m2 a:m3 | ack m2
        | sub c2 a | ack m2 | claim c2 10s -> a:m1#2 a:m3#2",
    );
}

#[test]
fn a_lease_that_was_renewed_ends_with_the_take_over() {
    check(
        "group g exclusive | sub c1 a | send a m1 | claim c1 auto -> a:m1 | wait 2h | sub c2 a
        | claim c2 10s -> a:m1#2 | wait 70s | claim c2 10s -> a:m1#3",
    );
}

#[test]
fn a_message_on_its_way_to_the_dead_letters_goes_there_and_holds_the_new_owner_up_meanwhile() {
    check(
        "group g exclusive | sub c1 a | send a m1 m2 | claim c1 60s max=1 -> a:m1 | dead m1
        | sub c2 a | claim c2 10s -> . | bury m1 | claim c2 10s -> a:m2",
    );
}

#[test]
fn a_repeated_receive_of_the_old_owner_gives_nothing() {
    check(
        "group g exclusive | sub c1 a b | send a m1 | claim c1 auto try=7 -> a:m1 | sub c2 a
        | claim c1 auto try=7 -> . | claim c2 10s -> a:m1#2",
    );
}

#[test]
fn a_full_sync_takes_what_nobody_has_and_nothing_from_an_owner() {
    check(
        "group g exclusive | sub c1 a | sub c2 b | send a m1 | send b n1 | send c o1
        | full c2 a b c -> +1 -0 | told -> c2@g:a? | claim c2 10s -> b:n1 c:o1
        | claim c1 10s -> a:m1 | full c1 a b -> +0 -0 | told -> c1@g:b? | pairs -> 3",
    );
}

#[test]
fn a_full_sync_of_the_old_owner_never_steals_back() {
    check(
        "group g exclusive | sub c1 a | sub c2 a | full c1 a -> +0 -0 | told -> c1@g:a?
        | full c1 a -> +0 -0 | told -> c1@g:a? | send a m1 | claim c1 10s -> .
        | claim c2 10s -> a:m1 | unsub c2 a | full c1 a -> +1 -0 | told -> .",
    );
}

#[test]
fn a_full_sync_drops_what_the_owner_no_longer_names_and_another_can_have_it() {
    check(
        "group g exclusive | sub c1 a b | full c1 b -> +0 -1 | full c2 a b -> +1 -0
        | told -> c2@g:b? | show a -> .",
    );
}

#[test]
fn a_lite_topic_given_up_keeps_its_leases_until_they_end() {
    check(
        "group g exclusive | sub c1 a | send a m1 m2 | claim c1 30s max=1 -> a:m1 | unsub c1 a
        | sub c2 a | told -> . | claim c2 10s -> . | ack m1 | claim c2 10s -> a:m2",
    );
}

#[test]
fn an_owner_that_leaves_or_is_expelled_owns_nothing() {
    check(
        "group g exclusive | sub c1 a b | leave c1 -> -2 | sub c2 a | expel c2 a -> -1
        | told -> c2@g:a | expel c2 -> -0 | told -> . | full c3 a b -> +2 -0",
    );
}

#[test]
fn take_overs_survive_a_restart_and_a_lost_one_never_happened() {
    check(
        "group g exclusive | sub c1 a | send a m1 | claim c1 60s -> a:m1 | sub c2 a | restart
        | ack m1 -> !ReceiptHandleInvalid | claim c1 10s -> . | claim c2 60s -> a:m1#2 | hold
        | sub c3 a | crash | claim c3 10s -> . | ack m1",
    );
}

#[test]
fn a_take_over_of_a_name_that_nobody_sent_to_yet_counts_when_the_first_message_comes() {
    check(
        "group g exclusive | sub c1 a | sub c2 a | names -> 1:0 | send a m1 | claim c1 10s -> .
        | claim c2 10s -> a:m1",
    );
}

#[test]
fn other_groups_share_the_lite_topic_as_before() {
    check(
        "group g exclusive | group h | sub c1 a | sub c1@h a | sub c2 a | sub c2@h a | send a m1
        | claim c1@h 10s -> a:m1 | claim c2 10s -> a:m1 | pairs -> 3",
    );
}

#[test]
fn a_take_over_counts_as_an_attempt_so_that_poison_reaches_the_dead_letters() {
    check(
        "group g exclusive attempts=2 | sub c1 a | send a m1 m2 | claim c1 60s max=1 -> a:m1
        | sub c2 a | claim c2 60s max=1 -> a:m1#2 | sub c1 a | claim c1 60s -> .
        | burials -> m1@g#2 | bury m1 | claim c1 60s -> a:m2",
    );
}

#[test]
fn with_the_option_a_new_owner_starts_at_the_oldest_message_again() {
    check(
        "group g exclusive reset-takeover | sub c1 a | send a m1 m2 m3
        | claim c1 60s max=2 -> a:m1 a:m2 | ack m1 | sub c2 a | ack m2 -> !ReceiptHandleInvalid
        | claim c2 10s -> a:m1 a:m2 a:m3 | unsub c2 a | wait 10s | sub c3 a | told -> .
        | claim c3 10s -> a:m1#2 a:m2#2 a:m3#2",
    );
}

#[test]
fn a_handle_of_two_owners_ago_is_stale_for_ever() {
    check(
        "group g exclusive | sub c1 a | send a m1 | claim c1 60s -> a:m1 | sub c2 a | sub c1 a
        | ack m1 -> !ReceiptHandleInvalid | claim c1 60s -> a:m1#2 | ack m1~1 -> !ReceiptHandleInvalid
        | ack m1~2",
    );
}
