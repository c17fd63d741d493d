//! Log formats: from a line to the spans of its fields, and to its time.
//!
//! A [`Format`] is a compiled definition; it knows which fields exist, in which dialect their
//! values are written and where the time stands. A [`Reader`] is a format prepared for the fields
//! that are wanted, with what must be remembered from line to line: the last time, and the columns
//! of a W3C file. One reader reads one file's lines in order. It takes headers off its lines by
//! itself; [`Envelopes`] is for envelopes that cut lines into pieces or escape them.
//!
//! A new kind of layout is one file here, one variant of `Layout` and of `Plan`; a new log
//! format is a file in `parsers/` and none here.

mod account;
mod apache;
mod columns;
mod csv;
mod directive;
mod envelope;
mod envoy;
mod grok;
mod haproxy;
mod json;
mod layout;
mod logfmt;
#[cfg(test)]
mod made;
mod nginx;
mod pattern;
mod peer;
mod reader;
mod time;
mod time_pieces;
mod varnishncsa;
mod w3c;

pub use account::{Agreement, FULL};
pub use envelope::{
    Envelopes, FIELDS as HEADER_FIELDS, Opened, are_pieces, is_header_alone, without_headers,
    without_open_record,
};
pub use reader::{Line, Reader};
pub use time::{EventTime, TimeError, TimeFormat, Zone};

use csv::CsvLayout;
use json::{JsonPath, JsonTemplate};
use layout::{FormatError, Piece, Quoting, Shape};
use pattern::Pattern;

use crate::definition::{
    At, ColumnEscape, Dialect, FormatDefinition, LayoutDefinition, TimeDefinition, Unit,
};
use crate::diagnostic::{Diagnostic, similar};
use crate::record::{Escape, FieldKind, Fields, mistake_in};

/// A log format, compiled.
#[derive(Debug)]
pub struct Format {
    /// The parser's name.
    pub name: String,
    layout: Layout,
    escapes: Escapes,
    units: Vec<(String, Unit)>,
    time: Time,
    require: Vec<String>,
    constants: Vec<(String, String)>,
    /// A port may stand behind the peer's address. Of the servers' own formats only in Envoy's.
    ports: bool,
}

#[derive(Debug)]
enum Layout {
    Server {
        pieces: Vec<Piece>,
        quoting: Quoting,
    },
    Regex(Pattern),
    /// A name that stands several times has several paths, tried in this order.
    Json {
        fields: Vec<(String, JsonPath)>,
        families: Vec<(String, JsonTemplate)>,
    },
    W3c {
        fields: Vec<(String, String)>,
        columns: Option<String>,
        escape: ColumnEscape,
    },
    Csv(CsvLayout),
    Logfmt {
        /// Field and key.
        fields: Vec<(String, String)>,
    },
}

/// Where a line's time stands.
#[derive(Debug)]
enum Time {
    Field {
        name: String,
        format: TimeFormat,
    },
    Search {
        pattern: Pattern,
        format: TimeFormat,
    },
    /// A date and a time of day in two fields, as W3C files have them; in UTC.
    Parts {
        date: String,
        time: String,
    },
}

/// Fields that hold a time, in the order they are looked for, and the format each one has.
const TIME_FIELDS: [(&str, &str); 7] = [
    ("time_local", "clf"),
    ("time_iso8601", "rfc3339"),
    ("msec", "epoch"),
    ("time", "rfc3339"),
    ("timestamp", "rfc3339"),
    ("ts", "epoch"),
    ("@timestamp", "rfc3339"),
];

