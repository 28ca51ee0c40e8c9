//! `GET /v1/stream`: lifecycle events as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use ::stream::Broker;
use axum::extract::State;
use axum::http::Uri;
use axum::response::sse::{Event, KeepAlive, Sse};
use events::{Lifecycle, Run};
use futures::{Stream, stream};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{broadcast, watch};

use crate::api::Api;
use crate::history::Streamed;
use crate::problem::Problem;
use crate::query;
use crate::view::Entry;
use crate::workflows::missing;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    workflow: Option<String>,
    saga: Option<String>,
}

/// Events from now on; of one workflow, from its beginning.
pub(crate) async fn get<B: Broker>(
    State(api): State<Arc<Api<B>>>,
    uri: Uri,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let which: Which = query::query(&uri)?;
    api.is_current()?;
    // Before the history is taken, so that nothing falls between the two.
    let events = api.view.listen();
    let history = match &which.workflow {
        Some(id) => api.view.look(id, Entry::history).ok_or_else(|| missing(&api, id))?,
        None => Vec::new(),
    };
    let seen = history.last().map(|event| (event.run, event.sequence));
    let earlier = history.into_iter().map(Arc::new).collect();
    let listener = Listener { which, earlier, seen, events, over: api.over.clone() };
    let events = stream::unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

struct Listener {
    which: Which,
    earlier: VecDeque<Arc<Lifecycle>>,
    /// The last event of the history, of which the stream may have the end again.
    seen: Option<(Run, u64)>,
    events: broadcast::Receiver<Arc<Lifecycle>>,
    over: watch::Receiver<bool>,
}

impl Listener {
    /// The next event; `None` ends the stream.
    async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.earlier.pop_front() {
            return shown(&event);
        }
        loop {
            let received = tokio::select! {
                received = self.events.recv() => received,
                _ended = self.over.wait_for(|over| *over) => return None,
            };
            match received {
                Ok(event) if self.wants(&event) => return shown(&event),
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    let what = json!({"missed": missed}).to_string();
                    return Some(Event::default().event("missed").data(what));
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    fn wants(&self, event: &Lifecycle) -> bool {
        let is = |wanted: &Option<String>, text: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == text)
        };
        is(&self.which.workflow, event.workflow.as_str())
            && is(&self.which.saga, event.saga.as_str())
            && self.seen.is_none_or(|seen| (event.run, event.sequence) > seen)
    }
}

fn shown(event: &Lifecycle) -> Option<Event> {
    let streamed = Streamed::of(event);
    let id = format!("{}/{}/{}", streamed.workflow, streamed.run, streamed.line.sequence);
    let event = Event::default().event(streamed.line.kind).id(id.replace(['\n', '\r', '\0'], " "));
    event.json_data(streamed).ok()
}
