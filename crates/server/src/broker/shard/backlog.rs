//! What the store does not take at the moment.

use std::collections::VecDeque;

use litemq_domain::Error;
use litemq_storage::Batch;

use super::command::Command;
use super::pending::Answer;

/// Batches on their way to the store, with the answers that wait for them. When the store is too
/// full even for these, they stay here; until it takes them nothing else is changed, because the
/// shard is ahead of its log.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    pub(super) batches: VecDeque<Batch>,
    pub(super) answers: Vec<Answer>,
    /// Why the store did not take the first of them.
    refusal: Option<Error>,
    /// Commands that nobody waits for, to be applied afterwards.
    deferred: Vec<Command>,
}

impl Backlog {
    /// Why requests are refused; `None` while nothing is held up.
    pub(super) fn refusal(&self) -> Option<&Error> {
        self.refusal.as_ref()
    }

    /// The store did not take the first batch.
    pub(super) fn hold(&mut self, refusal: Error) {
        self.refusal = Some(refusal);
    }

    /// The store has taken everything; whether something was held up.
    pub(super) fn end(&mut self) -> bool {
        self.refusal.take().is_some()
    }

    pub(super) fn defer(&mut self, command: Command) {
        self.deferred.push(command);
    }

    pub(super) fn deferred(&self) -> usize {
        self.deferred.len()
    }

    pub(super) fn take_deferred(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.deferred)
    }
}
