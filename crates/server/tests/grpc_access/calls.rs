//! Every call of the protocol as a client could make it, about lite topic `a-1` and group
//! `workers`.

use litemq_protocol::v2;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use v2::list_message_request::SearchKey;
use v2::settings::PubSub;
use v2::{ClientType, Code, LiteSubscriptionAction};

use super::grpc_support::{Client, TOPIC, UNORDERED, message, receive_request, resource, settings};

const LITE: &str = "a-1";

macro_rules! calls {
    ($($call:ident => $rpc:literal,)*) => {
        /// A call, by what it is about where one call can be about several things.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Call { $($call,)* }

        /// All of them.
        pub(crate) const ALL: &[Call] = &[$(Call::$call,)*];

        impl Call {
            /// What the protocol calls it.
            pub(crate) fn rpc(self) -> &'static str {
                match self { $(Self::$call => $rpc,)* }
            }
        }
    };
}

calls! {
    QueryRoute => "QueryRoute",
    Heartbeat => "Heartbeat",
    SendMessage => "SendMessage",
    QueryAssignment => "QueryAssignment",
    ReceiveMessage => "ReceiveMessage",
    AckMessage => "AckMessage",
    ForwardMessageToDeadLetterQueue => "ForwardMessageToDeadLetterQueue",
    PullMessage => "PullMessage",
    UpdateOffset => "UpdateOffset",
    GetOffset => "GetOffset",
    QueryOffset => "QueryOffset",
    EndTransaction => "EndTransaction",
    TelemetryStream => "Telemetry",
    ProducerSettings => "Telemetry",
    ConsumerSettings => "Telemetry",
    NotifyClientTermination => "NotifyClientTermination",
    ChangeInvisibleDuration => "ChangeInvisibleDuration",
    RecallMessage => "RecallMessage",
    SyncAdd => "SyncLiteSubscription",
    SyncCompleteAdd => "SyncLiteSubscription",
    SyncRemove => "SyncLiteSubscription",
    SyncCompleteRemove => "SyncLiteSubscription",
    ChangeLogLevel => "ChangeLogLevel",
    GetProxyRuntimeStats => "GetProxyRuntimeStats",
    DescribeTopicStatus => "DescribeTopicStatus",
    GetTopicRoute => "GetTopicRoute",
    ListSubscriptionOfGroup => "ListSubscription",
    ListSubscriptionOfTopic => "ListSubscription",
    DescribeSubscriptionOfGroup => "DescribeSubscription",
    DescribeSubscriptionOfTopic => "DescribeSubscription",
    DeleteSubscription => "DeleteSubscription",
    DescribeGroupAccumulation => "DescribeGroupAccumulation",
    ListConsumerConnection => "ListConsumerConnection",
    ResetGroupOffset => "ResetGroupOffset",
    QueryMessageOfLiteTopic => "QueryMessage",
    QueryMessageById => "QueryMessage",
    PrintThreadStackTrace => "PrintThreadStackTrace",
    PrintThreadStackTraceOfAnybody => "PrintThreadStackTrace",
    VerifyMessage => "VerifyMessage",
    AdminSendMessage => "AdminSendMessage",
    GetConsumerRunningInfo => "GetConsumerRunningInfo",
    QueryTimeSpan => "QueryTimeSpan",
}

macro_rules! unary {
    ($client:expr, $call:ident, $request:expr) => {{
        let request = $client.request($request);
        $client.grpc.clone().$call(request).await.unwrap().into_inner().status.unwrap().code()
    }};
}

macro_rules! admin {
    ($client:expr, $call:ident, $request:expr) => {{
        let request = $client.request($request);
        $client.admin.clone().$call(request).await.unwrap().into_inner().status.unwrap().code()
    }};
}

