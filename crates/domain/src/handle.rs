//! Receipt handles: everything needed to settle a message, on any node.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::effects::Place;
use crate::error::{Error, ErrorCode, Result};
use crate::group::GroupId;
use crate::persisted::codec::{Reader, Writer};
use crate::time::Timestamp;

const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 8;

/// A receipt handle. As bytes it carries a keyed checksum, so that one cannot be made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handle {
    /// The shard that owns the lite topic.
    pub shard: u16,
    /// The message.
    pub place: Place,
    /// The group it was handed to.
    pub group: GroupId,
    /// Which hand-out.
    pub epoch: u32,
    /// When it becomes visible again unless renewed; for people.
    pub visible_at: Timestamp,
}

impl Handle {
    /// The handle as bytes.
    pub fn encode(&self, key: &[u8; 16]) -> Vec<u8> {
        let mut out = Writer::with_capacity(48);
        out.u8(VERSION)
            .be32(u32::from(self.shard))
            .be32(self.place.slot)
            .be32(self.place.generation)
            .be64(self.place.offset)
            .be32(self.group.0)
            .be32(self.epoch)
            .be64(self.visible_at.0);
        let mut bytes = out.finish();
        bytes.extend_from_slice(&checksum(key, &bytes).to_be_bytes());
        bytes
    }

    /// Reads a handle; anything that this broker did not make is refused.
    pub fn decode(bytes: &[u8], key: &[u8; 16]) -> Result<Self> {
        Self::read(bytes, key).ok_or_else(|| {
            Error::new(
                ErrorCode::ReceiptHandleInvalid,
                "the receipt handle was not made by this broker",
            )
        })
    }

    fn read(bytes: &[u8], key: &[u8; 16]) -> Option<Self> {
        let (content, sum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
        if checksum(key, content).to_be_bytes() != sum {
            return None;
        }
        let mut input = Reader::new(content);
        if input.u8().ok()? != VERSION {
            return None;
        }
        let shard = u16::try_from(input.be32().ok()?).ok()?;
        let place = Place {
            slot: input.be32().ok()?,
            generation: input.be32().ok()?,
            offset: input.be64().ok()?,
        };
        let handle = Self {
            shard,
            place,
            group: GroupId(input.be32().ok()?),
            epoch: input.be32().ok()?,
            visible_at: Timestamp(input.be64().ok()?),
        };
        input.is_empty().then_some(handle)
    }
}

fn checksum(key: &[u8; 16], bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_key(key);
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_round_trips_and_no_changed_byte_passes() {
        let handle = Handle {
            shard: 3,
            place: Place { slot: 9, generation: 2, offset: 77 },
            group: GroupId(4),
            epoch: 11,
            visible_at: Timestamp(1_700_000_000_000),
        };
        let key = [7; 16];
        let bytes = handle.encode(&key);
        assert_eq!(Handle::decode(&bytes, &key), Ok(handle));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let error = Handle::decode(&changed, &key).unwrap_err();
            assert_eq!(error.code, ErrorCode::ReceiptHandleInvalid, "byte {at}");
            assert!(Handle::decode(&bytes[..at], &key).is_err());
        }
        assert!(Handle::decode(&bytes, &[8; 16]).is_err(), "another broker's key");
    }
}
