//! Blocking work beside the async threads.

use crate::StoreError;

/// Runs `work` on a thread that may block; in place when there is no runtime.
pub(super) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => match runtime.spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => Err(StoreError::Failed(format!("a storage task ended early: {error}"))),
        },
        Err(_) => work(),
    }
}
