//! The one table from our error codes to other people's numbers.
//!
//! The RocketMQ column is decided by what the official SDKs do with a code: whether they repeat the
//! call, how fast, and which exception their user sees.

use http::StatusCode;
use litemq_domain::ErrorCode;
use litemq_protocol::v2;

/// What each door answers for one error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoorCodes {
    /// In the body of a gRPC reply.
    pub rocketmq: v2::Code,
    /// Where a gRPC call has no body to answer in.
    pub grpc: tonic::Code,
    /// Of an HTTP reply.
    pub http: StatusCode,
}

/// The answers for an error code.
pub fn door_codes(code: ErrorCode) -> DoorCodes {
    use tonic::Code as Grpc;
    use v2::Code as Mq;

    const fn row(rocketmq: Mq, grpc: Grpc, http: StatusCode) -> DoorCodes {
        DoorCodes { rocketmq, grpc, http }
    }
    const fn bad(rocketmq: Mq) -> DoorCodes {
        row(rocketmq, Grpc::InvalidArgument, StatusCode::BAD_REQUEST)
    }
    const fn missing(rocketmq: Mq) -> DoorCodes {
        row(rocketmq, Grpc::NotFound, StatusCode::NOT_FOUND)
    }
    const fn broken(http: StatusCode) -> DoorCodes {
        row(Mq::InternalServerError, Grpc::Internal, http)
    }

    match code {
        ErrorCode::BadRequest => bad(Mq::BadRequest),
        ErrorCode::BodyEmpty => bad(Mq::MessageBodyEmpty),
        ErrorCode::BodyTooLarge => {
            row(Mq::MessageBodyTooLarge, Grpc::InvalidArgument, StatusCode::PAYLOAD_TOO_LARGE)
        }
        ErrorCode::ClientIdMissing => bad(Mq::ClientIdRequired),
        // Old SDKs do not know this number; it is only ever sent as the end of a Telemetry stream,
        // where they see the gRPC status.
        ErrorCode::ClientPropertiesIllegal => bad(Mq::InvalidClientProperties),
        ErrorCode::ConsumerGroupIllegal => bad(Mq::IllegalConsumerGroup),
        ErrorCode::DeliveryTimeIllegal => bad(Mq::IllegalDeliveryTime),
        ErrorCode::FilterIllegal => bad(Mq::IllegalFilterExpression),
        ErrorCode::InvisibleDurationIllegal => bad(Mq::IllegalInvisibleTime),
        ErrorCode::LiteTopicIllegal => bad(Mq::IllegalLiteTopic),
        ErrorCode::MessageCorrupted => bad(Mq::MessageCorrupted),
        ErrorCode::MessageGroupIllegal => bad(Mq::IllegalMessageGroup),
        ErrorCode::MessageIdIllegal => bad(Mq::IllegalMessageId),
        ErrorCode::MessageKeyIllegal => bad(Mq::IllegalMessageKey),
        ErrorCode::MessageTypeConflict => bad(Mq::MessagePropertyConflictWithType),
        ErrorCode::PollingTimeIllegal => bad(Mq::IllegalPollingTime),
        ErrorCode::PropertiesTooLarge => row(
            Mq::MessagePropertiesTooLarge,
            Grpc::InvalidArgument,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        ),
        ErrorCode::PropertyKeyIllegal => bad(Mq::IllegalMessagePropertyKey),
        ErrorCode::TagIllegal => bad(Mq::IllegalMessageTag),
        ErrorCode::TopicIllegal => bad(Mq::IllegalTopic),
        ErrorCode::ClientTypeUnrecognized => bad(Mq::UnrecognizedClientType),
        // The only code that makes every SDK give up an ack.
        ErrorCode::ReceiptHandleInvalid => {
            row(Mq::InvalidReceiptHandle, Grpc::FailedPrecondition, StatusCode::CONFLICT)
        }
        ErrorCode::ConsumerGroupNotFound => missing(Mq::ConsumerGroupNotFound),
        ErrorCode::LiteTopicNotFound => missing(Mq::NotFound),
        ErrorCode::OffsetNotFound => missing(Mq::OffsetNotFound),
        ErrorCode::TopicNotFound => missing(Mq::TopicNotFound),
        ErrorCode::ClientNotFound | ErrorCode::PolicyNotFound | ErrorCode::UserNotFound => {
            missing(Mq::NotFound)
        }
        // The server waited for a client in the caller's place, as a proxy waits for a server.
        ErrorCode::ClientSilent => {
            row(Mq::ProxyTimeout, Grpc::DeadlineExceeded, StatusCode::GATEWAY_TIMEOUT)
        }
        ErrorCode::AlreadyExists => {
            row(Mq::PreconditionFailed, Grpc::AlreadyExists, StatusCode::CONFLICT)
        }
        ErrorCode::InUse => {
            row(Mq::PreconditionFailed, Grpc::FailedPrecondition, StatusCode::CONFLICT)
        }
        // Upstream servers give 40100 for both. SDKs have an exception for each, and whoever lacks a
        // right shall not look for a wrong secret.
        ErrorCode::Unauthenticated => {
            row(Mq::Unauthorized, Grpc::Unauthenticated, StatusCode::UNAUTHORIZED)
        }
        ErrorCode::PermissionDenied => {
            row(Mq::Forbidden, Grpc::PermissionDenied, StatusCode::FORBIDDEN)
        }
        ErrorCode::LiteSubscriptionQuotaExceeded => row(
            Mq::LiteSubscriptionQuotaExceeded,
            Grpc::ResourceExhausted,
            StatusCode::TOO_MANY_REQUESTS,
        ),
        ErrorCode::LiteTopicQuotaExceeded => {
            row(Mq::LiteTopicQuotaExceeded, Grpc::ResourceExhausted, StatusCode::TOO_MANY_REQUESTS)
        }
        ErrorCode::Overloaded => {
            row(Mq::TooManyRequests, Grpc::ResourceExhausted, StatusCode::TOO_MANY_REQUESTS)
        }
        // What an upstream server says when no queue takes writes. Not 42900: a Java push consumer
        // would poll again every 20 ms, and a full disk is not over in milliseconds. Not 50001:
        // nothing was stored, and the user's exception should tell a full disk from a fault.
        ErrorCode::StorageFull => {
            row(Mq::Forbidden, Grpc::ResourceExhausted, StatusCode::INSUFFICIENT_STORAGE)
        }
        // All SDKs know it as an internal error and try the next endpoint.
        ErrorCode::ShuttingDown => {
            row(Mq::HaNotAvailable, Grpc::Unavailable, StatusCode::SERVICE_UNAVAILABLE)
        }
        ErrorCode::StorageDamaged | ErrorCode::StorageFailed | ErrorCode::Internal => {
            broken(StatusCode::INTERNAL_SERVER_ERROR)
        }
        ErrorCode::NotImplemented => {
            row(Mq::NotImplemented, Grpc::Unimplemented, StatusCode::NOT_IMPLEMENTED)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_code_is_an_error_at_every_door() {
        for code in ErrorCode::ALL {
            let door = door_codes(code);
            assert!(door.rocketmq as i32 >= 40000, "{code:?} {door:?}");
            assert_ne!(door.grpc, tonic::Code::Ok, "{code:?}");
            let http = door.http;
            assert!(http.is_client_error() || http.is_server_error(), "{code:?} {http}");
        }
    }

    #[test]
    fn a_retryable_error_has_a_status_that_invites_to_retry() {
        for code in ErrorCode::ALL.into_iter().filter(|code| code.is_retryable()) {
            let door = door_codes(code);
            assert!(
                matches!(door.grpc, tonic::Code::ResourceExhausted | tonic::Code::Unavailable),
                "{code:?} {door:?}"
            );
            assert!(matches!(door.http.as_u16(), 429 | 503 | 507), "{code:?} {door:?}");
        }
    }

    #[test]
    fn an_error_that_may_have_happened_is_never_blamed_on_the_request() {
        for code in ErrorCode::ALL.into_iter().filter(|code| code.may_have_happened()) {
            assert!(door_codes(code).http.is_server_error(), "{code:?}");
            assert!(door_codes(code).rocketmq as i32 >= 50000, "{code:?}");
        }
    }

    #[test]
    fn codes_that_old_sdks_cannot_read_are_kept_from_messaging() {
        let unreadable = [v2::Code::IllegalOffset, v2::Code::Unsupported, v2::Code::Unspecified];
        for code in ErrorCode::ALL {
            assert!(!unreadable.contains(&door_codes(code).rocketmq), "{code:?}");
        }
    }
}
