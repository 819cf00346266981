//! Offsets, and messages that are sent again under the same id.

use crate::script::check;

#[test]
fn offsets_are_dense_for_each_lite_topic() {
    check("send a m1 m2 -> 0 1 | send b n1 -> 0 | send a m3 -> 2 | restart | send a m4 -> 3");
}

#[test]
fn a_message_sent_again_under_its_id_is_stored_once() {
    check(
        "sub c1 a | send a m1 id=x -> 0 | send a m1 id=x -> again 0 | send a m2 id=y -> 1
        | send a m1 id=x -> again 0 | show a -> 0..2 g=0/0/2(c1) | claim c1 10s -> a:m1 a:m2",
    );
}

#[test]
fn the_same_id_in_another_lite_topic_or_life_is_another_message() {
    check(
        "send a m1 id=x -> 0 | send b m1 id=x -> 0 | remove a | send a m1 id=x -> 0
        | send a m1 id=x -> again 0",
    );
}

#[test]
fn a_message_without_an_id_is_never_a_repeat() {
    check("send a m1 -> 0 | send a m1 -> 1");
}

#[test]
fn a_repeat_is_recognised_after_a_restart() {
    check("send a m1 id=x -> 0 | restart | send a m1 id=x -> again 0");
}
