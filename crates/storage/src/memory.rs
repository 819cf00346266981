//! Everything in memory: for tests, and for brokers that may forget.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

use crate::{
    Batch, BoxFuture, ChannelRef, CheckpointWriter, Durability, KEY_BYTES_MAX, Lsn, Op,
    PAYLOAD_BYTES_MAX, ReadLimit, ReadPage, Recovered, ShardId, ShardStore, StateSink, StoreError,
    StoreUsage, StoredRecord,
};

/// A [`ShardStore`] in memory.
///
/// Batches are durable at once, unless syncs are [held](Self::hold_syncs): then the watermark
/// moves when the holder says so, as far as it says, and a sync can be made to fail.
/// [`reopen`](Self::reopen) is a crash: what was durable is there, the rest is not.
#[derive(Debug)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    watermark: watch::Sender<Durability>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    Closed,
}

#[derive(Debug)]
struct State {
    disk: Contents,
    /// Submitted, not durable; the first has the Lsn after the watermark.
    waiting: VecDeque<Batch>,
    /// Where each channel goes on, waiting batches included.
    next: HashMap<(ShardId, u32), Next>,
    gate: Gate,
    is_held: bool,
    admission: Result<(), StoreError>,
    is_being_checkpointed: bool,
    syncs: u64,
}

/// What survives [`MemoryStore::reopen`].
#[derive(Debug, Clone, Default)]
struct Contents {
    channels: HashMap<ChannelRef, VecDeque<StoredRecord>>,
    next: HashMap<(ShardId, u32), Next>,
    snapshot: Vec<(ShardId, Bytes, Bytes)>,
    /// Batches since the snapshot.
    replay: VecDeque<(Lsn, Batch)>,
    durable: Lsn,
}

#[derive(Debug, Clone, Copy, Default)]
struct Next {
    generation: u32,
    offset: u64,
    is_dropped: bool,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::with(Contents::default())
    }

    fn with(disk: Contents) -> Self {
        let watermark = watch::Sender::new(Durability { durable: disk.durable, failed: None });
        let state = State {
            next: disk.next.clone(),
            disk,
            waiting: VecDeque::new(),
            gate: Gate::Open,
            is_held: false,
            admission: Ok(()),
            is_being_checkpointed: false,
            syncs: 0,
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), watermark }) }
    }

    /// The store a process would find after a crash of this one at this moment.
    pub fn reopen(&self) -> Self {
        Self::with(self.shared.state().disk.clone())
    }

    /// From now on batches wait for [`sync`](Self::sync).
    pub fn hold_syncs(&self) {
        self.shared.state().is_held = true;
    }

    /// Makes everything durable, and what follows at once.
    pub fn release_syncs(&self) {
        self.shared.state().is_held = false;
        self.sync(Lsn(u64::MAX));
    }

    /// Makes what waits durable up to this batch.
    pub fn sync(&self, upto: Lsn) {
        self.shared.sync(&mut self.shared.state(), upto);
    }

    /// A sync fails: what waits is lost and the store stops.
    pub fn fail(&self, message: &str) {
        let mut state = self.shared.state();
        state.waiting.clear();
        let failed = Some(StoreError::Failed(message.to_owned()));
        self.shared.watermark.send_modify(|now| now.failed = failed);
    }

    /// What `admit_append` answers from now on.
    pub fn set_admission(&self, answer: Result<(), StoreError>) {
        self.shared.state().admission = answer;
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_open(&self, state: &State) -> Result<(), StoreError> {
        match (state.gate, self.watermark.borrow().failed.clone()) {
            (Gate::Closed, _) => Err(StoreError::Closed),
            (Gate::Open, Some(failed)) => Err(failed),
            (Gate::Open, None) => Ok(()),
        }
    }

    fn sync(&self, state: &mut State, upto: Lsn) {
        let mut is_any = false;
        while state.disk.durable < upto {
            let Some(batch) = state.waiting.pop_front() else { break };
            state.disk.apply(batch);
            is_any = true;
        }
        if is_any {
            state.syncs += 1;
            let durable = state.disk.durable;
            self.watermark.send_modify(|now| now.durable = durable);
        }
    }
}

impl State {
    fn last_lsn(&self) -> u64 {
        self.disk.durable.0 + self.waiting.len() as u64
    }

