//! What is handed out, in which order, to whom, and when again.

use crate::script::check;

/// `count` names from `first` on.
fn messages(first: usize, count: usize) -> String {
    let names: Vec<String> = (first..first + count).map(|number| format!("m{number}")).collect();
    names.join(" ")
}

/// The same as handed out of lite topic `a`.
fn handed_out(first: usize, count: usize, attempt: &str) -> String {
    let all: Vec<String> =
        (first..first + count).map(|number| format!("a:m{number}{attempt}")).collect();
    all.join(" ")
}

#[test]
fn unacknowledged_message_returns_after_invisibility() {
    check(
        "sub c1 a | send a m1 | claim c1 10s -> a:m1 | wait 9s | claim c1 10s -> . | wait 1s
        | claim c1 10s -> a:m1#2 | ack m1 | wait 1h | claim c1 10s -> .",
    );
}

#[test]
fn messages_of_a_lite_topic_come_in_the_order_they_were_sent() {
    check("sub c1 a | send a m1 m2 m3 -> 0 1 2 | claim c1 10s -> a:m1 a:m2 a:m3");
}

#[test]
fn an_ordered_lite_topic_waits_until_the_whole_batch_is_settled() {
    check(
        "sub c1 a | send a m1 m2 m3 | claim c1 10s max=2 -> a:m1 a:m2 | claim c1 10s -> .
        | ack m1 | claim c1 10s -> . | ack m2 | claim c1 10s -> a:m3",
    );
}

#[test]
fn a_message_sent_while_a_batch_is_out_waits_and_then_wakes_its_client() {
    check(
        "sub c1 a | send a m1 | woke -> c1@g | claim c1 10s -> a:m1 | send a m2 | woke -> .
        | claim c1 10s -> . | ack m1 | woke -> c1@g | claim c1 10s -> a:m2",
    );
}

#[test]
fn one_lite_topic_never_holds_up_another() {
    check(
        "sub c1 a b | send a m1 m2 | send b n1 | claim c1 10s max=1 -> a:m1
        | claim c1 10s -> b:n1 | ack n1 | send b n2 | claim c1 10s -> b:n2",
    );
}

#[test]
fn a_claim_takes_the_lite_topic_that_is_ready_longest_first() {
    check(
        "sub c1 a b c | send b m1 | send a m2 | send c m3 | claim c1 10s max=2 -> b:m1 a:m2 ...
        | claim c1 10s -> c:m3",
    );
}

#[test]
fn a_claim_takes_no_more_of_one_lite_topic_than_asked_for() {
    for rules in ["group g", "group g unordered"] {
        check(&format!(
            "{rules} | sub c1 a b | send a m1 m2 m3 | send b n1 n2
            | claim c1 10s each=1 -> a:m1 b:n1"
        ));
    }
}

#[test]
fn a_claim_for_none_of_a_lite_topic_is_for_one() {
    check("group g unordered | sub c1 a | send a m1 m2 | claim c1 10s each=0 -> a:m1 ...");
}

#[test]
fn a_claim_for_no_messages_takes_nothing_away() {
    check("sub c1 a | send a m1 | claim c1 10s max=0 -> . ... | claim c1 10s -> a:m1");
}

#[test]
fn a_message_acked_in_a_broken_batch_never_comes_again() {
    check(
        "sub c1 a | send a m1 m2 m3 m4 m5 | claim c1 10s -> a:m1 a:m2 a:m3 a:m4 a:m5 | ack m3
        | show a -> 0..5 g=0/4/0(c1) | wait 10s | show a -> 0..5 g=0/0/4(c1)
        | claim c1 10s -> a:m1#2 a:m2#2 a:m4#2 a:m5#2 | ack m1 | ack m2 | ack m4
        | show a -> 0..5 g=4/1/0(c1) | ack m5 | show a -> 0..5 g=5/0/0(c1)",
    );
}

#[test]
fn a_broken_batch_is_handed_out_with_the_messages_behind_it() {
    check(
        "sub c1 a | send a m1 m2 | claim c1 10s -> a:m1 a:m2 | send a m3 | ack m1 | wait 10s
        | claim c1 10s -> a:m2#2 a:m3",
    );
}

