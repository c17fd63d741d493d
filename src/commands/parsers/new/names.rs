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
            "bytes_received",
            "requestcontentsize",
        ],
    ),
    (
        "request_time",
        &[
            "request_time",
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
        &["upstream_response_time", "upstream_time", "originduration"],
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
    let key = normal(key);
    let known = WELL_KNOWN
        .iter()
        .find(|(_, keys)| keys.contains(&key.as_str()));
    let (name, _) = known?;
    match (*name, class) {
        ("request", Class::Path | Class::Url) => Some("request_uri"),
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

/// A key in lower case, with one kind of separator.
pub(super) fn normal(key: &str) -> String {
    let one = |letter: char| match letter {
        '-' | '.' | ' ' => '_',
        letter => letter.to_ascii_lowercase(),
    };
    key.chars().map(one).collect()
}

/// A field's name made of a key: letters, digits and `_`.
pub(super) fn field_name(key: &str) -> Option<String> {
    let plain = key
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@'));
    let name = normal(key).replace('@', "");
    let begins = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
    (plain && begins && name.len() <= 60).then_some(name)
}

/// The unit that a key's name says.
pub(super) fn unit(key: &str) -> Option<&'static str> {
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
