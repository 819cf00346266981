//! Lite topics by name.

use crate::script::check;

#[test]
fn names_are_listed_in_order_whatever_the_order_of_creation() {
    check(
        "send b m | send a m | send B m | send a-1 m | send 9 m | send _ m
        | list -> 9 B _ a a-1 b",
    );
}

#[test]
fn a_prefix_lists_only_its_names() {
    check(
        "send a m | send ab m | send abc m | send b m | send A m | list prefix=ab -> ab abc
        | list prefix=abcd -> . | list prefix=c -> .",
    );
}

#[test]
fn a_page_starts_after_the_last_name_of_the_one_before() {
    check(
        "send a m | send b m | send c m | send d m | list max=2 -> a b | list max=2 after=b -> c d
        | list max=2 after=d -> . | list after=bb -> c d | list after=zz -> . | list after=A
        -> a b c d",
    );
}

#[test]
fn prefix_and_page_go_together() {
    check(
        "send a1 m | send b1 m | send b2 m | send b3 m | send c1 m
        | list prefix=b after=b1 max=1 -> b2 | list prefix=b after=a1 -> b1 b2 b3
        | list prefix=b after=c1 -> . | list prefix=b after=b3 -> .",
    );
}

#[test]
fn a_page_goes_on_where_it_was_when_its_last_name_is_removed() {
    check("send a m | send b m | send c m | list max=2 -> a b | remove b | list after=b -> c");
}

#[test]
fn names_that_nobody_sent_to_are_not_listed_and_take_no_place() {
    check("sub c1 a b c | send c m | send d m | list max=2 -> c d");
}
