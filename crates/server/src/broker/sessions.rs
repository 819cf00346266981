//! Who is connected. A client lives while it calls, holds a stream, or waits in a receive.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use litemq_domain::{
    ClientId, ClientKey, DurationMs, Error, ErrorCode, Result, Timestamp, UserKey, UserName,
};

use super::clock::Clock;
use super::identity::Keys;
use super::limits::{DISCONNECT_GRACE, SESSION_TIMEOUT, SESSIONS_PER_STEP};
use super::mail::{Mailbox, Notice, Reader};
use super::pool::Pool;
use super::profile::Profile;

/// A TCP connection's number, given by the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// One client.
#[derive(Debug)]
struct Session {
    /// For the log.
    client: ClientId,
    /// The user who first called with a right to something; nobody while authentication is off.
    user: OnceLock<UserKey>,
    last_seen_ms: AtomicU64,
    /// Telemetry streams and waiting receives.
    open: AtomicU32,
    /// It says that it is a lite simple consumer.
    is_simple: AtomicBool,
    /// The connection of the last call, plus one; 0 is none.
    last_connection: AtomicU64,
    connections: Mutex<Connections>,
    mailbox: Arc<Mailbox>,
    profile: Mutex<Profile>,
}

#[derive(Debug, Default)]
struct Connections {
    live: BTreeSet<ConnectionId>,
    /// When the last one closed, until the client comes back or its leases were ended.
    lost_at: Option<Timestamp>,
    /// One closed since the last sweep: an answer may have been lost with it.
    is_interrupted: bool,
}

/// All clients of this node.
#[derive(Debug)]
pub struct Sessions {
    clock: Clock,
    keys: Keys,
    max: usize,
    sessions: RwLock<BTreeMap<ClientKey, Arc<Session>>>,
    clients_of: Mutex<BTreeMap<ConnectionId, BTreeSet<ClientKey>>>,
    notices: Notices,
}

/// Notices since the start.
#[derive(Debug, Default)]
struct Notices {
    told: AtomicU64,
    dropped: AtomicU64,
}

/// Held while a client has a stream or a waiting receive open.
#[derive(Debug)]
pub struct OpenGuard(Arc<Session>);

/// A client's Telemetry stream, open while this lives.
#[derive(Debug)]
pub struct TelemetryStream {
    reader: Reader,
    _open: OpenGuard,
}

impl TelemetryStream {
    /// Waits for something to tell the client. Nothing is lost when the wait is given up.
    pub async fn next_notice(&self) -> Notice {
        self.reader.next().await
    }
}

/// What a sweep found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Swept {
    /// Clients whose connections are gone: their leases end.
    pub(super) disconnected: Vec<ClientKey>,
    /// Clients that lost a connection and have another: what they were given just before may not
    /// have reached them.
    pub(super) interrupted: Vec<ClientKey>,
    /// Clients that were silent for too long: their subscriptions end as well.
    pub(super) expired: Vec<(ClientKey, ClientId)>,
}

impl Sessions {
    /// Nobody yet, and at most so many who just call.
    pub(super) fn new(clock: Clock, keys: Keys, max: usize) -> Self {
        Self {
            clock,
            keys,
            max,
            sessions: RwLock::new(BTreeMap::new()),
            clients_of: Mutex::new(BTreeMap::new()),
            notices: Notices::default(),
        }
    }

    /// A call of this client, by this user, arrived on this connection. Called for every call. The
    /// client is the user's from the first call on that needs a right, for as long as its session
    /// lives.
    ///
    /// # Errors
    /// [`ErrorCode::Overloaded`] when the client is new and there are too many already;
    /// [`ErrorCode::PermissionDenied`] when it is another user's. Nothing is kept of the call then.
    pub fn seen(
        &self,
        client: &ClientId,
        user: Option<&UserName>,
        connection: Option<ConnectionId>,
    ) -> Result<()> {
        self.note_call(client, user, connection, Session::bind)
    }

