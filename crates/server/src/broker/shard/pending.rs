//! Replies that wait until what they were computed from is durable.

use std::collections::VecDeque;

use litemq_domain::{
    Burial, ClaimOutcome, Consumed, Error, Farewell, GroupId, GroupLag, Handle, Letters,
    LiteTopicName, LiteView, Place, Resent, Result, SendOutcome, ShardCounts, SyncOutcome,
    Violation,
};
use litemq_storage::Lsn;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::command::{Lagging, Places, Reply, SnapshotPiece, SubscribedTo};
use crate::broker::trace::RingPiece;

/// An answer that is ready but for its durability.
#[derive(Debug)]
pub(super) enum Answer {
    Send(Reply<SendOutcome>, Result<SendOutcome>, OwnedSemaphorePermit),
    Claim(GroupId, Reply<ClaimOutcome>, Result<ClaimOutcome>),
    Done(Reply<()>, Result<()>),
    Handle(Reply<Handle>, Result<Handle>),
    Burial(Reply<Option<Burial>>, Result<Option<Burial>>),
    Buried(Reply<bool>, Result<bool>),
    Letters(Reply<Option<Letters>>, Option<Letters>),
    Resent(Reply<Resent>, Result<Resent>),
    Sync(Reply<SyncOutcome>, Result<SyncOutcome>),
    Count(Reply<u64>, Result<u64>),
    Place(Reply<Consumed>, Result<Consumed>),
    Places(Reply<Places>, Places),
    Lite(Reply<LiteView>, Result<LiteView>),
    View(Reply<Option<LiteView>>, Option<LiteView>),
    Views(Reply<Vec<LiteView>>, Vec<LiteView>),
    Name(Reply<Option<LiteTopicName>>, Option<LiteTopicName>),
    Lag(Reply<GroupLag>, GroupLag),
    Lagging(Reply<Lagging>, Lagging),
    SubscribedTo(Reply<SubscribedTo>, SubscribedTo),
    Counts(Reply<ShardCounts>, ShardCounts),
    Audit(Reply<Vec<Violation>>, Vec<Violation>),
    Trace(Reply<RingPiece>, RingPiece),
    Snapshot(Reply<SnapshotPiece>, SnapshotPiece),
    /// To be told to a client that waits for nothing.
    Farewell(Farewell),
}

/// What comes of answers that are given.
#[derive(Debug, Default)]
pub(super) struct Released {
    /// Claims whose clients are gone.
    pub(super) orphans: Vec<Orphan>,
    /// To tell.
    pub(super) farewells: Vec<Farewell>,
}

/// A claim whose client is gone: to be given back.
pub(super) type Orphan = (GroupId, Vec<(Place, u32)>);

impl Answer {
    /// Gives the answer. What is left to do comes back.
    fn give(self, released: &mut Released) {
        match self {
            Self::Send(reply, answer, in_flight) => {
                drop(in_flight);
                give(reply, answer);
            }
            Self::Claim(group, reply, answer) => {
                let Err(Ok(unheard)) = reply.send(answer) else { return };
                let messages = unheard.messages.iter().map(|m| (m.place, m.epoch)).collect();
                released.orphans.push((group, messages));
            }
            Self::Done(reply, answer) => give(reply, answer),
            Self::Handle(reply, answer) => give(reply, answer),
            Self::Burial(reply, answer) => give(reply, answer),
            Self::Buried(reply, answer) => give(reply, answer),
            Self::Letters(reply, answer) => give(reply, Ok(answer)),
            Self::Resent(reply, answer) => give(reply, answer),
            Self::Sync(reply, answer) => give(reply, answer),
            Self::Count(reply, answer) => give(reply, answer),
            Self::Place(reply, answer) => give(reply, answer),
            Self::Places(reply, answer) => give(reply, Ok(answer)),
            Self::Lite(reply, answer) => give(reply, answer),
            Self::View(reply, answer) => give(reply, Ok(answer)),
            Self::Views(reply, answer) => give(reply, Ok(answer)),
            Self::Name(reply, answer) => give(reply, Ok(answer)),
            Self::Lag(reply, answer) => give(reply, Ok(answer)),
            Self::Lagging(reply, answer) => give(reply, Ok(answer)),
            Self::SubscribedTo(reply, answer) => give(reply, Ok(answer)),
            Self::Counts(reply, answer) => give(reply, Ok(answer)),
            Self::Audit(reply, answer) => give(reply, Ok(answer)),
            Self::Trace(reply, answer) => give(reply, Ok(answer)),
            Self::Snapshot(reply, answer) => give(reply, Ok(answer)),
            Self::Farewell(farewell) => released.farewells.push(farewell),
        }
    }

    /// Gives an error instead.
    pub(super) fn refuse(self, error: Error) {
        match self {
            Self::Send(reply, ..) => give(reply, Err(error)),
            Self::Claim(_, reply, _) => give(reply, Err(error)),
            Self::Done(reply, _) => give(reply, Err(error)),
            Self::Handle(reply, _) => give(reply, Err(error)),
            Self::Burial(reply, _) => give(reply, Err(error)),
            Self::Buried(reply, _) => give(reply, Err(error)),
            Self::Letters(reply, _) => give(reply, Err(error)),
            Self::Resent(reply, _) => give(reply, Err(error)),
            Self::Sync(reply, _) => give(reply, Err(error)),
            Self::Count(reply, _) => give(reply, Err(error)),
            Self::Place(reply, _) => give(reply, Err(error)),
            Self::Places(reply, _) => give(reply, Err(error)),
            Self::Lite(reply, _) => give(reply, Err(error)),
            Self::View(reply, _) => give(reply, Err(error)),
            Self::Views(reply, _) => give(reply, Err(error)),
            Self::Name(reply, _) => give(reply, Err(error)),
            Self::Lag(reply, _) => give(reply, Err(error)),
            Self::Lagging(reply, _) => give(reply, Err(error)),
            Self::SubscribedTo(reply, _) => give(reply, Err(error)),
            Self::Counts(reply, _) => give(reply, Err(error)),
            Self::Audit(reply, _) => give(reply, Err(error)),
            Self::Trace(reply, _) => give(reply, Err(error)),
            Self::Snapshot(reply, _) => give(reply, Err(error)),
            // It never became durable, so it never happened.
            Self::Farewell(_) => {}
        }
    }
}

/// Answers in the order of what they wait for.
#[derive(Debug, Default)]
pub(super) struct PendingAnswers(VecDeque<(Lsn, Answer)>);

impl PendingAnswers {
    pub(super) fn push(&mut self, after: Lsn, answer: Answer) {
        self.0.push_back((after, answer));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Gives every answer whose batch is durable; what is left to do comes back.
    pub(super) fn release(&mut self, durable: Lsn) -> Released {
        let mut released = Released::default();
        while self.0.front().is_some_and(|(after, _)| *after <= durable) {
            if let Some((_, answer)) = self.0.pop_front() {
                answer.give(&mut released);
            }
        }
        released
    }

    /// Refuses everything: it will never be durable.
    pub(super) fn refuse_all(&mut self, error: &Error) {
        for (_, answer) in self.0.drain(..) {
            answer.refuse(error.clone());
        }
    }
}

/// The asker may have gone away; then nobody needs the answer.
fn give<T>(reply: oneshot::Sender<Result<T>>, answer: Result<T>) {
    drop(reply.send(answer));
}
