//! A real Apache Kafka from its published jars: one or three brokers, each a Java process.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::host::{run, say, target};
pub use crate::java::VERSION;
use crate::java::{Compilers, Java};
use crate::{metadata, secured};

/// Three brokers on a busy machine with two cores.
const START_WAIT: Duration = Duration::from_secs(120);

/// A running Kafka; ends with this value.
#[derive(Debug)]
pub struct Cluster {
    bootstrap: String,
    secured: String,
    pub(crate) nodes: Vec<Node>,
    pub(crate) brokers: Vec<Child>,
    folder: PathBuf,
    pub(crate) java: Java,
}

/// Ways into a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doors {
    /// Without encryption or a password.
    Plain,
    /// Beside the plain one, a door with TLS and SCRAM: see [`Cluster::secured`].
    PlainAndSecured,
    /// Without encryption; each broker tells everybody to reach it at the port of that place, behind which
    /// somebody stands who passes on to [`Cluster::ports`].
    Behind(Vec<u16>),
}

#[derive(Debug)]
pub(crate) struct Node {
    id: usize,
    port: u16,
    advertised_port: u16,
    secured_port: u16,
    controller_port: u16,
    folder: PathBuf,
}

impl Cluster {
    /// Starts so many brokers on free ports of 127.0.0.1, with fresh data in `folder`, and waits until
    /// all of them take requests.
    ///
    /// # Errors
    /// What is missing on this machine, or why a broker did not start: its log is named.
    pub fn start(folder: &Path, brokers: usize, doors: Doors) -> Result<Self> {
        Self::start_on(Java::find(Compilers::Quick)?, folder, brokers, doors)
    }

    /// As [`start`](Self::start), of brokers that start more slowly and then are as fast as they get: to measure on.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_optimised(folder: &Path, brokers: usize) -> Result<Self> {
        Self::start_on(Java::find(Compilers::All)?, folder, brokers, Doors::Plain)
    }

    fn start_on(java: Java, folder: &Path, brokers: usize, doors: Doors) -> Result<Self> {
        ensure!(brokers == 1 || brokers == 3, "one broker or three, not {brokers}");
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("clearing {}", folder.display()))?;
        }
        let mut nodes = nodes(folder, brokers)?;
        if let Doors::Behind(ports) = &doors {
            ensure!(ports.len() == brokers, "a port for each of {brokers} brokers");
            for (node, port) in nodes.iter_mut().zip(ports) {
                node.advertised_port = *port;
            }
        }
        let mut cluster = Self {
            bootstrap: addresses(&nodes, |node| node.advertised_port),
            secured: addresses(&nodes, |node| node.secured_port),
            nodes,
            brokers: Vec::new(),
            folder: folder.to_owned(),
            java,
        };
        for node in &cluster.nodes {
            fs::create_dir_all(&node.folder)?;
            let secured = match doors {
                Doors::Plain | Doors::Behind(_) => None,
                Doors::PlainAndSecured => Some(secured::settings(&node.folder)?),
            };
            fs::write(node.settings(), settings(node, &cluster.nodes, secured.as_deref()))?;
            cluster.java.format_storage(node)?;
        }
        for node in &cluster.nodes {
            cluster.brokers.push(cluster.java.launch(node)?);
        }
        // Brokers find each other by what they advertise, which nobody may pass on yet.
        if !matches!(doors, Doors::Behind(_)) {
            cluster.wait()?;
        }
        Ok(cluster)
    }

    /// The ports at which the brokers listen.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        self.nodes.iter().map(|node| node.port).collect()
    }

    /// Where clients begin: `host:port,...`.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The secured door: `host:port,...`.
    #[must_use]
    pub fn secured(&self) -> &str {
        &self.secured
    }

    /// The certificate of who signed the first broker's, where there is a secured door.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        secured::authority(&self.folder.join("broker-1"))
    }

    /// Lets the brokers run on after this process; gives their process ids.
    #[must_use]
    pub fn leave_running(mut self) -> Vec<u32> {
        std::mem::take(&mut self.brokers).iter().map(Child::id).collect()
    }

    /// Whether all brokers take requests and know of each other, now.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.nodes.iter().all(|node| {
            let at = SocketAddr::from((Ipv4Addr::LOCALHOST, node.port));
            metadata::brokers(at).ok() == Some(self.nodes.len())
        })
    }

    /// Waits until all brokers take requests and know of each other.
    ///
    /// # Errors
    /// One has ended, or they do not answer in time: the log is named.
    pub fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_WAIT;
        for node in &self.nodes {
            let at = SocketAddr::from((Ipv4Addr::LOCALHOST, node.port));
            while metadata::brokers(at).ok() != Some(self.nodes.len()) {
                for broker in &mut self.brokers {
                    if let Some(status) = broker.try_wait()? {
                        bail!("a broker ended with {status}: see {}", self.folder.display());
                    }
                }
                ensure!(
                    Instant::now() < deadline,
                    "kafka did not answer within {START_WAIT:?}: see {}",
                    node.log().display()
                );
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for broker in &mut self.brokers {
            // Its data is for tests alone and not used again, so it need not end in order. Where it can
            // not be ended, it has ended.
            let _ = broker.kill();
            let _ = broker.wait();
        }
    }
}

