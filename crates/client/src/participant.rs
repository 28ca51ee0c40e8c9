//! A participant: the user's functions, with the four things that a participant owes done for them.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use events::{AgentName, planted};
use serde_json::Value;
use tracing::{debug, error};

use crate::answer::{Answer, Effects, Failure, Reply, Status};
use crate::command::{Asked, Command};
use crate::ledger::{Ledger, LedgerError, Mark, read_epoch, read_mark, write_epoch, write_mark};

/// Outputs longer than this are refused, bytes of JSON: they travel in the journal.
pub const OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// Whoever answers the commands of an agent: a [`Participant`], or something around one. Called from
/// several threads, but for one workflow from one at a time, in the order of the commands.
pub trait Agent: Send + Sync + 'static {
    /// Whose commands it answers.
    fn name(&self) -> &AgentName;

    /// Answers a command. May be called again with the same command, and then answers the same.
    ///
    /// # Errors
    /// The store failed: it is not known what became of the command, and nothing is answered. It will
    /// come again.
    fn answer(&self, command: &Command) -> Result<Answer, LedgerError>;
}

/// What an undo came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undo {
    /// It is undone.
    Undone,
    /// There was nothing to undo after all.
    NothingToUndo,
}

type Work<L> =
    dyn for<'t> Fn(&mut <L as Ledger>::Tx<'t>, &Command) -> Result<Value, Failure> + Send + Sync;
type Reversal<L> = dyn for<'t> Fn(&mut <L as Ledger>::Tx<'t>, &Command, Option<&Value>) -> Result<Undo, Failure>
    + Send
    + Sync;
type Question<L> = dyn for<'t> Fn(&mut <L as Ledger>::Tx<'t>, &Command) -> Status + Send + Sync;

/// An agent made of functions, one for each operation, over a [`Ledger`].
///
/// It does the four things that a participant owes:
/// 1. each idempotency key succeeds once, and a repeat is answered the first output;
/// 2. the undo of what was never done is answered `NothingToUndo`, and a do with that key is from then
///    on refused (`already_undone`);
/// 3. an undo twice is an undo once;
/// 4. a do is refused whose epoch is below the highest seen for its run (`superseded`), or that was
///    appended past its deadline (`expired`).
///
/// A function that panics has failed with unknown effects, code `panicked`, and is retried. What a
/// function writes to its transaction happens once. What it does outside of the store happens at least
/// once, and a crash in the middle leaves no mark of it: do such a thing under the command's idempotency
/// key, with a service that knows what that is, and fail with
/// [unknown effects](Failure::with_unknown_effects) where you can not tell what happened there.
pub struct Participant<L: Ledger> {
    agent: AgentName,
    ledger: L,
    work: HashMap<String, Box<Work<L>>>,
    reversals: HashMap<String, Box<Reversal<L>>>,
    questions: HashMap<String, Box<Question<L>>>,
}

impl<L: Ledger> Participant<L> {
    /// A participant that can do nothing yet.
    #[must_use]
    pub fn new(agent: impl Into<AgentName>, ledger: L) -> Self {
        Self {
            agent: agent.into(),
            ledger,
            work: HashMap::new(),
            reversals: HashMap::new(),
            questions: HashMap::new(),
        }
    }

