//! Streams of Valkey and Redis: `XADD` to a key for each channel.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{BoxFuture, try_join_all};
use tokio::sync::{Mutex, RwLock};
use tokio::time::sleep;

use super::pipeline::Pipeline;
use super::resp::{Answers, Value, encode};
use super::{
    Connection, Consumer, Delivery, Holding, Library, Position, RECEIVE_MAX, RECEIVE_WAIT, Reader,
};
use crate::Result;
use crate::messages::{TOPIC, lite_name};

/// A connection, pipelined.
#[derive(Debug)]
pub(super) struct Valkey(Pipeline<Value>);

impl Valkey {
    pub(super) async fn connect(address: SocketAddr) -> Result<Self> {
        Ok(Self(Pipeline::connect(address, Answers::default()).await?))
    }

    async fn call(&self, words: &[&[u8]]) -> Result<Value> {
        match self.0.request(|_, out| encode(words, out)).await? {
            Value::Error(error) => Err(format!("Valkey: {error}").into()),
            value => Ok(value),
        }
    }
}

impl Connection for Valkey {
    fn append(&self, channel: usize, body: Bytes) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let key = key(channel);
            self.call(&[b"XADD", key.as_bytes(), b"*", b"m", &body]).await.map(drop)
        })
    }
}

fn key(channel: usize) -> String {
    format!("{TOPIC}:{}", lite_name(channel))
}

/// Readers that go on behind the id of an entry.
#[derive(Debug)]
pub(super) struct Entries(pub(super) SocketAddr);

/// One of them; it waits on its own connection.
#[derive(Debug)]
struct EntryReader {
    valkey: Valkey,
    key: String,
    last: String,
}

impl Library for Entries {
    fn open(&self, channel: usize, position: Position) -> BoxFuture<'_, Result<Box<dyn Reader>>> {
        Box::pin(async move {
            let valkey = Valkey::connect(self.0).await?;
            let last = position.unwrap_or_else(|| "0".to_owned());
            let reader: Box<dyn Reader> = Box::new(EntryReader { valkey, key: key(channel), last });
            Ok(reader)
        })
    }
}

impl Reader for EntryReader {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<(Bytes, Position)>>> {
        Box::pin(async move {
            let wait = RECEIVE_WAIT.as_millis().to_string();
            let mut words: Vec<&[u8]> = vec![b"XREAD", b"BLOCK", wait.as_bytes(), b"STREAMS"];
            words.extend([self.key.as_bytes(), self.last.as_bytes()]);
            let mut found = Vec::new();
            for stream in list(self.valkey.call(&words).await?)? {
                let [_, entries] = pair(stream)?;
                found.extend(deliveries(&self.key, entries, false)?);
            }
            if let Some(newest) = found.last() {
                self.last.clone_from(&newest.id);
            }
            Ok(found.into_iter().map(|entry| (entry.body, Some(entry.id))).collect())
        })
    }
}

/// A group on each key, read by one client.
#[derive(Debug)]
pub(super) struct Holder {
    /// A read that waits blocks its connection.
    reads: Valkey,
    /// The number of that connection.
    reads_id: String,
    acks: Valkey,
    /// Held by each read, as one that is under way reads what it began with.
    keys: RwLock<Vec<String>>,
    /// Of the consumer in the group.
    name: String,
    sweep: Option<Sweep>,
}

/// What is not acknowledged comes again when somebody asks for it.
#[derive(Debug)]
struct Sweep {
    idle: Duration,
    next: Mutex<Instant>,
}

const GROUP: &[u8] = b"consumers";
/// How often all keys are asked for what was not acknowledged.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// How long a read waits for its first key.
const NO_KEYS_WAIT: Duration = Duration::from_millis(1);

impl Holder {
    pub(super) async fn connect(address: SocketAddr, holding: Holding) -> Result<Self> {
        let (reads, acks) = (Valkey::connect(address).await?, Valkey::connect(address).await?);
        let Value::Number(reads_id) = reads.call(&[b"CLIENT", b"ID"]).await? else {
            return Err("CLIENT ID answered no number".into());
        };
        let sweep = |idle| Sweep { idle, next: Mutex::new(Instant::now() + SWEEP_INTERVAL) };
        let holder = Self {
            reads,
            reads_id: reads_id.to_string(),
            acks,
            keys: RwLock::default(),
            name: format!("client-{}", holding.client),
            sweep: holding.invisible.map(sweep),
        };
        let keys: Vec<String> = holding.channels.map(key).collect();
        try_join_all(keys.iter().map(|key| holder.make_group(key))).await?;
        *holder.keys.write().await = keys;
        Ok(holder)
    }

    /// The group of a key; one that is there stays where it is.
    async fn make_group(&self, key: &str) -> Result<()> {
        let words = [b"XGROUP", b"CREATE".as_slice(), key.as_bytes(), GROUP, b"$", b"MKSTREAM"];
        match self.acks.call(&words).await {
            Err(error) if !error.to_string().contains("BUSYGROUP") => Err(error),
            _ => Ok(()),
        }
    }

