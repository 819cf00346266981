//! ReceiveMessage.

use std::sync::Arc;

use litemq_domain::limits::{AUTO_RENEW_STEP, INVISIBLE_MAX, INVISIBLE_MIN, RECEIVE_MESSAGES_MAX};
use litemq_domain::{DurationMs, Error, ErrorCode, Group, Result, TagFilter};
use litemq_protocol::v2;
use v2::{FilterExpression, FilterType, ReceiveMessageRequest};

use super::Door;
use super::call::{Call, Language};
use super::deliver::{Answer, no_message};
use super::limits::{ATTEMPT_ID_BYTES_MAX, FILTER_BYTES_MAX};
use super::poll::poll_time;
use super::resource::{find_bound, full_name};
use super::wiretime::read_duration;
use crate::broker::{Pool, ReceiveRequest};

impl Door {
    /// Needs no settings before it: after a restart of the server some SDKs send theirs only
    /// minutes later.
    pub(super) async fn receive(
        &self,
        call: &Call,
        request: ReceiveMessageRequest,
        answers: &Arc<Pool>,
    ) -> Answer {
        let read = self.read_receive(call, &request);
        // The rest of the request is not kept while it waits.
        let topic = request.message_queue.and_then(|queue| queue.topic);
        let received = match read {
            Ok(request) => self.broker.receive_within(request, answers).await,
            Err(error) => Err(error),
        };
        let now = self.broker.now();
        match received {
            Ok(deliveries) => Answer::of(call, deliveries, topic.unwrap_or_default(), now),
            // Polls are the first to be answered in a graceful stop; for the client it is just
            // another empty one.
            Err(error) if error.code == ErrorCode::ShuttingDown => Answer::none(no_message(), now),
            Err(error) => Answer::none(self.failed(call, &error), now),
        }
    }

    fn read_receive(&self, call: &Call, request: &ReceiveMessageRequest) -> Result<ReceiveRequest> {
        let queue = request.message_queue.as_ref();
        let topic_name = full_name(call, queue.and_then(|queue| queue.topic.as_ref()));
        let group_name = full_name(call, request.group.as_ref());
        let (_, group) = find_bound(&*self.broker, &topic_name, &group_name)?;
        let messages_max = batch_size(request.batch_size);
        Ok(ReceiveRequest {
            client: call.client.clone(),
            caller: call.caller.clone(),
            per_lite_topic_max: per_lite_topic_max(&group, call.language, messages_max),
            group: Arc::clone(&group),
            messages_max,
            filter: filter(request.filter_expression.as_ref())?,
            invisible: invisible(request)?,
            auto_renew: request.auto_renew,
            attempt_id: attempt_id(request)?,
            wait: poll_time(request.long_polling_timeout.as_ref(), call.time_left)?,
        })
    }
}

fn attempt_id(request: &ReceiveMessageRequest) -> Result<String> {
    let id = request.attempt_id.as_deref().unwrap_or_default();
    if id.len() > ATTEMPT_ID_BYTES_MAX {
        return Err(Error::new(
            ErrorCode::BadRequest,
            format!("the attempt id has more than {ATTEMPT_ID_BYTES_MAX} bytes"),
        ));
    }
    Ok(id.to_owned())
}

/// Clamped, as upstream servers do; a Java client with a full cache asks for odd numbers.
fn batch_size(asked: i32) -> usize {
    usize::try_from(asked).unwrap_or(0).clamp(1, RECEIVE_MESSAGES_MAX)
}

fn per_lite_topic_max(group: &Group, language: Language, messages_max: usize) -> usize {
    if group.options.ordered && !language.keeps_order() { 1 } else { messages_max }
}

/// Lite consumers of some SDKs send no filter; other kinds than tags are refused.
fn filter(expression: Option<&FilterExpression>) -> Result<TagFilter> {
    let Some(expression) = expression else { return Ok(TagFilter::All) };
    if expression.r#type() == FilterType::Sql {
        return Err(Error::new(
            ErrorCode::FilterIllegal,
            "filters in SQL are not implemented; filter by tag",
        ));
    }
    if expression.expression.len() > FILTER_BYTES_MAX {
        return Err(Error::new(
            ErrorCode::FilterIllegal,
            format!("the filter expression has more than {FILTER_BYTES_MAX} bytes"),
        ));
    }
    TagFilter::parse(&expression.expression)
}

