//! The checker against histories that are made by hand: each kind of damage is seen.

mod bounds;
mod lives;
mod moves;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::history::{
    Delivered, Event, Group, Moment, Removed, SendResult, Sent, Settle, SettleResult, Settled,
};
use crate::rules::{ALL, Rule, check};

const GROUP: &str = "g";
const LEASE: Duration = Duration::from_secs(10);

/// A history of one lite topic and one ordered group with the clients `a` and `b`.
struct Tale(Vec<Event>);

fn at(seconds: u64) -> Moment {
    Duration::from_secs(seconds)
}

impl Tale {
    fn new() -> Self {
        let lites = BTreeSet::from(["l".to_owned()]);
        let subscribed = |client: &str| Event::Subscribed {
            client: client.to_owned(),
            lites: lites.clone(),
            at: at(0),
        };
        Self(vec![subscribed("a"), subscribed("b")])
    }

    fn sent(mut self, sequence: u64, result: SendResult) -> Self {
        self.0.push(Event::Sent(Sent {
            id: format!("m{sequence}"),
            producer: 0,
            lite: "l".to_owned(),
            sequence,
            asked_at: at(0),
            answered_at: at(0),
            result,
        }));
        self
    }

    /// The message with the number of its offset, in a receive asked for a second before.
    fn got(self, second: u64, client: &str, offset: u64, attempt: u32) -> Self {
        self.got_with(second, client, offset, attempt, |_| {})
    }

    fn got_with(
        mut self,
        second: u64,
        client: &str,
        offset: u64,
        attempt: u32,
        change: impl FnOnce(&mut Delivered),
    ) -> Self {
        let mut delivered = Delivered {
            group: GROUP.to_owned(),
            client: client.to_owned(),
            receive: second,
            asked_at: at(second - 1),
            at: at(second),
            lite: "l".to_owned(),
            offset,
            id: format!("m{offset}"),
            attempt,
            lease: LEASE,
            damage: None,
        };
        change(&mut delivered);
        self.0.push(Event::Delivered(delivered));
        self
    }

    fn settled(mut self, second: u64, offset: u64, attempt: u32, how: Settle) -> Self {
        self.0.push(Event::Settled(Settled {
            group: GROUP.to_owned(),
            lite: "l".to_owned(),
            offset,
            attempt,
            how,
            asked_at: at(second),
            answered_at: at(second),
            result: SettleResult::Done,
        }));
        self
    }

    fn with(mut self, event: Event) -> Self {
        self.0.push(event);
        self
    }

    fn subscribed(self, second: u64, client: &str, lites: &[&str]) -> Self {
        let (client, at) = (client.to_owned(), at(second));
        let lites = lites.iter().map(|lite| (*lite).to_owned()).collect();
        self.with(Event::Subscribed { client, lites, at })
    }

    /// Asked for at this second, and answered at the next.
    fn removed(self, second: u64, result: SettleResult) -> Self {
        let lite = "l".to_owned();
        let (asked_at, answered_at) = (at(second), at(second + 1));
        self.with(Event::Removed(Removed { lite, asked_at, answered_at, result }))
    }

    /// A send of a message with this name at some moment.
    fn sent_as(mut self, second: u64, id: &str, offset: u64) -> Self {
        self = self.sent(offset, stored(offset));
        if let Some(Event::Sent(sent)) = self.0.last_mut() {
            sent.id = id.to_owned();
            sent.sequence = second;
            (sent.asked_at, sent.answered_at) = (at(second), at(second));
        }
        self
    }

    fn acked(self, second: u64, offset: u64, attempt: u32) -> Self {
        self.settled(second, offset, attempt, Settle::Ack)
    }

    fn rules(&self) -> BTreeSet<Rule> {
        let groups = [Group { name: GROUP.to_owned(), ordered: true }];
        let violations = check(&self.0, &groups);
        assert!(violations.iter().all(|violation| !violation.story.is_empty()), "{violations:?}");
        violations.into_iter().map(|violation| violation.rule).collect()
    }

    fn breaks(&self, rule: Rule) {
        assert_eq!(self.rules(), BTreeSet::from([rule]));
    }

    fn breaks_also(&self, rule: Rule) {
        assert!(self.rules().contains(&rule), "{:?}", self.rules());
    }

    fn breaks_nothing(&self) {
        assert_eq!(self.rules(), BTreeSet::new());
    }
}

fn stored(offset: u64) -> SendResult {
    SendResult::Stored(offset)
}

/// Two messages, sent and not yet delivered.
fn two_sent() -> Tale {
    Tale::new().sent(0, stored(0)).sent(1, stored(1))
}

/// The same, with the first one delivered and acked.
fn one_done() -> Tale {
    two_sent().got(2, "a", 0, 1).acked(3, 0, 1)
}

#[test]
fn a_good_history_has_no_violation() {
    let tale = one_done()
        .got(5, "a", 1, 1)
        // The lease ran out, and the next owner gave up early.
        .got(16, "b", 1, 2)
        .settled(17, 1, 2, Settle::Nack(at(1)))
        .got(18, "a", 1, 3)
        .acked(19, 1, 3);
    tale.breaks_nothing();
}

#[test]
fn a_batch_in_one_answer_and_a_client_that_leaves_are_fine() {
    let together = |delivered: &mut Delivered| delivered.receive = 77;
    let mut tale =
        two_sent().got_with(2, "a", 0, 1, together).got_with(2, "a", 1, 1, together).acked(3, 1, 1);
    tale.0.push(Event::Left { client: "a".to_owned(), at: at(4) });
    let tale = tale.got(5, "b", 0, 2).acked(6, 0, 2);
    tale.breaks_nothing();
}

