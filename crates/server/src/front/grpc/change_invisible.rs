//! ChangeInvisibleDuration.

use litemq_domain::limits::INVISIBLE_MAX;
use litemq_domain::{DurationMs, Error, ErrorCode, Result};
use litemq_protocol::v2;
use v2::{ChangeInvisibleDurationRequest, ChangeInvisibleDurationResponse};

use super::Door;
use super::call::Call;
use super::settle::{final_or_transient, receipt};
use super::wiretime::read_duration;

impl Door {
    /// The answer has a usable handle in every case: Java's simple consumer and Python overwrite
    /// theirs even when the call failed.
    pub(super) async fn change_invisible(
        &self,
        call: &Call,
        request: ChangeInvisibleDurationRequest,
    ) -> ChangeInvisibleDurationResponse {
        let outcome = self.change(call, &request).await;
        ChangeInvisibleDurationResponse {
            status: Some(self.outcome(call, &outcome)),
            receipt_handle: outcome.unwrap_or(request.receipt_handle),
        }
    }

    async fn change(
        &self,
        call: &Call,
        request: &ChangeInvisibleDurationRequest,
    ) -> Result<String> {
        let group = self
            .settling_group(call, request.topic.as_ref(), request.group.as_ref())
            .map_err(final_or_transient)?;
        let receipt =
            receipt(self.who(call), &request.receipt_handle, request.lite_topic.as_deref())?;
        self.check_unnamed(call, &group, receipt).await?;
        // SDKs of simple consumers suspend whatever their user asks for, so that a message that can
        // never be processed would never reach the dead letters.
        let is_nack = self.broker.sessions().is_simple(&call.client);
        let suspend = request.suspend() && (group.options.simple_suspend || !is_nack);
        let span_max = if suspend { DurationMs(u64::MAX) } else { INVISIBLE_MAX };
        let invisible = invisible(request.invisible_duration.as_ref(), span_max)?;
        self.broker
            .change_invisible(&group, receipt, invisible, suspend)
            .await
            .map_err(final_or_transient)
    }
}

/// Node sends seconds where it means milliseconds, so tiny spans are fine.
fn invisible(asked: Option<&prost_types::Duration>, span_max: DurationMs) -> Result<DurationMs> {
    asked.and_then(read_duration).filter(|asked| *asked <= span_max).ok_or_else(|| {
        Error::new(
            ErrorCode::InvisibleDurationIllegal,
            format!("the invisible duration is not 0s to {INVISIBLE_MAX}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiny_spans_are_accepted_and_negative_or_very_long_ones_refused() {
        for (seconds, nanos, expected) in [
            (0, 0, Some(0)),
            (0, 1, Some(0)),
            (0, 50_000_000, Some(50)),
            (12 * 3600, 0, Some(12 * 3_600_000)),
            (12 * 3600, 1_000_000, None),
            (0, -1, None),
            (-5, 0, None),
        ] {
            let asked = prost_types::Duration { seconds, nanos };
            assert_eq!(
                invisible(Some(&asked), INVISIBLE_MAX).ok(),
                expected.map(DurationMs),
                "{asked:?}"
            );
        }
        assert_eq!(
            invisible(None, INVISIBLE_MAX).unwrap_err().code,
            ErrorCode::InvisibleDurationIllegal
        );
    }
}
