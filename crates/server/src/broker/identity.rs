//! Keyed hashes of a data folder: where a lite topic lives, who a client is, which message is a
//! repeat.

use std::hash::Hasher;
use std::net::IpAddr;
use std::num::NonZeroU64;

use litemq_domain::{ClientId, ClientKey, LiteTopicName, UserKey, UserName};
use siphasher::sip::SipHasher13;
use siphasher::sip128::{Hasher128, SipHasher13 as SipHasher13Of128};

/// The key drawn at the first start, and what is hashed with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys {
    hash_key: [u8; 16],
    shards: u16,
}

/// What a hash is for, so that equal texts of different kinds do not share one.
#[derive(Clone, Copy)]
enum Kind {
    Client = 1,
    LiteTopic = 2,
    Message = 3,
    Attempt = 4,
    Who = 5,
    User = 6,
    Member = 7,
}

impl Keys {
    /// Hashes with this key, over so many shards.
    pub(super) fn new(hash_key: [u8; 16], shards: u16) -> Self {
        Self { hash_key, shards: shards.max(1) }
    }

    /// The key itself, for receipt handles and name tables.
    pub(super) fn hash_key(&self) -> &[u8; 16] {
        &self.hash_key
    }

    /// A client's key.
    pub(super) fn client(&self, client: &ClientId) -> ClientKey {
        ClientKey(self.hash(Kind::Client, client.as_str()))
    }

    /// A user's key.
    pub(super) fn user(&self, user: &UserName) -> UserKey {
        UserKey(NonZeroU64::MIN.saturating_add(self.hash(Kind::User, user.as_str()) >> 1))
    }

    /// The shard of a lite topic. By its name alone, so that a message and its dead letter, which
    /// have parents of their own, are in one shard and move in one batch.
    pub(super) fn shard(&self, lite_topic: &LiteTopicName) -> usize {
        let hash = self.hash(Kind::LiteTopic, lite_topic.as_str());
        (hash % u64::from(self.shards)) as usize
    }

    /// A lite topic as one of a set.
    pub(super) fn member(&self, lite_topic: &LiteTopicName) -> u128 {
        let mut hasher = SipHasher13Of128::new_with_key(&self.hash_key);
        hasher.write_u8(Kind::Member as u8);
        hasher.write(lite_topic.as_str().as_bytes());
        hasher.finish128().as_u128()
    }

    /// A message id's tag; 0 for an empty one.
    pub(super) fn message(&self, message_id: &str) -> u64 {
        self.hash_given(Kind::Message, message_id)
    }

    /// A receive's attempt id; 0 for an empty one.
    pub(super) fn attempt(&self, attempt_id: &str) -> u64 {
        self.hash_given(Kind::Attempt, attempt_id)
    }

    /// Who calls, for the trace.
    pub(super) fn who(&self, client: &str, user: &str, address: IpAddr) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.hash_key);
        hasher.write_u8(Kind::Who as u8);
        match address {
            IpAddr::V4(address) => hasher.write(&address.octets()),
            IpAddr::V6(address) => hasher.write(&address.octets()),
        }
        // Neither name has a control character in it.
        hasher.write(client.as_bytes());
        hasher.write_u8(0);
        hasher.write(user.as_bytes());
        hasher.finish()
    }

    fn hash_given(&self, kind: Kind, text: &str) -> u64 {
        if text.is_empty() { 0 } else { self.hash(kind, text).max(1) }
    }

    fn hash(&self, kind: Kind, text: &str) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.hash_key);
        hasher.write_u8(kind as u8);
        hasher.write(text.as_bytes());
        hasher.finish()
    }
}
