//! The broker under attack: the real binary, its log and its process as the kernel sees it.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use crate::letters::{CROWD, GREEDY_GROUPS, HONEST, TOPIC, WIDE, greedy};
use crate::settings;

const START_MAX: Duration = Duration::from_secs(60);
/// How often memory is looked at.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(20);

/// A running broker.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    data: PathBuf,
    log: PathBuf,
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    peaks: Arc<Peaks>,
}

/// The most memory since the last look, bytes.
#[derive(Debug, Default)]
struct Peaks {
    resident: AtomicU64,
    address_space: AtomicU64,
    is_over: AtomicBool,
}

/// The most memory of a span of time, bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    pub(crate) address_space: u64,
}

impl Server {
    /// Starts it in a folder, with what the attacks need declared.
    pub(crate) fn start(binary: &Path, folder: &Path, log_level: &str) -> Self {
        let config = folder.join("litemq.toml");
        fs::write(&config, declarations()).unwrap();
        let mut command = Command::new(binary);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("LITEMQ_") && name != "LITEMQ_FAULT" {
                command.env_remove(name);
            }
        }
        command.arg("serve").arg("--config").arg(&config);
        let data = folder.join("data");
        command.arg("--data").arg(&data);
        command.args(["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
        command.envs(settings::variables());
        command.env("LITEMQ_LOG_LEVEL", log_level);
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(process.stderr.take().unwrap());
        let log = folder.join("litemq.log");
        let (sender, ready) = mpsc::channel();
        std::thread::spawn({
            let log = log.clone();
            move || copy_lines(output, &log, &sender)
        });
        let ready = ready.recv_timeout(START_MAX);
        let ready = ready.unwrap_or_else(|error| {
            panic!("no start: {error}\n{}", fs::read_to_string(&log).unwrap_or_default())
        });
        let peaks = Arc::new(Peaks::default());
        std::thread::spawn({
            let (peaks, id) = (Arc::clone(&peaks), process.id());
            move || watch_memory(id, &peaks)
        });
        let address = |name| field(&ready, name).parse().unwrap();
        Self { grpc: address("grpc="), http: address("http="), process, data, log, peaks }
    }

    /// Why it is no longer running, if it is not.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let ended = self.process.try_wait().unwrap()?;
        Some(format!("the broker ended: {ended}\n{}", self.tail()))
    }

    /// Resident memory now, bytes; what was seen before is forgotten.
    pub(crate) fn resident(&self) -> u64 {
        self.take_memory();
        self.take_memory().resident
    }

    /// The most memory since the last call.
    pub(crate) fn take_memory(&self) -> Memory {
        sample(self.process.id(), &self.peaks).ok();
        Memory {
            resident: self.peaks.resident.swap(0, Ordering::Relaxed),
            address_space: self.peaks.address_space.swap(0, Ordering::Relaxed),
        }
    }

    /// Its open files and sockets.
    pub(crate) fn descriptors(&self) -> u64 {
        let folder = format!("/proc/{}/fd", self.process.id());
        fs::read_dir(folder).map_or(0, |entries| entries.count() as u64)
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.split('\n').map(str::to_owned).collect()
    }

    fn tail(&self) -> String {
        let log = self.log();
        log[log.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.peaks.is_over.store(true, Ordering::Relaxed);
        // It may have ended, and this may be a panic already.
        drop(self.process.kill().and_then(|()| self.process.wait()));
        // It may lie in memory, and a failure keeps the folder for its log.
        drop(fs::remove_dir_all(&self.data));
    }
}

fn declarations() -> String {
    let mut config = format!("[[topics]]\nname = \"{TOPIC}\"\n");
    let mut group = |name: &str, settings: &str| {
        config += &format!("[[groups]]\nname = \"{name}\"\nbind = \"{TOPIC}\"\n{settings}\n");
    };
    group(HONEST, "ordered = true");
    group(CROWD, "ordered = false");
    group(WIDE, "ordered = false\nclient_quota = \"unlimited\"");
    for n in 0..GREEDY_GROUPS {
        group(&greedy(n), "ordered = false");
    }
    config
}

/// Byte by byte into the file, so that what a client put into the log is found as it is.
fn copy_lines(mut output: impl BufRead, log: &Path, ready: &mpsc::Sender<String>) {
    let mut log = OpenOptions::new().create(true).append(true).open(log).unwrap();
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
        log.write_all(&line).unwrap();
        let text = String::from_utf8_lossy(&line);
        if text.contains("LiteMQ is ready") {
            drop(ready.send(text.into_owned()));
        }
        line.clear();
    }
}

fn field<'l>(line: &'l str, name: &str) -> &'l str {
    line.split_whitespace().find_map(|word| word.strip_prefix(name)).unwrap()
}

fn watch_memory(process: u32, peaks: &Peaks) {
    while !peaks.is_over.load(Ordering::Relaxed) && sample(process, peaks).is_ok() {
        std::thread::sleep(SAMPLE_INTERVAL);
    }
}

fn sample(process: u32, peaks: &Peaks) -> io::Result<()> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
    };
    peaks.resident.fetch_max(bytes("VmRSS:").unwrap_or(0), Ordering::Relaxed);
    peaks.address_space.fetch_max(bytes("VmSize:").unwrap_or(0), Ordering::Relaxed);
    Ok(())
}
