//! What the broker under attack is set to, and the memory that follows from it.
//!
//! The bounds are smaller than the defaults, so that an attack of a second or two reaches them.

use std::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// gRPC connections at a time.
pub(crate) const CONNECTIONS: u64 = 2500;
/// HTTP connections at a time.
pub(crate) const HTTP_CONNECTIONS: u64 = 256;
/// Calls open at a time.
pub(crate) const CALLS: u64 = 8_000;
/// Clients known at a time.
pub(crate) const SESSIONS: u64 = 8_000;
/// Bytes of requests, and as many again of messages on their way to the log.
pub(crate) const IN_FLIGHT_BYTES: u64 = 48 * MIB;
/// Bytes of answers that their clients have not read.
pub(crate) const ANSWER_BYTES: u64 = 48 * MIB;
/// Bytes of the trace: so few that each attack may fill it without being asked for it.
const TRACE_BYTES: u64 = MIB;
/// Bytes that wait for the disk.
pub(crate) const UNSYNCED_BYTES: u64 = 16 * MIB;
/// Time for a connection to show its preface.
pub(crate) const OPENING_TIME: Duration = Duration::from_secs(1);
/// Time for a request to arrive.
pub(crate) const REQUEST_TIME: Duration = Duration::from_secs(1);
/// Time for an answer to be read on.
pub(crate) const STALL_TIME: Duration = Duration::from_secs(1);
/// Streams of one connection; not a setting.
pub(crate) const STREAMS_PER_CONNECTION: u64 = 1024;

/// The settings as environment variables.
pub(crate) fn variables() -> Vec<(&'static str, String)> {
    let millis = |span: Duration| format!("{}ms", span.as_millis());
    vec![
        ("LITEMQ_STORAGE_SEGMENT_SIZE", "64MiB".to_owned()),
        ("LITEMQ_STORAGE_UNSYNCED_BYTES_MAX", format!("{}MiB", UNSYNCED_BYTES / MIB)),
        ("LITEMQ_LIMITS_CONNECTIONS_MAX", CONNECTIONS.to_string()),
        ("LITEMQ_LIMITS_HTTP_CONNECTIONS_MAX", HTTP_CONNECTIONS.to_string()),
        ("LITEMQ_LIMITS_CALLS_MAX", CALLS.to_string()),
        ("LITEMQ_LIMITS_SESSIONS_MAX", SESSIONS.to_string()),
        ("LITEMQ_LIMITS_IN_FLIGHT_BYTES_MAX", format!("{}MiB", IN_FLIGHT_BYTES / MIB)),
        ("LITEMQ_LIMITS_ANSWER_BYTES_MAX", format!("{}MiB", ANSWER_BYTES / MIB)),
        ("LITEMQ_LIMITS_TRACE_BYTES_MAX", format!("{}MiB", TRACE_BYTES / MIB)),
        ("LITEMQ_LIMITS_OPENING_TIME", millis(OPENING_TIME)),
        ("LITEMQ_LIMITS_REQUEST_TIME", millis(REQUEST_TIME)),
        ("LITEMQ_LIMITS_STALL_TIME", millis(STALL_TIME)),
    ]
}

/// Resident memory of an idle broker with its catalog and its buffers.
const BASE: u64 = 64 * MIB;
/// HTTP bodies in memory at a time, and the largest.
const HTTP_BODIES: u64 = 8;

/// A term of the published bound on resident memory: so many of something.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Term {
    Connections(u64),
    HttpConnections(u64),
    /// Headers, which may have 16 KiB, and the buffers for what a call says and hears.
    Calls(u64),
    Sessions(u64),
    /// All requests that are in memory, and messages on their way to the log.
    Requests,
    /// All answers that are not read.
    Answers,
    /// All that waits for the disk.
    Unsynced,
    HttpBodies(u64),
    /// Not of the bound, which is beside what is stored: lite topics with a subscription.
    Stored(u64),
}

impl Term {
    pub(crate) const fn bytes(self) -> u64 {
        match self {
            Self::Connections(count) | Self::HttpConnections(count) => count * 64 * KIB,
            Self::Calls(count) => count * 40 * KIB,
            Self::Sessions(count) => count * KIB,
            Self::Requests => 2 * IN_FLIGHT_BYTES,
            Self::Answers => ANSWER_BYTES,
            Self::Unsynced => 2 * UNSYNCED_BYTES,
            Self::HttpBodies(count) => count * 32 * MIB,
            Self::Stored(count) => count * 400,
        }
    }
}

/// What some terms come to, bytes.
pub(crate) fn sum(terms: &[Term]) -> u64 {
    terms.iter().map(|term| term.bytes()).sum()
}

/// The published bound on resident memory, for whatever clients do, without what is stored: lite
/// topics and subscriptions have a price of their own.
pub(crate) fn resident_bytes_max() -> u64 {
    BASE + TRACE_BYTES
        + sum(&[
            Term::Connections(CONNECTIONS),
            Term::HttpConnections(HTTP_CONNECTIONS),
            Term::Calls(CALLS),
            Term::Sessions(SESSIONS),
            Term::Requests,
            Term::Answers,
            Term::Unsynced,
            Term::HttpBodies(HTTP_BODIES),
        ])
}
