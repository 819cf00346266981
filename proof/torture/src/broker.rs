//! The broker under test: the real binary on a data folder that outlives it.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use litemq_checker::history::Group;
use litemq_clients::client::TOPIC;
use litemq_clients::connect::Address;
use tokio::sync::watch;

/// Longest start, recovery included.
const START_MAX: Duration = Duration::from_secs(60);

/// The binary, its folder and its process.
#[derive(Debug)]
pub(crate) struct Broker {
    binary: PathBuf,
    folder: PathBuf,
    process: Option<Child>,
    address: watch::Sender<Option<SocketAddr>>,
}

/// How often a life of the broker writes checkpoints.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Checkpoints {
    Often,
    Rarely,
}

impl Broker {
    /// A broker that is not running yet.
    pub(crate) fn new(binary: &Path, folder: &Path, groups: &[Group]) -> Self {
        let mut config = format!("[[topics]]\nname = \"{TOPIC}\"\n");
        for Group { name, ordered } in groups {
            // Enough attempts that nothing ever becomes a dead letter.
            config += &format!(
                "[[groups]]\nname = \"{name}\"\nbind = \"{TOPIC}\"\nordered = {ordered}\nmax_attempts = 1000\n"
            );
        }
        std::fs::write(folder.join("litemq.toml"), config).unwrap();
        Self {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            process: None,
            address: watch::channel(None).0,
        }
    }

    pub(crate) fn address(&self) -> Address {
        self.address.subscribe()
    }

    /// Starts it, and tells the clients when it is ready.
    pub(crate) fn start(&mut self, checkpoints: Checkpoints) {
        let lines = self.spawn(checkpoints);
        let ready = wait_for(&lines, "LiteMQ is ready");
        let http = field(&ready, "http=");
        let answer = ureq::get(format!("http://{http}/readyz")).call().unwrap();
        assert_eq!(answer.status(), 200);
        self.address.send_replace(Some(field(&ready, "grpc=").parse().unwrap()));
    }

    /// Starts it, and kills it in the middle of its recovery.
    pub(crate) fn start_and_kill_early(&mut self) {
        let lines = self.spawn(Checkpoints::Often);
        wait_for(&lines, "the log is open");
        self.kill();
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.address.send_replace(None);
        let mut process = self.process.take().expect("a running broker");
        let ended = process.try_wait().unwrap();
        assert!(ended.is_none(), "the broker ended by itself, {}", ended.unwrap_or_default());
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// The lines of its log, over all its lives, that say this.
    pub(crate) fn logged(&self, what: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.join("litemq.log")).unwrap();
        log.lines().filter(|line| line.contains(what)).map(str::to_owned).collect()
    }

    /// Segments of the log that were filled and given an index.
    pub(crate) fn sealed_segments(&self) -> usize {
        std::fs::read_dir(self.folder.join("data/idx")).unwrap().count()
    }

    fn spawn(&mut self, checkpoints: Checkpoints) -> mpsc::Receiver<String> {
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LITEMQ_") {
                command.env_remove(name);
            }
        }
        command.arg("serve").arg("--config").arg(self.folder.join("litemq.toml"));
        command.arg("--data").arg(self.folder.join("data"));
        command.args(["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
        command.env("LITEMQ_STORAGE_SEGMENT_SIZE", "16MiB");
        if let Checkpoints::Often = checkpoints {
            command.env("LITEMQ_STORAGE_CHECKPOINT_INTERVAL", "1s");
            command.env("LITEMQ_STORAGE_CHECKPOINT_LOG_BYTES", "1MiB");
        }
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(process.stderr.take().unwrap());
        let log = self.folder.join("litemq.log");
        let log = OpenOptions::new().create(true).append(true).open(log).unwrap();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || copy_lines(output, log, &sender));
        self.process = Some(process);
        lines
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended, and this may be a panic already.
            drop(process.kill().and_then(|()| process.wait()));
        }
    }
}

/// Into the log, and to whoever waits for a line.
fn copy_lines(output: impl BufRead, mut log: File, waiting: &mpsc::Sender<String>) {
    for line in output.lines().map_while(Result::ok) {
        writeln!(log, "{line}").unwrap();
        // Nobody waits after the start.
        drop(waiting.send(line));
    }
}

fn wait_for(lines: &mpsc::Receiver<String>, what: &str) -> String {
    loop {
        let line = lines.recv_timeout(START_MAX);
        let line = line.unwrap_or_else(|error| panic!("the broker did not log '{what}': {error}"));
        if line.contains(what) {
            return line;
        }
    }
}

fn field<'l>(line: &'l str, name: &str) -> &'l str {
    line.split_whitespace().find_map(|word| word.strip_prefix(name)).unwrap()
}
