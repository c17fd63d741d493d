//! A format as one file, its parents worked in: what `parsers show --flat` prints.
//!
//! Invariant: the text loads back to the same definition. Comments and the author's order are
//! not kept.

use std::fmt::{Display, Write};

use super::quoted::{key, string};
use super::{
    At, ColumnEscape, ColumnsDefinition, Dialect, FormatDefinition, LayoutDefinition, NginxEscape,
    Unit,
};

/// The format file without `extends`.
pub(super) fn flat(format: &FormatDefinition) -> String {
    let mut out = format!("description = {}\n", string(&format.description));
    write_lists(&mut out, format)
        .and_then(|()| write_layout(&mut out, &format.layout.value))
        .and_then(|()| write_tables(&mut out, format))
        .expect("writing to a `String` does not fail");
    out
}

type Written = Result<(), std::fmt::Error>;

fn write_lists(out: &mut String, format: &FormatDefinition) -> Written {
    for (key, list) in [("rules", &format.rules), ("require", &format.require)] {
        if !list.is_empty() {
            let texts: Vec<String> = list.iter().map(|text| string(&text.value)).collect();
            writeln!(out, "{key} = [{}]", texts.join(", "))?;
        }
    }
    match format.detect {
        Some(order) => writeln!(out, "detect = {order}"),
        None => Ok(()),
    }
}

fn write_layout(out: &mut String, layout: &LayoutDefinition) -> Written {
    writeln!(out, "\n[format]")?;
    match layout {
        LayoutDefinition::Server { dialect, text } => {
            let text = match dialect {
                Dialect::Nginx(_) => nginx_text(&text.value),
                Dialect::Apache => apache_text(&text.value),
                Dialect::Varnishncsa => text.value.clone(),
                Dialect::Haproxy => haproxy_text(&text.value),
                Dialect::Envoy => text.value.replace("\\\"", "\\\\\""),
            };
            writeln!(out, "{} = {}", dialect.name(), string(&text))?;
            match dialect {
                Dialect::Nginx(NginxEscape::Json) => writeln!(out, "escape = \"json\""),
                Dialect::Nginx(NginxEscape::None) => writeln!(out, "escape = \"none\""),
                Dialect::Nginx(NginxEscape::Quote) => writeln!(out, "escape = \"quote\""),
                _ => Ok(()),
            }
        }
        LayoutDefinition::Regex { pattern } => writeln!(out, "regex = {}", string(&pattern.value)),
        LayoutDefinition::Json { fields } => {
            let shown = fields.iter().map(|(name, paths)| {
                let paths: Vec<String> = paths.iter().map(|path| string(&path.value)).collect();
                match paths.as_slice() {
                    [one] => format!("{} = {one}", key(&name.value)),
                    several => format!("{} = [{}]", key(&name.value), several.join(", ")),
                }
            });
            let shown: Vec<String> = shown.collect();
            writeln!(out, "json = {{ {} }}", shown.join(", "))
        }
        LayoutDefinition::W3c {
            fields,
            columns,
            escape,
        } => {
            write!(
                out,
                "w3c = {{ fields = {{{}}}",
                pairs(fields, |column| string(column))
            )?;
            if let Some(columns) = columns {
                write!(out, ", columns = {}", string(&columns.value))?;
            }
            writeln!(out, ", escape = \"{escape}\" }}")
        }
        LayoutDefinition::Columns(columns) => write_columns(out, columns),
        LayoutDefinition::Logfmt { fields } => {
            writeln!(out, "logfmt = {{{}}}", pairs(fields, |key| string(key)))
        }
    }
}

