//! Faults that come and go.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use litemq_clients::workload::lite_topic;
use litemq_storage::disk::Survival;

use crate::errands::Errand;
use crate::network::SERVER;
use crate::plan::{Fault, Seat, ms};
use crate::server::State;
use crate::world::World;

/// A server that ended by itself is started again after this.
const RESTART_PAUSE: Duration = ms(500);
/// So long after a fault of the network, calls may still find that their connection is dead.
const BAD_MEMORY: Duration = ms(12_000);
/// A server whose store has failed ends within this time.
const GIVE_UP_MAX: Duration = ms(1_000);
/// A crash that waits for a disk operation comes after this in any case.
const CRASH_MAX: Duration = ms(300);

/// What is wrong at the moment, and what is to come.
#[derive(Debug, Default)]
pub(crate) struct Weather {
    coming: BTreeMap<(Duration, u64), Act>,
    planned: u64,
    /// Clients whose link or host is not well; one thing at a time.
    troubled: BTreeMap<Seat, Fault>,
    /// How long they may be taken for gone.
    bad_until: BTreeMap<Seat, Duration>,
    crash: Option<Crash>,
    /// Whether the server may end by itself.
    is_disk_bad: bool,
    is_disk_full: bool,
    is_stopping: bool,
    /// Each kind of fault that happened, and how often.
    pub(crate) happened: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Clone, Copy)]
struct Crash {
    acts: u64,
    latest: Duration,
    survival: Option<Survival>,
    away: Duration,
}

/// One change of the world.
#[derive(Debug, Clone)]
enum Act {
    Begin(Fault),
    Mend(Seat),
    Release(Seat),
    Listen(Seat),
    Speak(Seat),
    Hurry(Seat),
    Read(Seat),
    Return(Seat),
    /// Nobody has a connection any more from when the way was bad.
    Forget(Seat),
    StartServer,
    MendDisk,
    EmptyDisk,
}

impl Weather {
    /// What a plan says will come.
    pub(crate) fn of(faults: &[(Duration, Fault)]) -> Self {
        let mut weather = Self::default();
        for (at, fault) in faults {
            weather.plan(*at, Act::Begin(fault.clone()));
        }
        weather
    }

    /// Does what is due, and sees to the server.
    pub(crate) fn blow(&mut self, world: &mut World<'_>) -> Result<(), String> {
        while let Some(next) = self.coming.first_entry() {
            if next.key().0 > world.now() {
                break;
            }
            let act = next.remove();
            self.apply(act, world);
        }
        self.watch_crash(world);
        self.watch_server(world)
    }

    /// Ends all that is wrong: what was to come does not, who is needed comes back.
    pub(crate) fn clear_up(&mut self, world: &mut World<'_>) {
        for (_, act) in std::mem::take(&mut self.coming) {
            match act {
                Act::Begin(_) | Act::Forget(_) => {}
                Act::Return(seat) if !world.stays(seat) => {}
                act => self.apply(act, world),
            }
        }
        if let Some(crash) = self.crash.take() {
            world.crash_server(crash.survival);
        } else if self.is_disk_bad && world.is_server_up() {
            // A fault may be on its way still.
            world.kill_server();
        }
        if !world.is_server_up() {
            self.apply(Act::StartServer, world);
        }
        world.trace.say("calm");
    }

    fn plan(&mut self, at: Duration, act: Act) {
        self.planned += 1;
        self.coming.insert((at, self.planned), act);
    }

