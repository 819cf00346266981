//! What the broker takes from the world around it and no rule decides: the time of day, the key of a
//! new data folder, threads for work that waits for a device.

use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use litemq_domain::Timestamp;
use litemq_storage::StoreError;

/// Where these come from.
#[derive(Debug, Clone, Copy, Default)]
pub enum Edge {
    /// From the system.
    #[default]
    System,
    /// From the caller, and all work is done in place: what is given decides the run.
    Given {
        /// The time of day at the start.
        wall_time: Timestamp,
        /// The key, if the data folder is new.
        hash_key: [u8; 16],
    },
}

impl Edge {
    pub(super) fn wall_time(self) -> Timestamp {
        match self {
            Self::System => {
                let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX))
            }
            Self::Given { wall_time, .. } => wall_time,
        }
    }

    pub(super) fn hash_key(self) -> Result<[u8; 16], StoreError> {
        match self {
            Self::System => {
                let mut drawn = [0; 16];
                getrandom::fill(&mut drawn)
                    .map_err(|error| StoreError::Failed(error.to_string()))?;
                Ok(drawn)
            }
            Self::Given { hash_key, .. } => Ok(hash_key),
        }
    }

    /// Runs work that may wait for a device, beside the async threads.
    pub(super) async fn off_thread<T: Send + 'static>(
        self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match self {
            Self::System => match tokio::task::spawn_blocking(work).await {
                Ok(done) => done,
                Err(error) => Err(StoreError::Failed(error.to_string())),
            },
            Self::Given { .. } => work(),
        }
    }

    /// Runs each job on a thread of its own; `None` when one of them panicked.
    pub(super) fn side_by_side<T: Send>(
        self,
        jobs: impl Iterator<Item = impl FnOnce() -> T + Send>,
    ) -> Option<Vec<T>> {
        match self {
            Self::System => thread::scope(|scope| {
                let threads: Vec<_> = jobs.map(|job| scope.spawn(job)).collect();
                threads.into_iter().map(|thread| thread.join().ok()).collect()
            }),
            Self::Given { .. } => Some(jobs.map(|job| job()).collect()),
        }
    }
}
