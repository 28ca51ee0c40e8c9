//! One `pavane` process, and what can be done to it.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a process may take until it says where it is, and until it has ended in order.
const PATIENCE: Duration = Duration::from_secs(120);

/// A `pavane` process; killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    address: Option<String>,
    log: PathBuf,
}

/// A signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// End in order.
    Terminate,
    /// Stand still.
    Stop,
    /// Go on.
    Continue,
}

/// The binary, built beside this program.
///
/// # Panics
/// Where it is not built.
#[must_use]
pub fn binary() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let found = own.ancestors().skip(1).take(2).map(|folder| folder.join("pavane"));
    let found = found.into_iter().find(|path| path.is_file());
    found.expect("`pavane` stands beside this program: `cargo build -p pavane` builds it")
}

/// A command of the binary, without what this program's own environment would tell it.
#[must_use]
pub fn pavane(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("PAVANE_")) {
            command.env_remove(name);
        }
    }
    // Several lanes, however few processors there are.
    command.env("PAVANE_LOCAL__LANES", "4");
    command.env("NO_COLOR", "1").args(arguments).stdin(Stdio::null());
    command
}

impl Process {
    /// Starts a command that prints one JSON object with its `url` when it is up. What it logs is appended to `log`.
    ///
    /// # Panics
    /// Where it can not be run.
    #[must_use]
    pub fn spawn(mut command: Command, log: &Path) -> Self {
        let to = File::options().create(true).append(true).open(log).unwrap();
        let child = command.stdout(Stdio::piped()).stderr(to).spawn().unwrap();
        Self { child, address: None, log: log.to_owned() }
    }

    /// Waits until it says where it is; `None` where it has ended instead.
    pub fn url(&mut self) -> Option<String> {
        if let Some(printed) = self.child.stdout.take() {
            let mut text = String::new();
            for line in BufReader::new(printed).lines().map_while(Result::ok) {
                text.push_str(&line);
                if let Ok(said) = serde_json::from_str::<Value>(&text) {
                    self.address = said["url"].as_str().map(str::to_owned);
                    break;
                }
            }
        }
        self.address.clone()
    }

    /// A figure that it shows at `/metrics`; `None` where it does not answer, or does not show it.
    pub fn metric(&mut self, name: &str) -> Option<f64> {
        let url = self.url()?;
        let host = url.strip_prefix("http://")?;
        let mut stream = TcpStream::connect(host).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        stream
            .write_all(format!("GET /metrics HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes())
            .ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    /// How much memory it has, bytes, as Linux counts it; `None` where it has ended.
    #[must_use]
    pub fn resident(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
        kibibytes.checked_mul(1024)
    }

    /// `kill -9`; waits until it is gone.
    ///
    /// # Panics
    /// Where the system does not let us.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// Where the system does not let us.
    pub fn signal(&self, signal: Signal) {
        let name = match signal {
            Signal::Terminate => "-TERM",
            Signal::Stop => "-STOP",
            Signal::Continue => "-CONT",
        };
        let id = self.child.id().to_string();
        // It may have ended by itself, which is for whoever waits for it to see.
        let _ = Command::new("kill").args([name, &id]).stderr(Stdio::null()).status().unwrap();
    }

    /// Whether it has ended.
    ///
    /// # Panics
    /// Where the system does not say.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// Where it does not in time.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(Instant::now() < deadline, "does not end: see {}", self.log.display());
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Stopped ones hear of a kill, too. Where it has ended there is nothing to kill.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
