//! The pure core under a tool that counts instructions: one part of it is run inside of [`counted`], the rest around
//! it. `cargo xtask count` builds it, runs it under callgrind for each part, and holds the figures against the kept ones.
//!
//! Arguments: PART SHAPE TASKS WORKFLOWS. It prints the events of the workflows, and how often the part allocated.

#![allow(clippy::expect_used, reason = "it runs what stands in it, and nothing else")]

mod chain;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use chain::Lane;
use events::{Lifecycle, Outgoing, Timestamp};
use saga::{Cause, Decision, Event, Input, State, decide, evolve, react, wake_at};

/// Counts what is asked of the allocator.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[allow(unsafe_code, reason = "an allocator is nothing else; it passes everything on")]
// SAFETY: each call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: as it came.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as it came.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: as it came.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// What callgrind counts: it is told to by this name.
#[inline(never)]
fn counted<T>(part: impl FnOnce() -> T) -> T {
    black_box(part())
}

/// Runs a part inside of [`counted`] if it is the one that was chosen, or all are.
struct Counter {
    chosen: String,
    warm: bool,
    times: u64,
    allocations: Cell<u64>,
}

impl Counter {
    fn run<T>(&self, part: &str, run: impl FnOnce() -> T) -> T {
        let is_chosen = self.chosen == part || self.chosen == "all" && part != "codec";
        if !(self.warm && is_chosen) {
            return run();
        }
        let before = ALLOCATIONS.load(Relaxed);
        let result = counted(run);
        self.allocations.set(self.allocations.get() + ALLOCATIONS.load(Relaxed) - before);
        result
    }
}

/// Decides, folds, formats.
fn feed(lane: &mut Lane, counter: &mut Counter, key: &str, input: &Input, now: Timestamp) {
    let decision = counter.run("decide", || decide(lane, Cause::Input(input), now));
    let Decision::Accepted(events) = decision else { panic!("{input:?} is not accepted") };
    let mut slot = lane.states.remove(key);
    counter.run("evolve", || events.iter().for_each(|event| evolve(&mut slot, event)));
    counter.run("wake", || black_box(slot.as_ref().and_then(wake_at)));
    let records: Vec<Vec<Outgoing>> = counter.run("react", || events.iter().map(react).collect());
    codec(counter, &events);
    counter.times += events.len() as u64;
    counter.run("free", || drop((events, records)));
    lane.states.extend(slot.map(|state| (key.to_owned(), state)));
}

/// Journal bytes and public bytes of the same events.
fn codec(counter: &Counter, events: &[Event]) {
    for event in events {
        let mut bytes = Vec::new();
        match counter.chosen.as_str() {
            "journal-encode" => counter.run("journal-encode", || event.encode(&mut bytes)),
            "journal-decode" => {
                event.encode(&mut bytes);
                let read = counter.run("journal-decode", || Event::decode(&bytes));
                assert_eq!(&read.expect("it was written"), event);
            }
            "lifecycle-encode" | "lifecycle-decode" => {
                let lifecycle = event.lifecycle().expect("all events of these runs are public");
                let datum = counter.run("lifecycle-encode", || lifecycle.encode());
                let read = counter
                    .run("lifecycle-decode", || Lifecycle::decode(lifecycle.schema(), &datum));
                assert_eq!(read.expect("it was written"), lifecycle);
            }
            _ => {}
        }
    }
}

/// One run from its start to its end, which is asserted.
fn workflow(lane: &mut Lane, counter: &mut Counter, number: i64) {
    let (workflow, now, inputs) = lane.run(number);
    for input in &inputs {
        feed(lane, counter, workflow.as_str(), input, now);
    }
    let ended = lane.states.remove(workflow.as_str());
    let Some(State::Workflow(ended)) = ended else { panic!("{workflow} is not there") };
    assert_eq!(ended.status(), "completed");
}

fn main() {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [part, shape, tasks, workflows, ..] = given.as_slice() else {
        return; // As `cargo test --benches` runs it.
    };
    let number = |text: &String| text.parse::<u64>().expect("a number");
    let (tasks, workflows) = (number(tasks), number(workflows));
    let mut lane = Lane::with(shape, tasks);
    let mut counter =
        Counter { chosen: part.clone(), warm: false, times: 0, allocations: Cell::new(0) };
    for run in 0..=workflows {
        // The first one alone pays for what is made once.
        counter.warm = run > 0;
        workflow(&mut lane, &mut counter, i64::try_from(run).expect("fewer"));
    }
    #[allow(clippy::print_stdout, reason = "what it is for")]
    {
        let events = counter.times / (workflows + 1) * workflows;
        println!("{events} {}", counter.allocations.get());
    }
}
