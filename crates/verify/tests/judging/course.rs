//! One run's course as lines of text, made into records of all topics; and what the judge says of it.

use std::collections::BTreeMap;

use events::{By, How, Json, Lifecycle, Problem, Run, TaskId, Timestamp, What, frame, schemas};
use verify::{Effect, Judge, Options, Record, Report};

/// A record that owns its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Owned {
    pub(crate) topic: String,
    pub(crate) partition: u32,
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) value: Option<Vec<u8>>,
}

pub(crate) struct Course {
    pub(crate) records: Vec<Owned>,
    books: Vec<Effect>,
    workflow: String,
    run: i64,
    now: i64,
    sequence: u64,
    epoch: u32,
    outputs: BTreeMap<String, String>,
    offsets: BTreeMap<String, i64>,
    begun: BTreeMap<String, i64>,
}

/// The words of a line: those by place, and `name=value`.
struct Words<'a> {
    plain: Vec<&'a str>,
    named: BTreeMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    fn of(line: &'a str) -> Self {
        let (named, plain): (Vec<_>, Vec<_>) =
            line.split(' ').filter(|word| !word.is_empty()).partition(|word| word.contains('='));
        let named = named.into_iter().filter_map(|word| word.split_once('=')).collect();
        Self { plain, named }
    }

    fn at(&self, place: usize) -> &'a str {
        self.plain.get(place).copied().unwrap_or("")
    }

    fn n(&self) -> u32 {
        self.plain.get(2).and_then(|n| n.parse().ok()).unwrap_or(1)
    }

    fn named(&self, name: &str, default: &str) -> String {
        self.named.get(name).copied().unwrap_or(default).to_owned()
    }

    fn list(&self, name: &str) -> Vec<TaskId> {
        let list = self.named(name, "");
        list.split(',').filter(|id| !id.is_empty()).map(TaskId::from).collect()
    }

    fn by(&self) -> Option<By> {
        let by = || By { actor: "ann".to_owned(), reason: "by hand".to_owned() };
        self.plain.contains(&"by").then(by)
    }
}

fn problem() -> Problem {
    Problem { task: None, code: "broken".to_owned(), message: String::new() }
}

impl Course {
    pub(crate) fn new() -> Self {
        Self {
            records: Vec::new(),
            books: Vec::new(),
            workflow: "shop:o-1".to_owned(),
            run: 7,
            now: 1_000_000,
            sequence: 0,
            epoch: 0,
            outputs: BTreeMap::new(),
            offsets: BTreeMap::new(),
            begun: BTreeMap::new(),
        }
    }

    /// Plays lines; empty ones and what stands behind a `#` are passed over.
    pub(crate) fn play(mut self, lines: &str) -> Self {
        for line in lines.lines() {
            let line = line.split('#').next().unwrap().trim();
            if !line.is_empty() {
                self.line(line);
                self.now += 1000;
            }
        }
        self
    }

