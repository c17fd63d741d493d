//! `%[…]`: the field that a sample expression stands for (configuration manual, section 7.3).
//!
//! The fetch names it; converters behind it are not looked at. What HAProxy itself makes is a word,
//! what a client sent may be anything.

use super::super::layout::{Shape, plain_name};

/// Bytes up to the `]` that ends an expression: one inside parentheses is its argument's.
pub(super) fn length(expression: &str) -> Option<usize> {
    let mut depth = 0_usize;
    expression.bytes().position(|byte| {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        byte == b']' && depth == 0
    })
}

/// Name and shape of an expression's field; `captures` are the captured headers by their number,
/// of requests and of responses.
pub(super) fn field(expression: &str, captures: &[Vec<&str>; 2]) -> (String, Shape) {
    let (fetch, argument) = parts(expression);
    if let Some((name, shape)) = own(fetch) {
        return (name.to_owned(), shape);
    }
    let name = match (fetch, argument) {
        (_, "") => plain_name(fetch),
        ("capture.req.hdr", number) => nth(&captures[0], number, "http_", "captured_request_"),
        ("capture.res.hdr", number) => {
            nth(&captures[1], number, "sent_http_", "captured_response_")
        }
        ("req.hdr" | "req.fhdr" | "hdr" | "fhdr", name) => header("http_", name),
        ("res.hdr" | "res.fhdr" | "shdr", name) => header("sent_http_", name),
        ("req.cook" | "cook" | "cookie", name) => format!("cookie_{}", first(name)),
        ("res.cook" | "scook", name) => format!("sent_cookie_{}", first(name)),
        ("url_param" | "urlp", name) => format!("arg_{}", first(name)),
        ("env", name) => format!("env_{name}"),
        ("var", name) => plain_name(first(name)),
        _ => plain_name(expression).trim_matches('_').to_owned(),
    };
    (name, Shape::Open)
}

/// The field of a captured header: that of its name, or of the expression that was captured.
pub(super) fn captured(prefix: &str, name: &str) -> String {
    if name.contains(['(', '.']) {
        field(name, &Default::default()).0
    } else {
        header(prefix, name)
    }
}

/// Fetch and argument of the first step of an expression.
fn parts(expression: &str) -> (&str, &str) {
    let end = expression.find(['(', ',']).unwrap_or(expression.len());
    let (fetch, rest) = expression.split_at_checked(end).unwrap_or((expression, ""));
    let argument = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    (fetch.trim(), argument.map_or("", |(argument, _)| argument))
}

fn first(arguments: &str) -> &str {
    arguments.split(',').next().unwrap_or_default().trim()
}

/// `x-forwarded-for,-1` is the last of several; it is the header all the same.
fn header(prefix: &str, arguments: &str) -> String {
    format!("{prefix}{}", plain_name(first(arguments)))
}

fn nth(names: &[&str], number: &str, prefix: &str, unnamed: &str) -> String {
    let name = number.parse::<usize>().ok().and_then(|n| names.get(n));
    match name {
        Some(name) => captured(prefix, name),
        None => format!("{unnamed}{}", plain_name(number)),
    }
}

/// Fetches that HAProxy makes itself, and the field of each.
const WORDS: [(&str, &str); 22] = [
    ("src", "remote_addr"),
    ("src_port", "remote_port"),
    ("dst", "server_addr"),
    ("dst_port", "server_port"),
    ("method", "request_method"),
    ("capture.req.method", "request_method"),
    ("capture.req.ver", "server_protocol"),
    ("unique-id", "request_id"),
    ("uuid", "request_id"),
    ("date", "date"),
    ("fe_name", "frontend_name"),
    ("be_name", "backend_name"),
    ("srv_name", "backend_server"),
    ("hostname", "hostname"),
    ("ssl_fc", "ssl_fc"),
    ("ssl_fc_protocol", "ssl_protocol"),
    ("ssl_fc_cipher", "ssl_cipher"),
    ("ssl_fc_err", "ssl_fc_err"),
    ("ssl_fc_is_resumed", "ssl_fc_is_resumed"),
    ("ssl_c_err", "ssl_c_err"),
    ("ssl_c_ca_err", "ssl_c_ca_err"),
    ("fc_err", "fc_err"),
];

/// Fetches of what a client sent that have a name of ours.
const SENT: [(&str, &str); 6] = [
    ("ssl_fc_sni", "ssl_server_name"),
    ("path", "uri"),
    ("pathq", "request_uri"),
    ("url", "request_uri"),
    ("capture.req.uri", "request_uri"),
    ("query", "args"),
];

/// A fetch with a name of ours.
fn own(fetch: &str) -> Option<(&'static str, Shape)> {
    let find = |table: &[(&str, &'static str)]| {
        let found = table.iter().find(|(known, _)| *known == fetch);
        found.map(|(_, name)| *name)
    };
    match fetch {
        "status" => Some(("status", Shape::Signed)),
        _ => find(&WORDS)
            .map(|name| (name, Shape::Token))
            .or_else(|| find(&SENT).map(|name| (name, Shape::Open))),
    }
}
