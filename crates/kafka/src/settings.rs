//! Every setting of librdkafka that we choose, with its reason. The user's properties come between
//! our preferences and what the protocol rests on, so that they win over the former only.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::config::Config;

/// How often it is told that brokers do not answer.
pub(crate) const TELL_OUTAGE_EVERY: Duration = Duration::from_secs(10);
/// How long one question to a broker may take (metadata, watermarks, topics).
pub(crate) const ASK: Duration = Duration::from_secs(10);
/// How long one look at what is being fetched takes.
pub(crate) const FETCH_STEP: Duration = Duration::from_millis(10);
/// At the end of what can be seen, with offsets above: several times `fetch.wait.max.ms`, so that a fetch
/// that began after the question has been answered.
pub(crate) const HOLLOW_WAIT: Duration = Duration::from_millis(300);
/// The pause before a question is asked again whose answer was that a leader is being found.
pub(crate) const ASK_AGAIN: Duration = Duration::from_millis(20);
/// How often a topic must be said not to be there.
pub(crate) const NO_SUCH_TOPIC_ASKED: u32 = 4;
/// How many answers in a row must know a new topic. With three brokers that all are asked is likely.
pub(crate) const NEW_TOPIC_AGREEING: u32 = 6;
/// How long learning about a topic may hold up its first record.
pub(crate) const MEETING: Duration = Duration::from_secs(2);
/// An append whose delivery report has not come by then is in doubt; librdkafka itself gives up on the
/// record after `message.timeout.ms`, and looks once a second.
pub(crate) const APPEND_WAIT: Duration = Duration::from_secs(14);
/// The same for a single record that somebody waits for.
pub(crate) const PUT_WAIT: Duration = Duration::from_secs(34);
/// How long fencing, and each step of a snapshot's transaction, may take. Longer than the broker needs
/// to end a dead holder's transaction.
pub(crate) const TRANSACTION_WAIT: Duration = Duration::from_secs(20);
/// No record and no end of partition for so long while loading: the broker is not answering.
pub(crate) const LOAD_STALL: Duration = Duration::from_secs(60);
/// Back-pressure of a full send queue, at most.
pub(crate) const QUEUE_FULL_WAIT: Duration = Duration::from_secs(5);
/// How long what a group has done may wait until it is told to the brokers. A crash within that time has it
/// read again; a request for every few records would cost more than they do.
pub(crate) const COMMIT_EVERY: Duration = Duration::from_millis(50);
/// How long a member may take to leave its group in order.
pub(crate) const LEAVE_WAIT: Duration = Duration::from_secs(5);
/// See [`lane_heartbeat`].
const LANE_HEARTBEAT_MAX: Duration = Duration::from_millis(50);
/// Most records that one read gives.
pub(crate) const READ_RECORDS_MAX: usize = 1_000;
/// Most bytes of values that one read gives, but for the last record.
pub(crate) const READ_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Largest inbox record: Kafka's own default, so that any producer's default fits.
pub(crate) const INBOX_BYTES: usize = 1_048_576;
/// A command or an event may hold an input and an output.
pub(crate) const TASKS_BYTES: usize = 2 * INBOX_BYTES + 65_536;
/// A journal record holds what follows from one input, and a refused input whole.
pub(crate) const JOURNAL_BYTES: usize = 8 * 1024 * 1024;
/// What a dead letter has beyond its source: headers.
pub(crate) const DEAD_LETTER_EXTRA: usize = 65_536;
/// What we hand to a producer at most; the topic's own bound is the broker's to hold.
pub(crate) const SEND_BYTES: usize = 64 * 1024 * 1024;

type Setting = (&'static str, &'static str);

/// For every client.
const COMMON: &[Setting] = &[
    // A new connection at once, then up to a second apart: a broker that restarts is found quickly. A new
    // client waits half of it between the address it was given and the brokers that it learns of there
    // (librdkafka 2.12, `sparse_connect_intvl`: 11 ms and more).
    ("reconnect.backoff.ms", "20"),
    ("reconnect.backoff.max.ms", "1000"),
    // Nagle's algorithm would hold back small requests; ours are small and someone waits for them.
    ("socket.nagle.disable", "true"),
    // A closed idle connection is normal and not worth a line.
    ("log.connection.close", "false"),
];

