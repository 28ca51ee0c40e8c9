//! The play itself: deploy, publish, take a service down and up again, watch, add up.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::orders::{OverBroker, Service, Shop};
use client::Serving;
use events::{Lifecycle, Topic, header, unframe};
use serde_json::Value;
use stream::{Broker, Follow, LogError, Purpose, Start, Stop};

use crate::api::Api;
use crate::demo::journey::Journey;
use crate::demo::ledger::{self, Line};
use crate::demo::orders::{Order, Plot, Poison, TOPIC};
use crate::demo::picture::Picture;
use crate::failure::Failure;
use crate::output::Output;
use crate::settings::lost;

/// The saga, as it stands in the repository.
const SAGA: &str = include_str!("../../../../sagas/order-processing.yaml");
const SAGA_NAME: &str = "order-processing";
/// How long fulfilment is down, once an order waits for it.
const OUTAGE: Duration = Duration::from_millis(800);
/// With nothing happening for so long, the play is over, and the summary says what is missing.
const PATIENCE: Duration = Duration::from_secs(30);
/// One wait for events.
const WAIT: Duration = Duration::from_millis(50);

/// What the play needs.
pub(crate) struct Stage<'a, B> {
    pub(crate) broker: &'a Arc<B>,
    pub(crate) api: &'a Api,
    /// Where the services keep their books.
    pub(crate) books: &'a Path,
    pub(crate) count: u32,
    /// Tells the ids of this run from those of another on the same topics.
    pub(crate) tag: String,
    pub(crate) stop: &'a Stop,
    pub(crate) output: Output,
}

/// Plays, and fails where something is not as expected.
pub(crate) fn play<B: Broker>(stage: &Stage<'_, B>) -> Result<(), Failure> {
    let shop_failed = |error: &dyn std::error::Error| {
        Failure::from_error("the shop's books can not be opened", error)
    };
    let door = OverBroker { broker: Arc::clone(stage.broker), serving: Serving::default() };
    let mut shop = Shop::open(stage.books, Arc::new(door)).map_err(|error| shop_failed(&error))?;
    let before = shop.totals().map_err(|error| shop_failed(&error))?;
    let topic = Topic::from(TOPIC);
    let no_topic = |error: LogError| lost("the shop's topic can not be made", &error);
    stage.broker.create(&topic, Purpose::User).map_err(no_topic)?;
    shop.start_all();
    stage.api.post_yaml("/v1/sagas", SAGA.to_owned())?.map_err(Failure::from)?;

    let orders = Order::list(stage.count, &stage.tag);
    let poison = Poison::list(&stage.tag);
    let mut audience = Audience::new(stage, &orders)?;
    audience.picture.say(&format!(
        "{} orders and {} poison records",
        orders.len(),
        poison.len()
    ))?;
    publish(stage, &orders, &poison, &mut audience, &mut shop)?;
    audience.watch_until(Audience::all_have_ended)?;
    audience.picture.end();
    let letters = Letters::gather(stage, &poison)?;
    shop.stop_all();
    let after = shop.totals().map_err(|error| shop_failed(&error))?;

    let mut lines = audience.lines();
    lines.extend(letters.lines(&poison));
    let completed: Vec<&Order> =
        orders.iter().filter(|order| order.plot.end().1.is_none()).collect();
    lines.extend(ledger::books(&completed, &before, &after));
    stage.output.either(&ledger::value(&lines), || format!("\n{}", ledger::text(&lines)))?;
    match lines.iter().filter(|line| !line.holds()).count() {
        0 => Ok(()),
        wrong => Err(Failure::failed(format!("{wrong} of {} lines do not hold", lines.len()))
            .next("PAVANE_LOG=info pavane demo orders")),
    }
}