    /// The same of a call that everybody may make: whose the client is stays open.
    ///
    /// # Errors
    /// As [`Self::seen`].
    pub fn seen_without_right(
        &self,
        client: &ClientId,
        user: Option<&UserName>,
        connection: Option<ConnectionId>,
    ) -> Result<()> {
        self.note_call(client, user, connection, Session::check)
    }

    fn note_call(
        &self,
        client: &ClientId,
        user: Option<&UserName>,
        connection: Option<ConnectionId>,
        check: fn(&Session, UserKey) -> Result<()>,
    ) -> Result<()> {
        let key = self.keys.client(client);
        let session =
            self.find(key).or_else(|| self.add(key, client, self.max)).ok_or_else(too_many)?;
        user.map_or(Ok(()), |user| check(&session, self.keys.user(user)))?;
        session.last_seen_ms.store(self.clock.now().0, Ordering::Relaxed);
        if let Some(connection) = connection {
            self.note_connection(key, &session, connection);
        }
        Ok(())
    }

    /// Checks that a client is not another user's, if it is known.
    ///
    /// # Errors
    /// [`ErrorCode::PermissionDenied`].
    pub fn check_user(&self, client: &ClientId, user: Option<&UserName>) -> Result<()> {
        let (Some(session), Some(user)) = (self.find(self.keys.client(client)), user) else {
            return Ok(());
        };
        session.check(self.keys.user(user))
    }

    /// Whose a client is.
    pub(super) fn user_of(&self, client: ClientKey) -> Option<UserKey> {
        self.find(client)?.user.get().copied()
    }

    /// The client had something here at the last stop, and was this user's.
    pub(super) fn recover(&self, client: &ClientId, user: Option<UserKey>) {
        let session = self.find_or_add(client);
        if let Some(user) = user {
            session.user.get_or_init(|| user);
        }
    }

    /// The client has something here that must end with its session, which it gets in any case.
    pub(super) fn keep(&self, client: &ClientId) {
        let session = self.find_or_add(client);
        session.last_seen_ms.store(self.clock.now().0, Ordering::Relaxed);
    }

    fn note_connection(&self, key: ClientKey, session: &Session, connection: ConnectionId) {
        let mark = connection.0 + 1;
        if session.last_connection.load(Ordering::Relaxed) == mark {
            return;
        }
        lock(&self.clients_of).entry(connection).or_default().insert(key);
        let mut connections = lock(&session.connections);
        connections.live.insert(connection);
        connections.lost_at = None;
        session.last_connection.store(mark, Ordering::Relaxed);
    }

    /// A client says what it is, in its settings or with a heartbeat.
    pub fn note_simple(&self, client: &ClientId, is_simple: bool) {
        if let Some(session) = self.find(self.keys.client(client)) {
            session.is_simple.store(is_simple, Ordering::Relaxed);
        }
    }

    /// Whether a client has said that it is a lite simple consumer.
    pub fn is_simple(&self, client: &ClientId) -> bool {
        let session = self.find(self.keys.client(client));
        session.is_some_and(|session| session.is_simple.load(Ordering::Relaxed))
    }

    /// A client says more of itself.
    pub fn note_profile(&self, client: &ClientId, profile: Profile) {
        if let Some(session) = self.find(self.keys.client(client)) {
            *lock(&session.profile) = profile;
        }
    }

    /// What a client has said of itself, if it is connected.
    pub(super) fn profile_if_connected(&self, client: &ClientId) -> Option<Profile> {
        let now = self.clock.now();
        let session =
            self.find(self.keys.client(client)).filter(|found| found.is_connected(now))?;
        let profile = lock(&session.profile).clone();
        Some(profile)
    }

    /// Looks at every client, connected or not.
    pub(super) fn for_each_client(
        &self,
        mut look: impl FnMut(ClientKey, &ClientId, bool, &Profile),
    ) {
        let now = self.clock.now();
        self.for_each(|key, session| {
            look(key, &session.client, session.is_connected(now), &lock(&session.profile));
        });
    }

