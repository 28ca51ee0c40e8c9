//! The participants' books: what their commands have changed in the world.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::Invariant as I;
use crate::bench::Bench;
use crate::definition::Definition;
use crate::definition::fallback_of;
use crate::record::{Effect, Op};
use crate::run::{Lists, Run, Task};
use crate::status::{Back, Forward, Kind, TaskNo};
use crate::wire::How;

/// What stands under one key.
#[derive(Clone, Debug, Default)]
struct Entry {
    done: u32,
    undone: u32,
    refuses: bool,
    service: Option<Arc<str>>,
    /// Whether a command with this key was seen.
    commanded: bool,
}

/// All books together.
#[derive(Debug, Default)]
pub(crate) struct Books {
    entries: BTreeMap<Box<str>, Entry>,
    /// Those who keep a whole book.
    services: BTreeSet<Arc<str>>,
}

impl Books {
    pub(crate) fn take(&mut self, effect: &Effect, bench: &mut Bench) {
        let service: Option<Arc<str>> = effect.service.as_deref().map(Arc::from);
        self.services.extend(service.clone());
        let key = effect.key.as_str();
        let entry = self.entries.entry(key.into()).or_default();
        entry.service = service.or(entry.service.take());
        let applied = u32::from(effect.applied);
        match effect.op {
            Op::Do => {
                if entry.refuses && effect.applied {
                    bench.blame(I::UndoneRefuses, format!("a do is applied after its undo: {key}"));
                }
                entry.done += applied;
            }
            Op::Undo => {
                entry.refuses = true;
                entry.undone += applied;
            }
        }
        if effect.applied && (entry.done > 1 || entry.undone > 1) {
            let (done, undone) = (entry.done, entry.undone);
            let message = format!("applied {done} times, undone {undone} times: {key}");
            bench.blame(I::AppliedOnce, message);
        }
    }

    pub(crate) fn commanded(&mut self, key: &str) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.commanded = true;
        }
    }

    /// What nobody has asked for; `whole`: whether all commands of a service, or of all, were given.
    pub(crate) fn settle(&self, whole: impl Fn(Option<&str>) -> bool, bench: &mut Bench) {
        for (key, entry) in &self.entries {
            let has_effect = entry.done > 0 || entry.undone > 0;
            if has_effect && !entry.commanded && whole(entry.service.as_deref()) {
                bench.blame(I::EffectDecided, format!("no command has the key {key}"));
            }
        }
    }

    /// That the books of an ended run's tasks say what its events say.
    pub(crate) fn agree(
        &self,
        workflow: &Arc<str>,
        run: &Run,
        of: Option<&Definition>,
        bench: &mut Bench,
    ) {
        let Some((end, _)) = run.end else { return };
        for (task, number) in run.tasks.iter().zip(0..) {
            let gave_way = run.status(&fallback_of(&task.name)).begun;
            if task.status.by_hand || task.status.back == Back::GivenUp || gave_way {
                continue;
            }
            if let Some(message) = self.differs(run, task, end, of) {
                let about: &[TaskNo] = &[number];
                bench.blame_run(I::BooksAgree, workflow, run, about, message);
            }
        }
    }

    fn differs(
        &self,
        run: &Run,
        task: &Task,
        end: Kind,
        of: Option<&Definition>,
    ) -> Option<String> {
        let key = task.key.as_deref()?;
        let nothing = Entry::default();
        let entry = match self.entries.get(key) {
            Some(entry) => entry,
            // A whole book that does not say it says that it was not done.
            None => {
                let agent = task.orders.iter().find_map(|order| order.sent.as_ref())?;
                self.services.contains(&agent.agent).then_some(&nothing)?
            }
        };
        let (name, word) = (&task.name, task.status.word());
        let (done, undone) = (entry.done, entry.undone);
        let message =
            format!("`{name}` is {word}; its book has done {done}, undone {undone}: {key}");
        let stands = i64::from(done) - i64::from(undone);
        let has_undo = || {
            let place = of.and_then(|of| of.find(name));
            place.is_some_and(|place| {
                of.and_then(|of| of.node(&place)).is_some_and(|it| it.has_undo)
            })
        };
        let told = |lists: &Lists| lists.in_doubt.iter().any(|it| it == name);
        let right = match (task.status.back, task.status.forward) {
            (Back::Undone, _) => stands == 0,
            (Back::Nothing, Forward::Done) => stands == 1,
            (Back::Nothing, Forward::Failed | Forward::InDoubt | Forward::Cancelled) => {
                let open = end == Kind::WorkflowFailed(How::Failed);
                stands == 0 || open || !has_undo() || run.lists.as_deref().is_some_and(told)
            }
            (Back::Nothing, Forward::Pending | Forward::Skipped) => stands == 0,
            (Back::Nothing, Forward::Running | Forward::Retrying) => true,
            (Back::Running | Back::Retrying | Back::Blocked | Back::GivenUp, _) => true,
        };
        (!right).then_some(message)
    }
}
