//! What AckMessage, ChangeInvisibleDuration and ForwardMessageToDeadLetterQueue have in common.

use std::sync::Arc;

use litemq_domain::access::Action::Subscribe;
use litemq_domain::access::{Scope, Target};
use litemq_domain::{Error, ErrorCode, Group, Result};
use litemq_protocol::v2::Resource;

use super::Door;
use super::call::Call;
use super::limits::RECEIPT_HANDLE_BYTES_MAX;
use super::resource::{find_bound, full_name};
use crate::broker::{Receipt, WhoKey};

impl Door {
    /// Who calls, for the trace.
    pub(super) fn who(&self, call: &Call) -> WhoKey {
        self.broker.who(&call.caller, Some(&call.client))
    }

    /// The group whose message is settled; the topic named beside it must be its own.
    pub(super) fn settling_group(
        &self,
        call: &Call,
        topic: Option<&Resource>,
        group: Option<&Resource>,
    ) -> Result<Arc<Group>> {
        let topic = full_name(call, topic);
        let (_, group) = find_bound(&*self.broker, &topic, &full_name(call, group))?;
        Ok(group)
    }

    /// Checks the right to the lite topic of a receipt that does not name it, as those of C#, Rust and
    /// old SDKs; one that is named was checked before, and is compared with the handle later.
    pub(super) async fn check_unnamed(
        &self,
        call: &Call,
        group: &Group,
        receipt: Receipt<'_>,
    ) -> Result<()> {
        if receipt.lite_topic.is_some() || call.caller.is_super() {
            return Ok(());
        }
        let Some(topic) = self.broker.topic_by_id(group.topic) else { return Ok(()) };
        let may = |scope| call.caller.may(&[Subscribe], Target::Topic(topic.name.as_str(), scope));
        if may(Scope::All("")).is_ok() {
            return Ok(());
        }
        match self.broker.lite_topic_of(group, receipt).await? {
            Some(name) => may(Scope::One(name.as_str())),
            // The settling itself will say what is wrong with the handle.
            None => Ok(()),
        }
    }
}

/// A receipt as the broker takes it. C#, Rust and old SDKs never name the lite topic; an empty name
/// is none.
pub(super) fn receipt<'a>(
    by: WhoKey,
    handle: &'a str,
    lite_topic: Option<&'a str>,
) -> Result<Receipt<'a>> {
    if handle.len() > RECEIPT_HANDLE_BYTES_MAX {
        return Err(Error::new(
            ErrorCode::ReceiptHandleInvalid,
            format!("the receipt handle has more than {RECEIPT_HANDLE_BYTES_MAX} bytes"),
        ));
    }
    Ok(Receipt { handle, lite_topic: lite_topic.filter(|name| !name.is_empty()), by })
}

/// SDKs repeat a failed ack every second without end, unless it failed for its handle. So what
/// cannot get better by waiting is said to be the fault of the handle.
pub(super) fn final_or_transient(error: Error) -> Error {
    if is_transient(error.code) || is_about_rights(error.code) {
        return error;
    }
    Error { code: ErrorCode::ReceiptHandleInvalid, ..error }
}

/// Whether the caller is refused, whatever its call is about. It is told so, and not that its handle is
/// wrong: a right can be given.
pub(super) fn is_about_rights(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::Unauthenticated | ErrorCode::PermissionDenied)
}

/// Whether the same call can succeed later, be it after an operator did something.
pub(super) fn is_transient(code: ErrorCode) -> bool {
    code.is_retryable()
        || matches!(
            code,
            ErrorCode::Internal | ErrorCode::StorageFailed | ErrorCode::StorageDamaged
        )
}

#[cfg(test)]
mod tests {
    use litemq_protocol::v2;

    use super::*;
    use crate::front::status::door_codes;

    #[test]
    fn a_permanent_failure_of_an_ack_makes_every_sdk_give_up() {
        let is_final = |code: &ErrorCode| !is_transient(*code) && !is_about_rights(*code);
        for code in ErrorCode::ALL.into_iter().filter(is_final) {
            let told = final_or_transient(Error::new(code, "why"));
            assert_eq!(door_codes(told.code).rocketmq, v2::Code::InvalidReceiptHandle, "{code:?}");
            assert_eq!(told.message, "why");
        }
    }

    #[test]
    fn a_failure_that_passes_is_repeated_by_every_sdk() {
        for code in [
            ErrorCode::Overloaded,
            ErrorCode::StorageFull,
            ErrorCode::ShuttingDown,
            ErrorCode::StorageFailed,
            ErrorCode::Internal,
            ErrorCode::PermissionDenied,
        ] {
            assert_eq!(final_or_transient(Error::new(code, "why")).code, code);
        }
    }

    #[test]
    fn an_empty_lite_topic_is_none() {
        assert_eq!(receipt(WhoKey::default(), "h", Some("")).unwrap().lite_topic, None);
        assert_eq!(receipt(WhoKey::default(), "h", Some("a")).unwrap().lite_topic, Some("a"));
        assert!(
            receipt(WhoKey::default(), &"h".repeat(RECEIPT_HANDLE_BYTES_MAX + 1), None).is_err()
        );
    }
}
