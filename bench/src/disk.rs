//! The disk by itself: what any durable answer has to wait for.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::Result;
use crate::latency::{Latencies, LatencySummary};

const WRITE_BYTES: usize = 4096;
const FILE_BYTES: u64 = 16 << 20;
const PROBE: Duration = Duration::from_secs(2);

/// The speed of the disk before and after a run. When both differ much, the run tells little.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct DiskSpeed {
    pub(crate) before: LatencySummary,
    pub(crate) after: LatencySummary,
}

/// Times `pwrite` of 4 KiB and `fdatasync`, in turn, in a file that was written before.
pub(crate) async fn sync_latency(folder: &Path) -> Result<LatencySummary> {
    sync_latency_of(folder, WRITE_BYTES).await
}

/// The same of writes of another size.
pub(crate) async fn sync_latency_of(folder: &Path, write_bytes: usize) -> Result<LatencySummary> {
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || probe(&folder, write_bytes)).await?
}

fn probe(folder: &Path, write_bytes: usize) -> Result<LatencySummary> {
    let path = folder.join("fdatasync-probe");
    let file = File::create(&path)?;
    let block = vec![7; write_bytes];
    for at in (0..FILE_BYTES).step_by(write_bytes) {
        file.write_all_at(&block, at)?;
    }
    file.sync_all()?;
    let mut latencies = Latencies::new()?;
    let (begun, mut at) = (Instant::now(), 0);
    while begun.elapsed() < PROBE {
        let start = Instant::now();
        file.write_all_at(&block, at)?;
        file.sync_data()?;
        latencies.record(start.elapsed());
        at = (at + write_bytes as u64) % FILE_BYTES;
    }
    std::fs::remove_file(path)?;
    Ok(latencies.summary())
}

/// What a folder holds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FolderUse {
    /// Bytes allocated on the disk.
    pub(crate) disk_bytes: u64,
    /// Files.
    pub(crate) files: u64,
}

/// Adds up a folder and all below it. A file that goes away meanwhile does not count.
pub(crate) fn folder_use(folder: &Path) -> Result<FolderUse> {
    let mut found = FolderUse::default();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            let below = folder_use(&entry.path())?;
            found.disk_bytes += below.disk_bytes;
            found.files += below.files;
        } else {
            found.disk_bytes += metadata.blocks() * 512;
            found.files += 1;
        }
    }
    Ok(found)
}
