//! The protocol's Admin service, as far as it makes sense for lite topics.
//!
//! **Trust.** It is for who administers, as the HTTP door is. With authentication on, callers sign as
//! those of the other service do and need the rights in `rights/admin.rs`. With authentication off it is
//! served to connections within this machine alone, from loopback to loopback, also when the port is open
//! to the network. A call is no client: it leaves no session.

mod consumers;
mod group;
mod message;
mod node;
mod query;
mod topic;
mod unserved;
mod verify;

use std::net::SocketAddr;
use std::sync::Arc;

use litemq_domain::{Error, ErrorCode, Result};
use litemq_protocol::v2;
use tokio::sync::{Semaphore, SemaphorePermit};
use tonic::{Request, Response, Status};
use tracing::debug;
use v2::admin_server::Admin;

use super::call::{connection, namespace};
use super::limits::ADMIN_SEARCHES_MAX;
use super::resource::client_name;
use super::rights::Asks;
use super::{Door, reply};
use crate::broker::Broker;
use crate::front::message_ids::MessageIds;
use crate::front::status::door_codes;
use crate::observe::DoorMetrics;

/// The service.
#[derive(Debug)]
pub(super) struct Administration {
    door: Arc<Door>,
    connections: DoorMetrics,
    searches: Semaphore,
    message_ids: MessageIds,
}

/// Who asks.
#[derive(Debug)]
struct Administrator {
    /// For resources that name none; often empty.
    namespace: String,
    /// Our end of the connection.
    local: Option<SocketAddr>,
}

impl Administration {
    pub(super) fn new(door: Arc<Door>, connections: DoorMetrics) -> Self {
        let searches = Semaphore::new(ADMIN_SEARCHES_MAX);
        Self { door, connections, searches, message_ids: MessageIds::new() }
    }

    fn broker(&self) -> &Broker {
        &self.door.broker
    }

    /// The caller, if it is trusted and may.
    fn admit<T: Asks>(&self, request: Request<T>) -> Result<(Administrator, T)> {
        let connection = connection(&request);
        if !self.broker().access().is_enabled() {
            let is_within = connection.is_some_and(|connection| {
                let ends = [connection.local, connection.remote];
                ends.iter().all(|end| end.ip().to_canonical().is_loopback())
            });
            if !is_within {
                return Err(Error::new(
                    ErrorCode::PermissionDenied,
                    "without authentication the Admin service is for connections on loopback; \
                     connect to 127.0.0.1, or turn access.enabled on",
                ));
            }
        }
        self.door.authorize(&request)?;
        let administrator = Administrator {
            namespace: namespace(&request)?.to_owned(),
            local: connection.map(|connection| connection.local),
        };
        Ok((administrator, request.into_inner()))
    }

    /// A place among the calls that look at much.
    fn search(&self) -> Result<SemaphorePermit<'_>> {
        self.searches.try_acquire().map_err(|_| {
            Error::new(
                ErrorCode::Overloaded,
                "too many searches of administrators at the moment; try again shortly",
            )
        })
    }

    fn note(&self, error: &Error) {
        self.door.metrics.error(error.code);
        debug!(code = ?error.code, %error, "refused a request of an administrator");
    }
}

impl Administrator {
    /// A full name as the caller knows it.
    fn resource(&self, full_name: &str) -> v2::Resource {
        let name = client_name(&self.namespace, full_name).to_owned();
        v2::Resource { resource_namespace: self.namespace.clone(), name }
    }
}

/// One server is one deployment: a call for another one must not be answered by this one.
fn check_deployment(name: Option<&str>) -> Result<()> {
    match name {
        None | Some("") => Ok(()),
        Some(name) => Err(Error::new(
            ErrorCode::BadRequest,
            format!(
                "this server is one deployment and has no name for it; leave out the deployment name \
                 '{}'",
                name.escape_debug()
            ),
        )),
    }
}

