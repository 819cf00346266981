//! Dead letters that are looked at and sent again.

use std::collections::BTreeMap;
use std::time::Duration;

use litemq_domain::{ErrorCode, GroupName, TopicName};
use litemq_server::broker::{
    DeadLetterReason, LettersInfo, Look, NewGroup, NewMessage, ResendReport, ResentFrom, WhoKey,
};
use litemq_storage::StoreError;

use crate::support::{NOW, World, bodies, code, group, message, quiet, receipt, text};

const GROUP: &str = "fragile";
const DLQ: &str = "%DLQ%fragile";

/// A group that tries a message once, with its letters `0`, `1`, ... of lite topic `a`.
async fn letters(count: u64) -> (std::sync::Arc<litemq_storage::MemoryStore>, World) {
    let (store, world) = World::memory().await;
    let world = fragile(&world).await;
    world.subscribe("c", &["a"]).await;
    for n in 0..count {
        let NewMessage { lite_topic, message } = message("a", &format!("id-{n}"), &n.to_string());
        let mut new = NewMessage { lite_topic, message };
        new.message.keys = vec![format!("key-{n}")];
        new.message.tag = Some("tag".to_owned());
        new.message.user_properties = BTreeMap::from([("p".to_owned(), n.to_string())]);
        world.send_message(new).await.unwrap();
    }
    bury_all(&world).await;
    (store, world)
}

async fn fragile(world: &World) -> World {
    let mut new = group(GROUP);
    new.options.max_attempts = 1;
    world.with_group(new).await
}

/// Fails everything until nothing comes any more.
async fn bury_all(world: &World) {
    loop {
        let received = world.receive("c", Duration::from_secs(1)).await;
        if received.is_empty() {
            return;
        }
        for delivery in &received {
            world.nack(delivery).await;
        }
    }
}

async fn resend(world: &World, offsets: Option<&[u64]>, limit: usize) -> ResendReport {
    world.broker.resend_dead_letters(WhoKey::default(), GROUP, "a", offsets, limit).await.unwrap()
}

async fn listed(world: &World) -> Vec<(String, u64, u64)> {
    let all = world.broker.dead_letters(GROUP, "", None, 100).await.unwrap();
    let row = |info: LettersInfo| (info.name.to_string(), info.letters, info.resent);
    all.into_iter().map(row).collect()
}

