//! The tasks of a file.

use std::collections::BTreeMap;
use std::time::Duration;

use super::computed;
use super::defaults::{Defaults, IN_DOUBT, KINDS};
use super::draft::{At, TopicDraft};
use super::file::{given_twice, lacks};
use super::findings::{Finding, Findings, Span};
use super::inputs::Known;
use super::keys::{self, not_in_this_build, unknown};
use super::node::{
    ActionDraft, DeadlineDraft, FailureDraft, IdempotencyDraft, InputsDraft, Stand, TaskDraft,
};
use super::retry::{self, Compensation};
use super::{nearest, read};
use crate::plan::{InDoubt, Join, Kind, RetryPlan, Role, Strategy};
use crate::yaml::{Entry, Node};

/// Tasks of a file, those within others included.
pub(super) const TASKS_MAX: usize = 1000;
/// Lists of tasks within one another.
const DEPTH_MAX: usize = 8;
/// The list at the top of the file.
pub(super) const TOP: usize = 0;

/// Reads tasks.
pub(super) struct Tasks<'f> {
    pub(super) known: Known,
    pub(super) topics: &'f [TopicDraft],
    pub(super) defaults: &'f Defaults,
    pub(super) compensation: &'f Compensation,
    pub(super) findings: &'f mut Findings,
    read: Vec<TaskDraft>,
    lists: usize,
    ids: BTreeMap<String, Span>,
}

/// The list that tasks are read from.
pub(super) struct List {
    pub(super) parent: Option<usize>,
    pub(super) host: Option<usize>,
    pub(super) role: Role,
    /// Each depends on the one before.
    pub(super) sequential: bool,
}

impl<'f> Tasks<'f> {
    pub(super) fn of(
        known: Known,
        topics: &'f [TopicDraft],
        defaults: &'f Defaults,
        compensation: &'f Compensation,
        findings: &'f mut Findings,
    ) -> Self {
        let (read, lists, ids) = (Vec::new(), TOP, BTreeMap::new());
        Self { known, topics, defaults, compensation, findings, read, lists, ids }
    }

    pub(super) fn into_read(self) -> Vec<TaskDraft> {
        self.read
    }

    /// The tasks of the file.
    pub(super) fn read_top(&mut self, node: &Node) {
        if node.list().is_some_and(<[Node]>::is_empty) {
            let finding = Finding::error("E105", node.span, "the file lacks tasks");
            self.findings.push(finding.help("as in `tasks: [{id: a, agent: x}]`"));
        }
        let list = List { parent: None, host: None, role: Role::Child, sequential: false };
        let _ = self.read_list("tasks", node, &list);
    }

    /// A list of tasks: their places.
    pub(super) fn read_list(&mut self, key: &str, node: &Node, list: &List) -> Vec<usize> {
        let depth =
            list.host.and_then(|host| self.read.get(host)).map_or(0, |host| host.stand.depth);
        if depth >= DEPTH_MAX {
            self.too_deep(node);
            return Vec::new();
        }
        let each = read::list(key, node, self.findings).unwrap_or_default();
        let mut stand = Stand {
            parent: list.parent,
            host: list.host,
            role: list.role,
            list: self.next_list(),
            follows: None,
            depth: depth + 1,
        };
        let mut places = Vec::new();
        for each in each.iter().take(TASKS_MAX + 1) {
            if list.sequential {
                stand.follows = places.last().copied();
                self.refuse(each, &["depends_on"], "a task under `sequential`", IN_ORDER);
            }
            let place = self.read_task(each, stand);
            if let Some(task) = place.filter(|_| list.sequential).and_then(|at| self.at(at)) {
                task.depends_on.clear();
            }
            places.extend(place);
        }
        places
    }

    fn too_deep(&mut self, node: &Node) {
        let message = format!("tasks are nested more than {DEPTH_MAX} deep");
        self.findings.push(Finding::error("E108", node.span, message).help("split the saga"));
    }

    pub(super) fn next_list(&mut self) -> usize {
        self.lists += 1;
        self.lists - 1
    }

    pub(super) fn add(&mut self, id: At<String>, stand: Stand) -> usize {
        let nowhere = id.span;
        self.read.push(TaskDraft {
            id,
            stand,
            action: ActionDraft::Broken,
            inputs: InputsDraft::Absent,
            returns: None,
            depends_on: Vec::new(),
            join: At { it: Join::All, span: nowhere },
            when: None,
            alone: false,
            timeout: None,
            timeout_said: false,
            deadline: None,
            retry: At { it: RetryPlan { max_attempts: 1, ..retry::of_tasks() }, span: nowhere },
            kind: Kind::ReadOnly,
            kind_said: None,
            in_doubt: None,
            undo: None,
            idempotency: IdempotencyDraft::Key,
            optional: None,
            fallback: None,
            on_failure: None,
        });
        self.read.len() - 1
    }

