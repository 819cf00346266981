//! ForwardMessageToDeadLetterQueue.

use litemq_domain::Result;
use litemq_protocol::v2;
use tracing::debug;
use v2::{ForwardMessageToDeadLetterQueueRequest, ForwardMessageToDeadLetterQueueResponse};

use super::call::Call;
use super::settle::{is_about_rights, is_transient, receipt};
use super::{Door, reply};

impl Door {
    /// SDKs repeat this call every second until it is OK. So a message that this handle cannot move
    /// any more - it is settled, handed out again or gone - is OK: there is nothing left to do.
    pub(super) async fn dead_letter(
        &self,
        call: &Call,
        request: ForwardMessageToDeadLetterQueueRequest,
    ) -> ForwardMessageToDeadLetterQueueResponse {
        let status = match self.move_to_dead_letters(call, &request).await {
            Err(error) if is_transient(error.code) || is_about_rights(error.code) => {
                self.failed(call, &error)
            }
            Err(error) => {
                debug!(client = %call.client, code = ?error.code, %error, "no message to forward");
                reply::ok()
            }
            Ok(()) => reply::ok(),
        };
        ForwardMessageToDeadLetterQueueResponse { status: Some(status) }
    }

    async fn move_to_dead_letters(
        &self,
        call: &Call,
        request: &ForwardMessageToDeadLetterQueueRequest,
    ) -> Result<()> {
        let group = self.settling_group(call, request.topic.as_ref(), request.group.as_ref())?;
        let receipt =
            receipt(self.who(call), &request.receipt_handle, request.lite_topic.as_deref())?;
        self.check_unnamed(call, &group, receipt).await?;
        self.broker.dead_letter(&group, receipt).await
    }
}
