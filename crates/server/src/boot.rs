//! The only place where the parts of a node are put together, and taken apart in order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use litemq_storage::{LogOptions, LogStore, StoreError};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::access::AccessOptions;
use crate::broker::{Broker, BrokerOptions, Edge};
use crate::config::{Config, LimitsConfig, create_declared, ensure_super_user};
use crate::descriptors::connections_that_fit;
use crate::front::grpc::{self, AddressError, GrpcOptions};
use crate::front::http::{self, HttpOptions};
use crate::front::listen::PortOptions;
use crate::front::stop::Stopping;
use crate::front::tls::{CertificateSource, TlsError, server_config};
use crate::observe::Metrics;
use crate::running::Running;

/// Why a node cannot start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The data folder cannot be used, or writing to it has failed.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The certificate cannot be used.
    #[error("{0}")]
    Tls(#[from] TlsError),
    /// The address for clients is none.
    #[error("advertise: {0}")]
    Advertise(#[from] AddressError),
    /// A door would be open to the network by accident.
    #[error("{0}")]
    Exposed(String),
    /// The super user is missing or cannot be made.
    #[error("access: {0}")]
    Access(litemq_domain::Error),
    /// A declared topic or group cannot be made.
    #[error("{0}")]
    Declared(litemq_domain::Error),
    /// The last write at a stop failed; what was acknowledged is durable all the same.
    #[error("the stop was not clean: {0}")]
    Close(litemq_domain::Error),
    /// The process cannot listen for signals.
    #[error("cannot listen for signals: {0}")]
    Signal(io::Error),
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    running: Running,
    grpc: SocketAddr,
    http: SocketAddr,
}

/// Serves until a signal says to stop, or until the store fails.
///
/// # Errors
/// Whatever keeps the node from starting, and the store's failure.
pub async fn serve(config: Config) -> Result<(), BootError> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(BootError::Signal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(BootError::Signal)?;
    let node = Node::start(config).await?;
    tokio::select! {
        biased;
        _ = interrupt.recv() => tracing::info!("stopping: interrupted"),
        _ = terminate.recv() => tracing::info!("stopping: told to terminate"),
        error = node.broker().failed() => {
            // Nothing can be promised any more; what was acknowledged is in the log.
            tracing::error!(%error, "stopping: the store has failed");
            return Err(error.into());
        }
    }
    tokio::select! {
        biased;
        stopped = node.stop() => stopped,
        _ = interrupt.recv() => {
            tracing::warn!("interrupted again; the next start replays the log");
            Ok(())
        }
    }
}

impl Node {
    /// Opens the data folder and both doors.
    ///
    /// # Errors
    /// Whatever keeps the node from starting.
    pub async fn start(config: Config) -> Result<Self, BootError> {
        config.check_exposure().map_err(BootError::Exposed)?;
        let metrics = Arc::new(Metrics::new());
        let store = open_store(&config).await?;
        let broker = Broker::open(store, broker_options(&config), Arc::clone(&metrics)).await?;
        ensure_super_user(&broker, &config.access).await.map_err(BootError::Access)?;
        create_declared(&broker, &config).await.map_err(BootError::Declared)?;
        let tls = server_config(&certificate(&config))?;
        let grpc = listen(config.listen).await?;
        let http = listen(config.http).await?;
        let (grpc_address, http_address) =
            (address_of(&grpc, config.listen)?, address_of(&http, config.http)?);
        let advertise = config.advertise.as_ref().map(|address| address.to_string().parse());
        let port = PortOptions {
            connections_max: fitting_connections(&config),
            address_share_percent: config.limits.address_share_percent,
            opening_max: config.limits.opening_time,
            stall_max: config.limits.stall_time,
            drain_max: config.shutdown.grace,
            metrics: metrics.door("grpc"),
        };
        let request_time_max = config.limits.request_time;
        let options = GrpcOptions { advertise: advertise.transpose()?, port, request_time_max };
        let mut running = Running::start(Arc::clone(&broker), config.shutdown.grace);
        let (door, counted) = (Arc::clone(&broker), Arc::clone(&metrics));
        running.open(|stopping| grpc::serve(door, counted, grpc, Some(tls), options, stopping));
        let options = HttpOptions::from(&config);
        running.open(|stopping| serve_http(broker, metrics, http, options, stopping));
        tracing::info!(
            grpc = %grpc_address,
            http = %http_address,
            data = %config.data.display(),
            version = env!("CARGO_PKG_VERSION"),
            "LiteMQ is ready"
        );
        Ok(Self { running, grpc: grpc_address, http: http_address })
    }

    /// Where the gRPC door listens.
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc
    }

    /// Where the HTTP door listens.
    pub fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// The broker behind the doors.
    pub fn broker(&self) -> &Arc<Broker> {
        self.running.broker()
    }

    /// Stops in order: waiting receives are answered, the doors end their calls, the log is closed.
    ///
    /// # Errors
    /// When the last write failed.
    pub async fn stop(self) -> Result<(), BootError> {
        self.running.stop().await.map_err(BootError::Close)
    }
}

