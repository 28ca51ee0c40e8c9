//! Which commands are handed out, until when, and how far each partition is done: pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use events::{Offset, Partition, Timestamp, ce_type};
use serde::Serialize;
use serde_json::Value;

/// A request to stop may be passed over by its participant, and has its own end in the workflow: it is
/// handed out so often at most.
const CANCELS_MAX: u32 = 3;

type At = (Partition, Offset);

/// A command as it is handed out.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Command {
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) value: Value,
    /// When its record was appended, RFC 3339.
    pub(crate) timestamp: String,
    #[serde(skip)]
    pub(crate) subject: String,
    #[serde(skip)]
    pub(crate) ce_type: String,
}

struct Held {
    command: Command,
    leased_until: Option<Timestamp>,
    handed_out: u32,
}

/// Commands that were read and not yet answered.
#[derive(Default)]
pub(crate) struct Leases {
    held: BTreeMap<At, Held>,
    /// Of them, those that nobody has.
    free: BTreeSet<At>,
    /// Of them, those that somebody has, by when the lease ends.
    leased: BTreeSet<(Timestamp, At)>,
    by_subject: HashMap<String, Vec<At>>,
    /// By partition: the next offset to read, and what was committed last.
    read_to: BTreeMap<Partition, (Offset, Option<Offset>)>,
}

impl Leases {
    /// How many are held.
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether the record at that place is news: not held, and not done.
    pub(crate) fn is_new(&self, partition: Partition, offset: Offset) -> bool {
        self.read_to.get(&partition).is_none_or(|(next, _)| offset >= *next)
    }

    /// Notes a record for which nothing has to be handed out.
    pub(crate) fn pass(&mut self, partition: Partition, offset: Offset) {
        let (next, _) = self.read_to.entry(partition).or_insert((offset, None));
        *next = (*next).max(offset + 1);
    }

    /// Takes a command in.
    pub(crate) fn add(&mut self, partition: Partition, offset: Offset, command: Command) {
        self.pass(partition, offset);
        let at = (partition, offset);
        self.by_subject.entry(command.subject.clone()).or_default().push(at);
        self.free.insert(at);
        self.held.insert(at, Held { command, leased_until: None, handed_out: 0 });
    }

    /// Hands out commands that nobody has, in the order of the topic.
    pub(crate) fn take(&mut self, now: Timestamp, lease: Duration, max: usize) -> Vec<Command> {
        while let Some((until, at)) =
            self.leased.first().copied().filter(|(until, _)| *until <= now)
        {
            self.leased.remove(&(until, at));
            let Some(held) = self.held.get_mut(&at) else { continue };
            held.leased_until = None;
            if held.command.ce_type == ce_type::CANCEL_TASK && held.handed_out >= CANCELS_MAX {
                self.remove(at);
            } else {
                self.free.insert(at);
            }
        }
        let until = now.after(lease);
        let mut commands = Vec::new();
        while commands.len() < max
            && let Some(at) = self.free.pop_first()
        {
            let Some(held) = self.held.get_mut(&at) else { continue };
            held.leased_until = Some(until);
            held.handed_out += 1;
            self.leased.insert((until, at));
            commands.push(held.command.clone());
        }
        commands
    }

    /// When the next lease ends.
    pub(crate) fn next_end(&self) -> Option<Timestamp> {
        self.leased.first().map(|(until, _)| *until)
    }

    /// The subject was answered: whatever is about it is done.
    pub(crate) fn answered(&mut self, subject: &str) {
        for at in self.by_subject.remove(subject).unwrap_or_default() {
            self.let_go(at);
        }
    }

    /// The participant has given a sign of life.
    pub(crate) fn alive(&mut self, subject: &str, until: Timestamp) {
        for at in self.by_subject.get(subject).into_iter().flatten() {
            let Some(held) = self.held.get_mut(at) else { continue };
            if held.leased_until.is_none_or(|end| end < until) {
                self.free.remove(at);
                if let Some(end) = held.leased_until.replace(until) {
                    self.leased.remove(&(end, *at));
                }
                self.leased.insert((until, *at));
            }
        }
    }

