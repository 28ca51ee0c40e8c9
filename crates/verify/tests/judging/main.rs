//! Each invariant has histories that break it and nothing else; histories that break none are not blamed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test, that is an assertion")]

mod course;
mod late;

use std::collections::BTreeSet;

use course::{Course, feed};
use verify::{Invariant, Judge, Options, Report};

/// `a`, then `b` and `c` beside each other, then the pivot `p`; `d` when all has failed.
const SAGA: &str = "
version: \"2.0\"
name: shop
on_failure: {strategy: compensate, then: [{id: d, agent: d, kind: retriable, inputs: {}}]}
tasks:
  - {id: a, agent: a, compensate: undo_a}
  - {id: b, agent: b, compensate: undo_b, depends_on: [a]}
  - {id: c, agent: c, compensate: {agent: c, inputs: {x: 1}}, depends_on: [a]}
  - {id: p, agent: p, kind: pivot, depends_on: [b, c]}
";

const FORWARD: &str =
    "start\nstarted\ndo a\nanswer a\ndone a\ndo b\ndo c\nanswer b\nanswer c\ndone b\ndone c\n";
const GOOD: &str = "do p\nanswer p\ndone p\ncompleted\n";
const BACK: &str = "do p\nfailed p\nturn\nundo b\nundo c inputs={\"x\":1}\nundone c\nundone b\nundo a\nundone a\nback\ndo d\nanswer d\ndone d\n";
const COMPENSATED: &str = "compensated undone=b,c,a\n";

fn ids(report: &Report) -> Vec<&'static str> {
    let ids: BTreeSet<&str> = report.violations.iter().map(|it| it.invariant.id()).collect();
    ids.into_iter().collect()
}

fn check_of(saga: &str, lines: &str, expect: &[&str]) {
    let report = Course::new().play(lines).judged(saga);
    let told: Vec<String> =
        report.violations.iter().map(|it| format!("{}: {}", it.invariant, it.message)).collect();
    assert_eq!(ids(&report), expect, "{told:#?}\n{lines}");
}

fn check(lines: &[&str], expect: &[&str]) {
    check_of(SAGA, &lines.concat(), expect);
}

#[test]
fn sound_courses_are_not_blamed() {
    check(&[FORWARD, GOOD], &[]);
    check(&[FORWARD, BACK, COMPENSATED], &[]);
    check(&["start\nletter\n"], &[]);
}

#[test]
fn the_numbers_of_a_run() {
    check(&["start\nstarted\ngap\n", "do a\n"], &["sequence"]);
    check(&["start\nstarted\nagain\ndo a\nagain\n"], &[]);
    check(&["start\nstarted\ndo a\nrewind\npaused\n"], &["same-again"]);
    check(&["start\nstarted\ndo a\nagain changed\n"], &["same-again"]);
    check(&["start\nstarted\nstarted\ndo a\n"], &["one-start"]);
    check(&["start\nstarted\ndo a\nrun 8\nstart id=s2\nstarted id=s2\ndo a\n"], &["one-start"]);
    check(
        &["start\nstarted\ncompleted\nrun 8\nstart id=s2\nstarted id=s2\ndo a\n"],
        &["one-start"],
    );
    // A child whose parent's task asks for it again.
    let child = "start id=p:1/t/3.do1\nstarted id=p:1/t/3.do1\ndo a\nfailed a\n";
    let again = "run 8\nstart id=p:1/t/3.do2\nstarted id=p:1/t/3.do2\ndo a\n";
    check(&[child, "failfast\n", again], &[]);
    check(&[child, again], &["never-silent", "one-start"]);
    check(&[child, "failfast doubt=a\n", again], &["one-start"]);
    check(&[child, "failfast\n", &again.replace("/t/", "/u/")], &["one-start"]);
    let month = "wait 2592000000\nrun 8\nstart id=s2\nstarted id=s2\ndo a\n";
    check(&["start\nstarted\ncompleted\n", month], &[]);
    check(&[FORWARD, GOOD, "completed\n"], &["one-end"]);
    check(&[FORWARD, GOOD, "paused\n"], &["one-end"]);
    check(&[FORWARD, GOOD, "raw pavane.events type=pavane.TaskCompleted\n"], &["readable"]);
}

