//! Writes checkpoints while everything else goes on.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::disk::DiskFile;
use crate::{
    BoxFuture, CheckpointWriter, KEY_BYTES_MAX, Lsn, PAYLOAD_BYTES_MAX, ShardId, StoreError,
};

use super::blocking::off_thread;
use super::engine::Engine;
use super::files::io_error;
use super::heads::{CHUNK_HEADS, Head};
use super::housekeeper::free;
use super::layout::{CHECKPOINT, number_of, unfinished};
use super::snapshot::{
    CHUNK_BYTES, ChunkKind, SnapshotHeader, encode_chunk, encode_heads, encode_pair,
};

/// Bytes written between two syncs, so that no sync holds up the log's for long.
const BYTES_PER_SYNC: u64 = 16 << 20;

/// A checkpoint being written.
#[derive(Debug)]
pub(super) struct Writer {
    engine: Arc<Engine>,
    header: SnapshotHeader,
    log_bytes: u64,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    at: u64,
    unsynced_bytes: u64,
    chunks: u32,
    body: Vec<u8>,
    is_published: bool,
}

impl Writer {
    /// Begins a checkpoint of all batches submitted before this call.
    pub(super) fn begin(engine: &Arc<Engine>) -> Result<Self, StoreError> {
        let (start, present) = {
            let queue = engine.queue();
            queue.is_open()?;
            (Lsn(queue.last_lsn() + 1), queue.segment)
        };
        // A segment without an index file is replayed, so that a start needs no space to write one.
        let unsealed = engine.index().unsealed().next().map(|segment| segment.number);
        let replay_from = unsealed.map_or(present, |number| number.min(present));
        if engine.checkpoints.is_being_written.swap(true, Ordering::AcqRel) {
            return Err(StoreError::Invalid("a checkpoint is being written already".into()));
        }
        let number = engine.checkpoints.number.load(Ordering::Acquire) + 1;
        let header = SnapshotHeader { database: engine.database, number, replay_from, start };
        let path = unfinished(&engine.layout.checkpoint(number));
        let opened = engine.disk.create(&path).and_then(|file| {
            let block = header.encode();
            file.write_at(&block, 0)?;
            Ok((file, block.len() as u64))
        });
        match opened {
            Ok((file, at)) => Ok(Self {
                engine: Arc::clone(engine),
                header,
                log_bytes: engine.counters.log_bytes.load(Ordering::Relaxed),
                path,
                file,
                at,
                unsynced_bytes: 0,
                chunks: 0,
                body: Vec::with_capacity(CHUNK_BYTES),
                is_published: false,
            }),
            Err(error) => {
                engine.checkpoints.is_being_written.store(false, Ordering::Release);
                Err(io_error(&path, &error))
            }
        }
    }

    fn write_chunk(&mut self, kind: ChunkKind) -> io::Result<()> {
        let chunk = encode_chunk(&self.header, kind, self.chunks, &self.body);
        self.file.write_at(&chunk, self.at)?;
        self.at += chunk.len() as u64;
        self.unsynced_bytes += chunk.len() as u64;
        self.chunks += 1;
        self.body.clear();
        if self.unsynced_bytes >= BYTES_PER_SYNC {
            self.file.sync_data()?;
            self.unsynced_bytes = 0;
        }
        Ok(())
    }

    /// Writes what the engine itself must know, and the end. Answers up to where the log must be
    /// durable before the checkpoint counts: the heads may show batches that are not yet.
    fn write_rest(&mut self) -> io::Result<Lsn> {
        if !self.body.is_empty() {
            self.write_chunk(ChunkKind::State)?;
        }
        let extent = self.engine.index().heads.extent();
        for (shard, chunks) in extent {
            for chunk in 0..chunks {
                self.copy_heads(shard, chunk);
                if !self.body.is_empty() {
                    self.write_chunk(ChunkKind::Heads)?;
                }
            }
        }
        let complete = Lsn(self.engine.queue().last_lsn());
        self.body.extend_from_slice(&complete.0.to_le_bytes());
        self.write_chunk(ChunkKind::End)?;
        self.file.sync_data()?;
        Ok(complete)
    }

    fn copy_heads(&mut self, shard: ShardId, chunk: usize) {
        let index = self.engine.index();
        let heads = index.heads.chunk(shard, chunk).unwrap_or_default();
        let used = heads.iter().rposition(|head| *head != Head::EMPTY).map_or(0, |last| last + 1);
        if let Some(heads) = heads.get(..used).filter(|heads| !heads.is_empty()) {
            let first_slot = (chunk * CHUNK_HEADS) as u32;
            encode_heads(&mut self.body, shard, first_slot, heads);
        }
    }

