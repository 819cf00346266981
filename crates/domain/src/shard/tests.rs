//! What a shard keeps is bounded by what is there, however much comes and goes.

use std::sync::Arc;

use super::*;
use crate::client::Subscribing;
use crate::group::{GroupOptions, SubscriptionMode};
use crate::handle::Handle;
use crate::lifetime::LiteTopicRoom;
use crate::limits::{EXPIRIES_PER_TICK, EXPIRY_PAUSE};
use crate::lite::SlotState;
use crate::names::{ClientId, GroupName, TopicName};
use crate::time::DurationMs;
use crate::topic::{TopicOptions, TopicType};

const NOW: Timestamp = Timestamp(1_000_000);
const GROUP: GroupId = GroupId(1);
const TOPIC: TopicId = TopicId(1);

fn shard(ordered: bool) -> Shard {
    let mut shard = Shard::new(ShardConfig { number: 0, hash_key: [1; 16] });
    shard.set_topic(Arc::new(Topic {
        id: TOPIC,
        name: TopicName::new("t").unwrap(),
        topic_type: TopicType::Lite,
        options: TopicOptions::default(),
        created_at: NOW,
    }));
    shard.set_group(Arc::new(Group {
        id: GROUP,
        name: GroupName::new("g").unwrap(),
        topic: TOPIC,
        dead_letter_topic: TOPIC,
        options: GroupOptions { ordered, ..GroupOptions::default() },
        created_at: NOW,
    }));
    shard
}

/// Room for any number of lite topics.
struct Unlimited;

impl LiteTopicRoom for Unlimited {
    fn take(&self, _: &Topic) -> Result<()> {
        Ok(())
    }
}

fn name(text: &str) -> LiteTopicName {
    LiteTopicName::new(text).unwrap()
}

fn send(shard: &mut Shard, lite: &str) {
    let send = Send {
        topic: TOPIC,
        lite_topic: name(lite),
        tag: 0,
        payload: bytes::Bytes::new(),
        ttl: None,
    };
    shard.send(NOW, send, &Unlimited, &mut Effects::default()).unwrap();
}

fn subscribe(shard: &mut Shard, client: u64, lite: &str) {
    let id = ClientId::new(&format!("c{client}")).unwrap();
    let names = &[name(lite)];
    let who = Subscribing { client: &id, key: ClientKey(client), user: None };
    let request = Subscribe { who, group: GROUP, names, starts: &[], takes_over: true };
    shard.subscribe(NOW, request, &mut Effects::default()).unwrap();
}

fn claim(shard: &mut Shard, client: u64, messages_max: usize) -> Vec<Handle> {
    let claim = Claim {
        client: ClientKey(client),
        group: GROUP,
        messages_max,
        per_lite_topic_max: messages_max,
        invisible: DurationMs::from_secs(10),
        auto_renew: false,
        attempt_id: 0,
    };
    let outcome = shard.claim(NOW, claim, &mut Effects::default()).unwrap();
    let handle = |claimed: Claimed| Handle {
        shard: 0,
        place: claimed.place,
        group: GROUP,
        epoch: claimed.epoch,
        visible_at: claimed.visible_at,
    };
    outcome.messages.into_iter().map(handle).collect()
}

#[test]
fn clients_that_hand_one_message_around_leave_no_trace() {
    let mut shard = shard(false);
    let fx = &mut Effects::default();
    send(&mut shard, "a");
    send(&mut shard, "a");
    for client in 1..=1000 {
        subscribe(&mut shard, client, "a");
        let handles = claim(&mut shard, client, 1);
        assert_eq!(handles.len(), 1);
        shard.change_invisible(NOW, &handles[0], DurationMs(0), true, fx).unwrap();
        shard.unsubscribe_all(ClientKey(client), GROUP, fx);
    }
    assert!(shard.held_by.len() <= 2, "{} clients hold something", shard.held_by.len());
    assert!(shard.cursors.run(0).unwrap().clients.len() <= 2);
    assert_eq!((shard.timers.len(), shard.subscribers().len()), (0, 0));
}

