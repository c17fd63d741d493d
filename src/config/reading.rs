//! Values of the configuration taken out of TOML: replaced, parsed, made absolute.
//!
//! Invariant: what is wrong is reported once, at the value, with the text as it was written; the
//! caller gets `None` and goes on. A text is never empty. What keys there are is not known here.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toml::de::Error;

use super::values::{bytes, duration};
use super::{Environment, Text};
use crate::definition::At;
use crate::definition::toml_text::{Item, Reader, Table};
use crate::diagnostic::{Diagnostic, Place, SourceText, quoted_list};

/// The Graphite paths of a metric.
pub(super) type Templates = At<Vec<At<Text>>>;

/// A configuration file being read.
pub(super) struct Reading<'r> {
    /// The file and its mistakes.
    pub(super) reader: Reader<'r>,
    /// What is allowed but probably not meant.
    pub(super) warnings: Vec<Diagnostic>,
    environment: &'r Environment,
    /// The folder of the file: where relative paths begin.
    folder: PathBuf,
}

impl<'r> Reading<'r> {
    pub(super) fn new(
        source: &'r Arc<SourceText>,
        errors: &[Error],
        folder: &Path,
        environment: &'r Environment,
    ) -> Reading<'r> {
        Reading {
            reader: Reader::new(source, errors),
            warnings: Vec::new(),
            environment,
            folder: folder.to_owned(),
        }
    }

    /// Adds a mistake.
    pub(super) fn report(&mut self, mistake: Diagnostic) {
        self.reader.report(mistake);
    }

    /// A table of the file, or one without keys in its stead.
    pub(super) fn table<'t>(&mut self, root: &mut Table<'t>, key: &'static str) -> Table<'t> {
        let item = root.take(key);
        let table = item.and_then(|item| item.table(&mut self.reader, "in this table"));
        table.unwrap_or_else(|| Table::absent(&self.reader))
    }

    /// This host's name as one node of a Graphite path.
    pub(super) fn host_node(&self) -> String {
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let letters = self.environment.host.chars();
        let node: String = letters.map(|c| if legal(c) { c } else { '_' }).collect();
        if node.is_empty() {
            "localhost".to_owned()
        } else {
            node
        }
    }

    /// `{host}` and `${NAME}` replaced in the string of an item.
    pub(super) fn text_of(&mut self, item: &Item<'_>) -> Option<At<Text>> {
        let written = item.text(&mut self.reader)?;
        expanded(
            written,
            &self.environment.host,
            self.environment,
            &mut self.reader,
        )
    }

    /// A string.
    pub(super) fn text(&mut self, table: &mut Table<'_>, key: &'static str) -> Option<At<Text>> {
        let item = table.take(key)?;
        self.text_of(&item)
    }

    /// Takes a key that must be there.
    pub(super) fn need<'t>(
        &mut self,
        table: &mut Table<'t>,
        key: &'static str,
        help: &str,
    ) -> Option<Item<'t>> {
        let item = table.take(key);
        if item.is_none() {
            let missing = Diagnostic::new(format!("missing key `{key}`")).help(help);
            table.missing(key, missing);
        }
        item
    }

    /// A string that must be there.
    pub(super) fn need_text(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
        help: &str,
    ) -> Option<At<Text>> {
        let item = self.need(table, key, help)?;
        self.text_of(&item)
    }

    /// The string of an item, for a Graphite path: `{host}` is one node in it.
    pub(super) fn path_text_of(&mut self, item: &Item<'_>) -> Option<At<Text>> {
        let written = item.text(&mut self.reader)?;
        let host = self.host_node();
        expanded(written, &host, self.environment, &mut self.reader)
    }

    /// A string or a list of at least one; none when absent or wrong.
    pub(super) fn texts(&mut self, table: &mut Table<'_>, key: &'static str) -> Vec<At<Text>> {
        let Some(item) = table.take(key) else {
            return Vec::new();
        };
        self.texts_of(&item)
    }

    /// The string of an item or its list of at least one.
    pub(super) fn texts_of(&mut self, item: &Item<'_>) -> Vec<At<Text>> {
        let host = self.environment.host.clone();
        texts(item, &host, self.environment, &mut self.reader)
    }

    /// The user's keys with the texts of each, for Graphite paths: `{host}` is one node in them.
    pub(super) fn path_templates(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
    ) -> Vec<(At<String>, Templates)> {
        let (host, environment) = (self.host_node(), self.environment);
        table.pairs(&mut self.reader, key, |item, reader| {
            Some(At {
                value: texts(item, &host, environment, reader),
                place: item.place(reader),
            })
        })
    }

    /// The user's keys with a path or a list of paths each.
    pub(super) fn path_pairs(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
    ) -> Vec<super::ProviderFiles> {
        let (host, environment) = (self.environment.host.clone(), self.environment);
        let pairs = table.pairs(&mut self.reader, key, |item, reader| {
            Some(At {
                value: texts(item, &host, environment, reader),
                place: item.place(reader),
            })
        });
        let absolute =
            |files: Vec<At<Text>>| files.iter().map(|file| self.absolute(file)).collect();
        let pairs = pairs.into_iter();
        pairs
            .map(|(name, files)| (name, absolute(files.value)))
            .collect()
    }

    /// The user's keys with a text each.
    pub(super) fn text_pairs(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
    ) -> Vec<(At<String>, At<Text>)> {
        let environment = self.environment;
        table.pairs(&mut self.reader, key, |item, reader| {
            let written = item.text(reader)?;
            expanded(written, &environment.host, environment, reader)
        })
    }

    /// The user's keys with a text or a list each.
    pub(super) fn var_pairs(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
    ) -> Vec<(At<String>, At<super::VarText>)> {
        let environment = self.environment;
        table.pairs(&mut self.reader, key, |item, reader| {
            let place = item.place(reader);
            let replace = |written, reader: &mut Reader<'_>| {
                replaced(written, &environment.host, environment, reader)
            };
            if let Some(written) = item.as_text(reader) {
                let text = replace(written, reader)?;
                let value = super::VarText::One(text.value);
                return Some(At { value, place });
            }
            let elements = item.elements(reader, "a string or a list of strings")?;
            let mut texts = Vec::new();
            for element in elements {
                let written = element.text(reader)?;
                texts.push(replace(written, reader)?.value);
            }
            let value = super::VarText::List(texts);
            Some(At { value, place })
        })
    }

    /// What `read` makes of a string; `expected` says what it takes.
    pub(super) fn value<T>(
        &mut self,
        text: At<Text>,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<At<T>> {
        let At { value: text, place } = text;
        let value = read(&text);
        if value.is_none() {
            let message = format!("expected {expected}, found `{}`", text.shown());
            self.report(place.error(message, ""));
        }
        Some(At {
            value: value?,
            place,
        })
    }

    /// One of some words; `what` they are, for the message.
    pub(super) fn word<T: Copy>(
        &mut self,
        text: At<Text>,
        what: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let found = words.iter().find(|(word, _)| *word == text.value.as_str());
        if found.is_none() {
            let message = format!("unknown {what} `{}`", text.value.shown());
            let all = quoted_list(words.iter().map(|(word, _)| *word));
            let mistake = text.place.error(message, "");
            self.report(mistake.help(format!("one of {all}")));
        }
        found.map(|(_, value)| *value)
    }

    /// A duration such as `"1h30m"`.
    pub(super) fn duration(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
    ) -> Option<At<Duration>> {
        let text = self.text(table, key)?;
        self.value(
            text,
            "a duration such as `250ms`, `90s` or `1h30m`",
            duration,
        )
    }

    /// A duration, or what stands for an absent one.
    pub(super) fn duration_or(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
        default: Duration,
    ) -> Duration {
        self.duration(table, key)
            .map_or(default, |found| found.value)
    }

    /// A duration that is not zero.
    pub(super) fn pause_at(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
    ) -> Option<At<Duration>> {
        let found = self.duration(table, key)?;
        if found.value.is_zero() {
            let mistake = found.place.error(format!("`{key}` is zero"), "");
            self.report(mistake.help("at least `1ms`"));
            return None;
        }
        Some(found)
    }

    /// A duration that is not zero, or what stands for an absent one.
    pub(super) fn pause(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
        default: Duration,
    ) -> Duration {
        self.pause_at(table, key)
            .map_or(default, |found| found.value)
    }

    /// A number of bytes: an integer, or a text such as `"64KiB"`.
    pub(super) fn bytes(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
        allowed: RangeInclusive<u64>,
        default: u64,
    ) -> u64 {
        const EXPECTED: &str = "a number of bytes such as `1048576` or `\"64KiB\"`";
        let Some(item) = table.take(key) else {
            return default;
        };
        let found = if item.as_text(&self.reader).is_some() {
            let text = self.text_of(&item);
            text.and_then(|text| self.value(text, EXPECTED, bytes))
        } else {
            item.integer(&mut self.reader, EXPECTED)
        };
        let Some(found) = found else {
            return default;
        };
        if !allowed.contains(&found.value) {
            let message = format!("`{key}` is too small or too large");
            let (least, most) = (allowed.start(), allowed.end());
            let mistake = found.place.error(message, "");
            self.report(mistake.help(format!("from {least} to {most} bytes")));
        }
        found.value
    }

    /// `true` or `false`.
    pub(super) fn boolean_or(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
        default: bool,
    ) -> bool {
        let item = table.take(key);
        item.and_then(|item| item.boolean(&mut self.reader))
            .unwrap_or(default)
    }

    /// A path, made absolute.
    pub(super) fn path(&mut self, table: &mut Table<'_>, key: &'static str) -> Option<At<PathBuf>> {
        let text = self.text(table, key)?;
        Some(self.absolute(&text))
    }

    /// A path or a list of paths, made absolute.
    pub(super) fn paths(&mut self, table: &mut Table<'_>, key: &'static str) -> Vec<At<PathBuf>> {
        let texts = self.texts(table, key);
        texts.iter().map(|text| self.absolute(text)).collect()
    }

    /// A path of the file, absolute.
    pub(super) fn absolute(&self, text: &At<Text>) -> At<PathBuf> {
        At {
            value: self.folder.join(text.value.as_str()),
            place: text.place.clone(),
        }
    }

    /// As `absolute`, as text.
    pub(super) fn absolute_text(&self, text: At<Text>) -> At<Text> {
        let join = |path: &str| self.folder.join(path).to_string_lossy().into_owned();
        At {
            value: text.value.map(join),
            place: text.place,
        }
    }

    /// A pattern of paths, absolute: what is special in the folder's own name is escaped.
    pub(super) fn pattern(&mut self, text: &At<Text>) -> Option<At<PathBuf>> {
        if let Err(error) = glob::Pattern::new(&text.value) {
            let place = text.place.inside(error.pos..error.pos + 1);
            let mistake = place.error("not a pattern of paths", error.msg);
            self.report(mistake.help("`*`, `?`, `[a-z]` and `**/` are special; `[*]` is a star"));
            return None;
        }
        let folder = glob::Pattern::escape(&self.folder.to_string_lossy());
        Some(At {
            value: PathBuf::from(folder).join(text.value.as_str()),
            place: text.place.clone(),
        })
    }
}

