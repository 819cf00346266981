//! What happened to a message: all of it, nothing that did not happen, and no more than fits.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use litemq_domain::{DurationMs, ErrorCode, TagFilter, What};
use litemq_server::access::Caller;
use litemq_server::broker::{
    BrokerOptions, Start, Trace, TraceEvent, TracedMessage, Wanted, WhoKey,
};
use litemq_storage::{MemoryStore, ShardStore};
use tokio::time::sleep;

use crate::support::{
    GROUP, NOW, TOPIC, World, broker, client, code, group, message, quiet, receipt,
};

/// Longer than any lease of these tests.
const LONG: Duration = Duration::from_secs(40);

async fn with_trace(store: Arc<dyn ShardStore>, trace_bytes_max: usize) -> World {
    let options = BrokerOptions { trace_bytes_max, ..BrokerOptions::default() };
    World::of(broker(store, options).await, group(GROUP)).await
}

async fn by_id(world: &World, lite: &str, id: &str) -> Trace {
    let wanted = Wanted::Id(id.to_owned());
    world.broker.trace(TOPIC, Some(lite), &wanted, None).await.unwrap()
}

/// The one message with this id.
async fn one(world: &World, lite: &str, id: &str) -> TracedMessage {
    let mut trace = by_id(world, lite, id).await;
    assert_eq!(trace.messages.len(), 1, "{trace:?}");
    trace.messages.remove(0)
}

async fn events(world: &World, lite: &str, id: &str) -> Vec<String> {
    one(world, lite, id).await.events.iter().map(shown).collect()
}

/// An event without its moment: what, the attempt, and who did it.
fn shown(event: &TraceEvent) -> String {
    let (word, attempt) = match event.what {
        What::Stored { .. } => ("stored", None),
        What::SentAgain => ("sent again", None),
        What::Delivered { attempt, .. } => ("delivered", Some(attempt)),
        What::GivenBack(of) => ("given back", Some(of.number)),
        What::Settled(of) if event.filtered => ("filtered", Some(of.number)),
        What::Settled(of) => ("acked", Some(of.number)),
        What::Delayed(of, _) => ("delayed", Some(of.number)),
        What::Suspended(of, _) => ("suspended", Some(of.number)),
        What::Visible(of) => ("visible", Some(of.number)),
        What::Released(of) => ("released", Some(of.number)),
        What::GivenUp(of) => ("given up", Some(of.number)),
        What::UsedUp(of) => ("used up", Some(of.number)),
        What::DeadLettered(of, _) => ("dead-lettered", Some(of.number)),
        What::Resent(_) => ("resent", None),
        What::Moved(..) => ("moved", None),
        What::PastRetention(_) => ("past retention", None),
        What::Removed(_) => ("removed", None),
        What::Expired(_) => ("expired", None),
    };
    let attempt = attempt.map(|attempt| format!(" {attempt}")).unwrap_or_default();
    let client = event.who.as_ref().and_then(|who| who.client.as_ref());
    let by = client.map(|client| format!(" by {client}")).unwrap_or_default();
    format!("{word}{attempt}{by}")
}

