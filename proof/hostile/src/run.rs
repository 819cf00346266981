//! One run: a broker, an honest client, and the attacks one after the other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use litemq_checker::dice::Dice;

use crate::attacks::{ATTACKS, Attack, Field, LOGGED};
use crate::honest::Honest;
use crate::http::metric;
use crate::latency::{Sample, WINDOW, median, p99s};
use crate::server::{Memory, Server};
use crate::settings::{resident_bytes_max, sum};

/// Time for connections, caches and the allocator to warm up.
const WARM_UP: Duration = Duration::from_millis(700);
/// How long the calm before the attacks is measured.
const CALM: Duration = Duration::from_millis(3000);
/// The same again after a latency that was too high.
const CALM_AGAIN: Duration = Duration::from_millis(1000);
/// The honest client's p99 may become so many times the calm one.
const RATIO_MAX: u32 = 3;
/// Below this the ratio says nothing: attacker, honest client and broker share two cores, and one turn
/// of the scheduler is several milliseconds.
const FLOOR: Duration = Duration::from_millis(10);
/// A latency that was too high is measured again, so that a busy machine is not taken for a slow broker:
/// the median of all has to outlast what else a shared machine does for some seconds.
const ATTEMPTS: usize = 9;
/// How long an attack's connections and calls may take to be gone.
const SETTLE_MAX: Duration = Duration::from_secs(15);
const SETTLE_STEP: Duration = Duration::from_millis(20);
/// What may remain: a probe under way, an idle thread of the runtime.
const DESCRIPTORS_SLACK: u64 = 16;
const TASKS_SLACK: u64 = 32;
/// Lines an attack may leave in the log.
const LOG_LINES_MAX: usize = 200;
/// How much an attack's growth may be above its terms: pages of heaps that are not full, what the honest
/// client sends meanwhile.
const GROWTH_SLACK: u64 = 24 << 20;
/// A broker whose heap kept more than this of an attack is started anew: the next attack would use it, and
/// show less growth than there is.
const KEPT_MAX: u64 = 4 << 20;
/// Address space beyond the bound on memory: stacks, arenas, mapped files. Far less than what the
/// declarations of the attackers add up to.
const ADDRESS_SPACE_SLACK: u64 = 4 << 30;

/// What a run shows.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) attacks: u64,
    pub(crate) acts: u64,
    pub(crate) honest_messages: u64,
    pub(crate) calm_p99: Duration,
    pub(crate) worst_p99: Duration,
    pub(crate) worst_ratio: f64,
    pub(crate) worst_resident: u64,
    /// The largest share that an attack's growth, without the slack, had of the terms it may use, percent.
    pub(crate) worst_share: u64,
}

/// What broke, and under which attack.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) attack: Option<&'static str>,
    pub(crate) what: String,
}

/// Runs these attacks, or all of them.
pub(crate) async fn run(
    binary: &Path,
    folder: &Path,
    only: &[String],
    seed: u64,
    is_timed: bool,
) -> Result<Figures, Failure> {
    let chosen: Vec<&Attack> =
        ATTACKS.iter().filter(|a| only.is_empty() || only.iter().any(|o| o == a.name)).collect();
    let talkative: Vec<&Attack> =
        chosen.iter().copied().filter(|attack| LOGGED.contains(&attack.name)).collect();
    let mut figures = Figures::default();
    for (attacks, log) in [(chosen, Log::Usual), (talkative, Log::Everything)] {
        if attacks.is_empty() {
            continue;
        }
        let folder = folder.join(format!("{log:?}"));
        let ground = Ground { binary: binary.to_owned(), folder, log, is_timed, brokers: 0 };
        let site = Site::open(ground, &mut figures).await;
        site.attack(&attacks, &Dice::of(seed), &mut figures).await?;
    }
    Ok(figures)
}

/// How much the broker logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Log {
    /// As it is run; then its latency is judged.
    Usual,
    /// Every refusal, to see what clients can put into the log.
    Everything,
}

impl Log {
    fn level(self) -> &'static str {
        match self {
            Self::Usual => "info",
            Self::Everything => "info,litemq_server=debug",
        }
    }
}

/// Where brokers are started, one after the other.
struct Ground {
    binary: PathBuf,
    folder: PathBuf,
    log: Log,
    /// Whether latency is judged.
    is_timed: bool,
    brokers: u32,
}

impl Ground {
    async fn start(&mut self) -> (Server, Honest) {
        self.brokers += 1;
        let folder = self.folder.join(self.brokers.to_string());
        std::fs::create_dir_all(&folder).unwrap();
        let server = Server::start(&self.binary, &folder, self.log.level());
        let honest = Honest::start(server.grpc, server.http);
        tokio::time::sleep(WARM_UP).await;
        (server, honest)
    }
}

