//! The rules of beginning and of ending well, of failing and of being passed over.

use std::time::Duration;

use events::{Json, Problem, Timestamp};
use saga::Verb;
use serde_json::{Value, json};

use crate::judge::{Judge, Told, is_closing, nothing, solid, taken};
use crate::participants;
use crate::reach::Reach;
use crate::tree::{Action, Inputs, Join, Kind, Place, Role, Strategy, When};
use crate::view::{Back, Forward, Seen};
use crate::written;

/// What a join says of what it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Waits,
    Begins,
    Skipped,
    /// Behind a failure that the run goes on with.
    Behind,
    Impossible,
}

impl Judge<'_> {
    /// Any attempt of what was decided to run.
    pub(crate) fn may_run(&self, place: &Place, attempt: u32) {
        let name = self.tree.name(place);
        let task = self.tree.nodes[place.node].task;
        let closing = is_closing(self.tree, place);
        assert!(self.is_agent(place), "`{name}` sends nothing");
        assert!(!self.view.compensating || closing, "`{name}` is sent while compensating");
        let seen = self.seen(place);
        assert!(
            matches!(seen.forward, Forward::Pending | Forward::Retrying | Forward::Failed),
            "`{name}` is sent while {}",
            seen.status()
        );
        let orders = self.orders.iter().filter(|verb| matches!(verb, Verb::Retry(_))).count();
        // An operator's retry begins to count anew.
        let max = task.attempts as usize * (1 + orders);
        if let Some(seconds) = task.deadline.filter(|_| orders == 0) {
            let from = self.told.get(place).and_then(|told| told.ready).unwrap_or(self.now);
            let over = from.after(Duration::from_secs(seconds));
            assert!(self.now < over, "`{name}` is sent after its deadline");
        }
        let is_unknown = self.told.get(place).is_some_and(|told| !told.open.is_empty());
        let again = task.once && attempt > 1 && is_unknown && orders == 0;
        assert!(!again, "`{name}` is sent again, and nobody knows of the last time");
        let bounded = task.kind != Kind::Retriable;
        assert!(!bounded || attempt as usize <= max, "`{name}` is sent {attempt} times");
    }

    /// The beginning of a task, or of what others stand in.
    pub(crate) fn may_begin(&self, place: &Place) {
        let name = self.tree.name(place);
        let closing = is_closing(self.tree, place);
        let seen = self.seen(place);
        let again = seen.by_hand && seen.forward == Forward::Retrying;
        let fresh = again || seen.forward == Forward::Pending;
        assert!(fresh, "`{name}` begins while {}", seen.status());
        assert!(!self.view.compensating || closing, "`{name}` begins while compensating");
        if closing {
            self.may_close(&name);
        }
        assert!(again || !self.view.paused, "`{name}` begins while the run is paused");
        let turned = &self.turned;
        let goes_on = turned.is_empty() || closing;
        assert!(goes_on, "`{name}` begins after a failure of the run: {turned:?}");
        let line = self.tree.line(place);
        let falling = line.iter().skip(1).find(|around| self.falling.contains(around));
        assert!(falling.is_none(), "`{name}` begins in what has failed: {falling:?}");
        let node = &self.tree.nodes[place.node];
        let parent = self.tree.parent(place);
        if let Some(parent) = &parent {
            let forward = self.seen(parent).forward;
            let around = self.tree.name(parent);
            assert_eq!(forward, Forward::Running, "`{name}` begins outside of `{around}`");
        }
        for around in line.iter().skip(1) {
            let (seen, around) = (self.seen(around), self.tree.name(around));
            let is_over = matches!(seen.forward, Forward::Failed | Forward::Skipped);
            assert!(!is_over, "`{name}` begins in `{around}`, which is {}", seen.status());
        }
        let is_root = place.at.len() > node.depth;
        match (node.role, &parent) {
            _ if is_root => {}
            (Role::Case(case), Some(parent)) => {
                let is_taken = self.is_taken(parent, case);
                assert!(is_taken, "`{name}` begins: case {case} is not taken");
            }
            (Role::Fallback(of), _) => {
                self.may_fall_back(&Place { node: of, at: place.at.clone() });
            }
            _ => {}
        }
        let verdict = self.join(place, true);
        let begins = again || self.joins(place, &[Verdict::Begins]);
        assert!(begins, "`{name}` begins too early: {verdict:?}");
        assert!(again || self.wanted(place), "`{name}` begins though its `when` is false");
        if !again {
            self.exclusive(place);
        }
        if let (true, Some(each)) = (is_root, node.task.for_each) {
            let at_work = self
                .tree
                .inside(parent.as_ref().unwrap())
                .into_iter()
                .filter(|other| self.is_at_work(other));
            assert!(at_work.count() < each.concurrency, "`{name}`: concurrency");
        }
    }

    /// Once the failure is dealt with: all is undone, or all that goes on has ended.
    fn may_close(&self, name: &str) {
        if self.view.compensating {
            return assert!(self.view.compensated, "`{name}` begins before all is undone");
        }
        let failed = self.accepted || self.accepted_perhaps || self.continued();
        let fast = self.turned.contains(&Strategy::FailFast)
            || self.turned_perhaps
            || self.is_out_of_time();
        assert!(failed || fast, "`{name}` begins, but nothing has failed");
        for node in &self.tree.top {
            let place = Place { node: *node, at: Vec::new() };
            let seen = self.seen(&place);
            let open = matches!(seen.forward, Forward::Running | Forward::Retrying);
            let open = open || seen.forward == Forward::Pending && !fast;
            assert!(
                !open,
                "`{name}` begins while `{}` is {}",
                self.tree.name(&place),
                seen.status()
            );
        }
    }

    /// After the last attempt; what was in doubt, or stood in it, is undone.
    fn may_fall_back(&self, base: &Place) {
        let name = self.tree.name(base);
        let seen = self.seen(base);
        // A success that came late is undone beside it.
        let is_back = seen.is_back() || seen.was_back;
        let has_failed = seen.forward == Forward::Failed || seen.doubted && is_back;
        assert!(has_failed, "the fallback of `{name}` begins while it is {}", seen.status());
        self.nothing_stands(base);
    }

    /// Everything in it, and itself, that may have been done is undone.
    pub(crate) fn nothing_stands(&self, around: &Place) {
        for place in self.tree.deep(around).into_iter().chain([around.clone()]) {
            let is_undoable = self.is_agent(&place) && self.kind(&place) == Kind::Compensatable;
            let seen = self.seen(&place);
            let stands = is_undoable
                && self.possibly_done(&place)
                && !(seen.is_back() || seen.was_back)
                && !(seen.by_hand && seen.forward != Forward::Done)
                && !self.is_replaced(&place);
            let (place, around) = (self.tree.name(&place), self.tree.name(around));
            assert!(!stands, "`{place}` is not undone, and `{around}` is over");
        }
    }

    fn counts_as_done(&self, dep: &Place) -> bool {
        let seen = self.seen(dep);
        let by_hand = seen.by_hand && seen.forward == Forward::Skipped;
        // Nobody undoes it, so it stands.
        let kept = seen.back == Back::GivenUp;
        let failed = self.has_failed(dep) || seen.lost && !self.is_replaced(dep);
        let failed = failed && !kept;
        let counts = !failed && !self.lost.contains(dep);
        (seen.forward == Forward::Done || kept) && counts || by_hand
    }

    /// Whether as many as its join wants are done.
    fn is_served(&self, place: &Place) -> bool {
        let wants = self.tree.nodes[place.node].join.wants();
        let done = self.tree.deps(place).iter().filter(|dep| self.counts_as_done(dep)).count();
        wants.is_some_and(|n| done >= n)
    }

    /// 2.4; whether what failed and then lost against others has failed is left open.
    fn joins(&self, place: &Place, verdicts: &[Verdict]) -> bool {
        [true, false].into_iter().any(|forgiving| verdicts.contains(&self.join(place, forgiving)))
    }

    fn join(&self, place: &Place, forgiving: bool) -> Verdict {
        let deps = self.tree.deps(place);
        if deps.is_empty() {
            return Verdict::Begins;
        }
        let seen: Vec<_> = deps.iter().map(|dep| self.seen(dep)).collect();
        // What an operator skips may count as done: the run goes on without it.
        let by_hand = |k: usize| seen[k].by_hand && seen[k].forward == Forward::Skipped;
        let all = 0..deps.len();
        let settled = all.clone().all(|k| self.is_settled(&deps[k]));
        let skipped = |k: &usize| seen[*k].forward == Forward::Skipped && !by_hand(*k);
        let done = |k: &usize| self.counts_as_done(&deps[*k]);
        let failed = |k: &usize| {
            let dep = &deps[*k];
            let counts = self.has_failed(dep) && !by_hand(*k);
            counts && !self.is_forgiven(dep) && !(forgiving && self.is_loser(dep))
        };
        if all.clone().all(|k| skipped(&k)) {
            return Verdict::Skipped;
        }
        match self.tree.nodes[place.node].join.wants() {
            None if all.clone().any(|k| failed(&k) && self.is_settled(&deps[k])) => Verdict::Behind,
            None if settled => Verdict::Begins,
            None => Verdict::Waits,
            Some(n) if all.clone().filter(done).count() >= n => Verdict::Begins,
            Some(n) => {
                let open = |k: &usize| {
                    let dep = &deps[*k];
                    done(k) || !self.is_settled(dep) && !self.has_lost(dep)
                };
                let can = all.clone().filter(open).count() >= n;
                if can { Verdict::Waits } else { Verdict::Impossible }
            }
        }
    }

    /// Whether its `when` is true, by what can be seen.
    fn wanted(&self, place: &Place) -> bool {
        let node = &self.tree.nodes[place.node];
        if place.at.len() > node.depth {
            return true;
        }
        match &node.task.when {
            None => true,
            Some(When::Flag(value)) => *value,
            Some(When::Output(id, n)) => {
                let dep = self.tree.deps(place).into_iter().find(|dep| {
                    let other = &self.tree.nodes[dep.node].task.id;
                    other == id
                });
                let dep = dep.unwrap();
                let output = self.output(&dep);
                let is_done = self.seen(&dep).forward == Forward::Done;
                is_done && output["n"].as_i64().is_some_and(|found| found > *n)
            }
        }
    }

    fn is_at_work(&self, place: &Place) -> bool {
        let forward = self.seen(place).forward;
        let begun = matches!(forward, Forward::Running | Forward::Retrying | Forward::InDoubt);
        begun && !self.is_settled(place)
    }

    /// `parallel: false`
    fn exclusive(&self, place: &Place) {
        let node = &self.tree.nodes[place.node];
        if !node.task.alone || place.at.len() > node.depth {
            return;
        }
        for (other, known) in self.tree.nodes.iter().enumerate() {
            let is_sibling = other != place.node
                && known.task.alone
                && known.parent == node.parent
                && known.role == node.role;
            let at_work = || self.is_at_work(&Place { node: other, at: place.at.clone() });
            assert!(!(is_sibling && at_work()), "`{}` begins beside `{}`", node.id, known.id);
        }
    }

    /// What the command carries.
    pub(crate) fn inputs(&self, place: &Place, found: &Json) {
        let (found, name) = (found.value(), self.tree.name(place));
        let line = self.tree.line(place);
        let partial = |part: &Place| {
            self.tree.nodes[part.node].join != Join::All && !self.tree.deps(part).is_empty()
        };
        let given = solid(&self.given(place));
        if line.iter().any(partial) {
            // Which of them were there is a matter of time; so is whether what came too late, and is on its
            // way back, is there still.
            let on_its_way = |id: &String| {
                let deps = line.iter().flat_map(|part| self.tree.deps(part));
                let mut named = deps.filter(|dep| self.tree.nodes[dep.node].task.id == *id);
                named.any(|dep| self.is_loser(&dep) && self.seen(&dep).back != Back::Nothing)
            };
            for (id, value) in solid(&found).as_object().into_iter().flatten() {
                let is_there = given.get(id) == Some(value) || on_its_way(id);
                assert!(is_there, "inputs of `{name}`: {id} is {value}");
            }
            return;
        }
        let as_begun = line.iter().skip(1).any(|part| {
            let begun = self.told.get(part).and_then(|told| told.given.as_ref());
            begun.is_some_and(|given| solid(given) == solid(&found))
        });
        assert!(as_begun || solid(&found) == given, "inputs of `{name}`: {found}, not {given}");
    }

    /// What a task is given, or what stands in it.
    pub(crate) fn given(&self, place: &Place) -> Value {
        let node = &self.tree.nodes[place.node];
        let is_root = place.at.len() > node.depth;
        let at = &place.at[..node.depth];
        let named = |nodes: Vec<usize>| {
            let outputs = nodes.into_iter().map(|node| {
                let output = self.output(&Place { node, at: at.to_vec() });
                (self.tree.nodes[node].task.id.clone(), output)
            });
            Value::Object(outputs.collect())
        };
        match &node.task.inputs {
            Inputs::Nothing => nothing(),
            Inputs::Map => json!({"c": 1, "n": 7}),
            Inputs::Names(names) => {
                let nodes = node.deps.iter().copied();
                named(nodes.filter(|dep| names.contains(&self.tree.nodes[*dep].task.id)).collect())
            }
            Inputs::Absent if is_root => written::element(*place.at.last().unwrap()),
            Inputs::Absent => match (node.role, node.deps.is_empty(), self.tree.parent(place)) {
                (Role::Fallback(of), ..) => self.given_to_base(of, place),
                (_, false, _) => named(node.deps.clone()),
                (_, true, Some(parent)) => self.given(&parent),
                (_, true, None) => written::given(),
            },
        }
    }

    /// A fallback gets what its task got.
    fn given_to_base(&self, of: usize, place: &Place) -> Value {
        let base = Place { node: of, at: place.at.clone() };
        match self.tree.nodes[of].task.for_each {
            // The whole was given its elements.
            Some(each) => (0..each.count).map(written::element).collect(),
            // As it was when it began.
            None => match self.told.get(&base) {
                Some(Told { given: Some(given), .. }) => given.clone(),
                Some(Told { inputs: Some(inputs), .. }) => inputs.value(),
                _ => self.given(&base),
            },
        }
    }

    pub(crate) fn may_complete(&self, place: &Place, output: &Json, by_hand: bool) {
        let (name, output) = (self.tree.name(place), output.value());
        if by_hand {
            return;
        }
        if let (true, Some(fallback)) = (self.is_replaced(place), self.tree.fallback(place)) {
            // Both may have come too late, where what is around them had gone on without them; or an operator
            // had it tried again though its fallback was yet to be heard of; or both are being undone.
            let own = || self.told.get(place).is_some_and(|told| !told.outputs.is_empty());
            let is_late = self.tree.parent(place).is_some_and(|around| self.is_settled(&around));
            let is_stopped = self.seen(place).forward == Forward::Cancelled;
            let by_itself =
                is_late || is_stopped || self.seen(place).ordered || self.view.compensating;
            let right = output == self.output(&fallback) || by_itself && own();
            assert!(right, "`{name}` gives what its fallback gave");
            return;
        }
        if self.is_agent(place) {
            let drawn = participants::output(self.tree, place).value();
            assert_eq!(output, drawn, "the output of `{name}` is its participant's");
            let told = self.told.get(place).is_some_and(|told| !told.outputs.is_empty());
            assert!(told, "`{name}` is done, but nobody said so");
            return;
        }
        if matches!(self.tree.nodes[place.node].task.action, Action::Wait(_))
            && !self.tree.is_for_each(place)
        {
            return;
        }
        assert!(
            !self.falling.contains(place),
            "`{name}` is done, but a failure in it is not caught"
        );
        for inside in self.settled_children(place) {
            let seen = self.seen(&inside);
            let inner = self.tree.name(&inside);
            assert!(self.is_settled(&inside), "`{name}` is done, `{inner}` is {}", seen.status());
        }
        assert!(output == self.whole(place), "the output of `{name}`: {output}");
        if let (true, Some(each)) =
            (self.tree.is_for_each(place), self.tree.nodes[place.node].task.for_each)
        {
            let done = self.tree.inside(place).into_iter();
            // An element's failure that `continue` accepts does not count against it.
            let fine = |element: &Place| {
                let accepted = self.tree.reach(element) == Reach::Accepted;
                self.seen(element).forward == Forward::Done || accepted || self.continued()
            };
            let done = done.filter(fine).count();
            assert!(done >= each.needs(), "`{name}`: {done} of {} elements", each.needs());
        }
    }

    /// What stands in it and is to run: of a choice, what stands in the cases that are taken.
    fn settled_children(&self, place: &Place) -> Vec<Place> {
        let inside = self.tree.inside(place).into_iter();
        let runs = |inside: &Place| match self.tree.nodes[inside.node].role {
            Role::Case(case) if !self.tree.is_for_each(place) => self.is_taken(place, case),
            _ => true,
        };
        inside.filter(runs).collect()
    }

    /// The output of what others stand in.
    fn whole(&self, place: &Place) -> Value {
        let children = self.settled_children(place);
        if self.tree.is_for_each(place) {
            return children.iter().map(|element| self.output(element)).collect();
        }
        let id = |child: &Place| self.tree.nodes[child.node].task.id.clone();
        if let Some(gives) = &self.tree.nodes[place.node].task.gives {
            let one = children.iter().find(|child| id(child) == *gives).unwrap();
            return json!({"gave": self.output(one)});
        }
        let mut outputs: serde_json::Map<String, Value> =
            children.iter().map(|child| (id(child), self.output(child))).collect();
        if let Action::Choice { many, .. } = &self.tree.nodes[place.node].task.action {
            let cases = self.cases(place);
            let case = if *many { json!(cases) } else { json!(cases[0]) };
            outputs.insert("case".to_owned(), case);
        }
        Value::Object(outputs)
    }

    pub(crate) fn may_fail(&self, place: &Place, code: &str) {
        let name = self.tree.name(place);
        let seen = self.seen(place);
        let is_over = matches!(seen.forward, Forward::Done | Forward::Skipped | Forward::Cancelled);
        let is_over = is_over && seen.back != Back::Undone;
        assert!(!is_over, "`{name}` fails while {}", seen.status());
        let own = !self.falling.contains(place) && !self.has_failed_inside(place);
        match code {
            _ if !own => {}
            "join_impossible" => {
                // What is about to be stopped for another join can not be done any more.
                // What an operator has skipped is not done either.
                let stopped = self.tree.deps(place).iter().any(|dep| {
                    let seen = self.seen(dep);
                    self.is_loser(dep) || seen.by_hand && seen.forward == Forward::Skipped
                });
                let verdict = self.join(place, true);
                let is_impossible = verdict == Verdict::Impossible || stopped;
                assert!(is_impossible, "`{name}`: its join {verdict:?}");
            }
            "no_case" => assert!(taken(self.tree, place.node).is_empty(), "`{name}`: its cases"),
            "at_least" => {
                let each = self.tree.nodes[place.node].task.for_each.unwrap();
                let lost = self.tree.inside(place).into_iter();
                let lost = lost.filter(|element| self.is_lost(element)).count();
                assert!(each.count - lost < each.needs(), "`{name}`: only {lost} failed");
            }
            _ => {}
        }
        // A savepoint. Where its fallback has failed, that it was undone is long over.
        if self.falling.contains(place) && !self.view.compensating && seen.failures == 0 {
            self.nothing_stands(place);
        }
    }

    /// Whether its code may be that of something that stands in it, or of its fallback.
    fn has_failed_inside(&self, place: &Place) -> bool {
        let inside = self.tree.inside(place).into_iter().chain(self.tree.fallback(place));
        inside.into_iter().any(|inside| self.seen(&inside).failures > 0)
    }

    /// Whether it stands in a `for_each` that has lost too many elements.
    pub(crate) fn is_short(&self, place: &Place) -> bool {
        self.tree.line(place).iter().skip(1).any(|around| {
            let each = self.tree.nodes[around.node].task.for_each;
            let each = each.filter(|_| self.tree.is_for_each(around));
            each.is_some_and(|each| {
                let lost = self.tree.inside(around).into_iter();
                let lost = lost.filter(|element| self.is_lost(element)).count();
                each.count - lost.min(each.count) < each.needs()
            })
        })
    }

    fn is_lost(&self, element: &Place) -> bool {
        let seen = self.seen(element);
        seen.forward == Forward::Cancelled || seen.lost || self.has_failed(element)
    }

    pub(crate) fn may_skip(&self, place: &Place, reason: &str, by_hand: bool) {
        let name = self.tree.name(place);
        if by_hand || matches!(reason, "operator" | "undo") {
            return;
        }
        let seen = self.seen(place);
        assert_eq!(seen.forward, Forward::Pending, "`{name}` is skipped while {}", seen.status());
        // What stands in something that is skipped, or is not taken, needs no reason of its own.
        let line = self.tree.line(place);
        let is_inside = line.iter().skip(1).any(|around| {
            matches!(self.seen(around).forward, Forward::Skipped | Forward::Cancelled)
        });
        let untaken = line.iter().any(|part| {
            matches!(
                (self.tree.nodes[part.node].role, self.tree.parent(part)),
                (Role::Case(case), Some(choice)) if self.is_passed_over(&choice, case)
            )
        });
        match reason {
            _ if is_inside => {}
            "case" => assert!(untaken, "`{name}` is skipped, but its case is taken"),
            _ if untaken => {}
            "when" => {
                let begins = self.joins(place, &[Verdict::Begins]);
                assert!(begins, "`{name}` is skipped too early");
                assert!(!self.wanted(place), "`{name}` is skipped, but its `when` is true");
            }
            "upstream" | "failed" => {
                let verdict = self.join(place, true);
                let may = self.joins(place, &[Verdict::Skipped, Verdict::Behind]);
                assert!(may, "`{name}` is skipped: {reason}, but it {verdict:?}");
            }
            other => panic!("`{name}` is skipped: {other}"),
        }
    }

    /// Whether the time for the whole run may be over; a pause makes it longer.
    pub(crate) fn is_out_of_time(&self) -> bool {
        let over = self.tree.saga.timeout.unwrap_or(24 * 3600);
        self.now >= Timestamp::default().after(Duration::from_secs(over))
    }

    pub(crate) fn may_cancel(&self, place: &Place) {
        let name = self.tree.name(place);
        let seen = self.seen(place);
        let is_over = matches!(seen.forward, Forward::Done | Forward::Skipped);
        assert!(!is_over, "`{name}` is cancelled while {}", seen.status());
        let fell = self.tree.line(place).iter().any(|around| self.falls(around));
        let turned = self.view.compensating || !self.turned.is_empty() || self.is_short(place);
        let turned = turned || self.turned_perhaps || self.is_out_of_time();
        // An operator has gone on without what it stands in.
        let is_over = |around: &Place| {
            let forward = self.seen(around).forward;
            matches!(forward, Forward::Failed | Forward::Skipped | Forward::Done)
        };
        let turned = turned || self.tree.line(place).iter().skip(1).any(is_over);
        assert!(turned || fell || self.is_loser(place), "`{name}` is cancelled for no reason");
    }

    /// Whether it may be given up for what has failed in it.
    pub(crate) fn falls(&self, around: &Place) -> bool {
        self.falling.contains(around) || self.falling_perhaps.contains(around)
    }

    /// Whether it, or what it stands in, lost against others whose join wanted no more.
    pub(crate) fn is_loser(&self, place: &Place) -> bool {
        self.loses(place, |_| true)
    }

    /// The same, and the winner has begun.
    pub(crate) fn has_lost(&self, place: &Place) -> bool {
        self.loses(place, |winner| {
            winner.begun.is_some() || winner.reason.as_deref() == Some("when")
        })
    }

    fn loses(&self, place: &Place, counts: impl Fn(&Seen) -> bool) -> bool {
        self.tree.line(place).iter().any(|part| {
            let base = match self.tree.nodes[part.node].role {
                Role::Fallback(of) => of,
                _ => part.node,
            };
            let waiting = (0..self.tree.nodes.len()).filter(|other| {
                let known = &self.tree.nodes[*other];
                known.deps.contains(&base) && known.join.cancels()
            });
            waiting.into_iter().any(|other| {
                let winner = Place { node: other, at: part.at.clone() };
                let depth = self.tree.nodes[part.node].depth;
                let counts = counts(&self.seen(&winner));
                part.at.len() == depth && counts && self.is_served(&winner)
            })
        })
    }

    pub(crate) fn may_compensate(&self, problem: &Problem) {
        for (node, known) in self.tree.nodes.iter().enumerate() {
            if known.task.kind == Kind::Pivot {
                let seen = self.seen(&Place { node, at: vec![0; known.depth] });
                let open = matches!(seen.forward, Forward::Running | Forward::InDoubt);
                assert!(!open, "compensation begins while the pivot is {}", seen.status());
            }
        }
        match (&problem.task, problem.code.as_str()) {
            (None, "cancelled") => assert!(self.orders.contains(&Verb::Cancel), "nobody cancelled"),
            (None, "timeout") => {
                assert!(self.is_out_of_time(), "there is time");
            }
            (None, other) => panic!("compensation begins for `{other}` of no task"),
            (Some(task), _) => {
                let place = self.tree.find(task.as_str()).unwrap();
                let seen = self.seen(&place);
                // A success that comes while the pivot's outcome is waited for changes nothing.
                let failed = seen.failures > 0 || seen.forward == Forward::InDoubt || seen.doubted;
                assert!(failed, "`{task}` is the reason, but is {}", seen.status());
                let reach = self.tree.reach(&place);
                let wants = Reach::Run(Strategy::Compensate);
                assert_eq!(reach, wants, "`{task}` is no reason to compensate");
            }
        }
    }
}
