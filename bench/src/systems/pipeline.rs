//! A TCP connection with many requests under way. Requests that come while a write is on its way
//! leave together in the next one, and each answer finds its request by number: what a good client
//! library of a pipelined protocol does.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;

use crate::Result;

const READ_BYTES: usize = 64 << 10;

/// What a protocol does with the bytes that come.
pub(super) trait Protocol: Send + 'static {
    type Answer: Send + fmt::Debug;

    /// Takes the next whole frame off the front; nothing when it is not all there.
    fn take(&mut self, bytes: &mut BytesMut) -> Result<Option<Frame<Self::Answer>>>;
}

/// A frame from the server.
#[derive(Debug)]
pub(super) enum Frame<A> {
    /// The answer to a request.
    Answer(u64, A),
    /// Something that is to be written at once.
    Reply(&'static [u8]),
    /// Nothing that matters.
    Skip,
}

/// The connection; it ends with this.
#[derive(Debug)]
pub(super) struct Pipeline<A> {
    shared: Arc<Shared<A>>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared<A> {
    state: Mutex<State<A>>,
    to_write: Notify,
}

#[derive(Debug)]
struct State<A> {
    out: BytesMut,
    next: u64,
    waiting: HashMap<u64, oneshot::Sender<A>>,
    /// Why nothing comes any more.
    ended: Option<String>,
}

impl<A: Send + fmt::Debug + 'static> Pipeline<A> {
    /// Connects.
    pub(super) async fn connect(
        address: SocketAddr,
        protocol: impl Protocol<Answer = A>,
    ) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (from, to) = stream.into_split();
        let state = State { out: BytesMut::new(), next: 0, waiting: HashMap::new(), ended: None };
        let shared = Arc::new(Shared { state: Mutex::new(state), to_write: Notify::new() });
        let mut tasks = JoinSet::new();
        tasks.spawn(write(Arc::clone(&shared), to));
        tasks.spawn(read(Arc::clone(&shared), from, protocol));
        Ok(Self { shared, _tasks: tasks })
    }

    /// Writes a request and waits for its answer. The requests of one connection are numbered from
    /// 0 in the order of their bytes.
    pub(super) async fn request(&self, encode: impl FnOnce(u64, &mut BytesMut)) -> Result<A> {
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.shared.lock();
            if let Some(why) = &state.ended {
                return Err(why.clone().into());
            }
            let number = state.next;
            state.next += 1;
            encode(number, &mut state.out);
            state.waiting.insert(number, answer);
        }
        self.shared.to_write.notify_one();
        answered.await.map_err(|_| self.shared.why_ended().into())
    }

    /// Writes something that has no answer.
    pub(super) fn tell(&self, bytes: &[u8]) {
        self.shared.tell(bytes);
    }
}

impl<A> Shared<A> {
    fn tell(&self, bytes: &[u8]) {
        self.lock().out.extend_from_slice(bytes);
        self.to_write.notify_one();
    }

    fn why_ended(&self) -> String {
        self.lock().ended.clone().unwrap_or_default()
    }

    fn end(&self, why: String) {
        let mut state = self.lock();
        state.ended.get_or_insert(why);
        state.waiting.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State<A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write<A>(pipeline: Arc<Shared<A>>, mut to: OwnedWriteHalf) {
    loop {
        pipeline.to_write.notified().await;
        let bytes = pipeline.lock().out.split();
        if let Err(error) = to.write_all(&bytes).await {
            return pipeline.end(format!("the connection broke: {error}"));
        }
    }
}

async fn read<P: Protocol>(
    pipeline: Arc<Shared<P::Answer>>,
    mut from: OwnedReadHalf,
    mut protocol: P,
) {
    let mut bytes = BytesMut::with_capacity(READ_BYTES);
    let why = loop {
        match from.read_buf(&mut bytes).await {
            Ok(0) => break "the server closed the connection".to_owned(),
            Ok(_) => {}
            Err(error) => break format!("the connection broke: {error}"),
        }
        if let Err(error) = hand_out(&pipeline, &mut protocol, &mut bytes) {
            break format!("not understood: {error}");
        }
    };
    pipeline.end(why);
}

fn hand_out<P: Protocol>(
    pipeline: &Shared<P::Answer>,
    protocol: &mut P,
    bytes: &mut BytesMut,
) -> Result<()> {
    while let Some(frame) = protocol.take(bytes)? {
        match frame {
            Frame::Answer(number, answer) => {
                if let Some(waiting) = pipeline.lock().waiting.remove(&number) {
                    // A request that nobody waits for any more needs no answer.
                    drop(waiting.send(answer));
                }
            }
            Frame::Reply(reply) => pipeline.tell(reply),
            Frame::Skip => {}
        }
    }
    Ok(())
}
