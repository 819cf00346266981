//! Where a port's connections come from: the network, or whatever stands in its place.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

/// Accepts connections.
pub trait Listener: Send + 'static {
    /// What it accepts.
    type Stream: Stream;

    /// The next connection and its client's address. May be dropped while it waits.
    ///
    /// # Errors
    /// When there is no connection now; the next call may find one.
    fn accept(
        &mut self,
    ) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send + '_;
}

/// A connection's bytes.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// Sets the options a port wants; the address of our end.
    ///
    /// # Errors
    /// When the connection is gone.
    fn prepare(&self) -> io::Result<SocketAddr>;

    /// Waits for bytes and leaves them to the next read; 0 at the end of the stream.
    ///
    /// # Errors
    /// When the connection broke.
    fn peek(&mut self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        Self::accept(self).await
    }
}

impl Stream for TcpStream {
    fn prepare(&self) -> io::Result<SocketAddr> {
        self.set_nodelay(true)?;
        let keepalive = socket2::TcpKeepalive::new().with_time(TCP_KEEPALIVE);
        socket2::SockRef::from(self).set_tcp_keepalive(&keepalive)?;
        self.local_addr()
    }

    async fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Self::peek(self, buffer).await
    }
}