impl Call {
    /// Makes the call and says what it was answered.
    pub(crate) async fn by(self, client: &Client) -> Code {
        let topic = || Some(resource(TOPIC));
        let group = || Some(resource(UNORDERED));
        let queue = || Some(v2::MessageQueue { topic: topic(), ..v2::MessageQueue::default() });
        let lite_topic = || Some(LITE.to_owned());
        match self {
            Self::QueryRoute => {
                unary!(
                    client,
                    query_route,
                    v2::QueryRouteRequest { topic: topic(), endpoints: None }
                )
            }
            Self::Heartbeat => unary!(
                client,
                heartbeat,
                v2::HeartbeatRequest {
                    group: group(),
                    client_type: ClientType::LitePushConsumer.into()
                }
            ),
            Self::SendMessage => client.send(vec![message(LITE, "x")]).await.status.unwrap().code(),
            Self::QueryAssignment => unary!(
                client,
                query_assignment,
                v2::QueryAssignmentRequest { topic: topic(), group: group(), endpoints: None }
            ),
            Self::ReceiveMessage => {
                client.receive_as(receive_request(UNORDERED, 1, 0)).await.status.code()
            }
            Self::AckMessage => {
                client.ack_handle(UNORDERED, "none", Some(LITE)).await.status.unwrap().code()
            }
            Self::ForwardMessageToDeadLetterQueue => unary!(
                client,
                forward_message_to_dead_letter_queue,
                v2::ForwardMessageToDeadLetterQueueRequest {
                    topic: topic(),
                    group: group(),
                    receipt_handle: "none".to_owned(),
                    lite_topic: lite_topic(),
                    ..Default::default()
                }
            ),
            Self::ChangeInvisibleDuration => unary!(
                client,
                change_invisible_duration,
                v2::ChangeInvisibleDurationRequest {
                    topic: topic(),
                    group: group(),
                    receipt_handle: "none".to_owned(),
                    invisible_duration: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
                    lite_topic: lite_topic(),
                    ..Default::default()
                }
            ),
            Self::PullMessage => {
                let request = v2::PullMessageRequest {
                    group: group(),
                    message_queue: queue(),
                    ..Default::default()
                };
                let request = client.request(request);
                let mut pulled =
                    client.grpc.clone().pull_message(request).await.unwrap().into_inner();
                match pulled.message().await.unwrap().unwrap().content {
                    Some(v2::pull_message_response::Content::Status(status)) => status.code(),
                    other => panic!("{other:?}"),
                }
            }
            Self::UpdateOffset => unary!(
                client,
                update_offset,
                v2::UpdateOffsetRequest { group: group(), message_queue: queue(), offset: 0 }
            ),
            Self::GetOffset => unary!(
                client,
                get_offset,
                v2::GetOffsetRequest { group: group(), message_queue: queue() }
            ),
            Self::QueryOffset => unary!(
                client,
                query_offset,
                v2::QueryOffsetRequest { message_queue: queue(), ..Default::default() }
            ),
            Self::EndTransaction => unary!(
                client,
                end_transaction,
                v2::EndTransactionRequest { topic: topic(), ..Default::default() }
            ),
            Self::RecallMessage => unary!(
                client,
                recall_message,
                v2::RecallMessageRequest { topic: topic(), recall_handle: "none".to_owned() }
            ),
            Self::NotifyClientTermination => unary!(
                client,
                notify_client_termination,
                v2::NotifyClientTerminationRequest { group: group() }
            ),
            Self::TelemetryStream => telemetry(client, None).await,
            Self::ProducerSettings => {
                let publishing =
                    v2::Publishing { topics: vec![resource(TOPIC)], ..v2::Publishing::default() };
                let role = PubSub::Publishing(publishing);
                telemetry(client, Some((ClientType::Producer, role))).await
            }
            Self::ConsumerSettings => {
                let subscription = v2::Subscription {
                    group: group(),
                    subscriptions: vec![v2::SubscriptionEntry { topic: topic(), expression: None }],
                    ..v2::Subscription::default()
                };
                let role = PubSub::Subscription(subscription);
                telemetry(client, Some((ClientType::LitePushConsumer, role))).await
            }
            Self::ChangeLogLevel => {
                let request = client.request(v2::ChangeLogLevelRequest::default());
                match client.admin.clone().change_log_level(request).await {
                    Ok(_) => Code::Ok,
                    Err(status) => match status.code() {
                        tonic::Code::Unauthenticated => Code::Unauthorized,
                        tonic::Code::PermissionDenied => Code::Forbidden,
                        _ => Code::InternalServerError, // this process does not log
                    },
                }
            }
            Self::GetProxyRuntimeStats => {
                admin!(client, get_proxy_runtime_stats, v2::GetProxyRuntimeStatsRequest {})
            }
            Self::DescribeTopicStatus => admin!(
                client,
                describe_topic_status,
                v2::DescribeTopicStatusRequest { topic: topic(), ..Default::default() }
            ),
            Self::GetTopicRoute => admin!(
                client,
                get_topic_route,
                v2::GetTopicRouteRequest { topic: topic(), ..Default::default() }
            ),
            Self::ListSubscriptionOfGroup => admin!(
                client,
                list_subscription,
                v2::ListSubscriptionRequest { group: group(), ..Default::default() }
            ),
            Self::ListSubscriptionOfTopic => admin!(
                client,
                list_subscription,
                v2::ListSubscriptionRequest { topic: topic(), ..Default::default() }
            ),
            Self::DescribeSubscriptionOfGroup => admin!(
                client,
                describe_subscription,
                v2::DescribeSubscriptionRequest { group: group(), ..Default::default() }
            ),
            Self::DescribeSubscriptionOfTopic => admin!(
                client,
                describe_subscription,
                v2::DescribeSubscriptionRequest { topic: topic(), ..Default::default() }
            ),
            Self::DeleteSubscription => admin!(
                client,
                delete_subscription,
                v2::DeleteSubscriptionRequest { group: group(), ..Default::default() }
            ),
            Self::DescribeGroupAccumulation => admin!(
                client,
                describe_group_accumulation,
                v2::DescribeGroupAccumulationRequest { group: group(), ..Default::default() }
            ),
            Self::ListConsumerConnection => admin!(
                client,
                list_consumer_connection,
                v2::ListConsumerConnectionRequest { group: group(), ..Default::default() }
            ),
            Self::ResetGroupOffset => admin!(
                client,
                reset_group_offset,
                v2::ResetGroupOffsetRequest {
                    group: group(),
                    topic: topic(),
                    ..Default::default()
                }
            ),
            Self::QueryMessageOfLiteTopic => query(client, SearchKey::LiteTopic(LITE.into())).await,
            Self::QueryMessageById => query(client, SearchKey::MessageId("x".into())).await,
            Self::PrintThreadStackTrace => stack_trace(client, group()).await,
            Self::PrintThreadStackTraceOfAnybody => stack_trace(client, None).await,
            Self::VerifyMessage => admin!(
                client,
                verify_message,
                v2::VerifyMessageRequest {
                    client_id: "nobody".to_owned(),
                    group: group(),
                    topic: topic(),
                    ..Default::default()
                }
            ),
            Self::AdminSendMessage => admin!(
                client,
                admin_send_message,
                v2::AdminSendMessageRequest {
                    topic: topic(),
                    body: "x".into(),
                    system_properties: message(LITE, "x").system_properties,
                    ..Default::default()
                }
            ),
            Self::GetConsumerRunningInfo => admin!(
                client,
                get_consumer_running_info,
                v2::GetConsumerRunningInfoRequest { group: group(), ..Default::default() }
            ),
            Self::QueryTimeSpan => admin!(
                client,
                query_time_span,
                v2::QueryTimeSpanRequest { group: group(), ..Default::default() }
            ),
            Self::SyncAdd => sync(client, LiteSubscriptionAction::PartialAdd).await,
            Self::SyncCompleteAdd => sync(client, LiteSubscriptionAction::CompleteAdd).await,
            Self::SyncRemove => sync(client, LiteSubscriptionAction::PartialRemove).await,
            Self::SyncCompleteRemove => sync(client, LiteSubscriptionAction::CompleteRemove).await,
        }
    }
}