/// Publishes all, the poison spread between the orders; those that are to meet a service that is down
/// come last, when it is.
fn publish<B: Broker>(
    stage: &Stage<'_, B>,
    orders: &[Order],
    poison: &[Poison],
    audience: &mut Audience<'_, B>,
    shop: &mut Shop,
) -> Result<(), Failure> {
    let path = format!("/v1/topics/{TOPIC}/records");
    let (late, early): (Vec<_>, Vec<_>) =
        orders.iter().partition(|order| order.plot == Plot::Outage);
    let every = early.len().div_ceil(poison.len()).max(1);
    let mut poison = poison.iter();
    for chunk in early.chunks(every) {
        for record in poison.by_ref().take(1) {
            stage.api.post(&path, &record.record())?;
        }
        for order in chunk {
            stage.api.post(&path, &order.record())?;
            audience.look(Duration::ZERO)?;
        }
    }
    for record in poison {
        stage.api.post(&path, &record.record())?;
    }
    if late.is_empty() {
        return Ok(());
    }
    audience.watch_until(Audience::early_have_ended)?;
    shop.stop(Service::Fulfillment);
    audience.picture.say("fulfilment is down")?;
    for order in late {
        stage.api.post(&path, &order.record())?;
    }
    audience.watch_until(Audience::somebody_waits)?;
    let since = Instant::now();
    while since.elapsed() < OUTAGE {
        audience.look(WAIT)?;
    }
    shop.start(Service::Fulfillment);
    audience.picture.say("fulfilment is up again")
}

/// Who watches the lifecycle events, as any client could.
struct Audience<'a, B: Broker> {
    events: B::Follow,
    orders: &'a [Order],
    by_id: BTreeMap<String, usize>,
    journeys: Vec<Journey>,
    picture: Picture,
    stop: &'a Stop,
}

impl<'a, B: Broker> Audience<'a, B> {
    fn new(stage: &Stage<'a, B>, orders: &'a [Order]) -> Result<Self, Failure> {
        let topic = stage.broker.topics().events();
        let events = stage.broker.follow(vec![(topic, Start::End)]);
        Ok(Self {
            events: events.map_err(|error| lost("the events can not be read", &error))?,
            orders,
            by_id: orders
                .iter()
                .enumerate()
                .map(|(index, order)| (format!("{SAGA_NAME}:{}", order.id), index))
                .collect(),
            journeys: orders.iter().map(|_| Journey::default()).collect(),
            picture: Picture::new(stage.output),
            stop: stage.stop,
        })
    }

    /// Takes the events that are there; says whether one was news.
    fn look(&mut self, wait: Duration) -> Result<bool, Failure> {
        let records = self.events.next(wait);
        let mut is_news = false;
        for record in records.map_err(|error| lost("the events can not be read", &error))? {
            let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
            let Some(index) = key.and_then(|key| self.by_id.get(key)) else { continue };
            let (Some(order), Some(journey)) =
                (self.orders.get(*index), self.journeys.get_mut(*index))
            else {
                continue;
            };
            let value = record.value.as_deref().unwrap_or_default();
            let schema = record.header_text(header::TYPE).unwrap_or_default();
            let event = unframe(value).and_then(|(_, datum)| Lifecycle::decode(schema, datum));
            let event = event.map_err(|error| {
                Failure::from_error(
                    &format!("the event at {} can not be read", record.place),
                    &error,
                )
            })?;
            if journey.take(&event) {
                is_news = true;
                self.picture.show(order, journey)?;
            }
        }
        Ok(is_news)
    }

    /// Watches until `enough`, or until nothing has happened for too long.
    fn watch_until(&mut self, enough: fn(&Self) -> bool) -> Result<(), Failure> {
        let mut last = Instant::now();
        while !enough(self) && last.elapsed() < PATIENCE {
            if self.stop.requested() {
                return Err(Failure::failed("stopped before the end"));
            }
            if self.look(WAIT)? {
                last = Instant::now();
            }
        }
        Ok(())
    }

    fn all_have_ended(&self) -> bool {
        self.journeys.iter().all(|journey| journey.end.is_some())
    }

    fn early_have_ended(&self) -> bool {
        let mut both = self.orders.iter().zip(&self.journeys);
        both.all(|(order, journey)| order.plot == Plot::Outage || journey.end.is_some())
    }

