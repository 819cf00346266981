//! Copies a message to the dead letters: reads it, marks where it came from, hands it back to its
//! shard.

use std::sync::Arc;

use litemq_domain::{Burial, Error, ErrorCode, GroupId, Result};
use litemq_storage::{ChannelRef, ReadLimit, ShardId};
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};

use super::actor::ActorContext;
use super::command::Command;
use super::stopped;
use crate::broker::durability::error_of;
use crate::broker::message::{DeadLetterOrigin, DeadLetterReason, StoredMessage};

/// Dead-letters messages in the background, one after the other. One that fails is tried again
/// after a while.
pub(super) fn start(
    burials: Vec<Burial>,
    shard: u16,
    context: &Arc<ActorContext>,
    shard_commands: mpsc::WeakSender<Command>,
) {
    let context = Arc::clone(context);
    tokio::spawn(async move {
        let Some(commands) = shard_commands.upgrade() else { return };
        for burial in burials {
            let reason = DeadLetterReason::AttemptsUsedUp;
            if let Err(error) = bury(burial, reason, shard, &context, &commands).await {
                tracing::warn!(%error, "a dead letter was not stored; it will be tried again");
            }
        }
    });
}

/// Copies the message and hands the copy to its shard.
pub(super) async fn bury(
    burial: Burial,
    reason: DeadLetterReason,
    shard: u16,
    context: &ActorContext,
    commands: &mpsc::Sender<Command>,
) -> Result<()> {
    let place = burial.place;
    match copy_of(&burial, reason, shard, context).await {
        Ok(Copy::Message(message)) => {
            let (reply, buried) = oneshot::channel();
            let payload = message.encode_to_vec().into();
            tell(commands, Command::Bury { burial, payload, reply }).await?;
            if buried.await.map_err(|_| stopped())?? {
                context.catalog.dead_lettered(burial.group, message.body.len() as u64);
            }
            Ok(())
        }
        Ok(Copy::Gone { first }) => {
            let (slot, generation) = (place.slot, place.generation);
            tell(commands, Command::Trimmed { slot, generation, first }).await
        }
        Err(error) => {
            tell(commands, Command::BurialFailed(burial)).await?;
            Err(error)
        }
    }
}

async fn tell(commands: &mpsc::Sender<Command>, command: Command) -> Result<()> {
    commands.send(command).await.map_err(|_| stopped())
}

enum Copy {
    /// The message with its origin.
    Message(Box<StoredMessage>),
    /// Retention was faster; the oldest message left.
    Gone { first: u64 },
}

/// The message with its origin, as it is stored with the dead letters.
async fn copy_of(
    burial: &Burial,
    reason: DeadLetterReason,
    shard: u16,
    context: &ActorContext,
) -> Result<Copy> {
    let place = burial.place;
    let channel =
        ChannelRef { shard: ShardId(shard), slot: place.slot, generation: place.generation };
    let limit = ReadLimit { records_max: 1, bytes_max: 0 };
    let page =
        context.store.read(channel, place.offset, limit).await.map_err(|error| error_of(&error))?;
    let found = page.records.into_iter().next().filter(|record| record.offset == place.offset);
    let Some(record) = found else {
        // A message that is not durable yet cannot be read either: that is no reason to lose it.
        return match page.first_retained.filter(|first| *first > place.offset) {
            Some(first) => Ok(Copy::Gone { first }),
            None => Err(Error::new(ErrorCode::Overloaded, "the message cannot be read yet")),
        };
    };
    let mut message = StoredMessage::decode(record.payload)
        .map_err(|error| Error::new(ErrorCode::StorageDamaged, error.to_string()))?;
    message.dead_letter = Some(DeadLetterOrigin {
        topic: origin(burial.group, context),
        message_id: message.message_id.clone(),
        offset: place.offset,
        attempts: u32::from(burial.attempts),
        stored_at_ms: record.at_ms,
        reason: reason.into(),
        before: message.dead_letter.take().map(Box::new),
    });
    Ok(Copy::Message(Box::new(message)))
}

/// The topic a group consumes.
fn origin(group: GroupId, context: &ActorContext) -> String {
    let group = context.catalog.group_by_id(group);
    let topic = group.and_then(|group| context.catalog.topic_by_id(group.topic));
    topic.map(|topic| topic.name.to_string()).unwrap_or_default()
}
