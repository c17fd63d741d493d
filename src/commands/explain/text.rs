//! An explanation for people: sections, addresses masked, bytes of the line made fit for a terminal.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::Explainer;
use super::client::Client;
use crate::commands::examples::reason_text;
use crate::commands::fields::NoFields;
use crate::commands::mask_line;
use crate::diagnostic::Untrusted;
use crate::geo::{mask, mask_addresses};
use crate::parse::EventTime;
use crate::record::{Expected, Mismatch, Reading};

/// Bytes of a line shown before and behind the place where a parser left it.
const CONTEXT: usize = 60;

/// Longest stretch of a line that is marked, in characters.
const LONGEST_MARK: usize = 40;

/// A line that a parser read.
pub(super) fn read(
    out: &mut impl Write,
    parser: &mut Explainer<'_>,
    line: &[u8],
    (reading, time): (Reading, EventTime),
    raw: bool,
) -> io::Result<()> {
    let how = match reading {
        Reading::Exact => "",
        Reading::Extra => ", with more text behind its fields",
        Reading::Partial => ", leniently: some fields are missing or cut",
    };
    writeln!(out, "{}: read{how}", parser.compiled.format.name)?;
    writeln!(out, "  time  {time}\n\nfields")?;
    let mut fields = Vec::new();
    parser.fields.each(line, |name, value| {
        fields.push((name.to_owned(), value.to_vec()));
    });
    let width = fields.iter().map(|(name, _)| name.len()).max();
    let width = width.unwrap_or_default();
    for (name, value) in &fields {
        let value = shown(value, raw);
        writeln!(out, "  {name:width$}  {}", Untrusted(&value).shortened(300))?;
    }
    for client in parser.clients(line) {
        write_client(out, &client, raw)?;
    }
    parser.tell(line, time);
    write_rules(out, parser, raw)?;
    write_counts(out, parser)
}

fn write_client(out: &mut impl Write, client: &Client, raw: bool) -> io::Result<()> {
    writeln!(out, "\nclient, from the right")?;
    for (text, verdict) in &client.steps {
        writeln!(out, "  {}  {verdict}", Untrusted(&shown(text, raw)))?;
    }
    if let Some(header) = client.told_by {
        writeln!(out, "  {header}  believed")?;
    }
    let Some(address) = client.answer else {
        return writeln!(out, "  the client is not known");
    };
    let places = client.places.iter();
    let places = places.map(|(place, text)| format!("{} {}", place.name(), Untrusted(text)));
    let mut places = places.collect::<Vec<_>>().join(", ");
    if places.is_empty() {
        "place unknown".clone_into(&mut places);
    }
    let address = if raw {
        address.to_string()
    } else {
        mask(address).to_string()
    };
    writeln!(out, "  client {address}: {places}")?;
    if let Some(provider) = &client.in_range_of {
        writeln!(
            out,
            "  warning: this is an address of {provider}'s, not a visitor's: name its ranges, or `providers`, in --trusted-proxies"
        )?;
    }
    Ok(())
}

fn write_rules(out: &mut impl Write, parser: &Explainer<'_>, raw: bool) -> io::Result<()> {
    writeln!(out, "\nrules")?;
    for verdict in parser.told.verdicts() {
        let Some(group) = parser.groups.get(verdict.group) else {
            continue;
        };
        let said = match verdict.failed {
            None => "counts".to_owned(),
            Some((matcher, value)) => {
                let verdict = if verdict.near { "a near miss" } else { "no" };
                match value {
                    b"" => format!("{verdict}: {matcher} fails, the field is absent"),
                    _ => format!(
                        "{verdict}: {matcher} fails on `{}`",
                        Untrusted(&shown(value, raw)).shortened(80)
                    ),
                }
            }
        };
        writeln!(out, "  {}: {said}", group.text)?;
    }
    Ok(())
}

fn write_counts(out: &mut impl Write, parser: &Explainer<'_>) -> io::Result<()> {
    writeln!(out, "\ncounts")?;
    let counts: BTreeMap<_, _> = parser.told.series().collect();
    for (series, amount) in &counts {
        writeln!(out, "  {} {amount}", Untrusted(series))?;
    }
    if counts.is_empty() {
        writeln!(out, "  nothing")?;
    }
    Ok(())
}

/// A line that these parsers did not read: first those that nothing of it fits, then the others, the one
/// that got furthest last.
pub(super) fn none_read(
    out: &mut impl Write,
    mut failed: Vec<(&Explainer<'_>, NoFields)>,
    line: &[u8],
    raw: bool,
) -> io::Result<()> {
    let far = |reason: NoFields| match reason {
        NoFields::Mismatch(mismatch) => mismatch.at,
        NoFields::BadTime | NoFields::Directive => u32::MAX,
    };
    let names = failed.iter().filter(|(_, reason)| far(*reason) == 0);
    let names: Vec<&str> = names
        .map(|(parser, _)| parser.compiled.format.name.as_str())
        .collect();
    if !names.is_empty() {
        writeln!(out, "not from its first byte on: {}", names.join(", "))?;
    }
    failed.retain(|(_, reason)| far(*reason) > 0);
    failed.sort_by_key(|(_, reason)| far(*reason));
    for (parser, reason) in failed {
        not_read(out, parser, line, reason, raw)?;
    }
    Ok(())
}

/// A line that a parser did not read, with the bytes at fault marked.
pub(super) fn not_read(
    out: &mut impl Write,
    parser: &Explainer<'_>,
    line: &[u8],
    reason: NoFields,
    raw: bool,
) -> io::Result<()> {
    let format = &parser.compiled.format;
    let said = reason_text(&reason, format);
    writeln!(out, "{}: not read, {said}", format.name)?;
    let NoFields::Mismatch(Mismatch { at, expected }) = reason else {
        return Ok(());
    };
    if matches!(expected, Expected::Required(_) | Expected::Time) {
        return Ok(());
    }
    let start = (at as usize).min(line.len());
    let end = start + fault(line.get(start..).unwrap_or_default());
    if raw {
        return write_marked(out, line, start, end);
    }
    let (masked, start) = mask_line(line, start);
    let (_, end) = mask_line(line, end);
    write_marked(out, &masked, start, end)
}

/// Length of what stands where something else was expected: a word, or one byte that is none.
fn fault(rest: &[u8]) -> usize {
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b"\"[]{},".contains(byte);
    rest.iter().position(ends).unwrap_or(rest.len()).max(1)
}

/// The bytes of a line around a stretch, and marks below the stretch.
fn write_marked(out: &mut impl Write, line: &[u8], start: usize, end: usize) -> io::Result<()> {
    let start = start.min(line.len());
    let (read, rest) = line.split_at(start);
    let from = read.len().saturating_sub(CONTEXT);
    let more = if from > 0 { "…" } else { "" };
    let read = Untrusted(read.get(from..).unwrap_or_default()).to_string();
    let marked = rest.get(..end.saturating_sub(start)).unwrap_or(rest);
    let marks = Untrusted(marked).to_string().chars().count();
    let marks = marks.clamp(1, LONGEST_MARK);
    writeln!(
        out,
        "    {more}{read}{}",
        Untrusted(rest).shortened(CONTEXT)
    )?;
    let before = more.chars().count() + read.chars().count();
    writeln!(out, "    {}{}", " ".repeat(before), "^".repeat(marks))
}

/// A value with addresses masked unless they are wanted.
fn shown(value: &[u8], raw: bool) -> Vec<u8> {
    if raw {
        return value.to_vec();
    }
    let mut masked = Vec::new();
    mask_addresses(value, &mut masked);
    masked
}
