//! How long the pure parts take, by the clock: `cargo bench -p pavane-coordinator --bench times`. What load on the
//! machine disturbs; `core` counts instead.

mod chain;

use std::hint::black_box;

use chain::Lane;
use coordinator::Remembered;
use criterion::{BenchmarkId, Criterion, Throughput};
use events::{Lifecycle, Outgoing};
use saga::{Cause, Decision, Event, State, decide, evolve, react, wake_at};
use stream::{Key, Spill, States};

/// A whole run: all its events decided, folded and formatted.
fn run(lane: &mut Lane, number: i64) -> (Vec<Event>, Vec<Outgoing>) {
    let (workflow, now, inputs) = lane.run(number);
    let (mut events, mut records) = (Vec::new(), Vec::new());
    for input in &inputs {
        let decision = decide(lane, Cause::Input(input), now);
        let Decision::Accepted(decided) = decision else { panic!("{input:?} is not accepted") };
        let mut state = lane.states.remove(workflow.as_str());
        decided.iter().for_each(|event| evolve(&mut state, event));
        records.extend(decided.iter().flat_map(react));
        events.extend(decided);
        lane.states.extend(state.map(|state| (workflow.to_string(), state)));
    }
    lane.states.remove(workflow.as_str());
    (events, records)
}

fn runs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide, evolve and react, an event");
    for (shape, tasks) in [("chain", 3), ("chain", 100), ("fan", 100)] {
        let mut lane = Lane::with(shape, tasks);
        let mut number = 0;
        group.throughput(Throughput::Elements(run(&mut lane, 0).0.len() as u64));
        group.bench_function(BenchmarkId::new(shape, tasks), |bencher| {
            bencher.iter(|| {
                number += 1;
                black_box(run(&mut lane, number))
            });
        });
    }
    group.finish();
}

fn codec(criterion: &mut Criterion) {
    let (events, _) = run(&mut Lane::with("chain", 3), 0);
    let public: Vec<Lifecycle> = events.iter().filter_map(Event::lifecycle).collect();
    let data: Vec<_> = public.iter().map(|event| (event.schema(), event.encode())).collect();
    let mut group = criterion.benchmark_group("a public event");
    group.throughput(Throughput::Elements(public.len() as u64));
    group.bench_function("encode", |bencher| {
        bencher.iter(|| black_box(public.iter().map(Lifecycle::encode).collect::<Vec<_>>()));
    });
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            for (schema, datum) in &data {
                assert!(black_box(Lifecycle::decode(schema, datum)).is_ok());
            }
        });
    });
    group.finish();
}

/// Workflows that wait for their second task, one touched behind the other, with room for one of them decoded.
fn at_rest(criterion: &mut Criterion) {
    const COUNT: u64 = 1_000;
    let mut group = criterion.benchmark_group("a state wakes and comes to rest");
    group.throughput(Throughput::Elements(COUNT));
    for (place, memory_max) in [("in memory", usize::MAX), ("in a file", 0)] {
        let mut lane = Lane::with("chain", 3);
        let mut states = States::new(1, Spill::past(memory_max, std::env::temp_dir()));
        let keys: Vec<Key> =
            (0..COUNT.cast_signed()).map(|run| began(&mut lane, &mut states, run)).collect();
        group.bench_function(place, |bencher| {
            bencher.iter(|| {
                for key in &keys {
                    states.change(key, |_| {}, |state| wake_at(&state.0));
                }
            });
        });
    }
    group.finish();
}

/// Begins a run and does its first task.
fn began(lane: &mut Lane, states: &mut States<Remembered>, number: i64) -> Key {
    let (workflow, now, inputs) = lane.run(number);
    for input in inputs.iter().take(2) {
        let Decision::Accepted(events) = decide(lane, Cause::Input(input), now) else {
            panic!("{input:?} is not accepted")
        };
        let mut state = lane.states.remove(workflow.as_str());
        events.iter().for_each(|event| evolve(&mut state, event));
        lane.states.extend(state.map(|state| (workflow.to_string(), state)));
    }
    let state: Option<State> = lane.states.remove(workflow.as_str());
    let key = Key::from(workflow.as_str());
    states.change(&key, |held| *held = state.map(Remembered), |state| wake_at(&state.0));
    key
}

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return; // As `cargo test --benches` runs it.
    }
    let mut criterion = Criterion::default().configure_from_args();
    runs(&mut criterion);
    codec(&mut criterion);
    at_rest(&mut criterion);
    criterion.final_summary();
}
