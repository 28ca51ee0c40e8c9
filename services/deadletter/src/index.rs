//! What is known of the newest dead letters.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use events::{Offset, Partition, Place, Record, Timestamp, Topic, header};
use serde::Serialize;

/// Bytes of a message that the index keeps; the letter itself has all of it.
const MESSAGE_BYTES_MAX: usize = 1_000;

/// One dead letter, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Letter {
    /// `topic~partition~offset` of the letter.
    pub id: String,
    /// The topic that it lies on.
    pub topic: String,
    /// The kind of trouble; `None` on a record that is not ours.
    pub class: Option<String>,
    /// Finer than the class.
    pub code: Option<String>,
    /// In words; cut where it is long.
    pub message: Option<String>,
    /// The workflow that it is about, where that is known.
    pub workflow: Option<String>,
    /// Where the record stood that was refused.
    pub source: Source,
    /// Who refused it.
    pub group: Option<String>,
    /// When it was refused, RFC 3339.
    pub first_seen: Option<String>,
    /// The source record's time, RFC 3339.
    pub timestamp: Option<String>,
    /// The size of its value; null for a tombstone.
    pub value_bytes: Option<usize>,
}

/// Where a refused record stood. A command whose work has failed names its topic alone: the sender
/// never learnt the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The topic.
    pub topic: Option<String>,
    /// The partition.
    pub partition: Option<Partition>,
    /// The offset.
    pub offset: Option<Offset>,
}

impl Source {
    fn is(&self, place: &Place) -> bool {
        self.topic.as_deref() == Some(place.topic.as_str())
            && self.partition == Some(place.partition)
            && self.offset == Some(place.offset)
    }
}

impl Letter {
    /// What the headers of a record of a dead-letter topic say.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        let text = |name: &str| record.header_text(name).map(str::to_owned);
        let number = |name: &str| record.header_text(name).and_then(|text| text.parse().ok());
        let message = text("__dlq.errors.message").map(|mut message| {
            message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
            message
        });
        let Place { topic, partition, offset } = &record.place;
        Self {
            id: format!("{topic}~{partition}~{offset}"),
            topic: topic.to_string(),
            class: text("pavane_error_class"),
            code: text("pavane_error_code"),
            message,
            workflow: text("pavane_error_workflow"),
            source: Source {
                topic: text(header::DEAD_TOPIC),
                partition: record
                    .header_text("__dlq.errors.partition")
                    .and_then(|text| text.parse().ok()),
                offset: number("__dlq.errors.offset"),
            },
            group: text("__dlq.errors.group"),
            first_seen: text("pavane_error_first_seen"),
            timestamp: text("pavane_error_timestamp"),
            value_bytes: record.value.as_ref().map(bytes::Bytes::len),
        }
    }
}

/// The place that an id names.
#[must_use]
pub fn parse_id(id: &str) -> Option<Place> {
    let (rest, offset) = id.rsplit_once('~')?;
    let (topic, partition) = rest.rsplit_once('~')?;
    let offset: Offset = offset.parse().ok().filter(|offset| *offset >= 0)?;
    if topic.is_empty() {
        return None;
    }
    Some(Place { topic: Topic::from(topic), partition: partition.parse().ok()?, offset })
}

/// Which letters.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this topic: the one that they lie on, or the one that they came from.
    pub topic: Option<String>,
    /// Of this class.
    pub class: Option<String>,
    /// Of the record that stood at this place.
    pub source: Option<Place>,
    /// Behind the page that ended with this cursor.
    pub cursor: Option<String>,
    /// So many at most.
    pub limit: usize,
}

/// Some letters, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Page {
    /// The letters.
    pub items: Vec<Letter>,
    /// Asks for the next page; `None`: there is none.
    pub next_cursor: Option<String>,
    /// Older letters that lie in their topics and are not listed any more.
    pub not_listed: u64,
}

type Order = (Timestamp, Place);

/// The newest letters, by time. Shared: one thread fills it, many ask.
#[derive(Debug)]
pub struct Index {
    letters_max: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    letters: BTreeMap<Order, Letter>,
    not_listed: u64,
}