fn write_columns(out: &mut String, definition: &ColumnsDefinition) -> Written {
    let list = |columns: &Vec<At<String>>| {
        let names: Vec<String> = columns.iter().map(|name| string(&name.value)).collect();
        format!("[{}]", names.join(", "))
    };
    let character =
        |byte: Option<u8>| string(&byte.map(char::from).map_or(String::new(), String::from));
    let keys = [
        ("columns", definition.columns.as_ref().map(list)),
        (
            "fields",
            definition
                .fields
                .as_ref()
                .map(|fields| format!("{{{}}}", pairs(fields, |column| string(column)))),
        ),
        (
            "separator",
            definition.separator.map(|byte| character(Some(byte))),
        ),
        ("quote", definition.quote.map(character)),
        ("repeat", definition.repeat.map(|repeat| repeat.to_string())),
        ("header", definition.header.map(|header| header.to_string())),
        (
            "optional",
            definition.optional.map(|number| number.to_string()),
        ),
        ("absent", definition.absent.as_deref().map(string)),
        (
            "escape",
            definition.escape.map(|escape| format!("\"{escape}\"")),
        ),
    ];
    let given = keys
        .into_iter()
        .filter_map(|(key, value)| Some(format!("{key} = {}", value?)));
    let given: Vec<String> = given.collect();
    let name = if definition.tabs { "tsv" } else { "csv" };
    writeln!(out, "{name} = {{ {} }}", given.join(", "))
}

impl Display for ColumnEscape {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            ColumnEscape::Percent => "percent",
            ColumnEscape::Plus => "plus",
            ColumnEscape::Form => "form",
            ColumnEscape::Backslash => "backslash",
            ColumnEscape::None => "none",
        })
    }
}

/// A text that looks like a directive would be taken for one: it is wrapped into one.
fn nginx_text(text: &str) -> String {
    if !text.trim_start().starts_with("log_format") {
        return text.to_owned();
    }
    let escaped = text.replace('\\', "\\\\").replace('\'', "\\'");
    format!("log_format flat '{escaped}';")
}

fn apache_text(text: &str) -> String {
    if text.trim_start().starts_with("LogFormat") {
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
        return format!("LogFormat \"{escaped}\"");
    }
    text.replace("\\\"", "\\\\\"")
}

fn haproxy_text(text: &str) -> String {
    if !super::haproxy::is_configuration(text) {
        return text.to_owned();
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("log-format \"{escaped}\"")
}

fn write_tables(out: &mut String, format: &FormatDefinition) -> Written {
    let time = &format.time;
    let keys = [
        ("field", &time.field),
        ("format", &time.format),
        ("date", &time.date),
        ("search", &time.search),
    ];
    let given: Vec<_> = keys
        .iter()
        .filter_map(|(key, value)| Some((key, value.as_ref()?)))
        .collect();
    if !given.is_empty() {
        writeln!(out, "\n[time]")?;
    }
    given
        .iter()
        .try_for_each(|(key, value)| writeln!(out, "{key} = {}", string(&value.value)))?;
    if !format.units.is_empty() {
        writeln!(out, "\n[units]")?;
    }
    for (field, unit) in &format.units {
        writeln!(out, "{} = \"{}\"", key(&field.value), unit.value)?;
    }
    if !format.constants.is_empty() {
        writeln!(out, "\n[constants]")?;
    }
    for (field, value) in &format.constants {
        writeln!(out, "{} = {}", key(&field.value), string(&value.value))?;
    }
    for example in &format.examples {
        writeln!(out, "\n[[example]]\nline = {}", string(&example.line.value))?;
        writeln!(
            out,
            "fields = {{{}}}",
            pairs(&example.fields, |value| string(value))
        )?;
    }
    Ok(())
}

impl Display for Unit {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Unit::Seconds => "s",
            Unit::Milliseconds => "ms",
            Unit::Microseconds => "us",
            Unit::Nanoseconds => "ns",
        })
    }
}

fn pairs<T>(pairs: &[(At<String>, At<T>)], show: impl Fn(&T) -> String) -> String {
    let shown = pairs
        .iter()
        .map(|(name, value)| format!("{} = {}", key(&name.value), show(&value.value)));
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() {
        String::new()
    } else {
        format!(" {} ", shown.join(", "))
    }
}