    /// Looks at every connected client.
    pub(super) fn for_each_connected(&self, mut look: impl FnMut(ClientKey, &ClientId, &Profile)) {
        self.for_each_client(|key, client, connected, profile| {
            if connected {
                look(key, client, profile);
            }
        });
    }

    /// Puts a question to a client; whether it has a Telemetry stream and reads it. What is asked, and
    /// who waits for the answer, the door knows by the number.
    pub fn ask(&self, client: &ClientId, number: u64) -> bool {
        let session = self.find(self.keys.client(client));
        session.is_some_and(|session| session.mailbox.put(Notice::Asked(number)))
    }

    /// The client has a Telemetry stream; notices come to its newest, and count in this pool while
    /// they wait.
    pub fn telemetry_opened(&self, client: &ClientId, answers: &Arc<Pool>) -> TelemetryStream {
        let open = self.open(client);
        let reader = Reader::open(Arc::clone(&open.0.mailbox), Arc::clone(answers));
        TelemetryStream { reader, _open: open }
    }

    /// Tells a client something, if it has a Telemetry stream and reads it; never waits.
    pub(super) fn tell(&self, client: ClientKey, notice: Notice) {
        let is_told = self.find(client).is_some_and(|session| session.mailbox.put(notice));
        let count = if is_told { &self.notices.told } else { &self.notices.dropped };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Notices told, and dropped because nobody read them, since the start.
    pub fn notices(&self) -> (u64, u64) {
        let Notices { told, dropped } = &self.notices;
        (told.load(Ordering::Relaxed), dropped.load(Ordering::Relaxed))
    }

    /// Something of the client is open while the guard lives.
    pub(super) fn open(&self, client: &ClientId) -> OpenGuard {
        let session = self.find_or_add(client);
        session.open.fetch_add(1, Ordering::Relaxed);
        OpenGuard(session)
    }

    /// The connection is gone; clients without another one lose their leases shortly.
    pub fn connection_closed(&self, connection: ConnectionId) {
        let clients = lock(&self.clients_of).remove(&connection).unwrap_or_default();
        let now = self.clock.now();
        for client in clients {
            let Some(session) = self.find(client) else { continue };
            let mut connections = lock(&session.connections);
            connections.live.remove(&connection);
            connections.is_interrupted = true;
            session.last_connection.store(0, Ordering::Relaxed);
            if connections.live.is_empty() {
                connections.lost_at = Some(now);
            }
        }
    }

    /// Whether a client's leases are renewed.
    pub(super) fn is_connected(&self, client: ClientKey, now: Timestamp) -> bool {
        self.find(client).is_some_and(|session| session.is_connected(now))
    }

    /// Finds who has gone since the last sweep.
    pub(super) fn sweep(&self) -> Swept {
        let now = self.clock.now();
        let mut swept = Swept::default();
        self.for_each(|key, session| swept.look_at(key, session, now));
        swept
    }

    fn for_each(&self, mut look: impl FnMut(ClientKey, &Session)) {
        let mut after = Bound::Unbounded;
        loop {
            let step = self.after(after);
            for (key, session) in &step {
                look(*key, session);
            }
            match step.last() {
                Some((last, _)) => after = Bound::Excluded(*last),
                None => return,
            }
        }
    }

    /// A few sessions, so that nobody who calls waits for all of them to be looked at.
    fn after(&self, after: Bound<ClientKey>) -> Vec<(ClientKey, Arc<Session>)> {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        let step = sessions.range((after, Bound::Unbounded)).take(SESSIONS_PER_STEP);
        step.map(|(key, session)| (*key, Arc::clone(session))).collect()
    }

    /// The clients of a user.
    pub(super) fn clients_of_user(&self, user: &UserName) -> Vec<ClientId> {
        let (user, mut clients) = (self.keys.user(user), Vec::new());
        self.for_each(|_, session| {
            if session.user.get() == Some(&user) {
                clients.push(session.client.clone());
            }
        });
        clients
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.sessions.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether a client was silent for too long.
    pub(super) fn is_expired(&self, client: ClientKey) -> bool {
        let now = self.clock.now();
        self.find(client).is_none_or(|session| !session.is_alive(now))
    }

    /// Forgets a client.
    pub(super) fn forget(&self, client: ClientKey) {
        let removed = {
            let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
            sessions.remove(&client)
        };
        let Some(session) = removed else { return };
        let connections = std::mem::take(&mut lock(&session.connections).live);
        let mut clients_of = lock(&self.clients_of);
        for connection in connections {
            if let Some(clients) = clients_of.get_mut(&connection) {
                clients.remove(&client);
                if clients.is_empty() {
                    clients_of.remove(&connection);
                }
            }
        }
    }

    fn find(&self, key: ClientKey) -> Option<Arc<Session>> {
        self.sessions.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    fn find_or_add(&self, client: &ClientId) -> Arc<Session> {
        let key = self.keys.client(client);
        let found = self.find(key).or_else(|| self.add(key, client, usize::MAX));
        found.unwrap_or_else(|| Arc::new(Session::new(client, self.clock.now())))
    }

    /// The session of a new client; nothing when there are so many already.
    fn add(&self, key: ClientKey, client: &ClientId, max: usize) -> Option<Arc<Session>> {
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= max && !sessions.contains_key(&key) {
            return None;
        }
        let new = || Arc::new(Session::new(client, self.clock.now()));
        Some(Arc::clone(sessions.entry(key).or_insert_with(new)))
    }
}

impl Swept {
    fn look_at(&mut self, key: ClientKey, session: &Session, now: Timestamp) {
        if session.take_lost(now) {
            self.disconnected.push(key);
        } else if session.take_interrupted() {
            self.interrupted.push(key);
        }
        if !session.is_alive(now) {
            self.expired.push((key, session.client.clone()));
        }
    }
}

impl Session {
    fn new(client: &ClientId, now: Timestamp) -> Self {
        Self {
            client: client.clone(),
            user: OnceLock::new(),
            last_seen_ms: AtomicU64::new(now.0),
            open: AtomicU32::new(0),
            is_simple: AtomicBool::new(false),
            last_connection: AtomicU64::new(0),
            connections: Mutex::default(),
            mailbox: Arc::default(),
            profile: Mutex::default(),
        }
    }

    /// Makes the client this user's, unless it is another's.
    fn bind(&self, user: UserKey) -> Result<()> {
        self.user.get_or_init(|| user);
        self.check(user)
    }

    /// Checks that the client is not another user's.
    fn check(&self, user: UserKey) -> Result<()> {
        if self.user.get().is_none_or(|bound| *bound == user) {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::PermissionDenied,
            format!(
                "client '{}' belongs to another user; give each client an id of its own",
                self.client.as_str().escape_debug()
            ),
        ))
    }

    fn is_alive(&self, now: Timestamp) -> bool {
        let last_seen = Timestamp(self.last_seen_ms.load(Ordering::Relaxed));
        self.open.load(Ordering::Relaxed) > 0 || now.since(last_seen) < ms(SESSION_TIMEOUT)
    }

    fn is_connected(&self, now: Timestamp) -> bool {
        lock(&self.connections).lost_at.is_none() && self.is_alive(now)
    }

    /// Whether the client lost a connection and has another; told once.
    fn take_interrupted(&self) -> bool {
        let mut connections = lock(&self.connections);
        connections.lost_at.is_none() && std::mem::take(&mut connections.is_interrupted)
    }

    /// Whether the client has been without a connection for longer than the grace; told once.
    fn take_lost(&self, now: Timestamp) -> bool {
        let mut connections = lock(&self.connections);
        let lost = connections.lost_at.is_some_and(|at| now.since(at) >= ms(DISCONNECT_GRACE));
        if lost {
            // Far ahead: gone until it calls again, and not told twice.
            connections.lost_at = Some(Timestamp(u64::MAX));
            connections.is_interrupted = false;
        }
        lost
    }
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn too_many() -> Error {
    Error::new(ErrorCode::Overloaded, "the server knows too many clients already; try again later")
}

fn ms(span: std::time::Duration) -> DurationMs {
    DurationMs(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
