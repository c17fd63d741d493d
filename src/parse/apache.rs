//! Apache's `LogFormat` text as pieces (mod_log_config, "Custom Log Formats").
//!
//! A directive becomes the field that nginx would call the same thing, with its unit where Apache
//! counts in microseconds. Status lists (`%!200,304{…}i`) and `<`/`>` only choose which request of
//! an internal redirect is meant; they do not change the name.

use super::layout::{FormatError, Piece, Quoting, ServerFormat, Shape};
use crate::definition::Unit;
use crate::record::Escape;

/// Understands the text of a `LogFormat`. Errors carry the byte range inside the text.
pub(super) fn format(text: &str) -> Result<ServerFormat, FormatError> {
    let mut format = ApacheFormat(ServerFormat::new(Quoting::Backslash, Escape::Apache));
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        format.text(before);
        let start = text.len() - after.len() - 1;
        let (directive, tail) = directive(after).ok_or_else(|| {
            let message = "a `%` must begin a directive such as `%h` or `%{Referer}i`";
            (start..start + 1, message.to_owned())
        })?;
        let end = text.len() - tail.len();
        format
            .directive(&directive)
            .map_err(|message| (start..end, message))?;
        rest = tail;
    }
    format.text(rest);
    Ok(format.0)
}

/// The format as far as it is understood.
struct ApacheFormat(ServerFormat);

struct Directive<'t> {
    argument: Option<&'t str>,
    letter: &'t str,
}

/// `%[modifiers]{argument}letter`, without its `%`. `^ti` and `^to` are letters of three.
fn directive(after: &str) -> Option<(Directive<'_>, &str)> {
    let modifiers = after
        .bytes()
        .position(|b| !matches!(b, b'<' | b'>' | b'!' | b',' | b'0'..=b'9'))?;
    let (_, mut rest) = after.split_at(modifiers);
    let mut argument = None;
    if let Some(braced) = rest.strip_prefix('{') {
        let (inside, tail) = braced.split_once('}')?;
        argument = Some(inside);
        rest = tail;
    }
    let length = if rest.starts_with("^t") { 3 } else { 1 };
    rest.is_char_boundary(length).then_some(())?;
    let (letter, tail) = rest.split_at_checked(length)?;
    Some((Directive { argument, letter }, tail))
}

impl ApacheFormat {
    /// Text between directives, where `\t`, `\n` and `\\` stand for one byte each.
    fn text(&mut self, text: &str) {
        let mut plain = Vec::with_capacity(text.len());
        let mut bytes = text.bytes().peekable();
        while let Some(byte) = bytes.next() {
            let escaped = match (byte, bytes.peek()) {
                (b'\\', Some(b't')) => Some(b'\t'),
                (b'\\', Some(b'n')) => Some(b'\n'),
                (b'\\', Some(b'\\')) => Some(b'\\'),
                _ => None,
            };
            plain.push(escaped.unwrap_or(byte));
            if escaped.is_some() {
                bytes.next();
            }
        }
        self.0.literal(&plain);
    }

    fn directive(&mut self, directive: &Directive<'_>) -> Result<(), String> {
        match (directive.letter, directive.argument) {
            ("%", None) => self.0.literal(b"%"),
            ("t", None) => {
                self.0.literal(b"[");
                self.0.field("time_local", Shape::Clf);
                self.0.literal(b"]");
            }
            ("t", Some(format)) => self.time(format)?,
            ("D", None) => self.duration(Unit::Microseconds),
            ("T", None | Some("s")) => self.duration(Unit::Seconds),
            ("T", Some("ms")) => self.duration(Unit::Milliseconds),
            ("T", Some("us")) => self.duration(Unit::Microseconds),
            ("i", Some(header)) => self.header("http_", header),
            ("o", Some(header)) => self.header("sent_http_", header),
            ("^ti", Some(header)) => self.header("trailer_", header),
            ("^to", Some(header)) => self.header("sent_trailer_", header),
            ("x", Some(name)) => self.0.field(name.to_ascii_lowercase(), Shape::Text),
            ("p", Some("remote")) => self.0.field("remote_port", Shape::Number),
            ("q", None) => self.query(),
            ("C", Some(name)) => self.0.field(format!("cookie_{name}"), Shape::Text),
            ("e", Some(name)) => self.0.field(format!("env_{name}"), Shape::Text),
            ("n", Some(name)) => self.0.field(format!("note_{name}"), Shape::Text),
            (letter, _) => {
                let (name, shape) = plain(letter).ok_or_else(|| {
                    format!("mod_log_config knows no directive `%{letter}` of this form")
                })?;
                self.0.field(name, shape);
            }
        }
        Ok(())
    }

    /// `%U%q` is a request's target; `%q` elsewhere is its query with the `?` before it.
    fn query(&mut self) {
        match self.0.pieces.last_mut() {
            Some(Piece::Field { name, .. }) if name == "uri" => {
                "request_uri".clone_into(name);
            }
            _ => self.0.field("query_string", Shape::Text),
        }
    }

    fn duration(&mut self, unit: Unit) {
        self.0.units.push(("request_time".to_owned(), unit));
        self.0.field("request_time", Shape::Number);
    }

    fn header(&mut self, prefix: &str, header: &str) {
        let name: String = header
            .chars()
            .map(|c| {
                if c == '-' {
                    '_'
                } else {
                    c.to_ascii_lowercase()
                }
            })
            .collect();
        let name = format!("{prefix}{name}");
        let shape = if name == "http_x_forwarded_for" {
            Shape::List
        } else {
            Shape::Text
        };
        self.0.field(name, shape);
    }

    /// `%{format}t`: sec, msec and usec count from the epoch, the rest is strftime.
    fn time(&mut self, format: &str) -> Result<(), String> {
        let format = format
            .strip_prefix("begin:")
            .or(format.strip_prefix("end:"))
            .unwrap_or(format);
        let epoch = matches!(format, "sec" | "msec" | "usec");
        if matches!(format, "msec_frac" | "usec_frac") || self.0.time_format.is_some() {
            return Err(
                "a time in several `%{…}t` pieces is not supported by this version".to_owned(),
            );
        }
        self.0.time_format = Some(if epoch {
            "epoch".to_owned()
        } else {
            format.to_owned()
        });
        self.0
            .field("time", if epoch { Shape::Number } else { Shape::Text });
        Ok(())
    }
}

fn plain(letter: &str) -> Option<(&'static str, Shape)> {
    Some(match letter {
        "h" | "a" => ("remote_addr", Shape::Token),
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
        "X" => ("connection_status", Shape::Token),
        _ => return None,
    })
}
