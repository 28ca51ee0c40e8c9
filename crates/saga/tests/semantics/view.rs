//! What anyone can know of a workflow who reads its public events, and nothing else.

use std::collections::BTreeMap;

use events::{How, Json, What};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Completed,
    Partial,
    Compensated,
    Cancelled,
    Failed,
}

/// How far a task has come, its undo aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Forward {
    #[default]
    Pending,
    /// An attempt is out, or what stands in it is in work.
    Running,
    Retrying,
    InDoubt,
    Done,
    Failed,
    Skipped,
    Cancelled,
}

/// How far its undo has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Back {
    #[default]
    Nothing,
    Running,
    Retrying,
    Blocked,
    Undone,
    /// An operator lets it stand.
    GivenUp,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) forward: Forward,
    pub(crate) back: Back,
    /// The last attempt that was decided; 0 for what was never sent.
    pub(crate) attempt: u32,
    pub(crate) output: Option<Json>,
    pub(crate) code: Option<String>,
    /// The sequence numbers of its beginning and of its success.
    pub(crate) begun: Option<u64>,
    pub(crate) done: Option<u64>,
    pub(crate) successes: u32,
    pub(crate) failures: u32,
    /// It was in doubt at some time.
    pub(crate) doubted: bool,
    /// It was in doubt and so has failed: what is said of it later does not change that.
    pub(crate) lost: bool,
    /// It was undone before; a late success may have its undo sent once more.
    pub(crate) was_back: bool,
    /// Why it was passed over.
    pub(crate) reason: Option<String>,
    /// An operator has decided about it.
    pub(crate) by_hand: bool,
    /// An operator has had it tried again.
    pub(crate) ordered: bool,
    /// An operator has ordered its undo once more.
    pub(crate) repeated: bool,
    /// A success was told of while its undo was out: another one follows in its turn.
    pub(crate) overtaken: bool,
    /// Of the last undo.
    pub(crate) undo: u32,
    /// How often it was undone and begun anew.
    pub(crate) anew: u32,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) tasks: BTreeMap<String, Seen>,
    pub(crate) sequence: u64,
    pub(crate) paused: bool,
    pub(crate) compensating: bool,
    pub(crate) compensated: bool,
    pub(crate) end: Option<End>,
}

impl View {
    pub(crate) fn of(&self, task: &str) -> Seen {
        self.tasks.get(task).cloned().unwrap_or_default()
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.tasks.values().any(|seen| seen.back == Back::Blocked)
    }

    pub(crate) fn is_undoing(&self) -> bool {
        self.tasks.values().any(|seen| matches!(seen.back, Back::Running | Back::Retrying))
    }

