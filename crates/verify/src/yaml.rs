//! A saga file's text as a tree. What the product's own reader makes of it is not asked.

use saphyr_parser::{Event, Parser};

/// Maps and lists within one another.
const DEPTH_MAX: usize = 64;

/// A value; scalars are all text, as they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Yaml {
    Text(String),
    List(Vec<Yaml>),
    Map(Vec<(String, Yaml)>),
}

impl Yaml {
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    pub(crate) fn entries(&self) -> &[(String, Self)] {
        match self {
            Self::Map(entries) => entries,
            Self::Text(_) | Self::List(_) => &[],
        }
    }

    pub(crate) fn list(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            Self::Text(_) | Self::Map(_) => &[],
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::List(_) | Self::Map(_) => None,
        }
    }

    pub(crate) fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }
}

/// Reads the first document; `None` where it is not YAML, or uses what saga files may not.
pub(crate) fn read(source: &str) -> Option<Yaml> {
    let mut open: Vec<Open> = Vec::new();
    let mut parser = Parser::new_from_str(source);
    loop {
        let (event, _) = parser.next_event()?.ok()?;
        let whole = match event {
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {
                continue;
            }
            Event::StreamEnd | Event::Alias(_) => return None,
            Event::SequenceStart(..) => {
                open.push(Open { of: Yaml::List(Vec::new()), key: None });
                if open.len() > DEPTH_MAX {
                    return None;
                }
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open { of: Yaml::Map(Vec::new()), key: None });
                if open.len() > DEPTH_MAX {
                    return None;
                }
                continue;
            }
            Event::Scalar(text, ..) => Yaml::Text(text.into_owned()),
            Event::SequenceEnd | Event::MappingEnd => open.pop()?.of,
        };
        let Some(around) = open.last_mut() else { return Some(whole) };
        around.add(whole)?;
    }
}

/// A list or a map whose end has not come.
struct Open {
    of: Yaml,
    key: Option<String>,
}

impl Open {
    fn add(&mut self, value: Yaml) -> Option<()> {
        match (&mut self.of, self.key.take()) {
            (Yaml::List(list), _) => list.push(value),
            (Yaml::Map(entries), Some(key)) => entries.push((key, value)),
            (Yaml::Map(_), None) => self.key = Some(value.text()?.to_owned()),
            (Yaml::Text(_), _) => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_and_lists_are_read() {
        let read = read("a: [1, {b: no}]\n\"c\":\n  - x\n").unwrap();
        let text = |text: &str| Yaml::Text(text.to_owned());
        let b = Yaml::Map(vec![("b".to_owned(), text("no"))]);
        assert_eq!(read.get("a"), Some(&Yaml::List(vec![text("1"), b])));
        assert_eq!(read.get("c"), Some(&Yaml::List(vec![text("x")])));
        assert_eq!(super::read("a: *b"), None);
        assert_eq!(super::read("a: [b"), None);
        assert_eq!(super::read(&"[".repeat(DEPTH_MAX + 1)), None);
    }
}