#[test]
fn attempts() {
    let begun = "start\nstarted\ndo a\n";
    check(&[begun, "do a 2\n"], &["one-attempt"]);
    check(&[begun, "do a 1\n"], &["one-attempt"]);
    check(&[begun, "retried a\ndo a 3\n"], &["one-attempt"]);
    check(&[begun, "retried a 1\ndo a 2\n"], &[]);
    check(&[begun, "retried a 1 in=5000\ndo a 2\n"], &["not-early"]);
    check(&[begun, "timeout a 1 early=5000\nretried a 1 code=timeout\ndo a 2\n"], &["not-early"]);
    check(&[begun, "timeout a 1 early=5000\nretried a 1 code=undeliverable\ndo a 2\n"], &[]);
    check(&[begun, "retried a 1\ndo a 2 inputs={\"x\":2}\n"], &["same-inputs"]);
    check(&[begun, "answer a\ndone a 2\ndo b\n"], &["one-attempt"]);
    check(&[begun, "answer a\ndone a\ndone a\n", "do b\n"], &["once-done"]);
    check(&[begun, "answer a\ndone a\npaused\ndo b\n"], &["paused"]);
    check(&[begun, "answer a\ndone a\npaused\nresumed\ndo b\n"], &[]);
}

#[test]
fn the_way_back() {
    let turned = [FORWARD, "do p\nfailed p\nturn\n"].concat();
    let rest = "undo b\nundo c inputs={\"x\":1}\nundone c\nundone b\nundo a\nundone a\n";
    let back = "back\ndo d\nanswer d\ndone d\n";
    check(&[&turned, rest, back, COMPENSATED], &[]);
    check(
        &[&turned, "retried p 1\ndo p 2\nfailed p 2\n", rest, back, COMPENSATED],
        &["no-way-forward"],
    );
    check(&[&turned, rest, "back\nretried p\ndo p 2\n"], &["no-way-forward"]);
    check(&[FORWARD, "turn epoch=2\n", rest, back, COMPENSATED], &["epoch"]);
    check(&[FORWARD, "turn\nturn epoch=2\n", "undo b\n"], &["epoch"]);
    check(&[&turned, "undo b epoch=0\n"], &["epoch"]);
    check(&[&turned, "undo b\nundone b\nundo b 2\n"], &["one-undo"]);
    check(&[&turned, "undo b\nundo b 2\n"], &["one-undo"]);
    check(&[&turned, "undo b\nundone b\nundone b\nundo c inputs={\"x\":1}\n"], &["one-undo"]);
    check(&[&turned, "undo b\nundone b 2\nundo c inputs={\"x\":1}\n"], &["one-undo"]);
    let unsent = "undo-failed c\nblocked\nundo-failed c 2\nblocked\n";
    check(&[&turned, unsent, "undone c 2 by\nundo b\n"], &[]);
    check(&[&turned, unsent, "undone c 2\nundo b\n"], &["one-undo"]);
    check(&[&turned, "undo b 2\n"], &["one-attempt"]);
    check(&[&turned, "undo b\nundo-failed b 1 again\nundo b 2\n"], &[]);
    check(&[&turned, "undo b inputs={\"x\":1}\n"], &["undo-input"]);
    let wrong = r#"undo b inputs={"inputs":{},"key":"k","output":null,"status":"in_doubt"}"#;
    check(&[&turned, wrong, "\n"], &["undo-input"]);
    let early = "start\nstarted\ndo a\nanswer a\ndone a\nturn\n";
    check(&[early, "undo b\n"], &["undo-reason"]);
    check(&[&turned, "undo c inputs={\"x\":1}\nundone c\nundo a\n"], &["undo-order"]);
    check(&[&turned, "undo a\n"], &["undo-order"]);
    check(&[&turned, "undo c inputs={\"x\":1}\nundone c\nundo b\nundo a\n"], &["undo-order"]);
    let b_blocked = "undo c inputs={\"x\":1}\nundone c\nundo b\nundo-failed b\n";
    check(&[&turned, b_blocked, "undo a\n"], &["undo-order"]);
    check(&[FORWARD, "do p\nturn\nundo b\n"], &["undo-order"]);
    check(&[&turned, "undo d\n"], &["undo-reason"]);
    check(&[FORWARD, GOOD.trim_end_matches("completed\n"), "turn\nundo b\n"], &["pivot"]);
    check(&[FORWARD, "do p\nanswer p\ndone p\nundo p\n"], &["pivot", "undo-reason"]);
}

#[test]
fn strictly_one_at_a_time() {
    let strict = SAGA.replace("tasks:", "compensation: {order: strict}\ntasks:");
    let turned = [FORWARD, "do p\nfailed p\nturn\n"].concat();
    let check =
        |lines: &str, expect: &[&str]| check_of(&strict, &[&turned, lines].concat(), expect);
    check("undo c inputs={}\nundone c\nundo b\n", &[]);
    check("undo c inputs={}\nundo b\n", &["undo-order"]);
    check("undo b\n", &["undo-order"]);
}

