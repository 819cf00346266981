//! Counters and histograms, counted as things happen.
//!
//! The hot path holds a [`TopicMetrics`] or [`GroupMetrics`] beside its topic or group: counting
//! is an atomic addition, without a lookup and without an allocation.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use litemq_domain::{DurationMs, ErrorCode, GroupName, TopicName};
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use super::door::{DoorFamilies, DoorMetrics};
use super::names::{self, Name};
use super::snapshot::Snapshot;

/// All metrics of a node.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    topics: TopicFamilies,
    groups: GroupFamilies,
    doors: DoorFamilies,
    errors: BTreeMap<ErrorCode, Counter>,
}

/// The counters of one topic. A clone counts into the same counters.
#[derive(Debug, Clone)]
pub struct TopicMetrics {
    messages_in: Counter,
    bytes_in: Counter,
    message_size: Histogram,
    lite_created: Counter,
    lite_removed: Counter,
    lite_expired: Counter,
}

/// The counters of one group at its topic. A clone counts into the same counters.
#[derive(Debug, Clone)]
pub struct GroupMetrics {
    messages_out: Counter,
    bytes_out: Counter,
    redelivered: Counter,
    acked: Counter,
    dead_letters: Counter,
    delivery_latency: Histogram,
    processing_latency: Histogram,
}

/// How an error code is written in JSON and as a label: `LITE_TOPIC_ILLEGAL`.
pub fn code_name(code: ErrorCode) -> &'static str {
    static NAMES: LazyLock<BTreeMap<ErrorCode, String>> = LazyLock::new(|| {
        ErrorCode::ALL.into_iter().map(|code| (code, upper_snake(&format!("{code:?}")))).collect()
    });
    NAMES.get(&code).map_or("INTERNAL", String::as_str)
}

impl Metrics {
    /// Metrics that are all zero.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let topics = TopicFamilies::register(&mut registry);
        let groups = GroupFamilies::register(&mut registry);
        let doors = DoorFamilies::register(&mut registry);
        let by_code = registered(&mut registry, names::ERRORS, Family::<CodeLabel, _>::default());
        let errors = ErrorCode::ALL.into_iter();
        let errors = errors.map(|code| (code, by_code.get_or_create_owned(&CodeLabel(code))));
        let errors = errors.collect();
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register(names::BUILD.name, names::BUILD.help, build);
        Self { registry, topics, groups, doors, errors }
    }

    /// The counters of a topic, to be kept beside it.
    pub fn topic(&self, topic: &TopicName) -> TopicMetrics {
        self.topics.of(&TopicLabel(topic.clone()))
    }

    /// The counters of a group, to be kept beside it.
    pub fn group(&self, topic: &TopicName, group: &GroupName) -> GroupMetrics {
        self.groups.of(&GroupLabels { topic: topic.clone(), group: group.clone() })
    }

    /// The counters of a door, `grpc` or `http`.
    pub fn door(&self, name: &'static str) -> DoorMetrics {
        self.doors.of(name)
    }

    /// A topic was deleted: its counters are no longer shown.
    pub fn forget_topic(&self, topic: &TopicName) {
        self.topics.forget(&TopicLabel(topic.clone()));
    }

    /// A group was deleted: its counters are no longer shown.
    pub fn forget_group(&self, topic: &TopicName, group: &GroupName) {
        self.groups.forget(&GroupLabels { topic: topic.clone(), group: group.clone() });
    }

    /// A request was refused or failed.
    pub fn error(&self, code: ErrorCode) {
        if let Some(counter) = self.errors.get(&code) {
            counter.inc();
        }
    }

    /// Everything in the OpenMetrics text format.
    ///
    /// # Errors
    /// Never; the type is that of [`fmt::Write`].
    pub fn render(&self, snapshot: &Snapshot) -> Result<String, fmt::Error> {
        let mut out = String::new();
        encode_registry(&mut out, &self.registry)?;
        encode_registry(&mut out, &snapshot.registry())?;
        encode_eof(&mut out)?;
        Ok(out)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl TopicMetrics {
    /// Messages so far.
    pub fn messages(&self) -> u64 {
        self.messages_in.get()
    }

    /// A message with this many body bytes is durable.
    pub fn message_in(&self, body_bytes: u64) {
        self.messages_in.inc();
        self.bytes_in.inc_by(body_bytes);
        self.message_size.observe(body_bytes as f64);
    }

    /// A first send made a lite topic.
    pub fn lite_topic_created(&self) {
        self.lite_created.inc();
    }

    /// A lite topic was deleted.
    pub fn lite_topic_removed(&self) {
        self.lite_removed.inc();
    }

    /// A lite topic came to the end of its life.
    pub fn lite_topic_expired(&self) {
        self.lite_expired.inc();
    }
}

impl GroupMetrics {
    /// Messages handed out so far.
    pub fn messages(&self) -> u64 {
        self.messages_out.get()
    }

    /// A message with this many body bytes was handed out, for the `attempt`-th time, from 1.
    pub fn message_out(&self, body_bytes: u64, attempt: u32) {
        self.messages_out.inc();
        self.bytes_out.inc_by(body_bytes);
        if attempt > 1 {
            self.redelivered.inc();
        }
    }

    /// A message was settled by an ack.
    pub fn acked(&self) {
        self.acked.inc();
    }

    /// A message was handed out for the first time, so long after it was stored.
    pub fn delivered(&self, waited: DurationMs) {
        self.delivery_latency.observe(seconds(waited));
    }

    /// A message was acked, so long after it was handed out.
    pub fn processed(&self, took: DurationMs) {
        self.processing_latency.observe(seconds(took));
    }

    /// A message became a dead letter.
    pub fn dead_letter(&self) {
        self.dead_letters.inc();
    }
}

/// Registers a metric and gives it back.
pub(super) fn registered<M: Metric + Clone>(registry: &mut Registry, name: Name, metric: M) -> M {
    registry.register(name.name, name.help, metric.clone());
    metric
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TopicLabel(pub(super) TopicName);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct GroupLabels {
    pub(super) topic: TopicName,
    pub(super) group: GroupName,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct CodeLabel(ErrorCode);

impl EncodeLabelSet for TopicLabel {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("topic", self.0.as_str()).encode(encoder.encode_label())
    }
}

impl EncodeLabelSet for GroupLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("topic", self.topic.as_str()).encode(encoder.encode_label())?;
        ("consumer_group", self.group.as_str()).encode(encoder.encode_label())
    }
}

