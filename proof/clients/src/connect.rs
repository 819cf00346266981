//! How clients reach the broker.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::watch;
use tonic::transport::{Channel, Endpoint};

/// A way to the broker, wherever it is now.
pub trait Connect: Clone + Send + Sync + 'static {
    /// Longest time a call may take. It is only reached when the broker hangs or the network does.
    const CALL_MAX: Duration;

    /// A new connection; waits until the broker can be reached.
    fn connect(&self) -> impl Future<Output = Channel> + Send;

    /// Whether the broker may take a client for gone that has just lost its connection: the network
    /// is bad, and not the broker.
    fn is_bad(&self) -> bool {
        false
    }
}

/// Where clients find the broker; `None` while it is down.
pub type Address = watch::Receiver<Option<SocketAddr>>;

impl Connect for Address {
    const CALL_MAX: Duration = Duration::from_secs(20);

    async fn connect(&self) -> Channel {
        let mut known = self.clone();
        loop {
            let address = known.wait_for(Option::is_some).await.map(|address| *address);
            // The run is over when nobody says any more where the broker is.
            let Ok(Some(address)) = address else { return std::future::pending().await };
            let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
            if let Ok(channel) = endpoint.connect().await {
                return channel;
            }
            // Killed in between: the next address is another one.
            if known.wait_for(|now| *now != Some(address)).await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}