    /// Checks the whole batch against the contract before any of it counts.
    fn check(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let mut next = HashMap::new();
        for op in &batch.ops {
            check_sizes(op)?;
            let (Op::Append { channel, .. } | Op::Drop { channel }) = op else { continue };
            let slot = (channel.shard, channel.slot);
            let known = self.next.get(&slot).copied().unwrap_or_default();
            next.entry(slot).or_insert(known).advance(op)?;
        }
        self.next.extend(next);
        Ok(())
    }
}

impl Next {
    fn advance(&mut self, op: &Op) -> Result<(), StoreError> {
        let (Op::Append { channel, .. } | Op::Drop { channel }) = op else { return Ok(()) };
        if channel.generation > self.generation {
            *self = Self { generation: channel.generation, ..Self::default() };
        }
        match op {
            Op::Append { offset, .. } => {
                let is_alive = channel.generation == self.generation && !self.is_dropped;
                if !is_alive || *offset != self.offset {
                    let what = format!("{channel:?} has no place for offset {offset}");
                    return Err(StoreError::Invalid(what));
                }
                self.offset += 1;
            }
            _ if channel.generation == self.generation => self.is_dropped = true,
            _ => {}
        }
        Ok(())
    }
}

fn check_sizes(op: &Op) -> Result<(), StoreError> {
    let (key_bytes, value_bytes) = match op {
        Op::Append { payload, .. } => (0, payload.len()),
        Op::Put { key, value, .. } => (key.len(), value.len()),
        Op::Delete { key, .. } => (key.len(), 0),
        Op::Drop { .. } => (0, 0),
    };
    if key_bytes > KEY_BYTES_MAX || value_bytes > PAYLOAD_BYTES_MAX {
        return Err(StoreError::Invalid("a key, value or payload is too large".into()));
    }
    Ok(())
}

impl Contents {
    fn apply(&mut self, batch: Batch) {
        self.durable = Lsn(self.durable.0 + 1);
        for op in &batch.ops {
            match op {
                Op::Append { channel, offset, at_ms, tag, payload } => {
                    self.channels.entry(*channel).or_default().push_back(StoredRecord {
                        offset: *offset,
                        at_ms: *at_ms,
                        tag: *tag,
                        payload: payload.clone(),
                    });
                }
                Op::Drop { channel } => {
                    self.channels.remove(channel);
                }
                Op::Put { .. } | Op::Delete { .. } => continue,
            }
            if let Op::Append { channel, .. } | Op::Drop { channel } = op {
                let next = self.next.entry((channel.shard, channel.slot)).or_default();
                let before = *next;
                if next.advance(op).is_err() {
                    *next = before;
                }
            }
        }
        self.replay.push_back((self.durable, batch));
    }

    fn stream(&self, sink: &mut dyn StateSink) -> Result<u64, StoreError> {
        let mut replayed_bytes = 0;
        for (shard, key, value) in &self.snapshot {
            sink.put(*shard, key, value)?;
        }
        for op in self.replay.iter().flat_map(|(_, batch)| &batch.ops) {
            match op {
                Op::Append { channel, offset, at_ms, tag, payload } => {
                    replayed_bytes += payload.len() as u64;
                    sink.appended(*channel, *offset, *at_ms, *tag);
                }
                Op::Drop { channel } => sink.dropped(*channel),
                Op::Put { shard, key, value } => sink.put(*shard, key, value)?,
                Op::Delete { shard, key } => sink.delete(*shard, key)?,
            }
        }
        Ok(replayed_bytes)
    }

    fn read(&self, channel: ChannelRef, from: u64, limit: ReadLimit) -> ReadPage {
        let is_live = |next: &&Next| next.generation == channel.generation && !next.is_dropped;
        let Some(next) = self.next.get(&(channel.shard, channel.slot)).filter(is_live) else {
            return ReadPage::default();
        };
        let records = self.channels.get(&channel);
        let first = records.and_then(VecDeque::front).map_or(next.offset, |record| record.offset);
        let start = from.max(first);
        let mut page =
            ReadPage { records: Vec::new(), first_retained: (first > from).then_some(first) };
        let mut bytes = 0_usize;
        for record in records.into_iter().flatten().skip_while(|record| record.offset < start) {
            bytes = bytes.saturating_add(record.payload.len());
            let is_first = page.records.is_empty();
            if page.records.len() >= limit.records_max || (!is_first && bytes > limit.bytes_max) {
                break;
            }
            page.records.push(record.clone());
        }
        page
    }
}

/// A snapshot being written.
#[derive(Debug)]
struct Writer {
    shared: Arc<Shared>,
    start: Lsn,
    pairs: Vec<(ShardId, Bytes, Bytes)>,
}

