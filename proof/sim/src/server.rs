//! The server's machine: a disk that outlives processes, and the real server over it.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use litemq_checker::Dice;
use litemq_clients::client::TOPIC;
use litemq_clients::recorder::Recorder;
use litemq_clients::workload::Sharing;
use litemq_domain::{
    ErrorCode, GroupName, GroupOptions, NamePrefix, SubscriptionMode, Timestamp, TopicName,
    TopicOptions,
};
use litemq_server::broker::{Broker, BrokerOptions, Edge, NewGroup, NewTopic};
use litemq_server::front::grpc::{self, GrpcOptions};
use litemq_server::observe::Metrics;
use litemq_server::running::Running;
use litemq_storage::disk::FaultDisk;
use litemq_storage::{Drive, LogOptions, LogStore, ShardStore};
use tokio::sync::{Notify, watch};

use crate::errands::{self, Answer, Errand, describe};
use crate::network::Port;
use crate::notes::{self, Notes};
use crate::store::{SteppedStore, SyncTimes};
use crate::trace::Trace;

/// Wall time when a world begins, milliseconds since the Unix epoch.
const EPOCH_MS: u64 = 1_800_000_000_000;
/// Where the data is, on the disk in memory.
const FOLDER: &str = "/data";
/// How long open calls may take at a stop.
const GRACE: Duration = Duration::from_secs(2);

/// A consumer group of a world.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupPlan {
    pub(crate) name: &'static str,
    pub(crate) ordered: bool,
    pub(crate) max_attempts: u16,
    pub(crate) quota: Option<u32>,
    pub(crate) sharing: Sharing,
}

/// What stays the same over the lives of a server.
#[derive(Debug, Clone)]
pub(crate) struct ServerPlan {
    pub(crate) seed: u64,
    pub(crate) shards: u16,
    pub(crate) segment_bytes: u64,
    pub(crate) checkpoint_interval: Duration,
    pub(crate) groups: Vec<GroupPlan>,
    /// Whether there is a topic whose lite topics expire.
    pub(crate) has_notes: bool,
}

/// How the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Off,
    Starting,
    Serving,
    /// It ended by itself, or could not start.
    Failed(String),
    /// It was told to stop, and did; the text says what was not clean.
    Stopped(Result<(), String>),
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) plan: ServerPlan,
    pub(crate) trace: Arc<Trace>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) sync_times: Arc<SyncTimes>,
    pub(crate) notes: Notes,
    disk: Mutex<FaultDisk>,
    state: Mutex<State>,
    store: Mutex<Option<Arc<SteppedStore>>>,
    /// When its failure was seen first.
    store_failed_at: Mutex<Option<Duration>>,
    stop: watch::Sender<bool>,
    errands: Mutex<Vec<Errand>>,
    called: Notify,
    answers: Mutex<Vec<(Errand, Answer)>>,
    /// What the broker said of itself before it stopped, until the next start.
    left: Mutex<Option<String>>,
    /// What the wall clock is ahead of simulated time, milliseconds.
    wall_ahead_ms: AtomicU64,
    lives: AtomicU64,
    /// Segments written again without what had ended.
    pub(crate) compacted: Arc<AtomicU64>,
}

impl Machine {
    pub(crate) fn new(plan: ServerPlan, trace: Arc<Trace>, recorder: Arc<Recorder>) -> Self {
        Self {
            plan,
            trace,
            recorder,
            sync_times: Arc::new(SyncTimes::new(1, 4)),
            notes: Notes::default(),
            disk: Mutex::default(),
            state: Mutex::new(State::Off),
            store: Mutex::default(),
            store_failed_at: Mutex::default(),
            stop: watch::Sender::new(false),
            errands: Mutex::default(),
            called: Notify::new(),
            answers: Mutex::default(),
            left: Mutex::default(),
            wall_ahead_ms: AtomicU64::new(EPOCH_MS),
            lives: AtomicU64::new(0),
            compacted: Arc::default(),
        }
    }

