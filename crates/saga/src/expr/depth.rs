//! How deep a tree an expression's text can make, told from the text alone: the parser recurses, so
//! it must not see a text that would take it too deep.

use std::iter::Peekable;
use std::str::CharIndices;

/// Levels of the tree: brackets, chains of operators, nested conditionals.
const DEPTH_MAX: usize = 100;
/// Brackets within brackets; each takes the parser through all its levels of precedence.
const BRACKETS_MAX: usize = 24;

/// Why the text is not given to the parser, and where, bytes.
pub(super) fn refuse(source: &str) -> Option<(usize, String)> {
    let mut open = vec![Level::default()];
    let mut chars = source.char_indices().peekable();
    let mut raw = false;
    while let Some((at, char)) = chars.next() {
        let is_within = open.len() > 1;
        let level = open.last_mut()?;
        match char {
            '"' | '\'' if text_closes(&mut chars, char, raw) => {}
            '"' | '\'' => return Some((at, "a text is not closed".to_owned())),
            '/' if chars.peek().is_some_and(|(_, next)| *next == '/') => {
                while chars.next_if(|(_, next)| *next != '\n').is_some() {}
            }
            '(' | '[' | '{' => {
                level.chain += 1;
                open.push(Level::default());
            }
            ')' | ']' | '}' if is_within => {
                let within = open.pop().map_or(0, |level| level.depth());
                let level = open.last_mut()?;
                level.within = level.within.max(within);
            }
            ',' | '&' | '|' => level.next_operand(),
            '?' | ':' => {
                level.conditionals += 1;
                level.next_operand();
            }
            '.' | '+' | '-' | '*' | '/' | '%' | '<' | '>' | '=' | '!' => level.chain += 1,
            _ => {}
        }
        if open.len() > BRACKETS_MAX || open.last().is_some_and(|level| level.depth() > DEPTH_MAX) {
            return Some((at, "it is nested too deep".to_owned()));
        }
        raw = matches!(char, 'r' | 'R') || raw && matches!(char, 'b' | 'B');
    }
    None
}

/// Passes over a text, whose brackets and signs mean nothing; whether it comes to an end.
fn text_closes(chars: &mut Peekable<CharIndices<'_>>, quote: char, raw: bool) -> bool {
    let is_quote = |next: &(usize, char)| next.1 == quote;
    if chars.next_if(is_quote).is_some() {
        // Two quotes: an empty text, or with a third the begin of a long one.
        return chars.next_if(is_quote).is_none() || long_text_closes(chars, quote, raw);
    }
    while let Some((_, char)) = chars.next() {
        match char {
            '\n' | '\r' => return false,
            '\\' if !raw => {
                chars.next();
            }
            char if char == quote => return true,
            _ => {}
        }
    }
    false
}

fn long_text_closes(chars: &mut Peekable<CharIndices<'_>>, quote: char, raw: bool) -> bool {
    let mut quotes = 0;
    while let Some((_, char)) = chars.next() {
        quotes = if char == quote { quotes + 1 } else { 0 };
        if char == '\\' && !raw {
            chars.next();
        }
        if quotes == 3 {
            return true;
        }
    }
    false
}

/// What stands within one pair of brackets.
#[derive(Default)]
struct Level {
    /// Operators of the operand at hand, each a level of the tree.
    chain: usize,
    /// Depth of the deepest brackets of the operand at hand.
    within: usize,
    /// Depth of the deepest operand before.
    before: usize,
    /// `a ? b : c ? d : e` nests to the right.
    conditionals: usize,
}

impl Level {
    fn depth(&self) -> usize {
        1 + self.conditionals + self.before.max(self.chain + self.within)
    }

    fn next_operand(&mut self) {
        self.before = self.before.max(self.chain + self.within);
        self.chain = 0;
        self.within = 0;
    }
}