/// With automatic renewal the server decides; else the client must, within bounds.
fn invisible(request: &ReceiveMessageRequest) -> Result<DurationMs> {
    if request.auto_renew {
        return Ok(AUTO_RENEW_STEP);
    }
    request
        .invisible_duration
        .as_ref()
        .and_then(read_duration)
        .filter(|asked| (INVISIBLE_MIN..=INVISIBLE_MAX).contains(asked))
        .ok_or_else(|| {
            Error::new(
                ErrorCode::InvisibleDurationIllegal,
                format!("the invisible duration is not {INVISIBLE_MIN} to {INVISIBLE_MAX}"),
            )
        })
}

#[cfg(test)]
mod tests {
    use litemq_domain::{GroupId, GroupName, GroupOptions, Timestamp, TopicId};

    use super::*;

    fn group(ordered: bool) -> Group {
        Group {
            id: GroupId(1),
            name: GroupName::new("workers").unwrap(),
            topic: TopicId(1),
            dead_letter_topic: TopicId(2),
            options: GroupOptions { ordered, ..GroupOptions::default() },
            created_at: Timestamp(0),
        }
    }

    #[test]
    fn a_batch_has_1_to_32_messages() {
        for (asked, given) in [(i32::MIN, 1), (-1, 1), (0, 1), (1, 1), (32, 32), (1000, 32)] {
            assert_eq!(batch_size(asked), given);
        }
    }

    #[test]
    fn in_an_ordered_group_clients_that_do_not_keep_order_get_one_message_of_a_lite_topic() {
        for (ordered, language, most) in [
            (true, Language::Java, 32),
            (true, Language::Go, 32),
            (true, Language::Node, 32),
            (true, Language::Python, 1),
            (true, Language::Other, 1),
            (true, Language::Unknown, 1),
            (false, Language::Python, 32),
            (false, Language::Unknown, 32),
        ] {
            assert_eq!(per_lite_topic_max(&group(ordered), language, 32), most, "{language:?}");
        }
    }

    #[test]
    fn the_server_decides_the_invisible_duration_of_renewed_leases() {
        for seconds in [None, Some(-5), Some(1), Some(100_000)] {
            let request = ReceiveMessageRequest {
                auto_renew: true,
                invisible_duration: seconds
                    .map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
                ..ReceiveMessageRequest::default()
            };
            assert_eq!(invisible(&request).unwrap(), AUTO_RENEW_STEP);
        }
    }

    #[test]
    fn other_clients_choose_10_s_to_12_h() {
        for (seconds, allowed) in [
            (None, false),
            (Some(-1), false),
            (Some(9), false),
            (Some(10), true),
            (Some(12 * 3600), true),
            (Some(12 * 3600 + 1), false),
        ] {
            let request = ReceiveMessageRequest {
                invisible_duration: seconds
                    .map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
                ..ReceiveMessageRequest::default()
            };
            let found = invisible(&request).map_err(|error| error.code);
            assert_eq!(found.is_ok(), allowed, "{seconds:?}");
            assert!(allowed || found == Err(ErrorCode::InvisibleDurationIllegal));
        }
    }

    #[test]
    fn a_missing_filter_and_a_star_want_everything_and_sql_is_refused() {
        let expression = |kind: FilterType, text: &str| FilterExpression {
            r#type: kind.into(),
            expression: text.to_owned(),
        };
        assert_eq!(filter(None).unwrap(), TagFilter::All);
        for kind in [FilterType::Unspecified, FilterType::Tag] {
            assert_eq!(filter(Some(&expression(kind, "*"))).unwrap(), TagFilter::All);
        }
        assert_ne!(filter(Some(&expression(FilterType::Tag, "a||b"))).unwrap(), TagFilter::All);
        for refused in [
            expression(FilterType::Sql, "a > 1"),
            expression(FilterType::Tag, "||"),
            expression(FilterType::Tag, &"t".repeat(FILTER_BYTES_MAX + 1)),
        ] {
            assert_eq!(filter(Some(&refused)).unwrap_err().code, ErrorCode::FilterIllegal);
        }
    }
}
