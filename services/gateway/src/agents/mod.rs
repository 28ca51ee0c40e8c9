//! Participants without a Kafka client: commands leased by HTTP, answers taken by HTTP.
//!
//! One feed an agent, in the group that participants on Kafka are in too, so the two doors are one
//! group. It is joined at the first poll and left when nobody polls any more.

mod calls;
mod desk;
mod leases;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use events::AgentName;
use stream::{Broker, Clock, Stop};

pub(crate) use calls::{answers, commands};
use desk::Desk;

use crate::problem::Problem;

/// Agents served at once.
const AGENTS_MAX: usize = 256;
/// Characters of an agent's name.
const NAME_MAX: usize = 100;

/// All agents that are being polled.
pub(crate) struct Agents {
    idle: Duration,
    stop: Stop,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    desks: HashMap<AgentName, Arc<Desk>>,
    threads: Vec<JoinHandle<()>>,
}

impl Agents {
    pub(crate) fn new(idle: Duration, stop: Stop) -> Self {
        Self { idle, stop, held: Mutex::default() }
    }

    /// The desk of an agent, if it is being polled.
    fn find(&self, agent: &AgentName) -> Option<Arc<Desk>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.desks.get(agent).filter(|desk| !desk.is_closed()).map(Arc::clone)
    }

    /// The desk of an agent; opened, if there is none.
    fn open<B: Broker>(
        &self,
        agent: &AgentName,
        broker: &Arc<B>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Arc<Desk>, Problem> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.desks.retain(|_, desk| !desk.is_closed());
        held.threads.retain(|thread| !thread.is_finished());
        if let Some(desk) = held.desks.get(agent)
            && desk.keep_open(clock.now())
        {
            return Ok(Arc::clone(desk));
        }
        if held.threads.len() >= AGENTS_MAX {
            let what =
                format!("{AGENTS_MAX} agents are being polled here, which is all there may be");
            return Err(Problem::unavailable("too_many_agents", what));
        }
        let desk = Arc::new(Desk::new(agent.clone(), clock.now()));
        let (shared, broker, clock) = (Arc::clone(&desk), Arc::clone(broker), Arc::clone(clock));
        let (idle, stop) = (self.idle, self.stop.clone());
        let thread = std::thread::Builder::new()
            .name(format!("agent-{agent}"))
            .spawn(move || desk::tend(&shared, &*broker, &*clock, idle, &stop))
            .map_err(|error| Problem::unavailable("no_thread", error.to_string()))?;
        held.threads.push(thread);
        held.desks.insert(agent.clone(), Arc::clone(&desk));
        Ok(desk)
    }

    /// Waits until all threads have ended; the wish to stop must have been uttered.
    pub(crate) fn join(&self) {
        let threads = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut held.threads)
        };
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread that reads an agent's commands has panicked");
            }
        }
    }
}

/// An agent's name as it may stand in a topic's.
fn agent_name(text: &str) -> Result<AgentName, Problem> {
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.');
    if text.is_empty() || text.len() > NAME_MAX || !text.chars().all(fits) || text.ends_with(".dlq")
    {
        let what = format!(
            "`{text}` can not be an agent's name: up to {NAME_MAX} letters, digits, `_`, `-` and `.`"
        );
        return Err(Problem::bad("agent", what));
    }
    Ok(AgentName::from(text))
}
