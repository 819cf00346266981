//! The machine, as far as numbers depend on it.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::disk::{DiskSpeed, sync_latency};
use crate::latency::LatencySummary;
use crate::{Result, process};

/// The machine before a run.
#[derive(Debug)]
pub(crate) struct MachineBefore {
    load: String,
    disk: LatencySummary,
    busy: Duration,
}

/// The machine around a run.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: f64,
    pub(crate) kernel: String,
    pub(crate) file_system: String,
    /// Load averages, `/proc/loadavg`.
    pub(crate) load_before: String,
    pub(crate) load_after: String,
    /// Processor time of the whole machine during the run.
    pub(crate) busy_seconds: f64,
    /// Of it, the load generator's own.
    pub(crate) generator_seconds: f64,
    pub(crate) disk: DiskSpeed,
}

impl MachineBefore {
    /// Looks at the machine before a run in a folder.
    pub(crate) async fn look(folder: &Path) -> Result<Self> {
        let disk = sync_latency(folder).await?;
        Ok(Self { load: load()?, disk, busy: busy()? })
    }

    /// Looks again after the run.
    pub(crate) async fn and_after(self, folder: &Path) -> Result<Machine> {
        let (load_after, busy) = (load()?, busy()?.saturating_sub(self.busy));
        let after = sync_latency(folder).await?;
        Ok(Machine {
            processor: value_in("/proc/cpuinfo", "model name")?,
            cores: std::thread::available_parallelism()?.get(),
            memory_gib: memory_gib()?,
            kernel: read("/proc/sys/kernel/osrelease")?,
            file_system: file_system(folder)?,
            load_before: self.load,
            load_after,
            busy_seconds: busy.as_secs_f64(),
            generator_seconds: process::cpu_time(std::process::id())?.as_secs_f64(),
            disk: DiskSpeed { before: self.disk, after },
        })
    }
}

fn read(path: &str) -> Result<String> {
    Ok(std::fs::read_to_string(path)?.trim().to_owned())
}

fn load() -> Result<String> {
    let text = read("/proc/loadavg")?;
    Ok(text.split(' ').take(3).collect::<Vec<_>>().join(" "))
}

/// Processor time of all cores so far, idle and waiting for the disk left out.
fn busy() -> Result<Duration> {
    let stat = read("/proc/stat")?;
    let line = stat.lines().next().and_then(|line| line.strip_prefix("cpu ")).unwrap_or_default();
    let ticks = line.split_ascii_whitespace().map(str::parse::<u64>);
    let (mut busy, idle_fields) = (0, 3..=4);
    // Guest time, from the ninth field on, is part of the user time.
    for (place, ticks) in ticks.enumerate().take(8) {
        if !idle_fields.contains(&place) {
            busy += ticks?;
        }
    }
    Ok(Duration::from_secs_f64(busy as f64 / rustix::param::clock_ticks_per_second() as f64))
}

fn value_in(path: &str, key: &str) -> Result<String> {
    let text = read(path)?;
    let line = text.lines().find(|line| line.starts_with(key));
    let value = line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim());
    Ok(value.unwrap_or("unknown").to_owned())
}

fn memory_gib() -> Result<f64> {
    let total = value_in("/proc/meminfo", "MemTotal")?;
    let kib: f64 = total.trim_end_matches("kB").trim().parse()?;
    Ok(kib / f64::from(1 << 20))
}

/// The type of the file system a folder is on: the mount point with the longest common path.
fn file_system(folder: &Path) -> Result<String> {
    let folder = folder.canonicalize()?;
    let mounts = read("/proc/self/mounts")?;
    let found = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        folder.starts_with(point).then_some((point.len(), kind))
    });
    Ok(found.max_by_key(|(length, _)| *length).map_or("unknown", |(_, kind)| kind).to_owned())
}