    /// A task that is being read.
    pub(super) fn at(&mut self, place: usize) -> Option<&mut TaskDraft> {
        self.read.get_mut(place)
    }

    pub(super) fn stand_of(&self, place: usize) -> Option<(At<String>, Stand)> {
        self.read.get(place).map(|task| (task.id.clone(), task.stand))
    }

    /// `None`: it is nothing that could be a task.
    fn read_task(&mut self, node: &Node, stand: Stand) -> Option<usize> {
        let entries = read::map("a task", node, self.findings)?;
        if self.refuse_short_form(entries) {
            return None;
        }
        keys::TASK.check(entries, self.findings);
        let id = self.read_id(node);
        let place = self.add(id, stand);
        self.read_conditions(place, node);
        self.read_what_it_does(place, node);
        Some(place)
    }

    /// `- inventory: Check stock levels`
    fn refuse_short_form(&mut self, entries: &[Entry]) -> bool {
        let [only] = entries else { return false };
        if keys::TASK.knows(&only.key) || nearest(&only.key, ["id", "agent"]).is_some() {
            return false;
        }
        let instead = format!("write `{{id: {0}, agent: {0}}}`", only.key);
        let what = format!("{}: ...", only.key);
        self.findings.push(not_in_this_build(&what, only.key_span, &instead));
        true
    }

    /// Without an id that is one, what was written: who names it is not wrong.
    fn read_id(&mut self, node: &Node) -> At<String> {
        let Some(written) = node.get("id") else {
            self.findings.push(lacks("a task", "id", node, "{id: payment, agent: payment}"));
            return At { it: String::new(), span: (node.span.0, node.span.0) };
        };
        let Some(id) = read::id("id", written, self.findings) else {
            return At { it: written.text().unwrap_or_default().to_owned(), span: written.span };
        };
        match self.ids.get(&id.it) {
            Some(first) => self.findings.push(given_twice("id", &id, *first, self.findings)),
            None => {
                self.ids.insert(id.it.clone(), id.span);
            }
        }
        id
    }

    /// Its body, once or for each element, and what runs when that fails.
    pub(super) fn read_what_it_does(&mut self, place: usize, node: &Node) {
        if let Some(node) = node.get("description") {
            let _ = read::text("description", node, self.findings);
        }
        if let Some(node) = node.get("labels") {
            read::labels(node, self.findings);
        }
        match node.get("for_each") {
            Some(each) => self.read_for_each(place, each, node),
            None => self.read_body(place, node),
        }
        if let Some(deadline) = node.get("deadline") {
            let deadline = self.read_deadline(deadline);
            if let Some(task) = self.at(place) {
                task.deadline = deadline;
            }
        }
        let fallback = node.get("fallback").and_then(|node| self.read_fallback(place, node));
        let on_failure = self.read_failure(node.get("on_failure"), Some(place));
        if let Some(task) = self.at(place) {
            task.fallback = fallback;
            task.on_failure = on_failure;
        }
    }

    /// When it starts, and what it is to those beside it.
    fn read_conditions(&mut self, place: usize, node: &Node) {
        let (depends_on, join) = match node.get("depends_on") {
            Some(node) => self.read_depends_on(node),
            None => (Vec::new(), At { it: Join::All, span: node.span }),
        };
        let when =
            node.get("when").and_then(|when| computed::computed("when", when, self.findings));
        let mut is = |key: &str| {
            node.get(key)
                .and_then(|node| Some((read::boolean(key, node, self.findings)?, node.span)))
        };
        let (parallel, optional) = (is("parallel"), is("optional"));
        if let Some(task) = self.at(place) {
            task.depends_on = depends_on;
            task.join = join;
            task.when = when;
            task.alone = parallel.is_some_and(|(parallel, _)| !parallel);
            task.optional = optional.filter(|(optional, _)| *optional).map(|(_, span)| span);
        }
    }

    fn read_deadline(&mut self, node: &Node) -> Option<DeadlineDraft> {
        if node.text().is_some_and(|text| text.contains("${")) {
            return computed::computed("deadline", node, self.findings).map(DeadlineDraft::At);
        }
        read::duration("deadline", node, self.findings).map(DeadlineDraft::Within)
    }

    /// What runs in its place when it has failed.
    fn read_fallback(&mut self, place: usize, node: &Node) -> Option<usize> {
        let Some(entries) = node.entries() else {
            let finding = read::must_be("fallback", "what a task does", node);
            self.findings.push(finding.help("as in `fallback: {agent: NAME}`"));
            return None;
        };
        keys::FALLBACK.check(entries, self.findings);
        let (id, stand) = self.stand_of(place)?;
        // A task that stands as deep as it may still has one.
        if stand.depth > DEPTH_MAX {
            self.too_deep(node);
            return None;
        }
        let stand = Stand {
            host: Some(place),
            role: Role::Fallback(place),
            list: self.next_list(),
            follows: None,
            depth: stand.depth + 1,
            ..stand
        };
        let id = At { it: format!("{}~fallback", id.it), span: (node.span.0, node.span.0 + 1) };
        let fallback = self.add(id, stand);
        self.read_what_it_does(fallback, node);
        Some(fallback)
    }

