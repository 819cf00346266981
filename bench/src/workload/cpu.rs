//! What a round cost in processor time and memory.

use std::time::Duration;

use crate::{Result, process};

/// Processor time of both sides so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cpu {
    pub(super) server: Duration,
    pub(super) generator: Duration,
}

impl Cpu {
    pub(super) fn now(pids: &[u32]) -> Result<Self> {
        let server = pids.iter().map(|&pid| process::cpu_time(pid)).sum::<Result<_>>()?;
        Ok(Self { server, generator: process::cpu_time(std::process::id())? })
    }

    pub(super) fn since(self, before: Self) -> Self {
        Self {
            server: self.server.saturating_sub(before.server),
            generator: self.generator.saturating_sub(before.generator),
        }
    }
}

/// Resident bytes of some processes.
pub(super) fn resident_bytes(pids: &[u32]) -> Result<u64> {
    pids.iter().map(|&pid| Ok(process::memory(pid)?.resident_bytes)).sum()
}
