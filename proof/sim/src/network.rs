//! The network: connections of the simulation under the server's port and the clients' channels.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use litemq_clients::connect::Connect;
use litemq_server::front::accept::{Listener, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::{Channel, Endpoint};
use turmoil::net::{TcpListener, TcpStream};

/// The server's name in the network.
pub(crate) const SERVER: &str = "server";
const PORT: u16 = 8081;

/// Longest wait for a connection, and the pause after one that failed.
const CONNECT_MAX: Duration = Duration::from_secs(3);
const CONNECT_PAUSE: Duration = Duration::from_millis(200);

/// The port of the server.
pub(crate) struct Port(TcpListener);

impl Port {
    pub(crate) async fn open() -> io::Result<Self> {
        TcpListener::bind(("0.0.0.0", PORT)).await.map(Self)
    }
}

impl Listener for Port {
    type Stream = Wire;

    async fn accept(&mut self) -> io::Result<(Wire, SocketAddr)> {
        let (stream, remote) = self.0.accept().await?;
        Ok((Wire { stream, stall: Arc::default() }, remote))
    }
}

/// A client's way to the server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Way {
    /// Stops the client from reading what comes.
    pub(crate) stall: Arc<Stall>,
    /// Whether something is, or was just before, wrong with it.
    pub(crate) is_bad: Arc<AtomicBool>,
}

impl Connect for Way {
    const CALL_MAX: Duration = Duration::from_secs(5);

    fn is_bad(&self) -> bool {
        self.is_bad.load(Ordering::Relaxed)
    }

    async fn connect(&self) -> Channel {
        loop {
            let stall = Arc::clone(&self.stall);
            let dial = tower::service_fn(move |_: http::Uri| {
                let stall = Arc::clone(&stall);
                async move {
                    let stream = TcpStream::connect((SERVER, PORT)).await?;
                    Ok::<_, io::Error>(TokioIo::new(Wire { stream, stall }))
                }
            });
            let endpoint = Endpoint::from_static("http://server:8081");
            let connecting = endpoint.connect_with_connector(dial);
            if let Ok(Ok(channel)) = tokio::time::timeout(CONNECT_MAX, connecting).await {
                return channel;
            }
            tokio::time::sleep(CONNECT_PAUSE).await;
        }
    }
}

/// Whether the application behind a connection reads.
#[derive(Debug, Default)]
pub(crate) struct Stall(Mutex<StallState>);

#[derive(Debug, Default)]
struct StallState {
    is_stalled: bool,
    waiting: Vec<Waker>,
}

impl Stall {
    pub(crate) fn set(&self, is_stalled: bool) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_stalled = is_stalled;
        state.waiting.drain(..).for_each(Waker::wake);
    }

    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.is_stalled {
            return Poll::Ready(());
        }
        state.waiting.push(context.waker().clone());
        Poll::Pending
    }
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    stall: Arc<Stall>,
}

impl Stream for Wire {
    fn prepare(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    async fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.peek(buffer).await
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        std::task::ready!(self.stall.poll(context));
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
