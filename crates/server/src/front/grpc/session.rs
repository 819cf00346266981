//! Heartbeat and NotifyClientTermination.

use litemq_domain::ClientId;
use litemq_protocol::v2;
use v2::{HeartbeatResponse, NotifyClientTerminationResponse};

use super::{Door, reply};
use crate::front::listen::Connection;

impl Door {
    /// Always OK, whoever calls: Java keeps an endpoint out of use until its heartbeat is OK, and Go
    /// sends one without any metadata after a lost connection.
    pub(super) fn beat(
        &self,
        client: Option<&ClientId>,
        connection: Option<Connection>,
    ) -> HeartbeatResponse {
        if let Some(client) = client {
            self.broker.sessions().seen(client, connection.map(|c| c.id));
        }
        HeartbeatResponse { status: Some(reply::ok()) }
    }

    /// A client without an id has nothing here that could end.
    pub(super) async fn terminate(
        &self,
        client: Option<&ClientId>,
    ) -> NotifyClientTerminationResponse {
        let status = match client {
            Some(client) => match self.broker.terminate(client).await {
                Ok(()) => reply::ok(),
                Err(error) => self.failed_for(client, &error),
            },
            None => reply::ok(),
        };
        NotifyClientTerminationResponse { status: Some(status) }
    }
}
