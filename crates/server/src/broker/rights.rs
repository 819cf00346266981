//! Rights that end while something is under way: a client that waits, and one that holds messages.

use std::collections::BTreeSet;

use litemq_domain::access::{Action, Scope, Target};
use litemq_domain::{Claimed, Group, LiteTopicName, Result, UserName};

use super::Broker;
use super::handle::of_receipt;
use super::request::{Receipt, ReceiveRequest};
use super::shard::command::Command;

impl Broker {
    /// The lite topic that a receipt is for; none when that is gone.
    ///
    /// # Errors
    /// [`litemq_domain::ErrorCode::ReceiptHandleInvalid`].
    pub async fn lite_topic_of(
        &self,
        group: &Group,
        receipt: Receipt<'_>,
    ) -> Result<Option<LiteTopicName>> {
        let handle = of_receipt(receipt, group, &self.keys)?;
        let shard = self.shard(handle.shard)?;
        shard.ask(|reply| Command::NameOf(handle.place, reply)).await
    }

    /// Checks that what was claimed may be handed out: the right to a lite topic is asked for when
    /// a client subscribes, that to the group when it asks for messages, and both may have ended
    /// since. Then the subscription ends, or all for the group, and the client is told.
    ///
    /// # Errors
    /// [`litemq_domain::ErrorCode::PermissionDenied`], or
    /// [`litemq_domain::ErrorCode::Unauthenticated`] when the user may not call at all any more;
    /// the claims are to be given back.
    pub(super) async fn check_claims(
        &self,
        request: &ReceiveRequest,
        claims: impl Iterator<Item = &Claimed>,
    ) -> Result<()> {
        let caller = self.access().renewed(&request.caller)?;
        if caller.is_super() {
            return Ok(());
        }
        let Some(topic) = self.context.catalog.topic_by_id(request.group.topic) else {
            return Ok(());
        };
        let group = Target::Group(request.group.name.as_str());
        if let Err(error) = caller.may(&[Action::Subscribe], group) {
            tracing::info!(
                client = %request.client,
                group = %request.group.name,
                %error,
                "all subscriptions for the group end, for their user has lost the right to it"
            );
            self.end_subscriptions(&request.client, request.group.id, None).await?;
            return Err(error);
        }
        let mut refused = None;
        let mut ended = BTreeSet::new();
        for claimed in claims {
            let target =
                Target::Topic(topic.name.as_str(), Scope::One(claimed.lite_topic.as_str()));
            if let Err(error) = caller.may(&[Action::Subscribe], target) {
                ended.insert(claimed.lite_topic.clone());
                refused = Some(error);
            }
        }
        let Some(error) = refused else { return Ok(()) };
        tracing::info!(
            client = %request.client,
            group = %request.group.name,
            lite_topics = ended.len(),
            %error,
            "subscriptions end, for their user has lost the right to them"
        );
        for lite_topic in ended {
            self.end_subscriptions(&request.client, request.group.id, Some(lite_topic)).await?;
        }
        Err(error)
    }

    /// Ends all clients of a user who may not call any more, or not with what they have.
    pub(super) async fn end_clients_of(&self, user: &UserName) -> Result<()> {
        for client in self.context.sessions.clients_of_user(user) {
            self.terminate(&client).await?;
        }
        Ok(())
    }
}
