//! Whether what expressions name is there, comes before, and is of the type that is wanted.

use super::draft::{Draft, InputDraft, TriggerDraft, Written};
use super::findings::{Finding, Findings, Span};
use super::graph::{Graph, some_of};
use super::lookup::{Astray, Names, Place};
use super::node::{IdempotencyDraft, TaskDraft};
use super::remedies;
use super::said::{self, Sees, Wanted};
use crate::expr::{Expr, Piece, Template};
use crate::plan::{InDoubt, Role};
use crate::types::Type;

/// Looks up every name of every expression.
pub(super) fn check(draft: &Draft, graph: &Graph, findings: &mut Findings) {
    let mut names = Names::of(draft, graph, findings);
    names.check_ids();
    names.check_cases();
    if let Some(key) = &draft.key {
        names.check_wanted(key, Place::Key, "key", Wanted::Text);
    }
    for topic in &draft.topics {
        if let Some(name) = &topic.event_name {
            names.check_wanted(name, Place::Event, "event_name", Wanted::Text);
        }
        if let Some(correlate) = &topic.correlate {
            names.check_wanted(correlate, Place::Event, "correlate", Wanted::Text);
        }
    }
    for trigger in &draft.triggers {
        names.check_trigger(trigger);
    }
    for (at, task) in draft.tasks.iter().enumerate() {
        for said in said::of_task(task) {
            names.check_wanted(said.written, Place::Task(at, said.sees), said.key, said.wanted);
        }
        names.check_undo(task);
        names.check_idempotency(task, at);
    }
    for output in &draft.outputs {
        names.check_written(&output.from, Place::Output);
    }
}