    pub(crate) fn disk(&self) -> FaultDisk {
        lock(&self.disk).clone()
    }

    /// The next life finds this disk.
    pub(crate) fn set_disk(&self, disk: FaultDisk) {
        *lock(&self.disk) = disk;
    }

    pub(crate) fn state(&self) -> State {
        lock(&self.state).clone()
    }

    /// Whether the store of the running process failed longer than this ago.
    pub(crate) fn has_store_failed(&self, ago: Duration) -> bool {
        let store = lock(&self.store);
        let failed = store.as_ref().is_some_and(|store| store.durable().borrow().failed.is_some());
        if !failed {
            return false;
        }
        let now = self.trace.time();
        now > *lock(&self.store_failed_at).get_or_insert(now) + ago
    }

    /// The process is gone.
    pub(crate) fn ended(&self) {
        *lock(&self.state) = State::Off;
        *lock(&self.store) = None;
        *lock(&self.store_failed_at) = None;
        lock(&self.errands).clear();
        lock(&self.answers).clear();
    }

    /// Sends the process on an errand.
    pub(crate) fn send(&self, errand: Errand) {
        lock(&self.errands).push(errand);
        self.called.notify_one();
    }

    /// What an errand came back with since this was asked last.
    pub(crate) fn take_answer(&self, errand: &Errand) -> Option<Answer> {
        let mut answers = lock(&self.answers);
        let at = answers.iter().position(|(of, _)| of == errand)?;
        Some(answers.remove(at).1)
    }

    /// The next stop is one at rest: the next start shall find what it left.
    pub(crate) fn remember(&self) {
        *lock(&self.left) = Some(String::new());
    }

    /// Tells the process to stop.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// The wall clock is set back; the next life reads it.
    pub(crate) fn set_wall_back(&self, by_ms: u64) {
        self.wall_ahead_ms.fetch_sub(by_ms, Ordering::Relaxed);
    }

    /// One life of the server's process.
    pub(crate) async fn live(self: Arc<Self>) {
        self.enter(State::Starting);
        self.stop.send_replace(false);
        let ended = match self.start().await {
            Ok(running) => self.run(running).await,
            Err(error) => State::Failed(format!("cannot start: {error}")),
        };
        self.enter(ended);
        // The process is over; the world takes it away.
        std::future::pending::<()>().await;
    }

    async fn start(&self) -> Result<Running, String> {
        let life = self.lives.fetch_add(1, Ordering::Relaxed);
        let dice = Dice::of(self.plan.seed).fork("device").fork(&life.to_string());
        let disk = Arc::new(self.disk());
        let log = LogStore::open_on(disk, Path::new(FOLDER), self.log_options(), Drive::Steps);
        let store = Arc::new(SteppedStore::new(
            log.map_err(|error| error.to_string())?,
            Arc::clone(&self.compacted),
        ));
        tokio::spawn(Arc::clone(&store).commit(Arc::clone(&self.sync_times), dice));
        tokio::spawn(Arc::clone(&store).do_chores());
        *lock(&self.store) = Some(Arc::clone(&store));
        let metrics = Arc::new(Metrics::new());
        let store: Arc<dyn ShardStore> = store;
        let broker = Broker::open(store, self.broker_options(), Arc::clone(&metrics)).await;
        let broker = broker.map_err(|error| error.to_string())?;
        self.declare(&broker).await.map_err(|error| error.to_string())?;
        self.compare(&broker).await?;
        if let Answer::Broken(what) = errands::audit(&broker).await {
            return Err(format!("shards that break their invariants: {what}"));
        }
        let port = Port::open().await.map_err(|error| error.to_string())?;
        let mut running = Running::start(Arc::clone(&broker), GRACE);
        let door = Arc::clone(&broker);
        let options = GrpcOptions::default();
        running.open(|stopping| grpc::serve(door, metrics, port, None, options, stopping));
        Ok(running)
    }

