//! `[[log]]`: which lines are read, and how.
//!
//! Invariant: no two logs have a name, a path pattern or an address in common. Patterns that
//! differ and match one file are found when files are.

use std::path::PathBuf;

use super::load::check_names;
use super::reading::Reading;
use super::values::{is_label_name, is_name, syslog_address};
use super::{LogConfig, LogInput, Start, SyslogAddress, Text};
use crate::definition::toml_text::Table;
use crate::definition::{At, Catalog};
use crate::diagnostic::{Diagnostic, Place};

const STARTS: [(&str, Start); 2] = [("end", Start::End), ("start", Start::Start)];
/// Labels that are ours or Prometheus'.
const TAKEN_LABELS: [&str; 3] = ["le", "log", "quantile"];
const NAME: &str = "1 to 64 letters, digits, `_`, `.` and `-`";

/// All logs; that there is none is a mistake.
pub(super) fn logs(root: &mut Table<'_>, reading: &mut Reading<'_>) -> Vec<LogConfig> {
    let before = reading.reader.count();
    let tables = root.tables(&mut reading.reader, "log", "in this log");
    if tables.is_empty() && reading.reader.count() == before {
        let none = Diagnostic::new("no `[[log]]`: there is nothing to read");
        let help = "[[log]]\nname = \"access\"\npath = \"/var/log/nginx/access.log\"";
        root.missing("log", none.help(help));
    }
    let logs: Vec<LogConfig> = tables
        .into_iter()
        .filter_map(|table| log(table, reading))
        .collect();
    check_names(logs.iter().map(|log| &log.name), "log", reading);
    check_inputs(&logs, reading);
    logs
}

fn log(mut table: Table<'_>, reading: &mut Reading<'_>) -> Option<LogConfig> {
    let name = reading
        .need_text(&mut table, "name", "name = \"access\"")
        .and_then(|name| checked_name(name, "a log", reading));
    let input = input(&mut table, reading);
    let parsers = reading.texts(&mut table, "parser");
    let log = LogConfig {
        name: name.clone().unwrap_or(At {
            value: String::new(),
            place: table.place.clone(),
        }),
        input: input
            .clone()
            .unwrap_or(LogInput::StandardInput(table.place.clone())),
        parsers: parsers
            .into_iter()
            .map(|one| parser(one, reading))
            .collect(),
        rules: reading.texts(&mut table, "rules"),
        labels: labels(&mut table, reading),
        from: start(&mut table, reading),
        follow_symlinks: reading.boolean_or(&mut table, "follow_symlinks", true),
    };
    table.finish(&mut reading.reader);
    (name.is_some() && input.is_some()).then_some(log)
}

/// The name of a log or an output.
pub(super) fn checked_name(
    name: At<Text>,
    what: &str,
    reading: &mut Reading<'_>,
) -> Option<At<String>> {
    if is_name(&name.value) {
        return Some(At {
            value: name.value.as_str().to_owned(),
            place: name.place,
        });
    }
    let message = format!("`{}` is no name of {what}", name.value.shown());
    reading.report(name.place.error(message, "").help(NAME));
    None
}

fn start(table: &mut Table<'_>, reading: &mut Reading<'_>) -> Start {
    let text = reading.text(table, "from");
    text.and_then(|text| reading.word(text, "start", &STARTS))
        .unwrap_or(Start::End)
}

/// Names stay; paths become absolute.
fn parser(parser: At<Text>, reading: &Reading<'_>) -> At<Text> {
    if Catalog::is_path(&parser.value) {
        return reading.absolute_text(parser);
    }
    parser
}

fn labels(table: &mut Table<'_>, reading: &mut Reading<'_>) -> Vec<(At<String>, At<Text>)> {
    let labels = reading.text_pairs(table, "labels");
    for (name, _) in &labels {
        let typed = &name.value;
        if TAKEN_LABELS.contains(&typed.as_str()) {
            let message = format!("label `{typed}` is taken");
            reading.report(name.place.error(message, "").help("give it another name"));
        } else if !is_label_name(typed) {
            let message = format!("`{typed}` is no name of a label");
            let help = "letters, digits and `_`; neither a digit nor `__` in front";
            reading.report(name.place.error(message, "").help(help));
        }
    }
    labels
}