#[test]
fn everybody_who_holds_a_message_is_known_and_can_be_released() {
    let mut shard = shard(false);
    for client in 1..=40 {
        send(&mut shard, "a");
        subscribe(&mut shard, client, "a");
        assert_eq!(claim(&mut shard, client, 1).len(), 1);
    }
    for client in 1..=40 {
        shard.release_client(NOW, ClientKey(client), false, &mut Effects::default());
    }
    assert_eq!(claim(&mut shard, 7, 100).len(), 40);
}

#[test]
fn nothing_in_flight_leaves_no_timer_and_no_holder() {
    let mut shard = shard(true);
    let fx = &mut Effects::default();
    for round in 0..100 {
        let lite = format!("l{round}");
        subscribe(&mut shard, 1, &lite);
        send(&mut shard, &lite);
        send(&mut shard, &lite);
        for handle in claim(&mut shard, 1, 2) {
            if round % 2 == 0 {
                shard.ack(NOW, &handle, fx).unwrap();
            }
        }
        shard.unsubscribe_all(ClientKey(1), GROUP, fx);
        shard.remove_lite(TOPIC, &name(&lite), fx).unwrap();
    }
    assert_eq!((shard.timers.len(), shard.held_by.len()), (0, 0));
    assert_eq!(shard.lites.slots_len(), 1, "one slot is used again and again");
    assert_eq!(shard.lites.topics().count(), 0);
    assert_eq!(shard.counts(NOW), ShardCounts::default());
}

#[test]
fn a_tick_deals_with_so_many_positions_and_leaves_the_rest_due() {
    let mut shard = shard(true);
    let count = TICK_CURSORS_MAX + 10;
    for lite in 0..count {
        let lite = format!("l{lite}");
        subscribe(&mut shard, 1, &lite);
        send(&mut shard, &lite);
    }
    assert_eq!(claim(&mut shard, 1, usize::MAX).len(), count);
    let later = NOW + DurationMs::from_secs(10);
    let mut ready = Vec::new();
    while shard.next_deadline().is_some() {
        shard.tick(later, &|_| true, &mut Effects::default());
        ready.push(shard.timers.len());
    }
    assert_eq!(ready, [10, 0]);
}

#[test]
fn a_move_leaves_alone_what_took_the_slot_of_a_lite_topic_that_ended() {
    let (mut shard, fx) = (shard(true), &mut Effects::default());
    send(&mut shard, "x");
    let found = shard.to_consume(GROUP, &name("x")).unwrap();
    shard.remove_lite(TOPIC, &name("x"), fx).unwrap();
    send(&mut shard, "y");
    let next = shard.to_consume(GROUP, &name("y")).unwrap();
    assert_eq!(next.slot, found.slot);
    let newest = |place| [(place, StartAt::Newest)];
    assert_eq!(shard.move_positions(NOW, GROUP, &newest(found), fx), Ok(0));
    assert_eq!(shard.move_positions(NOW, GROUP, &newest(next), fx), Ok(1));
}

#[test]
fn so_many_lite_topics_expire_at_a_time_and_the_rest_after_a_pause() {
    let mut shard = shard(true);
    let ttl = Some(DurationMs::from_secs(60));
    let options = TopicOptions { ttl, ..TopicOptions::default() };
    let topic = Topic { options, ..Topic::clone(&shard.topics[&TOPIC]) };
    shard.set_topic(Arc::new(topic));
    for lite in 0..EXPIRIES_PER_TICK + 10 {
        send(&mut shard, &format!("l{lite}"));
    }
    // Subscriptions count like lite topics: the first of all has many.
    for client in 0..20 {
        subscribe(&mut shard, client, "l0");
    }
    let due = NOW + DurationMs::from_secs(60);
    assert_eq!(shard.next_deadline(), Some(due));
    let mut left = Vec::new();
    while let Some(at) = shard.next_deadline() {
        let mut fx = Effects::default();
        shard.tick(at, &|_| false, &mut fx);
        left.push((at, shard.lites.live_of(TOPIC), fx.farewells.len()));
        assert_eq!(shard.audit(at), []);
        shard.tick(at, &|_| false, &mut Effects::default());
        assert_eq!(
            shard.lites.live_of(TOPIC),
            left.last().unwrap().1,
            "nothing before the pause is over"
        );
    }
    assert_eq!(left, [(due, 30, 20), (due + EXPIRY_PAUSE, 0, 0)]);
}

