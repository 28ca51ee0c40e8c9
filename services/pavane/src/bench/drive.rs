//! The closed loop: so many workflows under way at once, a new one for each that ends.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use events::{Destination, Header, Outgoing, Payload, ce_type, header};
use hdrhistogram::Histogram;
use stream::{Broker, Follow, LogError, Outlet, Settled, Start, Ticket};

use super::Report;
use crate::failure::Failure;
use crate::settings::lost;

/// Longest latency that is told apart from longer ones, microseconds: ten minutes.
const MICROS_MAX: u64 = 600_000_000;
/// With nothing ended for so long, the run has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// One wait for events; bounds how soon a wish to stop is heard.
const WAIT: Duration = Duration::from_millis(100);

/// What is driven.
pub(crate) struct Load {
    /// The saga.
    pub(crate) saga: String,
    /// Before each key, so that no two runs name the same workflow.
    pub(crate) tag: String,
    /// Workflows run first and not measured.
    pub(crate) warm_up: u32,
    /// Workflows measured.
    pub(crate) count: u32,
    /// Workflows under way at once.
    pub(crate) concurrency: u32,
}

/// Drives the load to its end; gives up when `goes_on` says no.
pub(crate) fn drive<B: Broker>(
    broker: &B,
    load: &Load,
    goes_on: &mut dyn FnMut() -> bool,
) -> Result<Report, Failure> {
    let mut driver = Driver::new(broker, load)?;
    driver.phase(load.warm_up, goes_on)?;
    driver.latencies.reset();
    let begun = Instant::now();
    driver.phase(load.count, goes_on)?;
    Ok(Report::of(&driver.latencies, begun.elapsed()))
}

struct Driver<'a, B: Broker> {
    load: &'a Load,
    outlet: B::Outlet,
    events: B::Follow,
    next: u32,
    under_way: HashMap<Bytes, Instant>,
    latencies: Histogram<u64>,
}

impl<'a, B: Broker> Driver<'a, B> {
    fn new(broker: &B, load: &'a Load) -> Result<Self, Failure> {
        let failed = |error: LogError| lost("the events can not be read", &error);
        let latencies = Histogram::new_with_bounds(1, MICROS_MAX, 3)
            .map_err(|error| Failure::from_error("no histogram", &error))?;
        Ok(Self {
            load,
            outlet: broker.outlet().map_err(failed)?,
            events: broker.follow(vec![(broker.topics().events(), Start::End)]).map_err(failed)?,
            next: 0,
            under_way: HashMap::new(),
            latencies,
        })
    }

    /// Runs `count` workflows to their ends.
    fn phase(&mut self, count: u32, goes_on: &mut dyn FnMut() -> bool) -> Result<(), Failure> {
        let (mut started, mut ended) = (0, 0);
        let mut progress = Instant::now();
        while ended < count {
            while started < count && started - ended < self.load.concurrency {
                self.start()?;
                started += 1;
            }
            let before = ended;
            ended += self.observe()?;
            if ended > before {
                progress = Instant::now();
            }
            if !goes_on() {
                return Err(Failure::failed("stopped before the end")
                    .next("PAVANE_LOG=info with the same command"));
            }
            if progress.elapsed() > PATIENCE {
                let open = self.under_way.len();
                return Err(Failure::failed(format!(
                    "{open} workflows are under way and none has ended for {} s",
                    PATIENCE.as_secs()
                ))
                .next("PAVANE_LOG=info with the same command"));
            }
        }
        Ok(())
    }

    fn start(&mut self) -> Result<(), Failure> {
        let Load { saga, tag, .. } = self.load;
        let id = Bytes::from(format!("{saga}:{tag}-{}", self.next));
        let record = Outgoing {
            to: Destination::Inbox,
            partition: None,
            key: Some(id.clone()),
            value: Payload::Bytes(Bytes::from_static(b"{}")),
            headers: vec![
                Header::text(header::SPECVERSION, "1.0"),
                Header::text(header::ID, format!("{tag}-{}", self.next)),
                Header::text(header::SOURCE, "/bench"),
                Header::text(header::TYPE, ce_type::START_WORKFLOW),
                Header::text(header::CONTENT_TYPE, header::JSON),
                Header::text(header::SAGA, saga.as_str()),
            ],
        };
        self.under_way.insert(id, Instant::now());
        let ticket = Ticket(u64::from(self.next));
        self.next += 1;
        self.outlet
            .send(ticket, vec![record])
            .map_err(|error| lost("a start can not be sent", &error))
    }

    /// Reads events; says how many workflows have ended well.
    fn observe(&mut self) -> Result<u32, Failure> {
        let settled = self.outlet.settled(Duration::ZERO);
        for settled in settled.map_err(|error| lost("a start can not be sent", &error))? {
            match settled {
                Settled::Sent(_) => {}
                Settled::Failed { error, .. } => {
                    return Err(Failure::from_error("a start was not stored", &error));
                }
            }
        }
        let records =
            self.events.next(WAIT).map_err(|error| lost("the events can not be read", &error))?;
        let now = Instant::now();
        let mut ended = 0;
        for record in records {
            let is_end = match record.header_text(header::TYPE) {
                Some("pavane.WorkflowCompleted") => true,
                Some("pavane.WorkflowFailed" | "pavane.WorkflowCancelled") => false,
                Some(_) | None => continue,
            };
            let Some(sent) = record.key.and_then(|key| self.under_way.remove(&key)) else {
                continue;
            };
            if !is_end {
                return Err(Failure::failed("a workflow of the bench has failed")
                    .next("PAVANE_LOG=info with the same command"));
            }
            let micros = u64::try_from((now - sent).as_micros()).unwrap_or(u64::MAX);
            self.latencies.saturating_record(micros);
            ended += 1;
        }
        Ok(ended)
    }
}
