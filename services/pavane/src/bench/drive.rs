//! The load: a closed loop, with so many under way at once and a new one for each that ends, or an open one,
//! which starts so many a second whatever becomes of them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;

use crate::bench::Measured;
use crate::failure::Failure;

/// Longest latency that is told apart from longer ones, microseconds: ten minutes.
const MICROS_MAX: u64 = 600_000_000;
/// With nothing ended for so long, the run has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// One wait for ends; bounds how soon a wish to stop is heard.
const WAIT: Duration = Duration::from_millis(100);

/// For latencies in microseconds.
pub(crate) fn micros() -> Result<Histogram<u64>, Failure> {
    Histogram::new_with_bounds(1, MICROS_MAX, 3)
        .map_err(|error| Failure::from_error("no histogram", &error))
}

/// A way from a start to an end.
pub(crate) trait Road {
    /// Sends the start of what is called `key`.
    fn start(&mut self, key: &Bytes) -> Result<(), Failure>;

    /// The keys of what has ended. Waits up to `wait` for the first.
    fn ended(&mut self, wait: Duration) -> Result<Vec<Bytes>, Failure>;
}

/// When a new one is started.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// Whenever fewer than so many are under way; its latency counts from then.
    Closed(u32),
    /// So many a second. The latency of each counts from the time at which it was meant to be started, so that
    /// one that had to wait for the others is not measured as if it had not (coordinated omission).
    Open(u32),
}

/// Drives a road; gives each start a key of its own.
pub(crate) struct Driver<'a> {
    prefix: String,
    next: u64,
    /// What this costs: processor time spent so far, where the system says it.
    cpu: &'a dyn Fn() -> Option<Duration>,
    goes_on: &'a mut dyn FnMut() -> bool,
}

impl<'a> Driver<'a> {
    /// Keys begin with `prefix`. It gives up when `goes_on` says no.
    pub(crate) fn new(
        prefix: String,
        cpu: &'a dyn Fn() -> Option<Duration>,
        goes_on: &'a mut dyn FnMut() -> bool,
    ) -> Self {
        Self { prefix, next: 0, cpu, goes_on }
    }

    /// Drives `count` to their ends.
    pub(crate) fn drive(
        &mut self,
        road: &mut impl Road,
        count: u32,
        pace: Pace,
    ) -> Result<Measured, Failure> {
        let latencies = micros()?;
        let (cpu, begun) = ((self.cpu)(), Instant::now());
        let mut run = Run { pace, count, begun, started: 0, under_way: HashMap::new(), latencies };
        let mut progress = begun;
        while run.started < count || !run.under_way.is_empty() {
            while let Some(meant) = run.due() {
                let key = Bytes::from(format!("{}{}", self.prefix, self.next));
                self.next += 1;
                road.start(&key)?;
                run.started += 1;
                run.under_way.insert(key, meant);
            }
            if run.end(road.ended(run.patience())?) {
                progress = Instant::now();
            }
            if !(self.goes_on)() {
                return Err(Failure::failed("stopped before the end")
                    .next("PAVANE_LOG=info with the same command"));
            }
            if progress.elapsed() > PATIENCE {
                let open = run.under_way.len();
                return Err(Failure::failed(format!(
                    "{open} workflows are under way and none has ended for {} s",
                    PATIENCE.as_secs()
                ))
                .next("PAVANE_LOG=info with the same command"));
            }
        }
        let took = begun.elapsed();
        let cpu = (self.cpu)().zip(cpu).map(|(after, before)| after.saturating_sub(before));
        Ok(Measured { latencies: run.latencies, took, cpu })
    }
}

struct Run {
    pace: Pace,
    count: u32,
    begun: Instant,
    started: u32,
    under_way: HashMap<Bytes, Instant>,
    latencies: Histogram<u64>,
}

impl Run {
    /// Whether one is to be started now, and from when it counts.
    fn due(&self) -> Option<Instant> {
        if self.started == self.count {
            return None;
        }
        let now = Instant::now();
        match self.pace {
            Pace::Closed(most) => {
                let under_way = u32::try_from(self.under_way.len()).unwrap_or(u32::MAX);
                (under_way < most).then_some(now)
            }
            Pace::Open(rate) => Some(self.meant(rate)).filter(|meant| *meant <= now),
        }
    }

    fn meant(&self, rate: u32) -> Instant {
        self.begun + Duration::from_secs_f64(f64::from(self.started) / f64::from(rate.max(1)))
    }

    fn patience(&self) -> Duration {
        match self.pace {
            Pace::Open(rate) if self.started < self.count => {
                self.meant(rate).saturating_duration_since(Instant::now()).min(WAIT)
            }
            Pace::Closed(_) | Pace::Open(_) => WAIT,
        }
    }

    /// Takes in what has ended; says whether any of it was ours.
    fn end(&mut self, keys: Vec<Bytes>) -> bool {
        let now = Instant::now();
        let before = self.under_way.len();
        for key in keys {
            // What an earlier run has left behind is nobody's concern.
            let Some(meant) = self.under_way.remove(&key) else { continue };
            let micros = now.saturating_duration_since(meant).as_micros();
            self.latencies.saturating_record(u64::try_from(micros).unwrap_or(u64::MAX));
        }
        self.under_way.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ends each a fixed while after its start; the third start blocks for longer.
    struct Slow {
        open: Vec<(Bytes, Instant)>,
        starts: u32,
        most: usize,
    }

    const TAKES: Duration = Duration::from_millis(2);
    const BLOCKS: Duration = Duration::from_millis(60);

    fn until(at: Instant) {
        while Instant::now() < at {
            std::thread::yield_now();
        }
    }

    impl Road for Slow {
        fn start(&mut self, key: &Bytes) -> Result<(), Failure> {
            self.starts += 1;
            if self.starts == 3 {
                until(Instant::now() + BLOCKS);
            }
            self.open.push((key.clone(), Instant::now() + TAKES));
            self.most = self.most.max(self.open.len());
            Ok(())
        }

        fn ended(&mut self, wait: Duration) -> Result<Vec<Bytes>, Failure> {
            let first = self.open.iter().map(|(_, at)| *at).min();
            let give_up = Instant::now() + wait;
            until(first.map_or(give_up, |first| first.min(give_up)));
            let now = Instant::now();
            let ended = self.open.extract_if(.., |(_, at)| *at <= now);
            Ok(ended.map(|(key, _)| key).collect())
        }
    }

    fn run(pace: Pace) -> (Measured, usize) {
        let mut road = Slow { open: Vec::new(), starts: 0, most: 0 };
        let mut goes_on = || true;
        let mut driver = Driver::new("k".to_owned(), &|| None, &mut goes_on);
        (driver.drive(&mut road, 30, pace).unwrap(), road.most)
    }

    #[test]
    fn a_closed_loop_has_so_many_under_way() {
        let (measured, most) = run(Pace::Closed(4));
        assert_eq!((measured.latencies.len(), most), (30, 4));
    }

    #[test]
    fn an_open_loop_counts_from_when_each_was_meant_to_start() {
        let (measured, _) = run(Pace::Open(1_000));
        assert_eq!(measured.latencies.len(), 30);
        // All from the third on were held up; a latency from the start itself would be 2 ms for most.
        let median = Duration::from_micros(measured.latencies.value_at_quantile(0.5));
        assert!(median > Duration::from_millis(20), "{median:?}");
    }
}
