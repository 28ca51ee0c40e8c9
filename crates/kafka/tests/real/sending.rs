use std::time::Duration;

use events::{AgentName, Destination, Payload, Topic};
use kafka::Kafka;
use stream::{Broker as _, Outlet as _, SendError, Settled, Start, Ticket};

use crate::ground::{foreign, fresh, fresh_config, send, to, until};

fn never(settled: &[Settled]) -> bool {
    matches!(settled, [Settled::Failed { error: SendError::Never(_), index: 0, .. }])
}

#[test]
fn a_command_for_an_agent_without_a_topic_is_never_sent_and_makes_no_topic() {
    let kafka = fresh("missing");
    let agent = AgentName::from("nobody");
    let topic = kafka.topics().tasks(&agent);
    let mut outlet = kafka.outlet().unwrap();
    let mut record = to(&topic, "k", "v");
    record.to = Destination::Tasks(agent);
    let settled = send(&mut outlet, 1, vec![record]);
    assert!(never(&settled), "{settled:?}");
    assert_eq!(kafka.kept(&topic).unwrap(), None, "kafka makes topics unasked by default");
}

#[test]
fn a_record_above_the_topics_bound_is_never_sent_and_the_next_one_is() {
    let kafka = fresh("large");
    let inbox = kafka.topics().inbox();
    let mut outlet = kafka.outlet().unwrap();
    let settled = send(&mut outlet, 1, vec![to(&inbox, "k", &"x".repeat(2_000_000))]);
    assert!(never(&settled), "{settled:?}");
    assert_eq!(send(&mut outlet, 2, vec![to(&inbox, "k", "v")]), [Settled::Sent(Ticket(2))]);
    let place = kafka.put(to(&inbox, "k", "w")).unwrap();
    assert_eq!((place.topic, place.offset), (inbox, 1));
}

#[test]
fn a_datum_goes_out_in_confluents_framing_with_its_schemas_id() {
    let config = fresh_config("framing");
    let schema = events::Schema { name: "pavane.WorkflowStarted", id: 258, version: 1, text: "" };
    let kafka = Kafka::connect(config, &[schema]).unwrap();
    kafka::topics::create_all(&kafka, 2).unwrap();
    let topic = kafka.topics().events();
    let mut record = to(&topic, "k", "");
    record.value = Payload::Avro { schema: schema.name, datum: "datum".into() };
    kafka.put(record.clone()).unwrap();
    let mut follow = kafka.follow(vec![(topic, Start::Earliest)]).unwrap();
    let read = until("the event", || {
        stream::Follow::next(&mut follow, Duration::from_secs(1)).unwrap().pop()
    });
    assert_eq!(read.value.unwrap(), b"\0\0\0\x01\x02datum".as_slice());
    assert_eq!(read.headers, record.headers, "in order, with a null and a name twice");

    record.value = Payload::Avro { schema: "pavane.Unheard", datum: "datum".into() };
    assert!(matches!(kafka.put(record), Err(SendError::Never(_))));
}

#[test]
fn many_records_pass_through_a_small_send_queue() {
    let mut config = fresh_config("queue");
    let small = ("queue.buffering.max.messages".to_owned(), "50".to_owned());
    config.properties.0.extend([small]);
    let kafka = Kafka::connect(config, &[]).unwrap();
    kafka::topics::create_all(&kafka, 2).unwrap();
    let inbox = kafka.topics().inbox();
    let mut outlet = kafka.outlet().unwrap();
    let records = (0..2_000).map(|n| to(&inbox, "k", &n.to_string())).collect();
    assert_eq!(send(&mut outlet, 7, records), [Settled::Sent(Ticket(7))]);
    let kept = kafka.kept(&inbox).unwrap().unwrap();
    assert_eq!(kept.iter().map(|kept| kept.end).sum::<i64>(), 2_000);
    assert_eq!(outlet.settled(Duration::ZERO).unwrap(), []);
}

#[test]
fn a_key_lands_where_javas_partitioner_puts_it_whoever_sends_it() {
    let kafka = fresh("murmur");
    let inbox = kafka.topics().inbox();
    let java: rdkafka::producer::BaseProducer =
        foreign().set("partitioner", "murmur2_random").create().unwrap();
    let keys: Vec<String> = (0..20).map(|n| format!("order:o-{n}")).collect();
    for key in &keys {
        let record = rdkafka::producer::BaseRecord::to(inbox.as_str()).key(key).payload("java");
        java.send(record).unwrap();
        let place = kafka.put(to(&inbox, key, "ours")).unwrap();
        assert_eq!(place.partition, events::partition_of(key.as_bytes(), 2));
    }
    rdkafka::producer::Producer::flush(&java, Duration::from_secs(20)).unwrap();
    let mut follow = kafka.follow(vec![(inbox.clone(), Start::Earliest)]).unwrap();
    let mut found = Vec::new();
    until("all records", || {
        found.extend(stream::Follow::next(&mut follow, Duration::from_secs(1)).unwrap());
        (found.len() == 2 * keys.len()).then_some(())
    });
    for record in found {
        let key = record.key.unwrap();
        assert_eq!(record.place.partition, events::partition_of(&key, 2), "{key:?}");
    }
    assert_eq!(kafka.topics().agent_of(&Topic::from("x")), None);
}
