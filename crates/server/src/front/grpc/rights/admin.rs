//! What each call of the Admin service needs: the same as the same thing over HTTP.

use litemq_domain::Result;
use litemq_domain::access::Action::{Manage, Publish, Subscribe};
use litemq_domain::access::{Scope, Target};
use litemq_protocol::v2;
use v2::list_message_request::SearchKey;

use super::{Asked, Asker, Asks, Catalog};

macro_rules! administer {
    ($($call:ident($request:ident))*) => {
        /// Every call of the Admin service.
        #[derive(Debug, Clone, Copy)]
        pub(in crate::front::grpc) enum Administer<'a> {
            ChangeLogLevel,
            GetProxyRuntimeStats,
            $($call(&'a v2::$request),)*
        }

        $(impl Asks for v2::$request {
            fn asked(&self) -> Asked<'_> {
                Asked::Administer(Administer::$call(self))
            }
        })*
    };
}

administer! {
    DescribeTopicStatus(DescribeTopicStatusRequest)
    ListSubscription(ListSubscriptionRequest)
    DescribeSubscription(DescribeSubscriptionRequest)
    DeleteSubscription(DeleteSubscriptionRequest)
    DescribeGroupAccumulation(DescribeGroupAccumulationRequest)
    ListConsumerConnection(ListConsumerConnectionRequest)
    ResetGroupOffset(ResetGroupOffsetRequest)
    QueryMessage(ListMessageRequest)
    PrintThreadStackTrace(PrintThreadStackTraceRequest)
    VerifyMessage(VerifyMessageRequest)
    AdminSendMessage(AdminSendMessageRequest)
    GetConsumerRunningInfo(GetConsumerRunningInfoRequest)
    GetTopicRoute(GetTopicRouteRequest)
    QueryTimeSpan(QueryTimeSpanRequest)
}

impl Asks for v2::ChangeLogLevelRequest {
    fn asked(&self) -> Asked<'_> {
        Asked::Administer(Administer::ChangeLogLevel)
    }
}

impl Asks for v2::GetProxyRuntimeStatsRequest {
    fn asked(&self) -> Asked<'_> {
        Asked::Administer(Administer::GetProxyRuntimeStats)
    }
}

impl Asker<'_> {
    pub(super) fn administer(self, asked: Administer<'_>, catalog: &impl Catalog) -> Result<()> {
        match asked {
            Administer::ChangeLogLevel | Administer::GetProxyRuntimeStats => {
                self.caller.may(&[Manage], Target::Cluster)
            }
            Administer::DescribeTopicStatus(request) => {
                let topic = self.name(request.topic.as_ref());
                self.caller.may(&[Manage], Target::Topic(&topic, Scope::Some))
            }
            Administer::GetTopicRoute(request) => {
                let topic = self.name(request.topic.as_ref());
                self.caller.may(&[Publish, Subscribe, Manage], Target::Topic(&topic, Scope::Some))
            }
            Administer::ListSubscription(request) => {
                self.manage_one(request.topic.as_ref(), request.group.as_ref())
            }
            Administer::DescribeSubscription(request) => {
                self.manage_one(request.topic.as_ref(), request.group.as_ref())
            }
            Administer::DeleteSubscription(request) => self.manage_group(request.group.as_ref()),
            Administer::DescribeGroupAccumulation(request) => {
                self.manage_group(request.group.as_ref())
            }
            Administer::ListConsumerConnection(request) => {
                self.manage_group(request.group.as_ref())
            }
            Administer::ResetGroupOffset(request) => self.reset(catalog, request.group.as_ref()),
            Administer::GetConsumerRunningInfo(request) => {
                self.manage_group(request.group.as_ref())
            }
            Administer::QueryTimeSpan(request) => self.manage_group(request.group.as_ref()),
            Administer::QueryMessage(request) => {
                let scope = match &request.search_key {
                    Some(SearchKey::LiteTopic(lite)) => Scope::One(lite),
                    Some(
                        SearchKey::MessageId(_)
                        | SearchKey::MessageKey(_)
                        | SearchKey::Subscription(_),
                    )
                    | None => Scope::All(""),
                };
                self.look(request.topic.as_ref(), scope)
            }
            // Producers have no group.
            Administer::PrintThreadStackTrace(request) => match &request.group {
                Some(group) => self.manage_group(Some(group)),
                None => self.caller.may(&[Manage], Target::Cluster),
            },
            // The client is shown the message, wherever it is found.
            Administer::VerifyMessage(request) => {
                self.manage_group(request.group.as_ref())?;
                self.look(request.topic.as_ref(), Scope::All(""))
            }
            Administer::AdminSendMessage(request) => {
                let system = request.system_properties.as_ref();
                let lite = system.and_then(|of| of.lite_topic.as_deref());
                self.publish(request.topic.as_ref(), lite)
            }
        }
    }

    fn manage_group(self, group: Option<&v2::Resource>) -> Result<()> {
        self.caller.may(&[Manage], Target::Group(&self.name(group)))
    }

    /// Moves the group in all that it consumes.
    fn reset(self, catalog: &impl Catalog, group: Option<&v2::Resource>) -> Result<()> {
        self.manage_group(group)?;
        let Ok(group) = catalog.group(&self.name(group)) else { return Ok(()) };
        let Some(topic) = catalog.topic_of(&group) else { return Ok(()) };
        let target = Target::Topic(topic.name.as_str(), Scope::reach(&group.options.mode));
        self.caller.may(&[Subscribe, Manage], target)
    }

    /// The group if it is named; a topic alone is all its groups.
    fn manage_one(self, topic: Option<&v2::Resource>, group: Option<&v2::Resource>) -> Result<()> {
        match (group, topic) {
            (Some(group), _) => self.manage_group(Some(group)),
            (None, topic) => {
                self.caller.may(&[Manage], Target::Topic(&self.name(topic), Scope::Whole))
            }
        }
    }

    /// To look at messages without consuming them.
    fn look(self, topic: Option<&v2::Resource>, scope: Scope<'_>) -> Result<()> {
        self.caller.may(&[Subscribe, Manage], Target::Topic(&self.name(topic), scope))
    }
}