    fn apply(&mut self, act: Act, world: &mut World<'_>) {
        if !matches!(act, Act::Begin(_)) {
            world.trace.say(&format!("weather: {act:?}"));
        }
        let name = |world: &World<'_>, seat: Seat| world.clients[seat].name.clone();
        match act {
            Act::Begin(fault) => self.begin(fault, world),
            Act::Mend(seat) => {
                world.sim.repair(SERVER, name(world, seat));
                self.end_trouble(seat);
            }
            Act::Release(seat) => {
                world.sim.release(SERVER, name(world, seat));
                self.end_trouble(seat);
            }
            Act::Listen(seat) => {
                world.sim.repair_oneway(SERVER, name(world, seat));
                self.end_trouble(seat);
            }
            Act::Speak(seat) => {
                world.sim.repair_oneway(name(world, seat), SERVER);
                self.end_trouble(seat);
            }
            Act::Hurry(seat) => {
                let (least, most) = world.plan.latency_ms;
                world.sim.set_link_latency(SERVER, name(world, seat), ms(least));
                world.sim.set_link_max_message_latency(SERVER, name(world, seat), ms(most));
                self.end_trouble(seat);
            }
            Act::Read(seat) => {
                world.clients[seat].way.stall.set(false);
                self.end_trouble(seat);
            }
            Act::Forget(seat) => {
                let is_bad = self.bad_until.get(&seat).is_some_and(|until| *until > world.now());
                world.clients[seat].way.is_bad.store(is_bad, Ordering::Relaxed);
            }
            Act::Return(seat) => {
                world.sim.repair(SERVER, name(world, seat));
                world.return_client(seat);
                self.end_trouble(seat);
            }
            Act::StartServer => {
                for seat in 0..world.clients.len() {
                    world.sim.repair(SERVER, name(world, seat));
                    if let Some(trouble) = self.troubled.get(&seat) {
                        trouble.block(world);
                    }
                }
                if world.is_server_up() {
                    world.kill_server();
                }
                self.is_stopping = false;
                self.is_disk_bad = false;
                if self.is_disk_full {
                    fill(world, 0);
                }
                world.start_server();
            }
            Act::MendDisk => world.machine.sync_times.set(1, 4),
            Act::EmptyDisk => {
                self.is_disk_full = false;
                world.machine.disk().set_capacity(None);
            }
        }
    }

    fn begin(&mut self, fault: Fault, world: &mut World<'_>) {
        let now = world.now();
        if let Some(seat) = fault.seat() {
            if self.troubled.contains_key(&seat) || self.crash.is_some() || !world.is_server_up() {
                return;
            }
            self.troubled.insert(seat, fault.clone());
            world.clients[seat].way.is_bad.store(true, Ordering::Relaxed);
            let until = now + fault.duration() + BAD_MEMORY;
            self.bad_until.insert(seat, until);
            self.plan(until, Act::Forget(seat));
        } else if !matches!(world.machine.state(), State::Serving) || self.is_stopping {
            return;
        }
        *self.happened.entry(fault.name()).or_default() += 1;
        world.trace.say(&format!("weather: {fault:?}"));
        fault.block(world);
        match fault {
            Fault::Cut(seat, long) => self.plan(now + long, Act::Mend(seat)),
            Fault::Hold(seat, long) => self.plan(now + long, Act::Release(seat)),
            Fault::Deafen(seat, long) => self.plan(now + long, Act::Listen(seat)),
            Fault::Mute(seat, long) => self.plan(now + long, Act::Speak(seat)),
            Fault::Slow(seat, latency_ms, long) => {
                let name = world.clients[seat].name.as_str();
                world.sim.set_link_latency(SERVER, name, Duration::from_millis(latency_ms));
                self.plan(now + long, Act::Hurry(seat));
            }
            Fault::Stall(seat, long) => {
                world.clients[seat].way.stall.set(true);
                self.plan(now + long, Act::Read(seat));
            }
            Fault::Die { seat, away, .. } => {
                world.kill_client(seat);
                self.plan(now + away, Act::Return(seat));
            }
            Fault::Kill { away } => {
                world.kill_server();
                self.plan(now + away, Act::StartServer);
            }
            Fault::Crash { acts, survival, away } => {
                let acts = world.machine.disk().acts() + acts;
                world.machine.disk().crash_at(acts);
                self.crash = Some(Crash { acts, latest: now + CRASH_MAX, survival, away });
            }
            Fault::Restart { away } => {
                self.is_stopping = true;
                world.machine.stop();
                self.plan(now + away, Act::StartServer);
            }
            Fault::FailSync(nth) => {
                self.is_disk_bad = true;
                world.machine.disk().fail_sync(nth);
            }
            Fault::FailWrite(nth) => {
                self.is_disk_bad = true;
                world.machine.disk().fail_write(nth);
            }
            Fault::SlowDisk(least_ms, most_ms, long) => {
                world.machine.sync_times.set(least_ms, most_ms.max(least_ms));
                self.plan(now + long, Act::MendDisk);
            }
            Fault::FillDisk(more_bytes, long) => {
                self.is_disk_full = true;
                fill(world, more_bytes);
                self.plan(now + long, Act::EmptyDisk);
            }
            Fault::Checkpoint => world.machine.send(Errand::Checkpoint),
            Fault::Remove(number) => world.machine.send(Errand::Remove(lite_topic(number))),
            Fault::Reset(group, number) => {
                world.machine.send(Errand::Reset(group, lite_topic(number)));
            }
            Fault::Note(number) => world.machine.send(Errand::Note(number)),
            Fault::SetWallBack(by_ms) => world.machine.set_wall_back(by_ms),
        }
    }

