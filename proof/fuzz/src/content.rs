//! One message with any content, of any size: it is accepted exactly when it keeps to the published
//! limits, and then comes back as it was sent.

use bytes::Bytes;
use futures_util::StreamExt as _;
use litemq_protocol::v2;
use litemq_protocol::v2::messaging_service_server::MessagingService;
use v2::receive_message_response::Content;
use v2::{Encoding, LiteSubscriptionAction, MessageType, SystemProperties};

use crate::Target;
use crate::broker::{GROUPS, TOPIC, World, check_status, empty, request, resource, run};

/// This target.
pub const TARGET: Target = Target { name: "content", heap_mib_max: 256, check };

const BODY_BYTES_MAX: usize = 4 << 20;
const USER_PROPERTIES_MAX: usize = 128;
const PROPERTIES_BYTES_MAX: usize = 16 << 10;
const MESSAGE_ID_BYTES_MAX: usize = 255;
const LITE_TOPIC_BYTES_MAX: usize = 64;
const BORN_HOST_BYTES_MAX: usize = 255;
const TRACE_CONTEXT_BYTES_MAX: usize = 4 << 10;

/// What a piece of an input says of the message. All but [`Field::Property`] and [`Field::Key`]
/// replace what was said before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The lite topic.
    LiteTopic,
    /// The message id.
    MessageId,
    /// The body.
    Body,
    /// A body of so many bytes, one repeat each, more or less than the most that is allowed.
    LargeBody,
    /// The tag.
    Tag,
    /// One more key.
    Key,
    /// One more property: the key up to a `=`, and the value.
    Property,
    /// So many more properties, one repeat each.
    Properties,
    /// The host it is from.
    BornHost,
    /// The trace context.
    TraceContext,
    /// A body that says that it is compressed.
    Gzip,
    /// Another type of message, by the number of repeats.
    MessageType,
}

const FIELDS: [Field; 12] = [
    Field::LiteTopic,
    Field::MessageId,
    Field::Body,
    Field::LargeBody,
    Field::Tag,
    Field::Key,
    Field::Property,
    Field::Properties,
    Field::BornHost,
    Field::TraceContext,
    Field::Gzip,
    Field::MessageType,
];

/// A field, a text of up to 255 bytes, and how often it is repeated.
pub type Piece<'a> = (Field, &'a str, u8);

