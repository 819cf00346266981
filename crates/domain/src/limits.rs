//! Every limit of the broker's rules, with its unit. What a configuration may change lives in
//! [`crate::Group`] and [`crate::Topic`]; these are the bounds around it.

use crate::time::DurationMs;

/// Lite topic name, UTF-8 bytes.
pub const LITE_TOPIC_BYTES_MAX: usize = 64;
/// Topic name, characters.
pub const TOPIC_CHARS_MAX: usize = 127;
/// Consumer group name, characters.
pub const GROUP_CHARS_MAX: usize = 120;
/// Client id, bytes; the official SDKs make about 60.
pub const CLIENT_ID_BYTES_MAX: usize = 255;

/// User name, which is an access key, characters.
pub const USER_CHARS_MAX: usize = 64;
/// Shortest secret of a user, bytes.
pub const SECRET_BYTES_MIN: usize = 8;
/// Longest secret of a user, bytes: a block of SHA-1.
pub const SECRET_BYTES_MAX: usize = 64;
/// Users.
pub const USERS_MAX: usize = 10_000;
/// Policies of one user; a request may look at each of them for each of its names.
pub const POLICIES_PER_USER_MAX: usize = 256;

/// Message body, bytes.
pub const BODY_BYTES_MAX: usize = 4 << 20;
/// User properties of a message.
pub const USER_PROPERTIES_MAX: usize = 128;
/// User property keys and values, tag and keys of a message together, bytes.
pub const PROPERTIES_BYTES_MAX: usize = 16 << 10;
/// Message group, bytes; one less is allowed.
pub const MESSAGE_GROUP_BYTES_MAX: usize = 64;
/// Messages of one send request.
pub const SEND_MESSAGES_MAX: usize = 1024;

/// Messages handed out by one receive.
pub const RECEIVE_MESSAGES_MAX: usize = 32;
/// Messages of one (group, lite topic) that may be handed out and unsettled at a time in an
/// ordered group: one batch.
pub const ORDERED_RUN_MAX: usize = RECEIVE_MESSAGES_MAX;
/// The same in a group without order.
pub const UNORDERED_RUN_MAX: usize = 256;

/// Shortest invisible duration of a receive.
pub const INVISIBLE_MIN: DurationMs = DurationMs::from_secs(10);
/// Longest invisible duration of a receive or change.
pub const INVISIBLE_MAX: DurationMs = DurationMs::from_hours(12);
/// Longest suspension, as long as a lite topic can live without a message; a longer one is shortened.
pub const SUSPEND_MAX: DurationMs = DurationMs::from_hours(30 * 24);
/// Invisible duration of a receive with automatic renewal; the lease is then renewed by as much.
pub const AUTO_RENEW_STEP: DurationMs = DurationMs::from_secs(60);
/// How long a lease is renewed at most, from the delivery on.
pub const AUTO_RENEW_MAX: DurationMs = DurationMs::from_hours(3);
/// After a restart a renewed lease lives at least this long, so that its client can come back.
pub const RESTART_GRACE: DurationMs = DurationMs::from_secs(30);

/// Delivery attempts of a message when the group does not say.
pub const MAX_ATTEMPTS_DEFAULT: u16 = 17;
/// Most delivery attempts a group may ask for.
pub const MAX_ATTEMPTS_MAX: u16 = 1000;
/// Longest span after which a client tries a failed message again.
pub const BACKOFF_MAX: DurationMs = DurationMs::from_hours(2);
/// Spans of a group's back-off.
pub const BACKOFF_SPANS_MAX: usize = 64;
/// Lite topics one client of a group may subscribe to when the group does not say.
pub const CLIENT_QUOTA_DEFAULT: u32 = 2000;
/// Names in one subscription sync, whatever the quota.
pub const SYNC_NAMES_MAX: usize = 1 << 20;

/// Longest time to live of a lite topic.
pub const TTL_MAX: DurationMs = DurationMs::from_hours(30 * 24);
/// Shortest time to live of a lite topic.
pub const TTL_MIN: DurationMs = TTL_STEP;
/// A time to live is a multiple of this.
pub const TTL_STEP: DurationMs = DurationMs::from_secs(60);
/// Nothing expires so soon after a start, so that clients can come back first.
pub const EXPIRY_GRACE: DurationMs = DurationMs::from_secs(30);
/// Lite topics and subscriptions to them that go per tick because lite topics expire.
pub const EXPIRIES_PER_TICK: usize = 128;
/// How long a shard leaves what is due alone after so many have gone, so that a wave of them is not felt
/// by others: 64,000 a second are left.
pub const EXPIRY_PAUSE: DurationMs = DurationMs(2);

/// Highest offset: clients know it as a signed number.
pub const OFFSET_MAX: u64 = i64::MAX as u64;

/// Slots of one shard: its lite topics, and names that somebody subscribed to before the first
/// message.
pub const SLOTS_MAX: u32 = 1 << 28;

/// Client message ids remembered per shard to answer a re-sent message with its first offset.
pub const RESEND_WINDOW_MESSAGES: usize = 65_536;
/// How many of them are written to a checkpoint between two commands of their shard.
pub const RESENDS_PER_PIECE: usize = 4096;

/// Dead letters of one lite topic that were sent again lie in so many pieces at most, between which
/// are some that were not.
pub const RESENT_SPANS_MAX: usize = 1024;

/// Lite topics returned by one listing.
pub const LIST_NAMES_MAX: usize = 1000;
/// Slots looked at per step of background work, so that requests wait for no walk.
pub const SWEEP_SLOTS_PER_STEP: usize = 1024;
/// Positions whose leases are dealt with per tick.
pub const TICK_CURSORS_MAX: usize = 1024;
