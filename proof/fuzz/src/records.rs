//! What a store may hold, from bytes: a mutation of real records stays close to real ones.

use bytes::Bytes;
use litemq_domain::{LiteTopicRoom, Result, Topic};

/// Records of one input.
const RECORDS_MAX: usize = 200;

/// Room for any number of lite topics.
#[derive(Debug)]
pub struct Unlimited;

impl LiteTopicRoom for Unlimited {
    fn take(&self, _: &Topic) -> Result<()> {
        Ok(())
    }
}

/// Who owns a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The catalog.
    Catalog,
    /// A shard.
    Shard(u16),
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A key has a value.
    Put(Owner, Bytes, Bytes),
    /// A key is gone.
    Delete(Owner, Bytes),
    /// A slot has another message.
    Append(Owner, u32, u32, Bytes),
}

/// Reads records: `kind and owner 1`, then a key and a value, a key, or slot, generation and
/// payload; each with its length before it. Ends where they make no sense.
pub fn parse(mut input: &[u8]) -> Vec<Entry> {
    std::iter::from_fn(|| entry(&mut input)).take(RECORDS_MAX).collect()
}

/// The bytes that [`parse`] reads these records from; what is longer than 255 bytes is left out.
pub fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        let (kind, owner, parts): (u8, Owner, Vec<&[u8]>) = match entry {
            Entry::Put(owner, key, value) => (0, *owner, vec![key, value]),
            Entry::Delete(owner, key) => (1, *owner, vec![key]),
            Entry::Append(owner, _, _, payload) => (2, *owner, vec![payload]),
        };
        if parts.iter().any(|part| part.len() > 255) {
            continue;
        }
        out.push(kind | owner_code(owner) << 4);
        if let Entry::Append(_, slot, generation, _) = entry {
            out.extend([*slot as u8, *generation as u8]);
        }
        for part in parts {
            out.push(part.len() as u8);
            out.extend_from_slice(part);
        }
    }
    out
}

fn entry(input: &mut &[u8]) -> Option<Entry> {
    let kind = byte(input)?;
    let owner = match kind >> 4 {
        0 => Owner::Catalog,
        15 => Owner::Shard(u16::MAX - 1),
        number => Owner::Shard(u16::from(number) - 1),
    };
    match kind & 15 {
        0 => Some(Entry::Put(owner, text(input)?, text(input)?)),
        1 => Some(Entry::Delete(owner, text(input)?)),
        _ => {
            let (slot, generation) = (byte(input)?, byte(input)?);
            Some(Entry::Append(owner, slot.into(), generation.into(), text(input)?))
        }
    }
}

fn owner_code(owner: Owner) -> u8 {
    match owner {
        Owner::Catalog => 0,
        Owner::Shard(number) => u8::try_from(number + 1).map_or(15, |code| code.min(15)),
    }
}

fn byte(input: &mut &[u8]) -> Option<u8> {
    input.split_off_first().copied()
}

fn text(input: &mut &[u8]) -> Option<Bytes> {
    let length = usize::from(byte(input)?);
    input.split_off(..length).map(Bytes::copy_from_slice)
}
