//! The broker under test: the real binary on a data folder that outlives it.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use litemq_checker::Dice;
use litemq_clients::connect::Address;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::{mpsc, watch};

/// Longest start, recovery included.
const START_MAX: Duration = Duration::from_secs(60);
/// Log lines that wait for whoever waits for one of them.
const LINES_MAX: usize = 256;

/// The binary, its folder and its process.
#[derive(Debug)]
pub(crate) struct Broker {
    binary: PathBuf,
    config: PathBuf,
    data: PathBuf,
    log: PathBuf,
    /// The same in all its lives, as SDKs expect.
    listen: SocketAddr,
    http: Option<SocketAddr>,
    process: Option<Process>,
    /// Length of the log when the present or last life began.
    life_start: u64,
    address: watch::Sender<Option<SocketAddr>>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    ended: watch::Receiver<bool>,
}

/// What one life of the broker is like.
#[derive(Debug, Clone, Default)]
pub(crate) struct Life {
    /// Whether checkpoints are written as often as possible.
    pub(crate) writes_checkpoints: bool,
    /// A program that runs it, with arguments. It must become the broker, not wait for it.
    pub(crate) wrapper: Vec<OsString>,
    pub(crate) environment: Vec<(String, OsString)>,
}

impl Life {
    /// A plain one, with many checkpoints or few.
    pub(crate) fn any(dice: &mut Dice) -> Self {
        Self { writes_checkpoints: dice.percent(50), ..Self::default() }
    }
}

impl Broker {
    /// A broker that is not running yet. Its settings and its log are in `folder`.
    pub(crate) fn new(binary: &Path, folder: &Path, data: &Path, declared: &str) -> Self {
        let config = folder.join("litemq.toml");
        std::fs::write(&config, declared).unwrap();
        Self {
            binary: binary.to_owned(),
            config,
            data: data.join("data"),
            log: folder.join("litemq.log"),
            listen: free_address(),
            http: None,
            process: None,
            life_start: 0,
            address: watch::channel(None).0,
        }
    }

    /// Where clients find it.
    pub(crate) fn address(&self) -> Address {
        self.address.subscribe()
    }

    /// Where it listens whenever it runs.
    pub(crate) fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Starts it, and tells the clients when it is ready.
    pub(crate) async fn start(&mut self, life: &Life) -> Result<(), String> {
        let mut lines = self.spawn(life);
        let ready = wait_for(&mut lines, "LiteMQ is ready").await?;
        let http: SocketAddr = field(&ready, "http=").parse().unwrap();
        let answer = ureq::get(format!("http://{http}/readyz")).call();
        answer.map_err(|error| format!("/readyz: {error}"))?;
        self.http = Some(http);
        self.address.send_replace(Some(self.listen));
        Ok(())
    }

    /// Starts it, and returns in the middle of its recovery.
    pub(crate) async fn start_recovery(&mut self, life: &Life) -> Result<(), String> {
        let mut lines = self.spawn(life);
        wait_for(&mut lines, "the log is open").await.map(drop)
    }

    /// `kill -9`; an error if it had ended by itself.
    pub(crate) fn kill(&mut self) -> Result<(), String> {
        match self.end() {
            None => Ok(()),
            Some(status) => Err(format!("the broker had ended by itself: {status}")),
        }
    }

    /// Ends it. How it had ended by itself, if it had.
    pub(crate) fn end(&mut self) -> Option<ExitStatus> {
        self.address.send_replace(None);
        let mut process = self.process.take()?;
        let ended = process.child.try_wait().unwrap();
        if ended.is_none() {
            process.child.kill().unwrap();
            process.child.wait().unwrap();
        }
        ended
    }

    /// Waits for it to end by itself.
    pub(crate) async fn ends_within(&mut self, longest: Duration) -> Option<ExitStatus> {
        let process = self.process.as_mut()?;
        tokio::time::timeout(longest, process.ended.wait_for(|ended| *ended)).await.ok()?.ok()?;
        let status = process.child.wait().unwrap();
        self.end();
        Some(status)
    }

    /// Becomes true when the present process ends.
    pub(crate) fn ended(&self) -> Option<watch::Receiver<bool>> {
        self.process.as_ref().map(|process| process.ended.clone())
    }

