//! What a change asks of the world around the shard.

use bytes::Bytes;

use crate::client::ClientKey;
use crate::group::GroupId;
use crate::names::LiteTopicName;
use crate::persisted::Key;
use crate::time::{DurationMs, Timestamp};
use crate::topic::TopicId;
use crate::trace::{Happened, What};

/// Something to make durable. All records of one command belong into one atomic batch, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A message of a lite topic.
    Append {
        /// The slot.
        slot: u32,
        /// Its life.
        generation: u32,
        /// The message's offset.
        offset: u64,
        /// When it was accepted.
        at: Timestamp,
        /// Keyed hash of the client's message id, or 0.
        tag: u64,
        /// The message, opaque here.
        payload: Bytes,
    },
    /// A life of a slot ends.
    Drop {
        /// The slot.
        slot: u32,
        /// The life that ended.
        generation: u32,
    },
    /// A record has a new value.
    Put {
        /// Which.
        key: Key,
        /// Its value.
        value: Vec<u8>,
    },
    /// A record is gone.
    Delete {
        /// Which.
        key: Key,
    },
}

/// Something is ready where nothing was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wake {
    /// For whom; `None` is any one client of the group.
    pub client: Option<ClientKey>,
    /// The group.
    pub group: GroupId,
}

/// A message to copy to its group's dead letters: read it, then call `Shard::bury`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Burial {
    /// Where it is.
    pub place: Place,
    /// For which group.
    pub group: GroupId,
    /// How often it was handed out.
    pub attempts: u16,
}

/// One message of one life of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// The slot.
    pub slot: u32,
    /// Its life.
    pub generation: u32,
    /// The message's offset.
    pub offset: u64,
}

/// A client of a group should be told that it does not have a lite topic, without having given it
/// up. That is a courtesy: it gets nothing of it in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Farewell {
    /// The client.
    pub client: ClientKey,
    /// The group.
    pub group: GroupId,
    /// The parent topic.
    pub topic: TopicId,
    /// The lite topic.
    pub lite_topic: LiteTopicName,
    /// Whether its subscription ended now; if not, it had none and asked for one.
    pub ended: bool,
}

/// Something worth counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A first message, or somebody ahead of it, made a lite topic.
    LiteTopicCreated(TopicId),
    /// Somebody removed a lite topic, or its topic.
    LiteTopicRemoved(TopicId),
    /// A lite topic came to the end of its life.
    LiteTopicExpired(TopicId),
    /// A message was acked.
    Processed {
        /// By a client of this group.
        group: GroupId,
        /// So long after it was last handed out.
        took: DurationMs,
    },
}

/// Effects of one or more commands, in order.
#[derive(Debug, Default)]
pub struct Effects {
    /// To make durable before any reply.
    pub records: Vec<Record>,
    /// To wake.
    pub wakes: Vec<Wake>,
    /// To dead-letter.
    pub burials: Vec<Burial>,
    /// To tell clients once the records are durable.
    pub farewells: Vec<Farewell>,
    /// To count.
    pub events: Vec<Event>,
    /// What happened to messages; nothing unless [`Self::is_traced`].
    pub happened: Vec<Happened>,
    /// Whether somebody keeps what happened to messages.
    pub is_traced: bool,
}

impl Effects {
    /// Tells what happened to a message.
    pub(crate) fn note(&mut self, place: Place, what: What) {
        if self.is_traced {
            self.happened.push(Happened { place, what });
        }
    }
}