#[test]
fn the_end() {
    let turned = [FORWARD, "do p\nfailed p\nturn\n"].concat();
    let rest = "undo b\nundo c inputs={\"x\":1}\nundone c\nundone b\nundo a\nundone a\n";
    let back = "back\n";
    check(&[FORWARD, "do p\ncompleted\n"], &["all-over"]);
    check(&[&turned, rest, COMPENSATED], &["all-over"]);
    check(&[&turned, "undo b\n", back], &["all-over"]);
    let stuck = "undo b\nundo-failed b\nundo c inputs={\"x\":1}\nundone c\nback\n";
    check(&[&turned, stuck], &["all-over"]);
    check(&[&turned, rest, back, "compensated undone=b,c\n"], &["end-lists"]);
    check(&[&turned, rest, back, "compensated undone=b,c,a stands=b\n"], &["end-lists"]);
    check(&[&turned, rest, back, "compensated undone=b,c,a,x\n"], &["end-lists"]);
    check(&[&turned, "back\ncancelled stands=a,b,c\n"], &["all-undone"]);
    check(&[FORWARD, "do p\nfailed p\nfailfast stands=a,b,c\n"], &[]);
    check(&[FORWARD, "do p\nfailed p\nfailfast stands=a,b\n"], &["end-lists"]);
    let doubtful = "start\nstarted\ndo a\ntimeout a\ndoubt a\nfailfast";
    check(&[doubtful, " doubt=a\n"], &[]);
    check(&[doubtful, "\n"], &["end-lists"]);
}

#[test]
fn the_graph() {
    check(&["start\nstarted\ndo b\n"], &["graph-order"]);
    check(
        &["start\nstarted\ndo a\nanswer a\ndone a\ndo b\nanswer b\ndone b\ndo p\n"],
        &["graph-order"],
    );
    check(&["start\nstarted\ndo a\ndo b\n"], &["graph-order"]);
    check(&["start\nstarted\ndo x to=a agent=a\n"], &["known-task"]);
    check(&["start\nstarted\nskipped a reason=operator by\ndo b\n"], &[]);
    let groups = "name: shop\ntasks:\n  - {id: g, sequential: [{id: a, agent: a}, {id: b, agent: b}]}\n  \
                  - {id: e, for_each: [1, 2], agent: c, depends_on: {any: [g]}}\n";
    let one = "start\nstarted\nbegun g\ndo a\nanswer a\ndone a\n";
    let all = "do b\nanswer b\ndone b\ndone g\n";
    check_of(groups, &[one, all, "begun e\ndo e[1]\n"].concat(), &[]);
    check_of(groups, "start\nstarted\ndo a\n", &["graph-order"]);
    check_of(groups, "start\nstarted\nbegun g\ndo b\n", &["graph-order"]);
    check_of(groups, &[one, "begun e\ndo b\n"].concat(), &["graph-order"]);
    check_of(groups, &[one, all, "do e[1]\n"].concat(), &["graph-order"]);
    check_of(groups, &[one, all, "begun e\ndo e[1][1]\n"].concat(), &["known-task"]);
}

#[test]
fn starts_and_answers() {
    check(&["start\n"], &["one-outcome"]);
    check(&["start\nletter\nstarted\ndo a\n"], &["one-outcome"]);
    check(&["started\ndo a\n"], &["known-start"]);
    check(&["start id=s2\nstarted\ndo a\n"], &["known-start"]);
    check(&["start\nstarted\ndo a\ndone a\ndo b\n"], &["answered"]);
    check(
        &["start\nstarted\ndo a\nanswer a output={\"x\":1.0}\ndone a output={\"x\":2}\ndo b\n"],
        &["answered"],
    );
    check(&["start\nstarted\ndo a\ndone a 1 by\ndo b\n"], &[]);
    let late = "start\nstarted\ndo a\ntimeout a\ndoubt a\nturn\nundo a\nundone a\nanswer a\n";
    let end = "back\ndo d\nanswer d\ndone d\ncompensated undone=a\n";
    check(&[late, end], &["late-success"]);
    let known = r#"undo a 2 inputs={"inputs":{},"key":"k","output":{"by":"a"},"status":"done"}"#;
    check(&[late, known, "\nundone a 2\n", end], &[]);
    check(&[late, end, known, "\n"], &[]);
}