impl Node {
    pub(crate) fn settings(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("broker.log")
    }
}

/// Free ports are found by taking them for a moment; all at once, so that no two are the same.
fn nodes(folder: &Path, count: usize) -> Result<Vec<Node>> {
    let taken: Vec<TcpListener> = (0..3 * count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<_, _>>()?;
    let ports: Vec<u16> =
        taken.iter().map(|port| Ok(port.local_addr()?.port())).collect::<Result<_>>()?;
    let nodes = ports.chunks_exact(3).zip(1..).filter_map(|(ports, id)| match ports {
        [port, controller_port, secured_port] => Some(Node {
            id,
            port: *port,
            advertised_port: *port,
            secured_port: *secured_port,
            controller_port: *controller_port,
            folder: folder.join(format!("broker-{id}")),
        }),
        _ => None,
    });
    Ok(nodes.collect())
}

fn addresses(nodes: &[Node], port: impl Fn(&Node) -> u16) -> String {
    let each: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", port(node))).collect();
    each.join(",")
}

fn settings(node: &Node, nodes: &[Node], secured: Option<&str>) -> String {
    let Node { id, port, advertised_port, secured_port, controller_port, folder } = node;
    let more = secured.map_or(String::new(), |_| format!(",SASL_SSL://127.0.0.1:{secured_port}"));
    let voters: Vec<String> = nodes
        .iter()
        .map(|node| format!("{}@127.0.0.1:{}", node.id, node.controller_port))
        .collect();
    let copies = nodes.len();
    let in_sync = if copies == 1 { 1 } else { 2 };
    format!(
        "process.roles=broker,controller
node.id={id}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port}{more},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{advertised_port}{more}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
default.replication.factor={copies}
offsets.topic.replication.factor={copies}
offsets.topic.num.partitions=4
min.insync.replicas={in_sync}
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={in_sync}
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=1000
replica.lag.time.max.ms=5000
log.dirs={data}
{secured}",
        secured = secured.unwrap_or_default(),
        voters = voters.join(","),
        data = folder.join("data").display(),
    )
}

/// Where `cargo xtask kafka start` keeps what it needs to stop it again.
fn kept() -> PathBuf {
    target().join("kafka-running")
}

/// Starts a Kafka that outlives this command; gives its address.
///
/// # Errors
/// As [`Cluster::start`]; also where one runs already.
pub fn start_kept(brokers: usize, optimised: bool) -> Result<String> {
    let pids = kept().join("pids");
    ensure!(!pids.exists(), "a kafka of ours is running: `cargo xtask kafka stop` stops it");
    let cluster = match optimised {
        true => Cluster::start_optimised(&kept(), brokers)?,
        false => Cluster::start(&kept(), brokers, Doors::Plain)?,
    };
    let bootstrap = cluster.bootstrap().to_owned();
    fs::write(kept().join("address"), &bootstrap)?;
    let running: Vec<String> = cluster.leave_running().iter().map(u32::to_string).collect();
    fs::write(pids, running.join("\n"))?;
    Ok(bootstrap)
}

/// Stops the Kafka that [`start_kept`] has started.
///
/// # Errors
/// None is running.
pub fn stop_kept() -> Result<()> {
    let pids = kept().join("pids");
    let running = fs::read_to_string(&pids).context("no kafka of ours is running")?;
    for pid in running.lines() {
        // The number may be another's by now.
        if is_broker(pid) {
            // At once: a last broker would wait for the others to agree to its leaving.
            run(Command::new("kill").args(["-KILL", pid]))?;
        } else {
            say(&format!("the broker with process id {pid} has ended already"));
        }
    }
    let deadline = Instant::now() + START_WAIT;
    while running.lines().any(is_broker) {
        ensure!(Instant::now() < deadline, "the brokers do not end: {running:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    fs::remove_file(pids).context("forgetting the brokers that were stopped")
}

fn is_broker(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|command| command.contains("kafka.Kafka"))
}
