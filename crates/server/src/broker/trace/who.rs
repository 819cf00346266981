//! Who did something, kept once for all the events that it is behind.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};

use litemq_domain::{ClientId, UserName};

use crate::access::Caller;
use crate::broker::identity::Keys;

/// Bytes of an entry beside its names, roughly.
const ENTRY_BYTES: usize = 192;

/// Who did something, as an event keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WhoKey(u64);

/// Nobody but the broker, because a client's filter does not want the message.
pub(in crate::broker) const FILTER: WhoKey = WhoKey(1);

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The client, if it was one of the protocol.
    pub client: Option<ClientId>,
    /// The user, if it had to prove who it is.
    pub user: Option<UserName>,
    /// Where it called from.
    pub address: IpAddr,
}

/// Who did what is remembered. When it is full the oldest entry goes: its events stay, with nobody.
#[derive(Debug)]
pub(in crate::broker) struct WhoTable {
    bytes_max: usize,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_key: HashMap<WhoKey, Who>,
    /// Keys, the oldest first.
    order: VecDeque<WhoKey>,
    bytes: usize,
}

impl std::hash::Hash for WhoKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

impl WhoTable {
    /// A table of at most so many bytes; with 0 it knows nobody.
    pub(in crate::broker) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, known: RwLock::default() }
    }

    /// The key of who calls, who is known from now on.
    pub(super) fn note(&self, keys: &Keys, caller: &Caller, client: Option<&ClientId>) -> WhoKey {
        if self.bytes_max == 0 {
            return WhoKey::default();
        }
        let client_name = client.map_or("", ClientId::as_str);
        let user_name = caller.user().map_or("", UserName::as_str);
        // 0 is nobody, 1 is the filter.
        let key = WhoKey(keys.who(client_name, user_name, caller.address()).max(2));
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.by_key.contains_key(&key) {
            return key;
        }
        drop(known);
        let who = Who {
            client: client.cloned(),
            user: caller.user().cloned(),
            address: caller.address(),
        };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.add(key, who, self.bytes_max);
        key
    }

    /// Who that was, if it is still known.
    pub(super) fn of(&self, key: WhoKey) -> Option<Who> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).by_key.get(&key).cloned()
    }
}

impl Known {
    fn add(&mut self, key: WhoKey, who: Who, bytes_max: usize) {
        self.bytes += bytes_of(&who);
        if let Some(before) = self.by_key.insert(key, who) {
            self.bytes -= bytes_of(&before);
            return;
        }
        self.order.push_back(key);
        while self.bytes > bytes_max
            && let Some(oldest) = self.order.pop_front()
        {
            self.bytes -= self.by_key.remove(&oldest).map_or(0, |who| bytes_of(&who));
        }
    }
}

fn bytes_of(who: &Who) -> usize {
    let client = who.client.as_ref().map_or(0, |client| client.as_str().len());
    let user = who.user.as_ref().map_or(0, |user| user.as_str().len());
    ENTRY_BYTES + client + user
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(table: &WhoTable, client: &str) -> WhoKey {
        let keys = Keys::new([7; 16], 2);
        table.note(&keys, &Caller::internal(), Some(&ClientId::new(client).unwrap()))
    }

    #[test]
    fn the_table_of_who_keeps_to_its_bytes_and_forgets_the_oldest() {
        let table = WhoTable::new(10 * (ENTRY_BYTES + 4));
        let all: Vec<WhoKey> = (1000..1100).map(|n| note(&table, &n.to_string())).collect();
        assert_eq!(all.iter().filter(|key| table.of(**key).is_some()).count(), 10);
        let last = table.of(all[99]).and_then(|who| who.client);
        assert_eq!(last, Some(ClientId::new("1099").unwrap()));
        assert_eq!(note(&table, "1099"), all[99]);
        assert_eq!(table.known.read().unwrap().order.len(), 10);
    }

    #[test]
    fn a_table_without_room_knows_nobody() {
        let table = WhoTable::new(0);
        assert_eq!(note(&table, "c"), WhoKey::default());
        assert_eq!(table.known.read().unwrap().by_key.len(), 0);
    }
}