async fn query(client: &Client, key: SearchKey) -> Code {
    let request = v2::ListMessageRequest {
        topic: Some(resource(TOPIC)),
        search_key: Some(key),
        ..Default::default()
    };
    admin!(client, query_message, request)
}

async fn stack_trace(client: &Client, group: Option<v2::Resource>) -> Code {
    let client_id = "nobody".to_owned();
    let request = v2::PrintThreadStackTraceRequest { group, client_id, ..Default::default() };
    admin!(client, print_thread_stack_trace, request)
}

async fn sync(client: &Client, action: LiteSubscriptionAction) -> Code {
    client.sync(action, UNORDERED, &[LITE]).await.code()
}

/// Opens a stream, says what the client is if it does, and closes it.
async fn telemetry(client: &Client, role: Option<(ClientType, PubSub)>) -> Code {
    let (say, said) = mpsc::channel(1);
    if let Some((client_type, pub_sub)) = role {
        say.send(settings(client_type, pub_sub)).await.unwrap();
    }
    drop(say);
    let request = client.request(ReceiverStream::new(said));
    let opened = client.grpc.clone().telemetry(request).await;
    let answer = match opened {
        Ok(stream) => stream.into_inner().message().await,
        Err(status) => Err(status),
    };
    match answer {
        Ok(None) => Code::Ok,
        Ok(Some(command)) => command.status.unwrap().code(),
        Err(status) => match status.code() {
            tonic::Code::Unauthenticated => Code::Unauthorized,
            tonic::Code::PermissionDenied => Code::Forbidden,
            other => panic!("{other:?}: {status:?}"),
        },
    }
}
