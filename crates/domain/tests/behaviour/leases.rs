//! Leases that are renewed while their client is connected, and clients that go.

use crate::script::check;

#[test]
fn a_renewed_lease_lasts_while_its_client_is_connected() {
    check(
        "sub c1 a | sub c2 a | send a m1 | claim c1 auto -> a:m1 | wait 1h | claim c2 10s -> .
        | offline c1 | wait 59s | claim c2 10s -> . | wait 1s | claim c2 10s -> a:m1#2",
    );
}

#[test]
fn a_renewed_lease_ends_three_hours_after_the_hand_out() {
    check(
        "sub c1 a | send a m1 | claim c1 auto -> a:m1 | wait 179m | claim c1 auto -> .
        | wait 59s | claim c1 auto -> . | wait 1s | claim c1 auto -> a:m1#2",
    );
}

#[test]
fn nobody_is_handed_a_message_before_its_lease_had_its_chance_to_be_renewed() {
    for rules in ["group g", "group g unordered"] {
        check(&format!(
            "{rules} | sub c1 a | sub c2 a | send a m1 | claim c1 auto -> a:m1 | jump 61s
            | claim c2 10s -> . | tick | claim c2 10s -> . | show a -> 0..1 g=0/1/0(c1,c2)"
        ));
    }
}

#[test]
fn a_lease_behind_a_hidden_message_is_renewed_too() {
    check(
        "sub c1 a | sub c2 a | send a m1 m2 | claim c1 auto -> a:m1 a:m2 | hide m1 10m | wait 5m
        | ack m1 | claim c2 10s -> . | show a -> 0..2 g=1/1/0(c1,c2) | ack m2",
    );
}

#[test]
fn an_ack_between_a_due_lease_and_its_renewal_gives_nothing_away() {
    check(
        "sub c1 a | sub c2 a | send a m1 m2 | claim c1 auto -> a:m1 a:m2 | jump 61s | ack m1
        | claim c2 10s -> . | tick | claim c2 10s -> . | ack m2",
    );
}

#[test]
fn a_lease_with_a_duration_of_its_own_is_not_renewed() {
    check("sub c1 a | send a m1 | claim c1 10s -> a:m1 | wait 10s | claim c1 10s -> a:m1#2");
}

#[test]
fn hiding_or_suspending_a_renewed_message_ends_its_renewal() {
    for change in ["hide m1 30s", "suspend m1 30s"] {
        let attempt = if change.starts_with("hide") { "#2" } else { "" };
        check(&format!(
            "sub c1 a | send a m1 | claim c1 auto -> a:m1 | {change} | wait 30s
            | claim c1 auto -> a:m1{attempt}"
        ));
    }
}

#[test]
fn what_a_client_holds_is_visible_when_it_is_gone() {
    check(
        "sub c1 a b | sub c2 a b | send a m1 m2 | send b n1 | claim c1 auto -> a:m1 a:m2 b:n1
        | claim c2 10s -> . | ack m1 | gone c1 | woke -> c2@g c1@g | claim c2 10s -> a:m2#2 b:n1#2
        | ack m2~1 -> !ReceiptHandleInvalid | gone c1 | show a -> 0..2 g=1/1/0(c1,c2)",
    );
}

#[test]
fn a_lost_connection_leaves_leases_with_a_duration_of_their_own() {
    check(
        "group g unordered | sub c1 a | sub c2 a | send a m1 | claim c1 10m -> a:m1 | send a m2
        | claim c1 auto -> a:m2 | gone c1 renewed | claim c2 10s -> a:m2#2 | gone c1
        | claim c2 10s -> a:m1#2",
    );
}

#[test]
fn a_client_that_is_gone_does_not_get_its_lease_back_by_returning() {
    check(
        "sub c1 a | sub c2 a | send a m1 | claim c1 auto -> a:m1 | jump 61s | gone c1 | tick
        | claim c2 10s -> a:m1#2",
    );
}

#[test]
fn after_a_restart_a_renewed_lease_waits_for_its_client() {
    check(
        "sub c1 a | sub c2 a | send a m1 | claim c1 auto -> a:m1 | wait 10m | restart
        | claim c2 10s -> . | offline c1 | wait 29s | claim c2 10s -> . | wait 31s
        | claim c2 10s -> a:m1#2",
    );
}

#[test]
fn after_a_restart_a_renewed_lease_goes_on_with_its_client() {
    check(
        "sub c1 a | send a m1 m2 | claim c1 auto -> a:m1 a:m2 | wait 10m | restart | wait 10m
        | claim c1 auto -> . | ack m1 | ack m2",
    );
}