    /// What to do for an operation: a task's `type`, or its id where it has none. Gives the output.
    #[must_use]
    pub fn on<F>(mut self, operation: &str, work: F) -> Self
    where
        F: for<'t> Fn(&mut L::Tx<'t>, &Command) -> Result<Value, Failure> + Send + Sync + 'static,
    {
        self.work.insert(operation.to_owned(), Box::new(work));
        self
    }

    /// How to undo, by the operation that `compensate` names. Called only for what was done, with the
    /// output that was then answered; or without one, where an attempt failed with unknown effects.
    #[must_use]
    pub fn on_undo<F>(mut self, operation: &str, undo: F) -> Self
    where
        F: for<'t> Fn(&mut L::Tx<'t>, &Command, Option<&Value>) -> Result<Undo, Failure>
            + Send
            + Sync
            + 'static,
    {
        self.reversals.insert(operation.to_owned(), Box::new(undo));
        self
    }

    /// How to find out whether an operation was done whose attempt failed with unknown effects. Every
    /// other query is answered from the marks; without this, such a one with [`Status::Unknown`].
    #[must_use]
    pub fn on_query<F>(mut self, operation: &str, query: F) -> Self
    where
        F: for<'t> Fn(&mut L::Tx<'t>, &Command) -> Status + Send + Sync + 'static,
    {
        self.questions.insert(operation.to_owned(), Box::new(query));
        self
    }

    /// The store.
    #[must_use]
    pub fn ledger(&self) -> &L {
        &self.ledger
    }

    fn look(&self, command: &Command) -> Result<Look<'_, L>, LedgerError> {
        let mut tx = self.ledger.begin()?;
        let mark = read_mark::<L>(&mut tx, &command.idempotency_key)?;
        let epoch = read_epoch::<L>(&mut tx, &run_of(command))?;
        Ok(Look { tx, mark, epoch })
    }

    fn work(&self, command: &Command) -> Result<Answer, LedgerError> {
        let mut look = self.look(command)?;
        let unsure = match &look.mark {
            // First of all, or a command that is repeated late would deny what was done.
            Some(Mark::Done { .. }) if planted("done-twice") => false,
            Some(Mark::Done { output }) => {
                let answer = Answer::Completed(output.clone());
                return look.keep_epoch(command, answer);
            }
            Some(Mark::Undone | Mark::Barred) if planted("done-after-undone") => false,
            Some(Mark::Undone | Mark::Barred) => {
                let message = format!("`{}` was undone before", command.idempotency_key);
                let failure = Failure::refused("already_undone", message);
                return look.keep_epoch(command, Answer::Failed(failure));
            }
            Some(Mark::Unsure) => true,
            None => false,
        };
        if let Some(mut failure) = too_late(command, look.epoch) {
            // This answer speaks for the attempts before it, too.
            if unsure {
                failure = failure.with_unknown_effects();
            }
            return look.keep_epoch(command, Answer::Failed(failure));
        }
        let result = match self.work.get(&command.operation) {
            Some(work) => guarded(command, || work(&mut look.tx, command)).and_then(fits),
            None => Err(unknown_operation(&self.agent, command)),
        };
        match result {
            Ok(output) => {
                let mark = Mark::Done { output: output.clone() };
                look.mark_and_commit(command, Some(&mark))?;
                Ok(Answer::Completed(output))
            }
            Err(failure) => {
                drop(look);
                let mark = match failure.effects {
                    Effects::None => None,
                    Effects::Unknown => Some(Mark::Unsure),
                };
                self.note(command, mark.as_ref())?;
                Ok(Answer::Failed(failure))
            }
        }
    }

    fn undo(&self, command: &Command) -> Result<Answer, LedgerError> {
        let mut look = self.look(command)?;
        let output = match look.mark.take() {
            None => {
                look.mark_and_commit(command, Some(&Mark::Barred))?;
                return Ok(Answer::NothingToUndo);
            }
            Some(Mark::Barred) => return look.keep_epoch(command, Answer::NothingToUndo),
            Some(Mark::Undone) if planted("undone-twice") => None,
            Some(Mark::Undone) => return look.keep_epoch(command, Answer::Completed(Value::Null)),
            Some(Mark::Done { output }) => Some(output),
            Some(Mark::Unsure) => None,
        };
        let result = match self.reversals.get(&command.operation) {
            Some(undo) => guarded(command, || undo(&mut look.tx, command, output.as_ref())),
            None => Err(unknown_operation(&self.agent, command)),
        };
        match result {
            Ok(Undo::Undone) => {
                look.mark_and_commit(command, Some(&Mark::Undone))?;
                Ok(Answer::Completed(Value::Null))
            }
            Ok(Undo::NothingToUndo) => {
                look.mark_and_commit(command, Some(&Mark::Barred))?;
                Ok(Answer::NothingToUndo)
            }
            Err(failure) => {
                drop(look);
                self.look(command)?.keep_epoch(command, Answer::Failed(failure))
            }
        }
    }

    fn query(&self, command: &Command) -> Result<Answer, LedgerError> {
        let mut look = self.look(command)?;
        let status = match look.mark.take() {
            Some(Mark::Done { output }) => Status::Done(output),
            Some(Mark::Undone | Mark::Barred) | None => Status::NotDone,
            Some(Mark::Unsure) => match self.questions.get(&command.operation) {
                Some(ask) => {
                    guarded(command, || Ok(ask(&mut look.tx, command))).unwrap_or(Status::Unknown)
                }
                None => Status::Unknown,
            },
        };
        // A question changes nothing, whatever it wrote.
        drop(look);
        self.look(command)?.keep_epoch(command, Answer::Status(status))
    }

    /// A workflow's commands are answered one after the other, so what is to be cancelled has ended,
    /// or has never come; then the epoch that the cancel carries keeps it out.
    fn cancel(&self, command: &Command) -> Result<Answer, LedgerError> {
        let mut look = self.look(command)?;
        let cancelled = Failure::refused("cancelled", "cancelled before it was done");
        let answer = match look.mark.take() {
            Some(Mark::Done { output }) => Answer::Completed(output),
            Some(Mark::Unsure) => Answer::Failed(cancelled.with_unknown_effects()),
            Some(Mark::Undone | Mark::Barred) | None => Answer::Failed(cancelled),
        };
        look.keep_epoch(command, answer)
    }

    /// Writes a mark by itself, after the transaction of a function that failed was dropped.
    fn note(&self, command: &Command, mark: Option<&Mark>) -> Result<(), LedgerError> {
        let look = self.look(command)?;
        if look.mark.as_ref() == mark && look.epoch >= command.epoch {
            return Ok(());
        }
        look.mark_and_commit(command, mark)
    }
}

