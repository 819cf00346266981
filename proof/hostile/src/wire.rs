//! HTTP/2 as an attacker writes it: frames by hand, over a plain socket.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

const INITIAL_WINDOW_SIZE: u16 = 4;

/// The `n`-th address that attackers come from; the honest client has 127.0.0.1.
pub(crate) fn attacker(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, 1 + n)
}

/// Connects from an address of this machine's loopback network.
pub(crate) async fn connect(from: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_nodelay(true)?;
    socket.bind(SocketAddr::from((from, 0)))?;
    socket.connect(to).await
}

/// What the server said on one connection so far.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) headers: AtomicU64,
    pub(crate) data_bytes: AtomicU64,
    /// Streams ended by a flag or a reset.
    pub(crate) ended: AtomicU64,
    pub(crate) resets: AtomicU64,
    pub(crate) goaways: AtomicU64,
    pub(crate) closed: AtomicBool,
    windows: Mutex<Windows>,
    /// A window has grown, or a stream or the connection is over.
    moved: Notify,
}

/// What the server lets us send, bytes.
#[derive(Debug)]
struct Windows {
    connection: i64,
    new_stream: i64,
    /// Streams that were sent to, or were given something; `None` for one that is over.
    streams: BTreeMap<u32, Option<i64>>,
}

impl Default for Windows {
    fn default() -> Self {
        Self { connection: 65_535, new_stream: 65_535, streams: BTreeMap::new() }
    }
}

impl Windows {
    fn stream(&mut self, stream: u32) -> &mut Option<i64> {
        self.streams.entry(stream).or_insert(Some(self.new_stream))
    }

    fn grow(&mut self, stream: u32, by: u32) {
        match stream {
            0 => self.connection += i64::from(by),
            _ => *self.stream(stream) = self.stream(stream).map(|window| window + i64::from(by)),
        }
    }

    /// Reads settings; they come before the first stream.
    fn set(&mut self, settings: &[u8]) {
        for setting in settings.chunks_exact(6) {
            if setting[..2] == INITIAL_WINDOW_SIZE.to_be_bytes() {
                let before = self.new_stream;
                self.new_stream = i64::from(number(&setting[2..]));
                let grown = self.new_stream - before;
                self.streams.values_mut().flatten().for_each(|window| *window += grown);
            }
        }
    }

    /// Takes what can be sent now, up to so much; an error when the stream is over.
    fn take(&mut self, stream: u32, most: usize) -> io::Result<usize> {
        let connection = self.connection;
        let Some(window) = self.stream(stream) else {
            return Err(io::ErrorKind::ConnectionReset.into());
        };
        let taken = connection.min(*window).clamp(0, most as i64);
        *window -= taken;
        self.connection -= taken;
        Ok(usize::try_from(taken).unwrap())
    }
}

impl Heard {
    pub(crate) fn is_over(&self) -> bool {
        self.closed.load(Ordering::Relaxed) || self.goaways.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// Waits until something can be sent on a stream, and takes it.
    async fn window(&self, stream: u32, most: usize) -> io::Result<usize> {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if self.is_over() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            let taken = self.windows.lock().unwrap().take(stream, most)?;
            if taken > 0 {
                return Ok(taken);
            }
            moved.await;
        }
    }
}

/// One connection of an attacker.
#[derive(Debug)]
pub(crate) struct Wire {
    writer: OwnedWriteHalf,
    /// Kept open when nobody reads.
    _unread: Option<OwnedReadHalf>,
    reading: Option<JoinHandle<()>>,
    pub(crate) heard: Arc<Heard>,
    next_stream: u32,
}

/// How an attacker reads what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// Everything, and its window stays open.
    Eagerly,
    /// Everything, but it gives no window for answers.
    NoWindow,
    /// Nothing: answers stay in the sockets.
    Never,
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(reading) = &self.reading {
            reading.abort();
        }
    }
}

