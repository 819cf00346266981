//! Blocking work beside the async threads.

use crate::StoreError;

use super::engine::Engine;

/// Runs `work` on a thread that may block; in place when there is no runtime, and in a store without
/// threads.
pub(super) async fn off_thread<T: Send + 'static>(
    engine: &Engine,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) if engine.is_threaded => match runtime.spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => Err(StoreError::Failed(format!("a storage task ended early: {error}"))),
        },
        _ => work(),
    }
}
