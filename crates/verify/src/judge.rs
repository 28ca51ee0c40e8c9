//! The judge: takes records of any topics, in any interleaving.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use serde_json::Value;

use crate::bench::Bench;
use crate::books::Books;
use crate::definition::Definition;
use crate::events::{self, At};
use crate::letters::{Letters, Sources, Taken};
use crate::record::{Effect, Record};
use crate::report::{Counts, Report};
use crate::run::Run;
use crate::settle::{self, Known};
use crate::workflow::{Next, Workflow, course};
use crate::{Invariant as I, Options, wire};

type Map<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;

/// What a topic is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Inbox,
    Events,
    /// An agent's.
    Tasks(Arc<str>),
    Definitions,
    /// Of the topic of that name.
    Letters(Box<str>),
    /// The journal, and what else is the coordinator's own.
    Private,
    /// Anybody's.
    User,
}

struct Topic {
    purpose: Purpose,
    whole: bool,
    sources: BTreeMap<u32, Sources>,
}

/// The judge of a system. Give it what you have, then [`Judge::finish`].
///
/// Within a partition records must come in their order, and an id's events come from one partition; all else
/// may come in any interleaving. What is missing from a topic proves something only where
/// [`Judge::whole`] says that all of that topic is given.
///
/// **Memory.** A run is held until it has ended and [`Options::ended_max`] others have ended after it; then it
/// is judged by what was seen until then, without the rules about what is missing, and dropped but for
/// its number; [`Counts::dropped`] says how many were. A live run is held whole: about 64 bytes an event, and its
/// outputs. Of the inbox, of topics of tasks and of users' topics 16 bytes a record are held for the newest
/// [`Options::sources_max`] of each partition; dead letters, starts and books' keys are all held.
pub struct Judge {
    pub(crate) options: Options,
    pub(crate) bench: Bench,
    pub(crate) counts: Counts,
    topics: Vec<Topic>,
    by_topic: Map<Box<str>, u32>,
    by_id: Map<Arc<str>, usize>,
    pub(crate) workflows: Vec<Workflow>,
    definitions: BTreeMap<(Box<str>, Box<str>), Option<Definition>>,
    pub(crate) books: Books,
    letters: Letters,
    /// Inbox places that were forwarded to their right partition.
    pub(crate) forwarded: BTreeSet<(u32, i64)>,
    pub(crate) lanes: BTreeMap<u32, BTreeMap<i64, i64>>,
    ended: VecDeque<(usize, i64)>,
    newest: i64,
}