impl Format {
    /// Compiles a definition.
    ///
    /// # Errors
    /// Every mistake in the format string, its patterns, its time and its field names.
    pub fn compile(definition: &FormatDefinition) -> Result<Format, Vec<Diagnostic>> {
        let (mut layout, escapes, mut units, written_time) = compile_layout(definition)?;
        let mut mistakes = Vec::new();
        let names = layout_names(&layout);
        let time = compile_time(definition, &layout, &names, written_time.as_deref());
        let time = time.map_err(|mistake| mistakes.push(mistake)).ok();
        if let Some(Time::Field { name, format }) = &time {
            take_time(&mut layout, name, format);
        }
        for (name, unit) in &definition.units {
            units.retain(|(known, _)| *known != name.value);
            units.push((name.value.clone(), unit.value));
            mistakes.extend(unknown_field(name, &layout, &names));
        }
        for name in &definition.require {
            mistakes.extend(unknown_field(name, &layout, &names));
        }
        let ports = match &definition.layout.value {
            LayoutDefinition::Server { dialect, .. } => matches!(dialect, Dialect::Envoy),
            _ => true,
        };
        match time {
            Some(time) if mistakes.is_empty() => Ok(Format {
                name: definition.name.clone(),
                layout,
                escapes,
                units,
                time,
                ports,
                constants: definition
                    .constants
                    .iter()
                    .map(|(name, value)| (name.value.clone(), value.value.clone()))
                    .collect(),
                require: definition
                    .require
                    .iter()
                    .map(|name| name.value.clone())
                    .collect(),
            }),
            _ => Err(mistakes),
        }
    }

    /// True when a line can only be read after those before it: its file is not split.
    pub fn is_stateful(&self) -> bool {
        match &self.layout {
            Layout::W3c { .. } => true,
            Layout::Csv(csv) => csv.shape.header,
            _ => false,
        }
    }

    /// The one field that holds the time, where there is one.
    pub(crate) fn time_field(&self) -> Option<&str> {
        match &self.time {
            Time::Field { name, .. } => Some(name),
            Time::Search { .. } | Time::Parts { .. } => None,
        }
    }

    /// The fields of the format by name, those of families and of W3C files' own columns aside.
    pub fn names(&self) -> Vec<String> {
        let mut names = layout_names(&self.layout);
        names.extend(self.constants.iter().map(|(name, _)| name.clone()));
        names
    }
}

impl Fields for Format {
    fn field(&self, name: &str) -> Option<FieldKind> {
        if !offers(&self.layout, name) {
            return envelope::FIELDS.contains(&name).then_some(FieldKind {
                escape: Escape::None,
                shift: 0,
            });
        }
        let unit = self.units.iter().find(|(known, _)| known == name);
        let shift = unit.map_or(0, |(_, unit)| match unit {
            Unit::Seconds => 0,
            Unit::Milliseconds => -3,
            Unit::Microseconds => -6,
            Unit::Nanoseconds => -9,
        });
        let (usual, others) = &self.escapes;
        let other = others.iter().find(|(known, _)| known == name);
        let escape = match &self.layout {
            Layout::W3c { escape, .. } => csv::escape_of(*escape, name, None),
            Layout::Csv(csv) => csv.escape(name),
            _ => other.map_or(*usual, |(_, escape)| *escape),
        };
        Some(FieldKind { escape, shift })
    }

