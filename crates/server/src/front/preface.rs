//! The first bytes of an HTTP/2 connection, read under a time limit before anything is set up for it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a client gets that speaks HTTP/1 to the gRPC port.
const WRONG_PROTOCOL: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n\
    connection: close\r\n\r\nThis port speaks gRPC over HTTP/2. The HTTP API has a port of its own.\n";

/// A stream that has shown its HTTP/2 preface; reads as if the preface were still to come.
#[derive(Debug)]
pub(super) struct Prefaced<S> {
    replay: &'static [u8],
    stream: S,
}

/// Reads the preface. An error when the peer sends anything else; one that speaks HTTP/1 is told so.
pub(super) async fn expect_preface<S>(mut stream: S) -> io::Result<Prefaced<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut seen = [0; PREFACE.len()];
    let mut rest = seen.as_mut_slice();
    let mut seen_len = 0;
    while !rest.is_empty() {
        let read_len = stream.read(rest).await?;
        let (read, tail) = rest.split_at_mut(read_len);
        let expected = PREFACE.get(seen_len..seen_len + read_len);
        if read_len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if expected != Some(&*read) {
            if seen_len == 0 && read.first().is_some_and(u8::is_ascii_uppercase) {
                stream.write_all(WRONG_PROTOCOL).await?;
                stream.shutdown().await?;
            }
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the peer speaks no HTTP/2"));
        }
        seen_len += read_len;
        rest = tail;
    }
    Ok(Prefaced { replay: PREFACE, stream })
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefaced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.replay.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let (now, later) = self.replay.split_at(self.replay.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.replay = later;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefaced<S> {
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

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_preface_is_read_again_with_what_follows_it() {
        let (mut client, server) = tokio::io::duplex(8);
        let sender = tokio::spawn(async move {
            client.write_all(PREFACE).await.unwrap();
            client.write_all(b"frames").await.unwrap();
        });
        let mut prefaced = expect_preface(server).await.unwrap();
        let mut all = Vec::new();
        prefaced.read_to_end(&mut all).await.unwrap();
        sender.await.unwrap();
        assert_eq!(all, [PREFACE.as_slice(), b"frames"].concat());
    }

    #[tokio::test]
    async fn a_browser_is_told_that_it_has_the_wrong_port() {
        let (mut client, server) = tokio::io::duplex(1024);
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let error = expect_preface(server).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(answer.contains("gRPC"), "{answer}");
    }

    #[tokio::test]
    async fn a_peer_that_leaves_half_way_is_an_error() {
        let (mut client, server) = tokio::io::duplex(1024);
        client.write_all(b"PRI * HT").await.unwrap();
        drop(client);
        assert_eq!(expect_preface(server).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