impl EncodeLabelSet for CodeLabel {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("code", code_name(self.0)).encode(encoder.encode_label())
    }
}

#[derive(Debug)]
struct TopicFamilies {
    messages_in: Family<TopicLabel, Counter>,
    bytes_in: Family<TopicLabel, Counter>,
    message_size: Family<TopicLabel, Histogram, fn() -> Histogram>,
    lite_created: Family<TopicLabel, Counter>,
    lite_removed: Family<TopicLabel, Counter>,
    lite_expired: Family<TopicLabel, Counter>,
}

impl TopicFamilies {
    fn register(registry: &mut Registry) -> Self {
        let size: Family<_, _, fn() -> Histogram> = Family::new_with_constructor(size_histogram);
        Self {
            messages_in: registered(registry, names::MESSAGES_IN, Family::default()),
            bytes_in: registered(registry, names::THROUGHPUT_IN, Family::default()),
            message_size: registered(registry, names::MESSAGE_SIZE, size),
            lite_created: registered(registry, names::LITE_CREATED, Family::default()),
            lite_removed: registered(registry, names::LITE_REMOVED, Family::default()),
            lite_expired: registered(registry, names::LITE_EXPIRED, Family::default()),
        }
    }

    fn of(&self, label: &TopicLabel) -> TopicMetrics {
        TopicMetrics {
            messages_in: self.messages_in.get_or_create_owned(label),
            bytes_in: self.bytes_in.get_or_create_owned(label),
            message_size: self.message_size.get_or_create_owned(label),
            lite_created: self.lite_created.get_or_create_owned(label),
            lite_removed: self.lite_removed.get_or_create_owned(label),
            lite_expired: self.lite_expired.get_or_create_owned(label),
        }
    }

    fn forget(&self, label: &TopicLabel) {
        self.messages_in.remove(label);
        self.bytes_in.remove(label);
        self.message_size.remove(label);
        self.lite_created.remove(label);
        self.lite_removed.remove(label);
        self.lite_expired.remove(label);
    }
}

