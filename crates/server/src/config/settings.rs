//! The table of settings: name, meaning, default, how it is read and how it is written.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use litemq_domain::access::Secret;
use litemq_domain::limits::{TTL_MAX, TTL_MIN};
use litemq_domain::{DurationMs, UserName, check_ttl};

use super::units::{
    format_bytes, format_duration, limit_from_number, limit_number, parse_bytes, parse_duration,
    parse_limit, parse_ttl,
};

use super::{
    AccessConfig, Config, HostPort, LimitsConfig, LogConfig, LogFormat, ShutdownConfig,
    StorageConfig, SuperUser, TlsFiles,
};
use crate::broker::limits::{ANSWER_BYTES_MAX, CALLS_MAX, SESSIONS_MAX, TRACE_BYTES_MAX};
use crate::broker::{ADDRESS_SHARE_PERCENT, QuotaChange};
use crate::front::listen::{OPENING_MAX, STALL_MAX};

/// One setting. Its environment variable is `LITEMQ_` and the key, upper case, dots as `_`.
pub(super) struct Setting {
    /// The key in the file, with its section: `storage.retention`.
    pub(super) key: &'static str,
    /// One line for people.
    pub(super) help: &'static str,
    /// How the file writes it.
    pub(super) kind: Kind,
    /// Reads it into a configuration; the error says what is allowed.
    pub(super) set: fn(&mut Draft, &str) -> Result<(), String>,
    /// Writes it as [`Setting::set`] reads it; `None` when it is not set, or never shown.
    pub(super) get: fn(&Config) -> Option<String>,
}

/// How the file writes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string.
    Text,
    /// An integer.
    Integer,
    /// An array of strings; elsewhere the texts joined by commas.
    Texts,
    /// True or false.
    Switch,
    /// A string that is never printed.
    Secret,
}

/// A configuration in the making.
pub(super) struct Draft {
    /// All but what is made of two settings.
    pub(super) config: Config,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    super_user: Option<UserName>,
    super_secret: Option<Secret>,
}

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

const SHARDS: RangeInclusive<u16> = 1..=64;
/// A segment holds a few of the largest batches.
const SEGMENT_SIZE_BYTES: RangeInclusive<u64> = 16 * MIB..=GIB;
/// What the disk reads and writes at a time.
const PAGE_BYTES: u64 = 4096;
const RETENTION: RangeInclusive<Duration> = secs(60)..=secs(3650 * 86_400);
const MIN_SYNC_INTERVAL: RangeInclusive<Duration> = Duration::ZERO..=secs(1);
const CHECKPOINT_INTERVAL: RangeInclusive<Duration> = secs(1)..=secs(86_400);
const CHECKPOINT_LOG_BYTES: RangeInclusive<u64> = MIB..=1024 * GIB;
/// At least one body of the largest size must fit.
const UNSYNCED_BYTES_MAX: RangeInclusive<u64> = 5 * MIB..=4 * GIB;
const CONNECTIONS_MAX: RangeInclusive<usize> = 1..=1_000_000;
const IN_FLIGHT_BYTES_MAX: RangeInclusive<u64> = 8 * MIB..=1024 * GIB;
/// At least one answer of the largest size must fit into the smallest share.
const ANSWER_BYTES: RangeInclusive<u64> = 32 * MIB..=1024 * GIB;
/// Besides 0; less would forget a message before it is acked.
const TRACE_BYTES: RangeInclusive<u64> = MIB..=64 * GIB;
const CALLS: RangeInclusive<usize> = 100..=10_000_000;
const SESSIONS: RangeInclusive<usize> = 100..=10_000_000;
const ADDRESS_SHARE: RangeInclusive<u8> = 20..=100;
const CLIENT_TIME: RangeInclusive<Duration> = Duration::from_millis(100)..=secs(3600);
/// Most SDKs send local time as if it were UTC: a day, and what clocks are wrong by.
const SIGNATURE_WINDOW: RangeInclusive<Duration> = secs(26 * 3600)..=secs(3650 * 86_400);
const OFF: &str = "off";
const SHUTDOWN_GRACE: RangeInclusive<Duration> = Duration::ZERO..=secs(3600);

