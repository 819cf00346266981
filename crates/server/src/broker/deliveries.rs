//! Messages on their way to a client.

use std::collections::{BTreeMap, VecDeque};

use litemq_domain::{GroupId, Place};

use super::message::Delivery;
use super::pool::Taken;
use super::shard::ShardHandle;
use super::shard::command::Command;

/// A message that was claimed, with what gives it back.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) delivery: Delivery,
    pub(super) shard: ShardHandle,
    pub(super) claim: (Place, u32),
    /// Its part of the bytes of all answers.
    pub(super) _bytes: Taken,
}

/// Messages of one receive. What was not taken out when this is dropped goes back at once,
/// without counting as an attempt.
#[derive(Debug)]
pub struct Deliveries {
    group: GroupId,
    messages: VecDeque<Outgoing>,
}

impl Deliveries {
    /// No messages yet.
    pub(super) fn none(group: GroupId) -> Self {
        Self { group, messages: VecDeque::new() }
    }

    pub(super) fn push(&mut self, message: Outgoing) {
        self.messages.push_back(message);
    }

    /// How many are left.
    pub fn len(&self) -> usize {
        self.messages.len()
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
        let mut left: BTreeMap<u16, (ShardHandle, Vec<(Place, u32)>)> = BTreeMap::new();
        for Outgoing { shard, claim, .. } in self.messages.drain(..) {
            left.entry(shard.number()).or_insert_with(|| (shard, Vec::new())).1.push(claim);
        }
        for (shard, claims) in left.into_values() {
            shard.tell_soon(Command::GiveBack(self.group, claims));
        }
    }
}
