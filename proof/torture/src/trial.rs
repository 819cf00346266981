//! One trial: load, whatever a scenario does to the broker, a quiet end, the verdict.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use litemq_checker::Dice;
use litemq_checker::history::{Event, Group};
use litemq_checker::rules::{Rule, Violation, check};
use litemq_clients::client::TOPIC;
use litemq_clients::letter::Letters;
use litemq_clients::recorder::{Progress, Recorder};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::broker::{Broker, Life};
use crate::folder::Folder;
use crate::guests::{self, Guests};
use crate::tally::Tally;
use crate::volume::{FileSystem, Volume};
use crate::work::{self, Work};

const PRODUCERS: usize = 4;
const BODY_BYTES_MAX: usize = 300_000;
/// Longest time without a single event that a run waits for. Leases that hold messages back end
/// long before.
const STANDSTILL_MAX: Duration = Duration::from_secs(40);
/// Within this time of calm all that is owed is delivered and settled: the longest lease that may be in
/// the way, 60 s of a push consumer whose answer got lost, and time to take the rest.
const CALM_MAX: Duration = Duration::from_secs(90);
/// How often a trial says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// The log itself, and what the broker keeps free.
const VOLUME_BYTES: u64 = 1 << 30;
/// How much the log may grow in a cycle.
const VOLUME_BYTES_PER_CYCLE: u64 = 64 << 20;

/// Cycles between two looks at what happened so far.
pub(crate) const JUDGED_EVERY: u64 = 4;
/// Rules that hold only of a history that has come to its end.
const UNFINISHED: [Rule; 2] = [Rule::NothingLost, Rule::NothingInvented];

/// What the command line says.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    pub(crate) seed: u64,
    pub(crate) cycles: u64,
    pub(crate) binary: PathBuf,
    /// Official SDKs to be connected.
    pub(crate) sdks: Vec<String>,
}

impl Orders {
    /// Rounds of a scenario that takes its time.
    pub(crate) fn rounds(&self) -> u64 {
        self.cycles.div_ceil(10)
    }
}

/// A broker under load. Fields are dropped in this order: who uses something goes first.
#[derive(Debug)]
pub(crate) struct Trial {
    name: &'static str,
    pub(crate) orders: Orders,
    pub(crate) dice: Dice,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) tally: Tally,
    /// Whether the broker may log errors and end.
    pub(crate) may_fail: bool,
    pub(crate) producers: usize,
    /// Of the largest messages.
    pub(crate) body_bytes_max: usize,
    groups: Vec<Group>,
    load: Option<Work>,
    teller: JoinSet<()>,
    pub(crate) guests: Option<Guests>,
    pub(crate) broker: Broker,
    pub(crate) volume: Option<Volume>,
    folder: Folder,
}

impl Trial {
    /// A broker that is not running yet, on a file system of its own if one is named.
    pub(crate) fn prepare(
        name: &'static str,
        orders: &Orders,
        disk: Option<FileSystem>,
    ) -> Result<Self, String> {
        let bytes = VOLUME_BYTES + orders.cycles * VOLUME_BYTES_PER_CYCLE;
        Self::prepare_on(name, orders, disk.map(|kind| (kind, bytes)))
    }

    /// The same on a file system of a size.
    pub(crate) fn prepare_on(
        name: &'static str,
        orders: &Orders,
        disk: Option<(FileSystem, u64)>,
    ) -> Result<Self, String> {
        let folder = Folder::make(name);
        let volume = disk.map(|(kind, bytes)| Volume::make(folder.path(), kind, bytes));
        let volume = volume.transpose()?;
        let groups = work::groups();
        let names = groups.iter().map(|group| group.name.clone()).collect();
        let recorder = Arc::new(Recorder::new(names));
        let data = volume.as_ref().map_or(folder.path(), Volume::path);
        let declared =
            declare(TOPIC, &groups) + &declare(guests::TOPIC, &guests::groups(&orders.sdks));
        let broker = Broker::new(&orders.binary, folder.path(), data, &declared);
        let mut teller = JoinSet::new();
        teller.spawn(tell_progress(Arc::clone(&recorder)));
        Ok(Self {
            name,
            orders: orders.clone(),
            dice: Dice::of(orders.seed).fork(name),
            recorder,
            tally: Tally::default(),
            may_fail: false,
            producers: PRODUCERS,
            body_bytes_max: BODY_BYTES_MAX,
            groups,
            load: None,
            teller,
            guests: None,
            broker,
            volume,
            folder,
        })
    }

