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
            let address = known.wait_for(Option::is_some).await;
            let address = address.expect("the broker outlives its clients").unwrap();
            let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
            if let Ok(channel) = endpoint.connect().await {
                return channel;
            }
            // Killed in between: the next address is another one.
            let moved = known.wait_for(|now| *now != Some(address)).await;
            drop(moved.expect("the broker outlives its clients"));
        }
    }
}