impl Names<'_> {
    /// A list of input names could not tell which one is meant.
    fn check_ids(&mut self) {
        let inputs = self.draft.inputs.iter().flatten();
        for input in inputs {
            let named = self.draft.tasks.iter().find(|task| {
                task.id.it == input.name.it
                    && !matches!(task.stand.role, Role::Item | Role::Fallback(_))
            });
            let Some(task) = named else {
                continue;
            };
            let line = self.findings.line_of(input.name.span.0);
            let message = format!("`{}` is both an input, at line {line}, and a task", task.id.it);
            let help = "give one of them another name";
            self.findings.push(Finding::error("E305", task.id.span, message).help(help));
        }
    }

    /// A choice's output has a field of its own beside those of its tasks.
    fn check_cases(&mut self) {
        for task in &self.draft.tasks {
            if matches!(task.stand.role, Role::Case(_)) && task.id.it == "case" {
                let message =
                    "`case` is both a task and what the output of its choice says of the case";
                let help = "give the task another name";
                self.findings.push(Finding::error("E305", task.id.span, message).help(help));
            }
        }
    }

    fn check_trigger(&mut self, trigger: &TriggerDraft) {
        if let Some(filter) = &trigger.filter {
            self.check_wanted(filter, Place::Event, "where", Wanted::Truth);
        }
        self.check_wanted(&trigger.inputs, Place::Event, "inputs", Wanted::Map);
        let (Template::Map(map), Some(inputs)) = (&trigger.inputs.template, &self.draft.inputs)
        else {
            return;
        };
        for (name, value) in map {
            self.check_given(name, value, inputs, trigger.inputs.span);
        }
        for input in inputs.iter().filter(|input| input.required) {
            let name = &input.name.it;
            if !map.iter().any(|(given, _)| given == name) {
                let message = format!("the trigger's inputs lack `{name}`, which is required");
                let help = format!("as in `{name}: ${{event.value.{name}}}`");
                let span = trigger.inputs.span;
                self.findings
                    .push(Finding::error("E105", (span.0, span.0 + 1), message).help(help));
            }
        }
    }

    /// What a trigger gives for one input.
    fn check_given(&mut self, name: &str, value: &Template, inputs: &[InputDraft], span: Span) {
        let Some(input) = inputs.iter().find(|input| input.name.it == name) else {
            let names: Vec<&str> = inputs.iter().map(|input| input.name.it.as_str()).collect();
            let place = self.place_in(name, span);
            let finding = Finding::error("E301", place, format!("`inputs.{name}` does not exist"));
            let finding = finding.near(name, names.clone());
            self.findings.push(finding.help(format!("inputs: {}", some_of(&names))));
            return;
        };
        let wanted = &input.of;
        let written = || format!("write a value of type {wanted}");
        let wrong = match value {
            Template::Constant(value) => {
                wanted.accept(value, name).err().map(|reason| (reason, written()))
            }
            Template::Computed(expr) => {
                self.type_of(expr, Place::Event).filter(|of| wanted.excludes(of)).map(|of| {
                    let source = expr.source();
                    let reason = format!("`{source}` is {of}, the input `{name}` wants {wanted}");
                    (reason, remedies::to_type(source, &of, wanted))
                })
            }
            Template::Text(_) => wanted.excludes(&Type::String).then(|| {
                (format!("a text is string, the input `{name}` wants {wanted}"), written())
            }),
            Template::List(_) | Template::Map(_) => None,
        };
        if let Some((reason, help)) = wrong {
            let finding = Finding::error("E303", self.place_in(name, span), reason);
            self.findings.push(finding.help(help));
        }
    }

    /// E405: of an undo that may run without the task's output.
    fn check_undo(&mut self, task: &TaskDraft) {
        if task.in_doubt() != InDoubt::Undo {
            return;
        }
        let of_undo = |sees| matches!(sees, Sees::Undo | Sees::UndoEvent);
        for said in said::of_task(task).iter().filter(|said| of_undo(said.sees)) {
            for (expr, span) in said.written.template.exprs().into_iter().zip(&said.written.exprs) {
                self.check_absent(task, expr, *span);
            }
        }
    }

    fn check_absent(&mut self, task: &TaskDraft, expr: &Expr, span: Span) {
        let is_output = |path: &[String]| matches!(path, [root, member, ..] if root == "original" && member == "output");
        let guarded = expr.uses().tested().iter().any(|path| is_output(path))
            || expr.paths().iter().any(|path| {
                is_output(path) && path.len() == 2
                    || matches!(path.as_slice(), [root, member] if root == "original" && member == "status")
            });
        let absent = expr.paths().iter().find(|path| is_output(path) && path.len() > 2);
        if let Some(path) = absent.filter(|_| !guarded) {
            let (id, path_text) = (&task.id.it, path.join("."));
            let message =
                format!("undo of `{id}` reads `{path_text}`, absent when `{id}` is in doubt");
            let help = "`in_doubt: query` or `in_doubt: hold`; or ask with `has(...)`; or leave \
                        `inputs` out: the undo then carries the original whole";
            let place = self.path_place(path, expr, span);
            self.findings.push(Finding::error("E405", place, message).help(help));
        }
    }

    /// E408: elements that shared a key would be taken for one another.
    fn check_idempotency(&mut self, task: &TaskDraft, at: usize) {
        let IdempotencyDraft::Computed(key) = &task.idempotency else { return };
        let items = self.items(Place::Task(at, Sees::Itself));
        let Some((item, _)) = items.first() else { return };
        let is_of_item =
            |path: &Vec<String>| path.first().is_some_and(|root| root == "index" || root == item);
        if key.template.exprs().iter().any(|expr| expr.paths().iter().any(is_of_item)) {
            return;
        }
        let message = format!(
            "`{}` repeats under `for_each` but its idempotency key names neither `{item}` nor `index`",
            task.id.it
        );
        let help = "as in `idempotency: \"${saga.id}/${index}\"`";
        self.findings.push(Finding::error("E408", key.span, message).help(help));
    }

    /// A template that is to give a value of some type.
    fn check_wanted(&mut self, written: &Written, place: Place, key: &str, wanted: Wanted) {
        self.check_written(written, place);
        if let Template::Computed(expr) = &written.template
            && let Some(of) = self.type_of(expr, place)
            && wanted.excludes(&of)
        {
            let place = format!("`{key}`");
            self.mismatch(expr, written.span, &of, &place, wanted);
        }
    }

    fn mismatch(&mut self, expr: &Expr, span: Span, of: &Type, place: &str, wanted: Wanted) {
        let source = expr.source();
        let message = format!("`{source}` is {of}, {place} wants {}", wanted.words());
        let help = remedies::to_wanted(source, of, wanted);
        self.findings.push(Finding::error("E303", span, message).help(help));
    }

    fn check_written(&mut self, written: &Written, place: Place) {
        for (expr, span) in written.template.exprs().into_iter().zip(&written.exprs) {
            self.check_paths(expr, *span, place);
        }
        self.check_texts(&written.template, &written.exprs, place);
    }

    fn check_paths(&mut self, expr: &Expr, span: Span, place: Place) {
        let mut types = Vec::new();
        for path in expr.paths() {
            match self.look_up(path, place) {
                Ok(of) => types.push((path.clone(), of)),
                Err(astray) => self.report(astray, path, expr, span),
            }
        }
        expr.declare(types);
        if let Some((text, make)) = expr.text_beside_time(&|path| self.look_up(path, place).ok()) {
            let message =
                format!("`{}`: `{text}` is text, beside a time or a duration", expr.source());
            let help = format!("`{make}({text})`");
            self.findings.push(Finding::error("E303", span, message).help(help));
        }
        for path in expr.uses().tested() {
            // `has()` may ask for a field that is not declared, of something that is.
            let known = match path.as_slice() {
                [root, ..] if root == "inputs" => path.as_slice(),
                [of @ .., _] => of,
                [] => &[],
            };
            if let Err(astray) = self.look_up(known, place) {
                self.report(astray, path, expr, span);
            }
        }
    }

    /// What stands within a text must be able to become text.
    fn check_texts(&mut self, template: &Template, spans: &[Span], place: Place) {
        let mut spans = spans.iter();
        let mut open = vec![template];
        while let Some(template) = open.pop() {
            match template {
                Template::Constant(_) => {}
                Template::Computed(_) => {
                    spans.next();
                }
                Template::List(list) => open.extend(list.iter().rev()),
                Template::Map(map) => open.extend(map.iter().rev().map(|(_, each)| each)),
                Template::Text(pieces) => {
                    for piece in pieces {
                        let Piece::Computed(expr) = piece else { continue };
                        let Some(span) = spans.next() else { continue };
                        let of = self.type_of(expr, place).filter(|of| !of.can_be_text());
                        if let Some(of) = of {
                            self.mismatch(expr, *span, &of, "a text", Wanted::Text);
                        }
                    }
                }
            }
        }
    }

    pub(super) fn type_of(&self, expr: &Expr, place: Place) -> Option<Type> {
        expr.type_of(&|path| self.look_up(path, place).ok()).filter(|of| *of != Type::Any)
    }

    fn report(&mut self, astray: Astray, path: &[String], expr: &Expr, span: Span) {
        let mut finding =
            Finding::error(astray.code, self.path_place(path, expr, span), astray.message);
        if let Some(near) = astray.near {
            finding = finding.label(format!("did you mean `{near}`?"));
        }
        if let Some(help) = astray.help {
            finding = finding.help(help);
        }
        self.findings.push(finding);
    }

    /// Where a path stands in the file, else the whole expression.
    fn path_place(&self, path: &[String], expr: &Expr, span: Span) -> Span {
        let text = path.join(".");
        match self
            .findings
            .text(span)
            .find(&text)
            .filter(|_| self.findings.text(span) == expr.source())
        {
            Some(at) => (span.0 + at, span.0 + at + text.len()),
            None => span,
        }
    }

    /// Where a key stands in a map of the file, else the map.
    fn place_in(&self, name: &str, span: Span) -> Span {
        match self.findings.text(span).find(&format!("{name}:")) {
            Some(at) => (span.0 + at, span.0 + at + name.len()),
            None => (span.0, span.0 + 1),
        }
    }
}
