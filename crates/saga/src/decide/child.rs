//! Workflows within workflows: a child is started, stopped and undone by its parent's commands, and answers
//! them like any participant.

use events::{By, Class, Problem, SagaName, Subject, Timestamp, Version, WorkflowId};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::task::error;
use super::undo::Why;
use super::{Draft, Held, Stop, refused};
use crate::event::{About, Body, Event, Reply, Rest, Said};
use crate::expr::hex;
use crate::input::{Input, Start};
use crate::limits::BUSINESS_KEY_BYTES_MAX;
use crate::phase::{Phase, TaskError};
use crate::plan::{Plan, Slot};
use crate::state::{State, definition_key, newest_key};
use crate::workflow::{End, Head, Origin, Stage, Trouble, Workflow};

impl Draft<'_> {
    /// The newest version of a saga that this lane knows.
    pub(super) fn newest(&self, saga: &SagaName) -> Result<Version, TaskError> {
        match self.held.state(&newest_key(saga)) {
            Some(State::Newest(newest)) => Ok(newest.version.clone()),
            Some(State::Workflow(_) | State::Definition(_) | State::Early(_)) | None => {
                Err(error("unknown_saga", format!("no version of saga `{saga}` is deployed")))
            }
        }
    }

    fn definition(&self, saga: &SagaName, version: &Version) -> Result<&Plan, TaskError> {
        let definition = match self.held.state(&definition_key(saga, version)) {
            Some(State::Definition(definition)) => definition.plan().map(AsRef::as_ref),
            Some(State::Workflow(_) | State::Newest(_) | State::Early(_)) | None => None,
        };
        definition.ok_or_else(|| {
            error("unknown_saga", format!("version {version} of saga `{saga}` is not deployed"))
        })
    }

    /// The id of the child that a task starts: by the child's own key, else by the task's idempotency key. All
    /// attempts start the same one.
    pub(super) fn child_id(
        &self,
        slot: Slot,
        saga: &SagaName,
        version: &Version,
        inputs: &events::Json,
    ) -> Result<WorkflowId, TaskError> {
        let plan = self.definition(saga, version)?;
        let inputs = match inputs.value() {
            Value::Object(map) => Value::Object(plan.declared(map)),
            other @ (Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)) => other,
        };
        let bad = |failed: crate::InputError| error("bad_start", failed.to_string());
        let admitted = plan.admit(&inputs).map_err(bad)?;
        let key = plan.key_of(&admitted).map_err(bad)?.unwrap_or_else(|| {
            let key = self.key(slot);
            match key.len() {
                bytes if bytes <= BUSINESS_KEY_BYTES_MAX => key,
                _ => hex(&Sha256::digest(key.as_bytes())),
            }
        });
        Ok(WorkflowId::of(saga, &key))
    }

    fn subject(&self, slot: Slot, n: u32) -> Subject {
        Subject {
            workflow: self.head.id.clone(),
            task: self.name(slot).id,
            run: self.head.run,
            kind: events::CommandKind::Do,
            n,
        }
    }

    /// What a child that has ended answers to its parent.
    pub(super) fn replies(
        &self,
        end: End,
        problem: &Problem,
        rest: &Rest,
        outputs: Option<&events::Json>,
    ) -> Vec<Reply> {
        let Some(parent) = &self.head.parent else { return Vec::new() };
        let said = match (end, outputs) {
            (End::Completed | End::Partial, Some(outputs)) => {
                Said::Completed { output: outputs.clone() }
            }
            (End::Cancelled, _) => {
                let stands = !rest.stands.is_empty();
                Said::Failed {
                    error: error("cancelled", problem.message.as_str()),
                    effects: stands,
                }
            }
            (End::Completed | End::Partial | End::Compensated | End::Failed, _) => {
                let effects = !rest.stands.is_empty() || !rest.in_doubt.is_empty();
                let error = error(&problem.code, problem.message.as_str());
                Said::Failed { error, effects }
            }
        };
        let all = std::iter::once(&parent.command).chain(&self.head.asked);
        let reply = |command: &String| {
            let is_undo = command.parse::<Subject>().is_ok_and(|command| is_undo(&command));
            let undone = Said::Completed { output: events::Json::null() };
            Reply { command: command.clone(), said: if is_undo { undone } else { said.clone() } }
        };
        all.map(reply).collect()
    }

    /// Whether it has ended, and nothing of it stands, is in doubt, or is being undone.
    fn has_left_nothing(&self, rest: &Rest) -> bool {
        let is_at_rest = self.slots().all(|slot| self.is_over(slot));
        rest.stands.is_empty() && rest.in_doubt.is_empty() && is_at_rest
    }

    /// The last command to do it that its parent has given.
    fn last_do(&self) -> u32 {
        let commands = self.head.parent.iter().map(|parent| &parent.command);
        let commands = commands.chain(&self.head.asked);
        let commands = commands.filter_map(|command| command.parse::<Subject>().ok());
        commands.filter(|command| !is_undo(command)).map(|command| command.n).max().unwrap_or(0)
    }

    /// Tells the parent, which waits for it, that an undo has failed for good.
    pub(super) fn tell_blocked(&mut self, slot: Slot, command: String, n: u32, error: TaskError) {
        let undo = Subject { kind: events::CommandKind::Undo, ..self.subject(slot, n) };
        let said = Said::Blocked { error, undo: undo.to_string() };
        self.tell(Reply { command, said });
    }

    /// Goes on undoing what has ended, for its parent.
    pub(super) fn unwind(&mut self, command: &str) {
        self.undo_ready();
        if self.slots().all(|slot| self.is_over(slot)) {
            let said = Said::Completed { output: events::Json::null() };
            let replies = vec![Reply { command: command.to_owned(), said }];
            self.push(Body::Unwound { replies });
        }
    }
}

