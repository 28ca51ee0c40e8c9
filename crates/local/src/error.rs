//! Why a folder can not be opened.

use std::path::PathBuf;

/// Why a folder can not be opened. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Another process has the folder open.
    #[error(
        "the folder {} is in use by another process{by}; stop that one, or name another folder",
        folder.display()
    )]
    InUse {
        /// Which.
        folder: PathBuf,
        /// ` (process 4711)`, where the lock file says so; else empty.
        by: String,
    },
    /// The folder was made with another number of lanes.
    #[error(
        "the folder {} was made with {made} lanes and can not be opened with {asked}, since a \
         workflow's lane follows from their number; open it with {made}, or name a new folder",
        folder.display()
    )]
    Lanes {
        /// Which.
        folder: PathBuf,
        /// What it has.
        made: u32,
        /// What was asked for.
        asked: u32,
    },
    /// An option makes no sense.
    #[error("{0}")]
    Options(String),
    /// The folder was written in a form that this build does not know.
    #[error(
        "the folder {} has format {found}, and this build reads format {known}; open it with the \
         version that wrote it, or name a new folder",
        folder.display()
    )]
    Format {
        /// Which.
        folder: PathBuf,
        /// What it says.
        found: u32,
        /// What this build knows.
        known: u32,
    },
    /// A file is not as it was written. Nothing was changed.
    #[error(
        "{} is damaged: {what}; nothing was changed; put the folder back from a copy, or, to begin \
         anew without what it holds, name a new folder",
        file.display()
    )]
    Damaged {
        /// Which.
        file: PathBuf,
        /// What is wrong with it, and where.
        what: String,
    },
    /// The operating system says no.
    #[error("can not {action} {}; see that the disk has room and that the folder is yours", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The storage library says no.
    #[error(
        "the storage library can not open {}: {what}; if the disk has room and the folder is yours, \
         put the folder back from a copy",
        folder.display()
    )]
    Storage {
        /// Which.
        folder: PathBuf,
        /// What it says.
        what: String,
    },
}

impl LocalError {
    /// Says what was tried with which file.
    pub(crate) fn io(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}
