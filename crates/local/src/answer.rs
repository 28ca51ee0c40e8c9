//! What is said of a request once its batch is durable, or has failed.

use std::collections::BTreeMap;
use std::sync::Arc;

use events::{Offset, Place};
use stream::{Created, LogError, SendError, Settled, Then, Ticket};

use crate::outlet::Tray;
use crate::request::Reply;

/// What is said once the batch is durable, or has failed.
pub(crate) enum Answer {
    Appended(Reply<Vec<Option<Offset>>>, Vec<Option<Offset>>),
    Sent { tray: Arc<Tray>, sent: Vec<Sent> },
    Put(Then, Place),
    Fenced(Reply<u64>, u64),
    Written(Reply<()>),
    Made(Reply<Created>, Created),
}

/// What has become of a ticket, but for the batch.
pub(crate) struct Sent {
    pub(crate) ticket: Ticket,
    /// How many records it has.
    pub(crate) records: usize,
    /// Those that can not be stored, by their place.
    pub(crate) failed: BTreeMap<usize, SendError>,
}

impl Sent {
    fn settle(self, committed: &Result<(), String>) -> Vec<Settled> {
        let Self { ticket, records, mut failed } = self;
        if let Err(why) = committed {
            for index in 0..records {
                failed.entry(index).or_insert_with(|| SendError::InDoubt(why.clone()));
            }
        }
        if failed.is_empty() {
            return vec![Settled::Sent(ticket)];
        }
        let failed = failed.into_iter();
        failed.map(|(index, error)| Settled::Failed { ticket, index, error }).collect()
    }
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
            Self::Sent { tray, sent } => {
                tray.put(sent.into_iter().flat_map(|sent| sent.settle(committed)).collect());
            }
            Self::Put(then, place) => {
                let doubt = |why: &String| SendError::InDoubt(why.clone());
                then(committed.as_ref().map(|()| place).map_err(doubt));
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
