//! The plan of a draft that has no errors.

use events::{AgentName, SagaName, TaskId, Topic, Version};

use super::draft::{Draft, EventDraft, OutputDraft, TopicDraft, TriggerDraft, Written};
use super::graph::Graph;
use super::layout::Layout;
use super::node::{
    ActionDraft, AwaitDraft, AwaitedDraft, CaseDraft, DeadlineDraft, EmitDraft, FailureDraft,
    ForEachDraft, IdempotencyDraft, InputsDraft, RaceDraft, RaceOnDraft, SagaDraft, TaskDraft,
    UndoDraft, WaitDraft,
};
use crate::expr::{Expr, Template};
use crate::plan::{
    Action, AwaitPlan, Awaited, CasePlan, Deadline, EmitPlan, EventName, FailurePlan, ForEachPlan,
    Idempotency, InputPlan, Inputs, Kind, ListenPlan, OutputPlan, Plan, RaceOn, RacePlan, Role,
    TaskPlan, TopicPlan, TriggerPlan, UndoPlan, WaitPlan,
};

/// `None` would be an error that no finding tells of; the checks before see to it that there is none.
pub(super) fn plan(mut draft: Draft, graph: &Graph, version: Version) -> Option<Plan> {
    let layout = Layout::of(&draft);
    let mut read: Vec<Option<TaskDraft>> = draft.tasks.drain(..).map(Some).collect();
    let mut building =
        Building { graph, layout: &layout, listens: Vec::new(), undos: &draft.compensation };
    let mut tasks = Vec::new();
    for place in &layout.order {
        let task = read.get_mut(*place)?.take()?;
        tasks.push(building.task(task, *place)?);
    }
    let listens = building.listens;
    let triggers: Option<Vec<TriggerPlan>> = draft.triggers.into_iter().map(trigger_plan).collect();
    let inputs = draft.inputs.map(|inputs| {
        let plans = inputs.into_iter().map(|input| InputPlan {
            name: input.name.it,
            of: input.of,
            default: input.default,
            required: input.required,
        });
        plans.collect()
    });
    Some(Plan {
        name: events::saga_name_of(&draft.name?.it),
        version,
        description: draft.description,
        key: draft.key.map(template_of),
        on_duplicate: draft.on_duplicate,
        inputs,
        triggers: triggers?,
        topics: draft.topics.into_iter().map(topic_plan).collect(),
        listens,
        tasks,
        fixed: layout.fixed,
        outputs: output_plans(draft.outputs),
        timeout: draft.timeout.it,
        max_parallel: draft.max_parallel,
        on_failure: failure_plan(draft.on_failure, &layout),
        compensation: draft.compensation.plan(),
        keep_early: draft.keep_early,
    })
}

fn template_of(written: Written) -> Template {
    written.template
}

/// Of what the reader has made sure is one `${...}`.
fn expr_of(written: Written) -> Option<Expr> {
    match written.template {
        Template::Computed(expr) => Some(expr),
        Template::Constant(_) | Template::Text(_) | Template::List(_) | Template::Map(_) => None,
    }
}

/// `Some(None)`: nothing is said; `None`: it is no expression.
fn maybe_expr(written: Option<Written>) -> Option<Option<Expr>> {
    match written {
        Some(written) => expr_of(written).map(Some),
        None => Some(None),
    }
}

fn topic_plan(topic: TopicDraft) -> TopicPlan {
    TopicPlan {
        topic: Topic::from(topic.topic.it),
        event_name: topic.event_name.map(template_of),
        correlate: topic.correlate.map(template_of),
    }
}

fn trigger_plan(trigger: TriggerDraft) -> Option<TriggerPlan> {
    Some(TriggerPlan {
        topic: Topic::from(trigger.event.topic),
        event: trigger.event.name,
        filter: maybe_expr(trigger.filter)?,
        inputs: trigger.inputs.template,
    })
}

fn output_plans(outputs: Vec<OutputDraft>) -> Vec<OutputPlan> {
    let plans = outputs.into_iter();
    plans.map(|output| OutputPlan { name: output.name, from: output.from.template }).collect()
}

