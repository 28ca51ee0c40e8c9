//! Runs the threads of the world, one at a time, in the order that the world says.

use std::any::Any;
use std::collections::BTreeMap;

use generator::{Generator, Gn};

use crate::world::{Bell, Event, FiberId, Inner, Killed, Micros, ProcessId, World};

/// A thread's stack, in words: decoding and expressions recurse, and an unoptimised build is generous.
const STACK_WORDS: usize = 0x2_0000;

/// The threads.
pub(crate) struct Fibers {
    world: World,
    running: BTreeMap<FiberId, Generator<'static, (), ()>>,
    /// Those with which a process ends.
    mains: BTreeMap<FiberId, ProcessId>,
}

impl Fibers {
    pub(crate) fn new(world: &World) -> Self {
        Self { world: world.clone(), running: BTreeMap::new(), mains: BTreeMap::new() }
    }

    /// A process of that role begins with this thread.
    pub(crate) fn boot(
        &mut self,
        role: usize,
        main: impl FnOnce(ProcessId) -> Box<dyn FnOnce() + Send>,
    ) {
        let process = self.world.lock().begin(role);
        let body = main(process);
        let fiber = self.world.lock().start(Some(process), body);
        self.mains.insert(fiber, process);
    }

    /// Lets the world go on until a time; gives back the role that is to be started anew, if that comes first.
    pub(crate) fn run_until(&mut self, until: Micros) -> Option<usize> {
        loop {
            self.take_started();
            let event = self.world.lock().pop(until)?;
            match event {
                Event::Wake(fiber, waits) => {
                    let wakes = self.world.lock().wakes(fiber, waits);
                    if wakes {
                        self.resume(fiber);
                    }
                }
                Event::Boot(role) => return Some(role),
                Event::Land(_)
                | Event::Answer(_)
                | Event::Settle(..)
                | Event::Expire(..)
                | Event::Fault(_)
                | Event::Over(_) => self.world.lock().apply(event),
            }
            self.bury();
        }
    }

    fn take_started(&mut self) {
        let started = std::mem::take(&mut self.world.lock().started);
        for (fiber, body) in started {
            let mut thread = Gn::new_opt(STACK_WORDS, body);
            // What is set here makes it one that gives its panics back, and is never read.
            thread.set_local_data(std::ptr::dangling_mut());
            self.running.insert(fiber, thread);
        }
    }

    fn resume(&mut self, fiber: FiberId) {
        let Some(thread) = self.running.get_mut(&fiber) else { return };
        self.world.lock().current = Some(fiber);
        thread.resume();
        let is_done = thread.is_done();
        let panic = if is_done { thread.get_panic_data() } else { None };
        let mut inner = self.world.lock();
        inner.current = None;
        if !is_done {
            return;
        }
        inner.ended(fiber, panic);
        self.running.remove(&fiber);
        if let Some(process) = self.mains.remove(&fiber) {
            // Whoever watches over processes starts another.
            inner.crash(process);
        }
    }

    /// Ends the threads of processes that have died.
    fn bury(&mut self) {
        while let Some(process) = { self.world.lock().doomed.pop_first() } {
            let threads: Vec<FiberId> = {
                let mut inner = self.world.lock();
                let of_it = |(_, fiber): &(FiberId, &crate::world::Fiber)| {
                    fiber.process == Some(process) && !fiber.done
                };
                let threads: Vec<FiberId> =
                    inner.fibers.iter().enumerate().filter(of_it).map(|(id, _)| id).collect();
                for thread in &threads {
                    inner.fibers[*thread].killed = true;
                }
                threads
            };
            self.take_started();
            for thread in threads {
                self.kill(thread);
            }
        }
    }

    fn kill(&mut self, fiber: FiberId) {
        self.mains.remove(&fiber);
        let has_run = self.world.lock().has_run(fiber);
        if has_run {
            self.resume(fiber);
        } else {
            self.running.remove(&fiber);
            self.world.lock().fibers[fiber].done = true;
        }
    }

    /// Ends everything.
    pub(crate) fn end(&mut self) {
        let mut inner = self.world.lock();
        for process in 0..inner.processes.len() {
            inner.processes[process].alive = false;
            inner.doomed.insert(process);
        }
        drop(inner);
        self.bury();
        let rest: Vec<FiberId> = self.running.keys().copied().collect();
        for fiber in rest {
            self.world.lock().fibers[fiber].killed = true;
            self.kill(fiber);
        }
    }
}

impl Inner {
    fn ended(&mut self, fiber: FiberId, panic: Option<Box<dyn Any + Send>>) {
        self.fibers[fiber].done = true;
        self.ring(Bell::Fiber(fiber));
        let Some(panic) = panic.filter(|panic| !panic.is::<Killed>()) else { return };
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "a panic that says nothing".to_owned());
        self.broken.push(format!("panic: {text}"));
    }
}
