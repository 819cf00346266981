//! How fast the log is on this machine, beside the bare disk.
//!
//! `cargo run --release -p litemq-storage --example append -- [folder] [channels]`

#![allow(clippy::print_stdout, clippy::expect_used, reason = "a tool for people")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use litemq_storage::{
    Batch, ChannelRef, LogOptions, LogStore, Lsn, Op, ReadLimit, ShardId, ShardStore, StateSink,
    StoreError,
};

const PAYLOAD_BYTES: usize = 256;
const HEADER_BYTES: usize = 48;
const CHANNELS: u64 = 100_000;
const RUN: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "target/append".to_owned());
    let channels = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder).expect("the folder can be made");
    for records in [1, 100, 1_000] {
        bare_disk(folder, records);
        closed_loop(folder, records).await;
    }
    open_loop(folder, 200_000).await;
    recovery(folder, channels).await;
}

/// The least any log could do: the same bytes, one write and one sync, into a pre-written file.
fn bare_disk(folder: &Path, records: usize) {
    let path = folder.join("bare");
    let file = File::create(&path).expect("the file can be made");
    let (file_bytes, chunk) = (128_u64 << 20, vec![0; 1 << 20]);
    for at in (0..file_bytes).step_by(chunk.len()) {
        file.write_all_at(&chunk, at).expect("it can be written");
    }
    file.sync_all().expect("it can be synced");
    let frame = vec![7; (PAYLOAD_BYTES + HEADER_BYTES) * records];
    let (mut at, mut times, begun) = (0, Vec::new(), Instant::now());
    while begun.elapsed() < RUN {
        let start = Instant::now();
        file.write_all_at(&frame, at).expect("it can be written");
        file.sync_data().expect("it can be synced");
        times.push(start.elapsed());
        at = if at + 2 * frame.len() as u64 > file_bytes { 0 } else { at + frame.len() as u64 };
    }
    report(&format!("bare disk, {records} per sync"), records * times.len(), begun, &mut times);
    std::fs::remove_file(path).expect("it can be removed");
}

