//! Asks a broker who is there, in Kafka's own protocol: an open port is not yet a Kafka that answers.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

const WAIT: Duration = Duration::from_secs(2);
/// Longest answer that is read: a cluster of tests has few brokers, and no topics are asked for.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// How many brokers the cluster has that take requests.
///
/// # Errors
/// No connection, no answer in time, or one that is no answer to `Metadata`.
pub(crate) fn brokers(at: SocketAddr) -> Result<usize> {
    let mut broker = TcpStream::connect_timeout(&at, WAIT)?;
    broker.set_read_timeout(Some(WAIT))?;
    broker.set_write_timeout(Some(WAIT))?;
    // Kafka protocol guide: length, then the header (api key 3 = Metadata, version 4, correlation id,
    // client id), then an empty list of topics and whether to create any.
    let mut request = vec![0, 3, 0, 4, 0, 0, 0, 1, 0, 5];
    request.extend_from_slice(b"xtask");
    request.extend_from_slice(&[0, 0, 0, 0, 0]);
    broker.write_all(&u32::try_from(request.len())?.to_be_bytes())?;
    broker.write_all(&request)?;

    let length = usize::try_from(number(&mut broker)?)?;
    ensure!((12..=ANSWER_BYTES_MAX).contains(&length), "an answer of {length} bytes");
    let correlation = number(&mut broker)?;
    ensure!(correlation == 1, "an answer to another question");
    let _throttled_ms = number(&mut broker)?;
    usize::try_from(number(&mut broker)?).context("a count below zero")
}

fn number(from: &mut TcpStream) -> Result<u32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}
