//! The same histories before the judge that stands outside: records on topics and lines in books.

use events::{Destination, Json, Outgoing, Payload, Topics, frame, header, schemas};
use saga::{Answer, Known};
use verify::{Effect, Judge, Op, Options, Record, Report};

use crate::participants::{Entry as Book, Participants};
use crate::world::{Entry, World, text};

const INBOX: &str = "pavane.inbox";

/// What it says of all that was seen.
pub(crate) fn judge(world: &World, yaml: &str, participants: &Participants) -> Report {
    let quiet_ms = world.is_at_rest().then_some(0);
    let options = Options { quiet_ms, now: Some(i64::MAX), ..Options::default() };
    let mut outside = Outside { judge: Judge::new(options), offset: 1, now: 0 };
    for topic in [INBOX, "pavane.inbox.dlq", "pavane.events"] {
        outside.judge.whole(topic);
    }
    for (key, book) in &participants.books {
        outside.book(key, *book);
    }
    let (saga, _) = world.id.parts().unwrap();
    let headers = [("ce_type", "pavane.StartWorkflow"), ("ce_id", "s1")];
    outside.inbox(world.id.as_str(), &headers, b"{}");
    for entry in &world.log {
        match entry {
            Entry::Sent(record) => outside.sent(record, saga, yaml),
            Entry::Told(subject, answer) => {
                let subject = subject.to_string();
                let (kind, value) = said(answer);
                let headers = [("ce_type", kind), ("ce_subject", subject.as_str())];
                outside.inbox(world.id.as_str(), &headers, value.as_str().as_bytes());
            }
            Entry::Event(..)
            | Entry::Ordered(_)
            | Entry::Woken(_)
            | Entry::Unsent(..)
            | Entry::Dead(_)
            | Entry::Passed(_)
            | Entry::Happened(..) => {}
        }
    }
    outside.judge.finish()
}

fn said(answer: &Answer) -> (&'static str, Json) {
    match answer {
        Answer::Completed(output) => ("pavane.TaskCompleted", output.clone()),
        Answer::Status { status: Known::Done, output } => {
            let value = serde_json::json!({"status": "done", "output": output.value()});
            ("pavane.TaskStatus", Json::from_value(&value))
        }
        Answer::Status { .. } => ("pavane.TaskStatus", Json::null()),
        Answer::NothingToUndo => ("pavane.NothingToUndo", Json::null()),
        Answer::Failed(_) => ("pavane.TaskFailed", Json::null()),
        Answer::Progress { .. } => ("pavane.TaskProgress", Json::null()),
    }
}

struct Outside {
    judge: Judge,
    offset: i64,
    now: i64,
}

impl Outside {
    fn book(&mut self, key: &str, book: Book) {
        let ops: &[Op] = match book {
            Book::Nothing | Book::Refuses => &[],
            Book::Done => &[Op::Do],
            Book::Undone => &[Op::Do, Op::Undo],
        };
        for op in ops {
            let key = key.to_owned();
            self.judge.book(&Effect { service: None, key, op: *op, applied: true });
        }
    }

    fn record(&mut self, topic: &str, key: &str, headers: &[(&str, &[u8])], value: &[u8]) {
        let headers: Vec<verify::Header<'_>> =
            headers.iter().map(|(name, value)| (*name, Some(*value))).collect();
        self.judge.record(&Record {
            topic,
            partition: 0,
            offset: self.offset,
            timestamp: self.now,
            key: Some(key.as_bytes()),
            headers: &headers,
            value: Some(value),
        });
        self.offset += 1;
    }

    fn inbox(&mut self, key: &str, headers: &[(&str, &str)], value: &[u8]) {
        let headers: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        self.record(INBOX, key, &headers, value);
    }

    fn sent(&mut self, record: &Outgoing, saga: &str, yaml: &str) {
        if matches!(record.to, Destination::DeadLetters(_)) {
            return;
        }
        let value = match &record.value {
            Payload::Avro { schema, datum } => {
                let schema = schemas().iter().find(|known| known.name == *schema).unwrap();
                let event = events::Lifecycle::decode(schema.name, datum).unwrap();
                self.now = event.time.as_millis();
                self.judge.definition(saga, event.version.as_str(), yaml);
                frame(schema.id, datum)
            }
            Payload::Bytes(bytes) => bytes.clone(),
            Payload::Null => return,
        };
        assert!(!text(record, header::TYPE).is_empty());
        let topic = Topics::default().resolve(&record.to);
        let headers: Vec<(&str, &[u8])> = record
            .headers
            .iter()
            .map(|header| (&*header.name, &header.value.as_ref().unwrap()[..]))
            .collect();
        let key = std::str::from_utf8(record.key.as_ref().unwrap()).unwrap();
        self.record(topic.as_str(), key, &headers, &value);
    }
}