#[test]
fn a_batch_of_which_only_a_part_expired_gives_what_order_allows() {
    check(
        "sub c1 a | send a m1 m2 m3 | claim c1 10s -> a:m1 a:m2 a:m3 | hide m2 30s | hide m3 1s
        | wait 10s | claim c1 10s -> a:m1#2 | ack m1 | wait 19s | claim c1 10s -> .
        | wait 1s | claim c1 10s -> a:m2#2 a:m3#2",
    );
}

#[test]
fn a_group_without_order_gives_what_has_expired_and_what_is_new() {
    check(
        "group g unordered | sub c1 a | send a m1 m2 | claim c1 10s max=1 -> a:m1 ...
        | claim c1 30s -> a:m2 | send a m3 | claim c1 30s -> a:m3 | wait 10s
        | claim c1 10s -> a:m1#2 | ack m3 | ack m2 | show a -> 0..3 g=0/1/0(c1) | ack m1
        | show a -> 0..3 g=3/0/0(c1)",
    );
}

#[test]
fn a_group_without_order_has_at_most_256_messages_of_a_lite_topic_out() {
    check(&format!(
        "group g unordered | sub c1 a | send a {} | claim c1 10s max=300 each=300 -> {}
        | claim c1 10s -> . | ack m2 | claim c1 10s -> . | ack m1 | claim c1 10s -> {}",
        messages(1, 260),
        handed_out(1, 256, ""),
        handed_out(257, 2, ""),
    ));
}

#[test]
fn an_ordered_group_has_at_most_32_messages_of_a_lite_topic_out() {
    check(&format!(
        "sub c1 a | send a {} | claim c1 10s max=100 each=100 -> {} | claim c1 10s -> .
        | wait 10s | claim c1 10s max=100 each=100 -> {}",
        messages(1, 40),
        handed_out(1, 32, ""),
        handed_out(1, 32, "#2"),
    ));
}

#[test]
fn each_group_has_its_own_progress() {
    check(
        "group h unordered | sub c1 a | sub c2@h a | send a m1 | woke -> c1@g c2@h
        | claim c1 10s -> a:m1 | ack m1 | claim c2@h 10s -> a:m1 | wait 10s
        | claim c2@h 10s -> a:m1#2 | claim c1 10s -> . | show a -> 0..1 g=1/0/0(c1) h=0/1/0(c2)",
    );
}

#[test]
fn clients_of_a_group_share_a_lite_topic_and_never_hold_a_message_at_once() {
    check(
        "sub c1 a | sub c2 a | send a m1 m2 | claim c1 10s max=1 -> a:m1 | claim c2 10s -> .
        | ack m1 | claim c2 10s -> a:m2 | claim c1 10s -> . | wait 10s | claim c1 10s -> a:m2#2
        | claim c2 10s -> .",
    );
}

#[test]
fn clients_of_a_group_without_order_work_on_one_lite_topic_at_once() {
    check(
        "group g unordered | sub c1 a | sub c2 a | send a m1 m2 | claim c1 10s max=1 -> a:m1
        | claim c2 10s -> a:m2 | claim c1 10s -> .",
    );
}

#[test]
fn every_redelivery_counts_as_an_attempt() {
    check(
        "sub c1 a | send a m1 | claim c1 10s -> a:m1 | wait 10s | claim c1 10s -> a:m1#2
        | wait 10s | claim c1 10s -> a:m1#3 | hide m1 0s | claim c1 10s -> a:m1#4",
    );
}

#[test]
fn two_lite_topics_settled_during_one_receive_both_go_on() {
    check(
        "sub c1 a b | send a m1 m2 | send b n1 n2 | claim c1 10s each=1 -> a:m1 b:n1 | ack m1
        | ack n1 | claim c1 10s each=1 -> a:m2 b:n2",
    );
}

#[test]
fn a_group_that_is_no_longer_ordered_gets_what_order_held_back() {
    check(
        "sub c1 a | send a m1 m2 | claim c1 10s max=1 -> a:m1 | claim c1 10s -> .
        | group g unordered | steps | woke -> c1@g | claim c1 10s -> a:m2",
    );
}
