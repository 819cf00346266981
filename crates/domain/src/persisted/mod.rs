//! What is kept of a shard and of the catalog: each kind of record with its key and its value.
//!
//! | kind | key | value | life |
//! |---|---|---|---|
//! | 1 channel | slot | state, generation, offsets, times, topic, name, own lifetime | as long as the slot: a free slot keeps its generation |
//! | 2 cursor | slot, group | generation, position, epoch, last read, in-flight run | until its lite topic or group is gone |
//! | 3 subscription | slot, group, client key | client id | until unsubscribed or the client is gone |
//! | 4 resends | place in the window | identities of sends, newest first, with their offsets | of a checkpoint only |
//! | 6 resent letters | slot | generation, offsets of dead letters that were sent again | until the lite topic is gone |
//! | 16 topic | topic id | name, type, time, options | until deleted |
//! | 17 group | group id | name, topics, rules, time | until deleted |
//! | 18 counters | 0 | next topic and group number | for ever |
//! | 19 identity | 0 | hash key, number of shards | for ever |
//! | 20 time | 0 | the time when it was noted last | for ever |
//! | 21 quotas | 0 | lite topics and subscriptions that there may be | for ever |
//! | 32 user | user id | name, secret, kind, time | until deleted |
//! | 33 policy | policy id | user, effect, actions, resource, network, time | until deleted, or its user is |
//! | 34 access counters | 0 | next user and policy number | for ever |
//!
//! Each value starts with the version of its layout.

pub(crate) mod access;
pub(crate) mod catalog;
pub(crate) mod channel;
pub(crate) mod codec;
pub(crate) mod cursor;
pub(crate) mod group;
pub(crate) mod resends;
pub(crate) mod resent;
pub(crate) mod subscription;

pub use access::{
    access_counters_key, access_counters_value, policy_key, policy_value, user_key, user_value,
};
pub use catalog::{
    CatalogRecord, Counters, Identity, counters_key, counters_value, group_key, identity_key,
    identity_value, quotas_key, quotas_value, time_key, time_value, topic_key, topic_value,
};
pub use codec::Malformed;
pub use group::group_value;

use codec::{Reader, Writer};

use crate::client::ClientKey;
use crate::group::GroupId;

/// Version of the value layouts, where a layout does not say its own.
const VERSION: u8 = 1;

const CHANNEL: u8 = 1;
const CURSOR: u8 = 2;
const SUBSCRIPTION: u8 = 3;
const RESENDS: u8 = 4;
const RESENT_LETTERS: u8 = 6;

/// The key of a shard's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A slot.
    Channel {
        /// Its number.
        slot: u32,
    },
    /// A group's position in a slot.
    Cursor {
        /// The slot.
        slot: u32,
        /// The group.
        group: GroupId,
    },
    /// A client's subscription to a slot.
    Subscription {
        /// The slot.
        slot: u32,
        /// The group.
        group: GroupId,
        /// The client.
        client: ClientKey,
    },
    /// A part of the window of sends that are recognised when repeated.
    Resends {
        /// Sends in the window that were newer, when it was taken.
        newer: u32,
    },
    /// Dead letters of a slot that were sent again.
    ResentLetters {
        /// The slot.
        slot: u32,
    },
}

impl Key {
    /// The key as bytes; at most 17.
    pub fn encode(self) -> Vec<u8> {
        let mut out = Writer::with_capacity(17);
        match self {
            Self::Channel { slot } => out.u8(CHANNEL).be32(slot),
            Self::Cursor { slot, group } => out.u8(CURSOR).be32(slot).be32(group.0),
            Self::Subscription { slot, group, client } => {
                out.u8(SUBSCRIPTION).be32(slot).be32(group.0).be64(client.0)
            }
            Self::Resends { newer } => out.u8(RESENDS).be32(newer),
            Self::ResentLetters { slot } => out.u8(RESENT_LETTERS).be32(slot),
        };
        out.finish()
    }

    /// Reads a key back.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut input = Reader::new(bytes);
        let key = match input.u8()? {
            CHANNEL => Self::Channel { slot: input.be32()? },
            CURSOR => Self::Cursor { slot: input.be32()?, group: GroupId(input.be32()?) },
            SUBSCRIPTION => Self::Subscription {
                slot: input.be32()?,
                group: GroupId(input.be32()?),
                client: ClientKey(input.be64()?),
            },
            RESENDS => Self::Resends { newer: input.be32()? },
            RESENT_LETTERS => Self::ResentLetters { slot: input.be32()? },
            _ => return Err(Malformed("a key of an unknown kind")),
        };
        if input.is_empty() { Ok(key) } else { Err(Malformed("a key is too long")) }
    }
}

fn check_version(input: &mut Reader<'_>, known: u8) -> Result<(), Malformed> {
    if input.u8()? == known {
        return Ok(());
    }
    Err(Malformed("its layout has a version that this LiteMQ does not know"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip() {
        let (slot, group) = (7, GroupId(9));
        for key in [
            Key::Channel { slot },
            Key::Cursor { slot, group },
            Key::Subscription { slot, group, client: ClientKey(u64::MAX) },
            Key::Resends { newer: 4096 },
            Key::ResentLetters { slot },
        ] {
            assert_eq!(Key::decode(&key.encode()), Ok(key));
        }
        assert!(Key::decode(&[]).is_err());
        assert!(Key::decode(&[9, 0, 0, 0, 0]).is_err());
        assert!(Key::decode(&[1, 0, 0, 0, 0, 0]).is_err());
    }
}
