//! Requests that are whole and lie: small on the wire and large in memory, nested, broken, abused.

use std::sync::atomic::Ordering;

use litemq_protocol::v2;
use litemq_protocol::v2::LiteSubscriptionAction::PartialAdd;
use prost::Message as _;

use super::{Field, Outcome, broken, expect};
use crate::http::get;
use crate::letters::{
    CROWD, TOPIC, ack_request, field as proto, message, nested, receive_request, resource, send,
    sync_request,
};
use crate::wire::{
    DATA, END_HEADERS, END_STREAM, HEADERS, Reads, Wire, attacker, call_headers, literal,
};

const ALL_CALLS: [&str; 11] = [
    "QueryRoute",
    "Heartbeat",
    "SendMessage",
    "QueryAssignment",
    "ReceiveMessage",
    "AckMessage",
    "ForwardMessageToDeadLetterQueue",
    "NotifyClientTermination",
    "ChangeInvisibleDuration",
    "SyncLiteSubscription",
    "Telemetry",
];

/// Sends these in turn, the large ones less often, on a new connection when the broker has had enough.
async fn post(field: &Field, posts: &[(&str, Vec<u8>)]) -> Outcome {
    let mut pace = field.pace();
    let (mut acts, mut answers) = (0, 0);
    let open = || Wire::open(attacker(1), field.grpc, Reads::Eagerly);
    let mut wire = open().await.map_err(broken)?;
    'attack: loop {
        for (method, body) in posts {
            // A tenth of a second for each megabyte.
            for _ in 0..=(body.len() >> 17) {
                if !pace.next().await {
                    break 'attack;
                }
            }
            let posted = wire.request(method, "lies@1@1@1", body);
            let posted = tokio::time::timeout_at(field.until, posted).await;
            acts += 1;
            if !matches!(posted, Ok(Ok(_))) || wire.heard.is_over() {
                answers += wire.heard.headers.load(Ordering::Relaxed);
                wire = open().await.map_err(broken)?;
            }
        }
    }
    answers += wire.heard.headers.load(Ordering::Relaxed);
    expect(acts < 3 || answers > 0, || format!("{acts} requests and no answer"))?;
    Ok(acts)
}

/// Two bytes a message, hundreds in memory: a request of 4 MiB is two million messages.
pub(super) async fn empty_messages(field: Field) -> Outcome {
    let empties = proto(1, b"").repeat(2 << 20);
    let names = proto(4, b"").repeat(2 << 20);
    let entries = proto(3, b"").repeat(2 << 20);
    let posts =
        [("SendMessage", empties), ("SyncLiteSubscription", names), ("AckMessage", entries)];
    post(&field, &posts).await
}

/// Whole small messages, a hundred thousand in one request.
pub(super) async fn tiny_messages(field: Field) -> Outcome {
    let one = proto(1, &message("a", "i", vec![b't']).encode_to_vec());
    post(&field, &[("SendMessage", one.repeat(100_000))]).await
}

/// A hundred thousand properties, one large property, properties whose keys are large.
pub(super) async fn property_bomb(field: Field) -> Outcome {
    let with = |properties: Vec<(String, String)>| {
        let mut message = message("a", "properties", vec![b'p']);
        message.user_properties = properties.into_iter().collect();
        send(vec![message])
    };
    let many = (0..100_000).map(|n| (format!("{n:x}"), String::new())).collect();
    let large = vec![("k".to_owned(), "v".repeat(1 << 20))];
    let keys = (0..16).map(|n| (format!("{n}{}", "k".repeat(64 << 10)), "v".to_owned())).collect();
    let posts = [many, large, keys].map(|properties| ("SendMessage", with(properties)));
    post(&field, &posts).await
}

/// Ten thousand keys, and as many that are empty.
pub(super) async fn many_keys(field: Field) -> Outcome {
    let with = |key: &str, count| {
        let mut message = message("a", "keys", vec![b'k']);
        let system = message.system_properties.as_mut().unwrap();
        system.keys = vec![key.to_owned(); count];
        send(vec![message])
    };
    let posts = [("k", 10_000), ("", 10_000), ("", 1_000_000), (&"k".repeat(64 << 10), 16)];
    let posts = posts.map(|(key, count)| ("SendMessage", with(key, count)));
    post(&field, &posts).await
}

/// Fields inside fields, groups inside groups, and numbers that nobody knows.
pub(super) async fn nested_groups(field: Field) -> Outcome {
    const START_GROUP: u8 = 11;
    let groups = vec![START_GROUP; 1 << 18];
    let unknown = proto(100, &nested(100, 1000));
    let deep = [nested(1, 2000), nested(2, 2000), nested(6, 2000), groups, unknown];
    let posts = ALL_CALLS.iter().flat_map(|call| deep.iter().map(|body| (*call, body.clone())));
    post(&field, &posts.collect::<Vec<_>>()).await
}

