//! Schedules: several processes think that they hold one lane; the schedule says who goes on when, who dies
//! and what befalls the appends. Afterwards one process runs alone, and the books must add up.

use events::{Destination, Header, Payload};
use proptest::prelude::*;

use super::tally::{Tally, is_answer, text_of};
use super::told::lowest_unanswered;
use super::{Fate, Memory, MemoryLog, MemorySnapshots, Rival, World};
use crate::broker::{Broker, LaneId, Log, Source};
use crate::journal::{Decide, FORMAT, Origin, Owner, Written};
use crate::lane::{Blame, Given, Lane};
use crate::limits::Limits;
use crate::reader::{Context, Ruling};
use crate::seams::Clock;
use crate::shelf::Spill;
use crate::snapshot::{Writer, read_marker};
use crate::takeover::{End, take_over};

#[derive(Clone, Debug)]
enum Step {
    /// Process n takes over, or takes a turn if it is active.
    Go(usize),
    /// Process n dies.
    Kill(usize),
    /// An input arrives.
    Put(&'static str, &'static str),
    /// What befalls the next append.
    Fate(Fate),
    /// What was late lands.
    Land,
    /// Time passes, milliseconds.
    Pass(i64),
    /// Sends are lost from here on, or no longer.
    Drop(bool),
    /// What became of sends is not heard from here on, or it is.
    Hold(bool),
    /// The user's topic is not there, or it is.
    Refuse(bool),
}

type Active<'a> = Lane<'a, Tally, MemoryLog, MemorySnapshots>;

struct Runner<'a> {
    memory: &'a Memory,
    limits: &'a Limits,
    owners: u8,
}

