//! Lines that show what a format reads: varied, anonymous, and read back before they are shown.

use std::collections::BTreeSet;

use super::Proposal;
use super::anonymous::{Anonymous, SECRET_FIELDS, is_secret};
use super::draft::{Draft, Example, Format as DraftFormat};
use crate::commands::engine::Engine;
use crate::commands::examples::test;
use crate::commands::fields::{FieldReader, NoFields};
use crate::parse::{Format, Line};
use crate::record::{Fields as _, Reading, Span};

/// Most examples of a file.
const MOST: usize = 6;

/// Longest line and value that an example shows.
const LONGEST: (usize, usize) = (4096, 400);

/// Whether each line is read with its time; `None` for directives.
pub(super) fn reads(engine: &Engine, format: &Format, lines: &[&[u8]]) -> Vec<Option<bool>> {
    let mut reader = format.reader(&[], &engine.zone);
    let mut spans = vec![Span::ABSENT; reader.spans()];
    let mut read = |line: &&[u8]| match reader.read(line, &mut spans) {
        Ok(Line::Record(_)) => Some(reader.time(line, &spans).is_ok()),
        Ok(Line::Directive) => None,
        Err(_) => Some(false),
    };
    lines.iter().map(&mut read).collect()
}

/// Lines that are read to their end.
pub(super) fn reads_whole(engine: &Engine, format: &Format, lines: &[&[u8]]) -> usize {
    let mut reader = format.reader(&[], &engine.zone);
    let mut spans = vec![Span::ABSENT; reader.spans()];
    let whole = |line: &&&[u8]| {
        let read = reader.read(line, &mut spans);
        read == Ok(Line::Record(Reading::Exact))
    };
    lines.iter().filter(whole).count()
}

/// The draft's file with examples of these lines; `None` when no line can be one.
pub(super) fn completed(
    engine: &mut Engine,
    name: &str,
    draft: &Draft,
    lines: &[&[u8]],
    anonymous: &mut Anonymous,
) -> Option<Proposal> {
    let description = "proposed for a log, not yet looked at";
    engine
        .catalog
        .add_text(name, name, &draft.text(&[], description, &[]))
        .ok()?;
    let format = engine.format(name).ok()?;
    let read = reads(engine, &format, lines);
    let shown = examples(engine, &format, draft, lines, anonymous);
    let all = read.iter().flatten().count();
    let count = read.iter().flatten().filter(|read| **read).count();
    let comment = vec![
        format!("Proposed by `beacontail parsers new`: reads {count} of {all} lines."),
        "Check the names; those that are field1, field2, … wait for one. `detect = 5` would let"
            .to_owned(),
        "`replay` find the format by itself.".to_owned(),
    ];
    let mut kept: Vec<Example> = Vec::new();
    for example in shown {
        let text = draft.text(&comment, description, std::slice::from_ref(&example));
        engine.catalog.add_text(name, name, &text).ok()?;
        if test(engine, &[name.to_owned()], &[]).1.is_empty() {
            kept.push(example);
        }
    }
    if kept.is_empty() {
        return None;
    }
    let text = draft.text(&comment, description, &kept);
    engine.catalog.add_text(name, name, &text).ok()?;
    let names = format.names();
    let passes = test(engine, &[name.to_owned()], &[]).1.is_empty();
    passes.then(|| Proposal {
        name: name.to_owned(),
        text,
        read: count,
        lines: all,
        unread: read.iter().position(|read| *read == Some(false)),
        numbered: names.iter().filter(|name| is_numbered(name)).count(),
        extends: draft.extends.is_some(),
    })
}