/// A broker, its honest client, and how calm they were.
struct Site {
    ground: Ground,
    server: Server,
    honest: Honest,
    calm_p99: Option<Duration>,
    /// Bytes.
    calm_resident: u64,
}

/// Open files and tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Load {
    descriptors: u64,
    tasks: u64,
}

impl Site {
    async fn open(mut ground: Ground, figures: &mut Figures) -> Self {
        let (server, honest) = ground.start().await;
        let calm_resident = server.resident();
        let mut site = Self { ground, server, honest, calm_p99: None, calm_resident };
        if site.ground.is_timed && site.ground.log == Log::Usual {
            let p99 = site.measure_calm(CALM).await;
            println!("calm: p99 {p99:.1?}, resident {}", mib(site.server.resident()));
            figures.calm_p99 = p99;
            site.calm_p99 = Some(p99);
        }
        site
    }

    /// Another broker in place of one whose heap kept much of what was attacked before.
    async fn renew(&mut self, figures: &mut Figures) -> Result<(), String> {
        if self.server.resident() <= self.calm_resident + KEPT_MAX {
            return Ok(());
        }
        let (server, honest) = self.ground.start().await;
        figures.honest_messages += std::mem::replace(&mut self.honest, honest).finish()?;
        let mut before = std::mem::replace(&mut self.server, server);
        self.calm_resident = self.server.resident();
        before.ended().map_or(Ok(()), Err)
    }

    /// The honest client's p99 while nobody attacks.
    async fn measure_calm(&self, lasts: Duration) -> Duration {
        let from = Instant::now();
        tokio::time::sleep(lasts + WINDOW).await;
        // What was sent in the last window may be on its way.
        median(p99s(&self.honest.samples(), from, from + lasts))
    }

    async fn attack(
        mut self,
        attacks: &[&Attack],
        dice: &Dice,
        figures: &mut Figures,
    ) -> Result<(), Failure> {
        for attack in attacks {
            let told = |what| Failure { attack: Some(attack.name), what };
            self.renew(figures).await.map_err(told)?;
            self.stand(attack, &dice.fork(attack.name), figures).await.map_err(told)?;
        }
        let told = |what| Failure { attack: None, what };
        figures.honest_messages += self.honest.finish().map_err(told)?;
        self.server.ended().map_or(Ok(()), Err).map_err(told)
    }

    /// One attack and everything that must hold under it and after it.
    async fn stand(
        &mut self,
        attack: &Attack,
        dice: &Dice,
        figures: &mut Figures,
    ) -> Result<(), String> {
        let before = self.load().await?;
        let lines = self.server.log().len();
        let mut calm_p99 = self.calm_p99;
        let mut windows = Vec::new();
        let mut acts = 0;
        let mut memory = Memory::default();
        let mut growth = None;
        for attempt in 0..ATTEMPTS {
            let from = Instant::now();
            let outcome = self.launch(attack, dice.fork(&attempt.to_string())).await;
            let to = Instant::now();
            let seen = self.server.take_memory();
            memory.resident = memory.resident.max(seen.resident);
            memory.address_space = memory.address_space.max(seen.address_space);
            self.server.ended().map_or(Ok(()), Err)?;
            check_memory(memory)?;
            // Again, it begins with what the first time has left.
            growth.get_or_insert(seen.resident.saturating_sub(self.calm_resident));
            acts += outcome?;
            self.settle(before).await?;
            windows.extend(p99s(&self.delivered(from, to), from, to));
            if median(windows.clone()) <= p99_max(calm_p99) {
                break;
            }
            // The machine may have become slower for everybody.
            let calm_now = self.measure_calm(CALM_AGAIN).await;
            calm_p99 = calm_p99.map(|before| before.max(calm_now));
        }
        let growth = growth.unwrap_or(0);
        let p99 = median(windows);
        let ratio = calm_p99.map_or(0.0, |calm| p99.as_secs_f64() / calm.as_secs_f64());
        println!(
            "{:<26} {acts:>8} acts, p99 {p99:>8.1?} ({ratio:.1}x), {:>8} more of {:>8}, address space {}",
            attack.name,
            mib(growth),
            mib(sum(attack.terms)),
            mib(memory.address_space)
        );
        figures.attacks += 1;
        figures.acts += acts;
        figures.worst_resident = figures.worst_resident.max(memory.resident);
        figures.worst_share = figures.worst_share.max(check_growth(growth, attack)?);
        if self.ground.log == Log::Usual {
            figures.worst_p99 = figures.worst_p99.max(p99);
            figures.worst_ratio = figures.worst_ratio.max(ratio);
        }
        self.check(p99, p99_max(calm_p99), lines)
    }

