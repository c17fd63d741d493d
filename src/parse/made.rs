//! Formats of one text, for tests: compiled, and lines read with them.

use super::{EventTime, Format, Line, Zone};
use crate::definition::{At, Dialect, FormatDefinition, LayoutDefinition, TimeDefinition};
use crate::diagnostic::{Place, render};
use crate::record::{Fields as _, Reading, Span};

/// The format of a server's text, or its mistakes as they are shown.
pub(super) fn compiled(dialect: Dialect, text: &str) -> Result<Format, String> {
    let text = At {
        value: text.to_owned(),
        place: Place::argument("", text),
    };
    let place = text.place.clone();
    let value = LayoutDefinition::Server { dialect, text };
    let definition = FormatDefinition {
        name: "made".to_owned(),
        description: String::new(),
        layout: At { value, place },
        time: TimeDefinition::default(),
        units: Vec::new(),
        constants: Vec::new(),
        require: Vec::new(),
        rules: Vec::new(),
        detect: None,
        examples: Vec::new(),
    };
    Format::compile(&definition).map_err(|mistakes| render(&mistakes, false))
}

/// A line as it was read: how well, its present values decoded, its time.
pub(super) struct Seen {
    pub(super) reading: Reading,
    pub(super) values: Vec<(String, Vec<u8>)>,
    pub(super) time: Option<EventTime>,
}

impl Seen {
    /// A present value.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let found = self.values.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }
}

/// Reads one line.
pub(super) fn seen(format: &Format, line: &[u8]) -> Option<Seen> {
    let names = format.names();
    let mut reader = format.reader(&names, &Zone::utc());
    // What a line before it left there must not be seen.
    let mut spans = vec![Span::new(0, line.len()); reader.spans()];
    let Ok(Line::Record(reading)) = reader.read(line, &mut spans) else {
        return None;
    };
    let time = reader.time(line, &spans).ok().map(|(time, _)| time);
    let mut values = Vec::new();
    for (name, span) in names.iter().zip(&spans) {
        if let Some(raw) = span.of(line) {
            let mut value = Vec::new();
            let kind = format.field(name).expect("a name of the format");
            kind.escape.decode_into(raw, &mut value);
            values.push((name.clone(), value));
        }
    }
    Some(Seen {
        reading,
        values,
        time,
    })
}
