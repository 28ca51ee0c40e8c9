//! The live picture on a terminal; plain lines anywhere else.

use std::collections::VecDeque;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::demo::journey::Journey;
use crate::demo::orders::Order;
use crate::failure::Failure;
use crate::output::Output;

/// Lines drawn at once; of more orders, those that ended first make room.
const LINES: usize = 20;

/// How progress is shown.
pub(crate) enum Picture {
    /// A line an order, redrawn as it goes.
    Live(Live),
    /// A line for each order that has ended.
    Plain(Output),
    /// Nothing: only the summary was asked for.
    Silent,
}

/// The lines on the terminal.
pub(crate) struct Live {
    all: MultiProgress,
    lines: VecDeque<(String, ProgressBar)>,
}

impl Picture {
    /// What fits where stdout and stderr go.
    pub(crate) fn new(output: Output) -> Self {
        if output.is_json() {
            Self::Silent
        } else if Output::is_live() {
            Self::Live(Live { all: MultiProgress::new(), lines: VecDeque::new() })
        } else {
            Self::Plain(output)
        }
    }

    /// Shows an order as it stands now.
    pub(crate) fn show(&mut self, order: &Order, journey: &Journey) -> Result<(), Failure> {
        match self {
            Self::Live(live) => live.show(order, journey),
            Self::Plain(output) => {
                let Some(end) = &journey.end else { return Ok(()) };
                output.line(format!(
                    "{:<5} {:<22} {:<12} {:>5} ms  {}",
                    order.id,
                    order.plot.words(),
                    end.status,
                    end.took.as_millis(),
                    journey.story(),
                ))?;
            }
            Self::Silent => {}
        }
        Ok(())
    }

    /// Says something in between.
    pub(crate) fn say(&self, text: &str) -> Result<(), Failure> {
        match self {
            Self::Live(live) => live
                .all
                .println(text)
                .map_err(|error| Failure::from_error("the terminal can not be written", &error)),
            Self::Plain(output) => output.line(text),
            Self::Silent => Ok(()),
        }
    }

    /// Leaves what is drawn as it stands.
    pub(crate) fn end(&self) {
        if let Self::Live(live) = self {
            for (_, line) in &live.lines {
                line.abandon();
            }
        }
    }
}

impl Live {
    fn show(&mut self, order: &Order, journey: &Journey) {
        let line = match self.lines.iter().find(|(id, _)| *id == order.id) {
            Some((_, line)) => line,
            None => {
                if self.lines.len() >= LINES
                    && let Some((_, oldest)) = self.lines.pop_front()
                {
                    oldest.finish_and_clear();
                    self.all.remove(&oldest);
                }
                let line = self.all.add(ProgressBar::no_length());
                let style = ProgressStyle::with_template("{prefix} {msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner());
                line.set_style(style);
                line.set_prefix(format!("{:<5} {:<22}", order.id, order.plot.words()));
                self.lines.push_back((order.id.clone(), line));
                let Some((_, line)) = self.lines.back() else { return };
                line
            }
        };
        line.set_message(journey.picture());
        line.tick();
    }
}
