//! The threads of a process that run until they are asked to stop, stopped and joined in order.

use std::thread::JoinHandle;
use std::time::Duration;

use stream::Stop;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// How often it is looked whether a member has failed.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The members, in the order in which they were started.
#[derive(Default)]
pub(crate) struct Crew {
    members: Vec<Member>,
}

struct Member {
    name: String,
    stop: Stop,
    thread: JoinHandle<Result<(), String>>,
    /// It was over before it was asked to stop.
    ended_early: bool,
}

impl Member {
    fn ask_to_stop(&mut self) {
        self.ended_early |= self.thread.is_finished() && !self.stop.requested();
        self.stop.request();
    }
}

impl Crew {
    /// Starts a member, which ends when its `Stop` says so, or fails with a text.
    pub(crate) fn start(
        &mut self,
        name: &str,
        work: impl FnOnce(&Stop) -> Result<(), String> + Send + 'static,
    ) -> Result<(), Failure> {
        let stop = Stop::default();
        let heeded = stop.clone();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work(&heeded))
            .map_err(|error| Failure::from_error("the system gives no thread", &error))?;
        self.members.push(Member { name: name.to_owned(), stop, thread, ended_early: false });
        Ok(())
    }

    /// Waits until `wish` is uttered or a member has ended by itself.
    pub(crate) fn wait(&self, wish: &Stop) {
        while !wish.wait(LOOK_EVERY) && !self.has_lost_one() {}
    }

    /// Whether a member has ended without being asked.
    pub(crate) fn has_lost_one(&self) -> bool {
        self.members.iter().any(|member| member.thread.is_finished())
    }

    /// Stops and joins all: the youngest first, so that who serves goes before what it stands on, then the
    /// others at once, so that other processes take over without delay.
    pub(crate) fn stop(&mut self) -> Result<(), Failure> {
        let mut result = Ok(());
        while let Some(mut member) = self.members.pop() {
            member.ask_to_stop();
            let said = match member.thread.join() {
                Ok(Ok(())) if member.ended_early => Some("ended without being asked".to_owned()),
                Ok(Ok(())) => None,
                Ok(Err(text)) => Some(text),
                Err(_) => Some("panicked; see the log".to_owned()),
            };
            tracing::debug!(member = member.name, "stopped");
            if let Some(said) = said {
                result = Err(Failure::failed(format!("{}: {said}", member.name)));
            }
            self.members.iter_mut().for_each(Member::ask_to_stop);
        }
        result
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        if let Err(failure) = self.stop() {
            tracing::error!(%failure, "a part of the system failed while it was stopped");
        }
    }
}

/// Utters the wish to stop on Ctrl-C or SIGTERM; the second time the process ends at once, for whatever
/// was decided is safe.
pub(crate) fn on_signal(runtime: &Runtime, wish: &Stop) -> Result<(), Failure> {
    let no_signals = |error: std::io::Error| Failure::from_error("no signals can be heard", &error);
    let _inside = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let wish = wish.clone();
    let mut is_second = false;
    drop(runtime.spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if std::mem::replace(&mut is_second, true) {
                std::process::exit(1);
            }
            wish.request();
        }
    }));
    Ok(())
}
