//! What clients say of themselves, and which of them are connected.

use std::net::IpAddr;

use std::collections::BTreeMap;

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

/// A client of a group, as a list has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedClient {
    /// Its id.
    pub client: ClientId,
    /// Whether it is connected.
    pub connected: bool,
    /// Lite topics that it is subscribed to for this group; none in a wildcard group.
    pub lite_topics: u64,
    /// What it has said of itself since the start.
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
            if profile.group == Some(group.id) || subscribed.contains_key(&key) {
                found.push(ConnectedClient { client: client.clone(), profile: profile.clone() });
            }
        });
        found.sort_unstable_by(|a, b| a.client.cmp(&b.client));
        found
    }

    /// The clients of a group by id, those after one, at most `max`: the connected ones, and those that
    /// are subscribed and whose sessions have not ended. Looks at every session, a few at a time.
    ///
    /// # Errors
    /// [`ErrorCode::ConsumerGroupNotFound`].
    pub fn list_group_clients(
        &self,
        group: &str,
        after: Option<&ClientId>,
        max: usize,
    ) -> Result<Vec<ListedClient>> {
        let group = self.group(group)?.id;
        let subscribed = self.context.subscriptions.clients_for(group);
        let mut first = BTreeMap::new();
        self.sessions().for_each_client(|key, client, connected, profile| {
            let lite_topics = subscribed.get(&key).copied();
            let is_listed = lite_topics.is_some() || (connected && profile.group == Some(group));
            if !is_listed || after.is_some_and(|after| client <= after) {
                return;
            }
            let is_late = first.last_key_value().is_some_and(|(last, _)| client > last);
            if first.len() < max || !is_late {
                let (lite_topics, profile) = (lite_topics.unwrap_or(0), profile.clone());
                let listed =
                    ListedClient { client: client.clone(), connected, lite_topics, profile };
                first.insert(client.clone(), listed);
            }
            if first.len() > max {
                first.pop_last();
            }
        });
        Ok(first.into_values().collect())
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
        match self.is_of(client, &profile, group) {
            true => Ok(()),
            false => Err(missing(format!(" for consumer group '{}'", group.name))),
        }
    }

    /// Whether a client is connected and one of a group's.
    pub(super) fn is_connected_for(&self, client: &ClientId, group: &Group) -> bool {
        let profile = self.sessions().profile_if_connected(client);
        profile.is_some_and(|profile| self.is_of(client, &profile, group))
    }

    /// Whether a client has said that it is one of a group's, or is subscribed for it.
    fn is_of(&self, client: &ClientId, profile: &Profile, group: &Group) -> bool {
        let subscriptions = &self.context.subscriptions;
        profile.group == Some(group.id)
            || subscriptions.is_client_of(self.keys.client(client), group.id)
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