    /// Recovery starts here from now on.
    fn publish(&mut self) -> Result<(), StoreError> {
        let engine = Arc::clone(&self.engine);
        let path = engine.layout.checkpoint(self.header.number);
        engine.while_locked(|| {
            let renamed = engine.disk.rename(&self.path, &path);
            let synced = renamed.and_then(|()| engine.disk.sync_dir(&engine.layout.checkpoint_dir));
            synced.map_err(|error| io_error(&path, &error))
        })?;
        self.is_published = true;
        let state = &engine.checkpoints;
        let before = state.good.swap(self.header.number, Ordering::AcqRel);
        state.number.store(self.header.number, Ordering::Release);
        let replay_from_before = state.replay_from.swap(self.header.replay_from, Ordering::AcqRel);
        let is_first = before == 0;
        state
            .replay_from_before
            .store(if is_first { 0 } else { replay_from_before }, Ordering::Release);
        state.log_bytes.store(self.log_bytes, Ordering::Release);
        engine.counters.wants_checkpoint.store(false, Ordering::Relaxed);
        engine.call_housekeeper();
        remove_others(&engine, [self.header.number, before])
            .map_err(|error| io_error(&engine.layout.checkpoint_dir, &error))
    }
}

impl CheckpointWriter for Writer {
    fn put(&mut self, shard: ShardId, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        if key.len() > KEY_BYTES_MAX || value.len() > PAYLOAD_BYTES_MAX {
            return Err(StoreError::Invalid("a key or value is too long".into()));
        }
        encode_pair(&mut self.body, shard, key, value);
        if self.body.len() >= CHUNK_BYTES {
            self.write_chunk(ChunkKind::State).map_err(|error| io_error(&self.path, &error))?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(async move {
            let engine = Arc::clone(&self.engine);
            let (mut writer, complete) = off_thread(&engine, move || {
                let written = self.write_rest();
                written
                    .map_err(|error| io_error(&self.path, &error))
                    .map(|complete| (self, complete))
            })
            .await?;
            let mut watermark = writer.engine.watermark.subscribe();
            let reached =
                |state: &crate::Durability| state.durable >= complete || state.failed.is_some();
            match watermark.wait_for(reached).await.as_deref() {
                Ok(state) if state.durable >= complete => {}
                Ok(state) => return Err(state.failed.clone().unwrap_or(StoreError::Closed)),
                Err(_) => return Err(StoreError::Closed),
            }
            off_thread(&engine, move || writer.publish()).await
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.is_published
            && let Err(error) = self.engine.while_locked(|| {
                self.engine.disk.remove(&self.path).map_err(|error| io_error(&self.path, &error))
            })
        {
            tracing::debug!(%error, "an unfinished checkpoint stays until the next start");
        }
        self.engine.checkpoints.is_being_written.store(false, Ordering::Release);
    }
}

/// Removes all checkpoints but the newest and the good one before it, which is there in case the newest
/// gets damaged: one that a start found damaged already is no help.
fn remove_others(engine: &Engine, kept: [u32; 2]) -> io::Result<()> {
    for number in numbers(engine)?.into_iter().filter(|number| !kept.contains(number)) {
        let path = engine.layout.checkpoint(number);
        let file = engine.disk.open(&path)?;
        engine.disk.remove(&path)?;
        engine.disk.sync_dir(&engine.layout.checkpoint_dir)?;
        free(engine, file.as_ref());
    }
    count_bytes(engine)
}

/// Counts the bytes of all checkpoints.
pub(super) fn count_bytes(engine: &Engine) -> io::Result<()> {
    let mut bytes = 0;
    for number in numbers(engine)? {
        bytes += engine.disk.open(&engine.layout.checkpoint(number))?.len_bytes()?;
    }
    engine.counters.checkpoint_bytes.store(bytes, Ordering::Relaxed);
    Ok(())
}

/// The checkpoints of the folder.
fn numbers(engine: &Engine) -> io::Result<Vec<u32>> {
    let names = engine.disk.list(&engine.layout.checkpoint_dir)?;
    Ok(names.iter().filter_map(|name| number_of(name, CHECKPOINT)).collect())
}
