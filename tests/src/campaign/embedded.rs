//! Faults of `pavane up` on the embedded log, of its files, and of its disk.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::AgentName;
use stream::Stop;

use super::work::{ORDERS, Work};
use super::{Outcome, Plan, judge};
use crate::fleet::{Answers, Process, Serving, Signal, binary, pavane, serve_over_http};
use crate::outside::drawn::AGENTS;
use crate::outside::{Books, Chance, drawn_output};

/// What the log says when it can write no more.
const FULL: &str = "see that the disk has room";
/// What it says when it finds damage that no crash can have left.
const DAMAGED: &str = "put the folder back from a copy";

pub(super) struct Ground<'a> {
    plan: &'a Plan,
    address: String,
    up: Process,
    starts: usize,
    work: Work,
    chance: Chance,
    outcome: Outcome,
    books: Arc<Books>,
    serving: Serving,
    began: Instant,
    pause: Stop,
}

/// Does `fault` to it, again and again.
pub(super) fn run(plan: &Plan, fault: fn(&mut Ground<'_>)) -> Outcome {
    let mut ground = Ground::begin(plan);
    while ground.began.elapsed() < plan.lasts {
        let wait = 700 + u64::try_from(ground.chance.below(1_500)).unwrap();
        ground.pass(Duration::from_millis(wait));
        fault(&mut ground);
    }
    ground.end()
}

impl<'a> Ground<'a> {
    /// `kill -9`, and started again.
    pub(super) fn kill(&mut self) {
        self.up.kill();
        self.note("`pavane up` killed");
        self.go_on();
    }

    fn begin(plan: &'a Plan) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let mut up = up(plan, &address, &data(plan), "up-0", None);
        let url = up.url();
        let url = url.unwrap_or_else(|| panic!("`pavane up` is up: see {:?}", plan.folder));
        let books = Arc::new(Books::new(drawn_output));
        let keeper = Arc::clone(&books);
        let answers: Answers = Arc::new(move |agent, command| keeper.answer_as(agent, command));
        let serving = serve_over_http(&url, &AGENTS.map(AgentName::from), &answers);
        Self {
            plan,
            address,
            up,
            starts: 1,
            work: Work::begin(&url, ORDERS, plan.seed),
            chance: Chance::new(plan.seed),
            outcome: Outcome::default(),
            books,
            serving,
            began: Instant::now(),
            pause: Stop::default(),
        }
    }

    fn note(&mut self, fault: &str) {
        *self.outcome.faults.entry(fault.to_owned()).or_default() += 1;
    }

    /// Lets so much time pass, in which work is begun.
    fn pass(&mut self, wait: Duration) {
        let until = Instant::now() + wait;
        while Instant::now() < until {
            let due = super::due(self.began.elapsed(), self.plan.lasts, self.plan.workflows);
            while self.work.started < due && self.work.start() {}
            let _never = self.pause.wait(Duration::from_millis(50));
        }
    }

    /// Starts again on the folder as it is.
    fn go_on(&mut self) {
        let name = format!("up-{}", self.starts);
        self.starts += 1;
        self.up = up(self.plan, &self.address, &data(self.plan), &name, None);
        if self.up.url().is_none() {
            let log = self.plan.folder.join(name).with_extension("log");
            panic!("`pavane up` does not start on an undamaged folder: see {log:?}");
        }
    }

    /// Kills it, does to a copy of its files what no crash does, and to its own what one may do.
    pub(super) fn damage(&mut self) {
        self.up.kill();
        self.note("`pavane up` killed");
        let (journal, bytes) = newest_journal(&data(self.plan));
        let copy = self.plan.folder.join("copy");
        copy_folder(&data(self.plan), &copy);
        let mut damaged = bytes.clone();
        let last = 1 + self.chance.below(200.min(damaged.len()));
        let what = match self.chance.below(3) {
            0 => {
                damaged.truncate(damaged.len() - last);
                "end of the journal cut off"
            }
            1 => {
                let at = damaged.len() - last;
                damaged[at] ^= 0x10;
                "byte flipped near the end"
            }
            _ => {
                let at = self.chance.below(damaged.len());
                damaged[at] ^= 0x10;
                "byte flipped anywhere"
            }
        };
        let name = journal.strip_prefix(data(self.plan)).unwrap();
        std::fs::write(copy.join(name), damaged).unwrap();
        let said = self.open_copy(&copy);
        self.note(&format!("{what}: {said}"));
        std::fs::remove_dir_all(&copy).unwrap();
        // A write that a crash cut short.
        let mut torn = bytes;
        let length = 1 + self.chance.below(300);
        torn.extend((0..length).map(|_| u8::try_from(self.chance.below(255)).unwrap() + 1));
        std::fs::write(&journal, torn).unwrap();
        self.note("half a write added at the end");
        self.go_on();
    }

    /// What becomes of a folder that is damaged: it is refused with its file, or what is left is whole in itself.
    fn open_copy(&mut self, copy: &Path) -> &'static str {
        let name = format!("copy-{}", self.starts);
        let mut process = up(self.plan, "127.0.0.1:0", copy, &name, None);
        if process.url().is_none() {
            process.wait();
            let log = self.plan.folder.join(name).with_extension("log");
            let said = std::fs::read_to_string(&log).unwrap();
            if !said.contains(DAMAGED) {
                self.outcome.wrong.push(format!("refused without a good reason: {said}"));
            }
            return "refused";
        }
        process.signal(Signal::Terminate);
        process.wait();
        let mut verify = pavane(&["verify", "--json", "--quiet-for", "10m", "--data"]);
        let output = verify.arg(copy).output().unwrap();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            self.outcome.wrong.push(format!("what is left of a damaged log is not whole: {said}"));
        }
        "what is left is whole"
    }

    /// Starts it again with files that may not grow much, lets it run full, and gives it room again.
    pub(super) fn fill(&mut self) {
        self.up.kill();
        let largest = largest(&data(self.plan));
        let more = 64 * 1024 + u64::try_from(self.chance.below(512 * 1024)).unwrap();
        let name = format!("up-{}", self.starts);
        self.starts += 1;
        self.up = up(self.plan, &self.address, &data(self.plan), &name, Some(largest + more));
        let log = self.plan.folder.join(name).with_extension("log");
        let is_full = || std::fs::read_to_string(&log).is_ok_and(|log| log.contains(FULL));
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is_full() && Instant::now() < deadline && self.up.ended().is_none() {
            self.pass(Duration::from_millis(200));
        }
        self.note(if is_full() { "disk full" } else { "disk nearly full" });
        self.pass(Duration::from_secs(1));
        self.up.kill();
        self.go_on();
    }

    fn end(mut self) -> Outcome {
        while self.work.started < self.plan.workflows {
            self.pass(Duration::from_millis(100));
        }
        let mut outcome = std::mem::take(&mut self.outcome);
        let (ends, wrong) = self.work.rest(|| {});
        outcome.ends = ends;
        outcome.wrong.extend(wrong);
        drop(self.serving);
        self.up.signal(Signal::Terminate);
        let status = self.up.wait();
        if !status.success() {
            outcome.wrong.push(format!("`pavane up` was asked to stop, and ended with {status}"));
        }
        let mut verify = pavane(&["verify", "--data"]);
        verify.arg(data(self.plan));
        judge::judge(verify, &self.books, &self.plan.folder, &mut outcome);
        outcome.workflows = self.work.started;
        outcome.took = self.began.elapsed();
        outcome
    }
}

