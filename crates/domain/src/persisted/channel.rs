//! A slot: a lite topic, a name, or a free place that remembers its generation.

use super::codec::{Malformed, Reader, Writer};
use super::{VERSION, check_version};
use crate::limits::OFFSET_MAX;
use crate::lite::{Slot, SlotState};
use crate::names::LiteTopicName;
use crate::time::Timestamp;
use crate::topic::TopicId;

pub(crate) fn encode(slot: &Slot, name: &[u8]) -> Vec<u8> {
    let mut out = Writer::with_capacity(48 + name.len());
    let state = match slot.state {
        SlotState::Free => 0,
        SlotState::Named => 1,
        SlotState::Live => 2,
    };
    out.u8(VERSION).u8(state).var(u64::from(slot.generation));
    if slot.state != SlotState::Free {
        out.var(u64::from(slot.topic.0))
            .var(slot.first_offset)
            .var(slot.next_offset)
            .var(slot.created_at.0)
            .var(slot.last_send_at.0)
            .text(name);
    }
    out.finish()
}

pub(crate) fn decode(bytes: &[u8]) -> Result<(Slot, &[u8]), Malformed> {
    let mut input = Reader::new(bytes);
    check_version(&mut input, VERSION)?;
    let state = match input.u8()? {
        0 => SlotState::Free,
        1 => SlotState::Named,
        2 => SlotState::Live,
        _ => return Err(Malformed("an unknown state of a lite topic")),
    };
    let generation = input.var32()?;
    let mut slot = Slot { state, generation, ..Slot::default() };
    if state == SlotState::Free {
        return Ok((slot, &[]));
    }
    slot.topic = TopicId(input.var32()?);
    slot.first_offset = input.var()?;
    slot.next_offset = input.var()?;
    slot.created_at = Timestamp(input.var()?);
    slot.last_send_at = Timestamp(input.var()?);
    let is_counted = state == SlotState::Live || slot.next_offset == 0;
    if !is_counted || slot.first_offset > slot.next_offset || slot.next_offset > OFFSET_MAX {
        return Err(Malformed("offsets of a lite topic that cannot be"));
    }
    let name = input.str()?;
    LiteTopicName::check(name).map_err(|_| Malformed("a lite topic name that is none"))?;
    Ok((slot, name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lite_topic_round_trips_with_its_name() {
        let slot = Slot {
            state: SlotState::Live,
            generation: 3,
            topic: TopicId(5),
            first_offset: 10,
            next_offset: 1 << 40,
            created_at: Timestamp(1_700_000_000_000),
            last_send_at: Timestamp(1_700_000_000_001),
            ..Slot::default()
        };
        let bytes = encode(&slot, b"order-1");
        let (back, name) = decode(&bytes).unwrap();
        assert_eq!(name, b"order-1");
        assert_eq!(format!("{back:?}"), format!("{slot:?}"));
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn names_and_offsets_that_cannot_be_are_malformed() {
        let slot = |first_offset, next_offset| Slot {
            state: SlotState::Live,
            first_offset,
            next_offset,
            ..Slot::default()
        };
        assert!(decode(&encode(&slot(3, 3), b"a")).is_ok());
        for bytes in [
            encode(&slot(4, 3), b"a"),
            encode(&slot(0, u64::MAX), b"a"),
            encode(&slot(0, 1), b"a/b"),
            encode(&slot(0, 1), b""),
            encode(&slot(0, 1), &[0xff]),
        ] {
            assert!(decode(&bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_free_slot_keeps_its_generation() {
        let slot = Slot { generation: 9, ..Slot::default() };
        let (back, _) = decode(&encode(&slot, b"")).unwrap();
        assert_eq!((back.state, back.generation), (SlotState::Free, 9));
    }
}