    /// Lets the load begin, or go on when it has.
    pub(crate) fn load(&mut self) {
        let letters = self.letters();
        let Self { recorder, broker, load, producers, .. } = self;
        load.get_or_insert_with(|| {
            Work::start(letters, recorder, broker, *producers, work::mixed())
        });
    }

    /// Lets official SDKs join. The broker must run.
    pub(crate) async fn invite_sdks(&mut self) -> Result<(), String> {
        if !self.orders.sdks.is_empty() {
            let guests =
                Guests::invite(&self.orders.sdks, &self.broker, self.folder.path()).await?;
            self.say(&format!("SDKs are connected: {}", guests.names().join(", ")));
            self.guests = Some(guests);
        }
        Ok(())
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    pub(crate) fn letters(&self) -> Letters {
        Letters { seed: self.orders.seed, body_bytes_max: self.body_bytes_max }
    }

    pub(crate) fn progress(&self) -> Progress {
        *self.recorder.progress().borrow()
    }

    /// Says what happens.
    pub(crate) fn say(&self, what: &str) {
        println!("{:7.3} s: {what}", self.recorder.now().as_secs_f64());
    }

    /// The broker is gone.
    pub(crate) fn note_kill(&self) {
        self.recorder.record(Event::Killed { at: self.recorder.now() });
    }

    /// Waits as long as things happen and the broker runs.
    pub(crate) async fn until(
        &self,
        what: &str,
        reached: impl Fn(&Progress) -> bool,
    ) -> Result<(), String> {
        let mut progress = self.recorder.progress();
        let mut ended = self.broker.ended().ok_or("the broker does not run")?;
        let mut last = *progress.borrow();
        let mut patience = Instant::now() + STANDSTILL_MAX;
        loop {
            let now = *progress.borrow_and_update();
            if reached(&now) {
                return Ok(());
            }
            // Clients that come and go are no progress.
            if now != last {
                (last, patience) = (now, Instant::now() + STANDSTILL_MAX);
            }
            tokio::select! {
                biased;
                _ = ended.wait_for(|ended| *ended) => {
                    return Err(format!("the broker ended while waiting for {what}"));
                }
                changed = tokio::time::timeout_at(patience, progress.changed()) => {
                    if changed.is_err() {
                        let text = "nothing has happened for";
                        return Err(format!("{what}: {text} {STANDSTILL_MAX:?}: {now:#?}"));
                    }
                }
            }
        }
    }

    /// Judges what has happened so far, but for what is under way. A run that has failed needs no end.
    pub(crate) fn judge_so_far(&self) -> Result<(), String> {
        let mut violations = check(&self.recorder.events(), &self.groups);
        violations.retain(|violation| !UNFINISHED.contains(&violation.rule));
        if violations.is_empty() { Ok(()) } else { Err("what happened so far is wrong".to_owned()) }
    }

    /// Waits for so many sends that are answered OK.
    pub(crate) async fn sends(&self, count: u64) -> Result<(), String> {
        let before = self.progress().sends_stored;
        let what = format!("{count} sends");
        self.until(&what, |now| now.sends_stored >= before + count).await
    }

    /// Ends it: the load stops, what is owed is settled, the history is judged.
    pub(crate) async fn judge(
        mut self,
        tortured: Result<(), String>,
        goals: &[&str],
    ) -> Result<Tally, String> {
        let endured = match tortured.and_then(|()| self.judge_so_far()) {
            Ok(()) => self.drain().await,
            Err(error) => Err(error),
        };
        let verdict = self.verdict(endured, goals);
        if verdict.is_err() {
            self.write_history();
            self.folder.keep();
        }
        verdict.map(|()| self.tally)
    }

    async fn drain(&mut self) -> Result<(), String> {
        if self.broker.id().is_none() {
            self.broker.start(&Life { writes_checkpoints: true, ..Life::default() }).await?;
        }
        if let Some(mut load) = self.load.take() {
            load.end().await;
        }
        self.recorder.record(Event::Calm { at: self.recorder.now(), within: CALM_MAX });
        let letters = self.letters();
        let mut drain = Work::start(letters, &self.recorder, &self.broker, 0, work::drainers());
        let drained = self.until("the end", |now| now.owed == 0).await;
        drained.map_err(|error| format!("{error}{}", self.tell_owed()))?;
        drain.end().await;
        if let Some(guests) = &mut self.guests {
            guests.finish(&self.broker).await?;
        }
        self.broker.kill()
    }

    fn verdict(&mut self, endured: Result<(), String>, goals: &[&str]) -> Result<(), String> {
        self.teller.abort_all();
        let mut violations = check(&self.recorder.events(), &self.groups);
        if let Some(guests) = &self.guests {
            let history = guests.history(&self.kills(), endured.is_ok());
            violations.extend(check(&history, &guests.groups()));
        }
        // A history that did not come to its end still tells why, but for what was under way.
        if endured.is_err() {
            violations.retain(|violation| !UNFINISHED.contains(&violation.rule));
        }
        match endured {
            Ok(()) if violations.is_empty() => {}
            Ok(()) => return Err(tell(&violations)),
            Err(error) if violations.is_empty() => return Err(error),
            Err(error) => return Err(format!("{error}\n{}", tell(&violations))),
        }
        let bad: &[&str] = if self.may_fail { &["panicked"] } else { &["panicked", " ERROR "] };
        if let Some(line) = bad.iter().flat_map(|what| self.broker.logged(what)).next() {
            return Err(format!("the broker logged: {line}"));
        }
        self.count();
        println!("{}: {} in {:?}", self.name, self.tally, self.recorder.now());
        self.tally.reached(goals, self.orders.cycles)
    }

    /// For people who look for the reason.
    fn write_history(&self) {
        let mut events = self.recorder.events();
        events.sort_by_key(Event::at);
        let lines: Vec<String> = events.iter().map(|event| format!("{event}\n")).collect();
        drop(std::fs::write(self.folder.path().join("history.txt"), lines.concat()));
    }

    fn kills(&self) -> Vec<Event> {
        let events = self.recorder.events();
        events.into_iter().filter(|event| matches!(event, Event::Killed { .. })).collect()
    }

    fn count(&mut self) {
        if let Some(guests) = &self.guests {
            let (sends, deliveries, redeliveries) = guests.counts();
            self.tally.add("sdk_sends", sends);
            self.tally.add("sdk_deliveries", deliveries);
            self.tally.add("sdk_redeliveries", redeliveries);
        }
        let progress = self.progress();
        let counts = [
            ("sends", progress.sends_stored),
            ("sends_unknown", progress.sends_unknown),
            ("deliveries", progress.deliveries),
            ("redeliveries", progress.redeliveries),
            ("acks", progress.acks),
            ("acks_unknown", progress.acks_unknown),
            ("checkpoints", self.broker.logged("wrote a checkpoint").len() as u64),
            ("sealed_segments", self.broker.sealed_segments()),
            ("torn_tails", self.broker.logged("an unfinished write was cut").len() as u64),
        ];
        for (name, count) in counts {
            self.tally.add(name, count);
        }
    }

    fn tell_owed(&self) -> String {
        let owed = self.recorder.owed();
        let first: Vec<_> = owed.iter().take(20).collect();
        format!("\n{} messages are owed, among them {first:?}", owed.len())
    }
}

/// The settings that declare a topic and its groups.
fn declare(topic: &str, groups: &[Group]) -> String {
    let mut text = format!("[[topics]]\nname = \"{topic}\"\n");
    for Group { name, ordered } in groups {
        // Enough attempts that nothing ever becomes a dead letter.
        text += &format!(
            "[[groups]]\nname = \"{name}\"\nbind = \"{topic}\"\nordered = {ordered}\nmax_attempts = 1000\n"
        );
    }
    text
}

async fn tell_progress(recorder: Arc<Recorder>) {
    loop {
        tokio::time::sleep(TELL_EVERY).await;
        let now = *recorder.progress().borrow();
        println!(
            "{:7.3} s: {} sends, {} deliveries, {} acks, {} owed",
            recorder.now().as_secs_f64(),
            now.sends_stored,
            now.deliveries,
            now.acks,
            now.owed
        );
    }
}

fn tell(violations: &[Violation]) -> String {
    let mut text = format!("{} violations", violations.len());
    // One of each rule says more than many of one.
    let mut told = BTreeSet::new();
    for violation in violations.iter().filter(|violation| told.insert(violation.rule)) {
        let Violation { rule, what, story } = violation;
        write!(text, "\n\n{rule:?}: {what}\n{}", story.join("\n")).unwrap();
    }
    text
}