#[test]
fn a_group_among_many_is_removed_from_a_lite_topic_and_the_others_stay() {
    let mut shard = shard(true);
    let other = GroupId(2);
    let group = Group { id: other, ..Group::clone(&shard.groups[&GROUP]) };
    shard.set_group(Arc::new(group));
    let fx = &mut Effects::default();
    for client in 0..20 {
        let id = ClientId::new("c").unwrap();
        let group = if client % 3 == 0 { GROUP } else { other };
        let who = Subscribing { client: &id, key: ClientKey(client), user: None };
        shard.replace_subscriptions(NOW, who, group, &[name("a")], fx).unwrap();
    }
    shard.remove_group(GROUP);
    while shard.has_work() {
        shard.step(NOW, fx);
    }
    let left: Vec<u64> = shard.subscribers().iter().map(|found| found.key.0).collect();
    assert_eq!(left, (0..20).filter(|client| client % 3 != 0).collect::<Vec<u64>>());
    let slot = shard.lites.find(TOPIC, &name("a")).unwrap();
    let first = shard.lites.get(slot).unwrap().first_link;
    assert_eq!(shard.subscriptions.chain(first).count(), left.len());
}

#[test]
fn a_handle_is_checked_against_the_name_it_was_given_for() {
    let mut shard = shard(true);
    subscribe(&mut shard, 1, "a");
    send(&mut shard, "a");
    let handles = claim(&mut shard, 1, 1);
    assert!(shard.check_name(&handles[0], "a").is_ok());
    let error = shard.check_name(&handles[0], "b").unwrap_err();
    assert_eq!(error.code, ErrorCode::ReceiptHandleInvalid);
}

/// A shard with two messages of `a` in flight and one ready, and a name that nobody sent to.
fn busy() -> Shard {
    let mut shard = shard(true);
    subscribe(&mut shard, 1, "a");
    subscribe(&mut shard, 2, "b");
    for _ in 0..3 {
        send(&mut shard, "a");
    }
    assert_eq!(claim(&mut shard, 1, 2).len(), 2);
    subscribe(&mut shard, 1, "c");
    send(&mut shard, "c");
    shard
}

/// Does something to a shard that no command does.
type Tamper = fn(&mut Shard);

fn run_of(shard: &mut Shard) -> &mut Run {
    shard.cursors.run_mut(0).unwrap()
}

#[test]
fn an_audit_sees_each_invariant_that_is_broken() {
    let cases: [(Invariant, Tamper); 13] = [
        (Invariant::NamesFound, |shard| shard.lites.get_mut(0).unwrap().topic = TopicId(9)),
        (Invariant::CountsExact, |shard| shard.lites.get_mut(0).unwrap().state = SlotState::Named),
        (Invariant::SubscriptionsPaired, |shard| shard.lites.get_mut(0).unwrap().first_link = NONE),
        (Invariant::OneOwner, |shard| {
            subscribe(shard, 2, "a");
            let mut group = Group::clone(&shard.groups[&GROUP]);
            group.options.mode = SubscriptionMode::Exclusive;
            shard.groups.insert(GROUP, Arc::new(group));
        }),
        (Invariant::PositionsInPlace, |shard| shard.cursors.get_mut(0).unwrap().committed = 2),
        (Invariant::RunsInShape, |shard| run_of(shard).entries[0].attempt = 0),
        (Invariant::LettersStored, |shard| {
            shard.resent.insert(0, ResentLetters { generation: 0, spans: vec![(0, 99)] });
        }),
        (Invariant::ReadyListed, |shard| {
            let subscriber = shard.subscriptions.find(ClientKey(1), GROUP).unwrap();
            while shard.subscriptions.take_ready(subscriber).is_some() {}
        }),
        (Invariant::OneAfterAnother, |shard| {
            shard.cursors.get_mut(0).unwrap().epoch = 2;
            run_of(shard).entries[1].epoch = 2;
        }),
        (Invariant::LeasesTimed, |shard| run_of(shard).timer = Timestamp(u64::MAX)),
        (Invariant::LifetimesFiled, |shard| shard.lites.get_mut(0).unwrap().filed_at = Second(7)),
        (Invariant::HoldersKnown, |shard| run_of(shard).clients.clear()),
        (Invariant::Bounded, |shard| shard.lites.get_mut(1).unwrap().first_link = NONE),
    ];
    assert_eq!(busy().audit(NOW), []);
    for (invariant, break_it) in cases {
        let mut shard = busy();
        break_it(&mut shard);
        let found: Vec<Invariant> =
            shard.audit(NOW).into_iter().map(|violation| violation.invariant).collect();
        assert!(found.contains(&invariant), "{invariant:?} is not among {found:?}");
    }
}

