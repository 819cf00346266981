//! Statuses of replies. Failures travel in the reply; the gRPC status stays OK, because SDKs take a
//! gRPC error for trouble of the transport. Telemetry alone has no other way.

use litemq_domain::{Error, ErrorCode};
use litemq_protocol::v2;

use crate::front::status::door_codes;

/// Success.
pub(super) fn ok() -> v2::Status {
    status(v2::Code::Ok, "OK")
}

/// A status of any code.
pub(super) fn status(code: v2::Code, message: impl Into<String>) -> v2::Status {
    v2::Status { code: code.into(), message: message.into() }
}

/// The status of a failure.
pub(super) fn failed(error: &Error) -> v2::Status {
    status(door_codes(error.code).rocketmq, error.message.as_str())
}

/// The status above several entries: theirs when they agree.
pub(super) fn common<'a>(mut entries: impl Iterator<Item = &'a v2::Status>) -> v2::Status {
    let Some(first) = entries.next() else { return ok() };
    if entries.all(|entry| entry.code == first.code) {
        return first.clone();
    }
    status(v2::Code::MultipleResults, "the entries have different results; see each")
}

/// The status of calls that are part of the protocol and not of this server.
pub(super) fn not_implemented(call: &str) -> v2::Status {
    failed(&Error::new(ErrorCode::NotImplemented, format!("{call} is not implemented")))
}

/// The end of a Telemetry stream: the request's fault is `INVALID_ARGUMENT`, ours `INTERNAL`; missing
/// credentials and rights have codes of their own.
pub(super) fn telemetry_end(error: &Error) -> tonic::Status {
    let codes = door_codes(error.code);
    let code = codes.rocketmq;
    let grpc = match code as i32 {
        40100..=40399 => codes.grpc,
        40000..=49999 => tonic::Code::InvalidArgument,
        _ => tonic::Code::Internal,
    };
    tonic::Status::new(grpc, format!("{} ({})", error.message, code as i32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_agree_give_their_code_to_the_whole() {
        let entries = [ok(), ok()];
        assert_eq!(common(entries.iter()).code(), v2::Code::Ok);
        let gone = failed(&Error::new(ErrorCode::ReceiptHandleInvalid, "gone"));
        assert_eq!(common([gone.clone()].iter()).code(), v2::Code::InvalidReceiptHandle);
        assert_eq!(common([ok(), gone].iter()).code(), v2::Code::MultipleResults);
    }

    #[test]
    fn telemetry_ends_by_whose_fault_it_was() {
        let illegal = Error::new(ErrorCode::ConsumerGroupIllegal, "no");
        assert_eq!(telemetry_end(&illegal).code(), tonic::Code::InvalidArgument);
        let internal = Error::new(ErrorCode::Internal, "no");
        assert_eq!(telemetry_end(&internal).code(), tonic::Code::Internal);
    }
}