impl Judge {
    /// A judge that has seen nothing.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            bench: Bench::new(&options),
            options,
            counts: Counts::default(),
            topics: Vec::new(),
            by_topic: Map::default(),
            by_id: Map::default(),
            workflows: Vec::new(),
            definitions: BTreeMap::new(),
            books: Books::default(),
            letters: Letters::default(),
            forwarded: BTreeSet::new(),
            lanes: BTreeMap::new(),
            ended: VecDeque::new(),
            newest: i64::MIN,
        }
    }

    /// Says that all records of this topic will be given, from its beginning on, or that there is no such
    /// topic: what is not in it then does not exist.
    pub fn whole(&mut self, topic: &str) {
        let number = self.topic(topic);
        if let Some(topic) = self.topics.get_mut(number as usize) {
            topic.whole = true;
        }
    }

    /// Takes a saga file's source, as it was deployed. The topics `definitions` and `inbox` have it too.
    pub fn definition(&mut self, saga: &str, version: &str, source: &str) {
        let key = (saga.into(), version.into());
        if self.definitions.contains_key(&key) {
            return;
        }
        let read = Definition::read(source);
        self.counts.definitions += u64::from(read.is_some());
        self.counts.definitions_unread += u64::from(read.is_none());
        self.definitions.insert(key, read);
    }

    /// Takes a line of a participant's book, in the order in which it was written. Books come before the
    /// topics: of a run that was dropped meanwhile they prove less.
    pub fn book(&mut self, effect: &Effect) {
        self.counts.effects += 1;
        self.books.take(effect, &mut self.bench);
    }

    /// Takes a record.
    pub fn record(&mut self, record: &Record<'_>) {
        self.counts.records += 1;
        self.newest = self.newest.max(record.timestamp);
        let number = self.topic(record.topic);
        let Some(topic) = self.topics.get_mut(number as usize) else { return };
        let at = At { topic: number, partition: record.partition, offset: record.offset };
        if matches!(topic.purpose, Purpose::Inbox | Purpose::Tasks(_) | Purpose::User) {
            let sources = topic.sources.entry(record.partition).or_default();
            sources.keep(record, self.options.sources_max);
        }
        match topic.purpose.clone() {
            Purpose::Events => self.event(record, at),
            Purpose::Inbox => self.input(record, at),
            Purpose::Tasks(agent) => self.command(record, &agent, at),
            Purpose::Definitions => self.deployment(record),
            Purpose::Letters(of) => self.letter(record, &of),
            Purpose::Private | Purpose::User => self.counts.passed_over += 1,
        }
    }

    fn topic(&mut self, name: &str) -> u32 {
        if let Some(number) = self.by_topic.get(name) {
            return *number;
        }
        let number = u32::try_from(self.topics.len()).unwrap_or(u32::MAX);
        let own = name.strip_prefix(self.options.prefix.as_str());
        let purpose = match (name.strip_suffix(".dlq"), own) {
            (Some(of), _) => Purpose::Letters(of.into()),
            (None, Some("inbox")) => Purpose::Inbox,
            (None, Some("events")) => Purpose::Events,
            (None, Some("definitions")) => Purpose::Definitions,
            (None, Some("journal" | "snapshots" | "redrives")) => Purpose::Private,
            (None, own) => match own.and_then(|own| own.strip_prefix("tasks.")) {
                Some(agent) => Purpose::Tasks(agent.into()),
                None => Purpose::User,
            },
        };
        self.by_topic.insert(name.into(), number);
        self.topics.push(Topic { purpose, whole: false, sources: BTreeMap::new() });
        self.bench.topics.push(name.into());
        number
    }

    /// The place of a workflow, which is a new one's where it was not heard of.
    pub(crate) fn workflow(&mut self, id: &str) -> usize {
        if let Some(place) = self.by_id.get(id) {
            return *place;
        }
        let id: Arc<str> = id.into();
        self.by_id.insert(Arc::clone(&id), self.workflows.len());
        let (runs, starts, dropped) = (Vec::new(), Vec::new(), Vec::new());
        self.workflows.push(Workflow { id, runs, starts, dropped });
        self.workflows.len() - 1
    }

    fn event(&mut self, record: &Record<'_>, at: At) {
        let here = format_args!("{}/{}/{}", record.topic, record.partition, record.offset);
        let ce_type = record.header("ce_type").unwrap_or_default();
        let value = record.value.unwrap_or_default();
        let event = match wire::read(ce_type, value) {
            Ok(event) => event,
            Err(error) => {
                let message = format!("{here}, `{ce_type}`: {error}");
                return self.bench.blame(I::Readable, message);
            }
        };
        let number = |name: &str| record.header(name).and_then(|text| text.parse::<i64>().ok());
        let said = (record.key_text(), number("pavane_run"), number("ce_sequence"));
        if said != (Some(event.workflow), Some(event.run), Some(event.sequence)) {
            let message = format!("{here}: key and headers say {said:?}, the value something else");
            self.bench.blame(I::Readable, message);
        }
        let whole = self.is_whole(at.topic);
        let place = self.workflow(event.workflow);
        let Some(workflow) = self.workflows.get_mut(place) else { return };
        if workflow.dropped.contains(&event.run) {
            self.counts.unjudged += 1;
            return;
        }
        let found = workflow.runs.iter().position(|run| run.number == event.run);
        if event.sequence == 1
            && found.is_none_or(|run| workflow.runs.get(run).is_none_or(|run| run.sequence == 0))
        {
            workflow.one_at_a_time(&event, self.options.remember_ms, &mut self.bench);
        }
        let run = found.unwrap_or_else(|| {
            workflow.runs.push(Run::new(event.run));
            workflow.runs.len() - 1
        });
        let Some(run) = workflow.runs.get_mut(run) else { return };
        let hash = crate::bench::hash_of([value.get(5..).unwrap_or_default()]);
        match course(&workflow.id, run, &event, hash, whole, &mut self.bench) {
            Next::Again => self.counts.repeats += 1,
            Next::Unjudged => self.counts.unjudged += u64::from(run.sequence == event.sequence),
            Next::Takes => {
                let was_live = run.end.is_none();
                self.counts.events += 1;
                self.counts.runs += u64::from(event.sequence == 1);
                events::take(&workflow.id, run, &event, at, &mut self.bench);
                if was_live && run.end.is_some() {
                    self.counts.ended += 1;
                    self.ended.push_back((place, event.run));
                    self.drop_oldest();
                }
            }
        }
    }

    fn deployment(&mut self, record: &Record<'_>) {
        let Some(value) = record.value else { return };
        let Ok(value) = serde_json::from_slice::<Value>(value) else {
            let here = format!("{}/{}/{}", record.topic, record.partition, record.offset);
            return self.bench.blame(I::Readable, format!("{here} is no JSON"));
        };
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        self.definition(text("name"), text("version"), text("text"));
    }

    fn letter(&mut self, record: &Record<'_>, of: &str) {
        let (topics, by_topic) = (&self.topics, &self.by_topic);
        let sources = |topic: &str, partition: u32| {
            topics.get(*by_topic.get(topic)? as usize)?.sources.get(&partition)
        };
        match self.letters.take(record, of, sources, &mut self.bench) {
            Taken::New => self.counts.dead_letters += 1,
            Taken::Again => self.counts.repeats += 1,
        }
    }

    pub(crate) fn is_whole(&self, topic: u32) -> bool {
        self.topics.get(topic as usize).is_some_and(|topic| topic.whole)
    }

    fn is_whole_by_name(&self, topic: &str) -> bool {
        self.by_topic.get(topic).is_some_and(|number| self.is_whole(*number))
    }

    fn drop_oldest(&mut self) {
        while self.ended.len() > self.options.ended_max {
            let Some((place, number)) = self.ended.pop_front() else { return };
            self.judge_run(place, number, false);
            self.counts.dropped += 1;
            let Some(workflow) = self.workflows.get_mut(place) else { continue };
            workflow.runs.retain(|run| run.number != number);
            workflow.dropped.push(number);
        }
    }

    /// `all_seen`: nothing more about it can come, so that what is missing proves something.
    fn judge_run(&mut self, place: usize, number: i64, all_seen: bool) {
        let Some(workflow) = self.workflows.get_mut(place) else { return };
        let Some(run) = workflow.runs.iter().position(|run| run.number == number) else { return };
        let run = workflow.runs.swap_remove(run);
        let id = Arc::clone(&workflow.id);
        for key in run.tasks.iter().flat_map(|task| task.key.iter().chain(&task.former)) {
            self.books.commanded(key);
        }
        let mut bench = std::mem::replace(&mut self.bench, Bench::new(&self.options));
        let prefix = &self.options.prefix;
        let inbox = format!("{prefix}inbox");
        let definition = self.definitions.get(&((&*run.saga).into(), (&*run.version).into()));
        let known = Known {
            definition: definition.and_then(Option::as_ref),
            books: &self.books,
            inbox: all_seen && self.is_whole_by_name(&inbox),
            events: all_seen && self.is_whole_by_name(&format!("{prefix}events")),
            tasks: &|agent| all_seen && self.is_whole_by_name(&format!("{prefix}tasks.{agent}")),
            is_dead: &|partition, offset| self.letters.is_dead(&inbox, partition, offset),
            quiet_since: self.quiet_since().filter(|_| all_seen),
        };
        settle::judge(&id, &run, &known, &mut bench);
        self.bench = bench;
        if let Some(workflow) = self.workflows.get_mut(place) {
            workflow.runs.push(run);
        }
    }

    pub(crate) fn quiet_since(&self) -> Option<i64> {
        let now = self.options.now.unwrap_or(self.newest);
        self.options.quiet_ms.map(|quiet| now.saturating_sub(quiet))
    }

    /// Judges what is left, and says what was found.
    #[must_use]
    pub fn finish(mut self) -> Report {
        for place in 0..self.workflows.len() {
            let numbers: Vec<i64> = self
                .workflows
                .get(place)
                .map_or_else(Vec::new, |it| it.runs.iter().map(|run| run.number).collect());
            for number in numbers {
                self.judge_run(place, number, true);
            }
        }
        let mut bench = std::mem::replace(&mut self.bench, Bench::new(&self.options));
        let prefix = self.options.prefix.clone();
        let whole = |topic: &str| self.is_whole_by_name(topic);
        let all_tasks =
            self.topics.iter().all(|it| it.whole || !matches!(it.purpose, Purpose::Tasks(_)));
        let of_service = |service: Option<&str>| match service {
            Some(service) => whole(&format!("{prefix}tasks.{service}")),
            None => all_tasks,
        };
        self.books.settle(of_service, &mut bench);
        let sources = |topic: &str, partition: u32| {
            let number = *self.by_topic.get(topic)?;
            self.topics.get(number as usize)?.sources.get(&partition)
        };
        self.letters.settle(sources, whole, &mut bench);
        let inbox = format!("{prefix}inbox");
        let is_dead = |partition, offset| self.letters.is_dead(&inbox, partition, offset);
        let given =
            [&inbox, &format!("{prefix}events"), &format!("{inbox}.dlq")].map(|it| whole(it));
        self.starts(given, &is_dead, &mut bench);
        Report { counts: self.counts, violations: bench.found, violations_total: bench.total }
    }
}
