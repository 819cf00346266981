//! A broker with its upkeep and its doors, and the order in which they stop.

use std::sync::Arc;
use std::time::Duration;

use litemq_domain::Result;
use tokio::task::JoinHandle;

use crate::broker::Broker;
use crate::front::stop::{StopSwitch, Stopping, stop_switch};

/// How long a door may take to end after the grace of its calls.
const DOOR_END_MAX: Duration = Duration::from_secs(2);

/// A broker at work.
#[derive(Debug)]
pub struct Running {
    broker: Arc<Broker>,
    switch: StopSwitch,
    stopping: Stopping,
    doors: Vec<JoinHandle<()>>,
    upkeep: Vec<JoinHandle<()>>,
    grace: Duration,
}

impl Running {
    /// Starts the upkeep. Calls that are open at a stop get `grace` to end.
    pub fn start(broker: Arc<Broker>, grace: Duration) -> Self {
        let (switch, stopping) = stop_switch();
        let upkeep = vec![
            tokio::spawn(Arc::clone(&broker).watch_sessions()),
            tokio::spawn(Arc::clone(&broker).keep_up()),
        ];
        Self { broker, switch, stopping, doors: Vec::new(), upkeep, grace }
    }

    /// Opens a door, which ends by itself once it is told to stop.
    pub fn open<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        door: impl FnOnce(Stopping) -> F,
    ) {
        self.doors.push(tokio::spawn(door(self.stopping.clone())));
    }

    /// The broker behind the doors.
    pub fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// Stops in order: waiting receives are answered, the doors end their calls, the log is closed.
    ///
    /// # Errors
    /// When the last write failed.
    pub async fn stop(self) -> Result<()> {
        self.broker.begin_shutdown();
        self.switch.stop();
        for door in self.doors {
            let mut door = door;
            // Doors end by themselves within the grace; a little more is for the end itself.
            if tokio::time::timeout(self.grace + DOOR_END_MAX, &mut door).await.is_err() {
                tracing::warn!("calls took longer than the grace of the stop; they are cut off");
                door.abort();
            }
        }
        for task in self.upkeep {
            if let Err(error) = task.await {
                tracing::warn!(%error, "a background task did not end well");
            }
        }
        self.broker.close().await?;
        tracing::info!("stopped");
        Ok(())
    }
}
