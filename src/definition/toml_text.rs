//! TOML taken apart by hand, so that every value keeps its place and every mistake is reported.
//!
//! Deserializing into structs would stop at the first mistake and forget the places of keys. Here
//! a table is emptied key by key: what was asked for is known, what is left over is a mistake
//! with the known keys as help. Mistakes are collected, never returned early.
//!
//! Invariant: after a syntax error nothing is reported that the error itself may have caused:
//! missing keys, and anything on the line of the error or behind an unclosed bracket.
//! What the keys mean is not known here.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

use super::At;
use super::written::pieces_of_string;
use crate::diagnostic::{Diagnostic, Piece, Place, SourceText, quoted_list, similar};

/// A file being read and the mistakes found so far.
pub(crate) struct Reader<'t> {
    source: &'t Arc<SourceText>,
    mistakes: Vec<Diagnostic>,
    syntax: Vec<Diagnostic>,
}

impl<'t> Reader<'t> {
    /// Begins with the syntax errors of the file.
    pub(crate) fn new(source: &'t Arc<SourceText>, errors: &[Error]) -> Reader<'t> {
        let syntax = errors.iter().map(|error| {
            let span = error.span().unwrap_or_default();
            let mistake = Place::new(source, span).error(error.message(), "");
            if error.message().starts_with("missing escaped value") {
                mistake.help(
                    "in double quotes `\\` begins an escape: put the text into single quotes, '…'",
                )
            } else {
                mistake
            }
        });
        Reader {
            source,
            mistakes: Vec::new(),
            syntax: syntax.collect(),
        }
    }

    /// Adds a mistake.
    pub(crate) fn report(&mut self, mistake: Diagnostic) {
        self.mistakes.push(mistake);
    }

    /// Number of mistakes so far.
    pub(crate) fn count(&self) -> usize {
        self.mistakes.len()
    }

    /// The value when there were no mistakes, else all of them.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Vec<Diagnostic>> {
        match value {
            Some(value) if self.mistakes.is_empty() && self.syntax.is_empty() => Ok(value),
            _ => Err(self.all_mistakes()),
        }
    }

    fn all_mistakes(self) -> Vec<Diagnostic> {
        let (mut syntax, mut mistakes) = (self.syntax, self.mistakes);
        syntax.sort_by_key(start);
        if let (Some(first), true) = (syntax.first(), syntax.iter().any(is_unclosed)) {
            // All text behind an unclosed bracket was taken for its inside.
            let (first, limit) = (line(first), start(first));
            mistakes.retain(|mistake| start(mistake) < limit);
            syntax.retain(|error| line(error) == first || is_unclosed(error));
        }
        syntax.dedup_by_key(|error| line(error));
        mistakes.retain(|mistake| syntax.iter().all(|error| line(error) != line(mistake)));
        mistakes.append(&mut syntax);
        mistakes
    }

    fn place(&self, span: Range<usize>) -> Place {
        Place::new(self.source, span)
    }

    /// The place of a string or key: without its quotes, with the way its inside was written.
    fn place_of_text(&self, span: Range<usize>, value: &str) -> Place {
        if self.source.text.get(span.clone()) == Some(value) {
            let whole = Piece {
                source: Arc::clone(self.source),
                decoded: 0..value.len(),
                written: span.clone(),
            };
            return self.place(span).with_pieces(vec![whole]);
        }
        let pieces = pieces_of_string(self.source, &span, value);
        match (pieces.first(), pieces.last()) {
            (Some(first), Some(last)) => self
                .place(first.written.start..last.written.end)
                .with_pieces(pieces),
            _ => self.place(span),
        }
    }

