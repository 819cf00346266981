//! Messages on their way to a client.

use std::collections::VecDeque;

use litemq_domain::{GroupId, Place};

use super::message::Delivery;
use super::shard::ShardHandle;
use super::shard::command::Command;

/// A message that was claimed, with what gives it back.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) delivery: Delivery,
    pub(super) claim: (Place, u32),
}

/// Messages of one receive. What was not taken out when this is dropped goes back at once,
/// without counting as an attempt.
#[derive(Debug)]
pub struct Deliveries {
    group: GroupId,
    /// The shard they are from; `None` when there are none.
    shard: Option<ShardHandle>,
    messages: VecDeque<Outgoing>,
}

impl Deliveries {
    /// No messages.
    pub(super) fn none(group: GroupId) -> Self {
        Self { group, shard: None, messages: VecDeque::new() }
    }

    /// None yet, of this shard.
    pub(super) fn of(group: GroupId, shard: ShardHandle) -> Self {
        Self { group, shard: Some(shard), messages: VecDeque::new() }
    }

    pub(super) fn push(&mut self, message: Outgoing) {
        self.messages.push_back(message);
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Takes the next message out.
    pub fn take_next(&mut self) -> Option<Delivery> {
        self.messages.pop_front().map(|outgoing| outgoing.delivery)
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        let left: Vec<(Place, u32)> = self.messages.drain(..).map(|left| left.claim).collect();
        if let Some(shard) = self.shard.take()
            && !left.is_empty()
        {
            shard.tell_soon(Command::GiveBack(self.group, left));
        }
    }
}