    fn end_trouble(&mut self, seat: Seat) {
        self.troubled.remove(&seat);
    }

    /// It comes once the disk has done enough.
    fn watch_crash(&mut self, world: &mut World<'_>) {
        let Some(crash) = self.crash else { return };
        if world.machine.disk().acts() < crash.acts && world.now() < crash.latest {
            return;
        }
        self.crash = None;
        world.trace.say(&format!("weather: the crash, {:?}", crash.survival));
        world.crash_server(crash.survival);
        self.plan(world.now() + crash.away, Act::StartServer);
    }

    /// A server that has ended is taken away, and started again if it had a reason.
    fn watch_server(&mut self, world: &mut World<'_>) -> Result<(), String> {
        match world.machine.state() {
            State::Failed(why) if self.is_disk_bad || self.is_disk_full => {
                world.trace.say(&format!("weather: the server is gone: {why}"));
                *self.happened.entry("server_gave_up").or_default() += 1;
                world.kill_server();
                self.plan(world.now() + RESTART_PAUSE, Act::StartServer);
                Ok(())
            }
            State::Failed(why) => Err(format!("the server ended by itself: {why}")),
            State::Stopped(Err(why)) if !self.is_disk_bad => {
                Err(format!("the stop was not clean: {why}"))
            }
            State::Stopped(_) => {
                world.kill_server();
                Ok(())
            }
            State::Serving if world.machine.has_store_failed(GIVE_UP_MAX) => {
                Err("the server goes on although its store has failed".to_owned())
            }
            State::Off | State::Starting | State::Serving => Ok(()),
        }
    }
}

/// Lets only so many more bytes fit.
fn fill(world: &World<'_>, more_bytes: u64) {
    let disk = world.machine.disk();
    disk.set_capacity(Some(disk.used_bytes() + more_bytes));
}

impl Fault {
    fn seat(&self) -> Option<Seat> {
        match self {
            Self::Cut(seat, _)
            | Self::Hold(seat, _)
            | Self::Deafen(seat, _)
            | Self::Mute(seat, _)
            | Self::Slow(seat, ..)
            | Self::Stall(seat, _)
            | Self::Die { seat, .. } => Some(*seat),
            _ => None,
        }
    }

    /// Stops what does not pass while it lasts.
    fn block(&self, world: &World<'_>) {
        let name = |seat: &Seat| world.clients[*seat].name.as_str();
        match self {
            Self::Cut(seat, _) | Self::Die { seat, is_silent: true, .. } => {
                world.sim.partition(SERVER, name(seat));
            }
            Self::Hold(seat, _) => world.sim.hold(SERVER, name(seat)),
            Self::Deafen(seat, _) => world.sim.partition_oneway(SERVER, name(seat)),
            Self::Mute(seat, _) => world.sim.partition_oneway(name(seat), SERVER),
            _ => {}
        }
    }

    /// How long it lasts, if it is one of the network.
    fn duration(&self) -> Duration {
        match self {
            Self::Cut(_, long)
            | Self::Hold(_, long)
            | Self::Deafen(_, long)
            | Self::Mute(_, long)
            | Self::Slow(_, _, long)
            | Self::Stall(_, long)
            | Self::Die { away: long, .. } => *long,
            _ => Duration::ZERO,
        }
    }

    /// Its name among the figures.
    fn name(&self) -> &'static str {
        match self {
            Self::Cut(..) => "cuts",
            Self::Hold(..) => "holds",
            Self::Deafen(..) | Self::Mute(..) => "half_open",
            Self::Slow(..) => "slow_links",
            Self::Stall(..) => "stalled_readers",
            Self::Die { .. } => "client_deaths",
            Self::Kill { .. } => "kills",
            Self::Crash { survival: None, .. } => "kills_at_acts",
            Self::Crash { survival: Some(_), .. } => "power_cuts",
            Self::Restart { .. } => "restarts",
            Self::FailSync(_) => "failed_syncs",
            Self::FailWrite(_) => "failed_writes",
            Self::SlowDisk(..) => "slow_disks",
            Self::FillDisk(..) => "full_disks",
            Self::Checkpoint => "odd_checkpoints",
            Self::Remove(_) => "removals_asked",
            Self::Reset(..) => "resets_asked",
            Self::Note(_) => "notes",
            Self::SetWallBack(_) => "wall_clock_jumps",
        }
    }
}