    fn expected(&mut self, item: &Item<'_>, expected: &str) {
        let found = type_name(item.value.get_ref());
        let message = format!("expected {expected}, found {found}");
        let place = self.place(item.value.span());
        let key = &item.key.value;
        let mistake = place.error(message, format!("for `{key}`"));
        let written = self.source.text.get(item.value.span());
        self.report(match (expected, written.filter(|text| text.len() <= 60)) {
            ("a list of strings", Some(text)) if found == "a string" => {
                mistake.help(format!("`{key} = [{text}]`"))
            }
            ("a table", Some(text)) if found == "a string" => {
                mistake.help(format!("`{key} = {{ NAME = {text} }}`"))
            }
            _ => mistake,
        });
    }
}

fn start(mistake: &Diagnostic) -> usize {
    mistake.place.as_ref().map_or(0, |place| place.span().start)
}

fn line(mistake: &Diagnostic) -> usize {
    mistake.place.as_ref().map_or(0, Place::line)
}

fn is_unclosed(error: &Diagnostic) -> bool {
    error.message.starts_with("unclosed")
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(true) => "`true`",
        DeValue::Boolean(false) => "`false`",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A table from which keys are taken.
pub(crate) struct Table<'t> {
    /// Its header or braces; the beginning of the file for the file itself.
    pub(crate) place: Place,
    what: &'static str,
    /// In file order.
    items: Vec<Item<'t>>,
    known: Vec<&'static str>,
    missing: Vec<(&'static str, Diagnostic)>,
}

impl<'t> Table<'t> {
    /// The file itself.
    pub(crate) fn root(reader: &Reader<'_>, table: &'t DeTable<'t>) -> Table<'t> {
        Table::new(reader, 0..0, "in this file", table)
    }

    /// A table that was not written: it has no keys.
    pub(crate) fn absent(reader: &Reader<'_>) -> Table<'t> {
        Table {
            place: reader.place(0..0),
            what: "",
            items: Vec::new(),
            known: Vec::new(),
            missing: Vec::new(),
        }
    }

    fn new(
        reader: &Reader<'_>,
        span: Range<usize>,
        what: &'static str,
        table: &'t DeTable<'t>,
    ) -> Table<'t> {
        let mut items: Vec<Item<'t>> = table
            .iter()
            .map(|(key, value)| {
                let name = key.get_ref().to_string();
                let place = reader.place_of_text(key.span(), &name);
                Item {
                    key: At { value: name, place },
                    value,
                }
            })
            .collect();
        items.sort_by_key(|item| item.key.place.span().start);
        Table {
            place: reader.place(span),
            what,
            items,
            known: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// Takes a key out, if it is there; from then on it is known.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Item<'t>> {
        self.known.push(key);
        self.take_unlisted(key)
    }

    /// Takes a key out, if it is there, without telling anyone that it could be there.
    pub(crate) fn take_unlisted(&mut self, key: &str) -> Option<Item<'t>> {
        let at = self.items.iter().position(|item| item.key.value == key)?;
        Some(self.items.remove(at))
    }

    /// True when a key is there, without taking it.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.items.iter().any(|item| item.key.value == key)
    }

    /// Names keys for the help only.
    pub(crate) fn known(&mut self, keys: &[&'static str]) {
        self.known.extend(keys);
    }

    /// All items, for tables whose keys are the user's.
    pub(crate) fn into_items(self) -> Vec<Item<'t>> {
        self.items
    }

    /// A string.
    pub(crate) fn text(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
    ) -> Option<At<String>> {
        self.take(key)?.text(reader)
    }

    /// A string that must be there.
    pub(crate) fn need_text(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
    ) -> Option<At<String>> {
        if !self.has(key) {
            self.missing(key, Diagnostic::new(format!("missing key `{key}`")));
        }
        self.text(reader, key)
    }

    /// A string or a list of strings; empty when absent.
    pub(crate) fn text_or_texts(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
    ) -> Vec<At<String>> {
        self.take(key)
            .map(|item| item.text_or_texts(reader))
            .unwrap_or_default()
    }

    /// The user's keys and their values in file order; `read` reports what it does not take.
    pub(crate) fn pairs<T>(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        read: impl Fn(&Item<'_>, &mut Reader<'_>) -> Option<At<T>>,
    ) -> Vec<(At<String>, At<T>)> {
        self.take(key)
            .map(|item| item.pairs(reader, read))
            .unwrap_or_default()
    }

    /// Tables of `[[key]]`; none when absent.
    pub(crate) fn tables(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        what: &'static str,
    ) -> Vec<Table<'t>> {
        let Some(item) = self.take(key) else {
            return Vec::new();
        };
        let expected = "a list of tables";
        let Some(elements) = item.elements(reader, expected) else {
            return Vec::new();
        };
        elements
            .iter()
            .filter_map(|element| element.table(reader, what))
            .collect()
    }

    /// Notes that a key is not there, or what it stands for.
    pub(crate) fn missing(&mut self, key: &'static str, mistake: Diagnostic) {
        self.missing.push((key, mistake.at(&self.place, self.what)));
    }

    /// True when all keys were taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Reports what was not taken, and what is missing unless it was mistyped or may have been
    /// swallowed by a syntax error.
    pub(crate) fn finish(self, reader: &mut Reader<'_>) {
        let left: Vec<&str> = self
            .items
            .iter()
            .map(|item| item.key.value.as_str())
            .collect();
        for (key, mistake) in self.missing {
            if reader.syntax.is_empty() && similar(key, left.iter().copied()).is_none() {
                reader.report(mistake);
            }
        }
        for item in &self.items {
            let name = &item.key.value;
            let mistake = item.key.place.error(format!("unknown key `{name}`"), "");
            reader.report(mistake.help_from(name, "key", self.known.iter().copied()));
        }
    }
}

