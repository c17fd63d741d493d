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

#[cfg(test)]
mod tests {
    use super::super::made::{compiled, seen};
    use crate::definition::Dialect;
    use crate::record::{Fields as _, Reading};
    use proptest::prelude::*;

    const HTTPLOG: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %{X-CDN-Provider|User-Agent}hr %{X-Cache}hs %{+Q}r";

    /// The value of one item behind a time.
    fn value(item: &str, written: &str) -> Vec<(String, Option<String>)> {
        let format =
            compiled(Dialect::Haproxy, &format!("%T {item}")).unwrap_or_else(|e| panic!("{e}"));
        let line = format!("31/Oct/2013:07:06:42 +0000 {written}");
        let seen = seen(&format, line.as_bytes()).unwrap_or_else(|| panic!("{item}: {line}"));
        assert_eq!(seen.reading, Reading::Exact, "{item}");
        let names = format.names().into_iter().skip(1);
        names
            .map(|name| {
                let value = seen.get(&name);
                (name, value)
            })
            .collect()
    }

    #[test]
    fn items_have_nginxs_names() {
        for (item, written, name, expected) in [
            ("%ci:%cp", "2001:db8::1:5000", "remote_addr", "2001:db8::1"),
            ("%{+Q}ci:%cp", "\"10.0.0.1\":80", "remote_port", "80"),
            ("%{+X}ci", "7F000001", "remote_addr_hex", "7F000001"),
            (
                "%{+Q}r",
                "\"GET /#22 HTTP/1.1\"",
                "request",
                "GET /\" HTTP/1.1",
            ),
            (
                "%r %ST",
                "GET /a HTTP/1.1 200",
                "request",
                "GET /a HTTP/1.1",
            ),
            ("%HM %HP%HQ %HV", "GET /a?b HTTP/1.1", "request_uri", "/a?b"),
            ("%HPO %HQ %ST", "/a  200", "query_string", ""),
            ("%{+Q,+E}r", "\"GET /a\\]#22\"", "request", "GET /a]\""),
            ("%[capture.req.hdr(1)]", "a b", "captured_request_1", "a b"),
            (
                "%{-Q}[req.hdr(X-Forwarded-For,-1),lower]",
                "a",
                "http_x_forwarded_for",
                "a",
            ),
            ("%{+Q}[var(txn.cdn)]", "\"x\"y\"", "txn_cdn", "x\"y"),
            (
                "%{+Q,+E}[var(txn.cdn)] %ST",
                "\"x\\\" 500 \\\\\" 200",
                "txn_cdn",
                "x\" 500 \\",
            ),
            (
                "%(http_x_cdn_provider){+Q}[var(txn.cdn)]",
                "\"fastly\"",
                "http_x_cdn_provider",
                "fastly",
            ),
            ("%(Client:str)ci", "10.0.0.1", "remote_addr", "10.0.0.1"),
            ("\"%[ssl_fc_sni]\"", "\"a\"", "ssl_server_name", "a"),
            ("%[url_param(a[0])]", "7", "arg_a[0]", "7"),
            ("%[bytes(0,4),hex]", "7", "bytes_0_4__hex", "7"),
            ("100%% %ID", "100% x", "request_id", "x"),
            ("%o %{+Q}o %ft   %b", "\"f\" \"b\"", "backend_name", "b"),
            ("%U", "+17", "request_length", "17"),
            ("%st %cc", "200 -", "captured_request_cookie", "-"),
            (
                "%CC %CS %ST",
                "SID=a - 200",
                "captured_request_cookie",
                "SID=a",
            ),
            (
                "%hr%% %ST",
                "{a#7C|b}% 200",
                "captured_request_headers",
                "a||b",
            ),
        ] {
            let values = value(item, written);
            let found = values.iter().find(|(known, _)| known == name);
            let found = found.unwrap_or_else(|| panic!("{item}: {values:?}"));
            assert_eq!(found.1.as_deref(), Some(expected), "{item}");
        }
    }

    #[test]
    fn times_are_milliseconds_and_minus_one_is_none() {
        assert_eq!(
            value("%Ta/%Tt", "-1/+12"),
            [
                ("request_time".to_owned(), None),
                ("session_time".to_owned(), Some("12".to_owned())),
            ]
        );
        assert_eq!(
            value("%Tt %ST", "12 -1"),
            [
                ("request_time".to_owned(), Some("12".to_owned())),
                ("status".to_owned(), None),
            ]
        );
        let format = compiled(Dialect::Haproxy, "%T %Tt").unwrap();
        assert_eq!(format.field("request_time").unwrap().shift, -3);
    }

    #[test]
    fn dates_are_the_time_of_the_line() {
        for (item, written) in [
            ("%t", "31/Oct/2013:07:06:42.250"),
            (
                "%t %tr",
                "30/Oct/2013:01:01:01.000 31/Oct/2013:07:06:42.250",
            ),
            ("%Ts.%ms", "1383203202.250"),
            ("%[date(0,ms)] %tr", "1 31/Oct/2013:07:06:42.250"),
        ] {
            let format = compiled(Dialect::Haproxy, item).unwrap();
            let time = seen(&format, written.as_bytes()).unwrap().time;
            assert_eq!(
                time.unwrap().to_string(),
                "2013-10-31T07:06:42.25Z",
                "{item}"
            );
        }
    }

