//! Official SDKs, each in a process of its own, that send and receive throughout a trial.
//!
//! What they print becomes a history of its own, judged by the same rules as that of our clients.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use litemq_checker::history::{
    Delivered, Event, Group, SendResult, Sent, Settle, SettleResult, Settled,
};
use rustix::process::Pid;
use serde::Deserialize;
use tokio::sync::watch;

use crate::broker::Broker;
use crate::tool;

/// The parent topic of what SDKs send.
pub(crate) const TOPIC: &str = "sessions";
const RUNNER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/sdk/run");
const LITE_TOPICS: usize = 6;
/// Messages that each SDK sends in a second.
const RATE: &str = "10";
/// Longest start of an SDK.
const READY_MAX: Duration = Duration::from_secs(120);
/// Longest time without anything new at the end: an answer that was lost on the way takes a lease of a
/// minute to come again.
const STANDSTILL_MAX: Duration = Duration::from_secs(100);
/// How often the broker is asked whether everything is settled.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// How `tests/sdk/run` says that a tool chain is missing.
const MISSING: i32 = 77;

/// The SDK processes of a trial.
#[derive(Debug)]
pub(crate) struct Guests {
    guests: Vec<Guest>,
    seen: Arc<Mutex<Vec<(usize, Line)>>>,
    /// Changes with every line.
    lines: watch::Receiver<u64>,
    started_ms: u64,
}

#[derive(Debug)]
struct Guest {
    name: String,
    child: Child,
    /// A line makes it quiet, the end ends it.
    input: Option<ChildStdin>,
}

/// One line that an SDK driver prints.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Line {
    Ready {},
    Sent {
        at_ms: u64,
        asked_ms: u64,
        id: String,
        lite: String,
        sequence: u64,
        offset: Option<u64>,
    },
    Delivered {
        at_ms: u64,
        id: String,
        lite: String,
        offset: Option<u64>,
        attempt: u32,
        body: String,
    },
    Acked {
        at_ms: u64,
        id: String,
        lite: String,
        offset: Option<u64>,
        attempt: u32,
    },
    Quiet {},
}

/// Installs SDKs; those whose tool chain is missing stay away, except in CI.
pub(crate) fn install(sdks: &[String]) -> Result<Vec<String>, String> {
    let mut installed = Vec::new();
    for sdk in sdks {
        println!("the {sdk} SDK is installed");
        let done = Command::new(RUNNER).args(["endure", sdk, "--install"]).output();
        let done = done.map_err(|error| format!("{RUNNER}: {error}"))?;
        let said = String::from_utf8_lossy(&done.stderr);
        match done.status.code() {
            Some(0) => installed.push(sdk.clone()),
            Some(MISSING) if !tool::is_ci() => println!("it stays away: {}", said.trim()),
            _ => return Err(format!("the {sdk} SDK cannot be installed: {}", said.trim())),
        }
    }
    Ok(installed)
}

/// The groups of these SDKs.
pub(crate) fn groups(sdks: &[String]) -> Vec<Group> {
    sdks.iter().map(|sdk| Group { name: group(sdk), ordered: true }).collect()
}

fn group(sdk: &str) -> String {
    format!("sdk-{sdk}")
}

impl Guests {
    /// Starts them; they are ready when this returns. Those whose tool chain is missing stay away.
    pub(crate) async fn invite(
        sdks: &[String],
        broker: &Broker,
        folder: &Path,
    ) -> Result<Self, String> {
        let (count, lines) = watch::channel(0);
        let count = Arc::new(count);
        let seen = Arc::default();
        let mut guests = Self { guests: Vec::new(), seen, lines, started_ms: now_ms() };
        for sdk in sdks {
            let guest = Guest::start(sdk, broker, folder, &guests, &count)?;
            guests.guests.push(guest);
        }
        guests.settle_in().await?;
        Ok(guests)
    }

    pub(crate) fn ids(&self) -> Vec<Pid> {
        self.guests.iter().map(|guest| Pid::from_child(&guest.child)).collect()
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.guests.iter().map(|guest| &*guest.name).collect()
    }

    pub(crate) fn groups(&self) -> Vec<Group> {
        groups(&self.guests.iter().map(|guest| guest.name.clone()).collect::<Vec<_>>())
    }

