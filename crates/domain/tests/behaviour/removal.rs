//! Removing lite topics, topics and groups.

use crate::script::check;

#[test]
fn a_removed_lite_topic_is_gone_and_its_next_life_starts_anew() {
    check(
        "sub c1 a | send a m1 m2 | claim c1 10s -> a:m1 a:m2 | ack m1 | remove a | show a -> .
        | list -> . | remove a -> !LiteTopicNotFound | claim c1 10s -> . | sub c1 a | send a n1 -> 0
        | woke -> c1@g | show a -> 0..1 g=0/0/1(c1) | claim c1 10s -> a:n1",
    );
}

#[test]
fn a_removal_ends_the_subscriptions_of_the_name_and_tells_their_clients() {
    check(
        "group h | sub c1 a b | sub c2 a | sub c1@h a | send a m1 | send b n1 | remove a
        | told -> c1@h:a c2@g:a c1@g:a | events -> removed | pairs -> 1 | names -> 1:1
        | send a m2 -> 0 | claim c1 10s -> b:n1 | claim c2 10s -> . | full c1 a b -> +1 -0
        | claim c1 10s -> a:m2",
    );
}

#[test]
fn a_lite_topic_removed_while_ready_hands_out_only_its_next_life() {
    check(
        "sub c1 a b | send a m1 | send b o1 | remove a | sub c1 a | send a n1
        | claim c1 10s -> a:n1 b:o1",
    );
}

#[test]
fn a_name_that_is_only_subscribed_to_is_no_lite_topic_to_remove() {
    check(
        "sub c1 a | remove a -> !LiteTopicNotFound | pairs -> 1 | remove b -> !LiteTopicNotFound",
    );
}

#[test]
fn a_slot_used_again_by_another_name_has_nothing_of_the_first() {
    check(
        "sub c1 a | send a m1 | claim c1 10s -> a:m1 | unsub c1 a | remove a | names -> .
        | sub c1 b | send b n1 -> 0 | ack m1 -> !ReceiptHandleInvalid | claim c1 10s -> b:n1
        | show b -> 0..1 g=0/1/0(c1) | send a m2 -> 0 | sub c1 a | claim c1 10s -> a:m2",
    );
}

#[test]
fn a_removed_group_takes_its_positions_and_subscriptions_along() {
    check(
        "group h | sub c1 a b | sub c1@h a | send a m1 | claim c1 10s -> a:m1
        | claim c1@h 10s -> a:m1 | remove-group g | ack m1 | steps | pairs -> 1
        | show a -> 0..1 h=0/1/0(c1) | names -> 1:1 | ack m1 -> !ReceiptHandleInvalid
        | ack m1@h",
    );
}

#[test]
fn a_group_removed_half_way_is_gone_after_a_restart() {
    check(
        "sub c1 a b | send a m1 | remove-group g | restart | steps | pairs -> 0 | show a -> 0..1
        | remove a | names -> .",
    );
}

#[test]
fn a_name_that_a_removed_group_leaves_behind_is_gone_for_good() {
    check(
        "group h | sub c1 b | sub c1 a | remove-group g | steps | group g | sub c1 a
        | remove-group g | restart | steps | sub c1@h a | send a m1 | restart | list -> a
        | names -> 1:1 | remove-group h | remove-topic | steps | names -> .",
    );
}

#[test]
fn a_removed_topic_takes_everything_along() {
    check(
        "sub c1 a b | send a m1 | send c o1 | claim c1 10s -> a:m1 | remove-topic
        | send a m2 -> !TopicNotFound | steps | names -> . | pairs -> 0
        | ack m1 -> !ReceiptHandleInvalid",
    );
}

#[test]
fn a_topic_removed_half_way_is_gone_after_a_restart() {
    check("sub c1 a b | send a m1 | remove-topic | restart | steps | names -> . | pairs -> 0");
}

#[test]
fn a_large_topic_goes_in_steps() {
    let names: Vec<String> = (0..1500).map(|number| format!("s{number}")).collect();
    let names = names.join(" ");
    check(&format!(
        "sub c1 {names} | remove-topic | step -> more | step | names -> . | pairs -> 0"
    ));
}

#[test]
fn a_slot_of_a_removed_topic_brings_no_subscribers_along() {
    check(
        "group d of=dead | sub c1 a | send a m1 | remove-topic | steps | sub d1@d b | restart
        | pairs -> 1",
    );
}