/// The configuration when nobody says anything.
pub(super) fn default_draft() -> Draft {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let config = Config {
        data: PathBuf::from("./litemq-data"),
        // Loopback only: nobody is asked for credentials.
        listen: SocketAddr::new(loopback, 8081),
        http: SocketAddr::new(loopback, 8080),
        http_hosts: Vec::new(),
        advertise: None,
        // One actor for each core of a small machine; more only spread the hash.
        shards: 2,
        log: LogConfig { format: LogFormat::Text, level: "info".to_owned() },
        tls: None,
        storage: StorageConfig {
            // Pre-written once, then recycled: large enough that a roll is rare.
            segment_size_bytes: 128 * MIB,
            retention: secs(72 * 3600),
            // The sync itself already groups what arrives while it runs.
            min_sync_interval: Duration::ZERO,
            checkpoint_interval: secs(60),
            // Bounds what a restart reads: seconds, not minutes.
            checkpoint_log_bytes: GIB,
            unsynced_bytes_max: 32 * MIB,
        },
        limits: LimitsConfig {
            quotas: QuotaChange::default(),
            ttl_min: TTL_MIN,
            ttl_max: TTL_MAX,
            connections_max: 10_000,
            http_connections_max: 256,
            // No address can lock the others out, and one behind which many clients are has room.
            address_share_percent: ADDRESS_SHARE_PERCENT,
            calls_max: CALLS_MAX,
            sessions_max: SESSIONS_MAX,
            in_flight_bytes_max: 256 * MIB,
            answer_bytes_max: ANSWER_BYTES_MAX,
            // Some half a million events: minutes of a busy broker, weeks of a quiet one.
            trace_bytes_max: TRACE_BYTES_MAX,
            opening_time: OPENING_MAX,
            request_time: secs(30),
            stall_time: STALL_MAX,
        },
        access: AccessConfig {
            enabled: false,
            super_user: None,
            signature_window: None,
            open_operations: false,
            allow_anonymous_beyond_loopback: false,
        },
        shutdown: ShutdownConfig { grace: secs(10) },
        topics: Vec::new(),
        groups: Vec::new(),
    };
    Draft { config, tls_cert: None, tls_key: None, super_user: None, super_secret: None }
}

