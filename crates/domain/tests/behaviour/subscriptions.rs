//! Who is subscribed to what.

use crate::script::check;

#[test]
fn the_first_message_before_the_first_subscription_is_delivered() {
    check("send a m1 | sub c1 a -> +1 | woke -> c1@g | claim c1 10s -> a:m1");
}

#[test]
fn a_group_that_comes_late_starts_at_the_oldest_message() {
    check(
        "sub c1 a | send a m1 m2 | claim c1 10s -> a:m1 a:m2 | ack m1 | ack m2 | group h
        | sub c2@h a | claim c2@h 10s -> a:m1 a:m2",
    );
}

#[test]
fn subscribing_twice_changes_nothing() {
    check(
        "sub c1 a b -> +2 | sub c1 b a -> +0 | sub c1 a c c -> +1 | pairs -> 3 | send a m1
        | claim c1 10s -> a:m1",
    );
}

#[test]
fn subscribing_makes_no_lite_topic_and_the_last_to_leave_takes_the_name_along() {
    check(
        "sub c1 a | sub c2 a | list -> . | show a -> . | names -> 1:0 | unsub c1 a -> -1
        | names -> 1:0 | unsub c2 a -> -1 | names -> . | pairs -> 0 | send a m1 -> 0",
    );
}

#[test]
fn unsubscribing_ends_deliveries_and_nothing_else() {
    check(
        "sub c1 a b | send a m1 | send b n1 | unsub c1 a x -> -1 | unsub c1 a -> -0
        | claim c1 10s -> b:n1 | sub c1 a | claim c1 10s -> a:m1",
    );
}

#[test]
fn a_lite_topic_unsubscribed_and_subscribed_again_goes_on_where_it_was() {
    check(
        "sub c1 a | send a m1 m2 | claim c1 10s max=1 -> a:m1 | ack m1 | unsub c1 a | send a m3
        | sub c1 a | claim c1 10s -> a:m2 a:m3",
    );
}

#[test]
fn a_full_sync_adds_what_is_new_and_removes_what_is_missing() {
    check(
        "sub c1 a b | full c1 b c -> +1 -1 | full c1 b c -> +0 -0 | send a m1 | send b n1
        | send c o1 | claim c1 10s -> b:n1 c:o1 | full c1 -> +0 -2 | pairs -> 0 | send b n2
        | claim c1 10s -> .",
    );
}

#[test]
fn leaving_ends_all_subscriptions_of_a_client_for_one_group() {
    check(
        "group h | sub c1 a b | sub c1@h a | leave c1 -> -2 | leave c1 -> -0 | pairs -> 1
        | send a m1 | claim c1@h 10s -> a:m1 | claim c1 10s -> .",
    );
}

#[test]
fn nobody_gets_a_lite_topic_that_it_has_not_subscribed_to() {
    check("sub c1 a | sub c2 b | send a m1 | claim c2 10s -> . | claim c3 10s -> .");
}

#[test]
fn both_clients_of_a_group_are_woken_and_one_is_served() {
    check(
        "sub c1 a | sub c2 a | send a m1 | woke -> c1@g c2@g | claim c2 10s -> a:m1
        | claim c1 10s -> . | ack m1 | send a m2 | woke -> c1@g c2@g",
    );
}

#[test]
fn a_client_that_has_something_ready_is_not_woken_again() {
    check("sub c1 a b | send a m1 | woke -> c1@g | send b n1 | woke -> . | send a m2 | woke -> .");
}

#[test]
fn only_a_new_subscriber_is_woken_by_its_subscription() {
    check("sub c1 a | send a m1 | claim c1 10s max=0 | sub c2 a | woke -> c2@g");
}

#[test]
fn names_that_a_client_does_not_have_are_counted_once_each() {
    check("sub c1 a | sub c2 b | new c1 a b c c b -> 2 | new c3 a -> 1 | new c1@x a -> 0");
}

#[test]
fn subscriptions_survive_a_restart() {
    check(
        "group h | sub c1 a b | sub c2 a | sub c1@h a | unsub c1 b | restart | pairs -> 3
        | send a m1 | claim c2 10s -> a:m1 | claim c1@h 10s -> a:m1",
    );
}

#[test]
fn subscribing_for_a_removed_group_or_topic_is_refused() {
    check(
        "group h | remove-group h | sub c1@h a -> !ConsumerGroupNotFound
        | full c1@h a -> !ConsumerGroupNotFound | unsub c1@h a -> -0
        | claim c1@h 10s -> !ConsumerGroupNotFound | remove-topic | steps
        | sub c1 a -> !TopicNotFound | pairs -> 0 | names -> .",
    );
}

#[test]
fn what_a_client_holds_when_it_unsubscribes_is_its_own_to_settle_and_renewed_no_more() {
    for leaves in ["unsub c1 a", "full c1 b", "leave c1"] {
        check(&format!(
            "sub c1 a | sub c2 a | send a m1 m2 | claim c1 auto max=1 -> a:m1 | {leaves} | wait 10s
            | claim c2 10s -> . | wait 50s | claim c2 10s -> a:m1#2 a:m2"
        ));
        check(&format!(
            "sub c1 a | sub c2 a | send a m1 m2 | claim c1 auto max=1 -> a:m1 | {leaves} | restart
            | ack m1 | claim c2 10s -> a:m2"
        ));
    }
}

#[test]
fn what_an_expelled_client_holds_goes_to_others_at_once() {
    check(
        "sub c1 a b | sub c2 a b | send a m1 | send b m2 | claim c1 auto -> a:m1 b:m2 | expel c1 a
        | claim c2 10s -> a:m1#2 | claim c2 10s -> . | expel c1 | claim c2 10s -> b:m2#2",
    );
}