/// For all that send.
const PRODUCER: &[Setting] = &[
    // Someone waits for nearly every record; batches form by themselves while a request is out.
    ("linger.ms", "0"),
    // A topic is asked for again soon after it was not there, instead of after 100 ms growing.
    ("topic.metadata.refresh.fast.interval.ms", "50"),
    // How long a topic that is not there may still appear. Then the record can never be sent, and its
    // workflow hears of it; the default of 30 s is our whole patience with a command.
    ("topic.metadata.propagation.max.ms", "3000"),
    ("compression.type", "none"),
];

/// For all that send: what the protocol rests on.
const PRODUCER_FIXED: &[Setting] = &[
    // Acknowledged means: all in-sync replicas have it.
    ("acks", "all"),
    // Retried by the client without doubling or reordering.
    ("enable.idempotence", "true"),
    // A command for an agent without a topic is an error to tell, not a topic to make.
    ("allow.auto.create.topics", "false"),
];

/// For all that read.
const CONSUMER: &[Setting] = &[
    // Idle, a fetch waits so long at the broker; data ends the wait at once. A change of place has to
    // wait for the fetch that is out, so it is kept short.
    ("fetch.wait.max.ms", "100"),
    ("fetch.min.bytes", "1"),
    // After the prefetch queue was full, the next fetch would wait a second by default: a reader that
    // works off a backlog would run dry (measured: 139 k/s against 483 k/s).
    ("fetch.queue.backoff.ms", "2"),
    // The same after an error, default 500 ms.
    ("fetch.error.backoff.ms", "50"),
    // Bounds of the prefetch: 100,000 records and 64 MiB a partition by default.
    ("queued.min.messages", "2000"),
    ("queued.max.messages.kbytes", "16384"),
    ("topic.metadata.refresh.fast.interval.ms", "50"),
];

/// For all that read: what the protocol rests on.
const CONSUMER_FIXED: &[Setting] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    // An offset that is gone is an error to judge, never a jump.
    ("auto.offset.reset", "error"),
    ("enable.partition.eof", "true"),
    ("check.crcs", "true"),
    ("allow.auto.create.topics", "false"),
];

/// For members of groups: what the protocol rests on.
const MEMBER_FIXED: &[Setting] = &[
    // The protocol that librdkafka has had for longest; a joining member takes no more than its share.
    ("group.protocol", "classic"),
    ("partition.assignment.strategy", "cooperative-sticky"),
];

/// Journal appends, shared by all lanes of the process.
pub(crate) fn journal_producer(config: &Config) -> ClientConfig {
    // Short: a lane that was not acknowledged takes over anew anyway.
    producer(config, "journal", &[("message.timeout.ms", "10000")])
}

/// Commands, events, dead letters, shared by all outlets of the process.
pub(crate) fn dispatch_producer(config: &Config) -> ClientConfig {
    // What is older than 30 s is judged by its workflow.
    sends(config, "dispatch", "30000")
}

/// Lifecycle events, likewise. A broker answers the requests of one connection one after another, so on the
/// same one each command would wait for the events before it (measured: 0.7 of 9.6 ms for three steps).
pub(crate) fn events_producer(config: &Config) -> ClientConfig {
    // No end to trying: with one, a record could be given up and the next one stored, and a reader that has
    // seen event n + 1 of a run passes over n when it is sent again. `enable.gapless.guarantee` does not
    // cover what is given up for its time.
    sends(config, "events", "0")
}

fn sends(config: &Config, role: &str, timeout_ms: &'static str) -> ClientConfig {
    // Placement as Java's client does it.
    let fixed = [("message.timeout.ms", timeout_ms), ("partitioner", "murmur2_random")];
    producer(config, role, &fixed)
}

/// A lane's snapshots. Its transactional id is the lane's for all processes: that is the fence.
pub(crate) fn snapshot_producer(config: &Config, partition: u32) -> ClientConfig {
    let id = format!("{}-{partition}", config.application());
    let mut client = producer(
        config,
        "snapshots",
        // How long a dead holder's open transaction may keep readers waiting. librdkafka wants the
        // record's timeout to be no longer.
        &[("transaction.timeout.ms", "15000"), ("message.timeout.ms", "15000")],
    );
    client.set("transactional.id", id);
    client
}

