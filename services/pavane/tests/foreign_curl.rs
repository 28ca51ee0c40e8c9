//! The embedded log with a participant that is a shell script: `tests/foreign/participant.sh`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics where it fails")]

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);
const SAGA: &str = r#"
version: "2.0"
name: greeting
key: ${inputs.name}
inputs: [{name: name, type: string}, {name: fail, type: any, required: false}]
tasks:
  - {id: prepare, agent: shell, inputs: [name], compensate: take_back}
  - {id: greet, agent: shell, kind: readonly, depends_on: [prepare], inputs: [name, fail]}
outputs: [{name: by, from: greet.output.by}]
"#;

/// A process, with those that it has started, killed when the test ends.
struct Group(Child);

impl Group {
    fn start(command: &mut Command) -> Self {
        Self(command.process_group(0).stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        Command::new("kill").args(["-KILL", "--", &group]).status().ok();
        self.0.wait().ok();
    }
}

struct System {
    url: String,
    folder: TempDir,
    _up: Group,
}

impl System {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut up = Command::new(env!("CARGO_BIN_EXE_pavane"));
        up.args(["up", "--data", "log", "--listen", &format!("127.0.0.1:{port}")]);
        up.current_dir(folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let url = format!("http://127.0.0.1:{port}");
        let system = Self { url, folder, _up: Group::start(&mut up) };
        let deadline = Instant::now() + PATIENCE;
        while !system.pavane(&["list"]).status.success() {
            assert!(Instant::now() < deadline, "pavane up does not answer");
            std::thread::park_timeout(Duration::from_millis(50));
        }
        system
    }

    fn pavane(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pavane"));
        command.args(arguments).args(["--json", "--url", &self.url]);
        command.current_dir(self.folder.path()).output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.pavane(arguments);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{arguments:?}: {error}: {}", String::from_utf8_lossy(&output.stderr))
        })
    }

    fn participant(&self) -> Group {
        for tool in ["curl", "jq"] {
            let found = Command::new(tool).arg("--version").output();
            assert!(found.is_ok(), "`{tool}` is not installed; `cargo xtask test` installs it");
        }
        let marks = self.folder.path().join("marks");
        Group::start(Command::new("bash").arg(script()).args([&self.url, "shell"]).arg(marks))
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/foreign/participant.sh")
}

/// shows: P2
#[test]
fn a_participant_written_with_curl_does_and_undoes() {
    let system = System::start();
    std::fs::write(system.folder.path().join("saga.yaml"), SAGA).unwrap();
    let deployed = system.pavane(&["deploy", "saga.yaml"]);
    assert!(deployed.status.success(), "{}", String::from_utf8_lossy(&deployed.stderr));
    let participant = system.participant();

    let inputs = r#"{"name": "ada"}"#;
    let ended = system.json(&["start", "greeting", "--inputs", inputs, "--wait"]);
    assert_eq!(ended["status"], "completed", "{ended}");
    assert_eq!(ended["outputs"]["by"], "curl", "{ended}");

    // Killed and started again, it knows what it has done.
    drop(participant);
    let _participant = system.participant();
    let inputs = r#"{"name": "bob", "fail": "out_of_words"}"#;
    let ended = system.json(&["start", "greeting", "--inputs", inputs, "--wait"]);
    assert_eq!(ended["status"], "compensated", "{ended}");
    assert_eq!(ended["error"]["code"], "out_of_words", "{ended}");
    let history = system.json(&["history", "greeting:bob"]);
    let types: Vec<&str> = history["items"]
        .as_array()
        .or(history.as_array())
        .unwrap()
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert!(
        types.contains(&"UndoCompleted") || types.contains(&"pavane.UndoCompleted"),
        "{types:?}"
    );
}
