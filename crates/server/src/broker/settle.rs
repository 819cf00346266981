//! Settling messages by their receipt handles.

use std::sync::Arc;

use litemq_domain::limits::{INVISIBLE_MAX, SUSPEND_MAX};
use litemq_domain::{DurationMs, Error, ErrorCode, Group, Result};

use super::Broker;
use super::handle::{of_receipt, to_text};
use super::request::Receipt;
use super::shard::command::{Command, Named};

impl Broker {
    /// Settles a message. Again is fine.
    ///
    /// # Errors
    /// [`ErrorCode::ReceiptHandleInvalid`] when the handle is of no use any more.
    pub async fn ack(&self, group: &Arc<Group>, receipt: Receipt<'_>) -> Result<()> {
        let named = self.named(group, receipt)?;
        let shard = self.shard(named.handle.shard)?;
        shard.ask(|reply| Command::Ack(named, reply)).await?;
        self.count_ack(group);
        Ok(())
    }

    /// Changes when a message becomes visible again; the answer is the handle to use from now on. With
    /// `suspend` all that is handed out with it waits as long, [`SUSPEND_MAX`] at most, and no attempt
    /// counts.
    ///
    /// # Errors
    /// [`ErrorCode::ReceiptHandleInvalid`], or [`ErrorCode::InvisibleDurationIllegal`] when it is
    /// longer than [`INVISIBLE_MAX`] without `suspend`.
    pub async fn change_invisible(
        &self,
        group: &Arc<Group>,
        receipt: Receipt<'_>,
        invisible: DurationMs,
        suspend: bool,
    ) -> Result<String> {
        let invisible = if suspend { invisible.min(SUSPEND_MAX) } else { invisible };
        if !suspend && invisible > INVISIBLE_MAX {
            return Err(Error::new(
                ErrorCode::InvisibleDurationIllegal,
                format!(
                    "the invisible duration is {invisible}; at most {INVISIBLE_MAX} is allowed"
                ),
            ));
        }
        let named = self.named(group, receipt)?;
        let shard = self.shard(named.handle.shard)?;
        let handle = shard
            .ask(|reply| Command::ChangeInvisible { named, invisible, suspend, reply })
            .await?;
        Ok(to_text(&handle, &self.keys))
    }

    /// Moves a message to the group's dead letters; fine when it is settled already.
    ///
    /// # Errors
    /// [`ErrorCode::ReceiptHandleInvalid`] when the message was handed out again.
    pub async fn dead_letter(&self, group: &Arc<Group>, receipt: Receipt<'_>) -> Result<()> {
        let named = self.named(group, receipt)?;
        // The shard holds the message back until the end, whether or not the client waits for it.
        self.to_the_end(|broker| async move { broker.bury(named).await }).await
    }

    async fn bury(&self, named: Named) -> Result<()> {
        let number = named.handle.shard;
        let shard = self.shard(number)?;
        match shard.ask(|reply| Command::BeginBurial(named, reply)).await? {
            Some(burial) => shard.bury(burial, number, &self.context).await,
            None => Ok(()),
        }
    }

    fn named(&self, group: &Group, receipt: Receipt<'_>) -> Result<Named> {
        let handle = of_receipt(receipt, group, &self.keys)?;
        let lite_topic = receipt.lite_topic.filter(|name| !name.is_empty()).map(str::to_owned);
        Ok(Named { handle, lite_topic, by: receipt.by })
    }
}