#[tokio::test(start_paused = true)]
async fn a_trace_tells_who_sent_a_message_and_each_delivery_with_what_came_of_it() {
    let (_, world) = World::memory().await;
    let by = world.broker.who(&Caller::internal(), Some(&client("producer")));
    let send = || world.broker.send_by(by, &world.topic, vec![message("a", "id", "1")]);
    let stored_at = world.broker.now();
    send().await.remove(0).unwrap();
    send().await.remove(0).unwrap();
    world.subscribe("c", &["a"]).await;

    let failed = world.receive("c", NOW).await.remove(0);
    world.nack(&failed).await;
    let paused = world.receive("c", NOW).await.remove(0);
    let pause = DurationMs::from_secs(5);
    let settling = Receipting { world: &world };
    let by_c = settling.receipt(&paused);
    world.broker.change_invisible(&world.group, by_c, pause, true).await.unwrap();
    sleep(Duration::from_secs(6)).await;
    drop(world.receive("c", NOW).await.remove(0)); // never answered
    sleep(LONG).await;
    let last = world.receive("c", NOW).await.remove(0);
    world.broker.ack(&world.group, settling.receipt(&last)).await.unwrap();
    world.broker.ack(&world.group, settling.receipt(&last)).await.unwrap();

    let traced = one(&world, "a", "id").await;
    assert_eq!(
        traced.events.iter().map(shown).collect::<Vec<_>>(),
        [
            "stored by producer",
            "sent again by producer",
            "delivered 1 by c",
            "delayed 1",
            "delivered 2 by c",
            "suspended 2 by c",
            "visible 2",
            "delivered 2 by c",
            "visible 2",
            "delivered 3 by c",
            "acked 3 by c",
        ]
    );
    assert!(traced.has_beginning);
    assert_eq!(traced.events[0].at, stored_at);
    assert_eq!(traced.stored.unwrap().stored_at, stored_at);
    assert_eq!(traced.events[2].group.as_ref(), Some(&world.group.name));
    let until = stored_at + DurationMs::from_secs(30);
    assert!(matches!(traced.events[2].what,
        What::Delivered { until: found, renewed: false, .. } if found >= until));
    let address = traced.events[0].who.as_ref().unwrap().address;
    assert_eq!(address, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
}

/// Receipts of client `c`.
struct Receipting<'a> {
    world: &'a World,
}

impl Receipting<'_> {
    fn receipt<'b>(
        &self,
        delivery: &'b litemq_server::broker::Delivery,
    ) -> litemq_server::broker::Receipt<'b> {
        let by = self.world.broker.who(&Caller::internal(), Some(&client("c")));
        litemq_server::broker::Receipt { by, ..receipt(delivery) }
    }
}