/// Every setting, in the order in which it is printed; a section's settings stand together.
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "data",
        help: "the folder that keeps everything",
        kind: Kind::Text,
        set: |draft, text| path(text).map(|value| draft.config.data = value),
        get: |config| Some(config.data.display().to_string()),
    },
    Setting {
        key: "listen",
        help: "gRPC, for the SDKs; 0.0.0.0:8081 opens it to the network",
        kind: Kind::Text,
        set: |draft, text| address(text).map(|value| draft.config.listen = value),
        get: |config| Some(config.listen.to_string()),
    },
    Setting {
        key: "http",
        help: "HTTP, for administration and metrics",
        kind: Kind::Text,
        set: |draft, text| address(text).map(|value| draft.config.http = value),
        get: |config| Some(config.http.to_string()),
    },
    Setting {
        key: "http_hosts",
        help: "host names that HTTP requests may name, besides localhost and the bound address",
        kind: Kind::Texts,
        set: |draft, text| hosts(text).map(|value| draft.config.http_hosts = value),
        get: |config| Some(config.http_hosts.join(",")),
    },
    Setting {
        key: "advertise",
        help: "HOST:PORT that clients are told; otherwise the address they connected to",
        kind: Kind::Text,
        set: |draft, text| host_port(text).map(|value| draft.config.advertise = Some(value)),
        get: |config| config.advertise.as_ref().map(ToString::to_string),
    },
    Setting {
        key: "shards",
        help: "1 to 64; fixed at the first start of a data folder",
        kind: Kind::Integer,
        set: |draft, text| number(text, &SHARDS).map(|value| draft.config.shards = value),
        get: |config| Some(config.shards.to_string()),
    },
    Setting {
        key: "log.format",
        help: "text or json",
        kind: Kind::Text,
        set: |draft, text| log_format(text).map(|value| draft.config.log.format = value),
        get: |config| Some(config.log.format.to_string()),
    },
    Setting {
        key: "log.level",
        help: "off, error, warn, info, debug, trace, or directives: info,litemq_server=debug",
        kind: Kind::Text,
        set: |draft, text| log_level(text).map(|value| draft.config.log.level = value),
        get: |config| Some(config.log.level.clone()),
    },
    Setting {
        key: "tls.cert",
        help: "certificate chain, PEM; otherwise a self-signed one is made",
        kind: Kind::Text,
        set: |draft, text| path(text).map(|value| draft.tls_cert = Some(value)),
        get: |config| config.tls.as_ref().map(|tls| tls.cert.display().to_string()),
    },
    Setting {
        key: "tls.key",
        help: "private key of tls.cert, PEM",
        kind: Kind::Text,
        set: |draft, text| path(text).map(|value| draft.tls_key = Some(value)),
        get: |config| config.tls.as_ref().map(|tls| tls.key.display().to_string()),
    },
    Setting {
        key: "storage.segment_size",
        help: "one log file, 16MiB to 1GiB; fixed at the first start of a data folder",
        kind: Kind::Text,
        set: |draft, text| {
            segment_size(text).map(|value| draft.config.storage.segment_size_bytes = value)
        },
        get: |config| Some(format_bytes(config.storage.segment_size_bytes)),
    },
    Setting {
        key: "storage.retention",
        help: "how long messages stay stored",
        kind: Kind::Text,
        set: |draft, text| {
            span(text, &RETENTION).map(|value| draft.config.storage.retention = value)
        },
        get: |config| Some(format_duration(config.storage.retention)),
    },
    Setting {
        key: "storage.min_sync_interval",
        help: "least time between two syncs; 0ms syncs as fast as the disk allows",
        kind: Kind::Text,
        set: |draft, text| {
            span(text, &MIN_SYNC_INTERVAL)
                .map(|value| draft.config.storage.min_sync_interval = value)
        },
        get: |config| Some(format_duration(config.storage.min_sync_interval)),
    },
    Setting {
        key: "storage.checkpoint_interval",
        help: "most time between two checkpoints",
        kind: Kind::Text,
        set: |draft, text| {
            span(text, &CHECKPOINT_INTERVAL)
                .map(|value| draft.config.storage.checkpoint_interval = value)
        },
        get: |config| Some(format_duration(config.storage.checkpoint_interval)),
    },
    Setting {
        key: "storage.checkpoint_log_bytes",
        help: "most log written between two checkpoints",
        kind: Kind::Text,
        set: |draft, text| {
            size(text, &CHECKPOINT_LOG_BYTES)
                .map(|value| draft.config.storage.checkpoint_log_bytes = value)
        },
        get: |config| Some(format_bytes(config.storage.checkpoint_log_bytes)),
    },
    Setting {
        key: "storage.unsynced_bytes_max",
        help: "most bytes that wait for a sync before senders wait",
        kind: Kind::Text,
        set: |draft, text| {
            size(text, &UNSYNCED_BYTES_MAX)
                .map(|value| draft.config.storage.unsynced_bytes_max = value)
        },
        get: |config| Some(format_bytes(config.storage.unsynced_bytes_max)),
    },
    Setting {
        key: "limits.lite_topics_max",
        help: "lite topics alive, -1 for no limit; holds from each start on, or what was set at run time",
        kind: Kind::Integer,
        set: |draft, text| {
            let limit = limit(text)?;
            draft.config.limits.quotas.lite_topics_max = Some(limit);
            Ok(())
        },
        get: |config| config.limits.quotas.lite_topics_max.map(limit_text),
    },
    Setting {
        key: "limits.subscriptions_max",
        help: "pairs of a client and a lite topic, -1 for no limit; as above",
        kind: Kind::Integer,
        set: |draft, text| {
            let limit = limit(text)?;
            draft.config.limits.quotas.subscriptions_max = Some(limit);
            Ok(())
        },
        get: |config| config.limits.quotas.subscriptions_max.map(limit_text),
    },
    Setting {
        key: "limits.ttl_min",
        help: "shortest time to live that may be asked for; 30m as LiteTopics are sold",
        kind: Kind::Text,
        set: |draft, text| ttl(text).map(|value| draft.config.limits.ttl_min = value),
        get: |config| Some(config.limits.ttl_min.to_string()),
    },
    Setting {
        key: "limits.ttl_max",
        help: "longest time to live that may be asked for, besides never; 12h as LiteTopics are sold",
        kind: Kind::Text,
        set: |draft, text| ttl(text).map(|value| draft.config.limits.ttl_max = value),
        get: |config| Some(config.limits.ttl_max.to_string()),
    },
    Setting {
        key: "limits.connections_max",
        help: "connections of the gRPC door",
        kind: Kind::Integer,
        set: |draft, text| {
            number(text, &CONNECTIONS_MAX).map(|value| draft.config.limits.connections_max = value)
        },
        get: |config| Some(config.limits.connections_max.to_string()),
    },
    Setting {
        key: "limits.http_connections_max",
        help: "connections of the HTTP door",
        kind: Kind::Integer,
        set: |draft, text| {
            number(text, &CONNECTIONS_MAX)
                .map(|value| draft.config.limits.http_connections_max = value)
        },
        get: |config| Some(config.limits.http_connections_max.to_string()),
    },
    Setting {
        key: "limits.address_share_percent",
        help: "percent of each limit that one client address may have; 100 when all come through one proxy",
        kind: Kind::Integer,
        set: |draft, text| {
            number(text, &ADDRESS_SHARE)
                .map(|value| draft.config.limits.address_share_percent = value)
        },
        get: |config| Some(config.limits.address_share_percent.to_string()),
    },
    Setting {
        key: "limits.calls_max",
        help: "gRPC calls open at a time, long polls among them",
        kind: Kind::Integer,
        set: |draft, text| number(text, &CALLS).map(|value| draft.config.limits.calls_max = value),
        get: |config| Some(config.limits.calls_max.to_string()),
    },
    Setting {
        key: "limits.sessions_max",
        help: "clients known at a time",
        kind: Kind::Integer,
        set: |draft, text| {
            number(text, &SESSIONS).map(|value| draft.config.limits.sessions_max = value)
        },
        get: |config| Some(config.limits.sessions_max.to_string()),
    },
    Setting {
        key: "limits.in_flight_bytes_max",
        help: "request bytes in memory, all clients together",
        kind: Kind::Text,
        set: |draft, text| {
            size(text, &IN_FLIGHT_BYTES_MAX)
                .map(|value| draft.config.limits.in_flight_bytes_max = value)
        },
        get: |config| Some(format_bytes(config.limits.in_flight_bytes_max)),
    },
    Setting {
        key: "limits.answer_bytes_max",
        help: "answer bytes that clients have not read, all clients together",
        kind: Kind::Text,
        set: |draft, text| {
            let bytes = size(text, &ANSWER_BYTES)?;
            draft.config.limits.answer_bytes_max = usize::try_from(bytes).unwrap_or(usize::MAX);
            Ok(())
        },
        get: |config| Some(format_bytes(config.limits.answer_bytes_max as u64)),
    },
    Setting {
        key: "limits.trace_bytes_max",
        help: "what is remembered of what happened to messages; 0 turns the trace off",
        kind: Kind::Text,
        set: |draft, text| {
            let bytes = trace_bytes(text)?;
            draft.config.limits.trace_bytes_max = usize::try_from(bytes).unwrap_or(usize::MAX);
            Ok(())
        },
        get: |config| Some(format_bytes(config.limits.trace_bytes_max as u64)),
    },
    Setting {
        key: "limits.opening_time",
        help: "time for a connection's first bytes, TLS handshake included",
        kind: Kind::Text,
        set: |draft, text| {
            span(text, &CLIENT_TIME).map(|value| draft.config.limits.opening_time = value)
        },
        get: |config| Some(format_duration(config.limits.opening_time)),
    },
    Setting {
        key: "limits.request_time",
        help: "time for a gRPC request to arrive",
        kind: Kind::Text,
        set: |draft, text| {
            span(text, &CLIENT_TIME).map(|value| draft.config.limits.request_time = value)
        },
        get: |config| Some(format_duration(config.limits.request_time)),
    },
    Setting {
        key: "limits.stall_time",
        help: "how long a client may leave its answers unread",
        kind: Kind::Text,
        set: |draft, text| {
            span(text, &CLIENT_TIME).map(|value| draft.config.limits.stall_time = value)
        },
        get: |config| Some(format_duration(config.limits.stall_time)),
    },
    Setting {
        key: "access.enabled",
        help: "whether clients must prove who they are and are asked for rights",
        kind: Kind::Switch,
        set: |draft, text| switch(text).map(|value| draft.config.access.enabled = value),
        get: |config| Some(config.access.enabled.to_string()),
    },
    Setting {
        key: "access.super_user",
        help: "a user that may do everything; after every start it is there with super_secret",
        kind: Kind::Text,
        set: |draft, text| {
            let name = UserName::new(text).map_err(|error| error.message)?;
            draft.super_user = Some(name);
            Ok(())
        },
        get: |config| config.access.super_user.as_ref().map(|user| user.name.to_string()),
    },
    Setting {
        key: "access.super_secret",
        help: "its secret; better in the environment, LITEMQ_ACCESS_SUPER_SECRET",
        kind: Kind::Secret,
        set: |draft, text| {
            let secret = Secret::new(text).map_err(|error| error.message)?;
            draft.super_secret = Some(secret);
            Ok(())
        },
        get: |_| None,
    },
    Setting {
        key: "access.signature_window",
        help: "how far the date of a signature may be from now, 26h or more; off takes any",
        kind: Kind::Text,
        set: |draft, text| {
            draft.config.access.signature_window = match text {
                OFF => None,
                _ => Some(span(text, &SIGNATURE_WINDOW)?),
            };
            Ok(())
        },
        get: |config| {
            let window = config.access.signature_window;
            Some(window.map_or_else(|| OFF.to_owned(), format_duration))
        },
    },
    Setting {
        key: "access.open_operations",
        help: "health and metrics for anybody, also when HTTP is open to the network",
        kind: Kind::Switch,
        set: |draft, text| switch(text).map(|value| draft.config.access.open_operations = value),
        get: |config| Some(config.access.open_operations.to_string()),
    },
    Setting {
        key: "access.allow_anonymous_beyond_loopback",
        help: "start although a door is open to the network and access.enabled is false",
        kind: Kind::Switch,
        set: |draft, text| {
            switch(text).map(|value| draft.config.access.allow_anonymous_beyond_loopback = value)
        },
        get: |config| Some(config.access.allow_anonymous_beyond_loopback.to_string()),
    },
    Setting {
        key: "shutdown.grace",
        help: "how long running requests may take at a stop",
        kind: Kind::Text,
        set: |draft, text| {
            span(text, &SHUTDOWN_GRACE).map(|value| draft.config.shutdown.grace = value)
        },
        get: |config| Some(format_duration(config.shutdown.grace)),
    },
];

