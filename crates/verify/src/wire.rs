//! The lifecycle events as docs/reference/events.md and the schemas have them: Confluent's framing, then
//! Avro's binary encoding (specification 1.12). Written from the documents, borrowed from the bytes.

/// A value that is no such event: at which byte, and what was expected there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: expected {what}")]
pub(crate) struct Unreadable {
    pub(crate) at: usize,
    pub(crate) what: &'static str,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event<'a> {
    pub(crate) workflow: &'a str,
    pub(crate) run: i64,
    pub(crate) sequence: i64,
    pub(crate) time: i64,
    pub(crate) saga: &'a str,
    pub(crate) version: &'a str,
    pub(crate) what: What<'a>,
}

/// What a command's event says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order<'a> {
    pub(crate) agent: &'a str,
    pub(crate) command: &'a str,
    pub(crate) inputs: &'a str,
    pub(crate) deadline: i64,
}

/// How a failed run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Failed,
    Compensated,
    Partial,
}

/// What is left behind, as an end event lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rest<'a> {
    pub(crate) stands: Vec<&'a str>,
    pub(crate) undone: Vec<&'a str>,
    pub(crate) in_doubt: Vec<&'a str>,
}

/// What happened to the run as a whole, or to a task of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What<'a> {
    Started { start_id: &'a str },
    Completed,
    Failed { how: How, rest: Rest<'a> },
    Cancelled { rest: Rest<'a> },
    Paused,
    Resumed,
    CompensationStarted { epoch: i64 },
    CompensationCompleted,
    CompensationBlocked,
    Task { task: &'a str, n: i64, does: Does<'a> },
    SignalReceived { task: Option<&'a str> },
}

/// What happened to a task. `by`: an operator has ordered it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Does<'a> {
    Scheduled(Order<'a>),
    Started,
    Completed { output: &'a str, by: bool },
    Failed { code: &'a str, by: bool },
    Retried { code: &'a str, at: i64, by: bool },
    TimedOut { deadline: i64 },
    InDoubt { code: &'a str },
    Skipped { reason: &'a str, by: bool },
    Cancelled,
    UndoScheduled(Order<'a>),
    UndoCompleted { by: bool },
    UndoFailed { code: &'a str, at: Option<i64> },
    TimerFired,
}

/// Reads a framed value of the type that the header `ce_type` names.
pub(crate) fn read<'a>(ce_type: &str, value: &'a [u8]) -> Result<Event<'a>, Unreadable> {
    let mut from = match value {
        [0, _, _, _, _, datum @ ..] => Avro { bytes: datum, at: 0 },
        [..] => return Err(Unreadable { at: 0, what: "Confluent's five bytes" }),
    };
    let event = Event {
        workflow: from.text()?,
        run: from.long()?,
        sequence: from.long()?,
        time: from.long()?,
        saga: from.text()?,
        version: from.text()?,
        what: what(ce_type, &mut from)?,
    };
    match from.at == from.bytes.len() {
        true => Ok(event),
        false => Err(Unreadable { at: from.at + 5, what: "the end" }),
    }
}

fn what<'a>(ce_type: &str, from: &mut Avro<'a>) -> Result<What<'a>, Unreadable> {
    Ok(match ce_type {
        "pavane.WorkflowStarted" => {
            let start_id = from.text()?;
            from.text()?;
            What::Started { start_id }
        }
        "pavane.WorkflowCompleted" => {
            from.text()?;
            What::Completed
        }
        "pavane.WorkflowFailed" => {
            let how = match from.long()? {
                0 => How::Failed,
                1 => How::Compensated,
                2 => How::Partial,
                _ => return Err(from.broken("one of three ways of failing")),
            };
            from.problem()?;
            from.optional(Avro::text)?;
            What::Failed { how, rest: from.rest()? }
        }
        "pavane.WorkflowCancelled" => {
            from.by()?;
            What::Cancelled { rest: from.rest()? }
        }
        "pavane.WorkflowPaused" => {
            from.problem()?;
            What::Paused
        }
        "pavane.WorkflowResumed" => {
            from.by()?;
            What::Resumed
        }
        "pavane.CompensationStarted" => {
            let epoch = from.long()?;
            from.problem()?;
            What::CompensationStarted { epoch }
        }
        "pavane.CompensationCompleted" => {
            from.texts()?;
            What::CompensationCompleted
        }
        "pavane.CompensationBlocked" => {
            from.problem()?;
            What::CompensationBlocked
        }
        "pavane.SignalReceived" => {
            from.text()?;
            from.text()?;
            What::SignalReceived { task: from.optional(Avro::text)? }
        }
        _ => return of_task(ce_type, from),
    })
}

/// The events of tasks all begin with the task; most have a number next.
fn of_task<'a>(ce_type: &str, from: &mut Avro<'a>) -> Result<What<'a>, Unreadable> {
    let task = from.text()?;
    let mut n = 0;
    if !matches!(ce_type, "pavane.TaskSkipped" | "pavane.TimerFired") {
        n = from.long()?;
    }
    let does = match ce_type {
        "pavane.TaskScheduled" => Does::Scheduled(from.order()?),
        "pavane.TaskStarted" => {
            from.optional(Avro::double)?;
            from.optional(Avro::text)?;
            Does::Started
        }
        "pavane.TaskCompleted" => {
            Does::Completed { output: from.text()?, by: from.optional(Avro::by)?.is_some() }
        }
        "pavane.TaskFailed" => {
            let code = from.text()?;
            from.text()?;
            Does::Failed { code, by: from.optional(Avro::by)?.is_some() }
        }
        "pavane.TaskRetried" => {
            let code = from.text()?;
            from.text()?;
            Does::Retried { code, at: from.long()?, by: from.optional(Avro::by)?.is_some() }
        }
        "pavane.TaskTimedOut" => Does::TimedOut { deadline: from.long()? },
        "pavane.TaskInDoubt" => {
            from.text()?;
            let code = from.text()?;
            from.text()?;
            Does::InDoubt { code }
        }
        "pavane.TaskSkipped" => {
            let reason = from.text()?;
            from.optional(Avro::text)?;
            Does::Skipped { reason, by: from.optional(Avro::by)?.is_some() }
        }
        "pavane.TaskCancelled" => {
            from.text()?;
            Does::Cancelled
        }
        "pavane.UndoScheduled" => Does::UndoScheduled(from.order()?),
        "pavane.UndoCompleted" => {
            from.flag()?;
            Does::UndoCompleted { by: from.optional(Avro::by)?.is_some() }
        }
        "pavane.UndoFailed" => {
            let code = from.text()?;
            from.text()?;
            Does::UndoFailed { code, at: from.optional(Avro::long)? }
        }
        "pavane.TimerFired" => Does::TimerFired,
        _ => return Err(from.broken("an event of the documented names")),
    };
    Ok(What::Task { task, n, does })
}

struct Avro<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Avro<'a> {
    fn broken(&self, what: &'static str) -> Unreadable {
        Unreadable { at: self.at + 5, what }
    }

    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], Unreadable> {
        let end = self.at.checked_add(count);
        let part = end.and_then(|end| self.bytes.get(self.at..end));
        let part = part.ok_or_else(|| self.broken(what))?;
        self.at += count;
        Ok(part)
    }

    fn long(&mut self) -> Result<i64, Unreadable> {
        let mut zigzag = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = *self.take(1, "an integer")? else { return Err(self.broken("a byte")) };
            zigzag |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed());
            }
        }
        Err(self.broken("an integer of at most 64 bits"))
    }

    fn text(&mut self) -> Result<&'a str, Unreadable> {
        let length = usize::try_from(self.long()?).map_err(|_| self.broken("a length"))?;
        let bytes = self.take(length, "a text of that length")?;
        std::str::from_utf8(bytes).map_err(|_| self.broken("UTF-8 before this place"))
    }

    fn texts(&mut self) -> Result<Vec<&'a str>, Unreadable> {
        let mut texts = Vec::new();
        loop {
            let count = self.long()?;
            if count < 0 {
                self.long()?;
            }
            for _ in 0..count.unsigned_abs() {
                texts.push(self.text()?);
            }
            if count == 0 {
                return Ok(texts);
            }
        }
    }

    fn flag(&mut self) -> Result<bool, Unreadable> {
        Ok(self.take(1, "a boolean")? != [0])
    }

    fn double(&mut self) -> Result<(), Unreadable> {
        self.take(8, "a double").map(drop)
    }

    fn optional<T>(
        &mut self,
        some: impl FnOnce(&mut Self) -> Result<T, Unreadable>,
    ) -> Result<Option<T>, Unreadable> {
        match self.long()? {
            0 => Ok(None),
            1 => some(self).map(Some),
            _ => Err(self.broken("null or a value")),
        }
    }

    /// Actor and reason.
    fn by(&mut self) -> Result<(), Unreadable> {
        self.text()?;
        self.text().map(drop)
    }

    /// Task, code and message.
    fn problem(&mut self) -> Result<(), Unreadable> {
        self.optional(Self::text)?;
        self.text()?;
        self.text().map(drop)
    }

    fn rest(&mut self) -> Result<Rest<'a>, Unreadable> {
        Ok(Rest { stands: self.texts()?, undone: self.texts()?, in_doubt: self.texts()? })
    }

    fn order(&mut self) -> Result<Order<'a>, Unreadable> {
        let agent = self.text()?;
        self.text()?;
        Ok(Order { agent, command: self.text()?, inputs: self.text()?, deadline: self.long()? })
    }
}

