//! A message that is sent again under its id is stored once.

use litemq_domain::ErrorCode;

use crate::support::{World, code, message};

#[tokio::test(start_paused = true)]
async fn a_repeat_answers_the_first_offset_also_after_a_crash() {
    let (store, world) = World::memory().await;
    world.send("a", "0").await;
    let first = world.send("a", "1").await;
    world.send("a", "2").await;
    let again = world.send("a", "1").await;
    assert_eq!((again.offset, again.repeated), (first.offset, true));

    let (store, after) = World::after_crash(&store).await;
    let again = after.send("a", "1").await;
    assert_eq!((again.offset, again.repeated), (first.offset, true));
    assert_eq!(after.stored("a").await, ["0", "1", "2"]);

    // Nothing of the log is read behind a checkpoint.
    after.broker.checkpoint().await.unwrap();
    let (_, after) = World::after_crash(&store).await;
    let again = after.send("a", "1").await;
    assert_eq!((again.offset, again.repeated), (first.offset, true));
    assert_eq!(after.stored("a").await, ["0", "1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn ids_are_of_one_life_of_one_lite_topic_and_an_empty_id_is_none() {
    let (_, world) = World::memory().await;
    for lite in ["a", "b"] {
        assert!(!world.send_message(message(lite, "same", "x")).await.unwrap().repeated);
        assert!(world.send_message(message(lite, "same", "x")).await.unwrap().repeated);
    }
    world.broker.delete_lite("orders", "a").await.unwrap();
    assert_eq!(code(world.peek("a").await), ErrorCode::LiteTopicNotFound);
    let sent = world.send_message(message("a", "same", "x")).await.unwrap();
    assert_eq!((sent.offset, sent.repeated), (0, false));
    for offset in 0..2 {
        let sent = world.send_message(message("c", "", "x")).await.unwrap();
        assert_eq!((sent.offset, sent.repeated), (offset, false));
    }
}

#[tokio::test(start_paused = true)]
async fn repeats_within_one_call_are_stored_once() {
    let (_, world) = World::memory().await;
    let messages = (0..10).map(|n| message("a", &format!("id{}", n % 5), "x")).collect();
    let sent = world.broker.send(&world.topic, messages).await;
    let offsets: Vec<u64> = sent.into_iter().map(|sent| sent.unwrap().offset).collect();
    assert_eq!(offsets, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
    assert_eq!(world.stored("a").await.len(), 5);
}