impl CheckpointWriter for Writer {
    fn put(&mut self, shard: ShardId, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        check_sizes(&Op::Put { shard, key: key.clone(), value: value.clone() })?;
        self.pairs.push((shard, key, value));
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, Result<(), StoreError>> {
        let complete = Lsn(self.shared.state().last_lsn());
        Box::pin(async move {
            let mut watermark = self.shared.watermark.subscribe();
            let reached = |now: &Durability| now.durable >= complete || now.failed.is_some();
            match watermark.wait_for(reached).await.as_deref() {
                Ok(now) if now.durable >= complete => {}
                Ok(now) => return Err(now.failed.clone().unwrap_or(StoreError::Closed)),
                Err(_) => return Err(StoreError::Closed),
            }
            let mut state = self.shared.state();
            state.disk.snapshot = std::mem::take(&mut self.pairs);
            let start = self.start;
            state.disk.replay.retain(|(lsn, _)| *lsn >= start);
            Ok(())
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.state().is_being_checkpointed = false;
    }
}

impl ShardStore for MemoryStore {
    fn admit_append(&self) -> Result<(), StoreError> {
        let state = self.shared.state();
        self.shared.check_open(&state)?;
        state.admission.clone()
    }

    fn submit(&self, batch: Batch) -> Result<Lsn, StoreError> {
        let mut state = self.shared.state();
        self.shared.check_open(&state)?;
        state.check(&batch)?;
        state.waiting.push_back(batch);
        let lsn = Lsn(state.last_lsn());
        if !state.is_held {
            self.shared.sync(&mut state, lsn);
        }
        Ok(lsn)
    }

    fn durable(&self) -> watch::Receiver<Durability> {
        self.shared.watermark.subscribe()
    }

    fn read(
        &self,
        channel: ChannelRef,
        from: u64,
        limit: ReadLimit,
    ) -> BoxFuture<'_, Result<ReadPage, StoreError>> {
        let state = self.shared.state();
        let answer = match state.gate {
            Gate::Closed => Err(StoreError::Closed),
            Gate::Open => Ok(state.disk.read(channel, from, limit)),
        };
        Box::pin(std::future::ready(answer))
    }

    fn recover(&self, sink: &mut dyn StateSink) -> Result<Recovered, StoreError> {
        let state = self.shared.state();
        let replayed_bytes = state.disk.stream(sink)?;
        Ok(Recovered { durable: state.disk.durable, replayed_bytes, torn_bytes: 0 })
    }

    fn begin_checkpoint(&self) -> Result<Box<dyn CheckpointWriter>, StoreError> {
        let mut state = self.shared.state();
        self.shared.check_open(&state)?;
        if std::mem::replace(&mut state.is_being_checkpointed, true) {
            return Err(StoreError::Invalid("a checkpoint is being written already".into()));
        }
        let start = Lsn(state.last_lsn() + 1);
        Ok(Box::new(Writer { shared: Arc::clone(&self.shared), start, pairs: Vec::new() }))
    }

    fn retain_after(&self, at_ms: u64) -> Result<(), StoreError> {
        let mut state = self.shared.state();
        self.shared.check_open(&state)?;
        for records in state.disk.channels.values_mut() {
            while records.front().is_some_and(|record| record.at_ms < at_ms) {
                records.pop_front();
            }
        }
        Ok(())
    }

    fn usage(&self) -> StoreUsage {
        let state = self.shared.state();
        let bytes = |batch: &Batch| -> u64 {
            let payloads = batch.ops.iter().map(|op| match op {
                Op::Append { payload, .. } => payload.len(),
                Op::Put { key, value, .. } => key.len() + value.len(),
                Op::Delete { .. } | Op::Drop { .. } => 0,
            });
            payloads.sum::<usize>() as u64
        };
        StoreUsage {
            disk_bytes: 0,
            unsynced_bytes: state.waiting.iter().map(bytes).sum(),
            syncs: state.syncs,
            log_bytes: 0,
            log_bytes_since_checkpoint: state
                .disk
                .replay
                .iter()
                .map(|(_, batch)| bytes(batch))
                .sum(),
            compacted_bytes: 0,
            wants_checkpoint: false,
        }
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        let mut state = self.shared.state();
        let failed = self.shared.watermark.borrow().failed.clone();
        self.shared.sync(&mut state, Lsn(u64::MAX));
        state.gate = Gate::Closed;
        Box::pin(std::future::ready(failed.map_or(Ok(()), Err)))
    }
}
