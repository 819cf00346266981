//! Gauges, read from the broker when somebody asks.

use litemq_domain::{GroupName, TopicName};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::metrics::{GroupLabels, TopicLabel, registered};
use super::names::{self, Name};

/// The state of a node at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Whether requests can be served.
    pub up: bool,
    /// Each topic.
    pub topics: Vec<TopicGauges>,
    /// Each group.
    pub groups: Vec<GroupGauges>,
    /// Receives that wait for a message.
    pub parked_receives: u64,
    /// gRPC calls that are open.
    pub calls: u64,
    /// Bytes of gRPC requests in memory, decoded.
    pub request_bytes: u64,
    /// Bytes of gRPC answers that are not written yet.
    pub answer_bytes: u64,
    /// Clients that are known.
    pub sessions: u64,
    /// Pairs of a client and a lite topic.
    pub subscriptions: u64,
    /// Clients told that a subscription ended, since the start.
    pub notices: u64,
    /// The same, not told.
    pub notices_dropped: u64,
    /// Tasks of the process.
    pub tasks: u64,
    /// Bytes on the disk.
    pub storage_bytes: u64,
    /// Bytes that wait for a sync.
    pub unsynced_bytes: u64,
    /// Syncs since the start.
    pub syncs: u64,
    /// Log bytes written since the start, those that it replayed among them.
    pub log_bytes: u64,
    /// Bytes of disk given back by compaction since the start.
    pub compacted_bytes: u64,
    /// Log bytes written since the last checkpoint.
    pub log_bytes_since_checkpoint: u64,
}

/// A gauge of a group and where its value is.
type OfGroup = (Name, fn(&GroupGauges) -> u64);

const OF_GROUPS: [OfGroup; 6] = [
    (names::CONSUMERS, |row| row.consumers),
    (names::IN_FLIGHT, |row| row.in_flight),
    (names::READY, |row| row.ready),
    (names::LAG, |row| row.ready + row.in_flight),
    (names::LAGGING, |row| row.lagging),
    (names::LAG_LATENCY, |row| row.oldest_ms),
];

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicGauges {
    /// The topic.
    pub topic: TopicName,
    /// Its lite topics.
    pub lite_topics: u64,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupGauges {
    /// The parent topic.
    pub topic: TopicName,
    /// The group.
    pub group: GroupName,
    /// Clients that are subscribed to at least one lite topic.
    pub consumers: u64,
    /// Messages handed out and not settled.
    pub in_flight: u64,
    /// Messages not settled and not in flight.
    pub ready: u64,
    /// Lite topics with messages not settled.
    pub lagging: u64,
    /// How long ago the oldest message not settled was stored; 0 is none.
    pub oldest_ms: u64,
}

impl Snapshot {
    /// The gauges as metrics.
    pub(super) fn registry(&self) -> Registry {
        let mut registry = Registry::default();
        gauge(&mut registry, names::UP, u64::from(self.up));
        gauge(&mut registry, names::TOPICS, self.topics.len() as u64);
        gauge(&mut registry, names::GROUPS, self.groups.len() as u64);
        gauge(&mut registry, names::PARKED, self.parked_receives);
        gauge(&mut registry, names::CALLS, self.calls);
        gauge(&mut registry, names::REQUEST_BYTES, self.request_bytes);
        gauge(&mut registry, names::ANSWER_BYTES, self.answer_bytes);
        gauge(&mut registry, names::SESSIONS, self.sessions);
        gauge(&mut registry, names::SUBSCRIPTIONS, self.subscriptions);
        gauge(&mut registry, names::TASKS, self.tasks);
        gauge(&mut registry, names::STORAGE_SIZE, self.storage_bytes);
        gauge(&mut registry, names::FLUSH_BEHIND, self.unsynced_bytes);
        gauge(&mut registry, names::CHECKPOINT_BEHIND, self.log_bytes_since_checkpoint);
        for (name, count) in [
            (names::SYNCS, self.syncs),
            (names::LOG_BYTES, self.log_bytes),
            (names::COMPACTED_BYTES, self.compacted_bytes),
            (names::NOTICES, self.notices),
            (names::NOTICES_DROPPED, self.notices_dropped),
        ] {
            registered(&mut registry, name, Counter::<u64>::default()).inc_by(count);
        }

        let lite: Family<TopicLabel, Gauge> =
            registered(&mut registry, names::LITE_LIVE, Family::default());
        for row in &self.topics {
            let label = TopicLabel(row.topic.clone());
            lite.get_or_create(&label).set(gauge_value(row.lite_topics));
        }
        for (name, value) in OF_GROUPS {
            let family: Family<GroupLabels, Gauge> =
                registered(&mut registry, name, Family::default());
            for row in &self.groups {
                let labels = GroupLabels { topic: row.topic.clone(), group: row.group.clone() };
                family.get_or_create(&labels).set(gauge_value(value(row)));
            }
        }
        registry
    }
}

fn gauge(registry: &mut Registry, name: Name, value: u64) {
    registered(registry, name, Gauge::<i64>::default()).set(gauge_value(value));
}

fn gauge_value(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Metrics;

    #[test]
    fn gauges_carry_topic_and_group() {
        let snapshot = Snapshot {
            up: true,
            syncs: 7,
            log_bytes: 4096,
            compacted_bytes: 512,
            groups: vec![GroupGauges {
                topic: TopicName::new("chat").unwrap(),
                group: GroupName::new("bots").unwrap(),
                consumers: 3,
                in_flight: 2,
                ready: 5,
                lagging: 4,
                oldest_ms: 1500,
            }],
            ..Snapshot::default()
        };
        let text = Metrics::new().render(&snapshot).unwrap();
        for line in [
            "rocketmq_proxy_up 1",
            "rocketmq_consumer_group_number 1",
            "rocketmq_consumer_connections{topic=\"chat\",consumer_group=\"bots\"} 3",
            "rocketmq_consumer_inflight_messages{topic=\"chat\",consumer_group=\"bots\"} 2",
            "rocketmq_consumer_ready_messages{topic=\"chat\",consumer_group=\"bots\"} 5",
            "rocketmq_consumer_lag_messages{topic=\"chat\",consumer_group=\"bots\"} 7",
            "rocketmq_consumer_lag_latency{topic=\"chat\",consumer_group=\"bots\"} 1500",
            "litemq_lagging_lite_topics{topic=\"chat\",consumer_group=\"bots\"} 4",
            "litemq_storage_syncs_total 7",
            "litemq_storage_log_bytes_total 4096",
            "litemq_storage_compacted_bytes_total 512",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in:\n{text}");
        }
    }
}