/// One commit at a time.
async fn closed_loop(folder: &Path, records: usize) {
    let (store, dir) = new_store(folder, "closed");
    let mut load = Load::default();
    let mut watermark = store.durable();
    let (mut times, begun) = (Vec::new(), Instant::now());
    while begun.elapsed() < RUN {
        let start = Instant::now();
        while store.admit_append().is_err() {
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        let lsn = store.submit(load.batch(records)).expect("it is taken");
        watermark.wait_for(|state| state.durable >= lsn).await.expect("the store lives");
        times.push(start.elapsed());
    }
    report(
        &format!("log, {records} per sync, one outstanding"),
        records * times.len(),
        begun,
        &mut times,
    );
    read_back(&store, &load).await;
    store.close().await.expect("it closes");
    std::fs::remove_dir_all(dir).expect("it can be removed");
}

/// Single records at a fixed rate; the log groups what comes while it syncs.
async fn open_loop(folder: &Path, per_second: u64) {
    let (store, dir) = new_store(folder, "open");
    let mut load = Load::default();
    let mut watermark = store.durable();
    let begun = Instant::now();
    let due = move |lsn: u64| begun + Duration::from_nanos(lsn * 1_000_000_000 / per_second);
    let waiter = tokio::spawn(async move {
        let (mut times, mut seen) = (Vec::new(), 0);
        while seen < per_second * RUN.as_secs() {
            watermark.changed().await.expect("the store lives");
            let Lsn(durable) = watermark.borrow_and_update().durable;
            times.extend((seen + 1..=durable).map(|lsn| due(lsn).elapsed()));
            seen = durable;
        }
        times
    });
    let total = per_second * RUN.as_secs();
    for lsn in 1..=total {
        // Not spinning: the two threads of the log want the cores.
        while due(lsn) > Instant::now() {
            std::thread::sleep(Duration::from_micros(50));
        }
        while store.admit_append().is_err() {
            tokio::task::yield_now().await;
        }
        store.submit(load.batch(1)).expect("it is taken");
    }
    let mut times = waiter.await.expect("all become durable");
    report(&format!("log, open loop at {per_second}/s"), total as usize, begun, &mut times);
    println!("  {:.0} records per sync", total as f64 / store.usage().syncs as f64);
    store.close().await.expect("it closes");
    std::fs::remove_dir_all(dir).expect("it can be removed");
}

async fn read_back(store: &LogStore, load: &Load) {
    let limit = ReadLimit { records_max: 32, bytes_max: 1 << 20 };
    let newest = load.sent.saturating_sub(1_000)..load.sent;
    let (begun, mut records) = (Instant::now(), 0);
    for number in newest.clone() {
        let page = store.read(channel(number % CHANNELS), number / CHANNELS, limit).await;
        records += page.expect("it can be read").records.len();
    }
    let each = begun.elapsed() / (newest.end - newest.start).max(1) as u32;
    println!("  tail reads: {each:?} each, {records} records");
}

/// Channels with one record and one key each, replayed whole and from a checkpoint.
async fn recovery(folder: &Path, channels: u64) {
    let (store, dir) = new_store(folder, "recovery");
    let mut last = Lsn(0);
    for first in (0..channels).step_by(500) {
        let ops = (first..channels.min(first + 500)).flat_map(|slot| {
            let key = format!("channel-state-{slot:012}").into_bytes();
            let payload = Bytes::from_static(&[1; 100]);
            [
                Op::Append { channel: channel(slot), offset: 0, at_ms: 1, tag: 0, payload },
                Op::Put { shard: ShardId(0), key: key.into(), value: Bytes::from_static(&[2; 60]) },
            ]
        });
        while store.admit_append().is_err() {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        last = store.submit(Batch { ops: ops.collect() }).expect("it is taken");
    }
    store.durable().wait_for(|state| state.durable >= last).await.expect("the store lives");
    drop(store);
    recover(&dir, "whole log").await;
    let store = recover(&dir, "whole log again").await;
    let mut writer = store.begin_checkpoint().expect("a checkpoint begins");
    for slot in 0..channels {
        let key = format!("channel-state-{slot:012}");
        writer.put(ShardId(0), key.as_bytes(), &[2; 60]).expect("it is written");
    }
    let begun = Instant::now();
    writer.finish().await.expect("the checkpoint is finished");
    println!("  checkpoint finished in {:?}", begun.elapsed());
    drop(store);
    drop(recover(&dir, "checkpoint").await);
    std::fs::remove_dir_all(dir).expect("it can be removed");
}

async fn recover(dir: &Path, what: &str) -> LogStore {
    let begun = Instant::now();
    let store = LogStore::open(dir, LogOptions::default()).expect("it opens");
    let mut count = Count::default();
    let recovered = store.recover(&mut count).expect("it recovers");
    println!(
        "recovery from {what}: {:?}, {} keys, {} records, {} MB replayed",
        begun.elapsed(),
        count.keys,
        count.records,
        recovered.replayed_bytes >> 20
    );
    store
}

#[derive(Default)]
struct Count {
    keys: u64,
    records: u64,
}

impl StateSink for Count {
    fn put(&mut self, _: ShardId, _: &[u8], _: &[u8]) -> Result<(), StoreError> {
        self.keys += 1;
        Ok(())
    }

    fn delete(&mut self, _: ShardId, _: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn appended(&mut self, _: ChannelRef, _: u64, _: u64, _: u64) {
        self.records += 1;
    }

    fn dropped(&mut self, _: ChannelRef) {}
}

#[derive(Default)]
struct Load {
    sent: u64,
}

impl Load {
    fn batch(&mut self, records: usize) -> Batch {
        let ops = (0..records).map(|_| {
            let number = self.sent;
            self.sent += 1;
            Op::Append {
                channel: channel(number % CHANNELS),
                offset: number / CHANNELS,
                at_ms: number,
                tag: 0,
                payload: Bytes::from_static(&[5; PAYLOAD_BYTES]),
            }
        });
        Batch { ops: ops.collect() }
    }
}

fn channel(slot: u64) -> ChannelRef {
    ChannelRef { shard: ShardId(0), slot: slot as u32, generation: 0 }
}

fn new_store(folder: &Path, name: &str) -> (LogStore, std::path::PathBuf) {
    let dir = folder.join(name);
    if dir.exists() {
        std::fs::remove_dir_all(&dir).expect("it can be removed");
    }
    let store = LogStore::open(&dir, LogOptions::default()).expect("it opens");
    store.recover(&mut Count::default()).expect("it recovers");
    (store, dir)
}

fn report(what: &str, records: usize, begun: Instant, times: &mut [Duration]) {
    let seconds = begun.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |share: f64| {
        let place = (times.len() as f64 * share) as usize;
        times.get(place).copied().unwrap_or_default()
    };
    println!(
        "{what}: {:.0} records/s, p50 {:?}, p99 {:?}, p99.9 {:?}",
        records as f64 / seconds,
        at(0.5),
        at(0.99),
        at(0.999)
    );
}
