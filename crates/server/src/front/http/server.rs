//! Sockets of the HTTP door: HTTP/1.1 with every limit set.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::guard::AllowedHosts;
use super::limits::{
    ACCEPT_PAUSE, CONNECTIONS_MAX, HEADER_BYTES_MAX, HEADERS_MAX, HEADERS_WAIT_MAX,
};
use super::router;
use crate::broker::Broker;
use crate::config::Config;
use crate::front::stop::Stopping;
use crate::observe::Metrics;

/// Settings of the HTTP door.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Host names, besides loopback names and the bound address, that requests may name.
    pub hosts: Vec<String>,
    /// Connections at a time; one more is closed at once.
    pub connections_max: usize,
    /// How long running requests may take at a stop.
    pub grace: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self { hosts: Vec::new(), connections_max: CONNECTIONS_MAX, grace: Duration::from_secs(10) }
    }
}

impl From<&Config> for HttpOptions {
    fn from(config: &Config) -> Self {
        Self {
            hosts: config.http_hosts.clone(),
            connections_max: config.limits.http_connections_max,
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
    let router = router(broker, metrics, hosts);
    let slots = Arc::new(Semaphore::new(options.connections_max));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopping.wait() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, remote)) => match Arc::clone(&slots).try_acquire_owned() {
                Ok(slot) => {
                    let (router, stopping) = (router.clone(), stopping.clone());
                    connections.spawn(async move {
                        connection(stream, router, stopping, options.grace).await;
                        drop(slot);
                    });
                }
                Err(_) => warn!(%remote, "connection closed: the HTTP door has no slot left"),
            },
            Err(error) => {
                warn!(%error, "the HTTP door could not accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    Ok(())
}

async fn connection(stream: TcpStream, router: Router, mut stopping: Stopping, grace: Duration) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "connection lost before its first request");
        return;
    }
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WAIT_MAX)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX);
    let service = TowerToHyperService::new(router);
    let mut served = pin!(http.serve_connection(TokioIo::new(stream), service));
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