impl Setting {
    /// The environment variable that sets it.
    pub(super) fn variable(&self) -> String {
        format!("LITEMQ_{}", self.key.replace('.', "_").to_ascii_uppercase())
    }
}

impl Draft {
    /// The finished configuration; the error is about settings that only fit together.
    pub(super) fn finish(mut self) -> Result<Config, (&'static str, String)> {
        self.config.tls = match (self.tls_cert, self.tls_key) {
            (Some(cert), Some(key)) => Some(TlsFiles { cert, key }),
            (None, None) => None,
            (Some(_), None) => return Err(("tls.key", "is missing beside tls.cert".to_owned())),
            (None, Some(_)) => return Err(("tls.cert", "is missing beside tls.key".to_owned())),
        };
        self.config.access.super_user = match (self.super_user, self.super_secret) {
            (Some(name), Some(secret)) => Some(SuperUser { name, secret }),
            (None, None) => None,
            (Some(_), None) => {
                let message = "is missing beside access.super_user".to_owned();
                return Err(("access.super_secret", message));
            }
            (None, Some(_)) => {
                let message = "is missing beside access.super_secret".to_owned();
                return Err(("access.super_user", message));
            }
        };
        if self.config.limits.ttl_min > self.config.limits.ttl_max {
            return Err(("limits.ttl_min", "is more than limits.ttl_max".to_owned()));
        }
        Ok(self.config)
    }
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn path(text: &str) -> Result<PathBuf, String> {
    if text.trim().is_empty() {
        return Err("the path is empty".to_owned());
    }
    Ok(PathBuf::from(text))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let localhost = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    localhost.as_deref().unwrap_or(text).parse().map_err(|_| {
        format!("'{}' is no address; write IP:PORT, such as 0.0.0.0:8081", text.escape_debug())
    })
}

fn host_port(text: &str) -> Result<HostPort, String> {
    let problem =
        || format!("'{}' is no HOST:PORT, such as broker.example.org:8081", text.escape_debug());
    let (host, port) = text.rsplit_once(':').ok_or_else(problem)?;
    let port: u16 = port.parse().map_err(|_| problem())?;
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let valid = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_host_name(host),
    };
    if !valid || port == 0 {
        return Err(problem());
    }
    Ok(HostPort { host: bracketed.unwrap_or(host).to_owned(), port })
}

