//! How far a group is behind, and moving it: DescribeGroupAccumulation and ResetGroupOffset.

use std::collections::BTreeMap;

use litemq_domain::{DurationMs, Error, ErrorCode, Group, Result, Timestamp, Topic};
use litemq_protocol::v2;
use v2::describe_group_accumulation_response::GroupAccumulation;

use super::super::limits::ACCUMULATION_NAMES_MAX;
use super::super::reply;
use super::super::resource::{client_name, find_bound, find_group, full_name_in};
use super::super::wiretime::{duration, is_legal, read_timestamp};
use super::consumers::topic_of;
use super::{Administration, Administrator};
use crate::broker::{Broker, LiteTopicInfo, Start, TopBy};

/// How far a group is behind in one lite topic, or in all together.
pub(super) async fn accumulation(
    admin: &Administration,
    asker: &Administrator,
    request: v2::DescribeGroupAccumulationRequest,
) -> Result<v2::DescribeGroupAccumulationResponse> {
    let _place = admin.search()?;
    let broker = admin.broker();
    let group = find_group(broker, &full_name_in(&asker.namespace, request.group.as_ref()))?;
    let topic = topic_of(broker, asker, &group, request.topics.first())?;
    for other in request.topics.iter().skip(1) {
        topic_of(broker, asker, &group, Some(other))?;
    }
    let (whole, lite_topics) = match request.lite_topic.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => {
            let behind = in_one(broker, &topic, &group, name).await?;
            (behind, BTreeMap::from([(name.to_owned(), behind.of_wire())]))
        }
        None => in_all(broker, &group).await?,
    };
    let topic = client_name(&asker.namespace, topic.name.as_str()).to_owned();
    Ok(v2::DescribeGroupAccumulationResponse {
        status: Some(reply::ok()),
        accumulation: Some(whole.of_wire()),
        topic_accumulation: BTreeMap::from([(topic, whole.of_wire())]),
        lite_topic_accumulation: lite_topics,
    })
}

/// Moves a group to a moment in all lite topics that it consumes.
pub(super) async fn reset(
    admin: &Administration,
    asker: &Administrator,
    request: v2::ResetGroupOffsetRequest,
) -> Result<v2::ResetGroupOffsetResponse> {
    let _place = admin.search()?;
    let topic = full_name_in(&asker.namespace, request.topic.as_ref());
    let group = full_name_in(&asker.namespace, request.group.as_ref());
    let (_, group) = find_bound(admin.broker(), &topic, &group)?;
    let moment = request.reset_timestamp.filter(is_legal).ok_or_else(|| {
        Error::new(
            ErrorCode::BadRequest,
            "the reset timestamp is missing, before 1970, or its nanoseconds are not below a second",
        )
    })?;
    let start = Start::Time(read_timestamp(&moment));
    admin.broker().reset_group(group.name.as_str(), None, start).await?;
    Ok(v2::ResetGroupOffsetResponse { status: Some(reply::ok()) })
}

/// Messages that a group has not settled.
#[derive(Debug, Clone, Copy, Default)]
struct Behind {
    in_flight: u64,
    ready: u64,
    /// How long the first message that is ready has been there; where several lite topics are told of,
    /// how long the oldest that is not settled has. `None` when nothing is ready.
    delay: Option<DurationMs>,
}

impl Behind {
    fn of_wire(self) -> GroupAccumulation {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        GroupAccumulation {
            inflight_messages: count(self.in_flight),
            ready_messages: count(self.ready),
            accumulation: count(self.in_flight.saturating_add(self.ready)),
            deliver_delay_time: self.delay.map(duration),
            // Kept of a lite topic, not of each of its groups.
            last_consume_timestamp: 0,
        }
    }
}

async fn in_one(broker: &Broker, topic: &Topic, group: &Group, name: &str) -> Result<Behind> {
    let lite = broker.describe_lite(topic.name.as_str(), name).await?;
    let Some(mut behind) = behind(&lite, group) else { return Ok(Behind::default()) };
    if behind.ready > 0 {
        // What is in flight was handed out before it.
        let first = lite.next_offset.saturating_sub(behind.ready);
        let found = broker.peek(topic.name.as_str(), name, Some(first), 1).await?;
        behind.delay = found.first().map(|message| broker.now().since(message.stored_at));
    }
    Ok(behind)
}

/// All of it, as it is counted anyway, and the lite topics that have most of it.
async fn in_all(
    broker: &Broker,
    group: &Group,
) -> Result<(Behind, BTreeMap<String, GroupAccumulation>)> {
    let name = group.name.as_str();
    let stats = broker.group_stats(name, TopBy::Lag, ACCUMULATION_NAMES_MAX).await?;
    let now = broker.now();
    let behind = |in_flight, ready, oldest_at: Option<Timestamp>| {
        // When nothing is ready, nothing waits to be delivered.
        let delay = oldest_at.filter(|_| ready > 0).map(|at| now.since(at));
        Behind { in_flight, ready, delay }
    };
    let backlog = stats.backlog;
    let whole = behind(backlog.in_flight, backlog.ready(), backlog.oldest_at);
    let most = stats.top.into_iter().map(|lite| {
        let ready = lite.lag.saturating_sub(lite.in_flight);
        let behind = behind(lite.in_flight, ready, lite.oldest_at);
        (lite.name.as_str().to_owned(), behind.of_wire())
    });
    Ok((whole, most.collect()))
}

fn behind(lite: &LiteTopicInfo, group: &Group) -> Option<Behind> {
    let found = lite.groups.iter().find(|found| found.group == group.name)?;
    Some(Behind { in_flight: found.in_flight, ready: found.ready, delay: None })
}