    async fn run(self: &Arc<Self>, running: Running) -> State {
        self.enter(State::Serving);
        let broker = Arc::clone(running.broker());
        let mut stop = self.stop.subscribe();
        loop {
            tokio::select! {
                biased;
                error = broker.failed() => return State::Failed(error.to_string()),
                _ = stop.wait_for(|stop| *stop) => break,
                () = self.called.notified() => self.start_errands(&broker),
            }
        }
        if lock(&self.left).is_some() {
            let left = describe(&broker).await;
            *lock(&self.left) = Some(left);
        }
        State::Stopped(running.stop().await.map_err(|error| error.to_string()))
    }

    fn start_errands(self: &Arc<Self>, broker: &Arc<Broker>) {
        for errand in std::mem::take(&mut *lock(&self.errands)) {
            let (machine, broker) = (Arc::clone(self), Arc::clone(broker));
            tokio::spawn(async move {
                let answer = errands::run(errand.clone(), broker, &machine).await;
                lock(&machine.answers).push((errand, answer));
            });
        }
    }

    /// Holds what the broker says of itself against what it said before it stopped at rest.
    async fn compare(&self, broker: &Broker) -> Result<(), String> {
        let Some(left) = lock(&self.left).take() else { return Ok(()) };
        let found = describe(broker).await;
        if left == found { Ok(()) } else { Err(format!("it left {left}\nand found {found}")) }
    }

    async fn declare(&self, broker: &Broker) -> litemq_domain::Result<()> {
        let topic = TopicName::new(TOPIC)?;
        allow_present(
            broker
                .create_topic(NewTopic { name: topic.clone(), options: TopicOptions::default() })
                .await,
        )?;
        if self.plan.has_notes {
            allow_present(broker.create_topic(notes::topic()?).await)?;
        }
        for group in &self.plan.groups {
            let mode = match group.sharing {
                Sharing::Shared => SubscriptionMode::Shared,
                Sharing::Exclusive => SubscriptionMode::Exclusive,
                Sharing::Wildcard => SubscriptionMode::Wildcard(NamePrefix::new("")?),
            };
            let new = NewGroup {
                name: GroupName::new(group.name)?,
                bind: topic.clone(),
                options: GroupOptions {
                    ordered: group.ordered,
                    client_quota: group.quota,
                    max_attempts: group.max_attempts,
                    mode,
                    ..GroupOptions::default()
                },
            };
            allow_present(broker.create_group(new).await)?;
        }
        Ok(())
    }

    fn log_options(&self) -> LogOptions {
        LogOptions {
            segment_bytes: self.plan.segment_bytes,
            reserve_bytes: self.plan.segment_bytes / 4,
            free_bytes_min: self.plan.segment_bytes,
            ..LogOptions::default()
        }
    }

    fn broker_options(&self) -> BrokerOptions {
        let mut hash_key = [0; 16];
        let mut dice = Dice::of(self.plan.seed).fork("hash key");
        hash_key.iter_mut().for_each(|byte| *byte = dice.draw() as u8);
        let passed = u64::try_from(self.trace.time().as_millis()).unwrap();
        let wall_time = Timestamp(self.wall_ahead_ms.load(Ordering::Relaxed) + passed);
        BrokerOptions {
            shards: self.plan.shards,
            checkpoint_interval: self.plan.checkpoint_interval,
            edge: Edge::Given { wall_time, hash_key },
            ..BrokerOptions::default()
        }
    }

    fn enter(&self, state: State) {
        self.trace.say(&format!("server: {state:?}"));
        *lock(&self.state) = state;
    }
}

fn allow_present<T>(made: litemq_domain::Result<T>) -> litemq_domain::Result<()> {
    match made {
        Err(error) if error.code != ErrorCode::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