fn hosts(text: &str) -> Result<Vec<String>, String> {
    let hosts = text.split(',').map(str::trim).filter(|host| !host.is_empty());
    hosts
        .map(|host| match is_host_name(host) {
            true => Ok(host.to_ascii_lowercase()),
            false => Err(format!("'{}' is no host name without port", host.escape_debug())),
        })
        .collect()
}

fn is_host_name(host: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !host.is_empty() && host.len() <= 253 && host.chars().all(allowed)
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("'{}' is no log format; give text or json", text.escape_debug())),
    }
}

fn log_level(text: &str) -> Result<String, String> {
    crate::observe::check_log_level(text)?;
    Ok(text.to_owned())
}

fn switch(text: &str) -> Result<bool, String> {
    text.trim().parse().map_err(|_| format!("is '{}'; give true or false", text.escape_debug()))
}

fn number<N>(text: &str, range: &RangeInclusive<N>) -> Result<N, String>
where
    N: std::str::FromStr + PartialOrd + Display,
{
    match text.trim().parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!(
            "is '{}'; give a number from {} to {}",
            text.escape_debug(),
            range.start(),
            range.end()
        )),
    }
}

fn limit(text: &str) -> Result<Option<u64>, String> {
    parse_limit(text).and_then(limit_from_number)
}

