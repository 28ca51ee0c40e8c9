//! What other tasks stand in: groups, choices, `for_each`; and joins.

use std::collections::BTreeMap;

use super::draft::At;
use super::file::{given_twice, lacks, read_outputs};
use super::findings::{Finding, Span};
use super::keys;
use super::node::{ActionDraft, CaseDraft, ForEachDraft, RaceDraft, RaceOnDraft, Stand};
use super::task::{List, Tasks};
use super::topics::read_awaited;
use super::{computed, read};
use crate::plan::{AtLeast, Join, Rest, Role};
use crate::yaml::{Content, Node};

const CONCURRENCY: usize = 10;
const CONCURRENCY_MOST: u64 = 1000;
/// Elements of a list.
const ELEMENTS_MOST: u64 = 10_000;
/// Names that stand for something else in a body.
const TAKEN: [&str; 7] = ["inputs", "tasks", "saga", "event", "original", "index", "output"];

impl Tasks<'_> {
    /// `tasks` or `sequential`.
    pub(super) fn read_group(
        &mut self,
        place: usize,
        key: &str,
        node: &Node,
        outputs: Option<&Node>,
    ) -> ActionDraft {
        if node.list().is_some_and(<[Node]>::is_empty) {
            let id = self.stand_of(place).map(|(id, _)| id.it).unwrap_or_default();
            let finding = Finding::error("E105", node.span, format!("group `{id}` lacks tasks"));
            self.findings.push(finding.help(format!("as in `{key}: [{{id: a, agent: x}}]`")));
        }
        let sequential = key == "sequential";
        let list = List { parent: Some(place), host: Some(place), role: Role::Child, sequential };
        let _ = self.read_list(key, node, &list);
        ActionDraft::Group { outputs: outputs.map(|node| read_outputs(node, self.findings)) }
    }

    /// On data, or on events and time, as its first case says.
    pub(super) fn read_choice(
        &mut self,
        place: usize,
        node: &Node,
        pick: Option<&Node>,
    ) -> Option<ActionDraft> {
        let many = pick.and_then(|pick| read::word("pick", pick, &[("many", true)], self.findings));
        let cases = read::list("choice", node, self.findings)?;
        if cases.is_empty() {
            let finding = Finding::error("E105", node.span, "`choice` lacks cases");
            let help = "as in `choice: [{when: \"${...}\", then: [...]}, {else: [...]}]`";
            self.findings.push(finding.help(help));
            return None;
        }
        let is_race = |case: &Node| ["event", "after"].iter().any(|key| case.get(key).is_some());
        let is_data = |case: &Node| ["when", "else"].iter().any(|key| case.get(key).is_some());
        let on_events =
            cases.iter().find(|case| is_race(case) || is_data(case)).is_some_and(is_race);
        if let (true, Some(pick)) = (on_events, pick) {
            let message = "`pick: many` does not go with events: the first to happen is taken";
            self.findings.push(Finding::error("E104", pick.span, message).help("leave it out"));
        }
        let mut ids: BTreeMap<String, Span> = BTreeMap::new();
        let (mut data, mut race) = (Vec::new(), Vec::new());
        for (number, case) in cases.iter().enumerate() {
            let Some(entries) = read::map("a case", case, self.findings) else { continue };
            keys::CASE.check(entries, self.findings);
            let id = self.read_case_id(case, &mut ids);
            if if on_events { is_data(case) } else { is_race(case) } {
                let message = "a choice is on data (`when`, `else`) or on events and time (`event`, `after`), not on both";
                let help = "put one choice into a case of the other";
                self.findings.push(Finding::error("E104", case.span, message).help(help));
            } else if on_events {
                let on = self.read_race_on(case);
                race.extend(on.map(|on| RaceDraft { id, on }));
            } else {
                let when = self.read_case_when(case);
                let span = case.get("id").map_or((case.span.0, case.span.0 + 1), |id| id.span);
                let is_else = case.get("else").is_some();
                data.push(CaseDraft { id, when, is_else, span });
            }
            self.read_case_tasks(place, number, case);
        }
        if on_events {
            return Some(ActionDraft::Race { cases: race });
        }
        Some(ActionDraft::Choice { cases: data, many: many.unwrap_or(false) })
    }

    fn read_case_id(
        &mut self,
        case: &Node,
        ids: &mut BTreeMap<String, Span>,
    ) -> Option<At<String>> {
        let id = read::id("id", case.get("id")?, self.findings)?;
        if let Some(first) = ids.get(&id.it) {
            self.findings.push(given_twice("case", &id, *first, self.findings));
        }
        ids.insert(id.it.clone(), id.span);
        Some(id)
    }

    /// `None`: `else`, or what can not be read, which is among the findings.
    fn read_case_when(&mut self, case: &Node) -> Option<super::draft::Written> {
        if case.get("else").is_some() {
            let help = "`else` is what is done where no `when` is true, and has its tasks itself";
            self.refuse(case, &["when", "then", "where"], "a case with `else`", help);
            return None;
        }
        self.refuse(case, &["where"], "a case on data", "`where` goes with `event`");
        let Some(when) = case.get("when") else {
            self.findings.push(lacks("a case", "when", case, "{when: \"${...}\", then: [...]}"));
            return None;
        };
        computed::computed("when", when, self.findings)
    }

    fn read_race_on(&mut self, case: &Node) -> Option<RaceOnDraft> {
        let filter =
            case.get("where").and_then(|node| computed::computed("where", node, self.findings));
        match (case.get("event"), case.get("after")) {
            (Some(event), after) => {
                if after.is_some() {
                    let help = "make two cases of it, one with `event` and one with `after`";
                    self.refuse(case, &["after"], "a case with `event`", help);
                }
                let awaited = read_awaited("event", event, self.topics, self.findings)?;
                Some(RaceOnDraft::Event { awaited, filter: filter.map(Box::new) })
            }
            (None, Some(after)) => {
                self.refuse(case, &["where"], "a case with `after`", "`where` goes with `event`");
                read::duration("after", after, self.findings).map(RaceOnDraft::After)
            }
            (None, None) => {
                let example = "{event: shop.orders/OrderPaid, then: [...]}";
                self.findings.push(lacks("a case", "event", case, example));
                None
            }
        }
    }

    fn read_case_tasks(&mut self, place: usize, number: usize, case: &Node) {
        let Some((key, tasks)) =
            ["else", "then"].iter().find_map(|key| Some((*key, case.get(key)?)))
        else {
            self.findings.push(lacks("a case", "then", case, "{when: \"${...}\", then: [...]}"));
            return;
        };
        let role = Role::Case(number);
        let list = List { parent: Some(place), host: Some(place), role, sequential: false };
        let _ = self.read_list(key, tasks, &list);
    }

    /// The `for_each` itself at its place, and its body's root behind it.
    pub(super) fn read_for_each(&mut self, place: usize, each: &Node, node: &Node) {
        let whole = each.entries();
        if let Some(entries) = whole {
            keys::FOR_EACH.check(entries, self.findings);
        }
        let given = |key: &str| each.get(key).filter(|_| whole.is_some());
        let list = if whole.is_some() { each.get("in") } else { Some(each) };
        if list.is_none() {
            self.findings.push(lacks("for_each", "in", each, "{in: \"${inputs.lines}\"}"));
        }
        let list = list.and_then(|list| match list.content {
            Content::List(_) => computed::template(list, self.findings),
            Content::Null
            | Content::Bool(_)
            | Content::Number(_)
            | Content::Text(_)
            | Content::Map(_) => computed::computed("for_each", list, self.findings),
        });
        let item = given("as").and_then(|name| self.read_item_name(name));
        let concurrency = given("concurrency").and_then(|node| {
            read::integer("concurrency", node, (1, CONCURRENCY_MOST), self.findings)
        });
        let at_least = given("at_least").and_then(|node| self.read_at_least(node));
        let Some((id, stand)) = self.stand_of(place) else { return };
        let stand = Stand {
            parent: Some(place),
            host: Some(place),
            role: Role::Item,
            list: self.next_list(),
            follows: None,
            ..stand
        };
        let root = self.add(id, stand);
        self.read_body(root, node);
        let (Some(list), Some(task)) = (list, self.at(place)) else { return };
        task.action = ActionDraft::ForEach(ForEachDraft {
            list,
            item: item.unwrap_or_else(|| "item".to_owned()),
            concurrency: concurrency
                .and_then(|count| usize::try_from(count).ok())
                .unwrap_or(CONCURRENCY),
            at_least: at_least.unwrap_or(AtLeast::All),
            root,
        });
    }

    fn read_item_name(&mut self, node: &Node) -> Option<String> {
        let name = read::id("as", node, self.findings)?;
        if TAKEN.contains(&name.it.as_str()) {
            let finding = read::must_be("as", "a name that means nothing else", node);
            self.findings.push(finding.help(format!("to be seen here already: `{}`", name.it)));
            return None;
        }
        Some(name.it)
    }

    fn read_at_least(&mut self, node: &Node) -> Option<AtLeast> {
        if let Content::Number(_) = node.content {
            let count = read::integer("at_least", node, (1, ELEMENTS_MOST), self.findings)?;
            return usize::try_from(count).ok().map(AtLeast::Count);
        }
        let text = node.text().unwrap_or_default();
        if text == "all" {
            return Some(AtLeast::All);
        }
        let share = text.strip_suffix('%').and_then(|share| share.trim().parse::<f64>().ok());
        let share = share.filter(|share| (0.0..=100.0).contains(share));
        if share.is_none() {
            let finding = read::must_be("at_least", "a count, a share or `all`", node);
            self.findings.push(finding.help("as in `at_least: 3` or `at_least: 80%`"));
        }
        share.map(|share| AtLeast::Share(share / 100.0))
    }

    /// The tasks that it names, and what of them must have happened.
    pub(super) fn read_depends_on(&mut self, node: &Node) -> (Vec<At<String>>, At<Join>) {
        let all = At { it: Join::All, span: node.span };
        let Some(entries) = node.entries() else { return (self.read_siblings(node), all) };
        keys::JOIN.check(entries, self.findings);
        let forms = ["all", "any", "n_of", "discriminator"];
        let said: Vec<_> =
            entries.iter().filter(|entry| forms.contains(&entry.key.as_str())).collect();
        let form = match said.as_slice() {
            [only] => only,
            [] => {
                self.findings.push(lacks("depends_on", "all", node, "{any: [a, b]}"));
                return (Vec::new(), all);
            }
            [_, second, ..] => {
                let message = format!(
                    "`depends_on` says both `{}` and `{}`",
                    said.first().map_or("", |first| first.key.as_str()),
                    second.key
                );
                let help = "one of `all`, `any`, `n_of` and `discriminator`";
                self.findings.push(Finding::error("E104", second.key_span, message).help(help));
                return (Vec::new(), all);
            }
        };
        if form.key == "n_of" {
            return self.read_n_of(node, &form.value);
        }
        self.refuse(node, &["tasks", "rest"], "this join", "`tasks` and `rest` go with `n_of`");
        let join = match form.key.as_str() {
            "any" => Join::Any,
            "discriminator" => Join::Discriminator,
            _ => Join::All,
        };
        (self.read_siblings(&form.value), At { it: join, span: form.value.span })
    }

    fn read_n_of(&mut self, node: &Node, count: &Node) -> (Vec<At<String>>, At<Join>) {
        let words = [("continue", Rest::Continue), ("cancel", Rest::Cancel)];
        let rest = node
            .get("rest")
            .and_then(|rest| read::word("rest", rest, &words, self.findings))
            .unwrap_or(Rest::Continue);
        let n = read::integer("n_of", count, (1, ELEMENTS_MOST), self.findings)
            .and_then(|n| usize::try_from(n).ok());
        let join = n.map_or(Join::All, |n| Join::NOf { n, rest });
        let join = At { it: join, span: count.span };
        let Some(tasks) = node.get("tasks") else {
            let example = "{n_of: 2, tasks: [a, b, c]}";
            self.findings.push(lacks("depends_on", "tasks", node, example));
            return (Vec::new(), At { it: Join::All, span: count.span });
        };
        (self.read_siblings(tasks), join)
    }

    fn read_siblings(&mut self, list: &Node) -> Vec<At<String>> {
        let Some(each) = list.list() else {
            let mut finding = read::must_be("depends_on", "a list of tasks", list);
            if let Some(text) = list.text() {
                finding = finding.help(format!("write `[{text}]`"));
            }
            self.findings.push(finding);
            return Vec::new();
        };
        let names = each.iter().filter_map(|name| {
            let it = read::constant("depends_on", name, self.findings)?;
            Some(At { it, span: name.span })
        });
        names.collect()
    }
}
