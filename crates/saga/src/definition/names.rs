use super::draft::Draft;
use super::findings::Findings;
use super::graph::Graph;

pub(super) fn check(_draft: &Draft, _graph: &Graph, _findings: &mut Findings) {}
