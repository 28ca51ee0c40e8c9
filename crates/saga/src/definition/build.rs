//! The plan of a draft that has no errors.

use events::{AgentName, TaskId, Topic, Version};

use super::draft::{Draft, InputsDraft, TaskDraft, TopicDraft, TriggerDraft, UndoDraft};
use super::graph::Graph;
use crate::plan::{
    Action, Deadline, FailurePlan, Idempotency, InputPlan, Inputs, Join, Kind, OutputPlan, Plan,
    Role, Strategy, TaskPlan, TopicPlan, TriggerPlan, UndoPlan,
};

/// `None` would be an error that no finding tells of; the checks before see to it that there is none.
pub(super) fn plan(draft: Draft, graph: &Graph, version: Version) -> Option<Plan> {
    let topics = draft.topics;
    let triggers: Option<Vec<TriggerPlan>> =
        draft.triggers.into_iter().map(trigger_plan).collect();
    let inputs = draft.inputs.map(|inputs| {
        let plans = inputs.into_iter().map(|input| InputPlan {
            name: input.name.it,
            of: input.of,
            default: input.default,
            required: input.required,
        });
        plans.collect()
    });
    let fixed = draft.tasks.len();
    let tasks = draft.tasks.into_iter().zip(graph.before.iter().zip(&graph.after));
    Some(Plan {
        name: events::saga_name_of(&draft.name?.it),
        version,
        description: draft.description,
        key: draft.key.map(|key| key.template),
        on_duplicate: draft.on_duplicate,
        inputs,
        triggers: triggers?,
        topics: topics.into_iter().map(topic_plan).collect(),
        listens: Vec::new(),
        fixed,
        on_failure: FailurePlan { strategy: Strategy::Compensate, then: Vec::new() },
        keep_early: std::time::Duration::from_secs(600),
        tasks: tasks.map(|(task, (before, after))| task_plan(task, before, after)).collect(),
        outputs: draft
            .outputs
            .into_iter()
            .map(|output| OutputPlan { name: output.name, from: output.from.template })
            .collect(),
        timeout: draft.timeout.it,
        max_parallel: draft.max_parallel,
        compensation: draft.compensation,
    })
}

fn topic_plan(topic: TopicDraft) -> TopicPlan {
    TopicPlan {
        topic: Topic::from(topic.topic),
        event_name: topic.event_name.map(|(written, _)| written.template),
        correlate: None,
    }
}

fn trigger_plan(trigger: TriggerDraft) -> Option<TriggerPlan> {
    let filter = match trigger.filter.map(|filter| filter.template) {
        Some(crate::expr::Template::Computed(expr)) => Some(expr),
        Some(_) => return None,
        None => None,
    };
    Some(TriggerPlan {
        topic: Topic::from(trigger.topic),
        event: trigger.event,
        filter,
        inputs: trigger.inputs.template,
    })
}

fn task_plan(task: TaskDraft, before: &[usize], after: &[usize]) -> TaskPlan {
    let in_doubt = task.in_doubt();
    let inputs = match task.inputs {
        InputsDraft::Computed(written) => Inputs::Computed(written.template),
        InputsDraft::Absent if before.is_empty() => Inputs::Enclosing,
        InputsDraft::Absent => Inputs::Upstream,
    };
    TaskPlan {
        id: TaskId::from(task.id.it),
        parent: None,
        role: Role::Child,
        action: Action::Agent { agent: AgentName::from(task.agent), task_type: task.task_type },
        inputs,
        returns: task.returns,
        join: Join::All,
        when: None,
        alone: false,
        idempotency: Idempotency::Key,
        optional: false,
        fallback: None,
        on_failure: None,
        depends_on: before.to_vec(),
        dependents: after.to_vec(),
        timeout: Some(task.timeout.it),
        deadline: task.deadline.map(|deadline| Deadline::Within(deadline.it)),
        retry: task.retry.it,
        kind: task.kind,
        in_doubt,
        undo: task.undo.filter(|_| task.kind == Kind::Compensatable).map(undo_plan),
    }
}

fn undo_plan(undo: UndoDraft) -> UndoPlan {
    UndoPlan {
        action: Action::Agent { agent: AgentName::from(undo.agent), task_type: undo.task_type },
        when: None,
        inputs: undo.inputs.map(|inputs| inputs.template),
        timeout: undo.timeout,
        retry: undo.retry,
    }
}