/// A lane's inbox, and whole topics: what was rolled back is not seen.
pub(crate) fn committed_reader(config: &Config) -> ClientConfig {
    reader(config, "read_committed")
}

/// A lane's snapshots, read once to their end. That the end was reached is said by an empty answer, which
/// waits the whole of `fetch.wait.max.ms`.
pub(crate) fn loading_reader(config: &Config) -> ClientConfig {
    let mut client = reader(config, "read_committed");
    client.set("fetch.wait.max.ms", "1");
    client
}

/// A lane's journal, which nobody may write in a transaction: its end is the true end.
pub(crate) fn uncommitted_reader(config: &Config) -> ClientConfig {
    reader(config, "read_uncommitted")
}

/// A member of a group, whose heartbeats are so far apart.
pub(crate) fn member(config: &Config, group: &str, heartbeat: Duration) -> ClientConfig {
    let fixed = [CONSUMER_FIXED, MEMBER_FIXED];
    let mut client = client(config, "member", Side::Reads, &[CONSUMER], &fixed);
    client
        .set("isolation.level", "read_committed")
        .set("group.id", group)
        .set("session.timeout.ms", config.session_timeout_ms.to_string())
        .set("heartbeat.interval.ms", heartbeat.as_millis().to_string());
    client
}

/// How far apart a member's heartbeats are: three may be lost before it is taken for dead.
pub(crate) fn heartbeat(config: &Config) -> Duration {
    Duration::from_millis(u64::from(config.session_timeout_ms) / 4)
}

/// The same of a member of the group that shares the lanes. A member hears of a new generation by the
/// answer to a heartbeat, and until all have heard no lane is taken over: it is this that a graceful stop
/// waits for. They are few, and a heartbeat is small.
pub(crate) fn lane_heartbeat(config: &Config) -> Duration {
    heartbeat(config).min(LANE_HEARTBEAT_MAX)
}

/// Questions about topics. Without a group, so that it joins nothing and asks no coordinator.
pub(crate) fn asking(config: &Config, isolation: &str) -> ClientConfig {
    let mut client = client(config, "reader", Side::Reads, &[CONSUMER], &[CONSUMER_FIXED]);
    client.set("isolation.level", isolation);
    client
}

fn reader(config: &Config, isolation: &str) -> ClientConfig {
    let mut client = asking(config, isolation);
    // librdkafka assigns only with a group's name; nothing is ever joined or committed under it.
    client.set("group.id", format!("{}-readers", config.application()));
    client
}

fn producer(config: &Config, role: &str, fixed: &[Setting]) -> ClientConfig {
    let mut client = client(config, role, Side::Sends, &[PRODUCER], &[PRODUCER_FIXED, fixed]);
    client.set("message.max.bytes", SEND_BYTES.to_string());
    client
}

#[derive(Clone, Copy)]
enum Side {
    Sends,
    Reads,
}

fn client(
    config: &Config,
    role: &str,
    side: Side,
    preferred: &[&[Setting]],
    fixed: &[&[Setting]],
) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set_log_level(RDKafkaLogLevel::Warning);
    client.set("client.id", format!("{}-{role}", config.application()));
    for (name, value) in COMMON.iter().chain(preferred.iter().copied().flatten()) {
        client.set(*name, *value);
    }
    for (name, value) in config.properties.0.iter().filter(|(name, _)| concerns(side, name)) {
        client.set(name, value);
    }
    for (name, value) in fixed.iter().copied().flatten() {
        client.set(*name, *value);
    }
    client.set("bootstrap.servers", &config.bootstrap);
    client
}

/// librdkafka warns at every start of a consumer's property that was given to a producer.
fn concerns(side: Side, property: &str) -> bool {
    let others: &[&str] = match side {
        Side::Sends => &["fetch.", "queued.", "session.", "heartbeat.", "max.poll."],
        Side::Reads => &[
            "linger.",
            "batch.",
            "compression.",
            "queue.buffering.",
            "topic.metadata.propagation.",
        ],
    };
    !others.iter().any(|start| property.starts_with(start))
}
