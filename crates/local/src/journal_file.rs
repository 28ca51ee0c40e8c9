//! A look at the storage library's journal files before it opens them.

use std::path::Path;

use crate::error::LocalError;

/// Checks all journal files in the storage's folder.
pub(crate) fn check(_storage: &Path) -> Result<(), LocalError> {
    Ok(())
}