/// The bytes of an input.
pub fn encode(pieces: &[Piece<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (field, text, times) in pieces {
        bytes.extend([*field as u8, *times, text.len() as u8]);
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

fn check(bytes: &[u8]) {
    let message = message(bytes);
    let expected = is_legal(&message);
    run(async {
        let world = empty().await;
        let messages = vec![message.clone()];
        let asked = request(v2::SendMessageRequest { messages }, "producer", "JAVA");
        let answer = world.door.send_message(asked).await.unwrap().into_inner();
        let code = check_status(answer.status.as_ref());
        if let Some(legal) = expected {
            assert_eq!(code == v2::Code::Ok, legal, "{code:?}: {:?}", answer.status);
        }
        let stored = world.broker.topic(TOPIC).map(|topic| world.broker.lite_count(&topic));
        assert_eq!(stored.unwrap(), u64::from(code == v2::Code::Ok), "a refusal stores nothing");
        if code == v2::Code::Ok {
            check_stored(&world, &message, answer.entries[0].offset).await;
            check_delivered(&world, &message).await;
        }
    });
}

/// A small legal message, changed as the input says.
fn message(mut input: &[u8]) -> v2::Message {
    let mut message = v2::Message {
        topic: resource(TOPIC),
        body: Bytes::from_static(b"body"),
        ..v2::Message::default()
    };
    let mut system = SystemProperties {
        message_id: "id".to_owned(),
        message_type: MessageType::Lite.into(),
        body_encoding: Encoding::Identity.into(),
        lite_topic: Some("a".to_owned()),
        ..SystemProperties::default()
    };
    while let [field, times, length, rest @ ..] = input {
        let (text, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        input = rest;
        let text = String::from_utf8_lossy(text);
        apply(FIELDS[usize::from(*field) % FIELDS.len()], &text, *times, &mut message, &mut system);
    }
    v2::Message { system_properties: Some(system), ..message }
}

fn apply(
    field: Field,
    text: &str,
    times: u8,
    message: &mut v2::Message,
    system: &mut SystemProperties,
) {
    let long = text.repeat(usize::from(times));
    let properties = &mut message.user_properties;
    match field {
        Field::LiteTopic => system.lite_topic = Some(long),
        Field::MessageId => system.message_id = long,
        Field::Body => message.body = long.into(),
        Field::LargeBody => {
            message.body = vec![7; BODY_BYTES_MAX - 128 + usize::from(times)].into();
        }
        Field::Tag => system.tag = Some(long),
        Field::Key => system.keys.push(long),
        Field::Property => {
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            properties.insert(key.to_owned(), value.repeat(usize::from(times)));
        }
        Field::Properties => {
            properties.extend((0..times).map(|number| (format!("p{number}"), String::new())));
        }
        Field::BornHost => system.born_host = long,
        Field::TraceContext => system.trace_context = Some(long),
        Field::Gzip => system.body_encoding = Encoding::Gzip.into(),
        Field::MessageType => system.message_type = i32::from(times % 8),
    }
}

/// The published rules, said once more; `None` where only the list of reserved keys decides.
fn is_legal(message: &v2::Message) -> Option<bool> {
    let system = message.system_properties.as_ref()?;
    let properties = &message.user_properties;
    let bytes = properties.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>()
        + system.keys.iter().map(String::len).sum::<usize>()
        + system.tag.as_ref().map_or(0, String::len);
    let is_plain = |text: &str| !text.chars().any(char::is_control);
    let is_visible = |text: &str| is_plain(text) && !text.trim().is_empty();
    let lite_topic = system.lite_topic();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_legal = (1..=BODY_BYTES_MAX).contains(&message.body.len())
        && properties.len() <= USER_PROPERTIES_MAX
        && bytes <= PROPERTIES_BYTES_MAX
        && properties.iter().all(|(key, value)| is_plain(key) && is_plain(value))
        && system.tag.iter().all(|tag| tag.is_empty() || is_visible(tag) && !tag.contains('|'))
        && system.keys.iter().all(|key| key.is_empty() || is_visible(key))
        && is_visible(&system.message_id)
        && system.message_id.len() <= MESSAGE_ID_BYTES_MAX
        && system.trace_context().len() <= TRACE_CONTEXT_BYTES_MAX
        && (1..=LITE_TOPIC_BYTES_MAX).contains(&lite_topic.len())
        && lite_topic.bytes().all(is_name);
    let may_be_reserved = |key: &String| {
        key.starts_with("__")
            || key.bytes().all(|b| b.is_ascii_uppercase() || !b.is_ascii_lowercase())
    };
    let is_sure = system.message_type == i32::from(MessageType::Lite)
        && !properties.keys().any(|key| !key.is_empty() && may_be_reserved(key));
    (is_sure || !is_legal).then_some(is_legal)
}

/// An accepted message keeps to the limits and is stored as it was sent.
pub(crate) async fn check_stored(
    world: &World<impl MessagingService>,
    message: &v2::Message,
    offset: i64,
) {
    assert_ne!(is_legal(message), Some(false), "accepted against the rules");
    let system = message.system_properties.as_ref().expect("accepted with properties");
    let from = u64::try_from(offset).expect("an offset");
    let topic = message.topic.as_ref().expect("accepted with a topic");
    let peeked = world.broker.peek(&topic.name, system.lite_topic(), Some(from), 1).await.unwrap();
    let stored = &peeked[0].message;
    assert_eq!(stored.message_id, system.message_id);
    assert_eq!(stored.tag.as_deref().unwrap_or_default(), system.tag());
    assert_eq!(stored.keys, system.keys);
    assert_eq!(stored.user_properties, message.user_properties);
    assert_eq!(stored.body, message.body);
    assert_eq!(stored.body_encoding, system.body_encoding);
    assert_eq!(stored.trace_context, system.trace_context);
    assert!(stored.born_host.len() <= BORN_HOST_BYTES_MAX);
    assert!(stored.born_host.is_empty() || stored.born_host == system.born_host);
}

/// A consumer gets the message as it was sent.
async fn check_delivered(world: &World<impl MessagingService>, sent: &v2::Message) {
    let sent_system = sent.system_properties.clone().expect("accepted with properties");
    let names = vec![sent_system.lite_topic().to_owned()];
    let sync = v2::SyncLiteSubscriptionRequest {
        action: LiteSubscriptionAction::PartialAdd.into(),
        topic: resource(TOPIC),
        group: resource(GROUPS[0]),
        lite_topic_set: names,
        ..v2::SyncLiteSubscriptionRequest::default()
    };
    let synced = world.door.sync_lite_subscription(request(sync, "consumer", "GO")).await.unwrap();
    assert_eq!(check_status(synced.get_ref().status.as_ref()), v2::Code::Ok);
    let receive = v2::ReceiveMessageRequest {
        group: resource(GROUPS[0]),
        message_queue: Some(v2::MessageQueue { topic: resource(TOPIC), ..Default::default() }),
        batch_size: 1,
        auto_renew: true,
        ..v2::ReceiveMessageRequest::default()
    };
    let answer = world.door.receive_message(request(receive, "consumer", "GO")).await.unwrap();
    let parts: Vec<_> = answer.into_inner().collect().await;
    let message = parts.into_iter().find_map(|part| match part.unwrap().content {
        Some(Content::Message(message)) => Some(message),
        _ => None,
    });
    let message = message.expect("the message is delivered");
    let system = message.system_properties.expect("with properties");
    assert_eq!(message.body, sent.body);
    assert_eq!(message.user_properties, sent.user_properties);
    assert_eq!(system.tag(), sent_system.tag());
    assert_eq!(system.keys, sent_system.keys);
    assert_eq!(system.message_id, sent_system.message_id);
    assert_eq!(system.body_encoding, sent_system.body_encoding.max(Encoding::Identity.into()));
    assert_eq!(system.lite_topic, sent_system.lite_topic);
    assert_eq!(system.trace_context, sent_system.trace_context);
    assert_eq!(system.delivery_attempt(), 1);
    assert!(!system.receipt_handle().is_empty());
}