#[tokio::test(start_paused = true)]
async fn a_trace_tells_of_answers_that_were_lost_clients_that_left_and_filters() {
    let (_, world) = World::memory().await;
    world.subscribe("c", &["a"]).await;
    world.send("a", "1").await;
    drop(world.broker.receive(world.request("c", NOW)).await.unwrap());
    quiet().await;
    assert_eq!(world.receive("c", NOW).await.len(), 1);
    world.broker.terminate(&client("c")).await.unwrap();
    world.subscribe("d", &["a"]).await;
    let mut request = world.request("d", NOW);
    request.filter = TagFilter::parse("wanted").unwrap();
    assert!(world.try_receive(request).await.unwrap().is_empty());
    quiet().await;
    assert_eq!(
        events(&world, "a", "a/1").await,
        [
            "stored",
            "delivered 1 by c",
            "given back 1",
            "delivered 1 by c",
            "released 1",
            "delivered 2 by d",
            "filtered 2",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_trace_tells_how_a_message_became_a_dead_letter_and_was_sent_again() {
    let (_, world) = World::memory().await;
    let mut new = group("fragile");
    new.options.max_attempts = 1;
    let world = world.with_group(new).await;
    world.subscribe("c", &["a", "b"]).await;
    world.send("a", "1").await;
    world.nack(&world.receive("c", NOW).await[0]).await;
    assert!(world.receive("c", Duration::from_secs(1)).await.is_empty());
    world.send("b", "1").await;
    let given_up = world.receive("c", NOW).await.remove(0);
    world.broker.dead_letter(&world.group, receipt(&given_up)).await.unwrap();
    let by = WhoKey::default();
    world.broker.resend_dead_letters(by, "fragile", "a", None, 10).await.unwrap();

    let trace = by_id(&world, "a", "a/1").await;
    let [again, first] = &trace.messages[..] else { panic!("{trace:?}") };
    let shown_of = |traced: &TracedMessage| traced.events.iter().map(shown).collect::<Vec<_>>();
    let failed = ["stored", "delivered 1 by c", "delayed 1", "used up 1", "dead-lettered 1"];
    assert_eq!(shown_of(first), failed);
    assert_eq!((again.offset, shown_of(again)), (1, vec!["stored".to_owned()]));
    assert_eq!(
        events(&world, "b", "b/1").await,
        ["stored", "delivered 1 by c", "given up 1", "dead-lettered 1"]
    );
    let wanted = Wanted::Id("a/1".to_owned());
    let letter = world.broker.trace("%DLQ%fragile", Some("a"), &wanted, None).await.unwrap();
    assert_eq!(shown_of(&letter.messages[0]), ["stored", "resent"]);
    assert_eq!(letter.messages[0].events[1].what, What::Resent(1));
}

#[tokio::test(start_paused = true)]
async fn a_trace_tells_how_a_lite_topic_ended_and_keeps_its_lives_apart() {
    let (_, world) = World::memory().await;
    world.send("a", "1").await;
    let by = world.broker.who(&Caller::internal(), Some(&client("operator")));
    world.broker.delete_lite_by(by, TOPIC, "a").await.unwrap();
    world.send("a", "1").await;
    world.send("gone", "1").await;
    world.broker.delete_lite(TOPIC, "gone").await.unwrap();

    let trace = by_id(&world, "a", "a/1").await;
    let shown: Vec<Vec<String>> =
        trace.messages.iter().map(|traced| traced.events.iter().map(shown).collect()).collect();
    assert_eq!(shown, [vec!["stored"], vec!["stored", "removed by operator"]]);
    assert_eq!(trace.messages.iter().filter(|traced| traced.stored.is_some()).count(), 1);
    assert_eq!(events(&world, "gone", "gone/1").await, ["stored", "removed"]);
    for other in 0..32 {
        // Whatever shard it is in.
        let (name, wanted) = (format!("other{other}"), Wanted::Id("gone/1".to_owned()));
        let other = world.broker.trace(TOPIC, Some(&name), &wanted, None).await;
        assert_eq!(code(other.map(|trace| trace.messages.len())), ErrorCode::LiteTopicNotFound);
    }
}

#[tokio::test(start_paused = true)]
async fn a_trace_tells_that_a_lite_topic_expired_and_that_a_position_was_moved() {
    let (_, world) = World::memory().await;
    let ttl = Some(Some(DurationMs::from_secs(60)));
    let change = litemq_server::broker::TopicChange { ttl, ..Default::default() };
    world.broker.update_topic(TOPIC, change).await.unwrap();
    world.subscribe("c", &["a"]).await;
    world.send("a", "1").await;
    world.receive("c", NOW).await;
    world.broker.reset_group(GROUP, Some("a"), Start::Newest).await.unwrap();
    sleep(Duration::from_secs(70)).await;
    assert_eq!(
        events(&world, "a", "a/1").await,
        ["stored", "delivered 1 by c", "moved", "expired"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_is_found_by_a_key_in_its_lite_topic_and_by_its_id_in_the_whole_topic() {
    let (_, world) = World::memory().await;
    for lite in ["a", "b"] {
        let mut new = message(lite, &format!("id-{lite}"), "1");
        new.message.keys = vec!["order-7".to_owned()];
        world.send_message(new).await.unwrap();
    }
    let key = Wanted::Key("order-7".to_owned());
    let found = world.broker.trace(TOPIC, Some("b"), &key, None).await.unwrap();
    let [traced] = &found.messages[..] else { panic!("{found:?}") };
    assert_eq!(traced.stored.as_ref().unwrap().message.message_id, "id-b");
    assert_eq!(traced.events.iter().map(shown).collect::<Vec<_>>(), ["stored"]);
    assert_eq!(code(world.broker.trace(TOPIC, None, &key, None).await), ErrorCode::BadRequest);

    let id = Wanted::Id("id-a".to_owned());
    let found = world.broker.trace(TOPIC, None, &id, None).await.unwrap();
    let [traced] = &found.messages[..] else { panic!("{found:?}") };
    assert_eq!(traced.lite_topic.as_ref().unwrap().as_str(), "a");
    assert!(traced.stored.is_some());
    world.broker.delete_lite(TOPIC, "a").await.unwrap();
    let found = world.broker.trace(TOPIC, None, &id, None).await.unwrap();
    let [traced] = &found.messages[..] else { panic!("{found:?}") };
    assert_eq!((&traced.lite_topic, &traced.stored), (&None, &None));
    assert_eq!(traced.events.iter().map(shown).collect::<Vec<_>>(), ["stored", "removed"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_traced_before_it_is_durable_nor_what_a_crash_undid() {
    let (store, world) = World::memory().await;
    world.send("a", "1").await;
    store.hold_syncs();
    let sending = tokio::spawn({
        let world = world.clone();
        async move { world.try_send("a", "2").await }
    });
    quiet().await;
    let tracing = tokio::spawn({
        let world = world.clone();
        async move { events(&world, "a", "a/2").await }
    });
    sleep(LONG).await;
    assert!(!sending.is_finished());
    assert!(!tracing.is_finished(), "it would tell of what may not have happened");
    let (_, after) = World::after_crash(&store).await;
    assert_eq!(by_id(&after, "a", "a/2").await.messages, []);
    store.release_syncs();
    assert_eq!(tracing.await.unwrap(), ["stored"]);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_a_trace_says_since_when_it_holds() {
    let (store, world) = World::memory().await;
    world.subscribe("c", &["a"]).await;
    world.send("a", "1").await;
    sleep(LONG).await;
    let (_, after) = World::after_crash(&store).await;
    let stopped = after.broker.now();
    let delivery = after.receive("c", NOW).await.remove(0);
    after.ack(&delivery).await.unwrap();
    let trace = by_id(&after, "a", "a/1").await;
    let [traced] = &trace.messages[..] else { panic!("{trace:?}") };
    assert!(!traced.has_beginning);
    assert!(traced.stored.is_some(), "who sent it and when is with the message");
    assert_eq!(
        traced.events.iter().map(shown).collect::<Vec<_>>(),
        ["delivered 1 by c", "acked 1"]
    );
    assert!(trace.since.unwrap() <= stopped);
    assert!(trace.since.unwrap() >= traced.stored.as_ref().unwrap().stored_at);
}

#[tokio::test(start_paused = true)]
async fn a_trace_that_is_full_forgets_the_oldest_first_and_says_so() {
    let world = with_trace(Arc::new(MemoryStore::new()), 64 << 10).await;
    let before = world.broker.now();
    for n in 0..2000 {
        world.send("a", &n.to_string()).await;
        if n % 100 == 0 {
            sleep(Duration::from_secs(1)).await;
        }
    }
    let first = by_id(&world, "a", "a/0").await;
    let since = first.since.unwrap();
    assert!(since > before, "{since:?}");
    assert!(!first.messages[0].has_beginning);
    assert_eq!(first.messages[0].events, []);
    let last = by_id(&world, "a", "a/1999").await;
    assert!(last.messages[0].has_beginning);
    // 28 KiB for each of two shards, 56 bytes an event.
    let mut kept = 0;
    for n in 1400..2000 {
        kept += usize::from(one(&world, "a", &format!("a/{n}")).await.has_beginning);
    }
    assert_eq!(kept, 512);
}

#[tokio::test(start_paused = true)]
async fn of_a_message_with_very_many_events_the_newest_are_told() {
    let (_, world) = World::memory().await;
    world.subscribe("c", &["a"]).await;
    world.send("a", "1").await;
    for _ in 0..600 {
        let delivery = world.receive("c", NOW).await.remove(0);
        let suspended =
            world.broker.change_invisible(&world.group, receipt(&delivery), DurationMs(0), true);
        suspended.await.unwrap();
    }
    let traced = one(&world, "a", "a/1").await;
    assert_eq!((traced.events.len(), traced.left_out), (1000, 201));
    assert_eq!(shown(&traced.events[999]), "suspended 1");
    assert!(!traced.has_beginning);
}

#[tokio::test(start_paused = true)]
async fn a_trace_that_is_off_keeps_nothing_and_says_so() {
    let world = with_trace(Arc::new(MemoryStore::new()), 0).await;
    let by = world.broker.who(&Caller::internal(), Some(&client("producer")));
    assert_eq!(by, WhoKey::default());
    world.send("a", "1").await;
    let trace = by_id(&world, "a", "a/1").await;
    assert_eq!(trace.since, None);
    assert!(trace.messages[0].stored.is_some());
    assert_eq!(trace.messages[0].events, []);
}
