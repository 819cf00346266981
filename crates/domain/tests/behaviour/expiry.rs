//! Lite topics that come to the end of their lives.

use crate::script::check;

#[test]
fn a_lite_topic_expires_when_nothing_was_sent_for_its_time_to_live() {
    check(
        "options ttl=10m | send a m1 | life a -> 10m 10m | wait 9m | life a -> 10m 1m | send a m2
        | wait 599s | list -> a | wait 1s | events -> expired | list -> . | names -> .
        | send a n1 -> 0",
    );
}

#[test]
fn a_time_to_live_of_thirty_days_is_thirty_days() {
    check("options ttl=720h | send a m1 | wait 719h | list -> a | wait 1h | list -> .");
}

#[test]
fn without_a_time_to_live_nothing_expires() {
    check("send a m1 | wait 10000h | list -> a | life a -> never never");
}

#[test]
fn reads_and_acks_keep_a_lite_topic_only_if_its_topic_says_so() {
    check(
        "options ttl=10m | sub c1 a | send a m1 m2 | wait 9m | claim c1 10s max=1 -> a:m1 | ack m1
        | life a -> 10m 1m read=0s | wait 1m | list -> .",
    );
    check(
        "options ttl=10m reads | sub c1 a | send a m1 m2 | wait 9m | claim c1 10s max=1 -> a:m1
        | wait 5m | ack m1 | wait 10m | list -> a | wait 1s | list -> .",
    );
}

#[test]
fn a_read_is_remembered_over_a_restart_also_when_its_group_is_gone() {
    check(
        "options ttl=10m reads | sub c1 a | send a m1 | wait 9m | claim c1 10s -> a:m1 | restart
        | life a -> 10m 601s read=0s | wait 9m | list -> a | remove-group g | steps | restart
        | life a -> 10m 61s read=9m",
    );
}

#[test]
fn what_is_undelivered_stays_until_each_group_has_settled_it() {
    check(
        "options ttl=10m undelivered | group h | sub c1 a | sub c1@h a | send a m1 m2 | wait 1h
        | life a -> 10m due undelivered | claim c1 10s -> a:m1 a:m2 | ack m1 | ack m2 | tick
        | list -> a | claim c1@h 10s -> a:m1 a:m2 | ack m2@h | tick | list -> a | ack m1@h | tick
        | list -> . | told -> .",
    );
}

#[test]
fn a_group_that_never_read_keeps_what_is_undelivered_until_it_is_removed() {
    check(
        "options ttl=10m undelivered | send a m1 | wait 1h | list -> a | remove-group g | steps
        | tick | list -> .",
    );
}

#[test]
fn what_retention_took_is_not_undelivered() {
    check(
        "options ttl=10m undelivered | send a m1 m2 | wait 1h | trim a 1 | tick | list -> a
        | trim a 2 | tick | list -> .",
    );
}

#[test]
fn a_dead_letter_on_its_way_is_undelivered() {
    check(
        "options ttl=10m undelivered | sub c1 a | send a m1 | claim c1 10s -> a:m1 | dead m1
        | wait 1h | list -> a | bury m1 | tick | list -> . | names -> 2:1",
    );
}

#[test]
fn what_is_subscribed_to_stays_until_the_last_client_leaves() {
    check(
        "options ttl=10m subscribed | sub c1 a | sub c2 a | send a m1 | wait 1h
        | life a -> 10m due subscribed | unsub c1 a | tick | list -> a | leave c2 | tick | list -> .",
    );
}

#[test]
fn both_protections_must_end() {
    check(
        "options ttl=10m undelivered subscribed | sub c1 a | send a m1 | wait 1h
        | claim c1 10s -> a:m1 | ack m1 | tick | list -> a | send a m2 | unsub c1 a | wait 1h
        | list -> a | sub c1 a | claim c1 10s -> a:m2 | ack m2 | unsub c1 a | tick | list -> .",
    );
}

#[test]
fn changed_options_hold_for_what_is_there() {
    check(
        "send a m1 | wait 1h | options ttl=10m | steps | tick | list -> . | send b n1 | wait 5m
        | options ttl=20m | steps | wait 10m | list -> b | options ttl=16m | steps | wait 1m
        | list -> .",
    );
    check(
        "options ttl=10m undelivered | send a m1 | wait 1h | options ttl=10m | steps | tick
        | list -> .",
    );
}