async fn serve_http(
    broker: Arc<Broker>,
    metrics: Arc<Metrics>,
    listener: TcpListener,
    options: HttpOptions,
    stopping: Stopping,
) {
    if let Err(error) = http::serve(broker, metrics, listener, options, stopping).await {
        tracing::error!(%error, "the HTTP door has failed");
    }
}

/// The connections of the gRPC door, as far as the limit on open files lets them be.
fn fitting_connections(config: &Config) -> usize {
    let LimitsConfig { connections_max, http_connections_max, .. } = config.limits;
    let fit = connections_that_fit().saturating_sub(http_connections_max).max(1);
    if fit < connections_max {
        tracing::warn!(
            connections_max,
            fit,
            "the limit on open files is too low for all connections; fewer will be taken"
        );
    }
    connections_max.min(fit)
}

async fn open_store(config: &Config) -> Result<Arc<LogStore>, BootError> {
    let data = config.data.clone();
    let defaults = LogOptions::default();
    let segment_bytes = config.storage.segment_size_bytes;
    let options = LogOptions {
        segment_bytes,
        // What acks may still use of the last segment when the disk is full.
        reserve_bytes: defaults.reserve_bytes.min(segment_bytes / 4),
        unsynced_bytes_max: config.storage.unsynced_bytes_max,
        min_sync_interval: config.storage.min_sync_interval,
        ..defaults
    };
    let opened = tokio::task::spawn_blocking(move || LogStore::open(data, options)).await;
    let store = opened.map_err(|error| StoreError::Failed(error.to_string()))??;
    Ok(Arc::new(store))
}

fn broker_options(config: &Config) -> BrokerOptions {
    BrokerOptions {
        shards: config.shards,
        in_flight_bytes_max: config.limits.in_flight_bytes_max,
        answer_bytes_max: config.limits.answer_bytes_max,
        calls_max: config.limits.calls_max,
        sessions_max: config.limits.sessions_max,
        address_share_percent: config.limits.address_share_percent,
        retention: config.storage.retention,
        ttl_min: config.limits.ttl_min,
        ttl_max: config.limits.ttl_max,
        checkpoint_interval: config.storage.checkpoint_interval,
        checkpoint_log_bytes: config.storage.checkpoint_log_bytes,
        trace_bytes_max: config.limits.trace_bytes_max,
        access: AccessOptions {
            enabled: config.access.enabled,
            signature_window: config.access.signature_window,
            open_operations: config.access.open_operations,
        },
        edge: Edge::System,
    }
}

fn certificate(config: &Config) -> CertificateSource {
    match &config.tls {
        Some(files) => {
            CertificateSource::Files { certificate: files.cert.clone(), key: files.key.clone() }
        }
        None => CertificateSource::SelfSigned {
            folder: config.data.join("tls"),
            hosts: config.advertise.iter().map(|address| address.host.clone()).collect(),
        },
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, BootError> {
    TcpListener::bind(address).await.map_err(|source| BootError::Listen { address, source })
}

fn address_of(listener: &TcpListener, asked: SocketAddr) -> Result<SocketAddr, BootError> {
    listener.local_addr().map_err(|source| BootError::Listen { address: asked, source })
}
