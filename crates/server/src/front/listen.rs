//! The gRPC port: TLS and plaintext on one socket, HTTP/2 with every limit set.
//!
//! A client is served only after its first bytes, its TLS handshake and its HTTP/2 preface came in
//! time; a silent one costs a socket for ten seconds. One that does not read what it is answered is
//! closed, and one address cannot have all connections.
//!
//! Known limit: an `:authority` that lists several addresses (`a:1,b:2`, sent by Python, Go and C++
//! SDKs for an access point with several addresses) is refused by h2 0.4.20 with a stream reset
//! before any handler runs, because it cannot be parsed into an `http::uri::Authority`. Nothing short
//! of patching h2 changes that; such clients need one address or a DNS name in their access point.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;
use tracing::{debug, warn};

use super::accept::{Listener, Stream};
use super::preface::{Prefaced, expect_preface};
use super::stop::Stopping;
use super::unread::Unread;
use crate::broker::{ADDRESS_SHARE_PERCENT, ConnectionId, Pool, Shares};
use crate::observe::DoorMetrics;

/// Connections at a time; one more is closed at once.
pub const CONNECTIONS_MAX: usize = 10_000;
/// Time for the first byte, the TLS handshake and the HTTP/2 preface together.
pub const OPENING_MAX: Duration = Duration::from_secs(10);
/// How long the answers on a connection may wait to be read, none of them moving, before it is closed.
pub const STALL_MAX: Duration = Duration::from_secs(30);
/// Time that open calls get to end when the server stops.
pub const DRAIN_MAX: Duration = Duration::from_secs(10);
/// Calls at a time on one connection. A Java process has all its clients on one: a Telemetry stream
/// and a few polls each.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 1024;
/// Bytes a client may send ahead on one call.
pub const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// Bytes a client may send ahead on one connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// Headers of one request, bytes.
pub const HEADER_LIST_BYTES_MAX: u32 = 16 << 10;
/// Streams that a peer may reset before we took them up.
pub const PENDING_RESETS_MAX: usize = 20;
/// Streams that we may have to reset for errors of the peer before the connection is closed.
pub const ERROR_RESETS_MAX: usize = 100;
/// How often a quiet peer is pinged; dead consumers free their messages this way.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// How long the answer to a ping may take.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Pause after a failed accept, such as when files run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const TLS_HANDSHAKE_RECORD: u8 = 0x16;

/// The connection a request came on; found in the request's extensions.
#[derive(Debug, Clone, Copy)]
pub struct Connection {
    /// Its number.
    pub id: ConnectionId,
    /// Our end.
    pub local: SocketAddr,
    /// The client's end.
    pub remote: SocketAddr,
}

/// What answers the requests of all connections.
pub trait Handler: Clone + Send + Sync + 'static {
    /// What is kept beside a connection.
    type Peer: Clone + Send + Sync + 'static;

    /// Called once for each connection, before its requests.
    fn connected(&self, connection: &Connection) -> Self::Peer;

    /// Answers one request. Answers that wait to be read are counted in `unread`.
    fn answer(
        &self,
        request: Request<Incoming>,
        peer: &Self::Peer,
        unread: &Arc<Unread>,
    ) -> impl Future<Output = Response<Body>> + Send;

    /// Called once for each connection that could make requests, when it and they are gone.
    fn connection_closed(&self, connection: ConnectionId);
}

/// What an operator may set of a port.
#[derive(Debug, Clone)]
pub struct PortOptions {
    /// Connections at a time; one more is closed at once.
    pub connections_max: usize,
    /// How much of that one address may have, percent.
    pub address_share_percent: u8,
    /// Time for the first byte, the TLS handshake and the HTTP/2 preface together.
    pub opening_max: Duration,
    /// How long the answers on a connection may wait to be read.
    pub stall_max: Duration,
    /// How long open calls may take to end at a stop.
    pub drain_max: Duration,
    /// What is counted.
    pub metrics: DoorMetrics,
}

impl Default for PortOptions {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            address_share_percent: ADDRESS_SHARE_PERCENT,
            opening_max: OPENING_MAX,
            stall_max: STALL_MAX,
            drain_max: DRAIN_MAX,
            metrics: DoorMetrics::default(),
        }
    }
}