fn limit_text(limit: Option<u64>) -> String {
    limit_number(limit).to_string()
}

fn ttl(text: &str) -> Result<DurationMs, String> {
    let ttl =
        parse_ttl(text)?.ok_or_else(|| "never is always allowed; give a duration".to_owned())?;
    check_ttl(Some(ttl)).map_err(|error| error.message)?;
    Ok(ttl)
}

fn size(text: &str, range: &RangeInclusive<u64>) -> Result<u64, String> {
    let bytes = parse_bytes(text)?;
    if range.contains(&bytes) {
        return Ok(bytes);
    }
    let (least, most) = (format_bytes(*range.start()), format_bytes(*range.end()));
    Err(format!("is {}; give {least} to {most}", format_bytes(bytes)))
}

fn trace_bytes(text: &str) -> Result<u64, String> {
    let is_off = text.trim() == "0" || parse_bytes(text)? == 0;
    if is_off { Ok(0) } else { size(text, &TRACE_BYTES) }
}

fn segment_size(text: &str) -> Result<u64, String> {
    let bytes = size(text, &SEGMENT_SIZE_BYTES)?;
    if bytes.is_multiple_of(PAGE_BYTES) {
        return Ok(bytes);
    }
    Err(format!("is {}; give a multiple of {}", format_bytes(bytes), format_bytes(PAGE_BYTES)))
}

fn span(text: &str, range: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    if range.contains(&duration) {
        return Ok(duration);
    }
    let (least, most) = (format_duration(*range.start()), format_duration(*range.end()));
    Err(format!("is {}; give {least} to {most}", format_duration(duration)))
}
