//! Waiting for the store.

use litemq_domain::{Error, ErrorCode};
use litemq_storage::{Durability, Lsn, StoreError};
use tokio::sync::watch;

/// Waits until a batch is durable.
pub(super) async fn wait_for(
    durable: &mut watch::Receiver<Durability>,
    lsn: Lsn,
) -> litemq_domain::Result<()> {
    let reached = durable.wait_for(|state| state.durable >= lsn || state.failed.is_some()).await;
    match reached {
        Ok(state) if state.durable >= lsn => Ok(()),
        Ok(state) => Err(state.failed.as_ref().map_or_else(closed, error_of)),
        Err(_) => Err(closed()),
    }
}

/// What a store's error means to a caller.
pub(super) fn error_of(error: &StoreError) -> Error {
    let code = match error {
        StoreError::NoSpace(_) => ErrorCode::StorageFull,
        StoreError::Overloaded => ErrorCode::Overloaded,
        StoreError::Closed => ErrorCode::ShuttingDown,
        StoreError::Corrupt { .. }
        | StoreError::UnknownFormat { .. }
        | StoreError::Unreadable(_) => ErrorCode::StorageDamaged,
        StoreError::Failed(_) | StoreError::Locked(_) | StoreError::Io { .. } => {
            ErrorCode::StorageFailed
        }
        StoreError::Invalid(_) => ErrorCode::Internal,
    };
    Error::new(code, error.to_string())
}

fn closed() -> Error {
    Error::new(ErrorCode::ShuttingDown, "the broker is stopping; try again on the next one")
}
