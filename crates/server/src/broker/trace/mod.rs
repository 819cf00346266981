//! Message trace: what happened to a message, from a bounded memory of what happened last.
//!
//! Each shard's actor keeps a ring of events and is the only one to write it. An event is written in
//! the turn of the change it tells of, before that is durable; the answer to who asks waits, as every
//! answer, until all that its shard had changed by then is. So nothing is told that a crash undoes.

mod find;
mod ring;
mod who;

pub use find::{Trace, TraceEvent, TracedMessage, Wanted};
pub(super) use ring::{RingAsk, RingPiece, ShardTrace};
pub(super) use who::{FILTER, WhoTable};
pub use who::{Who, WhoKey};

use litemq_domain::ClientId;

use super::Broker;
use crate::access::Caller;

/// What a broker's trace may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct TraceBudget {
    /// Bytes of the ring of each shard; 0 is off.
    pub(super) ring_bytes: usize,
    /// Bytes of the table of who did what.
    pub(super) who_bytes: usize,
}

impl TraceBudget {
    /// Of so many bytes for all: one part in eight is for names.
    pub(super) fn of(bytes: usize, shards: u16) -> Self {
        let who_bytes = bytes / 8;
        Self { ring_bytes: (bytes - who_bytes) / usize::from(shards.max(1)), who_bytes }
    }
}

impl Broker {
    /// Notes who does what comes next; nobody while the trace is off.
    pub fn who(&self, caller: &Caller, client: Option<&ClientId>) -> WhoKey {
        self.context.who.note(&self.keys, caller, client)
    }
}
