//! A module a verb, or a few that are alike.

pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod config;
#[cfg(feature = "demo")]
pub(crate) mod demo;
pub(crate) mod deploy;
pub(crate) mod dlq;
mod explore;
mod fate;
mod live;
pub(crate) mod operate;
pub(crate) mod publish;
pub(crate) mod read;
pub(crate) mod sim;
pub(crate) mod start;
pub(crate) mod topics;
pub(crate) mod up;
pub(crate) mod verify;
pub(crate) mod watch;

use std::path::{Path, PathBuf};

use saga::{Checked, Cluster, Source};
use serde_json::Value;

use crate::failure::Failure;

/// A file's bytes.
pub(crate) fn read_file(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| {
        Failure::usage(format!("the file {} can not be read: {error}", file.display()))
    })
}

fn read_text(file: &Path) -> Result<String, Failure> {
    String::from_utf8(read_file(file)?)
        .map_err(|_| Failure::failed(format!("{} is not UTF-8 text", file.display())))
}

/// A saga file, as it was typed, and its text.
pub(crate) struct SagaFile<'a> {
    pub(crate) path: &'a Path,
    pub(crate) shown: String,
    pub(crate) text: String,
}

impl<'a> SagaFile<'a> {
    /// Reads files, in order.
    pub(crate) fn read(files: &'a [PathBuf]) -> Result<Vec<Self>, Failure> {
        let read = |path: &'a PathBuf| {
            Ok(Self { path, shown: path.display().to_string(), text: read_text(path)? })
        };
        files.iter().map(read).collect()
    }

    /// Reads what it imports, from its folder.
    pub(crate) fn load(&self) -> impl Fn(&str) -> Result<String, String> + '_ {
        |path| {
            let path = self.path.with_file_name(path);
            std::fs::read_to_string(path).map_err(|error| error.to_string())
        }
    }

    /// Checks files together.
    pub(crate) fn check(files: &[Self]) -> Vec<Checked> {
        Self::with_sources(files, saga::check_all)
    }

    /// The same, and what they name on a cluster.
    pub(crate) fn check_on(files: &[Self], cluster: &Cluster) -> Vec<Checked> {
        Self::with_sources(files, |sources| saga::check_all_on(sources, cluster))
    }

    fn with_sources(
        files: &[Self],
        check: impl FnOnce(&[Source<'_>]) -> Vec<Checked>,
    ) -> Vec<Checked> {
        let loads: Vec<_> = files.iter().map(Self::load).collect();
        let sources =
            files.iter().zip(&loads).map(|(file, load)| Source { text: &file.text, load });
        check(&sources.collect::<Vec<_>>())
    }
}

/// JSON as it was typed, or the file that holds it: `@FILE`.
pub(crate) fn json_argument(flag: &str, text: &str) -> Result<Value, Failure> {
    let (bytes, from) = match text.strip_prefix('@') {
        Some(file) => (read_file(Path::new(file))?, format!("{flag} {text}")),
        None => (text.as_bytes().to_vec(), flag.to_owned()),
    };
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::usage(format!("{from} is not JSON: {error}")))
}

/// A field as text, for people; `-` where there is none.
pub(crate) fn shown(value: &Value, field: &str) -> String {
    match value.get(field) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