fn is_undo(command: &Subject) -> bool {
    command.kind == events::CommandKind::Undo
}

/// Whether it is the child of the task whose command that is.
fn is_of(child: &Head, command: &Subject) -> bool {
    child.parent.as_ref().is_some_and(|parent| {
        parent.command.parse::<Subject>().is_ok_and(|began| {
            (&began.workflow, &began.task, began.run)
                == (&command.workflow, &command.task, command.run)
        })
    })
}

/// What becomes of a start of a workflow that there is.
pub(super) enum Again {
    /// It is another's: no second one is begun.
    Another,
    /// Nothing of it stands: it is begun anew, as a run of its own.
    Anew,
    /// It goes on, or has ended, and answers this command too.
    Decided(Vec<Event>),
}

/// A start of a child that there is. Where its own task asks for it again, because no answer came in time or
/// because it had failed, it is the same child.
pub(super) fn asked_again(
    held: &dyn Held,
    workflow: &Workflow,
    start: &Start,
    now: Timestamp,
) -> Result<Again, Stop> {
    let Some(parent) = start.parent.as_ref().filter(|it| is_of(&workflow.head, &it.command)) else {
        return Ok(Again::Another);
    };
    let mut draft = Draft::over(held, workflow, super::plan_of(held, workflow)?, now);
    if parent.command.n <= draft.last_do() {
        return Err(Stop::Ignored("duplicate_start"));
    }
    let command = parent.command.to_string();
    let Stage::Ended { end, unwinding, shrunk, .. } = &draft.head.stage else {
        draft.push(Body::ParentAsks { command });
        return Ok(Again::Decided(draft.finish()));
    };
    if unwinding.is_some() {
        return Err(Stop::Ignored("being_undone"));
    }
    // One that has turned back is not done, even if an undo was given up.
    let is_done = matches!(end, End::Completed | End::Partial) && draft.head.epoch == 0;
    let rest = draft.rest();
    let said = match draft.outputs() {
        Ok(output) if is_done && !shrunk && rest.undone.is_empty() => Said::Completed { output },
        Ok(_) | Err(_) if draft.has_left_nothing(&rest) => {
            return Ok(Again::Anew);
        }
        Ok(_) | Err(_) => {
            let message = format!(
                "`{}` has ended {}, and something of it may stand; see to that first",
                workflow.head.id,
                workflow.status()
            );
            Said::Failed { error: error("child_stands", message), effects: true }
        }
    };
    draft.tell(Reply { command, said });
    Ok(Again::Decided(draft.finish()))
}

