//! Asks a broker who is who, in Kafka's own protocol: an open port is not yet a Kafka that answers, and its
//! tools are not among the jars of a broker.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

const WAIT: Duration = Duration::from_secs(2);
/// Longest answer that is read: a cluster of tests has few brokers, and at most one topic is asked for.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const CORRELATION: u32 = 1;

/// How many brokers the cluster has that take requests.
///
/// # Errors
/// No connection, no answer in time, or one that is no answer to `Metadata`.
pub(crate) fn brokers(at: SocketAddr) -> Result<usize> {
    // Metadata, version 4: an empty list of topics, and none is to be made.
    let mut answer = ask(at, 3, 4, &[0, 0, 0, 0, 0])?;
    let _throttled_ms = answer.number()?;
    usize::try_from(answer.number()?).context("a count below zero")
}

/// The id of the broker that leads partition 0 of a topic.
///
/// # Errors
/// As [`brokers`]; also where there is no such topic, or nobody leads it.
pub(crate) fn leader(at: SocketAddr, topic: &str) -> Result<u32> {
    let mut body = vec![0, 0, 0, 1];
    body.extend(text(topic)?);
    body.push(0);
    let mut answer = ask(at, 3, 4, &body)?;
    let _throttled_ms = answer.number()?;
    for _ in 0..answer.number()? {
        let _id = answer.number()?;
        answer.skip_text("host")?;
        let _port = answer.number()?;
        answer.skip_text("rack")?;
    }
    answer.skip_text("cluster")?;
    let _controller = answer.number()?;
    let _topics = answer.number()?;
    answer.no_error("the topic")?;
    answer.skip_text("name")?;
    let _is_internal = answer.take::<1>()?;
    for _ in 0..answer.number()? {
        answer.no_error("a partition")?;
        let (partition, leader) = (answer.number()?, answer.number()?);
        if partition == 0 {
            return Ok(leader);
        }
        for _list in ["copies", "copies in step"] {
            for _ in 0..answer.number()? {
                let _id = answer.number()?;
            }
        }
    }
    anyhow::bail!("{topic} has no partition 0")
}

/// The id of the active controller.
///
/// # Errors
/// As [`brokers`].
pub(crate) fn controller(at: SocketAddr) -> Result<u32> {
    // DescribeQuorum, version 0, of the metadata's own topic. Its lists and texts are "compact": they begin
    // with their length and one more; each thing ends with its tags, of which there are none.
    let mut body = vec![0, 2, 19];
    body.extend_from_slice(b"__cluster_metadata");
    body.extend_from_slice(&[2, 0, 0, 0, 0, 0, 0, 0]);
    let mut answer = ask(at, 55, 0, &body)?;
    let _tags = answer.take::<1>()?;
    answer.no_error("the quorum")?;
    let _topics_and_length = answer.take::<2>()?;
    let _name = answer.take::<18>()?;
    let _partitions = answer.take::<1>()?;
    let _partition = answer.number()?;
    answer.no_error("the quorum's partition")?;
    answer.number()
}

/// The id of the broker that coordinates a group.
///
/// # Errors
/// As [`brokers`]; also while nobody does.
pub(crate) fn coordinator(at: SocketAddr, group: &str) -> Result<u32> {
    // FindCoordinator, version 1, of a group.
    let mut body = text(group)?;
    body.push(0);
    let mut answer = ask(at, 10, 1, &body)?;
    let _throttled_ms = answer.number()?;
    answer.no_error("the group's coordinator")?;
    answer.skip_text("message")?;
    answer.number()
}

/// What a broker answers, behind its correlation id.
fn ask(at: SocketAddr, api: u8, version: u8, body: &[u8]) -> Result<Answer> {
    let mut broker = TcpStream::connect_timeout(&at, WAIT)?;
    broker.set_read_timeout(Some(WAIT))?;
    broker.set_write_timeout(Some(WAIT))?;
    // Kafka protocol guide: length, then the header (api key, version, correlation id, client id).
    let mut request = vec![0, api, 0, version];
    request.extend(CORRELATION.to_be_bytes());
    request.extend(text("xtask")?);
    request.extend_from_slice(body);
    broker.write_all(&u32::try_from(request.len())?.to_be_bytes())?;
    broker.write_all(&request)?;

    let mut length = [0; 4];
    broker.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length))?;
    ensure!((4..=ANSWER_BYTES_MAX).contains(&length), "an answer of {length} bytes");
    let mut bytes = vec![0; length];
    broker.read_exact(&mut bytes)?;
    let mut answer = Answer(bytes);
    ensure!(answer.number()? == CORRELATION, "an answer to another question");
    Ok(answer)
}

fn text(text: &str) -> Result<Vec<u8>> {
    let length = u16::try_from(text.len())?;
    Ok([&length.to_be_bytes(), text.as_bytes()].concat())
}

/// What is not yet read of an answer.
struct Answer(Vec<u8>);

impl Answer {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>().context("the answer ends early")?;
        let (taken, rest) = (*taken, rest.to_vec());
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32> {
        self.take().map(u32::from_be_bytes)
    }

    /// Passes over a text, or none.
    fn skip_text(&mut self, what: &'static str) -> Result<()> {
        let length = i16::from_be_bytes(self.take()?);
        let length = usize::try_from(length).unwrap_or_default();
        self.0 = self
            .0
            .get(length..)
            .with_context(|| format!("the answer ends in its {what}"))?
            .to_vec();
        Ok(())
    }

    fn no_error(&mut self, about: &str) -> Result<()> {
        let code = i16::from_be_bytes(self.take()?);
        ensure!(code == 0, "error {code} about {about}");
        Ok(())
    }
}
