//! Looking at messages without consuming them.

use std::time::Duration;

use bytes::Bytes;
use litemq_domain::{ErrorCode, Timestamp};
use litemq_server::broker::{Found, Look, NewMessage};

use crate::support::{NOW, World, code, message, quiet, text};

/// A lite topic with messages `0`, `1`, ... sent a second apart, and the moments before each.
async fn with_messages(count: u64) -> (World, Vec<Timestamp>) {
    let (_, world) = World::memory().await;
    let mut moments = Vec::new();
    for n in 0..count {
        tokio::time::sleep(Duration::from_secs(1)).await;
        moments.push(world.broker.now());
        let mut new = message("a", &format!("id-{n}"), &n.to_string());
        new.message.keys = vec![format!("every-{}", n % 3), format!("key-{n}")];
        world.send_message(new).await.unwrap();
    }
    (world, moments)
}

async fn look(world: &World, look: Look) -> Found {
    let look = Look { limit: if look.limit == 0 { 1000 } else { look.limit }, ..look };
    world.broker.look("orders", "a", &look).await.unwrap()
}

fn bodies(found: &Found) -> Vec<String> {
    found.messages.iter().map(|peeked| text(&peeked.message)).collect()
}

#[tokio::test(start_paused = true)]
async fn looking_consumes_nothing() {
    let (world, _) = with_messages(3).await;
    world.subscribe("c", &["a"]).await;
    assert_eq!(bodies(&look(&world, Look::default()).await), ["0", "1", "2"]);
    assert_eq!(world.receive("c", NOW).await.len(), 3);
    assert_eq!(bodies(&look(&world, Look::default()).await), ["0", "1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn pages_up_and_down_hold_every_message_once_and_end() {
    let (world, _) = with_messages(150).await;
    for newest_first in [false, true] {
        let mut found = Vec::new();
        let mut next = None;
        let mut pages = 0;
        loop {
            let (from, before) = if newest_first { (None, next) } else { (next, None) };
            let page =
                look(&world, Look { from, before, newest_first, limit: 7, ..Look::default() });
            let page = page.await;
            found.extend(bodies(&page));
            pages += 1;
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        let mut expected: Vec<String> = (0..150).map(|n| n.to_string()).collect();
        if newest_first {
            expected.reverse();
        }
        assert_eq!(found, expected, "newest first: {newest_first}");
        assert!(pages <= 23, "{pages} pages");
    }
}

#[tokio::test(start_paused = true)]
async fn a_range_of_offsets_is_looked_at_from_either_end() {
    let (world, _) = with_messages(10).await;
    let range = Look { from: Some(3), before: Some(7), ..Look::default() };
    let up = look(&world, range.clone()).await;
    assert_eq!((bodies(&up), up.next), (["3", "4", "5", "6"].map(String::from).to_vec(), None));
    let down = look(&world, Look { newest_first: true, limit: 2, ..range }).await;
    assert_eq!((bodies(&down), down.next), (["6", "5"].map(String::from).to_vec(), Some(5)));
    for (from, before) in
        [(Some(10), None), (Some(5), Some(5)), (Some(7), Some(2)), (None, Some(0))]
    {
        for newest_first in [false, true] {
            let nothing =
                look(&world, Look { from, before, newest_first, ..Look::default() }).await;
            assert_eq!(nothing, Found::default(), "{from:?}..{before:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_span_of_time_is_found_whatever_its_ends() {
    let (world, moments) = with_messages(40).await;
    for (from, to) in [(0, 40), (0, 1), (17, 23), (39, 40), (20, 20)] {
        let at = |n: usize| moments.get(n).copied().unwrap_or(Timestamp(u64::MAX));
        let (from_time, to_time) = (Some(at(from)), Some(at(to)));
        for newest_first in [false, true] {
            let look_for = Look { from_time, to_time, newest_first, ..Look::default() };
            let mut found = bodies(&look(&world, look_for).await);
            if newest_first {
                found.reverse();
            }
            assert_eq!(found, (from..to).map(|n| n.to_string()).collect::<Vec<_>>());
        }
    }
    let later = Look { from_time: Some(Timestamp(moments[5].0 + 1)), limit: 1, ..Look::default() };
    assert_eq!(bodies(&look(&world, later).await), ["6"], "the first after the moment");
}

#[tokio::test(start_paused = true)]
async fn messages_are_found_by_key_and_by_id() {
    let (world, moments) = with_messages(30).await;
    let by_key = |key: &str| Look { key: Some(key.to_owned()), ..Look::default() };
    let by_id = |id: &str| Look { id: Some(id.to_owned()), ..Look::default() };
    assert_eq!(bodies(&look(&world, by_key("key-17")).await), ["17"]);
    assert_eq!(bodies(&look(&world, by_id("id-9")).await), ["9"]);
    assert!(look(&world, by_id("id-99")).await.messages.is_empty());
    assert!(look(&world, by_key("key")).await.messages.is_empty(), "the whole key counts");
    let both = Look { id: Some("id-9".to_owned()), ..by_key("every-1") };
    assert!(look(&world, both).await.messages.is_empty(), "9 has another key");
    let some =
        Look { from_time: Some(moments[10]), newest_first: true, limit: 3, ..by_key("every-0") };
    assert_eq!(bodies(&look(&world, some).await), ["27", "24", "21"]);
}

#[tokio::test(start_paused = true)]
async fn a_search_among_very_many_stops_and_says_where_to_go_on() {
    let (_, world) = World::memory().await;
    for part in 0..21_u64 {
        let messages: Vec<NewMessage> = (0..1000)
            .map(|n| {
                let n = part * 1000 + n;
                let mut new = message("a", &format!("id-{n}"), &n.to_string());
                new.message.keys = vec![if n == 20_500 { "needle" } else { "hay" }.to_owned()];
                new
            })
            .collect();
        for sent in world.broker.send(&world.topic, messages).await {
            sent.unwrap();
        }
    }
    let needle = Look { key: Some("needle".to_owned()), ..Look::default() };
    let mut next = Some(0);
    let mut pages = Vec::new();
    while let Some(from) = next {
        let page = look(&world, Look { from: Some(from), ..needle.clone() }).await;
        next = page.next;
        pages.push(page.messages.len());
    }
    assert_eq!(pages, [0, 0, 1], "10,000 looked at by each but the last");
    let down = look(&world, Look { newest_first: true, ..needle }).await;
    assert_eq!((down.messages.len(), down.next), (1, Some(11_000)));
}

#[tokio::test(start_paused = true)]
async fn one_look_holds_no_more_than_its_bytes_whatever_the_messages() {
    let (_, world) = World::memory().await;
    let body = Bytes::from(vec![b'x'; 1 << 20]);
    for n in 0..9 {
        let mut new = message("a", &n.to_string(), "");
        new.message.body = body.clone();
        world.send_message(new).await.unwrap();
    }
    let up = look(&world, Look::default()).await;
    assert_eq!((up.messages.len(), up.next), (4, Some(4)));
    let down = look(&world, Look { newest_first: true, ..Look::default() }).await;
    let offsets: Vec<u64> = down.messages.iter().map(|found| found.offset).collect();
    assert_eq!((offsets, down.next), (vec![8, 7, 6, 5], Some(5)));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_durable_is_not_seen_from_either_end() {
    let (store, world) = World::memory().await;
    world.send("a", "0").await;
    store.hold_syncs();
    let sender = world.clone();
    let sending = tokio::spawn(async move { sender.try_send("a", "1").await });
    quiet().await;
    // A look asks the shard first, and its answer waits for what was submitted before.
    let looker = world.clone();
    let looking =
        tokio::spawn(
            async move { look(&looker, Look { newest_first: true, ..Look::default() }).await },
        );
    quiet().await;
    assert!(!looking.is_finished());
    store.release_syncs();
    assert_eq!(bodies(&looking.await.unwrap()), ["1", "0"]);
    sending.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lite_topic_that_is_not_there_is_told() {
    let (world, _) = with_messages(1).await;
    let missing = world.broker.look("orders", "b", &Look::default()).await;
    assert_eq!(code(missing), ErrorCode::LiteTopicNotFound);
    let missing = world.broker.look("none", "a", &Look::default()).await;
    assert_eq!(code(missing), ErrorCode::TopicNotFound);
    let illegal = world.broker.look("orders", "a/b", &Look::default()).await;
    assert_eq!(code(illegal), ErrorCode::LiteTopicIllegal);
}

#[tokio::test(start_paused = true)]
async fn what_is_stored_is_counted_and_how_far_is_said() {
    let (_, world) = World::memory().await;
    let stored = async |world: &World| world.broker.stored_bytes("orders", "a").await.unwrap();
    let send = async |world: &World, n: u64, bytes: usize| {
        let mut new = message("a", &n.to_string(), "");
        new.message.body = Bytes::from(vec![b'x'; bytes]);
        world.send_message(new).await.unwrap();
    };
    for n in 0..3 {
        send(&world, n, 1000).await;
    }
    let few = stored(&world).await;
    assert_eq!(few.counted_to, None);
    assert!((3000..3300).contains(&few.bytes), "{few:?}");
    for n in 3..25 {
        send(&world, n, 1 << 20).await;
    }
    let many = stored(&world).await;
    let end = many.counted_to.unwrap();
    assert!((10..25).contains(&end), "{many:?}");
    assert!(many.bytes > (end - 3) << 20, "{many:?}");
}
