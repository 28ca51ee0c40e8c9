//! What can be done to the brokers of a cluster, and which of them is which.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::host::run;
use crate::kafka::{Cluster, launch};

impl Cluster {
    /// `kill -9` of a broker, by its place.
    ///
    /// # Errors
    /// There is none, or the system does not let us.
    pub fn kill(&mut self, place: usize) -> Result<()> {
        let broker = self.brokers.get_mut(place).context("there is no such broker")?;
        broker.kill()?;
        broker.wait()?;
        Ok(())
    }

    /// Starts a broker that was killed, on the data that it has.
    ///
    /// # Errors
    /// It can not be started.
    pub fn restart(&mut self, place: usize) -> Result<()> {
        let node = self.nodes.get(place).context("there is no such broker")?;
        let started = launch(&self.java, &self.jars, node)?;
        let broker = self.brokers.get_mut(place).context("there is no such broker")?;
        *broker = started;
        Ok(())
    }

    /// Makes a broker stand still.
    ///
    /// # Errors
    /// There is none, or the system does not let us.
    pub fn pause(&self, place: usize) -> Result<()> {
        self.signal(place, "-STOP")
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// As [`Cluster::pause`].
    pub fn go_on(&self, place: usize) -> Result<()> {
        self.signal(place, "-CONT")
    }

    fn signal(&self, place: usize, signal: &str) -> Result<()> {
        let broker = self.brokers.get(place).context("there is no such broker")?;
        run(Command::new("kill").args([signal, &broker.id().to_string()]))
    }

    /// The place of the broker that leads partition 0 of a topic, by Kafka's own tool.
    ///
    /// # Errors
    /// The tool fails, or says something else.
    pub fn leader(&self, topic: &str) -> Result<usize> {
        let said =
            self.ask("org.apache.kafka.tools.TopicCommand", &["--describe", "--topic", topic])?;
        self.place(after(&said, "Leader: "))
    }

    /// The place of the active controller.
    ///
    /// # Errors
    /// As [`Cluster::leader`].
    pub fn controller(&self) -> Result<usize> {
        let said =
            self.ask("org.apache.kafka.tools.MetadataQuorumCommand", &["describe", "--status"])?;
        self.place(after(&said, "LeaderId:"))
    }

    /// The place of the broker that coordinates a group.
    ///
    /// # Errors
    /// As [`Cluster::leader`].
    pub fn coordinator(&self, group: &str) -> Result<usize> {
        let class = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
        let said = self.ask(class, &["--describe", "--state", "--group", group])?;
        // `host:port (id)`
        self.place(
            after(&said, "127.0.0.1:").and_then(|text| text.split_once('(')?.1.split(')').next()),
        )
    }

    fn place(&self, id: Option<&str>) -> Result<usize> {
        let id = id.context("kafka's tool does not say which broker")?;
        let id: usize = id.trim().parse().with_context(|| format!("`{id}` is no broker"))?;
        ensure!((1..=self.nodes.len()).contains(&id), "there is no broker {id}");
        Ok(id - 1)
    }

    fn ask(&self, class: &str, arguments: &[&str]) -> Result<String> {
        let output = Command::new(&self.java)
            .args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp"])
            .arg(self.jars.join("*"))
            .arg(class)
            .args(["--bootstrap-server", self.bootstrap()])
            .args(arguments)
            .stdin(Stdio::null())
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{class}: {}: {said}{error}", output.status);
        Ok(said)
    }
}

/// The words behind a label, to the end of the column.
fn after<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(label)?;
    rest.trim_start().split(['\t', '\n']).next()
}
