//! One world: hosts in a network, and how they are started, stopped, and judged.

use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use litemq_checker::history::{Event, Group, SendResult, Sent};
use litemq_clients::letter::Letters;
use litemq_clients::recorder::Recorder;
use litemq_clients::workload::{Habits, Load};
use litemq_storage::disk::Survival;
use tokio::sync::watch;
use turmoil::{Builder, Sim};

use crate::network::{SERVER, Way};
use crate::plan::{FRAGILE, LITE_TOPICS, OWED_MAX, Seat, WorldPlan, ms};
use crate::server::{Machine, State};
use crate::trace::Trace;

/// Time moves in steps of this; no message is faster.
pub(crate) const TICK: Duration = ms(5);
/// Segments of a connection that are not read before its sender waits.
const TCP_SEGMENTS: usize = 256;

/// The host whose messages show how quick the world is at rest.
const PROBE: &str = "probe";
/// A producer beyond all others.
const PROBE_PRODUCER: usize = 1_000_000;
/// Between two of its messages: time for all consumers to wait again, and not so much that their polls
/// are over.
const PROBE_PAUSE: Duration = ms(500);

/// Panics of tasks, which a runtime would keep to itself.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Remembers panics from here on.
pub(crate) fn watch_panics() {
    panic::set_hook(Box::new(|what| {
        println!("{what}");
        PANICS.lock().unwrap_or_else(PoisonError::into_inner).push(what.to_string());
    }));
}

/// A client's host.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) way: Way,
    /// How often it came back as somebody else.
    others: Arc<AtomicU64>,
    pub(crate) is_alive: bool,
}

/// The hosts and what they share.
pub(crate) struct World<'a> {
    pub(crate) plan: &'a WorldPlan,
    pub(crate) sim: Sim<'a>,
    pub(crate) trace: Arc<Trace>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) machine: Arc<Machine>,
    pub(crate) clients: Vec<Client>,
    /// How often the shards were held against their invariants.
    pub(crate) audits: u64,
    stop: Stops,
}

/// Ends tasks: who sends, who comes and goes, who stays.
#[derive(Debug, Default)]
struct Stops {
    senders: watch::Sender<bool>,
    passers: watch::Sender<bool>,
    stayers: watch::Sender<bool>,
}

impl<'a> World<'a> {
    pub(crate) fn new(plan: &'a WorldPlan, trace: Arc<Trace>) -> Self {
        let mut sim = Builder::new()
            .rng_seed(plan.seed)
            .tick_duration(TICK)
            .min_message_latency(ms(plan.latency_ms.0))
            .max_message_latency(ms(plan.latency_ms.1))
            .simulation_duration(Duration::from_secs(24 * 3600))
            .tcp_capacity(TCP_SEGMENTS)
            .build();
        trace.set_between(Some(Duration::ZERO));
        // Nothing is owed to a group that may take messages for dead.
        let sure = plan.groups().into_iter().filter(|group| group.name != FRAGILE);
        let groups = sure.map(|group| group.name).collect();
        let recorder = Arc::new(Recorder::before(Arc::clone(&trace) as _, groups));
        let machine =
            Arc::new(Machine::new(plan.server.clone(), Arc::clone(&trace), Arc::clone(&recorder)));
        let process = Arc::clone(&machine);
        sim.host(SERVER, move || {
            let process = Arc::clone(&process);
            async move {
                process.live().await;
                Ok(())
            }
        });
        let mut world = Self {
            plan,
            sim,
            trace,
            recorder,
            machine,
            clients: Vec::new(),
            audits: 0,
            stop: Stops::default(),
        };
        for producer in 0..plan.producers {
            world.add_producer(producer);
        }
        for habits in &plan.consumers {
            world.add_consumer(habits);
        }
        world
    }

    fn add_producer(&mut self, producer: usize) {
        let name = format!("p{producer}");
        let (load, others) = self.add_client(&name, self.stop.senders.subscribe());
        self.sim.host(name, move || {
            let load = load.clone();
            // Its numbers start again with each life, so each life is a producer of its own.
            let number = producer * 100 + others.fetch_add(1, Ordering::Relaxed) as usize;
            async move {
                load.produce(number).await;
                Ok(())
            }
        });
    }

    fn add_consumer(&mut self, habits: &Habits) {
        let stop = if habits.stays { &self.stop.stayers } else { &self.stop.passers };
        let (load, others) = self.add_client(&habits.name, stop.subscribe());
        let habits = habits.clone();
        self.sim.host(habits.name.clone(), move || {
            let (load, mut habits) = (load.clone(), habits.clone());
            match others.load(Ordering::Relaxed) {
                0 => {}
                other => habits.name = format!("{}o{other}", habits.name),
            }
            async move {
                load.consume(habits).await;
                Ok(())
            }
        });
    }

    fn add_client(
        &mut self,
        name: &str,
        stop: watch::Receiver<bool>,
    ) -> (Load<Way>, Arc<AtomicU64>) {
        let (way, others) = (Way::default(), Arc::new(AtomicU64::new(0)));
        self.clients.push(Client {
            name: name.to_owned(),
            way: way.clone(),
            others: Arc::clone(&others),
            is_alive: true,
        });
        (self.load(way, stop), others)
    }

