//! Calls that make no sense here, and what to do instead.

use litemq_domain::{Error, ErrorCode, Result};
use litemq_protocol::v2;

use super::{Administration, Administrator};

/// A subscription of a group to its topic is there as long as the group.
pub(super) async fn delete_subscription(
    _: &Administration,
    _: &Administrator,
    _: v2::DeleteSubscriptionRequest,
) -> Result<v2::DeleteSubscriptionResponse> {
    none(
        "a consumer group is bound to its topic for as long as it lives; delete the group, or take lite \
         topics from its clients: litemq group unsubscribe",
    )
}

/// The protocol has no command that asks a client for it.
pub(super) async fn running_info(
    _: &Administration,
    _: &Administrator,
    _: v2::GetConsumerRunningInfoRequest,
) -> Result<v2::GetConsumerRunningInfoResponse> {
    none(
        "the protocol has no way to ask a client for its running info; ask for its connection with \
         ListConsumerConnection and for its threads with PrintThreadStackTrace",
    )
}

/// The answer is by queue, and the messages of a lite topic are in no queue.
pub(super) async fn time_span(
    _: &Administration,
    _: &Administrator,
    _: v2::QueryTimeSpanRequest,
) -> Result<v2::QueryTimeSpanResponse> {
    none(
        "a lite topic has no queues whose times could be told; see when it was written and read: litemq \
         lite describe",
    )
}

fn none<T>(text: &str) -> Result<T> {
    Err(Error::new(ErrorCode::NotImplemented, text))
}
