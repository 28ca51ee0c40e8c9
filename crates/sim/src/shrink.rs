//! A failing seed made simpler: faults without which it fails as well are left out.

use std::collections::BTreeSet;

use crate::case::{Case, Outcome, run};

/// The same case with as few faults as it still fails with, one by one in turn; a case that does not fail is given
/// back as it is. Runs it once for each fault, and again until none can be left out.
#[must_use]
pub fn shrink(case: &Case) -> (Case, Outcome) {
    let mut outcome = run(case);
    let mut case = case.clone();
    let mut left: BTreeSet<usize> = match &case.only {
        Some(only) => only.clone(),
        None => (0..outcome.faults.len()).collect(),
    };
    let mut is_smaller = !outcome.broken.is_empty();
    while is_smaller {
        is_smaller = false;
        for fault in left.clone() {
            let only: BTreeSet<usize> = left.iter().copied().filter(|it| *it != fault).collect();
            let tried = Case { only: Some(only.clone()), ..case.clone() };
            let of_it = run(&tried);
            if !of_it.broken.is_empty() {
                (case, outcome, left, is_smaller) = (tried, of_it, only, true);
            }
        }
    }
    (case, outcome)
}

/// The command that runs this case again, and tells its story.
#[must_use]
pub fn replay(case: &Case) -> String {
    let faults = case.only.as_ref().map_or_else(String::new, |only| {
        let numbers: Vec<String> = only.iter().map(ToString::to_string).collect();
        format!("PAVANE_FAULTS={} ", numbers.join(","))
    });
    let planted = case.planted.map_or_else(String::new, |name| format!("PAVANE_PLANTED={name} "));
    format!(
        "PAVANE_SEED={} {faults}{planted}cargo test -p pavane-sim --test seeds -- --nocapture replay",
        case.seed
    )
}
