//! Sagas that the seed draws: every way of doing, waiting, failing and going back that the language has.

use std::fmt::Write as _;

use crate::dice::Dice;

/// Tasks of a saga, at most; those of a `then` and fallbacks aside.
const TASKS_MAX: usize = 12;
/// Groups, choices and `for_each` in one another.
const DEPTH_MAX: usize = 3;
/// Agents.
const AGENTS: &[&str] = &["north", "south"];

/// What begins one, where it is not asked for by name.
const TRIGGER: &str = "triggers: [{event: shop.asks/Asked, inputs: \"${event.value}\"}]\n";

/// What a task may be; a saga has some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feature {
    Emit,
    Await,
    Request,
    Signal,
    Wait,
    Race,
    Choice,
    Group,
    Sequence,
    ForEach,
    Child,
}

const FEATURES: &[Feature] = &[
    Feature::Emit,
    Feature::Await,
    Feature::Request,
    Feature::Signal,
    Feature::Wait,
    Feature::Race,
    Feature::Choice,
    Feature::Group,
    Feature::Sequence,
    Feature::ForEach,
    Feature::Child,
];

/// Where a list of tasks stands.
#[derive(Clone, Copy)]
struct Spot {
    depth: usize,
    is_sequence: bool,
    is_element: bool,
}

struct Drawing<'d> {
    dice: &'d mut Dice,
    features: Vec<Feature>,
    /// Whether tasks may fail in ways of their own: `optional`, `fallback`, `on_failure`.
    ways: bool,
    next: usize,
    left: usize,
}

/// The file of a saga of that name. Its business key is the input `id`; it may have a child of the saga `leaf`.
pub(crate) fn draw(name: &str, dice: &mut Dice) -> String {
    let mut features = FEATURES.to_vec();
    dice.shuffle(&mut features);
    features.truncate(usize::try_from(dice.range(1, 6)).unwrap_or(1));
    let ways = !dice.one_in(4);
    let left = usize::try_from(dice.scale(2, TASKS_MAX as i64)).unwrap_or(2);
    let mut drawing = Drawing { dice, features, ways, next: 0, left };
    let head = drawing.head(name);
    let spot = Spot { depth: 0, is_sequence: false, is_element: false };
    let (tasks, ids) = drawing.list(spot);
    let tail = if drawing.dice.one_in(3) { drawing.tail(&ids) } else { String::new() };
    format!("{head}tasks: [{tasks}{tail}]\n")
}