#[test]
fn a_restart_keeps_a_lease_of_a_client_to_the_second() {
    check(
        "sub c1 a | send a m1 | claim c1 20s -> a:m1 | wait 10s | restart | wait 9s
        | claim c1 10s -> . | wait 1s | claim c1 10s -> a:m1#2",
    );
}

#[test]
fn a_restart_after_a_lease_ran_out_hands_the_message_out_again() {
    check(
        "sub c1 a | send a m1 | claim c1 10s -> a:m1 | jump 10s | restart
        | claim c1 10s -> a:m1#2",
    );
}

#[test]
fn a_restart_neither_shortens_a_renewed_lease_nor_stretches_its_bound() {
    check(
        "sub c1 a | sub c2 a | send a m1 | claim c1 auto -> a:m1 | restart | offline c1 | wait 59s
        | claim c2 10s -> . | wait 1s | claim c2 10s -> a:m1#2",
    );
    check(
        "sub c1 a | send a m1 | claim c1 auto -> a:m1 | wait 10790s | restart | wait 9s
        | claim c1 10s -> . | wait 1s | claim c1 10s -> a:m1#2",
    );
}

#[test]
fn a_lease_that_may_not_have_reached_its_client_is_not_renewed_without_end() {
    check(
        "sub c1 a | send a m1 | claim c1 auto -> a:m1 | broken c1 | wait 59s | claim c1 auto -> .
        | wait 1s | claim c1 auto -> a:m1#2",
    );
    check(
        "sub c1 a | send a m1 | claim c1 auto -> a:m1 | restart | wait 59s | claim c1 auto -> .
        | wait 1s | claim c1 auto -> a:m1#2",
    );
}

#[test]
fn a_lease_that_was_renewed_before_outlives_a_broken_connection() {
    check(
        "sub c1 a | send a m1 | claim c1 auto -> a:m1 | wait 61s | broken c1 | wait 10m
        | claim c1 auto -> . | ack m1",
    );
}

#[test]
fn a_repeated_receive_gets_the_same_messages_and_attempts_again() {
    check(
        "sub c1 a b | send a m1 m2 m3 | send b n1 | claim c1 auto try=7 -> a:m1 a:m2 a:m3 b:n1
        | claim c1 auto try=7 -> a:m1 a:m2 a:m3 b:n1 | ack m1 | ack m2~1 -> !ReceiptHandleInvalid
        | claim c1 auto try=7 -> a:m2 a:m3 b:n1 | claim c1 auto try=8 -> .",
    );
}

#[test]
fn a_repeated_receive_finds_its_messages_after_a_restart() {
    check(
        "sub c1 a b | send a m1 | claim c1 auto try=6 -> a:m1 | ack m1 | send a m2 | send b n1
        | claim c1 auto try=7 -> a:m2 b:n1 | restart | claim c1 auto try=7 -> a:m2 b:n1
        | ack m2 | ack n1 | claim c1 auto try=7 -> .",
    );
}

#[test]
fn a_repeated_receive_passes_nothing_that_another_client_was_given_in_between() {
    check(
        "sub c1 a | sub c2 a | send a m1 m2 | claim c1 10s try=7 -> a:m1 a:m2 | wait 10s
        | claim c2 10s max=1 -> a:m1#2 | claim c1 10s try=7 -> . | ack m1
        | claim c1 10s try=7 -> a:m2",
    );
    check(
        "group g unordered | sub c1 a | sub c2 a | send a m1 m2 | claim c1 10s try=7 -> a:m1 a:m2
        | wait 10s | claim c2 10s max=1 -> a:m1#2 | claim c1 10s try=7 -> a:m2",
    );
}

#[test]
fn a_repeated_receive_does_not_bring_back_early_what_its_client_has_hidden_or_suspended() {
    for change in ["hide", "suspend"] {
        check(&format!(
            "sub c1 a | send a m1 | claim c1 10s try=7 -> a:m1 | {change} m1 30s
            | claim c1 10s try=7 -> . | restart | claim c1 10s try=7 -> ."
        ));
    }
}

#[test]
fn a_repeated_receive_gets_nothing_that_its_client_is_no_longer_subscribed_to() {
    check(
        "sub c1 a b | send a m1 | send b n1 | claim c1 10s try=7 -> a:m1 b:n1 | unsub c1 a
        | claim c1 10s try=7 -> b:n1 | restart | claim c1 10s try=7 -> b:n1",
    );
}

#[test]
fn a_repeated_receive_gets_nothing_that_another_client_was_given() {
    check(
        "sub c1 a | sub c2 a | send a m1 | claim c1 10s try=7 -> a:m1 | wait 10s
        | claim c2 10s -> a:m1#2 | claim c1 10s try=7 -> .",
    );
}