impl<'a> Runner<'a> {
    fn win(&mut self, blame: &'a mut Blame) -> Result<Active<'a>, End> {
        self.owners += 1;
        let owner = Owner([self.owners; 16]);
        let won =
            take_over::<Tally, Memory>(self.memory, LaneId(0), 1, owner, self.memory, self.limits)?;
        let given = Given {
            service: &Tally,
            clock: self.memory,
            limits: self.limits,
            lane: LaneId(0),
            lanes: 1,
        };
        Lane::begin(given, won, Writer::inline(), blame)
    }
}

fn limits() -> Limits {
    Limits {
        snapshot_every: std::time::Duration::from_millis(20),
        journal_kept_for: std::time::Duration::ZERO,
        proposal_records_max: 2,
        awake_max: 1,
        spill: Spill::past(0, std::env::temp_dir()),
        ..Limits::default()
    }
}

/// Runs the steps; then lets one process run alone until nothing is left to do.
fn run(steps: &[Step]) -> Memory {
    let memory = Memory::default();
    let limits = limits();
    let mut runner = Runner { memory: &memory, limits: &limits, owners: 0 };
    let mut processes: [Option<Active<'_>>; 3] = [None, None, None];
    for step in steps {
        match step {
            Step::Go(n) => match &mut processes[*n] {
                Some(lane) => {
                    if let Err(end) = lane.turn() {
                        assert!(!matches!(end, End::Refused(_)), "{end}");
                        processes[*n] = None;
                    }
                }
                none => match runner.win(Box::leak(Box::default())) {
                    Ok(lane) => *none = Some(lane),
                    Err(end) => assert!(!matches!(end, End::Refused(_)), "{end}"),
                },
            },
            Step::Kill(n) => processes[*n] = None,
            Step::Put(key, what) => memory.world().put(key, what),
            Step::Fate(fate) => memory.world().fate = Some(*fate),
            Step::Land => memory.world().land_late(),
            Step::Pass(ms) => memory.world().now += ms,
            Step::Drop(drop) => memory.world().drop_sends = *drop,
            Step::Hold(hold) => memory.world().hold_acks = *hold,
            Step::Refuse(refuse) => {
                memory.world().refuse_topic = refuse.then_some("shop.out");
            }
        }
    }
    drop(processes);
    finish(&memory, &mut runner);
    memory
}

/// One process alone, without further faults, gets everything done.
fn finish(memory: &Memory, runner: &mut Runner<'_>) {
    {
        let mut world = memory.world();
        world.land_late();
        world.fate = None;
        world.drop_sends = false;
        world.hold_acks = false;
        world.refuse_topic = None;
    }
    let mut lane = runner.win(Box::leak(Box::default())).unwrap();
    for _ in 0..200 {
        lane.turn().unwrap();
    }
}

/// The newest decision, and where it stands.
fn newest(memory: &Memory) -> Option<(i64, Decide)> {
    let world = memory.world();
    world.history.iter().rev().find_map(|(at, bytes)| match Written::decode(bytes).unwrap() {
        Written::Decide(decide) => Some((*at, decide)),
        Written::Announce(_) => None,
    })
}

/// Every valid decision above the first record that is kept.
fn valid_decisions(journal: &[(i64, bytes::Bytes)]) -> Vec<Decide> {
    let mut context = Context::empty(1);
    context.next = journal.first().unwrap().0;
    let mut valid = Vec::new();
    for (offset, bytes) in journal {
        let written = Written::decode(bytes).unwrap();
        if context.judge(*offset, &written).unwrap() == Ruling::Valid
            && let Written::Decide(decide) = written
        {
            valid.push(decide);
        }
    }
    valid
}

/// What a single correct process would have in its books: inputs in their order. Timers and what
/// is told of acknowledgements are left out.
fn expected(memory: &Memory, key: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for record in &memory.world().inbox {
        let what = String::from_utf8(record.value.clone().unwrap().to_vec()).unwrap();
        let mine = record.key.as_deref() == Some(key.as_bytes());
        let again = what == "again" && all.last().is_some_and(|last| last == "again");
        if !mine || what == "poison" || again {
            continue;
        }
        match what.as_str() {
            "emit twice" => all.extend(["emit".to_owned(), "emit".to_owned()]),
            _ => all.push(what),
        }
    }
    all
}

fn check_books(memory: &Memory) {
    let limits = limits();
    let mut runner = Runner { memory, limits: &limits, owners: 200 };
    let lane = runner.win(Box::leak(Box::default())).unwrap();
    for key in ["a", "b"] {
        let found = lane.state(key).map(|list| list.all.clone()).unwrap_or_default();
        let inputs: Vec<String> =
            found.iter().filter(|what| *what != "rang" && !is_answer(what)).cloned().collect();
        assert_eq!(inputs, expected(memory, key), "each input once, in order");
        let later = found.iter().filter(|what| what.starts_with("later:")).count();
        let rang = found.iter().filter(|what| *what == "rang").count();
        assert!(rang <= later && (later == 0 || rang >= 1), "each timer rings: {found:?}");
        let emits = (0..).zip(&found).filter(|(_, what)| *what == "emit").map(|(n, _)| n);
        for n in emits.map(|n: usize| n.to_string()) {
            let answers = found.iter().filter(|what| what.ends_with(&format!(":{n}")));
            assert_eq!(answers.filter(|what| is_answer(what)).count(), 1, "{n} in {found:?}");
        }
        check_sent(memory, key, &found);
    }
    assert_eq!(lowest_unanswered(&memory.world().history), None);
    check_dead_letters(memory);
}

/// Everything decided was sent, first occurrences in order, what came again the same; and nothing else.
fn check_sent(memory: &Memory, key: &str, found: &[String]) {
    let world = memory.world();
    let expected: Vec<String> =
        found.iter().enumerate().map(|(n, what)| format!("{n}:{what}")).collect();
    let mut seen: Vec<String> = Vec::new();
    for record in &world.sent {
        let text = text_of(record);
        let mine = record.key.as_deref() == Some(key.as_bytes());
        if mine && record.to == Destination::Events && !seen.contains(&text) {
            seen.push(text);
        }
    }
    assert_eq!(seen, expected, "acts-after-ack, same-again");
}

fn check_dead_letters(memory: &Memory) {
    let world = memory.world();
    let poison: Vec<_> = world
        .inbox
        .iter()
        .filter(|record| record.value.as_deref() == Some(b"poison"))
        .map(|record| record.place.offset.to_string())
        .collect();
    let letters: std::collections::BTreeSet<String> = world
        .sent
        .iter()
        .filter(|record| record.to == Destination::Inbox.dead_letters())
        .map(|record| {
            let offset = record
                .headers
                .iter()
                .find(|header| &*header.name == "__dlq.errors.offset")
                .unwrap();
            String::from_utf8(offset.value.clone().unwrap().to_vec()).unwrap()
        })
        .collect();
    assert_eq!(letters, poison.into_iter().collect(), "each poison record is a dead letter");
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fate = prop_oneof![
        Just(Fate::LandsUnplaced),
        Just(Fate::LandsInDoubt),
        Just(Fate::Late),
        Just(Fate::Vanishes),
        Just(Fate::LosesHead)
    ];
    let what = prop_oneof![
        4 => Just("x"), 2 => Just("y"), 3 => Just("again"), 1 => Just("poison"),
        1 => Just("later:40"), 1 => Just("later:900"), 3 => Just("emit"), 1 => Just("emit twice")
    ];
    let step = prop_oneof![
        12 => (0_usize..3).prop_map(Step::Go),
        1 => (0_usize..3).prop_map(Step::Kill),
        5 => (prop_oneof![Just("a"), Just("b")], what).prop_map(|(key, what)| Step::Put(key, what)),
        2 => fate.prop_map(Step::Fate),
        1 => Just(Step::Land),
        2 => (1_i64..50).prop_map(Step::Pass),
        1 => any::<bool>().prop_map(Step::Drop),
        1 => any::<bool>().prop_map(Step::Hold),
        1 => any::<bool>().prop_map(Step::Refuse),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// invariants: acts-after-ack, one-epoch, fold-only, one-verdict, same-again, acked-then-told
    #[test]
    fn under_any_schedule_each_input_has_its_effect_once_and_all_is_sent(steps in steps()) {
        let memory = run(&steps);
        check_books(&memory);
    }
}

fn check(steps: &[Step]) -> Memory {
    let memory = run(steps);
    check_books(&memory);
    memory
}

#[test]
fn a_lane_that_lost_its_partition_sends_nothing() {
    let memory = check(&[
        Step::Go(0),
        Step::Go(1),
        Step::Put("a", "x"),
        Step::Go(1),
        // The first does not know yet; its append meets the second's, reads back and ends.
        Step::Go(0),
    ]);
    let sent = memory.world().sent.iter().filter(|record| text_of(record) == "0:x").count();
    assert!(sent >= 1);
}

#[test]
fn an_append_without_an_offset_is_read_back_and_acted_on() {
    check(&[Step::Go(0), Step::Put("a", "x"), Step::Fate(Fate::LandsUnplaced), Step::Go(0)]);
}

#[test]
fn an_append_that_lands_after_the_next_takeover_is_void() {
    let memory = check(&[
        Step::Go(0),
        Step::Put("a", "x"),
        Step::Fate(Fate::Late),
        Step::Go(0),
        Step::Go(1),
        Step::Go(1),
        Step::Land,
        Step::Put("a", "y"),
        Step::Go(1),
    ]);
    memory.world().land_late();
    let world = memory.world();
    let inputs: Vec<_> = valid_decisions(&world.journal)
        .into_iter()
        .filter_map(|decide| match decide.source {
            Origin::Input(offset) => Some(offset),
            Origin::Timer(_) | Origin::Parked(..) | Origin::Acked(..) | Origin::Skip => None,
        })
        .collect();
    let distinct: std::collections::BTreeSet<_> = inputs.iter().collect();
    assert_eq!(distinct.len(), inputs.len(), "one-verdict: {inputs:?}");
}

#[test]
fn a_record_that_makes_the_service_panic_is_refused_in_the_next_epoch() {
    let memory = Memory::default();
    let limits = limits();
    let mut runner = Runner { memory: &memory, limits: &limits, owners: 0 };
    memory.world().put("a", "x");
    memory.world().put("a", "panic");
    memory.world().put("a", "y");
    let mut lane = runner.win(Box::leak(Box::default())).unwrap();
    let end = (0..5).find_map(|_| lane.turn().err()).unwrap();
    assert_eq!(end, End::Crashed(1));
    let blame: &mut Blame = Box::leak(Box::default());
    blame.culprit = Some(1);
    let mut lane = runner.win(blame).unwrap();
    for _ in 0..10 {
        lane.turn().unwrap();
    }
    assert_eq!(lane.state("a").unwrap().all, ["x", "y"]);
    let world = memory.world();
    let letter =
        world.sent.iter().find(|record| record.to == Destination::Inbox.dead_letters()).unwrap();
    assert_eq!(text_of(letter), "panic");
    assert!(letter.headers.iter().any(|header| header.value.as_deref() == Some(b"crashed")));
}

/// shows: J3
#[test]
fn each_hop_of_an_event_is_a_span_that_names_its_place_and_its_trace() {
    let (written, out) = std::sync::mpsc::channel();
    let log = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || Line(written.clone()))
        .finish();
    let hear = || {
        let memory = Memory::default();
        let limits = limits();
        let mut runner = Runner { memory: &memory, limits: &limits, owners: 0 };
        memory.world().put("a", "x");
        let mut lane = runner.win(Box::leak(Box::default())).unwrap();
        lane.turn().unwrap();
        out.try_iter().collect::<String>()
    };
    let parts = [
        "messaging.destination.name=\"pavane.inbox\"",
        "messaging.kafka.offset=0",
        "link=\"00-trace-01\"",
        "append{",
        "messaging.batch.message_count=1",
    ];
    // Whether anybody listens to a span is remembered by the whole process: a test beside this one that meets
    // a span first, on a thread without a listener, makes us deaf to it until that is asked anew.
    let heard: Vec<String> = tracing::subscriber::with_default(log, || {
        let rounds = (0..100).map(|_| {
            tracing::callsite::rebuild_interest_cache();
            hear()
        });
        let is_deaf = |lines: &String| !lines.contains("append{") || !lines.contains("process{");
        rounds.scan(true, |deaf, lines| deaf.then(|| (*deaf = is_deaf(&lines), lines).1)).collect()
    });
    let lines = heard.last().unwrap();
    for part in parts {
        assert!(lines.contains(part), "{part} is not in:\n{lines}");
    }
}

struct Line(std::sync::mpsc::Sender<String>);

impl std::io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.send(String::from_utf8_lossy(bytes).into_owned()).ok();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn two_records_that_panic_in_one_batch_are_both_refused() {
    let memory = Memory::default();
    let limits = Limits { proposal_records_max: 100, ..limits() };
    let mut runner = Runner { memory: &memory, limits: &limits, owners: 0 };
    for what in ["x", "panic", "y", "panic", "z"] {
        memory.world().put("a", what);
    }
    let mut culprit = None;
    for expected in [1, 3] {
        let blame: &mut Blame = Box::leak(Box::default());
        blame.culprit = culprit;
        let mut lane = runner.win(blame).unwrap();
        let end = (0..5).find_map(|_| lane.turn().err()).unwrap();
        assert_eq!(end, End::Crashed(expected));
        culprit = Some(expected);
    }
    let blame: &mut Blame = Box::leak(Box::default());
    blame.culprit = culprit;
    let mut lane = runner.win(blame).unwrap();
    for _ in 0..10 {
        lane.turn().unwrap();
    }
    assert_eq!(lane.state("a").unwrap().all, ["x", "y", "z"]);
}

#[test]
fn a_decision_larger_than_the_broker_takes_holds_nothing_up() {
    let memory = Memory::default();
    let limits = limits();
    let mut runner = Runner { memory: &memory, limits: &limits, owners: 0 };
    memory.world().entry_bytes_max = Some(1_000);
    for what in ["x", "often:200", "y"] {
        memory.world().put("a", what);
    }
    let mut lane = runner.win(Box::leak(Box::default())).unwrap();
    for _ in 0..10 {
        lane.turn().unwrap();
    }
    assert_eq!(lane.state("a").unwrap().all, ["x", "y"]);
    let world = memory.world();
    let letters = world.sent.iter().filter(|record| {
        record.headers.iter().any(|header| header.value.as_deref() == Some(b"too_large"))
    });
    assert_eq!(letters.count(), 1, "the large one is a dead letter");
}

#[test]
fn a_record_larger_than_the_journal_takes_holds_nothing_up() {
    let memory = Memory::default();
    let limits = limits();
    let mut runner = Runner { memory: &memory, limits: &limits, owners: 0 };
    memory.world().entry_bytes_max = Some(1_000);
    for what in ["x", "poison", "y"] {
        memory.world().put("a", what);
    }
    let headers = (0..1_000).map(|n| Header::text(n.to_string(), "")).collect();
    memory.world().inbox[1].headers = headers;
    let mut lane = runner.win(Box::leak(Box::default())).unwrap();
    for _ in 0..10 {
        lane.turn().unwrap();
    }
    assert_eq!(lane.state("a").unwrap().all, ["x", "y"]);
    let world = memory.world();
    let to = Destination::Inbox.dead_letters();
    let letter = world.sent.iter().find(|record| record.to == to).unwrap();
    assert_eq!(letter.value, Payload::Null, "it does not fit, so it is named");
    let said = |name: &str| {
        let header = letter.headers.iter().find(|header| &*header.name == name).unwrap();
        String::from_utf8(header.value.clone().unwrap().to_vec()).unwrap()
    };
    assert_eq!(said("__dlq.errors.offset"), "1");
    assert!(said("__dlq.errors.message").contains("it is not in this letter"));
}

#[test]
fn a_command_that_can_never_be_sent_is_parked_into_its_state() {
    let memory = Memory::default();
    let limits = limits();
    let mut runner = Runner { memory: &memory, limits: &limits, owners: 0 };
    memory.world().refuse_topic = Some("pavane.tasks.worker");
    memory.world().put("a", "task");
    let mut lane = runner.win(Box::leak(Box::default())).unwrap();
    for _ in 0..10 {
        lane.turn().unwrap();
    }
    assert_eq!(lane.state("a").unwrap().all, ["task", "parked"]);
    drop(lane);
    let mut lane = runner.win(Box::leak(Box::default())).unwrap();
    lane.turn().unwrap();
    assert_eq!(lane.state("a").unwrap().all, ["task", "parked"], "the cursor has passed it");
}

#[test]
fn an_event_to_a_topic_that_is_not_there_is_parked_and_another_is_told_of() {
    check(&[
        Step::Refuse(true),
        Step::Put("a", "emit"),
        Step::Go(0),
        Step::Go(0),
        Step::Go(0),
        Step::Refuse(false),
        Step::Put("a", "emit twice"),
        Step::Put("b", "emit"),
        Step::Go(0),
        // Told before it can be answered, and dies.
        Step::Kill(0),
        Step::Go(1),
        Step::Hold(true),
        Step::Go(1),
        Step::Hold(false),
        Step::Go(1),
    ]);
}

#[test]
fn an_acknowledgement_that_panics_is_not_told_again() {
    let memory = Memory::default();
    // A snapshot passes what was told in vain.
    let limits = Limits { snapshot_every: std::time::Duration::MAX, ..limits() };
    let mut runner = Runner { memory: &memory, limits: &limits, owners: 0 };
    memory.world().put("panics", "emit");
    let mut lane = runner.win(Box::leak(Box::default())).unwrap();
    let end = (0..5).find_map(|_| lane.turn().err()).unwrap();
    let End::CrashedAck { offset, index } = end else { panic!("{end}") };
    let blame: &mut Blame = Box::leak(Box::default());
    blame.untold.insert((offset, index));
    let mut lane = runner.win(blame).unwrap();
    for _ in 0..10 {
        lane.turn().unwrap();
    }
    assert_eq!(lane.state("panics").unwrap().all, ["emit"]);
    memory.world().put("b", "x");
    (0..5).for_each(|_| lane.turn().unwrap());
    let (_, decide) = newest(&memory).unwrap();
    assert!(decide.cursor > offset, "the cursor passes what is not told");
}

#[test]
fn a_dead_letter_without_a_topic_ends_the_epoch_by_name_and_is_sent_in_the_next() {
    let memory = Memory::default();
    let limits = limits();
    let mut runner = Runner { memory: &memory, limits: &limits, owners: 0 };
    memory.world().refuse_topic = Some("pavane.inbox.dlq");
    memory.world().put("a", "panic");
    let blame: &mut Blame = Box::leak(Box::default());
    blame.culprit = Some(0);
    let mut lane = runner.win(blame).unwrap();
    let end = (0..10).find_map(|_| lane.turn().err()).unwrap();
    let End::Unsent { to, .. } = end else { panic!("{end}") };
    assert_eq!(to, Destination::Inbox.dead_letters());
    drop(lane);
    memory.world().refuse_topic = None;
    let mut lane = runner.win(Box::leak(Box::default())).unwrap();
    for _ in 0..10 {
        lane.turn().unwrap();
    }
    let world = memory.world();
    assert_eq!(world.sent.iter().filter(|record| record.to == to).count(), 1);
}

#[test]
fn a_timer_waits_for_what_the_inbox_held_before_it_was_due() {
    let memory = Memory::default();
    let limits = limits();
    let mut runner = Runner { memory: &memory, limits: &limits, owners: 0 };
    memory.world().put("a", "later:1000");
    let mut lane = runner.win(Box::leak(Box::default())).unwrap();
    lane.turn().unwrap();
    drop(lane);
    // An hour's outage; the answer had come in time.
    memory.world().now = 900;
    memory.world().put("a", "answer");
    memory.world().now = 3_600_000;
    memory.world().put("a", "late");
    let mut lane = runner.win(Box::leak(Box::default())).unwrap();
    for _ in 0..10 {
        lane.turn().unwrap();
    }
    let all = &lane.state("a").unwrap().all;
    let at = |what: &str| all.iter().position(|one| one == what).unwrap();
    assert!(at("answer") < at("rang"), "{all:?}");
}

#[test]
fn a_journal_that_was_cut_off_is_refused_not_repaired() {
    let memory = Memory::default();
    let limits = limits();
    let mut runner = Runner { memory: &memory, limits: &limits, owners: 0 };
    memory.world().put("a", "x");
    let mut lane = runner.win(Box::leak(Box::default())).unwrap();
    for _ in 0..5 {
        memory.world().now += 30;
        lane.turn().unwrap();
    }
    assert!(memory.world().marker.is_some(), "a snapshot was written");
    drop(lane);
    memory.world().journal.clear();
    memory.world().trimmed_below = 0;
    let refused = runner.win(Box::leak(Box::default()));
    assert!(matches!(refused.err(), Some(End::Refused(_))));
}

#[test]
fn what_is_gone_from_the_journal_is_refused_with_both_offsets() {
    let memory = Memory::default();
    let limits = limits();
    let mut runner = Runner { memory: &memory, limits: &limits, owners: 0 };
    drop(runner.win(Box::leak(Box::default())));
    memory.open(LaneId(0)).unwrap().trim(1).unwrap();
    let Some(End::Refused(why)) = runner.win(Box::leak(Box::default())).err() else {
        panic!("it must be refused")
    };
    assert!(why.contains("begins at offset 1") && why.contains("offset 0 is needed"), "{why}");
}

/// A lane that has decided on one input and written a snapshot of it.
fn decided_on_one() -> Memory {
    let memory = Memory::default();
    let limits = limits();
    let mut runner = Runner { memory: &memory, limits: &limits, owners: 0 };
    memory.world().put("a", "x");
    let mut lane = runner.win(Box::leak(Box::default())).unwrap();
    for _ in 0..5 {
        memory.world().now += 30;
        lane.turn().unwrap();
    }
    drop(lane);
    memory
}

#[test]
fn a_journal_that_a_rival_trims_meanwhile_is_read_from_its_snapshot() {
    for at_read in [false, true] {
        let memory = decided_on_one();
        let limits = limits();
        let mut runner = Runner { memory: &memory, limits: &limits, owners: 1 };
        {
            let mut world = memory.world();
            (world.journal, world.trimmed_below) = (world.history.clone(), 0);
            let (marker, states) =
                (world.marker.take().unwrap(), std::mem::take(&mut world.states));
            world.rival = Some(Rival { at_read, marker, states });
        }
        let mut lane = match (runner.win(Box::leak(Box::default())), at_read) {
            (Ok(lane), false) => lane,
            // What it is reading goes away: not for good.
            (Err(End::Lost(_)), true) => runner.win(Box::leak(Box::default())).unwrap(),
            (Ok(_), true) => panic!("it has read what is gone"),
            (Err(end), _) => panic!("{end}"),
        };
        assert!(memory.world().rival.is_none() && memory.world().trimmed_below > 0);
        lane.turn().unwrap();
    }
}

#[test]
fn a_lane_that_changes_hands_more_often_than_snapshots_are_due_writes_them_all_the_same() {
    let memory = Memory::default();
    let every = std::time::Duration::from_secs(5);
    let limits = Limits { snapshot_every: every, ..limits() };
    let mut runner = Runner { memory: &memory, limits: &limits, owners: 0 };
    for _ in 0..100 {
        memory.world().put("a", "x");
        let won = memory.now();
        let mut lane = runner.win(Box::leak(Box::default())).unwrap();
        for _ in 0..4 {
            lane.turn().unwrap();
        }
        assert!(memory.now().since(won) < every);
    }
    let world = memory.world();
    let marker = read_marker(world.marker.as_ref().expect("a snapshot")).unwrap();
    let behind = world.journal_end() - marker.next;
    assert!(behind < 40, "{behind} records of {} are in no snapshot", world.journal_end());
}

/// Why a takeover refuses, after this change to what is kept.
fn refused(change: fn(&mut World)) -> String {
    let memory = decided_on_one();
    change(&mut memory.world());
    let limits = limits();
    let mut runner = Runner { memory: &memory, limits: &limits, owners: 1 };
    let end = runner.win(Box::leak(Box::default())).err();
    let Some(End::Refused(why)) = end else { panic!("it must be refused: {end:?}") };
    why
}

fn change_marker(world: &mut World, change: impl FnOnce(&mut Context)) {
    let mut context = read_marker(world.marker.as_ref().unwrap()).unwrap();
    change(&mut context);
    world.marker = Some(minicbor::to_vec(&context).unwrap().into());
}

#[test]
fn a_snapshot_of_other_lanes_or_of_a_newer_format_is_refused() {
    let why = refused(|world| change_marker(world, |context| context.lanes = 2));
    assert!(why.contains("written for 2 partitions, but the topics have 1"), "{why}");
    let why = refused(|world| change_marker(world, |context| context.format = FORMAT + 1));
    assert!(why.contains("format"), "{why}");
}

#[test]
fn inputs_that_are_gone_are_refused_with_both_offsets() {
    let why = refused(|world| {
        world.put("a", "y");
        world.inbox_from = 2;
    });
    assert!(why.contains("kept from offset 2, but 1 is to be read"), "{why}");
    let why = refused(|world| world.inbox.clear());
    assert!(why.contains("ends at offset 0, but 1 is to be read"), "{why}");
}

#[test]
fn an_idle_owner_finds_out_that_it_was_superseded() {
    let memory = Memory::default();
    let limits = limits();
    let mut runner = Runner { memory: &memory, limits: &limits, owners: 0 };
    let mut first = runner.win(Box::leak(Box::default())).unwrap();
    let second = runner.win(Box::leak(Box::default())).unwrap();
    memory.world().now += 2_000;
    let end = (0..3).find_map(|_| first.turn().err()).unwrap();
    assert!(matches!(end, End::Superseded(_)), "{end}");
    drop(second);
    assert_eq!(memory.open(LaneId(0)).unwrap().kept(Source::Journal).unwrap(), 0..2);
    assert!(memory.now().as_millis() >= 2_000);
}