/// A key and its value; the elements of a list have the key of the list.
pub(crate) struct Item<'t> {
    /// The key, without quotes.
    pub(crate) key: At<String>,
    value: &'t Spanned<DeValue<'t>>,
}

impl<'t> Item<'t> {
    /// The place of the value.
    pub(crate) fn place(&self, reader: &Reader<'_>) -> Place {
        match self.value.get_ref() {
            DeValue::String(text) => reader.place_of_text(self.value.span(), text),
            _ => reader.place(self.value.span()),
        }
    }

    fn at<T>(&self, reader: &Reader<'_>, value: T) -> At<T> {
        At {
            value,
            place: self.place(reader),
        }
    }

    /// The string, when it is one.
    pub(crate) fn as_text(&self, reader: &Reader<'_>) -> Option<At<String>> {
        let text = self.value.get_ref().as_str()?;
        Some(self.at(reader, text.to_owned()))
    }

    /// True for a table.
    pub(crate) fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// A string.
    pub(crate) fn text(&self, reader: &mut Reader<'_>) -> Option<At<String>> {
        let text = self.as_text(reader);
        if text.is_none() {
            reader.expected(self, "a string");
        }
        text
    }

    /// A list of strings.
    pub(crate) fn texts(&self, reader: &mut Reader<'_>) -> Vec<At<String>> {
        let elements = self
            .elements(reader, "a list of strings")
            .unwrap_or_default();
        elements
            .iter()
            .filter_map(|element| element.text(reader))
            .collect()
    }

    /// A list of strings, or one string for a list of one.
    pub(crate) fn text_or_texts(&self, reader: &mut Reader<'_>) -> Vec<At<String>> {
        if let Some(text) = self.as_text(reader) {
            return vec![text];
        }
        let elements = self
            .elements(reader, "a string or a list of strings")
            .unwrap_or_default();
        elements
            .iter()
            .filter_map(|element| element.text(reader))
            .collect()
    }

