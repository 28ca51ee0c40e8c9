//! What the benches are made of: loads, what is measured, and what it is measured on.

mod cpu;
mod disk;
mod drive;
mod memory;
mod participants;
mod report;
mod roads;

use std::fmt::Write;

use events::AgentName;

pub(crate) use cpu::spent;
pub(crate) use disk::sync_times;
pub(crate) use drive::{Driver, Pace, Road, micros};
pub(crate) use memory::{resident, resident_of};
pub(crate) use participants::{Participants, READY, serve, stop_when_orphaned};
pub(crate) use report::{Measured, Pair, rounded, text};
pub(crate) use roads::{FloorRoad, SagaRoad, TopicRoad};

/// The saga that is measured.
pub(crate) fn saga_name(steps: u8) -> String {
    format!("bench-{steps}")
}

/// Its file: a chain of tasks, each with an agent of its own.
pub(crate) fn saga_file(steps: u8) -> String {
    let mut text = format!("version: \"2.0\"\nname: {}\ntasks:\n", saga_name(steps));
    for step in 1..=steps {
        let after = match step {
            1 => String::new(),
            _ => format!(", depends_on: [step_{}]", step - 1),
        };
        let agent = agent(step);
        let _ = writeln!(text, "  - {{id: step_{step}, agent: {agent}, kind: readonly{after}}}");
    }
    text
}

/// Who does a step.
pub(crate) fn agent(step: u8) -> AgentName {
    AgentName::from(format!("bench_step_{step}"))
}

/// The saga of one timer.
pub(crate) const TIMER: &str = "bench-timer";

/// Its file: over once the timer has fired.
pub(crate) fn timer_file() -> String {
    format!("version: \"2.0\"\nname: {TIMER}\ntasks: [{{id: pause, wait: 10ms}}]\n")
}

/// The saga whose workflows wait.
pub(crate) const WAITING: &str = "bench-waiting";

/// Its file: what waits for a month is followed by two tasks.
pub(crate) fn waiting_file() -> String {
    format!(
        "version: \"2.0\"\nname: {WAITING}\ntimeout: 90d\ntasks:\n  - {{id: pause, wait: 30d}}\n  \
         - {{id: first, agent: bench_step_1, kind: readonly, depends_on: [pause], inputs: {{}}}}\n  \
         - {{id: second, agent: bench_step_2, kind: readonly, depends_on: [first], inputs: {{}}}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sagas_that_wait_are_sound() {
        for file in [waiting_file(), timer_file()] {
            assert_eq!(saga::check(&file).diagnostics, []);
        }
    }

    #[test]
    fn the_saga_that_is_measured_is_sound() {
        for steps in [1, 3, 64] {
            let checked = saga::check(&saga_file(steps));
            assert_eq!(checked.diagnostics, []);
            assert_eq!(checked.plan.unwrap().name.as_str(), saga_name(steps));
        }
    }
}