fn failure_plan(failure: FailureDraft, layout: &Layout) -> FailurePlan {
    FailurePlan { strategy: failure.strategy, then: layout.slots_of(&failure.then) }
}

fn event_name(event: EventDraft) -> EventName {
    EventName { topic: Topic::from(event.topic), name: event.name }
}

struct Building<'b> {
    graph: &'b Graph,
    layout: &'b Layout,
    listens: Vec<ListenPlan>,
    undos: &'b super::retry::Compensation,
}

impl Building<'_> {
    fn task(&mut self, task: TaskDraft, place: usize) -> Option<TaskPlan> {
        let (graph, layout) = (self.graph, self.layout);
        let in_doubt = task.in_doubt();
        let inputs = match task.inputs {
            InputsDraft::Computed(written) => Inputs::Computed(written.template),
            InputsDraft::Absent if !graph.before(place).is_empty() => Inputs::Upstream,
            InputsDraft::Absent if task.stand.role == Role::Item => Inputs::Item,
            InputsDraft::Absent => Inputs::Enclosing,
        };
        let undo = match (task.undo, &task.action) {
            (Some(undo), _) => Some(self.undo(undo)?),
            // Its own compensation is opened.
            (None, ActionDraft::Saga(saga)) => Some(UndoPlan {
                action: saga_action(saga),
                inputs: None,
                when: None,
                timeout: self.undos.timeout,
                retry: self.undos.retry.clone(),
            }),
            (None, _) => None,
        };
        Some(TaskPlan {
            id: TaskId::from(task.id.it),
            parent: task.stand.parent.map(|parent| layout.slot(parent)),
            role: layout.role(task.stand.role),
            action: self.action(task.action)?,
            inputs,
            returns: task.returns,
            join: task.join.it,
            depends_on: layout.slots_of(graph.before(place)),
            dependents: layout.slots_of(graph.after(place)),
            when: maybe_expr(task.when)?,
            alone: task.alone,
            timeout: task.timeout.map(|timeout| timeout.it),
            deadline: task.deadline.map(|deadline| match deadline {
                DeadlineDraft::Within(within) => Deadline::Within(within.it),
                DeadlineDraft::At(at) => Deadline::At(at.template),
            }),
            retry: task.retry.it,
            kind: task.kind,
            in_doubt,
            undo: undo.filter(|_| task.kind == Kind::Compensatable),
            idempotency: match task.idempotency {
                IdempotencyDraft::Key => Idempotency::Key,
                IdempotencyDraft::Natural => Idempotency::Natural,
                IdempotencyDraft::Never(_) => Idempotency::Never,
                IdempotencyDraft::Computed(written) => Idempotency::Computed(written.template),
            },
            optional: task.optional.is_some(),
            fallback: task.fallback.map(|fallback| layout.slot(fallback)),
            on_failure: task.on_failure.map(|failure| failure_plan(failure, layout)),
        })
    }

    fn action(&mut self, action: ActionDraft) -> Option<Action> {
        Some(match action {
            ActionDraft::Broken => return None,
            ActionDraft::Agent { agent, task_type } => {
                Action::Agent { agent: AgentName::from(agent), task_type }
            }
            ActionDraft::Emit(emit) => Action::Emit(emit_plan(*emit)),
            ActionDraft::Await(awaits) => Action::Await(self.awaits(*awaits)?),
            ActionDraft::Request(emit, awaits) => {
                Action::Request(emit_plan(*emit), self.awaits(*awaits)?)
            }
            ActionDraft::Wait(WaitDraft::For(wait)) => Action::Wait(WaitPlan::For(wait.it)),
            ActionDraft::Wait(WaitDraft::Until(at)) => Action::Wait(WaitPlan::Until(at.template)),
            ActionDraft::Choice { cases, many } => {
                let cases: Option<Vec<CasePlan>> =
                    cases.into_iter().enumerate().map(|(at, case)| case_plan(at, case)).collect();
                Action::Choice { cases: cases?, many }
            }
            ActionDraft::Race { cases } => {
                let cases: Option<Vec<RacePlan>> =
                    cases.into_iter().enumerate().map(|(at, case)| self.race(at, case)).collect();
                Action::Race { cases: cases? }
            }
            ActionDraft::Group { outputs } => Action::Group { outputs: outputs.map(output_plans) },
            ActionDraft::Saga(saga) => saga_action(&saga),
            ActionDraft::ForEach(each) => Action::ForEach(self.for_each(each)),
        })
    }

    fn for_each(&self, each: ForEachDraft) -> ForEachPlan {
        ForEachPlan {
            list: each.list.template,
            item: each.item,
            concurrency: each.concurrency,
            at_least: each.at_least,
            body: self.layout.body(each.root),
        }
    }

    fn awaits(&mut self, awaits: AwaitDraft) -> Option<AwaitPlan> {
        let awaited: Vec<Awaited> = awaits.awaited.into_iter().map(awaited_plan).collect();
        let failed: Vec<EventName> = awaits.failed.into_iter().map(event_name).collect();
        let well = awaited.iter().filter_map(|awaited| match awaited {
            Awaited::Event(event) => Some(event.clone()),
            Awaited::Signal(_) => None,
        });
        for event in well.chain(failed.iter().cloned()) {
            self.listen(event, awaits.correlate.as_ref())?;
        }
        Some(AwaitPlan { awaited, failed, filter: maybe_expr(awaits.filter)? })
    }

    fn race(&mut self, number: usize, case: RaceDraft) -> Option<RacePlan> {
        let on = match case.on {
            RaceOnDraft::After(after) => RaceOn::After(after.it),
            RaceOnDraft::Event { awaited, filter } => {
                let awaited = awaited_plan(awaited);
                if let Awaited::Event(event) = &awaited {
                    self.listen(event.clone(), None)?;
                }
                RaceOn::Event { awaited, filter: maybe_expr(filter.map(|filter| *filter))? }
            }
        };
        Some(RacePlan { id: case.id.map_or_else(|| number.to_string(), |id| id.it), on })
    }

    /// Once for each way to correlate it, of which the text is compared.
    fn listen(&mut self, event: EventName, correlate: Option<&Written>) -> Option<()> {
        let source =
            |template: &Template| template.exprs().first().map(|expr| expr.source().to_owned());
        let said = correlate.and_then(|written| source(&written.template));
        let is_known = self
            .listens
            .iter()
            .any(|known| known.event == event && known.correlate.as_ref().and_then(source) == said);
        if is_known {
            return Some(());
        }
        // An expression of its own: one that is compiled can not be copied.
        let correlate = match said {
            Some(said) => Some(Template::Computed(Expr::compile(&said).ok()?)),
            None => None,
        };
        self.listens.push(ListenPlan { event, correlate });
        Some(())
    }

    fn undo(&mut self, undo: UndoDraft) -> Option<UndoPlan> {
        Some(UndoPlan {
            action: self.action(undo.action)?,
            inputs: undo.inputs.map(template_of),
            when: maybe_expr(undo.when)?,
            timeout: undo.timeout,
            retry: undo.retry,
        })
    }
}

fn awaited_plan(awaited: AwaitedDraft) -> Awaited {
    match awaited {
        AwaitedDraft::Event(event) => Awaited::Event(event_name(event)),
        AwaitedDraft::Signal(name) => Awaited::Signal(name),
    }
}

fn emit_plan(emit: EmitDraft) -> EmitPlan {
    EmitPlan {
        event: event_name(emit.event),
        key: emit.key.map(template_of),
        value: emit.value.map(template_of),
        headers: emit.headers.into_iter().map(|(name, written)| (name, written.template)).collect(),
    }
}

fn case_plan(number: usize, case: CaseDraft) -> Option<CasePlan> {
    let id = case.id.map_or_else(|| number.to_string(), |id| id.it);
    Some(CasePlan { id, when: maybe_expr(case.when)? })
}

fn saga_action(saga: &SagaDraft) -> Action {
    Action::Saga {
        saga: saga_name(saga),
        version: saga.hash.clone().map(Version::from),
        max_depth: saga.max_depth,
    }
}

fn saga_name(saga: &SagaDraft) -> SagaName {
    events::saga_name_of(&saga.name.it)
}