impl Drawing<'_> {
    fn head(&mut self, name: &str) -> String {
        let order = if self.dice.one_in(4) { "strict" } else { "graph" };
        let blocked = *self.dice.of(&["wait", "go_on"]);
        let parallel = *self.dice.of(&[100, 100, 2, 1]);
        let early = *self.dice.of(&["10m", "5s"]);
        let trigger = *self.dice.of(&["", TRIGGER]);
        let mut head = format!(
            "version: \"2.0\"\nname: {name}\nkey: ${{inputs.id}}\n\
             inputs: [{{name: id, type: string}}, {{name: flag, type: boolean}}]\n\
             {trigger}timeout: 10m\nkeep_early: {early}\nmax_parallel: {parallel}\n\
             defaults: {{timeout: 8s, retry: {{max_attempts: 2, backoff: 200ms}}}}\n\
             compensation: {{order: {order}, on_blocked: {blocked}, grace: 4s, timeout: 6s, \
             retry: {{max_attempts: 3, backoff: 300ms}}}}\n"
        );
        if self.dice.one_in(3) {
            let strategy = *self.dice.of(&["continue", "fail_fast", "pause", "compensate"]);
            let then = if strategy != "pause" && self.dice.one_in(2) {
                let last = *self.dice.of(&[
                    "{id: last, agent: south, type: last, kind: retriable, inputs: {}}",
                    "{id: last, emit: shop.told/Failed, kind: retriable, inputs: {}}",
                ]);
                format!(", then: [{last}]")
            } else {
                String::new()
            };
            let _infallible = writeln!(head, "on_failure: {{strategy: {strategy}{then}}}");
        }
        head
    }

    /// The pivot behind all, and what comes after it.
    fn tail(&mut self, ids: &[String]) -> String {
        let agent = self.agent();
        let on = ids.join(", ");
        let pivot = format!(
            ", {{id: pivot, agent: {agent}, type: turn, kind: pivot, in_doubt: query, depends_on: [{on}], inputs: {{}}}}"
        );
        let behind = *self.dice.of(&[
            "",
            ", {id: sure, agent: north, type: sure, kind: retriable, depends_on: [pivot], inputs: {}}",
            ", {id: told, emit: shop.told/Turned, kind: retriable, depends_on: [pivot], inputs: {}}",
        ]);
        format!("{pivot}{behind}")
    }

    fn agent(&mut self) -> &'static str {
        self.dice.of::<&str>(AGENTS)
    }

    /// Some tasks, and their ids.
    fn list(&mut self, spot: Spot) -> (String, Vec<String>) {
        let count = if spot.depth == 0 { TASKS_MAX } else { 1 + self.dice.range(0, 3) as usize };
        let (mut text, mut ids) = (String::new(), Vec::new());
        while ids.len() < count && (self.left > 0 || ids.is_empty()) {
            let (task, id) = self.task(spot, &ids);
            let comma = if ids.is_empty() { "" } else { ", " };
            let _infallible = write!(text, "{comma}{task}");
            ids.push(id);
        }
        (text, ids)
    }

    fn task(&mut self, spot: Spot, before: &[String]) -> (String, String) {
        self.next += 1;
        self.left = self.left.saturating_sub(1);
        let id = format!("t{}", self.next);
        let (mut body, is_leaf) = self.action(spot, &id);
        if !spot.is_sequence {
            body.push_str(&self.depends(before));
        }
        if self.dice.one_in(10) {
            body.push_str(", when: \"${inputs.flag}\"");
        }
        if self.ways {
            body.push_str(&self.failing(is_leaf));
        }
        (format!("{{id: {id}, {body}}}"), id)
    }

    fn depends(&mut self, before: &[String]) -> String {
        let recent = before.iter().rev().take(4);
        let on: Vec<&str> = recent.filter(|_| self.dice.one_in(2)).map(String::as_str).collect();
        let list = on.join(", ");
        match on.len() {
            0 => String::new(),
            2.. if self.dice.one_in(5) => {
                let join = *self.dice.of(&["any", "discriminator"]);
                format!(", depends_on: {{{join}: [{list}]}}")
            }
            2.. if self.dice.one_in(5) => {
                let rest = *self.dice.of(&["continue", "cancel"]);
                format!(", depends_on: {{n_of: 2, tasks: [{list}], rest: {rest}}}")
            }
            _ => format!(", depends_on: [{list}]"),
        }
    }

    /// What is done, and whether one agent does it.
    fn action(&mut self, spot: Spot, id: &str) -> (String, bool) {
        let feature = *self.dice.of(&self.features.clone());
        let is_inner = spot.depth < DEPTH_MAX;
        let inside = |is_sequence, is_element| Spot {
            depth: spot.depth + 1,
            is_sequence,
            is_element: spot.is_element || is_element,
        };
        let plain = self.dice.one_in(3);
        let body = match feature {
            _ if plain => return (self.agents(), true),
            Feature::Emit => self.emit(),
            Feature::Await => self.awaits(),
            Feature::Request => {
                let undo =
                    *self.dice.of(&["", ", compensate: {emit: shop.told/TakenBack, inputs: {}}"]);
                format!(
                    "emit: shop.told/Asked, await: {{event: shop.news/Given, failed: shop.news/Refused}}, inputs: {{}}, timeout: 9s{undo}"
                )
            }
            Feature::Signal => {
                let n = self.dice.range(0, 2);
                format!("await: signal/s{n}, timeout: 20s")
            }
            Feature::Wait => format!("wait: {}ms", self.dice.scale(5, 40_000)),
            Feature::Race if is_inner => {
                let after = self.dice.scale(1, 20);
                let on = *self.dice.of(&["shop.news/Came0", "shop.news/Came1", "signal/s0"]);
                let (one, two) =
                    (self.list(inside(false, false)).0, self.list(inside(false, false)).0);
                format!(
                    "choice: [{{id: came, event: {on}, then: [{one}]}}, {{id: late, after: {after}s, then: [{two}]}}]"
                )
            }
            Feature::Choice if is_inner => {
                let (one, two) =
                    (self.list(inside(false, false)).0, self.list(inside(false, false)).0);
                format!(
                    "choice: [{{id: yes, when: \"${{inputs.flag}}\", then: [{one}]}}, {{id: no, else: [{two}]}}]"
                )
            }
            Feature::Group if is_inner => format!("tasks: [{}]", self.list(inside(false, false)).0),
            Feature::Sequence if is_inner => {
                format!("sequential: [{}]", self.list(inside(true, false)).0)
            }
            Feature::ForEach if is_inner && !spot.is_element => self.for_each(inside(true, true)),
            Feature::Child if !spot.is_element => {
                format!("saga: leaf, inputs: {{leaf: \"${{saga.key}}-{id}\"}}, timeout: 2m")
            }
            Feature::Race
            | Feature::Choice
            | Feature::Group
            | Feature::Sequence
            | Feature::ForEach
            | Feature::Child => return (self.agents(), true),
        };
        (body, false)
    }

    fn awaits(&mut self) -> String {
        let n = self.dice.range(0, 3);
        let undo = *self.dice.of(&[
            "",
            ", compensate: {agent: north, type: forget, inputs: {}}",
            ", compensate: {emit: shop.told/Withdrawn, inputs: {}}",
        ]);
        format!(
            "await: {{event: shop.news/Came{n}, failed: shop.news/Refused}}, timeout: 12s{undo}"
        )
    }

    fn for_each(&mut self, inside: Spot) -> String {
        let list = *self.dice.of(&["[]", "[1]", "[1, 2]", "[1, 2, 3]"]);
        let few = *self.dice.of(&["", ", at_least: 1"]);
        let concurrency = self.dice.range(1, 4);
        let body = if self.dice.one_in(2) {
            self.agents()
        } else {
            format!("sequential: [{}]", self.list(inside).0)
        };
        format!("for_each: {{in: {list}, concurrency: {concurrency}{few}}}, {body}")
    }

    fn emit(&mut self) -> String {
        let undo = *self.dice.of(&["", ", compensate: {emit: shop.told/Withdrawn, inputs: {}}"]);
        format!("emit: shop.told/Happened, inputs: {{}}{undo}")
    }

    fn agents(&mut self) -> String {
        let agent = self.agent();
        let operation = *self.dice.of(&["make", "bend", "paint"]);
        let undo = *self.dice.of(&[
            "",
            ", compensate: scrap",
            ", compensate: scrap",
            ", compensate: scrap, in_doubt: query",
            ", compensate: scrap, in_doubt: hold",
            ", compensate: {type: scrap, inputs: {}}",
            ", kind: retriable",
        ]);
        let inputs = *self.dice.of(&["inputs: {}", "inputs: {id: \"${inputs.id}\"}"]);
        format!("agent: {agent}, type: {operation}, {inputs}{undo}")
    }

    /// What follows when it fails.
    fn failing(&mut self, is_leaf: bool) -> String {
        match self.dice.range(0, 10) {
            0 | 1 => ", optional: true".to_owned(),
            2 | 3 if is_leaf => {
                let agent = self.agent();
                let undo = *self.dice.of(&["", ", compensate: scrap"]);
                format!(", fallback: {{agent: {agent}, type: mend, inputs: {{}}{undo}}}")
            }
            4 if is_leaf => {
                let strategy = *self.dice.of(&["continue", "fail_fast", "pause", "compensate"]);
                format!(", on_failure: {strategy}")
            }
            _ => String::new(),
        }
    }
}

/// Another version of the same: it is done and undone otherwise, and hears the same.
pub(crate) fn newer(text: &str) -> String {
    text.replace("timeout: 10m", "timeout: 11m")
        .replace("type: make", "type: build")
        .replace("type: grow", "type: sprout")
        .replace("compensate: scrap", "compensate: discard")
        .replace("type: scrap", "type: discard")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_drawn_is_a_saga() {
        for seed in 0..3_000 {
            let text = draw("drawn", &mut Dice::new(seed, 7));
            let checked = saga::check(&text);
            let errors: Vec<_> = checked
                .diagnostics
                .iter()
                .filter(|found| found.severity == saga::Severity::Error)
                .collect();
            assert!(errors.is_empty(), "seed {seed}:\n{text}\n{errors:#?}");
            assert!(saga::check(&newer(&text)).plan.is_some(), "seed {seed}");
        }
    }
}