    /// Sends no more, and receives what is left.
    pub(crate) async fn finish(&mut self, broker: &Broker) -> Result<(), String> {
        for guest in &mut self.guests {
            let told = guest.input.as_mut().map(|input| writeln!(input, "quiet"));
            told.transpose().map_err(|error| format!("{} has ended: {error}", guest.name))?;
        }
        self.wait("the end of its sends", |guests, guest| {
            guests.has(guest, |line| matches!(line, Line::Quiet {}))
        })
        .await?;
        self.wait("what is owed to it", |guests, guest| guests.owed(guest).is_empty()).await?;
        // What a listener has taken is acked behind its back; only the broker knows.
        let first_asked = tokio::time::Instant::now();
        while let Some(open) = self.unsettled(broker)? {
            if first_asked.elapsed() > STANDSTILL_MAX {
                return Err(format!("an SDK got everything, but {open}"));
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        Ok(())
    }

    /// Everything that was seen, and that all of it is settled: the broker said so in [`Self::finish`].
    pub(crate) fn history(&self, kills: &[Event], finished: bool) -> Vec<Event> {
        let seen = self.seen().clone();
        let offsets = offsets(&seen);
        let mut events: Vec<Event> = kills.to_vec();
        let lites: BTreeSet<String> = (0..LITE_TOPICS).map(lite_topic).collect();
        for Guest { name, .. } in &self.guests {
            let (client, lites) = (name.clone(), lites.clone());
            events.push(Event::Subscribed { client, lites, at: Duration::ZERO });
        }
        for (receive, (guest, line)) in seen.iter().enumerate() {
            let mut event = self.event(*guest, line, &offsets);
            if let Some(Event::Delivered(delivered)) = &mut event {
                delivered.receive = receive as u64;
            }
            events.extend(event);
        }
        if finished {
            let end = Duration::from_millis(now_ms() - self.started_ms);
            let all: Vec<Settled> = events.iter().filter_map(settled).collect();
            events.extend(all.into_iter().map(|settled| {
                let result = SettleResult::Done;
                Event::Settled(Settled { asked_at: end, answered_at: end, result, ..settled })
            }));
        }
        events
    }

    /// Sends answered OK, deliveries, redeliveries.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        let mut counts = (0, 0, 0);
        for (_, line) in self.seen().iter() {
            match line {
                Line::Sent { offset: Some(_), .. } => counts.0 += 1,
                Line::Delivered { attempt, .. } => {
                    counts.1 += 1;
                    counts.2 += u64::from(*attempt > 1);
                }
                _ => {}
            }
        }
        counts
    }

    async fn settle_in(&mut self) -> Result<(), String> {
        let mut lines = self.lines.clone();
        let until = tokio::time::Instant::now() + READY_MAX;
        let mut at = 0;
        while at < self.guests.len() {
            if self.has(at, |line| matches!(line, Line::Ready {})) {
                at += 1;
                continue;
            }
            let guest = &mut self.guests[at];
            let ended = guest.child.try_wait().map_err(|error| error.to_string())?;
            if let Some(status) = ended {
                return Err(format!("the {} SDK did not start: {status}", guest.name));
            }
            // A line of any of them, or the time to look whether one has ended.
            drop(tokio::time::timeout(ASK_EVERY, lines.changed()).await);
            if tokio::time::Instant::now() > until {
                return Err(format!("{} was not ready within {READY_MAX:?}", self.guests[at].name));
            }
        }
        Ok(())
    }

    async fn wait(&self, what: &str, is_done: impl Fn(&Self, usize) -> bool) -> Result<(), String> {
        let mut lines = self.lines.clone();
        for (at, guest) in self.guests.iter().enumerate() {
            while !is_done(self, at) {
                let changed = tokio::time::timeout(STANDSTILL_MAX, lines.changed()).await;
                if !matches!(changed, Ok(Ok(()))) {
                    let owed = self.owed(at);
                    let first: Vec<_> = owed.iter().take(5).collect();
                    return Err(format!(
                        "{} waits for {what}; nothing new for {STANDSTILL_MAX:?}; {} owed: {first:?}",
                        guest.name,
                        owed.len()
                    ));
                }
            }
        }
        Ok(())
    }

    fn has(&self, guest: usize, is_it: impl Fn(&Line) -> bool) -> bool {
        self.seen().iter().any(|(of, line)| *of == guest && is_it(line))
    }

    /// What was answered OK and has not reached a guest.
    fn owed(&self, guest: usize) -> BTreeSet<String> {
        let seen = self.seen();
        let mut owed: BTreeSet<String> = seen
            .iter()
            .filter_map(|(_, line)| match line {
                Line::Sent { id, offset: Some(_), .. } => Some(id.clone()),
                _ => None,
            })
            .collect();
        for (of, line) in seen.iter() {
            if let (true, Line::Delivered { id, .. }) = (*of == guest, line) {
                owed.remove(id);
            }
        }
        owed
    }

    /// The first lite topic in which a group is not at the end, in the broker's words.
    fn unsettled(&self, broker: &Broker) -> Result<Option<String>, String> {
        for lite in (0..LITE_TOPICS).map(lite_topic) {
            let view = broker.ask(&format!("/api/v1/topics/{TOPIC}/lite/{lite}"))?;
            let groups = view["groups"].as_array().cloned().unwrap_or_default();
            for Group { name, .. } in self.groups() {
                let position = groups.iter().find(|group| group["group"] == *name);
                let committed = position.map(|group| group["committed_offset"].clone());
                if committed.as_ref() != Some(&view["next_offset"]) {
                    let next = &view["next_offset"];
                    return Ok(Some(format!("{name} is at {committed:?} of {next} in {lite}")));
                }
            }
        }
        Ok(None)
    }

    fn event(&self, guest: usize, line: &Line, offsets: &BTreeMap<String, u64>) -> Option<Event> {
        let moment = |at_ms: u64| Duration::from_millis(at_ms.saturating_sub(self.started_ms));
        let offset_of = |id: &String, told: &Option<u64>| told.or(offsets.get(id).copied());
        let name = &self.guests[guest].name;
        Some(match line {
            Line::Sent { at_ms, asked_ms, id, lite, sequence, offset } => Event::Sent(Sent {
                id: id.clone(),
                producer: guest,
                lite: lite.clone(),
                sequence: *sequence,
                asked_at: moment(*asked_ms),
                answered_at: moment(*at_ms),
                result: offset.map_or(SendResult::Unknown, SendResult::Stored),
            }),
            Line::Delivered { at_ms, id, lite, offset, attempt, body } => {
                Event::Delivered(Delivered {
                    group: group(name),
                    client: name.clone(),
                    receive: 0,
                    // An SDK does not tell when it asked.
                    asked_at: Duration::ZERO,
                    at: moment(*at_ms),
                    lite: lite.clone(),
                    offset: offset_of(id, offset)?,
                    id: id.clone(),
                    attempt: *attempt,
                    lease: Duration::ZERO,
                    damage: (body_of(id).as_ref() != Some(body)).then(|| body.clone()),
                })
            }
            Line::Acked { at_ms, id, lite, offset, attempt } => Event::Settled(Settled {
                group: group(name),
                lite: lite.clone(),
                offset: offset_of(id, offset)?,
                attempt: *attempt,
                how: Settle::Ack,
                asked_at: moment(*at_ms),
                answered_at: moment(*at_ms),
                // The SDK acks after its listener, and tells nobody whether it could.
                result: SettleResult::Unknown,
            }),
            Line::Ready {} | Line::Quiet {} => return None,
        })
    }

    fn seen(&self) -> MutexGuard<'_, Vec<(usize, Line)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        for guest in &mut self.guests {
            drop(guest.child.kill().and_then(|()| guest.child.wait()));
        }
    }
}

