//! `pavane dlq`: a look at the dead letters.

use serde_json::{Value, json};

use crate::api::{Api, segment};
use crate::cli::Dlq;
use crate::failure::{Failure, Kind};
use crate::output::{Output, table};
use crate::verbs::shown;

/// Lists them, or shows one.
pub(crate) fn run(dlq: &Dlq, api: &Api, output: Output) -> Result<(), Failure> {
    match dlq {
        Dlq::List(letters) => {
            let query: Vec<_> =
                letters.class.iter().map(|class| ("class", class.clone())).collect();
            let limit = usize::try_from(letters.limit).unwrap_or(usize::MAX);
            let items = api.list("/v1/dead-letters", &query, limit)?;
            output.either(&json!({"items": items}), || list_text(&items))
        }
        Dlq::Show(letter) => {
            let path = format!("/v1/dead-letters/{}", segment(&letter.place));
            let letter = api.get(&path, &[]).map_err(|failure| match failure.kind {
                Kind::NotFound => failure.next("pavane dlq list"),
                Kind::Failed | Kind::Usage | Kind::Unreachable | Kind::ReaderGone => failure,
            })?;
            output.value(&letter)
        }
    }
}

fn list_text(items: &[Value]) -> String {
    table(
        ["PLACE", "CLASS", "CODE", "WORKFLOW", "MESSAGE"],
        items.iter().map(|letter| {
            ["id", "class", "code", "workflow", "message"].map(|field| shown(letter, field))
        }),
    )
}