#[test]
fn commands() {
    let begun = "start\nstarted\n";
    check(&[begun, "do a\nsend b\n"], &["decided"]);
    check(&[begun, "decide a\n"], &["sent"]);
    check(&[begun, "decide a\nsend a to=b\n"], &["decided"]);
    check(&[begun, "decide a\nsend a sent={\"x\":1}\n"], &["decided"]);
    check(&[begun, "do a command=shop:o-1/a/7.do2\n"], &["decided"]);
    check(&["send a\n"], &["decided"]);
    check(&[begun, "do a key=k1\nretried a 1\ndo a 2 key=k2\n"], &["one-key"]);
    let again = "do a key=k1\ntimeout a\ndoubt a\nundo a key=k1\nundone a\nretried a 1\n";
    check(&[begun, again, "do a 2 key=k2\n"], &[]);
    check(&[begun, again, "do a 2 key=k2\nretried a 2\ndo a 3 key=k3\n"], &["one-key"]);
    check(&[begun, "do a\nagain\n"], &[]);
    check(&[begun, "do a fence=0/2/9\nretried a 1\ndo a 2 fence=0/1/10\n"], &["lane-epoch"]);
    check(&[begun, "do a fence=0/2/9\nretried a 1\ndo a 2 fence=0/3/8\n"], &["lane-epoch"]);
    check(&[begun, "do a fence=0/2/9\nretried a 1\ndo a 2 fence=1/1/10\n"], &[]);
    check(&[begun, "do a\nraw pavane.tasks.a\n"], &[]);
}

#[test]
fn dead_letters() {
    check(&["start\nletter\nagain\n"], &[]);
    check(&["start\nletter\nletter code=no_key\n"], &["same-again"]);
    check(&["start\nletter class=odd\n"], &["dead-letter"]);
    check(&["start\nletter value=other\n"], &["dead-letter"]);
    check(&["start\nletter\nletter offset=99\n"], &["dead-letter"]);
}

#[test]
fn silence() {
    let begun = "start\nstarted\ndo a\n";
    let silent = |lines: &str, now: i64| {
        let options = Options { quiet_ms: Some(60_000), now: Some(now), ..Options::default() };
        ids(&Course::new().play(&[begun, lines].concat()).judged_with(SAGA, options))
    };
    let (soon, late) = (1_100_000, 9_000_000);
    assert_eq!(silent("", soon), Vec::<&str>::new());
    assert_eq!(silent("", late), ["never-silent"]);
    assert_eq!(silent("paused\n", late), Vec::<&str>::new());
    assert_eq!(silent("answer a\ndone a\n", late), ["never-silent"]);
    assert_eq!(silent("retried a in=99000000\n", late), Vec::<&str>::new());
    assert_eq!(
        silent("timeout a\ndoubt a\nturn\nundo a\nundo-failed a\n", late),
        Vec::<&str>::new()
    );
}

#[test]
fn books() {
    let books = "book a do\nbook b do\nbook c do\nbook p do\nbook d do\n";
    check(&[FORWARD, GOOD, "book a do\nbook b do\nbook c do\nbook p do\n"], &[]);
    let undone = "book c undo\nbook b undo\nbook a undo\n";
    let tried = books.replace("book p do\n", "book p do refused\n");
    check(&[FORWARD, BACK, COMPENSATED, &tried, undone], &[]);
    check(&[FORWARD, BACK, COMPENSATED, &tried, "book c undo\nbook b undo\n"], &["books-agree"]);
    check(
        &[FORWARD, GOOD, "book a do\nbook b do\nbook c do\nbook p do refused\n"],
        &["books-agree"],
    );
    check(
        &[FORWARD, GOOD, books, "book a do\n"],
        &["applied-once", "books-agree", "effect-decided"],
    );
    check(&[FORWARD, BACK, COMPENSATED, &tried, undone, "book a do refused\n"], &[]);
    let again = "book p undo refused\nbook p do\n";
    check(&["start\nletter\n", again, "send p\nforget\n"], &["effect-decided", "undone-refuses"]);
    check(&["start\nletter\nbook a do\n"], &["effect-decided"]);
    check(&["start\nletter\nbook a do refused\n"], &[]);
    check(&[FORWARD, GOOD, "book a do service=b\n"], &["books-agree"]);
}

