//! Bounds of the broker's queues and waits.

use std::time::Duration;

use litemq_domain::limits::{BODY_BYTES_MAX, PROPERTIES_BYTES_MAX};

/// Commands waiting for a shard.
pub const SHARD_QUEUE_COMMANDS: usize = 4096;
/// Commands a shard takes up before it makes their effects durable together.
pub const SHARD_CYCLE_COMMANDS: usize = 512;
/// Payload bytes a shard takes up before it makes their effects durable together.
pub const SHARD_CYCLE_BYTES: usize = 4 << 20;
/// Answers of a shard that wait for the disk. With more, requests are refused.
pub const PENDING_ANSWERS_MAX: usize = 1 << 18;
/// How often a shard offers a full store what it could not take.
pub const STALL_RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// Longest wait of a send for a place among the bytes in flight.
pub const ADMISSION_WAIT: Duration = Duration::from_secs(1);
/// Payload bytes of one receive; the first message is handed out whatever its size.
pub const RECEIVE_BYTES_MAX: usize = 16 << 20;
/// Payload of the largest message: a receive takes at least so much of the bytes of all answers before
/// it reads.
pub const PAYLOAD_BYTES_MAX: usize = BODY_BYTES_MAX + PROPERTIES_BYTES_MAX + (64 << 10);
/// A receive takes no more than this part of what is left of the bytes of all answers.
pub const ANSWER_LEFT_PART: usize = 8;
/// How often a receive looks whether there is room for its answer again.
pub const ANSWER_RETRY_INTERVAL: Duration = Duration::from_millis(20);
/// Payload bytes of one peek; the first message is shown whatever its size.
pub const PEEK_BYTES_MAX: usize = 4 << 20;
/// Messages of one peek.
pub const PEEK_MESSAGES_MAX: usize = 1000;
/// Messages looked at by one peek for those that are wanted.
pub const SCAN_MESSAGES_MAX: usize = 10_000;
/// Payload bytes read by one peek for messages that are wanted.
pub const SCAN_BYTES_MAX: usize = 16 << 20;
/// Lite topics of one look at how far a group is.
pub const LAGGING_TOP_MAX: usize = 100;
/// Messages read at once for when they were stored.
pub const AGE_READS_MAX: usize = 128;
/// How often that is done to find the oldest of a group in a shard.
pub const AGE_ROUNDS_MAX: usize = 4;
/// Groups of a shard for which that is done when metrics are read; the others come next time.
pub const SCRAPE_AGES_MAX: usize = 16;
/// Dead letters sent again by one request.
pub const RESEND_LETTERS_MAX: usize = 1000;
/// Bytes of the trace of what happened to messages, when the configuration does not say.
pub const TRACE_BYTES_MAX: usize = 32 << 20;
/// Events of a shard's trace looked at in one step, between which it serves others.
pub const TRACE_EVENTS_PER_STEP: u64 = 16_384;
/// Messages of one answer about a trace.
pub const TRACE_MESSAGES_MAX: usize = 16;
/// Events of one message in an answer about a trace; of more the newest are told.
pub const TRACE_EVENTS_MAX: usize = 1000;
/// Longest wait of one receive.
pub const RECEIVE_WAIT_MAX: Duration = Duration::from_secs(60);
/// How long beyond its own wait a receive waits for its claim to become durable. SDKs give up 3 s
/// after the wait.
pub const CLAIM_WAIT_MAX: Duration = Duration::from_secs(2);
/// How long a client's ready flags are trusted; its next receive looks at every shard. Shorter than the
/// polls of SDKs (20 s), so that a wake-up that got lost costs one of them.
pub const READY_TRUST_MAX: Duration = Duration::from_secs(15);
/// Receives that may wait at a time.
pub const PARKED_RECEIVES_MAX: usize = 200_000;
/// Calls open at a time when the configuration does not say, long polls and Telemetry streams among
/// them.
pub const CALLS_MAX: usize = 200_000;
/// Bytes of answers that their clients have not read, when the configuration does not say.
pub const ANSWER_BYTES_MAX: usize = 256 << 20;
/// Clients known at a time when the configuration does not say.
pub const SESSIONS_MAX: usize = 200_000;
/// How much one client address may have of what all share, when the configuration does not say.
pub const ADDRESS_SHARE_PERCENT: u8 = 50;
/// Notices that wait for one client to read them on its Telemetry stream; more are dropped.
pub const NOTICES_MAX: usize = 256;
/// What a notice with its name takes while it waits, bytes; it counts among the unread answers.
pub const NOTICE_BYTES: usize = 256;
/// Sessions looked at in one step of a sweep, between which others may change them.
pub const SESSIONS_PER_STEP: usize = 1024;
/// Names of a subscription that a shard takes up in one step, between which it serves others.
pub const SYNC_NAMES_PER_STEP: usize = 1024;
/// Shards of a node; a client's ready flags are one word.
pub const SHARDS_MAX: u16 = 64;

/// A client without stream, poll or call for so long is gone: its subscriptions end.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(90);
/// A client whose connections all closed has so long to come back before what it holds is handed
/// to others.
pub const DISCONNECT_GRACE: Duration = Duration::from_secs(1);
/// How long a full sync without a name does not take it away after it was added by name. Longer
/// than a call may take (3 s in every SDK), shorter than the period of full syncs (30 s).
pub const FULL_SYNC_RACE_WINDOW: Duration = Duration::from_secs(5);
/// How often sessions are looked through.
pub const SESSION_SWEEP_INTERVAL: Duration = Duration::from_millis(250);
/// Slots of a shard written to a checkpoint between two of its commands.
pub const CHECKPOINT_SLOTS_PER_STEP: u32 = 1024;
/// How often the conditions for a checkpoint and for retention are looked at.
pub const UPKEEP_INTERVAL: Duration = Duration::from_secs(1);
