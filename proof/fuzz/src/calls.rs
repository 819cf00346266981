//! Sequences of calls of several clients over some time, judged by what a client may rely on: a
//! refusal stores nothing, what is settled does not come back, in an ordered group nothing passes
//! what is not settled, nobody is handed what another holds, and no handle can be made up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use futures_util::StreamExt as _;
use litemq_protocol::v2;
use litemq_protocol::v2::messaging_service_server::MessagingService;
use tokio::time::Instant;
use v2::receive_message_response::Content;
use v2::{MessageType, SystemProperties};

use crate::Target;
use crate::broker::{GROUPS, TOPIC, World, check_status, empty, request, resource, run};

/// This target.
pub const TARGET: Target = Target { name: "calls", heap_mib_max: 128, check };

const CALLS_MAX: usize = 48;
/// A client that is not heard of for so long may be taken for gone.
const SILENCE: Duration = Duration::from_secs(90);
/// Time that passes within one input: longer than a session lives.
const WAIT_MAX: Duration = Duration::from_secs(150);
const NAMES: [&str; 4] = ["a", "b", "c", "not/legal"];
const CLIENTS: [&str; 3] = ["one", "two", "three"];

/// A call, by numbers that are taken modulo what there is.
#[derive(Debug, Arbitrary)]
enum Call {
    Send { name: u8, id: u8, count: u8 },
    Sync { client: u8, group: u8, action: u8, names: u8 },
    Receive { client: u8, group: u8, batch: u8, invisible_s: u8, is_renewed: bool },
    Ack { held: u8 },
    AckForged { held: u8, at: u8, with: u8 },
    ChangeInvisible { held: u8, seconds: u8 },
    DeadLetter { held: u8 },
    Terminate { client: u8 },
    Wait { seconds: u8 },
}

/// A message that was handed out.
#[derive(Debug, Clone)]
struct Held {
    group: usize,
    name: String,
    offset: u64,
    handle: String,
}

/// A message of a group: settled, or leased by a client until then.
#[derive(Debug, Default)]
struct Standing {
    is_settled: bool,
    lease: Option<(usize, Instant)>,
}

/// What clients may rely on.
#[derive(Debug)]
struct Model {
    wait_left: Duration,
    /// When each client was last heard of.
    seen: [Instant; CLIENTS.len()],
    /// Message ids of each lite topic, by offset.
    sent: BTreeMap<String, Vec<String>>,
    standing: BTreeMap<(usize, String, u64), Standing>,
    held: Vec<Held>,
}

fn check(bytes: &[u8]) {
    let mut input = Unstructured::new(bytes);
    let calls: Vec<Call> =
        std::iter::from_fn(|| Call::arbitrary(&mut input).ok().filter(|_| !input.is_empty()))
            .take(CALLS_MAX)
            .collect();
    if calls.is_empty() {
        return;
    }
    run(async {
        let world = empty().await;
        tokio::spawn(Arc::clone(&world.broker).watch_sessions());
        let mut model = Model::new();
        for call in &calls {
            model.step(&world, call).await;
        }
        model.check_stored(&world).await;
        assert_eq!(world.broker.readiness(), Ok(()));
    });
}

impl Model {
    fn new() -> Self {
        let (sent, standing, held) = Default::default();
        Self { wait_left: WAIT_MAX, seen: [Instant::now(); CLIENTS.len()], sent, standing, held }
    }

