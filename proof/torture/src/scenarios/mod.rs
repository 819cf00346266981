//! What is done to the broker, one file each.

mod kills;
mod moment;
mod power;

use clap::ValueEnum;

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
}

impl Scenario {
    pub(crate) fn each(self) -> Vec<Self> {
        match self {
            Self::All => Self::value_variants().iter().copied().filter(|one| *one != self).collect(),
            one => vec![one],
        }
    }

    /// Whether official SDKs are connected.
    pub(crate) fn has_guests(self) -> bool {
        matches!(self, Self::All | Self::Kills | Self::Power)
    }

    pub(crate) fn name(self) -> String {
        self.to_possible_value().unwrap().get_name().to_owned()
    }

    /// Why it cannot run on this machine.
    pub(crate) fn missing(self) -> Option<String> {
        match self {
            Self::All | Self::Kills => None,
            Self::Power => FileSystem::Ext4.missing(),
        }
    }

    /// Runs it; the error is for people.
    pub(crate) async fn run(self, orders: &Orders) -> Result<Tally, String> {
        match self {
            Self::All => Ok(Tally::default()),
            Self::Kills => kills::run(orders).await,
            Self::Power => power::run(orders).await,
        }
    }
}
