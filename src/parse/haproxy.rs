//! HAProxy's `log-format` text as pieces (HAProxy configuration manual, section 8.2.6).
//!
//! An alias becomes the field that nginx would call the same thing, `%[…]` one named after its
//! fetch. HAProxy drops blanks at the beginning of a line and writes several as one.
//!
//! What an alias writes of a client is escaped as `#HH`, so a quote or a brace ends it. Not so
//! cookies and what `%[…]` writes: these are read from both ends, unless `+E` puts backslashes in.

mod fetch;

use super::layout::{FormatError, Piece, Quoting, ServerFormat, Shape};
use super::time::HAPROXY_DATE;
use crate::definition::Unit;
use crate::record::Escape;

/// Understands the text. Errors carry the byte range inside it.
pub(super) fn format(text: &str) -> Result<ServerFormat, FormatError> {
    let mut format = HaproxyFormat {
        format: ServerFormat::new(Quoting::Never, Escape::Haproxy),
        usual: Flags::default(),
        captures: captures(text),
        has_active_time: text.contains("%Ta"),
        has_request_date: text.contains("%tr"),
    };
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        format.text(before);
        let start = text.len() - after.len() - 1;
        let (item, tail) = item(after).ok_or_else(|| {
            let message = "a `%` must begin an item such as `%ci`, `%{+Q}r` or `%[src]`";
            (start..start + 1, message.to_owned())
        })?;
        let end = text.len() - tail.len();
        format
            .item(&item)
            .map_err(|message| (start..end, message))?;
        rest = tail;
    }
    format.text(rest);
    Ok(format.format)
}

/// The format as far as it is understood.
struct HaproxyFormat<'t> {
    format: ServerFormat,
    /// The flags that `%{…}o` set for all items behind it.
    usual: Flags,
    /// The captured request headers by their number, as `%{…}hr` names them.
    captures: [Vec<&'t str>; 2],
    has_active_time: bool,
    has_request_date: bool,
}

/// The flags of `%{+Q,-X}…` that change what is written.
#[derive(Clone, Copy, Default)]
struct Flags {
    quote: bool,
    hexadecimal: bool,
    escape: bool,
}

/// `%(name){flags}what`, without its `%`.
struct Item<'t> {
    name: Option<&'t str>,
    flags: &'t str,
    what: What<'t>,
}

