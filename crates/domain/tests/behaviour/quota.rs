//! Room for lite topics.

use crate::script::check;

#[test]
fn a_send_that_would_create_one_lite_topic_too_many_is_refused_and_stores_nothing() {
    check(
        "options quota=2 | send a m1 | send b n1 | send c o1 -> !LiteTopicQuotaExceeded
        | list -> a b | names -> 1:2 | events -> . | send a m2 -> 1 | create c -> !LiteTopicQuotaExceeded
        | create b | sub c1 c | send c o2 -> !LiteTopicQuotaExceeded | names -> 1:2",
    );
}

#[test]
fn a_removed_lite_topic_makes_room() {
    check("options quota=1 | send a m1 | remove a | send b n1 | names -> 1:1");
}

#[test]
fn an_expired_lite_topic_makes_room() {
    check("options ttl=1m quota=1 | send a m1 | wait 1m | send b n1 | names -> 1:1");
}

#[test]
fn the_room_of_all_topics_is_a_bound_of_its_own() {
    check("room 1 | send a m1 | send b n1 -> !LiteTopicQuotaExceeded | room 2 | send b n1");
}

#[test]
fn a_quota_below_what_is_there_takes_nothing_away() {
    check(
        "send a m1 | send b n1 | options quota=1 | send a m2 -> 1 | remove a
        | send c o1 -> !LiteTopicQuotaExceeded | remove b | send c o1",
    );
}

#[test]
fn a_quota_holds_over_a_restart() {
    check("options quota=1 | send a m1 | restart | send b n1 -> !LiteTopicQuotaExceeded");
}

#[test]
fn dead_letters_always_have_room() {
    check(
        "room 1 | sub c1 a | send a m1 | claim c1 10s -> a:m1 | dead m1 | bury m1
        | names -> 1:1 2:1 | send b n1 -> !LiteTopicQuotaExceeded",
    );
}
