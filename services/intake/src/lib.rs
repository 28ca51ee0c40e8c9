//! Domain events on users' topics become starts in the inbox, and events for the workflows that wait for them.
//!
//! Every member of the group reads its share of the topics that sagas listen to. A record is judged by all
//! definitions whose deployment was confirmed before the record was published, and its offset is
//! committed once everything that follows from it is acknowledged: a crash at any point repeats, and
//! never loses. What is repeated has the same workflow id, and the coordinator knows it again.

mod desk;
mod flights;
mod judge;
mod part;
mod sagas;

use std::sync::Arc;
use std::time::Duration;

use stream::{Broker, Clock, LogError, Stop};
use tracing::{info, warn};

use crate::desk::Desk;
use crate::sagas::Sagas;

/// Who refuses: KIP-1191's group of the dead letters, and the group's name without prefix.
pub(crate) const GROUP: &str = "intake";

/// How long the topic of the definitions is waited for at the start.
const DEFINITIONS_WAIT: Duration = Duration::from_secs(60);
/// The first pause after trouble with the broker; doubles up to `BACK_OFF_MAX`.
const BACK_OFF: Duration = Duration::from_millis(200);
/// The longest such pause.
const BACK_OFF_MAX: Duration = Duration::from_secs(10);
/// A life that lasted as long as this was a good one: the pause begins small again.
const GOOD_LIFE: Duration = Duration::from_secs(30);
/// How long nothing happens before definitions are looked at.
const IDLE: Duration = Duration::from_millis(50);
/// How often topics that do not exist are looked for.
const MISSING_LOOK: Duration = Duration::from_secs(5);

/// Why intake has ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The system's topics were never made here.
    #[error("topic `{topic}` does not exist; `pavane topics create` makes it")]
    NoDefinitions {
        /// The topic.
        topic: events::Topic,
    },
}

/// Runs until asked to stop. Blocks. `ready` is called once, when all definitions have been read and
/// the topics are being read.
///
/// Trouble with the broker is waited out: everything that was not committed is read again.
///
/// # Errors
/// The definitions' topic does not exist within a minute.
pub fn run<B: Broker>(
    broker: &Arc<B>,
    clock: &Arc<dyn Clock>,
    stop: &Stop,
    ready: impl FnOnce(),
) -> Result<(), IntakeError> {
    let mut ready = Some(ready);
    let mut back_off = BACK_OFF;
    let begun = clock.now();
    while !stop.requested() {
        let born = clock.now();
        match live(&**broker, &**clock, stop, &mut ready) {
            Ok(Life::Stopped) => return Ok(()),
            Ok(Life::NoDefinitions) if clock.now().since(begun) >= DEFINITIONS_WAIT => {
                return Err(IntakeError::NoDefinitions { topic: broker.topics().definitions() });
            }
            Ok(Life::NoDefinitions) => {}
            Err(error) => {
                metrics::counter!("pavane_intake_restarts_total").increment(1);
                warn!(%error, "intake begins again from what is committed");
            }
        }
        if clock.now().since(born) >= GOOD_LIFE {
            back_off = BACK_OFF;
        }
        if clock.wait(stop, back_off) {
            break;
        }
        back_off = (back_off * 2).min(BACK_OFF_MAX);
    }
    Ok(())
}

/// How a life has ended that met no trouble.
enum Life {
    Stopped,
    NoDefinitions,
}

/// From an empty memory to trouble, or to the wish to stop.
fn live<B: Broker>(
    broker: &B,
    clock: &dyn Clock,
    stop: &Stop,
    ready: &mut Option<impl FnOnce()>,
) -> Result<Life, LogError> {
    let Some(mut sagas) = Sagas::open(broker)? else { return Ok(Life::NoDefinitions) };
    sagas.catch_up(broker, stop)?;
    let mut desk = Desk::new(broker, clock, stop);
    desk.listen(&sagas)?;
    if let Some(ready) = ready.take() {
        info!(topics = sagas.topics().len(), "intake is ready");
        ready();
    }
    let mut looked = clock.now();
    while !stop.requested() {
        let is_new = if desk.is_open() {
            let busy = desk.turn(&mut sagas)?;
            !busy && sagas.look(Duration::ZERO)?
        } else {
            sagas.look(IDLE)?
        };
        let now = clock.now();
        if is_new || desk.misses_topics() && now.since(looked) >= MISSING_LOOK {
            looked = now;
            desk.listen(&sagas)?;
        }
    }
    desk.finish()?;
    Ok(Life::Stopped)
}
