//! Time, chance and threads of the simulated world.

use std::time::Duration;

use events::Timestamp;
use stream::{Chance, Clock, LogError, Stop, Thread, Threads};

use crate::broker::after;
use crate::world::{Bell, FiberId, MS, Micros, ProcessId, World};

/// All three, as one process has them.
#[derive(Clone)]
pub(crate) struct Seams {
    pub(crate) world: World,
    pub(crate) process: ProcessId,
}

impl Clock for Seams {
    fn now(&self) -> Timestamp {
        let inner = self.world.lock();
        let skew = inner.roles[inner.processes[self.process].role].skew_ms;
        Timestamp::from_millis(inner.wall().as_millis() + skew)
    }

    fn wait(&self, stop: &Stop, wait: Duration) -> bool {
        let until = after(&self.world, wait);
        while !stop.requested() && self.world.lock().now < until {
            let soon = self.world.lock().now + 200 * MS;
            self.world.block(&[], soon.min(until));
        }
        stop.requested()
    }
}

impl Chance for Seams {
    fn bits(&self) -> Result<[u8; 16], LogError> {
        let mut inner = self.world.lock();
        let bits = (u128::from(inner.dice.next()) << 64) | u128::from(inner.dice.next());
        Ok(bits.to_le_bytes())
    }
}

impl Threads for Seams {
    fn start(&self, _: String, run: Box<dyn FnOnce() + Send>) -> Result<Box<dyn Thread>, LogError> {
        let fiber = self.world.lock().start(Some(self.process), run);
        Ok(Box::new(Started { world: self.world.clone(), fiber }))
    }

    fn until_done(&self, step: &mut dyn FnMut(Duration) -> bool) {
        while !step(Duration::ZERO) {
            let soon = {
                let mut inner = self.world.lock();
                inner.now + inner.dice.range(5 * MS, 300 * MS)
            };
            self.world.block(&[], soon);
        }
    }
}

struct Started {
    world: World,
    fiber: FiberId,
}

impl Thread for Started {
    fn is_finished(&self) -> bool {
        self.world.lock().fibers[self.fiber].done
    }

    fn join(self: Box<Self>) -> bool {
        while !self.is_finished() {
            self.world.block(&[Bell::Fiber(self.fiber)], Micros::MAX);
        }
        true
    }
}