#[test]
fn a_topic_with_many_lite_topics_takes_up_changed_options_in_steps() {
    let names: Vec<String> = (0..1500).map(|number| format!("s{number}")).collect();
    let sends: Vec<String> = names.iter().map(|name| format!("send {name} {name}")).collect();
    // So many at a time go, with a pause behind each.
    let waits = ["wait 1s"; 12].join(" | ");
    let script =
        format!("{} | options ttl=1m | step -> more | step | wait 1m | {waits}", sends.join(" | "));
    let mut world = crate::script::world::World::new();
    for step in script.split('|').chain(["names"]) {
        let (step, expected) = crate::script::step::Step::parse(step.trim());
        let shown = world.apply(&step);
        assert!(expected.is_none_or(|expected| expected == shown), "{step} -> {shown}");
        if step.to_string() == "names" {
            assert_eq!(shown, ".");
        }
    }
}

#[test]
fn a_lite_topic_may_have_a_time_to_live_of_its_own_from_its_first_message() {
    check(
        "options ttl=10m | send a m1 ttl=20m | send b n1 ttl=never | life a -> 20m own 20m
        | life b -> never own never | wait 15m | list -> a b | send a m2 ttl=1m
        | life a -> 20m own 20m | wait 20m | list -> b | ttl b parent | tick | list -> .",
    );
}

#[test]
fn a_lite_topic_of_its_own_time_to_live_expires_below_a_topic_without_one() {
    check("send a m1 ttl=1m | send b n1 | wait 1m | list -> b");
}

#[test]
fn a_lite_topic_can_be_extended_and_pinned() {
    check(
        "options ttl=10m | send a m1 | extend a 30m | life a -> 10m 30m | extend a 5m
        | life a -> 10m 30m | wait 29m | list -> a | pin a | life a -> 10m pinned | wait 100h
        | list -> a | unpin a | tick | list -> . | pin a -> !LiteTopicNotFound",
    );
}

#[test]
fn what_is_pinned_can_still_be_removed() {
    check("send a m1 | pin a | remove a | send a n1 | life a -> never never");
}

#[test]
fn a_lite_topic_can_be_created_ahead() {
    check(
        "options ttl=10m | sub c1 a | create a | events -> created | show a -> 0..0 g=0/0/0(c1)
        | create a | events -> . | create a ttl=20m -> !AlreadyExists | wait 5m | send a m1
        | claim c1 10s -> a:m1 | create b ttl=never | create b ttl=never | wait 10m | list -> b",
    );
}

#[test]
fn nothing_expires_shortly_after_a_start() {
    check(
        "options ttl=1m | send a m1 | wait 50s | restart | wait 29s | list -> a | wait 1s
        | list -> .",
    );
}

#[test]
fn an_old_handle_does_not_reach_the_life_after_an_expiry() {
    check(
        "options ttl=1m | sub c1 a | send a m1 | claim c1 10m -> a:m1 | wait 1m | told -> c1@g:a
        | pairs -> 0 | send a n1 -> 0 | ack m1 -> !ReceiptHandleInvalid | sub c1 a
        | claim c1 10s -> a:n1",
    );
}

#[test]
fn dead_letters_do_not_expire_with_what_they_came_from() {
    check(
        "options ttl=1m | sub c1 a | send a m1 | claim c1 10s -> a:m1 | dead m1 | bury m1
        | wait 100h | names -> 2:1",
    );
}

#[test]
fn a_name_that_nobody_sent_to_does_not_expire() {
    check("options ttl=1m | sub c1 a | wait 1h | names -> 1:0 | send a m1 | claim c1 10s -> a:m1");
}

#[test]
fn a_removed_topic_leaves_nothing_to_expire() {
    check("options ttl=10m | send a m1 | remove-topic | steps | wait 1h | events -> .");
}

#[test]
fn an_expiry_that_was_not_durable_comes_again() {
    check(
        "options ttl=1m | send a m1 | hold | wait 1m | list -> . | crash | list -> a | wait 30s
        | list -> .",
    );
}

#[test]
fn a_group_that_is_never_handed_a_name_does_not_keep_it() {
    check(
        "options ttl=10m undelivered | remove-group g | steps | group w wild=b* | send a m1
        | send b1 n1 | wait 1h | list -> b1 | group w wild=c* | steps | tick | list -> .",
    );
}

#[test]
fn what_a_reset_leaves_behind_or_brings_back_counts_as_undelivered_or_not() {
    check(
        "options ttl=10m undelivered | sub c1 a | send a m1 m2 | wait 1h | list -> a
        | move g a to=newest | move g a to=oldest | tick | list -> a | move g a to=newest | tick
        | list -> .",
    );
}
