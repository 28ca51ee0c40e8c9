//! Telling what is wrong with the storage, and with which file.

use std::path::Path;

/// What happened, where, and what to do.
pub(crate) fn explain(folder: &Path, error: &fjall::Error) -> String {
    let folder = folder.display();
    match error {
        fjall::Error::Poisoned => format!(
            "the embedded log in {folder} takes no more writes, since an earlier one has failed; see \
             that the disk has room and is well, and start again"
        ),
        other => format!(
            "the embedded log in {folder} can not go on ({other}); see that the disk has room and is \
             well, and start again"
        ),
    }
}
