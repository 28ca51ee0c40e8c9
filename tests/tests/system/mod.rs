//! The whole system on a real Kafka for one test, under a prefix of its own: each role a process.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use events::Record;
use orders::{OverBroker, Shop, Totals};
use serde_json::Value;
use stream::{Broker, Follow, Start};
use tempfile::TempDir;

/// How long anything may take that a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A process that is killed when the test ends.
pub(crate) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

pub(crate) struct System {
    kafka: String,
    prefix: String,
    listen: String,
    folder: TempDir,
    processes: BTreeMap<&'static str, Process>,
}

fn required(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set; run `cargo xtask test`, which sets it"))
}

fn python() -> PathBuf {
    PathBuf::from(required("PAVANE_TEST_PYTHON"))
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign").join(name)
}

/// The binary, built beside the tests.
fn pavane() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().and_then(Path::parent).unwrap().join("pavane");
    assert!(binary.exists(), "{binary:?} is not built; run `cargo build -p pavane` first");
    binary
}

/// Waits until `found` gives something.
fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

impl System {
    /// Makes the topics and starts the services.
    pub(crate) fn start(name: &str) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut system = Self {
            kafka: required("PAVANE_TEST_KAFKA"),
            prefix: format!("{name}-{}.", since.as_micros()),
            listen: format!("127.0.0.1:{port}"),
            folder: tempfile::tempdir().unwrap(),
            processes: BTreeMap::new(),
        };
        let kafka = system.kafka.clone();
        system.pavane(&["topics", "create", "--kafka", &kafka, "--partitions", "4"]);
        for role in ["coordinator", "intake", "dead-letter,gateway"] {
            system.run(role);
        }
        wait_for("the gateway", || system.try_pavane(&["list"]).status.success().then_some(()));
        system
    }

    /// A user's topic of this test's own.
    pub(crate) fn topic(&self, name: &str) -> String {
        let topic = format!("{}{name}", self.prefix);
        let broker = self.broker();
        broker.create(&topic.as_str().into(), stream::Purpose::Tasks).unwrap();
        topic
    }

    /// Starts a role as a process of its own.
    pub(crate) fn run(&mut self, role: &'static str) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join(format!("{role}.log")))
            .unwrap();
        // Every role answers for its health; only the gateway's address is asked for.
        let listen = if role.contains("gateway") { &self.listen } else { "127.0.0.1:0" };
        let child = self
            .command()
            .args(["run", role, "--kafka", &self.kafka, "--listen", listen])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.processes.insert(role, Process(child));
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self, role: &'static str) {
        drop(self.processes.remove(role).unwrap());
    }

    fn command(&self) -> Command {
        let mut command = Command::new(pavane());
        command
            .current_dir(self.folder.path())
            .env("PAVANE_KAFKA__PREFIX", &self.prefix)
            .env("NO_COLOR", "1");
        command
    }

    pub(crate) fn try_pavane(&self, arguments: &[&str]) -> Output {
        let mut command = self.command();
        command.args(arguments).arg("--json").args(["--url", &self.url()]);
        command.output().unwrap()
    }

    /// Runs a verb; gives what it printed.
    pub(crate) fn pavane(&self, arguments: &[&str]) -> String {
        let output = self.try_pavane(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "pavane {arguments:?}: {said}{}", self.logs());
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let text = self.pavane(arguments);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
    }

    fn logs(&self) -> String {
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        let logs = std::fs::read_dir(self.folder.path()).unwrap();
        let logs = logs.map(|entry| entry.unwrap().path());
        let logs = logs.filter(|path| path.extension().is_some_and(|end| end == "log"));
        logs.map(|path| format!("\n--- {}\n{}", path.display(), read(&path))).collect()
    }

    pub(crate) fn deploy(&self, saga: &str) {
        let file = self.folder.path().join("saga.yaml");
        std::fs::write(&file, saga).unwrap();
        self.pavane(&["deploy", file.to_str().unwrap()]);
    }

    pub(crate) fn workflow(&self, id: &str) -> Value {
        self.json(&["get", id])
    }

    /// Starts a workflow and waits for its end.
    pub(crate) fn start_workflow(&self, saga: &str, inputs: &Value) -> Value {
        let started = self.json(&["start", saga, "--inputs", &inputs.to_string()]);
        let id = started["id"].as_str().unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let workflow = self.workflow(id);
            if workflow["ended_at"].is_string() {
                return workflow;
            }
            assert!(Instant::now() < deadline, "{workflow} does not end{}", self.logs());
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    pub(crate) fn broker(&self) -> kafka::Kafka {
        let mut config = kafka::Config::at(&self.kafka);
        config.prefix.clone_from(&self.prefix);
        kafka::Kafka::connect(config, &[]).unwrap()
    }

    /// The five services, in this process, straight on Kafka.
    pub(crate) fn shop(&self) -> Shop {
        let door =
            OverBroker { broker: Arc::new(self.broker()), serving: client::Serving::default() };
        let mut shop = Shop::open(&self.folder.path().join("books"), Arc::new(door)).unwrap();
        shop.start_all();
        shop
    }

    /// A participant in Python that answers for these agents.
    pub(crate) fn participant(&self, agents: &[&str]) -> Process {
        let arguments = [self.kafka.as_str(), self.prefix.as_str()];
        Self::program(&script("participant.py"), &[&arguments[..], agents].concat())
    }

    /// Starts a program in Python.
    pub(crate) fn program(path: &Path, arguments: &[&str]) -> Process {
        let mut command = Command::new(python());
        command.arg(path).args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
        Process(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }

    /// What a program in Python prints, which is JSON.
    pub(crate) fn printed(path: &Path, arguments: &[&str]) -> Value {
        let output = Command::new(python()).arg(path).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", path.display());
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub(crate) fn kafka(&self) -> &str {
        &self.kafka
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Publishes with a client in Python.
    pub(crate) fn publish(&self, topic: &str, lines: &[Value]) {
        let mut child = Command::new(python())
            .arg(script("publish.py"))
            .args([&self.kafka, topic])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "publish.py failed");
    }

    fn listed(&self, saga: &str) -> Vec<Value> {
        let listed = self.json(&["list", "--saga", saga, "--limit", "1000"]);
        listed["items"].as_array().unwrap().clone()
    }

    fn at_rest(&self, saga: &str) -> Vec<Value> {
        let mut listed = self.listed(saga);
        listed.retain(|workflow| workflow["ended_at"].is_string());
        listed
    }

    /// Has all that stands on the topics judged from outside; gives the counts. Nothing may be under way.
    pub(crate) fn judged(&self) -> Value {
        let judge = ["verify", "--kafka", &self.kafka, "--quiet-for", "0s"];
        let mut judged = self.json(&judge);
        assert_eq!(judged["ok"], true, "{judged:#}");
        judged["counts"].take()
    }

    pub(crate) fn wait_for_ended(&self, saga: &str, count: usize) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ended = self.at_rest(saga);
            if ended.len() >= count {
                return ended;
            }
            let now = Instant::now();
            assert!(now < deadline, "{} of {count} ended{}", ended.len(), self.logs());
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    pub(crate) fn dead_letters(&self, topic: &str, count: usize) -> Vec<Value> {
        wait_for("dead letters", || {
            let listed = self.json(&["dlq", "list"]);
            let items = listed["items"].as_array().unwrap().iter();
            let mine: Vec<Value> = items
                .filter(|item| item["id"].as_str().unwrap().starts_with(topic))
                .cloned()
                .collect();
            (mine.len() >= count).then_some(mine)
        })
    }

    /// The public history, read and decoded by a client in Python.
    pub(crate) fn history(&self, ended: usize) -> Vec<Value> {
        let output = Command::new(python())
            .arg(script("history.py"))
            .args([&self.kafka, &format!("{}events", self.prefix), &ended.to_string()])
            .arg(self.url())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "history.py: {said}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until so many records of the inbox are wanted.
    pub(crate) fn wait_for_inbox(&self, count: usize, is_wanted: impl Fn(&Record) -> bool) {
        let broker = self.broker();
        let mut follow = broker.follow(vec![(broker.topics().inbox(), Start::Earliest)]).unwrap();
        let mut found = 0;
        let deadline = Instant::now() + PATIENCE;
        while found < count {
            assert!(Instant::now() < deadline, "{found} of {count} came{}", self.logs());
            let records = follow.next(Duration::from_millis(100)).unwrap();
            found += records.iter().filter(|record| is_wanted(record)).count();
        }
    }

    /// All records of a topic up to now.
    pub(crate) fn records(&self, topic: &str) -> Vec<Record> {
        let broker = self.broker();
        let mut follow = broker.follow(vec![(topic.into(), Start::Earliest)]).unwrap();
        let mut found = Vec::new();
        loop {
            let records = follow.next(Duration::from_secs(2)).unwrap();
            if records.is_empty() {
                return found;
            }
            found.extend(records);
        }
    }

    /// All commands that were sent to these agents: the distinct bodies, `pavane_fence` included, of each id.
    pub(crate) fn commands(&self, agents: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
        let broker = self.broker();
        let topic = |agent: &&str| broker.topics().tasks(&(*agent).into());
        let from = agents.iter().map(|agent| (topic(agent), Start::Earliest)).collect();
        let mut follow = broker.follow(from).unwrap();
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        loop {
            let records = follow.next(Duration::from_secs(2)).unwrap();
            if records.is_empty() {
                return found;
            }
            for record in records {
                let id = record.header_text("ce_id").unwrap().to_owned();
                let body = format!("{:?} {:?} {:?}", record.key, record.headers, record.value);
                found.entry(id).or_default().insert(body);
            }
        }
    }
}

/// What was sold moved once, and nothing else did. An order is one piece for 20.00.
pub(crate) fn assert_books(totals: &Totals, sold: usize) {
    let sold = u64::try_from(sold).unwrap();
    let Totals { inventory, payment, fulfillment, notification, .. } = totals;
    assert_eq!(inventory.available + inventory.reserved, inventory.opening, "{totals:?}");
    assert_eq!((inventory.reserved, inventory.in_reservations), (sold, sold), "{totals:?}");
    assert_eq!((payment.captures, payment.captured_cents.unsigned_abs()), (sold, sold * 2_000));
    assert_eq!(payment.balances + payment.captured_cents, payment.opening, "{totals:?}");
    assert_eq!((fulfillment.shipments, notification.notices), (sold, sold), "{totals:?}");
}