impl Wire {
    /// Connects and shows the preface and settings.
    pub(crate) async fn open(from: Ipv4Addr, to: SocketAddr, reads: Reads) -> io::Result<Self> {
        let (reader, writer) = connect(from, to).await?.into_split();
        let heard = Arc::new(Heard::default());
        let (unread, reading) = match reads {
            Reads::Never => (Some(reader), None),
            _ => (None, Some(tokio::spawn(listen(reader, Arc::clone(&heard))))),
        };
        let mut wire = Self { writer, _unread: unread, reading, heard, next_stream: 1 };
        let window: u32 = if reads == Reads::NoWindow { 0 } else { 1 << 30 };
        let mut settings = INITIAL_WINDOW_SIZE.to_be_bytes().to_vec();
        settings.extend(window.to_be_bytes());
        let mut first = PREFACE.to_vec();
        first.extend(frame(SETTINGS, 0, 0, &settings));
        // The server's are on their way, and its windows hold from here on.
        first.extend(frame(SETTINGS, ACK, 0, &[]));
        if reads != Reads::NoWindow {
            first.extend(frame(WINDOW_UPDATE, 0, 0, &(1u32 << 30).to_be_bytes()));
        }
        wire.write(&first).await?;
        Ok(wire)
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).await
    }

    pub(crate) async fn frame(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> io::Result<()> {
        self.write(&frame(kind, flags, stream, payload)).await
    }

    /// Opens a call without a body yet; the number of its stream.
    pub(crate) async fn call(&mut self, method: &str, client: &str) -> io::Result<u32> {
        let stream = self.next();
        let block = call_headers(method, client);
        self.frame(HEADERS, END_HEADERS, stream, &block).await?;
        Ok(stream)
    }

    /// A whole call with one message, as far and as fast as the server's windows let it come. A call
    /// that is refused before its end is no failure.
    pub(crate) async fn request(
        &mut self,
        method: &str,
        client: &str,
        message: &[u8],
    ) -> io::Result<u32> {
        let stream = self.call(method, client).await?;
        let body = message_frame(message);
        self.send(stream, &body, END_STREAM).await?;
        Ok(stream)
    }

    /// Sends on a stream as the server's windows let it, with these flags at the last frame.
    pub(crate) async fn send(&mut self, stream: u32, bytes: &[u8], last: u8) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let len = match self.heard.window(stream, rest.len().min(16 << 10)).await {
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
                Err(error) => return Err(error),
            };
            let (chunk, later) = rest.split_at(len);
            rest = later;
            self.frame(DATA, if rest.is_empty() { last } else { 0 }, stream, chunk).await?;
        }
        Ok(())
    }

    pub(crate) fn next(&mut self) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        stream
    }
}

/// Reads frames and counts them until the end.
async fn listen(mut reader: OwnedReadHalf, heard: Arc<Heard>) {
    let mut head = [0; 9];
    let mut payload = Vec::new();
    while reader.read_exact(&mut head).await.is_ok() {
        let [l0, l1, l2, kind, flags, ..] = head;
        let len = u32::from_be_bytes([0, l0, l1, l2]);
        payload.resize(len as usize, 0);
        if reader.read_exact(&mut payload).await.is_err() {
            break;
        }
        let ends = matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0;
        let count = |counter: &AtomicU64, by: u64| {
            counter.fetch_add(by, Ordering::Relaxed);
        };
        match kind {
            HEADERS => count(&heard.headers, 1),
            DATA => count(&heard.data_bytes, u64::from(len)),
            RST_STREAM => count(&heard.resets, 1),
            GOAWAY => count(&heard.goaways, 1),
            SETTINGS => heard.windows.lock().unwrap().set(&payload),
            WINDOW_UPDATE => {
                heard.windows.lock().unwrap().grow(number(&head[5..]), number(&payload))
            }
            _ => {}
        }
        if ends || kind == RST_STREAM {
            count(&heard.ended, 1);
            *heard.windows.lock().unwrap().stream(number(&head[5..])) = None;
        }
        heard.moved.notify_waiters();
    }
    heard.closed.store(true, Ordering::Relaxed);
    heard.moved.notify_waiters();
}

/// The first 31 bits.
fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap()) & 0x7fff_ffff
}

/// A frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![len[1], len[2], len[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A gRPC message: flag, length, bytes.
pub(crate) fn message_frame(message: &[u8]) -> Vec<u8> {
    let mut body = message_prefix(u32::try_from(message.len()).unwrap()).to_vec();
    body.extend(message);
    body
}

/// The five bytes that declare a message.
pub(crate) fn message_prefix(len: u32) -> [u8; 5] {
    let [a, b, c, d] = len.to_be_bytes();
    [0, a, b, c, d]
}

/// The header block of a call.
pub(crate) fn call_headers(method: &str, client: &str) -> Vec<u8> {
    let path = format!("/apache.rocketmq.v2.MessagingService/{method}");
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path.as_str()),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("x-mq-client-id", client),
        ("x-mq-language", "JAVA"),
    ] {
        block.extend(literal(name, value.as_bytes()));
    }
    block
}

/// A header that is not put into the table.
pub(crate) fn literal(name: &str, value: &[u8]) -> Vec<u8> {
    let mut field = vec![0];
    field.extend(hpack_text(name.as_bytes()));
    field.extend(hpack_text(value));
    field
}

/// A header that is put into the table, where the next one pushes it on.
pub(crate) fn indexed_literal(name: &str, value: &[u8]) -> Vec<u8> {
    let mut field = literal(name, value);
    field[0] = 0x40;
    field
}

fn hpack_text(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    if text.len() < 127 {
        out.push(u8::try_from(text.len()).unwrap());
    } else {
        out.push(127);
        let mut rest = text.len() - 127;
        while rest >= 128 {
            out.push(u8::try_from(rest % 128).unwrap() | 0x80);
            rest /= 128;
        }
        out.push(u8::try_from(rest).unwrap());
    }
    out.extend(text);
    out
}
