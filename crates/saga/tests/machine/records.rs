//! Records as they stand on the wire, definitions as they come and go, and bytes that must not be
//! misread.

use std::fmt::Write as _;

use events::{Destination, Json, Outgoing, Payload, Refusal, SagaName, Timestamp, Version};
use insta::assert_snapshot;
use saga::{
    COMMAND_BYTES_MAX, Cause, Decision, Deploy, Event, Input, State, definition_key, newest_key,
};

use crate::world::{World, show};

const TWO: &str = r#"
name: two
timeout: 1h
tasks:
  - {id: a, agent: x, type: book, compensate: cancel_booking}
  - {id: b, agent: y, depends_on: [a]}
"#;

fn lines(records: &[Outgoing]) -> String {
    let mut told = String::new();
    for record in records {
        let key = record.key.as_ref().map(|key| String::from_utf8_lossy(key).into_owned());
        writeln!(told, "{:?} key {key:?}", record.to).unwrap();
        for header in &record.headers {
            let value = String::from_utf8_lossy(header.value.as_ref().unwrap()).into_owned();
            writeln!(told, "  {}: {value}", header.name).unwrap();
        }
        match &record.value {
            Payload::Bytes(bytes) => {
                writeln!(told, "  {}", String::from_utf8_lossy(bytes)).unwrap()
            }
            Payload::Avro { schema, .. } => writeln!(told, "  avro {schema}").unwrap(),
            Payload::Null => writeln!(told, "  null").unwrap(),
        }
    }
    told
}

#[test]
fn records_carry_the_headers_of_the_contract() {
    let mut world = World::deploy(TWO);
    for line in ["start two k {}", "a done {\"n\":1}", "b failed x final", "a.undo failed y final"]
    {
        _ = world.play(line);
    }
    let chosen: Vec<Outgoing> = world
        .sent
        .iter()
        .filter(|record| record.to != Destination::Events)
        .chain(world.sent.first())
        .cloned()
        .collect();
    assert_snapshot!(lines(&chosen));
}

fn version_of(text: &str) -> Version {
    saga::check(text).plan.unwrap().version
}

fn deploy(world: &mut World, text: &str, revision: u64, ce_id: &str) -> String {
    let deploy = Deploy {
        saga: SagaName::from("two"),
        version: version_of(text),
        revision,
        text: text.to_owned(),
        ce_id: ce_id.to_owned(),
    };
    match world.feed(Cause::Input(&Input::Deploy(deploy))) {
        Decision::Accepted(events) => {
            events.iter().map(|event| event.key().to_string()).collect::<Vec<_>>().join(" ")
        }
        Decision::Ignored(why) => why.to_owned(),
        Decision::DeadLetter(refusal) => refusal.to_string(),
    }
}

#[test]
fn the_highest_revision_is_the_newest_and_an_older_version_can_come_back() {
    let newer = TWO.replace("1h", "2h");
    let mut world = World::default();
    let saga = SagaName::from("two");
    let (old, new) =
        (definition_key(&saga, &version_of(TWO)), definition_key(&saga, &version_of(&newer)));
    let newest = newest_key(&saga);
    assert_eq!(deploy(&mut world, TWO, 1, "d1"), format!("{old} {newest}"));
    assert_eq!(deploy(&mut world, &newer, 2, "d2"), format!("{new} {newest}"));
    assert_eq!(deploy(&mut world, TWO, 1, "d1"), "old_revision");
    assert_eq!(deploy(&mut world, TWO, 3, "d3"), newest.to_string());
    assert_eq!(deploy(&mut world, TWO, 3, "d3"), "old_revision");
    // Two gateways gave the same number: all partitions choose the same one, in whatever order.
    assert_eq!(deploy(&mut world, &newer, 3, "d2"), "old_revision");
    assert_eq!(deploy(&mut world, &newer, 3, "d4"), newest.to_string());
    world.refold();
}

#[test]
fn a_deployment_that_is_not_what_it_says_is_refused() {
    let mut world = World::default();
    let mut deploy = Deploy {
        saga: SagaName::from("two"),
        version: Version::from("000000000000"),
        revision: 1,
        text: TWO.to_owned(),
        ce_id: "d".to_owned(),
    };
    let code = |decision: Decision| match decision {
        Decision::DeadLetter(Refusal { code, .. }) => code,
        Decision::Accepted(_) | Decision::Ignored(_) => "taken".to_owned(),
    };
    assert_eq!(code(world.feed(Cause::Input(&Input::Deploy(deploy.clone())))), "version_mismatch");
    deploy.text = "name: two\ntasks: [{id: a, depends_on: [z]}]".to_owned();
    assert_eq!(code(world.feed(Cause::Input(&Input::Deploy(deploy)))), "bad_definition");
}

