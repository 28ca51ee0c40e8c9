//! A participant that keeps its promises: it does a thing once for a key, refuses what it was told to undo
//! before, and says of itself what is true. What it may do otherwise is to fail, to be slow and to die.

use events::{CommandKind, Json, Subject};

use crate::input::{Answer, Effects, Failure, Known};

/// What a participant has in its books for one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Book {
    #[default]
    Nothing,
    /// With the output of that number.
    Done(u8),
    Undone,
    /// Undone before it was done, or said not to be done: it is refused from then on.
    Refuses,
}

/// What a command asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    Do,
    Undo,
    Query,
    Stop,
}

/// A command on its way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Order {
    pub(super) subject: Subject,
    pub(super) asks: Asks,
    /// A workflow of its own does it.
    pub(super) is_child: bool,
}

/// What becomes of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It works; the output of that number.
    Works(u8),
    /// It works, and the answer is late or never comes.
    WorksUnheard(u8),
    /// It does not work, for good and without effects.
    Fails,
    /// It does not work this time.
    FailsForNow,
    /// It can not say whether it worked. It did, or not.
    IsUnsure(bool),
    /// It was done before, was refused before, or can not be stopped any more: there is one answer.
    AsItStands,
    /// It does not know whether it was done.
    CannotSay,
    /// A cancel is not listened to.
    Overhears,
}

/// An answer that was given, or is on its way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Given {
    pub(super) subject: Subject,
    pub(super) answer: Answer,
    /// It has not come yet.
    pub(super) is_late: bool,
}

fn failure(code: &str, retryable: bool, effects: Effects) -> Answer {
    let (code, message) = (code.to_owned(), String::new());
    Answer::Failed(Failure { code, message, retryable, effects })
}

/// All that may become of a command, and what of it counts as trouble.
pub(super) fn ways(order: &Order, book: Book, outputs: usize) -> Vec<(Way, u32)> {
    let outputs = u8::try_from(outputs.clamp(1, 8)).unwrap_or(1);
    match (order.asks, book) {
        (Asks::Do, Book::Nothing) => {
            let mut ways: Vec<(Way, u32)> =
                (0..outputs).map(|output| (Way::Works(output), 0)).collect();
            ways.push((Way::Fails, 1));
            ways.push((Way::IsUnsure(true), 1));
            if !order.is_child {
                ways.push((Way::FailsForNow, 1));
                ways.push((Way::IsUnsure(false), 1));
                ways.push((Way::WorksUnheard(0), 1));
            }
            ways
        }
        (Asks::Undo, Book::Done(_) | Book::Nothing) if !order.is_child => vec![
            (Way::AsItStands, 0),
            (Way::FailsForNow, 1),
            (Way::Fails, 1),
            (Way::WorksUnheard(0), 1),
        ],
        (Asks::Query, _) => vec![(Way::AsItStands, 0), (Way::CannotSay, 1)],
        (Asks::Stop, Book::Nothing) => vec![(Way::AsItStands, 0), (Way::Overhears, 1)],
        (Asks::Do | Asks::Undo | Asks::Stop, _) => vec![(Way::AsItStands, 0)],
    }
}

/// What the books say then, and the answer; `None`: there is none.
pub(super) fn take(order: &Order, way: Way, book: Book, outputs: &[Json]) -> (Book, Option<Given>) {
    let output = |number: u8| {
        let output = outputs.get(usize::from(number)).cloned();
        Answer::Completed(output.unwrap_or_else(|| Json::from_value(&serde_json::json!({}))))
    };
    let given = |answer: Answer, is_late: bool| {
        Some(Given { subject: order.subject.clone(), answer, is_late })
    };
    let said = |answer: Answer| given(answer, false);
    let unsure = || failure("crashed", true, Effects::Unknown);
    match (order.asks, way) {
        (Asks::Do, Way::Works(number)) => (Book::Done(number), said(output(number))),
        (Asks::Do, Way::WorksUnheard(number)) => (Book::Done(number), given(output(number), true)),
        (Asks::Do, Way::Fails) => (book, said(failure("refused", false, Effects::None))),
        (Asks::Do, Way::FailsForNow) => (book, said(failure("refused", true, Effects::None))),
        (Asks::Do, Way::IsUnsure(true)) => (Book::Done(0), said(unsure())),
        (Asks::Do, Way::IsUnsure(false)) => (book, said(unsure())),
        (Asks::Do, Way::AsItStands) => match book {
            Book::Done(number) => (book, said(output(number))),
            Book::Nothing | Book::Undone | Book::Refuses => {
                (book, said(failure("already_undone", false, Effects::None)))
            }
        },
        (Asks::Undo, Way::FailsForNow) => (book, said(failure("locked", true, Effects::None))),
        (Asks::Undo, Way::Fails) => (book, said(failure("locked", false, Effects::None))),
        (Asks::Undo, Way::AsItStands | Way::WorksUnheard(_)) => {
            let is_late = way != Way::AsItStands;
            match book {
                Book::Done(_) | Book::Undone => {
                    (Book::Undone, given(Answer::Completed(Json::null()), is_late))
                }
                Book::Nothing | Book::Refuses => {
                    (Book::Refuses, given(Answer::NothingToUndo, is_late))
                }
            }
        }
        (Asks::Query, Way::AsItStands) => {
            let (book, status, of) = truth(book, outputs);
            (book, said(Answer::Status { status, output: of }))
        }
        (Asks::Query, Way::CannotSay) => {
            (book, said(Answer::Status { status: Known::Unknown, output: Json::null() }))
        }
        (Asks::Stop, Way::AsItStands) => match book {
            Book::Nothing => (Book::Refuses, said(failure("cancelled", false, Effects::None))),
            Book::Done(number) => (book, said(output(number))),
            Book::Undone | Book::Refuses => (book, None),
        },
        (Asks::Do | Asks::Undo | Asks::Query | Asks::Stop, _) => (book, None),
    }
}

/// What is true of a do. What was not done will not be done afterwards.
pub(super) fn truth(book: Book, outputs: &[Json]) -> (Book, Known, Json) {
    match book {
        Book::Done(number) => {
            let output = outputs.get(usize::from(number)).cloned();
            (book, Known::Done, output.unwrap_or_else(Json::null))
        }
        Book::Nothing | Book::Refuses => (Book::Refuses, Known::NotDone, Json::null()),
        Book::Undone => (Book::Undone, Known::NotDone, Json::null()),
    }
}

/// The word for a command of that kind in a story.
pub(super) const fn kind_word(kind: CommandKind) -> &'static str {
    match kind {
        CommandKind::Do => "",
        CommandKind::Undo => " (its undo)",
        CommandKind::Query => " (asked)",
    }
}