#[test]
fn a_million_take_overs_leave_no_more_than_one() {
    let mut shard = shard(true);
    let mut group = Group::clone(&shard.groups[&GROUP]);
    group.options.mode = SubscriptionMode::Exclusive;
    shard.set_group(Arc::new(group));
    send(&mut shard, "a");
    // Each new client takes the lite topic from the one before, which held its message.
    for client in 1..=1_000_000 {
        subscribe(&mut shard, client, "a");
        if client % 1000 == 0 {
            shard.release_client(NOW, ClientKey(client - 1), false, &mut Effects::default());
            assert_eq!(claim(&mut shard, client - 1, 1), [], "the client before owns nothing");
        }
        if client % 100_000 == 0 {
            assert_eq!(claim(&mut shard, client, 1).len(), 1);
        }
    }
    assert_eq!(shard.subscribers().len(), 1);
    assert_eq!(shard.subscriptions.pairs(), 1);
    assert_eq!(shard.cursors.in_use(), (1, 1));
    assert!(shard.held_by.len() <= 1, "{} clients hold something", shard.held_by.len());
    assert_eq!(shard.audit(NOW), []);
}

#[test]
fn milestones_see_lives_offsets_and_positions_that_go_back() {
    let before = busy().milestones();
    let cases: [Tamper; 4] = [
        |shard| shard.lites.get_mut(0).unwrap().next_offset = 2,
        |shard| shard.cursors.get_mut(0).unwrap().epoch = 0,
        |shard| shard.lites.get_mut(0).unwrap().first_offset = 0,
        |shard| shard.lites = LiteTable::new([1; 16]),
    ];
    for (number, go_back) in cases.into_iter().enumerate() {
        let mut shard = busy();
        shard.trimmed(NOW, 0, 0, 1, &mut Effects::default());
        let trimmed = shard.milestones();
        assert_eq!(before.check_later(&trimmed), []);
        go_back(&mut shard);
        let gone_back = trimmed.check_later(&shard.milestones());
        assert_eq!(gone_back.len(), if number == 3 { 3 } else { 1 }, "case {number}");
    }
}

#[test]
fn a_snapshot_alone_tells_the_time_of_the_newest_message() {
    let mut shard = shard(true);
    send(&mut shard, "a");
    let mut recovery = ShardRecovery::new(ShardConfig { number: 0, hash_key: [1; 16] });
    assert_eq!(recovery.newest_send_at(), Timestamp(0));
    shard.snapshot(0, 10, &mut |key, value| recovery.put(&key.encode(), &value).unwrap());
    assert_eq!(recovery.newest_send_at(), NOW);
}

/// O5 of the known faults.
#[test]
fn ending_a_lite_topic_touches_that_one_alone_however_many_there_are() {
    let mut shard = shard(true);
    for n in 0..3000 {
        send(&mut shard, &format!("l{n}"));
        subscribe(&mut shard, 1, &format!("l{n}"));
    }
    let slot = shard.lites.find(TOPIC, &name("l1500")).unwrap();
    let mut fx = Effects::default();
    shard.remove_lite(TOPIC, &name("l1500"), &mut fx).unwrap();
    let is_of_it = |record: &Record| match record {
        Record::Drop { slot: of, .. } => *of == slot,
        Record::Put { key, .. } | Record::Delete { key } => match key {
            Key::Channel { slot: of } | Key::Subscription { slot: of, .. } => *of == slot,
            _ => false,
        },
        Record::Append { .. } => false,
    };
    assert!(fx.records.iter().all(is_of_it), "{:?}", fx.records);
    assert!(!shard.has_work(), "nothing is left to be walked");
    assert_eq!(shard.next_deadline(), None, "nor is there a moment to look at all");
    assert_eq!(shard.lag(NOW, GROUP).lag, 2999);
    assert_eq!(shard.audit(NOW), []);
}