enum What<'t> {
    Percent,
    Alias(&'t str),
    Expression(&'t str),
}

fn item(after: &str) -> Option<(Item<'_>, &str)> {
    let mut rest = after;
    let (mut name, mut flags) = (None, "");
    if let Some(named) = rest.strip_prefix('(') {
        let (inside, tail) = named.split_once(')')?;
        // A type behind a colon matters to the encodings only.
        name = Some(inside.split_once(':').map_or(inside, |(name, _)| name));
        rest = tail;
    }
    if let Some(braced) = rest.strip_prefix('{') {
        (flags, rest) = braced.split_once('}')?;
    }
    let (what, tail) = if let Some(tail) = rest.strip_prefix('%') {
        (What::Percent, tail)
    } else if let Some(expression) = rest.strip_prefix('[') {
        let (inside, tail) = expression.split_at_checked(fetch::length(expression)?)?;
        (What::Expression(inside), tail.strip_prefix(']')?)
    } else {
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (alias, tail) = rest.split_at_checked(letters)?;
        (What::Alias((!alias.is_empty()).then_some(alias)?), tail)
    };
    Some((Item { name, flags, what }, tail))
}

/// The names in `%{…}hr` and `%{…}hs`, wherever they stand.
fn captures(text: &str) -> [Vec<&str>; 2] {
    ["hr", "hs"].map(|alias| {
        let mut items = text.split('%').filter_map(item);
        let named = items.find_map(|(item, _)| match item.what {
            What::Alias(found) if found == alias => Some(item.flags),
            _ => None,
        });
        capture_names(named.unwrap_or_default()).collect()
    })
}

/// Names of captured headers between flags: `X-CDN-Provider|User-Agent`.
fn capture_names(flags: &str) -> impl Iterator<Item = &str> {
    let is_name = |part: &&str| !part.starts_with(['+', '-']) && !part.is_empty();
    let named = flags.split(',').rfind(is_name);
    named.into_iter().flat_map(|names| names.split('|'))
}

impl HaproxyFormat<'_> {
    /// Text between items: blanks that follow one another are one, and none begin the line.
    fn text(&mut self, text: &str) {
        for byte in text.bytes() {
            let after_blank = match self.format.pieces.last() {
                None => true,
                Some(Piece::Literal(text)) => text.last() == Some(&b' '),
                Some(_) => false,
            };
            if byte != b' ' || !after_blank {
                self.format.literal(&[byte]);
            }
        }
    }

    fn item(&mut self, item: &Item<'_>) -> Result<(), String> {
        let flags = self.usual.with(item.flags)?;
        match item.what {
            What::Percent => self.format.literal(b"%"),
            What::Alias("o") => self.usual = flags,
            What::Alias(alias) => self.alias(alias, flags, item.flags)?,
            What::Expression(expression) => self.expression(expression, item.name, flags),
        }
        Ok(())
    }

    fn alias(&mut self, alias: &str, flags: Flags, written: &str) -> Result<(), String> {
        match alias {
            "hr" => self.captured("captured_request_headers", "http_", flags, written),
            "hs" => self.captured("captured_response_headers", "sent_http_", flags, written),
            // Each value has quotes of its own, and nobody says how many there are.
            "hrl" => self.format.field("captured_request_headers", Shape::Open),
            "hsl" => self.format.field("captured_response_headers", Shape::Open),
            "t" | "tr" => self.date(alias),
            "T" | "Tl" | "trg" | "trl" => self.format.field("time_local", Shape::Clf),
            "Ts" if flags.hexadecimal => self.format.field("timestamp_hex", Shape::Token),
            "Ts" => self.format.field("msec", Shape::Token),
            "ms" => self.milliseconds(),
            "HQ" => self.query(),
            _ => self.plain(alias, flags)?,
        }
        Ok(())
    }

    fn plain(&mut self, alias: &str, flags: Flags) -> Result<(), String> {
        let (mut name, shape, kind) = plain(alias)
            .ok_or_else(|| format!("HAProxy knows no `%{alias}`; `%%` is a percent sign"))?;
        if alias == "Tt" && self.has_active_time {
            name = "session_time";
        }
        match kind {
            Kind::Number if flags.hexadecimal => {
                self.format.field(format!("{name}_hex"), Shape::Token);
            }
            Kind::Number => self.format.field(name, shape),
            Kind::Duration => {
                let unit = (name.to_owned(), Unit::Milliseconds);
                self.format.units.push(unit);
                self.format.field(name, shape);
            }
            Kind::Address if flags.hexadecimal => {
                self.format.field(format!("{name}_hex"), Shape::Token);
            }
            Kind::Text | Kind::Address => {
                let escape = flags.escape.then_some(Escape::HaproxyEscaped);
                self.value(name, shape, flags, escape);
            }
            Kind::Raw => {
                let escape = if flags.escape {
                    Escape::Backslash
                } else {
                    Escape::None
                };
                self.value(name, shape, flags, Some(escape));
            }
        }
        Ok(())
    }

    /// A text, in quotes if it is to be.
    fn value(&mut self, name: &str, shape: Shape, flags: Flags, escape: Option<Escape>) {
        if let Some(escape) = escape.filter(|_| !self.format.has(name)) {
            self.format.escapes.push((name.to_owned(), escape));
        }
        let ends_quoted =
            |piece: &Piece| matches!(piece, Piece::Literal(text) if text.ends_with(b"\""));
        let in_quotes = flags.quote || self.format.pieces.last().is_some_and(ends_quoted);
        let shape = match (shape, escape) {
            // A quote in front is taken for a pair. Should there be no second, no line will fit.
            (Shape::Open | Shape::Cookie, Some(Escape::Backslash)) if in_quotes => Shape::Escaped,
            (Shape::Cookie, _) if in_quotes => Shape::Open,
            (Shape::Open, Some(Escape::HaproxyEscaped) | None) if in_quotes => Shape::Text,
            (shape, _) => shape,
        };
        if flags.quote {
            self.format.literal(b"\"");
        }
        self.format.field(name, shape);
        if flags.quote {
            self.format.literal(b"\"");
        }
    }

    fn expression(&mut self, expression: &str, name: Option<&str>, flags: Flags) {
        let (own, shape) = fetch::field(expression, &self.captures);
        let name = name.map_or(own, super::layout::plain_name);
        let escape = if flags.escape {
            Escape::Backslash
        } else {
            Escape::None
        };
        self.value(&name, shape, flags, Some(escape));
    }

    /// `{a|b}`. The names of the parts stand among the flags.
    fn captured(&mut self, whole: &str, prefix: &str, flags: Flags, written: &str) {
        if flags.quote {
            self.format.literal(b"\"");
        }
        let parts = capture_names(written).map(|name| fetch::captured(prefix, name));
        let piece = Piece::Captures {
            whole: whole.to_owned(),
            parts: parts.collect(),
        };
        self.format.pieces.push(piece);
        if flags.quote {
            self.format.literal(b"\"");
        }
    }

    /// The date of the request is the time of the line, that of the connection in its absence.
    fn date(&mut self, alias: &str) {
        let is_time = alias == "tr" || !self.has_request_date;
        self.format.time_format = Some(HAPROXY_DATE.to_owned());
        let name = if is_time { "time" } else { "accept_time" };
        self.format.field(name, Shape::Token);
    }

    /// Behind `%Ts.` the milliseconds belong to the second before.
    fn milliseconds(&mut self) {
        if let [.., Piece::Field { name, .. }, Piece::Literal(dot)] = self.format.pieces.as_slice()
            && name == "msec"
            && dot == b"."
        {
            self.format.pieces.pop();
        } else {
            self.format.field("accept_milliseconds", Shape::Number);
        }
    }

    /// `%HP%HQ` is a request's target; `%HQ` elsewhere is its query with the `?` before it.
    fn query(&mut self) {
        match self.format.pieces.last_mut() {
            Some(Piece::Field { name, .. }) if name == "uri" => "request_uri".clone_into(name),
            _ => self.format.field("query_string", Shape::Text),
        }
    }
}

