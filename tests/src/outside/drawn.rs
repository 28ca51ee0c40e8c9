//! Random sagas: drawn from a seed and written as a saga file, with what must be known to judge them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::outside::chance::Chance;

/// Tasks of a saga, fallbacks not counted.
const TASKS_MAX: usize = 60;
/// The language lets 8 stand in one another; each level here may be a `for_each` too.
const DEPTH_MAX: usize = 3;
/// Who is asked; which one, the draw says.
pub(crate) const AGENTS: [&str; 3] = ["drawn-north", "drawn-south", "drawn-east"];
/// It may fail, in any way but silence.
pub(crate) const MAY_FAIL: &str = "may_fail";
/// It may also be silent, for its timeout is short.
pub(crate) const MAY_BE_SILENT: &str = "may_be_silent";
/// It is done at last.
pub(crate) const SURE: &str = "sure";

/// What a task is by `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Compensatable,
    Pivot,
    Retriable,
    ReadOnly,
}

/// A task that somebody is asked to do.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub(crate) kind: Kind,
    /// Whether it may fail for good.
    pub(crate) may_fail: bool,
    /// Whether it stands where nothing ever runs: `when` is false, its case is not taken.
    pub(crate) is_cut_off: bool,
    /// The `for_each` around it or of itself.
    pub(crate) each: Option<String>,
    /// All that must be settled before it begins, directly or not.
    pub(crate) before: BTreeSet<String>,
    /// One of `then`.
    pub(crate) is_closing: bool,
}

/// A drawn saga.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    /// Its name.
    pub(crate) name: String,
    /// The file.
    pub(crate) yaml: String,
    pub(crate) leaves: BTreeMap<String, Leaf>,
    /// `order: strict`.
    pub(crate) is_strict: bool,
}

/// Where a list of tasks stands.
#[derive(Clone, Debug, Default)]
struct Spot {
    indent: usize,
    depth: usize,
    before: BTreeSet<String>,
    each: Option<String>,
    is_cut_off: bool,
    past_pivot: bool,
    is_sequence: bool,
}

/// What a task of a list has turned out to be.
struct Part {
    id: String,
    leaves: BTreeSet<String>,
    before: BTreeSet<String>,
    /// Its output is there whenever what depends on it runs.
    is_sure: bool,
}

struct Drawing {
    chance: Chance,
    left: usize,
    next: usize,
    leaves: BTreeMap<String, Leaf>,
    out: String,
    /// `on_failure: compensate` of the whole file.
    compensates: bool,
}

/// Draws the saga of that seed.
#[must_use]
pub(crate) fn draw(seed: u64) -> Drawn {
    let mut chance = Chance::new(seed);
    let tasks = if chance.one_in(4) { TASKS_MAX } else { 4 + chance.below(20) };
    let strategy = ["compensate", "compensate", "compensate", "continue", "fail_fast"];
    let strategy = strategy[chance.below(strategy.len())];
    let is_strict = chance.one_in(5);
    let has_closing = strategy != "fail_fast" && chance.one_in(3);
    let parallel = if chance.one_in(4) { 2 + chance.below(4) } else { 100 };
    let name = format!("drawn-{seed}");
    let mut out = format!(
        "version: \"2.0\"
name: {name}
key: ${{inputs.k}}
inputs:
  - {{name: k, type: string}}
  - {{name: yes_, type: boolean, default: true}}
  - {{name: no_, type: boolean, default: false}}
max_parallel: {parallel}
compensation:
  order: {order}
  retry: {{max_attempts: 30, backoff: 20ms, max_backoff: 200ms}}
  grace: 5s
",
        order = if is_strict { "strict" } else { "graph" },
    );
    let mut leaves = BTreeMap::new();
    if has_closing {
        let agent = AGENTS[chance.below(AGENTS.len())];
        write!(
            out,
            "on_failure:
  strategy: {strategy}
  then: [{{id: last, agent: {agent}, type: {SURE}, kind: retriable, retry: {{backoff: 20ms, max_backoff: 200ms}}, inputs: {{}}}}]
"
        )
        .unwrap();
        let closing = Leaf {
            kind: Kind::Retriable,
            may_fail: false,
            is_cut_off: false,
            each: None,
            before: BTreeSet::new(),
            is_closing: true,
        };
        leaves.insert("last".to_owned(), closing);
    } else {
        writeln!(out, "on_failure: {strategy}").unwrap();
    }
    out.push_str("tasks:\n");
    let compensates = strategy == "compensate";
    let mut drawing = Drawing { chance, left: tasks, next: 0, leaves, out, compensates };
    drawing.top();
    Drawn { name, yaml: drawing.out, leaves: drawing.leaves, is_strict }
}