#[test]
fn a_message_that_is_never_delivered_is_lost() {
    one_done().breaks(Rule::NothingLost);
}

#[test]
fn a_message_that_is_delivered_once_and_never_again_is_lost() {
    one_done().got(4, "a", 1, 1).breaks(Rule::NothingLost);
}

#[test]
fn a_message_whose_ack_was_not_answered_may_be_settled_or_come_again() {
    let mut tale = one_done().got(5, "a", 1, 1).acked(6, 1, 1);
    if let Some(Event::Settled(settled)) = tale.0.last_mut() {
        settled.result = SettleResult::Unknown;
    }
    tale.breaks_nothing();
    tale.got(30, "b", 1, 2).breaks_nothing();
}

#[test]
fn a_message_that_nobody_sent_or_that_was_refused_is_invented() {
    let phantom = |delivered: &mut Delivered| delivered.id = "m9".to_owned();
    let tale = Tale::new().got_with(2, "a", 0, 1, phantom).acked(3, 0, 1);
    tale.breaks(Rule::NothingInvented);
    let refused = Tale::new().sent(0, SendResult::Refused("no".to_owned()));
    refused.got(2, "a", 0, 1).acked(3, 0, 1).breaks(Rule::NothingInvented);
    let unknown = Tale::new().sent(0, SendResult::Unknown).got(2, "a", 0, 1).acked(3, 0, 1);
    unknown.breaks_nothing();
}

#[test]
fn a_message_that_was_repeated_and_stored_twice_is_invented() {
    let again = |delivered: &mut Delivered| delivered.id = "m0".to_owned();
    let tale = Tale::new().sent(0, SendResult::Unknown).sent(0, stored(0));
    let tale = tale.got(2, "a", 0, 1).acked(3, 0, 1);
    tale.got_with(4, "a", 1, 1, again).acked(5, 1, 1).breaks(Rule::NothingInvented);
}

#[test]
fn a_changed_message_is_damaged() {
    let flip = |delivered: &mut Delivered| delivered.damage = Some("body".to_owned());
    one_done().got_with(5, "a", 1, 1, flip).acked(6, 1, 1).breaks(Rule::NothingDamaged);
}

#[test]
fn an_offset_that_names_two_messages_is_seen() {
    let other = |delivered: &mut Delivered| delivered.id = "m2".to_owned();
    let tale = one_done().sent(2, SendResult::Unknown).got(5, "a", 1, 1);
    let tale = tale.got_with(16, "b", 1, 2, other).acked(17, 1, 2);
    tale.breaks(Rule::OffsetsStay);
}

#[test]
fn a_producer_whose_sends_change_places_is_seen() {
    let swap = |id: &'static str| move |delivered: &mut Delivered| delivered.id = id.to_owned();
    let tale = Tale::new().sent(0, stored(1)).sent(1, stored(0));
    let tale = tale.got_with(2, "a", 0, 1, swap("m1")).acked(3, 0, 1);
    tale.got_with(4, "a", 1, 1, swap("m0")).acked(5, 1, 1).breaks(Rule::OffsetsStay);
}

#[test]
fn a_message_that_passes_an_open_one_is_seen() {
    let tale = two_sent().got(2, "a", 0, 1).got(3, "b", 1, 1).acked(4, 0, 1).acked(4, 1, 1);
    tale.breaks(Rule::OneAfterAnother);
}

#[test]
fn a_message_that_is_first_handed_out_after_a_later_one_is_seen() {
    let tale = two_sent().got(2, "a", 1, 1).acked(3, 1, 1).got(4, "a", 0, 1).acked(5, 0, 1);
    tale.breaks(Rule::OneAfterAnother);
}

#[test]
fn a_message_with_two_owners_at_a_time_is_seen() {
    let tale = one_done().got(5, "a", 1, 1).got(8, "b", 1, 2).acked(9, 1, 2);
    tale.breaks(Rule::OneOwner);
    let nacked = one_done().got(5, "a", 1, 1).settled(6, 1, 1, Settle::Nack(at(5)));
    nacked.got(8, "b", 1, 2).acked(9, 1, 2).breaks(Rule::OneOwner);
}

#[test]
fn an_attempt_that_is_counted_twice_or_backwards_is_seen() {
    for repeated in [1, 2] {
        let tale = one_done().got(5, "a", 1, 2).got(30, "b", 1, repeated).acked(31, 1, repeated);
        tale.breaks(Rule::OneOwner);
    }
}

#[test]
fn a_message_that_comes_again_after_its_ack_is_seen() {
    let tale = one_done().got(5, "a", 1, 1).acked(6, 1, 1);
    tale.got(30, "b", 1, 2).breaks(Rule::SettledStays);
}

#[test]
fn a_client_that_gets_what_it_is_not_subscribed_to_is_seen() {
    one_done().got(5, "c", 1, 1).acked(6, 1, 1).breaks(Rule::OnlySubscribed);
}

#[test]
fn every_rule_is_checked_once_in_its_order() {
    let rules: Vec<Rule> = ALL.iter().map(|(rule, _)| *rule).collect();
    assert!(rules.is_sorted(), "{rules:?}");
    assert_eq!(rules.iter().collect::<BTreeSet<_>>().len(), 12);
}
