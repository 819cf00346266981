//! How large a request is once decoded, told from its bytes. A field of two bytes can become hundreds,
//! so that a request of a few megabytes could otherwise take gigabytes.

use bytes::Buf;
use litemq_domain::limits;
use prost::encoding::{WireType, decode_key, decode_varint};

use super::limits::SMALL_REQUEST_BYTES_MAX;

/// Fields of one message of a send: beyond them there are more keys than their bytes allow.
const MESSAGE_FIELDS_MAX: usize = limits::PROPERTIES_BYTES_MAX + 256;
/// Fields of all messages of a send. The most that is legal is about 160,000: 1024 messages, each with
/// 128 properties.
const REQUEST_FIELDS_MAX: usize = 1 << 18;

/// What a field becomes at most, besides its own bytes: a string, a map entry, a small message.
const FIELD_BYTES: usize = 128;
/// A message of a send, decoded, with what its checks and its answer need.
const MESSAGE_BYTES: usize = 1024;
/// An entry of an ack with its answer.
const ENTRY_BYTES: usize = 512;
/// A name of a subscription, which is copied a few times on its way to a shard.
const NAME_BYTES: usize = 256;
/// What a byte of any other request becomes at most: of two bytes, a repeated small message.
const BYTES_PER_BYTE: usize = 32;

/// What is in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A small request.
    Small,
    /// SendMessage: messages with properties and system properties.
    Messages,
    /// AckMessage: entries.
    Entries,
    /// SyncLiteSubscription: names.
    Names,
    /// Telemetry: a small message, or a long text.
    Told,
}

impl Shape {
    /// The bytes that the request takes when decoded, besides those on the wire; more than `most`
    /// when it is known to be more. `None` when it has more fields than anybody sends, for to
    /// decode them takes long, too; or when it is longer than it should be. What cannot be read is not counted, for it will be refused.
    pub(super) fn decoded_bytes(self, request: &[u8], most: usize) -> Option<usize> {
        let of_fields = |bytes: usize| fields(request).take(most / bytes + 1).count() * bytes;
        match self {
            Self::Small => Some(request.len() * BYTES_PER_BYTE),
            Self::Messages => decoded_messages(request, most),
            Self::Entries => Some(of_fields(ENTRY_BYTES)),
            Self::Names => Some(of_fields(NAME_BYTES)),
            Self::Told => decoded_told(request),
        }
    }
}

/// A stack trace is one text; whatever else a client tells is small.
fn decoded_told(command: &[u8]) -> Option<usize> {
    const THREAD_STACK_TRACE: u32 = 3;
    let texts = fields(command).filter(|(number, _)| *number == THREAD_STACK_TRACE);
    let text: usize = texts.map(|(_, content)| content.len()).sum();
    let other = command.len() - text;
    (other <= SMALL_REQUEST_BYTES_MAX).then_some(text + other * BYTES_PER_BYTE)
}

fn decoded_messages(request: &[u8], most: usize) -> Option<usize> {
    let (mut bytes, mut inside) = (0, 0);
    for (_, message) in fields(request) {
        let of_message = fields_of_message(message);
        inside += of_message;
        bytes += MESSAGE_BYTES + of_message * FIELD_BYTES;
        if of_message > MESSAGE_FIELDS_MAX || inside > REQUEST_FIELDS_MAX {
            return None;
        }
        if bytes > most {
            break;
        }
    }
    Some(bytes)
}

/// Its fields and those of its system properties, as far as they may be.
fn fields_of_message(message: &[u8]) -> usize {
    const SYSTEM_PROPERTIES: u32 = 3;
    let within = |(number, content)| match number {
        SYSTEM_PROPERTIES => 1 + fields(content).take(MESSAGE_FIELDS_MAX).count(),
        _ => 1,
    };
    fields(message).take(MESSAGE_FIELDS_MAX + 1).map(within).sum()
}

/// The fields of a message, each with its bytes if it has a length. Ends where it cannot be read.
fn fields(mut message: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    std::iter::from_fn(move || {
        if !message.has_remaining() {
            return None;
        }
        let (number, wire_type) = decode_key(&mut message).ok()?;
        let len = match wire_type {
            WireType::Varint => {
                decode_varint(&mut message).ok()?;
                0
            }
            WireType::SixtyFourBit => 8,
            WireType::ThirtyTwoBit => 4,
            WireType::LengthDelimited => usize::try_from(decode_varint(&mut message).ok()?).ok()?,
            // Their content follows as fields.
            WireType::StartGroup | WireType::EndGroup => 0,
        };
        let (content, rest) = message.split_at_checked(len)?;
        message = rest;
        Some((number, content))
    })
}

