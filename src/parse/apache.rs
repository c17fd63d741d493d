//! Apache's `LogFormat` text as pieces (mod_log_config, "Custom Log Formats").
//!
//! A directive becomes the field that nginx would call the same thing, with its unit where Apache
//! counts in microseconds. Status lists (`%!200,304{…}i`) do not change the name. `<` and `>` do only
//! where both requests of an internal redirect are logged: then `status` and what Apache takes from
//! the answered request by itself keep their names for that one, what it takes from the client's
//! request for this; the other is `original_…` or `final_…`.

use super::directive::{self, Directive, Part, Request, header_name};
use super::layout::{FormatError, Piece, Quoting, ServerFormat, Shape};
use super::time_pieces::TimePieces;
use crate::definition::Unit;
use crate::record::Escape;

/// Understands the text of a `LogFormat`. Errors carry the byte range inside the text.
pub(super) fn format(text: &str) -> Result<ServerFormat, FormatError> {
    let mut format = ApacheFormat {
        format: ServerFormat::new(Quoting::Backslash, Escape::Apache),
        times: TimePieces::default(),
        asked: Vec::new(),
    };
    directive::split(text, |part| match part {
        Part::Text(text) => {
            format.format.literal(&plain_text(text));
            Ok(())
        }
        Part::Directive(directive) => format.directive(&directive),
    })?;
    format.name_durations();
    format.name_requests();
    format.name_hosts();
    format.times.finish(&mut format.format);
    Ok(format.format)
}

/// The format as far as it is understood.
struct ApacheFormat {
    format: ServerFormat,
    times: TimePieces,
    /// For each field so far, its position and the request it asks about.
    asked: Vec<(usize, Request, bool)>,
}

/// Text between directives, where `\t`, `\n`, `\r` and `\\` stand for one byte each.
fn plain_text(text: &str) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let escaped = match (byte, bytes.peek()) {
            (b'\\', Some(b't')) => Some(b'\t'),
            (b'\\', Some(b'n')) => Some(b'\n'),
            (b'\\', Some(b'r')) => Some(b'\r'),
            (b'\\', Some(b'\\')) => Some(b'\\'),
            _ => None,
        };
        plain.push(escaped.unwrap_or(byte));
        if escaped.is_some() {
            bytes.next();
        }
    }
    plain
}

impl ApacheFormat {
    fn directive(&mut self, directive: &Directive<'_>) -> Result<(), String> {
        let before = self.format.pieces.len();
        match (directive.letter, directive.argument) {
            ("%", None) => self.format.literal(b"%"),
            ("t", None) => {
                self.format.literal(b"[");
                self.format.field("time_local", Shape::Clf);
                self.format.literal(b"]");
            }
            ("t", Some(argument)) => self.times.add(&mut self.format, argument),
            ("q", None) => query(&mut self.format),
            ("D", None) => duration(&mut self.format, "request_time", Unit::Microseconds),
            ("T", None | Some("s")) => duration(&mut self.format, "request_time", Unit::Seconds),
            ("T", Some("ms")) => duration(&mut self.format, "request_time", Unit::Milliseconds),
            ("T", Some("us")) => duration(&mut self.format, "request_time", Unit::Microseconds),
            ("^FB", None) => duration(&mut self.format, "time_to_first_byte", Unit::Microseconds),
            (letter, Some(argument)) => {
                let (name, shape) = named(letter, argument).ok_or_else(|| unknown(directive))?;
                self.format.field(name, shape);
            }
            (letter, None) => {
                let (name, shape) = plain(letter).ok_or_else(|| unknown(directive))?;
                self.format.field(name, shape);
            }
        }
        if self.format.pieces.len() > before {
            let of_original = matches!(directive.letter, "s" | "U" | "T" | "D" | "r");
            let at = self.format.pieces.len() - 1;
            self.asked.push((at, directive.of, of_original));
        }
        Ok(())
    }

    /// Tells a field of the client's request from the same field of the one that was answered, where
    /// the format has both.
    fn name_requests(&mut self) {
        let field = |&(at, of, of_original): &(usize, Request, bool)| {
            let name = self.name(at)?.to_owned();
            let is_original = of == Request::Original || of == Request::Default && of_original;
            let keeps = is_original == (of_original && name != "status");
            Some((at, name, is_original, keeps))
        };
        let fields: Vec<_> = self.asked.iter().filter_map(field).collect();
        for (at, name, is_original, keeps) in &fields {
            let mut others = fields.iter().filter(|(_, other, ..)| other == name);
            if !keeps && others.any(|(_, _, original, _)| original != is_original) {
                let prefix = if *is_original { "original" } else { "final" };
                self.rename(*at, format!("{prefix}_{name}"));
            }
        }
    }

    /// `%h` may be a host's name: beside `%a` it is one.
    fn name_hosts(&mut self) {
        let places = |wanted: &str| -> Vec<usize> {
            let all = 0..self.format.pieces.len();
            all.filter(|at| self.name(*at) == Some(wanted)).collect()
        };
        if places("remote_addr").is_empty() {
            for at in places("remote_host") {
                self.rename(at, "remote_addr".to_owned());
            }
        }
    }

