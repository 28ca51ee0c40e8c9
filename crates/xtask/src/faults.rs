//! What can be done to the brokers of a cluster, and which of them is which.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::host::run;
use crate::kafka::Cluster;
use crate::metadata;

impl Cluster {
    /// `kill -9` of a broker, by its place.
    ///
    /// # Errors
    /// There is none, or the system does not let us.
    pub fn kill(&mut self, place: usize) -> Result<()> {
        let broker = self.brokers.get_mut(place).context("there is no such broker")?;
        broker.kill()?;
        broker.wait()?;
        Ok(())
    }

    /// Starts a broker that was killed, on the data that it has.
    ///
    /// # Errors
    /// It can not be started.
    pub fn restart(&mut self, place: usize) -> Result<()> {
        let node = self.nodes.get(place).context("there is no such broker")?;
        let started = self.java.launch(node)?;
        let broker = self.brokers.get_mut(place).context("there is no such broker")?;
        *broker = started;
        Ok(())
    }

    /// Makes a broker stand still.
    ///
    /// # Errors
    /// There is none, or the system does not let us.
    pub fn pause(&self, place: usize) -> Result<()> {
        self.signal(place, "-STOP")
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// As [`Cluster::pause`].
    pub fn go_on(&self, place: usize) -> Result<()> {
        self.signal(place, "-CONT")
    }

    fn signal(&self, place: usize, signal: &str) -> Result<()> {
        let broker = self.brokers.get(place).context("there is no such broker")?;
        run(Command::new("kill").args([signal, &broker.id().to_string()]))
    }

    /// The place of the broker that leads partition 0 of a topic.
    ///
    /// # Errors
    /// No broker answers, or nobody leads it.
    pub fn leader(&self, topic: &str) -> Result<usize> {
        self.place(|at| metadata::leader(at, topic))
    }

    /// The place of the active controller.
    ///
    /// # Errors
    /// No broker answers.
    pub fn controller(&self) -> Result<usize> {
        self.place(metadata::controller)
    }

    /// The place of the broker that coordinates a group.
    ///
    /// # Errors
    /// No broker answers, or nobody coordinates it.
    pub fn coordinator(&self, group: &str) -> Result<usize> {
        self.place(|at| metadata::coordinator(at, group))
    }

    /// Where the broker stands whose id the first one that answers gives.
    fn place(&self, asked: impl Fn(SocketAddr) -> Result<u32>) -> Result<usize> {
        let mut last = None;
        for port in self.ports() {
            match asked(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) {
                Ok(id) => {
                    let place = usize::try_from(id)?.checked_sub(1);
                    let place = place.filter(|place| *place < self.nodes.len());
                    return place.with_context(|| format!("there is no broker {id}"));
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("there is no broker")?)
    }
}