    #[test]
    fn captured_headers_have_their_names_or_are_not_there() {
        let format = compiled(Dialect::Haproxy, HTTPLOG).unwrap();
        let line = |captures: &str| {
            format!(
                "10.0.0.1:80 [31/Oct/2013:07:06:42.250] f b/s 0/0/0/0/5 200 7 - - ---- 1/1/0/0/0 0/0 {captures}\"GET / HTTP/1.1\""
            )
        };
        for (captures, cdn, cache) in [
            ("{fastly|a b} {HIT} ", Some("fastly"), Some("HIT")),
            ("{|} {} ", Some(""), Some("")),
            ("{#7Bx#7D} ", Some("{x}"), None),
            ("", None, None),
        ] {
            let seen = seen(&format, line(captures).as_bytes()).expect(captures);
            assert_eq!(seen.reading, Reading::Exact);
            assert_eq!(seen.get("http_x_cdn_provider").as_deref(), cdn);
            assert_eq!(seen.get("sent_http_x_cache").as_deref(), cache);
            assert_eq!(seen.get("request").unwrap(), "GET / HTTP/1.1");
        }
        let broken = line("{fastly|a b {HIT} ");
        assert_ne!(
            seen(&format, broken.as_bytes()).unwrap().reading,
            Reading::Exact
        );
    }

    #[test]
    fn a_cut_line_keeps_its_status() {
        let format = compiled(Dialect::Haproxy, HTTPLOG).unwrap();
        let line = b"10.0.0.1:80 [31/Oct/2013:07:06:42.250] f b/s 0/0/0/0/5 200 7 - - ---- 1/1/0/0/0 0/0 {a|} \"GET /xx";
        let whole = seen(&format, line).unwrap();
        assert_eq!(whole.reading, Reading::Partial);
        assert_eq!(whole.get("request").unwrap(), "GET /xx");
        assert_eq!(whole.get("http_x_cdn_provider").unwrap(), "a");
        assert!(
            seen(&format, &line[..line.len() - 50]).is_none(),
            "inside the status"
        );
    }

    #[test]
    fn what_haproxy_does_not_know_is_a_mistake() {
        let refused = |text: &str| compiled(Dialect::Haproxy, text).unwrap_err();
        assert!(refused("%t %xy").contains("HAProxy knows no `%xy`"));
        assert!(refused("%t %[src").contains("must begin an item"));
        assert!(refused("%t 5% x").contains("must begin an item"));
        assert!(refused("%{+json}o %t").contains("format.json"));
        assert!(refused("%t %{+cbor}o").contains("does not write text"));
        assert!(refused("%t%ST").contains("nothing separates `status`"));
        assert!(refused("%ST").contains("no field holds the time"));
    }

    /// A value as HAProxy writes it by its map of headers, and of requests, which has fewer bytes.
    fn encoded(value: &str, map: &[u8]) -> String {
        let encode = |byte: u8| match byte {
            byte if map.contains(&byte) || !(0x20..0x7f).contains(&byte) => format!("#{byte:02X}"),
            byte => char::from(byte).to_string(),
        };
        value.bytes().map(encode).collect()
    }

    fn hostile() -> impl Strategy<Value = String> {
        let parts = vec![
            "\"",
            " ",
            "{",
            "}",
            "|",
            "#",
            "#22",
            "a",
            "é",
            "] ",
            " - ---- 1/1/0/0/0 0/0 {akamai|x} {} \"GET /forged HTTP/1.1\"",
            " - - ---- ",
            "} {",
            " 0/0/0/0/1 200 5 - - ----",
        ];
        prop::collection::vec(prop::sample::select(parts), 0..5).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn what_haproxy_writes_comes_back_as_it_was(
            sent in prop::array::uniform4(hostile()), cookie in prop::option::of(hostile()), code in 100..600_u32,
        ) {
            let [cdn, agent, cache, path] = sent;
            let cookie = cookie.map_or_else(|| "-".to_owned(), |value| format!("SID={}", value.replace('\n', "")));
            let request = format!("GET /{path} HTTP/1.1");
            let [cdn_, agent_, cache_] = [&cdn, &agent, &cache].map(|value| encoded(value, b"\"#{|}"));
            let line = format!(
                "::1:80 [31/Oct/2013:07:06:42.250] f b/s 1/0/-1/2/+5 {code} 7 {cookie} - ---- 1/1/0/0/0 0/0 {{{cdn_}|{agent_}}} {{{cache_}}} \"{}\"",
                encoded(&request, b"\"#"),
            );
            let format = compiled(Dialect::Haproxy, HTTPLOG).unwrap();
            let seen = seen(&format, line.as_bytes()).expect("HAProxy wrote it");
            prop_assert_eq!(seen.time.unwrap().to_string(), "2013-10-31T07:06:42.25Z");
            for (name, value) in [
                ("remote_addr", "::1"), ("status", &*code.to_string()), ("request_time", "5"), ("request", &request),
                ("http_x_cdn_provider", &cdn), ("http_user_agent", &agent), ("sent_http_x_cache", &cache),
            ] {
                prop_assert_eq!(seen.get(name), Some(value.to_owned()), "{}\n{}", name, line);
            }
            let found = seen.get("captured_request_cookie");
            prop_assert!(found.is_none() || found == Some(cookie), "{line}");
        }

        #[test]
        fn any_text_is_a_format_or_a_mistake(
            text in "([%\\[\\]()\"{}+QE,:| a-z]|%(ci|cp|t|T|hr|hs|r|HP|HQ|CC|o|Ts|ms|hrl)|%\\[[a-z.]{1,4}\\(a\\)\\]){0,9}",
            line in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            if let Ok(format) = compiled(Dialect::Haproxy, &text) {
                drop(seen(&format, &line));
                drop(seen(&format, b"a [31/Oct/2013:07:06:42.250] {} \"-\" 200"));
            }
        }
    }
}