    /// The workflow's status in the words of the contract.
    pub(crate) fn status(&self) -> &'static str {
        match self.end {
            Some(End::Completed) => "completed",
            Some(End::Partial) => "partial",
            Some(End::Compensated) => "compensated",
            Some(End::Cancelled) => "cancelled",
            Some(End::Failed) => "failed",
            None if self.is_blocked() => "blocked",
            None if self.paused => "paused",
            None if self.compensating => "compensating",
            None if self.sequence == 0 => "pending",
            None => "running",
        }
    }

    pub(crate) fn fold(&mut self, sequence: u64, what: &What) {
        self.sequence = sequence;
        match what {
            What::WorkflowCompleted { .. } => self.end = Some(End::Completed),
            What::WorkflowCancelled { .. } => self.end = Some(End::Cancelled),
            What::WorkflowFailed { how, stands, .. } => {
                // An undo with what a late success has told, that had not gone out yet.
                for task in stands {
                    if let Some(seen) = self.tasks.get_mut(task.as_str())
                        && seen.overtaken
                    {
                        seen.back = Back::GivenUp;
                    }
                }
                self.end = Some(match how {
                    How::Failed => End::Failed,
                    How::Compensated => End::Compensated,
                    How::Partial => End::Partial,
                });
            }
            What::WorkflowPaused { .. } => self.paused = true,
            What::WorkflowResumed { .. } => self.paused = false,
            What::CompensationStarted { .. } => self.compensating = true,
            What::CompensationCompleted { .. } => self.compensated = true,
            _ => self.task(what),
        }
    }

    fn task(&mut self, what: &What) {
        let sequence = self.sequence;
        let Some(id) = task_of(what) else { return };
        let is_covered = self.of(&format!("{id}~fallback")).forward == Forward::Done;
        let seen = self.tasks.entry(id.to_owned()).or_default();
        match what {
            What::TaskScheduled { attempt, .. } => {
                (seen.forward, seen.attempt) = (Forward::Running, *attempt);
                seen.begun.get_or_insert(sequence);
            }
            What::TaskStarted { attempt, .. } if seen.begun.is_none() => {
                (seen.forward, seen.attempt) = (Forward::Running, *attempt);
                seen.begun = Some(sequence);
            }
            What::TaskCompleted { output, by, .. } => {
                seen.forward = Forward::Done;
                seen.output = Some(output.clone());
                seen.done = Some(sequence);
                seen.successes += 1;
                // It is to be undone once more, with what is known now.
                if seen.back == Back::Blocked && !is_covered {
                    seen.back = Back::Retrying;
                }
                seen.overtaken = matches!(seen.back, Back::Running | Back::Retrying);
                seen.by_hand |= by.is_some();
            }
            What::TaskFailed { code, by, .. } => {
                (seen.forward, seen.code) = (Forward::Failed, Some(code.clone()));
                seen.failures += 1;
                seen.by_hand |= by.is_some();
            }
            // What was undone begins anew, and nothing that was said of it counts.
            What::TaskRetried { by: Some(_), .. } if seen.back == Back::Undone => {
                *seen = Seen {
                    forward: Forward::Retrying,
                    attempt: seen.attempt,
                    begun: seen.begun,
                    failures: seen.failures,
                    by_hand: true,
                    ordered: true,
                    undo: seen.undo,
                    anew: seen.anew + 1,
                    ..Seen::default()
                };
            }
            What::TaskRetried { by, .. } => {
                seen.forward = Forward::Retrying;
                seen.by_hand |= by.is_some();
                seen.ordered |= by.is_some();
            }
            What::TaskInDoubt { policy, code, .. } => {
                seen.lost = policy == "undo";
                (seen.forward, seen.doubted) = (Forward::InDoubt, true);
                seen.code = Some(code.clone());
            }
            What::TaskSkipped { reason, by, .. } if reason == "undo" => {
                seen.back = Back::GivenUp;
                seen.by_hand |= by.is_some();
            }
            What::TaskSkipped { reason, output, by, .. } => {
                seen.forward = Forward::Skipped;
                seen.output = output.clone();
                seen.reason = Some(reason.clone());
                seen.by_hand |= by.is_some();
            }
            What::TaskCancelled { .. } => seen.forward = Forward::Cancelled,
            _ => undone(seen, what),
        }
    }
}

fn undone(seen: &mut Seen, what: &What) {
    match what {
        What::UndoScheduled { n, .. } => {
            (seen.back, seen.undo, seen.overtaken) = (Back::Running, *n, false);
        }
        What::UndoCompleted { by, .. } => {
            (seen.back, seen.was_back) = (Back::Undone, true);
            seen.by_hand |= by.is_some();
        }
        What::UndoFailed { retry_at, .. } => {
            seen.back = if retry_at.is_some() { Back::Retrying } else { Back::Blocked };
        }
        _ => {}
    }
}

/// The task that an event is about.
pub(crate) fn task_of(what: &What) -> Option<&str> {
    Some(match what {
        What::TaskScheduled { task, .. }
        | What::TaskStarted { task, .. }
        | What::TaskCompleted { task, .. }
        | What::TaskFailed { task, .. }
        | What::TaskRetried { task, .. }
        | What::TaskTimedOut { task, .. }
        | What::TaskInDoubt { task, .. }
        | What::TaskSkipped { task, .. }
        | What::TaskCancelled { task, .. }
        | What::UndoScheduled { task, .. }
        | What::UndoCompleted { task, .. }
        | What::UndoFailed { task, .. } => task.as_str(),
        _ => return None,
    })
}

impl Seen {
    /// Whether its undo, if any, is over and done with.
    pub(crate) fn is_back(&self) -> bool {
        matches!(self.back, Back::Undone | Back::GivenUp)
    }

    /// The status in the words of the contract.
    pub(crate) fn status(&self) -> &'static str {
        match (self.back, self.forward) {
            (Back::Running | Back::Retrying, _) => "undoing",
            (Back::Blocked, _) => "undo_blocked",
            (Back::Undone, _) => "undone",
            (Back::Nothing | Back::GivenUp, forward) => match forward {
                Forward::Pending => "pending",
                Forward::Running => "running",
                Forward::Retrying => "retrying",
                Forward::InDoubt => "in_doubt",
                Forward::Done => "done",
                Forward::Failed => "failed",
                Forward::Skipped => "skipped",
                Forward::Cancelled => "cancelled",
            },
        }
    }
}
