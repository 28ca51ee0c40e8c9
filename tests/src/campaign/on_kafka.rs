//! The services as processes on a Kafka, looked after as a supervisor would.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::AgentName;
use kafka::{Config, Kafka};
use stream::{Broker as _, Purpose, Stop};

use super::work::{ORDERS, Work};
use super::{Outcome, Plan, judge};
use crate::fleet::{Answers, Process, Serving, Signal, pavane, serve_over_broker};
use crate::outside::drawn::AGENTS;
use crate::outside::{Books, Chance, drawn_output};

/// `kafka.session_timeout_ms` of all processes.
pub(super) const SESSION: Duration = Duration::from_secs(1);
/// Of faults: nobody has done anything to it, but perhaps to what it stands on.
pub(super) const BY_ITSELF: &str = "ended by itself, and started again";
/// What a process may take of memory, whatever happens to the brokers: with few workflows most of it is what clients
/// hold back to be sent, which is bounded.
const MEMORY_MAX: u64 = 512 << 20;
/// How long a system may take until it answers.
const PATIENCE: Duration = Duration::from_secs(120);

struct Member {
    role: &'static str,
    listen: String,
    process: Process,
}

/// A system at work, and what was done to it.
pub(super) struct Ground {
    kafka: String,
    prefix: String,
    folder: PathBuf,
    members: BTreeMap<String, Member>,
    pub(super) work: Work,
    pub(super) chance: Chance,
    pub(super) outcome: Outcome,
    pub(super) broker: Arc<Kafka>,
    answers: Answers,
    books: Arc<Books>,
    serving: Vec<Serving>,
    began: Instant,
    lasts: Duration,
    workflows: usize,
    pause: Stop,
}

impl Ground {
    /// Three coordinators, two intakes, a gateway, the dead letters' index, participants.
    pub(super) fn begin(plan: &Plan, kafka: &str) -> Self {
        let prefix = format!("campaign-{}.", std::process::id());
        let mut config = Config::at(kafka);
        config.prefix.clone_from(&prefix);
        config.session_timeout_ms = u32::try_from(SESSION.as_millis()).unwrap();
        let broker = Arc::new(Kafka::connect(config, &[]).unwrap());
        kafka::topics::create_all(&broker, 4).unwrap();
        let topic = format!("{prefix}{ORDERS}");
        broker.create(&topic.as_str().into(), Purpose::User).unwrap();
        for agent in AGENTS {
            broker.create(&broker.topics().tasks(&agent.into()), Purpose::Tasks).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let gateway = format!("127.0.0.1:{port}");
        let url = format!("http://{gateway}");
        let spawn = |name: &str, role: &'static str, listen: &str| {
            (name.to_owned(), member(kafka, &prefix, &plan.folder, name, role, listen))
        };
        let any = "127.0.0.1:0";
        let mut members = BTreeMap::from([
            spawn("coordinator-1", "coordinator", any),
            spawn("coordinator-2", "coordinator", any),
            spawn("coordinator-3", "coordinator", any),
            spawn("intake-1", "intake", any),
            spawn("intake-2", "intake", any),
            spawn("gateway", "dead-letter,gateway", &gateway),
        ]);
        let gateway = members.get_mut("gateway").unwrap();
        assert!(gateway.process.url().is_some(), "the gateway: see {:?}", plan.folder);
        let books = Arc::new(Books::new(drawn_output));
        let keeper = Arc::clone(&books);
        let answers: Answers = Arc::new(move |agent, command| keeper.answer_as(agent, command));
        let work = Work::begin(&url, &topic, plan.seed);
        let mut ground = Self {
            kafka: kafka.to_owned(),
            prefix,
            folder: plan.folder.clone(),
            members,
            work,
            chance: Chance::new(plan.seed),
            outcome: Outcome::default(),
            broker,
            answers,
            books,
            serving: Vec::new(),
            began: Instant::now(),
            lasts: plan.lasts,
            workflows: plan.workflows,
            pause: Stop::default(),
        };
        ground.serve();
        ground.serve();
        ground.began = Instant::now();
        ground
    }

    /// Whether faults are still to be done.
    pub(super) fn goes_on(&self) -> bool {
        self.began.elapsed() < self.lasts
    }

    /// Lets so much time pass, in which work is begun, and what has ended by itself is started again.
    pub(super) fn pass(&mut self, wait: Duration) {
        let until = Instant::now() + wait;
        loop {
            let due = super::due(self.began.elapsed(), self.lasts, self.workflows);
            while self.work.started < due && self.work.start() {}
            self.tend();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let _never = self.pause.wait(left.min(Duration::from_millis(100)));
        }
    }

    /// Notes that something was done.
    pub(super) fn note(&mut self, fault: &str) {
        *self.outcome.faults.entry(fault.to_owned()).or_default() += 1;
    }

    /// The names of those with that role.
    pub(super) fn names(&self, role: &str) -> Vec<String> {
        let mine = self.members.iter().filter(|(_, member)| member.role == role);
        mine.map(|(name, _)| name.clone()).collect()
    }

