//! What is sent for a task.

use events::{AgentName, Json, TaskId, Timestamp, Version};
use minicbor::{Decode, Encode};

/// A command, with all that its record needs beside the workflow's own names.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Command {
    #[n(0)]
    pub(crate) task: TaskId,
    #[n(1)]
    pub(crate) n: u32,
    #[n(2)]
    pub(crate) agent: AgentName,
    #[n(3)]
    pub(crate) task_type: String,
    #[n(4)]
    pub(crate) value: Json,
    #[n(5)]
    pub(crate) deadline: Timestamp,
    #[n(6)]
    pub(crate) time: Timestamp,
    #[n(7)]
    pub(crate) epoch: u32,
    /// The idempotency key.
    #[n(8)]
    pub(crate) key: String,
    #[n(9)]
    pub(crate) via: Via,
    /// There is no time limit; `deadline` is only what is told.
    #[n(10)]
    pub(crate) endless: bool,
}

impl Command {
    /// When it must be answered.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        (!self.endless).then_some(self.deadline)
    }
}

/// How a command goes out.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Via {
    /// To the agent's topic.
    #[n(0)]
    Agent,
    /// Nothing is sent: something is waited for.
    #[n(1)]
    Nothing,
    /// As an event to the topic that stands for the agent.
    #[n(2)]
    Event {
        /// The same in every attempt.
        #[n(3)]
        id: String,
        #[n(0)]
        key: String,
        #[n(1)]
        headers: Vec<Pair>,
        /// Done once it is acknowledged; else an event is waited for.
        #[n(2)]
        alone: bool,
    },
    /// As a start to the inbox; the agent is the child's id.
    #[n(3)]
    Child {
        #[n(0)]
        version: Version,
        #[n(1)]
        depth: u32,
    },
}

/// A name and a text.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Pair {
    #[n(0)]
    pub(crate) name: String,
    #[n(1)]
    pub(crate) text: String,
}