    fn let_go(&mut self, at: At) -> Option<Held> {
        let held = self.held.remove(&at)?;
        self.free.remove(&at);
        if let Some(until) = held.leased_until {
            self.leased.remove(&(until, at));
        }
        Some(held)
    }

    fn remove(&mut self, at: At) {
        let Some(held) = self.let_go(at) else { return };
        if let Some(of_subject) = self.by_subject.get_mut(&held.command.subject) {
            of_subject.retain(|other| *other != at);
            if of_subject.is_empty() {
                self.by_subject.remove(&held.command.subject);
            }
        }
    }

    /// What to commit: for each partition where that is new, the lowest offset that is not done.
    pub(crate) fn commits(&mut self) -> Vec<(Partition, Offset)> {
        let mut commits = Vec::new();
        for (partition, (next, committed)) in &mut self.read_to {
            let first = self.held.range((*partition, 0)..=(*partition, Offset::MAX)).next();
            let low = first.map_or(*next, |((_, offset), _)| *offset);
            if *committed != Some(low) {
                *committed = Some(low);
                commits.push((*partition, low));
            }
        }
        commits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(30);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn command(subject: &str, ce_type: &str) -> Command {
        Command {
            headers: BTreeMap::new(),
            value: Value::Null,
            timestamp: String::new(),
            subject: subject.to_owned(),
            ce_type: ce_type.to_owned(),
        }
    }

    fn subjects(commands: &[Command]) -> Vec<&str> {
        commands.iter().map(|command| command.subject.as_str()).collect()
    }

    #[test]
    fn what_is_not_answered_comes_again_and_is_not_committed() {
        let mut leases = Leases::default();
        for (offset, subject) in [(5, "a"), (6, "b"), (8, "c")] {
            leases.add(0, offset, command(subject, ce_type::DO_TASK));
        }
        assert_eq!(subjects(&leases.take(at(0), LEASE, 2)), ["a", "b"]);
        assert_eq!(subjects(&leases.take(at(1), LEASE, 9)), ["c"]);
        leases.answered("b");
        assert_eq!(leases.commits(), [(0, 5)]);
        assert!(leases.take(at(29), LEASE, 9).is_empty());
        assert_eq!(subjects(&leases.take(at(30), LEASE, 9)), ["a"]);
        leases.answered("a");
        assert_eq!(leases.commits(), [(0, 8)]);
        leases.answered("c");
        assert_eq!(leases.commits(), [(0, 9)]);
        assert!(leases.commits().is_empty());
        assert!(!leases.is_new(0, 8) && leases.is_new(0, 9) && leases.is_new(1, 0));
    }

    #[test]
    fn a_sign_of_life_lengthens_the_lease() {
        let mut leases = Leases::default();
        leases.add(0, 0, command("a", ce_type::DO_TASK));
        assert_eq!(leases.take(at(0), LEASE, 9).len(), 1);
        leases.alive("a", at(50));
        assert_eq!(leases.next_end(), Some(at(50)));
        assert!(leases.take(at(40), LEASE, 9).is_empty());
        assert_eq!(leases.take(at(50), LEASE, 9).len(), 1);
    }

    #[test]
    fn a_cancel_that_nobody_answers_does_not_hold_up_the_partition() {
        let mut leases = Leases::default();
        leases.add(0, 0, command("a", ce_type::CANCEL_TASK));
        for round in 0..3 {
            assert_eq!(leases.take(at(round * 100), LEASE, 9).len(), 1);
        }
        assert!(leases.take(at(300), LEASE, 9).is_empty());
        assert_eq!(leases.commits(), [(0, 1)]);
        assert_eq!(leases.len(), 0);
    }
}
