//! Names that loggers give to a request's properties, and nginx's for the same.

use super::columns::Class;

/// nginx's name, and keys for it in lower case, `-` and `.` as `_`.
const WELL_KNOWN: [(&str, &[&str]); 22] = [
    (
        "remote_addr",
        &[
            "remote_addr",
            "client_ip",
            "clientip",
            "client_addr",
            "client_address",
            "remote_address",
            "remote_ip",
            "remoteip",
            "remoteaddr",
            "remote_host",
            "clienthost",
            "client",
            "ip",
            "src_ip",
            "source_ip",
            "c_ip",
            "remote",
            "addr",
        ],
    ),
    (
        "remote_port",
        &["remote_port", "client_port", "clientport", "src_port"],
    ),
    (
        "remote_user",
        &[
            "remote_user",
            "user",
            "username",
            "user_id",
            "clientusername",
        ],
    ),
    ("request", &["request", "request_line"]),
    (
        "request_method",
        &[
            "request_method",
            "requestmethod",
            "method",
            "verb",
            "http_method",
            "cs_method",
        ],
    ),
    (
        "request_uri",
        &[
            "request_uri",
            "uri",
            "url",
            "original_url",
            "requestpath",
            "path",
            "request_path",
            "request_url",
            "target",
            "cs_uri_stem",
        ],
    ),
    (
        "server_protocol",
        &[
            "server_protocol",
            "protocol",
            "proto",
            "http_version",
            "httpversion",
            "requestprotocol",
            "request_protocol",
        ],
    ),
    (
        "status",
        &[
            "status",
            "status_code",
            "http_status_code",
            "response_status_code",
            "statuscode",
            "code",
            "response_status",
            "response_code",
            "downstreamstatus",
            "http_status",
            "sc_status",
            "response",
        ],
    ),
    (
        "body_bytes_sent",
        &[
            "body_bytes_sent",
            "bytes",
            "bytes_sent",
            "size",
            "length",
            "response_size",
            "body_size",
            "downstreamcontentsize",
            "content_length",
            "bytes_out",
            "response_bytes",
            "response_length",
            "sc_bytes",
        ],
    ),
    (
        "request_length",
        &[
            "request_length",
            "bytes_read",
            "bytes_in",
            "request_size",
            "request_bytes",
            "bytes_received",
            "requestcontentsize",
        ],
    ),
    (
        "request_time",
        &[
            "request_time",
            "latencies_request",
            "duration",
            "latency",
            "elapsed",
            "took",
            "response_time",
            "duration_ms",
            "latency_ms",
            "elapsed_ms",
            "took_ms",
            "time_taken",
            "duration_us",
            "duration_ns",
            "responsetime",
        ],
    ),
    (
        "host",
        &[
            "host",
            "vhost",
            "virtual_host",
            "authority",
            "requesthost",
            "http_host",
            "domain",
            "site",
        ],
    ),
    ("scheme", &["scheme", "requestscheme"]),
    ("server_name", &["server_name", "servername", "server"]),
    (
        "http_user_agent",
        &["http_user_agent", "user_agent", "useragent", "ua", "agent"],
    ),
    (
        "http_referer",
        &[
            "http_referer",
            "http_referrer",
            "referer",
            "referrer",
            "request_referer",
        ],
    ),
    (
        "http_x_forwarded_for",
        &[
            "http_x_forwarded_for",
            "x_forwarded_for",
            "xff",
            "forwarded_for",
        ],
    ),
    (
        "http_x_cdn_provider",
        &[
            "http_x_cdn_provider",
            "x_cdn_provider",
            "cdn",
            "cdn_provider",
        ],
    ),
    (
        "upstream_addr",
        &[
            "upstream_addr",
            "upstream_host",
            "upstream",
            "backend",
            "serviceaddr",
        ],
    ),
    (
        "upstream_status",
        &["upstream_status", "origin_status", "originstatus"],
    ),
    (
        "upstream_response_time",
        &[
            "upstream_response_time",
            "latencies_proxy",
            "upstream_time",
            "originduration",
        ],
    ),
    (
        "upstream_cache_status",
        &["upstream_cache_status", "cache_status", "cache", "x_cache"],
    ),
];

