//! Server processes: started, awaited, stopped, killed.

use std::fmt::Write;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::args::Common;
use crate::messages::TOPIC;
use crate::{Result, http};

/// Longest start and longest stop.
const START_MAX: Duration = Duration::from_secs(600);
const LOOK_INTERVAL: Duration = Duration::from_millis(2);
/// Bytes of a server's log shown when it does not start.
const LOG_TAIL_BYTES: usize = 2000;

/// A process that listens; killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    pid: u32,
    /// Where it answers gRPC.
    pub(crate) address: SocketAddr,
}

impl Running {
    pub(crate) fn new(child: Child, address: SocketAddr) -> Result<Self> {
        let pid = child.id().ok_or("the server has ended")?;
        Ok(Self { child, pid, address })
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// `kill -9`, as a crash; returns when it is gone.
    pub(crate) async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// `SIGTERM`; the result is how long the orderly stop took.
    pub(crate) async fn stop(mut self) -> Result<Duration> {
        let begun = Instant::now();
        let pid = Pid::from_raw(i32::try_from(self.pid)?).ok_or("process 0")?;
        kill_process(pid, Signal::TERM)?;
        let status = timeout(START_MAX, self.child.wait()).await??;
        if !status.success() {
            return Err(format!("the stop failed: {status}").into());
        }
        Ok(begun.elapsed())
    }
}

/// A LiteMQ on a data folder; it can be started again and again.
#[derive(Debug)]
pub(crate) struct LiteMq<'a> {
    common: &'a Common,
    binary: PathBuf,
    folder: tempfile::TempDir,
    grpc: SocketAddr,
    /// The admin door.
    pub(crate) http: SocketAddr,
}

/// A start that has ended.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) running: Running,
    /// The moment of the start.
    pub(crate) at: Instant,
    /// Time until `/readyz` said yes.
    pub(crate) ready_after: Duration,
}

impl<'a> LiteMq<'a> {
    /// On an empty data folder, with the topic of all workloads, its time to live, and groups bound to
    /// it, and lines of its configuration.
    pub(crate) fn new(
        common: &'a Common,
        groups: &[&str],
        settings: &str,
        ttl: Option<&str>,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("litemq-bench-")
            .tempdir_in(common.folder.clone().unwrap_or_else(std::env::temp_dir))?;
        let mut config = common.shards.map(|n| format!("shards = {n}\n")).unwrap_or_default();
        config.push_str(settings);
        write!(config, "[[topics]]\nname = \"{TOPIC}\"\n")?;
        if let Some(ttl) = ttl {
            writeln!(config, "ttl = \"{ttl}\"")?;
        }
        for group in groups {
            write!(
                config,
                "[[groups]]\nname = \"{group}\"\nbind = \"{TOPIC}\"\nclient_quota = -1\n"
            )?;
        }
        std::fs::write(folder.path().join("litemq.toml"), config)?;
        let binary = match &common.litemq {
            Some(binary) => binary.clone(),
            None => std::env::current_exe()?.with_file_name("litemq"),
        };
        Ok(Self { common, binary, folder, grpc: free_address()?, http: free_address()? })
    }

    /// Where its data folder and logs are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it keeps.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its version.
    pub(crate) async fn version(&self) -> Result<String> {
        let output = Command::new(&self.binary).arg("--version").output().await?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Starts it and waits until it is ready.
    pub(crate) async fn start(&self) -> Result<Started> {
        let path = |path: PathBuf| path.display().to_string();
        let arguments = [
            "serve".to_owned(),
            format!("--config={}", path(self.folder.path().join("litemq.toml"))),
            format!("--data={}", path(self.data())),
            format!("--listen={}", self.grpc),
            format!("--http={}", self.http),
        ];
        let log = self.folder.path().join("litemq.log");
        let at = Instant::now();
        let child = spawn(self.common, &self.binary, &arguments, &log)?;
        let mut running = Running::new(child, self.grpc)?;
        while !self.is_ready().await {
            if running.child.try_wait()?.is_some() || at.elapsed() > START_MAX {
                return Err(format!("the server did not start:\n{}", tail(&log)?).into());
            }
            sleep(LOOK_INTERVAL).await;
        }
        Ok(Started { running, at, ready_after: at.elapsed() })
    }

    async fn is_ready(&self) -> bool {
        http::get(self.http, "/readyz").await.is_ok_and(|(status, _)| status == 200)
    }
}

/// Starts a process, on the servers' cores if any are named; what it says goes to a file.
pub(crate) fn spawn(
    common: &Common,
    binary: &Path,
    arguments: &[String],
    log: &Path,
) -> Result<Child> {
    let mut command = match &common.server_cpus {
        Some(cpus) => {
            let mut command = Command::new("taskset");
            command.arg("--cpu-list").arg(cpus).arg(binary);
            command
        }
        None => Command::new(binary),
    };
    let log = File::options().create(true).append(true).open(log)?;
    command.args(arguments).kill_on_drop(true).stdin(Stdio::null());
    command.stdout(log.try_clone()?).stderr(log);
    command.spawn().map_err(|error| format!("cannot start {}: {error}", binary.display()).into())
}

/// Waits until somebody listens.
pub(crate) async fn await_port(address: SocketAddr) -> Result<()> {
    let begun = Instant::now();
    while TcpStream::connect(address).await.is_err() {
        if begun.elapsed() > START_MAX {
            return Err(format!("nobody listens on {address}").into());
        }
        sleep(LOOK_INTERVAL).await;
    }
    Ok(())
}

/// A loopback address that nobody listens on at the moment.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn tail(log: &Path) -> Result<String> {
    let bytes = std::fs::read(log)?;
    let tail = bytes.get(bytes.len().saturating_sub(LOG_TAIL_BYTES)..).unwrap_or_default();
    Ok(String::from_utf8_lossy(tail).into_owned())
}