    fn load(&self, way: Way, stop: watch::Receiver<bool>) -> Load<Way> {
        Load {
            letters: self.plan.letters(),
            recorder: Arc::clone(&self.recorder),
            way,
            lite_topics: LITE_TOPICS,
            owed_max: OWED_MAX,
            pause: self.plan.pause,
            stop,
        }
    }

    /// Sends so many messages one by one into a world at rest.
    pub(crate) fn probe(&mut self, count: u64) {
        let load = self.load(Way::default(), self.stop.stayers.subscribe());
        let load = Load { pause: PROBE_PAUSE, ..load };
        self.sim.host(PROBE, move || {
            let load = load.clone();
            async move {
                load.probe(PROBE_PRODUCER, count).await;
                Ok(())
            }
        });
    }

    /// How many messages of the probe were stored, once it has come to its end.
    pub(crate) fn probed(&mut self) -> Option<u64> {
        let is_stored = |event: &Event| {
            matches!(
                event,
                Event::Sent(Sent { producer: PROBE_PRODUCER, result: SendResult::Stored(_), .. })
            )
        };
        let is_done = !self.sim.is_host_running(PROBE);
        is_done
            .then(|| self.recorder.events().iter().filter(|event| is_stored(event)).count() as u64)
    }

    /// Lets one tick pass.
    pub(crate) fn step(&mut self) -> Result<(), String> {
        self.trace.set_between(None);
        let stepped = self.sim.step();
        self.trace.set_between(Some(self.sim.elapsed()));
        stepped.map_err(|error| format!("the world broke: {error}"))?;
        let panics = std::mem::take(&mut *PANICS.lock().unwrap_or_else(PoisonError::into_inner));
        match panics.first() {
            Some(what) => Err(format!("a panic: {what}")),
            None => Ok(()),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.sim.elapsed()
    }

    pub(crate) fn is_server_up(&self) -> bool {
        matches!(self.machine.state(), State::Starting | State::Serving)
    }

    /// `kill -9`: the disk keeps what was written, synced or not.
    pub(crate) fn kill_server(&mut self) {
        self.machine.set_disk(self.machine.disk().kill());
        self.take_server_away();
    }

    /// The machine goes off, and its peers are not told; without a survival only the process ends.
    pub(crate) fn crash_server(&mut self, survival: Option<Survival>) {
        let Some(survival) = survival else { return self.kill_server() };
        self.machine.set_disk(self.machine.disk().crash(survival));
        for client in &self.clients {
            self.sim.partition(SERVER, client.name.as_str());
        }
        self.take_server_away();
    }

    fn take_server_away(&mut self) {
        self.recorder.record(Event::Killed { at: self.now() });
        self.sim.crash(SERVER);
        self.machine.ended();
    }

    pub(crate) fn start_server(&mut self) {
        self.sim.bounce(SERVER);
    }

    /// A client's host dies.
    pub(crate) fn kill_client(&mut self, seat: Seat) {
        let client = &mut self.clients[seat];
        client.is_alive = false;
        client.way.stall.set(false);
        self.sim.crash(client.name.as_str());
    }

    /// It comes back: one that stays as itself, another as somebody else.
    pub(crate) fn return_client(&mut self, seat: Seat) {
        let stays = self.stays(seat);
        let client = &mut self.clients[seat];
        if !stays {
            client.others.fetch_add(1, Ordering::Relaxed);
        }
        client.is_alive = true;
        self.sim.bounce(client.name.as_str());
    }

    /// Whether a client is one that stays to the end.
    pub(crate) fn stays(&self, seat: Seat) -> bool {
        let consumer = seat.checked_sub(self.plan.producers);
        consumer.is_some_and(|consumer| self.plan.consumers[consumer].stays)
    }

    /// Lets only those go on who receive to the end.
    pub(crate) fn stop_load(&self) {
        self.stop.senders.send_replace(true);
        self.stop.passers.send_replace(true);
    }

    pub(crate) fn stop_all(&self) {
        self.stop.stayers.send_replace(true);
    }

    /// Whether every client that lives has come to its end.
    pub(crate) fn are_clients_done(&mut self) -> bool {
        (0..self.clients.len()).all(|seat| self.is_done(seat))
    }

    /// The same of those that do not stay.
    pub(crate) fn is_load_done(&mut self) -> bool {
        (0..self.clients.len()).all(|seat| self.stays(seat) || self.is_done(seat))
    }

    fn is_done(&mut self, seat: Seat) -> bool {
        let client = &self.clients[seat];
        !client.is_alive || !self.sim.is_host_running(client.name.as_str())
    }
}

impl WorldPlan {
    fn letters(&self) -> Letters {
        Letters { seed: self.seed, body_bytes_max: self.body_bytes_max }
    }

    /// The groups that are to get everything.
    pub(crate) fn groups(&self) -> Vec<Group> {
        let group = |name: &str, ordered| Group { name: name.to_owned(), ordered };
        self.server.groups.iter().map(|plan| group(plan.name, plan.ordered)).collect()
    }
}