    fn constant(&self, name: &str) -> Option<&str> {
        let found = self.constants.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    fn names(&self) -> Vec<String> {
        self.names()
    }
}

/// How values are escaped, and the fields that are escaped in another way.
type Escapes = (Escape, Vec<(String, Escape)>);

type Compiled = (Layout, Escapes, Vec<(String, Unit)>, Option<String>);

fn compile_layout(definition: &FormatDefinition) -> Result<Compiled, Vec<Diagnostic>> {
    match &definition.layout.value {
        LayoutDefinition::Server { dialect, text } => {
            let format = match dialect {
                Dialect::Nginx(escape) => nginx::format(&text.value, *escape),
                Dialect::Apache => apache::format(&text.value),
                Dialect::Haproxy => haproxy::format(&text.value),
                Dialect::Varnishncsa => varnishncsa::format(&text.value),
                Dialect::Envoy => envoy::format(&text.value),
            };
            let format = format.map_err(|mistake| inside(text, mistake))?;
            let layout = server(text, format.pieces, format.quoting)?;
            let escapes = (format.escape, format.escapes);
            Ok((layout, escapes, format.units, format.time_format))
        }
        LayoutDefinition::Regex { pattern } => {
            let expanded = grok::expand(pattern).map_err(|mistake| vec![mistake])?;
            let same = expanded == pattern.value;
            let compiled = Pattern::compile(&expanded)
                .map_err(|error| vec![no_pattern(pattern, &error, same)])?;
            let escapes = (Escape::None, Vec::new());
            Ok((Layout::Regex(compiled), escapes, Vec::new(), None))
        }
        LayoutDefinition::Json { fields } => {
            let escapes = (Escape::Json, Vec::new());
            json_layout(fields).map(|layout| (layout, escapes, Vec::new(), None))
        }
        LayoutDefinition::W3c {
            fields,
            columns,
            escape,
        } => {
            let fields = fields
                .iter()
                .map(|(name, column)| (name.value.clone(), column.value.to_ascii_lowercase()));
            let columns = columns.as_ref().map(|columns| columns.value.clone());
            let layout = Layout::W3c {
                fields: fields.collect(),
                columns,
                escape: *escape,
            };
            Ok((layout, (Escape::None, Vec::new()), Vec::new(), None))
        }
        LayoutDefinition::Columns(columns) => {
            let csv = CsvLayout::compile(columns, &definition.layout.place)?;
            Ok((
                Layout::Csv(csv),
                (Escape::None, Vec::new()),
                Vec::new(),
                None,
            ))
        }
        LayoutDefinition::Logfmt { fields } => {
            let mistakes: Vec<Diagnostic> = fields
                .iter()
                .filter_map(|(name, key)| no_name(name, &name.value).or_else(|| no_key(key)))
                .collect();
            if !mistakes.is_empty() {
                return Err(mistakes);
            }
            let fields = fields
                .iter()
                .map(|(name, key)| (name.value.clone(), key.value.clone()));
            let layout = Layout::Logfmt {
                fields: fields.collect(),
            };
            Ok((layout, (Escape::Json, Vec::new()), Vec::new(), None))
        }
    }
}

/// A pattern that is none; the mistake has a place of its own where the pattern is `same` as written.
fn no_pattern(pattern: &At<String>, error: &str, same: bool) -> Diagnostic {
    let message = format!("this is not a regular expression: {error}");
    let range = mistake_in(&pattern.value).filter(|_| same);
    let mistake = match range {
        Some(range) => pattern.place.inside(range).error(message, "here"),
        None => pattern.place.error(message, "in this pattern"),
    };
    if error.starts_with("look-around") {
        return mistake.help("write what stands there, without `(?=`, `(?!` or `(?<`");
    }
    mistake
}

/// A key that no line can have.
fn no_key(key: &At<String>) -> Option<Diagnostic> {
    let ends = |byte: u8| matches!(byte, b' ' | b'\t' | b'=' | b'"');
    let never = key.value.is_empty() || key.value.bytes().any(ends);
    never.then(|| {
        let message = format!("no line has a key `{}`", key.value);
        key.place
            .error(message, "a key ends at a blank, `=` or a quote")
    })
}

/// A field's name that rules could not ask for.
fn no_name(name: &At<String>, field: &str) -> Option<Diagnostic> {
    let plain = field
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain && !field.is_empty() {
        return None;
    }
    let error = name.place.error(
        format!("no field can be called `{field}`"),
        "letters, digits and `_`",
    );
    Some(if field.contains(',') {
        error.help("names are parted by blanks: `columns = \"time remote_addr status\"`")
    } else {
        error.help("use nginx's names, such as `remote_addr`")
    })
}

fn inside(text: &At<String>, (range, message): FormatError) -> Vec<Diagnostic> {
    vec![text.place.inside(range).error(message, "here")]
}

fn server(
    text: &At<String>,
    pieces: Vec<Piece>,
    quoting: Quoting,
) -> Result<Layout, Vec<Diagnostic>> {
    match layout::Layout::compile(&pieces, quoting, |_| None) {
        Ok(_) => Ok(Layout::Server { pieces, quoting }),
        Err(message) => Err(vec![text.place.error(message, "in this format")]),
    }
}

fn json_layout(fields: &[(At<String>, Vec<At<String>>)]) -> Result<Layout, Vec<Diagnostic>> {
    let (mut plain, mut families, mut mistakes) = (Vec::new(), Vec::new(), Vec::new());
    let paths = fields
        .iter()
        .flat_map(|(name, paths)| paths.iter().map(move |path| (name, path)));
    for (name, _) in fields {
        let field = name.value.strip_suffix('*').unwrap_or(&name.value);
        mistakes.extend(no_name(name, field));
    }
    for (name, path) in paths {
        let result = match name.value.strip_suffix('*') {
            Some(prefix) => JsonTemplate::parse(&path.value)
                .map(|template| families.push((prefix.to_owned(), template))),
            None => JsonPath::parse(&path.value).map(|path| plain.push((name.value.clone(), path))),
        };
        if let Err(message) = result {
            mistakes.push(path.place.error(message, "in this path"));
        }
    }
    if mistakes.is_empty() {
        Ok(Layout::Json {
            fields: plain,
            families,
        })
    } else {
        Err(mistakes)
    }
}

fn layout_names(layout: &Layout) -> Vec<String> {
    match layout {
        Layout::Server { pieces, .. } => pieces.iter().flat_map(Piece::names).cloned().collect(),
        Layout::Regex(pattern) => pattern.names(),
        Layout::Json { fields, .. } => {
            let mut names: Vec<String> = fields.iter().map(|(name, _)| name.clone()).collect();
            names.dedup();
            names
        }
        Layout::W3c {
            fields, columns, ..
        } => {
            let columns = columns
                .iter()
                .flat_map(|columns| columns.split_whitespace());
            let mut named: Vec<String> = columns
                .map(|column| w3c::field_name(column, fields))
                .collect();
            named.extend(fields.iter().map(|(name, _)| name.clone()));
            let names = named.iter().flat_map(|name| columns::fields_of(name));
            let mut names: Vec<String> = names.map(str::to_owned).collect();
            names.sort();
            names.dedup();
            names
        }
        Layout::Csv(csv) => csv.names(),
        Layout::Logfmt { fields } => fields.iter().map(|(name, _)| name.clone()).collect(),
    }
}

/// A definition may say that the server's time field holds another kind of time than the server
/// writes by itself: then nothing is known of its length, and no line is read leniently by it (a
/// search for its end from every bracket would take quadratic time).
fn take_time(layout: &mut Layout, time: &str, format: &TimeFormat) {
    let Layout::Server { pieces, .. } = layout else {
        return;
    };
    for piece in pieces {
        match piece {
            Piece::Field { name, shape }
                if name == time && *shape == Shape::Clf && *format != TimeFormat::Clf =>
            {
                *shape = Shape::Text;
            }
            _ => {}
        }
    }
}

/// True when a line of this layout can have the field. A W3C file's columns are known only when it
/// is read: any name that a column could have is taken.
fn offers(layout: &Layout, name: &str) -> bool {
    match layout {
        Layout::Json { families, .. } => {
            layout_names(layout).iter().any(|known| known == name)
                || families
                    .iter()
                    .any(|(prefix, _)| name.starts_with(prefix.as_str()))
        }
        Layout::Csv(csv) if !csv.shape.header => {
            layout_names(layout).iter().any(|known| known == name)
        }
        Layout::W3c { .. } | Layout::Csv(_) => {
            layout_names(layout).iter().any(|known| known == name)
                || (!is_part_of_target(layout, name)
                    && (w3c::COMMON_FIELDS.contains(&name)
                        || ["http_", "sent_http_", "x_"]
                            .iter()
                            .any(|prefix| name.starts_with(prefix))))
        }
        _ => layout_names(layout).iter().any(|known| known == name),
    }
}

/// True for what rules derive from the target of a request where the format has one: a column that
/// holds a whole URL leaves none for its path.
fn is_part_of_target(layout: &Layout, name: &str) -> bool {
    matches!(name, "path" | "query" | "host" | "http_host")
        && layout_names(layout)
            .iter()
            .any(|known| known == "request_uri")
}

fn unknown_field(name: &At<String>, layout: &Layout, names: &[String]) -> Option<Diagnostic> {
    if offers(layout, &name.value) || envelope::FIELDS.contains(&name.value.as_str()) {
        return None;
    }
    let error = name.place.error(
        format!("unknown field `{}`", name.value),
        "not in this format",
    );
    Some(
        match similar(&name.value, names.iter().map(String::as_str)) {
            Some(near) => error.help(format!("a field with a similar name exists: `{near}`")),
            None => error.help(format!("fields of this format: {}", names.join(", "))),
        },
    )
}

fn compile_time(
    definition: &FormatDefinition,
    layout: &Layout,
    names: &[String],
    written: Option<&str>,
) -> Result<Time, Diagnostic> {
    let time = &definition.time;
    let chosen = time.field.as_ref().map(|field| field.value.as_str());
    let known = TIME_FIELDS.iter().find(|(name, _)| match chosen {
        Some(chosen) => *name == chosen,
        None => names.iter().any(|known| known == name),
    });
    // The format of a `%{…}t` is that of the field `time`, not of a `%t` beside it.
    let written = written.filter(|_| known.is_some_and(|(name, _)| *name == "time"));
    let text = match (&time.format, written, known) {
        (Some(format), ..) => format.value.as_str(),
        (None, Some(written), _) => written,
        (None, None, Some((_, format))) => format,
        (None, None, None) => "clf",
    };
    let format = TimeFormat::compile(text).map_err(|error| {
        let place = time
            .format
            .as_ref()
            .map_or(&definition.layout.place, |format| &format.place);
        let help = match time::meant(text) {
            Some(meant) => format!("`format = \"{meant}\"`"),
            None => "use `clf`, `rfc3339`, `epoch`, `any` or a strftime text".to_owned(),
        };
        place.error(error, "this time format").help(help)
    })?;
    if let Some(search) = &time.search {
        let pattern =
            Pattern::compile(&search.value).map_err(|error| no_pattern(search, &error, true))?;
        if pattern.locations().len() < 2 {
            let error = search
                .place
                .error("no group in this pattern", "the first one is the time");
            return Err(error.help("put what is the time into parentheses: `at <([^>]+)>`"));
        }
        return Ok(Time::Search { pattern, format });
    }
    if let Some(date) = &time.date {
        return time_in_parts(time, date, layout, names);
    }
    if let Some(field) = &time.field {
        unknown_field(field, layout, names).map_or(Ok(()), Err)?;
        return Ok(Time::Field {
            name: field.value.clone(),
            format,
        });
    }
    match (layout, known) {
        (Layout::W3c { .. }, _) => Ok(Time::Parts {
            date: "date".to_owned(),
            time: "time".to_owned(),
        }),
        (Layout::Csv(_), Some(("time", _))) if names.iter().any(|name| name == "date") => {
            Ok(Time::Parts {
                date: "date".to_owned(),
                time: "time".to_owned(),
            })
        }
        (_, Some((name, _))) => Ok(Time::Field {
            name: (*name).to_owned(),
            format,
        }),
        (_, None) => Err(definition
            .layout
            .place
            .error(
                "no field holds the time of a line",
                "this format has no time",
            )
            .help("name one with `[time] field = \"…\"`, or find it with `search`")),
    }
}

/// `[time] date` beside `field`: both as W3C's logs write them.
fn time_in_parts(
    time: &TimeDefinition,
    date: &At<String>,
    layout: &Layout,
    names: &[String],
) -> Result<Time, Diagnostic> {
    let Some(field) = &time.field else {
        let error = date.place.error("`date` without `field`", "half a time");
        return Err(error.help("name the field of the time of day: `field = \"time\"`"));
    };
    if let Some(format) = &time.format {
        let error = format.place.error("both `date` and `format`", "");
        let help = "beside `date`, times are written `2024-11-15` and `19:45:51`, in UTC";
        return Err(error.note(&date.place, "the date is here").help(help));
    }
    for name in [date, field] {
        unknown_field(name, layout, names).map_or(Ok(()), Err)?;
    }
    Ok(Time::Parts {
        date: date.value.clone(),
        time: field.value.clone(),
    })
}