/// Text that is no text, and bytes that are no request.
pub(super) async fn broken_text(mut field: Field) -> Outcome {
    let bad_utf8 = proto(1, &proto(2, &proto(1, b"\xff\xfe\x80").repeat(100)));
    let mut noise = vec![0; 4096];
    noise.fill_with(|| (field.dice.draw() & 0xff) as u8);
    let endless = vec![0xff; 4096];
    let bodies = [bad_utf8, noise, endless, vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]];
    let posts = ALL_CALLS.iter().flat_map(|call| bodies.iter().map(|body| (*call, body.clone())));
    post(&field, &posts.collect::<Vec<_>>()).await
}

/// A request that says it is compressed, which this server never accepts: nothing is unpacked.
pub(super) async fn compressed_requests(field: Field) -> Outcome {
    let mut wire = Wire::open(attacker(0), field.grpc, Reads::Eagerly).await.map_err(broken)?;
    let mut pace = field.pace();
    let mut acts = 0;
    while pace.next().await {
        let mut block = call_headers("SendMessage", "zip@1@1@1");
        block.extend(literal("grpc-encoding", b"gzip"));
        let stream = wire.next();
        wire.frame(HEADERS, END_HEADERS, stream, &block).await.map_err(broken)?;
        let mut body = vec![1, 0, 0, 8, 0];
        body.extend([0x1f, 0x8b, 8, 0].repeat(512));
        wire.frame(DATA, END_STREAM, stream, &body).await.map_err(broken)?;
        acts += 1;
    }
    Ok(acts)
}

/// Bodies that say they are gzip: stored and shown as they are, whatever they would unpack to.
pub(super) async fn compressed_bodies(field: Field) -> Outcome {
    let mut message = message("zip", "zip", [0x1f, 0x8b, 8, 0].repeat(2560));
    let system = message.system_properties.as_mut().unwrap();
    system.body_encoding = v2::Encoding::Gzip.into();
    let acts = post(&field, &[("SendMessage", send(vec![message]))]).await?;
    let peek = format!("/api/v1/topics/{TOPIC}/lite/zip/messages?limit=10");
    let peeked = get(field.http, &peek).await.map_err(broken)?;
    expect(peeked.contains("\"gzip\":true"), || {
        format!("the body was not kept as it is: {peeked}")
    })?;
    Ok(acts)
}

/// Names of megabytes, of wrong characters, of none, wherever a name can stand.
pub(super) async fn abused_names(field: Field) -> Outcome {
    let mut names: Vec<String> =
        ["", "..", "../../etc/passwd", "a/b", "a\0b", "a$b", "%LMQ%$a$b", "ä", "a\u{202e}b"]
            .map(str::to_owned)
            .to_vec();
    names.push("n".repeat(256));
    names.push("n".repeat(1 << 20));
    let mut posts = Vec::new();
    for name in &names {
        let mut poll = receive_request(name, 0);
        poll.message_queue.as_mut().unwrap().topic = Some(resource(name));
        poll.attempt_id = Some(name.clone());
        let mut letter = message(name, name, vec![b'n']);
        letter.topic = Some(resource(name));
        let mut ack = ack_request(name, vec![name.clone()]);
        ack.topic = Some(resource(name));
        let sync = sync_request(CROWD, PartialAdd, vec![name.clone()]);
        posts.extend([
            ("ReceiveMessage", poll.encode_to_vec()),
            ("SendMessage", send(vec![letter])),
            ("SendMessage", send(vec![message(name, name, vec![b'n'])])),
            ("AckMessage", ack.encode_to_vec()),
            ("SyncLiteSubscription", sync.encode_to_vec()),
            ("QueryRoute", proto(1, &resource(name).encode_to_vec())),
            ("Heartbeat", proto(1, &resource(name).encode_to_vec())),
        ]);
    }
    posts.push(("SendMessage", send(vec![message(&"n".repeat(10 << 20), "i", vec![b'n'])])));
    post(&field, &posts).await
}

/// Acks of handles that nobody gave out, a thousand in a request.
pub(super) async fn bad_handles(mut field: Field) -> Outcome {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut handle =
        |len| -> String { (0..len).map(|_| char::from(*field.dice.one_of(ALPHABET))).collect() };
    let handles = (0..1024).map(|n| handle(n % 200)).collect();
    let large = (0..64).map(|_| handle(16 << 10)).collect();
    let posts =
        [handles, large].map(|handles| ("AckMessage", ack_request(CROWD, handles).encode_to_vec()));
    post(&field, &posts).await
}