    /// A list; `expected` says of what.
    pub(crate) fn elements(
        &self,
        reader: &mut Reader<'_>,
        expected: &str,
    ) -> Option<Vec<Item<'t>>> {
        let Some(array) = self.value.get_ref().as_array() else {
            reader.expected(self, expected);
            return None;
        };
        Some(
            array
                .iter()
                .map(|value| Item {
                    key: self.key.clone(),
                    value,
                })
                .collect(),
        )
    }

    /// A table; `what` is the label of what is missing in it.
    pub(crate) fn table(&self, reader: &mut Reader<'_>, what: &'static str) -> Option<Table<'t>> {
        let Some(table) = self.value.get_ref().as_table() else {
            reader.expected(self, "a table");
            return None;
        };
        Some(Table::new(reader, self.value.span(), what, table))
    }

    /// The user's keys and their values in file order.
    pub(crate) fn pairs<T>(
        &self,
        reader: &mut Reader<'_>,
        read: impl Fn(&Item<'_>, &mut Reader<'_>) -> Option<At<T>>,
    ) -> Vec<(At<String>, At<T>)> {
        let items = self
            .table(reader, "")
            .map(Table::into_items)
            .unwrap_or_default();
        items
            .into_iter()
            .filter_map(|item| Some((item.key.clone(), read(&item, reader)?)))
            .collect()
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, reader: &mut Reader<'_>) -> Option<bool> {
        let value = self.value.get_ref().as_bool();
        if value.is_none() {
            reader.expected(self, "`true` or `false`");
        }
        value
    }

    /// False for the word `false` only.
    pub(crate) fn is_false(&self) -> bool {
        self.value.get_ref().as_bool() == Some(false)
    }

    /// An integer; `expected` says which.
    pub(crate) fn integer<T: TryFrom<i64>>(
        &self,
        reader: &mut Reader<'_>,
        expected: &str,
    ) -> Option<At<T>> {
        let Some(integer) = self.value.get_ref().as_integer() else {
            reader.expected(self, expected);
            return None;
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        if let Some(number) = number.and_then(|number| T::try_from(number).ok()) {
            return Some(self.at(reader, number));
        }
        let message = format!("expected {expected}, found `{integer}`");
        reader.report(self.place(reader).error(message, "out of range"));
        None
    }

    /// A number as its author wrote it, without `+` and `_`; nothing is reported when it is none.
    pub(crate) fn as_decimal(&self, reader: &Reader<'_>) -> Option<At<String>> {
        let text = match self.value.get_ref() {
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            DeValue::Float(float) if float.as_str().bytes().any(|b| b.is_ascii_digit()) => {
                float.as_str()
            }
            _ => return None,
        };
        Some(self.at(reader, text.strip_prefix('+').unwrap_or(text).to_owned()))
    }

    /// A number as its author wrote it.
    pub(crate) fn decimal(&self, reader: &mut Reader<'_>) -> Option<At<String>> {
        let decimal = self.as_decimal(reader);
        if decimal.is_none() {
            reader.expected(self, "a decimal number");
        }
        decimal
    }

    /// A string, or a number for its text.
    pub(crate) fn text_or_decimal(&self, reader: &mut Reader<'_>) -> Option<At<String>> {
        self.as_decimal(reader).or_else(|| self.text(reader))
    }

    /// One of some words, each with what it stands for; `what` they are, for the message.
    pub(crate) fn word<T: Copy>(
        &self,
        reader: &mut Reader<'_>,
        what: &str,
        words: &[(&str, T)],
    ) -> Option<At<T>> {
        let text = self.text(reader)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
            return Some(At {
                value: *value,
                place: text.place,
            });
        }
        let message = format!("unknown {what} `{}`", text.value);
        let words = quoted_list(words.iter().map(|(word, _)| *word));
        reader.report(
            text.place
                .error(message, "")
                .help(format!("one of {words}")),
        );
        None
    }

    /// Reports a value of a type that is not taken.
    pub(crate) fn not(&self, reader: &mut Reader<'_>, expected: &str) {
        reader.expected(self, expected);
    }
}
