//! A slot: a lite topic, a name, or a free place that remembers its generation.

use super::codec::{Malformed, Reader, Writer};
use super::{VERSION, check_version};
use crate::lifetime::OwnLifetime;
use crate::limits::OFFSET_MAX;
use crate::lite::{Slot, SlotState};
use crate::names::LiteTopicName;
use crate::time::{DurationMs, Second, Timestamp};
use crate::topic::TopicId;

/// A state, with what is behind the name: when it was read, and what it has of its own.
const MORE: u8 = 4;
// What a lite topic has of its own.
const TTL: u8 = 1;
const KEEP_UNTIL: u8 = 2;

pub(crate) fn encode(slot: &Slot, name: &[u8], own: &OwnLifetime) -> Vec<u8> {
    let mut out = Writer::with_capacity(48 + name.len());
    let has_more = slot.last_read_at != Second::NONE || *own != OwnLifetime::default();
    let state = match slot.state {
        SlotState::Free => 0,
        SlotState::Named => 1,
        SlotState::Live if has_more => 2 | MORE,
        SlotState::Live => 2,
    };
    out.u8(VERSION).u8(state).var(u64::from(slot.generation));
    if slot.state != SlotState::Free {
        out.var(u64::from(slot.topic.0))
            .var(slot.first_offset)
            .var(slot.next_offset)
            .var(slot.created_at.start().0)
            .var(slot.last_send_at.0)
            .text(name);
    }
    if state & MORE != 0 {
        out.var(u64::from(slot.last_read_at.0));
        write_own(&mut out, own);
    }
    out.finish()
}

/// A slot, its name, and what it has of its own.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Slot, &[u8], OwnLifetime), Malformed> {
    let mut input = Reader::new(bytes);
    check_version(&mut input, VERSION)?;
    let more_and_state = input.u8()?;
    let state = match more_and_state {
        0 => SlotState::Free,
        1 => SlotState::Named,
        2 | 6 => SlotState::Live,
        _ => return Err(Malformed("an unknown state of a lite topic")),
    };
    let generation = input.var32()?;
    let mut slot = Slot { state, generation, ..Slot::default() };
    if state == SlotState::Free {
        return Ok((slot, &[], OwnLifetime::default()));
    }
    slot.topic = TopicId(input.var32()?);
    slot.first_offset = input.var()?;
    slot.next_offset = input.var()?;
    slot.created_at = Second::of(Timestamp(input.var()?));
    slot.last_send_at = Timestamp(input.var()?);
    let is_counted = state == SlotState::Live || slot.next_offset == 0;
    if !is_counted || slot.first_offset > slot.next_offset || slot.next_offset > OFFSET_MAX {
        return Err(Malformed("offsets of a lite topic that cannot be"));
    }
    let name = input.str()?;
    LiteTopicName::check(name).map_err(|_| Malformed("a lite topic name that is none"))?;
    let mut own = OwnLifetime::default();
    if more_and_state & MORE != 0 {
        slot.last_read_at = Second(input.var32()?);
        own = read_own(&mut input)?;
    }
    Ok((slot, name.as_bytes(), own))
}

fn write_own(out: &mut Writer, own: &OwnLifetime) {
    let ttl = if own.ttl.is_some() { TTL } else { 0 };
    let keep_until = if own.keep_until > Timestamp(0) { KEEP_UNTIL } else { 0 };
    out.u8(ttl | keep_until);
    if let Some(ttl) = own.ttl {
        out.var(ttl.map_or(0, |ttl| ttl.0));
    }
    if own.keep_until > Timestamp(0) {
        out.var(own.keep_until.0);
    }
}

fn read_own(input: &mut Reader<'_>) -> Result<OwnLifetime, Malformed> {
    let given = input.u8()?;
    if given & !(TTL | KEEP_UNTIL) != 0 {
        return Err(Malformed("an unknown property of a lite topic"));
    }
    let mut own = OwnLifetime::default();
    if given & TTL != 0 {
        own.ttl = Some(Some(input.var()?).filter(|ttl| *ttl > 0).map(DurationMs));
    }
    if given & KEEP_UNTIL != 0 {
        own.keep_until = Timestamp(input.var()?);
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifetime::PINNED;

    #[test]
    fn a_lite_topic_round_trips_with_its_name() {
        let slot = Slot {
            state: SlotState::Live,
            generation: 3,
            topic: TopicId(5),
            first_offset: 10,
            next_offset: 1 << 40,
            created_at: Second(1_700_000_000),
            last_send_at: Timestamp(1_700_000_000_001),
            ..Slot::default()
        };
        let none = OwnLifetime::default();
        let ttl = |ttl| OwnLifetime { ttl: Some(ttl), ..none };
        let kept = |keep_until| OwnLifetime { keep_until, ..none };
        for own in [
            none,
            ttl(None),
            ttl(Some(DurationMs::from_secs(60))),
            kept(Timestamp(7)),
            OwnLifetime { keep_until: PINNED, ..ttl(Some(DurationMs::from_hours(720))) },
        ] {
            for last_read_at in [Second::NONE, Second(1_700_000_005)] {
                let slot = Slot { last_read_at, ..slot.clone() };
                let bytes = encode(&slot, b"order-1", &own);
                let (back, name, own_back) = decode(&bytes).unwrap();
                assert_eq!((name, own_back), (&b"order-1"[..], own));
                assert_eq!(format!("{back:?}"), format!("{slot:?}"));
                for cut in 0..bytes.len() {
                    assert!(decode(&bytes[..cut]).is_err(), "cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn an_unknown_property_of_a_lite_topic_is_malformed() {
        let slot = Slot { state: SlotState::Live, ..Slot::default() };
        let own = OwnLifetime { ttl: Some(None), ..OwnLifetime::default() };
        let mut bytes = encode(&slot, b"a", &own);
        let given = bytes.len() - 2;
        assert_eq!(bytes[given], TTL);
        bytes[given] = 4;
        assert!(decode(&bytes).is_err());
    }

    #[test]
    fn names_and_offsets_that_cannot_be_are_malformed() {
        let slot = |first_offset, next_offset| Slot {
            state: SlotState::Live,
            first_offset,
            next_offset,
            ..Slot::default()
        };
        let encode = |slot: Slot, name: &[u8]| encode(&slot, name, &OwnLifetime::default());
        assert!(decode(&encode(slot(3, 3), b"a")).is_ok());
        for bytes in [
            encode(slot(4, 3), b"a"),
            encode(slot(0, u64::MAX), b"a"),
            encode(slot(0, 1), b"a/b"),
            encode(slot(0, 1), b""),
            encode(slot(0, 1), &[0xff]),
        ] {
            assert!(decode(&bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_free_slot_keeps_its_generation() {
        let slot = Slot { generation: 9, ..Slot::default() };
        let (back, ..) = decode(&encode(&slot, b"", &OwnLifetime::default())).unwrap();
        assert_eq!((back.state, back.generation), (SlotState::Free, 9));
    }
}
