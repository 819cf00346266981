//! Faults that come and go.

use std::collections::BTreeMap;
use std::time::Duration;

use litemq_storage::disk::Survival;

use crate::network::SERVER;
use crate::plan::{Fault, Seat, ms};
use crate::server::State;
use crate::world::World;

/// A server that ended by itself is started again after this.
const RESTART_PAUSE: Duration = ms(500);
/// A server whose store has failed ends within this time.
const GIVE_UP_MAX: Duration = ms(1_000);
/// A power cut that waits for a disk operation comes after this in any case.
const POWER_CUT_MAX: Duration = ms(300);

/// What is wrong at the moment, and what is to come.
#[derive(Debug, Default)]
pub(crate) struct Weather {
    coming: BTreeMap<(Duration, u64), Act>,
    planned: u64,
    /// Clients whose link or host is not well; one thing at a time.
    troubled: Vec<Seat>,
    power_cut: Option<PowerCut>,
    /// Whether the server may end by itself.
    is_disk_bad: bool,
    is_disk_full: bool,
    is_stopping: bool,
    /// Each kind of fault that happened, and how often.
    pub(crate) happened: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Clone, Copy)]
struct PowerCut {
    acts: u64,
    latest: Duration,
    survival: Survival,
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
    Return { seat: Seat, is_same: bool },
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
        self.watch_power(world);
        self.watch_server(world)
    }

    /// Ends all that is wrong: what was to come does not, who is needed comes back.
    pub(crate) fn clear_up(&mut self, world: &mut World<'_>) {
        for (_, act) in std::mem::take(&mut self.coming) {
            match act {
                Act::Begin(_) => {}
                Act::Return { seat, .. } if !world.stays(seat) => {}
                act => self.apply(act, world),
            }
        }
        if let Some(cut) = self.power_cut.take() {
            world.power_off(cut.survival);
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
        world.trace.say(&format!("weather: {act:?}"));
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
                world.sim.set_link_max_message_latency(
                    SERVER,
                    name(world, seat),
                    ms(most),
                );
                self.end_trouble(seat);
            }
            Act::Read(seat) => {
                world.clients[seat].way.stall.set(false);
                self.end_trouble(seat);
            }
            Act::Return { seat, is_same } => {
                world.sim.repair(SERVER, name(world, seat));
                world.return_client(seat, is_same);
                self.end_trouble(seat);
            }
            Act::StartServer => {
                for seat in 0..world.clients.len() {
                    if !self.troubled.contains(&seat) {
                        world.sim.repair(SERVER, name(world, seat));
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
            if self.troubled.contains(&seat) || self.power_cut.is_some() || !world.is_server_up() {
                return;
            }
            self.troubled.push(seat);
        } else if !matches!(world.machine.state(), State::Serving) || self.is_stopping {
            return;
        }
        *self.happened.entry(fault.name()).or_default() += 1;
        match fault {
            Fault::Cut(seat, long) => {
                world.sim.partition(SERVER, world.clients[seat].name.as_str());
                self.plan(now + long, Act::Mend(seat));
            }
            Fault::Hold(seat, long) => {
                world.sim.hold(SERVER, world.clients[seat].name.as_str());
                self.plan(now + long, Act::Release(seat));
            }
            Fault::Deafen(seat, long) => {
                world.sim.partition_oneway(SERVER, world.clients[seat].name.as_str());
                self.plan(now + long, Act::Listen(seat));
            }
            Fault::Mute(seat, long) => {
                world.sim.partition_oneway(world.clients[seat].name.as_str(), SERVER);
                self.plan(now + long, Act::Speak(seat));
            }
            Fault::Slow(seat, latency_ms, long) => {
                let name = world.clients[seat].name.as_str();
                world.sim.set_link_latency(SERVER, name, Duration::from_millis(latency_ms));
                self.plan(now + long, Act::Hurry(seat));
            }
            Fault::Stall(seat, long) => {
                world.clients[seat].way.stall.set(true);
                self.plan(now + long, Act::Read(seat));
            }
            Fault::Die { seat, is_silent, away, is_same } => {
                world.kill_client(seat, is_silent);
                let is_same = is_same || world.stays(seat);
                self.plan(now + away, Act::Return { seat, is_same });
            }
            Fault::Kill { away } => {
                world.kill_server();
                self.plan(now + away, Act::StartServer);
            }
            Fault::PowerCut { acts, survival, away } => {
                let acts = world.machine.disk().acts() + acts;
                world.machine.disk().crash_at(acts);
                self.power_cut =
                    Some(PowerCut { acts, latest: now + POWER_CUT_MAX, survival, away });
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
            Fault::Checkpoint => world.machine.checkpoint(),
            Fault::SetWall(ahead_ms) => world.machine.set_wall_ahead(ahead_ms),
        }
    }

    fn end_trouble(&mut self, seat: Seat) {
        self.troubled.retain(|troubled| *troubled != seat);
    }

    /// The machine goes off once it has done enough.
    fn watch_power(&mut self, world: &mut World<'_>) {
        let Some(cut) = self.power_cut else { return };
        if world.machine.disk().acts() < cut.acts && world.now() < cut.latest {
            return;
        }
        self.power_cut = None;
        world.trace.say(&format!("weather: the power is cut, {:?}", cut.survival));
        world.power_off(cut.survival);
        self.plan(world.now() + cut.away, Act::StartServer);
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
            Self::PowerCut { .. } => "power_cuts",
            Self::Restart { .. } => "restarts",
            Self::FailSync(_) => "failed_syncs",
            Self::FailWrite(_) => "failed_writes",
            Self::SlowDisk(..) => "slow_disks",
            Self::FillDisk(..) => "full_disks",
            Self::Checkpoint => "odd_checkpoints",
            Self::SetWall(_) => "wall_clock_jumps",
        }
    }
}
