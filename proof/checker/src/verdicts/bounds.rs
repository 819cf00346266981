//! Counts, calm and resources.

use super::*;
use crate::history::{Count, Counted, Sampled};

fn counted(what: Count, told: u64, limit: Option<u64>) -> Event {
    Event::Counted(Counted { what, told, limit, at: at(100) })
}

fn all_done() -> Tale {
    one_done().got(5, "a", 1, 1).acked(6, 1, 1)
}

#[test]
fn a_count_that_is_not_what_there_is_is_seen() {
    for (told, is_right) in [(0, false), (1, true), (2, false)] {
        let tale = all_done().with(counted(Count::LiteTopics, told, None));
        assert_eq!(tale.rules().is_empty(), is_right, "{told} lite topics");
        let subscriptions = counted(Count::Subscriptions, told + 1, None);
        let tale = all_done().with(subscriptions);
        assert_eq!(tale.rules().is_empty(), is_right, "{told} and 1 subscriptions");
    }
    let tale = all_done().with(counted(Count::LiteTopics, 2, None));
    tale.breaks(Rule::CountsExact);
}

#[test]
fn a_removed_lite_topic_and_an_ended_subscription_do_not_count() {
    let tale = all_done().removed(8, SettleResult::Done).subscribed(9, "a", &[]);
    let tale = tale.with(counted(Count::LiteTopics, 0, None));
    tale.with(counted(Count::Subscriptions, 1, None))
        .with(counted(Count::SubscriptionsOf("a".to_owned()), 0, None))
        .breaks_nothing();
    let tale = all_done().removed(8, SettleResult::Done).with(counted(Count::LiteTopics, 1, None));
    tale.breaks(Rule::CountsExact);
}

#[test]
fn a_lite_topic_of_a_send_or_removal_without_an_answer_may_count_or_not() {
    for told in [0, 1] {
        let unknown = Tale::new().sent(0, SendResult::Unknown);
        unknown.with(counted(Count::LiteTopics, told, None)).breaks_nothing();
        let removed = all_done().removed(8, SettleResult::Unknown);
        removed.with(counted(Count::LiteTopics, told, None)).breaks_nothing();
    }
}

#[test]
fn a_count_above_its_limit_is_seen() {
    let of_a = || Count::SubscriptionsOf("a".to_owned());
    all_done().with(counted(of_a(), 1, Some(1))).breaks_nothing();
    all_done().with(counted(of_a(), 1, Some(0))).breaks(Rule::CountsExact);
}

fn calm(second: u64, within: u64) -> Event {
    Event::Calm { at: at(second), within: at(within) }
}

#[test]
fn what_is_owed_must_come_within_the_bound_of_calm() {
    for (second, comes) in [(25, true), (31, false)] {
        let tale = one_done().with(calm(10, 20)).got(second, "a", 1, 1).acked(second + 1, 1, 1);
        assert_eq!(tale.rules().is_empty(), comes, "at {second} s");
    }
    let late = one_done().with(calm(10, 20)).got(31, "a", 1, 1).acked(32, 1, 1);
    late.breaks(Rule::EverythingComes);
}

#[test]
fn what_was_delivered_before_the_calm_must_be_settled_or_come_again() {
    let tale = one_done().got(5, "a", 1, 1).with(calm(10, 20));
    tale.got(40, "b", 1, 2).acked(41, 1, 2).breaks(Rule::EverythingComes);
    let tale = one_done().got(5, "a", 1, 1).with(calm(10, 20));
    tale.got(16, "b", 1, 2).acked(41, 1, 2).breaks_nothing();
    all_done().with(calm(10, 20)).breaks_nothing();
}

#[test]
fn what_is_sent_at_rest_must_come_within_a_bound_of_its_own() {
    let sent_at_40 = || {
        let at_rest = Event::AtRest { at: at(40), within: at(2) };
        all_done().with(calm(10, 20)).with(at_rest).sent_as(40, "m2", 2)
    };
    sent_at_40().got(42, "a", 2, 1).acked(50, 2, 1).breaks_nothing();
    sent_at_40().got(43, "a", 2, 1).acked(50, 2, 1).breaks(Rule::EverythingComes);
}

#[test]
fn a_resource_that_does_not_return_to_its_starting_level_is_seen() {
    let sample = |second, amount, slack| {
        let resource = "open files".to_owned();
        Event::Sampled(Sampled { resource, amount, slack, at: at(second) })
    };
    let tale = || all_done().with(sample(0, 10, 2)).with(sample(5, 900, 2));
    tale().with(sample(9, 12, 2)).breaks_nothing();
    tale().with(sample(9, 13, 2)).breaks(Rule::ResourcesReturn);
}