    /// Of two durations, as in `%T %D`, the finer is `request_time`.
    fn name_durations(&mut self) {
        let all = 0..self.format.pieces.len();
        let places: Vec<usize> = all
            .filter(|at| self.name(*at) == Some("request_time"))
            .collect();
        let units = self
            .format
            .units
            .iter()
            .filter(|(name, _)| name == "request_time");
        let units: Vec<Unit> = units.map(|(_, unit)| *unit).collect();
        let fineness = |unit: &Unit| {
            [Unit::Microseconds, Unit::Milliseconds]
                .iter()
                .position(|u| u == unit)
                .unwrap_or(2)
        };
        let Some(finest) = units.iter().min_by_key(|unit| fineness(unit)).copied() else {
            return;
        };
        self.format.units.retain(|(name, _)| name != "request_time");
        for (at, unit) in places.into_iter().zip(units) {
            if unit != finest {
                self.rename(at, "coarse_request_time".to_owned());
                self.format
                    .units
                    .push(("coarse_request_time".to_owned(), unit));
            }
        }
        self.format.units.push(("request_time".to_owned(), finest));
    }

    /// The name of the field that is the piece at `at`.
    fn name(&self, at: usize) -> Option<&str> {
        match self.format.pieces.get(at)? {
            Piece::Field { name, .. } => Some(name),
            Piece::Literal(_) | Piece::Captures { .. } => None,
        }
    }

    fn rename(&mut self, at: usize, to: String) {
        if let Some(Piece::Field { name, .. }) = self.format.pieces.get_mut(at) {
            let unit = self
                .format
                .units
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, unit)| *unit);
            self.format
                .units
                .extend(unit.map(|unit| (to.clone(), unit)));
            *name = to;
        }
    }
}

fn unknown(directive: &Directive<'_>) -> String {
    let Directive { letter, .. } = directive;
    match directive.argument {
        None => format!("mod_log_config knows no directive `%{letter}` of this form"),
        Some(argument) => {
            format!("mod_log_config knows no directive `%{{{argument}}}{letter}` of this form")
        }
    }
}

/// `%U%q` is a request's target; `%q` elsewhere is its query with the `?` before it.
pub(super) fn query(format: &mut ServerFormat) {
    match format.pieces.last_mut() {
        Some(Piece::Field { name, .. }) if name == "uri" => "request_uri".clone_into(name),
        _ => format.field("query_string", Shape::Text),
    }
}

pub(super) fn duration(format: &mut ServerFormat, name: &str, unit: Unit) {
    format.units.push((name.to_owned(), unit));
    format.field(name, Shape::Number);
}

/// A directive with something between braces.
fn named(letter: &str, argument: &str) -> Option<(String, Shape)> {
    let number = |name: &str| Some((name.to_owned(), Shape::Number));
    let token = |name: &str| Some((name.to_owned(), Shape::Token));
    let text = |name: String| Some((name, Shape::Text));
    match (letter, argument) {
        ("a", "c") => token("realip_remote_addr"),
        ("h", "c") => token("realip_remote_host"),
        ("p", "remote") => number("remote_port"),
        ("p", "canonical" | "local") => number("server_port"),
        ("P", "pid") => number("pid"),
        ("P", "tid") => number("tid"),
        ("P", "hextid") => token("tid"),
        ("L", "c") => token("connection_log_id"),
        ("i", header) => Some(header_field("http_", header)),
        ("o", header) => text(header_name("sent_http_", header)),
        ("^ti", header) => text(header_name("trailer_", header)),
        ("^to", header) => text(header_name("sent_trailer_", header)),
        // mod_ssl has its variables under `x`, and the older names for some of them under `c`.
        ("c", "version") => text("ssl_protocol".to_owned()),
        ("c", name) => text(header_name("ssl_", name)),
        ("x", name) => text(header_name("", name)),
        ("C", name) => text(format!("cookie_{name}")),
        ("e", name) => text(format!("env_{name}")),
        ("n", name) => text(format!("note_{name}")),
        _ => None,
    }
}

/// A request header; a list of addresses goes on behind the blanks after its commas.
pub(super) fn header_field(prefix: &str, header: &str) -> (String, Shape) {
    let name = header_name(prefix, header);
    let is_list = name == "http_x_forwarded_for";
    (name, if is_list { Shape::List } else { Shape::Text })
}

/// A directive that is one letter.
fn plain(letter: &str) -> Option<(&'static str, Shape)> {
    Some(match letter {
        "a" => ("remote_addr", Shape::Token),
        "h" => ("remote_host", Shape::Token),
        "A" => ("server_addr", Shape::Token),
        "l" => ("remote_ident", Shape::Token),
        "u" => ("remote_user", Shape::Text),
        "r" => ("request", Shape::Text),
        "s" => ("status", Shape::Number),
        "b" | "B" => ("body_bytes_sent", Shape::Number),
        "O" => ("bytes_sent", Shape::Number),
        "I" => ("request_length", Shape::Number),
        "S" => ("bytes_transferred", Shape::Number),
        "v" => ("server_name", Shape::Token),
        "V" => ("host", Shape::Token),
        "p" => ("server_port", Shape::Number),
        "m" => ("request_method", Shape::Token),
        "U" => ("uri", Shape::Text),
        "H" => ("server_protocol", Shape::Token),
        "f" => ("request_filename", Shape::Text),
        "k" => ("connection_requests", Shape::Number),
        "L" => ("log_id", Shape::Token),
        "P" => ("pid", Shape::Number),
        "R" => ("handler", Shape::Token),
        "X" | "c" => ("connection_status", Shape::Token),
        _ => return None,
    })
}
