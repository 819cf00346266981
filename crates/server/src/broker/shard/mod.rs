//! Shards: one actor each, reached through a handle.

mod actor;
mod apply;
mod backlog;
mod batches;
mod burial;
pub(crate) mod command;
mod pending;

use std::sync::Arc;

use litemq_domain::{Burial, Error, ErrorCode, Result, Shard};
use tokio::sync::{mpsc, oneshot};

pub(crate) use actor::ActorContext;
use command::{Command, Reply};

use super::limits::SHARD_QUEUE_COMMANDS;
use super::message::DeadLetterReason;

/// How to reach a shard.
#[derive(Debug, Clone)]
pub(crate) struct ShardHandle {
    number: u16,
    commands: mpsc::Sender<Command>,
}

impl ShardHandle {
    /// Starts a shard's actor. It ends when the last handle is dropped.
    pub(crate) fn start(shard: Shard, context: Arc<ActorContext>) -> Self {
        let number = shard.number();
        let (commands, queue) = mpsc::channel(SHARD_QUEUE_COMMANDS);
        let actor = actor::ShardActor::new(shard, context, queue, commands.downgrade());
        tokio::spawn(actor.run());
        Self { number, commands }
    }

    /// The shard's number.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// Asks, and waits for the durable answer.
    pub(crate) async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await?;
        answer.await.map_err(|_| stopped())?
    }

    /// Tells, and waits only for a place in the queue.
    pub(crate) async fn tell(&self, command: Command) -> Result<()> {
        self.commands.send(command).await.map_err(|_| stopped())
    }

    /// Dead-letters a message that its client gave up and the shard holds back for it.
    pub(crate) async fn bury(
        &self,
        burial: Burial,
        number: u16,
        context: &ActorContext,
    ) -> Result<()> {
        let reason = DeadLetterReason::GivenUpByClient;
        burial::bury(burial, reason, number, context, &self.commands).await
    }

    /// Tells from where nothing can wait: in the background if the queue is full. A shard that has
    /// stopped needs no telling.
    pub(crate) fn tell_soon(&self, command: Command) {
        if let Err(mpsc::error::TrySendError::Full(command)) = self.commands.try_send(command) {
            let commands = self.commands.clone();
            tokio::spawn(async move {
                if commands.send(command).await.is_err() {
                    tracing::debug!("a shard stopped before a late command");
                }
            });
        }
    }
}

fn stopped() -> Error {
    Error::new(ErrorCode::ShuttingDown, "the broker is stopping; try again on the next one")
}
