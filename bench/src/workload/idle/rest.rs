//! A server that has nothing to do.

use std::time::Duration;

use serde::Serialize;
use tokio::time::sleep;

use crate::args::IdleArgs;
use crate::server::{LiteMq, Running};
use crate::{Result, disk, process};

/// What it takes all the same.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct AtRest {
    pub(super) resident_bytes: u64,
    pub(super) anonymous_bytes: u64,
    pub(super) peak_bytes: u64,
    pub(super) open_descriptors: usize,
    /// Of one core.
    pub(super) cpu_percent: f64,
    pub(super) disk_bytes: u64,
    pub(super) files: u64,
}

/// Lets it come to rest and reads.
pub(super) async fn read(litemq: &LiteMq<'_>, server: &Running, args: &IdleArgs) -> Result<AtRest> {
    sleep(Duration::from_secs(args.settle_seconds)).await;
    let rest = Duration::from_secs(args.rest_seconds);
    let cpu_before = process::cpu_time(server.pid())?;
    sleep(rest).await;
    let cpu = process::cpu_time(server.pid())?.saturating_sub(cpu_before);
    let (memory, folder) = (process::memory(server.pid())?, disk::folder_use(&litemq.data())?);
    Ok(AtRest {
        resident_bytes: memory.resident_bytes,
        anonymous_bytes: memory.anonymous_bytes,
        peak_bytes: memory.peak_bytes,
        open_descriptors: process::open_descriptors(server.pid())?,
        cpu_percent: 100.0 * cpu.as_secs_f64() / rest.as_secs_f64().max(f64::EPSILON),
        disk_bytes: folder.disk_bytes,
        files: folder.files,
    })
}
