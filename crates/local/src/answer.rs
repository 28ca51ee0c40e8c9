//! What is said of a request once its batch is durable, or has failed.

use std::sync::Arc;

use events::{Offset, Place};
use stream::{Created, LogError, SendError, Settled, Ticket};

use crate::outlet::Tray;
use crate::request::Reply;

/// What is said once the batch is durable, or has failed.
pub(crate) enum Answer {
    Appended(Reply<Vec<Option<Offset>>>, Vec<Option<Offset>>),
    Sent { tray: Arc<Tray>, ticket: Ticket, stored: Vec<usize>, settled: Vec<Settled> },
    Put(Reply<Result<Place, SendError>>, Place),
    Fenced(Reply<u64>, u64),
    Written(Reply<()>),
    Made(Reply<Created>, Created),
}

impl Answer {
    /// Says what has become of it. What was in a batch that failed may be on the disk or not: the
    /// library may have written part of it, or all but the sync.
    pub(crate) fn give(self, committed: &Result<(), String>) {
        match self {
            Self::Appended(reply, offsets) => {
                let doubt = |why: &String| LogError::InDoubt(why.clone());
                answer(&reply, committed.as_ref().map(|()| offsets).map_err(doubt));
            }
            Self::Sent { tray, ticket, stored, mut settled } => {
                match committed {
                    Ok(()) if settled.is_empty() => settled.push(Settled::Sent(ticket)),
                    Ok(()) => {}
                    Err(why) => settled.extend(stored.into_iter().map(|index| Settled::Failed {
                        ticket,
                        index,
                        error: SendError::InDoubt(why.clone()),
                    })),
                }
                tray.put(settled);
            }
            Self::Put(reply, place) => {
                let doubt = |why: &String| SendError::InDoubt(why.clone());
                answer(&reply, Ok(committed.as_ref().map(|()| place).map_err(doubt)));
            }
            Self::Fenced(reply, holder) => answer(&reply, lost(committed, holder)),
            Self::Written(reply) => answer(&reply, lost(committed, ())),
            Self::Made(reply, created) => answer(&reply, lost(committed, created)),
        }
    }
}

fn lost<T>(committed: &Result<(), String>, answer: T) -> Result<T, LogError> {
    committed.as_ref().map(|()| answer).map_err(|why| LogError::Lost(why.clone()))
}

/// Whoever asked may have gone; then nobody needs the answer.
pub(crate) fn answer<T>(reply: &Reply<T>, answer: Result<T, LogError>) {
    reply.send(answer).ok();
}
