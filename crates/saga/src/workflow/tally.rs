//! What is asked about all tasks of a workflow at once, kept as they change, so that an answer does not cost what
//! the workflow has of tasks. It follows from the tasks and stands in no record.

use std::ops::{Deref, DerefMut};

use events::{Json, Timestamp};

use crate::phase::{Phase, Task};

/// How many tasks are so and so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Not [`Task::is_plain`].
    troubled: usize,
    /// [`Phase::in_flight`]
    in_flight: usize,
    /// An operator must choose about their undo.
    blocked: usize,
    /// Something comes of them, or somebody has been told.
    speaking: usize,
    /// Of their inputs and outputs.
    bytes: usize,
}

impl Tally {
    /// Of all these.
    pub(crate) fn of<'a>(tasks: impl IntoIterator<Item = &'a Task>) -> Self {
        let mut tally = Self::default();
        tasks.into_iter().for_each(|task| tally.add(task));
        tally
    }

    fn one(task: &Task) -> Self {
        let bytes = |json: &Option<Json>| json.as_ref().map_or(0, |json| json.as_str().len());
        let Task { phase, inputs, output, .. } = task;
        Self {
            troubled: usize::from(!task.is_plain()),
            in_flight: usize::from(phase.in_flight()),
            blocked: usize::from(matches!(phase, Phase::UndoBlocked)),
            speaking: usize::from(speaks(task)),
            bytes: bytes(inputs) + bytes(output),
        }
    }

    fn add(&mut self, task: &Task) {
        let one = Self::one(task);
        self.troubled += one.troubled;
        self.in_flight += one.in_flight;
        self.blocked += one.blocked;
        self.speaking += one.speaking;
        self.bytes += one.bytes;
    }

    fn remove(&mut self, task: &Task) {
        let one = Self::one(task);
        self.troubled -= one.troubled;
        self.in_flight -= one.in_flight;
        self.blocked -= one.blocked;
        self.speaking -= one.speaking;
        self.bytes -= one.bytes;
    }

    /// Whether every task is [`Task::is_plain`].
    pub(crate) const fn is_plain(self) -> bool {
        self.troubled == 0
    }

    /// Tasks in flight.
    pub(crate) const fn in_flight(self) -> usize {
        self.in_flight
    }

    /// Whether an operator must choose about an undo.
    pub(crate) const fn is_blocked(self) -> bool {
        self.blocked > 0
    }

    /// Whether something comes of a task, or somebody has been told of it.
    pub(crate) const fn speaks(self) -> bool {
        self.speaking > 0
    }

    /// Bytes of all inputs and outputs.
    pub(crate) const fn bytes(self) -> usize {
        self.bytes
    }
}

/// Whether something comes of it by itself, or a person has been told.
fn speaks(task: &Task) -> bool {
    let waits = matches!(
        task.phase,
        Phase::Running { .. } | Phase::Stopping { .. } | Phase::Undoing { .. } | Phase::UndoBlocked
    );
    waits || task.due().is_some()
}

/// When tasks want to be looked at: the latest first, each time once, with how many want it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dues(Vec<(Timestamp, u32)>);

impl Dues {
    /// Of all these.
    pub(crate) fn of<'a>(tasks: impl IntoIterator<Item = &'a Task>) -> Self {
        let mut dues = Self::default();
        tasks.into_iter().for_each(|task| dues.add(task));
        dues
    }

    /// The earliest.
    pub(crate) fn first(&self) -> Option<Timestamp> {
        self.0.last().map(|(at, _)| *at)
    }

    fn place(&self, due: Timestamp) -> Result<usize, usize> {
        self.0.binary_search_by(|(at, _)| due.cmp(at))
    }

    fn add(&mut self, task: &Task) {
        let Some(due) = task.due() else { return };
        match self.place(due) {
            Ok(place) => self.0.get_mut(place).into_iter().for_each(|(_, count)| *count += 1),
            Err(place) => self.0.insert(place, (due, 1)),
        }
    }

    fn remove(&mut self, task: &Task) {
        let Some(due) = task.due() else { return };
        let Ok(place) = self.place(due) else { return };
        match self.0.get_mut(place) {
            Some((_, count)) if *count > 1 => *count -= 1,
            Some(_) | None => {
                self.0.remove(place);
            }
        }
    }
}

/// A task that is being changed: it is counted anew once that is over.
pub(crate) struct Changing<'a> {
    task: &'a mut Task,
    tally: &'a mut Tally,
    dues: Option<&'a mut Dues>,
}

impl<'a> Changing<'a> {
    /// `dues`: where they are kept as well.
    pub(crate) fn new(
        task: &'a mut Task,
        tally: &'a mut Tally,
        mut dues: Option<&'a mut Dues>,
    ) -> Self {
        tally.remove(task);
        if let Some(dues) = &mut dues {
            dues.remove(task);
        }
        Self { task, tally, dues }
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.tally.add(self.task);
        if let Some(dues) = &mut self.dues {
            dues.add(self.task);
        }
    }
}

impl Deref for Changing<'_> {
    type Target = Task;

    fn deref(&self) -> &Task {
        self.task
    }
}

impl DerefMut for Changing<'_> {
    fn deref_mut(&mut self) -> &mut Task {
        self.task
    }
}