impl<L: Ledger> Agent for Participant<L> {
    fn name(&self) -> &AgentName {
        &self.agent
    }

    fn answer(&self, command: &Command) -> Result<Answer, LedgerError> {
        let answer = match command.asked {
            Asked::Do => self.work(command),
            Asked::Undo => self.undo(command),
            Asked::Query => self.query(command),
            Asked::Cancel => self.cancel(command),
        }?;
        debug!(subject = %command.subject_text, answer = answer.ce_type(), "command answered");
        Ok(answer)
    }
}

/// What the ledger says of a command, in a transaction that is still open.
struct Look<'t, L: Ledger> {
    tx: L::Tx<'t>,
    mark: Option<Mark>,
    epoch: u64,
}

impl<L: Ledger> Look<'_, L> {
    fn mark_and_commit(
        mut self,
        command: &Command,
        mark: Option<&Mark>,
    ) -> Result<(), LedgerError> {
        write_mark::<L>(&mut self.tx, &command.idempotency_key, mark)?;
        if command.epoch > self.epoch {
            write_epoch::<L>(&mut self.tx, &run_of(command), command.epoch)?;
        }
        L::commit(self.tx)
    }

    /// Answers without a new mark; but an epoch that was seen is remembered.
    fn keep_epoch(mut self, command: &Command, answer: Answer) -> Result<Answer, LedgerError> {
        if command.epoch > self.epoch {
            write_epoch::<L>(&mut self.tx, &run_of(command), command.epoch)?;
            L::commit(self.tx)?;
        }
        Ok(answer)
    }
}

fn run_of(command: &Command) -> String {
    format!("{}/{}", command.subject.workflow, command.subject.run)
}

fn too_late(command: &Command, epoch: u64) -> Option<Failure> {
    if command.epoch < epoch {
        let message = format!("epoch {} is over, {epoch} has begun", command.epoch);
        return Some(Failure::refused("superseded", message));
    }
    let deadline = command.deadline.filter(|deadline| command.appended_at > *deadline)?;
    let message = format!("sent at {}, past its deadline {deadline}", command.appended_at);
    Some(Failure::retryable("expired", message))
}

fn guarded<T>(command: &Command, call: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    // The transaction is dropped by whoever called, whole, so no broken state is seen afterwards. What
    // the function has done outside of it nobody knows.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| {
        error!(subject = %command.subject_text, operation = command.operation, "function panicked");
        let message = format!("`{}` panicked; see the participant's log", command.operation);
        Err(Failure::retryable("panicked", message).with_unknown_effects())
    })
}

fn fits(output: Value) -> Result<Value, Failure> {
    let bytes = output.to_string().len();
    if bytes > OUTPUT_BYTES_MAX {
        let message = format!("an output of {bytes} bytes is more than {OUTPUT_BYTES_MAX}");
        return Err(Failure::refused("output_too_large", message));
    }
    Ok(output)
}

fn unknown_operation(agent: &AgentName, command: &Command) -> Failure {
    let message = format!("agent `{agent}` knows no operation `{}`", command.operation);
    Failure::refused("unknown_operation", message)
}

/// Answers what may not even be a command, where it says whom to tell.
pub(crate) fn refuse_unreadable(subject: String, refusal: &events::Refusal) -> Reply {
    let failure = Failure::refused(&refusal.code, refusal.message.as_str());
    Reply { subject, traceparent: None, answer: Answer::Failed(failure) }
}
