//! What clients say of themselves, and which of them are connected.

use std::net::IpAddr;

use litemq_domain::{ClientId, Error, ErrorCode, Group, GroupId, Result};

use super::Broker;

/// What a client has said of itself in its settings. Nothing depends on it being true.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// Whether it sends or consumes; `None` until it says so.
    pub role: Option<ClientRole>,
    /// The group it consumes for.
    pub group: Option<GroupId>,
    /// What its SDK is written in.
    pub language: &'static str,
    /// Version of its SDK.
    pub version: Box<str>,
    /// The host it runs on.
    pub hostname: Box<str>,
    /// Where its settings came from.
    pub address: Option<IpAddr>,
}

/// What a client is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientRole {
    /// It sends.
    Producer,
    /// It consumes.
    Consumer,
}

/// A connected client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectedClient {
    /// Its id.
    pub client: ClientId,
    /// What it has said of itself.
    pub profile: Profile,
}

/// Connected clients by what they are there for; who has not said so is in neither.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connected {
    /// Those that send.
    pub producers: u64,
    /// Those that consume.
    pub consumers: u64,
}

impl Broker {
    /// The connected clients of a group by id: those that have said so, and those that are subscribed.
    /// Looks at every session, a few at a time.
    pub fn connected_clients(&self, group: &Group) -> Vec<ConnectedClient> {
        let subscribed = self.context.subscriptions.clients_for(group.id);
        let mut found = Vec::new();
        self.sessions().for_each_connected(|key, client, profile| {
            if profile.group == Some(group.id) || subscribed.contains(&key) {
                found.push(ConnectedClient { client: client.clone(), profile: profile.clone() });
            }
        });
        found.sort_unstable_by(|a, b| a.client.cmp(&b.client));
        found
    }

    /// Those of these clients that are connected, in their order.
    pub fn connected_among(&self, clients: &[ClientId]) -> Vec<ConnectedClient> {
        let found = clients.iter().filter_map(|client| {
            let profile = self.sessions().profile_if_connected(client)?;
            Some(ConnectedClient { client: client.clone(), profile })
        });
        found.collect()
    }

    /// Checks that a client is connected, and with a group that it is one of its clients.
    ///
    /// # Errors
    /// [`ErrorCode::ClientNotFound`].
    pub fn check_connected(&self, client: &ClientId, group: Option<&Group>) -> Result<()> {
        let missing = |of: String| {
            let id = client.as_str().escape_debug();
            let text = format!("client '{id}' is not connected{of}; list those that are");
            Error::new(ErrorCode::ClientNotFound, text)
        };
        let profile = self.sessions().profile_if_connected(client);
        let profile = profile.ok_or_else(|| missing(String::new()))?;
        let Some(group) = group else { return Ok(()) };
        let subscribed = || {
            let key = self.keys.client(client);
            self.context.subscriptions.clients_for(group.id).contains(&key)
        };
        if profile.group == Some(group.id) || subscribed() {
            return Ok(());
        }
        Err(missing(format!(" for consumer group '{}'", group.name)))
    }

    /// How many clients are connected.
    pub fn connected(&self) -> Connected {
        let mut connected = Connected::default();
        self.sessions().for_each_connected(|_, _, profile| match profile.role {
            Some(ClientRole::Producer) => connected.producers += 1,
            Some(ClientRole::Consumer) => connected.consumers += 1,
            None => {}
        });
        connected
    }

    /// Messages taken in and handed out since the start, of the topics and groups there are now.
    pub fn throughput(&self) -> (u64, u64) {
        let catalog = &self.context.catalog;
        let topics = self.topics();
        let into = topics.iter().filter_map(|topic| catalog.topic_entry(topic.id));
        let groups = self.groups();
        let out = groups.iter().filter_map(|group| catalog.group_entry(group.id));
        (
            into.map(|entry| entry.metrics.messages()).sum(),
            out.map(|entry| entry.metrics.messages()).sum(),
        )
    }
}