/// What may be missing proves nothing, unless it was said that nothing is.
#[test]
fn what_is_not_given_is_not_missed() {
    let course = Course::new().play(&[FORWARD, BACK, COMPENSATED].concat());
    for hidden in ["pavane.inbox", "pavane.events", "pavane.tasks.a"] {
        let mut judge = Judge::new(Options { quiet_ms: Some(0), ..Options::default() });
        judge.definition("shop", "v1", SAGA);
        feed(&mut judge, course.records.iter().filter(|record| record.topic != hidden));
        assert_eq!(ids(&judge.finish()), Vec::<&str>::new(), "without {hidden}");
        let mut judge = Judge::new(Options { quiet_ms: Some(0), ..Options::default() });
        judge.definition("shop", "v1", SAGA);
        for topic in ["inbox", "inbox.dlq", "events", "tasks.a", "tasks.b"] {
            judge.whole(&format!("pavane.{topic}"));
        }
        feed(&mut judge, course.records.iter().filter(|record| record.topic != hidden));
        assert!(!judge.finish().violations.is_empty(), "without {hidden}");
    }
    // The beginning of the events is no longer kept.
    let mut judge = Judge::new(Options::default());
    feed(&mut judge, course.records.iter().filter(|it| it.topic == "pavane.events").skip(3));
    let report = judge.finish();
    assert_eq!((report.violations.len(), report.counts.unjudged > 0), (0, true));
}

#[test]
fn topics_come_in_any_interleaving() {
    let course = Course::new().play(&[FORWARD, BACK, COMPENSATED].concat());
    let mut topics: Vec<&str> = course.records.iter().map(|it| it.topic.as_str()).collect();
    topics.sort_unstable();
    topics.dedup();
    for turn in 0..topics.len() {
        topics.rotate_left(turn);
        let mut judge = Judge::new(Options { quiet_ms: Some(0), ..Options::default() });
        judge.definition("shop", "v1", SAGA);
        topics.iter().for_each(|topic| judge.whole(topic));
        for topic in &topics {
            feed(&mut judge, course.records.iter().filter(|record| record.topic == *topic));
        }
        let report = judge.finish();
        assert_eq!(ids(&report), Vec::<&str>::new(), "{topics:?}");
        assert_eq!((report.counts.runs, report.counts.ended, report.counts.commands), (1, 1, 8));
    }
}

/// What has ended is judged and dropped once enough others have ended.
#[test]
fn ended_runs_are_dropped_and_told_apart_from_what_was_never_seen() {
    let lines: String = (0..20)
        .map(|n| {
            let run = format!("run {}\nstart id=s{n}\nstarted id=s{n}\ndo a\nanswer a\n", 7 + n);
            let end = if n == 3 { "" } else { "done a\n" };
            format!("{run}{end}completed\nwait 2592000000\n")
        })
        .collect();
    let one = "name: shop\ntasks: [{id: a, agent: a}]\n";
    let options = Options { ended_max: 2, quiet_ms: Some(0), ..Options::default() };
    let course = Course::new().play(&[&lines, "run 8\nanswer a\n"].concat());
    let report = course.judged_with(one, options);
    assert_eq!(ids(&report), ["all-over"]);
    assert_eq!((report.counts.ended, report.counts.unjudged), (20, 1));
}

#[test]
fn the_timeline_is_of_the_run_and_of_the_tasks_concerned() {
    let report = Course::new().play(&[FORWARD, "turn\nundo a\n"].concat()).judged(SAGA);
    let told: Vec<String> = report.violations[0].timeline.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|line| line.ends_with("#3 TaskCompleted a 1")), "{told:#?}");
    assert!(told.iter().any(|line| line.ends_with("do answered: done b 1")), "{told:#?}");
    assert!(told.iter().all(|line| !line.contains(" c ")), "{told:#?}");
}

#[test]
fn violations_beyond_the_bound_are_counted() {
    let options = Options { violations_max: 1, ..Options::default() };
    let report = Course::new()
        .play("start\nstarted\ncompleted\npaused\npaused\n")
        .judged_with(SAGA, options);
    assert_eq!((report.violations.len(), report.violations_total), (1, 2));
}

#[test]
fn the_reference_page_has_every_invariant() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/verify.md");
    let page = std::fs::read_to_string(page).unwrap();
    for invariant in Invariant::ALL {
        let row =
            format!("| `{}` | {} | {} |", invariant.id(), invariant.says(), invariant.needs());
        assert!(page.contains(&row), "{row}");
    }
}

/// Every invariant is broken by a history of this file.
#[test]
fn every_invariant_has_a_history_that_breaks_it() {
    let file = include_str!("main.rs");
    for invariant in Invariant::ALL {
        assert!(file.contains(&format!("\"{}\"", invariant.id())), "{invariant}");
    }
}