impl Drawing {
    /// The tasks of the file. A pivot comes after all that can be undone, and before all that can not.
    fn top(&mut self) {
        let spot = Spot { indent: 2, ..Spot::default() };
        let mut parts = Vec::new();
        let has_pivot = self.compensates && self.chance.one_in(2);
        let until = if has_pivot { self.left / 3 } else { 0 };
        while self.left > until {
            let part = self.part(&spot, &parts);
            parts.push(part);
        }
        if !has_pivot || parts.is_empty() {
            return;
        }
        let id = self.id();
        let depends_on: Vec<&str> = parts.iter().map(|part| part.id.as_str()).collect();
        let agent = self.agent();
        writeln!(
            self.out,
            "  - {{id: {id}, agent: {agent}, type: {MAY_FAIL}, kind: pivot, in_doubt: query, timeout: 20s, depends_on: [{}], inputs: {{}}, {}}}",
            depends_on.join(", "),
            retry(2),
        )
        .unwrap();
        let before: BTreeSet<String> = self.leaves.keys().cloned().collect();
        let before: BTreeSet<String> = before.into_iter().filter(|id| id != "last").collect();
        let leaf = Leaf {
            kind: Kind::Pivot,
            may_fail: true,
            is_cut_off: false,
            each: None,
            before: before.clone(),
            is_closing: false,
        };
        self.leaves.insert(id.clone(), leaf);
        let leaves = BTreeSet::from([id.clone()]);
        let mut past = vec![Part { id, leaves, before, is_sure: true }];
        let spot = Spot { indent: 2, past_pivot: true, ..Spot::default() };
        while self.left > 0 {
            let part = self.part(&spot, &past);
            past.push(part);
        }
    }

    fn id(&mut self) -> String {
        self.next += 1;
        self.left = self.left.saturating_sub(1);
        format!("t{}", self.next)
    }

