//! AckMessage.

use futures_util::future::join_all;
use litemq_domain::{Error, ErrorCode, Group, Result};
use litemq_protocol::v2;
use std::sync::Arc;
use v2::{AckMessageEntry, AckMessageRequest, AckMessageResponse, AckMessageResultEntry};

use super::call::Call;
use super::limits::ACK_ENTRIES_MAX;
use super::settle::{final_or_transient, receipt};
use super::{Door, reply};

impl Door {
    pub(super) async fn ack(&self, call: &Call, request: AckMessageRequest) -> AckMessageResponse {
        let group = check_entries(&request.entries).and_then(|()| {
            self.settling_group(call, request.topic.as_ref(), request.group.as_ref())
                .map_err(final_or_transient)
        });
        let group = match group {
            Ok(group) => group,
            Err(error) => {
                return AckMessageResponse {
                    status: Some(self.failed(call, &error)),
                    ..AckMessageResponse::default()
                };
            }
        };
        let entries =
            join_all(request.entries.into_iter().map(|e| self.ack_entry(call, &group, e))).await;
        let status = reply::common(entries.iter().filter_map(|entry| entry.status.as_ref()));
        AckMessageResponse { status: Some(status), entries }
    }

    async fn ack_entry(
        &self,
        call: &Call,
        group: &Arc<Group>,
        entry: AckMessageEntry,
    ) -> AckMessageResultEntry {
        let outcome = self.settle_entry(call, group, &entry).await;
        let status = self.outcome(call, &outcome.map_err(final_or_transient));
        AckMessageResultEntry {
            message_id: entry.message_id,
            receipt_handle: entry.receipt_handle,
            status: Some(status),
        }
    }

    async fn settle_entry(
        &self,
        call: &Call,
        group: &Arc<Group>,
        entry: &AckMessageEntry,
    ) -> Result<()> {
        let receipt = receipt(self.who(call), &entry.receipt_handle, entry.lite_topic.as_deref())?;
        self.check_unnamed(call, group, receipt).await?;
        self.broker.ack(group, receipt).await
    }
}

fn check_entries(entries: &[AckMessageEntry]) -> Result<()> {
    if (1..=ACK_ENTRIES_MAX).contains(&entries.len()) {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::BadRequest,
        format!("the request has {} entries; give 1 to {ACK_ENTRIES_MAX}", entries.len()),
    ))
}
