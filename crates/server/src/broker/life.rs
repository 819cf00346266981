//! Whether the broker serves, stops, or has failed.

use litemq_storage::StoreError;
use tokio::sync::watch;

/// The state of the whole broker; it only goes downwards in this list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Life {
    /// Requests are served.
    Serving,
    /// Nobody waits any more.
    Stopping,
    /// Nothing can be promised any more.
    Failed(StoreError),
}

impl Life {
    /// Lets nobody wait any more.
    pub(super) fn stop(life: &watch::Sender<Self>) {
        life.send_if_modified(|life| {
            let is_serving = *life == Self::Serving;
            if is_serving {
                *life = Self::Stopping;
            }
            is_serving
        });
    }

    /// Says that the broker has failed; the first reason stays.
    pub(super) fn fail(life: &watch::Sender<Self>, reason: &StoreError) {
        life.send_if_modified(|life| {
            let is_first = !matches!(life, Self::Failed(_));
            if is_first {
                *life = Self::Failed(reason.clone());
            }
            is_first
        });
    }

    pub(super) fn is_serving(&self) -> bool {
        *self == Self::Serving
    }

    /// Why, if it has failed.
    pub(super) fn failure(&self) -> Option<&StoreError> {
        match self {
            Self::Failed(reason) => Some(reason),
            Self::Serving | Self::Stopping => None,
        }
    }
}
