//! What is done to the broker, one file each.

mod clock;
mod disk_full;
mod kills;
mod memory;
mod moment;
mod pause;
mod power;
mod sync_fails;
mod sync_slow;

use clap::ValueEnum;

use crate::strace;
use crate::tally::Tally;
use crate::trial::Orders;
use crate::volume::FileSystem;

/// What is done to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Each of the others, one after another.
    All,
    /// `kill -9` under load and during recovery.
    Kills,
    /// The power is cut: whatever was not synced is gone.
    Power,
    /// Writes and syncs that fail.
    SyncFails,
    /// Syncs that take long.
    SyncSlow,
    /// A full disk, and space again.
    DiskFull,
    /// The broker, SDKs and consumers stand still for longer than a lease.
    Pause,
    /// The wall clock jumps.
    Clock,
    /// Little memory.
    Memory,
}

impl Scenario {
    pub(crate) fn each(self) -> Vec<Self> {
        match self {
            Self::All => {
                Self::value_variants().iter().copied().filter(|one| *one != self).collect()
            }
            one => vec![one],
        }
    }

    /// Whether official SDKs are connected.
    pub(crate) fn has_guests(self) -> bool {
        matches!(self, Self::All | Self::Kills | Self::Power | Self::Pause)
    }

    pub(crate) fn name(self) -> String {
        self.to_possible_value().unwrap().get_name().to_owned()
    }

    /// Why it cannot run on this machine.
    pub(crate) fn missing(self) -> Option<String> {
        match self {
            Self::All | Self::Kills | Self::Pause => None,
            Self::Power | Self::DiskFull => FileSystem::Ext4.missing(),
            Self::SyncFails => sync_fails::missing(),
            Self::SyncSlow => strace::missing(),
            Self::Clock => clock::missing(),
            Self::Memory => memory::missing(),
        }
    }

    /// Runs it; the error is for people.
    pub(crate) async fn run(self, orders: &Orders) -> Result<Tally, String> {
        match self {
            Self::All => Ok(Tally::default()),
            Self::Kills => kills::run(orders).await,
            Self::Power => power::run(orders).await,
            Self::SyncFails => sync_fails::run(orders).await,
            Self::SyncSlow => sync_slow::run(orders).await,
            Self::DiskFull => disk_full::run(orders).await,
            Self::Pause => pause::run(orders).await,
            Self::Clock => clock::run(orders).await,
            Self::Memory => memory::run(orders).await,
        }
    }
}
