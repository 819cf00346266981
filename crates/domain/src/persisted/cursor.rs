//! A group's position and what is in flight.
//!
//! Entries of one hand-out usually agree in everything but their state, so an entry says only what
//! differs from the one before.

use super::check_version;
use super::codec::{Malformed, Reader, Writer};
use crate::client::ClientKey;
use crate::delivery::cursor::Cursor;
use crate::delivery::run::{Entry, EntryState, Run};
use crate::limits::{OFFSET_MAX, UNORDERED_RUN_MAX};
use crate::time::{Second, Timestamp};

/// Version of the layout; 1 had no attempt id, 2 not the time of the last read.
const VERSION: u8 = 3;
const ACKED: u8 = 1;
const KEEP_ATTEMPT: u8 = 2;
/// Attempt, epoch, client, times and receive are those of the entry before.
const AS_BEFORE: u8 = 4;
const CONFIRMED: u8 = 8;

/// `last_read_at` is the lite topic's: it changes with positions, and rides with them.
pub(crate) fn encode(cursor: &Cursor, run: Option<&Run>, last_read_at: Second) -> Vec<u8> {
    let entries = run.map_or(0, |run| run.entries.len());
    let mut out = Writer::with_capacity(64 + entries);
    out.u8(VERSION)
        .var(u64::from(cursor.generation))
        .var(cursor.committed)
        .var(u64::from(cursor.epoch))
        .var(u64::from(last_read_at.0))
        .var(entries as u64);
    let mut before: Option<&Entry> = None;
    for entry in run.into_iter().flat_map(|run| &run.entries) {
        let mut flags = 0;
        if entry.state == EntryState::Acked {
            flags |= ACKED;
        }
        if entry.keep_attempt {
            flags |= KEEP_ATTEMPT;
        }
        if entry.is_confirmed {
            flags |= CONFIRMED;
        }
        if before.is_some_and(|before| same_lease(before, entry)) {
            out.u8(flags | AS_BEFORE);
        } else {
            out.u8(flags)
                .var(u64::from(entry.attempt))
                .var(u64::from(entry.epoch))
                .be64(entry.client.0)
                .var(entry.visible_at.0)
                .var(entry.renew_until.0)
                .be64(entry.attempt_id);
        }
        before = Some(entry);
    }
    out.finish()
}

/// The position, entries, and when something of the lite topic was last read; slot, group and chain are the caller's. A message that was being
/// dead-lettered comes back as leased: when the lease has run out it is handed out again, or
/// dead-lettered again if its attempts are used up.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Cursor, Option<Run>, Second), Malformed> {
    let mut input = Reader::new(bytes);
    check_version(&mut input, VERSION)?;
    let mut cursor = Cursor { generation: input.var32()?, ..Cursor::default() };
    cursor.committed = input.var()?;
    if cursor.committed > OFFSET_MAX {
        return Err(Malformed("a position that cannot be"));
    }
    cursor.epoch = input.var32()?;
    let last_read_at = Second(input.var32()?);
    let count = input.var()?;
    if count > UNORDERED_RUN_MAX as u64 {
        return Err(Malformed("a run is too long"));
    }
    let mut run = Run::default();
    for _ in 0..count {
        let flags = input.u8()?;
        let mut entry = if flags & AS_BEFORE != 0 {
            *run.entries.back().ok_or(Malformed("the first entry has none before"))?
        } else {
            read_lease(&mut input)?
        };
        entry.state = if flags & ACKED != 0 { EntryState::Acked } else { EntryState::Leased };
        entry.keep_attempt = flags & KEEP_ATTEMPT != 0;
        entry.is_confirmed = flags & CONFIRMED != 0;
        run.entries.push_back(entry);
    }
    Ok((cursor, (!run.entries.is_empty()).then_some(run), last_read_at))
}

fn read_lease(input: &mut Reader<'_>) -> Result<Entry, Malformed> {
    let attempt = u16::try_from(input.var()?).map_err(|_| Malformed("an attempt is too large"))?;
    if attempt == 0 {
        return Err(Malformed("a message that was handed out has no attempt"));
    }
    Ok(Entry {
        state: EntryState::Leased,
        keep_attempt: false,
        attempt,
        epoch: input.var32()?,
        client: ClientKey(input.be64()?),
        visible_at: Timestamp(input.var()?),
        renew_until: Timestamp(input.var()?),
        is_confirmed: false,
        given_at: 0,
        attempt_id: input.be64()?,
    })
}

fn same_lease(a: &Entry, b: &Entry) -> bool {
    (a.attempt, a.epoch, a.client, a.visible_at, a.renew_until, a.attempt_id)
        == (b.attempt, b.epoch, b.client, b.visible_at, b.renew_until, b.attempt_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(state: EntryState, attempt: u16) -> Entry {
        Entry {
            state,
            keep_attempt: attempt == 2,
            attempt,
            epoch: 7,
            client: ClientKey(u64::MAX - 1),
            visible_at: Timestamp(1_700_000_000_000),
            renew_until: Timestamp(0),
            is_confirmed: attempt == 2,
            given_at: 0,
            attempt_id: u64::MAX,
        }
    }

    #[test]
    fn a_cursor_with_a_broken_run_round_trips() {
        let cursor = Cursor { generation: 2, committed: 500, epoch: 7, ..Cursor::default() };
        let run = Run {
            entries: [
                entry(EntryState::Leased, 1),
                entry(EntryState::Acked, 1),
                entry(EntryState::Leased, 2),
            ]
            .into(),
            ..Run::default()
        };
        let bytes = encode(&cursor, Some(&run), Second(1_700_000_000));
        let (back, back_run, last_read_at) = decode(&bytes).unwrap();
        assert_eq!((back.generation, back.committed, back.epoch), (2, 500, 7));
        assert_eq!(last_read_at, Second(1_700_000_000));
        assert_eq!(back_run.unwrap().entries, run.entries);
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn positions_and_attempts_that_cannot_be_are_malformed() {
        let beyond = Cursor { committed: u64::MAX, ..Cursor::default() };
        assert!(decode(&encode(&beyond, None, Second::NONE)).is_err());
        let never = Run { entries: [entry(EntryState::Leased, 0)].into(), ..Run::default() };
        assert!(decode(&encode(&Cursor::default(), Some(&never), Second::NONE)).is_err());
    }

    #[test]
    fn a_batch_of_one_lease_costs_a_byte_a_message() {
        let cursor = Cursor::default();
        let run = |count| Run {
            entries: (0..count).map(|_| entry(EntryState::Leased, 1)).collect(),
            ..Run::default()
        };
        let one = encode(&cursor, Some(&run(1)), Second::NONE).len();
        let batch = encode(&cursor, Some(&run(32)), Second::NONE).len();
        assert_eq!(batch - one, 31);
    }
}