impl Index {
    /// An empty index that keeps so many letters at most, the newest.
    #[must_use]
    pub fn new(letters_max: usize) -> Self {
        Self { letters_max, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a record of a dead-letter topic. One that it has is not taken twice.
    pub fn add(&self, record: &Record) {
        let mut held = self.held();
        held.letters.insert((record.timestamp, record.place.clone()), Letter::of(record));
        while held.letters.len() > self.letters_max {
            held.letters.pop_first();
            held.not_listed += 1;
        }
    }

    /// Letters, newest first. A cursor that is not one gives `None`.
    #[must_use]
    pub fn list(&self, filter: &Filter) -> Option<Page> {
        let before = match &filter.cursor {
            Some(cursor) => Some(parse_cursor(cursor)?),
            None => None,
        };
        let held = self.held();
        let matches = |letter: &&Letter| {
            let topic = filter.topic.as_deref();
            let of_topic = topic.is_none_or(|topic| {
                letter.topic == topic || letter.source.topic.as_deref() == Some(topic)
            });
            let of_source = filter.source.as_ref().is_none_or(|place| letter.source.is(place));
            of_topic && of_source && (filter.class.is_none() || letter.class == filter.class)
        };
        let mut page = Page { not_listed: held.not_listed, ..Page::default() };
        let all = held.letters.iter().rev();
        let mut rest = all
            .skip_while(|(order, _)| before.as_ref().is_some_and(|before| *order >= before))
            .filter(|(_, letter)| matches(letter));
        let mut last = None;
        for (order, letter) in rest.by_ref().take(filter.limit) {
            page.items.push(letter.clone());
            last = Some(order);
        }
        if rest.next().is_some() {
            page.next_cursor = last.map(|(time, place)| {
                let Place { topic, partition, offset } = place;
                format!("{}~{topic}~{partition}~{offset}", time.as_millis())
            });
        }
        Some(page)
    }
}

fn parse_cursor(cursor: &str) -> Option<Order> {
    let (millis, id) = cursor.split_once('~')?;
    Some((Timestamp::from_millis(millis.parse().ok()?), parse_id(id)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use events::{Class, Refusal, dead_letter};

    fn letter(offset: Offset, class: Class) -> Record {
        let source = Record {
            place: Place { topic: Topic::from("shop.orders"), partition: 2, offset },
            timestamp: Timestamp::from_millis(1_000),
            key: None,
            value: Some(Bytes::from_static(b"{")),
            headers: Vec::new(),
        };
        let refusal = Refusal::new(class, "json", "not JSON");
        let letter = dead_letter(&source, &refusal, "intake", Timestamp::from_millis(2_000));
        let mut headers = letter.headers;
        headers.push(events::Header::text(header::DEAD_TOPIC, "shop.orders"));
        Record {
            place: Place { topic: Topic::from("shop.orders.dlq"), partition: 0, offset },
            timestamp: Timestamp::from_millis(3_000 + offset),
            key: None,
            value: source.value,
            headers,
        }
    }

    #[test]
    fn letters_are_listed_newest_first_page_by_page() {
        let index = Index::new(10);
        for offset in 0..5 {
            let class = if offset == 3 { Class::Invalid } else { Class::Undecodable };
            index.add(&letter(offset, class));
            index.add(&letter(offset, class));
        }
        let mut filter =
            Filter { limit: 2, topic: Some("shop.orders".into()), ..Filter::default() };
        let mut seen = Vec::new();
        loop {
            let page = index.list(&filter).unwrap();
            seen.extend(page.items.into_iter().map(|item| item.source.offset.unwrap()));
            filter.cursor = page.next_cursor;
            if filter.cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, [4, 3, 2, 1, 0]);
        let invalid = Filter { class: Some("invalid".into()), limit: 9, ..Filter::default() };
        let page = index.list(&invalid).unwrap();
        assert_eq!(page.items.len(), 1);
        assert_eq!(page.items[0].id, "shop.orders.dlq~0~3");
        let of_source = |id: &str| {
            let filter = Filter { source: parse_id(id), limit: 9, ..Filter::default() };
            index.list(&filter).unwrap().items.into_iter().map(|item| item.id).collect::<Vec<_>>()
        };
        assert_eq!(of_source("shop.orders~2~3"), ["shop.orders.dlq~0~3"]);
        assert_eq!(of_source("shop.orders~1~3"), [""; 0]);
        let wrong = Filter { cursor: Some("x".into()), limit: 1, ..Filter::default() };
        assert_eq!(index.list(&wrong), None);
    }

    #[test]
    fn the_index_says_what_it_let_go_of() {
        let index = Index::new(2);
        (0..5).for_each(|offset| index.add(&letter(offset, Class::Invalid)));
        let page = index.list(&Filter { limit: 9, ..Filter::default() }).unwrap();
        assert_eq!((page.items.len(), page.not_listed), (2, 3));
    }

    #[test]
    fn an_id_is_read_from_the_right() {
        let place = parse_id("a~b.dlq~3~17").unwrap();
        assert_eq!((place.topic.as_str(), place.partition, place.offset), ("a~b.dlq", 3, 17));
        for wrong in ["", "a", "a~1", "a~x~1", "~1~1", "a~1~-1"] {
            assert_eq!(parse_id(wrong), None, "{wrong}");
        }
    }
}