/// What a command's subject says: `<workflow>/<task>/<run>.do<n>`, `.undo<n>` or `.query<n>`, read from
/// the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subject<'a> {
    pub(crate) workflow: &'a str,
    pub(crate) task: &'a str,
    pub(crate) run: i64,
    pub(crate) asks: Asks,
    pub(crate) n: i64,
}

/// What a command asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    Do,
    Undo,
    Query,
    /// Stop a do; no subject says so, but the type.
    Cancel,
}

pub(crate) fn subject(text: &str) -> Option<Subject<'_>> {
    let (rest, last) = text.rsplit_once('/')?;
    let (workflow, task) = rest.rsplit_once('/')?;
    let (run, command) = last.split_once('.')?;
    let (asks, n) = [("do", Asks::Do), ("undo", Asks::Undo), ("query", Asks::Query)]
        .iter()
        .find_map(|(word, asks)| Some((*asks, command.strip_prefix(word)?)))?;
    let (run, n) = (run.parse().ok()?, n.parse().ok()?);
    Some(Subject { workflow, task, run, asks, n })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.chars().map(|it| it.to_digit(16).unwrap() as u8).collect();
        digits.chunks(2).map(|pair| pair[0] * 16 + pair[1]).collect()
    }

    /// The golden examples were written by another implementation (fastavro).
    #[test]
    fn every_documented_event_is_read_and_no_part_of_one_is() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/examples");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read(entry.unwrap().path()).unwrap();
            let example: serde_json::Value = serde_json::from_slice(&text).unwrap();
            let (name, fields) = (example["schema"].as_str().unwrap(), &example["fields"]);
            let datum = bytes_of(example["datum_hex"].as_str().unwrap());
            let value = [&[0, 0, 0, 0, 9], &datum[..]].concat();
            let event = read(name, &value).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(event.workflow, fields["workflow_id"]);
            assert_eq!(event.run, fields["run"]);
            assert_eq!(event.sequence, fields["sequence"]);
            assert_eq!(event.time, fields["time"]);
            assert_eq!(
                (event.saga, event.version),
                (fields["saga"].as_str().unwrap(), fields["version"].as_str().unwrap())
            );
            if let What::Task { task, n, does } = event.what {
                assert_eq!(task, fields["task"]);
                let number = fields.get("attempt").or(fields.get("n")).cloned();
                assert_eq!(n, number.unwrap_or(0.into()));
                if let Does::Scheduled(order) | Does::UndoScheduled(order) = does {
                    assert_eq!(order.command, fields["command"]);
                    assert_eq!(order.inputs, fields["inputs"]);
                    assert_eq!(order.deadline, fields["deadline"]);
                }
            }
            for cut in 0..value.len() {
                assert!(read(name, &value[..cut]).is_err(), "{name} {cut}");
            }
            count += 1;
        }
        assert_eq!(count, 23);
    }

    #[test]
    fn a_subject_is_read_from_the_right() {
        let read = subject("orders:eu/17.do3/x/research[2]/1042.undo7").unwrap();
        assert_eq!((read.workflow, read.task), ("orders:eu/17.do3/x", "research[2]"));
        assert_eq!((read.run, read.asks, read.n), (1042, Asks::Undo, 7));
        for wrong in ["", "a/b", "a/b/x.do1", "a/b/1.do", "a/b/1.redo1"] {
            assert!(subject(wrong).is_none(), "{wrong}");
        }
    }
}
