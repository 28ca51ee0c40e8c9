//! What a machine can hold of this repository's rules, it holds here.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests")]

mod edges;
mod pages;
mod prose;
mod source;
mod tree;
