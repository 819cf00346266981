//! What reaches a shard's actor, and the replies that wait for durability.

use std::sync::Arc;

use litemq_domain::{
    Burial, Claim, ClaimOutcome, ClientId, ClientKey, Consumed, DurationMs, Error, Group, GroupId,
    GroupLag, Handle, Letters, LifetimeChange, LiteLag, LiteTopicName, LiteView, OwnLifetime,
    Place, Resend, Resent, Result, Send, SendOutcome, ShardCounts, StartAt, SyncOutcome, Timestamp,
    Topic, TopicId, UserKey, Violation,
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::broker::trace::{FILTER, RingAsk, RingPiece, WhoKey};

/// Everything a shard's actor can be asked.
#[derive(Debug)]
pub(crate) enum Command {
    /// Store a message.
    Send {
        /// The message.
        send: Send,
        /// Who sends it.
        by: WhoKey,
        /// Its place among the bytes in flight, given back with the answer.
        in_flight: OwnedSemaphorePermit,
        /// Where it is stored.
        reply: Reply<SendOutcome>,
    },
    /// Hand out messages.
    Claim(Claim, WhoKey, Reply<ClaimOutcome>),
    /// Hand out again what a receive was given before its answer was lost, and nothing else.
    ClaimAgain(Claim, WhoKey, Reply<ClaimOutcome>),
    /// Settle a message.
    Ack(Named, Reply<()>),
    /// Settle a message that its client does not want and was not given.
    PassOver(Handle),
    /// Change when a message is visible again.
    ChangeInvisible {
        /// Which.
        named: Named,
        /// How long from now.
        invisible: DurationMs,
        /// For the whole hand-out, without counting an attempt.
        suspend: bool,
        /// The handle to use from now on.
        reply: Reply<Handle>,
    },
    /// Hold a message back to dead-letter it.
    BeginBurial(Named, Reply<Option<Burial>>),
    /// Store a dead letter's copy and settle the message.
    Bury {
        /// Which.
        burial: Burial,
        /// The copy.
        payload: bytes::Bytes,
        /// Whether it still had to be done, when durable.
        reply: Reply<bool>,
    },
    /// The dead letters in a lite topic.
    Letters(TopicId, LiteTopicName, Reply<Option<Letters>>),
    /// Send dead letters again.
    Resend(Resend, WhoKey, Reply<Resent>),
    /// A dead letter's copy could not be made.
    BurialFailed(Burial),
    /// Messages that did not reach the client.
    GiveBack(GroupId, Vec<(Place, u32)>),
    /// Change a client's subscriptions.
    Sync(Sync, Reply<SyncOutcome>),
    /// How many of these names a client does not have.
    CountNew(ClientKey, GroupId, Vec<LiteTopicName>, Reply<u64>),
    /// Take a lite topic, or all, from a client that is told; how many.
    Expel(ClientKey, GroupId, Option<LiteTopicName>, Reply<u64>),
    /// A lite topic by its name, for a group.
    ToConsume(GroupId, LiteTopicName, Reply<Consumed>),
    /// What a group consumes, of some slots from this one on.
    ConsumedBy(GroupId, u32, Reply<Places>),
    /// Move a group to other places of these lite topics; how many positions moved.
    MovePositions(GroupId, Vec<(Consumed, StartAt)>, Reply<u64>),
    /// End what a client holds.
    ReleaseClient {
        /// Who.
        client: ClientKey,
        /// Leave leases whose duration the client chose.
        renewed_only: bool,
    },
    /// A client's connection broke: what it was given just before may not have reached it.
    DoubtClient(ClientKey),
    /// Messages of a lite topic are gone by retention.
    Trimmed {
        /// The slot.
        slot: u32,
        /// Its life.
        generation: u32,
        /// The oldest message that is left.
        first: u64,
    },
    /// A topic was created or changed.
    SetTopic(Arc<Topic>),
    /// A topic was deleted.
    RemoveTopic(TopicId),
    /// A group was created or changed.
    SetGroup(Arc<Group>),
    /// A group was deleted.
    RemoveGroup(GroupId),
    /// Create a lite topic ahead of its first message.
    CreateLite(TopicId, LiteTopicName, OwnLifetime, Reply<LiteView>),
    /// Change how long a lite topic lives, in this order.
    ChangeLifetime(TopicId, LiteTopicName, Vec<LifetimeChange>, Reply<LiteView>),
    /// Remove a lite topic.
    RemoveLite(TopicId, LiteTopicName, WhoKey, Reply<()>),
    /// Describe a lite topic.
    Describe(TopicId, LiteTopicName, Reply<Option<LiteView>>),
    /// The name of the lite topic that a message is in.
    NameOf(Place, Reply<Option<LiteTopicName>>),
    /// List lite topics.
    List {
        /// Of which topic.
        topic: TopicId,
        /// With this prefix.
        prefix: String,
        /// After this name.
        after: Option<String>,
        /// At most so many.
        max: usize,
        /// In the order of their names.
        reply: Reply<Vec<LiteView>>,
    },
    /// Some events of the trace, from this number on.
    Trace(RingAsk, u64, Reply<RingPiece>),
    /// What a group has left.
    Lag(GroupId, Reply<GroupLag>),
    /// Lite topics in which a group has something left, and where the next part starts.
    Lagging(GroupId, LagOrder, Reply<Lagging>),
    /// When these messages were stored, each the oldest that the group has left.
    LearnAges(GroupId, Vec<(Place, Timestamp)>),
    /// How many lite topics a client is subscribed to for a group, and some of them.
    SubscribedTo(ClientKey, GroupId, Reply<SubscribedTo>),
    /// How much is there.
    Counts(Reply<ShardCounts>),
    /// What is wrong with the shard.
    Audit(Reply<Vec<Violation>>),
    /// A piece of the shard's state, from this slot on.
    Snapshot(u32, Reply<SnapshotPiece>),
}

impl Command {
    /// Who wants that, as far as the trace tells.
    pub(super) fn by(&self) -> WhoKey {
        match self {
            Self::Send { by, .. }
            | Self::Claim(_, by, _)
            | Self::ClaimAgain(_, by, _)
            | Self::Resend(_, by, _)
            | Self::RemoveLite(_, _, by, _) => *by,
            Self::Ack(named, _)
            | Self::BeginBurial(named, _)
            | Self::ChangeInvisible { named, .. } => named.by,
            Self::PassOver(_) => FILTER,
            _ => WhoKey::default(),
        }
    }

    /// Bytes of the message in it.
    pub(crate) fn payload_bytes(&self) -> usize {
        match self {
            Self::Send { send, .. } => send.payload.len(),
            Self::Bury { payload, .. } => payload.len(),
            Self::Resend(resend, ..) => {
                resend.letters.iter().map(|(_, payload)| payload.len()).sum()
            }
            _ => 0,
        }
    }

    /// Answers a request with an error. What is left to do all the same comes back: the command
    /// itself if nobody waits for an answer.
    pub(crate) fn refuse(self, error: &Error) -> Option<Self> {
        match self {
            Self::Send { reply, .. } => refuse(reply, error),
            Self::Claim(_, _, reply) | Self::ClaimAgain(_, _, reply) => refuse(reply, error),
            Self::Ack(_, reply) | Self::RemoveLite(_, _, _, reply) => refuse(reply, error),
            Self::CreateLite(_, _, _, reply) | Self::ChangeLifetime(_, _, _, reply) => {
                refuse(reply, error);
            }
            Self::ChangeInvisible { reply, .. } => refuse(reply, error),
            Self::BeginBurial(_, reply) => refuse(reply, error),
            Self::Bury { burial, reply, .. } => {
                refuse(reply, error);
                return Some(Self::BurialFailed(burial));
            }
            Self::Letters(_, _, reply) => refuse(reply, error),
            Self::Resend(_, _, reply) => refuse(reply, error),
            Self::Sync(_, reply) => refuse(reply, error),
            Self::CountNew(_, _, _, reply)
            | Self::Expel(_, _, _, reply)
            | Self::MovePositions(_, _, reply) => {
                refuse(reply, error);
            }
            Self::ToConsume(_, _, reply) => refuse(reply, error),
            Self::ConsumedBy(_, _, reply) => refuse(reply, error),
            Self::Describe(_, _, reply) => refuse(reply, error),
            Self::NameOf(_, reply) => refuse(reply, error),
            Self::List { reply, .. } => refuse(reply, error),
            Self::Trace(_, _, reply) => refuse(reply, error),
            Self::Lag(_, reply) => refuse(reply, error),
            Self::Lagging(_, _, reply) => refuse(reply, error),
            Self::SubscribedTo(_, _, reply) => refuse(reply, error),
            Self::Counts(reply) => refuse(reply, error),
            Self::Audit(reply) => refuse(reply, error),
            Self::Snapshot(_, reply) => refuse(reply, error),
            told @ (Self::BurialFailed(_)
            | Self::GiveBack(..)
            | Self::ReleaseClient { .. }
            | Self::PassOver(_)
            | Self::LearnAges(..)
            | Self::DoubtClient(_)
            | Self::Trimmed { .. }
            | Self::SetTopic(_)
            | Self::RemoveTopic(_)
            | Self::SetGroup(_)
            | Self::RemoveGroup(_)) => return Some(told),
        }
        None
    }
}

/// The asker may have gone away; then nobody needs the answer.
fn refuse<T>(reply: Reply<T>, error: &Error) {
    drop(reply.send(Err(error.clone())));
}

/// A handle, and the lite topic that the client says it is of.
#[derive(Debug)]
pub(crate) struct Named {
    /// The handle.
    pub(crate) handle: Handle,
    /// The name, if the client gave one.
    pub(crate) lite_topic: Option<String>,
    /// Who settles it.
    pub(crate) by: WhoKey,
}

/// A change of a client's subscriptions in one shard.
#[derive(Debug)]
pub(crate) struct Sync {
    /// Who.
    pub(crate) client: ClientId,
    /// Its key.
    pub(crate) key: ClientKey,
    /// Whose it is.
    pub(crate) user: Option<UserKey>,
    /// For which group.
    pub(crate) group: GroupId,
    /// What.
    pub(crate) change: Change,
    /// The names that belong to this shard.
    pub(crate) names: Vec<LiteTopicName>,
    /// Where the group goes on in each; empty is where it is.
    pub(crate) starts: Vec<StartAt>,
}

/// What changes in a client's set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// These are added, in an exclusive group whoever has them.
    Add,
    /// These are added, unless another client of an exclusive group has them.
    AddFree,
    /// These are removed.
    Remove,
    /// It is these, but for what other clients of an exclusive group have.
    Replace,
    /// It is empty.
    Clear,
}

/// Which lite topics of those in which a group has something left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LagOrder {
    /// So many with the oldest messages.
    Oldest(usize),
    /// `max` with the most messages, of a part that starts at slot `first`.
    Most {
        /// The slot.
        first: u32,
        /// At most so many.
        max: usize,
    },
}

/// Lite topics in which a group has something left, and where the next part starts.
pub(crate) type Lagging = (Vec<LiteLag>, Option<u32>);

/// How many lite topics a client is subscribed to, and some of them.
pub(crate) type SubscribedTo = (u64, Vec<LiteTopicName>);

/// What a group consumes of some slots, and where the next part starts.
pub(crate) type Places = (Vec<Consumed>, Option<u32>);

/// Keys and values of some slots.
#[derive(Debug, Default)]
pub(crate) struct SnapshotPiece {
    /// What they hold.
    pub(crate) records: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the next piece starts; `None` at the end.
    pub(crate) next: Option<u32>,
}

/// Where an answer goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T>>;