#[cfg(test)]
mod tests {
    use litemq_protocol::v2;
    use prost::Message as _;

    use super::*;

    /// Half of what requests may take by default.
    const MOST: usize = 128 << 20;

    #[test]
    fn empty_messages_cost_what_they_become() {
        let empties = [0x0a, 0].repeat(1000);
        assert_eq!(Shape::Messages.decoded_bytes(&empties, MOST), Some(1000 * MESSAGE_BYTES));
        assert!(size_of::<v2::Message>() < MESSAGE_BYTES);
        assert!(size_of::<v2::AckMessageEntry>() * 4 < ENTRY_BYTES);
    }

    #[test]
    fn the_count_ends_where_it_is_too_much() {
        let many = [0x0a, 0].repeat(1 << 20);
        for shape in [Shape::Messages, Shape::Entries, Shape::Names] {
            let counted = shape.decoded_bytes(&many, 10_000).unwrap();
            assert!(counted > 10_000 && counted < 20_000, "{shape:?}: {counted}");
        }
    }

    #[test]
    fn properties_and_keys_are_counted_and_bodies_are_not_looked_into() {
        let message = v2::Message {
            user_properties: [("a".to_owned(), "b".to_owned()), ("c".to_owned(), String::new())]
                .into(),
            system_properties: Some(v2::SystemProperties {
                keys: vec![String::new(); 10],
                ..v2::SystemProperties::default()
            }),
            body: [0x0a, 0].repeat(5000).into(),
            ..v2::Message::default()
        };
        let request = v2::SendMessageRequest { messages: vec![message] }.encode_to_vec();
        let inside = 2 + 1 + 10 + 1;
        let expected = MESSAGE_BYTES + inside * FIELD_BYTES;
        assert_eq!(Shape::Messages.decoded_bytes(&request, MOST), Some(expected));
    }

    #[test]
    fn the_largest_number_of_messages_with_every_property_fits_into_a_usual_share() {
        let fields = 4 + limits::USER_PROPERTIES_MAX + 22;
        let legal = limits::SEND_MESSAGES_MAX * (MESSAGE_BYTES + fields * FIELD_BYTES);
        assert!(legal < MOST, "{legal}");
        assert!(limits::SEND_MESSAGES_MAX * fields < REQUEST_FIELDS_MAX);
    }

    #[test]
    fn a_message_of_more_fields_than_anybody_sends_is_refused() {
        let with = |keys| v2::SendMessageRequest {
            messages: vec![v2::Message {
                system_properties: Some(v2::SystemProperties {
                    keys: vec![String::new(); keys],
                    ..v2::SystemProperties::default()
                }),
                ..v2::Message::default()
            }],
        };
        let many = with(MESSAGE_FIELDS_MAX).encode_to_vec();
        assert_eq!(Shape::Messages.decoded_bytes(&many, MOST), None);
        let most = with(limits::PROPERTIES_BYTES_MAX).encode_to_vec();
        assert!(Shape::Messages.decoded_bytes(&most, MOST).is_some());
    }

    #[test]
    fn what_cannot_be_read_ends_the_count() {
        for broken in [&[0xff; 20][..], &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], &[0x0a, 5, 1]] {
            assert!(Shape::Messages.decoded_bytes(broken, MOST).unwrap() <= MESSAGE_BYTES);
        }
    }

    #[test]
    fn a_long_stack_trace_costs_its_text_and_settings_may_not_be_as_long() {
        let command = |command| v2::TelemetryCommand { command: Some(command), status: None };
        let text = "x".repeat(SMALL_REQUEST_BYTES_MAX * 4);
        let trace =
            v2::ThreadStackTrace { nonce: "1".to_owned(), thread_stack_trace: Some(text.clone()) };
        let trace = command(v2::telemetry_command::Command::ThreadStackTrace(trace));
        let bytes = Shape::Told.decoded_bytes(&trace.encode_to_vec(), MOST).unwrap();
        assert!((text.len()..text.len() + 1024).contains(&bytes), "{bytes}");
        let properties = [("key".to_owned(), text)].into();
        let settings = v2::Settings { client_properties: properties, ..v2::Settings::default() };
        let settings = command(v2::telemetry_command::Command::Settings(settings));
        assert_eq!(Shape::Told.decoded_bytes(&settings.encode_to_vec(), MOST), None);
    }
}