fn is_numbered(name: &str) -> bool {
    let digits = name.strip_prefix("field").unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// One line for each class of status, and for what is rare: a user, an IPv6 address, the longest.
fn examples(
    engine: &Engine,
    format: &Format,
    draft: &Draft,
    lines: &[&[u8]],
    anonymous: &mut Anonymous,
) -> Vec<Example> {
    let mut fields = FieldReader::new(format, &engine.zone, &[], &[]);
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut found = Vec::new();
    let longest = lines
        .iter()
        .filter(|line| line.len() <= LONGEST.0)
        .map(|line| line.len())
        .max();
    let mut header = None;
    for line in lines {
        let read = match fields.read_either(line, None) {
            Ok(read) => read,
            Err(NoFields::Directive) => {
                if line.starts_with(b"#Fields:") || !line.starts_with(b"#") {
                    header = Some(*line);
                }
                continue;
            }
            Err(_) => continue,
        };
        let value = |name: &str| read.fields.get(name).map_or("", String::as_str);
        let mut kinds = vec![format!("status {}", value("code"))];
        let traits = [
            ("user", !matches!(value("remote_user"), "" | "-")),
            ("ipv6", value("remote_addr").contains(':')),
            ("longest", Some(line.len()) == longest),
        ];
        kinds.extend(
            traits
                .iter()
                .filter(|(_, has)| *has)
                .map(|(kind, _)| (*kind).to_owned()),
        );
        if line.len() > LONGEST.0 || kinds.iter().all(|kind| seen.contains(kind)) {
            continue;
        }
        if let Some(example) = example(engine, format, draft, header, line, anonymous) {
            seen.extend(kinds);
            found.push(example);
        }
        if found.len() >= MOST {
            break;
        }
    }
    found
}

/// The fields whose names say that nobody else should see them, of the format and of what a header names.
fn secret_fields(engine: &Engine, format: &Format, header: Option<&[u8]>) -> Vec<String> {
    let mut names = format.names();
    if let Some(header) = header {
        let mut reader = format.reader(&[], &engine.zone);
        let mut spans = vec![Span::ABSENT; reader.spans()];
        if reader.read(header, &mut spans).is_ok() {
            names.extend(reader.columns());
        }
    }
    names.extend(SECRET_FIELDS.map(str::to_owned));
    names.retain(|name| is_secret(name) && format.field(name).is_some());
    names.sort();
    names.dedup();
    names
}

/// The line made anonymous, and the fields it then gives.
fn example(
    engine: &Engine,
    format: &Format,
    draft: &Draft,
    header: Option<&[u8]>,
    line: &[u8],
    anonymous: &mut Anonymous,
) -> Option<Example> {
    let secret = secret_fields(engine, format, header);
    let mut reader = format.reader(&secret, &engine.zone);
    let mut spans = vec![Span::ABSENT; reader.spans()];
    if let Some(header) = header {
        reader.read(header, &mut spans).ok()?;
    }
    reader.read(line, &mut spans).ok()?;
    let secret = spans.get(..secret.len()).unwrap_or_default();
    let shown = String::from_utf8(anonymous.line(line, secret)).ok()?;
    let mut fields = FieldReader::new(format, &engine.zone, &[], &[]);
    let mut whole = String::new();
    if let Some(header) = header {
        let header = std::str::from_utf8(header).ok()?;
        // A directive alone gives no fields.
        fields.read_either(header.as_bytes(), None).err()?;
        whole.push_str(&format!("{header}\n"));
    }
    let read = fields.read_either(shown.as_bytes(), None).ok()?;
    let mut pairs = vec![("time".to_owned(), read.time.to_string())];
    let times = [
        "time",
        "time_local",
        "time_iso8601",
        "msec",
        "date",
        "request",
    ];
    let wanted = |name: &String| !times.contains(&name.as_str());
    let short = |value: &String| value.len() <= LONGEST.1 && !value.contains('\u{fffd}');
    let own = read
        .fields
        .into_iter()
        .filter(|(name, value)| wanted(name) && short(value));
    pairs.extend(own.take(
        if matches!(draft.format, DraftFormat::Json(_) | DraftFormat::Logfmt(_)) {
            16
        } else {
            40
        },
    ));
    whole.push_str(&shown);
    Some(Example {
        line: whole,
        fields: pairs,
    })
}
