//! Participants that answer at once and keep no books: what is measured is the engine.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use events::{Destination, Header, Outgoing, Payload, Record, ce_type, header};
use stream::{Broker, Fed, Feed, LogError, Outlet, Purpose, Settled, Share, Stop, Ticket};

use crate::bench::agent;
use crate::failure::Failure;

/// What their process says once no command of the floor can be missed.
pub(crate) const READY: &str = "ready";
/// Longest wait for commands; bounds how soon a wish to stop is heard.
const WAIT: Duration = Duration::from_millis(100);

/// Answers every command of all steps until asked to stop.
pub(crate) fn serve<B: Broker>(broker: &B, steps: u8, stop: &Stop) -> Result<(), LogError> {
    let topics: Vec<_> = (1..=steps).map(|step| broker.topics().tasks(&agent(step))).collect();
    for topic in &topics {
        broker.create(topic, Purpose::Tasks)?;
    }
    let group = broker.topics().group("bench");
    let mut feed = broker.join(&group, Share::Records { topics, starts: Vec::new() })?;
    let mut tickets = 0;
    while !stop.requested() {
        let records = match feed.next(WAIT)? {
            Fed::Records(records) => records,
            Fed::Idle | Fed::Lanes { .. } => continue,
        };
        let answers: Vec<Outgoing> = records.iter().filter_map(answer).collect();
        if !answers.is_empty() {
            feed.send(Ticket(tickets), answers)?;
            tickets += 1;
        }
        for settled in feed.settled(Duration::ZERO)? {
            match settled {
                Settled::Sent(_) => {}
                Settled::Failed { error, .. } => return Err(LogError::Lost(error.to_string())),
            }
        }
        // Workflows of an earlier run are nobody's concern, so what is read is done.
        let done: Vec<_> = records
            .iter()
            .map(|record| {
                let place = &record.place;
                (place.topic.clone(), place.partition, place.offset + 1)
            })
            .collect();
        feed.commit(&done)?;
    }
    Ok(())
}

fn answer(command: &Record) -> Option<Outgoing> {
    let subject = command.header_text(header::SUBJECT)?;
    (command.header_text(header::TYPE)? == ce_type::DO_TASK).then(|| Outgoing {
        to: Destination::Inbox,
        partition: None,
        key: command.key.clone(),
        value: Payload::Bytes(Bytes::from_static(b"{}")),
        headers: vec![
            Header::text(header::SPECVERSION, "1.0"),
            Header::text(header::ID, format!("{subject}.answer")),
            Header::text(header::SOURCE, "/bench"),
            Header::text(header::TYPE, ce_type::TASK_COMPLETED),
            Header::text(header::SUBJECT, subject),
            Header::text(header::CONTENT_TYPE, header::JSON),
        ],
    })
}

/// The participants in a process of their own, which ends when its stdin does: with its parent,
/// however that ends.
pub(crate) struct Participants(Child);

impl Participants {
    /// Starts this very program again, with the configuration in force here.
    pub(crate) fn spawn(steps: u8, bootstrap: &str) -> Result<Self, Failure> {
        let failed =
            |error: std::io::Error| Failure::from_error("no process for participants", &error);
        let program = std::env::current_exe().map_err(failed)?;
        let mut command = Command::new(program);
        command.args(["bench", "participants", "--kafka", bootstrap, "--steps"]);
        command.arg(steps.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let said = child.stdout.take();
        let started = Self(child);
        let mut line = String::new();
        if let Some(said) = said {
            BufReader::new(said).read_line(&mut line).map_err(failed)?;
        }
        match line.trim() {
            READY => Ok(started),
            _ => Err(Failure::failed("the participants' process has ended")
                .next("PAVANE_LOG=info with the same command")),
        }
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Whether it has ended, which it does not do by itself unless it has failed.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Participants {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        if let Err(error) = self.0.wait() {
            tracing::warn!(%error, "the participants' process can not be waited for");
        }
    }
}

/// Asks to stop once whoever started this process closes its end of stdin.
pub(crate) fn stop_when_orphaned(stop: &Stop) {
    let orphaned = stop.clone();
    // Not joined: where serving fails first, the process ends with it, and so does this thread.
    drop(std::thread::spawn(move || {
        // Nothing is ever written to it; its end is the sign, and an error is its end too.
        let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
        orphaned.request();
    }));
}
