//! Gauges, read from the broker when somebody asks.

use litemq_domain::{GroupName, TopicName};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::metrics::{GroupLabels, TopicLabel, registered};
use super::names::{self, Name};

/// The state of a node at one moment. `None` is not known and not shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Whether requests can be served.
    pub up: bool,
    /// Each topic.
    pub topics: Vec<TopicGauges>,
    /// Each group.
    pub groups: Vec<GroupGauges>,
    /// Producers that are connected.
    pub producers: Option<u64>,
    /// Open gRPC connections.
    pub connections: Option<u64>,
    /// Receives that wait for a message.
    pub parked_receives: Option<u64>,
    /// Bytes on the disk.
    pub storage_bytes: Option<u64>,
    /// Bytes that wait for a sync.
    pub unsynced_bytes: Option<u64>,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicGauges {
    /// The topic.
    pub topic: TopicName,
    /// Its lite topics.
    pub lite_topics: u64,
}

/// One group. `None` is not known and not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupGauges {
    /// The parent topic.
    pub topic: TopicName,
    /// The group.
    pub group: GroupName,
    /// Consumers that are connected.
    pub consumers: Option<u64>,
    /// Lite topics subscribed to, summed over clients.
    pub subscriptions: Option<u64>,
    /// Messages handed out and not settled.
    pub in_flight: Option<u64>,
    /// Messages not handed out yet.
    pub ready: Option<u64>,
}

impl Snapshot {
    /// The gauges as metrics.
    pub(super) fn registry(&self) -> Registry {
        let mut registry = Registry::default();
        let count = |items: usize| Some(u64::try_from(items).unwrap_or(u64::MAX));
        gauge(&mut registry, names::UP, Some(u64::from(self.up)));
        gauge(&mut registry, names::TOPICS, count(self.topics.len()));
        gauge(&mut registry, names::GROUPS, count(self.groups.len()));
        gauge(&mut registry, names::PRODUCERS, self.producers);
        gauge(&mut registry, names::CONNECTIONS, self.connections);
        gauge(&mut registry, names::PARKED, self.parked_receives);
        gauge(&mut registry, names::STORAGE_SIZE, self.storage_bytes);
        gauge(&mut registry, names::FLUSH_BEHIND, self.unsynced_bytes);

        let lite: Family<TopicLabel, Gauge> =
            registered(&mut registry, names::LITE_LIVE, Family::default());
        for row in &self.topics {
            let label = TopicLabel(row.topic.clone());
            lite.get_or_create(&label).set(gauge_value(row.lite_topics));
        }
        self.by_group(&mut registry, names::CONSUMERS, |row| row.consumers);
        self.by_group(&mut registry, names::SUBSCRIPTIONS, |row| row.subscriptions);
        self.by_group(&mut registry, names::IN_FLIGHT, |row| row.in_flight);
        self.by_group(&mut registry, names::READY, |row| row.ready);
        registry
    }

    fn by_group(
        &self,
        registry: &mut Registry,
        name: Name,
        value: fn(&GroupGauges) -> Option<u64>,
    ) {
        let family: Family<GroupLabels, Gauge> = registered(registry, name, Family::default());
        for row in &self.groups {
            if let Some(value) = value(row) {
                let labels = GroupLabels { topic: row.topic.clone(), group: row.group.clone() };
                family.get_or_create(&labels).set(gauge_value(value));
            }
        }
    }
}

fn gauge(registry: &mut Registry, name: Name, value: Option<u64>) {
    if let Some(value) = value {
        registered(registry, name, Gauge::<i64>::default()).set(gauge_value(value));
    }
}

fn gauge_value(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Metrics;

    #[test]
    fn what_is_not_known_is_not_shown() {
        let snapshot = Snapshot {
            up: true,
            groups: vec![GroupGauges {
                topic: TopicName::new("chat").unwrap(),
                group: GroupName::new("bots").unwrap(),
                consumers: Some(3),
                subscriptions: None,
                in_flight: None,
                ready: None,
            }],
            ..Snapshot::default()
        };
        let text = Metrics::new().render(&snapshot).unwrap();
        assert!(text.contains("rocketmq_proxy_up 1\n"), "{text}");
        assert!(text.contains("rocketmq_consumer_group_number 1\n"), "{text}");
        assert!(
            text.contains(
                "rocketmq_consumer_connections{topic=\"chat\",consumer_group=\"bots\"} 3\n"
            )
        );
        assert!(!text.contains("rocketmq_storage_size"), "{text}");
        assert!(!text.contains("litemq_subscriptions{"), "{text}");
    }
}
