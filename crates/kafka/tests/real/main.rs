//! What holds on a real Kafka alone, beyond the contract that all brokers share.

#[cfg(test)]
mod bench;
#[cfg(test)]
mod lanes;
#[cfg(all(test, feature = "secured-kafka"))]
mod secured;
#[cfg(test)]
mod sending;
#[cfg(test)]
mod settings;

/// What the tests share.
#[cfg(test)]
mod ground {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

    use bytes::Bytes;
    use events::{Destination, Header, Outgoing, Payload, Topic};
    use kafka::{Config, Kafka};
    use rdkafka::ClientConfig;
    use stream::{Outlet, Settled, Ticket};

    /// How long a condition may take to come true on a busy machine.
    pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

    /// The Kafka under test.
    pub(crate) fn bootstrap() -> String {
        std::env::var("PAVANE_TEST_KAFKA")
            .expect("PAVANE_TEST_KAFKA=host:port must name a running Kafka: use `cargo xtask test`")
    }

    /// A configuration with topics of its own.
    pub(crate) fn fresh_config(name: &str) -> Config {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut config = Config::at(&bootstrap());
        config.prefix = format!("{name}{now}{count}.");
        config.partitions = 2;
        config
    }

    /// A connection with all topics of ours made.
    pub(crate) fn fresh(name: &str) -> Kafka {
        let kafka = Kafka::connect(fresh_config(name), &[]).unwrap();
        kafka::topics::create_all(&kafka, 2).unwrap();
        kafka
    }

    /// A record for a topic.
    pub(crate) fn to(topic: &Topic, key: &str, value: &str) -> Outgoing {
        Outgoing {
            to: Destination::Named(topic.clone()),
            partition: None,
            key: Some(Bytes::from(key.to_owned())),
            value: Payload::Bytes(Bytes::from(value.to_owned())),
            headers: vec![Header::text("a", "1"), Header { name: "a".into(), value: None }],
        }
    }

    /// Sends, and waits until it is settled.
    pub(crate) fn send(
        outlet: &mut impl Outlet,
        ticket: u64,
        records: Vec<Outgoing>,
    ) -> Vec<Settled> {
        outlet.send(Ticket(ticket), records).unwrap();
        until("the ticket is settled", || {
            let settled = outlet.settled(Duration::from_millis(100)).unwrap();
            (!settled.is_empty()).then_some(settled)
        })
    }

    /// Asks until there is an answer.
    pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        }
    }

    /// A client as somebody else has it.
    pub(crate) fn foreign() -> ClientConfig {
        let mut settings = ClientConfig::new();
        settings.set("bootstrap.servers", bootstrap());
        settings
    }
}