#[derive(Debug)]
struct GroupFamilies {
    messages_out: Family<GroupLabels, Counter>,
    bytes_out: Family<GroupLabels, Counter>,
    redelivered: Family<GroupLabels, Counter>,
    acked: Family<GroupLabels, Counter>,
    dead_letters: Family<GroupLabels, Counter>,
    delivery_latency: Family<GroupLabels, Histogram, fn() -> Histogram>,
    processing_latency: Family<GroupLabels, Histogram, fn() -> Histogram>,
}

impl GroupFamilies {
    fn register(registry: &mut Registry) -> Self {
        let latency = || -> Family<_, _, fn() -> Histogram> {
            Family::new_with_constructor(latency_histogram)
        };
        Self {
            messages_out: registered(registry, names::MESSAGES_OUT, Family::default()),
            bytes_out: registered(registry, names::THROUGHPUT_OUT, Family::default()),
            redelivered: registered(registry, names::REDELIVERED, Family::default()),
            acked: registered(registry, names::ACKED, Family::default()),
            dead_letters: registered(registry, names::SEND_TO_DLQ, Family::default()),
            delivery_latency: registered(registry, names::DELIVERY_LATENCY, latency()),
            processing_latency: registered(registry, names::PROCESSING_LATENCY, latency()),
        }
    }

    fn of(&self, labels: &GroupLabels) -> GroupMetrics {
        GroupMetrics {
            messages_out: self.messages_out.get_or_create_owned(labels),
            bytes_out: self.bytes_out.get_or_create_owned(labels),
            redelivered: self.redelivered.get_or_create_owned(labels),
            acked: self.acked.get_or_create_owned(labels),
            dead_letters: self.dead_letters.get_or_create_owned(labels),
            delivery_latency: self.delivery_latency.get_or_create_owned(labels),
            processing_latency: self.processing_latency.get_or_create_owned(labels),
        }
    }

    fn forget(&self, labels: &GroupLabels) {
        self.messages_out.remove(labels);
        self.bytes_out.remove(labels);
        self.redelivered.remove(labels);
        self.acked.remove(labels);
        self.dead_letters.remove(labels);
        self.delivery_latency.remove(labels);
        self.processing_latency.remove(labels);
    }
}

/// 256 bytes to 4 MiB, the largest body.
fn size_histogram() -> Histogram {
    Histogram::new(exponential_buckets(256.0, 4.0, 8))
}

/// 1 ms to 4.7 hours.
fn latency_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 4.0, 13))
}

fn seconds(span: DurationMs) -> f64 {
    span.0 as f64 / 1000.0
}

fn upper_snake(camel: &str) -> String {
    let mut name = String::with_capacity(camel.len() + 8);
    for c in camel.chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_counts_into_the_metrics_of_its_topic_and_group() {
        let metrics = Metrics::new();
        let topic = TopicName::new("chat").unwrap();
        let group = GroupName::new("bots").unwrap();
        metrics.topic(&topic).message_in(300);
        metrics.topic(&topic).clone().message_in(5);
        metrics.group(&topic, &group).message_out(300, 2);
        metrics.error(ErrorCode::TopicNotFound);
        let text = metrics.render(&Snapshot::default()).unwrap();
        for line in [
            "rocketmq_messages_in_total{topic=\"chat\"} 2",
            "rocketmq_throughput_in_total{topic=\"chat\"} 305",
            "rocketmq_message_size_bucket{le=\"256.0\",topic=\"chat\"} 1",
            "rocketmq_messages_out_total{topic=\"chat\",consumer_group=\"bots\"} 1",
            "litemq_redelivered_messages_total{topic=\"chat\",consumer_group=\"bots\"} 1",
            "litemq_errors_total{code=\"TOPIC_NOT_FOUND\"} 1",
            "litemq_errors_total{code=\"INTERNAL\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in:\n{text}");
        }
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn a_forgotten_topic_is_no_longer_shown() {
        let metrics = Metrics::new();
        let topic = TopicName::new("gone").unwrap();
        metrics.topic(&topic).message_in(1);
        metrics.forget_topic(&topic);
        assert!(!metrics.render(&Snapshot::default()).unwrap().contains("gone"));
    }

    #[test]
    fn code_names_are_upper_case_words_and_all_different() {
        assert_eq!(code_name(ErrorCode::LiteTopicIllegal), "LITE_TOPIC_ILLEGAL");
        let mut names: Vec<_> = ErrorCode::ALL.into_iter().map(code_name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorCode::ALL.len());
    }
}