    async fn step(&mut self, world: &World<impl MessagingService>, call: &Call) {
        // Whoever holds a message, the first client settles it.
        self.seen[0] = self.seen[0].max(match call {
            Call::Ack { .. } | Call::AckForged { .. } => Instant::now(),
            Call::ChangeInvisible { .. } | Call::DeadLetter { .. } => Instant::now(),
            _ => self.seen[0],
        });
        match *call {
            Call::Send { name, id, count } => self.send(world, name, id, count).await,
            Call::Sync { client, group, action, names } => {
                self.sync(world, client, group, action, names).await;
            }
            Call::Receive { client, group, batch, invisible_s, is_renewed } => {
                let asked = v2::ReceiveMessageRequest {
                    group: resource(GROUPS[usize::from(group) % 2]),
                    message_queue: Some(v2::MessageQueue {
                        topic: resource(TOPIC),
                        ..v2::MessageQueue::default()
                    }),
                    batch_size: i32::from(batch),
                    invisible_duration: Some(seconds(invisible_s)),
                    auto_renew: is_renewed,
                    long_polling_timeout: Some(seconds(0)),
                    ..v2::ReceiveMessageRequest::default()
                };
                self.receive(world, client, group, asked).await;
            }
            Call::Ack { held } => self.ack(world, held).await,
            Call::AckForged { held, at, with } => self.ack_forged(world, held, at, with).await,
            Call::ChangeInvisible { held, seconds } => self.change(world, held, seconds).await,
            Call::DeadLetter { held } => self.dead_letter(world, held).await,
            Call::Terminate { client } => {
                let client = usize::from(client) % CLIENTS.len();
                let asked = v2::NotifyClientTerminationRequest::default();
                let asked = request(asked, CLIENTS[client], "GO");
                world.door.notify_client_termination(asked).await.unwrap();
                self.release(client, None);
            }
            Call::Wait { seconds } => {
                let wait = Duration::from_secs(seconds.into()).min(self.wait_left);
                self.wait_left -= wait;
                tokio::time::sleep(wait).await;
                self.forget_silent();
            }
        }
    }

    async fn send(&mut self, world: &World<impl MessagingService>, name: u8, id: u8, count: u8) {
        let name = NAMES[usize::from(name) % NAMES.len()];
        let ids: Vec<String> =
            (0..count % 4).map(|more| format!("m{}", u16::from(id) + u16::from(more))).collect();
        let messages = ids.iter().map(|id| message(name, id)).collect();
        let asked = request(v2::SendMessageRequest { messages }, "producer", "JAVA");
        let answer = world.door.send_message(asked).await.unwrap().into_inner();
        if check_status(answer.status.as_ref()) != v2::Code::Ok {
            assert!(ids.is_empty() || name == NAMES[3], "{:?}", answer.status);
            return;
        }
        assert_eq!(answer.entries.len(), ids.len());
        let sent = self.sent.entry(name.to_owned()).or_default();
        for (entry, id) in answer.entries.iter().zip(ids) {
            let offset = usize::try_from(entry.offset).unwrap();
            match sent.iter().position(|before| *before == id) {
                Some(first) => assert_eq!(offset, first, "a repeat has its first offset"),
                None => {
                    assert_eq!(offset, sent.len(), "offsets have no holes");
                    sent.push(id);
                }
            }
        }
    }

    async fn sync(
        &mut self,
        world: &World<impl MessagingService>,
        client: u8,
        group: u8,
        action: u8,
        names: u8,
    ) {
        let (client, group) = (usize::from(client) % CLIENTS.len(), usize::from(group) % 2);
        self.seen[client] = Instant::now();
        let chosen = NAMES.iter().enumerate().filter(|(at, _)| names >> at & 1 == 1);
        let asked = v2::SyncLiteSubscriptionRequest {
            action: i32::from(action % 5),
            topic: resource(TOPIC),
            group: resource(GROUPS[group]),
            lite_topic_set: chosen.map(|(_, name)| (*name).to_owned()).collect(),
            ..v2::SyncLiteSubscriptionRequest::default()
        };
        let asked = request(asked, CLIENTS[client], "GO");
        let answer = world.door.sync_lite_subscription(asked).await.unwrap();
        check_status(answer.get_ref().status.as_ref());
        if !action.is_multiple_of(5) {
            // Leaving lets go of what is held.
            self.release(client, Some(group));
        }
    }

