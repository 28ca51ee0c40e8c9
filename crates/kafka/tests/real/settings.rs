use kafka::topics::{Finding, Severity, create_all, verify};
use kafka::{Config, Kafka, KafkaError};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use stream::{Broker as _, Created, Feed as _, Purpose, Share};

use crate::ground::{foreign, fresh, fresh_config, until};

fn wrong(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| format!("{} {}", finding.topic, finding.message))
        .collect()
}

#[test]
fn topics_that_we_made_are_found_right() {
    let kafka = fresh("right");
    let orders = events::Topic::from(format!("{}orders", kafka.topics().inbox()));
    kafka.create(&orders, Purpose::User).unwrap();
    let letters = kafka.topics().dead_letters(&orders);
    assert_eq!(kafka.create(&letters, Purpose::DeadLetters).unwrap(), Created::Now);
    assert_eq!(kafka.create(&letters, Purpose::DeadLetters).unwrap(), Created::Before);
    let mine =
        |finding: &Finding| finding.topic.as_str().starts_with(kafka.topics().group("").as_str());
    let findings: Vec<Finding> = verify(&kafka).unwrap().into_iter().filter(mine).collect();
    assert_eq!(wrong(&findings), Vec::<String>::new());
}

#[test]
fn a_topic_with_wrong_settings_is_found() {
    let kafka = Kafka::connect(fresh_config("wrong"), &[]).unwrap();
    let inbox = kafka.topics().inbox().to_string();
    let journal = kafka.topics().journal().to_string();
    let admin: AdminClient<DefaultClientContext> = foreign().create().unwrap();
    let made = [
        NewTopic::new(&inbox, 2, TopicReplication::Fixed(1)).set("max.message.bytes", "9000000"),
        NewTopic::new(&journal, 2, TopicReplication::Fixed(1)),
    ];
    let making = admin.create_topics(&made, &AdminOptions::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(making).unwrap();
    create_all(&kafka, 2).unwrap();

    let mine =
        |finding: &Finding| finding.topic.as_str().starts_with(kafka.topics().group("").as_str());
    let findings: Vec<Finding> = verify(&kafka).unwrap().into_iter().filter(mine).collect();
    let errors = wrong(&findings).join("\n");
    for expected in [
        format!("{inbox} message.timestamp.type is CreateTime, and must be LogAppendTime"),
        format!("{journal} retention.ms is 604800000, and must be -1"),
        format!("{journal} max.message.bytes is 1048588, and must be 9000001 or more"),
    ] {
        assert!(errors.contains(&expected), "{expected}\nis not in\n{errors}");
    }
    let one_copy = |finding: &&Finding| {
        finding.severity == Severity::Warning && finding.message.contains("one copy")
    };
    assert_eq!(
        findings.iter().filter(one_copy).filter(|at| at.topic.as_str() == journal).count(),
        1
    );
}

#[test]
fn another_number_of_lanes_than_stands_is_refused() {
    let kafka = fresh("lanes");
    let error = create_all(&kafka, 3).unwrap_err().to_string();
    assert!(error.contains("2 partitions, not 3"), "{error}");
}

#[test]
fn a_property_that_librdkafka_does_not_know_is_refused_by_name() {
    let mut config = fresh_config("property");
    config.properties.0.insert("no.such.property".to_owned(), "1".to_owned());
    let error = Kafka::connect(config, &[]).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("no.such.property"), "{error}");
}

#[test]
fn a_kafka_that_does_not_answer_is_said_to_be_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = Kafka::connect(Config::at(&nowhere), &[]).map(|_| ()).unwrap_err();
    assert!(matches!(error, KafkaError::Unreachable { .. }), "{error}");
}

#[test]
fn a_session_timeout_that_the_brokers_refuse_is_an_error_that_says_what_to_set() {
    let mut config = fresh_config("session");
    config.session_timeout_ms = 250;
    let kafka = Kafka::connect(config, &[]).unwrap();
    create_all(&kafka, 2).unwrap();
    let mut feed = kafka.join(&kafka.topics().group("session"), Share::Lanes).unwrap();
    let error = until("the brokers refuse", || feed.next(std::time::Duration::from_secs(1)).err());
    let said = error.to_string();
    for word in ["250 ms", "`kafka.session_timeout_ms`", "`group.min.session.timeout.ms`"] {
        assert!(said.contains(word), "{said}");
    }
}
