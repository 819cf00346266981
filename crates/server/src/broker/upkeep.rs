//! What runs beside the requests: sessions that end, checkpoints, retention.

use std::sync::Arc;
use std::time::Duration;

use litemq_domain::Result;
use litemq_storage::{Batch, CheckpointWriter, Lsn, ShardId};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Broker;
use super::access::put_directory;
use super::admin::{put, put_counters, put_group, put_time, put_topic};
use super::durability::error_of;
use super::limits::{SESSION_SWEEP_INTERVAL, UPKEEP_INTERVAL};
use super::quotas::put_quotas;
use super::shard::command::Command;

impl Broker {
    /// Ends sessions of clients that are gone, until the broker stops.
    pub async fn watch_sessions(self: Arc<Self>) {
        let mut ticks = interval(SESSION_SWEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut life = self.context.life.subscribe();
        loop {
            tokio::select! {
                biased;
                _ = life.wait_for(|life| !life.is_serving()) => return,
                _ = ticks.tick() => {}
            }
            if let Err(error) = self.sweep_sessions().await {
                tracing::warn!(%error, "sessions could not be ended; they will be tried again");
            }
        }
    }

    async fn sweep_sessions(&self) -> Result<()> {
        let swept = self.context.sessions.sweep();
        for client in swept.disconnected {
            self.tell_shards(|| Command::ReleaseClient { client, renewed_only: true }).await?;
        }
        for client in swept.interrupted {
            self.tell_shards(|| Command::DoubtClient(client)).await?;
        }
        for (key, client) in swept.expired {
            tracing::debug!(%client, "a client was silent for too long; its session ends");
            self.end_expired(key).await?;
        }
        Ok(())
    }

    /// Writes checkpoints, notes the time, forgets what is over and applies retention, until the broker stops.
    pub async fn keep_up(self: Arc<Self>) {
        let mut ticks = interval(UPKEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut life = self.context.life.subscribe();
        let mut last = Instant::now();
        let mut has_failed = false;
        let mut noted = self.durable();
        loop {
            tokio::select! {
                biased;
                _ = life.wait_for(|life| !life.is_serving()) => return,
                _ = ticks.tick() => {}
            }
            let usage = self.context.store.usage();
            let log_bytes = usage.log_bytes_since_checkpoint;
            let due = last.elapsed() >= self.options.checkpoint_interval && log_bytes > 0;
            // One that failed is not tried again for space that may come back.
            let is_wanted = usage.wants_checkpoint && !has_failed;
            if due || log_bytes >= self.options.checkpoint_log_bytes || is_wanted {
                last = Instant::now();
                let written = self.checkpoint().await;
                has_failed = written.is_err();
                if let Err(error) = written {
                    tracing::warn!(%error, "a checkpoint failed; the log is kept and it is tried again");
                }
            }
            self.note_time(&mut noted);
            self.context.subscriptions.forget_old_added(self.now()).await;
            self.apply_retention().await;
        }
    }

    /// Leases are written with the time of their end, so a clock that starts earlier than they were
    /// given would make them longer. While nothing is written the time is not either.
    fn note_time(&self, noted: &mut Lsn) {
        if self.durable() <= *noted {
            return;
        }
        // A store that takes nothing now, or nothing any more, tells others so.
        if let Ok(lsn) = self.context.store.submit(Batch { ops: vec![put_time(self.now())] }) {
            *noted = lsn;
        }
    }

    fn durable(&self) -> Lsn {
        self.context.store.durable().borrow().durable
    }

    async fn apply_retention(&self) {
        let keep_ms = u64::try_from(self.options.retention.as_millis()).unwrap_or(u64::MAX);
        let before = self.now().0.saturating_sub(keep_ms);
        let store = Arc::clone(&self.context.store);
        if let Err(error) = self.options.edge.off_thread(move || store.retain_after(before)).await {
            tracing::warn!(%error, "retention could not be applied");
        }
    }

    /// Writes the whole state beside the log, so that the next start replays only what follows.
    ///
    /// # Errors
    /// When the store cannot write it; the log stays as it is.
    pub async fn checkpoint(&self) -> Result<()> {
        let started = Instant::now();
        let writer = self.begin_checkpoint().await?;
        let mut writer = writer;
        for (number, shard) in self.shards.iter().enumerate() {
            let id = ShardId(u16::try_from(number).unwrap_or(u16::MAX));
            let mut next = Some(0);
            while let Some(from) = next {
                let piece = shard.ask(|reply| Command::Snapshot(from, reply)).await?;
                next = piece.next;
                writer = self.write_off_thread(writer, id, piece.records).await?;
            }
        }
        writer.finish().await.map_err(|error| error_of(&error))?;
        tracing::info!(took = ?rounded(started.elapsed()), "wrote a checkpoint");
        Ok(())
    }

    /// Starts a checkpoint with the catalog. No change of the catalog may fall between the start
    /// and the copy: it would be in neither.
    async fn begin_checkpoint(&self) -> Result<Box<dyn CheckpointWriter>> {
        let counters = self.counters.lock().await;
        let writer = self.context.store.begin_checkpoint().map_err(|error| error_of(&error))?;
        let mut ops = vec![
            put_counters(*counters),
            put_time(self.now()),
            put_quotas(self.quotas().quotas),
            put(
                litemq_domain::persisted::identity_key(),
                litemq_domain::persisted::identity_value(self.identity()),
            ),
        ];
        ops.extend(self.context.catalog.topics().iter().map(|topic| put_topic(topic)));
        ops.extend(self.context.catalog.groups().iter().map(|group| put_group(group)));
        ops.extend(put_directory(&self.access.directory()));
        let records = ops
            .into_iter()
            .filter_map(|op| match op {
                litemq_storage::Op::Put { key, value, .. } => Some((key.to_vec(), value.to_vec())),
                _ => None,
            })
            .collect();
        self.write_off_thread(writer, super::admin::CATALOG, records).await
    }

    async fn write_off_thread(
        &self,
        mut writer: Box<dyn CheckpointWriter>,
        shard: ShardId,
        records: Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Result<Box<dyn CheckpointWriter>> {
        let written = self.options.edge.off_thread(move || {
            for (key, value) in &records {
                writer.put(shard, key, value)?;
            }
            Ok(writer)
        });
        written.await.map_err(|error| error_of(&error))
    }
}

fn rounded(span: Duration) -> Duration {
    Duration::from_millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}
