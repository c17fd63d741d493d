//! nginx's `log_format` text as pieces (ngx_http_log_module, `log_format`).
//!
//! `$name` and `${name}` are variables, everything else is literal. Variable names are the
//! project's field names, so nothing is renamed here.
//!
//! An absent value is `-` by default and nothing at all under `escape=json` and `escape=none`, so
//! there only what every request has keeps a shape that is never empty. `$upstream_…` variables
//! that list the servers asked (ngx_http_upstream_module, "Embedded Variables") give the value of
//! the last one: it is the one that answered.

use super::layout::{FormatError, Quoting, ServerFormat, Shape};
use crate::definition::NginxEscape;
use crate::record::Escape;

/// Understands the text of a `log_format`. Errors carry the byte range inside the text.
pub(super) fn format(text: &str, written: NginxEscape) -> Result<ServerFormat, FormatError> {
    let (quoting, escape) = match written {
        NginxEscape::Default => (Quoting::Never, Escape::Nginx),
        NginxEscape::Json => (Quoting::Backslash, Escape::Json),
        NginxEscape::None | NginxEscape::Quote => (Quoting::Unescaped, Escape::None),
    };
    let absent_is_empty = escape != Escape::Nginx;
    let is_open = quoting == Quoting::Unescaped;
    let mut format = ServerFormat::new(quoting, escape);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        format.literal(before.as_bytes());
        let start = text.len() - after.len() - 1;
        let (name, tail) = variable(after).ok_or_else(|| {
            (
                start..start + 1,
                "a variable name must follow `$`".to_owned(),
            )
        })?;
        format.field(
            name,
            match shape(name) {
                Shape::Number | Shape::Token if absent_is_empty && !is_always_there(name) => {
                    Shape::Text
                }
                Shape::Text | Shape::List if is_open && is_clients(name) => Shape::Open,
                shape => shape,
            },
        );
        if written == NginxEscape::Quote && name != "request" {
            format.escapes.push((name.to_owned(), Escape::Quote));
        }
        rest = tail;
    }
    format.literal(rest.as_bytes());
    Ok(format)
}

fn variable(after: &str) -> Option<(&str, &str)> {
    if let Some(braced) = after.strip_prefix('{') {
        return braced.split_once('}').filter(|(name, _)| !name.is_empty());
    }
    let length = after
        .bytes()
        .position(|b| !b.is_ascii_alphanumeric() && b != b'_')
        .unwrap_or(after.len());
    (length > 0).then(|| after.split_at(length))
}

fn shape(name: &str) -> Shape {
    match name {
        "time_local" => Shape::Clf,
        "status"
        | "body_bytes_sent"
        | "bytes_sent"
        | "request_length"
        | "connection"
        | "connection_requests"
        // Traefik's.
        | "request_count"
        | "remote_port"
        | "server_port"
        | "pid" => Shape::Number,
        "remote_addr" | "time_iso8601" | "msec" | "request_time" | "request_method" | "scheme"
        | "server_protocol" | "server_addr" | "pipe" | "request_id" | "binary_remote_addr"
        | "realip_remote_addr" | "request_completion" => Shape::Token,
        "http_x_forwarded_for" | "proxy_add_x_forwarded_for" => Shape::List,
        name if has_attempts(name) => Shape::Attempts,
        _ => Shape::Text,
    }
}

/// Variables that hold what a client sent: where nothing is escaped, anything may stand in them.
fn is_clients(name: &str) -> bool {
    let families = ["http_", "cookie_", "arg_", "sent_http_"];
    let own = matches!(
        name,
        "request"
            | "request_uri"
            | "uri"
            | "document_uri"
            | "args"
            | "query_string"
            | "remote_user"
            | "request_body"
            | "proxy_add_x_forwarded_for"
    );
    own || families.iter().any(|prefix| name.starts_with(prefix))
}

/// Variables that say something of each server that was asked.
pub(super) fn has_attempts(name: &str) -> bool {
    matches!(
        name,
        "upstream_addr"
            | "upstream_status"
            | "upstream_response_time"
            | "upstream_connect_time"
            | "upstream_header_time"
            | "upstream_queue_time"
            | "upstream_response_length"
            | "upstream_bytes_received"
            | "upstream_bytes_sent"
    )
}

/// Variables that have a value for every request, also for bytes that are none.
fn is_always_there(name: &str) -> bool {
    matches!(
        name,
        "remote_addr"
            | "status"
            | "body_bytes_sent"
            | "bytes_sent"
            | "request_length"
            | "request_time"
            | "time_iso8601"
            | "msec"
            | "connection"
            | "connection_requests"
            | "request_count"
            | "pid"
            | "pipe"
            | "scheme"
            | "request_id"
    )
}