macro_rules! served {
    ($($call:ident: $request:ident => $response:ident by $handler:path,)*) => {
        #[tonic::async_trait]
        impl Admin for Administration {
            $(#[allow(clippy::needless_update)] // some replies are a status and nothing else
            async fn $call(
                &self,
                request: Request<v2::$request>,
            ) -> std::result::Result<Response<v2::$response>, Status> {
                let answered = match self.admit(request) {
                    Ok((asker, request)) => match check_deployment(request.deployment()) {
                        Ok(()) => $handler(self, &asker, request).await,
                        Err(error) => Err(error),
                    },
                    Err(error) => Err(error),
                };
                Ok(Response::new(answered.unwrap_or_else(|error| {
                    self.note(&error);
                    let status = Some(reply::failed(&error));
                    v2::$response { status, ..v2::$response::default() }
                })))
            })*

            /// Has no status in its reply.
            async fn change_log_level(
                &self,
                request: Request<v2::ChangeLogLevelRequest>,
            ) -> std::result::Result<Response<v2::ChangeLogLevelResponse>, Status> {
                let changed = self.admit(request).and_then(|(_, request)| node::log(&request));
                changed.map(Response::new).map_err(|error| {
                    self.note(&error);
                    Status::new(door_codes(error.code).grpc, error.message)
                })
            }
        }
    };
}

served! {
    describe_topic_status: DescribeTopicStatusRequest => DescribeTopicStatusResponse
        by topic::status,
    get_topic_route: GetTopicRouteRequest => GetTopicRouteResponse by topic::route,
    list_subscription: ListSubscriptionRequest => ListSubscriptionResponse
        by consumers::subscriptions,
    describe_subscription: DescribeSubscriptionRequest => DescribeSubscriptionResponse
        by consumers::subscriptions_of_clients,
    list_consumer_connection: ListConsumerConnectionRequest => ListConsumerConnectionResponse
        by consumers::connections,
    print_thread_stack_trace: PrintThreadStackTraceRequest => PrintThreadStackTraceResponse
        by consumers::stack_trace,
    describe_group_accumulation: DescribeGroupAccumulationRequest
        => DescribeGroupAccumulationResponse by group::accumulation,
    reset_group_offset: ResetGroupOffsetRequest => ResetGroupOffsetResponse by group::reset,
    admin_send_message: AdminSendMessageRequest => AdminSendMessageResponse by message::send,
    get_proxy_runtime_stats: GetProxyRuntimeStatsRequest => GetProxyRuntimeStatsResponse
        by node::stats,
    query_message: ListMessageRequest => ListMessageResponse by query::query,
    verify_message: VerifyMessageRequest => VerifyMessageResponse by verify::verify,
    delete_subscription: DeleteSubscriptionRequest => DeleteSubscriptionResponse
        by unserved::delete_subscription,
    get_consumer_running_info: GetConsumerRunningInfoRequest => GetConsumerRunningInfoResponse
        by unserved::running_info,
    query_time_span: QueryTimeSpanRequest => QueryTimeSpanResponse by unserved::time_span,
}

/// A request that may name a deployment.
trait OfDeployment {
    fn deployment(&self) -> Option<&str>;
}

macro_rules! of_deployment {
    ($($request:ident)*) => {
        $(impl OfDeployment for v2::$request {
            fn deployment(&self) -> Option<&str> {
                self.deployment_name.as_deref()
            }
        })*
    };
}

of_deployment! {
    DescribeTopicStatusRequest GetTopicRouteRequest ListSubscriptionRequest
    DescribeSubscriptionRequest ListConsumerConnectionRequest PrintThreadStackTraceRequest
    DescribeGroupAccumulationRequest ResetGroupOffsetRequest AdminSendMessageRequest
    ListMessageRequest VerifyMessageRequest DeleteSubscriptionRequest GetConsumerRunningInfoRequest
    QueryTimeSpanRequest
}

impl OfDeployment for v2::GetProxyRuntimeStatsRequest {
    fn deployment(&self) -> Option<&str> {
        None
    }
}