    /// The names of all.
    pub(super) fn all(&self) -> Vec<String> {
        self.members.keys().cloned().collect()
    }

    /// One of them, by chance.
    pub(super) fn any(&mut self, role: &str) -> String {
        let names = self.names(role);
        names[self.chance.below(names.len())].clone()
    }

    /// `kill -9`, and started again.
    pub(super) fn kill(&mut self, name: &str) {
        self.members.get_mut(name).unwrap().process.kill();
        self.start_again(name);
    }

    /// Asked to stop, and started again once it has.
    pub(super) fn restart(&mut self, name: &str) {
        let member = self.members.get_mut(name).unwrap();
        member.process.signal(Signal::Terminate);
        let status = member.process.wait();
        if !status.success() {
            self.outcome.wrong.push(format!("{name} was asked to stop, and ended with {status}"));
        }
        self.start_again(name);
    }

    /// Sends a signal.
    pub(super) fn signal(&self, name: &str, signal: Signal) {
        self.members[name].process.signal(signal);
    }

    /// One more coordinator.
    pub(super) fn join(&mut self, name: &str) {
        let joined =
            member(&self.kafka, &self.prefix, &self.folder, name, "coordinator", "127.0.0.1:0");
        self.members.insert(name.to_owned(), joined);
    }

    /// One fewer.
    pub(super) fn leave(&mut self, name: &str) {
        let mut gone = self.members.remove(name).unwrap();
        gone.process.signal(Signal::Terminate);
        gone.process.wait();
    }

    /// One more member of the participants' group.
    pub(super) fn serve(&mut self) {
        let agents = AGENTS.map(AgentName::from);
        let group = self.broker.topics().group("participants");
        let answers = Arc::clone(&self.answers);
        let broker = Arc::clone(&self.broker);
        self.serving.push(serve_over_broker(broker, &group, &agents, Duration::ZERO, answers));
    }

    /// One fewer.
    pub(super) fn serve_less(&mut self) {
        drop(self.serving.pop());
    }

    fn start_again(&mut self, name: &str) {
        let old = &self.members[name];
        let (role, listen) = (old.role, old.listen.clone());
        let new = member(&self.kafka, &self.prefix, &self.folder, name, role, &listen);
        self.members.insert(name.to_owned(), new);
    }

    fn tend(&mut self) {
        let ended = self.members.iter_mut().filter_map(|(name, member)| {
            member.process.ended().map(|status| (name.clone(), status))
        });
        let ended: Vec<_> = ended.collect();
        for (name, status) in ended {
            eprintln!("{name} has ended by itself with {status}");
            self.note(BY_ITSELF);
            self.start_again(&name);
        }
        for member in self.members.values() {
            let most = self.outcome.memory.entry(member.role).or_default();
            *most = member.process.resident().unwrap_or_default().max(*most);
        }
    }

    /// Waits for rest, stops everything, and asks the judge.
    pub(super) fn end(mut self) -> Outcome {
        self.pass(Duration::ZERO);
        let deadline = Instant::now() + PATIENCE;
        while self.work.started < self.workflows && Instant::now() < deadline {
            self.pass(Duration::from_millis(100));
        }
        let mut tended = std::mem::take(&mut self.outcome);
        let members = &mut self.members;
        let mut gone = BTreeMap::new();
        let (ends, wrong) = self.work.rest(|| {
            for (name, member) in members.iter_mut() {
                if let Some(status) = member.process.ended() {
                    gone.insert(name.clone(), format!("{name} has ended by itself: {status}"));
                }
            }
        });
        tended.wrong.extend(gone.into_values());
        tended.ends = ends;
        tended.wrong.extend(wrong);
        self.serving.clear();
        let mut verify = pavane(&["verify", "--kafka", &self.kafka]);
        verify.env("PAVANE_KAFKA__PREFIX", &self.prefix);
        judge::judge(verify, &self.books, &self.folder, &mut tended);
        let large = tended.memory.iter().filter(|(_, most)| **most > MEMORY_MAX);
        let large: Vec<String> =
            large.map(|(role, most)| format!("a {role} has had {most} bytes of memory")).collect();
        tended.wrong.extend(large);
        tended.workflows = self.work.started;
        tended.took = self.began.elapsed();
        tended
    }
}

fn member(
    kafka: &str,
    prefix: &str,
    folder: &Path,
    name: &str,
    role: &'static str,
    listen: &str,
) -> Member {
    let mut command: Command =
        pavane(&["run", role, "--json", "--kafka", kafka, "--listen", listen]);
    command
        .env("PAVANE_KAFKA__PREFIX", prefix)
        .env("PAVANE_KAFKA__SESSION_TIMEOUT_MS", SESSION.as_millis().to_string());
    let process = Process::spawn(command, &folder.join(format!("{name}.log")));
    Member { role, listen: listen.to_owned(), process }
}