/// The string of an item or its list of at least one, replaced.
fn texts(
    item: &Item<'_>,
    host: &str,
    environment: &Environment,
    reader: &mut Reader<'_>,
) -> Vec<At<Text>> {
    let before = reader.count();
    let written = item.text_or_texts(reader);
    if written.is_empty() && reader.count() == before {
        let message = format!("`{}` is an empty list", item.key.value);
        reader.report(
            item.place(reader)
                .error(message, "leave it out, or name one"),
        );
    }
    let texts = written.into_iter();
    texts
        .filter_map(|text| expanded(text, host, environment, reader))
        .collect()
}

/// The text with everything replaced; empty ones are mistakes.
fn expanded(
    written: At<String>,
    host: &str,
    environment: &Environment,
    reader: &mut Reader<'_>,
) -> Option<At<Text>> {
    let text = replaced(written, host, environment, reader)?;
    if text.value.is_empty() {
        let label = match text.value.shown() {
            "" => "",
            _ => "the variable is empty",
        };
        reader.report(text.place.error("empty text", label));
        return None;
    }
    if text.value.contains('\0') {
        reader.report(text.place.error("a text with a null character", ""));
        return None;
    }
    Some(text)
}

/// The text with everything replaced. Where something was, the place is known as a whole only:
/// the inside of the text is not what stands in the file.
fn replaced(
    written: At<String>,
    host: &str,
    environment: &Environment,
    reader: &mut Reader<'_>,
) -> Option<At<Text>> {
    let At {
        value: written,
        place,
    } = written;
    match environment.expand(&written, host) {
        Ok(expansion) if expansion.value == written => Some(At {
            value: Text::plain(written),
            place,
        }),
        Ok(expansion) => Some(At {
            value: if expansion.has_variable {
                Text::expanded(expansion.value, written)
            } else {
                Text::plain(expansion.value)
            },
            place: Place::new(place.source(), place.span()),
        }),
        Err(bad) => {
            for one in bad {
                let place = place.inside(one.range);
                reader.report(place.error(one.message, "").help(one.help));
            }
            None
        }
    }
}