fn data(plan: &Plan) -> PathBuf {
    plan.folder.join("data")
}

/// `pavane up`; with a limit no file may grow beyond it, and the signal that goes with that is ignored, so that
/// writes fail as they do on a full disk.
fn up(plan: &Plan, address: &str, data: &Path, name: &str, limit: Option<u64>) -> Process {
    let mut command = pavane(&[]);
    if let Some(limit) = limit {
        command = std::process::Command::new("sh");
        let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", limit / 512);
        command.args(["-c", &script]).arg(binary());
    }
    command.args(["up", "--json", "--listen", address, "--data"]).arg(data);
    Process::spawn(command, &plan.folder.join(name).with_extension("log"))
}

/// The newest journal file of the storage library, and how much of it is written.
fn newest_journal(folder: &Path) -> (PathBuf, Vec<u8>) {
    let files = std::fs::read_dir(folder.join("log")).unwrap().map(|entry| entry.unwrap().path());
    let newest = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "jnl"))
        .max_by_key(|path| path.file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap());
    let newest = newest.expect("a journal");
    let mut bytes = std::fs::read(&newest).unwrap();
    bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
    (newest, bytes)
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_folder(&path, &copy);
        } else {
            std::fs::copy(&path, &copy).unwrap();
        }
    }
}

fn largest(folder: &Path) -> u64 {
    let sizes = std::fs::read_dir(folder).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            largest(&path)
        } else {
            std::fs::metadata(&path).map_or(0, |it| it.len())
        }
    });
    sizes.max().unwrap_or_default()
}
