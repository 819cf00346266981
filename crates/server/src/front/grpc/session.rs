//! Heartbeat and NotifyClientTermination.

use litemq_domain::{ClientId, ErrorCode, Result};
use litemq_protocol::v2;
use tonic::Request;
use v2::settings::PubSub;
use v2::{
    ClientType, HeartbeatRequest, HeartbeatResponse, NotifyClientTerminationRequest,
    NotifyClientTerminationResponse, Resource,
};

use super::call::{Call, Language, client_id, connection, namespace};
use super::limits::{HOSTNAME_BYTES_MAX, SDK_VERSION_BYTES_MAX};
use super::resource::full_name_in;
use super::rights::{Asked, Asks};
use super::{Door, reply};
use crate::access::Caller;
use crate::broker::{Broker, ClientRole, ConnectionId, Profile};
use crate::front::content::is_fit_for_logs;

/// Notes that a client called, whose it is then; but what everybody may call says nothing of that.
pub(super) fn note_call(
    broker: &Broker,
    client: &ClientId,
    caller: &Caller,
    connection: Option<ConnectionId>,
    asked: Asked<'_>,
) -> Result<()> {
    let sessions = broker.sessions();
    if asked.needs_no_right() {
        sessions.seen_without_right(client, caller.user(), connection)
    } else {
        sessions.seen(client, caller.user(), connection)
    }
}

/// Notes what a client says it is, and that it is there for its group: a client of a wildcard group
/// has no other way to say so. Who is no lite consumer says nothing here.
pub(super) fn note_consumer(
    broker: &Broker,
    client: &ClientId,
    callers_namespace: &str,
    (client_type, group): (ClientType, Option<&Resource>),
) {
    let is_simple = client_type == ClientType::LiteSimpleConsumer;
    if !is_simple && client_type != ClientType::LitePushConsumer {
        return;
    }
    broker.sessions().note_simple(client, is_simple);
    if let Ok(group) = broker.group(&full_name_in(callers_namespace, group)) {
        broker.join(client, &group);
    }
}

/// Notes what a client says of itself, for people who ask.
pub(super) fn note_profile(
    broker: &Broker,
    call: &Call,
    language: Language,
    settings: &v2::Settings,
) {
    let (role, group) = match &settings.pub_sub {
        Some(PubSub::Publishing(_)) => (Some(ClientRole::Producer), None),
        Some(PubSub::Subscription(of)) => {
            let group = broker.group(&full_name_in(&call.namespace, of.group.as_ref())).ok();
            (Some(ClientRole::Consumer), group.map(|group| group.id))
        }
        None => (None, None),
    };
    let agent = settings.user_agent.as_ref();
    let fit = |text: Option<&str>, max| -> Box<str> {
        text.filter(|text| is_fit_for_logs(text, max)).unwrap_or_default().into()
    };
    let profile = Profile {
        role,
        group,
        language: language.name(agent),
        version: fit(agent.map(|agent| agent.version.as_str()), SDK_VERSION_BYTES_MAX),
        hostname: fit(agent.map(|agent| agent.hostname.as_str()), HOSTNAME_BYTES_MAX),
        address: call.connection.map(|connection| connection.remote.ip().to_canonical()),
    };
    broker.sessions().note_profile(&call.client, profile);
}

impl Door {
    /// OK for everybody who may call: Java keeps an endpoint out of use until its heartbeat is OK.
    /// Go sends one without any metadata after a lost connection; it says nothing and asks for
    /// nothing, so it is OK even from nobody.
    pub(super) fn beat(&self, request: &Request<HeartbeatRequest>) -> HeartbeatResponse {
        let status = match self.note_life(request) {
            // For the client it changes nothing that the server cannot remember it.
            Err(error) if error.code != ErrorCode::Overloaded => {
                self.metrics.error(error.code);
                reply::failed(&error)
            }
            _ => reply::ok(),
        };
        HeartbeatResponse { status: Some(status) }
    }

    fn note_life(&self, request: &Request<HeartbeatRequest>) -> Result<()> {
        let client = client_id(request).ok();
        if client.is_none() && request.get_ref().group.is_none() {
            return Ok(());
        }
        let caller = self.authorize(request)?;
        let Some(client) = client else { return Ok(()) };
        let connection = connection(request).map(|connection| connection.id);
        let beat = request.get_ref();
        note_call(&self.broker, &client, &caller, connection, beat.asked())?;
        let consumer = (beat.client_type(), beat.group.as_ref());
        note_consumer(&self.broker, &client, namespace(request)?, consumer);
        Ok(())
    }

    /// A client without an id has nothing here that could end.
    pub(super) async fn terminate(
        &self,
        request: &Request<NotifyClientTerminationRequest>,
    ) -> NotifyClientTerminationResponse {
        let status = match self.end_client(request).await {
            Ok(()) => reply::ok(),
            Err(error) => {
                self.metrics.error(error.code);
                reply::failed(&error)
            }
        };
        NotifyClientTerminationResponse { status: Some(status) }
    }

    async fn end_client(&self, request: &Request<NotifyClientTerminationRequest>) -> Result<()> {
        let caller = self.authorize(request)?;
        let Ok(client) = client_id(request) else { return Ok(()) };
        self.broker.sessions().check_user(&client, caller.user())?;
        self.broker.terminate(&client).await
    }
}
