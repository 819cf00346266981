//! Wildcard groups: all clients share all lite topics of the parent, or those with a prefix.

use crate::script::check;

#[test]
fn clients_share_all_lite_topics_without_subscribing_and_new_ones_at_once() {
    check(
        "group g wild=* | send a m1 | woke -> *@g | claim c1 10s -> a:m1 | send b n1 | woke -> *@g
        | claim c2 10s -> b:n1 | claim c1 10s -> . | pairs -> 0 | names -> 1:2",
    );
}

#[test]
fn the_first_message_to_a_brand_new_name_reaches_a_wildcard_group_at_once() {
    check(
        "group g wild=* | claim c1 10s -> . | send new m1 | woke -> *@g | claim c1 10s -> new:m1
        | ack m1 | send new m2 | woke -> *@g | claim c2 10s -> new:m2",
    );
}

#[test]
fn a_pattern_takes_the_names_that_start_so_and_no_others() {
    check(
        "group g wild=s-* | send s-1 m1 | send s n1 | send t-1 o1 | send s-2 p1
        | claim c1 10s -> s-1:m1 s-2:p1 | show s -> 0..1 | show s-1 -> 0..1 g=0/1/0()",
    );
}

#[test]
fn one_client_is_woken_when_something_is_ready_where_nothing_was() {
    check(
        "group g wild=* | send a m1 | woke -> *@g | send b n1 | woke -> . | send a m2 | woke -> .
        | claim c1 10s max=1 -> a:m1 ... | claim c2 10s max=1 -> b:n1 | ack m1 | woke -> *@g
        | claim c2 10s -> a:m2",
    );
}

#[test]
fn in_an_ordered_group_a_lite_topic_is_with_one_client_at_a_time() {
    check(
        "group g wild=* | send a m1 m2 m3 | send b n1 | claim c1 10s max=1 -> a:m1 ...
        | claim c2 10s -> b:n1 | claim c3 10s -> . | ack m1 | claim c3 10s -> a:m2 a:m3 | wait 10s
        | woke -> *@g | claim c1 10s -> a:m2#2 a:m3#2 b:n1#2",
    );
}

#[test]
fn without_order_clients_work_on_one_lite_topic_side_by_side() {
    check(
        "group g wild=* unordered | send a m1 m2 m3 | claim c1 10s max=1 -> a:m1 ...
        | claim c2 10s max=1 -> a:m2 ... | claim c3 10s -> a:m3 | ack m2 | gone c1
        | claim c2 10s -> a:m1#2",
    );
}

#[test]
fn a_client_of_a_wildcard_group_cannot_subscribe_and_leaves_nothing_behind() {
    check(
        "group g wild=* | sub c1 a -> !BadRequest | full c1 a -> !BadRequest | names -> .
        | unsub c1 a -> -0 | leave c1 -> -0 | pairs -> 0 | send a m1 | claim c1 10s -> a:m1
        | leave c1 -> -0 | gone c1 | claim c2 10s -> a:m1#2",
    );
}

#[test]
fn what_is_there_is_offered_to_a_new_group_and_to_one_that_changes() {
    check(
        "send a m1 | send b n1 | group h wild=* | claim c1@h 10s -> . | steps | woke -> *@h
        | claim c1@h 10s -> a:m1 b:n1 | group g wild=b* | steps | claim c1 10s -> b:n1
        | group g wild=a* | claim c1 10s -> . | steps | claim c1 10s -> a:m1 | group g | steps
        | claim c1 10s -> . | sub c1 b | wait 10s | claim c1 10s -> b:n1#2",
    );
}

#[test]
fn a_repeated_receive_gets_the_same_again_also_after_a_restart() {
    check(
        "group g wild=* | send a m1 m2 | send b n1 | claim c1 auto try=7 max=2 -> a:m1 a:m2 ...
        | claim c1 auto try=7 -> a:m1 a:m2 ... | claim c2 auto try=7 -> b:n1 | restart
        | claim c1 auto try=7 -> a:m1 a:m2 ... | ack m1 | claim c1 auto try=7 -> a:m2 ...
        | ack m2 | claim c1 auto try=7 -> .",
    );
}

#[test]
fn a_client_that_is_gone_gives_back_what_it_held() {
    check(
        "group g wild=* | send a m1 | claim c1 auto -> a:m1 | wait 2m | claim c2 10s -> .
        | offline c1 | gone c1 renewed | woke -> *@g | claim c2 10s -> a:m1#2",
    );
}

#[test]
fn after_a_restart_everything_ready_is_offered_without_anybody_registering() {
    check(
        "group g wild=* | send a m1 m2 | send b n1 | claim c1 10s max=1 -> a:m1 ... | restart
        | claim c2 10s -> b:n1 | ack m1 | claim c2 10s -> a:m2 | restart snapshot
        | claim c3 10s -> .",
    );
}

#[test]
fn a_removed_lite_topic_is_not_handed_out_and_its_next_life_is() {
    check(
        "group g wild=* | send a m1 | send b n1 | remove a | claim c1 10s -> b:n1 | send a m2
        | woke -> *@g | claim c1 10s -> a:m2 | remove a | ack m2 -> !ReceiptHandleInvalid",
    );
}

#[test]
fn the_dead_letters_are_not_among_what_is_shared() {
    check(
        "group g wild=* attempts=1 | send a m1 m2 | claim c1 10s max=1 -> a:m1 | wait 10s
        | claim c1 10s -> . | burials -> m1@g | bury m1 as=x1 | claim c1 10s -> a:m2 | ack m2
        | group d of=dead | sub c1@d a | claim c1@d 10s -> a:x1 | claim c1 10s -> .",
    );
}

#[test]
fn other_groups_of_the_topic_go_on_beside_it() {
    check(
        "group g wild=* | group h | group o wild=a* | sub c1@h a | send a m1 | woke -> c1@h *@g *@o
        | claim c1 10s -> a:m1 | claim c1@h 10s -> a:m1 | claim c1@o 10s -> a:m1
        | remove-group o | steps | send a m2 | ack m1 | claim c1 10s -> a:m2",
    );
}

#[test]
fn a_move_of_the_group_takes_all_it_shares_along_also_what_it_never_had() {
    check(
        "group g wild=a* | send a1 m1 | send a2 n1 | send b o1 | claim c1 10s max=1 -> a1:m1 ...
        | ack m1 | move g to=newest -> 2 | claim c1 10s -> . | move g to=oldest -> 2
        | woke -> *@g | claim c1 10s -> a1:m1 a2:n1",
    );
}

#[test]
fn a_suspended_lite_topic_waits_and_the_others_go_on() {
    check(
        "group g wild=* | send a m1 m2 | send b n1 | claim c1 auto max=2 -> a:m1 a:m2 ...
        | suspend m1 5s | claim c2 auto -> b:n1 | claim c3 auto -> . | wait 5s | woke -> *@g
        | claim c3 auto -> a:m1 a:m2",
    );
}