impl Guest {
    fn start(
        sdk: &str,
        broker: &Broker,
        folder: &Path,
        guests: &Guests,
        count: &Arc<watch::Sender<u64>>,
    ) -> Result<Self, String> {
        let logs = folder.join(format!("sdk-{sdk}"));
        std::fs::create_dir_all(&logs).map_err(|error| error.to_string())?;
        let log = File::create(logs.join("log")).map_err(|error| error.to_string())?;
        let mut child = Command::new(RUNNER)
            .args(["endure", sdk, "--address", &broker.listen().to_string(), "--topic", TOPIC])
            .args(["--group", &group(sdk), "--lites", &LITE_TOPICS.to_string(), "--rate", RATE])
            .arg("--logs")
            .arg(&logs)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.try_clone().map_err(|error| error.to_string())?)
            .spawn()
            .map_err(|error| format!("tests/sdk/run: {error}"))?;
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (at, seen, count) = (guests.guests.len(), Arc::clone(&guests.seen), Arc::clone(count));
        std::thread::spawn(move || read_lines(at, output, log, &seen, &count));
        let input = child.stdin.take();
        Ok(Self { name: sdk.to_owned(), child, input })
    }
}

fn read_lines(
    guest: usize,
    output: impl BufRead,
    mut log: File,
    seen: &Mutex<Vec<(usize, Line)>>,
    count: &watch::Sender<u64>,
) {
    for line in output.lines().map_while(Result::ok) {
        // What is no event is the SDK's own chatter.
        match serde_json::from_str(&line) {
            Ok(event) => {
                seen.lock().unwrap_or_else(PoisonError::into_inner).push((guest, event));
                count.send_modify(|count| *count += 1);
            }
            Err(_) => drop(writeln!(log, "{line}")),
        }
    }
}

/// Where messages are stored, by whoever told it: Python does not tell consumers.
fn offsets(seen: &[(usize, Line)]) -> BTreeMap<String, u64> {
    seen.iter()
        .filter_map(|(_, line)| match line {
            Line::Sent { id, offset, .. } | Line::Delivered { id, offset, .. } => {
                offset.map(|offset| (id.clone(), offset))
            }
            _ => None,
        })
        .collect()
}

fn settled(event: &Event) -> Option<Settled> {
    match event {
        Event::Settled(settled) => Some(settled.clone()),
        _ => None,
    }
}

/// What the drivers make of an id.
fn body_of(id: &str) -> Option<String> {
    let sequence: usize = id.rsplit('-').next()?.parse().ok()?;
    Some(vec![id; 1 + sequence % 40].join(" "))
}

fn lite_topic(number: usize) -> String {
    format!("s{number:02}")
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap()
}