#[tokio::test(start_paused = true)]
async fn a_letter_tells_where_it_came_from_when_why_and_whether_it_was_sent_again() {
    let (_, world) = letters(2).await;
    let held = {
        world.send("a", "given-up").await;
        world.receive("c", NOW).await
    };
    world.broker.dead_letter(&world.group, receipt(&held[0])).await.unwrap();
    resend(&world, Some(&[1]), 10).await;
    let look = Look { limit: 10, ..Look::default() };
    let (found, resent) = world.broker.look_at_letters(GROUP, "a", &look).await.unwrap();
    assert_eq!(resent, [false, true, false]);
    let stored = world.peek("a").await.unwrap();
    for (letter, original) in found.messages.iter().zip(&stored) {
        let origin = letter.message.dead_letter.as_ref().unwrap();
        assert_eq!(origin.topic, "orders");
        assert_eq!(origin.message_id, original.message.message_id);
        assert_eq!(origin.offset, original.offset);
        assert_eq!(origin.stored_at_ms, original.stored_at.0);
        assert!(letter.stored_at >= original.stored_at);
    }
    let why: Vec<DeadLetterReason> = found
        .messages
        .iter()
        .map(|found| found.message.dead_letter.as_ref().unwrap().reason())
        .collect();
    let used_up = DeadLetterReason::AttemptsUsedUp;
    assert_eq!(why, [used_up, used_up, DeadLetterReason::GivenUpByClient]);
    let by_key = Look { key: Some("key-1".to_owned()), ..look };
    let (found, _) = world.broker.look_at_letters(GROUP, "a", &by_key).await.unwrap();
    assert_eq!(found.messages.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_letter_sent_again_is_the_message_it_was_and_comes_to_the_consumers_again() {
    let (_, world) = letters(2).await;
    let report = resend(&world, None, 100).await;
    assert_eq!(report, ResendReport { sent: vec![(0, 2), (1, 3)], before: vec![], more: false });
    let stored = world.peek("a").await.unwrap();
    for (original, copy) in stored[..2].iter().zip(&stored[2..]) {
        let resent = copy.message.resent.clone();
        let from = ResentFrom { topic: DLQ.to_owned(), offset: original.offset, times: 1 };
        assert_eq!(resent, Some(from));
        let mut copy = copy.message.clone();
        copy.resent = None;
        assert_eq!(copy, original.message, "keys, tag, properties and id are kept");
    }
    let received = world.receive("c", NOW).await;
    assert_eq!(bodies(&received), ["0", "1"]);
    assert!(received.iter().all(|delivery| delivery.attempt == 1), "a new message");
    for delivery in &received {
        world.ack(delivery).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn all_letters_are_sent_again_once_however_often_that_is_asked() {
    let (store, world) = letters(5).await;
    assert_eq!(resend(&world, Some(&[3, 1, 3]), 100).await.sent, [(1, 5), (3, 6)]);
    let first = resend(&world, None, 2).await;
    assert_eq!((first.sent.as_slice(), first.more), (&[(0, 7), (2, 8)][..], true));
    let last = resend(&world, None, 2).await;
    assert_eq!((last.sent.as_slice(), last.more), (&[(4, 9)][..], false));
    assert_eq!(resend(&world, None, 100).await, ResendReport::default());
    let again = resend(&world, Some(&[0, 4]), 100).await;
    assert_eq!(again, ResendReport { sent: vec![], before: vec![0, 4], more: false });
    assert_eq!(listed(&world).await, [("a".to_owned(), 5, 5)]);
    let (_, after) = World::after_crash(&store).await;
    assert_eq!(resend(&after, None, 100).await, ResendReport::default(), "nor after a restart");
}

#[tokio::test(start_paused = true)]
async fn a_letter_sent_again_is_not_taken_for_a_repeat_of_the_message_it_was() {
    let (_, world) = letters(1).await;
    assert_eq!(resend(&world, None, 1).await.sent, [(0, 1)]);
    bury_all(&world).await;
    let second = resend(&world, None, 1).await;
    assert_eq!(second.sent, [(1, 2)], "its second letter");
    let stored = world.peek("a").await.unwrap();
    assert_eq!(stored[2].message.resent.as_ref().unwrap().times, 2);
    let repeated = world.send_message(message("a", "id-0", "0")).await.unwrap();
    assert_eq!((repeated.offset, repeated.repeated), (0, true), "the client's own repeat is one");
}

#[tokio::test(start_paused = true)]
async fn a_resend_that_is_not_durable_has_not_happened() {
    let (store, world) = letters(3).await;
    store.hold_syncs();
    let resender = world.clone();
    let resending = tokio::spawn(async move { resend(&resender, None, 100).await });
    quiet().await;
    assert!(!resending.is_finished(), "it waits for the disk");
    let (_, after) = World::after_crash(&store).await;
    assert_eq!(after.stored("a").await, ["0", "1", "2"]);
    assert_eq!(resend(&after, None, 100).await.sent, [(0, 3), (1, 4), (2, 5)]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_resend_leaves_the_letters_as_they_were() {
    let (store, world) = letters(2).await;
    let try_all = || world.broker.resend_dead_letters(WhoKey::default(), GROUP, "a", None, 10);
    store.set_admission(Err(StoreError::NoSpace("full".into())));
    assert_eq!(code(try_all().await), ErrorCode::StorageFull);
    store.set_admission(Ok(()));
    let missing =
        world.broker.resend_dead_letters(WhoKey::default(), GROUP, "a", Some(&[0, 7]), 10).await;
    assert_eq!(code(missing), ErrorCode::OffsetNotFound);
    let missing = world.broker.resend_dead_letters(WhoKey::default(), GROUP, "b", None, 10).await;
    assert_eq!(code(missing), ErrorCode::LiteTopicNotFound);
    let missing = world.broker.resend_dead_letters(WhoKey::default(), "none", "a", None, 10).await;
    assert_eq!(code(missing), ErrorCode::ConsumerGroupNotFound);
    assert_eq!(listed(&world).await, [("a".to_owned(), 2, 0)]);
    assert_eq!(world.stored("a").await, ["0", "1"]);
    assert_eq!(try_all().await.unwrap().sent.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn letters_too_large_for_one_write_are_sent_again_in_parts() {
    let (_, world) = World::memory().await;
    let world = fragile(&world).await;
    world.subscribe("c", &["a"]).await;
    for n in 0..3 {
        let large = message("a", &n.to_string(), &n.to_string().repeat(2 << 20));
        world.send_message(large).await.unwrap();
    }
    bury_all(&world).await;
    let first = resend(&world, None, 100).await;
    assert_eq!((first.sent.as_slice(), first.more), (&[(0, 3)][..], true));
    assert_eq!(resend(&world, Some(&[1, 2]), 100).await.sent, [(1, 4)]);
    assert_eq!(resend(&world, None, 100).await.sent, [(2, 5)]);
}

#[tokio::test(start_paused = true)]
async fn removed_letters_are_gone_and_the_next_are_sent_again() {
    let (_, world) = letters(2).await;
    resend(&world, None, 100).await;
    world.broker.delete_lite(DLQ, "a").await.unwrap();
    assert_eq!(listed(&world).await, []);
    bury_all(&world).await;
    assert_eq!(listed(&world).await, [("a".to_owned(), 2, 0)]);
    assert_eq!(resend(&world, None, 100).await.sent, [(0, 4), (1, 5)]);
}

#[tokio::test(start_paused = true)]
async fn a_group_bound_to_dead_letters_consumes_them_and_has_dead_letters_of_its_own() {
    let (_, world) = letters(1).await;
    let new = NewGroup {
        name: GroupName::new("undertaker").unwrap(),
        bind: TopicName::any(DLQ).unwrap(),
        ..group("undertaker")
    };
    let undertaker = world.with_group(new).await;
    undertaker.subscribe("u", &["a"]).await;
    let received = undertaker.receive("u", NOW).await;
    assert_eq!(received[0].message.dead_letter.as_ref().unwrap().topic, "orders");
    world.broker.dead_letter(&undertaker.group, receipt(&received[0])).await.unwrap();
    let kept = world.broker.peek("%DLQ%undertaker", "a", None, 1).await.unwrap();
    let origin = kept[0].message.dead_letter.clone().unwrap();
    assert_eq!((origin.topic.as_str(), origin.before.unwrap().topic.as_str()), (DLQ, "orders"));

    let report = world
        .broker
        .resend_dead_letters(WhoKey::default(), "undertaker", "a", None, 1)
        .await
        .unwrap();
    assert_eq!(report.sent, [(0, 1)]);
    let again = undertaker.receive("u", NOW).await;
    let origin = again[0].message.dead_letter.as_ref().unwrap();
    assert_eq!((text(&again[0].message).as_str(), origin.topic.as_str()), ("0", "orders"));

    let in_use = world.broker.delete_group(GROUP).await;
    assert_eq!(code(in_use), ErrorCode::InUse);
}
