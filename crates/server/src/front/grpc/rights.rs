//! What each call of the protocol needs, in one match: a call without a rule does not compile.
//!
//! Names are the full names that the call itself works with. Rights are asked for before anything
//! is looked up, so that a refusal does not tell what exists.

mod admin;

use litemq_domain::Result;
use litemq_domain::access::Action::{Manage, Publish, Subscribe};
use litemq_domain::access::{Scope, Target};
use litemq_protocol::v2;
use tonic::Streaming;
use v2::LiteSubscriptionAction;
use v2::settings::PubSub;

use self::admin::Administer;
use super::limits::SYNC_RIGHTS_PER_STEP;
use super::resource::{Catalog, full_name_in};
use crate::access::Caller;

/// Every call of both services, and the settings that come on a Telemetry stream.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked<'a> {
    QueryRoute(&'a v2::QueryRouteRequest),
    Heartbeat(&'a v2::HeartbeatRequest),
    SendMessage(&'a v2::SendMessageRequest),
    QueryAssignment(&'a v2::QueryAssignmentRequest),
    ReceiveMessage(&'a v2::ReceiveMessageRequest),
    AckMessage(&'a v2::AckMessageRequest),
    ForwardMessageToDeadLetterQueue(&'a v2::ForwardMessageToDeadLetterQueueRequest),
    PullMessage(&'a v2::PullMessageRequest),
    UpdateOffset(&'a v2::UpdateOffsetRequest),
    GetOffset(&'a v2::GetOffsetRequest),
    QueryOffset(&'a v2::QueryOffsetRequest),
    EndTransaction(&'a v2::EndTransactionRequest),
    Telemetry,
    NotifyClientTermination(&'a v2::NotifyClientTerminationRequest),
    ChangeInvisibleDuration(&'a v2::ChangeInvisibleDurationRequest),
    RecallMessage(&'a v2::RecallMessageRequest),
    SyncLiteSubscription(&'a v2::SyncLiteSubscriptionRequest),
    Settings(&'a v2::Settings),
    Administer(Administer<'a>),
}

impl Asked<'_> {
    /// Whether everybody may make this call, as there is nothing in it that needs a right.
    pub(super) fn needs_no_right(self) -> bool {
        let is_none = |group: Option<&v2::Resource>| named(group).is_none();
        match self {
            Asked::Telemetry => true,
            Asked::Heartbeat(request) => is_none(request.group.as_ref()),
            Asked::NotifyClientTermination(request) => is_none(request.group.as_ref()),
            Asked::SendMessage(request) => request.messages.is_empty(),
            // To leave needs the right to the group alone.
            Asked::SyncLiteSubscription(request) => is_none(request.group.as_ref()),
            Asked::Settings(settings) => match &settings.pub_sub {
                None => true,
                Some(PubSub::Publishing(publishing)) => publishing.topics.is_empty(),
                Some(PubSub::Subscription(of)) => {
                    is_none(of.group.as_ref()) && of.subscriptions.is_empty()
                }
            },
            _ => false,
        }
    }
}

/// A request that asks for something. The door reads no request that is none of these.
pub(super) trait Asks {
    fn asked(&self) -> Asked<'_>;
}

macro_rules! asks {
    ($($call:ident($request:ident))*) => {
        $(impl Asks for v2::$request {
            fn asked(&self) -> Asked<'_> {
                Asked::$call(self)
            }
        })*
    };
}

asks! {
    QueryRoute(QueryRouteRequest)
    Heartbeat(HeartbeatRequest)
    SendMessage(SendMessageRequest)
    QueryAssignment(QueryAssignmentRequest)
    ReceiveMessage(ReceiveMessageRequest)
    AckMessage(AckMessageRequest)
    ForwardMessageToDeadLetterQueue(ForwardMessageToDeadLetterQueueRequest)
    PullMessage(PullMessageRequest)
    UpdateOffset(UpdateOffsetRequest)
    GetOffset(GetOffsetRequest)
    QueryOffset(QueryOffsetRequest)
    EndTransaction(EndTransactionRequest)
    NotifyClientTermination(NotifyClientTerminationRequest)
    ChangeInvisibleDuration(ChangeInvisibleDurationRequest)
    RecallMessage(RecallMessageRequest)
    SyncLiteSubscription(SyncLiteSubscriptionRequest)
    Settings(Settings)
}

impl Asks for Streaming<v2::TelemetryCommand> {
    fn asked(&self) -> Asked<'_> {
        Asked::Telemetry
    }
}

/// Who asks, in which namespace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) caller: &'a Caller,
    pub(super) namespace: &'a str,
}

impl Asker<'_> {
    /// Checks that the caller has every right that a call needs.
    ///
    /// # Errors
    /// [`litemq_domain::ErrorCode::PermissionDenied`] for the first that is missing.
    pub(super) fn check(self, asked: Asked<'_>, catalog: &impl Catalog) -> Result<()> {
        if self.caller.is_super() {
            return Ok(());
        }
        match asked {
            Asked::QueryRoute(request) => {
                let topic = self.name(request.topic.as_ref());
                self.caller.may(&[Publish, Subscribe, Manage], Target::Topic(&topic, Scope::Some))
            }
            Asked::SendMessage(request) => request.messages.iter().try_for_each(|message| {
                let lite =
                    message.system_properties.as_ref().and_then(|of| of.lite_topic.as_deref());
                self.publish(message.topic.as_ref(), lite)
            }),
            Asked::EndTransaction(request) => self.publish(request.topic.as_ref(), None),
            Asked::RecallMessage(request) => self.publish(request.topic.as_ref(), None),
            Asked::ReceiveMessage(request) => {
                let queue = request.message_queue.as_ref();
                let topic = queue.and_then(|queue| queue.topic.as_ref());
                self.consume(catalog, topic, request.group.as_ref())
            }
            Asked::QueryAssignment(request) => {
                self.consume(catalog, request.topic.as_ref(), request.group.as_ref())
            }
            // A lite topic that is not named is found by the handle: see `settle`.
            Asked::AckMessage(request) => {
                self.consume(catalog, request.topic.as_ref(), request.group.as_ref())?;
                request.entries.iter().try_for_each(|entry| {
                    self.settle(request.topic.as_ref(), entry.lite_topic.as_deref())
                })
            }
            Asked::ChangeInvisibleDuration(request) => {
                self.consume(catalog, request.topic.as_ref(), request.group.as_ref())?;
                self.settle(request.topic.as_ref(), request.lite_topic.as_deref())
            }
            Asked::ForwardMessageToDeadLetterQueue(request) => {
                self.consume(catalog, request.topic.as_ref(), request.group.as_ref())?;
                self.settle(request.topic.as_ref(), request.lite_topic.as_deref())
            }
            Asked::SyncLiteSubscription(request) => self.sync(catalog, request),
            Asked::PullMessage(request) => {
                self.pull(request.message_queue.as_ref(), request.group.as_ref())
            }
            Asked::UpdateOffset(request) => {
                self.pull(request.message_queue.as_ref(), request.group.as_ref())
            }
            Asked::GetOffset(request) => {
                self.pull(request.message_queue.as_ref(), request.group.as_ref())
            }
            Asked::QueryOffset(request) => self.read_queue(request.message_queue.as_ref()),
            // What a client says of itself is checked when it says it.
            Asked::Telemetry => Ok(()),
            Asked::Settings(settings) => match &settings.pub_sub {
                None => Ok(()),
                Some(PubSub::Publishing(publishing)) => {
                    publishing.topics.iter().try_for_each(|topic| {
                        let topic = self.name(Some(topic));
                        self.caller.may(&[Publish], Target::Topic(&topic, Scope::Some))
                    })
                }
                Some(PubSub::Subscription(subscription)) => {
                    let group = subscription.group.as_ref();
                    self.of_group(group)?;
                    subscription
                        .subscriptions
                        .iter()
                        .try_for_each(|entry| self.consume(catalog, entry.topic.as_ref(), group))
                }
            },
            Asked::Heartbeat(request) => self.join(catalog, request.group.as_ref()),
            Asked::NotifyClientTermination(request) => self.of_group(request.group.as_ref()),
            Asked::Administer(asked) => self.administer(asked, catalog),
        }
    }

    fn name<'n>(self, resource: Option<&'n v2::Resource>) -> std::borrow::Cow<'n, str> {
        full_name_in(self.namespace, resource)
    }

    /// To a lite topic, or to the topic itself.
    fn publish(self, topic: Option<&v2::Resource>, lite: Option<&str>) -> Result<()> {
        let scope = lite.filter(|lite| !lite.is_empty()).map_or(Scope::Whole, Scope::One);
        self.caller.may(&[Publish], Target::Topic(&self.name(topic), scope))
    }

    /// From a topic for a group: from some of its lite topics when clients say which, else from
    /// all.
    fn consume(
        self,
        catalog: &impl Catalog,
        topic: Option<&v2::Resource>,
        group: Option<&v2::Resource>,
    ) -> Result<()> {
        let (topic, group) = (self.name(topic), self.name(group));
        self.caller.may(&[Subscribe], Target::Group(&group))?;
        let found = catalog.group(&group).ok();
        let scope =
            found.as_deref().map_or(Scope::Some, |group| Scope::unnamed(&group.options.mode));
        self.caller.may(&[Subscribe], Target::Topic(&topic, scope))
    }

    fn settle(self, topic: Option<&v2::Resource>, lite: Option<&str>) -> Result<()> {
        match lite.filter(|lite| !lite.is_empty()) {
            Some(lite) => self.subscribe(topic, lite),
            None => Ok(()),
        }
    }

    fn subscribe(self, topic: Option<&v2::Resource>, lite: &str) -> Result<()> {
        self.caller.may(&[Subscribe], Target::Topic(&self.name(topic), Scope::One(lite)))
    }

    /// To leave a client needs no right to a name, which it may have lost; to come it needs each:
    /// see [`Self::check_names`].
    fn sync(self, catalog: &impl Catalog, request: &v2::SyncLiteSubscriptionRequest) -> Result<()> {
        let group = request.group.as_ref();
        match leaves(request) {
            true => self.of_group(group),
            false => self.consume(catalog, request.topic.as_ref(), group),
        }
    }

    /// Checks the names of a sync that [`Self::check`] let pass, in steps between which others run.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub(super) async fn check_names(self, request: &v2::SyncLiteSubscriptionRequest) -> Result<()> {
        if leaves(request) || self.caller.is_super() {
            return Ok(());
        }
        for step in request.lite_topic_set.chunks(SYNC_RIGHTS_PER_STEP) {
            step.iter().try_for_each(|lite| self.subscribe(request.topic.as_ref(), lite))?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn pull(self, queue: Option<&v2::MessageQueue>, group: Option<&v2::Resource>) -> Result<()> {
        self.caller.may(&[Subscribe], Target::Group(&self.name(group)))?;
        self.read_queue(queue)
    }

    fn read_queue(self, queue: Option<&v2::MessageQueue>) -> Result<()> {
        let topic = self.name(queue.and_then(|queue| queue.topic.as_ref()));
        self.caller.may(&[Subscribe], Target::Topic(&topic, Scope::Whole))
    }

    /// To be there for a group; a client of a wildcard group joins it with that.
    fn join(self, catalog: &impl Catalog, group: Option<&v2::Resource>) -> Result<()> {
        self.of_group(group)?;
        let Ok(group) = catalog.group(&self.name(group)) else { return Ok(()) };
        match (Scope::unnamed(&group.options.mode), catalog.topic_of(&group)) {
            (scope @ Scope::All(_), Some(topic)) => {
                self.caller.may(&[Subscribe], Target::Topic(topic.name.as_str(), scope))
            }
            _ => Ok(()),
        }
    }

    /// Producers have no group; some send an empty one.
    fn of_group(self, group: Option<&v2::Resource>) -> Result<()> {
        match named(group) {
            Some(group) => self.caller.may(&[Subscribe], Target::Group(&self.name(Some(group)))),
            None => Ok(()),
        }
    }
}

fn leaves(request: &v2::SyncLiteSubscriptionRequest) -> bool {
    matches!(
        LiteSubscriptionAction::try_from(request.action),
        Ok(LiteSubscriptionAction::PartialRemove | LiteSubscriptionAction::CompleteRemove)
    )
}

fn named(resource: Option<&v2::Resource>) -> Option<&v2::Resource> {
    resource.filter(|resource| !resource.name.is_empty())
}

#[cfg(test)]
mod tests;