    /// Changes what is read, when no read is under way any more.
    async fn change(&self, change: impl FnOnce(&mut Vec<String>)) -> Result<()> {
        let mut free = pin!(self.keys.write());
        loop {
            let unblock = [b"CLIENT", b"UNBLOCK".as_slice(), self.reads_id.as_bytes()];
            tokio::select! {
                biased;
                mut keys = &mut free => {
                    change(&mut keys);
                    return Ok(());
                }
                unblocked = self.acks.call(&unblock) => drop(unblocked?),
            }
        }
    }

    /// What somebody took and did not acknowledge for so long, when it is time to look.
    async fn sweep(&self, keys: &[String]) -> Result<Vec<Delivery>> {
        let Some(sweep) = &self.sweep else { return Ok(Vec::new()) };
        let Ok(mut next) = sweep.next.try_lock() else { return Ok(Vec::new()) };
        if Instant::now() < *next {
            return Ok(Vec::new());
        }
        let idle = sweep.idle.as_millis().to_string();
        let claim = async |key: &String| {
            let mut words = vec![b"XAUTOCLAIM".as_slice(), key.as_bytes(), GROUP];
            words.extend([self.name.as_bytes(), idle.as_bytes(), b"0"]);
            let mut parts = list(self.acks.call(&words).await?)?.into_iter();
            let claimed = parts.nth(1).ok_or("XAUTOCLAIM answered too little")?;
            deliveries(key, claimed, true)
        };
        let found = try_join_all(keys.iter().map(claim)).await?;
        *next = Instant::now() + SWEEP_INTERVAL;
        Ok(found.into_iter().flatten().collect())
    }
}

impl Consumer for Holder {
    fn receive(&self) -> BoxFuture<'_, Result<Vec<Delivery>>> {
        Box::pin(async move {
            let keys = self.keys.read().await;
            let mut found = self.sweep(&keys).await?;
            if !found.is_empty() {
                return Ok(found);
            }
            if keys.is_empty() {
                drop(keys);
                sleep(NO_KEYS_WAIT).await;
                return Ok(found);
            }
            let count = RECEIVE_MAX.to_string();
            // Reads wait behind each other, and each begins with a look at what is to come again.
            let wait = self.sweep.as_ref().map_or(RECEIVE_WAIT, |_| SWEEP_INTERVAL / 4);
            let wait = wait.as_millis().to_string();
            let mut words: Vec<&[u8]> = vec![b"XREADGROUP", b"GROUP", GROUP, self.name.as_bytes()];
            words.extend([b"COUNT", count.as_bytes(), b"BLOCK", wait.as_bytes(), b"STREAMS"]);
            words.extend(keys.iter().map(String::as_bytes));
            words.extend(keys.iter().map(|_| b">".as_slice()));
            for stream in list(self.reads.call(&words).await?)? {
                let [key, entries] = pair(stream)?;
                found.extend(deliveries(&text(&key)?, entries, false)?);
            }
            Ok(found)
        })
    }

    fn ack<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let words = [b"XACK", delivery.channel.as_bytes(), GROUP, delivery.id.as_bytes()];
            match self.acks.call(&words).await? {
                Value::Number(number) => Ok(number == 1),
                other => Err(format!("XACK answered {other:?}").into()),
            }
        })
    }

    fn hold(&self, channel: usize) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let key = key(channel);
            self.make_group(&key).await?;
            self.change(|keys| keys.push(key)).await
        })
    }

    fn release(&self, channel: usize) -> BoxFuture<'_, Result<()>> {
        let key = key(channel);
        Box::pin(self.change(move |keys| keys.retain(|held| *held != key)))
    }
}

fn deliveries(key: &str, entries: Value, again: bool) -> Result<Vec<Delivery>> {
    let mut found = Vec::new();
    for entry in list(entries)? {
        let [id, fields] = pair(entry)?;
        let [_, body] = pair(fields)?;
        let Value::Text(body) = body else { return Err("a body is no text".into()) };
        let (channel, id, receipt) = (key.to_owned(), text(&id)?, String::new());
        found.push(Delivery { body, again, channel, id, receipt });
    }
    Ok(found)
}

/// The parts of a list; a read that found nothing answers nil.
fn list(value: Value) -> Result<Vec<Value>> {
    match value {
        Value::List(values) => Ok(values),
        Value::Nil => Ok(Vec::new()),
        other => Err(format!("no list: {other:?}").into()),
    }
}

fn pair(value: Value) -> Result<[Value; 2]> {
    <[Value; 2]>::try_from(list(value)?).map_err(|_| "no pair".into())
}

fn text(value: &Value) -> Result<String> {
    match value {
        Value::Text(text) => Ok(std::str::from_utf8(text)?.to_owned()),
        other => Err(format!("no text: {other:?}").into()),
    }
}