/// Serves until `stopping`, then lets open calls end for [`PortOptions::drain_max`].
pub async fn serve<L: Listener, H: Handler>(
    mut listener: L,
    tls: Option<Arc<ServerConfig>>,
    options: PortOptions,
    handler: H,
    mut stopping: Stopping,
) {
    let tls = tls.map(TlsAcceptor::from);
    let slots = Shares::new(Pool::new(options.connections_max), options.address_share_percent);
    let times = Times { opening_max: options.opening_max, stall_max: options.stall_max };
    let mut connections = JoinSet::new();
    let mut last_id = 0;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopping.wait() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, or the client was gone before we looked.
                options.metrics.failed_accept();
                warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(slot) = slots.of(remote.ip()).try_take(1) else {
            options.metrics.refused();
            debug!(%remote, max = options.connections_max, "too many connections; closed a new one");
            continue;
        };
        let local = match stream.prepare() {
            Ok(local) => local,
            Err(error) => {
                debug!(%remote, %error, "a connection was gone before it was served");
                continue;
            }
        };
        last_id += 1;
        let connection = Connection { id: ConnectionId(last_id), local, remote };
        let (tls, handler, stopping) = (tls.clone(), handler.clone(), stopping.clone());
        let open = options.metrics.opened();
        connections.spawn(async move {
            let served = serve_connection(stream, connection, tls, handler, times, stopping);
            if let Err(error) = served.await {
                debug!(remote = %connection.remote, %error, "a connection ended with an error");
            }
            drop((slot, open));
        });
    }
    drop(listener);
    let drained =
        timeout(options.drain_max, async { while connections.join_next().await.is_some() {} });
    if drained.await.is_err() {
        warn!(connections = connections.len(), "open calls did not end in time; closed them");
    }
}

type ConnectionResult = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[derive(Debug, Clone, Copy)]
struct Times {
    opening_max: Duration,
    stall_max: Duration,
}

async fn serve_connection<S: Stream, H: Handler>(
    stream: S,
    connection: Connection,
    tls: Option<TlsAcceptor>,
    handler: H,
    times: Times,
    mut stopping: Stopping,
) -> ConnectionResult {
    let opened = tokio::select! {
        biased;
        () = stopping.wait() => return Ok(()),
        opened = timeout(times.opening_max, open(stream, tls)) => opened??,
    };
    let peer = handler.connected(&connection);
    let unread = Arc::new(Unread::default());
    let served = Arc::new(Served { handler, connection, peer, unread: Arc::clone(&unread) });
    let serving = async {
        match opened {
            Opened::Plain(io) => serve_http2(io, &served, stopping).await,
            Opened::Tls(io) => serve_http2(*io, &served, stopping).await,
        }
    };
    tokio::select! {
        biased;
        ended = serving => ended,
        () = stall(&unread, times.stall_max) => {
            Err(format!("the client read none of its answers for {:?}", times.stall_max).into())
        }
    }
}

/// Ends when answers have been waiting to be read for so long, and none of them moved.
async fn stall(unread: &Unread, stall_max: Duration) {
    let mut looks = interval((stall_max / 2).max(Duration::from_millis(1)));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if unread.stalled_for().is_some_and(|stalled| stalled >= stall_max) {
            return;
        }
    }
}

/// Held by a connection and each of its open requests. The end of the connection is reported when
/// the last holder is gone, so that nothing of it can happen afterwards.
struct Served<H: Handler> {
    handler: H,
    connection: Connection,
    peer: H::Peer,
    unread: Arc<Unread>,
}

impl<H: Handler> Drop for Served<H> {
    fn drop(&mut self) {
        self.handler.connection_closed(self.connection.id);
    }
}

enum Opened<S> {
    Plain(Prefaced<S>),
    Tls(Box<Prefaced<tokio_rustls::server::TlsStream<S>>>),
}

async fn open<S: Stream>(mut stream: S, tls: Option<TlsAcceptor>) -> io::Result<Opened<S>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if first != [TLS_HANDSHAKE_RECORD] {
        return Ok(Opened::Plain(expect_preface(stream).await?));
    }
    let Some(tls) = tls else {
        return Err(io::Error::other("the peer speaks TLS, which is turned off"));
    };
    let stream = tls.accept(stream).await?;
    Ok(Opened::Tls(Box::new(expect_preface(stream).await?)))
}

async fn serve_http2<S, H>(
    stream: S,
    served: &Arc<Served<H>>,
    mut stopping: Stopping,
) -> ConnectionResult
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    H: Handler,
{
    let service = service_fn(|mut request: Request<Incoming>| {
        let served = Arc::clone(served);
        request.extensions_mut().insert(served.connection);
        async move {
            let answered = served.handler.answer(request, &served.peer, &served.unread);
            Ok::<_, Infallible>(answered.await)
        }
    });
    let mut http2 = http2::Builder::new(TokioExecutor::new());
    http2
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(ERROR_RESETS_MAX)
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    let mut serving = std::pin::pin!(http2.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        biased;
        ended = serving.as_mut() => return Ok(ended?),
        () = stopping.wait() => serving.as_mut().graceful_shutdown(),
    }
    Ok(serving.await?)
}