    fn somebody_waits(&self) -> bool {
        let mut both = self.orders.iter().zip(&self.journeys);
        both.any(|(order, journey)| {
            order.plot == Plot::Outage
                && (journey.waits_for("fulfillment") || journey.end.is_some())
        })
    }

    /// For each plot, how its orders should have ended, and how they have.
    fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for plot in Plot::ALL {
            let of_plot: Vec<&Journey> = self
                .orders
                .iter()
                .zip(&self.journeys)
                .filter(|(order, _)| order.plot == plot)
                .map(|(_, journey)| journey)
                .collect();
            if of_plot.is_empty() {
                continue;
            }
            let (status, code) = plot.end();
            let end = |status: &str, code: Option<&str>| match code {
                Some(code) => format!("{status} ({code})"),
                None => status.to_owned(),
            };
            let mut happened: BTreeMap<String, usize> = BTreeMap::new();
            for journey in &of_plot {
                let text = match &journey.end {
                    Some(ended) => end(ended.status, ended.code.as_deref()),
                    None => format!("not ended: {}", journey.story()),
                };
                *happened.entry(text).or_default() += 1;
            }
            let happened: Vec<String> =
                happened.into_iter().map(|(text, count)| format!("{count} {text}")).collect();
            let expected = format!("{} {}", of_plot.len(), end(status, code));
            lines.push(Line::new(plot.words(), expected, happened.join(", ")));
        }
        lines
    }
}

/// The dead letters that came of the poison, as the API lists them and as they stand on the topic.
struct Letters {
    listed: Vec<Value>,
    /// By key: where each lies, and its bytes.
    stored: BTreeMap<Vec<u8>, (String, Vec<u8>)>,
}

impl Letters {
    fn gather<B: Broker>(stage: &Stage<'_, B>, poison: &[Poison]) -> Result<Self, Failure> {
        let topic = stage.broker.topics().dead_letters(&Topic::from(TOPIC));
        let failed = |error: LogError| lost("the dead letters can not be read", &error);
        let mut follow = stage.broker.follow(vec![(topic, Start::Earliest)]).map_err(failed)?;
        let mut letters = Self { listed: Vec::new(), stored: BTreeMap::new() };
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE && !stage.stop.requested() {
            for record in follow.next(WAIT).map_err(failed)? {
                let events::Place { topic, partition, offset } = &record.place;
                let place = format!("{topic}~{partition}~{offset}");
                let (key, value) =
                    (record.key.unwrap_or_default(), record.value.unwrap_or_default());
                letters.stored.insert(key.to_vec(), (place, value.to_vec()));
            }
            let query = [("topic", TOPIC.to_owned())];
            letters.listed = stage.api.list("/v1/dead-letters", &query, 10_000)?;
            if poison.iter().all(|poison| letters.find(&poison.key).is_some()) {
                break;
            }
        }
        Ok(letters)
    }

    fn find(&self, key: &str) -> Option<&Value> {
        let (place, _) = self.stored.get(key.as_bytes())?;
        self.listed.iter().find(|letter| letter.get("id").and_then(Value::as_str) == Some(place))
    }

    fn lines(&self, poison: &[Poison]) -> Vec<Line> {
        poison
            .iter()
            .map(|poison| {
                let unchanged = match self.stored.get(poison.key.as_bytes()) {
                    None => "not on the topic",
                    Some((_, value)) if *value == poison.value => "bytes unchanged",
                    Some(_) => "bytes changed",
                };
                let happened = match self.find(&poison.key) {
                    None => "no dead letter is listed".to_owned(),
                    Some(letter) => {
                        let field = |name: &str| crate::verbs::shown(letter, name);
                        format!("{} ({}), {unchanged}", field("class"), field("code"))
                    }
                };
                let expected = format!("{} ({}), bytes unchanged", poison.class, poison.code);
                Line::new(format!("poison: {}", poison.words), expected, happened)
            })
            .collect()
    }
}