    async fn receive(
        &mut self,
        world: &World<impl MessagingService>,
        client: u8,
        group: u8,
        asked: v2::ReceiveMessageRequest,
    ) {
        let (client, group) = (usize::from(client) % CLIENTS.len(), usize::from(group) % 2);
        self.seen[client] = Instant::now();
        let invisible = asked.invisible_duration.as_ref().map_or(0, |span| span.seconds);
        let until = match asked.auto_renew {
            // Renewed, or not, by rules of its own.
            true => Instant::now(),
            false => Instant::now() + Duration::from_secs(invisible.unsigned_abs()),
        };
        let asked = request(asked, CLIENTS[client], "GO");
        let answer = world.door.receive_message(asked).await.unwrap().into_inner();
        let parts: Vec<_> = answer.collect().await;
        let mut given: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for part in parts {
            let Some(Content::Message(message)) = part.unwrap().content else { continue };
            let system = message.system_properties.expect("with properties");
            let name = system.lite_topic().to_owned();
            let offset = u64::try_from(system.queue_offset()).unwrap();
            let sent = self.sent.get(&name).and_then(|sent| sent.get(offset as usize));
            assert_eq!(sent, Some(&system.message_id), "what was sent is handed out");
            assert_eq!(message.body, system.message_id);
            let standing = self.standing.entry((group, name.clone(), offset)).or_default();
            assert!(!standing.is_settled, "{name}:{offset} was settled");
            if let Some((holder, until)) = standing.lease {
                let who = (CLIENTS[holder], CLIENTS[client]);
                assert!(until <= Instant::now(), "{name}:{offset} is held: {who:?}");
            }
            standing.lease = Some((client, until));
            assert!(given.entry(name.clone()).or_default().insert(offset), "handed out twice");
            let handle = system.receipt_handle().to_owned();
            self.held.push(Held { group, name, offset, handle });
        }
        if group == 0 {
            given.iter().for_each(|(name, offsets)| self.check_order(name, offsets));
        }
    }

    /// What an ordered group was just given are the first messages that are not settled.
    fn check_order(&self, name: &str, given: &BTreeSet<u64>) {
        let is_open = |offset: &u64| {
            let standing = self.standing.get(&(0, name.to_owned(), *offset));
            !standing.is_some_and(|standing| standing.is_settled)
        };
        let stored = self.sent.get(name).map_or(0, Vec::len) as u64;
        let open: BTreeSet<u64> = (0..stored).filter(is_open).take(given.len()).collect();
        assert_eq!(*given, open, "in order");
    }

    fn chosen(&self, held: u8) -> Option<Held> {
        let at = usize::from(held).checked_rem(self.held.len())?;
        self.held.get(at).cloned()
    }

    async fn ack(&mut self, world: &World<impl MessagingService>, held: u8) {
        let Some(held) = self.chosen(held) else { return };
        if ack(world, &held, &held.handle).await == v2::Code::Ok {
            self.settle(&held);
        }
    }

    async fn ack_forged(&self, world: &World<impl MessagingService>, held: u8, at: u8, with: u8) {
        let Some(held) = self.chosen(held) else { return };
        let mut forged = held.handle.clone().into_bytes();
        let at = usize::from(at) % forged.len();
        forged[at] = with & 0x7f;
        let forged = String::from_utf8(forged).unwrap();
        if forged != held.handle {
            let code = ack(world, &held, &forged).await;
            assert_eq!(code, v2::Code::InvalidReceiptHandle, "{forged} was made up");
        }
    }

