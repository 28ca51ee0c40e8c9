//! A definition's version: what it says, not how it is written.

use events::Version;
use sha2::{Digest, Sha256};

use super::{json, parts};
use crate::expr::hex;
use crate::yaml::{Content, Node};

const VERSION_DIGITS: usize = 12;

/// The first digits of the SHA-256 of the file as compact JSON: in full form, with imports and templates
/// in their places, keys sorted, without comments, descriptions and labels.
pub(super) fn of(root: &Node) -> Version {
    let mut root = root.clone();
    forget_descriptions(&mut root);
    let hash = hex(&Sha256::digest(json::compact(&root).as_bytes()));
    Version::from(hash.get(..VERSION_DIGITS).unwrap_or(&hash))
}

/// Descriptions are left out where the language has them, and nowhere else: a task's inputs may well
/// have one of their own.
fn forget_descriptions(root: &mut Node) {
    forget(root);
    if let Content::Map(entries) = &mut root.content
        && let Some(inputs) = entries.iter_mut().find(|entry| entry.key == "inputs")
        && let Content::List(inputs) = &mut inputs.value.content
    {
        inputs.iter_mut().for_each(forget);
    }
    parts::each_body(root, &mut forget);
}

fn forget(node: &mut Node) {
    if let Content::Map(entries) = &mut node.content {
        entries.retain(|entry| !matches!(entry.key.as_str(), "description" | "labels"));
    }
}
