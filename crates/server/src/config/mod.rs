//! The configuration: defaults, then the file, then the environment, then flags.
//!
//! [`load`] answers with a checked [`Config`], or with every problem that was found. The settings
//! themselves stand in one table, `settings`, from which the file, the environment and
//! `--print-config` all work.

mod declared;
mod file;
mod load;
mod print;
mod problems;
mod settings;
pub mod units;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use litemq_domain::access::Secret;
use litemq_domain::{DurationMs, UserName};

use crate::broker::QuotaChange;

pub use declared::{GroupDeclaration, TopicDeclaration, create_declared, ensure_super_user};
pub use load::{FILE_DEFAULT, Flags, Loaded, Sources, load};
pub use problems::{Place, Problem, Problems};

/// Every setting of a node, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The folder that keeps everything.
    pub data: PathBuf,
    /// Where the gRPC door listens.
    pub listen: SocketAddr,
    /// Where the HTTP door listens.
    pub http: SocketAddr,
    /// Host names, besides loopback names and the bound address, that HTTP requests may name.
    pub http_hosts: Vec<String>,
    /// Where clients are told to connect; `None` is the address they connected to.
    pub advertise: Option<HostPort>,
    /// Shards, 1 to 64; fixed at the first start of a data folder.
    pub shards: u16,
    /// Logging.
    pub log: LogConfig,
    /// The certificate of the gRPC door; `None` is a self-signed one made at the first start.
    pub tls: Option<TlsFiles>,
    /// Storage.
    pub storage: StorageConfig,
    /// Bounds around all clients together.
    pub limits: LimitsConfig,
    /// Who may do what.
    pub access: AccessConfig,
    /// The graceful stop.
    pub shutdown: ShutdownConfig,
    /// Topics that exist after every start.
    pub topics: Vec<TopicDeclaration>,
    /// Groups that exist after every start.
    pub groups: Vec<GroupDeclaration>,
}

/// Logging.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// How a line looks.
    pub format: LogFormat,
    /// A level, or directives such as `info,litemq_server=debug`.
    pub level: String,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// A certificate chain and its key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageConfig {
    /// Size of a log segment, 16 MiB to 1 GiB, a multiple of 4 KiB.
    pub segment_size_bytes: u64,
    /// How long messages stay stored.
    pub retention: Duration,
    /// Least time between two syncs; more makes larger groups and slower answers.
    pub min_sync_interval: Duration,
    /// Most time between two checkpoints.
    pub checkpoint_interval: Duration,
    /// Most log written between two checkpoints.
    pub checkpoint_log_bytes: u64,
    /// Most bytes that wait for a sync before senders wait.
    pub unsynced_bytes_max: u64,
}

/// Bounds around all clients together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Lite topics alive, and subscriptions; what is not named stays as it was set.
    pub quotas: QuotaChange,
    /// Shortest time to live that may be asked for.
    pub ttl_min: DurationMs,
    /// Longest time to live that may be asked for, besides for ever.
    pub ttl_max: DurationMs,
    /// Connections of the gRPC door.
    pub connections_max: usize,
    /// Connections of the HTTP door.
    pub http_connections_max: usize,
    /// Percent of each of these bounds that one client address may have.
    pub address_share_percent: u8,
    /// Open gRPC calls.
    pub calls_max: usize,
    /// Known clients.
    pub sessions_max: usize,
    /// Request bytes in memory.
    pub in_flight_bytes_max: u64,
    /// Answer bytes that clients have not read.
    pub answer_bytes_max: usize,
    /// Bytes of the trace of what happened to messages; 0 is off.
    pub trace_bytes_max: usize,
    /// Time for a connection's TLS handshake and preface.
    pub opening_time: Duration,
    /// Time for a request to arrive.
    pub request_time: Duration,
    /// Time for an answer to be read on.
    pub stall_time: Duration,
}

/// Who may do what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessConfig {
    /// Whether clients must prove who they are and are asked for rights.
    pub enabled: bool,
    /// A super user that exists after every start, with this secret.
    pub super_user: Option<SuperUser>,
    /// How far the date of a signature may be from the server's time; `None` is any date.
    pub signature_window: Option<Duration>,
    /// Whether health and metrics are told to anybody also when the HTTP door is open to the
    /// network.
    pub open_operations: bool,
    /// Whether doors may be open to the network while nobody has to prove who he is.
    pub allow_anonymous_beyond_loopback: bool,
}

/// The super user of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuperUser {
    /// Its name, which is its access key.
    pub name: UserName,
    /// What it signs with.
    pub secret: Secret,
}

/// The graceful stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShutdownConfig {
    /// How long running requests may take before the process ends anyway.
    pub grace: Duration,
}

/// A host name or address with a port, as clients are told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// The host, without brackets.
    pub host: String,
    /// The port, not 0.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

impl Config {
    /// What an operator should read about this configuration in the log.
    pub fn notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        for (door, address) in self.network_doors() {
            if !self.access.enabled {
                notices.push(format!(
                    "the {door} door on {address} is open to the network and asks nobody for \
                     credentials"
                ));
            } else if door == HTTP {
                notices.push(format!(
                    "the {door} door on {address} takes secrets without encryption; put a proxy \
                     with TLS in front of it"
                ));
            }
        }
        if self.listen.ip().is_unspecified() && self.advertise.is_none() {
            notices.push(
                "no advertise address is set; clients are told the address they connected to"
                    .to_owned(),
            );
        }
        notices
    }

    /// Checks that no door is open to the network by accident.
    ///
    /// # Errors
    /// What is open, and the two ways out.
    pub fn check_exposure(&self) -> Result<(), String> {
        if self.access.enabled || self.access.allow_anonymous_beyond_loopback {
            return Ok(());
        }
        match self.network_doors().next() {
            None => Ok(()),
            Some((door, address)) => Err(format!(
                "the {door} door would be open to the network on {address} to anybody; set \
                 access.enabled = true with access.super_user and access.super_secret, or say \
                 --allow-anonymous-beyond-loopback if that is what you want"
            )),
        }
    }

    fn network_doors(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        let doors = [(GRPC, self.listen), (HTTP, self.http)];
        doors.into_iter().filter(|(_, address)| !address.ip().to_canonical().is_loopback())
    }
}

const GRPC: &str = "gRPC";
const HTTP: &str = "HTTP";
