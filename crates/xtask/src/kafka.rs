//! A real Apache Kafka from its published jars: one or three brokers, each a Java process.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::host::{answer, need, run, say, target};
use crate::{metadata, secured};

/// The newest whose tools are published too.
pub const VERSION: &str = "4.3.1";
/// Any will do, as long as all brokers of a cluster agree.
const CLUSTER_ID: &str = "AAAAAAAAQACAAAAAAAAAAQ";
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
    pub(crate) jars: PathBuf,
    pub(crate) java: String,
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
        ensure!(brokers == 1 || brokers == 3, "one broker or three, not {brokers}");
        let jars = jars()?;
        let java = java()?;
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
            jars,
            java,
        };
        for node in &cluster.nodes {
            fs::create_dir_all(&node.folder)?;
            let secured = match doors {
                Doors::Plain | Doors::Behind(_) => None,
                Doors::PlainAndSecured => Some(secured::settings(&node.folder)?),
            };
            fs::write(node.settings(), settings(node, &cluster.nodes, secured.as_deref()))?;
            format_storage(&cluster.java, &cluster.jars, node)?;
        }
        for node in &cluster.nodes {
            cluster.brokers.push(launch(&cluster.java, &cluster.jars, node)?);
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
    fn settings(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    fn log(&self) -> PathBuf {
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

fn format_storage(java: &str, jars: &Path, node: &Node) -> Result<()> {
    run(Command::new(java)
        .args(["-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp"])
        .arg(jars.join("*"))
        .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"])
        .arg(node.settings())
        .args(["--add-scram", secured::USER])
        .stdout(Stdio::null())
        .stderr(File::create(node.log())?))
    .with_context(|| format!("see {}", node.log().display()))
}

pub(crate) fn launch(java: &str, jars: &Path, node: &Node) -> Result<Child> {
    let log = File::options().create(true).append(true).open(node.log())?;
    Command::new(java)
        // The quick compiler alone: half the time to start, at the price of top speed.
        .args(["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp"])
        .arg(jars.join("*"))
        .arg("kafka.Kafka")
        .arg(node.settings())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("`{java}` can not be run"))
}

/// A Java that can run this Kafka.
fn java() -> Result<String> {
    if let Some(home) = std::env::var_os("JAVA_HOME") {
        let java = Path::new(&home).join("bin/java").to_string_lossy().into_owned();
        if is_new_enough(&java) {
            return Ok(java);
        }
    }
    need(&[("java", &["-version"], &["openjdk-17-jre-headless"])])?;
    if is_new_enough("java") {
        return Ok("java".to_owned());
    }
    bail!("kafka {VERSION} needs Java 17 or newer: set JAVA_HOME to one")
}

fn is_new_enough(java: &str) -> bool {
    answer(java, &["-version"])
        .and_then(|text| text.split('"').nth(1)?.split(['.', '-']).next()?.parse::<u32>().ok())
        .is_some_and(|major| major >= 17)
}

/// The folder with Kafka's jars, fetched once.
fn jars() -> Result<PathBuf> {
    let home = target().join(format!("kafka-{VERSION}"));
    let jars = home.join("lib");
    if jars.is_dir() {
        return Ok(jars);
    }
    need(&[("mvn", &["--version"], &["maven", "openjdk-17-jre-headless"])])?;
    say(&format!("fetching Apache Kafka {VERSION}"));
    // Under a name of its own until it is whole.
    let partial = home.join(format!("partial-{}", std::process::id()));
    fs::create_dir_all(&partial)?;
    fs::write(partial.join("pom.xml"), pom())?;
    run(Command::new("mvn")
        .args(["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg("-DoutputDirectory=lib")
        .current_dir(&partial)
        .stdout(Stdio::null()))?;
    if let Err(error) = fs::rename(partial.join("lib"), &jars)
        && !jars.is_dir()
    {
        return Err(error).context("keeping kafka's jars");
    }
    fs::remove_dir_all(&partial)?;
    Ok(jars)
}

/// Kafka's logging interface is of the line 1.7, and so must be what it logs with: with another there
/// is no broker log at all.
fn pom() -> String {
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">
  <modelVersion>4.0.0</modelVersion>
  <groupId>pavane</groupId><artifactId>kafka-for-tests</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
      <version>{VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
"
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
pub fn start_kept(brokers: usize) -> Result<String> {
    let pids = kept().join("pids");
    ensure!(!pids.exists(), "a kafka of ours is running: `cargo xtask kafka stop` stops it");
    let cluster = Cluster::start(&kept(), brokers, Doors::Plain)?;
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
