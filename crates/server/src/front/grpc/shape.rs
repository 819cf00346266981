//! How large a request is once decoded, told from its bytes. A field of two bytes can become hundreds,
//! so that a request of a few megabytes could otherwise take gigabytes.

use bytes::Buf;
use prost::encoding::{WireType, decode_key, decode_varint};

/// Fields of one request. The largest legal send has about 160,000: 1024 messages, each with 128
/// properties.
pub(super) const FIELDS_MAX: usize = 1 << 18;

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
}

impl Shape {
    /// The bytes that the request takes when decoded, besides those on the wire; `None` when it has
    /// more than [`FIELDS_MAX`] fields. What cannot be decoded is not counted: it will be refused.
    pub(super) fn decoded_bytes(self, request: &[u8]) -> Option<usize> {
        let of_fields = |fields: usize, bytes| (fields <= FIELDS_MAX).then_some(fields * bytes);
        match self {
            Self::Small => Some(request.len() * BYTES_PER_BYTE),
            Self::Messages => decoded_messages(request),
            Self::Entries => of_fields(fields(request).count(), ENTRY_BYTES),
            Self::Names if fields(request).count() <= litemq_domain::limits::SYNC_NAMES_MAX => {
                Some(fields(request).count() * NAME_BYTES)
            }
            Self::Names => None,
        }
    }
}

fn decoded_messages(request: &[u8]) -> Option<usize> {
    const SYSTEM_PROPERTIES: u32 = 3;
    let (mut messages, mut inside) = (0, 0);
    for (_, message) in fields(request) {
        messages += 1;
        for (number, content) in fields(message) {
            inside += 1;
            if number == SYSTEM_PROPERTIES {
                inside += fields(content).count();
            }
        }
        if messages + inside > FIELDS_MAX {
            return None;
        }
    }
    Some(messages * MESSAGE_BYTES + inside * FIELD_BYTES)
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

    #[test]
    fn empty_messages_cost_what_they_become() {
        let empties = [0x0a, 0].repeat(1000);
        assert_eq!(Shape::Messages.decoded_bytes(&empties), Some(1000 * MESSAGE_BYTES));
        assert!(size_of::<v2::Message>() < MESSAGE_BYTES);
        assert!(size_of::<v2::AckMessageEntry>() * 4 < ENTRY_BYTES);
        let many = [0x0a, 0].repeat(FIELDS_MAX + 1);
        for shape in [Shape::Messages, Shape::Entries] {
            assert_eq!(shape.decoded_bytes(&many), None, "{shape:?}");
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
        assert_eq!(Shape::Messages.decoded_bytes(&request), Some(expected));
    }

    #[test]
    fn the_largest_legal_send_fits() {
        let legal = litemq_domain::limits::SEND_MESSAGES_MAX
            * (1 + 4 + litemq_domain::limits::USER_PROPERTIES_MAX + 22);
        assert!(legal < FIELDS_MAX, "{legal}");
    }

    #[test]
    fn what_cannot_be_read_ends_the_count() {
        for broken in [&[0xff; 20][..], &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], &[0x0a, 5, 1]] {
            assert_eq!(Shape::Messages.decoded_bytes(broken), Some(0));
        }
    }
}
