//! Sockets of the HTTP door: HTTP/1.1 with every limit set.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::guard::AllowedHosts;
use super::limits::{
    ACCEPT_PAUSE, CONNECTIONS_MAX, HEADER_BYTES_MAX, HEADERS_MAX, HEADERS_WAIT_MAX, STALL_MAX,
};
use super::router;
use super::stall::Impatient;
use crate::broker::{ADDRESS_SHARE_PERCENT, Broker, Pool, Shares};
use crate::config::Config;
use crate::front::stop::Stopping;
use crate::observe::Metrics;

/// The address that a request comes from; found in its extensions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Remote(pub(super) IpAddr);

/// Settings of the HTTP door.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Host names, besides loopback names and the bound address, that requests may name.
    pub hosts: Vec<String>,
    /// Connections at a time; one more is closed at once.
    pub connections_max: usize,
    /// How much of that one address may have, percent.
    pub address_share_percent: u8,
    /// How long an answer may wait to be read on.
    pub stall_max: Duration,
    /// How long running requests may take at a stop.
    pub grace: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            connections_max: CONNECTIONS_MAX,
            address_share_percent: ADDRESS_SHARE_PERCENT,
            stall_max: STALL_MAX,
            grace: Duration::from_secs(10),
        }
    }
}

impl From<&Config> for HttpOptions {
    fn from(config: &Config) -> Self {
        Self {
            hosts: config.http_hosts.clone(),
            connections_max: config.limits.http_connections_max,
            address_share_percent: config.limits.address_share_percent,
            stall_max: config.limits.stall_time,
            grace: config.shutdown.grace,
        }
    }
}

/// Serves until told to stop, then ends running requests.
///
/// # Errors
/// The listener has no address.
pub async fn serve(
    broker: Arc<Broker>,
    metrics: Arc<Metrics>,
    listener: TcpListener,
    options: HttpOptions,
    mut stopping: Stopping,
) -> io::Result<()> {
    let hosts = AllowedHosts::new(listener.local_addr()?.ip(), options.hosts);
    let door = metrics.door("http");
    let router = router(broker, metrics, hosts);
    let slots = Shares::new(Pool::new(options.connections_max), options.address_share_percent);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopping.wait() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                door.failed_accept();
                warn!(%error, "the HTTP door could not accept a connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(slot) = slots.of(remote.ip()).try_take(1) else {
            door.refused();
            debug!(%remote, max = options.connections_max, "too many connections; closed a new one");
            continue;
        };
        let (router, stopping, open) = (router.clone(), stopping.clone(), door.opened());
        let (stall_max, grace) = (options.stall_max, options.grace);
        connections.spawn(async move {
            connection(stream, remote, router, stopping, stall_max, grace).await;
            drop((slot, open));
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    Ok(())
}

async fn connection(
    stream: TcpStream,
    remote: SocketAddr,
    router: Router,
    mut stopping: Stopping,
    stall_max: Duration,
    grace: Duration,
) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "connection lost before its first request");
        return;
    }
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WAIT_MAX)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX);
    let service = TowerToHyperService::new(router.layer(Extension(Remote(remote.ip()))));
    let mut served =
        pin!(http.serve_connection(TokioIo::new(Impatient::new(stream, stall_max)), service));
    let ended = tokio::select! {
        biased;
        ended = served.as_mut() => ended,
        () = stopping.wait() => {
            served.as_mut().graceful_shutdown();
            match timeout(grace, served).await {
                Ok(ended) => ended,
                Err(_) => {
                    warn!("a request took longer than the grace of the stop");
                    return;
                }
            }
        }
    };
    if let Err(error) = ended {
        debug!(%error, "connection ended with an error");
    }
}
