//! Where processes die, or stand still: at the beginnings and ends of their calls to the broker.

use crate::faults::Call;
use crate::world::{AtStep, Micros, ProcessId, Role, World};

impl World {
    /// A process begins or ends a call to the broker: here it can die, or be stopped for a while.
    pub(crate) fn step(&self, process: Option<ProcessId>) {
        self.befall(process, |role| {
            role.steps += 1;
            role.at_step.remove(&role.steps)
        });
    }

    /// The same, of a call of that kind.
    pub(crate) fn call(&self, process: Option<ProcessId>, call: Call) {
        self.befall(process, |role| {
            let calls = role.calls.entry(call).or_default();
            *calls += 1;
            role.at_call.remove(&(call, *calls))
        });
    }

    fn befall(&self, process: Option<ProcessId>, what: impl Fn(&mut Role) -> Option<AtStep>) {
        let Some(process) = process else { return };
        let wait = {
            let mut inner = self.lock();
            let role = inner.processes[process].role;
            let befalls = what(&mut inner.roles[role]);
            match befalls {
                Some(AtStep::Crash) => {
                    let now = inner.now;
                    inner.trace.note(|| format!("{now:>12} role {role} dies"));
                    inner.tally.count("processes killed");
                    inner.crash(process);
                    Some(Micros::MAX)
                }
                Some(AtStep::Pause(wait)) => {
                    let now = inner.now;
                    inner.trace.note(|| format!("{now:>12} role {role} stops for {wait}"));
                    inner.tally.count("processes that stand still");
                    let until = inner.now + wait;
                    inner.pause(process, until);
                    Some(until)
                }
                None => None,
            }
        };
        if let Some(until) = wait {
            self.block(&[], until);
        }
    }

    /// The time goes by that a call takes.
    pub(crate) fn travel(&self, process: Option<ProcessId>) {
        let until = {
            let mut inner = self.lock();
            inner.now + inner.latency()
        };
        self.block(&[], until);
        self.step(process);
    }
}
