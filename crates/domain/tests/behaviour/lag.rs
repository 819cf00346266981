//! What groups have left to settle, counted as it changes. That the counts are what a look at
//! everything gives is also asked after each step of every script.

use crate::script::check;

#[test]
fn what_is_left_follows_sends_hand_outs_and_acks() {
    check(
        "sub c1 a b | lag g -> 0/0 in 0 | send a m1 m2 | send b n1 | lag g -> 3/0 in 2
        | claim c1 10s max=1 -> a:m1 ... | lag g -> 3/1 in 2 | ack m1 | lag g -> 2/0 in 2
        | claim c1 10s -> b:n1 a:m2 | lag g -> 2/2 in 2 | ack n1 | ack m2 | lag g -> 0/0 in 0",
    );
}

#[test]
fn what_is_settled_behind_a_gap_is_not_left() {
    check(
        "group g unordered | sub c1 a | send a m1 m2 m3 | claim c1 10s -> a:m1 a:m2 a:m3 | ack m2
        | lag g -> 2/2 in 1 | ack m1 | ack m3 | lag g -> 0/0 in 0",
    );
}

#[test]
fn a_returned_and_a_suspended_message_are_left_and_in_flight_until_they_are_visible() {
    check(
        "sub c1 a b | send a m1 | send b n1 | claim c1 10s -> a:m1 b:n1 | hide m1 5s
        | suspend n1 30s | lag g -> 2/2 in 2 | wait 5s | lag g -> 2/1 in 2 | wait 25s
        | lag g -> 2/0 in 2",
    );
}

#[test]
fn a_lease_that_ran_out_is_not_in_flight_even_before_a_tick() {
    check("sub c1 a | send a m1 | claim c1 10s -> a:m1 | jump 10s | lag g -> 1/0 in 1");
}

#[test]
fn a_dead_letter_is_in_flight_until_it_is_stored_and_then_left_to_who_reads_the_letters() {
    check(
        "group h of=dead | sub c1 a | sub c1@h a | send a m1 | claim c1 10s -> a:m1 | dead m1
        | jump 10s | lag g -> 1/1 in 1 | lag h -> 0/0 in 0 | bury m1 as=x1 | lag g -> 0/0 in 0
        | lag h -> 1/0 in 1",
    );
}

/// O4 of the known faults.
#[test]
fn a_deleted_lite_topic_is_gone_from_the_lag_at_once() {
    check(
        "group h wild=* | sub c1 a b | send a m1 m2 | send b n1 | claim c1 10s max=1 -> a:m1 ...
        | lag g -> 3/1 in 2 | lag h -> 3/0 in 2 | remove a | lag g -> 1/0 in 1 | lag h -> 1/0 in 1
        | most g -> b=1/0 | ages g -> b=0s | send a o1 | lag g -> 1/0 in 1 | lag h -> 2/0 in 2",
    );
}

#[test]
fn an_expired_lite_topic_is_gone_from_the_lag() {
    check(
        "options ttl=1m | sub c1 a | send a m1 | lag g -> 1/0 in 1 | wait 70s | lag g -> 0/0 in 0",
    );
}

#[test]
fn what_expires_before_a_changed_group_is_swept_is_gone_from_its_lag() {
    check(
        "group h wild=a* | options ttl=1m | send a m1 | lag h -> 1/0 in 1 | group h | wait 11000s
        | steps | lag h -> 0/0 in 0",
    );
}

#[test]
fn what_retention_took_is_not_left() {
    check(
        "group h | sub c1 a | sub c1@h a | send a m1 m2 m3 | claim c1 10s max=2 -> a:m1 a:m2
        | trim a 1 | lag g -> 2/1 in 1 | lag h -> 2/0 in 1 | trim a 3 | lag g -> 0/0 in 0
        | lag h -> 0/0 in 0",
    );
}

#[test]
fn a_reset_counts_what_is_left_from_the_new_place() {
    check(
        "sub c1 a | send a m1 m2 m3 | claim c1 10s -> a:m1 a:m2 a:m3 | ack m1 | move g a to=oldest
        | lag g -> 3/0 in 1 | move g a to=-1 | lag g -> 1/0 in 1 | move g a to=newest
        | lag g -> 0/0 in 0",
    );
}

#[test]
fn a_lite_topic_counts_for_a_group_from_its_first_subscriber_and_while_it_has_a_position() {
    check(
        "send a m1 m2 | lag g -> 0/0 in 0 | sub c1 a | lag g -> 2/0 in 1 | sub c2 a | unsub c1 a
        | lag g -> 2/0 in 1 | unsub c2 a | lag g -> 0/0 in 0 | sub c1 a
        | claim c1 10s max=1 -> a:m1 | ack m1 | leave c1 | lag g -> 1/0 in 1",
    );
}

#[test]
fn a_changed_pattern_changes_what_is_left_when_the_sweep_has_come_by() {
    check(
        "group h wild=a* | send a1 m1 | send b1 n1 n2 | lag h -> 1/0 in 1 | group h wild=b* | steps
        | lag h -> 2/0 in 1 | group h | steps | lag h -> 0/0 in 0",
    );
}

#[test]
fn a_restart_counts_the_same() {
    check(
        "group h unordered | sub c1 a b | sub c1@h a | send a m1 m2 m3 | send b n1
        | claim c1@h 10m -> a:m1 a:m2 a:m3 | ack m2@h | claim c1 10m max=1 -> a:m1 ... | restart
        | lag g -> 4/1 in 2 | lag h -> 2/2 in 1 | restart snapshot | lag g -> 4/1 in 2",
    );
}

#[test]
fn the_age_of_the_oldest_is_known_and_moves_with_the_position() {
    check(
        "sub c1 a b | send a m1 | wait 5s | send b n1 | wait 1s | send a m2 | wait 1s
        | ages g -> a=7s b=2s | claim c1 10s max=1 -> a:m1 ... | ack m1
        | ages g -> b=2s a=1s",
    );
}

#[test]
fn after_a_restart_the_oldest_is_not_taken_for_younger_than_it_is() {
    check(
        "sub c1 a | send a m1 | wait 5s | send a m2 | wait 5s | send a m3 | restart
        | ages g -> a=<10s",
    );
}

#[test]
fn an_ack_tells_how_long_after_its_last_hand_out_it_came() {
    check(
        "sub c1 a | send a m1 m2 | claim c1 10s max=1 -> a:m1 | wait 12s
        | claim c1 10s max=1 -> a:m1#2 | wait 3s | ack m1 | events -> g=3s | ack m1
        | events -> .",
    );
}

#[test]
fn the_lite_topics_with_the_most_left_come_first() {
    check(
        "sub c1 a b c | send a m1 | send b n1 n2 n3 | send c o1 o2 | claim c1 10s max=1 -> a:m1 ...
        | most g -> b=3/0 c=2/0 a=1/1 | ack m1 | most g -> b=3/0 c=2/0",
    );
}
