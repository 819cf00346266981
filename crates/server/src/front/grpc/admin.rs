//! The protocol's Admin service, which no server is known to offer. Administration has the HTTP API.

use litemq_protocol::v2;
use tonic::{Request, Response, Status};
use v2::admin_server::Admin;

use super::reply;

/// Answers every call of the Admin service with "not implemented".
#[derive(Debug)]
pub(super) struct NotServed;

macro_rules! not_served {
    ($($call:ident: $request:ident => $response:ident,)*) => {
        #[tonic::async_trait]
        impl Admin for NotServed {
            $(#[allow(clippy::needless_update)] // some replies are a status and nothing else
            async fn $call(
                &self,
                _: Request<v2::$request>,
            ) -> Result<Response<v2::$response>, Status> {
                let status = reply::not_implemented(stringify!($call));
                Ok(Response::new(v2::$response { status: Some(status), ..Default::default() }))
            })*

            /// Has no status in its reply.
            async fn change_log_level(
                &self,
                _: Request<v2::ChangeLogLevelRequest>,
            ) -> Result<Response<v2::ChangeLogLevelResponse>, Status> {
                Err(Status::unimplemented(reply::not_implemented("change_log_level").message))
            }
        }
    };
}

not_served! {
    describe_topic_status: DescribeTopicStatusRequest => DescribeTopicStatusResponse,
    list_subscription: ListSubscriptionRequest => ListSubscriptionResponse,
    describe_subscription: DescribeSubscriptionRequest => DescribeSubscriptionResponse,
    delete_subscription: DeleteSubscriptionRequest => DeleteSubscriptionResponse,
    describe_group_accumulation: DescribeGroupAccumulationRequest => DescribeGroupAccumulationResponse,
    list_consumer_connection: ListConsumerConnectionRequest => ListConsumerConnectionResponse,
    reset_group_offset: ResetGroupOffsetRequest => ResetGroupOffsetResponse,
    query_message: ListMessageRequest => ListMessageResponse,
    print_thread_stack_trace: PrintThreadStackTraceRequest => PrintThreadStackTraceResponse,
    verify_message: VerifyMessageRequest => VerifyMessageResponse,
    admin_send_message: AdminSendMessageRequest => AdminSendMessageResponse,
    get_consumer_running_info: GetConsumerRunningInfoRequest => GetConsumerRunningInfoResponse,
    get_topic_route: GetTopicRouteRequest => GetTopicRouteResponse,
    query_time_span: QueryTimeSpanRequest => QueryTimeSpanResponse,
    get_proxy_runtime_stats: GetProxyRuntimeStatsRequest => GetProxyRuntimeStatsResponse,
}
