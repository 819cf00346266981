//! The word that everything serving requests listens for.

use tokio::sync::watch;

/// Tells all holders of its [`Stopping`] to stop, when turned or dropped.
#[derive(Debug)]
pub struct StopSwitch(watch::Sender<bool>);

/// Resolves when it is time to stop.
#[derive(Debug, Clone)]
pub struct Stopping(watch::Receiver<bool>);

/// A switch and its listener, which can be cloned.
pub fn stop_switch() -> (StopSwitch, Stopping) {
    let (sender, receiver) = watch::channel(false);
    (StopSwitch(sender), Stopping(receiver))
}

impl StopSwitch {
    /// Tells everybody to stop.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stopping {
    /// Waits until it is time to stop; at once when that was before.
    pub async fn wait(&mut self) {
        // An error says that the switch is gone, and with it whoever kept the server running.
        drop(self.0.wait_for(|stop| *stop).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_who_waits_hears_the_switch_and_so_do_late_comers() {
        let (switch, stopping) = stop_switch();
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let mut stopping = stopping.clone();
                tokio::spawn(async move { stopping.wait().await })
            })
            .collect();
        switch.stop();
        for waiter in waiters {
            waiter.await.unwrap();
        }
        stopping.clone().wait().await;
    }

    #[tokio::test]
    async fn a_dropped_switch_stops_too() {
        let (switch, mut stopping) = stop_switch();
        drop(switch);
        stopping.wait().await;
    }
}