    async fn change(&mut self, world: &World<impl MessagingService>, held: u8, span: u8) {
        let Some(mut held) = self.chosen(held) else { return };
        let asked = v2::ChangeInvisibleDurationRequest {
            group: resource(GROUPS[held.group]),
            topic: resource(TOPIC),
            receipt_handle: held.handle.clone(),
            invisible_duration: Some(seconds(span)),
            ..v2::ChangeInvisibleDurationRequest::default()
        };
        let asked = request(asked, CLIENTS[0], "GO");
        let answer = world.door.change_invisible_duration(asked).await.unwrap().into_inner();
        if check_status(answer.status.as_ref()) != v2::Code::Ok {
            return;
        }
        held.handle = answer.receipt_handle;
        let key = (held.group, held.name.clone(), held.offset);
        if let Some((_, until)) = self.standing.entry(key).or_default().lease.as_mut() {
            *until = Instant::now() + Duration::from_secs(span.into());
        }
        self.held.push(held);
    }

    async fn dead_letter(&mut self, world: &World<impl MessagingService>, held: u8) {
        let Some(held) = self.chosen(held) else { return };
        let asked = v2::ForwardMessageToDeadLetterQueueRequest {
            group: resource(GROUPS[held.group]),
            topic: resource(TOPIC),
            receipt_handle: held.handle.clone(),
            ..v2::ForwardMessageToDeadLetterQueueRequest::default()
        };
        let asked = request(asked, CLIENTS[0], "GO");
        let answer = world.door.forward_message_to_dead_letter_queue(asked).await.unwrap();
        check_status(answer.get_ref().status.as_ref());
        // OK also means that this handle cannot move it any more: look which of the two it was.
        if ack(world, &held, &held.handle).await == v2::Code::Ok {
            self.settle(&held);
        }
    }

    fn settle(&mut self, held: &Held) {
        let key = (held.group, held.name.clone(), held.offset);
        self.standing.entry(key).or_default().is_settled = true;
    }

    /// A client that was silent for too long is gone, and what it held is free.
    fn forget_silent(&mut self) {
        let silent: Vec<usize> =
            (0..CLIENTS.len()).filter(|at| self.seen[*at].elapsed() >= SILENCE).collect();
        silent.into_iter().for_each(|client| self.release(client, None));
    }

    fn release(&mut self, client: usize, group: Option<usize>) {
        for ((of, ..), standing) in &mut self.standing {
            let is_its = standing.lease.is_some_and(|(holder, _)| holder == client);
            if is_its && group.is_none_or(|group| group == *of) {
                standing.lease = None;
            }
        }
    }

    /// What is stored is what was accepted, and nothing else.
    async fn check_stored(&self, world: &World<impl MessagingService>) {
        for name in &NAMES[..3] {
            let peeked = world.broker.peek(TOPIC, name, Some(0), 1000).await.unwrap_or_default();
            let stored: Vec<String> =
                peeked.into_iter().map(|one| one.message.message_id).collect();
            assert_eq!(stored, self.sent.get(*name).cloned().unwrap_or_default());
        }
    }
}

async fn ack(world: &World<impl MessagingService>, held: &Held, handle: &str) -> v2::Code {
    let entry = v2::AckMessageEntry {
        message_id: "any".to_owned(),
        receipt_handle: handle.to_owned(),
        lite_topic: Some(held.name.clone()),
    };
    let asked = v2::AckMessageRequest {
        group: resource(GROUPS[held.group]),
        topic: resource(TOPIC),
        entries: vec![entry],
    };
    let asked = request(asked, CLIENTS[0], "GO");
    let answer = world.door.ack_message(asked).await.unwrap().into_inner();
    check_status(answer.entries[0].status.as_ref())
}

fn message(name: &str, id: &str) -> v2::Message {
    v2::Message {
        topic: resource(TOPIC),
        system_properties: Some(SystemProperties {
            message_id: id.to_owned(),
            message_type: MessageType::Lite.into(),
            lite_topic: Some(name.to_owned()),
            ..SystemProperties::default()
        }),
        body: Bytes::from(id.to_owned()),
        ..v2::Message::default()
    }
}

// The wire's own type; its crate is not needed for more.
fn seconds(seconds: u8) -> prost_types::Duration {
    prost_types::Duration { seconds: seconds.into(), nanos: 0 }
}
