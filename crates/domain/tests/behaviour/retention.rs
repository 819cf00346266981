//! Messages that retention has taken away.

use crate::script::check;

#[test]
fn a_group_goes_on_at_the_oldest_message_that_is_left() {
    check(
        "sub c1 a | send a m1 m2 m3 | trim a 2 | show a -> 2..3 g=2/0/1(c1)
        | claim c1 10s -> a:m3 | group h | sub c2@h a | claim c2@h 10s -> a:m3",
    );
}

#[test]
fn a_lease_on_a_message_that_is_gone_blocks_nobody() {
    check(
        "sub c1 a | send a m1 m2 m3 | claim c1 1h max=2 -> a:m1 a:m2 | trim a 2 | woke -> c1@g
        | show a -> 2..3 g=2/0/1(c1) | claim c1 10s -> a:m3 | ack m1 | ack m2",
    );
}

#[test]
fn a_lease_on_a_message_that_is_left_stays() {
    check(
        "sub c1 a | send a m1 m2 m3 | claim c1 10s -> a:m1 a:m2 a:m3 | ack m2 | trim a 1
        | show a -> 1..3 g=2/1/0(c1) | claim c1 10s -> . | ack m3 | show a -> 1..3 g=3/0/0(c1)",
    );
}

#[test]
fn what_is_known_gone_already_changes_nothing() {
    check(
        "sub c1 a | send a m1 m2 | claim c1 10s -> a:m1 a:m2 | trim a 1 | trim a 0
        | show a -> 1..2 g=1/1/0(c1)",
    );
}

#[test]
fn everything_may_be_gone_and_offsets_go_on() {
    check(
        "sub c1 a | send a m1 m2 | trim a 9 | show a -> 2..2 g=2/0/0(c1) | claim c1 10s -> .
        | send a m3 -> 2 | claim c1 10s -> a:m3 | restart | send a m4 -> 3",
    );
}

#[test]
fn a_burial_of_a_message_that_retention_took_does_nothing() {
    check(
        "group g attempts=1 | sub c1 a | send a m1 m2 | claim c1 10s max=1 -> a:m1 | wait 10s
        | claim c1 10s -> . | trim a 1 | claim c1 10s -> a:m2 | bury m1 | names -> 1:1",
    );
}