    fn push(&mut self, topic: &str, headers: &[(&str, String)], value: Option<Vec<u8>>) {
        let next = self.offsets.entry(topic.to_owned()).or_insert(0);
        let offset = *next;
        *next += 1;
        self.records.push(Owned {
            topic: topic.to_owned(),
            partition: 0,
            offset,
            timestamp: self.now,
            key: Some(self.workflow.clone().into_bytes()),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Some(value.clone().into_bytes())))
                .collect(),
            value,
        });
    }

    fn event(&mut self, what: What) {
        self.sequence += 1;
        let event = Lifecycle {
            workflow: self.workflow.as_str().into(),
            run: Run(self.run),
            sequence: self.sequence,
            time: Timestamp::from_millis(self.now),
            saga: "shop".into(),
            version: "v1".into(),
            what,
        };
        let name = event.schema();
        let schema = schemas().iter().find(|known| known.name == name).unwrap();
        let headers = [
            ("ce_type", name.to_owned()),
            ("ce_sequence", self.sequence.to_string()),
            ("pavane_run", self.run.to_string()),
        ];
        self.push("pavane.events", &headers, Some(frame(schema.id, &event.encode()).to_vec()));
    }

    fn key(&self, task: &str) -> String {
        format!("{}/{task}/{}.1", self.workflow, self.run)
    }

    fn inputs(&self, verb: &str, task: &str, words: &Words<'_>) -> String {
        let output = self.outputs.get(task);
        let status = if output.is_some() { "done" } else { "in_doubt" };
        let output = output.map_or("null", String::as_str);
        let whole = format!(
            r#"{{"inputs":{{}},"key":"{}","output":{output},"status":"{status}"}}"#,
            self.key(task)
        );
        words.named("inputs", if verb == "undo" { &whole } else { "{}" })
    }

    fn decide(&mut self, verb: &str, words: &Words<'_>) {
        let (task, n) = (words.at(1), words.n());
        let plain = task.split(['[', '~']).next().unwrap();
        let command = format!("{}/{task}/{}.{verb}{n}", self.workflow, self.run);
        let (agent, task_type) = (words.named("agent", plain), task.to_owned());
        let command = words.named("command", &command);
        let inputs = Json::parse(self.inputs(verb, task, words).as_bytes()).unwrap();
        let (task, agent) = (task.into(), agent.as_str().into());
        let deadline = Timestamp::from_millis(self.now + 60_000);
        let attempt = n;
        self.event(match verb {
            "do" => {
                What::TaskScheduled { task, attempt, agent, task_type, command, inputs, deadline }
            }
            _ => What::UndoScheduled { task, n, agent, task_type, command, inputs, deadline },
        });
    }

    fn send(&mut self, verb: &str, words: &Words<'_>) {
        let (task, n) = (words.at(1), words.n());
        let plain = task.split(['[', '~']).next().unwrap();
        let subject = format!("{}/{task}/{}.{verb}{n}", self.workflow, self.run);
        let kind = match verb {
            "do" => "pavane.DoTask",
            "undo" => "pavane.UndoTask",
            _ => "pavane.QueryTask",
        };
        let headers = [
            ("ce_type", kind.to_owned()),
            ("ce_id", subject.clone()),
            ("ce_subject", subject),
            ("pavane_idempotency_key", words.named("key", &self.key(task))),
            ("pavane_epoch", words.named("epoch", &self.epoch.to_string())),
            ("pavane_fence", words.named("fence", "0/1/5")),
        ];
        let inputs = words.named("sent", &self.inputs(verb, task, words));
        let topic = format!("pavane.tasks.{}", words.named("to", plain));
        self.push(&topic, &headers, Some(inputs.into_bytes()));
    }

    fn input(&mut self, kind: &str, subject: &str, value: &str) {
        let headers = [("ce_type", kind.to_owned()), ("ce_subject", subject.to_owned())];
        self.push("pavane.inbox", &headers, Some(value.as_bytes().to_vec()));
    }

    fn line(&mut self, line: &str) {
        let words = Words::of(line);
        let (verb, task) = (words.at(0), words.at(1));
        match verb {
            "do" | "undo" => {
                self.decide(verb, &words);
                self.send(verb, &words);
            }
            "decide" => self.decide("do", &words),
            "decide-undo" => self.decide("undo", &words),
            "send" => self.send("do", &words),
            "send-undo" => self.send("undo", &words),
            "query" => self.send("query", &words),
            "answer" => {
                let subject = format!("{}/{task}/{}.do{}", self.workflow, self.run, words.n());
                let output = words.named("output", &format!(r#"{{"by":"{task}"}}"#));
                self.input("pavane.TaskCompleted", &subject, &output);
            }
            "start" => {
                self.offsets.insert("pavane.inbox".to_owned(), self.run);
                let headers = [
                    ("ce_type", "pavane.StartWorkflow".to_owned()),
                    ("ce_id", words.named("id", "s1")),
                ];
                self.push("pavane.inbox", &headers, Some(b"{}".to_vec()));
            }
            "run" => {
                self.run = task.parse().unwrap();
                (self.sequence, self.epoch) = (0, 0);
                self.outputs.clear();
            }
            "wait" => self.now += task.parse::<i64>().unwrap(),
            "gap" => self.sequence += 1,
            "rewind" => self.sequence -= 1,
            "again" => {
                let mut last = self.records.last().unwrap().clone();
                last.offset += 1;
                *self.offsets.get_mut(&last.topic).unwrap() += 1;
                if task == "changed" {
                    last.value.as_mut().unwrap().push(0);
                }
                self.records.push(last);
            }
            "forget" => _ = self.records.pop(),
            "letter" => self.letter(&words),
            "raw" => {
                self.push(task, &[("ce_type", words.named("type", "x"))], Some(b"raw".to_vec()))
            }
            "book" => {
                let key = words.named("key", &self.key(task));
                let applied = !words.plain.contains(&"refused");
                let line = format!(
                    r#"{{"service": "{}", "key": "{key}", "op": "{}", "applied": {applied}}}"#,
                    words.named("service", task),
                    words.at(2)
                );
                self.books.push(Effect::parse(&line).unwrap());
            }
            _ => self.told(verb, &words),
        }
    }

    /// The dead letter of the newest record of the inbox.
    fn letter(&mut self, words: &Words<'_>) {
        let source = self.records.iter().rfind(|it| it.topic == "pavane.inbox").unwrap().clone();
        let mut letter = source.clone();
        letter.topic = "pavane.inbox.dlq".to_owned();
        let offset = source.offset.to_string();
        for (name, value) in [
            ("__dlq.errors.topic", "pavane.inbox"),
            ("__dlq.errors.partition", "0"),
            ("__dlq.errors.offset", &words.named("offset", &offset)),
            ("pavane_error_class", &words.named("class", "invalid")),
            ("pavane_error_code", &words.named("code", "bad_start")),
        ] {
            letter.headers.push((name.to_owned(), Some(value.as_bytes().to_vec())));
        }
        if let Some(value) = words.named.get("value") {
            letter.value = Some(value.as_bytes().to_vec());
        }
        let next = self.offsets.entry(letter.topic.clone()).or_insert(0);
        letter.offset = *next;
        *next += 1;
        self.records.push(letter);
    }

    #[allow(clippy::too_many_lines, reason = "one arm a word")]
    fn told(&mut self, verb: &str, words: &Words<'_>) {
        let (task, n, by): (TaskId, _, _) = (words.at(1).into(), words.n(), words.by());
        let (attempt, empty) = (n, String::new);
        let output = words.named("output", &format!(r#"{{"by":"{task}"}}"#));
        let json = || Json::parse(output.as_bytes()).unwrap();
        let code = words.named("code", "busy");
        let message = empty();
        let lists = (words.list("stands"), words.list("undone"), words.list("doubt"));
        let after = |wait: i64| Timestamp::from_millis(self.now + wait);
        let in_ms = words.named("in", "1000").parse().unwrap();
        let failed = |how| What::WorkflowFailed {
            how,
            problem: problem(),
            outputs: None,
            stands: lists.0.clone(),
            undone: lists.1.clone(),
            in_doubt: lists.2.clone(),
        };
        let what = match verb {
            "started" => {
                What::WorkflowStarted { start_id: words.named("id", "s1"), inputs: Json::null() }
            }
            "completed" => What::WorkflowCompleted { outputs: Json::null() },
            "compensated" => failed(How::Compensated),
            "partial" => failed(How::Partial),
            "failfast" => failed(How::Failed),
            "cancelled" if task.as_str().is_empty() => {
                let by = By { actor: empty(), reason: empty() };
                let (stands, undone, in_doubt) = lists;
                What::WorkflowCancelled { by, stands, undone, in_doubt }
            }
            "paused" => What::WorkflowPaused { problem: problem() },
            "resumed" => What::WorkflowResumed { by: By { actor: empty(), reason: empty() } },
            "turn" => {
                self.epoch = words.named("epoch", "1").parse().unwrap();
                What::CompensationStarted { epoch: self.epoch, problem: problem() }
            }
            "back" => What::CompensationCompleted { undone: Vec::new() },
            "blocked" => What::CompensationBlocked { problem: problem() },
            "begun" => What::TaskStarted { task, attempt, percent: None, note: None },
            "done" => {
                self.outputs.insert(task.to_string(), output.clone());
                What::TaskCompleted { task, attempt, output: json(), by }
            }
            "failed" => What::TaskFailed { task, attempt, code, message, by },
            "retried" => {
                What::TaskRetried { task, attempt, code, message, retry_at: after(in_ms), by }
            }
            "timeout" => {
                let late = words.named("early", "-1").parse().unwrap();
                What::TaskTimedOut { task, attempt, deadline: after(late) }
            }
            "doubt" => {
                What::TaskInDoubt { task, attempt, policy: "undo".to_owned(), code, message }
            }
            "skipped" => {
                What::TaskSkipped { task, reason: words.named("reason", "when"), output: None, by }
            }
            "cancelled" => What::TaskCancelled { task, attempt, reason: empty() },
            "undone" => What::UndoCompleted { task, n, nothing: false, by },
            "undo-failed" => {
                let retry_at = words.plain.contains(&"again").then(|| after(in_ms));
                What::UndoFailed { task, n, code, message, retry_at }
            }
            other => panic!("`{other}` is no word"),
        };
        self.begun.insert(verb.to_owned(), self.now);
        self.event(what);
    }

    /// What the judge says, with all topics given whole and nothing more to come.
    pub(crate) fn judged(&self, saga: &str) -> Report {
        self.judged_with(saga, Options { quiet_ms: Some(0), ..Options::default() })
    }

    pub(crate) fn judged_with(&self, saga: &str, options: Options) -> Report {
        let mut judge = Judge::new(options);
        judge.definition("shop", "v1", saga);
        for topic in ["inbox", "inbox.dlq", "events"] {
            judge.whole(&format!("pavane.{topic}"));
        }
        for agent in ["a", "b", "c", "d", "p"] {
            judge.whole(&format!("pavane.tasks.{agent}"));
        }
        for effect in &self.books {
            judge.book(effect);
        }
        feed(&mut judge, &self.records);
        judge.finish()
    }
}

pub(crate) fn feed<'a>(judge: &mut Judge, records: impl IntoIterator<Item = &'a Owned>) {
    for owned in records {
        let headers: Vec<verify::Header<'_>> =
            owned.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        judge.record(&Record {
            topic: &owned.topic,
            partition: owned.partition,
            offset: owned.offset,
            timestamp: owned.timestamp,
            key: owned.key.as_deref(),
            headers: &headers,
            value: owned.value.as_deref(),
        });
    }
}