fn input(table: &mut Table<'_>, reading: &mut Reading<'_>) -> Option<LogInput> {
    let (path, listen) = (table.take("path"), table.take("listen"));
    let rotated_item = table.take("rotated");
    let rotated = rotated_item
        .as_ref()
        .map(|item| reading.texts_of(item))
        .unwrap_or_default();
    let rotated = patterns(&rotated, reading);
    if let (Some(path), Some(listen)) = (&path, &listen) {
        let place = &listen.key.place;
        let mistake = place.error("both `path` and `listen`", "one of them");
        reading.report(mistake.note(&path.key.place, "the other is here"));
        return None;
    }
    let input = if let Some(listen) = listen {
        let text = reading.text_of(&listen)?;
        LogInput::Syslog(syslog(text, reading)?)
    } else if let Some(path) = path {
        files(&reading.texts_of(&path), rotated, reading)?
    } else {
        let missing = Diagnostic::new("missing key `path`");
        table.missing("path", missing.help("or `listen`, for syslog"));
        return None;
    };
    if let (Some(item), false) = (rotated_item, matches!(input, LogInput::Files { .. })) {
        let place = item.key.place;
        reading.report(place.error("`rotated` without files to follow", "leave it out"));
    }
    Some(input)
}

fn syslog(text: At<Text>, reading: &mut Reading<'_>) -> Option<At<SyslogAddress>> {
    const EXPECTED: &str = "`udp://ADDRESS:PORT`, `tcp://ADDRESS:PORT` or `unix:///PATH`";
    reading.value(text, EXPECTED, syslog_address)
}

fn files(
    texts: &[At<Text>],
    rotated: Vec<At<PathBuf>>,
    reading: &mut Reading<'_>,
) -> Option<LogInput> {
    let stdin = texts.iter().find(|text| text.value.as_str() == "-");
    if let Some(stdin) = stdin {
        if texts.len() > 1 {
            let mistake = stdin
                .place
                .error("`-` together with other paths", "standard input");
            reading.report(mistake.help("a log of its own"));
            return None;
        }
        return Some(LogInput::StandardInput(stdin.place.clone()));
    }
    let paths = patterns(texts, reading);
    (!paths.is_empty()).then_some(LogInput::Files { paths, rotated })
}

fn patterns(texts: &[At<Text>], reading: &mut Reading<'_>) -> Vec<At<PathBuf>> {
    let patterns = texts.iter().filter_map(|text| reading.pattern(text));
    patterns.collect()
}

/// What a log reads, for comparison, and where it was written.
fn sources(log: &LogConfig) -> Vec<(Source<'_>, &Place)> {
    match &log.input {
        LogInput::Files { paths, .. } => paths
            .iter()
            .map(|path| (Source::Files(&path.value), &path.place))
            .collect(),
        LogInput::StandardInput(place) => vec![(Source::StandardInput, place)],
        LogInput::Syslog(address) => vec![(Source::Syslog(&address.value), &address.place)],
    }
}

#[derive(PartialEq)]
enum Source<'l> {
    Files(&'l PathBuf),
    StandardInput,
    Syslog(&'l SyslogAddress),
}

/// One line must not be counted twice.
fn check_inputs(logs: &[LogConfig], reading: &mut Reading<'_>) {
    let mut seen: Vec<(Source<'_>, &Place)> = Vec::new();
    for (source, place) in logs.iter().flat_map(sources) {
        if let Some((_, other)) = seen.iter().find(|(other, _)| *other == source) {
            let message = match source {
                Source::Files(_) => "the same path twice: its lines would be counted twice",
                Source::StandardInput => "standard input twice",
                Source::Syslog(_) => "the same address twice",
            };
            let mistake = place.error(message, "");
            reading.report(mistake.note(other, "the other is here"));
        }
        seen.push((source, place));
    }
}