    fn agent(&mut self) -> &'static str {
        AGENTS[self.chance.below(AGENTS.len())]
    }

    /// `${...}` that is so.
    fn flag(&mut self, is_true: bool) -> &'static str {
        if is_true { "\"${inputs.yes_}\"" } else { "\"${inputs.no_}\"" }
    }

    /// The next task of a list, written.
    fn part(&mut self, spot: &Spot, earlier: &[Part]) -> Part {
        let id = self.id();
        let mut keys = vec![format!("id: {id}")];
        let mut inside = Spot { depth: spot.depth + 1, indent: spot.indent + 4, ..spot.clone() };
        let depends_on: Vec<&Part> = match (spot.is_sequence, earlier.last()) {
            (true, last) => last.into_iter().collect(),
            (false, _) => self.depends_on(spot, earlier),
        };
        for part in &depends_on {
            inside.before.extend(part.leaves.iter().chain(&part.before).cloned());
        }
        if !spot.is_sequence && !depends_on.is_empty() {
            let ids: Vec<&str> = depends_on.iter().map(|part| part.id.as_str()).collect();
            keys.push(format!("depends_on: [{}]", ids.join(", ")));
        }
        let mut is_sure = true;
        if self.chance.one_in(10) {
            let runs = self.chance.one_in(2);
            let flag = self.flag(runs);
            keys.push(format!("when: {flag}"));
            inside.is_cut_off |= !runs;
            is_sure = false;
        }
        if !spot.is_sequence && self.chance.one_in(12) {
            keys.push("parallel: false".to_owned());
        }
        let given = depends_on.iter().find(|part| part.is_sure).map(|part| part.id.clone());
        let before = inside.before.clone();
        let is_leaf = spot.depth >= DEPTH_MAX || self.left < 2 || !self.chance.one_in(4);
        let leaves = if is_leaf {
            is_sure &= self.leaf(&id, keys, &inside, spot.indent, given.as_deref());
            let own = self.leaves.keys().filter(|known| base(known) == id);
            own.cloned().collect()
        } else {
            is_sure = false;
            self.container(&id, keys, inside, spot.indent)
        };
        Part { id, leaves, before, is_sure }
    }

    fn depends_on<'p>(&mut self, spot: &Spot, earlier: &'p [Part]) -> Vec<&'p Part> {
        let chosen = earlier.iter().rev().take(6).filter(|_| self.chance.one_in(3));
        let mut chosen: Vec<&Part> = chosen.collect();
        // What comes after the pivot comes after it.
        if spot.past_pivot && spot.depth == 0 && !earlier.is_empty() {
            let pivot = &earlier[0];
            if chosen.iter().all(|part| part.id != pivot.id) {
                chosen.push(pivot);
            }
        }
        chosen
    }

    /// A task for an agent. Gives whether its output is there whenever it did not fail the run.
    fn leaf(
        &mut self,
        id: &str,
        mut keys: Vec<String>,
        spot: &Spot,
        indent: usize,
        given: Option<&str>,
    ) -> bool {
        let each = spot.each.is_none() && self.chance.one_in(10);
        let optional = self.chance.one_in(7);
        let (kind, operation) = match self.chance.below(4) {
            0 | 1 if spot.past_pivot => (Kind::Retriable, SURE),
            2 | 3 if spot.past_pivot && optional => (Kind::ReadOnly, MAY_FAIL),
            _ if spot.past_pivot => (Kind::ReadOnly, SURE),
            0 => (Kind::ReadOnly, MAY_FAIL),
            1 if self.chance.one_in(2) => (Kind::Compensatable, MAY_BE_SILENT),
            _ => (Kind::Compensatable, MAY_FAIL),
        };
        keys.extend(self.work(kind, operation));
        if optional {
            keys.push("optional: true".to_owned());
        }
        keys.push(match given {
            Some(given) if !each && self.chance.one_in(2) => {
                format!("inputs: {{n: \"${{tasks.{given}.output.n}}\"}}")
            }
            _ if each => "inputs: {item: \"${item}\"}".to_owned(),
            _ => "inputs: {}".to_owned(),
        });
        let around = spot.each.clone().or_else(|| each.then(|| id.to_owned()));
        if each {
            keys.push(self.for_each());
        }
        let leaf = Leaf {
            kind,
            may_fail: operation != SURE,
            is_cut_off: spot.is_cut_off,
            each: around,
            before: spot.before.clone(),
            is_closing: false,
        };
        let has_fallback = !each && !optional && !spot.past_pivot && self.chance.one_in(8);
        if has_fallback {
            let body = self.work(Kind::Compensatable, MAY_FAIL).join(", ");
            keys.push(format!("fallback: {{{body}, inputs: {{}}}}"));
            let fallback = Leaf { kind: Kind::Compensatable, may_fail: true, ..leaf.clone() };
            self.leaves.insert(format!("{id}~fallback"), fallback);
        }
        self.leaves.insert(id.to_owned(), leaf);
        writeln!(self.out, "{:indent$}- {{{}}}", "", keys.join(", ")).unwrap();
        !optional && !each
    }

    fn for_each(&mut self) -> String {
        let list = ["[]", "[1]", "[1, 2]", "[1, 2, 3, 4]"][self.chance.below(4)];
        format!("for_each: {{in: {list}, concurrency: {}}}", 1 + self.chance.below(3))
    }

    /// Who is asked for what, and what follows.
    fn work(&mut self, kind: Kind, operation: &str) -> Vec<String> {
        let agent = self.agent();
        let mut keys = vec![format!("agent: {agent}"), format!("type: {operation}")];
        match kind {
            Kind::Compensatable => {
                keys.push("compensate: undo".to_owned());
                if self.chance.one_in(3) {
                    keys.push("in_doubt: query".to_owned());
                }
            }
            Kind::Pivot => keys.push("kind: pivot".to_owned()),
            Kind::Retriable => keys.push("kind: retriable".to_owned()),
            Kind::ReadOnly => keys.push("kind: readonly".to_owned()),
        }
        let timeout = if operation == MAY_BE_SILENT { "1s" } else { "20s" };
        keys.push(format!("timeout: {timeout}"));
        keys.push(match kind {
            Kind::Retriable => "retry: {backoff: 20ms, max_backoff: 200ms}".to_owned(),
            Kind::ReadOnly if operation == SURE => retry(30),
            Kind::Compensatable | Kind::Pivot | Kind::ReadOnly => retry(1 + self.chance.below(3)),
        });
        keys
    }

    /// What others stand in. Gives those that somebody is asked to do.
    fn container(
        &mut self,
        id: &str,
        mut keys: Vec<String>,
        mut inside: Spot,
        indent: usize,
    ) -> BTreeSet<String> {
        let first = self.next;
        let size = 1 + self.chance.below(5);
        if self.chance.one_in(6) {
            keys.push("optional: true".to_owned());
        }
        // A savepoint.
        if !inside.past_pivot && self.chance.one_in(6) {
            keys.push("on_failure: compensate".to_owned());
        }
        let shape = self.chance.below(4);
        if shape != 0 && inside.each.is_none() && inside.depth < DEPTH_MAX && self.chance.one_in(4)
        {
            keys.push(self.for_each());
            inside.each = Some(id.to_owned());
        }
        inside.is_sequence = shape == 1;
        for (k, key) in keys.iter().enumerate() {
            let mark = if k == 0 { "- " } else { "  " };
            writeln!(self.out, "{:indent$}{mark}{key}", "").unwrap();
        }
        match shape {
            0 => self.cases(size, &inside, indent),
            1 => self.list("sequential", size, &inside, indent),
            _ => self.list("tasks", size, &inside, indent),
        }
        let inner = first + 1..=self.next;
        let stands = |leaf: &str| base(leaf)[1..].parse().is_ok_and(|n| inner.contains(&n));
        self.leaves.keys().filter(|leaf| stands(leaf)).cloned().collect()
    }

    fn list(&mut self, key: &str, size: usize, spot: &Spot, indent: usize) {
        writeln!(self.out, "{:indent$}  {key}:", "").unwrap();
        let mut parts = Vec::new();
        while parts.is_empty() || parts.len() < size && self.left > 0 {
            let part = self.part(spot, &parts);
            parts.push(part);
        }
    }

    /// The first case that is true is taken, or all that are.
    fn cases(&mut self, size: usize, spot: &Spot, indent: usize) {
        let many = self.chance.one_in(3);
        if many {
            writeln!(self.out, "{:indent$}  pick: many", "").unwrap();
        }
        writeln!(self.out, "{:indent$}  choice:", "").unwrap();
        let mut taken = false;
        for case in 0..size.max(2) {
            let is_last = case + 1 == size.max(2);
            let is_true = is_last && !many || self.chance.one_in(2);
            let when = if is_last && !many {
                "else:".to_owned()
            } else {
                let flag = self.flag(is_true);
                format!("when: {flag}")
            };
            let runs = is_true && (many || !taken);
            taken |= is_true;
            let deep = indent + 4;
            let mut spot = Spot { indent: indent + 8, ..spot.clone() };
            spot.is_cut_off |= !runs;
            if when == "else:" {
                self.list_of_case(&format!("{:deep$}- else:", ""), &spot);
            } else {
                writeln!(self.out, "{:deep$}- {when}", "").unwrap();
                self.list_of_case(&format!("{:deep$}  then:", ""), &spot);
            }
        }
    }

    fn list_of_case(&mut self, head: &str, spot: &Spot) {
        writeln!(self.out, "{head}").unwrap();
        let mut parts = Vec::new();
        let size = 1 + self.chance.below(2);
        while parts.is_empty() || parts.len() < size && self.left > 0 {
            let part = self.part(spot, &parts);
            parts.push(part);
        }
    }
}

fn retry(attempts: usize) -> String {
    format!("retry: {{max_attempts: {attempts}, backoff: 20ms, max_backoff: 200ms}}")
}

/// The id in the file: without elements and fallbacks.
pub(crate) fn base(id: &str) -> &str {
    id.split(['[', '~']).next().unwrap_or(id)
}
