//! The text behind `varnishncsa -F` as pieces (varnishncsa(1), "Format").
//!
//! The spelling of directives and the escapes in values are Apache's (checked with 7.1: `\"`, `\\`,
//! `\n`, `\xHH`). In the text itself a backslash makes `n` and `t` what they are in C and leaves any
//! other character as it is; there is no `%%`. `%r` holds an absolute URL; what Varnish knows beyond
//! Apache stands in `%{…}x`. Whether a cache was hit is told twice: `Varnish:handling` knows more
//! words (`hit`, `miss`, `pass`, `pipe`, `synth`) than `Varnish:hitmiss` and wins where both stand.

use super::apache::{duration, header_field, query};
use super::directive::{self, Directive, Part, header_name};
use super::layout::{FormatError, Piece, Quoting, ServerFormat, Shape};
use super::time_pieces::TimePieces;
use crate::definition::Unit;
use crate::record::Escape;

/// What varnishncsa writes without `-F`.
const DEFAULT: &str = r#"%h %l %u %t "%r" %s %b "%{Referer}i" "%{User-agent}i""#;

/// Understands the text. Errors carry the byte range inside it.
pub(super) fn format(text: &str) -> Result<ServerFormat, FormatError> {
    let mut format = ServerFormat::new(Quoting::Backslash, Escape::Apache);
    let mut times = TimePieces::default();
    directive::split(text, |part| take(part, &mut format, &mut times))?;
    times.finish(&mut format);
    name_cache_word(&mut format.pieces);
    Ok(format)
}

fn take(part: Part<'_>, format: &mut ServerFormat, times: &mut TimePieces) -> Result<(), String> {
    let directive = match part {
        Part::Text(text) => {
            format.literal(plain_text(text).as_bytes());
            return Ok(());
        }
        Part::Directive(directive) => directive,
    };
    match (directive.letter, directive.argument) {
        ("t", None) => {
            format.literal(b"[");
            format.field("time_local", Shape::Clf);
            format.literal(b"]");
        }
        ("t", Some(argument)) => times.add(format, argument),
        ("q", None) => query(format),
        ("D", None) | ("T", Some("us")) => duration(format, "request_time", Unit::Microseconds),
        ("T", Some("ms")) => duration(format, "request_time", Unit::Milliseconds),
        ("T", None | Some("s")) => duration(format, "request_time", Unit::Seconds),
        ("x", Some("Varnish:default_format")) => {
            let inside = |part: Part<'_>| take(part, format, times);
            directive::split(DEFAULT, inside).map_err(|(_, message)| message)?;
        }
        _ => {
            let (name, shape) = named(&directive).ok_or_else(|| unknown(&directive))?;
            format.field(name, shape);
        }
    }
    Ok(())
}

/// Text between directives: `\n` and `\t` stand for one byte, another backslash for nothing.
fn plain_text(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let is_escape = letter == '\\';
        plain.push(
            match (is_escape, if is_escape { letters.next() } else { None }) {
                (true, Some('n')) => '\n',
                (true, Some('t')) => '\t',
                (true, Some(other)) => other,
                _ => letter,
            },
        );
    }
    plain
}

fn unknown(directive: &Directive<'_>) -> String {
    let Directive { letter, .. } = directive;
    match directive.argument {
        None => format!("varnishncsa knows no directive `%{letter}` of this form"),
        Some(argument) => {
            format!("varnishncsa knows no directive `%{{{argument}}}{letter}` of this form")
        }
    }
}

fn named(directive: &Directive<'_>) -> Option<(String, Shape)> {
    let (name, shape) = match (directive.letter, directive.argument) {
        ("i", Some(header)) => return Some(header_field("http_", header)),
        ("o", Some(header)) => return Some((header_name("sent_http_", header), Shape::Text)),
        ("x", Some(argument)) => return extended(argument),
        ("b", None) => ("body_bytes_sent", Shape::Number),
        ("H", None) => ("server_protocol", Shape::Token),
        ("h", None) => ("remote_addr", Shape::Token),
        ("I", None) => ("request_length", Shape::Number),
        ("l", None) => ("remote_ident", Shape::Token),
        ("m", None) => ("request_method", Shape::Token),
        ("O", None) => ("bytes_sent", Shape::Number),
        ("r", None) => ("request", Shape::Text),
        ("s", None) => ("status", Shape::Number),
        ("U", None) => ("uri", Shape::Text),
        ("u", None) => ("remote_user", Shape::Text),
        _ => return None,
    };
    Some((name.to_owned(), shape))
}

/// `%{…}x`: what Varnish says of the request, a key logged by `std.log` in VCL, or any record of its
/// shared log.
fn extended(argument: &str) -> Option<(String, Shape)> {
    let (name, shape) = match argument.split_once(':')? {
        ("Varnish", "time_firstbyte") => ("time_to_first_byte", Shape::Token),
        ("Varnish", "hitmiss") => ("varnish_hitmiss", Shape::Token),
        ("Varnish", "handling") => ("varnish_handling", Shape::Token),
        ("Varnish", "side") => ("varnish_side", Shape::Token),
        ("Varnish", "vxid") => ("request_id", Shape::Token),
        ("VCL_Log", key) => return Some((field_name("vcl_log", key), Shape::Text)),
        ("VSL", record) => return Some((field_name("vsl", record), Shape::Text)),
        _ => return None,
    };
    Some((name.to_owned(), shape))
}

/// `Timestamp:Resp[2]` as `vsl_timestamp_resp_2`.
fn field_name(prefix: &str, key: &str) -> String {
    let words = key.split(|letter: char| !letter.is_ascii_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    words.fold(prefix.to_owned(), |name, word| {
        format!("{name}_{}", word.to_ascii_lowercase())
    })
}

/// The better of the two words on the cache gets nginx's name for it.
fn name_cache_word(pieces: &mut [Piece]) {
    for wanted in ["varnish_handling", "varnish_hitmiss"] {
        let mut names = pieces.iter_mut().flat_map(Piece::names_mut);
        if let Some(name) = names.find(|name| *name == wanted) {
            "upstream_cache_status".clone_into(name);
            return;
        }
    }
}