    pub(crate) fn id(&self) -> Option<Pid> {
        self.process.as_ref().map(|process| Pid::from_child(&process.child))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.id().expect("a running broker"), signal).unwrap();
    }

    /// Asks the HTTP door.
    pub(crate) fn ask(&self, path: &str) -> Result<serde_json::Value, String> {
        let http = self.http.ok_or("the broker has no HTTP door yet")?;
        let answer = ureq::get(format!("http://{http}{path}")).call();
        let body = answer.and_then(|mut answer| answer.body_mut().read_to_string());
        let body = body.map_err(|error| format!("{path}: {error}"))?;
        serde_json::from_str(&body).map_err(|error| format!("{path}: {error}"))
    }

    /// The lines of its log, over all its lives, that say this.
    pub(crate) fn logged(&self, what: &str) -> Vec<String> {
        self.log_from(0).lines().filter(|line| line.contains(what)).map(str::to_owned).collect()
    }

    /// Whether its present or last life said this.
    pub(crate) fn logged_in_this_life(&self, what: &str) -> bool {
        self.log_from(self.life_start).contains(what)
    }

    /// Segments of the log that were filled and given an index.
    pub(crate) fn sealed_segments(&self) -> u64 {
        std::fs::read_dir(self.data.join("idx")).map_or(0, |names| names.count() as u64)
    }

    fn log_from(&self, start: u64) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let start = usize::try_from(start).unwrap();
        String::from_utf8_lossy(log.get(start..).unwrap_or_default()).into_owned()
    }

    fn spawn(&mut self, life: &Life) -> mpsc::Receiver<String> {
        assert!(self.process.is_none(), "two brokers on one folder");
        let mut words = life.wrapper.clone();
        words.push(self.binary.clone().into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        for (name, _) in std::env::vars_os() {
            // The fault that is on in a copy with deliberate faults stays on.
            if name.to_string_lossy().starts_with("LITEMQ_") && name != "LITEMQ_FAULT" {
                command.env_remove(name);
            }
        }
        command.arg("serve").arg("--config").arg(&self.config).arg("--data").arg(&self.data);
        command.args(["--listen", &self.listen.to_string(), "--http", "127.0.0.1:0"]);
        command.env("LITEMQ_STORAGE_SEGMENT_SIZE", "16MiB");
        if life.writes_checkpoints {
            command.env("LITEMQ_STORAGE_CHECKPOINT_INTERVAL", "1s");
            command.env("LITEMQ_STORAGE_CHECKPOINT_LOG_BYTES", "1MiB");
        }
        command.envs(life.environment.iter().map(|(name, value)| (name, value)));
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stderr.take().unwrap());
        let log = OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        self.life_start = log.metadata().unwrap().len();
        let (sender, lines) = mpsc::channel(LINES_MAX);
        let (end, ended) = watch::channel(false);
        std::thread::spawn(move || {
            copy_lines(output, log, sender);
            end.send_replace(true);
        });
        self.process = Some(Process { child, ended });
        lines
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end();
    }
}

/// Into the log, and to whoever waits for a line.
fn copy_lines(output: impl BufRead, mut log: File, waiting: mpsc::Sender<String>) {
    for line in output.lines().map_while(Result::ok) {
        writeln!(log, "{line}").unwrap();
        // Nobody waits after the start.
        drop(waiting.blocking_send(line));
    }
}

async fn wait_for(lines: &mut mpsc::Receiver<String>, what: &str) -> Result<String, String> {
    let mut last = String::new();
    loop {
        match tokio::time::timeout(START_MAX, lines.recv()).await {
            Ok(Some(line)) if line.contains(what) => return Ok(line),
            Ok(Some(line)) => last = line,
            Ok(None) => return Err(format!("the broker ended at its start: {last}")),
            Err(_) => {
                return Err(format!("the broker did not log '{what}'; its last line: {last}"));
            }
        }
    }
}

fn field<'l>(line: &'l str, name: &str) -> &'l str {
    line.split_whitespace().find_map(|word| word.strip_prefix(name)).unwrap()
}

/// A port that nobody has, below those that the system gives to whoever connects: while the broker is
/// down nobody else may get it.
fn free_address() -> SocketAddr {
    let first = 20_000 + std::process::id() % 10_000;
    let ports = (first..first + 2_000).map(|port| u16::try_from(port).unwrap());
    let mut addresses = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    addresses.find(|address| TcpListener::bind(address).is_ok()).expect("a free port")
}