    async fn launch(&self, attack: &Attack, dice: Dice) -> Result<u64, String> {
        let until = tokio::time::Instant::now() + attack.lasts;
        let (grpc, http) = (self.server.grpc, self.server.http);
        let attacking =
            tokio::spawn((attack.run)(Field { grpc, http, lasts: attack.lasts, until, dice }));
        // It ends by itself; a broker that keeps it waiting for ever is no good.
        match tokio::time::timeout(attack.lasts + SETTLE_MAX, attacking).await {
            Ok(outcome) => outcome.map_err(|error| format!("the attacker broke down: {error}"))?,
            Err(_) => Err("the attack did not come to its end".to_owned()),
        }
    }

    fn check(&self, p99: Duration, p99_max: Duration, lines: usize) -> Result<(), String> {
        if let Some(failure) = self.honest.take_failures().first() {
            return Err(format!("the honest client: {failure}"));
        }
        if p99 > p99_max {
            return Err(format!("p99 is {p99:.1?}; {p99_max:.1?} would do"));
        }
        self.check_log(lines)
    }

    fn check_log(&self, lines: usize) -> Result<(), String> {
        let log = self.server.log();
        let new: Vec<&String> = log.iter().skip(lines.saturating_sub(1)).collect();
        let is_line = |line: &str| line.is_empty() || line.starts_with("20") && line.contains("Z ");
        for line in &new {
            if line.contains("panicked") || line.contains(" ERROR ") && !line.contains("forged") {
                return Err(format!("the log says: {line}"));
            }
            if !is_line(line) || line.starts_with(crate::attacks::FORGED) {
                return Err(format!("a line of the log is not the broker's: {line:?}"));
            }
            if line.chars().any(char::is_control) {
                return Err(format!("a line of the log has control characters: {line:?}"));
            }
        }
        if new.len() > LOG_LINES_MAX && self.ground.log == Log::Usual {
            let said: BTreeSet<&str> =
                new.iter().map(|line| line.get(28..).unwrap_or("")).collect();
            let said = said.first().unwrap_or(&"");
            return Err(format!("the attack left {} lines in the log: {said}", new.len()));
        }
        Ok(())
    }

    /// What was sent in a span of time; delivered by now, for the attack has settled.
    fn delivered(&self, from: Instant, to: Instant) -> Vec<Sample> {
        self.honest.samples().into_iter().filter(|s| s.at >= from && s.at < to).collect()
    }

    /// Waits until what the attack held is given back.
    async fn settle(&self, before: Load) -> Result<(), String> {
        let deadline = Instant::now() + SETTLE_MAX;
        loop {
            let now = self.load().await?;
            let is_back = now.descriptors <= before.descriptors + DESCRIPTORS_SLACK
                && now.tasks <= before.tasks + TASKS_SLACK;
            if is_back {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!(
                    "{SETTLE_MAX:?} after the attack there are {now:?}; before {before:?}"
                ));
            }
            tokio::time::sleep(SETTLE_STEP).await;
        }
    }

    async fn load(&self) -> Result<Load, String> {
        let tasks = metric(self.server.http, "litemq_tasks").await;
        let tasks = tasks.map_err(|error| format!("no metrics: {error}"))?;
        let tasks = tasks.ok_or("there is no metric litemq_tasks")?;
        Ok(Load { descriptors: self.server.descriptors(), tasks })
    }
}

/// Nothing is too slow where the calm was not measured.
fn p99_max(calm_p99: Option<Duration>) -> Duration {
    calm_p99.map_or(Duration::MAX, |calm| (calm * RATIO_MAX).max(calm + FLOOR))
}

fn check_memory(memory: Memory) -> Result<(), String> {
    let bound = resident_bytes_max();
    if memory.resident > bound {
        return Err(format!("{} are resident; the bound is {}", mib(memory.resident), mib(bound)));
    }
    if memory.address_space > bound + ADDRESS_SPACE_SLACK {
        return Err(format!("{} of address space are taken", mib(memory.address_space)));
    }
    Ok(())
}

/// The share that the growth has of the terms of an attack, percent.
fn check_growth(growth: u64, attack: &Attack) -> Result<u64, String> {
    let most = sum(attack.terms);
    if growth > most + GROWTH_SLACK {
        return Err(format!(
            "{} more are resident than in the calm; its terms of the bound, {:?}, come to {}",
            mib(growth),
            attack.terms,
            mib(most)
        ));
    }
    Ok(growth.saturating_sub(GROWTH_SLACK) * 100 / most)
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