/// Keys for the time of a line, the likelier first.
pub(super) const TIMES: [&str; 14] = [
    "time",
    "ts",
    "timestamp",
    "@timestamp",
    "time_local",
    "time_iso8601",
    "msec",
    "datetime",
    "date",
    "start_time",
    "startutc",
    "starttime",
    "at",
    "t",
];

/// The name that a key stands for, if its values can be that.
pub(super) fn well_known(key: &str, class: &Class) -> Option<&'static str> {
    let key = squashed(key);
    let known = WELL_KNOWN
        .iter()
        .find(|(_, keys)| keys.iter().any(|known| squashed(known) == key));
    let (name, _) = known?;
    match (*name, class) {
        ("request", Class::Path | Class::Url) => Some("request_uri"),
        ("server_protocol", Class::Scheme) => Some("scheme"),
        (name, class) => fits(name, class).then_some(name),
    }
}

/// True when a field of this name may hold values of this class.
fn fits(name: &str, class: &Class) -> bool {
    match name {
        "status" | "upstream_status" => matches!(class, Class::Status),
        "remote_addr" => matches!(class, Class::Address),
        "http_x_forwarded_for" => {
            matches!(class, Class::Address | Class::AddressList | Class::Empty)
        }
        "request" => *class == Class::Request,
        "request_method" => matches!(class, Class::Method),
        "request_uri" => matches!(class, Class::Path | Class::Url),
        "body_bytes_sent" | "request_length" | "remote_port" => {
            matches!(
                class,
                Class::Integer | Class::Status | Class::Empty | Class::Decimal
            )
        }
        "request_time" | "upstream_response_time" => {
            matches!(
                class,
                Class::Integer | Class::Decimal | Class::Status | Class::Empty
            )
        }
        _ => true,
    }
}

/// A key in lower case, with one kind of separator: `clientIp` is `client_ip`, `X-Cache` is `x_cache`.
pub(super) fn normal(key: &str) -> String {
    let mut normal = String::new();
    let mut last = '_';
    for letter in key.chars() {
        if letter.is_ascii_uppercase() && (last.is_ascii_lowercase() || last.is_ascii_digit()) {
            normal.push('_');
        }
        normal.push(match letter {
            '-' | '.' | ' ' => '_',
            letter => letter.to_ascii_lowercase(),
        });
        last = letter;
    }
    normal
}

/// A key without case and separators, as two writers of the same name have in common.
pub(super) fn squashed(key: &str) -> String {
    let mut key = normal(key);
    key.retain(|letter| letter != '_');
    key
}

/// A field's name made of a key: letters, digits and `_`.
pub(super) fn field_name(key: &str) -> Option<String> {
    let plain = key
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@'));
    let name = normal(key).replace('@', "");
    // `http_NAME` is a request's header.
    let name = name.strip_prefix("http_").unwrap_or(&name).to_owned();
    let begins = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
    (plain && begins && name.len() <= 60).then_some(name)
}

/// The unit that a key's name says.
pub(super) fn unit(key: &str) -> Option<&'static str> {
    // Node's loggers and Kong count milliseconds, and their keys do not say so.
    let silent = key.ends_with("responseTime") || key.starts_with("latencies_");
    if silent {
        return Some("ms");
    }
    let key = normal(key);
    let units = [
        ("_ms", "ms"),
        ("_millis", "ms"),
        ("_us", "us"),
        ("_ns", "ns"),
    ];
    units
        .iter()
        .find(|(end, _)| key.ends_with(end))
        .map(|(_, unit)| *unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_known_however_they_are_written() {
        for key in ["clientIp", "client_ip", "Client-IP", "CLIENTIP", "ClientIP"] {
            assert_eq!(
                well_known(key, &Class::Address),
                Some("remote_addr"),
                "{key}"
            );
        }
        assert_eq!(well_known("httpStatusCode", &Class::Status), Some("status"));
        assert_eq!(well_known("requestUri", &Class::Url), Some("request_uri"));
        assert_eq!(well_known("protocol", &Class::Scheme), Some("scheme"));
        assert_eq!(field_name("errorInfo"), Some("error_info".to_owned()));
        assert_eq!(unit("durationMs"), Some("ms"));
        assert_eq!(unit("took"), None);
    }
}