/// A parent wants its child stopped and undone.
pub(super) fn unwind(draft: &mut Draft<'_>, command: &Subject) -> Result<(), Stop> {
    let text = command.to_string();
    if !is_of(&draft.head, command) {
        // Another's child, or nobody's: what this parent has asked for was never begun.
        return refused(Class::Invalid, "not_its_child", format!("`{text}` has not started it"));
    }
    let is_undo = is_undo(command);
    match draft.head.stage.clone() {
        Stage::Ended {
            end: End::Completed | End::Partial | End::Failed, unwinding: None, ..
        } if is_undo => {
            draft.push(Body::UnwindStarted(text));
            return Ok(());
        }
        Stage::Ended { unwinding: None, .. } if is_undo => {
            let replies = vec![Reply { command: text, said: Said::NothingToUndo }];
            draft.push(Body::Unwound { replies });
            return Ok(());
        }
        // It asks once more: so is every undo that has failed for good.
        Stage::Ended { unwinding: Some(known), .. } if is_undo && known != text => {
            let by = for_its_parent(command);
            draft.push(Body::UnwindStarted(text));
            let is_blocked = |slot: &Slot| draft.task(*slot).phase == Phase::UndoBlocked;
            let blocked: Vec<Slot> = draft.slots().filter(is_blocked).collect();
            blocked.into_iter().for_each(|slot| draft.schedule_undo(slot, Why::ByHand(by.clone())));
            return Ok(());
        }
        Stage::Ended { .. } => return Err(Stop::Ignored("ended")),
        Stage::Forward
        | Stage::Deferred(_)
        | Stage::Compensating(_)
        | Stage::Failing(_)
        | Stage::Closing { .. } => {}
    }
    if is_undo && !draft.head.asked.contains(&text) {
        draft.push(Body::ParentAsks { command: text });
    }
    if matches!(draft.head.stage, Stage::Forward) {
        let by = for_its_parent(command);
        let (code, message) = ("cancelled".to_owned(), by.reason.clone());
        let problem = Problem { task: None, code, message };
        let origin = Origin::Cancel(by);
        draft.trouble(Trouble { origin, problem, decided_by: None });
    }
    Ok(())
}

fn for_its_parent(command: &Subject) -> By {
    let reason = format!("the parent {} is undone", command.workflow);
    By { actor: "pavane".to_owned(), reason }
}

/// What a parent is told of a child that there is not, or that is another's.
pub(super) fn tell_parent(
    held: &dyn Held,
    input: &Input,
    decided: Result<Vec<Event>, Stop>,
    now: Timestamp,
) -> Result<Vec<Event>, Stop> {
    let told = |workflow: &WorkflowId, command: &Subject, said: Said| {
        let reply = Reply { command: command.to_string(), said };
        Ok(vec![Event(About::Told { workflow: workflow.clone(), time: now, reply })])
    };
    match (input, &decided) {
        (
            Input::Start(Start { workflow, parent: Some(parent), .. }),
            Err(Stop::Refused(refusal)),
        ) => {
            let error = error(&refusal.code, refusal.message.as_str());
            told(workflow, &parent.command, Said::Failed { error, effects: false })
        }
        (
            Input::Start(Start { workflow, parent: Some(parent), .. }),
            Err(Stop::Ignored("known_workflow")),
        ) => {
            let message =
                format!("there is a workflow `{workflow}` already, which this has not started");
            let error = error("duplicate_start", message);
            told(workflow, &parent.command, Said::Failed { error, effects: false })
        }
        (Input::Unwind { workflow, command }, Err(Stop::Refused(_)))
            if command.kind == events::CommandKind::Undo
                && !matches!(held.state(workflow.as_str()), Some(State::Definition(_))) =>
        {
            told(workflow, command, Said::NothingToUndo)
        }
        _ => decided,
    }
}