#[test]
fn a_start_without_a_version_takes_the_newest() {
    let mut world = World::deploy(TWO);
    let start = saga::Start {
        workflow: "two:k".into(),
        saga: "two".into(),
        version: None,
        inputs: Json::parse(b"{}").unwrap(),
        start_id: "s".to_owned(),
        offset: 9,
        trace: None,
        parent: None,
    };
    let first = world.feed(Cause::Input(&Input::Start(start.clone())));
    assert!(show(&first).starts_with("  WorkflowStarted"), "{first:?}");
    let again = world.feed(Cause::Input(&Input::Start(start)));
    assert_eq!(again, Decision::Ignored("duplicate_start"));
}

#[test]
fn inputs_too_large_for_a_command_fail_their_task() {
    let mut world = World::deploy(TWO);
    let inputs = format!("{{\"x\":\"{}\"}}", "y".repeat(COMMAND_BYTES_MAX));
    let told = show(&world.start("two", "k", &inputs));
    assert!(told.contains("TaskFailed a 0 too_large\n  CompensationStarted"), "{told}");
}

#[test]
fn a_workflow_holds_no_more_than_its_state_can_be_stored_with() {
    let tasks: String = (0..6)
        .map(|n| format!("  - {{id: t{n}, agent: x, kind: readonly, inputs: {{}}}}\n"))
        .collect();
    let mut world = World::deploy(&format!("version: \"2.0\"\nname: many\ntasks:\n{tasks}"));
    _ = world.start("many", "k", "{}");
    let output = format!("\"{}\"", "y".repeat(700 * 1024));
    for n in 0..4 {
        let told = show(&world.play(&format!("t{n} done {output}")));
        assert!(told.contains(&format!("TaskCompleted t{n}")), "{told}");
    }
    let told = show(&world.play(&format!("t4 done {output}")));
    assert!(told.contains("TaskFailed t4 1 too_large"), "{told}");
}

#[test]
fn unknown_events_and_states_are_errors() {
    let mut world = World::deploy(TWO);
    _ = world.play("start two k {}");
    for event in &world.journal {
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        for cut in 0..bytes.len() {
            assert!(Event::decode(&bytes[..cut]).is_err(), "{event:?} cut at {cut}");
        }
        bytes.push(0);
        assert!(Event::decode(&bytes).is_err(), "something behind the end");
    }
    // A map of events has no variant 99, and there is no state of kind 9.
    assert!(Event::decode(&[0x81, 0x82, 0x18, 99, 0x80]).is_err());
    assert!(State::decode(&[9]).is_err());
}

#[test]
fn time_never_stands_still_where_a_plan_is_missing() {
    struct NoPlan<'a>(&'a World);
    impl saga::Held for NoPlan<'_> {
        fn state(&self, key: &str) -> Option<&State> {
            self.0.state(key).filter(|_| !key.starts_with(':'))
        }
    }
    use saga::Held as _;
    let mut world = World::deploy(TWO);
    _ = world.play("start two k {}");
    let at = world.wake_at().unwrap();
    let id = world.id();
    let Decision::Accepted(events) = saga::decide(&NoPlan(&world), Cause::Wake(id.as_str()), at)
    else {
        panic!("a wake is never a dead letter");
    };
    let mut state = world.state(id.as_str()).cloned();
    events.iter().for_each(|event| saga::evolve(&mut state, event));
    assert_eq!(
        saga::wake_at(&state.unwrap()),
        Some(Timestamp::from_millis(at.as_millis() + 60_000))
    );
}

/// A lane shares its states with the thread that writes snapshots.
#[test]
fn states_and_events_can_be_shared() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    shared::<State>();
    shared::<Event>();
    shared::<Input>();
}

#[test]
fn a_definition_that_does_not_check_is_refused_for_its_first_error() {
    let text = "name: two\ntasks: [{id: a, agent: x, depends_on: [z]}]\n";
    let mut world = World::default();
    let deploy = Deploy {
        saga: SagaName::from("two"),
        version: Version::from("000000000000"),
        revision: 1,
        text: text.to_owned(),
        ce_id: "d".to_owned(),
    };
    let Decision::DeadLetter(refusal) = world.feed(Cause::Input(&Input::Deploy(deploy))) else {
        panic!("it is refused")
    };
    assert!(refusal.message.contains("E203"), "{refusal}");
}

#[test]
#[should_panic(expected = "is started twice")]
fn a_workflow_that_runs_is_not_started_by_the_journal() {
    let mut world = World::deploy(TWO);
    _ = world.play("start two k {}");
    let id = world.id();
    let mut state = saga::Held::state(&world, id.as_str()).cloned();
    let start = world.journal.iter().find(|event| event.key().to_string() == id.to_string());
    saga::evolve(&mut state, start.unwrap());
}
