//! Every metric's name and help text. Names that RocketMQ has mean what they mean there; our own
//! start with `litemq_`. Counters get the suffix `_total` when written.

/// A metric's name and help text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
}

const fn name(name: &'static str, help: &'static str) -> Name {
    Name { name, help }
}

// Counted as it happens.
pub(super) const MESSAGES_IN: Name =
    name("rocketmq_messages_in", "Messages stored durably, by topic");
pub(super) const THROUGHPUT_IN: Name =
    name("rocketmq_throughput_in", "Body bytes stored durably, by topic");
pub(super) const MESSAGE_SIZE: Name =
    name("rocketmq_message_size", "Body bytes of a stored message, by topic");
pub(super) const MESSAGES_OUT: Name =
    name("rocketmq_messages_out", "Messages handed to consumers, by topic and group");
pub(super) const THROUGHPUT_OUT: Name =
    name("rocketmq_throughput_out", "Body bytes handed to consumers, by topic and group");
pub(super) const SEND_TO_DLQ: Name =
    name("rocketmq_send_to_dlq_messages", "Messages that became dead letters, by topic and group");
pub(super) const ACKED: Name =
    name("litemq_acked_messages", "Messages settled by an ack, by topic and group");
pub(super) const REDELIVERED: Name =
    name("litemq_redelivered_messages", "Hand-outs after the first, by topic and group");
pub(super) const DELIVERY_LATENCY: Name =
    name("litemq_delivery_latency_seconds", "From stored to first handed out, by topic and group");
pub(super) const PROCESSING_LATENCY: Name =
    name("litemq_processing_latency_seconds", "From last handed out to acked, by topic and group");
pub(super) const LITE_CREATED: Name =
    name("litemq_lite_topics_created", "Lite topics made by a first send or ahead of it, by topic");
pub(super) const LITE_REMOVED: Name =
    name("litemq_lite_topics_removed", "Lite topics that were deleted, by topic");
pub(super) const LITE_EXPIRED: Name =
    name("litemq_lite_topics_expired", "Lite topics that came to the end of their life, by topic");
pub(super) const ERRORS: Name = name("litemq_errors", "Refused and failed requests, by error code");
pub(super) const CONNECTIONS: Name = name("litemq_connections", "Connections, by door");
pub(super) const CONNECTIONS_REFUSED: Name = name(
    "litemq_connections_refused",
    "Connections closed at once, for there were too many of all or of one address, by door",
);
pub(super) const ACCEPTS_FAILED: Name =
    name("litemq_accepts_failed", "Connections that could not be taken up, by door");
pub(super) const BUILD: Name = name("litemq_build", "The running version");

// Read when asked.
pub(super) const UP: Name = name("rocketmq_proxy_up", "1 while requests can be served");
pub(super) const TOPICS: Name = name("rocketmq_topic_number", "Topics");
pub(super) const GROUPS: Name = name("rocketmq_consumer_group_number", "Consumer groups");
pub(super) const CONSUMERS: Name =
    name("rocketmq_consumer_connections", "Clients subscribed to a lite topic, by topic and group");
pub(super) const IN_FLIGHT: Name = name(
    "rocketmq_consumer_inflight_messages",
    "Messages handed out and not settled, by topic and group",
);
pub(super) const READY: Name = name(
    "rocketmq_consumer_ready_messages",
    "Messages not settled and not in flight, by topic and group",
);
pub(super) const LAG: Name =
    name("rocketmq_consumer_lag_messages", "Messages not settled, by topic and group");
pub(super) const LAG_LATENCY: Name = name(
    "rocketmq_consumer_lag_latency",
    "Milliseconds since the oldest message not settled was stored, by topic and group; 0 is none",
);
pub(super) const LAGGING: Name =
    name("litemq_lagging_lite_topics", "Lite topics with messages not settled, by topic and group");
pub(super) const STORAGE_SIZE: Name = name("rocketmq_storage_size", "Bytes on the disk");
pub(super) const FLUSH_BEHIND: Name =
    name("rocketmq_storage_flush_behind_bytes", "Bytes that wait for a sync");
pub(super) const LITE_LIVE: Name = name("litemq_lite_topics", "Lite topics alive, by topic");
pub(super) const PARKED: Name = name("litemq_parked_receives", "Receives that wait for a message");
pub(super) const CALLS: Name =
    name("litemq_open_calls", "gRPC calls that are open, long polls and Telemetry among them");
pub(super) const REQUEST_BYTES: Name =
    name("litemq_request_bytes", "Bytes of gRPC requests in memory, decoded");
pub(super) const ANSWER_BYTES: Name =
    name("litemq_answer_bytes", "Bytes of gRPC answers that are not written yet");
pub(super) const SESSIONS: Name = name("litemq_sessions", "Clients that are known");
pub(super) const SUBSCRIPTIONS: Name =
    name("litemq_subscriptions", "Pairs of a client and a lite topic that it is subscribed to");
pub(super) const NOTICES: Name =
    name("litemq_notices", "Clients told on their Telemetry streams that a subscription ended");
pub(super) const NOTICES_DROPPED: Name =
    name("litemq_notices_dropped", "The same, not told because no stream was open or read");
pub(super) const TASKS: Name = name("litemq_tasks", "Tasks of the process");
pub(super) const SYNCS: Name = name("litemq_storage_syncs", "Syncs of the log to the disk");
pub(super) const LOG_BYTES: Name =
    name("litemq_storage_log_bytes", "Bytes written to the log, or replayed from it at the start");
pub(super) const COMPACTED_BYTES: Name = name(
    "litemq_storage_compacted_bytes",
    "Bytes of disk given back by writing log segments again without what has ended",
);
pub(super) const CHECKPOINT_BEHIND: Name =
    name("litemq_storage_checkpoint_behind_bytes", "Log bytes that a restart now would replay");
