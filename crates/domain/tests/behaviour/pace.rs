//! Groups that limit how fast a lite topic is handed out.

use crate::script::check;

#[test]
fn a_claim_gives_what_the_rate_allows_and_more_comes_when_more_is_allowed() {
    check(
        "group g rate=2 | sub c1 a | send a m1 m2 m3 m4 m5 | claim c1 10s -> a:m1 a:m2 | ack m1
        | ack m2 | claim c1 10s -> . | wait 499ms | claim c1 10s -> . | wait 1ms | woke -> c1@g
        | claim c1 10s -> a:m3 | ack m3 | wait 1s | claim c1 10s -> a:m4 a:m5",
    );
}

#[test]
fn other_lite_topics_and_other_groups_go_on() {
    check(
        "group g rate=1 | group h | sub c1 a b | sub c1@h a | send a m1 m2 | send b n1
        | claim c1 10s -> a:m1 b:n1 | ack m1 | ack n1 | claim c1 10s -> . | send b n2
        | claim c1 10s -> . | claim c1@h 10s -> a:m1 a:m2 | wait 1s | claim c1 10s -> a:m2 b:n2",
    );
}

#[test]
fn redeliveries_count_as_well() {
    check(
        "group g rate=1 | sub c1 a | send a m1 m2 | claim c1 10s -> a:m1 | hide m1 0s
        | claim c1 10s -> . | wait 1s | claim c1 10s -> a:m1#2 | hide m1 0s | wait 5s
        | claim c1 10s -> a:m1#3 | ack m1 | claim c1 10s -> . | wait 1s | claim c1 10s -> a:m2",
    );
}

#[test]
fn a_repeated_receive_is_given_the_same_again_at_once() {
    check(
        "group g rate=1 | sub c1 a | send a m1 m2 | claim c1 auto try=7 -> a:m1
        | claim c1 auto try=7 -> a:m1 ...",
    );
}

#[test]
fn a_rate_that_changes_holds_from_the_next_claim_on_and_none_lets_all_pass() {
    check(
        "group g rate=1 unordered | sub c1 a | send a m1 m2 m3 m4 | claim c1 10s -> a:m1
        | group g unordered | claim c1 10s -> . | wait 1s | claim c1 10s -> a:m2 a:m3 a:m4",
    );
}

#[test]
fn a_claim_that_a_lowered_rate_leaves_without_room_waits_and_holds_nothing() {
    check(
        "group g rate=3 | sub c1 a | send a m1 | claim c1 10s -> a:m1 | ack m1 | send a m2
        | group g rate=1 | claim c1 10s -> . | wait 332ms | claim c1 10s -> . | wait 2ms | woke -> c1@g
        | claim c1 10s -> a:m2",
    );
}

#[test]
fn a_wildcard_group_keeps_to_its_rate_for_each_lite_topic() {
    check(
        "group g wild=* rate=1 unordered | send a m1 m2 | send b n1 n2
        | claim c1 10s -> a:m1 b:n1 | claim c2 10s -> . | wait 1s | woke -> *@g
        | claim c2 10s -> a:m2 b:n2",
    );
}

#[test]
fn a_lite_topic_that_goes_takes_its_rate_along_and_a_restart_starts_afresh() {
    check(
        "group g rate=1 | sub c1 a | send a m1 m2 | claim c1 10s -> a:m1 | remove a | sub c1 a | send a m3
        | claim c1 10s -> a:m3 | send a m4 | ack m3 | claim c1 10s -> . | restart
        | claim c1 10s -> a:m4",
    );
}

#[test]
fn used_up_attempts_are_no_hand_outs() {
    check(
        "group g rate=1 attempts=1 | sub c1 a | send a m1 m2 | claim c1 10s -> a:m1 | wait 10s
        | claim c1 10s -> . | burials -> m1@g | bury m1 | claim c1 10s -> a:m2",
    );
}