impl Flags {
    /// These flags with those of an item; names of captured headers stand among them, too.
    fn with(mut self, flags: &str) -> Result<Flags, String> {
        for flag in flags.split(',') {
            match flag.trim() {
                "+Q" => self.quote = true,
                "-Q" => self.quote = false,
                "+X" => self.hexadecimal = true,
                "-X" => self.hexadecimal = false,
                "+E" => self.escape = true,
                "-E" => self.escape = false,
                "+json" => {
                    return Err("`+json` writes objects: describe them by `format.json`".to_owned());
                }
                "+cbor" | "+bin" => return Err(format!("`{flag}` does not write text")),
                _ => {}
            }
        }
        Ok(self)
    }
}

/// What flags do to an alias.
#[derive(Clone, Copy)]
enum Kind {
    /// No quotes; hexadecimal with `+X`.
    Number,
    /// A number of milliseconds.
    Duration,
    /// Quotes with `+Q`; hexadecimal with `+X`.
    Address,
    /// Quotes with `+Q`; escaped.
    Text,
    /// Quotes with `+Q`; written as it came.
    Raw,
}

/// Name, shape and kind of an alias. The capital letters of version 1.4 stand beside today's.
fn plain(alias: &str) -> Option<(&'static str, Shape, Kind)> {
    timer(alias)
        .map(|name| (name, Shape::Signed, Kind::Duration))
        .or_else(|| number(alias).map(|name| (name, Shape::Signed, Kind::Number)))
        .or_else(|| text(alias))
}

fn timer(alias: &str) -> Option<&'static str> {
    Some(match alias {
        "Ta" | "Tt" => "request_time",
        "TR" => "request_receive_time",
        "Tw" => "queue_time",
        "Tc" => "upstream_connect_time",
        "Tr" => "upstream_header_time",
        "Td" => "response_transfer_time",
        "Th" => "handshake_time",
        "Ti" => "idle_time",
        "Tq" => "request_wait_time",
        "Tu" => "user_time",
        _ => return None,
    })
}

fn number(alias: &str) -> Option<&'static str> {
    Some(match alias {
        "ST" | "st" => "status",
        "B" => "bytes_sent",
        "U" => "request_length",
        "cp" | "Cp" => "remote_port",
        "fp" | "Fp" => "server_port",
        "bp" | "Bp" => "upstream_local_port",
        "sp" | "Sp" => "upstream_port",
        "ac" => "actconn",
        "fc" => "feconn",
        "bc" => "beconn",
        "sc" => "srv_conn",
        "rc" => "retries",
        "sq" => "srv_queue",
        "bq" => "backend_queue",
        "lc" => "log_counter",
        "rt" => "request_counter",
        "pid" => "pid",
        _ => return None,
    })
}

fn text(alias: &str) -> Option<(&'static str, Shape, Kind)> {
    Some(match alias {
        "ci" | "Ci" => ("remote_addr", Shape::Address, Kind::Address),
        "fi" | "Fi" => ("server_addr", Shape::Address, Kind::Address),
        "bi" | "Bi" => ("upstream_local_addr", Shape::Address, Kind::Address),
        "si" | "Si" => ("upstream_addr", Shape::Address, Kind::Address),
        "f" | "ft" => ("frontend_name", Shape::Token, Kind::Text),
        "b" => ("backend_name", Shape::Token, Kind::Text),
        "s" => ("backend_server", Shape::Token, Kind::Text),
        "r" => ("request", Shape::Open, Kind::Text),
        "HM" => ("request_method", Shape::Token, Kind::Text),
        "HP" | "HPO" => ("uri", Shape::Token, Kind::Text),
        "HU" => ("request_uri", Shape::Token, Kind::Text),
        "HV" => ("server_protocol", Shape::Token, Kind::Text),
        "CC" | "cc" => ("captured_request_cookie", Shape::Cookie, Kind::Raw),
        "CS" | "cs" => ("captured_response_cookie", Shape::Cookie, Kind::Raw),
        "ID" => ("request_id", Shape::Token, Kind::Text),
        "H" => ("hostname", Shape::Token, Kind::Text),
        "sslc" => ("ssl_cipher", Shape::Token, Kind::Text),
        "sslv" => ("ssl_protocol", Shape::Token, Kind::Text),
        "ts" | "tsc" => ("termination_state", Shape::Token, Kind::Number),
        _ => return None,
    })
}
