//! Java, and the jars of Kafka that it runs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::host::{answer, need, run, say, target};
use crate::kafka::Node;

/// The newest Kafka whose tools are published too.
pub const VERSION: &str = "4.3.1";
/// Any will do, as long as all brokers of a cluster agree.
const CLUSTER_ID: &str = "AAAAAAAAQACAAAAAAAAAAQ";
/// The quick compiler alone: half the time to start, at the price of top speed.
const QUICK: &str = "-XX:TieredStopAtLevel=1";

/// Which of Java's compilers brokers run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compilers {
    /// The quick one alone.
    Quick,
    /// All: slow to start, fast then.
    All,
}

/// A Java that runs Kafka, and Kafka's jars.
#[derive(Debug)]
pub(crate) struct Java {
    program: String,
    jars: PathBuf,
    compilers: Compilers,
}

impl Java {
    /// The one of `JAVA_HOME`, or of the path. Fetches the jars where they are not there.
    pub(crate) fn find(compilers: Compilers) -> Result<Self> {
        Ok(Self { jars: jars()?, program: program()?, compilers })
    }

    pub(crate) fn format_storage(&self, node: &Node) -> Result<()> {
        run(Command::new(&self.program)
            .args(["-Xmx128m", QUICK, "-cp"])
            .arg(self.jars.join("*"))
            .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"])
            .arg(node.settings())
            .args(["--add-scram", crate::secured::USER])
            .stdout(Stdio::null())
            .stderr(File::create(node.log())?))
        .with_context(|| format!("see {}", node.log().display()))
    }

    pub(crate) fn launch(&self, node: &Node) -> Result<Child> {
        let log = File::options().create(true).append(true).open(node.log())?;
        let options: &[&str] = match self.compilers {
            Compilers::Quick => &["-Xmx512m", QUICK],
            Compilers::All => &["-Xmx1g"],
        };
        Command::new(&self.program)
            .args(["-Xms256m", "-XX:+UseSerialGC"])
            .args(options)
            .args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp"])
            .arg(self.jars.join("*"))
            .arg("kafka.Kafka")
            .arg(node.settings())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("`{}` can not be run", self.program))
    }
}

/// A Java that can run this Kafka.
fn program() -> Result<String> {
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