    /// `on_failure` of the file, or of a task.
    pub(super) fn read_failure(
        &mut self,
        node: Option<&Node>,
        of: Option<usize>,
    ) -> Option<FailureDraft> {
        const WORDS: [(&str, Strategy); 4] = [
            ("compensate", Strategy::Compensate),
            ("continue", Strategy::Continue),
            ("fail_fast", Strategy::FailFast),
            ("pause", Strategy::Pause),
        ];
        let node = node?;
        let Some(entries) = node.entries() else {
            let strategy = read::word("on_failure", node, &WORDS, self.findings)?;
            return Some(FailureDraft { strategy, then: Vec::new() });
        };
        keys::ON_FAILURE.check(entries, self.findings);
        let strategy = match node.get("strategy") {
            Some(node) => read::word("strategy", node, &WORDS, self.findings),
            None => {
                let example = "{strategy: compensate, then: [...]}";
                self.findings.push(lacks("on_failure", "strategy", node, example));
                None
            }
        };
        let parent = of.and_then(|of| self.read.get(of)).and_then(|task| task.stand.parent);
        let list = List { parent, host: of, role: Role::Closing, sequential: false };
        let then = node.get("then").map(|then| self.read_list("then", then, &list));
        Some(FailureDraft {
            strategy: strategy.unwrap_or(Strategy::Compensate),
            then: then.unwrap_or_default(),
        })
    }

    /// Keys of the language that have no meaning where they stand.
    pub(super) fn refuse(&mut self, node: &Node, refused: &[&str], place: &str, help: &str) {
        for entry in node.entries().unwrap_or_default() {
            if refused.contains(&entry.key.as_str()) {
                self.findings.push(unknown(&entry.key, entry.key_span, place).help(help));
            }
        }
    }

    pub(super) fn read_kind(&mut self, node: &Node, has_undo: bool) -> (Kind, Option<Span>) {
        let said = node.get("kind").and_then(|node| {
            Some((read::word("kind", node, &KINDS, self.findings)?, Some(node.span)))
        });
        let default = self.defaults.kind.as_ref();
        match (said, has_undo) {
            (Some(said), _) => said,
            (None, true) => (Kind::Compensatable, None),
            (None, false) => {
                default.map_or((Kind::ReadOnly, None), |kind| (kind.it, Some(kind.span)))
            }
        }
    }

    /// A default of `undo` is for those that have one, of `query` for those that have an agent.
    pub(super) fn read_in_doubt(
        &mut self,
        node: &Node,
        action: &ActionDraft,
    ) -> Option<At<InDoubt>> {
        if let Some(node) = node.get("in_doubt") {
            let it = read::word("in_doubt", node, &IN_DOUBT, self.findings)?;
            return Some(At { it, span: node.span });
        }
        let it = self.defaults.in_doubt?;
        let fits = match it {
            InDoubt::Undo => node.get("compensate").is_some(),
            InDoubt::Query => matches!(action, ActionDraft::Agent { .. }),
            InDoubt::Hold => true,
        };
        fits.then_some(At { it, span: node.span })
    }

    pub(super) fn read_idempotency(&mut self, node: &Node) -> IdempotencyDraft {
        let Some(node) = node.get("idempotency") else { return IdempotencyDraft::Key };
        if node.text().is_some_and(|text| text.contains("${")) {
            let written = computed::template(node, self.findings);
            return written.map_or(IdempotencyDraft::Key, IdempotencyDraft::Computed);
        }
        let words = [("key", 0), ("natural", 1), ("none", 2)];
        match read::word("idempotency", node, &words, self.findings) {
            Some(1) => IdempotencyDraft::Natural,
            Some(2) => IdempotencyDraft::Never(node.span),
            Some(_) | None => IdempotencyDraft::Key,
        }
    }

    pub(super) fn read_retry(&mut self, node: &Node, base: At<RetryPlan>) -> At<RetryPlan> {
        match node.get("retry") {
            Some(node) => At { it: retry::read(node, &base.it, self.findings), span: node.span },
            None => base,
        }
    }

    pub(super) fn duration_of(&mut self, key: &str, node: &Node) -> Option<At<Duration>> {
        node.get(key).and_then(|node| read::duration(key, node, self.findings))
    }
}

const IN_ORDER: &str =
    "under `sequential` each task depends on the one before; use `tasks` for any other order";
